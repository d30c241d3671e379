"""Account-clustered inference against statsmodels' cluster sandwich, and its level in simulated companies."""

from __future__ import annotations

from dataclasses import astuple

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given
from hypothesis import strategies as st

from beton.stats.clustered import (
    ClusteredRatio,
    ClusterMoments,
    clustered_difference,
    clustered_ratio,
)
from beton.stats.proportions import TwoByTwo

Units = tuple[np.ndarray, np.ndarray, np.ndarray]


def company(rng: np.random.Generator, accounts: int, lift: float = 1.0, signal_of_account: bool = True) -> Units:
    """Converted, signal and account of about five users an account; accounts differ in how they convert."""
    account = np.repeat(np.arange(accounts), 1 + rng.poisson(4, accounts))
    rate = rng.beta(1.0, 9.0, accounts)[account]
    signal = (rng.random(accounts) < 0.4)[account] if signal_of_account else rng.random(account.size) < 0.4
    return rng.random(account.size) < rate * np.where(signal, lift, 1.0), signal, account


def table_of(converted: np.ndarray, signal: np.ndarray) -> TwoByTwo:
    return TwoByTwo((converted & signal).sum(), signal.sum(), (converted & ~signal).sum(), (~signal).sum())


def ratio_of(units: Units) -> ClusteredRatio:
    result = clustered_ratio(table_of(*units[:2]), ClusterMoments.from_arrays(*units))
    assert result is not None
    return result


@pytest.mark.parametrize("signal_of_account", [True, False])
@pytest.mark.parametrize("seed", range(10))
def test_ratio_equals_the_poisson_glm_cluster_sandwich(seed, signal_of_account):
    converted, signal, account = company(np.random.default_rng(seed), 150, 1.7, signal_of_account)
    ours = ratio_of((converted, signal, account))
    model = sm.GLM(converted.astype(float), sm.add_constant(signal.astype(float)), family=sm.families.Poisson())
    groups = {"groups": account, "use_correction": False}
    theirs = model.fit(cov_type="cluster", cov_kwds=groups, tol=1e-14)
    factor = np.sqrt(150 / 149)
    assert np.log(ours.lift) == pytest.approx(theirs.params[1], rel=1e-8)
    assert ours.standard_error_log == pytest.approx(theirs.bse[1] * factor, rel=1e-8)
    independent = model.fit(cov_type="HC0", tol=1e-14).bse[1] ** 2 * account.size / (account.size - 1)
    assert ours.design_effect == pytest.approx(ours.standard_error_log**2 / independent, rel=1e-8)


def test_statsmodels_default_factor_differs_by_units_only():
    converted, signal, account = company(np.random.default_rng(3), 150)
    model = sm.GLM(converted.astype(float), sm.add_constant(signal.astype(float)), family=sm.families.Poisson())
    theirs = model.fit(cov_type="cluster", cov_kwds={"groups": account}, tol=1e-14)
    units = account.size
    ours = ratio_of((converted, signal, account)).standard_error_log
    assert theirs.bse[1] == pytest.approx(ours * np.sqrt((units - 1) / (units - 2)), rel=1e-8)


@pytest.mark.parametrize("seed", range(5))
def test_difference_equals_the_least_squares_cluster_sandwich(seed):
    converted, signal, account = company(np.random.default_rng(seed), 150, 1.7)
    ours = clustered_difference(table_of(converted, signal), ClusterMoments.from_arrays(converted, signal, account))
    model = sm.OLS(converted.astype(float), sm.add_constant(signal.astype(float)))
    groups = {"groups": account, "use_correction": False}
    theirs = model.fit(cov_type="cluster", cov_kwds=groups, use_t=False)
    factor = np.sqrt(150 / 149)
    assert ours is not None
    assert ours.difference == pytest.approx(theirs.params[1], rel=1e-9)
    assert ours.standard_error == pytest.approx(theirs.bse[1] * factor, rel=1e-9)
    half = 1.959964 * theirs.bse[1] * factor
    assert (ours.lower, ours.upper) == pytest.approx((theirs.params[1] - half, theirs.params[1] + half), rel=1e-6)


def test_interval_and_p_value_tell_the_same_story():
    units = company(np.random.default_rng(4), 400, 1.8)
    result = ratio_of(units)
    assert np.log([result.lower, result.upper]) == pytest.approx(
        np.log(result.lift) + np.array([-1, 1]) * 1.959964 * result.standard_error_log, rel=1e-6
    )
    at_p = clustered_ratio(table_of(*units[:2]), ClusterMoments.from_arrays(*units), confidence=1 - result.p_value)
    assert at_p is not None
    assert at_p.lower == pytest.approx(1.0, abs=1e-9)


def test_users_with_an_account_each_have_design_effect_1():
    converted, signal, account = company(np.random.default_rng(5), 300)
    units = (converted, signal, np.arange(account.size))
    assert ratio_of(units).design_effect == pytest.approx(1.0, rel=1e-12)


def test_copying_every_user_five_times_within_the_account_adds_no_knowledge():
    converted, signal, account = company(np.random.default_rng(6), 300)
    single = ratio_of((converted, signal, account))
    copied = ratio_of((np.repeat(converted, 5), np.repeat(signal, 5), np.repeat(account, 5)))
    assert copied.lift == pytest.approx(single.lift, rel=1e-12)
    assert copied.standard_error_log == pytest.approx(single.standard_error_log, rel=1e-12)
    assert copied.design_effect / single.design_effect == pytest.approx(5.0, rel=1e-3)


