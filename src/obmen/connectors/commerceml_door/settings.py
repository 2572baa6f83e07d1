# ruff: noqa: RUF009 - setting() makes dataclass fields
"""Everything that an owner can choose about a node that calls our CommerceML door.

Wording and defaults follow what the ecosystem calls them: 1C:UT 11 node settings, CS-Cart's CommerceML add-on, MoySklad,
GetMeBack and Olvery. ``DoorSettings`` checks and normalises itself, so that a value which cannot work never reaches a node.
"""

from __future__ import annotations

import ipaddress
import json
import re
from dataclasses import dataclass
from typing import Any

from obmen.core.contract import NeedsOwner
from obmen.core.policy import POLICIES
from obmen.core.records import Subject
from obmen.core.settings import Shape, setting
from obmen.core.words import gettext_noop as _
from obmen.formats.commerceml.dialects import DIALECTS

PRODUCTS_IN, PRICES_IN, STOCK_IN = "products-in", "prices-in", "stock-in"
ORDERS_OUT, ORDERS_IN = "orders-out", "orders-in"
STREAMS = (PRODUCTS_IN, PRICES_IN, STOCK_IN, ORDERS_OUT, ORDERS_IN)

OWNED_FIELDS = (
    "product.name", "product.full_name", "product.article", "product.code", "product.barcode", "product.unit", "product.groups",
    "product.category", "product.description", "product.kind", "product.vat_rate", "product.manufacturer", "product.country",
    "product.weight", "product.properties", "product.requisites", "product.pictures", "offer.name", "offer.article",
    "offer.barcode", "offer.characteristics", "offer.pictures", "group.name", "group.parent", "group.description",
)  # fmt: skip

# what a template of a requisite may say; each is a field of the order
ORDER_WORDS = (
    "number", "organisation", "warehouse", "manager", "site", "company", "comment", "cancel_reason", "delivery.method",
    "delivery.method_key", "delivery.address", "delivery.recipient", "delivery.phone", "delivery.tracking", "delivery.comment",
    "delivery.pickup",
)  # fmt: skip
WORD = re.compile(r"\{([^{}]*)\}")

QUOTES = dict.fromkeys("«»“”„‟″", '"')


@dataclass(frozen=True)
class PaymentRule:
    """An order goes out when its state and one of its payments' gateways are these; "" stands for any."""

    status: str = ""
    gateway: str = ""


