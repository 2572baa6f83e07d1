"""The books, and what the exchange remembers (design §5).

Typed columns for what people look for and join on, JSON only for open-ended bags. The tables that a catalogue load fills
(Product, Offer, Price, StockLevel, Link, RecordChange) carry no database foreign keys: PostgreSQL would check each of a
million rows by a trigger (measured: longer than the load itself), and the one writer that fills them gives the ids out itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from django.conf import settings as hub
from django.contrib.auth.models import User
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Case, F, Q, Value, When
from django.db.models.fields.json import KeyTransform
from django.db.models.functions import Left
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from obmen.core.records import Kind, Subject
from obmen.store.secrets import SecretJSONField

KINDS = [
    (Kind.GROUP.value, _("group")),
    (Kind.PROPERTY.value, _("property")),
    (Kind.REFERENCE.value, _("reference")),
    (Kind.PRODUCT.value, _("product")),
    (Kind.VARIANT.value, _("variant")),
    (Kind.OFFER.value, _("offer")),
    (Kind.PRICES.value, _("prices")),
    (Kind.STOCK.value, _("stock")),
    (Kind.COUNTERPARTY.value, _("counterparty")),
    (Kind.ORDER.value, _("order")),
    (Kind.PAYMENT.value, _("payment")),
    (Kind.SHIPMENT.value, _("shipment")),
]
SUBJECTS = [
    (Subject.ORDER_STATE.value, _("order states")),
    (Subject.DELIVERY.value, _("deliveries")),
    (Subject.PAYMENT_KIND.value, _("payment kinds")),
    (Subject.WAREHOUSE.value, _("warehouses")),
    (Subject.PRICE_KIND.value, _("price kinds")),
    (Subject.UNIT.value, _("units")),
    (Subject.MANAGER.value, _("managers")),
    (Subject.CANCEL_REASON.value, _("cancel reasons")),
    (Subject.ORGANISATION.value, _("organisations")),
    (Subject.AGREEMENT.value, _("agreements")),
    (Subject.CURRENCY.value, _("currencies")),
    (Subject.MANUFACTURER.value, _("manufacturers")),
    (Subject.ORDER_KIND.value, _("kinds of orders")),
    (Subject.ORDER_OPERATION.value, _("operations of orders")),
    (Subject.ORDER_METHOD.value, _("ways of ordering")),
    (Subject.DEPARTMENT.value, _("departments")),
    (Subject.BANK_ACCOUNT.value, _("bank accounts")),
    (Subject.CASH_DESK.value, _("cash desks")),
    (Subject.TERMINAL.value, _("card terminals")),
    (Subject.TAXATION.value, _("taxations")),
    (Subject.CARRIER.value, _("carriers")),
    (Subject.SITE.value, _("sites")),
]


def free(to: str, **kw: object) -> models.ForeignKey:
    """A foreign key without a constraint in the database, for the tables of the hot path."""
    return models.ForeignKey(to, models.DO_NOTHING, db_constraint=False, **kw)  # type: ignore[arg-type]


class NarrowCopy(models.Index):
    """What a list is searched by, beside the wide rows: SQLite reads it instead of them, in the order of ids. Rows come to its
    end, so it costs a load 0.1 s for 100 000 products, where an index of barcodes costs 0.2 s. Not on PostgreSQL, whose index
    entries are no longer than 2.7 KB, which names may be."""

    def create_sql(self, model: Any, schema_editor: Any, using: str = "", **kw: Any) -> Any:
        if schema_editor.connection.vendor != "sqlite":
            return "SELECT 1"
        return super().create_sql(model, schema_editor, using, **kw)


class WithMore(models.Index):
    """An index that on SQLite ends with further columns, so that all that is asked stands in it. Not on PostgreSQL, for the reason that
    NarrowCopy gives; it reads a row that has its long values elsewhere."""

    def __init__(self, *expressions: Any, more: Sequence[str] = (), **kw: Any) -> None:
        super().__init__(*expressions, **kw)
        self.more = list(more)

    def deconstruct(self) -> Any:
        path, expressions, kw = super().deconstruct()
        return path, expressions, {**kw, "more": self.more}

    def create_sql(self, model: Any, schema_editor: Any, using: str = "", **kw: Any) -> Any:
        if schema_editor.connection.vendor != "sqlite":
            return super().create_sql(model, schema_editor, using, **kw)
        longer = models.Index(fields=[*self.fields, *self.more], name=self.name)
        return longer.create_sql(model, schema_editor, using, **kw)


class BagField(models.JSONField):
    """JSON in a table of the hot path: without SQLite's CHECK(JSON_VALID(…)), which would parse again what was just encoded."""

    def db_check(self, connection: object) -> None:
        return None

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> Any:
        """By msgspec: a bag of five values takes it 0.45 µs and the standard library's decoder 1.4 µs, an empty one 0.03 µs and 0.6 µs
        (CPython 3.11)."""
        if isinstance(value, str) and not isinstance(expression, KeyTransform):
            return msgspec.json.decode(value)
        return super().from_db_value(value, expression, connection)


# --- the books -------------------------------------------------------------------------------------------------------------


class Group(models.Model):
    key = models.CharField(_("id"), max_length=200)
    source = models.ForeignKey("Connection", models.SET_NULL, null=True, blank=True, verbose_name=_("came from"))
    name = models.CharField(_("name"), max_length=500)
    parent = models.ForeignKey("self", models.SET_NULL, null=True, blank=True, related_name="children", verbose_name=_("parent"))
    parent_key = models.CharField(max_length=200, blank=True)  # as said; the parent may come later
    description = models.TextField(_("description"), blank=True)
    deleted = models.BooleanField(_("marked for deletion"), default=False)
    extra = models.TextField(blank=True)
    version = models.PositiveIntegerField(default=1)

    class Meta:
        verbose_name, verbose_name_plural = _("group"), _("groups")
        ordering = ("name",)
        constraints = [models.UniqueConstraint(fields=["source", "key"], name="one_group_per_id")]

    def __str__(self) -> str:
        return self.name


class Property(models.Model):
    key = models.CharField(_("id"), max_length=200)
    source = models.ForeignKey("Connection", models.SET_NULL, null=True, blank=True, verbose_name=_("came from"))
    name = models.CharField(_("name"), max_length=500)
    kind = models.CharField(_("kind of values"), max_length=40, default="string")
    values = models.JSONField(_("values"), default=list)  # [[value id, text], …]
    required = models.BooleanField(null=True)
    multiple = models.BooleanField(null=True)
    applies_to = models.CharField(max_length=40, blank=True)
    deleted = models.BooleanField(_("marked for deletion"), default=False)
    extra = models.TextField(blank=True)
    version = models.PositiveIntegerField(default=1)

    class Meta:
        verbose_name, verbose_name_plural = _("property"), _("properties")
        ordering = ("name",)
        constraints = [models.UniqueConstraint(fields=["source", "key"], name="one_property_per_id")]

    def __str__(self) -> str:
        return self.name


