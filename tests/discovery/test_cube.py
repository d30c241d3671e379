"""The tables of all counts and windows are those of counting each cell by itself."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from beton.discovery.cohorts import Cohort, cohort, split_at_s
from beton.discovery.cube import HELD_OUT, Windows, counts_of, spans_of, windows_of
from beton.discovery.occurrences import Spans
from beton.model.conditions import EventCondition, Group, PropertyCondition
from beton.model.discovery import DiscoverySettings
from beton.model.outcome import Outcome
from beton.model.signal import SignalDefinition
from beton.services import Services
from beton.services.clocks import clocks
from beton.warehouse.compile import seconds
from beton.warehouse.core.arrays import Core
from beton.warehouse.core.frame import Frame
from beton.warehouse.core.match import match_s
from beton.warehouse.reader import Warehouse

USERS = 40
ENDS_S = (10, 25, 26, 60)
COUNTS = (1, 2, 3, 5, 9)
DAYS = (0.5, 1, 3, 14)


def made_spans(random: np.random.Generator) -> Spans:
    """Rows of some users in no order of key; a few before the signup, which no span holds."""
    user = random.permutation(USERS)[:30].astype(np.int64)
    sizes, before = random.integers(0, 12, user.size), random.integers(0, 3, user.size)
    ends = np.cumsum(sizes + before)
    rel_s = np.concatenate([np.sort(random.integers(0, 70, size)) for size in sizes + before]).astype(np.int32)
    return Spans(user, ends - sizes, ends, rel_s)


def made_cohort(random: np.random.Generator, member: np.ndarray) -> Cohort:
    """Users change period and outcome from one window to the next, which a few do in a company too."""
    keys = np.flatnonzero(member).astype(np.int32)
    period, nothing = random.integers(0, 3, keys.size), np.zeros(keys.size, np.int64)
    converted = random.random(keys.size) < 0.4
    rows = Frame(keys, keys, np.zeros(keys.size, np.int32), nothing, nothing, np.zeros(keys.size, np.int8), converted)
    return Cohort(1, rows, period == 0, period == 1, nothing, nothing)


def groups(each: Cohort) -> list[np.ndarray]:
    converted = each.frame.converted
    return [period & of for period in (each.train, each.holdout) for of in (converted, ~converted)]


@pytest.mark.parametrize("seed", range(6))
def test_a_cell_holds_the_units_that_did_it_as_often_before_the_window_ends(seed: int) -> None:
    random = np.random.default_rng(seed)
    spans, member = made_spans(random), random.random(USERS) < 0.8
    cohorts = [made_cohort(random, member) for _ in ENDS_S]
    cohorts[2] = cohorts[1]  # some windows change nothing

    windows = windows_of(cohorts, ENDS_S, USERS)
    found = counts_of(spans, windows, COUNTS)

    rows = {int(u): spans.rel_s[a:b] for u, a, b in zip(spans.position, spans.first, spans.end, strict=True)}
    for j, (each, end_s) in enumerate(zip(cohorts, ENDS_S, strict=True)):
        assert windows.sizes[j].tolist() == [int(group.sum()) for group in groups(each)]
        done = np.array([int((rows.get(int(user), np.zeros(0)) < end_s).sum()) for user in each.frame.unit])
        for i, count in enumerate(COUNTS):
            assert found[i, j].tolist() == [int((group & (done >= count)).sum()) for group in groups(each)], (i, j)


def test_users_of_no_period_are_in_no_table() -> None:
    random = np.random.default_rng(0)
    spans, member = made_spans(random), np.ones(USERS, dtype=bool)
    nobody = made_cohort(random, member)
    nobody = replace(nobody, train=nobody.train & False, holdout=nobody.holdout & False)
    somebody = made_cohort(random, member)

    found = counts_of(spans, windows_of([nobody, somebody, nobody], (5, 40, 80), USERS), COUNTS)

    assert not found[:, [0, 2]].any()
    assert found[0, 1].any()


@pytest.fixture(scope="module")
def on_company(company: Path, services: Services) -> tuple[Core, list[Cohort], Windows]:
    """Cohorts of windows of part of a day up to two weeks."""
    warehouse = Warehouse(company)
    clock_of = clocks(warehouse, warehouse.manifest(), Outcome(), services.settings.read().sales_cycle_days)
    core = warehouse.core()
    split_s = split_at_s(core, Outcome(), clock_of, DiscoverySettings())
    cohorts = [cohort(core, Outcome(), clock_of(days), max(1, int(days)), split_s) for days in DAYS]
    return core, cohorts, windows_of(cohorts, [seconds(days) for days in DAYS], core.users.t0_s.size)


@pytest.mark.parametrize(
    "where",
    [
        (),
        (PropertyCondition("page_path", "=", "/app/reports"),),
        (PropertyCondition("page_path", "contains", "app"), PropertyCondition("page_path", "!=", "/app/reports")),
    ],
)
def test_on_the_demo_company_it_counts_what_each_condition_matches(
    on_company: tuple[Core, list[Cohort], Windows], where: tuple[PropertyCondition, ...]
) -> None:
    core, cohorts, windows = on_company
    events = ["pageview"] if where else core.event_names
    for event in events:
        found = counts_of(spans_of(core, core.event_names.index(event), where), windows, COUNTS)
        for i, count in enumerate(COUNTS):
            condition = EventCondition(event, "count >=", count, max(DAYS), where)
            held = match_s(core, SignalDefinition("cell", Group("all", (condition,))), seconds(max(DAYS)))
            for j, each in enumerate(cohorts):
                carries = held[each.frame.unit] < seconds(DAYS[j])
                assert found[i, j].tolist() == [int((group & carries).sum()) for group in groups(each)]
        if where:
            assert found[0, -1, HELD_OUT].sum() > 0
