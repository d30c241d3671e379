"""The core tier gives the counts of the SQL tier, for random definitions in random worlds."""

from __future__ import annotations

import random
from dataclasses import replace
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import reference
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from beton.model.outcome import Outcome
from beton.model.signal import SignalDefinition, from_dict
from beton.warehouse.compile import Catalogue
from beton.warehouse.core import match
from beton.warehouse.core.arrays import Core
from beton.warehouse.core.count import count_core
from beton.warehouse.core.frame import frame
from beton.warehouse.core.match import why_not
from beton.warehouse.counts import CohortCounts, count_cohort, excluded_units
from beton.warehouse.landmark import Clock, cohort_sql, excluded_sql
from beton.warehouse.reader import Warehouse

OUTCOMES = [
    Outcome(),
    Outcome(belongs_to="user"),
    Outcome("deal created"),
    Outcome("deal created", "user"),
    Outcome("event", "account", "report"),
    Outcome("event", "user", "report"),
]


def world_of(seed: int, directory: Path, companies: int = 14) -> tuple[reference.World, Warehouse, Core]:
    world = reference.random_world(random.Random(seed), companies)
    world.acts += reference.anchor_acts()
    warehouse = reference.build(world, directory)
    core = warehouse.core()
    assert core is not None
    return world, warehouse, core


def definition(rng: random.Random, unit: str) -> dict[str, Any]:
    plain: dict[str, Any] = {"name": "random", "when": reference.random_condition(rng, None)}
    return plain | ({"unit": "account", "rollup": reference.rollups(rng)} if unit == "account" else {})


def by_sql(
    warehouse: Warehouse, signal: SignalDefinition, outcome: Outcome, cut: Clock, excluded: dict[int, int]
) -> CohortCounts:
    sql = cohort_sql(signal, outcome, cut, Catalogue.of(warehouse.manifest()))
    with warehouse.connection() as connection:
        return count_cohort(connection, sql, excluded, lambda *_: None)


def silent(stage: str, share: float) -> None:
    """Progress that nobody watches."""


def assert_same(found: CohortCounts, wanted: CohortCounts) -> None:
    assert found.status_units == wanted.status_units
    assert found.months == wanted.months
    assert found.moments == wanted.moments
    assert sorted(found.lead_s.tolist()) == sorted(wanted.lead_s.tolist())
    assert found.first_matches == wanted.first_matches
    assert found.period_s == wanted.period_s


def compare(warehouse: Warehouse, core: Core, asked: dict[str, Any], outcome: Outcome, cut: Clock) -> bool:
    """Whether the core answered; then its counts are those of SQL."""
    signal = from_dict(asked)
    if why_not(core, signal, outcome):
        return False
    with warehouse.connection() as connection:
        excluded = excluded_units(connection, excluded_sql(signal.unit))
    cohort = frame(core, signal.unit, outcome, cut)
    found = count_core(core, signal, cohort, cut.landmark_s, excluded, silent)
    assert_same(found, by_sql(warehouse, signal, outcome, cut, excluded))
    return True


