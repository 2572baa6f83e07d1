"""Settings, check, references, tables and errors of the RetailCRM connector (facts §1.1 to §1.8, §2), over real HTTP."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

import obmen.connectors.retailcrm as package
from connectors.memory_hub import MemoryHub
from connectors.retailcrm_kit import CUP, Kit, running
from leaving import count_as_they_leave
from obmen.connectors.retailcrm import RetailCRM
from obmen.connectors.retailcrm.api import Crm, Refused, error_list
from obmen.core.contract import NeedsOwner, TryLater
from obmen.core.records import Reference, Subject
from obmen.core.settings import describe, load


@pytest.fixture
def kit(tmp_path: Path) -> Iterator[Kit]:
    with running(tmp_path) as running_kit:
        yield running_kit


def settings(**values: Any) -> Any:
    return load(RetailCRM.settings, values)


# --- settings --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "address"),
    [
        ("123456.retailcrm.ru", "https://123456.retailcrm.ru"),
        (" https://123456.retailcrm.ru/ ", "https://123456.retailcrm.ru"),
        ("HTTPS://123456.RetailCRM.ru//", "https://123456.retailcrm.ru"),
        ("123 456.retailcrm.ru", "https://123456.retailcrm.ru"),
        ("https://123456.retailcrm.ru/api/v5/orders?x=1#y", "https://123456.retailcrm.ru"),
        ("//shop.simla.com/admin", "https://shop.simla.com"),
        ("http://123456.retailcrm.ru", "https://123456.retailcrm.ru"),
        ("http://127.0.0.1:8085", "http://127.0.0.1:8085"),
        ("http://localhost", "http://localhost"),
        ("https://crm.example.com:8443/", "https://crm.example.com:8443"),
        ("", ""),
        ("https://", ""),
    ],
)
def test_c01_the_address_may_be_written_in_any_way(typed: str, address: str) -> None:
    """C-01, F-09: https://, slashes, spaces and a path are taken off; a key never goes in the clear over the internet."""
    assert settings(server=typed).address == address


def test_c02_the_key_is_a_secret_and_is_trimmed() -> None:
    assert describe(RetailCRM.settings)["api_key"].kind == "secret"
    assert settings(api_key=" abc\n").key == "abc"


def test_c17_c18_defaults_of_the_manual() -> None:
    """C-17, C-18, K-02, F-08, §1.11.1."""
    s = settings()
    assert (s.deferral_days, s.product_id, s.offer_id, s.corporate, s.skip_methods) == (5, "code", "xmlId", True, ("offline",))


@pytest.mark.parametrize(("name", "value"), [("orders_from", "31.01.2026"), ("own_from", "soon"), ("images_url", "pictures")])
def test_a_setting_that_cannot_work_is_refused(name: str, value: str) -> None:
    with pytest.raises(NeedsOwner):
        settings(**{name: value})


def test_accounting_values_are_chosen_from_the_books() -> None:
    """C-04 to C-15: references, and each of them may be empty."""
    about = describe(RetailCRM.settings)
    chosen = {name: str(a.subject) for name, a in about.items() if a.kind == "reference"}
    assert chosen == {
        "order_kind": "order_kind", "operation": "order_operation", "delivery_product": "product", "department": "department",
        "warehouse": "warehouse", "manager": "manager", "purchase_price": "price_kind", "selling_price": "price_kind",
        "organisation": "organisation", "bank_account": "bank_account", "cash_desk": "cash_desk", "currency": "currency",
        "taxation": "taxation", "default_delivery": "delivery",
    }  # fmt: skip


def test_no_setting_does_nothing() -> None:
    """Every setting is read somewhere besides the file that declares it, or by what that file makes of it."""
    folder = Path(package.__path__[0])
    code = "".join(f.read_text("utf-8") for f in folder.glob("*.py") if f.name != "settings.py")
    declared = (folder / "settings.py").read_text("utf-8").partition("def __post_init__")[2]
    unread = [
        f.name
        for f in fields(RetailCRM.settings)
        if not re.search(rf"\bs\.{f.name}\b", code) and not re.search(rf"self\.{f.name}\b", declared)
    ]
    assert unread == []


