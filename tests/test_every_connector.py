"""What every connector has to keep, whoever wrote it. The suite finds connectors by itself (registry: folders and entry points).

Each check yields sentences about what is wrong. The toys at the end prove that each of them can fail.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any

import pytest

import obmen.connectors
from connectors.memory_host import MemoryHost
from obmen import registry
from obmen.core import schedule
from obmen.core.contract import (
    BadDocument,
    BadRecord,
    Call,
    Connector,
    ExchangeError,
    Item,
    NeedsOwner,
    Page,
    Receiving,
    Reply,
    StartAgain,
    TryLater,
)
from obmen.core.records import Kind, Record, digest, plain
from obmen.core.settings import About, load, setting

DOCS = Path(__file__).parent.parent / "docs" / "connectors"
TELLING = re.compile(r"passw|secret|token|api_?key|private_?key|credential")
KIND_OF = {"products": Kind.PRODUCT, "prices": Kind.PRICES, "stock": Kind.STOCK, "orders": Kind.ORDER, "groups": Kind.GROUP}
GARBAGE = {
    "nothing": b"",
    "noise": bytes(range(256)) * 8,
    "other": b'{"orders": [{"id": 1}]}',
    "html": b"<html><body>502 Bad Gateway</body></html>",
    "cut": '<?xml version="1.0" encoding="UTF-8"?><КоммерческаяИнформация ВерсияСхемы="2.08"><Каталог><Товары><Товар><Ид>1'.encode(),
}
Check = Callable[[type[Connector], Path, Path], Iterator[str]]


class NothingKnown:
    def seen(self, kind: Kind) -> bytes:
        return b""


# --- the checks ------------------------------------------------------------------------------------------------------------


def it_is_named(cls: type[Connector], docs: Path, tmp: Path) -> Iterator[str]:
    if not re.fullmatch(r"[a-z][a-z0-9_]*", cls.key):
        yield f"the key {cls.key!r} is not lower-case letters, digits and _"
    if not cls.title.strip():
        yield "it has no title"
    for other in registry.connectors().values():
        names = {other.key, *other.aliases}
        if other is not cls and (clash := names & {cls.key, *cls.aliases}):
            yield f"{', '.join(sorted(clash))} is a name of {other.key} too"
    for stream in cls.streams:
        if not re.fullmatch(r"[a-z]+(-[a-z]+)*-(in|out)", stream):
            yield f"the stream {stream!r} does not say its direction"


def settings_are_documented(cls: type[Connector], docs: Path, tmp: Path) -> Iterator[str]:
    if not is_dataclass(cls.settings):
        yield "the settings are no dataclass"
        return
    for f in fields(cls.settings):
        about = f.metadata.get("about")
        if not isinstance(about, About):
            yield f"{f.name} is not made by setting()"
        elif not about.label.strip() or not about.help.strip():
            yield f"{f.name} has no label or no help"


def secrets_are_marked(cls: type[Connector], docs: Path, tmp: Path) -> Iterator[str]:
    for f in fields(cls.settings):
        if TELLING.search(f.name) and f.metadata["about"].kind != "secret":
            yield f"{f.name} sounds like a secret and is none"


def defaults_are_valid(cls: type[Connector], docs: Path, tmp: Path) -> Iterator[str]:
    try:
        made = load(cls.settings, {})
        again = load(cls.settings, {f.name: plain(getattr(made, f.name)) for f in fields(cls.settings)})
    except ExchangeError as error:
        yield f"the defaults are refused: {error}"
        return
    if again != made:
        yield "the defaults are not the same after they were written down and read"


def profiles_load(cls: type[Connector], docs: Path, tmp: Path) -> Iterator[str]:
    for name, profile in cls.profiles().items():
        if not str(profile.get("title", "")).strip():
            yield f"profile {name} has no title"
        plans = profile.get("schedules", {})
        if unknown := {*profile.get("streams", ()), *plans} - set(cls.streams):
            yield f"profile {name}: no such stream {', '.join(sorted(unknown))}"
        try:
            load(cls.settings, profile.get("settings", {}))
            for plan in plans.values():
                schedule.parse(plan)
        except ExchangeError as error:
            yield f"profile {name}: {error}"


def it_is_found_by_people(cls: type[Connector], docs: Path, tmp: Path) -> Iterator[str]:
    if cls.family not in ("", "accounting", "shop", "marketplace", "crm"):
        yield f"there is no family {cls.family}"
    if not cls.about and not all(profile.get("note") for profile in cls.profiles().values() or [{}]):
        yield "it does not say in a sentence what it is for"


def its_page_names_everything(cls: type[Connector], docs: Path, tmp: Path) -> Iterator[str]:
    page = docs / f"{cls.key.replace('_', '-')}.md"
    if not page.is_file():
        yield f"there is no {page.name}"
        return
    said = set(re.findall(r"`([^`\s]+)`", page.read_text("utf-8")))
    for kind, names in (
        ("setting", [f.name for f in fields(cls.settings)]),
        ("profile", list(cls.profiles())),
        ("stream", list(cls.streams)),
    ):
        for name in names:
            if name not in said:
                yield f"{page.name} does not name the {kind} `{name}`"


def check_answers(cls: type[Connector], docs: Path, tmp: Path) -> Iterator[str]:
    try:
        said = cls(cls.settings()).check()
    except (NeedsOwner, TryLater):
        return
    except Exception as error:
        yield f"check() raises {type(error).__name__}"
        return
    if not isinstance(said, str) or not said.strip():
        yield "check() says nothing"


def errors_are_classified(cls: type[Connector], docs: Path, tmp: Path) -> Iterator[str]:
    connector = cls(cls.settings())
    for name, body in GARBAGE.items():
        file = tmp / f"{name}.xml"
        file.write_bytes(body)
        try:
            source = connector.open_files([file])
            for page in source.pages(None, NothingKnown()):
                yield from _results(name, page.items, source.parse(page.kind, page.items))
        except (NeedsOwner, TryLater, BadDocument, StartAgain):
            continue
        except Exception as error:
            yield f"a file of {name} raises {type(error).__name__}"
    try:
        sources = connector.sources()
    except NeedsOwner:  # with nothing but defaults
        return
    for source in sources:
        if not isinstance(source.rules, Receiving) or source.stream not in cls.streams:
            yield f"a source without rules, or of no stream of the connector: {source.stream}"
        for name, payload in {**GARBAGE, "empty": {}, "list": [], "text": "x", "number": 1}.items():
            items = [Item("1", payload, digest(name))]
            try:
                found = source.parse(KIND_OF[source.stream.partition("-")[0]], items)
            except StartAgain:
                continue
            except Exception as error:
                yield f"{source.stream}: an item of {name} raises {type(error).__name__}"
                continue
            yield from _results(name, items, found)


def _results(name: str, items: Sequence[Item], found: Sequence[Any]) -> Iterator[str]:
    if len(found) != len(items):
        yield f"{name}: {len(items)} items became {len(found)} results"
    for one in found:
        if one is not None and not isinstance(one, BadRecord | Record):
            yield f"{name}: a result is neither a record nor a BadRecord"


def sinks_are_whole(cls: type[Connector], docs: Path, tmp: Path) -> Iterator[str]:
    try:
        sinks = cls(cls.settings()).sinks()
    except NeedsOwner:
        return
    for sink in sinks:
        if sink.stream not in cls.streams or not isinstance(sink.kind, Kind) or sink.batch < 1:
            yield f"a sink of no stream, no kind or no batch: {sink.stream}"
        if not all(callable(getattr(sink, name, None)) for name in ("render", "write", "external_id")):
            yield f"the sink {sink.stream} lacks render, write or external_id"


def doors_answer_anything(cls: type[Connector], docs: Path, tmp: Path) -> Iterator[str]:
    for door in cls(cls.settings()).doors().values():
        for method, query in (("GET", {}), ("GET", {"type": "nonsense", "mode": "nonsense"}), ("POST", {"type": "catalog"})):
            host = MemoryHost(tmp, cls.settings())
            call = Call(method, query, {}, io.BytesIO(b"\x00garbage"), 8, "192.0.2.7", "somebody")
            try:
                reply = door.answer(call, host)
            except Exception as error:
                yield f"{method} {query} raises {type(error).__name__}"
                continue
            body = reply.body if isinstance(reply.body, bytes) else b"".join(reply.body)
            if not isinstance(reply, Reply) or reply.status >= 500 or not body:
                yield f"{method} {query} is answered by {reply.status} and {len(body)} bytes"


CHECKS: tuple[Check, ...] = (
    it_is_named,
    settings_are_documented,
    secrets_are_marked,
    defaults_are_valid,
    profiles_load,
    it_is_found_by_people,
    its_page_names_everything,
    check_answers,
    errors_are_classified,
    sinks_are_whole,
    doors_answer_anything,
)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("key", sorted(registry.connectors()))
def test_every_connector_keeps_its_contract(key: str, check: Check, tmp_path: Path) -> None:
    assert list(check(registry.connector(key), DOCS, tmp_path)) == []


def test_every_folder_of_a_connector_is_found_by_the_registry() -> None:
    folders = {p.parent.name for p in Path(obmen.connectors.__path__[0]).glob("*/__init__.py")}
    assert folders == {
        cls.__module__.split(".")[2] for cls in registry.connectors().values() if "obmen.connectors." in cls.__module__
    }


# --- a good toy, and one for each way to be wrong --------------------------------------------------------------------------


@dataclass(frozen=True)
class ToySettings:
    url: str = setting("", "Address", "Where the shop is.")
    api_token: str = setting("", "Token", "From the shop's own pages.", kind="secret")
    wait: int = setting(5, "Seconds", "How long an answer may take.", minimum=1)


class ToySource:
    stream, rules = "orders-in", Receiving()

    def pages(self, since: Any, known: Any) -> Iterator[Page]:
        return iter(())

    def parse(self, kind: Kind, items: Sequence[Item]) -> Sequence[Any]:
        return [BadRecord("no order") for _item in items]


class ToySink:
    stream, kind, batch = "stock-out", Kind.STOCK, 50

    def render(self, record_id: int, record: Any, links: Any) -> Any: ...
    def write(self, changes: Any) -> Any: ...
    def external_id(self, record: Any) -> None: ...


class ToyDoor:
    def answer(self, call: Call, host: Any) -> Reply:
        return Reply(b"failure\nwhat is that", 200)


class Toy(Connector):
    key, title, settings, streams = "toy", "Toy shop", ToySettings, ("orders-in", "stock-out")
    family, about = "shop", "Sells toys."

    @classmethod
    def profiles(cls) -> Mapping[str, Mapping[str, Any]]:
        return {"slow": {"title": "Slow", "settings": {"wait": 60}, "streams": ["orders-in"]}}

    def check(self) -> str:
        if not self.s.url:
            raise NeedsOwner("Enter the address")
        return "connected"

    def sources(self) -> Sequence[Any]:
        return [ToySource()]

    def sinks(self) -> Sequence[Any]:
        return [ToySink()]

    def doors(self) -> Mapping[str, Any]:
        return {"": ToyDoor()}


PAGE = "`url` `api_token` `wait` `slow` `orders-in` `stock-out`"


def toy(**changes: Any) -> type[Connector]:
    return type("Changed", (Toy,), changes)


def with_settings(**made: Any) -> type[Connector]:
    body = {"__annotations__": dict.fromkeys(made, "str")} | made
    return toy(settings=dataclass(frozen=True)(type("Changed", (), body)), profiles=classmethod(lambda cls: {}))


def source_that(parse: Any) -> type[Connector]:
    made = type("Changed", (ToySource,), {"parse": parse})
    return toy(sources=lambda self: [made()])


def door_that(answer: Any) -> type[Connector]:
    return toy(doors=lambda self: {"": type("Changed", (), {"answer": answer})()})


def _raise(error: Exception) -> Any:
    raise error


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_a_good_toy_passes_every_check(check: Check, tmp_path: Path) -> None:
    (tmp_path / "toy.md").write_text(PAGE, "utf-8")
    assert list(check(Toy, tmp_path, tmp_path)) == []


@pytest.mark.parametrize(
    ("check", "broken", "said"),
    [
        (it_is_named, toy(key="My Shop"), "lower-case"),
        (it_is_named, toy(aliases=("1c",)), "is a name of commerceml_door too"),
        (it_is_named, toy(streams=("orders",)), "does not say its direction"),
        (settings_are_documented, with_settings(url=setting("", "Address")), "url has no label or no help"),
        (settings_are_documented, with_settings(url=""), "url is not made by setting()"),
        (secrets_are_marked, with_settings(password=setting("", "Password", "Yours.")), "password sounds like a secret"),
        (defaults_are_valid, with_settings(mode=setting("x", "Mode", "One.", choices=(("a", "A"),))), "the defaults are refused"),
        (profiles_load, toy(profiles=classmethod(lambda cls: {"p": {"title": "P", "settings": {"wiat": 1}}})), "profile p: "),
        (profiles_load, toy(profiles=classmethod(lambda cls: {"p": {"title": "P", "streams": ["x-in"]}})), "no such stream x-in"),
        (
            profiles_load,
            toy(profiles=classmethod(lambda cls: {"p": {"title": "P", "schedules": {"orders-in": "now"}}})),
            "no schedule",
        ),
        (it_is_found_by_people, toy(family="bank"), "there is no family bank"),
        (it_is_found_by_people, toy(about=""), "does not say in a sentence"),
        (its_page_names_everything, toy(key="toy2"), "there is no toy2.md"),
        (its_page_names_everything, toy(streams=("returns-in",)), "does not name the stream `returns-in`"),
        (check_answers, toy(check=lambda self: ""), "check() says nothing"),
        (check_answers, toy(check=lambda self: _raise(KeyError("url"))), "check() raises KeyError"),
        (errors_are_classified, toy(open_files=lambda self, files: _raise(ValueError())), "a file of nothing raises ValueError"),
        (errors_are_classified, source_that(lambda self, kind, items: _raise(KeyError("id"))), "raises KeyError"),
        (errors_are_classified, source_that(lambda self, kind, items: []), "1 items became 0 results"),
        (errors_are_classified, source_that(lambda self, kind, items: ["x"]), "neither a record nor a BadRecord"),
        (sinks_are_whole, toy(streams=("orders-in",)), "a sink of no stream"),
        (doors_answer_anything, door_that(lambda self, call, host: Reply(b"")), "0 bytes"),
        (doors_answer_anything, door_that(lambda self, call, host: _raise(KeyError("mode"))), "raises KeyError"),
    ],
)
def test_each_check_notices_what_it_is_for(check: Check, broken: type[Connector], said: str, tmp_path: Path) -> None:
    (tmp_path / "toy.md").write_text(PAGE, "utf-8")
    assert said in "; ".join(check(broken, tmp_path, tmp_path))