@settings(max_examples=6, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 10**9))
def test_both_tiers_count_the_same(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    world, warehouse, core = world_of(seed, tmp_path)
    answered = 0
    for unit in ("user", "user", "user", "account", "account", "account"):
        for outcome in OUTCOMES:
            asked = definition(rng, unit)
            answered += compare(warehouse, core, asked, outcome, reference.clock(world, asked))
    assert answered > 20


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> tuple[reference.World, Warehouse, Core]:
    return world_of(5, tmp_path_factory.mktemp("core"), companies=40)


FILTERS: list[tuple[str, str, Any]] = [
    ("page_path", "=", "/pricing"),
    ("page_path", "!=", "/pricing"),
    ("page_path", "in list", ["/pricing", "nowhere"]),
    ("page_path", "contains", "DOCS"),
    ("amount", "=", 1.5),
    ("amount", "!=", 1.5),
    ("amount", ">", 1.5),
    ("amount", "<=", 1.5),
    ("amount", "between", [1, 2]),
    ("amount", "in list", [3, 4]),
]


@pytest.mark.parametrize(("name", "op", "value"), FILTERS)
@pytest.mark.parametrize("unit", ["user", "account"])
def test_filters_of_every_kind(
    shared: tuple[reference.World, Warehouse, Core], unit: str, name: str, op: str, value: Any
) -> None:
    world, warehouse, core = shared
    where = [{"property": name, "op": op, "value": value}]
    for event, of, count in (
        ("start", "count >=", 2),
        ("start", "not completed", None),
        ("*", "active days >=", 2),
        ("invite", "active weeks >=", 2),
    ):
        leaf = {"event": event, "op": of, "where": where} | ({} if count is None else {"value": count})
        asked = {"name": "filtered", "unit": unit, "when": leaf}
        assert compare(warehouse, core, asked, Outcome(), reference.clock(world, asked))


SEVERAL: list[list[tuple[str, str, Any]]] = [
    [("page_path", "=", "/pricing"), ("amount", ">", 1.5)],
    [("amount", ">=", 1), ("amount", "<=", 2)],
    [("page_path", "!=", "/docs"), ("page_path", "contains", "p"), ("amount", "!=", 2.5)],
    [("page_path", "=", "nowhere"), ("amount", ">", 1.5)],
]


@pytest.mark.parametrize("filters", SEVERAL)
@pytest.mark.parametrize("unit", ["user", "account"])
def test_several_filters_at_once(
    shared: tuple[reference.World, Warehouse, Core], unit: str, filters: list[tuple[str, str, Any]]
) -> None:
    world, warehouse, core = shared
    where = [{"property": name, "op": op, "value": value} for name, op, value in filters]
    for event, op, count in (("start", "count >=", 2), ("*", "active days >=", 2), ("invite", "count <=", 1)):
        leaf = {"event": event, "op": op, "value": count, "within_days": 9, "where": where}
        asked = {"name": "filtered", "unit": unit, "when": leaf}
        assert compare(warehouse, core, asked, Outcome(), reference.clock(world, asked))


def _pages(tmp_path: Path, rare: int) -> tuple[reference.World, Warehouse, Core]:
    """Sixty users look at a page on every other day around their signup; every ``rare``-th look is at the prices."""
    start = reference.MONDAY
    people = [reference.Person(f"u{i:02}", start + i * 3600, f"co{i % 9}") for i in range(60)]
    acts = [
        reference.Act(
            person.id,
            "view",
            person.t0 + (2 * n - 4) * reference.DAY,
            "/pricing" if (i + n) % rare == 0 else ("/docs", "/team")[n % 2],
        )
        for i, person in enumerate(people)
        for n in range(i % 13)
    ]
    deals = [
        reference.random_deal(random.Random(i), person, start + 25 * reference.DAY) for i, person in enumerate(people)
    ]
    world = reference.World(people, {f"co{i}": i for i in range(9)}, acts, deals[::4])
    warehouse = reference.build(world, tmp_path)
    return world, warehouse, warehouse.core()


PRICING: list[dict[str, Any]] = [
    {"op": "completed"},
    {"op": "count >=", "value": 2},
    {"op": "count <=", "value": 1},
    {"op": "not completed"},
    {"op": "active days >=", "value": 2},
]


@pytest.mark.parametrize(("rare", "unused"), [(6, "sift"), (2, "look_up")])
@pytest.mark.parametrize("unit", ["user", "account"])
def test_a_rare_word_is_looked_up_and_a_common_one_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unit: str, rare: int, unused: str
) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError(f"{unused} was called")

    monkeypatch.setattr(match, unused, refuse)
    world, warehouse, core = _pages(tmp_path, rare)
    for asked_of in PRICING:
        where = [{"property": "page_path", "op": "=", "value": "/pricing"}]
        asked = {"name": "x", "unit": unit, "when": {"event": "view", "within_days": 9, "where": where, **asked_of}}
        assert compare(warehouse, core, asked, Outcome(), reference.clock(world, asked))


def test_a_snapshot_without_rows_by_word_counts_the_same(tmp_path: Path) -> None:
    world, warehouse, core = _pages(tmp_path, 6)
    pages = replace(core.event_columns["page_path"], by_word=None)
    older = replace(core, event_columns=core.event_columns | {"page_path": pages})
    where = [{"property": "page_path", "op": "=", "value": "/pricing"}]
    asked = {"name": "x", "when": {"event": "view", "op": "count >=", "value": 2, "within_days": 9, "where": where}}
    assert compare(warehouse, older, asked, Outcome(), reference.clock(world, asked))


def test_the_order_of_conditions_does_not_matter(shared: tuple[reference.World, Warehouse, Core]) -> None:
    """Cheap ones are judged first, and the others only for whom they leave."""
    world, warehouse, core = shared
    items: list[dict[str, Any]] = [
        {"event": "*", "op": "active days >=", "value": 2},
        {"any": [{"event": "invite"}, {"property": "seats", "op": ">=", "value": 2}]},
        {"none": [{"event": "report", "within_days": 2}, {"property": "plan", "op": "=", "value": "free"}]},
        {"event": "start", "op": "count >=", "value": 1},
    ]
    found = []
    for unit in ("user", "account"):
        for order in permutations(items):
            signal = from_dict({"name": "x", "unit": unit, "when": {"all": list(order)}})
            found.append(match.match_s(core, signal, 14 * reference.DAY))
        assert all(np.array_equal(found[-1], each) for each in found[-24:])
        asked = {"name": "x", "unit": unit, "when": {"all": items}}
        assert 0 < np.count_nonzero(found[-1] < reference.NEVER) < found[-1].size
        assert compare(warehouse, core, asked, Outcome(), reference.clock(world, asked))


