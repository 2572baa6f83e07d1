"""Every sentence in Ukrainian and in Russian, and no English left on a page that is shown in them."""

from __future__ import annotations

import html.parser
import importlib.util
import inspect
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from string import Formatter
from types import ModuleType
from typing import Any
from urllib.parse import urljoin, urlsplit

import polib
import pytest
from django.test import Client
from django.urls import resolve

from obmen import registry

ROOT = Path(__file__).resolve().parent.parent
LANGUAGES = ("uk", "ru")
sys.path.insert(0, str(ROOT / "tests" / "web"))


def _tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("translations", ROOT / "tools" / "translations.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["translations"] = module
    spec.loader.exec_module(module)
    return module


tool = _tool()


def catalogue(language: str) -> polib.POFile:
    return polib.pofile(str(tool.catalogue(language)))


def forms(entry: polib.POEntry) -> list[str]:
    return list(entry.msgstr_plural.values()) if entry.msgid_plural else [entry.msgstr]


PERCENT = re.compile(r"%(?:\((\w+)\))?([sdrif%])")


def holes(text: str) -> tuple[list[str], list[str]]:
    """The names in {braces} (as str.format sees them) and the %(names)s of a sentence."""
    try:
        braces = sorted(name for _, name, _, _ in Formatter().parse(text) if name is not None)
    except ValueError:  # a lone brace: the sentence is no template
        braces = sorted(re.findall(r"\{[^}]*\}", text))
    return braces, sorted(m[0] for m in PERCENT.finditer(text) if m[1])


# --- the catalogues -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_sentence_is_translated(language: str) -> None:
    left = [entry.msgid for entry in tool.missing(tool.renewed(language))]
    assert left == [], "write them into the .po after `make translations`"


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_catalogue_is_what_collecting_makes_of_it(language: str) -> None:
    def shape(po: polib.POFile) -> list[tuple[str, str, str]]:
        return sorted((e.msgctxt or "", e.msgid, e.msgid_plural) for e in po)

    assert shape(catalogue(language)) == shape(tool.renewed(language)), "run `make translations`"


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_translation_keeps_the_facts_of_its_sentence(language: str) -> None:
    changed = [(e.msgid, form) for e in catalogue(language) for form in forms(e) if holes(form) != holes(e.msgid)]
    assert changed == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_translation_begins_and_ends_like_its_sentence(language: str) -> None:
    """White space and line ends are layout; a full stop that is lost or added shows beside its neighbours."""

    def rim(text: str) -> tuple[str, str, bool]:
        bare = text.rstrip()
        return text[: len(text) - len(text.lstrip())], text[len(bare) :], bare.endswith((".", "…", "..."))

    odd = [(e.msgid, form) for e in catalogue(language) for form in forms(e) if rim(form) != rim(e.msgid)]
    assert odd == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_is_compiled_is_what_is_written(language: str) -> None:
    def content(entries: Any) -> dict[tuple[str, str], list[str]]:
        return {(e.msgctxt or "", e.msgid): forms(e) for e in entries}

    compiled = polib.mofile(str(tool.catalogue(language).with_suffix(".mo")))
    assert content(compiled) == content(catalogue(language)), "run `make translations`"
    assert compiled.metadata["Plural-Forms"] == tool.PLURAL_FORMS


def test_a_sentence_is_collected_under_whatever_name_it_was_marked() -> None:
    source = """
from django.utils.translation import gettext as now_, ngettext
from obmen.core.words import gettext_noop as _
a = _("one " "two "
      "three")
b = now_("four")
c = ngettext("%(n)s five", "%(n)s fives", n)
d = now_(a)
"""
    found = [(s.text, s.plural) for s in tool.of_python(source)]
    assert found == [("one two three", ""), ("four", ""), ("%(n)s five", "%(n)s fives")]


def test_a_sentence_of_a_template_is_collected_with_its_brackets_and_quotes() -> None:
    source = (
        """{% translate "It's (almost) here" %}{% blocktranslate count n=2 %}{{ n }} row{% plural %}{{ n }} rows"""
        """{% endblocktranslate %}{{ _("more")|upper }}"""
    )
    found = [(s.text, s.plural) for s in tool.of_template(source)]
    assert found == [("It's (almost) here", ""), ("%(n)s row", "%(n)s rows"), ("more", "")]


@pytest.mark.parametrize(
    ("language", "said"),
    [
        ("uk", ["Повторити 1 запис?", "Повторити 3 записи?", "Повторити 11 записів?", "Повторити 21 запис?"]),
        ("ru", ["Повторить 1 запись?", "Повторить 3 записи?", "Повторить 11 записей?", "Повторить 21 запись?"]),
    ],
)
def test_numbers_take_the_form_of_the_word_that_belongs_to_them(language: str, said: list[str]) -> None:
    from django.utils.translation import ngettext, override

    with override(language):
        found = [ngettext("Retry %(count)s record?", "Retry %(count)s records?", n) % {"count": n} for n in (1, 3, 11, 21)]
    assert found == said


# --- connectors -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", sorted(registry.connectors()))
def test_a_connector_brings_its_help_in_three_languages(key: str) -> None:
    package = files(inspect.getmodule(registry.connector(key)).__package__ or "")  # type: ignore[union-attr]
    texts = {language: package.joinpath("help", f"{language}.md") for language in (*LANGUAGES, "en")}
    assert [language for language, file in texts.items() if not file.is_file()] == []
    headings = {language: len(re.findall(r"^#", file.read_text(encoding="utf-8"), re.M)) for language, file in texts.items()}
    assert len(set(headings.values())) == 1, f"one of them has grown without the others: {headings}"
    # The glossary has one word for the hub; these are what it is called elsewhere.
    other = re.compile(r"\bхаб|сервер\w* обм[іе]н", re.IGNORECASE)
    assert [(language, found) for language, file in texts.items() for found in other.findall(file.read_text("utf-8"))] == []


@pytest.mark.parametrize("file", sorted(tool.SOURCE.glob("connectors/*/profiles/*.toml")), ids=lambda f: f.stem)
def test_a_profile_says_its_title_and_its_note(file: Path) -> None:
    profile = tomllib.loads(file.read_text("utf-8"))
    assert profile.get("title")
    assert profile.get("note")


# --- pages ----------------------------------------------------------------------------------------------------------------


class Words(html.parser.HTMLParser):
    """What a person reads on a page: texts, and the attributes that are shown or read aloud."""

    SHOWN = ("title", "placeholder", "aria-label", "alt", "data-label", "data-confirm")
    SILENT = ("script", "style", "template", "code", "pre", "kbd", "textarea")
    VOID = ("input", "img", "br", "hr", "meta", "link", "col", "path", "source", "wbr")

    def __init__(self) -> None:
        super().__init__()
        self.open: list[tuple[str, bool]] = []
        self.texts: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        classes = found.get("class", "").split()
        silent = (
            tag in self.SILENT or "zone" in found.get("name", "") or bool({"material-symbols-outlined", "o-mono"} & set(classes))
        )
        if tag not in self.VOID:
            self.open.append((tag, silent or bool(self.open and self.open[-1][1])))
        self.texts += [found[name] for name in self.SHOWN if found.get(name)]
        if tag == "input" and found.get("type") in ("submit", "button"):
            self.texts.append(found.get("value", ""))
        if tag == "a" and found.get("href"):
            self.links.append(found["href"])

    def handle_endtag(self, tag: str) -> None:
        for i in range(len(self.open) - 1, -1, -1):
            if self.open[i][0] == tag:
                del self.open[i:]
                return

    def handle_data(self, data: str) -> None:
        if data.strip() and not (self.open and self.open[-1][1]):
            self.texts.append(data)


def read(page: str) -> Words:
    words = Words()
    words.feed(page)
    return words


def squeezed(text: str) -> str:
    return " ".join(text.split())


class Leftovers:
    """The English of sentences that read otherwise in a language, as patterns of what would stand on a page."""

    def __init__(self, language: str) -> None:
        self.whole: set[str] = set()
        self.patterns: list[re.Pattern[str]] = []
        for entry in catalogue(language):
            for english in filter(None, (entry.msgid, entry.msgid_plural)):
                plain = squeezed(english)
                if english in forms(entry):
                    continue
                if re.search(r"\{\w+\}|%\(\w+\)", plain):
                    pieces = re.split(r"\{[\w.]*\}|%\(\w+\)[sdr]", plain)
                    if max(map(len, pieces)) >= 6:
                        self.patterns.append(re.compile(".*".join(map(re.escape, pieces)), re.IGNORECASE))
                else:
                    self.whole.add(plain.lower())
        self.long = [text for text in self.whole if len(text) >= 14]

    def of(self, page: Words) -> list[str]:
        found = []
        for text in map(squeezed, page.texts):
            low = text.lower().rstrip(":*")
            if low in self.whole or any(s in low for s in self.long) or any(p.search(text) for p in self.patterns):
                found.append(text)
        return found


# Latin words that are names or codes in every language, and what the test's own data brings.
NAMES = re.compile(
    r"""\b(api\.telegram\.org|prod-77|1c-torhivlia|buyer@example\.com|\w+=\w+(?:&\w+=\w+)*|Obmen|1C|CommerceML|CS-Cart|GetMeBack|Olvery|BAS|ERP|XML|HTML|ZIP|JSON|ISO|UTF-8|BOM|POST|GET|cron|LDAP|e-?mail
    |checkauth|sessid|success|failure|progress|import|windows-1251|Class365|RUB|UAH|Europe/Kyiv|English|take|keep|if_new|if_empty
    |append|product\.name|bitrix/\S+|rest/\S+|admin/\S+|exim_1c|exchange/|commerceml|User-Agent
    |[0-9a-f]{4,6}(?=\*)|admin|owner|operator|viewer|Control|Command|Mac|Single|Sign-On|Sing-On|salt|commerceml_door|ОписаниеВФорматеHTML)\b
    |\{[\w."\[\]{}:, …]*\}
    |\b(RetailCRM|CRM|API|HTTP|GUID|ICML|YML|SQLite|PostgreSQL|Python|xmlId|externalId|offer\ id|offline|nomer1c)\b|\w+\.retailcrm\.ru
    |…/\w+/\d+(?:/edit)?|https://(?:shop\.example/\w*)?
    |\b(commerceml_client|formats/\S+|InSales|OpenCart|Exchange\ 1C|UMI(\.CMS)?|Webasyst|Shop-Script|WooCommerce(\ and\ 1C:Enterprise)?|RUR)\b
    |inn_kpp,\ inn,\ email,\ phone,\ name
    |\b(Prom(\.ua|\.md)?|Rozetka|Satu(\.kz)?|Meest|Justin|my\.\w+\.(ua|kz|md)|api/v1|api|ID\ (Rozetka|Prom)|shop\.example|property:Color|red|blue)\b
    |\(name,\ article,\ description\ …\)|middle_name,\ phone,\ email,\ address
    |\b(article|description|address|last_name|first_name|middle_name|client\.id)\b
    |\b(Telegram|Bitrix|smtp\.example\.com|STARTTLS|TLS|OBMEN_[A-Z_]+|BotFather|newbot|Bot|(Google|Microsoft)\ Authenticator
    |Aegis|2FAS|CSV|Excel)\b
    |posted,\ paid,\ shipped\ \S+\ cancelled""",  # what may be written into a requisite, Olvery's example, the codes in the settings of a CRM
    re.VERBOSE | re.IGNORECASE,
)
# Django's own page of what goes along with a user or a group, and the names of the first roles, which people may change.
DJANGO_ONLY = re.compile(r"relationship|\b(Exchange operators|Owners|Viewers|Integrations)\b")


def pages(client: Client, language: str) -> Iterator[tuple[str, Words]]:
    """Every page that links lead to, two of each kind and tab, the page of each connection; and those that come only after an answer."""
    seen: dict[tuple[str, ...], int] = {}
    asked: set[str] = set()
    queue = ["/", "/password_change/"]
    while queue:
        address = queue.pop(0)
        path = urlsplit(address).path
        if address in asked or path.startswith(("/static/", "/media/", "/i18n/", "/exchange/", "/pictures/", "/logout/")):
            continue
        asked.add(address)
        match = resolve(path)
        tab = str(match.kwargs.get("tab", ""))  # each tab of a connection is a page of its own
        which = str(match.kwargs.get("object_id", "")) if match.view_name.endswith("store_connection_change") else ""
        kind = (match.view_name, which, tab, *sorted(set(re.findall(r"[?&]([^=&]+)=", address)) - {"_changelist_filters", "o"}))
        if seen.get(kind, 0) >= 2:
            continue
        seen[kind] = seen.get(kind, 0) + 1
        answer = client.get(address, headers={"accept-language": language}, follow=True)
        assert answer.status_code == 200, address
        if not answer.headers["Content-Type"].startswith("text/html") or answer.streaming:
            continue
        words = read(answer.content.decode())
        yield address, words
        for link in words.links:
            target = urljoin(address, link)
            if not urlsplit(target).netloc and target.startswith("/"):
                queue.append(target.partition("#")[0])


@pytest.fixture
def shop(db: Any, settings: Any, tmp_path: Path) -> Any:
    import books

    from obmen.store import models

    settings.MEDIA_ROOT = tmp_path
    settings.PASSWORD_HASHERS = books.FAST_HASH
    people = books.people()
    one, _password = books.door()
    books.goods(one)
    books.states()
    for i, state in enumerate(models.Reference.objects.filter(subject="order_state")):
        state.key = f"0{i}"  # an id such as "paid" would pass for a word that was not translated
        state.save()
    order = books.order(state="00")
    waits = "{count} cards have {why}: join them or correct the cards, then try again"
    books.parked(one, text=waits, facts={"count": 2, "why": "article = КВ-250"})
    books.running_run(one)
    text = (
        "New: {created}, changed: {updated}, found: {matched}, unchanged: {unchanged}, left out: {left_out}, set aside: {parked}"
    )
    counts = {"created": 1, "updated": 2, "matched": 0, "unchanged": 7, "left_out": 0, "parked": 1}
    done = books.finished_run(one, text=text, facts=counts, counts=counts, ago=1)
    models.RunLine.objects.create(run=done, level="warning", text=waits, facts={"count": 2, "why": "«КВ-250»"})
    models.Mapping.objects.create(connection=one, subject="order_state", theirs="N", theirs_name="Новый")
    models.Message.objects.create(connection=one, call="GET type=catalog&mode=init", answer="zip=yes")
    models.Outbox.objects.get_or_create(connection=one, kind="order", record_id=order.pk)
    from obmen.store import journal

    journal.note(one, "connection.switched_on", "admin")
    called()
    return people


def called() -> None:
    """A connection of each connector with tabs: checked, so that no tab is shut, with every table open and a row in it."""
    from django.utils import timezone

    from obmen.store import connections, models

    for number, kind in enumerate(registry.connectors().values()):
        if not kind.tabs:
            continue
        opening = {name: True for table in kind.tables for name in table.when.split()}
        one, _password = connections.create(kind.key, f"Магазин {number}", settings=opening, language="uk")
        models.Connection.objects.filter(pk=one.pk).update(checked=timezone.now(), check_text="demo.example")
        for i, table in enumerate(kind.tables):
            row = {"connection": one, "subject": table.subject}
            models.RemoteReference.objects.create(**row, key=f"1{i}", name="Значення в них")
            models.Mapping.objects.create(
                **row,
                theirs=f"1{i}",
                theirs_name="Значення в них",
                inbound=table.direction != "out",
                outbound=table.direction != "in",
            )


def client_of(user: Any) -> Client:
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_page_shows_english(shop: Any, language: str) -> None:
    """Neither a sentence whose translation is not asked for, nor words that nobody marked as a sentence."""
    leftovers = Leftovers(language)
    forgotten: dict[str, str] = {}
    unmarked: dict[str, str] = {}
    opened = []
    for address, words in pages(client_of(shop.admin), language):
        opened.append(urlsplit(address).path)
        words.texts = [text for text in words.texts if not DJANGO_ONLY.search(text)]
        for text in leftovers.of(words):
            forgotten.setdefault(text, address)
        for text in map(squeezed, words.texts):
            if text not in forgotten and re.search(r"[A-Za-z]{3,}", NAMES.sub("", text)):
                unmarked.setdefault(text, address)
    assert [f"{address}: {text}" for text, address in forgotten.items()] == []
    assert [f"{address}: {text}" for text, address in unmarked.items()] == []
    assert len(opened) > 40
    tabs = {tab for kind in registry.connectors().values() for tab, _title in kind.tabs}
    assert tabs <= {path.rstrip("/").rpartition("/")[2] for path in opened if "/tab/" in path}


@pytest.mark.parametrize(
    ("language", "said"),
    [
        ("uk", "Товар 7: у Цена вказано «дорого», а очікується: число; виправте в системі, яка надсилає"),
        ("ru", "Товар 7: в Цена указано «дорого», а ожидается: число; исправьте в отправляющей системе"),
        ("en", "Товар 7: Цена says “дорого” where a number was expected; correct it in the sending system"),
    ],
)
def test_a_fault_is_told_to_1c_wholly_in_the_language_of_its_connection(db: Any, language: str, said: str) -> None:
    from obmen.formats.commerceml import records
    from obmen.store import models
    from obmen.store.doors import DjangoDoorHost

    connection = models.Connection(connector="commerceml_door", name="1C", slug="1c", language=language)
    host = DjangoDoorHost(connection, settings=None, ask=None)  # type: ignore[arg-type]
    facts = {"record": "Товар", "key": "7", "element": "Цена", "found": "дорого", "expected": "a number"}
    assert host.say(records.NOT_A_NUMBER, **facts) == said
