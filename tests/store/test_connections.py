"""Connections: only differences are stored, secrets are never shown, every change is journalled, TOML carries them elsewhere."""

from __future__ import annotations

import tomllib
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from django.contrib.auth.models import Group as Role
from django.db import connection as db

from obmen.core.contract import NeedsOwner
from obmen.core.records import Order
from obmen.core.schedule import BadSchedule
from obmen.store import connections
from obmen.store.models import Connection, JournalEntry, Link, Mapping, Outbox, StreamSetting
from obmen.store.orders import save_order
from obmen.store.words import say
from toy_connector import Toy, install

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _toy(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch)


def make(name: str = "Shop", **kw: object) -> Connection:
    return connections.create("toy", name, **kw)[0]  # type: ignore[arg-type]


def journal() -> list[tuple[str, dict[str, object]]]:
    return list(JournalEntry.objects.order_by("id").values_list("action", "facts"))


# --- making ----------------------------------------------------------------------------------------------------------------


def test_a_new_connection_has_streams_match_rules_and_a_machine_account_with_one_permission() -> None:
    row, password = connections.create("plaything", "1С: Управління", profile="slow", settings={"url": "http://x"}, who="anna")
    assert (row.connector, row.slug, row.profile, row.settings) == ("toy", "1c-upravlinnia", "slow", {"url": "http://x"})
    assert connections.door_path(row) == "/exchange/1c-upravlinnia/"
    assert list(row.streams.values_list("stream", "enabled").order_by("stream")) == [("orders-out", True), ("products-in", True)]
    assert list(row.match_rules.filter(kind="counterparty").values_list("attribute", "priority")) == [
        ("inn", 1),
        ("phone", 2),
        ("email", 3),
    ]
    assert not row.match_rules.filter(kind="product").exists()  # articles repeat in real catalogues
    assert row.account is not None
    assert password is not None
    assert row.account.username == "1c-upravlinnia"
    assert row.account.check_password(password)
    assert not row.account.is_staff
    assert row.account.get_all_permissions() == {"store.import_commerceml"}
    assert journal() == [("connection.made", {"name": "1С: Управління", "connector": "toy", "profile": "slow"})]


def test_a_system_that_does_not_call_us_gets_no_account() -> None:
    row, password = connections.create("quiet", "Quiet")
    assert (row.account, password) == (None, None)


def test_names_that_look_alike_get_addresses_and_logins_of_their_own() -> None:
    assert [make(n).slug for n in ("My shop", "my-shop", "Мой шоп!", "???")] == ["my-shop", "my-shop-2", "moi-shop", "connection"]


@pytest.mark.parametrize(
    ("call", "says"),
    [
        ({"connector_key": "toy", "name": "Shop"}, "There is a connection “Shop” already"),
        ({"connector_key": "nix", "name": "B"}, "There is no connector “nix”; there are: quiet, toy"),
        ({"connector_key": "toy", "name": "B", "profile": "x"}, "“toy” has no profile “x”; there are: slow"),
        ({"connector_key": "toy", "name": "  "}, "A connection needs a name"),
        ({"connector_key": "toy", "name": "B", "time_zone": "Mars"}, "There is no time zone “Mars”; write it as Europe/Kyiv"),
        ({"connector_key": "toy", "name": "B", "language": "de"}, "There is no language “de”; there are: uk, ru, en"),
    ],
)
def test_a_connection_that_cannot_be_is_refused_and_nothing_is_made(call: dict[str, str], says: str) -> None:
    make()
    with pytest.raises((NeedsOwner, connections.NameTaken)) as error:
        connections.create(**call)
    assert str(error.value) == says
    assert Connection.objects.count() == 1


def test_orders_that_are_in_the_books_already_wait_for_a_new_connection() -> None:
    save_order(Order("o-1", "1", datetime(2026, 1, 1, tzinfo=UTC), total=Decimal(5)))
    row = make()
    assert list(Outbox.objects.values_list("connection", "kind", "revision")) == [(row.pk, "order", 1)]


# --- settings --------------------------------------------------------------------------------------------------------------


