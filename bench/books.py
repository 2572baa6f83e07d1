"""Books of a big shop, straight into the tables: the same rows for the same sizes, on either database. For bench/pages.py.

Nothing is exchanged: the rows look as a year of exchange leaves them. Records get the ids 1, 2, 3 … of a hub without records.
Runs inside a hub's process, with Django set up.
"""

from __future__ import annotations

import json
import random
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

from django.contrib.auth.models import Group as Role
from django.contrib.auth.models import User
from django.db import connection as db
from django.db import transaction
from django.db.models import Model
from django.db.models.fields.generated import GeneratedField
from django.db.models.fields.json import JSONField

from obmen.registry import connectors
from obmen.store import bulk, connections, goods, models, tokens

SEED, PAGE = 6, 20_000
COMPANIES = [f"Компанія {n}" for n in range(1, 11)]
LIMITED_TO = COMPANIES[:2]
COMMON, RARE, NOWHERE = "кава", "шафранова", "щцюґхзж"  # of names of goods: every eighth, seven in all, none
COMMON_BUYER, RARE_BUYER = "Шевченко", "Загребельна"
ADMIN, LIMITED = "admin", "limited"
NOUNS = (
    "Кава", "Чай", "Футболка", "Кросівки", "Шоколад", "Навушники", "Рюкзак", "Ліхтар", "Чашка", "Куртка", "Мед", "Зошит", "Лампа", "Стілець",
    "Подушка", "Ключ",
)  # fmt: skip
KINDS_OF = (
    "мелена",
    "чорний",
    "зелений",
    "бавовняна",
    "бігова",
    "дитяча",
    "настільна",
    "дорожній",
    "літній",
    "зимовий",
    "складаний",
)
BRANDS = ("«Ранкова»", "«Карпати»", "Olvery", "Norden", "«Дніпро»", "Sigma", "«Затишок»", "Lumen", "Terra", "«Обрій»")
LAST = (COMMON_BUYER, "Коваленко", "Бондаренко", "Ткаченко", "Кравченко", "Олійник", "Мельник", "Поліщук", "Савченко", "Руденко")
FIRST = ("Олена", "Іван", "Марія", "Петро", "Ірина", "Андрій", "Наталія", "Сергій", "Юлія", "Богдан")
STATES = ("new", "accepted", "paid", "packed", "sent", "done", "returned", "cancelled")
REASONS = (
    ("The value “{value}” of “{subject}” is not mapped", "mapping"),
    ("The product {id} has not come yet", "product"),
    ("The record has no name", ""),
    ("Two cards fit: decide which one it is", ""),
    ("The sum of the lines is not the total of the order", ""),
)


