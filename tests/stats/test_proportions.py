"""Rates and intervals of one table, against published figures, statsmodels, scipy and the likelihood."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from scipy.stats.contingency import relative_risk
from statsmodels.stats.proportion import confint_proportions_2indep, proportion_confint

from beton.errors import InputError
from beton.stats.proportions import (
    TwoByTwo,
    normal_quantile,
    risk_difference_interval,
    risk_ratio_interval,
    wilson_interval,
)

FLAGSHIP = TwoByTwo(177, 1247, 304, 8934)


def cells(table: TwoByTwo) -> tuple[int, int, int, int]:
    return table.converted_with, table.units_with, table.converted_without, table.units_without


def random_tables(count: int, seed: int) -> list[tuple[int, int, int, int]]:
    """Tables of 5 to 3,000 units an arm with every rate, some of them with an empty or a full arm."""
    rng = np.random.default_rng(seed)
    sizes = np.exp(rng.uniform(np.log(5), np.log(3000), (count, 2))).astype(int)
    converted = rng.binomial(sizes, rng.beta(0.5, 1.5, (count, 2)))
    return [(int(x[0]), int(n[0]), int(x[1]), int(n[1])) for x, n in zip(converted, sizes, strict=True)]


def inside(table: tuple[int, int, int, int]) -> bool:
    a, n1, c, n0 = table
    return 0 < a < n1 and 0 < c < n0


def inner_tables(count: int, seed: int) -> list[tuple[int, int, int, int]]:
    return [t for t in random_tables(2 * count, seed) if inside(t)][:count]


# --- the table -----------------------------------------------------------------------------------------


def test_flagship_rates():
    assert FLAGSHIP.rate_with == pytest.approx(0.14194, abs=5e-6)
    assert FLAGSHIP.rate_without == pytest.approx(0.03403, abs=5e-6)
    assert FLAGSHIP.base_rate == pytest.approx(0.04724, abs=5e-6)
    assert FLAGSHIP.lift == pytest.approx(4.171, abs=5e-4)
    assert FLAGSHIP.extra_points == pytest.approx(0.1079, abs=5e-5)
    assert FLAGSHIP.precision == FLAGSHIP.rate_with
    assert FLAGSHIP.coverage == pytest.approx(177 / 481)
    assert (FLAGSHIP.units, FLAGSHIP.converted) == (10181, 481)


def test_an_empty_arm_has_no_rate_and_no_lift():
    table = TwoByTwo(0, 0, 3, 10)
    assert (table.rate_with, table.lift, table.extra_points, table.precision) == (None, None, None, None)
    assert (table.rate_without, table.base_rate, table.coverage) == (0.3, 0.3, 0.0)


def test_lift_over_a_rate_of_zero_is_undefined_but_the_difference_is_not():
    table = TwoByTwo(2, 10, 0, 10)
    assert table.lift is None
    assert table.extra_points == 0.2


def test_no_conversion_at_all_has_no_coverage():
    assert TwoByTwo(0, 10, 0, 10).coverage is None


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ((5, 4, 0, 0), "converted_with"),
        ((-1, 4, 0, 0), "converted_with"),
        ((0, 0, 5, 4), "converted_without"),
        ((0, -1, 0, 0), "units_with"),
        ((0, 0, 0, 2.5), "units_without"),
    ],
)
def test_impossible_counts_are_refused_with_the_field_and_the_fix(values, field):
    with pytest.raises(InputError, match=rf"^{field} is .*; give ") as caught:
        TwoByTwo(*values)
    assert list(caught.value.fields) == [field]


def test_numpy_counts_become_plain_integers():
    table = TwoByTwo(*(np.int64(x) for x in cells(FLAGSHIP)))
    assert {type(x) for x in cells(table)} == {int}


arms = st.integers(0, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
tables = st.builds(lambda x, y: TwoByTwo(*x, *y), arms, arms)


@given(st.lists(tables, min_size=1, max_size=5))
def test_tables_of_shards_add_to_the_table_of_the_whole(shards):
    total = shards[0]
    for shard in shards[1:]:
        total = total + shard
    assert cells(total) == tuple(map(sum, zip(*map(cells, shards), strict=True)))


def test_the_table_does_not_load_scipy():
    code = "import sys; from beton.stats.proportions import TwoByTwo; TwoByTwo(1, 2, 3, 4).lift; "
    code += "assert 'scipy' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


# --- the interval of the lift --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("table", "lower", "upper", "tolerance"),
    [
        (cells(FLAGSHIP), 3.50, 4.97, 0.005),
        ((36, 40, 16, 80), 2.93, 7.17, 0.005),
        ((7, 34, 1, 34), 1.21, 43.0, 0.05),
        ((0, 16, 15, 72), 0.0, 0.971, 0.0005),
    ],
    ids=["flagship", "koopman", "perondi", "no conversion with"],
)
def test_published_score_intervals(table, lower, upper, tolerance):
    assert risk_ratio_interval(*table) == pytest.approx((lower, upper), abs=tolerance)


def test_koopmans_own_example_without_the_correction():
    assert risk_ratio_interval(36, 40, 16, 80, correction=False) == pytest.approx((2.94, 7.15), abs=0.005)


def test_a_full_arm_where_statsmodels_is_wrong():
    lower, _ = risk_ratio_interval(40, 40, 300, 900)
    assert lower == pytest.approx(2.717, abs=0.0005)


@pytest.mark.parametrize("table", [(0, 100, 0, 900), (0, 0, 3, 9), (3, 9, 0, 0)])
def test_a_table_that_says_nothing_about_the_ratio(table):
    assert risk_ratio_interval(*table) == (0, np.inf)


def test_no_conversion_without_the_signal_leaves_the_upper_limit_open():
    lower, upper = risk_ratio_interval(3, 10, 0, 40)
    assert 1 < lower < 100
    assert upper == np.inf


def test_score_interval_equals_statsmodels_on_1000_tables():
    sample = inner_tables(1000, seed=1)
    assert len(sample) == 1000
    for correction in (True, False):
        ours = np.transpose(risk_ratio_interval(*np.transpose(sample), correction=correction))
        theirs = [
            confint_proportions_2indep(*t, compare="ratio", method="score", correction=correction) for t in sample
        ]
        np.testing.assert_allclose(ours, theirs, rtol=1e-6)


def score_from_likelihood(table: tuple[int, int, int, int], ratio: float) -> float:
    """Score statistic of a risk ratio, the nuisance rate found by maximising the likelihood numerically."""
    a, n1, c, n0 = table

    def minus_log_likelihood(p0: float) -> float:
        p1 = ratio * p0
        parts = ((a, p1), (n1 - a, 1 - p1), (c, p0), (n0 - c, 1 - p0))
        return -sum(k * np.log(p) for k, p in parts if k)

    edge = min(1.0, 1 / ratio)
    found = minimize_scalar(
        minus_log_likelihood, bounds=(1e-12 * edge, edge * (1 - 1e-13)), method="bounded", options={"xatol": 1e-13}
    )
    p0, n = found.x, n1 + n0
    variance = ratio * p0 * (1 - ratio * p0) / n1 + ratio**2 * p0 * (1 - p0) / n0
    return float((a / n1 - ratio * c / n0) / np.sqrt(variance * n / (n - 1)))


def test_limits_solve_the_score_equation_with_empty_and_full_arms_too():
    sample = random_tables(600, seed=2)
    edges = [t for t in sample if not inside(t) and t[0] + t[2] > 0]
    edges = [t for t in edges if (t[0], t[2]) != (t[1], t[3])]
    assert len(edges) > 50
    for table in edges:
        lower, upper = map(float, risk_ratio_interval(*table))
        if lower > 0:
            assert score_from_likelihood(table, lower) == pytest.approx(1.959964, abs=2e-4)
        if upper < np.inf:
            assert score_from_likelihood(table, upper) == pytest.approx(-1.959964, abs=2e-4)


def test_swapping_the_arms_inverts_the_interval():
    sample = np.transpose(inner_tables(200, seed=3))
    lower, upper = risk_ratio_interval(*sample)
    swapped_lower, swapped_upper = risk_ratio_interval(*sample[[2, 3, 0, 1]])
    np.testing.assert_allclose(swapped_lower, 1 / upper, rtol=1e-9)
    np.testing.assert_allclose(swapped_upper, 1 / lower, rtol=1e-9)


def test_interval_of_huge_cohorts():
    table = (40_000, 2_000_000, 100_000, 10_000_000)
    assert risk_ratio_interval(*table) == pytest.approx(relative_risk(*table).confidence_interval(0.95), rel=1e-4)


def test_more_confidence_is_wider():
    narrow, wide = (risk_ratio_interval(*cells(FLAGSHIP), confidence=x) for x in (0.90, 0.99))
    assert wide[0] < narrow[0] < FLAGSHIP.lift < narrow[1] < wide[1]


# --- the interval of the difference, and of one rate ---------------------------------------------------


@pytest.mark.parametrize(
    ("table", "lower", "upper", "tolerance"),
    [(cells(FLAGSHIP), 0.089, 0.129, 0.0005), ((56, 70, 48, 80), 0.0524, 0.3339, 0.00005)],
)
def test_published_newcombe_intervals(table, lower, upper, tolerance):
    assert risk_difference_interval(*table) == pytest.approx((lower, upper), abs=tolerance)


def test_newcombe_equals_statsmodels_on_1000_tables():
    sample = random_tables(1000, seed=5)
    theirs = [confint_proportions_2indep(*t, compare="diff", method="newcomb") for t in sample]
    ours = np.transpose(risk_difference_interval(*np.transpose(sample)))
    np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-12)


def test_wilson_equals_statsmodels_on_1000_tables():
    x, n, *_ = np.transpose(random_tables(1000, seed=6))
    for confidence in (0.8, 0.95):
        theirs = proportion_confint(x, n, alpha=1 - confidence, method="wilson")
        np.testing.assert_allclose(wilson_interval(x, n, confidence), theirs, rtol=1e-9, atol=1e-12)


def test_an_empty_arm_knows_nothing():
    assert wilson_interval(0, 0) == (0, 1)
    assert risk_difference_interval(0, 0, 3, 9) == (-1, 1)


def test_wilson_ends_exactly_at_the_ends_of_the_scale():
    assert wilson_interval(0, 7)[0] == 0
    assert wilson_interval(7, 7)[1] == 1


def test_bad_arguments_are_refused():
    with pytest.raises(InputError, match="give counts from 0"):
        risk_ratio_interval([1, 5], [4, 4], 0, 9)
    with pytest.raises(InputError, match="confidence is 95"):
        normal_quantile(95)