# --- tabs and tables ----------------------------------------------------------------------------------------------------------------


def test_s04_tabs_stand_in_the_manuals_order_and_two_are_open_before_the_check() -> None:
    """S-04, S-05."""
    assert [tab for tab, _title in RetailCRM.tabs] == [
        "main", "constants", "statuses", "managers", "warehouses", "catalogue", "prices", "payments", "deliveries", "settings",
    ]  # fmt: skip
    assert RetailCRM.open_tabs == ("constants", "catalogue")
    assert {a.tab for a in describe(RetailCRM.settings).values()} <= {tab for tab, _title in RetailCRM.tabs}


def test_the_tables_of_the_tabs() -> None:
    """ST-01, ST-02, MG-01, W-01, P-01, O-01, O-02, D-01."""
    assert [(t.subject, t.tab, t.direction, t.when, [c.name for c in t.columns]) for t in RetailCRM.tables] == [
        (Subject.ORDER_STATE, "statuses", "in", "", ["cancel"]),
        (Subject.ORDER_STATE, "statuses", "out", "", []),
        (Subject.MANAGER, "managers", "both", "", []),
        (Subject.WAREHOUSE, "warehouses", "both", "", []),
        (Subject.PRICE_KIND, "prices", "both", "price_types", []),
        (Subject.PAYMENT_KIND, "payments", "in", "create_payments send_payments", ["document", "terminal", "cash_desk"]),
        (Subject.PAYMENT_KIND, "payments", "out", "create_payments send_payments", ["document", "terminal", "cash_desk"]),
        (Subject.DELIVERY, "deliveries", "both", "", ["carrier"]),
    ]
    assert [t.by_hand for t in RetailCRM.tables].count(True) == 1  # MG-03: the id of a manager may be typed
    names = {f.name for f in fields(RetailCRM.settings)}
    assert all(word in names for t in RetailCRM.tables for word in t.when.split())


def test_a_wake_up_starts_the_loading_of_orders() -> None:
    assert RetailCRM.wakes == ("orders-in",)


# --- the check ----------------------------------------------------------------------------------------------------------------------


def test_scenario_1_the_check_says_who_we_are(kit: Kit) -> None:
    """S-05, M-…: /api/credentials with the key in a header, never in the address."""
    said = kit.connector().check()
    assert said.startswith("127.0.0.1 · shop · order_read, order_write")
    (call,) = kit.asked("/api/credentials")
    assert (call.key, call.query) == ("sandbox-key", {})
    assert "sandbox-key" not in repr(kit.hub.calls)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"api_key": "wrong"}, 'Check the address of the CRM and the API key: Wrong "apiKey" value.'),
        ({"server": ""}, "The address of the CRM is not given"),
        ({"api_key": " "}, "The API key is not given"),
        ({"site": "other"}, "The key does not open the shop “other”; it opens: shop"),
    ],
)
def test_cfg_messages_of_the_check(kit: Kit, change: dict[str, str], words: str) -> None:
    """cfg.check, cfg.noServer, cfg.noKey (Appendix F)."""
    with pytest.raises(NeedsOwner, match=re.escape(words)):
        kit.connector(**change).check()


def test_an_address_that_is_no_crm_is_said_to_be_none(kit: Kit) -> None:
    kit.account.fault("html", 20, path="/api/credentials")
    with pytest.raises(NeedsOwner, match="Check the address of the CRM and the API key"):
        kit.connector().check()


def test_a_key_without_the_rights_is_told_which(kit: Kit) -> None:
    kit.account.add_key("narrow", scopes=["order_read", "reference_read", "customer_read"])
    kit.connector(api_key="narrow").check()
    with pytest.raises(NeedsOwner, match="lacks the rights order_write, store_write"):
        kit.connector(api_key="narrow", send_payments=True, price_types=True).check()
    with pytest.raises(NeedsOwner, match="lacks the rights order_write, customer_write"):
        kit.connector(api_key="narrow", send_own=True).check()