def test_settings_are_the_profile_then_what_differs_then_secrets() -> None:
    row = make(profile="slow", settings={"pages": "5", "kinds": "a, b", "api_key": "hush"})
    assert row.settings == {"kinds": ["a", "b"]}
    assert row.secrets == {"api_key": "hush"}
    s = connections.settings_of(row)
    assert (s.pages, s.kinds, s.api_key, s.fast) == (5, ("a", "b"), "hush", False)
    assert connections.connector_of(row).check() == "connected with 5 a page"


def test_a_change_is_journalled_with_secrets_masked_and_the_rest_stays() -> None:
    row = make(settings={"url": "http://x", "api_key": "hush"})
    changes = connections.update(row, {"pages": "20", "api_key": "new secret", "fast": "yes"}, who="anna")
    assert changes == {"api_key": ["•••", "•••"], "fast": [None, True], "pages": [None, 20]}
    row.refresh_from_db()
    assert row.settings == {"url": "http://x", "pages": 20, "fast": True}
    assert row.secrets == {"api_key": "new secret"}
    assert journal()[-1] == ("connection.changed", {"changes": changes})
    assert JournalEntry.objects.first().who == "anna"
    assert "hush" not in str(journal())
    assert "new secret" not in str(journal())


@pytest.mark.parametrize(
    "there", ["https://other.example", "http://shop.example", "https://shop.example:8443", "https://shop.example@other.example"]
)
def test_a_secret_does_not_go_along_to_another_address(there: str) -> None:
    row = make(settings={"url": "https://shop.example/exchange", "api_key": "hush"})
    with pytest.raises(NeedsOwner) as refused:
        connections.update(row, {"url": there})
    assert say(refused.value.text, refused.value.facts) == (
        "The address is another one now, and “Key” was entered for the one before: enter it again, or empty it"
    )
    row.refresh_from_db()
    assert (row.settings, row.secrets) == ({"url": "https://shop.example/exchange"}, {"api_key": "hush"})
    connections.update(row, {"url": there, "api_key": "hush"})
    row.refresh_from_db()
    assert (row.settings["url"], row.secrets) == (there, {"api_key": "hush"})
    connections.update(row, {"url": None, "api_key": ""})
    row.refresh_from_db()
    assert (row.settings, row.secrets) == ({}, {})


def test_a_profile_with_another_address_asks_for_the_secret_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    places = {name: {"settings": {"url": f"https://{name}.example"}} for name in ("near", "far")}
    monkeypatch.setattr(Toy, "profiles", classmethod(lambda _cls: places))
    row = make(profile="near", settings={"api_key": "hush"})
    file = tmp_path / "it.toml"
    file.write_text(connections.export_toml(row).replace('"near"', '"far"'), "utf-8")
    with pytest.raises(NeedsOwner, match="The address is another one now"):
        connections.apply_toml(file)
    row.refresh_from_db()
    assert (row.profile, row.secrets) == ("near", {"api_key": "hush"})


def test_an_address_that_is_only_spelt_anew_keeps_its_secret() -> None:
    row = make(settings={"url": "shop.example", "api_key": "hush"})
    for spelt in ("https://Shop.example/", "https://shop.example:443/exchange"):
        connections.update(row, {"url": spelt})
    row.refresh_from_db()
    assert (row.settings["url"], row.secrets) == ("https://shop.example:443/exchange", {"api_key": "hush"})


def test_none_goes_back_to_the_profile_and_an_empty_secret_is_forgotten() -> None:
    row = make(profile="slow", settings={"pages": 50, "pin": "1234"})
    assert connections.update(row, {"pages": None, "pin": ""}) == {"pages": [50, None], "pin": ["•••", None]}
    row.refresh_from_db()
    assert (row.settings, row.secrets) == ({}, {})
    assert connections.settings_of(row).pages == 5


def test_a_value_equal_to_the_profile_s_is_not_stored_so_that_a_better_default_reaches_it() -> None:
    row = make(profile="slow")
    connections.update(row, {"pages": 5})
    row.refresh_from_db()
    assert row.settings == {}
    assert len(journal()) == 1


