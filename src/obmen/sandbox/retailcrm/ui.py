"""Pages for a person at ``/``: make orders, change and pay them, see what arrived. What is done here has source "user"."""

from __future__ import annotations

import json
import urllib.error
from collections.abc import Callable, Iterable, Mapping
from html import escape
from typing import Any

from obmen.sandbox.retailcrm import forms
from obmen.sandbox.retailcrm.call import Answer, Request
from obmen.sandbox.retailcrm.catalogue import BadIcml
from obmen.sandbox.retailcrm.crm import Logged, RetailCRM
from obmen.sandbox.retailcrm.faults import KINDS
from obmen.sandbox.retailcrm.orders import Order
from obmen.sandbox.retailcrm.state import Json, Refused

ROWS = 50
_STYLE = (
    "body{font:15px/1.45 system-ui,sans-serif;margin:0 auto;max-width:72rem;padding:1rem 1.25rem;color:#1d2733;background:#f6f7f9}"
    "nav a{margin-right:1rem}h1{font-size:1.4rem}h2{font-size:1.1rem;margin-top:1.75rem}"
    "table{border-collapse:collapse;width:100%;background:#fff}td,th{border:1px solid #dbe0e6;padding:.35rem .55rem;text-align:left;"
    "vertical-align:top}th{background:#eef1f5}form{display:inline-flex;gap:.4rem;flex-wrap:wrap;align-items:end;margin:.15rem 0}"
    "label{display:flex;flex-direction:column;font-size:.8rem;color:#546070}input,select,button{font:inherit;padding:.25rem .45rem}"
    "pre{white-space:pre-wrap;word-break:break-word;max-height:22rem;overflow:auto;background:#fff;padding:.5rem;margin:0}"
    ".said{background:#fff4d6;border:1px solid #e6cf8b;padding:.5rem .75rem}.n{text-align:right}"
)


def answer(crm: RetailCRM, request: Request) -> Answer:
    """Pages by GET; a POST does something and leads back, or says on a page of its own why it did not."""
    path = request.path.rstrip("/") or "/"
    if request.method == "POST":
        return _act(crm, path, forms.body(request.content_type, request.body))
    page = _PAGES.get(path)
    number = path.removeprefix("/orders/")
    with crm.lock:
        if page:
            return _page(crm, page(crm, forms.query(request.query)))
        if path.startswith("/orders/") and number.isdigit() and int(number) in crm.orders.rows:
            return _page(crm, _order(crm, crm.orders.rows[int(number)]))
    return _page(crm, "<p>There is no such page.</p>", 404)


# --- doing -----------------------------------------------------------------------------------------------------------------------


def _act(crm: RetailCRM, path: str, form: forms.Tree) -> Answer:
    try:
        target = _do(crm, path, {k: v.strip() for k, v in form.items() if isinstance(v, str)})
    except Refused as refused:
        said = json.dumps(refused.answer, ensure_ascii=False, default=str)
        return _page(crm, f'<p class="said">The service refused: {escape(said)}</p>', 400)
    except (LookupError, ValueError, BadIcml, urllib.error.URLError, OSError) as error:
        return _page(crm, f'<p class="said">{escape(type(error).__name__)}: {escape(str(error))}</p>', 400)
    return Answer(303, target.encode(), "text/plain")


