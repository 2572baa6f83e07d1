"""The generator of catalogues: deterministic, streaming, and honest about what it wrote."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

import pytest

from obmen.core.contract import NeedsOwner
from obmen.formats.commerceml import reader
from obmen.formats.commerceml.model import Raw
from obmen.sandbox.onec.generate import LAYOUTS, Catalogue, Manifest, Spec, generate


def files(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def records(text: str, tag: str) -> dict[str, str]:
    found = re.findall(rf"<{tag}[ >].*?</{tag}>", text, re.DOTALL)
    return {re.search("<Ид>(.*?)</Ид>", x).group(1): x for x in found}  # type: ignore[union-attr]


def local(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2]


def count(folder: Path) -> tuple[dict[str, int], dict[str, int]]:
    """(records, what a receiver ends up with), counted by another parser and other code than the generator's."""
    seen: dict[str, int] = dict.fromkeys(
        ("group", "property", "reference", "product", "offer", "prices", "stock", "counterparty"), 0
    )
    ids: dict[str, set[object]] = {}
    kopecks: dict[tuple[str, str], int] = {}
    stock: dict[tuple[str, str], int] = {}

    def child(x: ElementTree.Element, name: str) -> str:
        return next(((c.text or "") for c in x if local(c) == name), "")

    for path in folder.glob("*.xml"):
        parents = {c: p for p in ElementTree.parse(path).iter() for c in p}
        for x in parents:
            tag, above = local(x), local(parents[x])
            key = child(x, "Ид")
            if tag == "Группа":
                seen["group"] += 1
                ids.setdefault("groups", set()).add(key)
            elif tag == "Свойство":
                seen["property"] += 1
                ids.setdefault("properties", set()).add(key)
            elif tag == "ИдЗначения":
                ids.setdefault("property_values", set()).add(x.text)
            elif tag == "ТипЦены" or (tag == "Склад" and above == "Склады") or tag == "ЕдиницаИзмерения":
                seen["reference"] += 1
                ids.setdefault({"ТипЦены": "price_kinds", "Склад": "warehouses"}.get(tag, "units"), set()).add(key)
            elif tag == "Контрагент":
                seen["counterparty"] += 1
            elif tag == "Товар":
                seen["product"] += 1
                ids.setdefault("products", set()).add(key.partition("#")[0])
                if x.get("Статус") == "Удален" or child(x, "Статус") == "Удален" or child(x, "ПометкаУдаления") == "true":
                    ids.setdefault("deleted_products", set()).add(key.partition("#")[0])
            elif tag == "Картинка":
                ids.setdefault("pictures", set()).add(x.text)
            elif tag == "Предложение":
                parts = {local(c) for c in x}
                only = "prices" if parts <= {"Ид", "Цены"} else "stock" if parts <= {"Ид", "Остатки"} else "offer"
                seen["prices" if local(parents[parents[x]]) == "ИзмененияПакетаПредложений" else only] += 1
                char = child(x, "ИдХарактеристики")
                key = f"{key}#{char}" if char else key
                ids.setdefault("offers", set()).add(key)
                for price in (c for c in x.iter() if local(c) == "Цена"):
                    kopecks[key, child(price, "ИдТипаЦены")] = round(float(child(price, "ЦенаЗаЕдиницу")) * 100)
                for c in x.iter():
                    if c.get("ИдСклада"):
                        stock[key, c.get("ИдСклада", "")] = int(c.get("КоличествоНаСкладе", ""))
                    elif local(c) == "КоличествоНаСкладе":
                        stock[key, child(c, "ИдСклада")] = int(child(c, "Количество"))
                    elif local(c) == "Склад" and child(c, "Количество"):
                        stock[key, child(c, "Ид")] = int(child(c, "Количество"))
    books = {name: len(ids.get(name, ())) for name in ("groups", "properties", "property_values", "price_kinds", "warehouses")}
    books |= {name: len(ids.get(name, ())) for name in ("products", "deleted_products", "pictures", "offers")}
    books |= {
        "prices": len(kopecks),
        "stock": len(stock),
        "price_kopecks": sum(kopecks.values()),
        "quantity": sum(stock.values()),
    }
    return seen, books


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_same_arguments_give_the_same_bytes(layout: str, tmp_path: Path) -> None:
    spec = Spec(layout=layout, products=30, portion=12, pictures=0.5, seed=7)
    generate(spec, tmp_path / "a")
    generate(spec, tmp_path / "b")
    assert files(tmp_path / "a") == files(tmp_path / "b")
    generate(Spec(layout=layout, products=30, portion=12, pictures=0.5, seed=8), tmp_path / "c")
    assert files(tmp_path / "a").keys() != files(tmp_path / "c").keys()


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_manifest_is_what_another_parser_counts(layout: str, tmp_path: Path) -> None:
    manifest = generate(Spec(layout=layout, products=120, portion=50, pictures=0.4, deleted=0.1), tmp_path)
    seen, books = count(tmp_path)
    assert seen == manifest.records
    assert books == {name: manifest.books[name] for name in books}
    assert manifest.books["deleted_products"] > 0
    assert {n: len(b) for n, b in files(tmp_path).items() if n.endswith(".xml")} == manifest.files
    assert Manifest.load(tmp_path) == manifest