class Product(models.Model):
    """Hot table: written by store/goods.py, see the module's docstring."""

    key = models.CharField(_("id"), max_length=200)  # the id that the creating system gave; other systems' ids are links
    article = models.CharField(_("article"), max_length=200, blank=True, db_index=True)
    code = models.CharField(_("code"), max_length=200, blank=True)
    barcode = models.CharField(_("barcode"), max_length=200, blank=True)
    name = models.CharField(_("name"), max_length=1000, blank=True)
    full_name = models.TextField(_("full name"), blank=True)
    unit = models.CharField(_("unit"), max_length=100, blank=True)
    unit_attributes = BagField(default=list, blank=True)
    groups = BagField(_("groups"), default=list, blank=True)  # group keys as said
    group = free("Group", null=True, blank=True, verbose_name=_("main group"))
    category = models.CharField(max_length=200, blank=True)
    description = models.TextField(_("description"), blank=True)
    kind = models.CharField(_("kind"), max_length=100, blank=True)
    vat_rate = models.CharField(_("VAT rate"), max_length=20, blank=True)
    manufacturer = models.CharField(_("manufacturer"), max_length=300, blank=True)
    country = models.CharField(_("country"), max_length=200, blank=True)
    weight = models.DecimalField(_("weight"), max_digits=18, decimal_places=6, null=True, blank=True)
    properties = BagField(_("properties"), default=list, blank=True)  # [[property key, [value, …]], …]
    requisites = BagField(_("requisites"), default=list, blank=True)  # [[name, value], …]
    pictures = BagField(_("pictures"), default=list, blank=True)  # [path, …], first = main
    deleted = models.BooleanField(_("marked for deletion"), default=False)
    extra = models.TextField(blank=True)
    version = models.PositiveIntegerField(_("version"), default=1)

    class Meta:
        verbose_name, verbose_name_plural = _("product"), _("products")

    def __str__(self) -> str:
        return self.name or self.key


class Sought(models.Model):
    """Hot table, narrow: what a product is found by, written with it (store/goods.py) and read instead of its wide row. The name is in
    small letters, for a database folds only ASCII, or what its locale knows."""

    product_id = models.BigIntegerField(primary_key=True)
    key = models.CharField(max_length=200)
    barcode = models.CharField(max_length=200, blank=True)
    code = models.CharField(max_length=200, blank=True)
    name = models.TextField(blank=True)  # longer than the product's: some capitals are two small letters

    class Meta:
        verbose_name, verbose_name_plural = _("product"), _("products")
        default_permissions = ()


class Offer(models.Model):
    """Hot table. product × characteristic; a product without characteristics has exactly one."""

    key = models.CharField(_("id"), max_length=300)
    product = free("Product", related_name="offers", verbose_name=_("product"))
    article = models.CharField(_("article"), max_length=200, blank=True)
    barcode = models.CharField(_("barcode"), max_length=200, blank=True)
    name = models.CharField(_("name"), max_length=1000, blank=True)
    unit = models.CharField(_("unit"), max_length=100, blank=True)
    characteristics = BagField(_("characteristics"), default=list, blank=True)
    properties = BagField(default=list, blank=True)
    requisites = BagField(default=list, blank=True)
    pictures = BagField(default=list, blank=True)
    deleted = models.BooleanField(_("marked for deletion"), default=False)
    extra = models.TextField(blank=True)
    version = models.PositiveIntegerField(_("version"), default=1)
    stock_said = models.DateTimeField(null=True)  # store/reservations.py: kept up only while something of it is reserved

    class Meta:
        verbose_name, verbose_name_plural = _("offer"), _("offers")

    def __str__(self) -> str:
        return self.name or self.key


class Price(models.Model):
    """Hot table, narrow: renewed without touching the offer (measured 3.7 × faster, 24 × less WAL)."""

    pk = models.CompositePrimaryKey("offer", "kind", "min_quantity")
    offer = free("Offer", related_name="prices", db_index=False)
    kind = free("Reference", related_name="+", db_index=False)
    min_quantity = models.DecimalField(max_digits=18, decimal_places=6, default=0)
    value = models.DecimalField(_("price"), max_digits=18, decimal_places=4)
    currency = models.CharField(_("currency"), max_length=20, blank=True)

    class Meta:
        verbose_name, verbose_name_plural = _("price"), _("prices")


class StockLevel(models.Model):
    """Hot table, narrow. The warehouse with the empty key holds a total that names no warehouse."""

    pk = models.CompositePrimaryKey("offer", "warehouse")
    offer = free("Offer", related_name="stock", db_index=False)
    warehouse = free("Reference", related_name="+", db_index=False)
    quantity = models.DecimalField(_("quantity"), max_digits=18, decimal_places=6)

    class Meta:
        verbose_name, verbose_name_plural = _("stock"), _("stock")


class Picture(models.Model):
    """A picture file that came; ``path`` is what the documents call it."""

    source = models.ForeignKey("Connection", models.CASCADE, verbose_name=_("came from"))
    path = models.CharField(max_length=500)
    file = models.CharField(max_length=500)  # name in the storage
    sha256 = models.CharField(max_length=64)
    size = models.PositiveBigIntegerField()
    changed = models.DateTimeField(default=timezone.now)

    class Meta:
        verbose_name, verbose_name_plural = _("picture"), _("pictures")
        constraints = [models.UniqueConstraint(fields=["source", "path"], name="one_picture_per_path")]


class Reference(models.Model):
    """One value of a subject of the books: a warehouse, a price kind, an order state … (design §5)."""

    subject = models.CharField(_("subject"), max_length=40, choices=SUBJECTS)
    key = models.CharField(_("id"), max_length=200, blank=True)
    name = models.CharField(_("name"), max_length=500)
    attributes = models.JSONField(default=dict, blank=True)
    source = models.ForeignKey("Connection", models.SET_NULL, null=True, blank=True, verbose_name=_("came from"))
    deleted = models.BooleanField(_("marked for deletion"), default=False)
    position = models.IntegerField(_("position"), default=0)
    version = models.PositiveIntegerField(default=1)

    class Meta:
        verbose_name, verbose_name_plural = _("reference"), _("references")
        ordering = ("subject", "position", "name")
        constraints = [models.UniqueConstraint(fields=["subject", "key"], name="one_reference_per_key")]

    def __str__(self) -> str:
        return self.name or self.key


class Counterparty(models.Model):
    class CounterpartyKind(models.TextChoices):
        PERSON = "person", _("person")
        COMPANY = "company", _("company")
        ENTREPRENEUR = "entrepreneur", _("entrepreneur")

    key = models.CharField(_("id"), max_length=200, db_index=True)
    name = models.CharField(_("name"), max_length=500, db_index=True)
    kind = models.CharField(_("kind"), max_length=20, choices=CounterpartyKind, default=CounterpartyKind.PERSON)
    full_name = models.CharField(_("full name"), max_length=1000, blank=True)
    last_name = models.CharField(_("last name"), max_length=200, blank=True)
    first_name = models.CharField(_("first name"), max_length=200, blank=True)
    middle_name = models.CharField(_("middle name"), max_length=200, blank=True)
    inn = models.CharField(_("INN"), max_length=20, blank=True, db_index=True)
    kpp = models.CharField(_("KPP"), max_length=20, blank=True)
    okpo = models.CharField(_("EDRPOU / OKPO"), max_length=20, blank=True)
    phone = models.CharField(_("phone"), max_length=100, blank=True, db_index=True)
    email = models.CharField(_("e-mail"), max_length=300, blank=True, db_index=True)
    address = models.JSONField(null=True, blank=True)  # {"text": …, "parts": [[type, value], …]}
    legal_address = models.JSONField(null=True, blank=True)
    contacts = models.JSONField(default=list, blank=True)
    requisites = models.JSONField(default=list, blank=True)
    source = models.ForeignKey("Connection", models.SET_NULL, null=True, blank=True, verbose_name=_("came from"))
    deleted = models.BooleanField(_("marked for deletion"), default=False)
    extra = models.TextField(blank=True)
    version = models.PositiveIntegerField(default=1)

    class Meta:
        verbose_name, verbose_name_plural = _("counterparty"), _("counterparties")
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name or self.key


