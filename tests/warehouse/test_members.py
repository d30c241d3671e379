"""The rows behind a signal: identity, moment of the match and standing."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from journeys import Journeys

from beton.model.outcome import Outcome
from beton.model.signal import from_dict
from beton.warehouse.compile import Catalogue
from beton.warehouse.landmark import Clock, cohort_sql
from beton.warehouse.members import members

DAY = 86_400


def listed(people: Journeys, **definition: Any) -> tuple[tuple[str, ...], list[tuple[object, ...]]]:
    warehouse = people.build()
    signal = from_dict({"name": "x", "when": {"event": "x", "within_days": 3}, **definition})
    since, end = (int(datetime(*day, tzinfo=UTC).timestamp()) for day in ((2024, 1, 1), (2024, 6, 1)))
    cut = Clock(round(signal.landmark_days * DAY), DAY, 30 * DAY, end, since)
    sql = cohort_sql(signal, Outcome(), cut, Catalogue.of(warehouse.manifest()))
    with warehouse.connection() as connection:
        return members(connection, sql, signal.unit, end)


def company(directory: Path) -> Journeys:
    return (
        Journeys(directory, data_end="2024-06-01")
        .company("acme", size=5, name="=Acme Inc")
        .user("late", signed_up="2024-05-20T08:00:00")
        .did("x", after_days=0.5)
        .contact()
        .user("won", signed_up="2024-01-02", company="acme")
        .did("x", after_days=1)
        .won(after_days=9)
        .contact()
        .user("waits", signed_up="2024-02-01", company="globex")
        .did("x", after_days=0)
        .contact()
        .user("quick", signed_up="2024-02-02")
        .did("x", after_days=2)
        .won(after_days=2.5)
        .contact()
        .user("tester", internal=True)
        .did("x", after_days=1)
        .user("without")
        .contact()
    )


def test_carriers_are_listed_in_the_order_of_their_match(tmp_path: Path) -> None:
    header, rows = listed(company(tmp_path))
    assert header == (
        "user_id", "email", "company_id", "company_name", "signed_up_at",
        "matched_at", "standing", "converted_in_window", "first_outcome_at",
    )  # fmt: skip
    assert rows == [
        ("won", "won@acme.example", "acme", "=Acme Inc", "2024-01-02T00:00:00Z", "2024-01-03T00:00:00Z",
         "in the backtest", "yes", "2024-01-11T00:00:00Z"),
        ("waits", "waits@globex.example", "globex", None, "2024-02-01T00:00:00Z", "2024-02-01T00:00:00Z",
         "in the backtest", "no", ""),
        ("quick", "quick@nowhere.example", None, None, "2024-02-02T00:00:00Z", "2024-02-04T00:00:00Z",
         "converted before the outcome window", "", "2024-02-04T12:00:00Z"),
        ("late", "late@nowhere.example", None, None, "2024-05-20T08:00:00Z", "2024-05-20T20:00:00Z",
         "not yet mature", "", ""),
    ]  # fmt: skip


def test_accounts_are_listed_as_accounts(tmp_path: Path) -> None:
    header, rows = listed(company(tmp_path), unit="account")
    assert header[:3] == ("company_id", "company_name", "first_seen_at")
    assert [(row[0], row[1], row[2], row[3], row[5]) for row in rows] == [
        ("acme", "=Acme Inc", "2024-01-02T00:00:00Z", "2024-01-03T00:00:00Z", "yes"),
        ("globex", None, "2024-02-01T00:00:00Z", "2024-02-01T00:00:00Z", "no"),
    ]


def test_a_unit_with_many_weeks_is_listed_once_with_its_first_match(tmp_path: Path) -> None:
    _, rows = listed(company(tmp_path), timing="any time", when={"event": "x", "within_days": 21})
    # three weeks after the signup of 1 February is Thursday 22: nothing is left in the window of Monday 26
    assert [(row[0], row[5]) for row in rows] == []
    _, rows = listed(
        company(tmp_path)
        .user("again", signed_up="2024-02-01")
        .contact()
        .did("x", after_days=10)
        .did("x", after_days=40),
        timing="any time",
        when={"event": "x", "within_days": 14},
    )
    assert [(row[0], row[5], row[6]) for row in rows] == [("again", "2024-02-19T00:00:00Z", "in the backtest")]


def test_nobody_carries_what_is_not_certain_yet(tmp_path: Path) -> None:
    people = (
        company(tmp_path).user("new", signed_up="2024-05-30").contact().user("old", signed_up="2024-05-10").contact()
    )
    _, rows = listed(people, when={"event": "x", "op": "not completed", "within_days": 7})
    assert [row[0] for row in rows] == ["without", "old"]
    assert rows[1][5] == "2024-05-17T00:00:00Z"
