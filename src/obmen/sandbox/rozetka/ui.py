"""Pages for a person at ``/cabinet``: buy, pay and cancel as a buyer, move orders as the carrier, confirm prices as the manager."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from itertools import islice
from typing import TYPE_CHECKING

from obmen.sandbox import pages
from obmen.sandbox.pages import ROWS, field, form, select, table
from obmen.sandbox.rozetka import statuses
from obmen.sandbox.rozetka.goods import fetch
from obmen.sandbox.rozetka.state import PAYMENT_STATUSES, Item, Order, moment
from obmen.sandbox.stand import Answer, Request, dumps
from obmen.sandbox.yml import Unreadable

if TYPE_CHECKING:
    from obmen.sandbox.rozetka.account import Rozetka

TOP = "/cabinet"
LINKS = ((TOP, "Orders"), (f"{TOP}/goods", "Goods"), (f"{TOP}/requests", "Requests"))
EVERYTHING = (
    "user", "delivery", "purchases", "status_available", "status_data", "payment", "payment_type", "payment_type_name",
    "status_payment", "order_status_history",
)  # fmt: skip


def answer(seller: Rozetka, request: Request) -> Answer:
    """Pages by GET; a POST does something and leads back, or says on a page of its own why it did not."""
    path = request.path.rstrip("/").removeprefix(TOP) or "/"
    if request.method == "POST":
        try:
            return pages.there(TOP + _do(seller, path, request.form))
        except (LookupError, ValueError, ArithmeticError, OSError, Unreadable) as error:
            return _page(seller, pages.said(error), 400)
    number = path.rpartition("/")[2]
    with seller.lock:
        if path in _PAGES:
            return _page(seller, _PAGES[path](seller, request.params))
        if path.startswith("/orders/") and number.isdigit() and int(number) in seller.orders:
            return _page(seller, _order(seller, seller.orders[int(number)]))
    return _page(seller, "<p>There is no such page.</p>", 404)


def _do(seller: Rozetka, path: str, sent: dict[str, str]) -> str:
    """Does it and returns where to go next."""
    match path.strip("/").split("/"):
        case ["orders", "create"]:
            order = seller.buy(
                [(sent["item"], int(sent.get("quantity") or 1))],
                phone=sent.get("phone", ""),
                first_name=sent.get("first_name", ""),
                last_name=sent.get("last_name", ""),
                email=sent.get("email", ""),
                service=int(sent["service"]),
                city=int(sent["city"]),
                place=sent.get("place", ""),
                payment=int(sent["payment"]),
                comment=sent.get("comment", ""),
            )
            return f"/orders/{order.id}"
        case ["orders", number, "cancel"]:
            seller.cancel(int(number))
        case ["orders", number, "pay"]:
            seller.pay(int(number))
        case ["orders", number, "status"]:
            seller.set_status(int(number), int(sent["status"]))
        case ["goods", number, "confirm"]:
            with seller.lock:
                seller.goods.confirm(int(number), sent.get("take") != "no")
            return "/goods"
        case ["goods", "sync"]:
            raw = fetch(sent["url"])
            with seller.lock:
                seller.goods.link = sent["url"]
                seller.goods.load(raw)
            return "/goods"
        case ["faults", "plan"]:
            pages.plan_fault(seller, sent)
            return "/requests"
        case ["faults", "clear"]:
            seller.faults.planned.clear()
            return "/requests"
        case _:
            raise LookupError(path)
    return f"/orders/{number}"


def _page(seller: Rozetka, body: str, status: int = 200) -> Answer:
    about = f"API at <code>/</code>, login <code>{escape(seller.login)}</code>, time zone {escape(seller.settings.zone)}"
    return pages.page(seller, LINKS, about, body, status)


def _orders(seller: Rozetka, _query: dict[str, str]) -> str:
    on_sale = islice((item for item in seller.goods.items.values() if item.on_sale), 200)
    sold = [(str(item.item_id), f"{item.name}, {item.price} ({item.stock})") for item in on_sale]
    buy = form(
        f"{TOP}/orders/create",
        "Create the order",
        select("item", "Goods", sold),
        field("quantity", "Quantity", "1"),
        field("first_name", "First name", "Іван"),
        field("last_name", "Last name", "Петренко"),
        field("phone", "Phone", "380501112233"),
        field("email", "E-mail", "ivan@example.com"),
        select("service", "Delivery", [(str(s.id), s.name) for s in seller.services.values()], "5"),
        select("city", "City", [(str(n), name) for n, name in seller.cities.items()]),
        field("place", "Branch", "253"),
        select("payment", "Payment", [(str(p.id), p.name) for p in seller.payments.values()]),
        field("comment", "Comment"),
    )
    if not sold:
        buy = '<p class="said">Nothing is on sale: send goods, or start with --seed-goods.</p>'
    rows = (
        [
            f'<a href="{TOP}/orders/{order.id}">{order.id}</a>',
            moment(order.created, seller.settings) or "",
            f"{order.status} {escape(statuses.NAMES[order.status])}",
            escape(f"{order.buyer.last_name} {order.buyer.first_name}"),
            f"{order.amount:.2f}",
            PAYMENT_STATUSES[order.payment_status][0] if order.payment_status else "cash",
            escape(order.ttn),
        ]
        for order in islice(reversed(seller.orders.values()), ROWS)
    )
    head = ("Number", "Created", "Status", "Buyer", "Sum", "Payment", "TTN")
    return f"<h2>New order</h2>{buy}<h2>Orders: {len(seller.orders)}</h2>{table(head, rows)}"


def _order(seller: Rozetka, order: Order) -> str:
    top, choices = f"{TOP}/orders/{order.id}", [(str(n), f"{n} {name}") for n, name in statuses.NAMES.items()]
    doings = [
        form(f"{top}/status", "Set the status", select("status", "As the carrier or the platform", choices, str(order.status)))
    ]
    if statuses.group(order.status) == statuses.PROCESSING:
        doings.append(form(f"{top}/cancel", "Cancel as the buyer"))
    if order.payment_status == 3:
        doings.append(form(f"{top}/pay", "Pay as the buyer"))
    comments = "".join(f"<p>{escape(text)}</p>" for text, _at in order.seller_comments)
    whole = dumps(seller.shown.order(order, EVERYTHING)).decode()
    return (
        f"<h2>Order {order.id}: {order.status} {escape(statuses.NAMES[order.status])}</h2>{''.join(doings)}{comments}"
        f"<h2>As the API shows it</h2><pre>{escape(whole)}</pre>"
    )


def _goods(seller: Rozetka, query: dict[str, str]) -> str:
    goods, wanted = seller.goods, query.get("q", "").casefold()
    sync = form(f"{TOP}/goods/sync", "Load the price list now", field("url", "Link of the price list", goods.link))
    found = (
        i
        for i in goods.items.values()
        if wanted in f"{i.item_id} {i.rz_item_id} {i.price_offer_id} {i.article} {i.name}".casefold()
    )
    head = ("item_id", "rz_item_id", "price_offer_id", "Name", "Price", "Waits", "Stock", "Available", "Wrong")
    rows = (_item(item) for item in islice(found, ROWS))
    loaded = f"loaded {moment(goods.synced, seller.settings)}" if goods.synced else "never loaded"
    return f"<h2>Price list</h2><p>{loaded}</p>{sync}<h2>Goods: {len(goods.items)}</h2>{pages.search(query.get('q', ''))}{table(head, rows)}"


def _item(item: Item) -> list[str]:
    top = f"{TOP}/goods/{item.item_id}/confirm"
    waits = "" if item.waiting is None else f"{item.waiting} {form(top, 'Take it')}"
    if waits:
        waits += form(top, "Refuse it", pages.hidden("take", "no"))
    return [
        str(item.item_id),
        str(item.rz_item_id or "moderation"),
        escape(item.price_offer_id),
        escape(item.name),
        str(item.price),
        waits,
        str(item.stock),
        {0: "no", 1: "yes", 2: "not in the price list"}[item.available],
        escape("; ".join(item.errors + item.blocked)),
    ]


_PAGES: dict[str, Callable[[Rozetka, dict[str, str]], str]] = {
    "/": _orders,
    "/goods": _goods,
    "/requests": lambda seller, _query: pages.requests(seller, TOP),
}