class Order(models.Model):
    key = models.CharField(_("id"), max_length=200, unique=True)
    number = models.CharField(_("number"), max_length=100, db_index=True)
    date = models.DateTimeField(_("date"), db_index=True)
    state = models.CharField(_("state"), max_length=200, blank=True, db_index=True)  # key of Reference(order_state)
    currency = models.CharField(_("currency"), max_length=20, blank=True)
    total = models.DecimalField(_("total"), max_digits=18, decimal_places=4, default=0)
    discount = models.DecimalField(_("discount"), max_digits=18, decimal_places=4, default=0)
    counterparty = models.ForeignKey(
        Counterparty, models.SET_NULL, null=True, blank=True, related_name="orders", verbose_name=_("counterparty")
    )
    buyer = models.JSONField(
        default=dict, blank=True
    )  # the counterparty as this order said it (core.records.Counterparty, plain)
    delivery = models.JSONField(null=True, blank=True)  # core.records.Delivery, plain
    comment = models.TextField(_("comment"), blank=True)
    company = models.CharField(_("company"), max_length=200, blank=True)
    site = models.CharField(_("site"), max_length=200, blank=True)
    manager = models.CharField(_("manager"), max_length=200, blank=True)
    organisation = models.CharField(_("organisation"), max_length=300, blank=True)
    warehouse = models.CharField(_("warehouse"), max_length=300, blank=True)
    cancelled = models.BooleanField(_("cancelled"), default=False)
    cancel_reason = models.CharField(_("cancel reason"), max_length=500, blank=True)
    paid = models.BooleanField(_("paid"), null=True, blank=True)
    shipped = models.BooleanField(_("shipped"), null=True, blank=True)
    deleted = models.BooleanField(_("marked for deletion"), default=False)
    requisites = models.JSONField(_("requisites"), default=list, blank=True)
    source = models.ForeignKey("Connection", models.SET_NULL, null=True, blank=True, verbose_name=_("came from"))
    extra = models.TextField(blank=True)
    revision = models.PositiveIntegerField(_("revision"), default=1)
    created = models.DateTimeField(default=timezone.now)
    changed = models.DateTimeField(_("changed"), default=timezone.now)

    held = models.BooleanField(_("on hold"), default=False, db_default=False)  # store/holding.py: nobody is told of it
    held_text = models.CharField(_("why it is on hold"), max_length=500, blank=True, default="", db_default="")
    held_by = models.CharField(_("held by"), max_length=150, blank=True, default="", db_default="")
    held_since = models.DateTimeField(_("on hold since"), null=True, blank=True)

    class Meta:
        verbose_name, verbose_name_plural = _("order"), _("orders")
        ordering = ("-date", "-id")
        indexes = [
            models.Index(F("date").desc(), F("id").desc(), condition=Q(held=True), name="order_held"),
            # Beside the order of the list all that is asked of every order of a company: when it changed and whose it is.
            models.Index("company", F("date").desc(), F("id").desc(), "changed", "counterparty", name="order_of_company"),
            models.Index(fields=["changed", "id"], name="order_changed"),
        ]

    def __str__(self) -> str:
        return self.number or self.key


class OrderLine(models.Model):
    class LineKind(models.TextChoices):
        PRODUCT = "product", _("product")
        SERVICE = "service", _("service")
        DELIVERY = "delivery", _("delivery")

    order = models.ForeignKey(Order, models.CASCADE, related_name="lines")
    position = models.PositiveIntegerField()
    offer = models.CharField(_("offer"), max_length=300, blank=True)  # the key as said; may name goods we have not met
    article = models.CharField(_("article"), max_length=200, blank=True)
    name = models.CharField(_("name"), max_length=1000)
    kind = models.CharField(_("kind"), max_length=20, choices=LineKind, default=LineKind.PRODUCT)
    quantity = models.DecimalField(_("quantity"), max_digits=18, decimal_places=6)
    price = models.DecimalField(_("price"), max_digits=18, decimal_places=4)
    discount = models.DecimalField(_("discount"), max_digits=18, decimal_places=4, default=0)
    total = models.DecimalField(_("total"), max_digits=18, decimal_places=4)
    unit = models.CharField(_("unit"), max_length=100, blank=True)
    ratio = models.DecimalField(max_digits=18, decimal_places=6, default=1)
    vat_rate = models.CharField(_("VAT rate"), max_length=20, blank=True)
    vat_amount = models.DecimalField(max_digits=18, decimal_places=4, null=True, blank=True)
    options = models.JSONField(default=list, blank=True)
    requisites = models.JSONField(default=list, blank=True)
    key = models.CharField(max_length=100, blank=True, default="")  # their id of the line

    class Meta:
        verbose_name, verbose_name_plural = _("order line"), _("order lines")
        ordering = ("position",)
        constraints = [models.UniqueConstraint(fields=["order", "position"], name="one_line_per_position")]


class Reservation(models.Model):
    """What an order has sold and the stock of the books does not know yet: store/reservations.py. Written with the order."""

    order = models.ForeignKey(Order, models.CASCADE, related_name="reservations")
    offer = models.CharField(max_length=300, db_index=True)  # the key as the line says it; may name goods we have not met
    quantity = models.DecimalField(max_digits=18, decimal_places=6)  # in the unit of the stock
    since = models.DateTimeField()
    taken = models.DateTimeField(null=True)  # when the accounting system took it

    class Meta:
        verbose_name, verbose_name_plural = _("reservation"), _("reservations")
        default_permissions = ()


class Payment(models.Model):
    order = models.ForeignKey(Order, models.CASCADE, related_name="payments", null=True, blank=True)
    key = models.CharField(_("id"), max_length=200)
    number = models.CharField(_("number"), max_length=100, blank=True)
    date = models.DateTimeField(_("date"), null=True, blank=True)
    amount = models.DecimalField(_("amount"), max_digits=18, decimal_places=4)
    currency = models.CharField(_("currency"), max_length=20, blank=True)
    method = models.CharField(_("payment kind"), max_length=300, blank=True)
    method_key = models.CharField(max_length=200, blank=True)
    gateway = models.CharField(_("gateway"), max_length=200, blank=True)
    paid = models.BooleanField(_("paid"), default=False)
    refund = models.BooleanField(_("refund"), default=False)
    requisites = models.JSONField(default=list, blank=True)
    source = models.ForeignKey("Connection", models.SET_NULL, null=True, blank=True, verbose_name=_("came from"))

    class Meta:
        verbose_name, verbose_name_plural = _("payment"), _("payments")
        constraints = [models.UniqueConstraint(fields=["order", "key"], name="one_payment_per_id")]


class Shipment(models.Model):
    order = models.ForeignKey(Order, models.CASCADE, related_name="shipments", null=True, blank=True)
    key = models.CharField(_("id"), max_length=200)
    number = models.CharField(_("number"), max_length=100, blank=True)
    date = models.DateTimeField(_("date"), null=True, blank=True)
    amount = models.DecimalField(max_digits=18, decimal_places=4, null=True, blank=True)
    shipped = models.BooleanField(_("shipped"), default=False)
    tracking = models.CharField(_("tracking number"), max_length=200, blank=True)
    method = models.CharField(max_length=300, blank=True)
    requisites = models.JSONField(default=list, blank=True)
    source = models.ForeignKey("Connection", models.SET_NULL, null=True, blank=True, verbose_name=_("came from"))

    class Meta:
        verbose_name, verbose_name_plural = _("shipment"), _("shipments")
        constraints = [models.UniqueConstraint(fields=["order", "key"], name="one_shipment_per_id")]


