"""The price list on its way to Prom: what is made of it there, and what becomes of an import (facts on marketplaces §2.6)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from connectors.memory_hub import MemoryBooks
from connectors.prom_kit import BALL, CUBE, Account, running
from connectors.retailcrm_kit import good
from obmen.connectors.prom import api as prom_api
from obmen.connectors.prom.imports import ImportedList
from obmen.core.contract import Carried, NeedsOwner, TryLater
from obmen.core.records import Group, Reference, Subject
from obmen.net.client import Retry
from obmen.sandbox.prom import api as stand_api
from obmen.sandbox.stand import Answer, Request

LAMP = "1amp-1"


DATE = re.compile(rb'(?<=<yml_catalog date=")[^"]*')


class Lists:
    """One connection that publishes its list as often as a test wants."""

    def __init__(self, account: Account, folder: Path) -> None:
        self.account, self.shop, self.hub = account, account.shop, account.hub
        self.file = folder / "list.xml"
        goods = [self.goods(1, CUBE, "Кубик", 580, 9), self.goods(2, LAMP, "Лампа", 99, 4)]
        self.books = MemoryBooks(goods, [Group("g2", "Іграшки")])
        self.books.known[Subject.PRICE_KIND] = [Reference(Subject.PRICE_KIND, "base", "Роздріб")]
        self.hub.books = self.books
        self.settings: dict[str, Any] = {"price_kind": "base", "send_new": True}

    def goods(self, number: int, key: str, name: str, price: int, count: int) -> Any:
        return good(number, key, f"C{number}", f"A-{number}", name, {"base": price}, {"main": count})

    def reprice(self, price: int) -> None:
        self.books.all_goods[1] = self.goods(2, LAMP, "Лампа", price, 4)

    def publish(self, **settings: Any) -> list[str]:
        """What the run says."""
        feed = ImportedList(self.account.market(**self.settings | settings), "prom")
        assert isinstance(feed, Carried)
        self.hub.reported.clear()
        with self.file.open("wb") as out:
            counts = feed.write(out, self.hub.books, self.hub.now())
        feed.published(self.file, counts, DATE.sub(b"", self.file.read_bytes()).hex())
        return [text for _level, text in self.hub.reported]

    def later(self, **parts: float) -> None:
        self.account.clock.time += timedelta(**parts)
        self.hub.clock = self.account.clock.time

    def sent(self) -> list[dict[str, Any]]:
        """The part ``data`` of each import."""
        return [
            json.loads(stand_api.multipart(_request(call))["data"]) for call in self.shop.calls("import_file") if not call.fault
        ]


def _request(call: Any) -> Any:
    boundary = call.sent.split(b"\r\n", 1)[0].decode()[2:]
    return Request("POST", call.path, "", {"content-type": f"multipart/form-data; boundary={boundary}"}, call.sent)


@pytest.fixture
def lists(tmp_path: Path) -> Iterator[Lists]:
    with running(tmp_path, import_partial=300, import_final=570) as account:
        yield Lists(account, tmp_path)


def done(lists: Lists) -> list[str]:
    """Both looks that an import needs to count as ended."""
    lists.later(minutes=10)
    lists.publish()
    lists.later(minutes=5)
    return lists.publish()


def test_a_new_card_is_made_and_a_known_one_keeps_all_but_price_and_presence(lists: Lists) -> None:
    (said,) = lists.publish()
    assert said.startswith("The price list went to Prom as import ")
    assert lists.sent() == [
        {
            "force_update": False,
            "only_available": False,
            "mark_missing_product_as": "none",
            "updated_fields": ["price", "presence"],
        }
    ]
    lists.later(minutes=10)
    lists.publish()
    lamp, cube = lists.shop.product(LAMP), lists.shop.product(CUBE)
    assert (lamp.name, lamp.price, lamp.quantity, lamp.sku) == ("Лампа", Decimal(99), 4, "A-2")
    assert (cube.name, cube.price, cube.quantity) == ("Кубик дерев'яний", Decimal(580), 12)


def test_an_import_has_ended_only_when_its_numbers_came_twice(lists: Lists) -> None:
    """Its first answers are SUCCESS, then PARTIAL, with nothing in them."""
    lists.publish()
    for minutes, status in ((1, "SUCCESS"), (5, "PARTIAL"), (1, "PARTIAL"), (3, "SUCCESS")):
        lists.later(minutes=minutes)
        (said,) = lists.publish()
        assert "is still under way at Prom" in said
        assert json.loads(lists.shop.calls("import/status")[-1].answer)["status"] == status
    lists.later(minutes=1)
    assert lists.publish() == ["Prom has taken the price list: 2 goods, 1 new cards, 1 changed, 0 with errors"]
    assert lists.publish() == []
    assert len(lists.shop.calls("import/status")) == 5


def test_an_import_that_says_nothing_is_given_up_after_half_an_hour(lists: Lists) -> None:
    lists.shop.settings.import_final = 10_000
    lists.publish()
    lists.later(minutes=31)
    (said,) = lists.publish()
    assert "has not said for 31 minutes" in said
    assert lists.publish() == []


@pytest.mark.parametrize("total", ["12 items", [1], {"a": 1}])
def test_an_import_whose_numbers_are_none_is_given_up_after_half_an_hour(
    lists: Lists, monkeypatch: pytest.MonkeyPatch, total: object
) -> None:
    lists.publish()
    usual = lists.shop.respond
    odd = Answer(json.dumps({"status": "SUCCESS", "total": total}).encode())
    monkeypatch.setattr(lists.shop, "respond", lambda r: odd if "import/status" in r.path else usual(r))
    lists.later(minutes=10)
    assert ["is still under way" in said for said in lists.publish()] == [True]
    lists.later(minutes=21)
    assert ["has not said for 31 minutes" in said for said in lists.publish()] == [True]
    assert lists.publish() == []


def test_the_same_list_goes_once_and_another_one_when_its_time_has_come(lists: Lists) -> None:
    lists.publish()
    done(lists)
    lists.later(hours=24)
    lists.publish()
    assert len(lists.sent()) == 1
    lists.reprice(100)
    lists.publish()
    assert len(lists.sent()) == 2
    done(lists)
    lists.reprice(101)
    lists.publish()
    assert len(lists.sent()) == 2
    lists.later(hours=3)
    lists.publish()
    assert len(lists.sent()) == 3


def test_no_second_import_goes_while_one_is_under_way(lists: Lists) -> None:
    lists.publish(import_hours=1)
    lists.reprice(100)
    lists.later(minutes=20)
    lists.shop.settings.import_final = 10_000
    lists.publish(import_hours=1)
    assert len(lists.sent()) == 1


def test_a_picture_that_cannot_be_loaded_is_told_though_they_count_no_error(lists: Lists) -> None:
    picture = "https://pictures.example.com/lamp.jpg"
    lists.books.all_goods[1] = good(2, LAMP, "C2", "A-2", "Лампа", {"base": 99}, {"main": 4}, product={"pictures": (picture,)})
    lists.shop.imports.broken_pictures.add(picture)
    lists.publish()
    assert done(lists) == [
        "Prom has taken the price list: 2 goods, 1 new cards, 1 changed, 0 with errors",
        "Prom has not taken all of the price list: download_images 2004 (status_code: 404). Look at the import in the cabinet, "
        "Goods → Import",
    ]


def test_a_list_that_cannot_be_read_there_says_so(lists: Lists, monkeypatch: pytest.MonkeyPatch) -> None:
    lists.publish()
    job = next(iter(lists.shop.imports.jobs.values()))
    job.raw = b"<yml_catalog>"
    said = done(lists)[0]
    assert said.startswith("Prom could not take the price list (FATAL): validation 1100")


def test_a_refusal_is_an_answer_without_an_id_and_is_tried_again(lists: Lists) -> None:
    lists.shop.settings.imports_a_day = 0
    (said,) = lists.publish()
    assert said.startswith("Prom did not take the price list: Перевищено ліміт ручних імпортів на добу")
    lists.shop.settings.imports_a_day = 10
    lists.publish()
    assert len(lists.shop.imports.jobs) == 1


@pytest.mark.parametrize("status", ["error", "success"])
def test_a_refusal_may_call_itself_a_success(lists: Lists, monkeypatch: pytest.MonkeyPatch, status: str) -> None:
    usual = lists.shop.respond
    refusal = Answer(json.dumps({"status": status, "message": "Імпорт завис"}).encode())
    monkeypatch.setattr(lists.shop, "respond", lambda r: refusal if "import_file" in r.path else usual(r))
    (said,) = lists.publish()
    assert said.startswith("Prom did not take the price list: Імпорт завис")


def test_other_fields_of_known_cards_change_when_they_are_named(lists: Lists) -> None:
    lists.publish(import_fields="name,quantity_in_stock")
    assert lists.sent()[0] | {"updated_fields": []} == {
        "force_update": True,
        "only_available": False,
        "mark_missing_product_as": "none",
        "updated_fields": [],
    }
    lists.later(minutes=10)
    lists.publish()
    cube = lists.shop.product(CUBE)
    assert (cube.name, cube.quantity, cube.price) == ("Кубик", 9, Decimal(571))


def test_cards_that_the_list_lacks_stay_unless_the_owner_says_otherwise(lists: Lists) -> None:
    lists.publish()
    lists.later(minutes=10)
    lists.publish()
    assert [p.status for p in lists.shop.products.values()] == ["on_display"] * 3


def test_a_list_that_lacks_goods_of_ours_takes_nothing_off_display(lists: Lists) -> None:
    """With a part of the goods left out their cards would be taken off with all the others."""
    lists.settings["import_missing"] = "not_on_display"
    lists.books.all_goods.append(lists.goods(3, "no-price", "Стіл", 0, 1))
    said = lists.publish()
    assert (
        "1 goods are left out of the price list: cards that it lacks stay as they are this time, or theirs would be among them"
        in said
    )
    assert lists.sent()[0]["mark_missing_product_as"] == "none"
    lists.later(hours=4)
    done(lists)
    lists.books.all_goods.pop()
    lists.later(hours=4)
    lists.publish()
    assert lists.sent()[-1]["mark_missing_product_as"] == "not_on_display"
    lists.later(minutes=10)
    lists.publish()
    assert {p.external_id: p.status for p in lists.shop.products.values()} == {
        CUBE: "on_display",
        "SKU-1002": "not_on_display",
        LAMP: "on_display",
    }


@pytest.mark.parametrize("missing", ["deleted", "not_on_display", "not_available"])
def test_an_empty_list_does_nothing_to_cards_that_it_lacks(lists: Lists, missing: str) -> None:
    lists.books.all_goods.clear()
    with suppress(NeedsOwner):  # most runs end before it is sent
        lists.publish(import_missing=missing)
    assert [part["mark_missing_product_as"] for part in lists.sent()] in ([], ["none"])


@pytest.mark.parametrize(
    ("missing", "marked"), [("deleted", "none"), ("not_on_display", "none"), ("not_available", "not_available")]
)
def test_goods_that_are_sold_out_are_neither_deleted_nor_hidden_for_being_left_out(
    lists: Lists, missing: str, marked: str
) -> None:
    lists.books.all_goods[1] = lists.goods(2, BALL, "М'яч", 99, 0)
    lists.publish(import_missing=missing, sold_out="left_out")
    assert [part["mark_missing_product_as"] for part in lists.sent()] == [marked]


def test_an_import_whose_answer_got_lost_comes_again(lists: Lists, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prom_api, "RETRY", Retry(attempts=2, first=0.02))
    lists.shop.fault("lost", path="import_file")
    with pytest.raises(TryLater):
        lists.publish()
    lists.publish()
    assert len(lists.shop.imports.jobs) == 2  # they take the same list twice, and nothing is doubled by it
    lists.later(minutes=10)
    lists.publish()
    assert len(lists.shop.products) == 3


def test_without_the_setting_nothing_is_sent(lists: Lists) -> None:
    assert lists.publish(send_new=False) == []
    assert lists.shop.calls() == []
