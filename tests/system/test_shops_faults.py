"""Whatever goes wrong between the hub and a shop, in the end both are the same: every fault at every call of every profile."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from shops import CUP, DISH, GOODS, IN, OUT, WAYS, World, goods_in_books, hurry, world

from obmen.sandbox.shop.faults import KINDS

pytestmark = [pytest.mark.django_db, pytest.mark.long]

BREAKS = ("timeout", "lost", "truncated", "503", "session")  # on the way, or the shop's memory
SAYS = ("500", "empty", "login", "failure", "notice")  # instead of an answer; one call is like another
WORKS = {"progress": "mode=import", "slow": "mode=import", "cut": "mode=file"}
NEVER = ("hollow",)  # nobody can tell it from the truth: orders are looked at again when the shop shows them, goods are not
STATES = {"generic": ("new", "confirmed"), "cs-cart-exim-1c": ("O", "P"), "cs-cart-commerceml": ("O", "P"), "bitrix": ("N", "P"),
          "opencart-exchange1c": ("1", "2")}  # fmt: skip


@dataclass(frozen=True)
class Deed:
    """``act`` makes the n-th piece of news for the runs of ``streams``; ``unlike`` says what is still different afterwards."""

    act: Callable[[World, int], None]
    unlike: Callable[[World], list[str]]
    streams: tuple[str, ...]
    calls: tuple[str, ...]
    needs: Callable[[str], bool] = lambda _profile: True


def new_prices(w: World, n: int) -> None:
    w.price(CUP, 100 + n)
    w.stock(CUP if not w.way.variants else w.other, n)


def new_orders(w: World, n: int) -> None:
    """Another one, and one that is changed where the shop tells of it."""
    w.buy((CUP, n % 5 + 1), shipping=n)
    if w.way.news and n:
        number = min(w.shop.orders)
        w.shop.add_line(number, DISH, 1)


def new_states(w: World, n: int) -> None:
    number = max(w.shop.orders)
    w.change(number, state=f"our-{STATES[w.shop.key][(n + 1) % 2]}")


DEEDS = {
    "goods": Deed(
        new_prices,
        World.unlike_goods,
        GOODS,
        ("type=catalog mode=checkauth", "type=catalog mode=init", "type=catalog mode=file", "type=catalog mode=import"),
    ),
    "orders": Deed(
        new_orders,
        World.unlike_orders,
        IN,
        ("type=sale mode=checkauth", "type=sale mode=query", "type=sale mode=success"),
        lambda profile: WAYS[profile].orders,
    ),
    "states": Deed(
        new_states,
        World.unlike_orders,
        OUT,
        ("type=sale mode=checkauth", "type=sale mode=init", "type=sale mode=file", "type=sale mode=import"),
        lambda profile: profile in STATES,
    ),
}
OWNER = {"cs-cart-commerceml": {"strategy": "all"}}  # as the profile's page advises


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch, settings: Any, tmp_path: Path) -> None:
    settings.OBMEN_ALLOW_PRIVATE, settings.MEDIA_ROOT = True, tmp_path
    hurry(monkeypatch)
    goods_in_books()


def faults(deed: Deed, profile: str) -> Iterator[tuple[str, str, int]]:
    """(kind, what the call has in its query, how often). All of them with the clean shop, with the others where they differ: what
    they make of a call that they have carried out, of half an upload, of a session that is gone."""
    clean = profile == "generic"
    for call in deed.calls:
        for kind in BREAKS if clean else ("lost", "session"):
            yield kind, call, 1
        if clean:
            yield "lost", call, 12  # more often than one run tries again
        for kind, part in WORKS.items():
            if part in call and (clean or kind == "cut"):
                yield kind, call, 1
    for kind in SAYS if clean else ("empty",):
        yield kind, deed.calls[-2], 1


CASES = [(profile, name) for name, deed in DEEDS.items() for profile in WAYS if deed.needs(profile)]


@pytest.mark.parametrize(("profile", "name"), CASES)
def test_when_the_fault_is_over_both_sides_are_the_same(profile: str, name: str) -> None:
    """No lost, no doubled order, and nothing that is half loaded is reported as done."""
    deed, trouble, met = DEEDS[name], [], set()
    with world(profile, slice=2, **OWNER.get(profile, {})) as w:
        if name != "goods":
            w.settle(*GOODS)
        if name == "states":
            w.buy()
            w.settle(*IN)
        for n, (kind, call, times) in enumerate(faults(deed, profile)):
            deed.act(w, n)
            w.shop.fault(kind, times, part=call, seconds=0.01 if kind == "slow" else 0)
            run = w.go(*deed.streams)
            hit = [fault for fault in w.shop.faults.met if (fault.kind, fault.part) == (kind, call)]
            met.update((fault.kind, fault.part) for fault in hit)
            if hit and run.state == "done" and not run.counts.get("parked") and deed.unlike(w):
                trouble.append(f"{kind} × {times} at {call}: done, but {deed.unlike(w)}")
            w.shop.faults.clear()
            try:
                w.settle(*deed.streams)
                different = deed.unlike(w)
            except AssertionError as error:
                different = [str(error)]
            trouble += [f"{kind} × {times} at {call}, {run.state}: {what}" for what in different]
            if len(trouble) > 3:
                break
    assert trouble == []
    assert {call for _kind, call in met} >= set(deed.calls) - unused(profile), "some calls are never made"


def unused(profile: str) -> set[str]:
    """Calls that the conversation with this shop does without."""
    return {"type=sale mode=import"} if profile == "woocommerce-1c" else set()


def test_every_kind_of_fault_is_tried() -> None:
    tried = {kind for deed in DEEDS.values() for kind, _call, _times in faults(deed, "generic")}
    assert tried == set(KINDS) - set(NEVER)