# --- exchange --------------------------------------------------------------------------------------------------------------


class Connection(models.Model):
    """One configured account of one outside system."""

    connector = models.CharField(_("connector"), max_length=60)
    name = models.CharField(_("name"), max_length=120, unique=True)
    slug = models.SlugField(_("address name"), max_length=80, unique=True)
    profile = models.CharField(_("profile"), max_length=60, blank=True)
    settings = models.JSONField(_("settings"), default=dict, blank=True)  # what differs from the profile's defaults
    secrets = SecretJSONField(default=dict, blank=True)
    enabled = models.BooleanField(_("switched on"), default=True)
    time_zone = models.CharField(_("time zone"), max_length=60, default="Europe/Kyiv")
    language = models.CharField(_("language of answers"), max_length=5, choices=hub.LANGUAGES, default="ru")
    account = models.ForeignKey(
        User, models.SET_NULL, null=True, blank=True, related_name="connections", verbose_name=_("machine account")
    )
    created = models.DateTimeField(default=timezone.now)
    last_call = models.DateTimeField(_("last call"), null=True, blank=True)
    checked = models.DateTimeField(_("last passed check"), null=True, blank=True)
    check_text = models.TextField(blank=True)  # as whom we are connected
    hook = models.CharField(max_length=64, blank=True, db_index=True)  # secret part of the wake-up address; "" = none
    paused_until = models.DateTimeField(_("paused until"), null=True, blank=True)  # over by itself; store/connections.py
    paused_text = models.CharField(_("why it is paused"), max_length=200, blank=True)
    silent_after = models.PositiveSmallIntegerField(  # work/watch.py; None: by its schedule or rhythm, 0: never
        _("hours of silence"), null=True, blank=True
    )
    parked_limit = models.PositiveIntegerField(_("parked records"), default=20)  # more are trouble; 0: never

    class Meta:
        verbose_name, verbose_name_plural = _("connection"), _("connections")
        ordering = ("name",)
        permissions = [("import_commerceml", _("Import CommerceML"))]

    def __str__(self) -> str:
        return self.name

    @property
    def is_paused(self) -> bool:
        return self.paused_until is not None and self.paused_until > timezone.now()


class StreamSetting(models.Model):
    """One stream of one connection: on or off, and when it runs by itself."""

    connection = models.ForeignKey(Connection, models.CASCADE, related_name="streams", verbose_name=_("connection"))
    stream = models.CharField(_("stream"), max_length=60)
    enabled = models.BooleanField(_("switched on"), default=True)
    schedule = models.CharField(_("schedule"), max_length=120, blank=True)  # "", "every 15 min", "at 03:00", cron text
    quiet_from = models.TimeField(_("quiet from"), null=True, blank=True)
    quiet_to = models.TimeField(_("quiet to"), null=True, blank=True)
    next_run = models.DateTimeField(_("next run"), null=True, blank=True, db_index=True)
    guard = models.PositiveSmallIntegerField(  # per cent of the known goods that one run may change; None: no limit
        _("changes at most, %"), null=True, blank=True, validators=[MinValueValidator(1), MaxValueValidator(100)]
    )

    class Meta:
        verbose_name, verbose_name_plural = _("stream"), _("streams")
        constraints = [models.UniqueConstraint(fields=["connection", "stream"], name="one_setting_per_stream")]


class Mapping(models.Model):
    """Their value ⇄ our value, for one connection and subject. ``inbound`` rows are asked by their value (each has one), and
    ``outbound`` rows by ours; a row may be both. ``reported``: it came from traffic, and nobody has decided on it yet."""

    connection = models.ForeignKey(Connection, models.CASCADE, related_name="mappings", verbose_name=_("connection"))
    subject = models.CharField(_("subject"), max_length=40, choices=SUBJECTS)
    theirs = models.CharField(_("their value"), max_length=300)
    theirs_name = models.CharField(_("their name"), max_length=500, blank=True)
    ours = models.CharField(_("our value"), max_length=200, blank=True)  # key of Reference; "" = not mapped yet
    inbound = models.BooleanField(_("take"), default=True)
    outbound = models.BooleanField(_("send"), default=True)
    taken = models.BooleanField(_("load"), default=True)  # False: records with this value are left out
    attributes = models.JSONField(default=dict, blank=True)  # further columns of the table: a terminal, a carrier
    reported = models.BooleanField(default=False)
    position = models.IntegerField(default=0)
    seen_count = models.PositiveIntegerField(_("seen"), default=0)

    class Meta:
        verbose_name, verbose_name_plural = _("mapping"), _("mappings")
        constraints = [
            models.UniqueConstraint(
                fields=["connection", "subject", "theirs"], condition=Q(inbound=True), name="one_mapping_per_value"
            ),
        ]
        indexes = [models.Index(fields=["connection", "subject", "position"], name="mapping_in_order")]


class MappingStep(models.Model):
    """One save of a mapping table: the rows that went and those that came, so that it can be taken back (store/mappings.py)."""

    connection = models.ForeignKey(Connection, models.CASCADE, related_name="mapping_steps")
    subject = models.CharField(max_length=40)
    direction = models.CharField(max_length=5)  # of the table: in | out | both | each; behind a ~ where it was taken back last
    at = models.DateTimeField(default=timezone.now)
    who = models.CharField(max_length=150, blank=True)
    rows = models.PositiveIntegerField()  # values that it changed
    gone = models.JSONField()
    come = models.JSONField()

    class Meta:
        default_permissions = ()


class MatchRule(models.Model):
    """Attribute + priority for finding an existing card."""

    connection = models.ForeignKey(Connection, models.CASCADE, related_name="match_rules", verbose_name=_("connection"))
    kind = models.CharField(_("kind"), max_length=20, choices=KINDS)
    attribute = models.CharField(_("attribute"), max_length=60)  # article | barcode | code | name | inn | phone | email …
    priority = models.PositiveIntegerField(_("priority"), default=1)

    class Meta:
        verbose_name, verbose_name_plural = _("match rule"), _("match rules")
        ordering = ("kind", "priority", "id")
        constraints = [models.UniqueConstraint(fields=["connection", "kind", "attribute"], name="one_rule_per_attribute")]


class Link(models.Model):
    """Hot table. Our record ⇄ their id, for one connection. ``seen`` and ``sent`` are 16-byte digests."""

    connection = free("Connection", related_name="links", db_index=False)
    kind = models.CharField(_("kind"), max_length=20)
    external_id = models.CharField(_("their id"), max_length=300)
    record_id = models.BigIntegerField()
    seen = models.BinaryField(default=b"")
    sent = models.BinaryField(default=b"")
    sent_version = models.PositiveIntegerField(default=0)
    gone = models.BooleanField(_("gone over there"), default=False)

    class Meta:
        verbose_name, verbose_name_plural = _("link"), _("links")
        constraints = [
            models.UniqueConstraint(fields=["connection", "kind", "external_id"], name="one_link_per_thing_there"),
            models.UniqueConstraint(fields=["connection", "kind", "record_id"], name="one_link_per_record_here"),
        ]