def _do(crm: RetailCRM, path: str, form: Mapping[str, str]) -> str:
    """Does it and returns where to go next."""
    match path.strip("/").split("/"):
        case ["orders", "create"]:
            items = [(form["offer"], form.get("quantity") or "1", *([form["price"]] if form.get("price") else []))]
            fields: Json = {k: form[k] for k in ("firstName", "lastName", "phone", "email") if form.get(k)}
            if form.get("delivery"):
                fields["delivery"] = {"code": form["delivery"]}
            if form.get("payment"):
                fields["payments"] = [{"type": form["payment"], "status": "not-paid"}]
            return f"/orders/{crm.ui.create_order(items, site=form.get('site', ''), **fields)['id']}"
        case ["orders", number, "status"]:
            crm.ui.set_status(int(number), form["status"])
        case ["orders", number, "payment"]:
            crm.ui.add_payment(int(number), form["type"], form.get("amount") or None)
        case ["orders", number, "pay"]:
            crm.ui.pay(int(number), int(form["payment"]), form["status"])
        case ["orders", number, "unpay"]:
            crm.ui.delete_payment(int(number), int(form["payment"]))
        case ["orders", number, "add"]:
            crm.ui.add_item(int(number), form["offer"], form.get("quantity") or "1")
        case ["orders", number, "quantity"]:
            crm.ui.change_qty(int(number), int(form["item"]), form["quantity"])
        case ["orders", number, "remove"]:
            crm.ui.remove_item(int(number), int(form["item"]))
        case ["orders", number, "delete"]:
            crm.ui.delete_order(int(number))
            return "/"
        case ["catalogue", "url"]:
            with crm.lock:
                crm.account.references["sites"][form["site"]] |= {"ymlUrl": form["url"], "loadFromYml": bool(form["url"])}
            return "/catalogue"
        case ["catalogue", "pull"]:
            crm.pull_icml(form["site"])
            return "/catalogue"
        case ["faults", "plan"]:
            crm.fault(
                form["kind"], int(form.get("times") or 1), path=form.get("path", ""), seconds=float(form.get("seconds") or 0)
            )
            return "/requests"
        case ["faults", "clear"]:
            with crm.lock:
                crm.faults.clear()
            return "/requests"
        case _:
            raise LookupError(path)
    return f"/orders/{number}"


# --- pages -----------------------------------------------------------------------------------------------------------------------


def _page(crm: RetailCRM, body: str, status: int = 200) -> Answer:
    links = "".join(
        f'<a href="{path}">{name}</a>' for path, name in (("/", "Orders"), ("/catalogue", "Goods"), ("/requests", "Requests"))
    )
    zone = crm.account.settings.zone.key
    html = (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>RetailCRM sandbox</title><style>{_STYLE}</style><h1>RetailCRM sandbox</h1>"
        f"<nav>{links}</nav><p>API key <code>{escape(crm.key.value)}</code>, time zone {escape(zone)}</p>{body}</html>"
    )
    return Answer(status, html.encode(), "text/html; charset=utf-8")


def _orders(crm: RetailCRM, query: forms.Tree) -> str:
    refs = crm.account.references
    offers = [(o.external_id, o.data.get("name", o.external_id)) for o in _first(crm.catalogue.offers.values(), 200) if o.active]
    form = _form(
        "/orders/create",
        "Create the order",
        _select("site", "Shop", ((code, code) for code in refs["sites"])),
        _select("offer", "Goods", offers),
        _input("quantity", "Quantity", "1"),
        _input("price", "Price", "", "of the catalogue"),
        _input("firstName", "First name"),
        _input("lastName", "Last name"),
        _input("phone", "Phone"),
        _input("email", "E-mail"),
        _select("delivery", "Delivery", [("", "none"), *_names(refs["delivery-types"])]),
        _select("payment", "Payment", [("", "none"), *_names(refs["payment-types"])]),
    )
    if not offers:
        form = '<p class="said">There are no goods yet: load an ICML file on the page Goods.</p>'
    rows = (_order_row(crm, order) for order in _first(crm.orders.newest_first(), ROWS))
    head = ("Number", "externalId", "Created", "Status", "Customer", "Sum", "Paid", "From")
    shown = f"the last {ROWS} of {len(crm.orders.rows)}" if len(crm.orders.rows) > ROWS else f"{len(crm.orders.rows)}"
    return f"<h2>New order</h2>{form}<h2>Orders: {shown}</h2>{_table(head, rows)}"


