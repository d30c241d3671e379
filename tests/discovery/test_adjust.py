"""The lift among users alike, of many candidates at once, is that of one candidate at a time."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pytest

from beton.discovery.adjust import adjusted_lifts
from beton.discovery.cohorts import Cohort
from beton.discovery.findings import adjusted_lift
from beton.discovery.matrix import Columns
from beton.discovery.shortlist import Entry
from beton.stats.proportions import TwoByTwo
from beton.warehouse.core.frame import Frame
from beton.warehouse.landmark import ELIGIBLE, IMMATURE

ROWS = 600


def made(seed: int, strata: int) -> tuple[Cohort, np.ndarray]:
    rng = np.random.default_rng(seed)
    zeros = np.zeros(ROWS, dtype=np.int64)
    status = np.where(rng.random(ROWS) < 0.8, ELIGIBLE, IMMATURE).astype(np.int8)
    converted = rng.random(ROWS) < 0.2
    frame = Frame(np.arange(ROWS, dtype=np.int32), zeros, zeros, zeros, zeros, status, converted)
    stratum = rng.integers(0, strata, ROWS)
    cohort = Cohort(14, frame, frame.eligible, ~frame.eligible, zeros, stratum)
    shares = np.array([0.02, 0.1, 0.3, 0.5, 0.9, 0.0, 1.0])
    return cohort, rng.random((shares.size, ROWS)) < shares[:, None]


def one_by_one(cohort: Cohort, units: np.ndarray) -> tuple[float, float, float]:
    empty = TwoByTwo(0, 0, 0, 0)
    found = adjusted_lift(Entry((0,), cohort, units, empty, empty, 0.0, 1.0, 1.0))
    if found is None or found.lift is None or found.interval.upper is None:
        return math.nan, math.nan, math.nan
    return found.lift, found.interval.lower, found.interval.upper


@pytest.mark.parametrize("depth", [1, 2, 3])
@pytest.mark.parametrize("strata", [1, 7, 150, 400])
def test_all_at_once_is_one_by_one(depth: int, strata: int) -> None:
    cohort, columns = made(depth * 1000 + strata, strata)
    features = np.array(list(combinations(range(len(columns)), depth)))

    found = adjusted_lifts(cohort, Columns.of(columns), features)

    wanted = np.array([one_by_one(cohort, columns[list(each)].all(axis=0)) for each in features])
    np.testing.assert_allclose(np.column_stack(found), wanted, rtol=1e-12, equal_nan=True)
    assert np.isfinite(wanted).any(), "nothing was compared"
    assert np.isnan(wanted).any(), "nobody was without somebody alike"


def test_no_candidates_at_all() -> None:
    cohort, columns = made(1, 5)
    found = adjusted_lifts(cohort, Columns.of(columns), np.zeros((0, 3), dtype=np.int64))

    assert [each.shape for each in found] == [(0,)] * 3