class TheirCopy(models.Model):
    """A record as they last said it, in our words: with it a change of theirs is told from a change of ours, field by field."""

    connection = models.ForeignKey(Connection, models.CASCADE, verbose_name=_("connection"))
    kind = models.CharField(max_length=20)
    record_id = models.BigIntegerField()
    record = models.JSONField()  # core.records, plain

    class Meta:
        constraints = [models.UniqueConstraint(fields=["connection", "kind", "record_id"], name="one_copy_per_record")]


class Feed(models.Model):
    """A document that the other system fetches from us, at an address with a secret in it."""

    connection = models.ForeignKey(Connection, models.CASCADE, related_name="feeds", verbose_name=_("connection"))
    name = models.CharField(max_length=100)  # "icml.xml"
    token = models.CharField(max_length=64, unique=True)
    file = models.CharField(max_length=200, blank=True)  # of the hub's folder of feeds; "" = none has been made yet
    digest = models.CharField(max_length=64, blank=True)
    size = models.PositiveBigIntegerField(default=0)
    counts = models.JSONField(default=dict, blank=True)
    made = models.DateTimeField(_("made"), null=True, blank=True)  # what is served
    looked = models.DateTimeField(null=True, blank=True)  # the last try
    text = models.TextField(blank=True)  # msgid: why the last try was refused
    facts = models.JSONField(default=dict, blank=True)
    fetched = models.DateTimeField(_("fetched"), null=True, blank=True)

    class Meta:
        verbose_name, verbose_name_plural = _("feed"), _("feeds")
        constraints = [models.UniqueConstraint(fields=["connection", "name"], name="one_feed_per_name")]

    def __str__(self) -> str:
        return self.name


class Outbox(models.Model):
    """What a connection still has to be told: one row for each record, at its newest revision.

    pending → offered (in a session) → the row is deleted by confirmation. A change in between raises ``revision`` above
    ``offered_revision``, so confirming the old offer leaves the row pending.
    """

    connection = models.ForeignKey(Connection, models.CASCADE, related_name="outbox", verbose_name=_("connection"))
    kind = models.CharField(_("kind"), max_length=20, choices=KINDS)
    record_id = models.BigIntegerField()
    revision = models.PositiveIntegerField()
    since = models.DateTimeField(_("waits since"), default=timezone.now)
    offered_revision = models.PositiveIntegerField(null=True, blank=True)
    offered_in = models.CharField(max_length=64, blank=True)  # cookie of the session
    offered_at = models.DateTimeField(_("offered"), null=True, blank=True)
    offers = models.PositiveIntegerField(_("times offered"), default=0)
    again = models.BooleanField(default=False, db_default=False)  # a person asked: told also when they have all of it

    class Meta:
        verbose_name, verbose_name_plural = _("outbox row"), _("outbox")
        constraints = [models.UniqueConstraint(fields=["connection", "kind", "record_id"], name="one_outbox_row_per_record")]
        indexes = [models.Index(fields=["connection", "kind", "since", "id"], name="outbox_in_order")]


class Intent(models.Model):
    """Noted before a call that creates something over there, so that a lost answer is looked up, not repeated (law 4)."""

    connection = models.ForeignKey(Connection, models.CASCADE, verbose_name=_("connection"))
    key = models.CharField(max_length=64)
    noted = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["connection", "key"], name="one_intent_per_key")]


class Bookmark(models.Model):
    connection = models.ForeignKey(Connection, models.CASCADE, related_name="bookmarks", verbose_name=_("connection"))
    stream = models.CharField(max_length=60)
    value = models.JSONField()
    changed = models.DateTimeField(default=timezone.now)

    class Meta:
        verbose_name, verbose_name_plural = _("bookmark"), _("bookmarks")
        constraints = [models.UniqueConstraint(fields=["connection", "stream"], name="one_bookmark_per_stream")]


class Run(models.Model):
    """One execution of some streams of one connection. This table is also the queue (design §6)."""

    class State(models.TextChoices):
        WAITING = "waiting", _("waiting")
        RUNNING = "running", _("running")
        DONE = "done", _("done")
        FAILED = "failed", _("failed")
        NEEDS_OWNER = "needs_owner", _("needs owner")
        POSTPONED = "postponed", _("postponed")
        STOPPED = "stopped", _("stopped")

    FINISHED = (State.DONE, State.FAILED, State.NEEDS_OWNER, State.STOPPED)

    connection = models.ForeignKey(Connection, models.CASCADE, related_name="runs", verbose_name=_("connection"))
    streams = models.CharField(_("streams"), max_length=300)  # comma-separated, sorted
    trigger = models.CharField(_("asked by"), max_length=20, default="person")  # schedule | person | door | cli | retry
    asked_by = models.CharField(_("who"), max_length=150, blank=True)
    unique_key = models.CharField(max_length=100)  # asking twice while one waits is asking once
    args = models.JSONField(default=dict, blank=True)  # what to do, JSON-safe: {"files": […], "session": …, "preview": true}
    state = models.CharField(_("state"), max_length=20, choices=State, default=State.WAITING)
    asked = models.DateTimeField(_("asked"), default=timezone.now)
    due = models.DateTimeField(_("due"), default=timezone.now)
    started = models.DateTimeField(_("started"), null=True, blank=True)
    ended = models.DateTimeField(_("ended"), null=True, blank=True)
    worker = models.CharField(max_length=100, blank=True)
    lease_until = models.DateTimeField(null=True, blank=True)
    attempts = models.PositiveIntegerField(_("attempts"), default=0)
    percent = models.PositiveSmallIntegerField(_("progress"), default=0)
    counts = models.JSONField(_("counts"), default=dict, blank=True)
    text = models.TextField(_("message"), blank=True)  # msgid, with ``facts``: each reader reads it in their language
    facts = models.JSONField(default=dict, blank=True)
    stop_asked = models.BooleanField(default=False)

    class Meta:
        verbose_name, verbose_name_plural = _("run"), _("runs")
        ordering = ("-id",)
        permissions = [("start_run", _("Start and stop runs"))]
        constraints = [
            models.UniqueConstraint(fields=["connection"], condition=Q(state="running"), name="one_run_per_connection"),
            models.UniqueConstraint(fields=["unique_key"], condition=Q(state="waiting"), name="asking_twice_is_asking_once"),
        ]
        indexes = [
            models.Index(fields=["state", "due"], name="run_queue"),
            models.Index(F("ended").desc(), name="run_ended"),
            models.Index(fields=["connection", "state", "ended"], name="run_last"),
        ]

    def __str__(self) -> str:
        return f"#{self.pk} {self.connection}"


class Tally(models.Model):
    """How much of one thing a connection exchanged in one hour, for the charts: store/tallies.py."""

    connection = models.ForeignKey(Connection, models.CASCADE, related_name="tallies")
    hour = models.DateTimeField()
    name = models.CharField(max_length=20)
    count = models.PositiveBigIntegerField()

    class Meta:
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["hour", "connection", "name"], name="one_tally_per_hour")]
        indexes = [models.Index(fields=["hour", "name", "count"], name="tally_by_hour")]  # holds all that a chart asks


class RunLine(models.Model):
    class Level(models.TextChoices):
        INFO = "info", _("information")
        WARNING = "warning", _("warning")
        ERROR = "error", _("error")

    run = models.ForeignKey(Run, models.CASCADE, related_name="lines")
    at = models.DateTimeField(default=timezone.now)
    level = models.CharField(max_length=10, choices=Level, default=Level.INFO)
    text = models.TextField()  # msgid
    facts = models.JSONField(default=dict, blank=True)
    count = models.PositiveIntegerField(default=1)  # how often it was said in this run

    class Meta:
        verbose_name, verbose_name_plural = _("message of a run"), _("messages of a run")
        ordering = ("id",)
        indexes = [models.Index(fields=["at"], name="run_line_at")]


