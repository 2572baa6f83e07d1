"""What the API answers and takes. Amounts are texts of digits, so that no program rounds them; moments are UTC."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Generic, Literal, TypeVar

from ninja import Field, Schema
from pydantic import ConfigDict, PlainSerializer, StringConstraints

from obmen.core.records import decimal_text
from obmen.store import models
from obmen.web.api.paging import BIGGEST, Moment, Text

Amount = Annotated[Decimal, PlainSerializer(decimal_text, return_type=str)]
Key = Annotated[str, StringConstraints(max_length=200, pattern=r"^[^\x00]*$")]
Long = Annotated[str, StringConstraints(max_length=4000, pattern=r"^[^\x00]*$")]
Clock = Annotated[str, StringConstraints(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]  # 22:00, in the connection's time zone
RowId = Annotated[int, Field(ge=1, le=BIGGEST)]
T = TypeVar("T")


class Said(Schema):
    """A body: a field that it does not know is an error, not a wish that nobody hears."""

    model_config = ConfigDict(extra="forbid")


class Page(Schema, Generic[T]):
    items: list[T]
    next: str | None = Field(None, description="Cursor of the next page; null on the last one")


class Named(Schema):
    id: int
    name: str


class Keyed(Schema):
    key: str
    name: str


def named(row: Any) -> Named | None:
    return Named(id=row.pk, name=str(row)) if row is not None else None


# --- who asks --------------------------------------------------------------------------------------------------------------


class Me(Schema):
    """Whose token this is and what it may."""

    login: str
    token: str
    scopes: list[str]
    permissions: list[str] = Field(description="What its person may; of these, the scopes let through what belongs to them")
    companies: list[str] = Field(description="Only orders of these companies are shown; empty: all")
    expires: datetime | None
    version: str = Field(description="Of the hub")


# --- exchange --------------------------------------------------------------------------------------------------------------


class Connection(Schema):
    id: int
    name: str
    address_name: str = Field(description="As it stands in addresses of the hub")
    connector: str
    profile: str
    enabled: bool
    paused_until: datetime | None
    paused_text: str
    time_zone: str
    language: str
    last_call: datetime | None = Field(description="When its system called us last")
    checked: datetime | None = Field(description="When a check passed last; null after a change of access")
    checked_as: str


def connection(row: models.Connection) -> dict[str, Any]:
    return {
        "id": row.pk,
        "name": row.name,
        "address_name": row.slug,
        "connector": row.connector,
        "profile": row.profile,
        "enabled": row.enabled,
        "paused_until": row.paused_until if row.is_paused else None,
        "paused_text": row.paused_text if row.is_paused else "",
        "time_zone": row.time_zone,
        "language": row.language,
        "last_call": row.last_call,
        "checked": row.checked,
        "checked_as": row.check_text,
    }


class Condition(Connection):
    """A connection and how it is doing."""

    tone: str = Field(description="success, info, primary, warning, danger; empty: switched off")
    state: str = Field(description="In words")
    detail: str
    last_run: int | None
    last_ended: datetime | None
    next_run: datetime | None
    parked: int
    waiting: int = Field(description="Records that wait to be sent")


class Overview(Schema):
    connections: list[Condition]
    trouble: int = Field(description="Connections that need their owner")
    parked: int
    waiting: int
    running: int


class Switch(Said):
    enabled: bool


class Pause(Said):
    until: Moment | None = Field(None, description="null ends the pause")
    reason: Text = ""


class Checked(Schema):
    connected_as: str


class Setting(Schema):
    name: str
    label: str
    help: str
    kind: str
    value: Any = Field(None, description="null for a secret, which is never given out")
    is_set: bool = Field(description="Of a secret: whether there is one")
    choices: list[Keyed]


class Settings(Schema):
    profile: str
    settings: list[Setting]


class SettingsChange(Said):
    settings: dict[str, Any] = Field(
        description="What is not named stays; null goes back to the profile's default; an empty text clears a secret",
        max_length=500,
    )


class Changed(Schema):
    changed: list[str]


class Stream(Schema):
    stream: str
    title: str
    enabled: bool
    schedule: str
    quiet_from: Clock | None
    quiet_to: Clock | None
    next_run: datetime | None
    guard: int | None = Field(description="Percent of the goods that a run may change; null: all")
    bookmark: str | None = Field(description="Where it goes on, in words; null: none that could be set by hand")


class StreamChange(Said):
    enabled: bool | None = None
    schedule: Annotated[str, StringConstraints(max_length=120, pattern=r"^[^\x00]*$")] | None = Field(
        None, description="“every 15 min”, “at 03:00”, cron text; empty: only by hand"
    )
    quiet_from: Clock | None = Field(None, description="Nothing begins by itself from then …")
    quiet_to: Clock | None = Field(None, description="… until then; both null end the quiet hours")

    guard: Annotated[int, Field(ge=1, le=100)] | None = Field(
        None, description="Percent of the goods that a run may change before it stops and asks; null: all"
    )


class Bookmark(Schema):
    stream: str
    bookmark: str = Field(description="As the other system counts; empty with `changed`: a moment that was set by hand")
    changed: datetime | None


class BookmarkChange(Said):
    bookmark: Text = Field("", description="As GET shows it; empty: from “moment”")
    moment: Moment | None = None
    confirm: bool = Field(False, description="true: do it; else the answer is 409, and “detail” says what it would do")


class Mapping(Schema):
    id: int
    subject: str
    theirs: str
    theirs_name: str
    ours: str = Field(description="Key of a reference; empty: not mapped yet")
    inbound: bool
    outbound: bool
    taken: bool
    decided: bool
    seen: int


def mapping(row: models.Mapping) -> dict[str, Any]:
    return {
        "id": row.pk,
        "subject": row.subject,
        "theirs": row.theirs,
        "theirs_name": row.theirs_name,
        "ours": row.ours,
        "inbound": row.inbound,
        "outbound": row.outbound,
        "taken": row.taken,
        "decided": not row.reported,
        "seen": row.seen_count,
    }


class MappingRow(Said):
    theirs: Annotated[str, StringConstraints(min_length=1, max_length=300, pattern=r"^[^\x00]+$")]
    ours: Key = Field(description="Key of a reference of this subject")
    taken: bool = Field(True, description="false: records with this value are left out")


class MappingsChange(Said):
    rows: list[MappingRow] = Field(min_length=1, max_length=500)


class Mapped(Schema):
    changed: list[str]
    retried: list[int] = Field(description="Runs that try again what waited for these values")


class RunStart(Said):
    streams: list[Text] | None = Field(None, max_length=50, description="null: all that are switched on")
    preview: bool = Field(False, description="Only look: nothing is written anywhere")
    only: list[Text] | None = Field(None, min_length=1, max_length=100, description="Only these records, by their ids")
    since: Moment | None = Field(None, description="What has changed there since then, whatever the bookmark says")
    go_on: bool = Field(False, description="With `since`: later runs go on from it, too: the bookmark is set")
    goods: list[RowId] | None = Field(None, min_length=1, max_length=5000, description="Send only these products, by our ids")
    articles: list[Text] | None = Field(
        None,
        min_length=1,
        max_length=2000,
        description="Send only these, by article, code, barcode or key; each has to be one product",
    )
    each: bool = Field(False, description="Keep what becomes of each record for `GET …/results`, as runs by hand do")


class Run(Schema):
    id: int
    connection: Named
    streams: list[str]
    preview: bool
    trigger: str = Field(description="schedule, person, door, cli, retry")
    asked_by: str
    state: Literal["waiting", "running", "done", "failed", "needs_owner", "postponed", "stopped"]
    is_over: bool
    percent: int
    asked: datetime
    due: datetime
    started: datetime | None
    ended: datetime | None
    attempts: int
    counts: dict[str, int]
    message: str


class Line(Schema):
    id: int
    at: datetime
    level: str
    message: str
    count: int


class Result(Schema):
    id: int
    direction: str
    stream: str
    kind: str
    record_id: int | None
    their_id: str
    name: str
    outcome: str
    said: str = Field(description="The beginning of what was sent")
    changes: dict[str, Any] | None = Field(description="Of a preview: {field: [old, new]}, long texts cut")
    decidable: bool = Field(description="Of a preview: it can be skipped or accepted")
    skipped: bool = Field(description="A person decided to leave it out")
    message: str


class Parked(Schema):
    id: int
    connection: Named
    kind: str
    direction: str
    their_id: str
    name: str
    reason: str
    code: str = Field(description="The reason without its facts, in English: what groups are made by")
    where: str
    waits_for: str = Field(description="kind:id of what it waits for; empty: for a person")
    tries: int
    parked: datetime
    last_tried: datetime


class ParkedGroup(Schema):
    connection: Named
    kind: str
    direction: str
    code: str
    reason: str = Field(description="With “…” for what differs")
    count: int
    oldest: datetime

    waits_for: str = Field(description="What a group waits for to be mapped: kind:id; empty: nothing of the kind")
    remedy: str = Field(description="map, wait, decide, confirm, look: what puts all of them right")
    subject: str = Field(description="Of a mapping: what is to be mapped …")
    value: str = Field(description="… and their value")
    value_name: str
    suggestion: str = Field(description="Key of our value that has the same name; empty: none")


class ParkedMap(Said):
    """What a value of theirs is here."""

    connection: RowId
    subject: Key
    value: Annotated[str, StringConstraints(min_length=1, max_length=300, pattern=r"^[^\x00]+$")]
    ours: Key = Field(min_length=1, description="Key or name of our value")
    add: bool = Field(False, description="true: a name that the books lack becomes a value of theirs")


class ParkedMapped(Schema):
    count: int = Field(description="Records that waited for it")
    runs: list[int]


class Candidate(Schema):
    id: int
    name: str
    key: str
    known: dict[str, str]
    linked_as: str = Field(description="What this connection calls the card already; empty: nothing")
    gone: bool


class Join(Said):
    card: RowId
    confirm: bool = Field(False, description="Needed when the card is another record of theirs already")


class ParkedChoice(Said):
    """Which parked records: all that fit everything that is said."""

    connection: RowId | None = None
    kind: Key | None = None
    direction: Literal["in", "out"] | None = None
    code: Long | None = None
    waits_for: Text | None = Field(None, description="As groups say it")
    ids: list[RowId] | None = Field(None, min_length=1, max_length=1000)


class Retry(ParkedChoice):
    count: int | None = Field(
        None, ge=0, le=BIGGEST, description="How many you expect; if it is another number, nothing is tried"
    )


class Retried(Schema):
    count: int
    runs: list[int]


class JournalEntry(Schema):
    id: int
    at: datetime
    who: str
    connection: Named | None
    action: str
    text: str
    record_kind: str
    record_id: int | None


class Confirm(Said):
    confirm: bool = Field(False, description="true: do it; else the answer is 409, and “detail” says what it would do")


# --- setting up ------------------------------------------------------------------------------------------------------------

Name = Annotated[str, StringConstraints(min_length=1, max_length=120, pattern=r"^[^\x00]*$")]


class Kind(Schema):
    """What can be connected."""

    connector: str
    title: str
    calls_out: bool = Field(description="false: its system calls us, with a login of its own")
    profiles: list[Keyed]


class ConnectionNew(Said):
    connector: Key
    profile: Key = ""
    name: Name
    settings: dict[str, Any] = Field({}, description="As `PATCH …/settings` takes them", max_length=500)
    language: Key | None = Field(None, description="Of answers to its system; null: that of the hub")
    time_zone: Key | None = Field(None, description="null: that of the hub")
    login: Key | None = Field(None, description="Of an employee with “Import CommerceML”; null: one of its own is made")


class ConnectionChange(Said):
    name: Name | None = None
    language: Key | None = None
    time_zone: Key | None = None


class ConnectionCopy(Said):
    name: Name


class Login(Said):
    login: Key | None = Field(description="Of an employee with “Import CommerceML”; null: one of its own, with a new password")


class Credentials(Schema):
    """With what its system calls us."""

    connection: Named
    address: str = Field(description="Empty: we call it")
    login: str
    password: str | None = Field(description="Shown this once; null: nothing was made, or it is an employee's own")


class Address(Schema):
    """An address that lets whoever knows it in: keep it like a password."""

    address: str


class Feed(Schema):
    id: int
    name: str
    made: datetime | None = Field(description="What is served now; null: nothing yet")
    fetched: datetime | None
    size: int
    message: str = Field(description="Why it could not be made anew; empty: it could")


class Rule(Said):
    kind: Literal["product", "offer", "counterparty", "group"]
    attribute: Key
    priority: int = Field(1, ge=1, le=1000)


class Rules(Said):
    rules: list[Rule] = Field(max_length=200)


class Default(Schema):
    id: str
    what: str
    now: str
    proposed: str
    yours: bool = Field(description="A person has set it so")
    lacking: str = Field(description="A value that the books lack: it cannot be taken over")


class Take(Said):
    take: list[Long] = Field(min_length=1, max_length=1000, description="Ids, as GET gives them")


class Export(Said):
    passphrase: Text | None = Field(None, description="null: without secrets; else they are encrypted by it")


class File(Schema):
    name: str
    text: str


class Restore(Said):
    text: Annotated[str, StringConstraints(max_length=5_000_000, pattern=r"^[^\x00]*$")]
    passphrase: Text | None = None
    apply: bool = Field(False, description="false: only say what would change")


class Difference(Schema):
    what: str
    old: str
    new: str


class Restored(Schema):
    applied: bool
    changes: list[Difference]


class Limits(Schema):
    silent_after: int | None = Field(description="Hours without an exchange; null: by itself, 0: never")
    parked_limit: int = Field(description="Parked records from which it is trouble; 0: never")


class LimitsChange(Said):
    silent_after: int | None = Field(None, ge=0, le=8760)
    parked_limit: int | None = Field(None, ge=0, le=1_000_000)


class ReferenceNew(Said):
    subject: Key
    name: Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00]*\S[^\x00]*$")]


# --- mapping tables --------------------------------------------------------------------------------------------------------


class Step(Schema):
    """A save that can be taken back."""

    id: int
    at: datetime
    who: str
    rows: int


class Table(Schema):
    table: str = Field(description="As it stands in addresses: subject and direction")
    subject: str
    direction: str
    title: str
    mapped: int
    values: int
    last_save: Step | None = Field(description="What would be taken back")
    taken_back: Step | None = Field(description="What could be made once more")


class Undo(Said):
    step: RowId = Field(description="Which save is meant, as the list of tables says it: another one is left alone")


class Undone(Schema):
    values: int


class TableFile(Said):
    text: Annotated[str, StringConstraints(max_length=1_000_000, pattern=r"^[^\x00]*$")] = Field(
        description="CSV as GET gives it"
    )
    apply: bool = Field(False, description="false: only say what would change")


class TableLine(Schema):
    line: int
    name: str
    new: bool
    changes: list[Difference]


class TableProblem(Schema):
    line: int
    message: str


class TableTaken(Schema):
    applied: bool
    same: int = Field(description="Lines that change nothing")
    changes: list[TableLine]
    problems: list[TableProblem] = Field(description="Lines that cannot be taken; the others can")
    retried: list[int] = Field(description="Runs that try again what waited for these values")


class TableLoad(Said):
    start_over: bool = Field(False, description="true: clear the table first; needs `confirm`")
    confirm: bool = False


class TableLoaded(Schema):
    new: int
    kept: int
    gone: int


# --- previews, traffic -----------------------------------------------------------------------------------------------------


class Decided(Schema):
    who: str
    at: datetime
    skipped: int
    run: int | None = Field(description="The run that carries it out")


class Preview(Schema):
    run: int
    is_over: bool
    outcomes: dict[str, int]
    fields: dict[str, int] = Field(description="How many records would change it")
    more: int = Field(description="Records that are only counted: no more of them are kept")
    accepted: int
    skipped: int
    decided: Decided | None


class Decision(Said):
    """Which records: all that fit everything that is said; nothing said means all."""

    skip: bool = Field(description="true: leave them out; false: accept them again")
    ids: list[RowId] | None = Field(None, min_length=1, max_length=1000, description="Of `GET …/results`")
    q: Text | None = Field(None, description="In names and ids")
    outcome: Key | None = None
    field: Key | None = Field(None, description="Only those that change this field")


class Made(Preview):
    changed: int = Field(description="Records that were not so before")


class CarryOut(Said):
    accepted: int | None = Field(
        None, ge=0, le=BIGGEST, description="How many you expect to be accepted; if it is another number, nothing is done"
    )


class Message(Schema):
    id: int
    at: datetime
    connection: Named
    direction: str
    call: str
    status: int
    answer: str = Field(description="Its first line")
    milliseconds: int
    remote: str


# --- notices ---------------------------------------------------------------------------------------------------------------


class Channel(Schema):
    id: int
    name: str
    way: Literal["email", "telegram", "webhook"]
    enabled: bool
    wants: list[str]
    connections: list[Named] | None = Field(description="null: all, new ones too")
    language: str
    time_zone: str
    quiet_from: Clock | None
    quiet_to: Clock | None
    through: bool = Field(description="A failed exchange is told in the quiet hours, too")
    address: str = Field(description="Links in notices begin with it")
    settings: dict[str, Any] = Field(description="Where to; secrets are never given out")
    trouble: str = Field(description="Why it last could not send; empty: it could")


class ChannelMade(Channel):
    secret: str | None = Field(description="Of the signature of a webhook, if the hub has made it now: shown this once")


class ChannelChange(Said):
    name: Name | None = None
    enabled: bool | None = None
    wants: list[Key] | None = Field(None, max_length=20)
    connections: list[RowId] | None = Field(None, max_length=1000, description="null: all, new ones too")
    language: Key | None = None
    time_zone: Key | None = None
    quiet_from: Clock | None = None
    quiet_to: Clock | None = None
    through: bool | None = None
    address: Text | None = None
    settings: dict[Key, Long | int | list[Long] | None] | None = Field(
        None,
        max_length=20,
        description=(
            "Of e-mail: to (a list), host, security, port, sender, login, password; of Telegram: chat, token, api; of a webhook: target, "
            "secret_value. A secret that is not named stays"
        ),
    )


class ChannelNew(ChannelChange):
    way: Literal["email", "telegram", "webhook"]
    name: Name


class Tested(Schema):
    sent: bool
    answer: str = Field(description="What the other side said, or why it could not be sent")


class Notice(Schema):
    id: int
    at: datetime
    channel: Named
    connection: Named | None
    kind: str
    news: str
    title: str
    detail: str
    state: str
    sent: datetime | None
    tries: int
    answer: str


# --- books -----------------------------------------------------------------------------------------------------------------


class Reference(Schema):
    id: int
    subject: str
    key: str
    name: str
    deleted: bool


class Link(Schema):
    connection: Named
    their_id: str
    gone: bool


class Waiting(Schema):
    connection: Named
    revision: int
    since: datetime


class OrderLine(Schema):
    position: int
    kind: str
    offer: str = Field(description="Key of the offer as the order says it")
    article: str
    name: str
    quantity: Amount
    unit: str
    price: Amount
    discount: Amount
    total: Amount
    vat_rate: str


class Payment(Schema):
    id: int
    key: str
    number: str
    date: datetime | None
    amount: Amount
    currency: str
    method: str
    paid: bool
    refund: bool


class Shipment(Schema):
    id: int
    key: str
    number: str
    date: datetime | None
    shipped: bool
    tracking: str
    method: str


class Order(Schema):
    id: int
    key: str
    number: str
    date: datetime
    state: Keyed
    currency: str
    total: Amount
    discount: Amount
    counterparty: Named | None
    buyer: dict[str, Any] = Field(description="As this order says it")
    comment: str
    company: str
    site: str
    manager: str
    organisation: str
    warehouse: str
    cancelled: bool
    cancel_reason: str
    paid: bool | None
    shipped: bool | None
    deleted: bool
    held: bool = Field(description="On hold: nobody is told of it")
    source: Named | None = Field(description="The connection by which it came")
    revision: int
    created: datetime
    changed: datetime


class WholeOrder(Order):
    delivery: dict[str, Any] | None
    lines: list[OrderLine]
    payments: list[Payment]
    shipments: list[Shipment]
    tracking: str = Field(description="Tracking number of the delivery, else of the newest shipment that has one")
    requisites: list[tuple[str, str]]
    links: list[Link]
    waiting: list[Waiting] = Field(description="Connections that still have to be told")


class OrderChange(Said):
    """What a person may change on an order; the rest belongs to the systems that exchange it."""

    state: Key | None = Field(None, description="Key of a reference of the subject order_state")
    comment: Long | None = None
    tracking: Key | None = Field(None, description="Tracking number; empty takes it away")


class Hold(Said):
    held: bool
    reason: Text = ""


class Resend(Said):
    connections: list[RowId] | None = Field(None, max_length=100, description="null: all that are told of this order")


class Resent(Schema):
    told: list[Named]
    runs: list[int] = Field(description="Runs that send it now; systems that call us get it with their next call")


class Price(Schema):
    kind: Keyed
    value: Amount
    currency: str
    from_quantity: Amount


class Stock(Schema):
    warehouse: Keyed = Field(description="An empty key is a total that names no warehouse")
    quantity: Amount


class Offer(Schema):
    id: int
    key: str
    name: str
    article: str
    barcode: str
    unit: str
    characteristics: list[tuple[str, str]]
    deleted: bool
    version: int
    prices: list[Price]
    stock: list[Stock]


class OfferOfProduct(Offer):
    product: Named


class WholeOffer(OfferOfProduct):
    reserved: Amount = Field(description="Sold by orders that the accounting system does not know of yet")
    links: list[Link]


class Product(Schema):
    id: int
    key: str
    name: str
    article: str
    code: str
    barcode: str
    unit: str
    vat_rate: str
    manufacturer: str
    group: Named | None
    deleted: bool
    version: int
    offers: list[Offer]


class WholeProduct(Product):
    full_name: str
    description: str
    country: str
    weight: Amount | None
    properties: list[tuple[str, list[str]]] = Field(description="Key of the property and its values")
    requisites: list[tuple[str, str]]
    pictures: list[str]
    links: list[Link]


class Counterparty(Schema):
    id: int
    key: str
    name: str
    kind: str
    full_name: str
    phone: str
    email: str
    inn: str
    kpp: str
    okpo: str
    deleted: bool
    version: int


class WholeCounterparty(Counterparty):
    last_name: str
    first_name: str
    middle_name: str
    address: str
    legal_address: str
    contacts: list[tuple[str, str]]
    orders: int
    links: list[Link]
