"""Catalogues of any size in the layouts of several programs, the same bytes for the same arguments.

Every record is a function of (seed, its number) alone: product 17 is the same in a catalogue of a hundred and of a million,
and a changed share leaves the bytes of all the others as they were. Nothing but one output buffer for each open file and the
classifier is held, so memory does not grow with the catalogue. ``manifest.json`` beside the files says what a receiver must
end up with.

Element order and attributes: CommerceML XSD 2.04–2.09 and files written by 1C:UT 11.5, 1C:UNF 3.0, 1C-Bitrix module 5 and 7,
MoySklad.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple
from xml.sax.saxutils import escape

from obmen.core.contract import NeedsOwner
from obmen.core.words import gettext_noop as _
from obmen.sandbox.onec.pictures import jpeg, png


@dataclass(frozen=True, slots=True)
class Layout:
    """How one program writes its exchange files."""

    schema: str  # ВерсияСхемы
    namespace: str = ""
    bom: bool = True
    deletion: str = "attribute"  # attribute: @Статус · child: <Статус> · mark: <ПометкаУдаления>
    stock: str = "attributes"  # attributes: <Склад ИдСклада= КоличествоНаСкладе=> · lists: <КоличествоНаСкладах>
    unit: str = "recount"  # recount: attributes + Пересчет · text: attributes + шт · short: name only · id: the unit's id
    variant_cards: bool = False  # one Товар for each product × characteristic
    split: bool = False  # prices and stock in files of their own
    parts: bool = False  # each kind of reference in a file of its own, root @Ид, counterparties
    ids: str = "guid"  # guid | short (22 letters and digits)
    portions: str = ""  # ut: import0_1.xml · unf: import.xml, import1.xml · parts: goods_1_1_{guid}.xml · "": one pair of files


LAYOUTS = {
    "ut11": Layout("2.07", "urn:1C.ru:commerceml_2", variant_cards=True, portions="ut"),
    "unf": Layout("2.08", "urn:1C.ru:commerceml_210", portions="unf"),
    "classic": Layout("2.05", bom=False, deletion="child", stock="lists", unit="text"),
    "bitrix5": Layout("2.09", "urn:1C.ru:commerceml_2", deletion="mark", split=True, portions="parts"),
    "bitrix7": Layout("3.1", "urn:1C.ru:commerceml_3", deletion="mark", unit="id", split=True, parts=True, portions="parts"),
    "moysklad": Layout("2.04", bom=False, deletion="child", unit="short", ids="short"),
}


@dataclass(frozen=True, slots=True)
class Spec:
    """What to generate. Shares are 0…1; the other numbers are counts or, where said, means for one product."""

    layout: str = "ut11"
    products: int = 1000
    start: int = 0  # number of the first product
    seed: int = 1
    portion: int = 0  # products in one portion; 0 = all in one (layouts with one pair of files have no portions)
    change: float = 0.0  # share of products that differ from the same catalogue without it
    change_seed: int = 1
    only_changes: bool = False  # write only the changed products, СодержитТолькоИзменения=true
    updates: bool = False  # prices and stock only, as ИзмененияПакетаПредложений
    deleted: float = 0.01  # share of products with a deletion mark; they have no offers
    characteristics: float = 0.2  # share of products with characteristics
    variants: int = 3  # mean offers of such a product
    groups: int = 60
    properties: int = 12
    values: int = 12  # of a property that has a dictionary
    filled: int = 4  # properties filled in for one product
    pictures: float = 0.0  # mean pictures of one product, written under import_files/
    description: int = 300  # mean length, characters
    price_kinds: int = 2
    warehouses: int = 3
    counterparties: int = 20  # only layouts that send them
    currency: str = "RUB"
    encoding: str = "UTF-8"  # or windows-1251
    date: str = "2026-01-15T10:00:00"  # ДатаФормирования, one for the whole run


@dataclass(slots=True)
class Manifest:
    """``records``: what the files hold, by kind of record (core.records.Kind), as they are listed there. ``books``: what a
    receiver of these files and of all before them (the same catalogue with the same or no changes) must end up with; sums
    of prices are in kopecks; ``deleted_offers`` are the characteristics of deleted products, known from their cards only.
    ``files``: bytes by name, pictures left out."""

    spec: Spec
    files: dict[str, int] = field(default_factory=dict)
    records: dict[str, int] = field(default_factory=dict)
    books: dict[str, int] = field(default_factory=dict)

    def save(self, folder: Path) -> None:
        (folder / "manifest.json").write_text(json.dumps(asdict(self), ensure_ascii=False, indent=1), "utf-8")

    @classmethod
    def load(cls, folder: Path) -> Manifest:
        data = json.loads((folder / "manifest.json").read_text("utf-8"))
        return cls(Spec(**data["spec"]), data["files"], data["records"], data["books"])


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


NOUNS = _words(
    "Ботинки Куртка Рюкзак Дрель Чайник Светильник Кабель Насос Фильтр Стул Стол Полка Кресло Плед Подушка Коврик Термос "
    "Смеситель Замок Розетка Клавиатура Монитор Наушники Колонка Аккумулятор Зеркало Фонарь Велошлем Палатка Сковорода"
)
LOOKS = _words(
    "зимний летний складной настенный бытовой усиленный компактный стальной хлопковый цифровой беспроводной кожаный "
    "двухкамерный регулируемый водостойкий универсальный"
)
BRANDS = ("Аврора", "Луч", "Сатурн", "Рога & Копыта", "Makita", "Bosch", "Tefal", "Legrand", 'ТД "Север"', "Эталон")
COLOURS = _words("белый чёрный красный синий зелёный серый бежевый хаки бордовый жёлтый")
PRICE_NAMES = ("Розничная", "Оптовая", "Интернет-магазин", "Закупочная", "Партнёрская", "Акционная")
WAREHOUSE_NAMES = ("Центральный", "Магазин на Садовой", "Пункт выдачи", "Склад временного хранения")
PROPERTY_NAMES = ("Цвет", "Материал", "Мощность, Вт", "Сезон", "Страна производства", "Длина, см", "Коллекция", "Гарантия, мес")
WORDS = _words(
    "корпус из прочного пластика подходит для ежедневного использования дома и на даче гарантия производителя двенадцать "
    "месяцев защита от влаги и пыли лёгкий удобный современный комплект поставки инструкция упаковка"
)

_MASK = (1 << 64) - 1


def _next(state: int) -> int:
    """The next state of a 64-bit linear generator (Knuth's MMIX constants)."""
    return (state * 6364136223846793005 + 1442695040888963407) & _MASK


def _money(kopecks: int) -> str:
    return f"{kopecks // 100}.{kopecks % 100:02d}" if kopecks % 100 else str(kopecks // 100)


class Variant(NamedTuple):
    key: str  # of the characteristic; "" for the only offer of a product without characteristics
    colour: str
    size: int
    random: int


class Card(NamedTuple):
    number: int
    random: int  # 64 bits
    key: str
    article: str
    name: str  # escaped
    changed: bool
    deleted: bool
    variants: tuple[Variant, ...]


class Catalogue:
    """The records of one Spec, by number."""

    def __init__(self, spec: Spec) -> None:
        if spec.layout not in LAYOUTS:
            raise NeedsOwner(
                _("There is no layout {layout}; choose one of {known}"), layout=spec.layout, known=", ".join(LAYOUTS)
            )
        if spec.updates and LAYOUTS[spec.layout].portions not in ("ut", "unf"):
            raise NeedsOwner(_("The layout {layout} has no packages of price and stock updates"), layout=spec.layout)
        self.spec, self.layout = spec, LAYOUTS[spec.layout]
        self.key = self._id("catalogue")
        self.owner_key = self._id("owner")
        self.groups = [self._id(f"group/{i}") for i in range(max(spec.groups, 1))]
        self.prices = [self._id(f"price/{i}") for i in range(spec.price_kinds)]
        self.warehouses = [self._id(f"warehouse/{i}") for i in range(spec.warehouses)]
        self.properties = [self._id(f"property/{i}") for i in range(spec.properties)]
        self.values = [
            [self._id(f"value/{i}/{j}") for j in range(spec.values)] if i % 3 != 2 else [] for i in range(spec.properties)
        ]
        self.brands = [(self._id(f"brand/{i}"), escape(name)) for i, name in enumerate(BRANDS)]
        self.sentences = [self._sentence(i) for i in range(251)]
        self._threshold = int(spec.change * (1 << 32))
        self._deleted = int(spec.deleted * (1 << 32))

    def _digest(self, what: str) -> str:
        return blake2b(f"{self.spec.seed}/{what}".encode(), digest_size=16).hexdigest()

    def _id(self, what: str) -> str:
        h = self._digest(what)
        return h[:22] if self.layout.ids == "short" else f"{h[:8]}-{h[8:12]}-4{h[13:16]}-a{h[17:20]}-{h[20:]}"

    def _sentence(self, number: int) -> str:
        state, words = int(self._digest(f"sentence/{number}")[:16], 16), []
        for _i in range(6 + state % 9):
            state = _next(state)
            words.append(WORDS[(state >> 33) % len(WORDS)])
        text = " ".join(words).capitalize() + "."
        return escape(f"<p>{text}</p>" if number % 5 == 0 else f'{text} Класс "A" & выше.' if number % 11 == 0 else text)

    def card(self, number: int) -> Card:
        """Product ``number``; its key ends in its number, so that ``find`` needs no index."""
        h = blake2b(f"{self.spec.seed}/product/{number}".encode(), digest_size=24).hexdigest()
        if self.layout.ids == "short":
            key = f"{h[:14]}{number:08x}"
        else:
            key = f"{h[:8]}-{h[8:12]}-4{h[13:16]}-a{h[17:20]}-{number:012x}"
        random = int(h[32:], 16)
        name = (
            f"{NOUNS[random % 30]} {LOOKS[(random >> 5) % 16]} {self.brands[(random >> 9) % 10][1]} {(random >> 13) % 900 + 100}"
        )
        changed = False
        if self._threshold:
            roll = blake2b(f"{self.spec.seed}/change/{self.spec.change_seed}/{number}".encode(), digest_size=4).digest()
            changed = int.from_bytes(roll, "big") < self._threshold
        deleted = int(h[24:32], 16) < self._deleted
        variants: tuple[Variant, ...]
        if (random >> 20) % 1000 < self.spec.characteristics * 1000:
            count = 1 + (random >> 30) % (2 * self.spec.variants - 1)
            variants = tuple(self._variant(number, v) for v in range(count))
        else:
            variants = (Variant("", "", 0, random),)
        if changed:
            name += f" (ред. {self.spec.change_seed})"
        return Card(number, random, key, f"{h[:3].upper()}-{number:07d}", name, changed, deleted, variants)

    def _variant(self, number: int, v: int) -> Variant:
        h = self._digest(f"variant/{number}/{v}")
        key = h[:22] if self.layout.ids == "short" else f"{h[:8]}-{h[8:12]}-4{h[13:16]}-b{h[17:20]}-{h[20:]}"
        return Variant(key, COLOURS[v % 10], 36 + v, int(h[16:], 16))

    def find(self, text: str) -> Card | None:
        """The product with this key or article (a characteristic after # is left out), or None."""
        text = text.partition("#")[0]
        last = text.rpartition("-")[2]
        for tail, base in ((text[-8:] if self.layout.ids == "short" else last, 16), (last, 10)):
            try:
                card = self.card(int(tail, base))
            except ValueError:
                continue
            if text in (card.key, card.article) and self.spec.start <= card.number < self.spec.start + self.spec.products:
                return card
        return None

    def offers(self, card: Card) -> Iterator[tuple[str, Variant, list[int], list[int]]]:
        """(offer key, variant, prices in kopecks by price kind, stock by warehouse) of a product that is not deleted."""
        extra = self.spec.change_seed if card.changed else 0
        for variant in card.variants:
            base = 9900 + (variant.random >> 8) % 5_000_000 + 100 * extra
            prices = [base * (100 - 7 * (j % 6)) // 100 // 50 * 50 for j in range(len(self.prices))]
            state, stock = variant.random, []
            for _w in self.warehouses:
                state = _next(state)
                stock.append(max((state >> 33) % 200 - 60, 0) + extra)
            yield (f"{card.key}#{variant.key}" if variant.key else card.key), variant, prices, stock

    def pictures(self, card: Card) -> list[str]:
        """Paths as written into the files: two letters, then goods id and file id without dashes (1C:UT 11.5)."""
        mean = self.spec.pictures
        if not mean:
            return []
        count = int((card.random >> 40) % 1000 * (2 * mean + 1) // 1000)
        key, kinds = card.key.replace("-", ""), ("png", "jpg", "jpg")
        files = [f"{self._digest(f'picture/{card.number}/{j}')}.{kinds[(card.random + j) % 3]}" for j in range(count)]
        return [f"import_files/{key[:2]}/{key}_{file}" for file in files]

    @staticmethod
    def picture(path: str) -> bytes:
        """The bytes of the picture at ``path``: a colour of its own."""
        a, b, c = blake2b(path.encode(), digest_size=3).digest()
        return png(a, b, c) if path.endswith(".png") else jpeg(a, b, c)


class _File:
    """One XML file being written, through a buffer."""

    def __init__(self, folder: Path, name: str, encoding: str, bom: bool) -> None:
        self.name, self.encoding, self.size = name, encoding, 0
        self._out = open(folder / name, "wb")  # noqa: SIM115 (closed by close(), files of several kinds are open side by side)
        self._buffer: list[str] = []
        self._length = 0
        if bom and encoding.upper() == "UTF-8":
            self.size += self._out.write(b"\xef\xbb\xbf")

    def write(self, text: str) -> None:
        self._buffer.append(text)
        self._length += len(text)
        if self._length > 1 << 18:
            self._flush()

    def _flush(self) -> None:
        self.size += self._out.write("".join(self._buffer).encode(self.encoding, "xmlcharrefreplace"))
        self._buffer.clear()
        self._length = 0

    def close(self) -> int:
        self._flush()
        self._out.close()
        return self.size


GOODS, OFFERS, PRICES, RESTS = "goods", "offers", "prices", "rests"


class _Writer:
    """Writes the files of one Catalogue into a folder."""

    def __init__(self, catalogue: Catalogue, folder: Path) -> None:
        self.c, self.folder = catalogue, folder
        self.s, self.layout = catalogue.spec, catalogue.layout
        self.manifest = Manifest(self.s)
        self.records = dict.fromkeys(("group", "property", "reference", "product", "offer", "prices", "stock", "counterparty"), 0)
        names = "groups properties property_values price_kinds warehouses products deleted_products variants offers deleted_offers prices stock"
        self.books = dict.fromkeys(
            [*names.split(), "pictures", "counterparties", "changed_products", "price_kopecks", "quantity"], 0
        )
        self.only = "true" if self.s.only_changes or self.s.updates else "false"
        self.owner = (
            f"\t\t<Владелец>\n\t\t\t<Ид>{catalogue.owner_key}</Ид>\n\t\t\t<Наименование>Рога и Копыта ООО</Наименование>\n"
            "\t\t\t<ОфициальноеНаименование>Рога и Копыта ООО</ОфициальноеНаименование>\n\t\t\t<ИНН>7700000000</ИНН>\n"
            "\t\t\t<КПП>770001001</КПП>\n\t\t</Владелец>\n"
        )
        attributes = 'Код="796 " НаименованиеПолное="Штука" МеждународноеСокращение="PCE"'
        self.unit = {
            "recount": f"\t\t\t\t<БазоваяЕдиница {attributes}>\n\t\t\t\t\t<Пересчет>\n\t\t\t\t\t\t<Единица>796</Единица>\n"
            "\t\t\t\t\t\t<Коэффициент>1</Коэффициент>\n\t\t\t\t\t</Пересчет>\n\t\t\t\t</БазоваяЕдиница>\n",
            "text": f"\t\t\t\t<БазоваяЕдиница {attributes}>шт</БазоваяЕдиница>\n",
            "short": '\t\t\t\t<БазоваяЕдиница НаименованиеПолное="шт">шт</БазоваяЕдиница>\n',
            "id": "\t\t\t\t<БазоваяЕдиница>796 </БазоваяЕдиница>\n",
        }[self.layout.unit]
        self.price_unit = (
            ""
            if self.layout.parts
            else (
                f"\t\t\t\t\t\t<Единица>{'796' if self.layout.portions == 'unf' else 'шт'}</Единица>\n"
                "\t\t\t\t\t\t<Коэффициент>1</Коэффициент>\n"
            )
        )

    # --- documents ---

    def _open(self, name: str) -> _File:
        file = _File(self.folder, name, self.s.encoding, self.layout.bom)
        namespace = (
            f' xmlns="{self.layout.namespace}" xmlns:xs="http://www.w3.org/2001/XMLSchema"'
            ' xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
            if self.layout.namespace
            else ""
        )
        moysklad = self.s.layout == "moysklad"
        standalone = ' standalone="yes"' if moysklad else ""
        extra = ' СинхронизацияТоваров="false"' if moysklad else ' Ид="Обмен с сайтом"' if self.layout.parts else ""
        date = f"{self.s.date}.080+03:00" if moysklad else self.s.date
        file.write(
            f'<?xml version="1.0" encoding="{self.s.encoding}"{standalone}?>\n'
            f'<КоммерческаяИнформация{namespace} ВерсияСхемы="{self.layout.schema}" ДатаФормирования="{date}"{extra}>\n'
        )
        return file

    def _close(self, file: _File, tail: str) -> None:
        file.write(f"{tail}</КоммерческаяИнформация>\n")
        self.manifest.files[file.name] = file.close()

    def _name(self, role: str, portion: int) -> str:
        style = self.layout.portions
        classic = "import" if role == GOODS else role
        if style == "ut":
            return f"{classic}0_{portion}.xml"
        if style == "unf":
            return f"{classic}{portion - 1 or ''}.xml"
        guid = self.c._id(f"file/{self.s.date}/{role}/{portion}")
        if self.layout.parts:
            return f"{role}_1_{portion}_{guid}.xml"
        if style == "parts":
            return f"{classic}___{guid}.xml"
        return f"{classic}.xml"

    def _catalogue_head(self, only: str) -> str:
        return (
            f'\t<Каталог СодержитТолькоИзменения="{only}">\n\t\t<Ид>{self.c.key}</Ид>\n\t\t<ИдКлассификатора>{self.c.key}'
            f"</ИдКлассификатора>\n\t\t<Наименование>Основной каталог товаров</Наименование>\n{self.owner}"
        )

    def _package_head(self, only: str) -> str:
        if self.s.updates:
            return f"\t<ИзмененияПакетаПредложений>\n\t\t<Ид>{self.c.key}#</Ид>\n\t\t<ИдКаталога>{self.c.key}</ИдКаталога>\n"
        key = f"#{self.c.key}" if self.layout.split else f"{self.c.key}#"
        return (
            f'\t<ПакетПредложений СодержитТолькоИзменения="{only}">\n\t\t<Ид>{key}</Ид>\n'
            "\t\t<Наименование>Пакет предложений (Основной каталог товаров)</Наименование>\n"
            f"\t\t<ИдКаталога>{self.c.key}</ИдКаталога>\n\t\t<ИдКлассификатора>{self.c.key}</ИдКлассификатора>\n{self.owner}"
        )

    def _classifier(self, body: str) -> str:
        only = f' СодержитТолькоИзменения="{self.only}"' if self.layout.parts else ""
        return (
            f"\t<Классификатор{only}>\n\t\t<Ид>{self.c.key}</Ид>\n\t\t<Наименование>Классификатор (Основной каталог товаров)"
            f"</Наименование>\n{self.owner}{body}\t</Классификатор>\n"
        )

    def _stamp(self, key: str, deleted: bool = False) -> str:
        """НомерВерсии and ПометкаУдаления of the Bitrix module."""
        if self.layout.deletion != "mark":
            return ""
        version = blake2b(key.encode(), digest_size=4).hexdigest().upper()
        return f"<НомерВерсии>AAA{version}=</НомерВерсии><ПометкаУдаления>{'true' if deleted else 'false'}</ПометкаУдаления>"

    def _groups(self) -> str:
        def group(i: int, depth: int) -> str:
            pad = "\t" * (3 + 2 * depth)
            children = "".join(group(k, depth + 1) for k in range(6 * (i + 1), min(6 * (i + 2), len(keys))))
            nested = f"{pad}\t<Группы>\n{children}{pad}\t</Группы>\n" if children else ""
            name = f"{NOUNS[i % 30]} и прочее, раздел {i + 1}"
            return (
                f"{pad}<Группа>\n{pad}\t<Ид>{keys[i]}</Ид>{self._stamp(keys[i])}\n{pad}\t<Наименование>{name}</Наименование>\n"
                f"{nested}{pad}</Группа>\n"
            )

        keys = self.c.groups
        self.records["group"] += len(keys)
        return "\t\t<Группы>\n" + "".join(group(i, 0) for i in range(min(6, len(keys)))) + "\t\t</Группы>\n"

    def _properties(self) -> str:
        out = ["\t\t<Свойства>\n"]
        for i, key in enumerate(self.c.properties):
            values = self.c.values[i]
            name = PROPERTY_NAMES[i % 8] + (f" {i // 8 + 1}" if i >= 8 else "")
            out.append(
                f"\t\t\t<Свойство>\n\t\t\t\t<Ид>{key}</Ид>{self._stamp(key)}\n\t\t\t\t<Наименование>{name}</Наименование>\n"
                f"\t\t\t\t<ТипЗначений>{'Справочник' if values else 'Число'}</ТипЗначений>\n"
            )
            if values:
                out.append("\t\t\t\t<ВариантыЗначений>\n")
                out += [
                    f"\t\t\t\t\t<Справочник>\n\t\t\t\t\t\t<ИдЗначения>{value}</ИдЗначения>\n\t\t\t\t\t\t<Значение>"
                    f"{COLOURS[j % 10]} {j + 1}</Значение>\n\t\t\t\t\t</Справочник>\n"
                    for j, value in enumerate(values)
                ]
                out.append("\t\t\t\t</ВариантыЗначений>\n")
            out.append("\t\t\t\t<ДляТоваров>true</ДляТоваров>\n\t\t\t</Свойство>\n")
        self.records["property"] += len(self.c.properties)
        return "".join(out) + "\t\t</Свойства>\n"

    def _price_kinds(self) -> str:
        self.records["reference"] += len(self.c.prices)
        return (
            "\t\t<ТипыЦен>\n"
            + "".join(
                f"\t\t\t<ТипЦены>\n\t\t\t\t<Ид>{key}</Ид>{self._stamp(key)}\n\t\t\t\t<Наименование>"
                f"{PRICE_NAMES[i % 6]}{f' {i // 6 + 1}' if i >= 6 else ''}</Наименование>\n"
                f"\t\t\t\t<Валюта>{self.s.currency}</Валюта>\n\t\t\t\t<Налог>\n\t\t\t\t\t<Наименование>НДС</Наименование>\n"
                "\t\t\t\t\t<УчтеноВСумме>true</УчтеноВСумме>\n\t\t\t\t</Налог>\n\t\t\t</ТипЦены>\n"
                for i, key in enumerate(self.c.prices)
            )
            + "\t\t</ТипыЦен>\n"
        )

    def _warehouses(self) -> str:
        self.records["reference"] += len(self.c.warehouses)
        return (
            "\t\t<Склады>\n"
            + "".join(
                f"\t\t\t<Склад>\n\t\t\t\t<Ид>{key}</Ид>{self._stamp(key)}\n\t\t\t\t<Наименование>"
                f"{WAREHOUSE_NAMES[i % 4]}{f' {i // 4 + 1}' if i >= 4 else ''}</Наименование>\n\t\t\t</Склад>\n"
                for i, key in enumerate(self.c.warehouses)
            )
            + "\t\t</Склады>\n"
        )

    def _units(self) -> str:
        units = (("796 ", "шт", "Штука", "PCE"), ("778 ", "упак", "Упаковка", "NMP"), ("006 ", "м", "Метр", "MTR"))
        self.records["reference"] += len(units)
        return (
            "\t\t<ЕдиницыИзмерения>\n"
            + "".join(
                f"\t\t\t<ЕдиницаИзмерения>\n\t\t\t\t<Ид>{key}</Ид>{self._stamp(key)}\n\t\t\t\t<НаименованиеКраткое>{short}"
                f"</НаименованиеКраткое>\n\t\t\t\t<Код>{key}</Код>\n\t\t\t\t<НаименованиеПолное>{full:<100}</НаименованиеПолное>\n"
                f"\t\t\t\t<МеждународноеСокращение>{code}</МеждународноеСокращение>\n\t\t\t</ЕдиницаИзмерения>\n"
                for key, short, full, code in units
            )
            + "\t\t</ЕдиницыИзмерения>\n"
        )

    def _counterparties(self) -> str:
        out = [f'\t<Контрагенты СодержитТолькоИзменения="{self.only}">\n']
        for i in range(self.s.counterparties):
            key = self.c._id(f"counterparty/{i}")
            legal = i % 3 == 0
            name = f"ООО Покупатель {i + 1}" if legal else f"Тестовый Покупатель {i + 1}"
            full = "ОфициальноеНаименование" if legal else "ПолноеНаименование"
            out.append(
                f"\t\t<Контрагент>\n\t\t\t<Ид>{key}</Ид>{self._stamp(key)}\n\t\t\t<Наименование>{name}</Наименование>\n"
                f"\t\t\t<{full}>{name}</{full}>\n\t\t\t<Роль>Покупатель</Роль>\n\t\t\t<ИНН>{7700000000 + i}</ИНН>\n\t\t\t<КПП/>\n"
                f"\t\t\t<Контакты>\n\t\t\t\t<Контакт>\n\t\t\t\t\t<Тип>Электронная почта</Тип>\n\t\t\t\t\t<Значение>buyer{i + 1}"
                "@example.com</Значение>\n\t\t\t\t</Контакт>\n\t\t\t</Контакты>\n\t\t</Контрагент>\n"
            )
        self.records["counterparty"] += self.s.counterparties
        self.books["counterparties"] = self.s.counterparties
        return "".join(out) + "\t</Контрагенты>\n"

    # --- records ---

    def _product(self, card: Card, variant: Variant | None) -> str:
        """One Товар; of a product × characteristic when ``variant`` is given."""
        c, s, layout = self.c, self.s, self.layout
        key, name, random = card.key, card.name, card.random
        characteristics = ""
        if variant:
            key, name = f"{key}#{variant.key}", f"{name} ({variant.colour}, {variant.size})"
            characteristics = self._characteristics(variant)
        else:
            variant = card.variants[0]
        out = [
            '\t\t\t<Товар Статус="Удален">\n' if card.deleted and layout.deletion == "attribute" else "\t\t\t<Товар>\n",
            f"\t\t\t\t<Ид>{key}</Ид>\n",
        ]
        if layout.deletion == "mark":
            out.append(f"\t\t\t\t{self._stamp(name, card.deleted)}\n")
        out.append(f"\t\t\t\t<Штрихкод>{_ean13(variant.random)}</Штрихкод>\n\t\t\t\t<Артикул>{card.article}</Артикул>\n")
        if layout.portions == "unf":
            out.append(f"\t\t\t\t<Код>НФ-{card.number:08d}</Код>\n")
        out.append(
            f"\t\t\t\t<Наименование>{name}</Наименование>\n{self.unit}\t\t\t\t<Группы>\n\t\t\t\t\t<Ид>"
            f"{c.groups[(random >> 3) % len(c.groups)]}</Ид>\n\t\t\t\t</Группы>\n"
        )
        size, k, text = s.description * (50 + random % 101) // 100, random % 251, []
        while size > 0:
            text.append(c.sentences[k])
            size -= len(text[-1])
            k = (k + 61) % 251
        out.append(f"\t\t\t\t<Описание>{' '.join(text)}</Описание>\n" if text else "\t\t\t\t<Описание/>\n")
        out += [f"\t\t\t\t<Картинка>{path}</Картинка>\n" for path in c.pictures(card)]
        brand_key, brand = c.brands[(random >> 9) % 10]
        out.append(
            f"\t\t\t\t<Изготовитель>\n\t\t\t\t\t<Ид>{brand_key}</Ид>\n\t\t\t\t\t<Наименование>{brand}</Наименование>\n"
            "\t\t\t\t</Изготовитель>\n"
        )
        if s.filled and c.properties:
            out.append("\t\t\t\t<ЗначенияСвойств>\n")
            first, state = random % len(c.properties), random
            for j in range(min(s.filled, len(c.properties))):
                p = (first + j) % len(c.properties)
                state = _next(state)
                values = c.values[p]
                value = values[(state >> 33) % len(values)] if values else f"{(state >> 33) % 500},{(state >> 50) % 10}"
                out.append(
                    f"\t\t\t\t\t<ЗначенияСвойства>\n\t\t\t\t\t\t<Ид>{c.properties[p]}</Ид>\n\t\t\t\t\t\t<Значение>{value}"
                    "</Значение>\n\t\t\t\t\t</ЗначенияСвойства>\n"
                )
            out.append("\t\t\t\t</ЗначенияСвойств>\n")
        out.append(
            "\t\t\t\t<СтавкиНалогов>\n\t\t\t\t\t<СтавкаНалога>\n\t\t\t\t\t\t<Наименование>НДС</Наименование>\n"
            f"\t\t\t\t\t\t<Ставка>{'10' if random % 5 == 0 else '20'}</Ставка>\n\t\t\t\t\t</СтавкаНалога>\n"
            f"\t\t\t\t</СтавкиНалогов>\n{characteristics}\t\t\t\t<ЗначенияРеквизитов>\n"
            f"{_requisite('ВидНоменклатуры', NOUNS[random % 30])}{_requisite('ТипНоменклатуры', 'Товар')}"
            f"{_requisite('Полное наименование', name)}{_requisite('Код', f'00-{card.number:08d}')}"
            "\t\t\t\t</ЗначенияРеквизитов>\n"
        )
        if card.deleted and layout.deletion == "child":
            out.append("\t\t\t\t<Статус>Удален</Статус>\n")
        out.append("\t\t\t</Товар>\n")
        return "".join(out)

    def _characteristics(self, variant: Variant) -> str:
        return (
            "\t\t\t\t<ХарактеристикиТовара>\n"
            "\t\t\t\t\t<ХарактеристикаТовара>\n\t\t\t\t\t\t<Наименование>Цвет</Наименование>\n"
            f"\t\t\t\t\t\t<Значение>{variant.colour}</Значение>\n\t\t\t\t\t</ХарактеристикаТовара>\n"
            "\t\t\t\t\t<ХарактеристикаТовара>\n\t\t\t\t\t\t<Наименование>Размер</Наименование>\n"
            f"\t\t\t\t\t\t<Значение>{variant.size}</Значение>\n\t\t\t\t\t</ХарактеристикаТовара>\n"
            "\t\t\t\t</ХарактеристикиТовара>\n"
        )

    def _prices(self, prices: list[int]) -> str:
        currency, unit = self.s.currency, self.price_unit
        return (
            "\t\t\t\t<Цены>\n"
            + "".join(
                f"\t\t\t\t\t<Цена>\n\t\t\t\t\t\t<Представление>{_money(p)} {currency}</Представление>\n"
                f"\t\t\t\t\t\t<ИдТипаЦены>{key}</ИдТипаЦены>\n\t\t\t\t\t\t<ЦенаЗаЕдиницу>{_money(p)}</ЦенаЗаЕдиницу>\n\t\t\t\t\t\t<Валюта>{currency}</Валюта>\n"
                f"{unit}\t\t\t\t\t</Цена>\n"
                for key, p in zip(self.c.prices, prices, strict=True)
            )
            + "\t\t\t\t</Цены>\n"
        )

    def _stock(self, stock: list[int]) -> str:
        pairs = list(zip(self.c.warehouses, stock, strict=True))
        if self.layout.split:
            return (
                "\t\t\t\t<Остатки>\n"
                + "".join(
                    f"\t\t\t\t\t<Остаток>\n\t\t\t\t\t\t<Склад>\n\t\t\t\t\t\t\t<Ид>{key}</Ид>\n\t\t\t\t\t\t\t<Количество>{n}"
                    "</Количество>\n\t\t\t\t\t\t</Склад>\n\t\t\t\t\t</Остаток>\n"
                    for key, n in pairs
                )
                + "\t\t\t\t</Остатки>\n"
            )
        total = f"\t\t\t\t<Количество>{sum(stock)}</Количество>\n"
        if self.layout.stock == "lists":
            return (
                f"{total}\t\t\t\t<КоличествоНаСкладах>\n"
                + "".join(
                    f"\t\t\t\t\t<КоличествоНаСкладе>\n\t\t\t\t\t\t<ИдСклада>{key}</ИдСклада>\n\t\t\t\t\t\t<Количество>{n}"
                    "</Количество>\n\t\t\t\t\t</КоличествоНаСкладе>\n"
                    for key, n in pairs
                )
                + "\t\t\t\t</КоличествоНаСкладах>\n"
            )
        tag = "Склады" if self.s.updates else "Склад"
        rows = "".join(f'\t\t\t\t<{tag} ИдСклада="{key}" КоличествоНаСкладе="{n}"/>\n' for key, n in pairs)
        return rows + total if self.s.updates else total + rows

    def _offer(self, card: Card, variant: Variant, key: str, prices: list[int], stock: list[int]) -> str:
        if self.s.updates:
            split = f"\t\t\t\t<ИдХарактеристики>{variant.key}</ИдХарактеристики>\n" if variant.key else ""
            return (
                f"\t\t\t<Предложение>\n\t\t\t\t<Ид>{card.key}</Ид>\n{split}{self._prices(prices)}{self._stock(stock)}"
                "\t\t\t</Предложение>\n"
            )
        name, characteristics = card.name, ""
        if variant.key:
            name, characteristics = f"{name} ({variant.colour}, {variant.size})", self._characteristics(variant)
        stamp = f"\t\t\t\t{self._stamp(name)}\n" if self.layout.deletion == "mark" else ""
        inline = "" if self.layout.split else self._prices(prices) + self._stock(stock)
        return (
            f"\t\t\t<Предложение>\n\t\t\t\t<Ид>{key}</Ид>\n{stamp}\t\t\t\t<Артикул>{card.article}</Артикул>\n"
            f"\t\t\t\t<Штрихкод>{_ean13(variant.random)}</Штрихкод>\n\t\t\t\t<Наименование>{name}</Наименование>\n{self.unit}"
            f"{characteristics}{inline}\t\t\t</Предложение>\n"
        )

    # --- the run ---

    def run(self) -> Manifest:
        s, layout = self.s, self.layout
        self.folder.mkdir(parents=True, exist_ok=True)
        if layout.parts:
            self._reference_files()
        portion, written = 0, 0
        files: dict[str, _File] = {}
        roles = [OFFERS] if s.updates else [GOODS, OFFERS, PRICES, RESTS] if layout.split else [GOODS, OFFERS]
        for number in range(s.start, s.start + s.products):
            card = self.c.card(number)
            if card.changed or not (s.only_changes or (s.updates and s.change)):
                if not files or (s.portion and layout.portions and written % s.portion == 0):
                    self._finish(files)
                    portion += 1
                    files = self._begin(roles, portion)
                self._put(card, files)
                written += 1
            self._count(card)
        self._finish(files or self._begin(roles, 1))
        self.books |= {
            "groups": len(self.c.groups),
            "properties": len(self.c.properties),
            "property_values": sum(len(v) for v in self.c.values),
            "price_kinds": len(self.c.prices),
            "warehouses": len(self.c.warehouses),
            "products": s.products,
        }
        self.manifest.records, self.manifest.books = self.records, self.books
        self.manifest.save(self.folder)
        return self.manifest

    def _reference_files(self) -> None:
        """The files of the Bitrix module 7 that come before the goods, in its order."""
        bodies = {
            "priceLists": self._price_kinds,
            "storages": self._warehouses,
            "propertiesGoods": self._properties,
            "units": self._units,
            "groups": self._groups,
        }
        for role, body in bodies.items():
            file = self._open(self._name(role, 1))
            file.write(f"{self._catalogue_head(self.only)}\t</Каталог>\n")
            self._close(file, self._classifier(body()))
        file = self._open(self._name("contragents", 1))
        self._close(file, self._counterparties())

    def _begin(self, roles: list[str], portion: int) -> dict[str, _File]:
        """Open the files of a portion. As 1C:UT does, only the first one carries the classifier and, of a whole catalogue, says
        that it is whole."""
        first, files = portion == 1, {}
        only = self.only if first or self.layout.split else "true"
        for role in roles:
            file = files[role] = self._open(self._name(role, portion))
            if role == GOODS:
                if first and not self.layout.parts:
                    file.write(self._classifier(self._groups() + self._properties()))
                file.write(f"{self._catalogue_head(only)}\t\t<Товары>\n")
                continue
            file.write(self._package_head(only))
            if first and not self.layout.parts and not self.s.updates:
                file.write(self._price_kinds() if role == (PRICES if self.layout.split else OFFERS) else "")
                file.write(self._warehouses() if role == (RESTS if self.layout.split else OFFERS) else "")
            file.write("\t\t<Предложения>\n")
        return files

    def _finish(self, files: dict[str, _File]) -> None:
        package = "ИзмененияПакетаПредложений" if self.s.updates else "ПакетПредложений"
        for role, file in files.items():
            self._close(file, "\t\t</Товары>\n\t</Каталог>\n" if role == GOODS else f"\t\t</Предложения>\n\t</{package}>\n")

    def _put(self, card: Card, files: dict[str, _File]) -> None:
        records, layout = self.records, self.layout
        if GOODS in files:
            cards = card.variants if layout.variant_cards and card.variants[0].key else (None,)
            for v in cards:
                files[GOODS].write(self._product(card, v))
            records["product"] += len(cards)
            for path in self.c.pictures(card):
                target = self.folder / path
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(self.c.picture(path))
        if card.deleted:
            return
        for key, variant, prices, stock in self.c.offers(card):
            files[OFFERS].write(self._offer(card, variant, key, prices, stock))
            records["prices" if self.s.updates else "offer"] += 1
            if layout.split:
                files[PRICES].write(f"\t\t\t<Предложение>\n\t\t\t\t<Ид>{key}</Ид>\n{self._prices(prices)}\t\t\t</Предложение>\n")
                files[RESTS].write(f"\t\t\t<Предложение>\n\t\t\t\t<Ид>{key}</Ид>\n{self._stock(stock)}\t\t\t</Предложение>\n")
                records["prices"] += 1
                records["stock"] += 1

    def _count(self, card: Card) -> None:
        books = self.books
        books["changed_products"] += card.changed
        books["deleted_products"] += card.deleted
        books["pictures"] += len(self.c.pictures(card))
        if card.variants[0].key and (self.layout.variant_cards or not card.deleted):
            books["variants"] += len(card.variants)
            books["deleted_offers"] += len(card.variants) if card.deleted else 0
        if card.deleted:
            return
        for _key, _variant, prices, stock in self.c.offers(card):
            books["offers"] += 1
            books["prices"] += len(prices)
            books["stock"] += len(stock)
            books["price_kopecks"] += sum(prices)
            books["quantity"] += sum(stock)


def _requisite(name: str, value: str) -> str:
    return (
        f"\t\t\t\t\t<ЗначениеРеквизита>\n\t\t\t\t\t\t<Наименование>{name}</Наименование>\n\t\t\t\t\t\t<Значение>{value}</Значение>\n"
        "\t\t\t\t\t</ЗначениеРеквизита>\n"
    )


def _ean13(random: int) -> str:
    body = 200_000_000_000 + random % 10_000_000_000
    n, total, weight = body, 0, 3
    while n:
        n, digit = divmod(n, 10)
        total += digit * weight
        weight = 4 - weight
    return f"{body}{-total % 10}"


def generate(spec: Spec, folder: Path) -> Manifest:
    """Write the exchange files of ``spec``, its pictures and ``manifest.json`` into ``folder``, which is made when missing.

    Raises NeedsOwner for an unknown layout or a combination that no program writes.
    """
    return _Writer(Catalogue(spec), folder).run()