def test_nobody_eligible_is_counted_as_nobody(shared: tuple[reference.World, Warehouse, Core]) -> None:
    _, warehouse, core = shared
    day_before = reference.MONDAY - 400 * reference.DAY
    asked = {"name": "x", "when": {"event": "start", "within_days": 2}}
    cut = Clock(2 * reference.DAY, reference.DAY, 20 * reference.DAY, day_before, day_before)
    assert compare(warehouse, core, asked, Outcome(), cut)
    cohort = frame(core, "user", Outcome(), cut)
    found = count_core(core, from_dict(asked), cohort, cut.landmark_s, {}, silent)
    assert (found.months, found.period_s, found.moments.clusters) == ({}, None, 0)


PROPERTIES: list[tuple[str, str, Any]] = [
    ("plan", "=", "free"),
    ("plan", "!=", "free"),
    ("plan", "in list", ["Team", "free"]),
    ("plan", "contains", "tEA"),
    ("seats", ">=", 5),
    ("seats", "!=", 5),
    ("company_size", "between", [50, 500]),
    ("beta", "=", True),
    ("beta", "!=", "true"),
    ("beta", "in list", [True, False]),
]


@pytest.mark.parametrize(("name", "op", "value"), PROPERTIES)
@pytest.mark.parametrize("rollup", [None, {"kind": "count", "value": 2}, {"kind": "share", "value": 0.7}])
def test_properties_of_every_kind(
    shared: tuple[reference.World, Warehouse, Core], rollup: dict[str, Any] | None, name: str, op: str, value: Any
) -> None:
    world, warehouse, core = shared
    asked: dict[str, Any] = {"name": "fit", "when": {"property": name, "op": op, "value": value}}
    asked |= {"unit": "account", "rollup": rollup} if rollup else {}
    assert compare(warehouse, core, asked, Outcome(), reference.clock(world, asked))


@pytest.mark.parametrize("outcome", OUTCOMES)
@pytest.mark.parametrize("unit", ["user", "account"])
def test_a_world_without_companies(tmp_path: Path, unit: str, outcome: Outcome) -> None:
    world, warehouse, core = world_of(8, tmp_path, companies=0)
    asked = {"name": "x", "unit": unit, "when": {"event": "start", "within_days": 7}}
    assert compare(warehouse, core, asked, outcome, reference.clock(world, asked))


def test_the_comparison_would_notice_a_second(shared: tuple[reference.World, Warehouse, Core]) -> None:
    """A golden test proves little if the counts hardly depend on the clock."""
    world, warehouse, core = shared
    asked = {"name": "x", "when": {"event": "start", "within_days": 2}}
    signal, cut = from_dict(asked), reference.clock(world, asked)
    cohort = frame(core, "user", Outcome(), cut)
    wanted = by_sql(warehouse, signal, Outcome(), cut, {})
    longer = from_dict({"name": "x", "when": {"event": "start", "within_days": 2 + 1 / 86_400}})
    moved = count_core(core, longer, cohort, cut.landmark_s + 1, {}, silent)
    assert moved.first_matches != wanted.first_matches


@pytest.mark.parametrize(
    ("asked", "outcome", "why"),
    [
        ({"timing": "any time", "when": {"event": "start", "within_days": 7}}, Outcome(), "weekly"),
        ({"when": {"event": "start"}}, Outcome("first payment"), "billing"),
        (
            {"when": {"event": "start", "where": [{"property": "properties.kind", "op": "=", "value": "x"}]}},
            Outcome(),
            "JSON",
        ),
        ({"when": {"property": "plan", "op": "contains", "value": "größe"}}, Outcome(), "ASCII"),
        ({"when": {"property": "shoe_size", "op": "=", "value": 4}}, Outcome(), "shoe_size"),
        ({"when": {"property": "seats", "op": "<", "value": 2**53 + 1}}, Outcome(), "float64"),
        ({"when": {"event": "unheard"}}, Outcome(), "unheard"),
    ],
)
def test_what_the_core_cannot_answer_is_left_to_sql(
    shared: tuple[reference.World, Warehouse, Core], asked: dict[str, Any], outcome: Outcome, why: str
) -> None:
    assert why in why_not(shared[2], from_dict({"name": "x", **asked}), outcome)
