"""Secrets at rest: rotating keys, and never a wrong answer in the place of a missing one."""

from __future__ import annotations

import pytest
from django.conf import settings

from obmen.core.contract import NeedsOwner
from obmen.store import secrets
from obmen.store.models import Connection


def test_what_is_encrypted_comes_back_and_never_looks_the_same_twice() -> None:
    first, second = secrets.encrypt("пароль"), secrets.encrypt("пароль")
    assert first != second
    assert "пароль" not in first
    assert secrets.decrypt(first) == secrets.decrypt(second) == "пароль"


def test_a_new_key_in_front_encrypts_and_the_old_one_still_reads(settings: object) -> None:
    old = secrets.encrypt("x")
    settings.OBMEN_KEYS = [secrets.new_key(), *settings.OBMEN_KEYS]  # type: ignore[attr-defined]
    new = secrets.encrypt("x")
    assert old.split(":")[1] != new.split(":")[1] == secrets.key_id(settings.OBMEN_KEYS[0])  # type: ignore[attr-defined]
    assert secrets.decrypt(old) == secrets.decrypt(new) == "x"


def test_a_missing_key_is_named_and_no_ciphertext_is_handed_out(settings: object) -> None:
    value = secrets.encrypt("x")
    ident = value.split(":")[1]
    settings.OBMEN_KEYS = [secrets.new_key()]  # type: ignore[attr-defined]
    with pytest.raises(NeedsOwner, match=f"The key {ident} .* is missing"):
        secrets.decrypt(value)
    settings.OBMEN_KEYS = []  # type: ignore[attr-defined]
    with pytest.raises(NeedsOwner, match="There is no key for secrets"):
        secrets.encrypt("x")


@pytest.mark.parametrize("change", [lambda v: v[:-4] + "AAAA", lambda v: "v1:" + v.split(":")[1] + ":", lambda v: "hunter2"])
def test_a_value_that_was_tampered_with_or_never_encrypted_is_refused(change: object) -> None:
    with pytest.raises(NeedsOwner):
        secrets.decrypt(change(secrets.encrypt("x")))  # type: ignore[operator]


@pytest.mark.django_db
def test_the_column_keeps_an_object_and_nothing_for_nothing() -> None:
    row = Connection.objects.create(connector="toy", name="a", slug="a", secrets={"key": "ключ", "empty": ""})
    row.refresh_from_db()
    assert row.secrets == {"key": "ключ", "empty": ""}
    Connection.objects.update(secrets={})
    row.refresh_from_db()
    assert row.secrets == {}
    assert len(settings.OBMEN_KEYS) == 1
