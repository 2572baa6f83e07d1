"""What the machine needs at the least, each in a process of its own: ``python floors.py parse|copy|rows|sink|write …``."""

from __future__ import annotations

import json
import socket
import sqlite3
import sys
import time
from pathlib import Path
from typing import Any
from xml.parsers import expat


def parse(*files: str) -> None:
    """expat over all files, without handlers."""
    for name in files:
        parser = expat.ParserCreate()
        with open(name, "rb") as file:
            while True:
                block = file.read(1 << 18)
                parser.Parse(block, not block)
                if not block:
                    break


def copy(source: str, target: str) -> None:
    """INSERT .. SELECT of every table of a database into a new one, with its indexes."""
    con = sqlite3.connect(target, isolation_level=None)
    con.execute("ATTACH ? AS s", (source,))
    con.execute(f"PRAGMA page_size={con.execute('PRAGMA s.page_size').fetchone()[0]}")
    for pragma in ("journal_mode=wal", "synchronous=normal", "cache_size=-65536"):
        con.execute(f"PRAGMA main.{pragma}")
    tables = con.execute(
        "SELECT name, sql FROM s.sqlite_master WHERE type='table' AND sql IS NOT NULL AND name NOT LIKE 'sqlite_%'"
    ).fetchall()
    indexes = con.execute("SELECT sql FROM s.sqlite_master WHERE type='index' AND sql IS NOT NULL").fetchall()
    for _name, sql in tables:
        con.execute(sql)
    for (sql,) in indexes:
        con.execute(sql)
    con.execute("BEGIN")
    for name, _sql in tables:
        columns = ", ".join(f'"{row[1]}"' for row in con.execute(f'PRAGMA s.table_info("{name}")'))  # none that are generated
        con.execute(f'INSERT INTO main."{name}" ({columns}) SELECT {columns} FROM s."{name}"')
    con.execute("COMMIT")
    con.execute("PRAGMA main.wal_checkpoint(truncate)")


LISTS = {"unit_attributes", "groups", "properties", "requisites", "pictures", "characteristics"}  # columns that hold JSON


def rows(source: str) -> None:
    """Every offer with its product, its prices and its stock out of a hub's database, the JSON in them read; prints how many offers."""
    con = sqlite3.connect(f"file:{source}?mode=ro", uri=True)
    con.execute("PRAGMA cache_size=-65536")
    read, count = json.loads, 0
    found = con.execute("SELECT o.*, p.* FROM store_offer o JOIN store_product p ON p.id = o.product_id ORDER BY o.id")
    lists = [place for place, column in enumerate(found.description) if column[0] in LISTS]
    for row in found:
        for place in lists:
            read(row[place])
        count += 1
    for table in ("store_price", "store_stocklevel"):
        for _row in con.execute(f"SELECT * FROM {table} ORDER BY offer_id"):
            pass
    print(count)


def sink(target: str) -> None:
    """Take pieces from a socket into a file: 8 bytes of length, then the piece, answered by one byte. Prints its port first."""
    block = memoryview(bytearray(1 << 18))
    with socket.create_server(("127.0.0.1", 0)) as server:
        print(server.getsockname()[1], flush=True)
        caller, _address = server.accept()
        with caller, open(target, "wb", buffering=0) as file:
            while True:
                head = caller.recv(8, socket.MSG_WAITALL)
                if len(head) < 8:
                    return
                left = int.from_bytes(head, "big")
                while left:
                    got = caller.recv_into(block, min(left, len(block)))
                    if not got:
                        return
                    file.write(block[:got])
                    left -= got
                caller.sendall(b".")


Node = tuple[str, dict[str, str], str | None, list[Any], str | None]


def write(answer: str, target: str) -> None:
    """The document in ``answer`` once more by lxml's incremental writer; prints {"seconds", "bytes"} of the writing alone."""
    from lxml import etree

    def node(element: Any) -> Node:
        return element.tag, dict(element.attrib), element.text, [node(child) for child in element], element.tail

    tree = etree.parse(answer, etree.XMLParser(huge_tree=True))
    encoding = tree.docinfo.encoding or "UTF-8"
    root = node(tree.getroot())
    del tree
    started = time.perf_counter()
    with open(target, "wb") as out, etree.xmlfile(out, encoding=encoding) as document:
        document.write_declaration()

        def put(this: Node) -> None:
            tag, attributes, text, children, tail = this
            with document.element(tag, attributes):
                if text:
                    document.write(text)
                for child in children:
                    put(child)
            if tail:
                document.write(tail)

        put(root)
    seconds = time.perf_counter() - started
    print(json.dumps({"seconds": seconds, "bytes": Path(target).stat().st_size}))


if __name__ == "__main__":
    {"parse": parse, "copy": copy, "rows": rows, "sink": sink, "write": write}[sys.argv[1]](*sys.argv[2:])