class RunResult(models.Model):
    """What became of one record of a run that a person started by hand, or would become of it by a preview; the names of outcomes
    are those of the counts."""

    run = models.ForeignKey(Run, models.CASCADE, related_name="results")
    direction = models.CharField(_("direction"), max_length=3, default="out", choices=[("in", _("in")), ("out", _("out"))])
    stream = models.CharField(max_length=60, blank=True)
    kind = models.CharField(_("kind"), max_length=20, choices=KINDS)
    record_id = models.BigIntegerField(null=True, blank=True)  # in the books
    external_id = models.CharField(_("their id"), max_length=300, blank=True)
    name = models.CharField(_("name"), max_length=500, blank=True)
    outcome = models.CharField(_("result"), max_length=20)
    said = models.TextField(blank=True)  # the beginning of what was sent
    text = models.TextField(_("reason"), blank=True)  # msgid
    facts = models.JSONField(default=dict, blank=True)
    changes = models.JSONField(null=True, blank=True)  # of a preview: {field: [old, new]}, long texts cut (store/previews.py)
    compared = models.CharField(max_length=10, blank=True)  # with what: books | copy | sent; "": with nothing, all of it is new
    mark = models.CharField(max_length=32, blank=True)  # digest of what was shown as new, uncut
    skipped = models.BooleanField(default=False, db_default=False)  # a person decided so: store/previews.py

    class Meta:
        verbose_name, verbose_name_plural = _("result"), _("results")
        default_permissions = ()
        ordering = ("id",)
        indexes = [models.Index(fields=["record_id", "kind"], condition=Q(direction="out"), name="results_sent")]


class RecordChange(models.Model):
    """Hot table. History of one record: which run made which version, and what it changed ({field: [old, new]})."""

    record_kind = models.CharField(max_length=20)
    record_id = models.BigIntegerField()
    version = models.PositiveIntegerField()
    run = free("Run", null=True, db_index=False)
    at = models.DateTimeField()
    changes = BagField(null=True)  # None for the first version

    class Meta:
        verbose_name, verbose_name_plural = _("change"), _("history")
        indexes = [models.Index(fields=["record_kind", "record_id"], name="history_of_record")]


class Step(models.Model):
    """One step of an order or a payment on its way between systems, written in the transaction of what it tells: store/timeline.py.
    Kept as long as the journal. What is tried again and again is one row that counts."""

    class What(models.TextChoices):
        CAME = "came", _("came from")
        CHANGED = "changed", _("changed")
        OFFERED = "offered", _("offered")
        DELIVERED = "delivered", _("confirmed")
        SENT = "sent", _("sent")
        NOTHING = "nothing", _("nothing to send")
        REFUSED = "refused", _("could not be sent")

    at = models.DateTimeField(default=timezone.now)
    last = models.DateTimeField(null=True, blank=True)  # of one that came several times
    times = models.PositiveIntegerField(default=1)
    connection = models.ForeignKey(Connection, models.SET_NULL, null=True, blank=True)
    system = models.CharField(max_length=120, blank=True)  # its name then, for when the connection is gone
    record_kind = models.CharField(max_length=20)
    record_id = models.BigIntegerField()
    what = models.CharField(max_length=20, choices=What)
    revision = models.PositiveIntegerField(default=0)
    external_id = models.CharField(max_length=300, blank=True)
    run = free("Run", null=True, db_index=False)
    who = models.CharField(max_length=150, blank=True)
    text = models.TextField(blank=True)  # msgid: why it could not be sent
    facts = models.JSONField(default=dict, blank=True)

    class Meta:
        verbose_name, verbose_name_plural = _("step"), _("time line")
        default_permissions = ()
        indexes = [models.Index(fields=["record_kind", "record_id"], name="steps_of_record")]

    def __str__(self) -> str:
        return f"{self.what} {self.record_kind} {self.record_id}"


class Parked(models.Model):
    """A record set aside with the reason and its untouched input; one row per record however often it fails."""

    connection = models.ForeignKey(Connection, models.CASCADE, related_name="parked", verbose_name=_("connection"))
    kind = models.CharField(_("kind"), max_length=20, choices=KINDS)
    direction = models.CharField(_("direction"), max_length=3, default="in", choices=[("in", _("in")), ("out", _("out"))])
    external_id = models.CharField(_("their id"), max_length=300)
    payload = models.BinaryField(default=b"")  # the raw input, as it came
    where = models.CharField(_("where"), max_length=300, blank=True)  # "import0_1.xml:120"
    text = models.TextField(_("reason"))  # msgid
    facts = models.JSONField(default=dict, blank=True)
    waiting_kind = models.CharField(max_length=20, blank=True)  # MissingLink: what it waits for
    waiting_id = models.CharField(max_length=300, blank=True)
    reason = models.GeneratedField(  # groups records without reading their inputs: with it the index holds all that is asked
        expression=Left("text", 120), output_field=models.CharField(max_length=120), db_persist=True
    )
    awaited = models.GeneratedField(  # the value to be mapped: other records of one reason are one group, whatever they wait for
        expression=Case(When(waiting_kind="mapping", then=F("waiting_id")), default=Value("")),
        output_field=models.CharField(max_length=300),
        db_persist=True,
    )
    tries = models.PositiveIntegerField(_("tries"), default=1)
    first_at = models.DateTimeField(_("parked"), default=timezone.now)
    last_at = models.DateTimeField(_("last tried"), default=timezone.now)

    class Meta:
        verbose_name, verbose_name_plural = _("parked record"), _("parked records")
        ordering = ("-last_at", "-id")
        permissions = [("retry_parked", _("Retry parked records"))]
        constraints = [models.UniqueConstraint(fields=["connection", "direction", "kind", "external_id"], name="parked_once")]
        indexes = [
            models.Index(fields=["connection", "waiting_kind", "waiting_id"], name="parked_waiting"),
            WithMore(  # their id, because it tells whose a record is: groups of what a limited person sees are counted by it, too
                fields=["connection", "direction", "kind", "reason", "waiting_kind", "awaited", "first_at", "id"],
                more=["external_id"],
                name="parked_groups",
            ),
            models.Index(F("last_at").desc(), F("id").desc(), name="parked_latest"),
            NarrowCopy(
                F("last_at").desc(),
                F("id").desc(),
                "external_id",
                "connection",
                "kind",
                "direction",
                "reason",
                "waiting_kind",
                "waiting_id",
                "first_at",
                "where",
                "text",
                "facts",
                name="parked_searched",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.external_id}"


class JournalEntry(models.Model):
    """What was done, when, by whom; facts with secrets already masked."""

    at = models.DateTimeField(_("when"), default=timezone.now, db_index=True)
    who = models.CharField(_("who"), max_length=150, blank=True)
    connection = models.ForeignKey(Connection, models.SET_NULL, null=True, blank=True, verbose_name=_("connection"))
    action = models.CharField(_("what"), max_length=80)
    record_kind = models.CharField(max_length=20, blank=True)
    record_id = models.BigIntegerField(null=True, blank=True)
    facts = models.JSONField(default=dict, blank=True)

    class Meta:
        verbose_name, verbose_name_plural = _("journal entry"), _("journal")
        ordering = ("-id",)
        indexes = [models.Index(fields=["record_kind", "record_id"], name="journal_of_record")]

    def __str__(self) -> str:
        return self.action


class Message(models.Model):
    """One call of outside traffic: what was said and answered, masked; long bodies are kept as files on disk."""

    connection = models.ForeignKey(Connection, models.CASCADE, related_name="messages", verbose_name=_("connection"))
    at = models.DateTimeField(_("when"), default=timezone.now, db_index=True)
    direction = models.CharField(_("direction"), max_length=3, default="in")
    session = models.CharField(_("session"), max_length=64, blank=True)
    call = models.CharField(_("call"), max_length=500)  # "GET type=catalog&mode=init"
    status = models.PositiveSmallIntegerField(_("status"), default=200)
    answer = models.CharField(_("answer"), max_length=500, blank=True)  # first line of the answer
    bytes_in = models.PositiveBigIntegerField(default=0)
    bytes_out = models.PositiveBigIntegerField(default=0)
    milliseconds = models.PositiveIntegerField(default=0)
    remote = models.CharField(_("their address"), max_length=64, blank=True)
    file = models.CharField(max_length=500, blank=True)

    class Meta:
        verbose_name, verbose_name_plural = _("message"), _("messages")
        ordering = ("-id",)
        indexes = [
            models.Index(F("milliseconds").desc(), F("id").desc(), name="message_slow"),
            models.Index(F("id").desc(), condition=Q(status__gte=400) | Q(status=0), name="message_failed"),
        ]

    def __str__(self) -> str:
        return self.call


class RemoteReference(models.Model):
    """Their values, for the drop-downs of mappings."""

    connection = models.ForeignKey(Connection, models.CASCADE, related_name="remote_references", verbose_name=_("connection"))
    subject = models.CharField(max_length=40, choices=SUBJECTS)
    key = models.CharField(max_length=300)
    name = models.CharField(max_length=500, blank=True)
    attributes = models.JSONField(default=dict, blank=True)
    gone = models.BooleanField(default=False)
    position = models.IntegerField(default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["connection", "subject", "key"], name="one_remote_reference_per_key")]


