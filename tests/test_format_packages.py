"""A third party's way, from the text of docs/connectors/writing-one.md to an exchange in a hub that is running."""

from __future__ import annotations

import json
import re
import shlex
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

GUIDE = Path(__file__).parent.parent / "docs" / "connectors" / "writing-one.md"
GOODS = """<?xml version="1.0" encoding="UTF-8"?>
<КоммерческаяИнформация ВерсияСхемы="2.08">
 <Каталог СодержитТолькоИзменения="false"><Ид>cat</Ид><Наименование>Каталог</Наименование><Товары>
  <Товар><Ид>p-1</Ид><Артикул>A-1</Артикул><Наименование>Кава</Наименование></Товар>
  <Товар><Ид>p-2</Ид><Артикул>A-2</Артикул><Наименование>Чай</Наименование></Товар>
 </Товары></Каталог>
</КоммерческаяИнформация>"""
PRICES = """<?xml version="1.0" encoding="UTF-8"?>
<КоммерческаяИнформация ВерсияСхемы="2.08">
 <ПакетПредложений СодержитТолькоИзменения="false"><Ид>cat#</Ид><Наименование>Пакет</Наименование><ИдКаталога>cat</ИдКаталога>
  <ТипыЦен><ТипЦены><Ид>retail</Ид><Наименование>Роздрібна</Наименование><Валюта>UAH</Валюта></ТипЦены></ТипыЦен>
  <Предложения>
   <Предложение><Ид>p-1</Ид><Наименование>Кава</Наименование><Цены><Цена><ИдТипаЦены>retail</ИдТипаЦены><ЦенаЗаЕдиницу>189.5</ЦенаЗаЕдиницу><Валюта>UAH</Валюта></Цена></Цены></Предложение>
   <Предложение><Ид>p-2</Ид><Наименование>Чай</Наименование><Цены><Цена><ИдТипаЦены>retail</ИдТипаЦены><ЦенаЗаЕдиницу>95.9</ЦенаЗаЕдиницу><Валюта>UAH</Валюта></Цена></Цены></Предложение>
  </Предложения></ПакетПредложений>
</КоммерческаяИнформация>"""


def told() -> tuple[dict[str, str], list[list[str]]]:
    """({file: text}, [command, …]) of the guide's part about packages."""
    part = GUIDE.read_text("utf-8").partition("## Ship it as a format package")[2]
    files = dict(re.findall(r"^`([\w./]+)` [^\n]*:\n\n```\w+\n(.*?)^```$", part, re.MULTILINE | re.DOTALL))
    calls = [
        shlex.split(line)
        for block in re.findall(r"^```sh\n(.*?)^```$", part, re.MULTILINE | re.DOTALL)
        for line in block.splitlines()
    ]
    assert all(call[0] == "obmen" for call in calls)
    return files, [call[1:] for call in calls]


def test_the_guide_tells_three_files_and_every_command() -> None:
    files, calls = told()
    assert sorted(files) == ["pricelist/__init__.py", "pricelist/feed.py", "pricelist/format.toml"]
    assert [call[1] for call in calls] == ["key", "build", "sign", "verify", "trust", "add", "issue"]


