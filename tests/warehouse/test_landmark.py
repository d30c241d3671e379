"""Who is eligible, who converted, and when: the cohort rules, against journeys and against a second implementation."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import reference
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from journeys import Journeys
from reference import DAY, ELIGIBLE, IMMATURE, NOT_AT_RISK, UNRECORDED, ask, excluded

from beton.errors import InputError
from beton.model.outcome import Outcome
from beton.warehouse.compile import Catalogue
from beton.warehouse.counts import time_to_outcome_s
from beton.warehouse.landmark import Clock, cohort_sql, time_to_outcome_sql
from beton.warehouse.reader import Warehouse

OUTCOMES = [
    Outcome(),
    Outcome(belongs_to="user"),
    Outcome("deal created"),
    Outcome("deal created", "user"),
    Outcome("event", "account", "report"),
    Outcome("event", "user", "report"),
]


def definition(rng: random.Random, kind: str) -> dict[str, Any]:
    longest = 15 if kind == "weekly" else None
    plain: dict[str, Any] = {"name": "random", "when": reference.random_condition(rng, longest)}
    if kind == "account":
        plain |= {"unit": "account", "rollup": reference.rollups(rng)}
    elif kind == "weekly":
        plain["timing"] = "any time"
    return plain


@settings(max_examples=12, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 10**9))
def test_the_engine_agrees_with_plain_loops(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    world = reference.random_world(rng)
    world.acts += reference.anchor_acts()
    warehouse = reference.build(world, tmp_path)
    for kind in ("user", "user", "user", "account", "account", "weekly"):
        for outcome in OUTCOMES:
            asked = definition(rng, kind)
            cut = reference.clock(world, asked)
            found, wanted = ask(warehouse, asked, cut, outcome), reference.expected(world, asked, cut, outcome)
            wrong = {unit: (found.get(unit), row) for unit, row in wanted.items() if found.get(unit) != row}
            assert not wrong, (asked, outcome, wrong)
            assert found.keys() == wanted.keys()


def test_random_worlds_reach_every_corner() -> None:
    """The comparison above would prove little on cohorts in which nothing happens."""
    rng = random.Random(1)
    seen: set[tuple[int, int, int]] = set()
    for _ in range(4):
        world = reference.random_world(rng)
        for kind in ("user", "account", "weekly"):
            for outcome in OUTCOMES:
                asked = definition(rng, kind)
                rows = reference.expected(world, asked, reference.clock(world, asked), outcome)
                seen |= {row[:3] for row in rows.values()}
    assert {row[0] for row in seen} == {ELIGIBLE, UNRECORDED, NOT_AT_RISK, IMMATURE}
    assert {row[1:] for row in seen if row[0] == ELIGIBLE} == {(0, 0), (0, 1), (1, 0), (1, 1)}


# --- the rules one by one

DID_X: dict[str, Any] = {"when": {"event": "x", "within_days": 3}}
START_DAYS = 3 + 1  # landmark and gap


def second(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


def cut(end: str = "2024-12-31", since: str = "2024-01-01", landmark: float = 3, horizon: int = 30) -> Clock:
    return Clock(round(landmark * DAY), DAY, horizon * DAY, second(end), second(since))


def journeys(directory: Path, **facts: Any) -> Journeys:
    return (
        Journeys(directory, data_end="2024-12-31", **facts).user("first", signed_up="2024-01-01").did("x", after_days=0)
    )


SECOND_DAYS = 1 / DAY


@pytest.mark.parametrize(
    ("won_after_days", "status", "converted"),
    [
        (-1, NOT_AT_RISK, 0),
        (0, NOT_AT_RISK, 0),
        (2, NOT_AT_RISK, 0),
        (3.5, NOT_AT_RISK, 0),
        (START_DAYS - SECOND_DAYS, NOT_AT_RISK, 0),
        (START_DAYS, ELIGIBLE, 1),
        (START_DAYS + 30 - SECOND_DAYS, ELIGIBLE, 1),
        (START_DAYS + 30, ELIGIBLE, 0),
        (None, ELIGIBLE, 0),
    ],
)
def test_a_deal_counts_from_the_end_of_the_gap_to_the_end_of_the_window(
    tmp_path: Path, won_after_days: float | None, status: int, converted: int
) -> None:
    world = journeys(tmp_path).user("u", signed_up="2024-03-01T10:00:00").won(after_days=300).user("v")
    world.user("asked", signed_up="2024-03-01T10:00:00")
    if won_after_days is not None:
        world.won(after_days=won_after_days)
    row = ask(world.build(), DID_X, cut())["asked"]
    assert (row.status, row.converted) == (status, converted)


def test_maturity_needs_the_whole_window_before_the_end_of_the_data(tmp_path: Path) -> None:
    world = (
        journeys(tmp_path).user("just", signed_up="2024-03-01T00:00:00").user("late", signed_up="2024-03-01T00:00:01")
    )
    rows = ask(world.build(), DID_X, cut(end="2024-04-04"))  # 1 March + 3 + 1 + 30 days
    assert (rows["just"].status, rows["late"].status) == (ELIGIBLE, IMMATURE)


def test_who_signed_up_before_outcomes_were_recorded_is_left_out(tmp_path: Path) -> None:
    world = journeys(tmp_path).user("before", signed_up="2024-02-29T23:59:59").user("at", signed_up="2024-03-01")
    rows = ask(world.build(), DID_X, cut(since="2024-03-01"))
    assert (rows["before"].status, rows["at"].status) == (UNRECORDED, ELIGIBLE)


def test_internal_and_unmatched_people_are_counted_but_never_in_a_cohort(tmp_path: Path) -> None:
    world = (
        journeys(tmp_path)
        .contact()
        .user("test", internal=True)
        .contact()
        .user("stranger")
        .user("tester", internal=True)
        .user("shouting")
        .contact(" SHOUTING@Nowhere.EXAMPLE ")
    )
    warehouse = world.build()
    assert set(ask(warehouse, DID_X, cut())) == {"first", "shouting"}
    assert excluded(warehouse, "user") == {reference.INTERNAL: 2, reference.UNMATCHED: 1}


def test_an_account_is_internal_only_if_all_its_users_are_and_matched_if_any_is(tmp_path: Path) -> None:
    world = (
        journeys(tmp_path)
        .user("a1", company="mixed", internal=True)
        .user("a2", company="mixed")
        .contact()
        .user("b1", company="own", internal=True)
        .contact()
        .user("c1", company="unknown")
        .company("without-users")
    )
    warehouse = world.build()
    assert set(ask(warehouse, {**DID_X, "unit": "account"}, cut())) == {"mixed"}
    assert excluded(warehouse, "account") == {reference.INTERNAL: 1, reference.UNMATCHED: 1}


@pytest.mark.parametrize(
    ("outcome", "converted"),
    [
        (Outcome(), {"owner", "mate"}),
        (Outcome(belongs_to="user"), {"owner"}),
        (Outcome("deal created"), {"owner", "mate", "opener"}),
        (Outcome("deal created", "user"), {"owner", "opener"}),
        (Outcome("event", "account", "paid"), {"payer", "partner"}),
        (Outcome("event", "user", "paid"), {"payer"}),
    ],
)
def test_an_outcome_belongs_to_the_user_or_to_the_whole_account(
    tmp_path: Path, outcome: Outcome, converted: set[str]
) -> None:
    world = (
        journeys(tmp_path)
        .user("owner", company="acme")
        .won(after_days=10, created_after_days=6)
        .user("mate", company="acme")
        .user("opener", company="solo")
        .open_deal(created_after_days=10)
        .user("payer", company="globex")
        .did("paid", after_days=10)
        .user("partner", company="globex")
        .user("loser")
        .lost(after_days=10)
    )
    rows = ask(world.build(), DID_X, cut(), outcome)
    assert {unit for unit, row in rows.items() if row.converted} == converted
    assert all(row.status == ELIGIBLE for row in rows.values())


def test_a_deal_of_the_company_alone_reaches_its_users_unless_it_must_be_their_own(tmp_path: Path) -> None:
    world = journeys(tmp_path).user("u", company="acme").won(after_days=10, on="company")
    world.user("w", company="acme").user("own", company="acme").won(after_days=12, on="user")
    warehouse = world.build()
    shared, personal = ask(warehouse, DID_X, cut()), ask(warehouse, DID_X, cut(), Outcome(belongs_to="user"))
    assert {u for u, row in shared.items() if row.converted} == {"u", "w", "own"}
    assert {u for u, row in personal.items() if row.converted} == {"own"}


def test_only_the_first_outcome_counts(tmp_path: Path) -> None:
    world = journeys(tmp_path).user("again").won(after_days=2).won(after_days=10)
    assert ask(world.build(), DID_X, cut())["again"].status == NOT_AT_RISK


def test_an_outcome_event_before_the_signup_means_not_at_risk(tmp_path: Path) -> None:
    world = journeys(tmp_path).user("u").did("paid", after_days=-2).did("paid", after_days=10)
    assert ask(world.build(), DID_X, cut(), Outcome("event", "user", "paid"))["u"].status == NOT_AT_RISK


def test_first_payment_is_refused_until_there_is_billing_data(tmp_path: Path) -> None:
    catalogue = Catalogue.of(journeys(tmp_path).build().manifest())
    signal = reference.from_dict({"name": "x", **DID_X})
    with pytest.raises(InputError, match="first payment needs billing data"):
        cohort_sql(signal, Outcome("first payment"), cut(), catalogue)


# --- accounts


def account_world(directory: Path) -> Warehouse:
    """acme: four users, the last joins after the landmark of 3 days; globex: one."""
    return (
        journeys(directory)
        .user("a1", signed_up="2024-03-01", company="acme")
        .did("x", after_days=1)
        .user("a2", signed_up="2024-03-02", company="acme")
        .did("x", after_days=0.5)
        .user("a3", signed_up="2024-03-03", company="acme")
        .did("x", after_days=1)  # day 3 of the account: at its landmark
        .user("a4", signed_up="2024-03-05", company="acme")
        .did("x", after_days=0)
        .user("g1", signed_up="2024-03-01", company="globex")
        .build()
    )


@pytest.mark.parametrize(
    ("rollup", "matched_after_days"),
    [
        ({"kind": "any"}, 1),
        ({"kind": "count", "value": 1}, 1),
        ({"kind": "count", "value": 2}, 1.5),
        ({"kind": "count", "value": 3}, None),
        ({"kind": "share", "value": 0.6666666666666666}, 3),
        ({"kind": "share", "value": 0.67}, None),
        ({"kind": "share", "value": 0.30000000000000004}, 3),
        ({"kind": "share", "value": 1}, None),
    ],
)
def test_the_account_clock_starts_when_it_was_first_seen(
    tmp_path: Path, rollup: dict[str, Any], matched_after_days: float | None
) -> None:
    rows = ask(account_world(tmp_path), {**DID_X, "unit": "account", "rollup": rollup}, cut())
    start = second("2024-03-01")
    wanted = reference.NEVER if matched_after_days is None else start + round(matched_after_days * DAY)
    assert rows["acme"].matched_at == wanted
    assert (rows["globex"].signal, rows["globex"].status) == (0, ELIGIBLE)


def test_users_who_join_after_the_landmark_are_no_part_of_the_share(tmp_path: Path) -> None:
    everybody = {"when": {"not": {"event": "y", "within_days": 3}}, "unit": "account"}
    world = journeys(tmp_path).did("y", after_days=9).user("a1", signed_up="2024-03-01", company="acme")
    world.user("a2", signed_up="2024-03-04", company="acme").did("y", after_days=0)
    rows = ask(world.build(), {**everybody, "rollup": {"kind": "share", "value": 1}}, cut())
    assert rows["acme"].signal == 1


# --- weekly landmarks


def weekly(within_days: float, **leaf: Any) -> dict[str, Any]:
    return {"timing": "any time", "when": {"event": "x", "within_days": within_days, **leaf}}


def matching_weeks(rows: dict[Any, reference.Row], user: str) -> list[str]:
    found = sorted(landmark for (unit, landmark), row in rows.items() if unit == user and row.signal)
    return [datetime.fromtimestamp(landmark, UTC).date().isoformat() for landmark in found]


@pytest.mark.parametrize(
    ("at", "weeks"),
    [
        ("2024-03-11T00:00:00", ["2024-03-18"]),
        ("2024-03-10T23:59:59", ["2024-03-11"]),
        ("2024-03-13T12:00:00", ["2024-03-18"]),
        ("2024-03-17T23:59:59", ["2024-03-18"]),
    ],
)
def test_a_window_of_a_week_ends_just_before_monday(tmp_path: Path, at: str, weeks: list[str]) -> None:
    world = journeys(tmp_path).user("u", signed_up="2024-03-01").did("x", at=at)
    assert matching_weeks(ask(world.build(), weekly(7), cut(landmark=7)), "u") == weeks


@pytest.mark.parametrize(
    ("within_days", "weeks"),
    [
        (3, []),
        (5, ["2024-03-18"]),
        (11, ["2024-03-18"]),
        (12, ["2024-03-18", "2024-03-25"]),
        (14, ["2024-03-18", "2024-03-25"]),
        (19, ["2024-03-18", "2024-03-25", "2024-04-01"]),
    ],
)
def test_a_window_reaches_back_as_many_days_as_it_says(tmp_path: Path, within_days: int, weeks: list[str]) -> None:
    world = journeys(tmp_path).user("u", signed_up="2024-02-01").did("x", at="2024-03-13")
    rows = ask(world.build(), weekly(within_days), cut(landmark=within_days))
    assert matching_weeks(rows, "u") == weeks


def test_weeks_begin_one_window_after_signup_and_end_with_risk_and_data(tmp_path: Path) -> None:
    world = journeys(tmp_path).user("u", signed_up="2024-03-01T00:00:01").won(at="2024-03-26")
    rows = ask(world.build(), weekly(10), cut(landmark=10, end="2024-04-23", horizon=14))
    mine = {datetime.fromtimestamp(at, UTC).date().isoformat(): row for (unit, at), row in rows.items() if unit == "u"}
    assert [day for day in mine if mine[day].status == ELIGIBLE] == ["2024-03-18", "2024-03-25"]
    assert [day for day in mine if mine[day].converted] == ["2024-03-18", "2024-03-25"]
    assert [day for day in mine if mine[day].status == NOT_AT_RISK] == [
        "2024-04-01", "2024-04-08", "2024-04-15", "2024-04-22",
    ]  # fmt: skip
    other = {at: row.status for (unit, at), row in rows.items() if unit == "first"}
    assert other[second("2024-04-08")] == ELIGIBLE  # + 1 + 14 days is 23 April
    assert other[second("2024-04-15")] == IMMATURE


def test_weekly_landmarks_of_accounts_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="set unit: user"):
        ask(journeys(tmp_path).build(), {**weekly(7), "unit": "account"}, cut())


def test_a_thousand_weeks_are_too_many(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="set outcomes_since"):
        ask(journeys(tmp_path).build(), weekly(7), cut(since="1990-01-01"))


def test_weekly_cohorts_of_data_that_end_before_outcomes_begin_are_empty(tmp_path: Path) -> None:
    assert ask(journeys(tmp_path).build(), weekly(7), cut(since="2025-03-01")) == {}


# --- time to outcome


def test_time_to_outcome_is_of_external_units_with_an_outcome_after_time_zero(tmp_path: Path) -> None:
    world = (
        journeys(tmp_path)
        .user("ten", company="acme")
        .won(after_days=10)
        .user("mate", company="acme", signed_up="2024-01-06")
        .user("test", internal=True)
        .won(after_days=7)
        .user("before")
        .won(after_days=-1)
        .user("never")
        .build()
    )
    with world.connection() as connection:
        users = time_to_outcome_s(connection, time_to_outcome_sql("user", Outcome()))
        own = time_to_outcome_s(connection, time_to_outcome_sql("user", Outcome(belongs_to="user")))
        accounts = time_to_outcome_s(connection, time_to_outcome_sql("account", Outcome()))
    assert sorted(users) == [5 * DAY, 10 * DAY]
    assert list(own) == list(accounts) == [10 * DAY]
