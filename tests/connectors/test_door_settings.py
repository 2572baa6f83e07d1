"""Settings of the CommerceML door check themselves; every one of them is described and used."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest

import obmen.connectors.commerceml_door as package
from obmen.connectors.commerceml_door import CommerceMLDoor
from obmen.connectors.commerceml_door.profiles import all_profiles, recognise
from obmen.connectors.commerceml_door.settings import STREAMS, DoorSettings, PaymentRule
from obmen.core.contract import NeedsOwner
from obmen.core.settings import describe, load
from obmen.formats.commerceml.dialects import DIALECTS

FOLDER = Path(package.__file__).parent
OLVERY = "{«paymentrules»:[{«status»:«purchased»,«gateway»:«CKassa»}],«paymentmethod_name»:«Оплата картой внешняя»}."


def test_olvery_settings_with_typographic_quotes_are_taken_and_shown_back_as_json() -> None:
    s = DoorSettings(payment_rules=OLVERY)
    assert s.payment_rules == (
        '{"paymentrules": [{"status": "purchased", "gateway": "CKassa"}], "paymentmethod_name": "Оплата картой внешняя"}'
    )
    assert s.rules == (PaymentRule("purchased", "CKassa"),)
    assert s.forced_method == "Оплата картой внешняя"


def test_english_and_german_quotes_are_taken_too() -> None:
    s = DoorSettings(payment_rules="{“paymentrules”: [{„status“: “purchased”}]}")
    assert s.rules == (PaymentRule("purchased", ""),)


def test_quotes_inside_valid_json_stay() -> None:
    s = DoorSettings(payment_rules='{"paymentmethod_name": "Оплата «внешняя»"}')
    assert s.forced_method == "Оплата «внешняя»"


def test_the_own_payment_method_wins_over_the_json() -> None:
    assert DoorSettings(payment_rules=OLVERY, payment_method="Карта").forced_method == "Карта"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{paymentrules}", "payment_rules: line 1, column 2: this is not JSON"),
        ("[]", "payment_rules: expected an object"),
        ('{"rules": []}', "payment_rules: rules is not known, expected paymentrules and paymentmethod_name"),
        ('{"paymentrules": {}}', "payment_rules: paymentrules: expected a list of objects"),
        ('{"paymentrules": ["x"]}', "payment_rules: paymentrules[0]: expected an object with status and gateway"),
        ('{"paymentrules": [{}, {"state": "x"}]}', "payment_rules: paymentrules[0]: give a status, a gateway or both"),
        ('{"paymentrules": [{"state": "x"}]}', "payment_rules: paymentrules[0].state is not known"),
        ('{"paymentrules": [{"status": 5}]}', "payment_rules: paymentrules[0].status: expected a text"),
        ('{"paymentmethod_name": 5}', "payment_rules: paymentmethod_name: expected a text"),
    ],
)
def test_wrong_json_is_refused_with_the_key_that_is_wrong(text: str, reason: str) -> None:
    with pytest.raises(NeedsOwner, match=re.escape(reason)):
        DoorSettings(payment_rules=text)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"field_policy": {"product.colour": "take"}}, "field_policy: product.colour is not one of"),
        ({"field_policy": {"product.name": "steal"}}, "field_policy: product.name = steal, expected one of take, keep"),
        ({"requisites": {"Склад": "{wharehouse}"}}, "requisites: Склад: {wharehouse} is not one of"),
        ({"allow_list": "10.0.0.300"}, "allow_list: 10.0.0.300 is neither an address nor a network"),
        ({"price_mode": "mapped"}, "price_map: the table is empty"),
        ({"from_number": "abc"}, "from_number: 'abc' has no digits"),
        ({"path_token": "short"}, "path_token: use 16 to 128"),
        ({"dialect": "klingon"}, "dialect: 'klingon' is not one of auto, ut11"),
        ({"minimum_interval": "-1"}, "minimum_interval: -1 is less than 0"),
    ],
)
def test_a_value_that_cannot_work_is_refused_by_name(values: dict[str, object], reason: str) -> None:
    with pytest.raises(NeedsOwner, match=re.escape(reason)):
        load(DoorSettings, values)


def test_every_setting_has_a_label_and_a_tab_that_is_known() -> None:
    for name, about in describe(DoorSettings).items():
        assert about.label, name
        assert about.tab in ("main", "products", "prices", "stock", "orders", "limits"), name


def test_every_setting_is_used() -> None:
    code = "\n".join(p.read_text() for p in FOLDER.glob("*.py") if p.name != "settings.py")
    web = (FOLDER.parent.parent / "web" / "doors.py").read_text() + (FOLDER.parent.parent / "store" / "doors.py").read_text()
    by_property = {"payment_rules": "rules", "payment_method": "forced_method", "allow_list": "networks"}
    for f in fields(DoorSettings):
        name = by_property.get(f.name, f.name)
        assert re.search(rf"\.{name}\b|\"{name}\"", code + web), f"{f.name} does nothing"


def test_every_setting_has_its_paragraph_in_the_documentation() -> None:
    docs = (FOLDER.parents[3] / "docs" / "connectors" / "commerceml-door.md").read_text()
    assert [f.name for f in fields(DoorSettings) if f"`{f.name}`" not in docs] == []


# --- profiles --------------------------------------------------------------------------------------------------------------


def test_the_profiles_of_the_ecosystem_are_there() -> None:
    assert set(all_profiles()) == {
        "generic", "ut11", "unf", "ut10", "bitrix-module-5", "bitrix-module-6", "bitrix-module-7", "moysklad", "class365",
        "getmeback", "olvery", "cs-cart",
    }  # fmt: skip
    assert next(iter(all_profiles())) == "generic"


@pytest.mark.parametrize("name", sorted(all_profiles()))
def test_a_profile_holds_settings_that_load(name: str) -> None:
    profile = all_profiles()[name]
    s = load(DoorSettings, profile["settings"])
    assert profile["title"]
    assert s.dialect in ("auto", *DIALECTS)
    assert set(profile.get("streams", STREAMS)) <= set(STREAMS)
    for pattern in profile["recognise"].get("files", ()):
        re.compile(pattern)


def test_getmeback_takes_goods_only_and_no_sooner_than_in_an_hour() -> None:
    profile = all_profiles()["getmeback"]
    s = load(DoorSettings, profile["settings"])
    assert (s.minimum_interval, s.variants, s.price_mode, s.stock_mode) == (60, False, "one", "sum")
    assert not {"orders-out", "orders-in"} & set(profile["streams"])


def test_olvery_sends_orders_only() -> None:
    assert all_profiles()["olvery"]["streams"] == ["orders-out"]


def test_nothing_is_recognised_by_the_platform_alone() -> None:
    assert recognise(user_agent="1C+Enterprise/8.3") == ""
    assert recognise(user_agent="curl/8") == ""
    assert recognise() == ""


def test_the_connector_is_found_by_the_names_that_people_use() -> None:
    assert CommerceMLDoor.key == "commerceml_door"
    assert {"1c", "commerceml", "cml", "door", "onec"} == set(CommerceMLDoor.aliases)