def test_several_shops_of_one_key_have_to_be_told_apart(tmp_path: Path) -> None:
    """C-03, §1.16.5."""
    with running(tmp_path, sites=("shop", "other")) as kit:
        with pytest.raises(NeedsOwner, match=r"opens several shops \(shop, other\)"):
            kit.connector(site="").check()
        kit.account.add_key("one", sites=["other"])
        assert " · other · " in kit.connector(site="", api_key="one").check()


# --- references ---------------------------------------------------------------------------------------------------------------------


def keys(kit: Kit, subject: Subject, **change: Any) -> list[str]:
    return [r.key for r in kit.connector(**change).references(subject)]


def test_st03_statuses_come_active_ones_only_by_their_groups_and_then_by_their_order(kit: Kit) -> None:
    """ST-03, ST-08, scenario 2."""
    books = kit.account.account.references
    books["statuses"]["assembling"]["active"] = False
    books["status-groups"]["cancel"]["ordering"] = 1
    books["statuses"]["cancel-other"]["ordering"] = 1
    found = kit.connector().references(Subject.ORDER_STATE)
    assert [r.key for r in found][:3] == ["cancel-other", "no-call", "no-product"]
    assert "assembling" not in [r.key for r in found]
    assert "prepayed" in [r.key for r in found]
    assert found[0] == Reference(Subject.ORDER_STATE, "cancel-other", "Отменен", (("group", "Отменен"), ("cancel", "yes")))
    assert next(r for r in found if r.key == "new").attributes == (("group", "Новый"),)


def test_mg02_managers_come_from_all_pages(kit: Kit) -> None:
    """MG-02, MG-05, §1.16.6: the module read the first twenty."""
    for n in range(1000, 1130):
        kit.account.account.users[n] = {**kit.account.account.users[19], "id": n, "lastName": f"Н{n}"}
    found = kit.connector().references(Subject.MANAGER)
    assert len(found) == len({r.key for r in found}) > 130
    assert all(c.query["filter"] == {"active": "1", "isManager": "1"} for c in kit.asked("/users"))
    assert "Менеджер" in found[0].name


def test_w01_p02_stores_and_price_types_are_active_ones(kit: Kit) -> None:
    """W-01, W-02, P-02."""
    kit.account.account.references["stores"]["second"]["active"] = False
    assert keys(kit, Subject.WAREHOUSE) == ["main"]
    assert set(keys(kit, Subject.PRICE_KIND)) == {"base", "wholesale"}


@pytest.mark.parametrize(("book", "subject"), [("payment-types", Subject.PAYMENT_KIND), ("delivery-types", Subject.DELIVERY)])
def test_o03_d02_types_of_payment_and_delivery_are_those_of_the_shop(kit: Kit, book: str, subject: Subject) -> None:
    """O-03, D-02."""
    rows = kit.account.account.references[book]
    first, second, third = list(rows)[:3]
    rows[first]["sites"], rows[second]["sites"], rows[third]["active"] = ["other"], ["shop"], False
    found = keys(kit, subject)
    assert (first in found, second in found, third in found) == (False, True, False)


def test_the_other_lists(kit: Kit) -> None:
    assert keys(kit, Subject.SITE) == ["shop"]
    assert "phone" in keys(kit, Subject.ORDER_METHOD)
    assert keys(kit, Subject.ORDER_KIND)
    with pytest.raises(NeedsOwner):
        keys(kit, Subject.CARRIER)


# --- answers and errors ----------------------------------------------------------------------------------------------------------------


def test_errors_come_as_a_list_or_as_a_map_by_path() -> None:
    """§2.2"""
    assert error_list(["a", "b"]) == [("", "a"), ("", "b")]
    assert error_list({"items[0].offer.id": "not found", "0": "c"}) == [("items[0].offer.id", "not found"), ("", "c")]
    assert error_list(None) == []


