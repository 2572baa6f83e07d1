"""Books of a small shop in Cyrillic, for tests of pages and for the pictures of the user guide."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any

from django.contrib.auth.models import Group as Role
from django.contrib.auth.models import User
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import connection as db
from django.db import transaction
from django.utils import timezone

from obmen.core import records
from obmen.store import connections, models
from obmen.store import goods as found_by
from obmen.store.orders import save_order

PASSWORD = "a-password-for-tests"
PNG = base64.b64decode(  # one blue pixel
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPj/HwAEhgJ/ktmnCgAAAABJRU5ErkJggg=="
)
# The real hash takes half a second on purpose; a test that is not about passwords has no use for that.
FAST_HASH = ["django.contrib.auth.hashers.MD5PasswordHasher"]
GOODS = [
    ("Кава мелена «Ранкова» 250 г", "КВ-250", "4820000000017", "Кава", "189.50", "120"),
    ("Кава в зернах «Ранкова» 1 кг", "КВ-1000", "4820000000024", "Кава", "640", "34"),
    ("Чай чорний байховий 100 пакетиків", "ЧЙ-100", "4820000000031", "Чай", "95.90", "260.5"),
    ("Чай зелений з жасмином 90 г", "ЧЙ-090", "4820000000048", "Чай", "112", "0"),
    ("Футболка бавовняна", "ФБ-01", "", "Одяг", "350", "18"),
    ("Мед липовий, банка 0,5 л", "МД-500", "4820000000062", "Солодке", "210", "41"),
    ("Шоколад чорний 85 % какао", "ШК-085", "4820000000079", "Солодке", "78.25", "305"),
]


@dataclass
class People:
    owner: User
    operator: User
    viewer: User
    admin: User


def people() -> People:
    connections.make_roles()

    def make(name: str, role: str, **kw: Any) -> User:
        user = User.objects.create_user(name, password=PASSWORD, is_staff=True, **kw)
        if role:
            user.groups.add(Role.objects.get(name=role))
        return user

    return People(
        owner=make("owner", connections.OWNERS, first_name="Олена", last_name="Власник"),
        operator=make("operator", connections.OPERATORS, first_name="Іван", last_name="Оператор"),
        viewer=make("viewer", connections.VIEWERS, first_name="Ірина", last_name="Глядач"),
        admin=make("admin", "", is_superuser=True),
    )


def connection(name: str = "1С: Торгівля", **kw: Any) -> models.Connection:
    values = {"connector": "commerceml_door", "slug": connections.free_slug(name), "profile": "ut11", "last_call": timezone.now()}
    return models.Connection.objects.create(name=name, **{**values, **kw})


def door(name: str = "1С: Торгівля", profile: str = "ut11") -> tuple[models.Connection, str]:
    made, password = connections.create("commerceml_door", name, profile=profile, language="uk")
    assert password is not None
    return made, password


def goods(source: models.Connection) -> list[models.Product]:
    """Groups, products, offers with two price kinds and two warehouses, links and history."""
    now = timezone.now()
    root = models.Group.objects.create(key="g-0", name="Товари", source=source)
    food = models.Group.objects.create(key="g-1", name="Продукти", parent=root, parent_key="g-0", source=source)
    groups: dict[str, models.Group] = {}
    for i, name in enumerate(("Кава", "Чай", "Солодке", "Одяг")):
        parent = root if name == "Одяг" else food
        groups[name] = models.Group.objects.create(key=f"g-1{i}", name=name, parent=parent, parent_key=parent.key, source=source)
    reference = models.Reference.objects.create
    retail = reference(subject="price_kind", key="p-1", name="Роздрібна", source=source)
    trade = reference(subject="price_kind", key="p-2", name="Оптова", source=source)
    main = reference(subject="warehouse", key="w-1", name="Основний склад", source=source)
    shop = reference(subject="warehouse", key="w-2", name="Магазин", source=source)
    color = models.Property.objects.create(
        key="prop-1", name="Країна походження", source=source, kind="dictionary", values=[["v-1", "Україна"]]
    )
    run = finished_run(source, counts={"created": len(GOODS)})
    products = []
    for i, (name, article, barcode, group, price, quantity) in enumerate(GOODS, 1):
        p = models.Product.objects.create(
            key=f"6f0b9a5e-0000-4000-8000-{i:012d}",
            name=name,
            full_name=f"{name}, повна назва для друку",
            article=article,
            code=f"00-{i:08d}",
            barcode=barcode,
            unit="шт",
            groups=[groups[group].key],
            group=groups[group],
            kind="Товар",
            vat_rate="20",
            description="Добрий товар.\nЗберігати в сухому місці.",
            properties=[[color.key, ["v-1"]]],
            requisites=[["ВидНоменклатуры", "Товар"]],
            pictures=[f"import_files/{i:02d}/main.png"] if i <= 2 else [],
            version=2,
        )
        products.append(p)
        sizes = [("S", "6"), ("M", "12")] if article == "ФБ-01" else [("", quantity)]
        for size, count in sizes:
            offer = models.Offer.objects.create(
                key=f"{p.key}#{size}" if size else p.key,
                product=p,
                name=f"{name} ({size})" if size else name,
                article=article,
                barcode=barcode,
                characteristics=[["Розмір", size]] if size else [],
            )
            models.Price.objects.create(offer=offer, kind=retail, value=Decimal(price), currency="UAH")
            models.Price.objects.create(offer=offer, kind=trade, value=Decimal(price) * Decimal("0.8"), currency="UAH")
            models.StockLevel.objects.create(offer=offer, warehouse=main, quantity=Decimal(count))
            models.StockLevel.objects.create(offer=offer, warehouse=shop, quantity=Decimal(3))
            link(source, "offer", offer.key, offer.pk)
        link(source, "product", p.key, p.pk)
        change = models.RecordChange.objects.create
        change(record_kind="product", record_id=p.pk, version=1, run=run, at=now - timedelta(days=1), changes=None)
        renamed = {"name": [f"{name} (стара назва)", name], "article": ["", article]}
        change(record_kind="product", record_id=p.pk, version=2, run=run, at=now, changes=renamed)
        for path in p.pictures:
            file = default_storage.save(f"pictures/{i}.png", ContentFile(PNG))
            digest = hashlib.sha256(PNG).hexdigest()
            models.Picture.objects.create(source=source, path=path, file=file, sha256=digest, size=len(PNG))
    with transaction.atomic(), db.cursor() as cursor:
        found_by.renew_sought(cursor, [p.pk for p in products])
    return products


def link(source: models.Connection, kind: str, external_id: str, record_id: int) -> models.Link:
    return models.Link.objects.create(connection=source, kind=kind, external_id=external_id, record_id=record_id)


def states() -> None:
    for i, (key, name) in enumerate((("new", "Новий"), ("paid", "Сплачений"), ("sent", "Відправлений"), ("done", "Виконаний"))):
        models.Reference.objects.create(subject="order_state", key=key, name=name, position=i)


def order(number: str = "ІМ-1001", *, state: str = "new", source: models.Connection | None = None) -> models.Order:
    buyer = records.Counterparty(
        key=f"c-{number}", name="Шевченко Марія Іванівна", first_name="Марія", last_name="Шевченко", phone="+380 00 000-00-00",
        email="buyer@example.com", address=records.Address("Львів, вул. Прикладна, 1"),
    )  # fmt: skip
    lines = (
        records.OrderLine(
            offer="6f0b9a5e-0000-4000-8000-000000000001", name="Кава мелена «Ранкова» 250 г", article="КВ-250",
            quantity=Decimal(2), price=Decimal("189.50"), total=Decimal("379.00"), unit="шт",
        ),
        records.OrderLine(
            offer="", name="Доставка кур'єром", kind="delivery", quantity=Decimal(1), price=Decimal(60), total=Decimal(60)
        ),
    )  # fmt: skip
    record = records.Order(
        key=f"shop-{number}", number=number, date=timezone.now(), state=state, currency="UAH", total=Decimal("439.00"),
        counterparty=buyer, lines=lines, comment="Зателефонуйте перед доставкою",
        delivery=records.Delivery(method="Нова пошта", address="Львів, відділення 12", price=Decimal(60)),
        payments=(records.Payment(key="pay-1", amount=Decimal("439.00"), method="Картка", paid=True, currency="UAH"),),
        shipments=(records.Shipment(key="ship-1", method="Нова пошта", tracking="20450000000000", shipped=True),),
    )  # fmt: skip
    return save_order(record, source=source)[0]


def finished_run(
    source: models.Connection, state: str = "done", text: str = "", facts: dict[str, Any] | None = None, ago: int = 0, **kw: Any
) -> models.Run:
    at = timezone.now() - timedelta(days=ago)
    values = {"streams": "products-in", "trigger": "door", "unique_key": f"{source.pk}:products-in", "percent": 100}
    return models.Run.objects.create(
        connection=source, state=state, text=text, facts=facts or {}, asked=at, due=at, started=at, ended=at + timedelta(seconds=7),
        **{**values, **kw},
    )  # fmt: skip


def running_run(source: models.Connection, percent: int = 40, **kw: Any) -> models.Run:
    now = timezone.now()
    values = {"streams": "products-in", "unique_key": f"{source.pk}:products-in", "counts": {"created": 12}}
    return models.Run.objects.create(
        connection=source, state="running", percent=percent, started=now, worker="test", lease_until=now + timedelta(hours=1),
        **{**values, **kw},
    )  # fmt: skip


def parked(source: models.Connection, external_id: str = "prod-77", **kw: Any) -> models.Parked:
    values = {
        "kind": "product",
        "payload": "<Товар><Ид>prod-77</Ид><Наименование>Без артикулу</Наименование></Товар>".encode(),
        "where": "import0_1.xml:120",
        "text": "Two cards have the {attribute} “{value}”",
        "facts": {"attribute": "article", "value": "КВ-250"},
    }
    return models.Parked.objects.create(connection=source, external_id=external_id, **{**values, **kw})