def test_a_record_does_not_depend_on_the_size_of_the_catalogue(tmp_path: Path) -> None:
    generate(Spec(products=10), tmp_path / "small")
    generate(Spec(products=200), tmp_path / "large")
    for file, tag in (("import0_1.xml", "Товар"), ("offers0_1.xml", "Предложение")):
        small = records((tmp_path / "small" / file).read_text("utf-8"), tag)
        large = records((tmp_path / "large" / file).read_text("utf-8"), tag)
        assert len(small) >= 10
        assert small.items() <= large.items()


def test_a_changed_share_leaves_the_other_records_as_they_were(tmp_path: Path) -> None:
    generate(Spec(products=300), tmp_path / "before")
    manifest = generate(Spec(products=300, change=0.1), tmp_path / "after")
    before = records((tmp_path / "before/import0_1.xml").read_text("utf-8"), "Товар")
    after = records((tmp_path / "after/import0_1.xml").read_text("utf-8"), "Товар")
    differ = {k.partition("#")[0] for k in before if before[k] != after[k]}
    assert before.keys() == after.keys()
    assert len(differ) == manifest.books["changed_products"] == 38


def test_only_changes_leave_the_books_as_a_whole_changed_catalogue_would(tmp_path: Path) -> None:
    whole = generate(Spec(products=300, change=0.1), tmp_path / "whole")
    part = generate(Spec(products=300, change=0.1, only_changes=True), tmp_path / "part")
    assert part.books == whole.books
    assert len({k.partition("#")[0] for k in records((tmp_path / "part/import0_1.xml").read_text("utf-8"), "Товар")}) == 38
    assert 'Каталог СодержитТолькоИзменения="true"' in (tmp_path / "part/import0_1.xml").read_text("utf-8")


def test_only_the_first_portion_has_the_classifier_and_says_that_it_is_whole(tmp_path: Path) -> None:
    manifest = generate(Spec(products=25, portion=10), tmp_path)
    assert sorted(manifest.files) == [f"{kind}0_{n}.xml" for kind in ("import", "offers") for n in (1, 2, 3)]
    texts = [(tmp_path / f"import0_{n}.xml").read_text("utf-8-sig") for n in (1, 2, 3)]
    assert ["<Классификатор>" in t for t in texts] == [True, False, False]
    assert [re.search('<Каталог СодержитТолькоИзменения="(.*?)"', t).group(1) for t in texts] == ["false", "true", "true"]  # type: ignore[union-attr]
    assert len({re.search('ДатаФормирования="(.*?)"', t).group(1) for t in texts}) == 1  # type: ignore[union-attr]


