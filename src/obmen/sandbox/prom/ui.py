"""Pages for a person at ``/``: buy, pay and cancel as a buyer, change statuses as the owner, see what arrived, plan what goes wrong."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from itertools import islice
from typing import TYPE_CHECKING

from obmen.sandbox import pages
from obmen.sandbox.pages import ROWS, field, form, select, table
from obmen.sandbox.prom.imports import Terms, fetch
from obmen.sandbox.prom.state import IMPORTABLE, Order, Product, moment, money, order_json, product_json
from obmen.sandbox.stand import Answer, Request, dumps

if TYPE_CHECKING:
    from obmen.sandbox.prom.account import Prom

LINKS = (("/", "Orders"), ("/goods", "Goods"), ("/imports", "Imports"), ("/requests", "Requests"))


def answer(shop: Prom, request: Request) -> Answer:
    """Pages by GET; a POST does something and leads back, or says on a page of its own why it did not."""
    path = request.path.rstrip("/") or "/"
    if request.method == "POST":
        try:
            return pages.there(_do(shop, path, request.form))
        except (LookupError, ValueError, ArithmeticError, OSError) as error:
            return _page(shop, pages.said(error), 400)
    number = path.rpartition("/")[2]
    with shop.lock:
        if path in _PAGES:
            return _page(shop, _PAGES[path](shop, request.params))
        if path.startswith("/orders/") and number.isdigit() and int(number) in shop.orders:
            return _page(shop, _order(shop, shop.orders[int(number)]))
        if path.startswith("/goods/") and number.isdigit() and int(number) in shop.products:
            return _page(shop, _product(shop, shop.products[int(number)]))
    return _page(shop, "<p>There is no such page.</p>", 404)


def _do(shop: Prom, path: str, sent: dict[str, str]) -> str:
    """Does it and returns where to go next."""
    match path.strip("/").split("/"):
        case ["orders", "create"]:
            order = shop.buy(
                [(sent["product"], sent.get("quantity") or "1")],
                phone=sent.get("phone", ""),
                first_name=sent.get("first_name", ""),
                last_name=sent.get("last_name", ""),
                email=sent.get("email", ""),
                delivery=int(sent["delivery"]),
                city=sent.get("city", ""),
                address=sent.get("address", ""),
                payment=int(sent["payment"]),
                notes=sent.get("notes", ""),
            )
            return f"/orders/{order.id}"
        case ["orders", number, "cancel"]:
            shop.cancel(int(number), sent.get("reason") or "Змінились плани")
        case ["orders", number, "pay"]:
            shop.pay(int(number))
        case ["orders", number, "status"]:
            shop.set_status(int(number), sent["status"])
        case ["imports", "pull"]:
            # What the cabinet does with a link of its own: everything is renewed, nobody counts
            terms = Terms(force_update=True, fields=IMPORTABLE)
            raw = fetch(sent["url"])
            with shop.lock:
                shop.imports.link = sent["url"]
                shop.imports.finish(shop.imports.accept(terms, raw=raw, by_hand=False))
            return "/imports"
        case ["faults", "plan"]:
            pages.plan_fault(shop, sent)
            return "/requests"
        case ["faults", "clear"]:
            shop.faults.planned.clear()
            return "/requests"
        case _:
            raise LookupError(path)
    return f"/orders/{number}"


def _page(shop: Prom, body: str, status: int = 200) -> Answer:
    tokens = ", ".join(f"<code>{escape(t.value)}</code>" for t in shop.tokens.values() if t.active)
    about = f"API at <code>{shop.prefix}</code>, tokens {tokens or 'none'}, time zone {escape(shop.settings.zone)}"
    return pages.page(shop, LINKS, about, body, status)


def _orders(shop: Prom, _query: dict[str, str]) -> str:
    sold = [
        (str(p.id), f"{p.name}, {p.price} ({'any' if p.quantity is None else p.quantity})")
        for p in islice((p for p in shop.products.values() if p.status == "on_display" and p.presence == "available"), 200)
    ]
    buy = form(
        "/orders/create",
        "Create the order",
        select("product", "Goods", sold),
        field("quantity", "Quantity", "1"),
        field("first_name", "First name", "Іван"),
        field("last_name", "Last name", "Петренко"),
        field("phone", "Phone", "+380501112233"),
        field("email", "E-mail", "ivan@example.com"),
        select("delivery", "Delivery", [(str(d.id), d.name) for d in shop.deliveries.values()]),
        field("city", "City", "Київ"),
        field("address", "Address", "Відділення №253"),
        select("payment", "Payment", [(str(p.id), p.name) for p in shop.payments.values()], "22223"),
        field("notes", "Comment"),
    )
    if not sold:
        buy = '<p class="said">Nothing is on sale: send goods, or start with --seed-goods.</p>'
    rows = (
        [
            f'<a href="/orders/{order.id}">{order.id}</a>',
            escape(moment(order.created, shop.settings) or ""),
            escape(shop.status_names()[order.status]),
            escape(order.client.full_name),
            escape(money(order.total) or ""),
            escape(order.payment_status or ""),
            escape(order.declaration),
        ]
        for order in islice(reversed(shop.orders.values()), ROWS)
    )
    head = ("Number", "Created", "Status", "Buyer", "Sum", "Online payment", "TTN")
    return f"<h2>New order</h2>{buy}<h2>Orders: {len(shop.orders)}</h2>{table(head, rows)}"


def _order(shop: Prom, order: Order) -> str:
    top = f"/orders/{order.id}"
    doings = [
        form(f"{top}/status", "Set the status", select("status", "As the owner", shop.status_names().items(), order.status))
    ]
    if order.status not in ("canceled", "delivered"):
        doings.append(form(f"{top}/cancel", "Cancel as the buyer", field("reason", "Reason", "Змінились плани")))
    if order.payment_status == "unpaid":
        doings.append(form(f"{top}/pay", "Pay as the buyer"))
    lines = (
        [
            f'<a href="/goods/{x.product}">{x.product}</a>',
            escape(x.external_id or ""),
            escape(x.name),
            str(x.price),
            str(x.quantity),
        ]
        for x in order.lines
    )
    whole = dumps(order_json(order, shop.status_names(), shop.deliveries, shop.payments, shop.settings))
    return (
        f"<h2>Order {order.id}: {escape(shop.status_names()[order.status])}</h2>{''.join(doings)}"
        f"{table(('Id', 'external_id', 'Name', 'Price', 'Quantity'), lines)}<h2>As the API shows it</h2><pre>{escape(whole.decode())}</pre>"
    )


def _goods(shop: Prom, query: dict[str, str]) -> str:
    wanted = query.get("q", "").casefold()
    found = (p for p in shop.products.values() if wanted in f"{p.id} {p.external_id} {p.sku} {p.name}".casefold())
    rows = (
        [
            f'<a href="/goods/{p.id}">{p.id}</a>',
            escape(p.external_id or ""),
            escape(p.sku),
            escape(p.name),
            escape(shop.groups[p.group].name),
            f"{p.price}",
            p.presence,
            "" if p.quantity is None else str(p.quantity),
            p.status,
        ]
        for p in islice(found, ROWS)
    )
    head = ("Id", "external_id", "SKU", "Name", "Group", "Price", "Presence", "Stock", "Status")
    return f"<h2>Goods: {len(shop.products)}</h2><p>{len(shop.groups)} groups</p>{pages.search(query.get('q', ''))}{table(head, rows)}"


def _product(shop: Prom, product: Product) -> str:
    whole = dumps(product_json(product, shop.groups[product.group])).decode()
    attributes = table(("Attribute", "Value"), ([escape(n), escape(v)] for n, v in product.attributes))
    old = "" if product.old_price is None else f"<p>Old price {product.old_price}, which the API does not show</p>"
    return f"<h2>{escape(product.name)}</h2>{old}{attributes}<h2>As the API shows it</h2><pre>{escape(whole)}</pre>"


def _imports(shop: Prom, _query: dict[str, str]) -> str:
    pull = form("/imports/pull", "Import from the link now", field("url", "Link of the price list", shop.imports.link))
    rows = (
        [job.id, f"{job.started:%Y-%m-%d %H:%M:%S}", escape(job.url or "a file"), pages.folded(dumps(shop.imports.shown(job)))]
        for job in islice(reversed(shop.imports.jobs.values()), ROWS)
    )
    return f"<h2>Link in the cabinet</h2>{pull}<h2>Imports</h2>{table(('Id', 'Started (UTC)', 'From', 'Status'), rows)}"


_PAGES: dict[str, Callable[[Prom, dict[str, str]], str]] = {
    "/": _orders,
    "/goods": _goods,
    "/imports": _imports,
    "/requests": lambda shop, _query: pages.requests(shop),
}
