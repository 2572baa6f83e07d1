"""The queue: asked once, run once, one at a time for a connection, whoever dies."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from django.db import connection as db
from django.db import transaction
from django.utils import timezone

from obmen.core.contract import BadDocument, NeedsOwner, TryLater
from obmen.store.models import Connection, Run
from obmen.work import jobs

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def shop() -> Connection:
    return Connection.objects.create(connector="toy", name="Shop", slug="shop")


@pytest.fixture
def other() -> Connection:
    return Connection.objects.create(connector="toy", name="Other", slug="other")


def ask(connection: Connection, *streams: str, **kw: object) -> Run:
    return jobs.ask(connection, streams or ("products-in",), trigger="person", **kw)  # type: ignore[arg-type]


def state(run: Run) -> tuple[str, int]:
    run.refresh_from_db()
    return run.state, run.attempts


# --- asking ----------------------------------------------------------------------------------------------------------------


def test_asking_twice_while_one_waits_is_asking_once(shop: Connection) -> None:
    first = ask(shop, "b", "a")
    assert ask(shop, "a", "b", "a").pk == first.pk
    assert first.streams == "a,b"
    assert Run.objects.count() == 1


def test_other_streams_another_key_and_another_connection_are_other_runs(shop: Connection, other: Connection) -> None:
    runs = {ask(shop, "a").pk, ask(shop, "b").pk, ask(shop, "a", key="file-1").pk, ask(other, "a").pk}
    assert len(runs) == 4


def test_asking_while_one_runs_queues_the_next(shop: Connection) -> None:
    first = ask(shop)
    assert jobs.claim("me").pk == first.pk  # type: ignore[union-attr]
    assert ask(shop).pk != first.pk


def test_asking_sooner_brings_the_waiting_run_forward(shop: Connection) -> None:
    later = timezone.now() + timedelta(hours=1)
    run = ask(shop, due=later)
    assert jobs.claim("me") is None
    assert ask(shop).pk == run.pk
    assert jobs.claim("me").pk == run.pk  # type: ignore[union-attr]


def test_many_that_ask_at_one_moment_get_one_run(shop: Connection) -> None:
    got: list[int] = []
    gate = threading.Barrier(6)

    def one() -> None:
        gate.wait()
        got.append(ask(shop).pk)
        db.close()

    threads = [threading.Thread(target=one) for _i in range(6)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    assert len(got) == 6
    assert len(set(got)) == 1


def test_a_run_asked_for_in_a_transaction_that_fails_was_never_asked_for(shop: Connection) -> None:
    told: list[int] = []
    forget = jobs.add_messenger(told.append)
    with transaction.atomic():
        ask(shop)
        transaction.set_rollback(True)
    run = ask(shop)
    forget()
    assert told == [run.pk]
    assert Run.objects.count() == 1


# --- claiming --------------------------------------------------------------------------------------------------------------


def test_runs_are_claimed_in_the_order_in_which_they_are_due(shop: Connection, other: Connection) -> None:
    now = timezone.now()
    second = ask(shop, due=now - timedelta(seconds=1))
    first = ask(other, due=now - timedelta(seconds=2))
    assert [jobs.claim("me").pk, jobs.claim("me").pk, jobs.claim("me")] == [first.pk, second.pk, None]  # type: ignore[union-attr]


def test_a_connection_has_one_running_run_and_the_rest_waits(shop: Connection, other: Connection) -> None:
    ask(shop, "a"), ask(shop, "b"), ask(other, "a")
    claimed = [jobs.claim("me"), jobs.claim("me"), jobs.claim("me")]
    assert [r.connection.name for r in claimed if r] == ["Shop", "Other"]


def test_the_database_itself_refuses_a_second_running_run_of_a_connection(shop: Connection) -> None:
    from django.db import IntegrityError

    ask(shop, "a"), ask(shop, "b")
    with pytest.raises(IntegrityError), transaction.atomic():
        Run.objects.update(state="running")


def test_exactly_one_run_can_be_claimed_by_number_and_only_once(shop: Connection, other: Connection) -> None:
    ask(shop)
    wanted = ask(other)
    assert jobs.claim("me", only=wanted.pk).pk == wanted.pk  # type: ignore[union-attr]
    assert jobs.claim("me", only=wanted.pk) is None


# --- the lease -------------------------------------------------------------------------------------------------------------


def test_renewing_commits_progress_with_the_page_and_forgives_failed_attempts(shop: Connection) -> None:
    run = ask(shop)
    Run.objects.update(attempts=4)
    run = jobs.claim("me")  # type: ignore[assignment]
    with jobs.Lease(run, "me") as lease:
        with transaction.atomic():
            lease.renew(40, {"created": 2})
        run.refresh_from_db()
        assert (run.percent, run.counts, run.attempts) == (40, {"created": 2}, 1)
        with transaction.atomic():
            lease.renew(80, {"created": 4})
            transaction.set_rollback(True)
        run.refresh_from_db()
        assert (run.percent, run.counts) == (40, {"created": 2})


def test_a_worker_whose_run_was_rescued_stops_before_its_next_write(shop: Connection) -> None:
    run = ask(shop)
    run = jobs.claim("frozen")  # type: ignore[assignment]
    with jobs.Lease(run, "frozen") as lease:
        Run.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
        assert jobs.rescue() == 1
        with pytest.raises(jobs.LeaseLost), transaction.atomic():
            lease.renew()
    assert not jobs.finish(run, "frozen", "done")
    assert state(run) == ("waiting", 1)


def test_a_beating_lease_is_never_rescued(shop: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "LEASE", timedelta(seconds=4))  # a busy machine lets a thread miss several beats
    monkeypatch.setattr(jobs, "BEAT", timedelta(seconds=0.1))
    ask(shop)
    run = jobs.claim("me")
    assert run is not None
    before = run.lease_until
    with jobs.Lease(run, "me"):
        end = threading.Event()
        while timezone.now() < before + timedelta(seconds=0.5):  # until after the end of what was claimed
            end.wait(0.1)
            assert jobs.rescue() == 0
    run.refresh_from_db()
    assert run.lease_until > before + timedelta(seconds=0.6)


def test_a_lease_that_ended_without_beat_is_rescued_with_back_off(shop: Connection) -> None:
    ask(shop)
    run = jobs.claim("gone")
    assert run is not None
    assert jobs.rescue() == 0
    Run.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    assert jobs.rescue() == 1
    assert state(run) == ("waiting", 1)
    assert run.due > timezone.now()
    assert run.worker == ""


def test_a_worker_of_this_machine_whose_process_is_gone_is_rescued_without_waiting_for_the_lease(shop: Connection) -> None:
    ask(shop)
    mine = jobs.worker_name()
    machine, pid, started, thread = mine.split(":")
    run = jobs.claim(f"{machine}:{pid}:{int(started) - 1}:{thread}")
    assert run is not None
    assert jobs.rescue() == 1
    assert state(run) == ("waiting", 1)


def test_a_living_worker_of_this_machine_and_one_of_another_machine_are_left_alone(shop: Connection, other: Connection) -> None:
    ask(shop), ask(other)
    mine = jobs.worker_name()
    assert jobs.claim(mine)
    assert jobs.claim("elsewhere." + mine.split(".", 1)[1].replace(mine.split(":")[2], "1"))
    assert jobs.rescue() == 0


def test_a_run_that_gets_no_further_is_given_up(shop: Connection) -> None:
    run = ask(shop)
    for _i in range(jobs.ATTEMPTS):
        Run.objects.filter(state="waiting").update(due=timezone.now())
        assert jobs.claim("gone")
        Run.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
        assert jobs.rescue() == 1
    assert state(run) == ("failed", jobs.ATTEMPTS)
    assert run.text == jobs.LOST_TEXT
    assert run.facts == {"attempts": jobs.ATTEMPTS}


def test_a_rescued_run_whose_work_is_asked_for_again_leaves_it_to_that_run(shop: Connection) -> None:
    run = ask(shop)
    assert jobs.claim("gone")
    again = ask(shop)
    Run.objects.filter(pk=run.pk).update(lease_until=timezone.now() - timedelta(seconds=1))
    assert jobs.rescue() == 1
    assert state(run)[0] == "postponed"
    assert run.facts == {"run": again.pk}
    assert jobs.claim("me").pk == again.pk  # type: ignore[union-attr]


# --- ending ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "becomes"),
    [(NeedsOwner("x"), "needs_owner"), (BadDocument("x"), "failed"), (TryLater("x"), "waiting"), (OSError("x"), "waiting")],
)
def test_the_class_of_an_error_says_what_happens_next(shop: Connection, error: Exception, becomes: str) -> None:
    run = ask(shop)

    def execute(_run_id: int, _worker: str) -> None:
        raise error

    jobs.work_one("me", execute=execute)
    assert state(run) == (becomes, 1)
    assert (run.due > timezone.now()) == (becomes == "waiting")


def test_back_off_grows_and_is_spread_by_chance() -> None:
    for attempts, longest in ((1, 1), (2, 2), (5, 16), (20, 300)):
        waits = {jobs.backoff(attempts).total_seconds() for _i in range(50)}
        assert longest / 2 <= min(waits) <= max(waits) <= longest
        assert len(waits) > 40


def test_a_waiting_run_is_stopped_at_once_and_a_running_one_before_its_next_page(shop: Connection, other: Connection) -> None:
    waiting, running = ask(shop), ask(other)
    pages = []

    def execute(run_id: int, worker: str) -> None:
        with jobs.Lease(Run.objects.get(pk=run_id), worker) as lease:
            for page in range(3):
                with transaction.atomic():
                    lease.renew()
                    pages.append(page)
                assert jobs.ask_stop(run_id)

    assert jobs.ask_stop(waiting.pk)
    jobs.work_one("me", only=running.pk, execute=execute)
    assert state(waiting) == ("stopped", 0)
    assert state(running) == ("stopped", 1)
    assert pages == [0]
    assert not jobs.ask_stop(running.pk)


def test_the_end_of_a_run_rings_for_the_next_of_its_connection(shop: Connection) -> None:
    told: list[int] = []
    first, second = ask(shop, "a"), ask(shop, "b")
    run = jobs.claim("me")
    assert run is not None
    forget = jobs.add_messenger(told.append)
    jobs.finish(run, "me", "done", {"created": 1})
    forget()
    assert told == [second.pk]
    assert state(first) == ("done", 1)
    assert (first.percent, first.counts) == (100, {"created": 1})


# --- the loop, in this process ---------------------------------------------------------------------------------------------


def test_a_waiting_thread_is_woken_without_the_delay_of_a_poll(shop: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "POLL", 600.0)
    stop, ran = threading.Event(), threading.Event()

    def execute(run_id: int, worker: str) -> None:
        jobs.finish(Run.objects.get(pk=run_id), worker, "done")
        ran.set()

    thread = threading.Thread(target=jobs.loop, args=(stop,), kwargs={"workers": 1, "execute": execute})
    thread.start()
    try:
        ask(shop)
        assert ran.wait(60)
    finally:
        stop.set()
        thread.join(60)
    assert not thread.is_alive()


def test_a_closing_worker_settles_its_page_and_hands_the_run_back(shop: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "closing", threading.Event())
    run = ask(shop)

    def execute(run_id: int, worker: str) -> None:
        with jobs.Lease(Run.objects.get(pk=run_id), worker) as lease:
            with transaction.atomic():
                lease.renew(50)
                jobs.closing.set()
            with transaction.atomic():
                lease.renew(100)

    jobs.work_one("me", execute=execute)
    assert state(run) == ("waiting", 0)
    assert run.percent == 50
    assert run.due <= timezone.now()


def test_a_run_that_meets_the_same_unexpected_error_again_and_again_is_given_up(shop: Connection) -> None:
    run = ask(shop)

    def settle_then_break(run_id: int, worker: str) -> None:
        with transaction.atomic():
            jobs.Lease(Run.objects.get(pk=run_id), worker).renew(10, {})
        raise ZeroDivisionError("no such luck")

    for _attempt in range(jobs.FAULTS):
        Run.objects.filter(pk=run.pk).update(due=timezone.now())
        assert jobs.work_one(jobs.worker_name(), execute=settle_then_break) is not None
    run.refresh_from_db()
    assert (run.state, run.facts["times"]) == ("failed", 3)
    assert jobs.work_one(jobs.worker_name(), execute=settle_then_break) is None


def test_a_connection_that_is_removed_while_it_exchanges_disturbs_no_worker(shop: Connection, other: Connection) -> None:
    run, next_run = ask(shop), ask(other)

    def meanwhile(run_id: int, _worker: str) -> None:
        if run_id == run.pk:
            shop.delete()
            raise ZeroDivisionError("what it wanted to write down has no place any more")

    assert jobs.work_one("me", execute=meanwhile) is not None
    assert jobs.work_one("me", execute=meanwhile) is not None
    assert list(Run.objects.values_list("pk", flat=True)) == [next_run.pk]
