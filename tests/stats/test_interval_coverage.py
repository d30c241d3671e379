"""Do intervals and p-values keep their promise? Simulated with fixed seeds.

Tolerances are four Monte-Carlo standard errors plus the rounding of the quoted figure, so a change of the
method fails and another seed would not.
"""

from __future__ import annotations

import numpy as np
import pytest

from beton.stats.proportions import mid_p, risk_difference_interval, risk_ratio_interval

DRAWS = 200_000

pytestmark = pytest.mark.slow


def simulated(n1: int, p1: float, n0: int, p0: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Distinct tables (4, k) of DRAWS draws, and the share of draws that gave each."""
    rng = np.random.default_rng(seed)
    pairs, times = np.unique(
        np.stack([rng.binomial(n1, p1, DRAWS), rng.binomial(n0, p0, DRAWS)]), axis=1, return_counts=True
    )
    tables = np.stack([pairs[0], np.full_like(pairs[0], n1), pairs[1], np.full_like(pairs[0], n0)])
    return tables, times / DRAWS


def katz_interval(a: np.ndarray, n1: np.ndarray, c: np.ndarray, n0: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The usual interval on the log scale, to show why it is not used: Katz et al. (1978), Biometrics 34:469."""
    with np.errstate(divide="ignore", invalid="ignore"):
        log_lift, half = np.log(a / n1) - np.log(c / n0), 1.959964 * np.sqrt(1 / a - 1 / n1 + 1 / c - 1 / n0)
        lower, upper = np.exp(log_lift - half), np.exp(log_lift + half)
    defined = (a > 0) & (c > 0)
    return np.where(defined, lower, np.nan), np.where(defined, upper, np.nan)


def four_errors(share: float) -> float:
    return 4 * np.sqrt(share * (1 - share) / DRAWS) + 0.0005


@pytest.mark.parametrize(
    ("n1", "p1", "n0", "p0", "score", "katz"),
    [
        (40, 0.034, 8934, 0.034, 0.954, 0.703),
        (100, 0.01, 2000, 0.01, 0.952, 0.598),
        (100, 0.01, 8934, 0.01, 0.948, 0.592),
        (1247, 0.142, 8934, 0.034, 0.951, 0.951),
    ],
    ids=["40 at 3.4%", "100 at 1%", "100 at 1% of many", "flagship"],
)
def test_coverage_of_the_lift_interval(n1, p1, n0, p0, score, katz):
    tables, share = simulated(n1, p1, n0, p0, seed=11)
    for interval, promised in ((risk_ratio_interval, score), (katz_interval, katz)):
        lower, upper = interval(*tables)
        covered = share[(lower <= p1 / p0) & (p1 / p0 <= upper)].sum()
        assert covered == pytest.approx(promised, abs=four_errors(promised))


@pytest.mark.parametrize(("n1", "p1"), [(40, 0.034), (40, 0.10), (300, 0.05), (1247, 0.142)])
def test_coverage_of_the_difference_interval(n1, p1):
    tables, share = simulated(n1, p1, 8934, 0.034, seed=12)
    lower, upper = risk_difference_interval(*tables)
    covered = share[(lower <= p1 - 0.034) & (p1 - 0.034 <= upper)].sum()
    assert 0.94 < covered < 0.985


def upward_rejections(tables: np.ndarray, share: np.ndarray, one_sided_alpha: float) -> float:
    """Share of draws called a positive signal at this level."""
    a, n1, c, n0 = tables
    return float(share[(mid_p(*tables) < 2 * one_sided_alpha) & (a / n1 > c / n0)].sum())


def test_mid_p_keeps_its_level_where_chi_square_does_not():
    tables, share = simulated(40, 0.034, 8934, 0.034, seed=13)
    assert upward_rejections(tables, share, 0.025) == pytest.approx(0.020, abs=four_errors(0.020))
    assert upward_rejections(tables, share, 0.001) == pytest.approx(0.0007, abs=four_errors(0.0007))
    a, n1, c, n0 = tables
    pooled = (a + c) / (n1 + n0)
    z = (a / n1 - c / n0) / np.sqrt(pooled * (1 - pooled) * (1 / n1 + 1 / n0))
    assert share[z > 1.959964].sum() == pytest.approx(0.046, abs=four_errors(0.046))
    assert share[z > 3.090232].sum() == pytest.approx(0.0072, abs=four_errors(0.0072))


@pytest.mark.parametrize(("n1", "rate"), [(30, 0.05), (100, 0.01), (300, 0.034), (1247, 0.047)])
def test_mid_p_false_positives_stay_near_or_below_the_level(n1, rate):
    tables, share = simulated(n1, rate, 8934, rate, seed=14)
    assert share[mid_p(*tables) < 0.05].sum() < 0.055
