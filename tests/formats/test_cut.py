"""The fast way through a file gives the records of a whole-document parse, whatever the file looks like, or is not gone."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from pathlib import Path
from xml.sax.saxutils import escape

import pytest
import xxhash
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from obmen.core.contract import BadDocument
from obmen.core.records import Kind, Product
from obmen.formats.commerceml import cut, records
from obmen.formats.commerceml.batches import FileBatches, guess
from obmen.formats.commerceml.model import Raw
from obmen.formats.commerceml.reader import read

ROOT = "КоммерческаяИнформация"
GOODS = {Kind.PRODUCT, Kind.OFFER, Kind.PRICES, Kind.STOCK}
Found = list[tuple[str, str]]


def document(before: str, goods: str, after: str = "", head: str = '<?xml version="1.0" encoding="UTF-8"?>\n') -> str:
    return (
        f'{head}<{ROOT} xmlns="urn:1C.ru:commerceml_2" ВерсияСхемы="2.08">{before}'
        f"<Каталог><Ид>c</Ид><Товары>{goods}</Товары></Каталог>{after}</{ROOT}>"
    )


def card(key: str, name: str) -> str:
    return f"\n<Товар><Ид>{key}</Ид><Наименование>{name}</Наименование></Товар>"


A, B = card("1", "один"), card("2", "два")
ORDER = "<Документ><Ид>9</Ид><Товары><Товар><Ид>9</Ид><Наименование>в заказе</Наименование></Товар></Товары></Документ>"
SECOND = "<Каталог><Ид>d</Ид><Товары><Товар><Ид>7</Ид><Наименование>семь</Наименование></Товар></Товары></Каталог>"

SHAPES = {
    "plain": document("", A + B),
    "a comment between records": document("", f"{A}<!-- {card('x', 'нет')} -->{B}"),
    "a comment with an end tag in a record": document("", A.replace("один", "о<!-- </Товар><Товар> -->дин") + B),
    "CDATA with end tags": document("", card("1", "<![CDATA[<b></Товар>\n<Товар></b>]]>") + B),
    "plain CDATA": document("", card("1", "<![CDATA[x < y]]>") + B),
    "a comment in the head that looks like records": document("<!-- <Каталог><Товары><Товар> -->", A + B),
    "all goods in a comment": document("", f"<!--{A}{B}-->"),
    "orders behind the goods": document("", A + B, ORDER),
    "orders before the goods": document(ORDER, A + B),
    "two catalogues": document("", A + B, SECOND),
    "two catalogues, the first one empty": document("", "", SECOND),
    "attributes on the first record": document("", A.replace("<Товар>", '<Товар Статус="Удален">') + B),
    "attributes on the second record": document("", A + B.replace("<Товар>", '<Товар Статус="Удален">')),
    "a greater-than sign in an attribute": document("", A.replace("<Товар>", '<Товар a="x>y">') + B),
    "space in an end tag": document("", A.replace("</Товар>", "</Товар >") + B),
    "a line end in a start tag": document("", A.replace("<Товар>", "<Товар\n>") + B),
    "a prefix": document("", A + B)
    .replace("<Товар>", "<c:Товар>")
    .replace("</Товар>", "</c:Товар>")
    .replace('xmlns="urn', 'xmlns:c="urn:1C.ru:commerceml_2" xmlns="urn'),
    "a prefix on one record": document("", A + B.replace("Товар>", "c:Товар>")).replace('xmlns="urn', 'xmlns:c="urn:x" xmlns="urn'),
    "a self-closing record": document("", f"{A}<Товар/>{B}"),
    "text between records": document("", f"{A}мусор{B}"),
    "another element between records": document("", f"{A}<Прочее><Товар><Ид>5</Ид></Товар></Прочее>{B}"),
    "a processing instruction between records": document("", f"{A}<?x </Товар> ?>{B}"),
    "the same name inside a record": document("", A.replace("</Ид>", "</Ид><Аналоги><Товар><Ид>7</Ид></Товар></Аналоги>") + B),
    "a record whose tag begins like a record's": document("", A + "<ТоварУслуга><Ид>8</Ид></ТоварУслуга>" + B),
    "cut off in the tail": document("", A + B)[:-40],
    "cut off in a record": document("", A + B)[: document("", A + B).index("два") + 1],
    "an end tag too many": document("", f"{A}</Товар>{B}"),
    "crossed end tags": document("", A.replace("</Наименование></Товар>", "</Товар></Наименование>") + B),
    "an undeclared entity": document("", A.replace("один", "од&nbsp;ин") + B),
    "a bare ampersand": document("", A.replace("один", "A & B") + B),
    "a numeric entity": document("", A.replace("один", "о&#1076;ин &lt;b&gt;") + B),
    "a prefix declared on the root": document("", A.replace("<Ид>", '<Код xsi:type="xs:string">k</Код><Ид>') + B).replace(
        'xmlns="urn', 'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xmlns="urn'
    ),
    "a DOCTYPE": document("", A + B, head='<?xml version="1.0"?>\n<!DOCTYPE x [<!ENTITY e "Товар">]>\n'),
    "no records": document("", ""),
    "no catalogue": f"<?xml version='1.0'?><{ROOT}/>",
    "one record": document("", A),
    "records without white space": document("", (A + B).replace("\n", "")),
    "records with uneven white space": document("", f"\r\n\t {A} \n\n\n{B}\t"),
    "a root with a prefix": document("", A + B)
    .replace(f"<{ROOT} xmlns=", f"<c:{ROOT} xmlns:c=")
    .replace(f"</{ROOT}>", f"</c:{ROOT}>"),
}  # fmt: skip


def local(tag: str) -> str:
    return tag.rpartition("}")[2]


def truth(text: str) -> Found | None:
    """(Ид, Наименование) of the goods, by an independent parser that holds the whole tree; None: it is not well-formed."""
    if "<!DOCTYPE" in text:
        return None
    try:
        root = ET.fromstring(text.encode())
    except ET.ParseError:
        return None
    out: Found = []
    for catalogue in root:
        if local(catalogue.tag) != "Каталог":
            continue
        for goods in catalogue:
            if local(goods.tag) == "Товары":
                out += [record(x) for x in goods if local(x.tag) == "Товар"]
    return out


def record(element: ET.Element) -> tuple[str, str]:
    said = {local(child.tag): "".join(child.itertext()).strip() for child in reversed(element)}
    return said.get("Ид", ""), said.get("Наименование", "")


def ours(path: Path, *, fast: bool = True) -> tuple[Found, str]:
    """What the product would take, as the door's source takes it: (key, name) of good records, and the fault if there is one."""
    while True:
        try:
            return _ours(path, fast)
        except cut.OddShape:
            assert fast
            fast = False