def test_every_wrong_field_is_named_and_nothing_is_changed() -> None:
    row = make()
    with pytest.raises(NeedsOwner) as error:
        connections.update(row, {"pages": "500", "fast": "perhaps", "colour": "red", "url": "http://x"})
    assert "colour: there is no such setting" in str(error.value)
    assert "pages: 500 is more than 100" in str(error.value)
    assert "fast: 'perhaps' is neither yes nor no" in str(error.value)
    row.refresh_from_db()
    assert row.settings == {}
    assert len(journal()) == 1


def test_a_setting_that_does_not_exist_cannot_be_reset_either() -> None:
    with pytest.raises(NeedsOwner, match="colour"):
        connections.update(make(), {"colour": None})


# --- accounts, streams, removing -------------------------------------------------------------------------------------------


def test_a_new_password_ends_the_old_one() -> None:
    row, old = connections.create("toy", "Shop")
    new = connections.new_password(row, who="anna")
    row.refresh_from_db()
    assert row.account is not None
    assert row.account.check_password(new)
    assert not row.account.check_password(str(old))
    assert journal()[-1] == ("connection.password", {})
    with pytest.raises(NeedsOwner, match="has no machine account"):
        connections.new_password(connections.create("quiet", "Quiet")[0])


def test_a_changed_schedule_is_planned_anew_and_journalled() -> None:
    row = make()
    StreamSetting.objects.update(next_run=datetime(2026, 1, 1, tzinfo=UTC))
    quiet = {"quiet_from": time(22), "quiet_to": time(6)}
    setting = connections.set_stream(row, "products-in", enabled=True, schedule=" every 15 min ", who="anna", **quiet)
    assert (setting.schedule, setting.next_run) == ("every 15 min", None)
    assert journal()[-1][0] == "stream.changed"
    assert set(journal()[-1][1]["changes"]) == {"schedule", "quiet_from", "quiet_to"}  # type: ignore[call-overload]
    StreamSetting.objects.update(next_run=datetime(2026, 1, 1, tzinfo=UTC))
    again = connections.set_stream(row, "products-in", enabled=True, schedule="every 15 min", **quiet)
    assert again.next_run is not None
    with pytest.raises(BadSchedule):
        connections.set_stream(row, "products-in", enabled=True, schedule="sometimes")


def test_removing_takes_account_and_links_along_and_leaves_the_journal() -> None:
    row, stays = make(), make("Other")
    for owner in (row, stays):
        Link.objects.create(connection=owner, kind="product", external_id="a", record_id=1)
    account = row.account
    connections.remove(row, who="anna")
    assert list(Connection.objects.values_list("name", flat=True)) == ["Other"]
    assert list(Link.objects.values_list("connection", flat=True)) == [stays.pk]
    assert account is not None
    assert not type(account).objects.filter(pk=account.pk).exists()
    assert ("connection.removed", {"name": "Shop", "connector": "toy"}) in journal()


# --- roles -----------------------------------------------------------------------------------------------------------------


def test_roles_fit_their_work_and_stay_as_their_owner_left_them() -> None:
    connections.make_roles()
    have = {r.name: set(r.permissions.values_list("codename", flat=True)) for r in Role.objects.all()}
    assert set(have) == {"Owners", "Exchange operators", "Viewers", "Integrations"}
    assert have["Integrations"] == {"import_commerceml"}
    assert {"start_run", "retry_parked", "view_order"} < have["Exchange operators"]
    assert not have["Exchange operators"] & {"add_user", "change_connection", "delete_order", "import_commerceml"}
    assert all(name.startswith("view_") for name in have["Viewers"])
    assert {"add_user", "change_connection", "start_run"} < have["Owners"]
    Role.objects.get(name="Viewers").permissions.clear()
    connections.make_roles()
    assert not Role.objects.get(name="Viewers").permissions.exists()


# --- TOML ------------------------------------------------------------------------------------------------------------------


def full() -> Connection:
    awkward = {'Ціна "опт"': "a\\b\n\x7f", "plain": "x"}
    row = make(profile="slow", settings={"kinds": "a,b", "names": awkward, "api_key": "hush"}, time_zone="Europe/Warsaw")
    connections.set_stream(row, "products-in", enabled=False, schedule="at 03:00", quiet_from=time(22), quiet_to=time(6, 30))
    row.match_rules.filter(attribute="barcode").delete()
    Mapping.objects.create(connection=row, subject="order_state", theirs="N", theirs_name="Новый", ours="new", outbound=False)
    return row