def _order_row(crm: RetailCRM, order: Order) -> list[str]:
    data = order.data
    person = crm.customers.rows.get(order.customer or 0)
    name = " ".join(filter(None, (data.get("lastName"), data.get("firstName"), data.get("phone"))))
    company = person.data.get("nickName") if person else None
    return [
        f'<a href="/orders/{order.id}">{escape(data["number"])}</a>',
        escape(data.get("externalId", "")),
        crm.account.shown(data["createdAt"]),
        escape(data["status"]),
        escape(company or name),
        f'<span class="n">{order.sums["totalSumm"]}</span>',
        f'<span class="n">{order.sums["prepaySum"]}</span>',
        escape(order.made_by.source),
    ]


def _order(crm: RetailCRM, order: Order) -> str:
    refs, top = crm.account.references, f"/orders/{order.id}"
    lines = []
    for item in order.items:
        number = _hidden("item", str(item["id"]))
        name = item["offer"].data.get("name", "") if "offer" in item else item["productName"]
        change = _form(f"{top}/quantity", "Change", number, _input("quantity", "Quantity", str(item["quantity"])))
        lines.append(
            [
                str(item["id"]),
                escape(name),
                escape(item["status"]),
                str(item["initialPrice"]),
                change,
                str(item["summ"]),
                _form(f"{top}/remove", "Remove", number),
            ]
        )
    payments = []
    for payment in order.payments.values():
        number = _hidden("payment", str(payment["id"]))
        status = _select("status", "Status", _names(refs["payment-statuses"]), payment.get("status", ""))
        payments.append(
            [
                str(payment["id"]),
                escape(payment["type"]),
                str(payment.get("amount", "")),
                escape(payment.get("externalId", "")),
                _form(f"{top}/pay", "Set", number, status),
                _form(f"{top}/unpay", "Delete", number),
            ]
        )
    offers = [(o.external_id, o.data.get("name", o.external_id)) for o in _first(crm.catalogue.offers.values(), 200)]
    status = _form(f"{top}/status", "Set the status", _select("status", "Status", _names(refs["statuses"]), order.data["status"]))
    add = _form(f"{top}/add", "Add a line", _select("offer", "Goods", offers), _input("quantity", "Quantity", "1"))
    amount = _input("amount", "Amount", "", "all that is left")
    pay = _form(f"{top}/payment", "Add a payment", _select("type", "Payment", _names(refs["payment-types"])), amount)
    journal = [
        [str(e.id), crm.account.shown(e.at), escape(e.source), escape(e.field), _value(crm, e.old), _value(crm, e.new)]
        for e in crm.account.journals["orders"].after(0, order.id)
    ]
    whole = escape(json.dumps(crm.json(crm.orders.shown(order)), ensure_ascii=False, indent=1, default=str))
    return (
        f"<h2>Order {escape(order.data['number'])}</h2>{status} {_form(f'{top}/delete', 'Delete the order')}"
        f"<h2>Lines</h2>{_table(('Id', 'Name', 'Status', 'Price', 'Quantity', 'Sum', ''), lines)}{add}"
        f"<h2>Payments</h2>{_table(('Id', 'Type', 'Amount', 'externalId', 'Status', ''), payments)}{pay}"
        f"<h2>History</h2>{_table(('Id', 'Time', 'Source', 'Field', 'Old', 'New'), journal)}"
        f"<h2>As the API shows it</h2><pre>{whole}</pre>"
    )


def _goods(crm: RetailCRM, query: forms.Tree) -> str:
    wanted = str(query.get("q", "")).casefold()
    sites = []
    for code, row in crm.account.references["sites"].items():
        site = _hidden("site", code)
        url = _form("/catalogue/url", "Save", site, _input("url", "Address of the ICML file", str(row.get("ymlUrl") or "")))
        loaded = row.get("catalogUpdatedAt")
        seen = crm.account.shown(loaded) if loaded else "never"
        sites.append([escape(code), url, seen, _form("/catalogue/pull", "Load the catalogue from ICML now", site)])
    found = (o for o in crm.catalogue.offers.values() if wanted in f"{o.external_id} {o.xml_id} {o.data.get('name')}".casefold())
    rows = (
        [
            escape(o.external_id),
            escape(o.xml_id or ""),
            escape(str(o.data.get("name", ""))),
            "yes" if o.active else "no",
            ", ".join(f"{escape(code)} {price}" for code, price in o.prices.items()),
            ", ".join(f"{escape(store)} {quantity}" for store, (quantity, _price) in o.stocks.items()) or str(o.quantity),
        ]
        for o in _first(found, ROWS)
    )
    search = f'<form><label>Search<input name="q" value="{escape(str(query.get("q", "")))}"></label><button>Find</button></form>'
    count = len(crm.catalogue.offers)
    return (
        f"<h2>Shops</h2>{_table(('Shop', 'ICML', 'Loaded', ''), sites)}"
        f"<h2>Offers: {count}</h2>{search}{_table(('externalId', 'xmlId', 'Name', 'Active', 'Prices', 'Stock'), rows)}"
    )