def _ours(path: Path, fast: bool) -> tuple[Found, str]:
    found: Found = []
    batches = FileBatches(path, lambda _kind: b"", 0, fast)
    try:
        for batch in batches:
            pieces = getattr(batch, "pieces", ())
            if not pieces or batch.kind is not Kind.PRODUCT:  # type: ignore[union-attr]
                continue
            parsed = records.parse(Kind.PRODUCT, [utf8(piece.xml, batches.encoding) for piece in pieces])
            if batches.fast and any(isinstance(r, records.NotWhole) for r in parsed):
                raise cut.OddShape("not whole")
            found += [(r.key, r.name or "") for r in parsed if isinstance(r, Product)]
    except BadDocument as error:
        return found, error.text
    return found, ""


def utf8(xml: bytes, encoding: str) -> bytes:
    return xml if encoding == "utf-8" else xml.decode(encoding).encode()


@pytest.mark.parametrize("shape", SHAPES)
def test_an_odd_shape_is_read_as_by_a_whole_parse_or_refused(shape: str, tmp_path: Path) -> None:
    file = tmp_path / "import.xml"
    file.write_bytes(SHAPES[shape].encode())
    wanted = truth(SHAPES[shape])
    found, fault = ours(file)
    slow, slow_fault = ours(file, fast=False)
    assert (found, bool(fault)) == (slow, bool(slow_fault)), "both ways say the same"
    if wanted is None:
        assert fault, f"refused by a whole parse, taken here: {found}"
        assert set(found) <= {("1", "один"), ("2", "два"), ("1", "")}, "what stands before the fault and nothing else"
    else:
        assert fault == ""
        assert found == [(key, name) for key, name in wanted if key]


