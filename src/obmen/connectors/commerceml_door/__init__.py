"""1C, BAS, MoySklad and everything else that calls an online shop by CommerceML 2: we are the shop.

door.py is the conversation, received.py the files it brings, api.py the source over them, convert.py what the settings make of
records, profiles/ the known callers.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, tzinfo
from pathlib import Path
from typing import Any

from obmen.connectors.commerceml_door.api import CommerceMLFiles, owners
from obmen.connectors.commerceml_door.door import Door
from obmen.connectors.commerceml_door.profiles import all_profiles
from obmen.connectors.commerceml_door.settings import STREAMS, DoorSettings
from obmen.core import contract
from obmen.core.records import Kind
from obmen.core.words import gettext_noop as _

SHORT_NUMBERS = _(
    "The other side takes numbers of orders of {count} signs at most: a longer one gets a short one that stays its own."
)
INTERVAL = _("Goods are taken once in {minutes} minutes at most: a call that comes sooner is told when to come again.")


class CommerceMLDoor(contract.Connector):
    key = "commerceml_door"
    title = _("1C and other systems by CommerceML (they call us)")
    aliases = ("commerceml", "1c", "onec", "cml", "door")
    settings = DoorSettings
    family = "accounting"
    about = _("Sends goods, prices and stock here, takes the orders and reports what became of them.")
    streams = STREAMS
    addresses = (
        "bitrix/admin/1c_exchange.php",  # what 1C:UT and UNF put behind a bare host name
        "admin/exchange/autoimport",  # 1C:UNF in its UMI mode
        "rest/integration/1c_exchange.php",  # GetMeBack
        "1c_exchange.php",
        "exim_1c",  # CS-Cart up to 4.12
        "exim_1c.php",
        "commerceml",  # CS-Cart from 4.12.1
    )

    @classmethod
    def profiles(cls) -> Mapping[str, Mapping[str, Any]]:
        return all_profiles()

    def check(self) -> str:
        return _("This connection waits for calls; use “Check the connection” over there.")

    def limits(self) -> Mapping[str, Sequence[tuple[str, Mapping[str, object]]]]:
        said: list[tuple[str, Mapping[str, object]]] = []
        if self.s.number_rule == "short":
            said.append((SHORT_NUMBERS, {"count": self.s.number_length}))
        if self.s.minimum_interval:
            said.append((INTERVAL, {"minutes": self.s.minimum_interval}))
        return {"settings": said}

    def owners(self, kind: Kind, streams: Collection[str]) -> Mapping[str, str]:
        return owners(self.s, kind, streams)

    def doors(self) -> Mapping[str, contract.Door]:
        return {"": Door()}

    def open_files(self, files: Sequence[Path], streams: Collection[str] | None = None, zone: tzinfo = UTC) -> CommerceMLFiles:
        return CommerceMLFiles(files, self.s, STREAMS if streams is None else streams, zone)
