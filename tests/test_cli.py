"""The command line as other tools use it: exact shapes, exit codes, nothing asked, nothing but the result on stdout."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hub import Hub

pytestmark = pytest.mark.long

IMPORT = """<?xml version="1.0" encoding="UTF-8"?>
<КоммерческаяИнформация ВерсияСхемы="2.05" ДатаФормирования="2026-11-21T10:00:00">
<Классификатор><Ид>c-1</Ид><Наименование>Классификатор</Наименование>
<Группы><Группа><Ид>g-1</Ид><Наименование>Чай</Наименование><Группы><Группа><Ид>g-2</Ид><Наименование>Зелёный</Наименование></Группа></Группы></Группа></Группы>
<Свойства><Свойство><Ид>p-1</Ид><Наименование>Цвет</Наименование><ТипЗначений>Справочник</ТипЗначений><ВариантыЗначений>
<Справочник><ИдЗначения>v-1</ИдЗначения><Значение>красный</Значение></Справочник></ВариантыЗначений></Свойство></Свойства>
</Классификатор>
<Каталог СодержитТолькоИзменения="false"><Ид>c-1</Ид><ИдКлассификатора>c-1</ИдКлассификатора><Наименование>Каталог</Наименование><Товары>
<Товар><Ид>t-1</Ид><Артикул>A-1</Артикул><Наименование>Чай</Наименование><БазоваяЕдиница Код="796" НаименованиеПолное="Штука">шт</БазоваяЕдиница>
<Группы><Ид>g-2</Ид></Группы><Описание>Крепкий</Описание><ЗначенияСвойств><ЗначенияСвойства><Ид>p-1</Ид><Значение>v-1</Значение></ЗначенияСвойства></ЗначенияСвойств>
<СтавкиНалогов><СтавкаНалога><Наименование>НДС</Наименование><Ставка>20</Ставка></СтавкаНалога></СтавкиНалогов>
<ЗначенияРеквизитов><ЗначениеРеквизита><Наименование>Вес</Наименование><Значение>0.5</Значение></ЗначениеРеквизита></ЗначенияРеквизитов></Товар>
</Товары></Каталог></КоммерческаяИнформация>
"""
OFFERS = """<?xml version="1.0" encoding="UTF-8"?>
<КоммерческаяИнформация ВерсияСхемы="2.05" ДатаФормирования="2026-11-21T10:00:00">
<ПакетПредложений СодержитТолькоИзменения="false"><Ид>c-1#</Ид><Наименование>Пакет</Наименование>
<ИдКаталога>c-1</ИдКаталога><ИдКлассификатора>c-1</ИдКлассификатора>
<ТипыЦен><ТипЦены><Ид>retail</Ид><Наименование>Розничная</Наименование><Валюта>UAH</Валюта></ТипЦены></ТипыЦен>
<Склады><Склад><Ид>w-1</Ид><Наименование>Основной</Наименование></Склад></Склады>
<Предложения><Предложение><Ид>t-1</Ид><Наименование>Чай</Наименование>
<Цены><Цена><ИдТипаЦены>retail</ИдТипаЦены><ЦенаЗаЕдиницу>10.50</ЦенаЗаЕдиницу><Валюта>UAH</Валюта></Цена></Цены>
<Количество>3.500</Количество><Склад ИдСклада="w-1" КоличествоНаСкладе="3.500"/></Предложение></Предложения>
</ПакетПредложений></КоммерческаяИнформация>
"""

ORDER: dict[str, Any] = {
    "key": "o-1",
    "number": "1001",
    "date": "2026-11-21T10:00:00+02:00",
    "state": "new",
    "currency": "UAH",
    "total": "125.50",
    "counterparty": {"key": "b-1", "name": "Олена К.", "phone": "+380000000000", "email": "o@example.com", "address": "Київ"},
    "lines": [
        {"offer": "t-1", "article": "A-1", "name": "Чай", "kind": "product", "quantity": "3", "price": "35", "discount": "5", "total": "100"},
        {"offer": "ORDER_DELIVERY", "name": "Доставка", "kind": "delivery", "quantity": 1, "price": 25.5, "total": 25.5},
    ],
    "delivery": {"method": "Пошта", "address": "Київ", "price": "25.5"},
    "payments": [{"key": "p-1", "amount": "125.50", "method": "Картка", "paid": True, "date": "2026-11-21T09:00:00Z"}],
    "requisites": {"Канал": "сайт", "Мітка": ["a", "b"]},
}  # fmt: skip


def write_lines(file: Path, *rows: object) -> str:
    file.write_text("".join((r if isinstance(r, str) else json.dumps(r, ensure_ascii=False)) + "\n" for r in rows), "utf-8")
    return str(file)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


# --- init ------------------------------------------------------------------------------------------------------------------


def test_init_makes_everything_once_and_again_changes_nothing(make_hub) -> None:
    hub = make_hub()
    done = hub.cli("init", "--admin-password", "first")
    assert done.stdout == "made the user admin\n"
    assert (mode(hub.home), mode(hub.home / "keys"), mode(hub.home / "secret_key")) == (0o700, 0o600, 0o600)
    before = {f.name: f.read_bytes() for f in hub.home.iterdir() if f.name in ("keys", "secret_key")}
    again = hub.cli("init", "--admin-password", "second")
    assert (again.stdout, again.stderr, again.returncode) == ("", "", 0)
    assert {name: (hub.home / name).read_bytes() for name in before} == before
    ask = "from django.contrib.auth.models import User; u = User.objects.get(); print(u.username, u.is_superuser, u.check_password('first'))"
    shell = "import os, django; os.environ['DJANGO_SETTINGS_MODULE'] = 'obmen.settings'; django.setup(); " + ask
    out = subprocess.run([sys.executable, "-c", shell], env=hub.env, capture_output=True, text=True, check=True).stdout
    assert out == "admin True True\n"


def test_init_without_a_password_prints_a_generated_one_once_and_asks_nothing(make_hub) -> None:
    hub = make_hub()
    user, password = hub.cli("init", stdin="").stdout.split()
    assert (user, len(password)) == ("admin", 20)
    assert hub.cli("init", stdin="").stdout == ""


def test_two_hubs_set_up_at_one_moment_share_keys_and_database(make_hub) -> None:
    hub = make_hub()
    command = [sys.executable, "-m", "obmen.cli", "init", "--admin-password", "x"]
    both = [subprocess.Popen(command, env=hub.env, stderr=subprocess.PIPE, text=True) for _i in range(2)]
    errors = [process.communicate(timeout=120)[1] for process in both]
    assert [process.returncode for process in both] == [0, 0], errors
    assert hub.dump("runs") == []
    assert not [f for f in hub.home.iterdir() if f.name.startswith((".keys", ".secret"))]


def test_without_a_database_a_command_says_what_to_do_and_makes_none(make_hub) -> None:
    hub = make_hub()
    done = hub.cli("dump", "products", ok=False)
    assert (done.returncode, done.stdout, done.stderr) == (3, "", "There is no database yet: run “obmen init”\n")
    assert list(hub.home.glob("*.sqlite3")) == []


# --- connections -----------------------------------------------------------------------------------------------------------


def test_adding_a_door_prints_exactly_what_its_user_types_over_there(make_hub) -> None:
    hub = make_hub().init()
    made = hub.add_door("Наша 1С", "ut11", minimum_interval=5)
    assert set(made) == {"name", "path", "login", "password"}
    assert (made["name"], made["path"], made["login"]) == ("Наша 1С", "/exchange/nasha-1s/", "nasha-1s")
    assert len(made["password"]) == 20
    [row] = [json.loads(line) for line in hub.cli("connection", "list", "--json").stdout.splitlines()]
    assert row == {
        "name": "Наша 1С",
        "connector": "commerceml_door",
        "profile": "ut11",
        "enabled": True,
        "path": "/exchange/nasha-1s/",
        "login": "nasha-1s",
        "language": "ru",
        "time_zone": "Europe/Kyiv",
        "wake_up": None,
        "feeds": {},
    }


@pytest.fixture(scope="module")
def with_door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    """One hub for the calls that are refused."""
    hub = Hub(tmp_path_factory.mktemp("door")).init()
    hub.add_door("1C")
    yield hub
    hub.close()


@pytest.mark.parametrize(
    ("args", "code", "says"),
    [
        (("commerceml_door", "1C"), 1, "There is a connection “1C” already"),
        (("nix", "B"), 3, "There is no connector “nix”; there are: "),
        (("commerceml_door", "B", "--profile", "x"), 3, "has no profile “x”; there are: "),
        (("commerceml_door", "B", "--set", "colour=red"), 3, "colour: there is no such setting"),
        (("commerceml_door", "B", "--set", "colour"), 2, "is not field=value"),
        (("commerceml_door",), 2, "Missing argument 'name'"),
    ],
)
def test_a_connection_that_cannot_be_added_is_one_sentence_and_an_exit_code(with_door: Hub, args, code, says) -> None:
    done = with_door.cli("connection", "add", *args, "--json", ok=False)
    assert (done.returncode, done.stdout) == (code, "")
    assert says in done.stderr.replace("\n", " ")
    assert "Traceback" not in done.stderr
    assert len(with_door.cli("connection", "list").stdout.splitlines()) == 1


def test_a_connection_is_changed_carried_to_another_hub_and_removed(make_hub, tmp_path: Path) -> None:
    hub = make_hub().init()
    hub.add_door("1C")
    changed = hub.cli("connection", "set", "1C", "minimum_interval=15")
    assert changed.stdout == "minimum_interval: None → 15\n"
    file = tmp_path / "1c.toml"
    file.write_text(hub.cli("connection", "export", "1C").stdout, "utf-8")
    other = make_hub().init()
    made = json.loads(other.cli("connection", "apply", str(file), "--json").stdout)
    assert set(made) == {"name", "path", "login", "password"}
    assert other.cli("connection", "apply", str(file)).stdout == "1C is as the file says\n"
    assert other.cli("connection", "export", "1C").stdout == file.read_text("utf-8")
    refused = other.cli("connection", "remove", "1C", ok=False, stdin="")
    assert refused.returncode == 2
    assert other.cli("connection", "remove", "1C", "--yes").stdout == "removed 1C\n"
    assert other.cli("connection", "list").stdout == ""


def test_a_new_password_is_printed_alone(make_hub) -> None:
    hub = make_hub().init()
    old = hub.add_door("1C")["password"]
    new = hub.cli("connection", "password", "1C").stdout.strip()
    assert len(new) == 20
    assert new != old


def test_an_unknown_connection_is_named_with_those_that_are(with_door: Hub) -> None:
    for command in (("check", "X"), ("run", "X"), ("dump", "links", "--connection", "X"), ("connection", "export", "X")):
        done = with_door.cli(*command, ok=False)
        assert (done.returncode, done.stderr) == (3, "There is no connection “X”; there are: 1C\n")


# --- dump ------------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """One hub for the tests that look at it: a folder was loaded, nothing else was ever set up."""
    folder = tmp_path_factory.mktemp("exchange")
    (folder / "import.xml").write_text(IMPORT, "utf-8")
    (folder / "offers.xml").write_text(OFFERS, "utf-8")
    hub = Hub(tmp_path_factory.mktemp("loaded"))
    hub.cli("load", "commerceml", str(folder), "--connection", "1C", "--create")
    yield hub, folder
    hub.close()


def test_a_folder_is_loaded_into_a_hub_that_did_not_exist_and_again_changes_nothing(loaded) -> None:
    hub, folder = loaded
    again = hub.cli("load", "commerceml", str(folder), "--connection", "1C")
    assert again.stdout == "done: unchanged 7\n"
    assert [(r["state"], r["connection"]) for r in hub.dump("runs")] == [("done", "1C")] * 2
    # The pages' own tables come with the first full start.
    hub.cli("init", "--admin-password", "x")
    hub.serve("--no-worker").kill()


def test_goods_are_dumped_exactly_as_documented(loaded) -> None:
    hub, _folder = loaded
    assert hub.dump("products") == [
        {
            "key": "t-1",
            "article": "A-1",
            "name": "Чай",
            "full_name": "",
            "barcode": "",
            "unit": "шт",
            "groups": ["g-2"],
            "vat_rate": "20",
            "description": "Крепкий",
            "kind": "",
            "deleted": False,
            "properties": {"Цвет": "красный"},
            "requisites": {"Вес": "0.5"},
            "pictures": [],
        }
    ]
    assert hub.dump("offers") == [
        {"key": "t-1", "product": "t-1", "name": "Чай", "article": "", "barcode": "", "characteristics": {}, "deleted": False}
    ]
    assert hub.dump("prices") == [{"offer": "t-1", "kind": "retail", "value": "10.5", "currency": "UAH"}]
    assert hub.dump("stock") == [{"offer": "t-1", "warehouse": "w-1", "quantity": "3.5"}]
    assert sorted(hub.dump("groups"), key=lambda group: group["key"]) == [
        {"key": "g-1", "name": "Чай", "parent": "", "description": "", "deleted": False},
        {"key": "g-2", "name": "Зелёный", "parent": "g-1", "description": "", "deleted": False},
    ]


def test_what_the_exchange_remembers_is_dumped_exactly_as_documented(loaded) -> None:
    hub, _folder = loaded
    links = {(row["kind"], row["external_id"]): row for row in hub.dump("links")}
    assert links["product", "t-1"] == {
        "connection": "1C",
        "kind": "product",
        "external_id": "t-1",
        "key": "t-1",
        "sent_version": 0,
        "gone": False,
    }
    assert {kind for kind, _id in links} == {"product", "offer", "group", "property", "reference"}
    run = hub.dump("runs", "--connection", "1C")[0]
    assert set(run) == {"id", "connection", "streams", "state", "trigger", "counts", "started", "ended", "text"}
    assert (run["state"], run["trigger"], run["counts"]) == ("done", "cli", {"created": 7})
    assert hub.dump("parked") == []


def test_dumps_can_be_cut_to_one_connection(loaded) -> None:
    hub, _folder = loaded
    hub.add_door("Other")
    for kind in ("products", "offers", "prices", "stock", "groups", "links"):
        assert len(hub.dump(kind, "--connection", "1C")) == len(hub.dump(kind)) > 0
        assert hub.dump(kind, "--connection", "Other") == []


def test_a_reader_that_stops_early_is_no_error(loaded) -> None:
    hub, _folder = loaded
    command = f"{sys.executable} -m obmen.cli dump products | true; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], env=hub.env, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("0\n", "")


def test_dumping_loads_no_pages(loaded) -> None:
    hub, _folder = loaded
    code = (
        "import sys; from obmen.cli.main import run; code = run(['dump', 'products']);"
        " sys.exit(code or any(m.split('.')[0] in ('unfold', 'axes', 'waitress') for m in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], env=hub.env, capture_output=True, check=False).returncode == 0


def test_an_unknown_kind_is_a_wrong_call(with_door: Hub) -> None:
    done = with_door.cli("dump", "things", ok=False)
    assert done.returncode == 2
    assert "products" in done.stderr


# --- orders ----------------------------------------------------------------------------------------------------------------


def test_orders_come_out_as_they_went_in_and_twice_is_once(make_hub, tmp_path: Path) -> None:
    hub = make_hub().init()
    file = write_lines(tmp_path / "orders.jsonl", ORDER)
    assert hub.cli("load", "orders", file).stdout == "taken 1, changed 1, wrong 0\n"
    assert hub.cli("load", "orders", file).stdout == "taken 1, changed 0, wrong 0\n"
    [order] = hub.dump("orders")
    assert order["date"] == "2026-11-21T08:00:00+00:00"
    assert (order["key"], order["number"], order["total"], order["revision"]) == ("o-1", "1001", "125.5", 1)
    assert order["counterparty"]["name"] == "Олена К."
    assert order["counterparty"]["address"] == {"text": "Київ", "parts": {}}
    assert order["requisites"] == ORDER["requisites"]
    goods, delivery = order["lines"]
    assert {k: goods[k] for k in ORDER["lines"][0]} == ORDER["lines"][0]
    assert (delivery["kind"], delivery["quantity"], delivery["price"], delivery["total"]) == ("delivery", "1", "25.5", "25.5")
    assert order["payments"][0]["paid"] is True
    assert hub.dump("payments") == [
        {
            "order": "o-1",
            "key": "p-1",
            "number": "",
            "date": "2026-11-21T09:00:00+00:00",
            "amount": "125.5",
            "currency": "",
            "method": "Картка",
            "method_key": "",
            "gateway": "",
            "paid": True,
            "refund": False,
            "requisites": {},
        }
    ]
    [buyer] = hub.dump("counterparties")
    assert (buyer["key"], buyer["phone"], buyer["kind"]) == ("b-1", "+380000000000", "person")


def test_a_dump_of_orders_is_a_file_to_load(make_hub, tmp_path: Path) -> None:
    hub, other = make_hub().init(), make_hub().init()
    hub.cli("load", "orders", write_lines(tmp_path / "orders.jsonl", ORDER))
    dumped = hub.cli("dump", "orders").stdout
    assert hub.cli("load", "orders", "-", stdin=dumped).stdout == "taken 1, changed 0, wrong 0\n"
    assert other.cli("load", "orders", "-", stdin=dumped).stdout == "taken 1, changed 1, wrong 0\n"
    assert other.cli("dump", "orders").stdout == dumped


def test_a_changed_order_is_a_new_revision_that_waits_for_the_door(make_hub, tmp_path: Path) -> None:
    hub = make_hub().init()
    hub.add_door("1C")
    hub.cli("load", "orders", write_lines(tmp_path / "a.jsonl", ORDER))
    hub.cli("load", "orders", write_lines(tmp_path / "b.jsonl", ORDER | {"state": "paid"}))
    [order] = hub.dump("orders")
    assert (order["state"], order["revision"]) == ("paid", 2)
    [row] = hub.dump("outbox")
    assert row.pop("since")
    assert row == {"connection": "1C", "kind": "order", "key": "o-1", "revision": 2, "state": "pending", "offers": 0}


def test_wrong_lines_are_named_and_the_rest_is_taken(make_hub, tmp_path: Path) -> None:
    hub = make_hub().init()
    line = {"name": "Tea", "quantity": "1", "price": "10"}
    rows = [
        ORDER,
        "{broken",
        "",
        ORDER | {"key": ""},
        ORDER | {"key": "o-2", "colour": "red"},
        ORDER | {"key": "o-3", "lines": [line | {"quantity": "many"}]},
        ORDER | {"key": "o-4", "date": "yesterday"},
        ORDER | {"key": "o-5", "lines": [{"name": "Tea", "price": 1}]},
        ORDER | {"key": "o-6", "total": "1e400"},
        ORDER | {"key": "o-7", "paid": "yes"},
        ORDER | {"key": "o-8", "lines": [line | {"kind": "gift"}]},
        "[]",
        {"key": "o-9", "date": "2026-11-21T10:00:00", "lines": [line, line | {"discount": 1}], "delivery": {"price": "5"}},
    ]
    done = hub.cli("load", "orders", write_lines(tmp_path / "orders.jsonl", *rows), ok=False)
    assert done.returncode == 1
    assert done.stdout == "taken 2, changed 2, wrong 10\n"
    said = [line.split(": ", 1) for line in done.stderr.splitlines()]
    assert [where for where, _what in said] == [f"orders.jsonl:{n}" for n in (2, 4, 5, 6, 7, 8, 9, 10, 11, 12)]
    assert said[0][1].startswith("no JSON: ")
    assert [what for _where, what in said[1:]] == [
        "key: is missing",
        "colour: there is no such field",
        "lines[0].quantity: 'many' is no number that an order can hold",
        "date: 'yesterday' is no time; write 2026-11-21T09:30:00+02:00",
        "lines[0].quantity: is missing",
        "total: '1e400' is no number that an order can hold",
        "paid: 'yes' is neither true nor false",
        "lines[0].kind: gift is not product, service or delivery",
        "line: an object was expected",
    ]
    short = hub.dump("orders")[-1]
    assert (short["number"], short["date"], short["total"]) == ("o-9", "2026-11-21T08:00:00+00:00", "24")


# --- validate, keys, parked ------------------------------------------------------------------------------------------------


def test_a_good_file_is_valid_and_a_broken_one_is_said_where(make_hub, tmp_path: Path) -> None:
    hub = make_hub()
    good, bad = tmp_path / "good.xml", tmp_path / "bad.xml"
    good.write_text(IMPORT, "utf-8")
    bad.write_text(IMPORT[: IMPORT.index("</Товар>")], "utf-8")
    assert hub.cli("validate", str(good)).returncode == 0
    done = hub.cli("validate", str(good), str(bad), ok=False)
    assert done.returncode == 1
    assert "bad.xml:" in done.stdout
    assert hub.cli("validate", str(tmp_path / "none.xml"), ok=False).returncode == 1


def test_keys_are_rotated_and_secrets_stay_readable(make_hub) -> None:
    hub = make_hub().init()
    first = hub.cli("keys", "list").stdout.split()
    assert first[1] == "0"
    hub.cli("keys", "rotate")
    lines = hub.cli("keys", "list").stdout.splitlines()
    assert [line.split()[0] for line in lines[1:]] == [first[0]]
    assert mode(hub.home / "keys") == 0o600
    hub.cli("keys", "rotate", "--drop")
    assert len(hub.cli("keys", "list").stdout.splitlines()) == 1
    hub.env["OBMEN_KEYS"] = (hub.home / "keys").read_text().strip()
    assert hub.cli("keys", "rotate", ok=False).returncode == 3


def test_a_stream_that_is_switched_off_runs_only_when_that_is_said(make_hub, tmp_path: Path) -> None:
    hub = make_hub().init()
    hub.add_door()
    text = hub.cli("connection", "export", "1C").stdout
    off = re.sub(r'(stream = "products-in"\nenabled = )true', r"\1false", text)
    assert off != text
    (tmp_path / "off.toml").write_text(off, "utf-8")
    hub.cli("connection", "apply", str(tmp_path / "off.toml"))
    refused = hub.cli("run", "1C", "products-in", "orders-out", ok=False)
    assert (refused.returncode, hub.dump("runs")) == (3, [])
    assert refused.stderr.startswith("“products-in” of “1C” is switched off: switch it on")
    hub.cli("run", "1C", "products-in", "--anyway", ok=False)
    assert [row["streams"] for row in hub.dump("runs")] == [["products-in"]]


def test_a_connection_is_paused_until_a_moment_and_goes_on_before_it(make_hub) -> None:
    hub = make_hub().init()
    hub.add_door()
    assert (
        hub.cli("pause", "1C", "--until", "2099-01-31 10:00", "--reason", "stock-taking").stdout
        == "1C is paused until 2099-01-31 10:00\n"
    )
    assert hub.cli("pause", "1C", "--until", "2020-01-31 10:00", ok=False).returncode == 3
    assert hub.cli("pause", "1C", "--until", "soon", ok=False).returncode == 2
    assert [hub.cli("resume", "1C").stdout for _time in range(2)] == ["1C goes on\n", "1C was not paused\n"]


def test_nothing_parked_is_nothing_to_retry(with_door: Hub) -> None:
    assert with_door.cli("parked", "list").stdout == ""
    done = with_door.cli("parked", "retry")
    assert (done.stdout, done.stderr) == ("", "nothing of that is parked\n")


def test_parked_records_are_listed_dumped_and_retried(make_hub, tmp_path: Path) -> None:
    hub = make_hub()
    folder = tmp_path / "exchange"
    folder.mkdir()
    (folder / "offers.xml").write_text(OFFERS, "utf-8")  # of goods that nobody has told of
    hub.cli("load", "commerceml", str(folder), "--connection", "1C", "--create")
    [row] = hub.dump("parked")
    assert set(row) == {
        "id", "connection", "kind", "direction", "external_id", "where", "reason", "facts", "tries", "payload",
    }  # fmt: skip
    assert (row["connection"], row["kind"], row["direction"], row["external_id"]) == ("1C", "offer", "in", "t-1")
    assert "<Ид>t-1</Ид>" in row["payload"]
    assert hub.cli("parked", "list").stdout.startswith(f"{row['id']}  1C: offer t-1")
    assert hub.cli("parked", "retry").returncode == 0
    assert hub.dump("parked")[0]["tries"] == 2


def test_a_command_that_goes_wrong_shows_no_traceback(make_hub) -> None:
    hub = make_hub(database="sqlite")
    hub.env["OBMEN_DATABASE_URL"] = "postgresql://nobody@127.0.0.1:1/none"
    done = hub.cli("dump", "runs", ok=False)
    assert done.returncode == 3
    assert done.stderr.startswith("The database: ")
    assert "Traceback" not in done.stderr


def test_every_command_and_every_dump_is_documented() -> None:
    from typer.main import get_command

    from obmen.cli.books import DumpKind
    from obmen.cli.main import app

    text = (Path(__file__).resolve().parent.parent / "docs" / "cli.md").read_text("utf-8")
    names = []

    def walk(command: Any, name: str) -> None:
        for sub, child in getattr(command, "commands", {}).items():
            walk(child, f"{name} {sub}")
        if not hasattr(command, "commands"):
            names.append(name)

    walk(get_command(app), "obmen")
    assert len(names) > 20
    assert [name for name in names if f"`{name}" not in text] == []
    assert [kind for kind in DumpKind if f"### {kind}" not in text] == []


def test_the_command_is_installed_under_its_name() -> None:
    command = Path(sys.executable).with_name("obmen")
    done = subprocess.run([str(command), "--help"], env=os.environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert "exchange" in done.stdout.lower() or "telling the same story" in done.stdout
