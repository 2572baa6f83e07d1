"""Secrets encrypted at rest with rotating keys: ``v1:<key id>:<Fernet token>``.

Keys come from ``OBMEN_KEYS`` (comma-separated) or the file ``keys`` in OBMEN_HOME, one Fernet key a line: the first
encrypts, all decrypt. A value that cannot be decrypted raises NeedsOwner; ciphertext and plaintext are never handed out in
its place.

cryptography is imported when it is needed: most commands never meet a secret.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from django.conf import settings
from django.db import models

from obmen.core.contract import NeedsOwner
from obmen.core.words import gettext_noop as _


def new_key() -> str:
    from cryptography.fernet import Fernet

    return Fernet.generate_key().decode()


def key_id(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()[:8]


def keys() -> list[str]:
    found = list(settings.OBMEN_KEYS)
    if not found:
        raise NeedsOwner(_("There is no key for secrets: run “obmen init”, or put the key file back."))
    return found


def encrypt(text: str) -> str:
    from cryptography.fernet import Fernet

    key = keys()[0]
    return f"v1:{key_id(key)}:{Fernet(key).encrypt(text.encode()).decode()}"


def decrypt(value: str) -> str:
    from cryptography.fernet import Fernet, InvalidToken

    version, _sep, rest = value.partition(":")
    ident, _sep, token = rest.partition(":")
    if version != "v1" or not token:
        raise NeedsOwner(_("A secret in the database is not encrypted as it should be; enter it again."))
    for key in keys():
        if key_id(key) == ident:
            try:
                return Fernet(key).decrypt(token.encode()).decode()
            except InvalidToken:
                break
    raise NeedsOwner(_("The key {ident} with which a secret was encrypted is missing; put the key file back."), ident=ident)


class SecretJSONField(models.TextField):
    """A JSON object kept encrypted; {} is kept as the empty string."""

    def get_prep_value(self, value: Any) -> str:
        return encrypt(json.dumps(value, ensure_ascii=False)) if value else ""

    def from_db_value(self, value: str | None, *_args: Any) -> dict[str, Any]:
        return json.loads(decrypt(value)) if value else {}

    def to_python(self, value: Any) -> Any:
        return value if isinstance(value, dict) else {}

    def value_to_string(self, obj: models.Model) -> str:
        return self.get_prep_value(self.value_from_object(obj))


def columns() -> list[tuple[type[models.Model], str]]:
    """Every column of the database that holds secrets, by model and name."""
    from django.apps import apps

    return [(m, f.name) for m in apps.get_models() for f in m._meta.concrete_fields if isinstance(f, SecretJSONField)]
