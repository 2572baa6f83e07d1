"""What the tests of orders of shops share: documents as shops write them, a shop without a network, a hub and a store in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from connectors.memory_hub import MemoryBooks, MemoryHub
from connectors.retailcrm_kit import Store, good
from obmen.connectors.commerceml_client import convert
from obmen.connectors.commerceml_client.api import Received, Upload
from obmen.connectors.commerceml_client.convert import Reader
from obmen.connectors.commerceml_client.orders import OrdersIn, said_in
from obmen.connectors.commerceml_client.orders_out import OrdersOut
from obmen.connectors.commerceml_client.profiles import all_profiles, profile
from obmen.connectors.commerceml_client.settings import ClientSettings
from obmen.core.contract import BadRecord, ExchangeError
from obmen.core.engine import pull, push
from obmen.core.records import Kind, Order, Reference, Subject
from obmen.core.settings import load
from obmen.formats.commerceml import records
from obmen.formats.commerceml.model import Document

ZONE = ZoneInfo("Europe/Kyiv")
SHOP = "https://shop.example/exim_1c"
CUP, MUG = "11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"


def el(tag: str, *inside: str) -> str:
    return f"<{tag}>{''.join(inside)}</{tag}>"


def requisites(**said: str) -> str:
    """Names with underscores for spaces."""
    return el(
        "ЗначенияРеквизитов",
        *(
            el("ЗначениеРеквизита", el("Наименование", n if "#" in n else n.replace("_", " ")), el("Значение", v))
            for n, v in said.items()
        ),
    )


def line(
    key: str = CUP,
    name: str = "Чашка",
    price: Any = 100,
    quantity: Any = 1,
    total: Any = None,
    more: str = "",
    kind: str = "Товар",
) -> str:
    said = {"ВидНоменклатуры": kind, "ТипНоменклатуры": kind} if kind else {}
    sums = total if total is not None else Decimal(str(price)) * Decimal(str(quantity))
    return el("Товар", el("Ид", key), el("Наименование", name), el("ЦенаЗаЕдиницу", str(price)), el("Количество", str(quantity)),
              el("Сумма", str(sums)), requisites(**said), more)  # fmt: skip


def buyer(
    key: str = "15", name: str = "Тестов Тест", role: str = "Продавец", email: str = "", phone: str = "", more: str = ""
) -> str:
    contacts = "".join(
        el("Контакт", el("Тип", kind), el("Значение", v)) for kind, v in (("Почта", email), ("ТелефонРабочий", phone)) if v
    )
    return el("Контрагент", el("Ид", key), el("Наименование", name), el("Роль", role), el("Контакты", contacts), more)


def order_xml(
    number: str = "108",
    *,
    ident: str | None = None,
    lines: str | None = None,
    total: Any = 100,
    parties: str | None = None,
    date: str = "2026-03-02",
    time: str = "10:20:30",
    currency: str = "UAH",
    operation: str = "Заказ товара",
    more: str = "",
    **said: str,
) -> str:
    """As CS-Cart writes it; ``said`` are requisites of the document."""
    return el(
        "Документ",
        el("Ид", number if ident is None else ident),
        el("Номер", number),
        el("Дата", date),
        el("Время", time),
        el("ХозОперация", operation),
        el("Роль", "Продавец"),
        el("Курс", "1"),
        el("Сумма", str(total)) if total is not None else "",
        el("Валюта", currency),
        el("Контрагенты", buyer() if parties is None else parties),
        el("Товары", line() if lines is None else lines),
        more,
        requisites(**said),
    )


def answer(
    *documents: str, attributes: str = "", head: str = '<?xml version="1.0" encoding="UTF-8"?>', end: bool = True
) -> bytes:
    root = f"<КоммерческаяИнформация{attributes}>{''.join(documents)}"
    return (head + root + ("</КоммерческаяИнформация>" if end else "")).encode()


class Books(MemoryBooks):
    def __init__(self) -> None:
        goods = [good(1, CUP, "УТ-1", "A-1", "Чашка", {}, {}), good(2, MUG, "УТ-2", "A-2", "Кружка", {}, {})]
        known = {
            Subject.AGREEMENT: [Reference(Subject.AGREEMENT, "agr", "Типовое с розницей", (("price_kind", "retail"),))],
            Subject.PRICE_KIND: [Reference(Subject.PRICE_KIND, "retail", "Розничная", (("tax_included", "true"),))],
            Subject.ORGANISATION: [Reference(Subject.ORGANISATION, "org", "ТОВ Вода")],
            Subject.WAREHOUSE: [Reference(Subject.WAREHOUSE, "main", "Основной склад")],
            Subject.CANCEL_REASON: [Reference(Subject.CANCEL_REASON, "why", "Передумал")],
            Subject.PAYMENT_KIND: [Reference(Subject.PAYMENT_KIND, "pay", "Оплата картой")],
            Subject.DELIVERY: [Reference(Subject.DELIVERY, "way", "Самовывоз со склада")],
        }  # fmt: skip
        super().__init__(goods, [], known)


@dataclass
class FakeNode:
    """A shop without a network: gives ``answers`` one after the other (the last one again and again, unless it is one that hears
    ``success``), keeps what it is sent."""

    s: ClientSettings
    hub: MemoryHub
    answers: list[bytes | ExchangeError] = field(default_factory=list)
    sent: list[str] = field(default_factory=list)
    refuses: dict[str, ExchangeError] = field(default_factory=dict)  # word in a file → what is raised
    said: list[str] = field(default_factory=list)  # calls in their order
    closed: ExchangeError | None = None  # why the shop lets nobody in

    @property
    def kind(self) -> Any:
        return profile(self.s.shop)

    @contextmanager
    def query(self, asked: Callable[[], None] = lambda: None) -> Iterator[Received]:
        self.said.append("query")
        if self.closed is not None:
            raise self.closed
        asked()
        given = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(given, ExchangeError):
            raise given
        folder = self.hub.folder / "transfer"
        folder.mkdir(exist_ok=True)
        file = folder / "orders.xml"
        file.write_bytes(given)
        yield Received([file], self.hub.now())
        file.unlink()

    def confirm(self) -> None:
        self.said.append("success")
        if self.kind.limits.confirms and len(self.answers) == 1:
            self.answers = [answer()]

    def send(self, type: str, files: Sequence[Upload]) -> None:
        self.said.append(f"send {type}")
        for upload in files:
            text = upload.path.read_bytes().decode("utf-8-sig")
            for word, error in self.refuses.items():
                if word in text:
                    raise error
            self.sent.append(text)

    def documents(self) -> list[Document]:
        """All that was sent, read back."""
        found = []
        for text in self.sent:
            parts = ["<Документ>" + part.split("</Документ>")[0] + "</Документ>" for part in text.split("<Документ>")[1:]]
            found += [doc for doc in records.parse(Kind.ORDER, [part.encode() for part in parts]) if isinstance(doc, Document)]
        return found


class Kit:
    """A connection to a shop of this profile."""

    def __init__(self, folder: Path, profile_key: str = "cs-cart-exim-1c", **settings: Any) -> None:
        defaults = dict(all_profiles()[profile_key]["settings"])
        self.s: ClientSettings = load(ClientSettings, {**defaults, "address": SHOP, "login": "a", "password": "b", **settings})
        self.hub = MemoryHub(folder, name="Shop", zone=ZONE, books=Books())
        self.node = FakeNode(self.s, self.hub)
        self.store = Store()

    def order(self, xml: str) -> Order:
        found = self.read(xml)
        assert isinstance(found, Order), found
        return found

    def read(self, xml: str) -> Order | BadRecord | None:
        said = said_in(xml.encode())
        assert not isinstance(said, BadRecord), said
        return Reader(self.s, self.hub).order(said, convert.look_up([said.order], self.s, self.hub))

    def source(self) -> OrdersIn:
        return OrdersIn(self.node)  # type: ignore[arg-type]

    def load(self, *documents: str | bytes) -> Any:
        """One load of orders; counts. Without documents the shop gives what it gave before."""
        if documents:
            given = [d.encode() if isinstance(d, str) else d for d in documents]
            self.node.answers = (
                [given[0]] if given[0].lstrip(b"\xef\xbb\xbf").startswith(b"<?xml") else [answer(*map(bytes.decode, given))]
            )
        return pull(self.source(), self.store)

    def send(self, *changed: Order) -> Any:
        """The books' orders as they are now go to the shop; counts."""
        ids = {order.key: ident for ident, order in self.store.books.items() if isinstance(order, Order)}
        for order in changed:
            self.store.books[ids[order.key]] = order
        rows = [(ids[order.key], 2, order) for order in changed]
        sink = OrdersOut(self.node, self.source())  # type: ignore[arg-type]
        return push(sink, rows, self.store, connection="1")
