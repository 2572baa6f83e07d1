"""HTML of the pages for a person: pieces, and the page with the last requests that every stand-in has."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from itertools import islice

from obmen.sandbox.stand import HTML, KINDS, Answer, Logged, Stand

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


def page(stand: Stand, links: Iterable[tuple[str, str]], about: str, body: str, status: int = 200) -> Answer:
    """``about`` and ``body`` are HTML, ``links`` (path, name)."""
    nav = "".join(f'<a href="{path}">{name}</a>' for path, name in links)
    html = (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{escape(stand.title)}</title><style>{_STYLE}</style><h1>{escape(stand.title)}</h1><nav>{nav}</nav>"
        f"<p>{about}</p>{body}</html>"
    )
    return Answer(html.encode(), status, HTML)


def there(address: str) -> Answer:
    """After something was done: look there."""
    return Answer(b"", 303, "text/plain", (("Location", address),))


def said(error: Exception) -> str:
    return f'<p class="said">{escape(type(error).__name__)}: {escape(str(error))}</p>'


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    top = "".join(f"<th>{name}</th>" for name in head)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><tr>{top}</tr>{body}</table>"


def form(action: str, button: str, *inputs: str) -> str:
    return f'<form method="post" action="{action}">{"".join(inputs)}<button>{button}</button></form>'


def hidden(name: str, value: str) -> str:
    return f'<input type="hidden" name="{name}" value="{escape(value)}">'


def field(name: str, label: str, value: str = "", hint: str = "") -> str:
    return f'<label>{label}<input name="{name}" value="{escape(value)}" placeholder="{hint}" size="14"></label>'


def select(name: str, label: str, choices: Iterable[tuple[str, str]], chosen: str = "") -> str:
    rows = (f'<option value="{escape(v)}"{" selected" if v == chosen else ""}>{escape(t)}</option>' for v, t in choices)
    return f'<label>{label}<select name="{name}">{"".join(rows)}</select></label>'


def search(words: str) -> str:
    return f'<form><label>Search<input name="q" value="{escape(words)}"></label><button>Find</button></form>'


def folded(raw: bytes) -> str:
    if not raw:
        return ""
    text = raw[:20_000].decode("utf-8", "replace")
    if len(text) < 100:
        return f"<pre>{escape(text)}</pre>"
    return f"<details><summary>{len(raw)} bytes</summary><pre>{escape(text)}</pre></details>"


def requests(stand: Stand, top: str = "") -> str:
    """The last requests, and the form that plans what goes wrong. ``top``: what stands before "/faults" in its address."""
    kind = select("kind", "What", [(kind, f"{kind}: {text}") for kind, text in KINDS.items()])
    more = (field("times", "Times", "1"), field("path", "Path has"), field("seconds", "Seconds", "0"))
    planned = [[escape(f.kind), str(f.times), escape(f.path), str(f.seconds)] for f in stand.faults.planned]
    rows = (_request(one) for one in islice(reversed(stand.log), ROWS))
    return (
        f"<h2>Let the next requests go wrong</h2>{form(f'{top}/faults/plan', 'Plan', kind, *more)} "
        f"{form(f'{top}/faults/clear', 'Clear')}"
        f"{table(('What', 'Times left', 'Path has', 'Seconds'), planned) if planned else ''}"
        f"<h2>Last requests</h2>{table(('Time (UTC)', 'Request', 'Status', 'Sent', 'Answer'), rows)}"
    )


def _request(one: Logged) -> list[str]:
    status = str(one.status or "no answer") + (f" ({escape(one.fault)})" if one.fault else "")
    called = escape(f"{one.method} {one.path}") + (f"<br>{escape(one.query)}" if one.query else "")
    return [f"{one.at:%Y-%m-%d %H:%M:%S}", called, status, folded(one.sent), folded(one.answer)]


def plan_fault(stand: Stand, form: dict[str, str]) -> None:
    """Raises KeyError or ValueError."""
    seconds = float(form.get("seconds") or 0)
    stand.fault(form["kind"], int(form.get("times") or 1), path=form.get("path", ""), seconds=seconds)