def test_an_extreme_signal_has_a_positive_p_value():
    table = TwoByTwo(9000, 10000, 1000, 90000)
    converted = np.repeat([True, False, True, False], [9000, 1000, 1000, 89000])
    signal = np.repeat([True, False], [10000, 90000])
    moments = ClusterMoments.from_arrays(converted, signal, np.arange(100_000) // 100)
    result = clustered_ratio(table, moments)
    assert result is not None
    assert 0 < result.p_value < 1e-30


@pytest.mark.parametrize(
    "table",
    [
        TwoByTwo(0, 10, 3, 20),
        TwoByTwo(3, 10, 0, 20),
        TwoByTwo(10, 10, 3, 20),
        TwoByTwo(3, 10, 20, 20),
        TwoByTwo(0, 0, 3, 20),
    ],
)
def test_an_empty_cell_is_left_to_the_score_interval(table):
    converted = np.repeat(
        [True, False, True, False],
        [
            table.converted_with,
            table.units_with - table.converted_with,
            table.converted_without,
            table.units_without - table.converted_without,
        ],
    )
    signal = np.repeat([True, False], [table.units_with, table.units_without])
    moments = ClusterMoments.from_arrays(converted, signal, np.arange(table.units) // 2)
    assert clustered_ratio(table, moments) is None
    assert clustered_difference(table, moments) is None


def test_one_account_or_accounts_all_alike_show_no_variance():
    converted, signal = np.array([True, False, True, False, False]), np.array([True, True, False, False, False])
    assert (
        clustered_ratio(table_of(converted, signal), ClusterMoments.from_arrays(converted, signal, np.zeros(5))) is None
    )
    alike = (np.tile(converted, 7), np.tile(signal, 7), np.repeat(np.arange(7), 5))
    assert clustered_ratio(table_of(*alike[:2]), ClusterMoments.from_arrays(*alike)) is None
    assert clustered_difference(table_of(*alike[:2]), ClusterMoments.from_arrays(*alike)) is None


# --- the sums --------------------------------------------------------------------------------------------


def test_moments_by_hand():
    # account x: 2 of 3 with, 1 of 1 without; account y: 0 of 1 with, 1 of 2 without
    converted = [True, True, False, True, False, True, False]
    signal = [True, True, True, False, True, False, False]
    moments = ClusterMoments.from_arrays(converted, signal, ["x"] * 4 + ["y"] * 3)
    assert moments == ClusterMoments(clusters=2, aa=4, an=6, ac=2, am=2, nn=10, nc=4, nm=5, cc=2, cm=3, mm=5)
    assert {type(x) for x in astuple(moments)} == {int}


def test_how_accounts_are_named_changes_nothing():
    random = np.random.default_rng(4)
    converted, signal, account = (random.integers(0, most, 400) for most in (2, 2, 90))
    expected = ClusterMoments.from_arrays(converted, signal, [f"account {each}" for each in account])
    for keys in (account, account.astype(np.int8), account + 10**12, account - 40, account * 1.5):
        assert ClusterMoments.from_arrays(converted, signal, keys) == expected
    assert expected.clusters == np.unique(account).size


def test_no_units_are_no_clusters():
    assert astuple(ClusterMoments.from_arrays([], [], [])) == (0,) * 11


rows = st.lists(st.tuples(st.booleans(), st.booleans(), st.integers(0, 8)), max_size=60)


@given(rows, st.integers(0, 9))
def test_moments_and_tables_of_shards_add_when_no_account_is_split(units, first_of_second_shard):
    def build(part: list[tuple[bool, bool, int]]) -> tuple[TwoByTwo, ClusterMoments]:
        converted, signal, account = np.array(part, dtype=int).reshape(-1, 3).T
        return (
            table_of(converted.astype(bool), signal.astype(bool)),
            ClusterMoments.from_arrays(converted, signal, account),
        )

    whole = build(units)
    low = build([u for u in units if u[2] < first_of_second_shard])
    high = build([u for u in units if u[2] >= first_of_second_shard])
    assert (low[0] + high[0], low[1] + high[1]) == whole


# --- the promise -----------------------------------------------------------------------------------------


@pytest.mark.slow
def test_false_positives_of_a_null_signal_of_accounts():
    rng, repeats = np.random.default_rng(21), 2000
    clustered, naive = 0, 0
    for _ in range(repeats):
        result = ratio_of(company(rng, 1200))
        clustered += result.p_value < 0.05
        naive += abs(np.log(result.lift)) > 1.96 * result.standard_error_log / np.sqrt(result.design_effect)
    # four Monte-Carlo standard errors of a rate of 5% in 2,000 repeats are 1.9 points
    assert clustered / repeats == pytest.approx(0.05, abs=0.0195)
    assert naive / repeats > 0.08


@pytest.mark.slow
def test_coverage_of_a_true_lift():
    rng, repeats = np.random.default_rng(22), 1000
    covered = 0
    for _ in range(repeats):
        result = ratio_of(company(rng, 600, lift=1.6))
        covered += result.lower <= 1.6 <= result.upper
    assert covered / repeats == pytest.approx(0.95, abs=0.0276)
