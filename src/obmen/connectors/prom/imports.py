"""The price list that is carried to Prom by ``products/import_file`` instead of waiting until it is fetched (facts on marketplaces §2.6).

An import takes some ten minutes there, and its first answers say SUCCESS with nothing in them. A run does not wait for it: it notes
the import, and the following runs look at it, until its numbers are the same twice or half an hour is over.
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
import tempfile
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, cast

from obmen.connectors.prom.account import PromMarket
from obmen.connectors.prom.api import Json, NotFound, Refused, listed, mapping, words
from obmen.connectors.prom.settings import BY_ITSELF, NONE, PromSettings
from obmen.core.words import gettext_noop as _
from obmen.formats.yml.dialect import Dialect
from obmen.market.api import Market
from obmen.market.feed import PriceList
from obmen.net.client import Slice

NOT_AVAILABLE = "not_available"  # of the choices of import_missing
NOTE = "import"  # {"id", "at", "digest", "seen", "ended"}: the last one
GIVEN_UP = timedelta(minutes=30)
COUNTS = ("total", "imported", "created", "updated", "actualized", "not_changed", "with_errors_count")
COUNT = re.compile(r"([0-9]{1,18})(?:\.0*)?")
PIECE = 1 << 20
SHOWN = 3

SENT = _("The price list went to Prom as import {id}. What became of it is told by a later run")
UNDER_WAY = _("The import {id} is still under way at Prom, since {minutes} minutes")
DONE = _("Prom has taken the price list: {total} goods, {created} new cards, {updated} changed, {errors} with errors")
FAULTY = _("Prom has not taken all of the price list: {errors}. Look at the import in the cabinet, Goods → Import")
FAILED = _("Prom could not take the price list ({status}): {errors}. Look at the import in the cabinet, Goods → Import")
NOT_SAID = _("Prom has not said for {minutes} minutes what became of the import {id}: look at it in the cabinet, Goods → Import")
REFUSED = _("Prom did not take the price list: {reason}. It is tried again by a later run; Prom takes about ten imports a day")
LEFT_OUT = _(
    "{count} goods are left out of the price list: cards that it lacks stay as they are this time, or theirs would be among them"
)


class ImportedList(PriceList):
    """The price list as every marketplace has it, and, where the settings say so, its way to Prom."""

    def __init__(self, market: Market, dialect: str | Dialect) -> None:
        super().__init__(market, dialect)
        self.api = cast(PromMarket, market).api
        self.settings: PromSettings = market.s
        self.left_out = self.sold_out = self.offers = 0

    def published(self, file: Path, counts: Mapping[str, int], digest: str) -> None:
        """Look at the import before; send this list when it is another one than was sent last, and the time for it has come."""
        self.left_out, self.sold_out, self.offers = counts["left_out"], counts["sold_out"], counts["offers"]
        if not self.settings.send_new:
            return
        note = self.hub.recall(NOTE) or {}
        if note and not note.get("ended"):
            note = self._look(note)
            self.hub.remember(NOTE, note)
        # An import is given up before the shortest time between two of them is over: no two are ever under way
        said = self._digest(digest)
        now = self.hub.now()
        waiting = note and now - datetime.fromisoformat(note["at"]) < timedelta(hours=self.settings.import_hours)
        if waiting or note.get("digest") == said:
            return
        try:
            ident = self._send(file)
        except Refused as error:
            self.hub.report("warning", REFUSED, reason=error.reason)
            return
        self.hub.report("info", SENT, id=ident)
        self.hub.remember(NOTE, {"id": ident, "at": now.isoformat(), "digest": said})

    # --- sending ---

    @property
    def missing(self) -> str:
        """What becomes of cards that the list lacks: nothing where it lacks goods of ours, or their cards would be among those, and
        nothing where it is empty. Of goods that are sold out it is true that they are not available, and no more than that."""
        wanted = self.settings.import_missing
        lacking = self.left_out or not self.offers or (self.sold_out and wanted != NOT_AVAILABLE)
        return NONE if lacking else wanted

    def terms(self) -> Json:
        """What goes beside the file. Other fields of known cards than price and presence change only where they are forced and named."""
        fields = list(self.settings.import_fields) or list(BY_ITSELF)
        return {
            "force_update": not set(fields) <= set(BY_ITSELF),
            "only_available": False,
            "mark_missing_product_as": self.missing,
            "updated_fields": fields,
        }

    def _send(self, file: Path) -> str:
        """The id of the import. A refusal is an answer without one, whatever its status says. Raises Refused."""
        if self.missing != self.settings.import_missing:
            self.hub.report("warning", LEFT_OUT, count=self.left_out + self.sold_out)
        boundary = f"obmen-{secrets.token_hex(16)}"
        with tempfile.NamedTemporaryFile(prefix="obmen-import-", suffix=".form") as body:
            for piece in _multipart(boundary, self.terms(), file):
                body.write(piece)
            body.flush()
            content = Slice(Path(body.name), 0, body.tell())
            answer = self.api.upload("/products/import_file", content, f"multipart/form-data; boundary={boundary}")
        ident = words(answer.get("id"))
        if not ident:
            raise Refused("/products/import_file", words(answer.get("message")) or words(answer.get("status")), {})
        return ident

    def _digest(self, document: str) -> str:
        """Of the list, whose own digest leaves its moment out, and of the terms on which it is taken."""
        return hashlib.blake2b(json.dumps([self.terms(), document], sort_keys=True).encode(), digest_size=16).hexdigest()

    # --- what became of it ---

    def _look(self, note: Json) -> Json:
        """The note as it is now; "ended" when there is nothing more to wait for."""
        age = self.hub.now() - datetime.fromisoformat(note["at"])
        minutes = int(age / timedelta(minutes=1))
        try:
            answer = self.api.get(f"/products/import/status/{note['id']}")
        except (NotFound, Refused) as error:
            answer = {"status": str(error)}
        seen = {"status": words(answer.get("status"))} | {name: _count(answer.get(name)) for name in COUNTS}
        finished = (seen["total"] or seen["status"] == "FATAL") and seen == note.get("seen")
        if finished:
            self._tell(seen, answer)
        elif age >= GIVEN_UP:
            self.hub.report("warning", NOT_SAID, minutes=minutes, id=note["id"])
        else:
            self.hub.report("info", UNDER_WAY, minutes=minutes, id=note["id"])
            return {**note, "seen": seen}
        return {**note, "ended": True}

    def _tell(self, seen: Json, answer: Json) -> None:
        errors = _errors(answer)
        if not seen["total"]:
            self.hub.report("error", FAILED, status=seen["status"], errors=errors or "–")
            return
        changed = seen["updated"] + seen["actualized"]
        self.hub.report(
            "info", DONE, total=seen["total"], created=seen["created"], updated=changed, errors=seen["with_errors_count"]
        )
        if errors:  # a picture that could not be loaded is no error to Prom's own count
            self.hub.report("warning", FAULTY, errors=errors)


def _count(value: Any) -> int:
    """What is no number counts as nothing, so that the import ends by its time at the latest."""
    found = COUNT.fullmatch(str(value))
    return int(found[1]) if found else 0


def _errors(answer: Json) -> str:
    """The first of them by what went wrong where, each once with how often: "download_images 2004 (status_code: 404) × 3"."""
    found: dict[str, int] = {}
    for row in map(mapping, listed(answer.get("errors"))):
        for where, what in row.items():
            code, extra = words(mapping(what).get("code")), words(mapping(what).get("extra"))
            said = f"{where} {code}".strip() + (f" ({extra})" if extra else "")
            found[said] = found.get(said, 0) + 1
    shown = [f"{said} × {count}" if count > 1 else said for said, count in list(found.items())[:SHOWN]]
    return "; ".join(shown) + ("; …" if len(found) > SHOWN else "")


def _multipart(boundary: str, terms: Mapping[str, Any], file: Path) -> Iterator[bytes]:
    """A part ``data`` that is JSON as a text, and a part ``file`` (§2.6)."""
    line = f"--{boundary}\r\n".encode()
    yield line + b'Content-Disposition: form-data; name="data"\r\n\r\n' + json.dumps(terms).encode() + b"\r\n"
    yield line + b'Content-Disposition: form-data; name="file"; filename="goods.xml"\r\nContent-Type: text/xml\r\n\r\n'
    with file.open("rb") as opened:
        while piece := opened.read(PIECE):
            yield piece
    yield f"\r\n--{boundary}--\r\n".encode()