@dataclass(frozen=True)
class DoorSettings:
    minimum_interval: int = setting(
        0,
        _("Minutes between loads of goods"),
        _("A node that begins a new load sooner is refused and told how many minutes are left; 0 sets no limit."),
        minimum=0,
        maximum=10_080,
    )

    # --- products ---
    import_mode: str = setting(
        "all",
        _("Which cards are touched"),
        _("All; only cards that are new; only cards that exist already; or none."),
        tab="products",
        choices=(("all", _("new and existing")), ("new", _("only new")), ("existing", _("only existing")), ("none", _("none"))),
        reparse=True,
    )
    name_source: str = setting(
        "name",
        _("Name comes from"),
        _("The short name, or the requisite “Полное наименование”. When that is empty the short name is used."),
        tab="products",
        choices=(("name", _("name")), ("full_name", _("full name"))),
        reparse=True,
    )
    article_source: str = setting(
        "article",
        _("Article comes from"),
        _("What the books keep as the article of a product."),
        tab="products",
        choices=(("article", _("article")), ("code", _("code")), ("barcode", _("barcode"))),
        reparse=True,
    )
    description_source: str = setting(
        "description",
        _("Description comes from"),
        _("“Not taken” leaves the description that the books have."),
        tab="products",
        choices=(
            ("description", _("description")),
            ("html", _("description in HTML (requisite ОписаниеВФорматеHTML)")),
            ("full_name", _("full name")),
            ("none", _("not taken")),
        ),
        reparse=True,
    )
    take_groups: bool = setting(
        True,
        _("Take groups"),
        _("Off: no groups are created or changed, and goods without a known group of ours go to the default group."),
        tab="products",
        reparse=True,
    )
    default_group: str = setting(
        "",
        _("Group for cards without one"),
        _("Id of the group for goods whose document names no group; empty leaves them without."),
        tab="products",
        reparse=True,
    )
    root_group: str = setting(
        "",
        _("Id of the root category"),
        _("Only this group's subgroups and their goods are taken, and its subgroups become the top level."),
        tab="products",
        reparse=True,
    )
    group_filter: tuple[str, ...] = setting(
        (),
        _("Only these groups"),
        _("Ids of groups; goods outside them and their subgroups are left out. Empty takes every group."),
        tab="products",
        reparse=True,
    )
    variants: bool = setting(
        True,
        _("Variants of goods"),
        _(
            "Off: offers of characteristics are left out and counted; a product keeps its own offer with its own price and "
            "quantity. Switch modifications off over there, too."
        ),
        tab="products",
        reparse=True,
    )
    pictures: str = setting(
        "replace",
        _("Pictures"),
        _("“Replace” overwrites pictures that people put on the card here with those of the node at every load."),
        tab="products",
        choices=(("off", _("not taken")), ("append", _("added to those here")), ("replace", _("replace those here"))),
        reparse=True,
    )
    field_policy: dict[str, str] = setting(
        {},
        _("Who owns a field"),
        _("field = take, keep, if_new, if_empty or append; a field that is not listed is taken. Example: product.name = if_new"),
        tab="products",
        reparse=True,
    )
    deletion: str = setting(
        "mark",
        _("Deletion mark of a product"),
        _("What a card that the node marks for deletion becomes here; nothing is ever removed for good."),
        tab="products",
        choices=(("mark", _("marked for deletion here too")), ("ignore", _("ignored"))),
        reparse=True,
    )
    sweep: str = setting(
        "off",
        _("Goods that a full load does not mention"),
        _("Absence is judged only when a whole load has ended, and only inside its own catalogue."),
        tab="products",
        choices=(("off", _("stay as they are")), ("mark", _("are marked for deletion"))),
    )
    sweep_limit: int = setting(
        10,
        _("Stop when more than so many per cent would be marked"),
        _("Above it nothing is marked and the run waits for a person."),
        tab="products",
        minimum=0,
        maximum=100,
    )

    # --- prices ---
    price_mode: str = setting(
        "all",
        _("Price kinds"),
        _("Every kind that comes, exactly one, or those of the table below."),
        tab="prices",
        choices=(("all", _("all")), ("one", _("one")), ("mapped", _("those of the table"))),
        reparse=True,
    )
    price_kind: str = setting(
        "",
        _("Id of the one price kind"),
        _("Used with “one”: prices of other kinds are left out. Empty takes the kind that comes, while only one comes."),
        tab="prices",
        reparse=True,
    )
    price_map: dict[str, str] = setting(
        {},
        _("Table of price kinds"),
        _("their id = our price kind; used with “those of the table”, other kinds are left out."),
        tab="prices",
        reparse=True,
    )

    # --- stock ---
    warehouses: tuple[str, ...] = setting(
        (),
        _("Only these warehouses"),
        _("Ids of warehouses whose quantities are taken; empty takes all of them."),
        tab="stock",
        reparse=True,
    )
    stock_mode: str = setting(
        "each",
        _("Quantities"),
        _("Kept by warehouse, or added up to one figure."),
        tab="stock",
        choices=(("each", _("by warehouse")), ("sum", _("summed"))),
        reparse=True,
    )

    # --- orders ---
    dialect: str = setting(
        "auto",
        _("Dialect of orders"),
        _("How orders are written; “by itself” goes by the node that is recognised while it calls."),
        tab="orders",
        choices=(("auto", _("by itself")), *((key, dialect.title) for key, dialect in DIALECTS.items())),
    )
    delivery_line: bool = setting(
        True,
        _("Delivery as a separate service line"),
        _("Off: delivery stays in the order's sum, and the lines do not add up to it."),
        tab="orders",
    )
    options: str = setting(
        "requisite",
        _("Options of goods"),
        _("Where 1C finds what the buyer chose."),
        tab="orders",
        choices=(
            ("none", _("not sent")),
            ("id", _("behind # in the id of the line")),
            ("name", _("behind # in the name of the line")),
            ("requisite", _("requisite “Опции товаров” of the order")),
        ),
    )
    from_number: str = setting(
        "",
        _("Send from number"),
        _("This order and later ones; empty sends all. Only digits of a number are compared."),
        tab="orders",
    )
    send_states: tuple[str, ...] = setting(
        (),
        _("States of orders that are sent"),
        _("Our order states; none chosen sends orders in any state."),
        tab="orders",
        subject=Subject.ORDER_STATE,
    )
    send_state: bool = setting(
        True,
        _("Send the state"),
        _("As the requisites “Статус заказа” and “Статуса заказа ИД”, in the node's words where a mapping gives them."),
        tab="orders",
    )
    company: str = setting(
        "",
        _("Company"),
        _("Only orders of this supplier company are sent; empty sends those of every company."),
        tab="orders",
        kind="reference",
        subject="company",
    )
    payment_rules: str = setting(
        "",
        _("Settings (JSON)"),
        _(
            'Which orders are sent, and how their payment method is called in 1C: {"paymentrules": [{"status": "purchased", '
            '"gateway": "CKassa"}], "paymentmethod_name": "…"}. An order goes when one of the rules fits.'
        ),
        tab="orders",
        kind="json",
        shape=Shape(
            "paymentrules",
            (("status", _("State of the order"), Subject.ORDER_STATE), ("gateway", _("Payment gateway"), "")),
            (("paymentmethod_name", _("Payment method in 1C, its exact name")),),
        ),
    )
    payment_method: str = setting(
        "",
        _("Payment method in 1C"),
        _("The exact name from 1C, written into every order in place of the shop's own; empty writes the shop's."),
        tab="orders",
    )
    number_prefix: str = setting(
        "", _("Prefix of order numbers"), _("Put before every number, so that shops do not mix."), tab="orders"
    )
    number_rule: str = setting(
        "short",
        _("Numbers that are too long"),
        _(
            "1C:UT looks for an order by the first 11 characters of its number. “Short” gives such an order a short number "
            "that stays its own for ever and sends the full one as a requisite; “park” sets it aside."
        ),
        tab="orders",
        choices=(("short", _("made short")), ("as_is", _("sent as they are")), ("park", _("set aside"))),
    )
    number_length: int = setting(
        11, _("Longest number"), _("Characters that the node can search by."), tab="orders", minimum=6, maximum=50
    )
    full_number_requisite: str = setting(
        "Номер заказа на сайте",
        _("Requisite for the full number"),
        _("Where a number that was made short is sent in full."),
        tab="orders",
    )
    currencies: dict[str, str] = setting(
        {},
        _("Currency names in 1C"),
        _("ISO code = the name of that currency in 1C, such as RUB = руб. A code that is not listed is sent as it is."),
        tab="orders",
    )
    requisites: dict[str, str] = setting(
        {},
        _("Requisites to send"),
        _(
            "name = text. The text may hold words in braces, such as {organisation}, {warehouse}, {site}, {manager}, "
            "{delivery.tracking}; a requisite that comes out empty is not sent."
        ),
        tab="orders",
    )
    own_requisites: tuple[str, ...] = setting(
        ("*",),
        _("Requisites of the order that go along"),
        _("Names; * sends all that the order has, empty sends none."),
        tab="orders",
    )
    take_states: bool = setting(True, _("Load statuses"), _("Statuses that come back change the order here."), tab="orders")
    take_lines: bool = setting(
        True, _("Load changed lines"), _("Goods, quantities and sums that a manager changed over there."), tab="orders"
    )
    take_payments: bool = setting(True, _("Load payments"), _("What is paid over there becomes paid here."), tab="orders")
    take_shipments: bool = setting(True, _("Load shipments"), _("What is shipped over there becomes shipped here."), tab="orders")
    take_cancels: bool = setting(
        True, _("Load cancellations"), _("An order that is cancelled or deleted over there is cancelled here."), tab="orders"
    )
    mark_states: dict[str, str] = setting(
        {},
        _("States by 1C's marks"),
        _(
            "1C:UT reports no states, only marks: write posted, paid, shipped or cancelled and beside it the state of ours that an "
            "order gets when the mark is new. A state that is reported itself comes before."
        ),
        tab="orders",
    )
    orders_per_query: int = setting(
        0, _("Orders in one answer"), _("The rest comes with the next exchange; 0 sends all that wait."), tab="orders", minimum=0
    )
    implicit_confirmation: bool = setting(
        False,
        _("A further question confirms the answer before"),
        _(
            "For nodes that ask again and again without saying “success” (Bitrix module 6 and 7). With other nodes it loses "
            "orders: leave it off."
        ),
        tab="orders",
    )

    # --- limits ---
    zip: bool = setting(
        False, _("Ask for ZIP archives"), _("Files without ZIP are easier to resume; turn it on for slow lines."), tab="limits"
    )
    file_limit: int = setting(
        104_857_600,
        _("Bytes in one piece of a file"),
        _("Longer files come in pieces of this size; 0 asks for whole files."),
        tab="limits",
        minimum=0,
    )
    answer_encoding: str = setting(
        "utf-8",
        _("Encoding of answers"),
        _("Platforms 8.1 and 8.2 read Cyrillic only with a byte order mark or in windows-1251."),
        tab="limits",
        choices=(("utf-8", "UTF-8"), ("utf-8-bom", _("UTF-8 with a byte order mark")), ("windows-1251", "windows-1251")),
    )
    session_lines: str = setting(
        "full",
        _("Answer to checkauth"),
        _("“Three lines” suits nodes that stumble over the session token and the time stamp."),
        tab="limits",
        choices=(("full", _("with session token and time stamp")), ("plain", _("three lines"))),
    )
    sessid_check: bool = setting(
        False,
        _("Require the session token"),
        _("Calls without the sessid that checkauth gave out are refused (Bitrix 20 and later do so)."),
        tab="limits",
    )
    path_token: str = setting(
        "",
        _("Token in the address"),
        _("Stands in for the password where a proxy strips it: /exchange/name/token/. Treat such an address as a password."),
        tab="limits",
        kind="secret",
    )
    allow_list: tuple[str, ...] = setting(
        (),
        _("Only from these addresses"),
        _("IP addresses or networks such as 203.0.113.0/24; empty lets everyone in."),
        tab="limits",
    )
    max_file: int = setting(
        4096, _("Largest file, megabytes"), _("A longer file is refused with a text."), tab="limits", minimum=1
    )
    max_unpacked: int = setting(
        16_384, _("Largest archive when unpacked, megabytes"), _("Stops archives that blow up."), tab="limits", minimum=1
    )
    max_ratio: int = setting(
        200,
        _("Greatest compression of a file in an archive"),
        _("Unpacked size divided by packed size."),
        tab="limits",
        minimum=2,
    )
    max_entries: int = setting(
        200_000, _("Most files in an archive"), _("Stops archives of endless tiny files."), tab="limits", minimum=1
    )
    session_hours: int = setting(
        24,
        _("Hours that a conversation lives"),
        _("After that the node has to begin with checkauth again."),
        tab="limits",
        minimum=1,
    )
    wait_seconds: int = setting(
        20,
        _("Seconds that an answer may wait for the worker"),
        _("After that “progress” is answered and the node asks again; keep it below the time-out of your proxy."),
        tab="limits",
        minimum=0,
        maximum=20,
    )
    parked_answer: str = setting(
        "success",
        _("Answer when records were set aside"),
        _("Everything good is taken either way; “failure” makes the node show the reason and send the portion again."),
        tab="limits",
        choices=(("success", _("success")), ("failure", _("failure"))),
    )

    def __post_init__(self) -> None:
        problems: list[str] = []
        self._check_policy(problems)
        self._check_requisites(problems)
        self._check_addresses(problems)
        self._check_rest(problems)
        try:
            text, _rules, _method = parse_payment_rules(self.payment_rules)
            object.__setattr__(self, "payment_rules", text)
        except ValueError as error:
            problems.append(f"payment_rules: {error}")
        if problems:
            raise NeedsOwner(_("The settings are not right: {problems}"), problems="; ".join(problems))

    def _check_policy(self, problems: list[str]) -> None:
        for name, owner in self.field_policy.items():
            if name not in OWNED_FIELDS:
                problems.append(f"field_policy: {name} is not one of {', '.join(OWNED_FIELDS)}")
            elif owner not in POLICIES:
                problems.append(f"field_policy: {name} = {owner}, expected one of {', '.join(POLICIES)}")

    def _check_requisites(self, problems: list[str]) -> None:
        for name, template in self.requisites.items():
            for word in WORD.findall(template):
                if word not in ORDER_WORDS:
                    problems.append(f"requisites: {name}: {{{word}}} is not one of {', '.join(ORDER_WORDS)}")

    def _check_addresses(self, problems: list[str]) -> None:
        for text in self.allow_list:
            try:
                ipaddress.ip_network(text, strict=False)
            except ValueError:
                problems.append(f"allow_list: {text} is neither an address nor a network")

    def _check_rest(self, problems: list[str]) -> None:
        if self.price_mode == "mapped" and not self.price_map:
            problems.append("price_map: the table is empty, so no price would be taken")
        if self.from_number and not any(c.isdigit() for c in self.from_number):
            problems.append(f"from_number: {self.from_number!r} has no digits")
        if self.path_token and not re.fullmatch(r"[A-Za-z0-9_-]{16,128}", self.path_token):
            problems.append("path_token: use 16 to 128 Latin letters, digits, - and _")

    @property
    def rules(self) -> tuple[PaymentRule, ...]:
        return parse_payment_rules(self.payment_rules)[1]

    @property
    def forced_method(self) -> str:
        """What every order calls its payment method: the own setting, else ``paymentmethod_name`` of the JSON."""
        return self.payment_method or parse_payment_rules(self.payment_rules)[2]

    @property
    def networks(self) -> tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]:
        return tuple(ipaddress.ip_network(text, strict=False) for text in self.allow_list)


