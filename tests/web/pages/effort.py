"""What a task costs a person: every click and every filled field, found on the page by the words of the person's language."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from django.utils import translation
from django.utils.translation import gettext, ngettext

LANGUAGES = {"uk": "uk-UA", "ru": "ru-RU", "en": "en-US"}
TABLE = Path(__file__).resolve().parents[3] / "docs" / "user" / "ten-tasks.md"


class Effort:
    """One person at one page. ``clicks``, ``fields``: what was done so far. Nothing is found by an id or a class."""

    def __init__(self, page: Any, language: str) -> None:
        self.page, self.language = page, language
        self.clicks = self.fields = 0

    def say(self, text: str, many: str = "", **facts: Any) -> str:
        """The words of a msgid in this language; ``many``: its plural, for the fact ``n``. Fails when nobody has translated it."""
        with translation.override(self.language):
            said = ngettext(text, many or text, facts["n"]) if "n" in facts else gettext(text)
        assert self.language == "en" or said != text, f"nobody has said {text!r} in {self.language}"
        return said % facts if facts else said

    def called(self, text: str, **facts: Any) -> re.Pattern[str]:
        """The accessible name of what says just this, whatever picture stands before it and whatever count behind it."""
        return exactly(self.say(text, **facts))

    def part(self, heading: str) -> Any:
        """The part of the page under this heading."""
        title = self.page.get_by_role("heading", name=self.called(heading))
        return self.page.locator("section").filter(has=title)

    def click(self, target: Any) -> None:
        self.clicks += 1
        target.click()

    def write(self, target: Any, value: str) -> None:
        self.fields += 1
        target.fill(value)

    def paste(self, target: Any, value: str) -> None:
        """With Ctrl+V, what was copied in the other system's window."""
        self.fields += 1
        self.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        self.page.evaluate("text => navigator.clipboard.writeText(text)", value)
        target.focus()
        self.page.keyboard.press("Control+V")

    def attach(self, target: Any, file: Path) -> None:
        self.fields += 1
        target.set_input_files(str(file))

    def choose(self, target: Any, label: str) -> None:
        self.fields += 1
        target.select_option(label=label)

    def follow(self, text: str, within: Any = None, **facts: Any) -> None:
        self.click((within or self.page).get_by_role("link", name=self.called(text, **facts)).first)

    def press(self, text: str, within: Any = None, **facts: Any) -> None:
        self.click((within or self.page).get_by_role("button", name=self.called(text, **facts)))

    def tick(self, text: str, within: Any = None) -> None:
        self.click((within or self.page).get_by_role("checkbox", name=self.called(text)))

    def fill(self, text: str, value: str, within: Any = None) -> None:
        self.write((within or self.page).get_by_label(self.called(text)), value)


def exactly(words: str) -> re.Pattern[str]:
    first = f"[{words[0].lower()}{words[0].upper()}]" if words[0].isalpha() else re.escape(words[0])
    return re.compile(rf"^\s*([a-z_0-9]+\s+)?{first}{re.escape(words[1:])}\*?:?(\s+[\d/()]+)?\s*$")


def expected(task: int) -> tuple[int, int]:
    """Clicks and fields that the table of the docs names for a task."""
    for line in TABLE.read_text().splitlines():
        cells = [c.strip() for c in line.strip("|").split("|")]
        if cells[0] == str(task):
            return int(cells[2]), int(cells[3])
    raise AssertionError(f"docs/user/ten-tasks.md has no task {task}")
