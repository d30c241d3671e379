"""The counts that leave the warehouse: tables by month, sums by account, lead times, first matches."""

from __future__ import annotations

import random
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import reference
from journeys import Journeys
from reference import DAY, ELIGIBLE, INTERNAL, UNMATCHED

from beton.model.outcome import Outcome, Unit
from beton.model.signal import from_dict
from beton.stats.clustered import ClusterMoments
from beton.stats.proportions import TwoByTwo
from beton.warehouse.compile import Catalogue
from beton.warehouse.counts import CohortCounts, count_cohort, excluded_units
from beton.warehouse.deal_amounts import DealAmounts, won_amounts
from beton.warehouse.landmark import Clock, cohort_sql, excluded_sql
from beton.warehouse.reader import Warehouse


def second(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


def counted(
    warehouse: Warehouse, definition: dict[str, Any], cut: Clock, steps: list[Any] | None = None
) -> CohortCounts:
    signal = from_dict({"name": "x", **definition})
    unit: Unit = signal.unit
    sql = cohort_sql(signal, Outcome(), cut, Catalogue.of(warehouse.manifest()))
    with warehouse.connection() as connection:
        excluded = {} if signal.timing == "any time" else excluded_units(connection, excluded_sql(unit))
        return count_cohort(connection, sql, excluded, lambda *step: steps.append(step) if steps is not None else None)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    people = Journeys(tmp_path_factory.mktemp("small"), data_end="2024-12-31")
    people.user("a", signed_up="2024-01-10", company="acme").did("x", after_days=1).won(after_days=11)
    people.contact()
    people.user("b", signed_up="2024-01-20", company="acme").did("y", after_days=1).contact()
    people.user("c", signed_up="2024-02-05", company="globex").did("x", after_days=2).contact()
    people.user("d", signed_up="2024-02-06").did("x", after_days=2.5).won(after_days=6.5).contact()
    people.user("e", signed_up="2024-02-07").contact()
    people.user("bought_first", signed_up="2024-02-08").did("x", after_days=2).won(after_days=1).contact()
    people.user("bought_next_day", signed_up="2024-02-09").did("x", after_days=2).won(after_days=3).contact()
    people.user("young", signed_up="2024-12-20").did("x", after_days=1).contact()
    people.user("tester", internal=True, signed_up="2024-02-01").did("x", after_days=1)
    people.user("stranger", signed_up="2024-02-01").did("x", after_days=1)
    return people.build()


CUT = Clock(3 * DAY, DAY, 30 * DAY, second("2024-12-31"), second("2024-01-01"))
X: dict[str, Any] = {"when": {"event": "x", "within_days": 3}}


def test_every_figure_of_a_small_cohort(small: Warehouse) -> None:
    found = counted(small, X, CUT)
    # b is in the account of a, whose deal closes on 21 January: before b's window of 24 January opens.
    assert found.status_units == {0: 4, 1: 1, 2: 1, 4: 3, 5: 1}
    assert found.months == {202401: TwoByTwo(1, 1, 0, 0), 202402: TwoByTwo(1, 2, 0, 1)}
    assert found.table == TwoByTwo(2, 3, 0, 1)
    assert sorted(found.lead_s) == [4 * DAY, 10 * DAY]
    assert found.period_s == (second("2024-01-10"), second("2024-02-07"))


def test_first_matches_are_of_everyone_known_who_had_not_bought_yet(small: Warehouse) -> None:
    days = {
        datetime.fromtimestamp(day * DAY, UTC).date().isoformat(): units
        for day, units in counted(small, X, CUT).first_matches.items()
    }
    assert days == {"2024-01-11": 1, "2024-02-07": 1, "2024-02-08": 1, "2024-02-11": 1, "2024-12-21": 1}


def test_a_unit_that_matches_in_many_weeks_matches_first_once(small: Warehouse) -> None:
    weekly = {"timing": "any time", "when": {"event": "x", "within_days": 21}}
    found = counted(small, weekly, Clock(21 * DAY, DAY, 30 * DAY, CUT.data_end_s, CUT.outcomes_since_s))
    # c did it on 7 February; three weeks after its signup is 26 February, the first Monday with a full window.
    assert found.first_matches == {second("2024-02-26") // DAY: 1}
    assert set(found.status_units) <= {0, 4, 5}
    assert found.table.units_with == 1


def test_progress_only_moves_forward(small: Warehouse) -> None:
    steps: list[tuple[str, float]] = []
    counted(small, X, CUT, steps)
    shares = [share for _, share in steps]
    assert shares[0] == 0
    assert shares == sorted(set(shares))
    assert shares[-1] < 1


def test_an_empty_cohort_has_empty_counts(small: Warehouse) -> None:
    found = counted(small, X, Clock(3 * DAY, DAY, 30 * DAY, second("2023-01-01"), second("2024-01-01")))
    assert found.table == TwoByTwo(0, 0, 0, 0)
    assert (found.months, found.period_s, found.moments.clusters) == ({}, None, 0)
    assert list(found.lead_s) == []


@pytest.mark.parametrize("kind", ["user", "account", "weekly"])
def test_the_sums_are_those_of_the_rows(tmp_path: Path, kind: str) -> None:
    rng = random.Random(11)
    world = reference.random_world(rng, companies=25)
    world.acts += reference.anchor_acts()
    warehouse = reference.build(world, tmp_path)
    definition: dict[str, Any] = {"name": "x", "when": {"event": "start", "within_days": 7}}
    definition |= {"user": {}, "account": {"unit": "account"}, "weekly": {"timing": "any time"}}[kind]
    cut = reference.clock(world, definition)
    rows = reference.expected(world, definition, cut)
    found = counted(warehouse, definition, cut)

    never_in = {} if kind == "weekly" else {INTERNAL, UNMATCHED}
    assert {s: n for s, n in found.status_units.items() if s not in never_in} == Counter(
        r.status for r in rows.values()
    )
    eligible = {unit: row for unit, row in rows.items() if row.status == ELIGIBLE}
    company = {person.id: person.company for person in world.people}
    owner = [unit if kind == "account" else unit[0] if kind == "weekly" else unit for unit in eligible]
    clusters = [company.get(name) or name for name in owner]
    signal, converted = (np.array([row[i] for row in eligible.values()], bool) for i in (1, 2))
    assert found.moments == ClusterMoments.from_arrays(converted, signal, clusters)
    assert found.table == TwoByTwo(
        int((signal & converted).sum()), int(signal.sum()), int((~signal & converted).sum()), int((~signal).sum())
    )
    assert 0 < found.table.converted < found.table.units
    start = {person.id: person.t0 for person in world.people} | {c: world.first_seen(c) for c in world.sizes}
    months = Counter(
        datetime.fromtimestamp(unit[1] if kind == "weekly" else start[unit], UTC).strftime("%Y%m") for unit in eligible
    )
    assert {str(month): table.units for month, table in found.months.items()} == months


# --- deal amounts


def test_amounts_are_of_won_deals_in_the_asked_currency(tmp_path: Path) -> None:
    people = Journeys(tmp_path).user("u", company="acme").did("x", after_days=1)
    people.won(after_days=20, amount=100).won(after_days=20, amount=300, currency="usd")
    people.won(after_days=20, amount=800, currency="USD").won(after_days=20, amount=5_000, currency="EUR")
    people.won(after_days=20).lost(after_days=20, amount=9_999).open_deal(amount=9_999)
    with people.build().connection() as connection:
        assert won_amounts(connection, "USD") == DealAmounts(3, 400.0, 300.0, 1)
        assert won_amounts(connection, "EUR") == DealAmounts(2, 2_550.0, 2_550.0, 2)
        assert won_amounts(connection, "JPY") == DealAmounts(1, 100.0, 100.0, 3)


def test_without_deals_there_is_no_amount(tmp_path: Path) -> None:
    with Journeys(tmp_path).user("u").did("x", after_days=1).build().connection() as connection:
        assert won_amounts(connection, "USD") == DealAmounts(0, None, None, 0)
