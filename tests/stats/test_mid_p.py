"""P-values of one table, against exact integer arithmetic, scipy and a brute-force search."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import binom, fisher_exact, hypergeom

from beton.stats.proportions import TwoByTwo, log_mid_p, mid_p, p_value


def exact_log_mid_p(a: int, n1: int, c: int, n0: int) -> float:
    """Log of the two-sided mid-P value from binomial coefficients in unbounded integers."""
    converted = a + c
    weight = {
        k: math.comb(n1, k) * math.comb(n0, converted - k)
        for k in range(max(0, converted - n0), min(converted, n1) + 1)
    }
    # Twice a tail that counts the observed table half is twice what lies beyond, plus the observed table.
    above = 2 * sum(w for k, w in weight.items() if k > a) + weight[a]
    below = 2 * sum(w for k, w in weight.items() if k < a) + weight[a]
    whole = math.comb(n1 + n0, converted)
    return min(0.0, math.log(min(above, below)) - math.log(whole))


def random_tables(count: int, largest: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    n1, n0 = rng.integers(1, largest, (2, count))
    return np.array([rng.integers(0, n1 + 1), n1, rng.integers(0, n0 + 1), n0])


def test_flagship():
    assert mid_p(177, 1247, 304, 8934) == pytest.approx(3.7e-46, rel=0.01)


def test_mid_p_is_exact_on_1000_tables():
    sample = random_tables(1000, 300, seed=1)
    exact = [exact_log_mid_p(*map(int, t)) for t in sample.T]
    np.testing.assert_allclose(log_mid_p(*sample), exact, rtol=0, atol=1e-10)


def test_mid_p_is_scipys_fisher_test_less_half_the_observed_table():
    sample = random_tables(1000, 120, seed=2)
    expected = []
    for a, n1, c, n0 in sample.T:
        table = [[a, c], [n1 - a, n0 - c]]
        half = hypergeom.pmf(a, n1 + n0, a + c, n1) / 2
        tails = [fisher_exact(table, alternative=side).pvalue - half for side in ("greater", "less")]
        expected.append(min(1.0, 2 * min(tails)))
    np.testing.assert_allclose(mid_p(*sample), expected, rtol=1e-9)


@pytest.mark.parametrize(
    "table",
    [
        (900, 1000, 50, 9000),
        (1000, 1000, 0, 1000),
        (0, 1000, 800, 1000),
        (600, 4000, 800, 16000),
        (12, 30, 300, 90000),
    ],
)
def test_far_tails_keep_their_digits(table):
    exact = exact_log_mid_p(*table)
    assert exact < -28
    assert float(log_mid_p(*table)) == pytest.approx(exact, abs=1e-9)


def test_p_stays_positive_down_to_1e_300_and_its_log_beyond():
    below_double = (600, 600, 0, 600)
    near_the_floor = (499, 499, 0, 499)
    assert 1e-300 < mid_p(*near_the_floor) < 1e-297
    assert mid_p(*near_the_floor) == pytest.approx(math.exp(exact_log_mid_p(*near_the_floor)), rel=1e-9)
    assert mid_p(*below_double) == 0
    assert float(log_mid_p(*below_double)) == pytest.approx(exact_log_mid_p(*below_double), abs=1e-9)


def test_log_p_falls_with_every_further_conversion():
    a = np.arange(45, 1001)
    assert (np.diff(log_mid_p(a, 1000, 400, 9000)) < 0).all()


@pytest.mark.parametrize("table", [(0, 0, 3, 9), (3, 9, 0, 0), (0, 5, 0, 9), (5, 5, 9, 9), (1, 2, 1, 2)])
def test_no_information_is_p_1(table):
    assert mid_p(*table) == pytest.approx(1.0, abs=1e-12)


def test_arms_are_exchangeable():
    a, n1, c, n0 = random_tables(200, 300, seed=3)
    np.testing.assert_allclose(log_mid_p(a, n1, c, n0), log_mid_p(c, n0, a, n1), atol=1e-11)


def test_shapes_broadcast():
    assert mid_p(3, 30, 40, 900).shape == ()
    assert mid_p([[3], [5]], 30, [40, 50, 60], 900).shape == (2, 3)


# --- the p-value of a screen ----------------------------------------------------------------------------


def boschloo_by_brute_force(a: int, n1: int, c: int, n0: int) -> float:
    """Largest probability, over a grid of common rates, of a table with as small a one-sided Fisher p."""
    x, y = np.meshgrid(np.arange(n1 + 1), np.arange(n0 + 1), indexing="ij")
    grid = np.linspace(0.001, 0.999, 4000)
    with_p, without_p = (binom.pmf(np.arange(n + 1)[:, None], n, grid) for n in (n1, n0))
    tails = []
    for fisher in (hypergeom.sf(x - 1, n1 + n0, x + y, n1), hypergeom.cdf(x, n1 + n0, x + y, n1)):
        as_small = (fisher <= fisher[a, c] * (1 + 1e-9)).astype(float)
        tails.append((with_p * (as_small @ without_p)).sum(axis=0).max())
    return min(1.0, 2 * min(tails))


@pytest.mark.parametrize(
    "table", [(7, 12, 1, 12), (3, 30, 1, 40), (5, 15, 20, 25), (0, 16, 15, 72), (2, 9, 2, 8), (7, 34, 1, 34)]
)
def test_small_tables_get_boschloos_test(table):
    result = p_value(TwoByTwo(*table))
    assert result.method == "Boschloo"
    assert result.value == pytest.approx(boschloo_by_brute_force(*table), rel=2e-3)


def test_boschloo_ends_where_it_gets_slow():
    assert p_value(TwoByTwo(20, 100, 20, 200)).method == "Boschloo"
    assert p_value(TwoByTwo(20, 100, 20, 201)).method == "Fisher mid-P"


def test_large_tables_get_mid_p():
    result = p_value(TwoByTwo(177, 1247, 304, 8934))
    assert result.value == pytest.approx(3.7e-46, rel=0.01)


def test_an_empty_arm_has_no_p_value():
    assert p_value(TwoByTwo(0, 0, 3, 9)).value is None
    assert p_value(TwoByTwo(3, 9, 0, 0)).value is None


@pytest.mark.parametrize("table", [(0, 5, 0, 9), (5, 5, 9, 9), (0, 500, 0, 900)])
def test_an_outcome_that_all_units_share_is_no_evidence(table):
    assert p_value(TwoByTwo(*table)).value == 1.0


def test_the_p_value_of_every_small_table_is_a_probability():
    for n1, n0 in ((1, 1), (3, 4), (1, 9)):
        for a in range(n1 + 1):
            for c in range(n0 + 1):
                value = p_value(TwoByTwo(a, n1, c, n0)).value
                assert value is not None
                assert 0 < value <= 1
