"""Numbers, dates, truth, currencies and rates in every spelling that senders of CommerceML were seen to use."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obmen.formats.commerceml import values

KYIV = ZoneInfo("Europe/Kyiv")


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("8186.8400", "8186.84"),
        ("50000.0", "50000"),
        ("1 234,50", "1234.5"),
        ("1\xa0234,5", "1234.5"),
        ("1\u202f234\u202f567.89", "1234567.89"),
        ("-999 999 999,9", "-999999999.9"),
        ("  7 ", "7"),
        (".5", "0.5"),
        ("1,234.56", "1234.56"),
        ("1.234,56", "1234.56"),
        ("1,234,567", "1234567"),
        ("1.0E7", "10000000"),
        ("\u22125", "-5"),
        ("0", "0"),
    ],
)
def test_a_number_is_read_however_it_is_written(text: str, number: str) -> None:
    assert values.decimal(text) == Decimal(number)


@pytest.mark.parametrize("text", [None, "", "  ", "\xa0"])
def test_an_empty_text_is_not_a_number_and_not_nought(text: str | None) -> None:
    assert values.decimal(text) is None


@pytest.mark.parametrize(
    "text", ["abc", "NaN", "Infinity", "1_0", "١٢", "--1", "1.2.3", "1,2,3", "1e999", "12 руб", "9" * 100, "1,234.5,6", "-"]
)
def test_garbage_is_no_number(text: str) -> None:
    with pytest.raises(ValueError, match="is not a number"):
        values.decimal(text)


numbers = st.decimals(min_value=Decimal("-1e12"), max_value=Decimal("1e12"), allow_nan=False, places=4)


@given(numbers, st.sampled_from([" ", "\xa0", "\u202f", ""]), st.sampled_from([".", ","]), st.sampled_from(["", " ", "\xa0"]))
def test_any_number_survives_any_spelling(number: Decimal, group: str, sign: str, padding: str) -> None:
    text = f"{number:,.4f}".replace(",", "_").replace(".", sign).replace("_", group)
    assert values.decimal(padding + text + padding) == number


@pytest.mark.parametrize("text", ["true", "1", "Да", "Так", " TRUE ", "Истина"])
def test_yes_is_true(text: str) -> None:
    assert values.boolean(text) is True


@pytest.mark.parametrize("text", ["false", "0", "Нет", "Ні", "Ложь"])
def test_no_is_false(text: str) -> None:
    assert values.boolean(text) is False


def test_an_empty_truth_is_not_said_and_another_word_is_refused() -> None:
    assert values.boolean("") is None
    assert values.boolean(None) is None
    with pytest.raises(ValueError, match="neither true nor false"):
        values.boolean("возможно")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("2025-04-03", "2025-04-03T00:00:00"),
        ("2025-04-03T9:05:07", "2025-04-03T09:05:07"),
        ("2014-06-01T0:20:10", "2014-06-01T00:20:10"),
        ("09.04.2014 0:46:38", "2014-04-09T00:46:38"),
        ("2021-02-11 18:45:21", "2021-02-11T18:45:21"),
        ("2024/1/9", "2024-01-09T00:00:00"),
        ("20140601002010", "2014-06-01T00:20:10"),
        ("2025-04-03T09:05:07+03:00", "2025-04-03T09:05:07+03:00"),
        ("2024-01-09T12:00:00.123+03:00", "2024-01-09T12:00:00.123000+03:00"),
        ("2015-08-12+03:00", "2015-08-12T00:00:00+03:00"),
        ("2025-04-03T09:05:07Z", "2025-04-03T09:05:07+00:00"),
        ("2015-01-01UTC12:00:00", "2015-01-01T12:00:00+00:00"),
        ("2015-01-01MSK12:00:00", "2015-01-01T12:00:00"),
        ("2014-06-01T00:20:10-0530", "2014-06-01T00:20:10-05:30"),
    ],
)
def test_a_date_is_read_however_it_is_written(text: str, said: str) -> None:
    value = values.moment(text)
    assert value is not None
    assert value.isoformat() == said


def test_the_empty_date_of_1c_is_no_date() -> None:
    assert values.moment("0001-01-01T00:00:00") is None
    assert values.date("") is None


@pytest.mark.parametrize("text", ["2025-02-30", "12:00", "вчера", "2025", "2025-04-03T25:00:00", "1.2.3"])
def test_garbage_is_no_date(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        values.moment(text)


@given(st.datetimes(min_value=dt.datetime(1000, 1, 1), max_value=dt.datetime(2999, 12, 31)))  # noqa: DTZ001
def test_any_moment_survives_every_spelling(moment: dt.datetime) -> None:
    moment = moment.replace(microsecond=0)
    clock = f"{moment.hour}:{moment:%M:%S}"
    day = f"{moment.year:04}-{moment:%m-%d}"
    for text in (f"{day}T{clock}", f"{day} {clock}", f"{moment:%d.%m}.{moment.year:04} {clock}", f"{day}T{moment:%H:%M:%S}.000"):
        assert values.moment(text) == moment
    assert values.date(day) == moment.date()
    assert values.time(clock) == moment.time()


@pytest.mark.parametrize(
    ("text", "clock"),
    [("18:45:21", "18:45:21"), ("9:05:07", "09:05:07"), ("0:46", "00:46:00"), ("2014-06-01T0:20:10", "00:20:10")],
)
def test_a_time_may_come_with_its_date(text: str, clock: str) -> None:
    value = values.time(text)
    assert value is not None
    assert value.isoformat() == clock


def test_a_naive_moment_is_local_time_of_the_sender_and_an_offset_is_honoured() -> None:
    naive, aware = values.moment("2025-01-10T10:00:00"), values.moment("2025-01-10T10:00:00+03:00")
    assert values.utc(naive, KYIV) == dt.datetime(2025, 1, 10, 8, tzinfo=dt.UTC)
    assert values.utc(aware, KYIV) == dt.datetime(2025, 1, 10, 7, tzinfo=dt.UTC)
    assert values.utc(None, KYIV) is None


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("руб", "RUB"),
        ("руб.", "RUB"),
        ("RUR", "RUB"),
        ("643", "RUB"),
        ("грн.", "UAH"),
        ("980", "UAH"),
        ("$", "USD"),
        ("тг", "KZT"),
    ],
)
def test_a_currency_has_many_names(text: str, code: str) -> None:
    assert values.currency(text) == code
    assert values.currency(f" {text.upper()} ") == code


def test_an_unknown_currency_is_returned_as_said() -> None:
    assert values.currency(" Бонус ") == "Бонус"
    assert values.currency(None) == ""


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("20", "20"),
        ("20%", "20"),
        ("20/120", "20"),
        ("НДС 20%", "20"),
        ("20.00", "20"),
        ("0", "0"),
        ("10.00", "10"),
        ("Без НДС", "none"),
        ("Без налога", "none"),
        ("Без ПДВ", "none"),
        ("-", "none"),
        ("", None),
        (None, None),
        ("ставка", None),
    ],
)
def test_no_vat_is_not_nought_per_cent(text: str | None, rate: str | None) -> None:
    assert values.vat(text) == rate


def test_padding_of_a_unit_goes() -> None:
    assert values.unit("796 ") == "796"
    assert values.unit("шт\xa0") == "шт"


def test_a_moment_outside_of_the_calendar_is_none() -> None:
    """One such date must not stop all the orders of a shop."""
    assert values.utc(values.moment("9999-12-31T23:59:59-05:00"), ZoneInfo("Europe/Kyiv")) is None
    assert values.utc(values.moment("9999-12-31T23:59:59"), ZoneInfo("America/New_York")) is None
    assert values.utc(values.moment("9999-12-31T23:59:59"), ZoneInfo("Europe/Kyiv")) is not None
