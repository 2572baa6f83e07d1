"""Documents that others fetch: a whole price list (YML) and a whole catalogue (ICML), written by ``obmen run``."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path

from hubs import Hub, Measure, WrongResult, measure, obmen

FEEDS = {"YML, Prom": "prom", "ICML": "retailcrm"}
SETTINGS = {"prom": ("price_kind", "feed_path"), "retailcrm": ("selling_price", "catalogue_path")}  # price kind, path of a copy
CURRENCY = "UAH"  # of the catalogue: the price list has no other
STREAM = "catalogue-out"


@dataclass(frozen=True)
class Written:
    """One feed, made and packed for the first time: the whole process, how many offers it has and how long it is; its floor is the same
    rows read and decoded, with nothing written."""

    done: Measure
    floor: Measure
    offers: int
    megabytes: float


def write(hub: Hub, connectors: dict[str, str], rounds: int, folder: Path) -> dict[str, list[Written]]:
    """By title; the first round warms up and is not in it. Raises WrongResult when a feed has too few offers."""
    kind = min(row["kind"] for row in hub.dump("prices"))
    floor = [sys.executable, str(Path(__file__).parent / "floors.py"), "rows", str(hub.sqlite)]
    seen: dict[str, list[Written]] = {title: [] for title in connectors}
    for number in range(rounds + 1):
        for title, connector in connectors.items():
            name, file = f"{title} {number}", folder / "feed.xml"
            price, path = SETTINGS[connector]
            values = {price: kind, path: str(file)} | ({"characteristics": "on"} if connector == "retailcrm" else {})
            pairs = [word for key, value in values.items() for word in ("--set", f"{key}={value}")]
            measure(obmen("connection", "add", connector, name, *pairs), hub.env)
            least = measure(floor)
            done = measure(obmen("run", name, STREAM, "--anyway", "--json"), hub.env)
            told = json.loads(done.out)
            if told["state"] != "done":
                raise WrongResult(f"{title}: {told['text']}")
            with file.open("rb") as feed:
                offers = sum(line.count(b"<offer ") for line in feed)
            if offers < 0.9 * int(least.out):
                raise WrongResult(f"{title}: {offers} of {least.out.strip()} offers")
            if number:
                seen[title].append(Written(done, least, offers, file.stat().st_size / 1e6))
    return seen
