"""A connector's own help (help/uk.md, ru.md, en.md in its folder) as HTML.

Only what help texts use: headings, paragraphs, lists, numbered lists, bold, code, fenced blocks. Everything is escaped first,
so that a format package cannot bring markup of its own into our pages; links are shown as text, since no page of ours calls out.
"""

from __future__ import annotations

import re
import sys
from importlib.resources import files
from pathlib import Path
from typing import Any

from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe

ITEM = re.compile(r"\s*(?:[-*]|(\d+)[.)])\s+(.*)")


def html(connector: Any, language: str) -> SafeString | str:
    """The help in the language, else in English, else nothing."""
    folder = _folder(connector.__module__.partition(".api")[0])
    for name in (f"{language}.md", "en.md"):
        file = folder.joinpath(name)
        if file.is_file():
            return mark_safe(to_html(file.read_text(encoding="utf-8")))  # noqa: S308  to_html escapes
    return ""


def _folder(module: str) -> Any:
    """``help`` beside the connector, be it a package or a single module."""
    try:
        return files(module).joinpath("help")
    except TypeError:
        return Path(sys.modules[module].__file__ or "").parent / "help"


def to_html(text: str) -> str:
    out: list[str] = []
    paragraph: list[str] = []
    items: list[str] = []
    tag = ""
    code: list[str] | None = None

    def close() -> None:
        nonlocal tag
        if paragraph:
            out.append(f"<p>{_inline(' '.join(paragraph))}</p>")
            paragraph.clear()
        if items:
            out.append(f"<{tag}>" + "".join(f"<li>{_inline(i)}</li>" for i in items) + f"</{tag}>")
            items.clear()
        tag = ""

    for line in text.splitlines():
        if line.strip().startswith("```"):
            if code is None:
                close()
                code = []
            else:
                out.append(f"<pre>{escape(chr(10).join(code))}</pre>")
                code = None
        elif code is not None:
            code.append(line)
        elif not line.strip():
            close()
        elif line.startswith("#"):
            close()
            level = min(len(line) - len(line.lstrip("#")) + 2, 5)
            out.append(f"<h{level}>{_inline(line.lstrip('# '))}</h{level}>")
        elif found := ITEM.fullmatch(line):
            kind = "ol" if found[1] else "ul"
            if paragraph or (tag and tag != kind):
                close()
            tag = kind
            items.append(found[2])
        elif items and line.startswith(" "):
            items[-1] += " " + line.strip()
        else:
            if items:
                close()
            paragraph.append(line.strip())
    close()
    return "\n".join(out)


def _inline(text: str) -> str:
    safe = str(escape(text))
    safe = re.sub(r"`([^`]+)`", r"<code>\1</code>", safe)
    safe = re.sub(r"\*\*([^*]+)\*\*", r"<strong>\1</strong>", safe)
    return re.sub(r"\[([^\]]+)\]\([^)\s]+\)", r"\1", safe)