@pytest.mark.long
def test_the_guides_toy_is_built_signed_installed_and_exchanges_in_a_running_hub(
    make_hub: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = make_hub().init()
    goods = tmp_path / "goods"
    goods.mkdir()
    (goods / "import.xml").write_text(GOODS, "utf-8")
    (goods / "offers.xml").write_text(PRICES, "utf-8")
    hub.cli("load", "commerceml", str(goods), "--connection", "1C", "--create")
    hub.serve()  # before anything is installed: nothing is restarted below

    monkeypatch.chdir(tmp_path)
    files, calls = told()
    for name, text in files.items():
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_text(text, "utf-8")
    said = [hub.cli(*call).stdout for call in calls]
    fingerprint = said[0].strip()
    assert re.fullmatch(r"(?:[0-9a-f]{4} ){15}[0-9a-f]{4}", fingerprint)
    assert said[2].strip() == fingerprint
    assert fingerprint in said[3]
    assert said[5] == "pricelist  1.0  Price list (CSV)\n"

    assert '"key": "pricelist"' in hub.cli("connector", "list", "--json").stdout
    refused = hub.cli("connection", "add", "pricelist", "Wrong", "--set", "prise_kind=x", ok=False)
    assert (refused.returncode, "prise_kind" in refused.stderr) == (3, True)
    hub.cli("connection", "add", "pricelist", "Price list", "--set", "price_kind=retail")
    assert hub.cli("run", "Price list", "--json").returncode == 0
    row = next(
        r for r in map(json.loads, hub.cli("connection", "list", "--json").stdout.splitlines()) if r["name"] == "Price list"
    )
    address = hub.url + row["feeds"]["prices.csv"]
    with urllib.request.urlopen(address) as answer:
        assert answer.read().decode() == "p-1,A-1,Кава,189.5\r\np-2,A-2,Чай,95.9\r\n"

    again = hub.cli("format", "add", "pricelist.obmen")
    assert "installed already" in again.stderr
    renew(tmp_path, "1.1", "no_such_module")
    hub.cli("format", "build", "pricelist", "-o", "two.obmen")
    unsigned = hub.cli("format", "add", "two.obmen", ok=False)
    assert (unsigned.returncode, "is not signed" in unsigned.stderr) == (3, True)
    hub.cli("format", "sign", "two.obmen", "--key", "publisher.key")
    broken = hub.cli("format", "add", "two.obmen", ok=False)
    assert (broken.returncode, "does not load: ModuleNotFoundError" in broken.stderr) == (1, True)
    listed = json.loads(hub.cli("format", "list", "--json").stdout)
    assert (listed["version"], listed["runs"], listed["why"]) == ("1.0", True, None)

    renew(tmp_path, "1.2", "obmen")
    hub.cli("format", "build", "pricelist", "-o", "two.obmen")
    hub.cli("format", "sign", "two.obmen", "--key", "publisher.key")
    hub.cli("format", "add", "two.obmen")
    hub.cli("run", "Price list")  # by whoever is quicker: this command, or the worker that has been running all the time
    with urllib.request.urlopen(address) as answer:
        assert answer.read().decode().splitlines()[0] == "p-1;A-1;Кава;189.5"

    assert hub.cli("format", "remove", "pricelist", ok=False).returncode == 3
    assert hub.cli("format", "remove", "pricelist", "--yes").stdout == "removed pricelist\n"
    gone = hub.cli("run", "Price list", ok=False)
    assert (gone.returncode, "no connector “pricelist”" in gone.stderr + gone.stdout) == (3, True)
    assert '"key": "commerceml_door"' in hub.cli("connector", "list", "--json").stdout


def renew(at: Path, version: str, imports: str) -> None:
    declaration, feed = at / "pricelist" / "format.toml", at / "pricelist" / "feed.py"
    declaration.write_text(re.sub(r'version = "[^"]+"', f'version = "{version}"', declaration.read_text("utf-8")), "utf-8")
    text = told()[0]["pricelist/feed.py"].replace("csv.writer(out)", 'csv.writer(out, delimiter=";")')
    feed.write_text(f"import {imports}\n{text}", "utf-8")


def test_what_format_new_makes_can_be_built_as_it_is(
    make_hub: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    hub = make_hub().init()
    hub.cli("format", "new", "my-shop", "--title", "My shop", "--publisher", "Ann")
    hub.cli("format", "new", "corner", "--profile-of", "commerceml_door")
    hub.cli("format", "key", "ann.key", "--publisher", "Ann")
    assert Path("ann.key").stat().st_mode & 0o777 == 0o600
    again = hub.cli("format", "key", "ann.key", ok=False)
    assert (again.returncode, "never written over" in again.stderr) == (3, True)
    stranger = hub.cli("format", "trust", "ann.key.pub", "--fingerprint", "00" * 32, ok=False)
    assert (stranger.returncode, hub.cli("format", "trust").stdout) == (3, "")
    asked = hub.cli("format", "trust", "ann.key.pub", ok=False)
    assert (asked.returncode, "compare it" in asked.stderr) == (3, True)
    hub.cli("format", "trust", "ann.key.pub", "--yes")
    for folder, file in (("my-shop", "my_shop-0.1.obmen"), ("corner", "corner-0.1.obmen")):
        assert hub.cli("format", "build", folder).stdout == f"{file}\n"
        hub.cli("format", "sign", file, "--key", "ann.key")
        hub.cli("format", "add", file)
    listed = [json.loads(line) for line in hub.cli("connector", "list", "--json").stdout.splitlines()]
    assert {"my_shop"} < {one["key"] for one in listed}
    assert "corner" in next(one for one in listed if one["key"] == "commerceml_door")["profiles"]
    fingerprint = hub.cli("format", "trust").stdout[:14]
    assert hub.cli("format", "trust", "--remove", fingerprint).stdout == "no longer trusted: Ann\n"
    assert '"my_shop"' not in hub.cli("connector", "list", "--json").stdout
    assert [json.loads(line)["runs"] for line in hub.cli("format", "list", "--json").stdout.splitlines()] == [False, False]


def test_a_licence_is_entered_and_checked_by_command(
    make_hub: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    hub = make_hub().init()
    hub.cli("format", "new", "my_shop")
    declaration = Path("my_shop/format.toml")
    declaration.write_text(declaration.read_text("utf-8").replace("# licence = true", "licence = true"), "utf-8")
    hub.cli("format", "key", "ann.key", "--publisher", "Ann")
    hub.cli("format", "build", "my_shop", "-o", "x.obmen")
    hub.cli("format", "sign", "x.obmen", "--key", "ann.key")
    hub.cli("format", "trust", "ann.key.pub", "--yes")
    hub.cli("format", "add", "x.obmen")
    none = hub.cli("format", "licence", "my_shop", ok=False)
    assert (none.returncode, none.stdout) == (3, "Enter the login and the key that came with the format\n")
    issued = hub.cli("format", "issue", "my_shop", "--key", "ann.key", "--login", "bob", "--until", "2099-12-31").stdout.strip()
    hub.env["BOBS_KEY"] = issued
    good = hub.cli("format", "licence", "my_shop", "--login", "bob", "--key-env", "BOBS_KEY")
    assert good.stdout == "Valid until 2099-12-31, for any number of connections\n"
    assert "any number" in json.loads(hub.cli("format", "list", "--json").stdout)["licence"]