class DoorSessionRow(models.Model):
    """One conversation of a system that calls us."""

    connection = models.ForeignKey(Connection, models.CASCADE, related_name="door_sessions", verbose_name=_("connection"))
    cookie = models.CharField(max_length=64, unique=True)
    user = models.CharField(max_length=150, blank=True)
    created = models.DateTimeField(default=timezone.now)
    last_call = models.DateTimeField(default=timezone.now, db_index=True)
    data = models.JSONField(default=dict, blank=True)


class Sweep(models.Model):
    """A full file's run: what was seen of one catalogue, so that absence can be judged at its end (design law 7)."""

    connection = models.ForeignKey(Connection, models.CASCADE, verbose_name=_("connection"))
    catalogue = models.CharField(max_length=200)
    kind = models.CharField(max_length=20)
    run_key = models.CharField(max_length=100)  # ДатаФормирования for UT and UNF, which is equal in all portions of a run
    whole = models.BooleanField(default=False)  # a portion said СодержитТолькоИзменения=false
    started = models.DateTimeField(default=timezone.now)
    last_portion = models.DateTimeField(default=timezone.now)
    finished = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["connection", "catalogue", "kind", "run_key"], name="one_sweep_per_run")]


class SweepSeen(models.Model):
    sweep = free("Sweep", db_index=False)
    link_id = models.BigIntegerField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["sweep", "link_id"], name="swept_once")]


# --- notices ---------------------------------------------------------------------------------------------------------------


class TroubleKind(models.TextChoices):
    RUN = "run", _("an exchange that failed or needs you")
    SILENCE = "silence", _("silence")
    PARKED = "parked", _("many parked records")
    LICENCE = "licence", _("licence of a format")
    DISK = "disk", _("a disk that is nearly full")


class Trouble(models.Model):
    """What needs a person, for as long as it does and some weeks after (work/watch.py finds it, work/notices.py tells it)."""

    key = models.CharField(max_length=200, unique=True)  # "silence:7"
    kind = models.CharField(_("kind"), max_length=20, choices=TroubleKind)
    connection = models.ForeignKey(Connection, models.CASCADE, null=True, blank=True, related_name="troubles")
    run = models.BigIntegerField(null=True)
    text = models.TextField()  # msgid
    facts = models.JSONField(default=dict, blank=True)
    since = models.DateTimeField(_("since"))
    forgotten = models.DateTimeField(null=True)  # not seen any more after this moment, it is not over but no news any more
    told = models.DateTimeField(null=True)
    again = models.DateTimeField(null=True)  # not told before this moment; None: as soon as there is somebody to tell
    over = models.DateTimeField(_("over"), null=True, db_index=True)

    class Meta:
        verbose_name, verbose_name_plural = _("trouble"), _("troubles")
        default_permissions = ()
        ordering = ("-since", "-id")

    def __str__(self) -> str:
        return self.key


class NoticeChannel(models.Model):
    """A way by which people are told of trouble, and of which. Written by store/notices.py."""

    class Way(models.TextChoices):
        EMAIL = "email", _("e-mail")
        TELEGRAM = "telegram", _("Telegram")
        WEBHOOK = "webhook", _("webhook")

    name = models.CharField(_("name"), max_length=120, unique=True)
    way = models.CharField(_("way"), max_length=20, choices=Way)
    enabled = models.BooleanField(_("switched on"), default=True)
    settings = models.JSONField(default=dict, blank=True)
    secrets = SecretJSONField(default=dict, blank=True)
    wants = models.JSONField(default=list)  # TroubleKind, and "over": that it is fine again
    everywhere = models.BooleanField(_("all connections"), default=True)  # else those of ``connections``
    connections = models.ManyToManyField(Connection, blank=True, related_name="+", verbose_name=_("connections"))
    language = models.CharField(_("language"), max_length=5, choices=hub.LANGUAGES, default="uk")
    time_zone = models.CharField(_("time zone"), max_length=60, default="Europe/Kyiv")
    quiet_from = models.TimeField(_("quiet from"), null=True, blank=True)
    quiet_to = models.TimeField(_("quiet to"), null=True, blank=True)
    through = models.BooleanField(default=False)  # what needs a person at once is told in the quiet hours, too
    address = models.CharField(max_length=300, blank=True)  # of the hub, for links; "": OBMEN_PUBLIC_URL
    created = models.DateTimeField(default=timezone.now)
    taken = models.DateTimeField(null=True)  # when it last took something
    text = models.TextField(blank=True)  # msgid: why it last did not; "" when it did
    facts = models.JSONField(default=dict, blank=True)
    worker = models.CharField(max_length=100, blank=True)  # who is sending by it now …
    lease_until = models.DateTimeField(null=True)  # … and until when nobody else does

    class Meta:
        verbose_name, verbose_name_plural = _("notice channel"), _("notice channels")
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name