def _requests(crm: RetailCRM, query: forms.Tree) -> str:
    kind = _select("kind", "What", [(kind, f"{kind}: {text}") for kind, text in KINDS.items()])
    more = (_input("times", "Times", "1"), _input("path", "Path has"), _input("seconds", "Seconds", "0"))
    planned = [[escape(f.kind), str(f.times), escape(f.path), str(f.seconds)] for f in crm.faults.planned]
    rows = (_request_row(crm, one) for one in _first(reversed(crm.log), ROWS))
    return (
        f"<h2>Let the next requests go wrong</h2>{_form('/faults/plan', 'Plan', kind, *more)} {_form('/faults/clear', 'Clear')}"
        f"{_table(('What', 'Times left', 'Path has', 'Seconds'), planned) if planned else ''}"
        f"<h2>Last requests</h2>{_table(('Time', 'Request', 'Status', 'Sent', 'Answer'), rows)}"
    )


def _request_row(crm: RetailCRM, one: Logged) -> list[str]:
    sent = json.dumps(one.form, ensure_ascii=False, indent=1, default=str) if one.form else ""
    called = escape(f"{one.method} {one.path}") + (f"<br>{escape(one.query_text)}" if one.query_text else "")
    status = str(one.status or "no answer") + (f" ({escape(one.fault)})" if one.fault else "")
    return [crm.account.shown(one.at), called, status, _folded(sent), _folded(one.answer.decode("utf-8", "replace"))]


# --- pieces ----------------------------------------------------------------------------------------------------------------------


def _first(rows: Iterable[Any], most: int) -> Iterable[Any]:
    return (row for row, _n in zip(rows, range(most)))


def _names(book: Mapping[str, Json]) -> list[tuple[str, str]]:
    return [(code, row["name"]) for code, row in book.items() if row.get("active", True)]


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    top = "".join(f"<th>{name}</th>" for name in head)
    return (
        f"<table><tr>{top}</tr>{''.join('<tr>' + ''.join(f'<td>{cell}</td>' for cell in row) + '</tr>' for row in rows)}</table>"
    )


def _form(action: str, button: str, *fields: str) -> str:
    return f'<form method="post" action="{action}">{"".join(fields)}<button>{button}</button></form>'


def _hidden(name: str, value: str) -> str:
    return f'<input type="hidden" name="{name}" value="{escape(value)}">'


def _input(name: str, label: str, value: str = "", hint: str = "") -> str:
    return f'<label>{label}<input name="{name}" value="{escape(value)}" placeholder="{hint}" size="14"></label>'


def _select(name: str, label: str, options: Iterable[tuple[str, str]], chosen: str = "") -> str:
    rows = (f'<option value="{escape(v)}"{" selected" if v == chosen else ""}>{escape(str(t))}</option>' for v, t in options)
    return f'<label>{label}<select name="{name}">{"".join(rows)}</select></label>'


def _value(crm: RetailCRM, value: Any) -> str:
    return "" if value is None else escape(crm.account.dumps(value).decode())


def _folded(text: str) -> str:
    if not text:
        return ""
    return f"<details><summary>{len(text)} characters</summary><pre>{escape(text[:20_000])}</pre></details>"


_PAGES: dict[str, Callable[[RetailCRM, forms.Tree], str]] = {"/": _orders, "/catalogue": _goods, "/requests": _requests}
