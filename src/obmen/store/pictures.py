"""Picture files that came with an exchange: kept in the storage, renewed when their content changes."""

from __future__ import annotations

import hashlib
from pathlib import Path

from django.core.files import File
from django.core.files.storage import default_storage
from django.utils import timezone

from obmen.store import models

KINDS = frozenset({".jpg", ".jpeg", ".png", ".gif", ".webp", ".bmp", ".tif", ".tiff"})


def take(connection: models.Connection, folder: Path, rule: str) -> int:
    """Take the picture files below ``folder`` into the storage; returns how many are new or changed.

    The key is the path that documents call a picture by: 1C sends a changed picture under its old name, so contents are
    compared. With the rule "off" nothing is taken. Taking the same files again changes nothing.
    """
    if rule == "off":
        return 0
    changed = 0
    for file in sorted(f for f in folder.rglob("*") if f.suffix.lower() in KINDS and f.is_file()):
        path = file.relative_to(folder).as_posix()
        with open(file, "rb") as opened:
            sha256 = hashlib.file_digest(opened, "sha256").hexdigest()
        known = models.Picture.objects.filter(source=connection, path=path).first()
        if known is not None and known.sha256 == sha256:
            continue
        # A name of our own, by content: a name from outside never decides where a file is written.
        name = f"pictures/{connection.slug}/{sha256[:2]}/{sha256}{file.suffix.lower()}"
        if default_storage.exists(name) and default_storage.size(name) != file.stat().st_size:
            default_storage.delete(name)  # a worker was killed while it wrote it
        if not default_storage.exists(name):
            with open(file, "rb") as opened:
                name = default_storage.save(name, File(opened))
        values = {"file": name, "sha256": sha256, "size": file.stat().st_size, "changed": timezone.now()}
        models.Picture.objects.update_or_create(source=connection, path=path, defaults=values)
        changed += 1
    return changed