def test_a_prefix_that_is_declared_nowhere_is_forgiven_in_both_ways(tmp_path: Path) -> None:
    file = tmp_path / "import.xml"
    file.write_bytes(document("", A.replace("<Ид>", '<x:y xsi:type="z"/><Ид>') + B).encode())
    assert ours(file) == ours(file, fast=False) == ([("1", "один"), ("2", "два")], "")


@pytest.mark.parametrize("encoding", ["windows-1251", "utf-8-sig", "utf-16", "koi8-r"])
@pytest.mark.parametrize("shape", ["plain", "attributes on the second record", "a numeric entity", "CDATA with end tags"])
def test_other_encodings_are_read_alike(shape: str, encoding: str, tmp_path: Path) -> None:
    file = tmp_path / "import.xml"
    name = {"utf-8-sig": "UTF-8", "utf-16": "UTF-16"}.get(encoding, encoding)
    file.write_bytes(SHAPES[shape].replace('encoding="UTF-8"', f'encoding="{name}"').encode(encoding))
    assert ours(file) == (truth(SHAPES[shape]), "")


def test_the_usual_shape_goes_the_fast_way_and_odd_ones_do_not(tmp_path: Path) -> None:
    file = tmp_path / "import.xml"

    def fast(shape: str) -> bool:
        file.write_bytes(SHAPES[shape].encode())
        batches = FileBatches(file, lambda _kind: b"")
        try:
            list(batches)
        except (cut.OddShape, BadDocument):
            return False
        return batches.fast

    usual = ("plain", "attributes on the first record", "attributes on the second record", "a numeric entity", "one record")
    assert [shape for shape in usual if not fast(shape)] == []
    odd = (
        "a prefix",
        "two catalogues",
        "text between records",
        "a comment between records",
        "orders behind the goods",
        "a DOCTYPE",
    )
    assert [shape for shape in odd if fast(shape)] == []


# --- made-up files ------------------------------------------------------------------------------------------------------------------

KEYS = st.text("abcdef0123456789-", min_size=1, max_size=6)
TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc", "Cn")), max_size=20).map(str.strip)
INSIDE = st.sampled_from(
    ["", "<!-- </Товар> -->", "<Аналоги><Товар><Ид>z</Ид></Товар></Аналоги>", "<![CDATA[]]>", "<Описание><![CDATA[</Товар>\n<Товар>]]></Описание>",
     "<?pi </Товар>?>", "<Код/>", '<Код a="&gt;">&#10;</Код>', "<Описание>&lt;/Товар&gt;</Описание>"]
)  # fmt: skip
START = st.sampled_from(["<Товар>"] * 6 + ['<Товар Статус="Удален">', "<Товар >", "<Товар\n\t>"])
END = st.sampled_from(["</Товар>"] * 8 + ["</Товар >", "</Товар\n>"])
BETWEEN = st.sampled_from(
    ["\n\t\t"] * 8
    + ["", " ", "<!-- x -->", "<!--</Товар><Товар>-->", "<Товар/>", "<?x?>", "<Услуга><Ид>u</Ид></Услуга>", "текст"]
)
AROUND = st.sampled_from(
    [""] * 5 + ["<!-- <Товар> -->", ORDER, "<ПакетПредложений><Ид>p</Ид><Предложения/></ПакетПредложений>", SECOND]
)
DAMAGE = st.sampled_from(
    [""] * 8 + ["</Товар>", "<Товар>", "&nbsp;", "<", "]]>", "<!--", "\x01", "<![CDATA[", '<x a="', "\n<?xml version='1.0'?>"]
)