@dataclass(frozen=True)
class Sizes:
    """How many rows; those that are not named keep the shares of a real hub."""

    offers: int
    orders: int
    links: int
    parked: int

    @property
    def products(self) -> int:
        return self.offers * 4 // 5

    @property
    def groups(self) -> int:
        return max(20, self.offers // 100)

    @property
    def buyers(self) -> int:
        return max(10, self.orders * 3 // 5)

    @property
    def runs(self) -> int:
        return max(60, self.orders // 4)

    @property
    def traffic(self) -> int:
        return self.orders * 3

    @property
    def results(self) -> int:
        return max(120, self.orders // 5)


def moment(value: datetime | None) -> str | None:
    """As both databases take it in a statement."""
    if value is None:
        return None
    return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f") + ("+00" if db.vendor == "postgresql" else "")


class Filler:
    """Fills an empty hub. The random numbers come in one order, so equal sizes make equal books, up to the moment they end at."""

    def __init__(self, sizes: Sizes, now: datetime) -> None:
        self.sizes, self.now = sizes, now
        self.chance = random.Random(SEED)

    def ago(self, most_days: float) -> datetime:
        """A moment of the last days, the later the likelier, as a shop grows."""
        return self.now - timedelta(days=most_days * self.chance.random() ** 1.5)

    def put(self, model: type[Model], rows: Iterable[dict[str, Any]]) -> None:
        """Rows by column; what a row does not say is the model's default."""
        fields = [f for f in model._meta.concrete_fields if not isinstance(f, GeneratedField)]
        left = iter(rows)
        first = next(left, None)
        if first is None:
            return
        said = {f.column for f in fields} & first.keys()
        assert said == first.keys(), first.keys() - said
        usual = {f.column: self._plain(f, f.get_default()) for f in fields if f.column not in said and not f.primary_key}
        names = [*first, *usual]
        jsons = {f.column for f in fields if isinstance(f, JSONField)}
        tail = tuple(usual.values())
        plain = [(name, name in jsons) for name in first]
        with transaction.atomic(), db.cursor() as cursor:
            page = [first, *islice(left, PAGE - 1)]
            while page:
                made = [
                    (
                        *(
                            json.dumps(row[name], ensure_ascii=db.vendor == "sqlite") if is_json and row[name] is not None
                            else moment(row[name]) if type(row[name]) is datetime
                            else row[name]
                            for name, is_json in plain
                        ),
                        *tail,
                    )
                    for row in page
                ]  # fmt: skip
                bulk.insert(cursor, model._meta.db_table, names, made)
                page = list(islice(left, PAGE))

    @staticmethod
    def _plain(field: Any, value: Any) -> Any:
        if isinstance(field, JSONField):
            return None if value is None else json.dumps(value)
        return moment(value) if isinstance(value, datetime) else value

    def fill(self) -> None:
        self.people()
        self.connect()
        self.lists()
        self.goods()
        self.orders()
        self.exchange()
        self.told()
        self.finish()

    # --- people and connections ---

    def people(self) -> None:
        connections.make_roles()
        limited, _made = User.objects.get_or_create(username=LIMITED, defaults={"is_staff": True, "is_active": True})
        limited.groups.add(Role.objects.get(name=connections.OPERATORS))
        models.Person.objects.get_or_create(user=limited, defaults={"companies": LIMITED_TO})
        User.objects.bulk_create(User(username=f"person{n}", is_staff=True) for n in range(60))
        admin = User.objects.get(username=ADMIN)
        for n in range(20):
            tokens.make(admin, f"program {n}", list(tokens.SCOPES), days=None, who=ADMIN)

    def connect(self) -> None:
        """Three of every connector that is installed; the bench's own door is among them."""
        every = sorted(connectors())
        for key in every:
            for n in range(1, 4):
                if not models.Connection.objects.filter(name=f"{key} {n}").exists():
                    connections.create(key, f"{key} {n}", language="uk")
        self.linked = list(models.Connection.objects.order_by("pk").values_list("pk", flat=True))

    # --- the books ---

    def lists(self) -> None:
        one = self.linked[0]
        subjects = {
            "order_state": STATES, "delivery": range(40), "payment_kind": range(25), "warehouse": range(5), "price_kind": range(3),
            "manager": range(120), "organisation": range(12), "unit": ("шт", "кг", "л"), "manufacturer": range(400),
        }  # fmt: skip
        rows = [(subject, str(key)) for subject, keys in subjects.items() for key in keys]
        models.Reference.objects.bulk_create(
            models.Reference(subject=subject, key=key, name=f"{subject} {key}", source_id=one, position=at)
            for at, (subject, key) in enumerate(rows)
            if not models.Reference.objects.filter(subject=subject, key=key).exists()
        )
        kept = models.Reference.objects
        self.warehouses = list(kept.filter(subject="warehouse").order_by("pk").values_list("pk", flat=True))
        self.price_kinds = list(kept.filter(subject="price_kind").order_by("pk").values_list("pk", flat=True))
        self.put(
            models.Group,
            (
                {
                    "id": n, "key": f"group-{n}", "source_id": one, "name": f"{NOUNS[n % 16]} {KINDS_OF[n % 11]} {n}",
                    "parent_id": None if n <= 12 else 1 + (n - 13) // 8, "parent_key": "" if n <= 12 else f"group-{1 + (n - 13) // 8}",
                }
                for n in range(1, self.sizes.groups + 1)
            ),
        )  # fmt: skip
        self.put(
            models.Property,
            (
                {
                    "id": n,
                    "key": f"property-{n}",
                    "source_id": one,
                    "name": f"Властивість {n}",
                    "values": [["v1", "Так"], ["v2", "Ні"]],
                }
                for n in range(1, 61)
            ),
        )

    def name(self, n: int) -> str:
        """Every eighth is the common word, as most sell much of one thing; the rare one stands in seven names."""
        noun = NOUNS[0] if n % 16 == 8 else NOUNS[n % 16]
        rare = f" {RARE}" if self.sizes.products >= 14 and n % (self.sizes.products // 7) == 3 else ""
        return f"{noun} {KINDS_OF[n % 11]} {BRANDS[n % 10]}{rare} {50 + n % 19 * 50} г, арт. {n}"

    def key(self, n: int, space: str) -> str:
        return str(uuid.UUID(int=n * 0x9E3779B97F4A7C15F39CC0605CEDC835 + ord(space) & (1 << 128) - 1))

    def goods(self) -> None:
        s, dice = self.sizes, self.chance
        text = "Добрий товар із складу, відправляємо щодня. " * 8
        self.put(
            models.Product,
            (
                {
                    "id": n, "key": self.key(n, "p"), "article": f"{'КВЧФ'[n % 4]}{'АБВГ'[n % 3]}-{n:06d}", "code": f"00-{n:08d}",
                    "barcode": f"482{n:010d}", "name": self.name(n), "full_name": self.name(n), "unit": "шт",
                    "groups": [f"group-{1 + n % s.groups}"], "group_id": 1 + n % s.groups, "description": text, "vat_rate": "20",
                    "properties": [[f"property-{1 + (n + i) % 60}", ["v1"]] for i in range(6)],
                    "requisites": [["ВидНоменклатуры", "Товар"], ["Вес", "0.25"]],
                    "pictures": [f"import_files/{n % 100}/{n}.png"] if n % 2 else [], "deleted": n % 97 == 0,
                }
                for n in range(1, s.products + 1)
            ),
        )  # fmt: skip
        with transaction.atomic(), db.cursor() as cursor:
            for first in range(1, s.products + 1, 20_000):
                goods.renew_sought(cursor, range(first, min(first + 20_000, s.products + 1)))
        self.put(
            models.Offer,
            (
                {
                    "id": n, "key": self.offer_key(n), "product_id": self.product_of(n), "name": self.name(self.product_of(n)),
                    "article": f"О-{n:06d}" if n % 4 == 0 else "", "barcode": f"200{n:010d}" if n % 3 == 0 else "", "unit": "шт",
                    "characteristics": [["Розмір", str(36 + n % 12)]] if n > s.products else [], "deleted": n % 101 == 0,
                }
                for n in range(1, s.offers + 1)
            ),
        )  # fmt: skip
        self.put(
            models.Price,
            (
                {"offer_id": n, "kind_id": kind, "min_quantity": "0", "value": f"{dice.randint(20, 90000)}.50", "currency": "UAH"}
                for n in range(1, s.offers + 1)
                for kind in self.price_kinds[:2]
            ),
        )
        self.put(
            models.StockLevel,
            (
                {"offer_id": n, "warehouse_id": place, "quantity": str(dice.randint(0, 400))}
                for n in range(1, s.offers + 1)
                for place in self.warehouses[:2]
            ),
        )
        one = self.linked[0]
        self.put(
            models.Picture,
            (
                {
                    "id": n, "source_id": one, "path": f"import_files/{n % 100}/{n}.png", "file": f"pictures/{n}.png",
                    "sha256": "0" * 64, "size": 9000,
                }
                for n in range(1, min(s.products, 20_000), 2)
            ),
        )  # fmt: skip
        self.put(
            models.RecordChange,
            (
                {
                    "record_kind": kind, "record_id": n, "version": version, "run_id": 1 + n % s.runs, "at": self.ago(300),
                    "changes": None if version == 1 else {"name": ["Стара назва", "Нова назва"]},
                }
                for kind, count in (("product", s.products), ("offer", s.offers))
                for n in range(1, count + 1)
                for version in ((1,) if n % 5 else (1, 2, 3))
            ),
        )  # fmt: skip

    def product_of(self, offer: int) -> int:
        """Every product has an offer; the rest are sizes of every fourth product."""
        return offer if offer <= self.sizes.products else 1 + (offer * 4) % self.sizes.products

    def offer_key(self, n: int) -> str:
        own = self.key(self.product_of(n), "p")
        return own if n <= self.sizes.products else f"{own}#{n}"

    def orders(self) -> None:
        s, dice = self.sizes, self.chance
        self.put(
            models.Counterparty,
            (
                {
                    "id": n, "key": f"buyer-{n}", "name": self.buyer(n), "phone": f"+38050{n:07d}", "email": f"b{n}@example.com",
                    "inn": f"{n:010d}", "source_id": self.linked[n % 4],
                }
                for n in range(1, s.buyers + 1)
            ),
        )  # fmt: skip
        self.dates = sorted(self.ago(365) for _n in range(s.orders))
        # The first company sells as much as the next nine: two of them are a third of the orders.
        self.put(
            models.Order,
            (
                {
                    "id": n, "key": f"shop-{n}", "number": f"ІМ-{100000 + n}", "date": self.dates[n - 1],
                    "state": STATES[min(7, dice.randint(0, 11))], "currency": "UAH", "total": f"{dice.randint(100, 20000)}.00",
                    "counterparty_id": self.buyer_of(n),
                    "buyer": {"key": f"buyer-{self.buyer_of(n)}", "name": self.buyer(self.buyer_of(n)), "phone": "+380500000000"},
                    "delivery": {"method": "Нова пошта", "tracking": f"2045{n:010d}"}, "comment": "Подзвоніть" if n % 7 == 0 else "",
                    "company": COMPANIES[0 if n % 4 == 0 else n % 10], "manager": f"{n % 120}", "cancelled": n % 23 == 0,
                    "paid": bool(n % 3), "source_id": self.linked[n % len(self.linked)], "created": self.dates[n - 1],
                    "changed": self.dates[n - 1] + timedelta(hours=dice.random() * 40), "held": n % 400 == 0,
                    "held_text": "чекаємо оплату" if n % 400 == 0 else "", "held_by": "operator" if n % 400 == 0 else "",
                }
                for n in range(1, s.orders + 1)
            ),
        )  # fmt: skip
        self.put(
            models.OrderLine,
            (
                {
                    "order_id": n, "position": at, "offer": self.offer_key(1 + (n * 7 + at * 31) % s.offers), "article": f"О-{n:06d}",
                    "name": self.name(1 + (n * 7 + at * 31) % s.products), "quantity": "2", "price": "150.00", "total": "300.00",
                }
                for n in range(1, s.orders + 1)
                for at in range(1, 2 + n % 4)
            ),
        )  # fmt: skip
        self.put(
            models.Payment,
            (
                {"id": n, "order_id": n, "key": f"payment-{n}", "amount": "300.00", "paid": True, "date": self.dates[n - 1]}
                for n in range(1, s.orders * 3 // 5)
            ),
        )
        self.put(
            models.Shipment,
            (
                {"id": n, "order_id": n, "key": f"shipment-{n}", "number": str(n), "tracking": f"2045{n:010d}"}
                for n in range(1, s.orders // 2)
            ),
        )
        self.put(
            models.Reservation,
            (
                {"order_id": n, "offer": self.offer_key(1 + n % s.offers), "quantity": "1", "since": self.dates[n - 1]}
                for n in range(s.orders - s.orders // 20, s.orders + 1)
            ),
        )

    def buyer_of(self, order: int) -> int:
        """A tenth of the orders come from a hundred buyers, who are resellers."""
        return 1 + (order % 100 if order % 10 == 0 else order * 13) % self.sizes.buyers

    def buyer(self, n: int) -> str:
        rare = self.sizes.buyers >= 10 and n % (self.sizes.buyers // 5) == 2
        return f"{RARE_BUYER if rare else LAST[n // 7 % 10]} {FIRST[n % 10]} {n}"

    # --- what the exchange remembers ---

    def exchange(self) -> None:
        s = self.sizes
        self.put(models.Link, islice(self._links(), s.links))
        self.put(
            models.TheirCopy,
            (
                {"connection_id": self.linked[4], "kind": "order", "record_id": n, "record": {"key": f"shop-{n}", "state": "new"}}
                for n in range(1, s.orders // 4)
            ),
        )
        self.put(
            models.Outbox,
            (
                {
                    "connection_id": self.linked[n % 3], "kind": "order", "record_id": 1 + n // 3, "revision": 2, "since": self.ago(3),
                }
                for n in range(s.orders // 5)
            ),
        )  # fmt: skip
        self.put(
            models.Mapping,
            (
                {
                    "connection_id": owner, "subject": subject, "theirs": f"{subject}-{n}", "theirs_name": f"Їхнє {n}",
                    "ours": str(n % 25) if n % 3 else "", "reported": n % 3 == 0, "seen_count": n * 7 % 100,
                }
                for owner in self.linked
                for subject in ("delivery", "payment_kind", "manager", "order_state")
                for n in range(60)
            ),
        )  # fmt: skip
        self.put(
            models.RemoteReference,
            (
                {"connection_id": owner, "subject": subject, "key": f"{subject}-{n}", "name": f"Їхнє {n}"}
                for owner in self.linked
                for subject in ("delivery", "payment_kind", "manager", "order_state")
                for n in range(60)
            ),
        )
        self.put(models.Tally, self._tallies())
        self.put(models.Parked, self._parked())

    def _links(self) -> Iterator[dict[str, Any]]:
        """Goods in turn for one connection after the other, after every order and buyer in one."""
        s, digest = self.sizes, b"0123456789abcdef"

        def link(owner: int, kind: str, theirs: str, ours: int) -> dict[str, Any]:
            return {
                "connection_id": owner, "kind": kind, "external_id": theirs, "record_id": ours, "seen": digest, "sent": b"",
                "sent_version": 1,
            }  # fmt: skip

        for n in range(1, s.orders + 1):
            yield link(self.linked[4], "order", f"{500000 + n}", n)
        for n in range(1, s.buyers + 1):
            yield link(self.linked[4], "counterparty", f"{n}", n)
        for owner in self.linked:
            for n in range(1, s.offers + 1):
                yield link(owner, "offer", self.offer_key(n), n)
            for n in range(1, s.products + 1):
                yield link(owner, "product", self.key(n, "p"), n)

    def _tallies(self) -> Iterator[dict[str, Any]]:
        hour = self.now.replace(minute=0, second=0, microsecond=0)
        days = 90 if self.sizes.orders >= 20_000 else 3
        for back in range(24 * days):
            for owner in self.linked:
                for name in ("orders_in", "orders_out", "goods_in", "goods_out", "parked", "failed"):
                    yield {
                        "connection_id": owner, "hour": hour - timedelta(hours=back), "name": name, "count": self.chance.randint(0, 90),
                    }  # fmt: skip

    def _parked(self) -> Iterator[dict[str, Any]]:
        kinds = ("order", "offer", "product", "order", "payment", "counterparty")
        for n in range(1, self.sizes.parked + 1):
            text, waits = REASONS[min(4, n % 9)]
            value = f"delivery-{n % 60}"
            kind, direction = kinds[n % 6], "out" if n % 5 == 0 else "in"
            theirs = str(1 + n) if direction == "out" else f"{500000 + n}" if kind == "order" else f"{kind}-{n}"
            yield {
                "id": n, "connection_id": self.linked[n % len(self.linked)], "kind": kind, "direction": direction, "external_id": theirs,
                "payload": b"<record>" + b"x" * 2000 + b"</record>", "where": f"import0_1.xml:{n}", "text": text,
                "facts": {"value": value, "subject": "delivery", "id": str(n), "name": self.name(n)},
                "waiting_kind": waits,
                "waiting_id": f"delivery:{value}" if waits == "mapping" else f"p-{n}" if waits else "",
                "tries": 1 + n % 5, "first_at": self.ago(60), "last_at": self.ago(5),
            }  # fmt: skip

    def told(self) -> None:
        """Runs with what they said and did, the journal, the time lines, the traffic, the notices."""
        s = self.sizes
        self.put(models.Run, self._runs())
        self.put(
            models.RunLine,
            (
                {
                    "run_id": 1 + n % s.runs, "at": self.asked(1 + n % s.runs), "level": ("info", "warning", "error")[n % 7 % 3],
                    "text": REASONS[n % 5][0], "facts": {"value": f"value {n}", "subject": "delivery", "id": n, "name": RARE},
                }
                for n in range(s.runs * 6)
            ),
        )  # fmt: skip
        outcomes = ("created", "updated", "updated", "unchanged", "parked")
        self.put(
            models.RunResult,
            (
                {
                    "run_id": run, "direction": "in", "stream": "offers-in", "kind": "order" if n % 4 == 0 else "offer", "record_id": n,
                    "external_id": f"their-{n}", "name": self.name(n), "outcome": outcomes[n % 5], "text": "", "mark": "0" * 32,
                    "compared": "books", "changes": {"name": ["Стара", self.name(n)], "price": ["1", str(n)]},
                }
                for run in (self.preview, self.by_hand)
                for n in range(1, s.results + 1)
            ),
        )  # fmt: skip
        self.put(
            models.Step,
            (
                {
                    "at": self.dates[n - 1] + timedelta(minutes=at), "connection_id": self.linked[at], "system": "1C", "record_kind": "order",
                    "record_id": n, "what": ("came", "offered", "delivered", "sent")[at], "revision": 1, "external_id": f"{500000 + n}",
                }
                for n in range(1, s.orders + 1)
                for at in range(4)
            ),
        )  # fmt: skip
        self.put(models.JournalEntry, self._journal())
        calls = (
            "GET type=catalog&mode=init",
            "POST type=catalog&mode=file",
            "GET type=sale&mode=query",
            "POST /api/v5/orders/edit",
        )
        span = timedelta(days=30)
        self.put(
            models.Message,
            (
                {
                    "id": n, "connection_id": self.linked[n % len(self.linked)], "at": self.now - span * (1 - n / s.traffic),
                    "direction": "in" if n % 3 else "out", "session": f"{n // 12:032x}", "call": f"{calls[n % 4]}&page={n}",
                    "status": 500 if n % 200 == 0 else 401 if n % 150 == 0 else 200, "answer": "success" if n % 7 else "progress",
                    "bytes_in": n % 9000, "milliseconds": int(self.chance.paretovariate(1.3) * 30) % 60_000, "remote": "203.0.113.7",
                }
                for n in range(1, s.traffic + 1)
            ),
        )  # fmt: skip
        channel = models.NoticeChannel.objects.create(name="office", way="email", wants=["run", "silence"])
        trouble = models.Trouble.objects.create(
            key="run:1", kind="run", connection_id=self.linked[0], text=REASONS[0][0], facts={}, since=self.now
        )
        self.put(
            models.Notice,
            (
                {
                    "id": n, "channel_id": channel.pk, "trouble_id": trouble.pk, "kind": "run", "news": "trouble",
                    "connection_id": self.linked[n % len(self.linked)], "text": REASONS[n % 5][0], "at": self.ago(90),
                    "facts": {"value": "x", "subject": "delivery", "id": n}, "due": self.now, "state": "sent",
                }
                for n in range(1, s.orders // 20)
            ),
        )  # fmt: skip

    def asked(self, run: int) -> datetime:
        return self.now - timedelta(days=120) * (1 - run / self.sizes.runs) - timedelta(minutes=5)

    @property
    def preview(self) -> int:
        """The run that looked ahead."""
        return self.sizes.runs

    @property
    def by_hand(self) -> int:
        """The run that a person started, which says what became of each record."""
        return self.sizes.runs - 1

    def _runs(self) -> Iterator[dict[str, Any]]:
        streams = ("orders-in", "catalogue-in", "stock-out,prices-out", "offers-in", "statuses-out")
        for n in range(1, self.sizes.runs + 1):
            asked = self.asked(n)
            whole = n >= self.by_hand
            failed = not whole and n % 40 == 0
            yield {
                "id": n, "connection_id": self.linked[n % len(self.linked)], "streams": streams[n % 5], "unique_key": f"{n}",
                "trigger": "schedule" if n % 9 else "person", "asked_by": "" if n % 9 else "operator", "asked": asked, "due": asked,
                "args": {"preview": True} if n == self.preview else {"each": True} if n == self.by_hand else {},
                "state": "failed" if failed else "done", "started": asked + timedelta(seconds=1), "attempts": 1,
                "ended": asked + timedelta(seconds=2 + n * 7 % 200), "percent": 100,
                "counts": {"created": n % 7, "updated": n % 90, "unchanged": n % 3000, "parked": n % 3},
                "text": REASONS[2][0] if failed else "", "facts": {"fields": {"name": 900, "price": 400}} if n == self.preview else {},
            }  # fmt: skip

    def _journal(self) -> Iterator[dict[str, Any]]:
        s = self.sizes
        for n in range(1, s.traffic + 1):
            at = self.now - timedelta(days=200) * (1 - n / s.traffic)
            kind = ("order", "product", "offer", "order", "", "")[n % 6]
            action = {
                "order": "order.changed", "product": "record.deleted", "offer": "record.deleted",
            }.get(kind, ("connection.switched", "person.changed", "settings.changed", "token.made")[n // 6 % 4])  # fmt: skip
            count = {"order": s.orders, "product": s.products, "offer": s.offers}.get(kind, 1)
            yield {
                "at": at, "who": LIMITED if n % 50 == 0 else f"person{n % 60}",
                "connection_id": self.linked[n % len(self.linked)], "action": action, "record_kind": kind,
                "record_id": 1 + n * 7 % count if kind else None, "facts": {"name": f"Назва {n}", "number": f"ІМ-{n}"},
            }  # fmt: skip

    def finish(self) -> None:
        """What databases find out by themselves in a hub that has been at work: where ids go on, and what is where."""
        with db.cursor() as cursor:
            if db.vendor == "postgresql":
                for table in db.introspection.table_names(cursor):
                    for one in db.introspection.get_sequences(cursor, table):
                        cursor.execute(
                            f"SELECT setval(pg_get_serial_sequence('\"{table}\"', '{one['column']}'),"
                            f' (SELECT coalesce(max("{one["column"]}"), 0) + 1 FROM "{table}"), false)'
                        )
                cursor.execute("VACUUM ANALYZE")  # autovacuum would have, by now; SQLite is never told to, so neither is it here
