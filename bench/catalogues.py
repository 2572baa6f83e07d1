"""The exchange files that are measured, and what must be in the books after them."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from hubs import Hub, WrongResult

from obmen.sandbox.onec.generate import Spec, generate

# 9 of 40 properties, 400 characters of description, every fifth product with some 4 offers, 3 price kinds, 4 warehouses: as heavy as
# a real catalogue gets. Pictures are left out: the generator writes a file for each one it names, and 200 000 files measure the disk.
TYPICAL: dict[str, Any] = {
    "characteristics": 0.2,
    "variants": 4,
    "groups": 300,
    "properties": 40,
    "values": 40,
    "filled": 9,
    "description": 400,
    "price_kinds": 3,
    "warehouses": 4,
    "deleted": 0.0,
}
LEAN: dict[str, Any] = TYPICAL | {
    "characteristics": 0.0,
    "properties": 12,
    "values": 20,
    "filled": 3,
    "description": 80,
    "price_kinds": 1,
    "warehouses": 1,
}
# One import.xml and one offers.xml with a namespace, prices and stock inside the offers, stock as attributes.
LAYOUT = "unf"
# The same without a namespace, which django-cml cannot read.
PLAIN_LAYOUT = "classic"


@dataclass(frozen=True)
class Expected:
    """What a receiver must end up with; kopecks and pieces over all offers."""

    groups: int
    products: int
    offers: int
    prices: int
    stock: int
    price_kopecks: int
    quantity: int


@dataclass(frozen=True)
class Catalogue:
    folder: Path
    expected: Expected
    changed_products: int
    products: int

    @property
    def files(self) -> list[Path]:
        return sorted(self.folder.glob("*.xml"))

    @property
    def megabytes(self) -> float:
        return sum(f.stat().st_size for f in self.files) / 1e6


def open_folder(folder: Path) -> Catalogue:
    """A folder with ``manifest.json``, as ``obmen sandbox onec generate`` writes it, or with ``counts`` and ``sums``."""
    said = json.loads((folder / "manifest.json").read_text("utf-8"))
    if "books" in said:
        books = said["books"]
        expected = Expected(**{name: books[name] for name in Expected.__dataclass_fields__})
        return Catalogue(folder, expected, books["changed_products"], books["products"])
    counts, sums = said["counts"], said["sums"]
    expected = Expected(
        counts["groups"],
        counts["products"],
        counts["offers"],
        counts["prices"],
        counts["stocks"],
        sums["price_kopecks"],
        sums["stock"],
    )
    return Catalogue(folder, expected, counts["changed_products"], counts["products"])


def make(folder: Path, **values: Any) -> Catalogue:
    """Generate into ``folder``, unless it holds just that from an earlier run."""
    spec = Spec(**values)
    try:
        if json.loads((folder / "manifest.json").read_text("utf-8"))["spec"] == asdict(spec):
            return open_folder(folder)
    except (FileNotFoundError, KeyError, ValueError):
        shutil.rmtree(folder, ignore_errors=True)  # not there, or broken off half-way
    shutil.rmtree(folder, ignore_errors=True)
    generate(spec, folder)
    return open_folder(folder)


def check(hub: Hub, catalogue: Catalogue, what: str) -> None:
    """Compare the books, as ``obmen dump`` says them, with the manifest. Raises WrongResult."""
    found: dict[str, int] = dict.fromkeys(Expected.__dataclass_fields__, 0)
    kopecks, quantity = Decimal(0), Decimal(0)
    for kind in ("groups", "products", "offers", "prices", "stock"):
        for row in hub.dump(kind):
            found[kind] += 1
            if kind == "prices":
                kopecks += Decimal(row["value"]) * 100
            elif kind == "stock":
                quantity += Decimal(row["quantity"])
    found["price_kopecks"], found["quantity"] = int(kopecks), int(quantity)
    wrong = {name: (found[name], value) for name, value in asdict(catalogue.expected).items() if found[name] != value}
    if wrong:
        facts = ", ".join(f"{name} {got} instead of {wanted}" for name, (got, wanted) in wrong.items())
        raise WrongResult(f"{what}: {facts}")
