"""Load CommerceML files by django-cml 0.4.0 into SQLite: ``load.py DATABASE FILE…``. Runs in an environment of its own."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import django
from django.conf import settings


def main(database: str, *files: str) -> None:
    settings.configure(
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": database}},
        INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth"],
        MEDIA_ROOT="",
        CML_PROJECT_PIPELINES="pipelines",
        USE_TZ=True,
    )
    django.setup()
    import pipelines  # beside this file
    from cml.utils import ImportManager
    from django.db import connection, transaction

    with connection.cursor() as cursor:
        cursor.execute("PRAGMA journal_mode=wal")
        cursor.execute("PRAGMA synchronous=normal")
    if pipelines.Product._meta.db_table not in connection.introspection.table_names():
        with connection.schema_editor() as editor:
            for model in pipelines.MODELS:
                editor.create_model(model)
    for file in files:
        with transaction.atomic():  # not its own doing: without it every row would wait for the disk
            ImportManager(file).import_all()
    print(json.dumps({model.__name__.lower(): model.objects.count() for model in pipelines.MODELS}))


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    main(*sys.argv[1:])