def test_an_exported_connection_holds_no_secret(tmp_path: Path) -> None:
    text = connections.export_toml(full())
    data = tomllib.loads(text)
    assert "hush" not in text
    assert "secrets" not in data
    assert data["settings"]["names"] == {'Ціна "опт"': "a\\b\n\x7f", "plain": "x"}


def test_a_connection_is_the_same_after_export_removal_and_apply(tmp_path: Path) -> None:
    row = full()
    text = connections.export_toml(row, "open sesame")
    assert "hush" not in text
    file = tmp_path / "shop.toml"
    file.write_text(text, "utf-8")
    connections.remove(row)
    made, is_new, password = connections.apply_toml(file, "open sesame")
    assert is_new
    assert password
    assert made.secrets == {"api_key": "hush"}
    assert connections.export_toml(made) == connections.export_toml(made).replace("\r", "")
    assert tomllib.loads(connections.export_toml(made)) == {k: v for k, v in tomllib.loads(text).items() if k != "secrets"}


def test_applying_twice_changes_nothing_and_keeps_secrets_that_the_file_does_not_hold(tmp_path: Path) -> None:
    row = full()
    file = tmp_path / "shop.toml"
    file.write_text(connections.export_toml(row), "utf-8")
    before = len(journal())
    again, is_new, password = connections.apply_toml(file)
    assert (again.pk, is_new, password) == (row.pk, False, None)
    assert again.secrets == {"api_key": "hush"}
    assert len(journal()) == before


def test_applying_brings_a_changed_connection_back(tmp_path: Path) -> None:
    row = full()
    file = tmp_path / "shop.toml"
    file.write_text(connections.export_toml(row), "utf-8")
    connections.update(row, {"kinds": "z", "fast": True})
    again, _new, _password = connections.apply_toml(file)
    assert again.settings == row.settings


@pytest.mark.parametrize(
    ("text", "passphrase", "says"),
    [
        ("a = ", None, "shop.toml is no TOML"),
        ("a = 1", None, "shop.toml holds no connection"),
        ("EXPORT", None, "The file holds encrypted secrets: give its passphrase"),
        ("EXPORT", "wrong", "The passphrase does not fit the secrets in the file"),
    ],
)
def test_a_file_that_cannot_be_applied_is_refused_and_nothing_is_changed(
    tmp_path: Path, text: str, passphrase: str | None, says: str
) -> None:
    row = full()
    file = tmp_path / "shop.toml"
    file.write_text(connections.export_toml(row, "right") if text == "EXPORT" else text, "utf-8")
    connections.remove(row)
    before = len(journal())
    with pytest.raises(NeedsOwner) as error:
        connections.apply_toml(file, passphrase)
    assert str(error.value).startswith(says)
    assert not Connection.objects.exists()
    assert len(journal()) == before


def test_a_file_of_another_connector_does_not_take_over_a_name(tmp_path: Path) -> None:
    file = tmp_path / "shop.toml"
    file.write_text(connections.export_toml(make()).replace('"toy"', '"quiet"'), "utf-8")
    with pytest.raises(NeedsOwner) as error:
        connections.apply_toml(file)
    assert str(error.value) == "“Shop” is a connection of toy, the file is of quiet"


def test_a_secret_is_nowhere_readable_in_the_database() -> None:
    make(settings={"api_key": "hush-hush"})
    with db.cursor() as cursor:
        cursor.execute("SELECT settings, secrets FROM store_connection")
        settings, secrets = cursor.fetchone()
    assert "hush-hush" not in str(settings) + str(secrets)
    assert secrets.startswith("v1:")


def test_a_connection_made_long_ago_runs_on_no_stale_moment() -> None:
    row = make()
    setting = connections.set_stream(row, "products-in", enabled=True, schedule="every 1 h")
    assert setting.next_run is None
    assert setting.connection.created > datetime.now(UTC) - timedelta(minutes=1)