class Notice(models.Model):
    """One piece of news for one channel. This table is also the queue: what waits is sent when it is due."""

    class State(models.TextChoices):
        WAITING = "waiting", _("waiting")
        SENT = "sent", _("sent")
        FAILED = "failed", _("not sent")
        DROPPED = "dropped", _("dropped")

    class News(models.TextChoices):
        TROUBLE = "trouble", _("trouble")
        STILL = "still", _("not over yet")
        OVER = "over", _("fine again")
        TEST = "test", _("test")

    channel = models.ForeignKey(NoticeChannel, models.CASCADE, related_name="notices", verbose_name=_("channel"))
    trouble = models.ForeignKey(Trouble, models.SET_NULL, null=True, related_name="notices")
    kind = models.CharField(_("kind"), max_length=20, choices=TroubleKind, blank=True)  # "" for a test
    news = models.CharField(_("news"), max_length=10, choices=News)
    connection = models.ForeignKey(Connection, models.SET_NULL, null=True, blank=True, verbose_name=_("connection"))
    run = models.BigIntegerField(null=True)
    text = models.TextField()  # msgid
    facts = models.JSONField(default=dict, blank=True)
    at = models.DateTimeField(_("when"), default=timezone.now, db_index=True)
    due = models.DateTimeField(default=timezone.now)
    state = models.CharField(_("state"), max_length=10, choices=State, default=State.WAITING)
    tries = models.PositiveIntegerField(_("tries"), default=0)
    sent = models.DateTimeField(_("sent"), null=True, blank=True)
    answer = models.TextField(_("answer"), blank=True)  # theirs, or the msgid of what went wrong
    answer_facts = models.JSONField(default=dict, blank=True)

    class Meta:
        verbose_name, verbose_name_plural = _("notice"), _("notices")
        default_permissions = ("view",)
        ordering = ("-id",)
        indexes = [models.Index(fields=["due"], condition=Q(state="waiting"), name="notice_queue")]

    def __str__(self) -> str:
        return f"#{self.pk} {self.channel}"


# --- people ----------------------------------------------------------------------------------------------------------------


class Person(models.Model):
    """What the hub knows of a user besides Django: whose orders they see. No row, or no company named: everybody's."""

    user = models.OneToOneField(User, models.CASCADE, primary_key=True, related_name="person")
    companies = models.JSONField(_("companies"), default=list, blank=True)  # values of Order.company

    class Meta:
        verbose_name, verbose_name_plural = _("person"), _("people")
        default_permissions = ()


class RoleRule(models.Model):
    """What a role asks of its people."""

    role = models.OneToOneField("auth.Group", models.CASCADE, primary_key=True, related_name="rule")
    second_factor = models.BooleanField(_("second factor"), default=False)

    class Meta:
        verbose_name, verbose_name_plural = _("rule of a role"), _("rules of roles")
        default_permissions = ()


class SecondFactor(models.Model):
    """The authenticator of one person: store/people.py. A row is there once a first code of it was right."""

    user = models.OneToOneField(User, models.CASCADE, primary_key=True, related_name="second_factor")
    secret = SecretJSONField()  # {"key": hexadecimal}
    since = models.DateTimeField(default=timezone.now)
    last_step = models.BigIntegerField(default=-1)  # of 30 s since 1970: a code is taken once, and none older than the newest
    codes = models.JSONField(default=list)  # recovery codes that are left, each a keyed digest
    failures = models.PositiveIntegerField(default=0)  # in a row
    failed = models.DateTimeField(null=True)

    class Meta:
        verbose_name, verbose_name_plural = _("second factor"), _("second factors")
        default_permissions = ()


class SignIn(models.Model):
    """One browser in which somebody is signed in; the session itself is Django's."""

    user = models.ForeignKey(User, models.CASCADE, related_name="sign_ins")
    session_key = models.CharField(max_length=40, unique=True)
    since = models.DateTimeField(default=timezone.now)
    seen = models.DateTimeField(default=timezone.now, db_index=True)
    address = models.CharField(max_length=64, blank=True)
    device = models.CharField(max_length=300, blank=True)  # what the browser calls itself

    class Meta:
        verbose_name, verbose_name_plural = _("sign-in"), _("sign-ins")
        default_permissions = ()
        ordering = ("-seen", "-pk")


class ApiToken(models.Model):
    """What a program shows to the API instead of a person's password: store/tokens.py. The secret itself is kept nowhere."""

    user = models.ForeignKey(User, models.CASCADE, related_name="api_tokens", verbose_name=_("account"))
    name = models.CharField(_("name"), max_length=100)
    shown = models.CharField(max_length=20)  # its beginning, by which a person tells tokens apart
    digest = models.CharField(max_length=64, unique=True)  # SHA-256 of the whole, hexadecimal
    scopes = models.JSONField(_("may"), default=list)
    for_machine = models.BooleanField(default=False)  # made for an account that cannot sign in to the pages
    made = models.DateTimeField(_("made"), default=timezone.now)
    made_by = models.CharField(max_length=150, blank=True)
    expires = models.DateTimeField(_("works until"), null=True, blank=True)
    last_used = models.DateTimeField(_("last used"), null=True, blank=True)
    last_address = models.CharField(max_length=64, blank=True)
    revoked = models.DateTimeField(_("revoked"), null=True, blank=True)
    revoked_by = models.CharField(max_length=150, blank=True)

    class Meta:
        verbose_name, verbose_name_plural = _("API token"), _("API tokens")
        default_permissions = ()
        ordering = ("-id",)

    def __str__(self) -> str:
        return self.name


# --- format packages -------------------------------------------------------------------------------------------------------


class Publisher(models.Model):
    """A publisher whose signature is believed. No permissions of its own: who manages formats manages these."""

    fingerprint = models.CharField(max_length=64, unique=True)  # SHA-256 of the public key, hexadecimal
    public = models.CharField(max_length=64)  # the public key in base64
    name = models.CharField(_("name"), max_length=200, blank=True)
    added = models.DateTimeField(_("added"), default=timezone.now)
    who = models.CharField(max_length=150, blank=True)

    class Meta:
        verbose_name, verbose_name_plural = _("publisher"), _("publishers")
        default_permissions = ()
        ordering = ("name", "id")

    def __str__(self) -> str:
        return self.name or self.fingerprint[:8]


class FormatPackage(models.Model):
    """A format package as it was accepted, and its licence. ``body`` is the last accepted file also of one that is followed on
    disk, so that a broken replacement there leaves the old one at work, and other machines see it."""

    key = models.CharField(_("key"), max_length=50, unique=True)
    kind = models.CharField(max_length=20)  # connector | profile
    connector = models.CharField(
        max_length=50, db_index=True
    )  # its own key, or the key of the connector that it has profiles for
    profiles = models.JSONField(default=list)  # names of the profiles that it brings
    version = models.CharField(_("version"), max_length=40)
    title = models.CharField(_("name"), max_length=300)
    publisher = models.CharField(_("publisher"), max_length=300)  # as the package says; who signed it says the fingerprint
    fingerprint = models.CharField(max_length=64)
    news = models.JSONField(default=dict, blank=True)
    body = models.BinaryField()
    digest = models.CharField(max_length=64)  # SHA-256 of its manifest
    path = models.CharField(_("file"), max_length=500, blank=True)  # where it is followed on disk; "": only here
    seen = models.CharField(max_length=60, blank=True)  # size and time of the file on disk when it was last looked at
    text = models.TextField(blank=True)  # why the file on disk was not taken
    facts = models.JSONField(default=dict, blank=True)
    added = models.DateTimeField(_("added"), default=timezone.now)
    who = models.CharField(max_length=150, blank=True)
    licensed = models.BooleanField(default=False)
    licence_server = models.CharField(max_length=320, blank=True)
    licence = SecretJSONField(blank=True, default=dict)  # {"login", "key"}
    refused = models.TextField(blank=True)  # what the publisher's server said when it refused the licence; "": it did not
    asked = models.DateTimeField(null=True, blank=True)  # when the server was last asked, whether or not it answered

    class Meta:
        verbose_name, verbose_name_plural = _("exchange format"), _("exchange formats")
        default_permissions = ()
        permissions = [("manage_formats", _("install exchange formats and enter their licences"))]
        ordering = ("title", "id")

    def __str__(self) -> str:
        return self.title
