"""Mapping tables as a whole over the API: as a spreadsheet, read from the other system, a save that is taken back."""

from __future__ import annotations

from typing import Annotated, Any

from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as now_
from ninja import Path, Status

from obmen.core.contract import ExchangeError, Table
from obmen.store import connections as setup
from obmen.store import mappings, models
from obmen.web import mapping_files
from obmen.web.api import shapes
from obmen.web.api.access import who
from obmen.web.api.operations import Id, operation, router
from obmen.web.api.paging import Text
from obmen.web.api.problems import Problem, confirmed, told
from obmen.web.api.set_up import one, retried
from obmen.web.connector_tabs import clearing
from obmen.web.tables import Loaded, TableForm, name_of, progress, tables_of_connection

TableName = Annotated[Text, Path(description="As the list of tables says it: order_state-in")]


def _table(row: models.Connection, name: str) -> Table:
    table = next((t for t in tables_of_connection(row) if name_of(t) == name), None)
    if table is None:
        raise Problem("not_found")
    return table


@operation(
    router,
    "GET",
    "/connections/{connection}/tables",
    list[shapes.Table],
    scopes=("settings.read",),
    permission="store.view_mapping",
    tags=["mappings"],
)
def list_tables(request: HttpRequest, connection: Id) -> Any:
    """The mapping tables of a connection: how much of each is mapped, and which save could be taken back."""
    row = one(request, connection)
    tables, steps = tables_of_connection(row), mappings.steps(row)
    counts = progress(row, tables)
    return [
        {
            "table": name_of(table),
            "subject": str(table.subject),
            "direction": table.direction,
            "title": now_(table.title),
            "mapped": counts[name_of(table)][0],
            "values": counts[name_of(table)][1],
            "last_save": steps.get((str(table.subject), table.direction)),
            "taken_back": steps.get((str(table.subject), mappings.BACK + table.direction)),
        }
        for table in tables
    ]


@operation(
    router,
    "GET",
    "/connections/{connection}/tables/{table}/csv",
    None,
    scopes=("settings.read",),
    permission="store.view_mapping",
    tags=["mappings"],
    openapi_extra={
        "responses": {200: {"description": "For a spreadsheet", "content": {"text/csv": {"schema": {"type": "string"}}}}}
    },
)
def get_table_csv(request: HttpRequest, connection: Id, table: TableName) -> Any:
    """A mapping table as a spreadsheet: UTF-8 with semicolons."""
    row = one(request, connection)
    return HttpResponse(mapping_files.written(TableForm(row, _table(row, table))), content_type="text/csv; charset=utf-8")


@operation(
    router,
    "PUT",
    "/connections/{connection}/tables/{table}/csv",
    shapes.TableTaken,
    scopes=("settings.write",),
    permission="store.change_mapping",
    tags=["mappings"],
)
def take_table_csv(request: HttpRequest, connection: Id, table: TableName, file: shapes.TableFile) -> Any:
    """Take the rows of a spreadsheet; rows that it does not name stay. Without `apply` nothing is changed: the answer says what would
    be. The same file again changes nothing."""
    row = one(request, connection)
    form = TableForm(row, _table(row, table))
    taken = mapping_files.take(form, file.text, request.user.has_perm("store.add_reference"))
    if taken.refused:
        raise Problem("invalid", errors=[("body.text", taken.refused)])
    applied, runs = file.apply and bool(taken.changes), []
    if applied:
        with transaction.atomic():
            form.save(who(request))
        runs = retried(request, row, [str(form.table.subject)])
    return {
        "applied": applied,
        "same": taken.same,
        "changes": [
            {
                "line": change.line,
                "name": change.name,
                "new": change.new,
                "changes": [{"what": what, "old": old, "new": new} for what, old, new in change.changes],
            }
            for change in taken.changes
        ],
        "problems": [{"line": line, "message": message} for line, message in taken.problems],
        "retried": runs,
    }


@operation(
    router,
    "POST",
    "/connections/{connection}/tables/{table}/load",
    shapes.TableLoaded,
    scopes=("settings.write",),
    permission="store.change_mapping",
    also=(409, 502),
    tags=["mappings"],
)
def load_table(request: HttpRequest, connection: Id, table: TableName, load: shapes.TableLoad) -> Any:
    """Read their values of this table from the other system: new ones get a row, what is mapped stays, unless it is to start over. Calls
    out: it may take a minute."""
    row = one(request, connection)
    which = _table(row, table)
    if load.start_over:
        confirmed(load.confirm, *clearing(which))
    try:
        setup.connector_of(row)
    except ExchangeError as error:
        raise told(error) from None
    try:
        counts = setup.load_table(row, which, who(request), clear=load.start_over)
    except ExchangeError as error:
        raise told(error, calling_out=True) from None
    return {name: counts[name] for name in ("new", "kept", "gone")}


@operation(
    router,
    "POST",
    "/connections/{connection}/tables/{table}/undo",
    shapes.Undone,
    scopes=("settings.write",),
    permission="store.change_mapping",
    tags=["mappings"],
)
def undo_table(request: HttpRequest, connection: Id, table: TableName, undo: shapes.Undo) -> Any:
    """Take the last save of a table back: its rows are what they were before. `step` says which save is meant, so a repeated call takes
    back nothing more."""
    row = one(request, connection)
    which = _table(row, table)
    try:
        undone = mappings.undo(row, str(which.subject), which.direction, who(request), step=undo.step)
    except ExchangeError as error:
        raise told(error) from None
    return {"values": undone.rows}


@operation(
    router,
    "POST",
    "/connections/{connection}/tables/{table}/redo",
    shapes.Undone,
    scopes=("settings.write",),
    permission="store.change_mapping",
    tags=["mappings"],
)
def redo_table(request: HttpRequest, connection: Id, table: TableName, redo: shapes.Undo) -> Any:
    """Make the save that was taken back last once more; `step` is the id of `taken_back`. After another save of the subject there is
    none."""
    row = one(request, connection)
    which = _table(row, table)
    try:
        redone = mappings.redo(row, str(which.subject), which.direction, who(request), step=redo.step)
    except ExchangeError as error:
        raise told(error) from None
    return {"values": redone.rows}


@operation(
    router,
    "DELETE",
    "/connections/{connection}/tables/{table}/rows/{mapping}",
    None,
    scopes=("settings.write",),
    permission="store.change_mapping",
    ok=204,
    tags=["mappings"],
)
def remove_table_row(request: HttpRequest, connection: Id, table: TableName, mapping: Id) -> Any:
    """Take a row out of a table; the others stay. It is a save that can be taken back."""
    row = one(request, connection)
    which = _table(row, table)
    form = TableForm(row, which, loaded=Loaded(row, [which]))
    form.removed = [m for m in form.kept if m.pk == mapping]
    if not form.removed:
        raise Problem("not_found")
    form.rows = [r for r in form.rows if r.pk != mapping]
    with transaction.atomic():
        form.save(who(request))
    return Status(204, None)
