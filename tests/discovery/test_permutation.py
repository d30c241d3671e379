"""Westfall-Young against searching every shuffled world again, and the shape of what it returns."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from beton.discovery import permutation, sweep
from beton.discovery.candidates import Candidates, Feature
from beton.discovery.cohorts import Cohort
from beton.discovery.families import log_p
from beton.discovery.matrix import Columns
from beton.discovery.permutation import MaxT
from beton.discovery.search import Search, blocks, search
from beton.model.discovery import DiscoverySettings
from beton.model.signal import DAY_S
from beton.warehouse.compile import NEVER
from beton.warehouse.core.frame import Frame, with_outcomes
from beton.warehouse.landmark import Clock

SETTINGS = DiscoverySettings(min_units=12, permutations=25, seed=7)
LANDMARKS = (3, 14)
SPLIT_DAY, END_DAY, HORIZON_DAYS, GAP_DAYS = 120, 200, 30, 1
UNITS, FEATURES = 700, 26


def clock_of(days: float) -> Clock:
    # With so late an end to the later landmark, some training units are immature there.
    end = END_DAY if days < LANDMARKS[1] else SPLIT_DAY + 35
    return Clock(int(days * DAY_S), GAP_DAYS * DAY_S, HORIZON_DAYS * DAY_S, end * DAY_S, 0)


def cohorts_of(rows: Frame) -> list[Cohort]:
    """Both cohorts with the outcomes of ``rows``."""
    made = []
    for days in LANDMARKS:
        own = with_outcomes(rows, rows.outcome_at_s, clock_of(days))
        train = own.eligible & (own.t0_s < SPLIT_DAY * DAY_S)
        holdout = own.eligible & ~train
        made.append(Cohort(days, own, train, holdout, np.zeros(UNITS), np.zeros(UNITS, np.int64)))
    return made


def searched(pool: Candidates, rows: Frame) -> Search:
    return search(pool, blocks(pool, cohorts_of(rows)), SETTINGS, lambda share: None, lambda: False)


@pytest.fixture(scope="module")
def world() -> tuple[Candidates, Frame]:
    """Correlated features of two windows and three traits; outcomes come by themselves, some before a landmark."""
    random = np.random.default_rng(5)
    active = random.lognormal(size=UNITS)
    columns = random.random((FEATURES, UNITS)) < np.clip(active * random.uniform(0.05, 0.4, FEATURES)[:, None], 0, 0.9)
    columns[9] = columns[8] & columns[7]
    windows = [0] * 3 + [3] * 11 + [14] * 12
    features = tuple(Feature({"at": i}, days, str(i), "behaviour", str(i)) for i, days in enumerate(windows))
    t0_s = np.sort(random.integers(0, END_DAY * DAY_S, UNITS))
    wait_s = np.where(random.random(UNITS) < 0.35, random.integers(0, 50 * DAY_S, UNITS), NEVER)
    outcome_at_s = np.where(wait_s < NEVER, t0_s + wait_s, NEVER)
    keys = np.arange(UNITS, dtype=np.int32)
    month = (t0_s // (30 * DAY_S)).astype(np.int32)
    rows = Frame(keys, keys, month, t0_s, outcome_at_s, np.zeros(UNITS, np.int8), np.zeros(UNITS, bool))
    return Candidates(features, Columns.of(columns), FEATURES, 0, 0, ()), rows


def smallest_p(pool: Candidates, rows: Frame) -> float:
    """Smallest ln p over all singles and pairs of a search from the beginning."""
    found = searched(pool, rows)
    pairs = [sweep.collect(each.bits, sweep.Family(SETTINGS.min_units, each.first_new), 0.0) for each in found.blocks]
    return min(found.singles.p.min(), *(each.log_p.min() for each in pairs if each.log_p.size))


def test_each_round_is_a_search_of_the_shuffled_world(world: tuple[Candidates, Frame]) -> None:
    pool, rows = world
    found = searched(pool, rows)
    units, starts = permutation._units(found.blocks)
    wait_s = np.where(rows.outcome_at_s < NEVER, rows.outcome_at_s - rows.t0_s, NEVER)[units]

    permuted = permutation.max_t(pool, found, clock_of, SETTINGS)

    assert permuted is not None
    assert permuted.candidates == found.singles.tested + found.pairs.tested
    for each, smallest in enumerate(permuted.minima.tolist()):
        dealt = wait_s[permutation._deal(starts, SETTINGS.seed, each)]
        outcome_at_s = rows.outcome_at_s.copy()
        outcome_at_s[units] = np.where(dealt < NEVER, rows.t0_s[units] + dealt, NEVER)
        assert smallest == pytest.approx(smallest_p(pool, replace(rows, outcome_at_s=outcome_at_s)), rel=1e-9)


def test_outcomes_stay_in_their_month(world: tuple[Candidates, Frame]) -> None:
    pool, rows = world
    units, starts = permutation._units(searched(pool, rows).blocks)
    donor = permutation._deal(starts, 0, 0)

    assert (rows.month[units] == rows.month[units[donor]]).all()
    assert sorted(donor.tolist()) == list(range(units.size))
    assert (donor != np.arange(units.size)).mean() > 0.8


def test_it_depends_on_the_seed_and_not_on_threads(world: tuple[Candidates, Frame]) -> None:
    pool, rows = world
    found = searched(pool, rows)
    one, two, other = (
        permutation.max_t(pool, found, clock_of, replace(SETTINGS, seed=seed), threads=threads)
        for seed, threads in ((7, 1), (7, 2), (8, 1))
    )
    assert one is not None
    assert two is not None
    assert other is not None
    assert one.minima.tolist() == two.minima.tolist()
    assert one.minima.tolist() != other.minima.tolist()


def test_too_many_pairs_take_fewer_rounds_and_then_stay_out(
    world: tuple[Candidates, Frame], monkeypatch: pytest.MonkeyPatch
) -> None:
    pool, rows = world
    found = searched(pool, rows)
    many, (units, _) = replace(SETTINGS, permutations=300), permutation._units(found.blocks)
    _, depth = permutation._affordable(found.blocks, units.size, many)
    assert depth == 2
    work = (
        permutation.MOST_WORK
        // permutation._affordable(found.blocks, units.size, replace(many, permutations=permutation.MOST_WORK))[0]
    )

    monkeypatch.setattr(permutation, "MOST_WORK", 150 * work)
    fewer = permutation.max_t(pool, found, clock_of, many)
    monkeypatch.setattr(permutation, "MOST_WORK", 50 * work)
    singles = permutation.max_t(pool, found, clock_of, many)

    assert fewer is not None
    assert singles is not None
    assert (fewer.minima.size, fewer.depth) == (150, 2)
    assert (singles.minima.size, singles.depth, singles.candidates) == (300, 1, found.singles.tested)
    assert (singles.minima[:150] >= fewer.minima).all()


def test_no_rounds_no_answer_and_it_stops_when_told_to(world: tuple[Candidates, Frame]) -> None:
    pool, rows = world
    found = searched(pool, rows)

    assert permutation.max_t(pool, found, clock_of, replace(SETTINGS, permutations=0)) is None
    with pytest.raises(sweep.Stopped):
        permutation.max_t(pool, found, clock_of, SETTINGS, should_stop=lambda: True)


def test_the_p_value_counts_the_observed_data_as_a_round() -> None:
    permuted = MaxT(np.log([0.5, 0.01, 0.02, 0.3]), 2, 10)

    assert permuted.fwer_p(np.log([1e-9, 0.01, 0.1, 0.9])) == pytest.approx([1 / 5, 2 / 5, 3 / 5, 5 / 5])
    assert permuted.facts().log_p_5 is None
    assert MaxT(np.log(np.arange(1, 100) / 100), 2, 10).facts().log_p_5 == pytest.approx(np.log(0.05))


def test_its_limits_part_the_usual_tables_from_the_others() -> None:
    factorial = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, 301)))])
    for level in (*permutation._LEVELS_LOG_P, np.log(0.2)):
        low, high, nearest, units, converted = permutation._limits(300, 40, 12, level, factorial)
        for n in range(12, 289):
            a = np.arange(max(0, 40 - (300 - n)), min(n, 40) + 1)
            p = log_p((a, np.full_like(a, n), 40 - a, np.full_like(a, 300 - n)))
            unusual = (a <= low[n]) | (a >= high[n])
            clear = np.abs(p - level) > 1e-9
            assert (unusual | (p > level))[clear].all()
            distance = (a * units - n * converted) ** 2
            assert (distance >= nearest * n * (units - n))[unusual].all()