@st.composite
def files(draw: st.DrawFn) -> str:
    goods = []
    for key, name in draw(st.lists(st.tuples(KEYS, TEXTS), max_size=8)):
        goods.append(draw(BETWEEN) + draw(START))
        goods.append(f"{draw(INSIDE)}<Ид>{key}</Ид>{draw(INSIDE)}<Наименование>{escape(name)}</Наименование>{draw(INSIDE)}")
        goods.append(draw(END))
    text = document(draw(AROUND), "".join(goods) + draw(BETWEEN), draw(AROUND))
    damage = draw(DAMAGE)
    if damage:
        at = draw(st.integers(len("<?xml version='1.0' encoding='UTF-8'?>") + 1, len(text)))
        text = text[:at] + damage + text[at:]
    return text


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(files())
@example(document("", A + "<!--" + B + "-->"))
def test_any_made_up_file_is_read_as_by_a_whole_parse_or_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "import.xml"
    file.write_bytes(text.encode())
    wanted = truth(text)
    found, fault = ours(file)
    assert (found, bool(fault)) == (lambda s: (s[0], bool(s[1])))(ours(file, fast=False))
    if wanted is None:
        second = text.find("<?xml", 5)
        before_root = 0 < second < text.find("<КоммерческаяИнформация")  # the reader forgives a declaration that stands twice
        assert fault or before_root
    else:
        assert (fault, found) == ("", [(key, stripped(name)) for key, name in wanted if key])


def stripped(text: str) -> str:
    return text.strip(" \t\r\n\u00a0\u2007\u202f\ufeff")


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(KEYS, TEXTS), min_size=1, max_size=12, unique_by=lambda c: c[0]), st.data())
def test_what_was_seen_before_is_left_out_and_nothing_else(
    tmp_path: Path, cards: list[tuple[str, str]], data: st.DataObject
) -> None:
    """Digests of the file before in its order; then some cards are changed, moved, inserted and removed."""
    file = tmp_path / "import.xml"

    def write(said: Sequence[tuple[str, str]]) -> None:
        file.write_bytes(document("", "".join(card(key, escape(name)) for key, name in said)).encode())

    write(cards)
    digests = b"".join(
        piece.digest for batch in FileBatches(file, lambda _kind: b"", 7) for piece in getattr(batch, "pieces", ())
    )
    assert len(digests) == 16 * len(cards)
    after = data.draw(st.permutations(cards))
    after = after[: data.draw(st.integers(1, len(after)))]
    changed = data.draw(st.sets(st.integers(0, len(after) - 1)))
    after = [(key, f"{name} изменён") if i in changed else (key, name) for i, (key, name) in enumerate(after)]
    write(after)
    fresh: list[str] = []
    unchanged = 0
    for batch in FileBatches(file, lambda _kind: digests, 7):
        fresh += [guess(piece.xml, "utf-8") for piece in getattr(batch, "pieces", ())]
        unchanged += getattr(batch, "unchanged", 0)
    must = {key for i, (key, _name) in enumerate(after) if i in changed}
    assert must <= set(fresh), "what changed is never left out"
    assert len(fresh) + unchanged == len(after)
    assert [key for key, _name in after if key in fresh] == fresh, "in the order of the file"


def test_the_streaming_way_gives_each_record_once_with_its_own_bytes(tmp_path: Path) -> None:
    file = tmp_path / "import.xml"
    file.write_bytes(document("", A + B, ORDER).encode())
    raws = [event for event in read(file) if isinstance(event, Raw) and event.kind in GOODS]
    assert [re.search("<Ид>(.*?)</Ид>", raw.xml.decode())[1] for raw in raws] == ["1", "2"]  # type: ignore[index]
    assert len({xxhash.xxh3_128_digest(raw.xml) for raw in raws}) == 2
