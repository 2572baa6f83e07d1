"""When a stream runs by itself, also on the nights on which the clock is changed."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obmen.core.schedule import BadSchedule, next_run, parse

KYIV = ZoneInfo("Europe/Kyiv")


def following(text: str, after: str, count: int = 1, **quiet: time) -> list[str]:
    """The next moments in Kyiv's time, with its offset from UTC."""
    moment = datetime.fromisoformat(after).replace(tzinfo=KYIV)
    out = []
    for _i in range(count):
        moment = next_run(parse(text), moment, KYIV, **quiet)
        assert moment.tzinfo is UTC
        out.append(moment.astimezone(KYIV).strftime("%d %H:%M%z"))
    return out


def test_an_interval_is_counted_from_local_midnight() -> None:
    assert following("every 15 min", "2026-06-10T10:07", 2) == ["10 10:15+0300", "10 10:30+0300"]
    assert following("every 5 h", "2026-06-10T19:00", 3) == ["10 20:00+0300", "11 00:00+0300", "11 05:00+0300"]
    assert following("every 24 h", "2026-06-10T00:00") == ["11 00:00+0300"]


def test_times_of_day_come_in_their_order_whatever_the_order_in_the_text() -> None:
    assert following("at 15:30, 3:00", "2026-06-10T10:00", 3) == ["10 15:30+0300", "11 03:00+0300", "11 15:30+0300"]


def test_cron_text_is_local_time() -> None:
    assert following("*/30 9-10 * * 1-5", "2026-06-12T10:10", 2) == ["12 10:30+0300", "15 09:00+0300"]


@pytest.mark.parametrize(
    "text",
    ["every 15 min", "Every  15 minutes", "every 15min", "кожні 15 хв", "кожні 15 хвилин", "каждые 15 мин.", "каждые 15 минут"],
)
def test_an_interval_may_be_written_in_three_languages(text: str) -> None:
    assert parse(text).every == timedelta(minutes=15)


@pytest.mark.parametrize("text", ["every hour", "every 1 h", "кожну годину", "каждый час", "каждые 1 ч"])
def test_an_hour_may_be_written_in_three_languages(text: str) -> None:
    assert parse(text).every == timedelta(hours=1)


@pytest.mark.parametrize("text", ["at 03:00", "о 03:00", "об 3:00", "в 03:00", "AT 3:00"])
def test_a_time_of_day_may_be_written_in_three_languages(text: str) -> None:
    assert parse(text).cron == ("0 3 * * *",)


# --- the nights on which the clock is changed: Kyiv, 29.03.2026 03:00 → 04:00 and 25.10.2026 04:00 → 03:00 ------------------


def test_a_time_in_the_spring_gap_runs_at_its_end() -> None:
    assert following("at 03:30", "2026-03-28T12:00", 2) == ["29 04:00+0300", "30 03:30+0300"]


def test_a_time_in_the_doubled_autumn_hour_runs_once() -> None:
    assert following("at 03:30", "2026-10-24T12:00", 2) == ["25 03:30+0300", "26 03:30+0200"]


def test_an_interval_counts_hours_that_really_pass() -> None:
    assert following("every 1 h", "2026-03-29T01:30", 3) == ["29 02:00+0200", "29 04:00+0300", "29 05:00+0300"]
    assert following("every 1 h", "2026-10-25T02:30", 3) == ["25 03:00+0300", "25 03:00+0200", "25 04:00+0200"]


@given(
    st.sampled_from(
        ["every 7 min", "every 5 h", "at 03:30", "at 00:00, 03:00, 04:00", "*/20 * * * *", "30 3 * * *", "0 0 1 * *"]
    ),
    st.datetimes(datetime.fromisoformat("2026-01-01"), datetime.fromisoformat("2027-01-01")),
    st.sampled_from(["Europe/Kyiv", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe", "UTC"]),
    st.tuples(st.times(), st.times()) | st.none(),
)
def test_the_next_moment_is_always_later_and_never_quiet(
    text: str, at: datetime, zone: str, quiet: tuple[time, time] | None
) -> None:
    after, local = at.replace(tzinfo=UTC), ZoneInfo(zone)
    begin, end = quiet or (None, None)
    moment = next_run(parse(text), after, local, begin, end)
    assert moment > after
    if quiet and begin != end:
        now = moment.astimezone(local).time()
        inside = begin <= now < end if begin < end else now >= begin or now < end  # type: ignore[operator]
        gap = moment.astimezone(local).replace(tzinfo=None) != datetime.combine(moment.astimezone(local).date(), end)  # type: ignore[arg-type]
        assert not inside or not gap


# --- quiet hours -----------------------------------------------------------------------------------------------------------


def test_what_falls_into_the_quiet_hours_waits_for_their_end() -> None:
    night = {"quiet_from": time(22), "quiet_to": time(6)}
    assert following("every 30 min", "2026-06-10T21:10", 3, **night) == ["10 21:30+0300", "11 06:00+0300", "11 06:30+0300"]
    assert following("at 03:00", "2026-06-10T12:00", 2, **night) == ["11 06:00+0300", "12 06:00+0300"]
    lunch = {"quiet_from": time(12), "quiet_to": time(13)}
    assert following("every 1 h", "2026-06-10T11:00", 2, **lunch) == ["10 13:00+0300", "10 14:00+0300"]


def test_quiet_hours_of_which_one_side_is_missing_or_both_are_equal_are_none() -> None:
    assert following("at 03:00", "2026-06-10T12:00", 1, quiet_from=time(22)) == ["11 03:00+0300"]
    assert following("at 03:00", "2026-06-10T12:00", 1, quiet_from=time(3), quiet_to=time(3)) == ["11 03:00+0300"]


# --- what is no schedule ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("sometimes", "“sometimes” is no schedule; write “every 15 min”, “at 03:00, 15:00” or five fields of cron text"),
        ("every 0 min", "“every 0 min”: an interval is between 1 minute and 24 hours"),
        ("every 25 h", "“every 25 h”: an interval is between 1 minute and 24 hours"),
        ("at 24:00", "“at 24:00”: 24:00 is no time of day; write 03:00"),
        ("at 3:00,", "“at 3:00,”: “” is no time of day; write 03:00"),
        ("at noon", "“at noon”: noon is no time of day; write 03:00"),
        ("61 * * * *", "“61 * * * *” is no cron text: Bad minute"),
        ("", "“” is no schedule; write “every 15 min”, “at 03:00, 15:00” or five fields of cron text"),
    ],
)
def test_a_text_that_is_no_schedule_is_refused_with_what_to_write(text: str, says: str) -> None:
    with pytest.raises(BadSchedule) as error:
        parse(text)
    assert str(error.value) == says


def test_a_date_that_never_comes_is_refused() -> None:
    with pytest.raises(BadSchedule):
        next_run(parse("0 0 30 2 *"), datetime(2026, 1, 1, tzinfo=UTC), KYIV)