def parse_payment_rules(text: str) -> tuple[str, tuple[PaymentRule, ...], str]:
    """Olvery's settings: (the same as valid JSON, rules, name of the payment method). ValueError names the key that is wrong.

    Olvery's manual prints its example with typographic quotes, and people copy it: « » “ ” „ count as straight ones wherever
    the text is not valid JSON as it stands; so does the full stop behind it.
    """
    if not text.strip():
        return "", (), ""
    data = _json(text)
    if not isinstance(data, dict):
        raise ValueError('expected an object, {"paymentrules": […], "paymentmethod_name": "…"}')
    for key in data:
        if key not in ("paymentrules", "paymentmethod_name"):
            raise ValueError(f"{key} is not known, expected paymentrules and paymentmethod_name")
    method = data.get("paymentmethod_name", "")
    if not isinstance(method, str):
        raise ValueError("paymentmethod_name: expected a text")
    listed = data.get("paymentrules", [])
    if not isinstance(listed, list):
        raise ValueError("paymentrules: expected a list of objects")
    rules = tuple(_rule(i, rule) for i, rule in enumerate(listed))
    return json.dumps(data, ensure_ascii=False), rules, method


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        pass
    repaired = "".join(QUOTES.get(c, c) for c in text).strip().rstrip(".;").strip()
    try:
        return json.loads(repaired)
    except json.JSONDecodeError as error:
        raise ValueError(f"line {error.lineno}, column {error.colno}: this is not JSON ({error.msg})") from None


def _rule(position: int, rule: Any) -> PaymentRule:
    where = f"paymentrules[{position}]"
    if not isinstance(rule, dict):
        raise ValueError(f"{where}: expected an object with status and gateway")
    for key, value in rule.items():
        if key not in ("status", "gateway"):
            raise ValueError(f"{where}.{key} is not known, expected status and gateway")
        if not isinstance(value, str):
            raise ValueError(f"{where}.{key}: expected a text")
    if not any(rule.values()):
        raise ValueError(f"{where}: give a status, a gateway or both")
    return PaymentRule(rule.get("status", ""), rule.get("gateway", ""))
