from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from layouts import format

INF, NAN = float("inf"), float("nan")


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (27_000, "$27,000"),
        (0, "$0"),
        (0.4, "$0"),
        (2.5, "$3"),
        (-129_600, "−$129,600"),
        (INF, "∞"),
        (NAN, "–"),
        (None, "–"),
    ],
)
def test_money_is_whole(amount: float | None, text: str) -> None:
    assert format.money(amount) == text


def test_money_in_other_currencies_and_with_its_sign() -> None:
    assert format.money(27_000, "EUR") == "€27,000"
    assert format.money(27_000, "CHF") == "CHF 27,000"
    assert format.money(129_600, signed=True) == "+$129,600"
    assert format.money(0, signed=True) == "$0"


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (950, "$950"),
        (999.6, "$1.0K"),
        (5_200, "$5.2K"),
        (9_960, "$10K"),
        (378_000, "$378K"),
        (999_400, "$999K"),
        (999_600, "$1.0M"),
        (1_234_567, "$1.2M"),
        (24_300_000, "$24M"),
        (3_400_000_000, "$3.4B"),
        (-5_200, "−$5.2K"),
    ],
)
def test_short_money_never_shows_a_thousand_of_a_unit(amount: float, text: str) -> None:
    assert format.money_short(amount) == text


@pytest.mark.parametrize(
    ("rate", "text"),
    [
        (0.142, "14.2%"),
        (0, "0.0%"),
        (1, "100.0%"),
        (0.0001, "< 0.1%"),
        (0.99999, "> 99.9%"),
        (-0.02, "−2.0%"),
        (None, "–"),
    ],
)
def test_percent_never_rounds_something_to_none_or_all(rate: float | None, text: str) -> None:
    assert format.percent(rate) == text


@pytest.mark.parametrize(
    ("difference", "text"), [(0.108, "+10.8 pp"), (-0.02, "−2.0 pp"), (0.00001, "0.0 pp"), (None, "–")]
)
def test_points_carry_their_sign(difference: float | None, text: str) -> None:
    assert format.points(difference) == text


@pytest.mark.parametrize(
    ("ratio", "text"),
    [(4.17, "4.2x"), (1, "1.0x"), (0.84, "0.84x"), (0.996, "1.0x"), (99.96, "100x"), (INF, "∞"), (None, "–")],
)
def test_lift(ratio: float | None, text: str) -> None:
    assert format.lift(ratio) == text


@pytest.mark.parametrize(
    ("p", "text"),
    [
        (0.0, "< 0.001"),
        (1e-300, "< 0.001"),
        (0.001, "0.00100"),
        (0.0123, "0.0123"),
        (0.0999999, "0.100"),
        (0.5, "0.500"),
        (1.0, "1.00"),
        (None, "–"),
    ],
)
def test_p_values_have_three_figures(p: float | None, text: str) -> None:
    assert format.p_value(p) == text


def test_counts_and_durations() -> None:
    assert format.count(1_247) == "1,247"
    assert format.count(-3) == "−3"
    assert format.decimal(14.25, 2) == "14.25"
    assert [format.days(number) for number in (1, 14, 2.5, None)] == ["1 day", "14 days", "2.5 days", "–"]
    assert [format.plural(number, "row") for number in (0, 1, 1_247)] == ["0 rows", "1 row", "1,247 rows"]
    assert format.interval(format.lift(3.5), format.lift(4.97)) == "3.5x – 5.0x"


def test_dates() -> None:
    last = datetime(2024, 12, 31, 6, 59, tzinfo=UTC)
    assert format.date(last) == format.date(date(2024, 12, 31)) == format.date("2024-12-31") == "31 Dec 2024"
    assert format.date_time(last) == "31 Dec 2024, 06:59 UTC"
    assert format.month("2024-12") == format.month(last) == "Dec 2024"
    assert format.date_range("2024-01-01T00:00:00Z", last) == "1 Jan 2024 – 31 Dec 2024"
    assert format.date(None) == format.month(None) == format.date_time(None) == "–"


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (-5, "just now"),
        (59.9, "just now"),
        (60, "1 minute ago"),
        (3_599, "59 minutes ago"),
        (3_600, "1 hour ago"),
        (86_399, "23 hours ago"),
        (86_400, "1 day ago"),
        (40 * 86_400, "40 days ago"),
    ],
)
def test_how_long_ago(seconds: float, said: str) -> None:
    now = datetime(2026, 11, 23, 13, 2, tzinfo=UTC)
    assert format.ago(now - timedelta(seconds=seconds), now) == said


def test_durations() -> None:
    times = (0.04, 2.94, 9.94, 9.96, 59.4, 59.6, 725.2)
    assert [format.duration(each) for each in times] == [
        "0.0 s",
        "2.9 s",
        "9.9 s",
        "10 s",
        "59 s",
        "1 min 0 s",
        "12 min 5 s",
    ]
