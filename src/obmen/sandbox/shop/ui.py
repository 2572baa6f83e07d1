"""Pages for a person at ``/``: make and change orders, see the goods that arrived and the last exchanges, let the next ones go wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import InvalidOperation
from html import escape
from itertools import islice
from urllib.parse import parse_qsl

from obmen.sandbox.shop.base import Shop
from obmen.sandbox.shop.call import Answer, Logged, Request
from obmen.sandbox.shop.faults import KINDS
from obmen.sandbox.shop.state import Buyer, Order, Product

ROWS = 50
_STYLE = (
    "body{font:15px/1.45 system-ui,sans-serif;margin:0 auto;max-width:72rem;padding:1rem 1.25rem;color:#1d2733;background:#f6f7f9}"
    "nav a{margin-right:1rem}h1{font-size:1.4rem}h2{font-size:1.1rem;margin-top:1.75rem}"
    "table{border-collapse:collapse;width:100%;background:#fff}td,th{border:1px solid #dbe0e6;padding:.35rem .55rem;text-align:left;"
    "vertical-align:top}th{background:#eef1f5}form{display:inline-flex;gap:.4rem;flex-wrap:wrap;align-items:end;margin:.15rem 0}"
    "label{display:flex;flex-direction:column;font-size:.8rem;color:#546070}input,select,button{font:inherit;padding:.25rem .45rem}"
    "pre{white-space:pre-wrap;word-break:break-word;max-height:22rem;overflow:auto;background:#fff;padding:.5rem;margin:0}"
    ".said{background:#fff4d6;border:1px solid #e6cf8b;padding:.5rem .75rem}"
)
Form = Mapping[str, str]


def answer(shop: Shop, request: Request) -> Answer:
    """Pages by GET; a POST does something and leads back, or says on a page of its own why it did not."""
    path = request.path.rstrip("/") or "/"
    form = dict(parse_qsl(request.body.decode("utf-8", "replace"), keep_blank_values=True))
    if request.method == "POST":
        try:
            target = _do(shop, path, {name: value.strip() for name, value in form.items()})
        except (LookupError, ValueError, InvalidOperation) as error:
            return _page(shop, f'<p class="said">{escape(type(error).__name__)}: {escape(str(error))}</p>', 400)
        return Answer(b"", 303, "text/plain", (("Location", target),))
    number = path.removeprefix("/orders/")
    with shop.lock:
        if path in _PAGES:
            return _page(shop, _PAGES[path](shop, request.params))
        if path.startswith("/orders/") and number.isdigit() and int(number) in shop.orders:
            return _page(shop, _order(shop, shop.orders[int(number)]))
    return _page(shop, "<p>There is no such page.</p>", 404)


def _do(shop: Shop, path: str, form: Form) -> str:
    """Does it and returns where to go next."""
    match path.strip("/").split("/"):
        case ["orders", "create"]:
            buyer = Buyer(
                first_name=form.get("first_name", ""),
                last_name=form.get("last_name", ""),
                phone=form.get("phone", ""),
                email=form.get("email", ""),
                company=form.get("company", ""),
                city=form.get("city", ""),
                address=form.get("address", ""),
            )
            order = shop.buy(
                [(form["offer"], form.get("quantity") or "1", form.get("price") or None)],
                buyer=buyer,
                delivery=form.get("delivery", ""),
                shipping=form.get("shipping") or 0,
                payment=form.get("payment", ""),
                comment=form.get("comment", ""),
            )
            return f"/orders/{order.id}"
        case ["orders", number, "status"]:
            shop.set_status(int(number), form["status"])
        case ["orders", number, "pay"]:
            shop.pay(int(number), form.get("paid") != "no")
        case ["orders", number, "ship"]:
            shop.ship(int(number), form.get("track", ""))
        case ["orders", number, "cancel"]:
            shop.cancel(int(number), form.get("reason", ""))
        case ["orders", number, "comment"]:
            shop.change(int(number), comment=form["comment"])
        case ["orders", number, "add"]:
            shop.add_line(int(number), form["offer"], form.get("quantity") or "1")
        case ["orders", number, "quantity"]:
            shop.set_quantity(int(number), int(form["line"]), form["quantity"])
        case ["orders", number, "remove"]:
            shop.remove_line(int(number), int(form["line"]))
        case ["faults", "plan"]:
            shop.fault(
                form["kind"], int(form.get("times") or 1), part=form.get("part", ""), seconds=float(form.get("seconds") or 0)
            )
            return "/exchanges"
        case ["faults", "clear"]:
            with shop.lock:
                shop.faults.clear()
            return "/exchanges"
        case _:
            raise LookupError(path)
    return f"/orders/{number}"


# --- pages -----------------------------------------------------------------------------------------------------------------------


def _page(shop: Shop, body: str, status: int = 200) -> Answer:
    pages = (("/", "Orders"), ("/goods", "Goods"), ("/exchanges", "Exchanges"))
    links = "".join(f'<a href="{path}">{name}</a>' for path, name in pages)
    html = (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>Shop sandbox</title><style>{_STYLE}</style><h1>Shop sandbox: {escape(shop.title)}</h1><nav>{links}</nav>"
        f"<p>Address of the exchange <code>{escape(shop.address)}</code>, login <code>{escape(shop.login)}</code>, "
        f"time zone {escape(shop.settings.zone)}</p>{body}</html>"
    )
    return Answer(html.encode(), status, "text/html; charset=utf-8")


def _orders(shop: Shop, _query: Form) -> str:
    offers = _offers(shop)
    form = _form(
        "/orders/create",
        "Create the order",
        _select("offer", "Goods", offers),
        _input("quantity", "Quantity", "1"),
        _input("price", "Price", "", "of the catalogue"),
        _input("first_name", "First name", "Иван"),
        _input("last_name", "Last name", "Петров"),
        _input("phone", "Phone", "+79161112233"),
        _input("email", "E-mail", "ivan@example.com"),
        _input("company", "Company"),
        _input("city", "City"),
        _input("address", "Address"),
        _select("delivery", "Delivery", [("", "none"), *shop.deliveries.items()]),
        _input("shipping", "Delivery costs", "0"),
        _select("payment", "Payment", [("", "none"), *shop.payment_kinds.items()]),
        _input("comment", "Comment"),
    )
    if not offers:
        form = '<p class="said">There are no goods yet: load a catalogue over the exchange, or start with --seed-goods.</p>'
    rows = (
        [
            f'<a href="/orders/{order.id}">{order.id}</a>',
            f"{shop.local(order.created):%Y-%m-%d %H:%M:%S}",
            escape(shop.states[order.status]) + (", cancelled" if order.cancelled else ""),
            escape(order.buyer.name),
            f"{order.total:.2f}",
            "yes" if order.is_paid else "",
            escape(order.number_1c),
        ]
        for order in islice(reversed(shop.orders.values()), ROWS)
    )
    head = ("Number", "Created", "Status", "Buyer", "Sum", "Paid", "Number in 1C")
    return f"<h2>New order</h2>{form}<h2>Orders: {len(shop.orders)}</h2>{_table(head, rows)}"


def _order(shop: Shop, order: Order) -> str:
    top, lines = f"/orders/{order.id}", []
    for at, line in enumerate(order.lines):
        here = _hidden("line", str(at))
        change = _form(f"{top}/quantity", "Change", here, _input("quantity", "Quantity", str(line.quantity)))
        remove = _form(f"{top}/remove", "Remove", here)
        lines.append([escape(line.offer), escape(line.name), f"{line.price}", change, f"{line.total}", remove])
    b = order.buyer
    where = ", ".join(filter(None, (b.zip, b.country, b.city, b.address)))
    doings = (
        _form(f"{top}/status", "Set the status", _select("status", "Status", shop.states.items(), order.status)),
        _form(f"{top}/pay", "Mark paid") if not order.is_paid else _form(f"{top}/pay", "Not paid", _hidden("paid", "no")),
        _form(f"{top}/ship", "Shipped", _input("track", "Track number")),
        _form(f"{top}/cancel", "Cancel", _input("reason", "Reason")),
        _form(f"{top}/comment", "Save", _input("comment", "Comment", order.comment)),
    )
    add = _form(f"{top}/add", "Add a line", _select("offer", "Goods", _offers(shop)), _input("quantity", "Quantity", "1"))
    facts = (
        ("Status", shop.states[order.status] + (f", cancelled {order.reason}" if order.cancelled else "")),
        ("Buyer", f"{b.name} {b.phone} {b.email}"),
        ("Address", where),
        (
            "Delivery",
            f"{shop.deliveries.get(order.delivery, '')} {order.shipping:.2f}" + (", shipped" if order.is_shipped else ""),
        ),
        ("Payment", f"{shop.payment_kinds.get(order.payment, '')} {order.paid:.2f} paid"),
        ("Sum", f"{order.total:.2f} {order.currency}"),
        ("In 1C", f"{order.number_1c} {order.date_1c}"),
    )
    return (
        f"<h2>Order {order.id}</h2>{_table(('', ''), ([name, escape(value)] for name, value in facts))}{''.join(doings)}"
        f"<h2>Lines</h2>{_table(('Id', 'Name', 'Price', 'Quantity', 'Sum', ''), lines)}{add}"
        f"<h2>As 1C gets it</h2><pre>{escape(shop.order_xml(order))}</pre>"
    )


def _goods(shop: Shop, query: Form) -> str:
    wanted = query.get("q", "").casefold()
    found = (p for p in shop.goods.products.values() if wanted in f"{p.id} {p.name} {p.article}".casefold())
    search = f'<form><label>Search<input name="q" value="{escape(query.get("q", ""))}"></label><button>Find</button></form>'
    head = ("Id", "Article", "Name", "Groups", "Shown", "Offers", "Pictures")
    counts = f"{len(shop.goods.groups)} groups, {len(shop.goods.kinds)} price kinds, {len(shop.goods.warehouses)} warehouses"
    pictures = f"{len(shop.goods.pictures)} pictures"
    rows = (_product_row(shop, product) for product in islice(found, ROWS))
    return f"<h2>Goods: {len(shop.goods.products)}</h2><p>{counts}, {pictures}</p>{search}{_table(head, rows)}"


def _product_row(shop: Shop, product: Product) -> list[str]:
    offers = "<br>".join(
        escape(
            f"{', '.join(o.options.values()) or '—'}: "
            + ", ".join(f"{shop.goods.kinds.get(kind, (kind, ''))[0]} {value}" for kind, value in o.prices.items())
            + f"; {o.quantity}"
        )
        for o in product.offers.values()
    )
    groups = ", ".join(shop.goods.groups.get(key, (key, ""))[0] for key in product.groups)
    pictures = ", ".join(f"{name}{'' if name in shop.goods.pictures else ' (did not come)'}" for name in product.pictures)
    return [
        escape(product.id),
        escape(product.article),
        escape(product.name),
        escape(groups),
        "yes" if product.active else "no",
        offers,
        escape(pictures),
    ]


def _exchanges(shop: Shop, _query: Form) -> str:
    kind = _select("kind", "What", [(kind, f"{kind}: {text}") for kind, text in KINDS.items()])
    more = (_input("times", "Times", "1"), _input("part", "Query has", "", "mode=import"), _input("seconds", "Seconds", "0"))
    planned = [[escape(f.kind), str(f.times), escape(f.part), str(f.seconds)] for f in shop.faults.planned]
    rows = (_exchange_row(shop, one) for one in islice(reversed(shop.log), ROWS))
    return (
        f"<h2>Let the next requests go wrong</h2>{_form('/faults/plan', 'Plan', kind, *more)} {_form('/faults/clear', 'Clear')}"
        f"{_table(('What', 'Times left', 'Query has', 'Seconds'), planned) if planned else ''}"
        f"<h2>Last exchanges</h2>{_table(('Time', 'Request', 'Status', 'Sent', 'Answer'), rows)}"
    )


def _exchange_row(shop: Shop, one: Logged) -> list[str]:
    status = str(one.status or "no answer") + (f" ({escape(one.fault)})" if one.fault else "")
    called = escape(f"{one.method} {one.query}")
    return [f"{shop.local(one.at):%Y-%m-%d %H:%M:%S}", called, status, _folded(one.sent), _folded(one.answer)]


# --- pieces ----------------------------------------------------------------------------------------------------------------------


def _offers(shop: Shop) -> list[tuple[str, str]]:
    rows = ((p, o) for p in shop.goods.products.values() if p.active for o in p.offers.values())
    return [
        (f"{p.id}#{o.variant}" if o.variant else p.id, f"{p.name} {', '.join(o.options.values())}".strip())
        for p, o in islice(rows, 200)
    ]


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    top = "".join(f"<th>{name}</th>" for name in head)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><tr>{top}</tr>{body}</table>"


def _form(action: str, button: str, *inputs: str) -> str:
    return f'<form method="post" action="{action}">{"".join(inputs)}<button>{button}</button></form>'


def _hidden(name: str, value: str) -> str:
    return f'<input type="hidden" name="{name}" value="{escape(value)}">'


def _input(name: str, label: str, value: str = "", hint: str = "") -> str:
    return f'<label>{label}<input name="{name}" value="{escape(value)}" placeholder="{hint}" size="14"></label>'


def _select(name: str, label: str, choices: Iterable[tuple[str, str]], chosen: str = "") -> str:
    rows = (f'<option value="{escape(v)}"{" selected" if v == chosen else ""}>{escape(t)}</option>' for v, t in choices)
    return f'<label>{label}<select name="{name}">{"".join(rows)}</select></label>'


def _folded(raw: bytes) -> str:
    if not raw:
        return ""
    text = raw[:20_000].decode("windows-1251" if b"windows-1251" in raw[:100] else "utf-8", "replace")
    if text.count("\ufffd") > 5 and b"\x00" not in raw[:1000]:
        text = raw[:20_000].decode("windows-1251", "replace")
    if len(text) < 100:
        return f"<pre>{escape(text)}</pre>"
    return f"<details><summary>{len(raw)} bytes</summary><pre>{escape(text)}</pre></details>"


_PAGES: dict[str, Callable[[Shop, Form], str]] = {"/": _orders, "/goods": _goods, "/exchanges": _exchanges}