def crm(kit: Kit, **change: Any) -> Crm:
    return kit.connector(**change).crm


def test_a_validation_error_names_path_and_message(kit: Kit) -> None:
    with pytest.raises(Refused) as raised:
        crm(kit).get("/api/v5/orders", limit=7)
    assert str(raised.value).startswith("The CRM refuses /orders: Errors in the")
    with pytest.raises(Refused) as raised:
        crm(kit).post("/api/v5/orders/create", safe=False, site="shop", order={"customer": {"externalId": "77"}})
    assert "customer.externalId: Customer with externalId=77 not found." in str(raised.value)


def test_missing_rights_stop_the_stream_and_say_what_to_do(kit: Kit) -> None:
    kit.account.add_key("narrow", scopes=["order_read"])
    with pytest.raises(NeedsOwner, match=r"may not do this: /store/inventories \(Access denied.\)\. Give the key more rights"):
        crm(kit, api_key="narrow").get("/api/v5/store/inventories")


def test_an_unknown_method_is_the_owners_business(kit: Kit) -> None:
    with pytest.raises(NeedsOwner, match="has no method /no/such"):
        crm(kit).get("/api/v5/no/such")


def test_refusals_by_rate_are_tried_again_and_a_long_storm_is_left_for_later(kit: Kit) -> None:
    kit.account.fault("503", 2)
    kit.account.fault("429", 1)
    assert crm(kit).get("/api/v5/settings")["success"] is True
    kit.account.fault("503", 50)
    with pytest.raises(TryLater):
        crm(kit).get("/api/v5/settings")


def test_calls_keep_to_ten_a_second_and_the_key_goes_in_a_header(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """§1.16.13, complaint 14: against a limiter that refuses the eleventh."""
    with running(tmp_path, rate=10) as kit:
        assert kit.account.limiter
        count_as_they_leave(kit.account.limiter, monkeypatch)
        kit.hub.fast = False
        api = crm(kit)
        for _n in range(25):
            api.get("/api/v5/statistic/update")
        assert {c.status for c in kit.asked("/statistic/update")} == {200}
        assert {c.key for c in kit.asked()} == {"sandbox-key"}


def test_without_rights_to_the_settings_the_zone_known_before_counts(kit: Kit) -> None:
    kit.hub.noted["zone"] = "Asia/Vladivostok"
    kit.account.fault("revoked", 2, path="/settings")
    assert crm(kit).zone.key == "Asia/Vladivostok"
    kit.hub.noted.clear()
    assert crm(kit).zone.key == "UTC"
    assert "does not say its time zone" in "".join(text for _level, text in kit.hub.reported)


def test_a_connection_that_is_not_saved_yet_cannot_call(tmp_path: Path) -> None:
    with pytest.raises(NeedsOwner):
        RetailCRM(settings(server="127.0.0.1", api_key="k")).check()
    assert RetailCRM(settings(), MemoryHub(tmp_path)).feeds()[0].stream == "catalogue-out"


def test_private_addresses_are_refused_unless_allowed(kit: Kit) -> None:
    kit.hub.allow_private = False
    with pytest.raises(NeedsOwner):
        kit.connector().check()
    assert kit.asked() == []


def test_a_form_has_texts_as_fields_and_structures_as_json(kit: Kit) -> None:
    """§2.1"""
    made = crm(kit).post(
        "/api/v5/orders/create",
        safe=False,
        site="shop",
        order={"firstName": "Анна & Ко", "items": [{"offer": {"externalId": CUP}}]},
    )
    (call,) = kit.asked("/orders/create")
    assert call.content_type == "application/x-www-form-urlencoded"
    assert call.form["order"]["firstName"] == "Анна & Ко"
    assert kit.account.order(made["id"])["firstName"] == "Анна & Ко"