def test_updates_hold_prices_and_stock_with_the_characteristic_apart(tmp_path: Path) -> None:
    manifest = generate(Spec(products=40, updates=True, characteristics=1.0), tmp_path)
    text = (tmp_path / "offers0_1.xml").read_text("utf-8-sig")
    assert list(manifest.files) == ["offers0_1.xml"]
    assert text.count("<ИдХарактеристики>") == text.count("<Предложение>") == manifest.records["prices"] > 40
    assert not re.search("<Ид>[^<#]+#[^<]+</Ид>\n\t\t\t\t<", text)


def test_a_catalogue_in_windows_1251_reads_back_as_the_one_in_utf_8(tmp_path: Path) -> None:
    generate(Spec(layout="classic", products=20), tmp_path / "utf")
    generate(Spec(layout="classic", products=20, encoding="windows-1251"), tmp_path / "ansi")
    utf = (tmp_path / "utf/import.xml").read_text("utf-8")
    ansi = (tmp_path / "ansi/import.xml").read_bytes().decode("cp1251")
    assert 'encoding="windows-1251"' in ansi
    assert ansi.replace("windows-1251", "UTF-8", 1) == utf


def test_every_named_picture_is_there_and_is_a_picture(tmp_path: Path) -> None:
    manifest = generate(Spec(products=60, pictures=1.0), tmp_path)
    names = set(re.findall("<Картинка>(.*?)</Картинка>", (tmp_path / "import0_1.xml").read_text("utf-8")))
    assert len(names) == manifest.books["pictures"] > 30
    kinds = {name: (tmp_path / name).read_bytes()[:4] for name in names}
    assert {k for n, k in kinds.items() if n.endswith(".png")} == {b"\x89PNG"}
    assert {k for n, k in kinds.items() if n.endswith(".jpg")} == {b"\xff\xd8\xff\xe0"}
    assert all(re.fullmatch(r"import_files/([0-9a-f]{2})/\1[0-9a-f]{30}_[0-9a-f]{32}\.(png|jpg)", n) for n in names)


def test_a_product_is_found_by_its_key_and_its_article(tmp_path: Path) -> None:
    for layout in ("ut11", "moysklad"):
        catalogue = Catalogue(Spec(layout=layout, products=50))
        card = catalogue.card(33)
        assert catalogue.find(card.key) == catalogue.find(f"{card.key}#anything") == catalogue.find(card.article) == card
        assert catalogue.find(catalogue.card(50).key) is None
        assert catalogue.find("A-1") is None


def test_an_unknown_layout_is_refused_with_the_known_ones() -> None:
    with pytest.raises(NeedsOwner, match="There is no layout ut12; choose one of ut11, unf"):
        Catalogue(Spec(layout="ut12"))
    with pytest.raises(NeedsOwner, match="has no packages of price and stock updates"):
        Catalogue(Spec(layout="classic", updates=True))


def test_the_manifest_is_plain_json(tmp_path: Path) -> None:
    generate(Spec(products=1), tmp_path)
    assert json.loads((tmp_path / "manifest.json").read_text("utf-8"))["spec"]["products"] == 1


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_products_reader_counts_what_the_manifest_says(layout: str, tmp_path: Path) -> None:
    manifest = generate(Spec(layout=layout, products=80, portion=30, deleted=0.1), tmp_path)
    seen = Counter(r.kind.value for name in manifest.files for r in reader.read(tmp_path / name, name) if isinstance(r, Raw))
    assert seen == Counter(manifest.records)


@pytest.mark.parametrize("layout", ["ut11", "unf"])
def test_the_products_reader_counts_updates_too(layout: str, tmp_path: Path) -> None:
    manifest = generate(Spec(layout=layout, products=80, updates=True, change=0.5), tmp_path)
    seen = Counter(r.kind.value for name in manifest.files for r in reader.read(tmp_path / name, name) if isinstance(r, Raw))
    assert seen == Counter(manifest.records)
    assert 20 < seen["prices"] < 100
