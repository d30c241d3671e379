"""Stratified lifts against statsmodels and published figures."""

from __future__ import annotations

import numpy as np
import pytest
from statsmodels.stats.contingency_tables import StratifiedTable

from beton.errors import InputError
from beton.stats.strata import breslow_day, e_value, mantel_haenszel

# Admitted and rejected men, then women, by department: Bickel, Hammel & O'Connell (1975), Science 187:398.
BERKELEY = np.array(
    [
        [512, 313, 89, 19],
        [353, 207, 17, 8],
        [120, 205, 202, 391],
        [138, 279, 131, 244],
        [53, 138, 94, 299],
        [22, 351, 24, 317],
    ]
).T
# Tuberculosis and none with BCG, then without, in 13 trials: Colditz et al. (1994), JAMA 271:698.
BCG = np.array(
    [
        [4, 119, 11, 128],
        [6, 300, 29, 274],
        [3, 228, 11, 209],
        [62, 13536, 248, 12619],
        [33, 5036, 47, 5761],
        [180, 1361, 372, 1079],
        [8, 2537, 10, 619],
        [505, 87886, 499, 87892],
        [29, 7470, 45, 7232],
        [17, 1699, 65, 1600],
        [186, 50448, 141, 27197],
        [5, 2493, 3, 2338],
        [27, 16886, 29, 17825],
    ]
).T


def counts(cells: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Converted and all, with and without, of (converted, not) with and without."""
    hit, miss, hit_without, miss_without = cells
    return hit, hit + miss, hit_without, hit_without + miss_without


def random_strata(tables: int, strata: int, seed: int) -> tuple[np.ndarray, ...]:
    """Counts (tables, strata) with strata of 0 to 90 units an arm."""
    rng = np.random.default_rng(seed)
    n1, n0 = rng.integers(0, 90, (2, tables, strata))
    return rng.binomial(n1, 0.4), n1, rng.binomial(n0, 0.3), n0


def test_kidney_stones():
    result = mantel_haenszel([81, 192], [87, 263], [234, 55], [270, 80])
    assert [result.ratio, result.lower, result.upper] == pytest.approx([1.069, 0.985, 1.160], abs=0.0006)


def test_berkeley():
    table = counts(BERKELEY)
    crude = table[0].sum() * (table[3] - table[2]).sum() / ((table[1] - table[0]).sum() * table[2].sum())
    assert crude == pytest.approx(1.841, abs=0.0005)
    assert mantel_haenszel(*table).p == pytest.approx(0.217, abs=0.0005)
    assert breslow_day(*table) == pytest.approx(0.0021, abs=0.00005)
    # Lift and odds ratio say the same about who is favoured: women, within departments.
    assert 0.9 < mantel_haenszel(*table).ratio < 1


def test_bcg_vaccine():
    result = mantel_haenszel(*counts(BCG))
    assert [result.ratio, result.lower, result.upper] == pytest.approx([0.6353, 0.5881, 0.6862], abs=0.00005)


def test_1000_tables_at_once_against_statsmodels():
    a, n1, c, n0 = random_strata(1000, 4, seed=1)
    result, homogeneity = mantel_haenszel(a, n1, c, n0), breslow_day(a, n1, c, n0)
    compared = 0
    for i in range(len(a)):
        both = (n1[i] > 0) & (n0[i] > 0)
        tables = [
            np.array([[a[i, k], n1[i, k] - a[i, k]], [c[i, k], n0[i, k] - c[i, k]]]) for k in np.flatnonzero(both)
        ]
        other = StratifiedTable(tables)
        assert result.ratio[i] == pytest.approx(other.riskratio_pooled)
        assert result.p[i] == pytest.approx(other.test_null_odds(correction=False).pvalue)
        if all((table.sum(axis=0) > 0).all() for table in tables):
            assert homogeneity[i] == pytest.approx(other.test_equal_odds(adjust=True).pvalue, rel=1e-6)
            compared += 1
    assert compared > 900


def test_one_stratum_is_the_crude_table():
    a, n1, c, n0 = (each[:, :1] for each in random_strata(500, 1, seed=2))
    inner = ((a > 0) & (c > 0))[:, 0]
    result = mantel_haenszel(a[inner], n1[inner], c[inner], n0[inner])
    with_signal, without = a[inner] / n1[inner], c[inner] / n0[inner]
    variance = 1 / a[inner] - 1 / n1[inner] + 1 / c[inner] - 1 / n0[inner]
    np.testing.assert_allclose(result.ratio, (with_signal / without)[:, 0])
    # Greenland and Robins' variance of a single table is Katz's.
    np.testing.assert_allclose(result.error_log, np.sqrt(variance)[:, 0], rtol=1e-9, atol=1e-12)


def test_strata_without_one_arm_or_without_anybody_change_nothing():
    full = random_strata(200, 5, seed=3)
    one_armed = np.array([[7, 9, 0, 0], [0, 0, 3, 8], [0, 0, 0, 0]]).T[:, np.newaxis, :]
    padded = [
        np.concatenate([part, np.broadcast_to(more, (200, 3))], axis=1)
        for part, more in zip(full, one_armed, strict=True)
    ]
    before, after = mantel_haenszel(*full), mantel_haenszel(*padded)
    for field in ("ratio", "lower", "upper", "error_log", "p"):
        np.testing.assert_allclose(getattr(after, field), getattr(before, field), rtol=1e-12)
    np.testing.assert_allclose(breslow_day(*padded), breslow_day(*full), rtol=1e-9)


def test_what_cannot_be_computed_is_nan():
    nobody_with = mantel_haenszel([0, 0], [5, 5], [3, 2], [9, 9])
    assert nobody_with.ratio == 0
    assert np.isnan([nobody_with.lower, nobody_with.upper, nobody_with.error_log]).all()
    assert 0 < nobody_with.p < 1
    nobody_without = mantel_haenszel([3], [5], [0], [9])
    assert nobody_without.ratio == np.inf
    assert np.isnan([nobody_without.lower, nobody_without.upper, nobody_without.error_log]).all()
    nobody = mantel_haenszel([0], [5], [0], [9])
    assert np.isnan([nobody.ratio, nobody.p]).all()
    nothing = mantel_haenszel([0], [0], [3], [9])
    assert np.isnan([nothing.ratio, nothing.p]).all()
    assert np.isnan(breslow_day([3], [9], [1], [9]))
    assert np.isnan(breslow_day([3, 4], [3, 4], [0, 0], [9, 9]))


def test_published_e_values():
    np.testing.assert_allclose(e_value([3.9, 1.8, 1 / 1.8, 1.0]), [7.26, 3.0, 3.0, 1.0], atol=0.005)
    assert e_value(0) == np.inf
    assert np.isnan(e_value(np.nan))


def test_impossible_counts_are_refused():
    with pytest.raises(InputError, match="give counts from 0"):
        mantel_haenszel([5], [4], [0], [9])
    with pytest.raises(InputError, match="give counts from 0"):
        breslow_day([1], [4], [-1], [9])
    with pytest.raises(InputError, match="one count per stratum"):
        mantel_haenszel(1, 4, 1, 9)
    with pytest.raises(InputError, match="a risk ratio is negative"):
        e_value(-1)
    with pytest.raises(InputError, match="confidence is 95"):
        mantel_haenszel([1], [4], [1], [9], confidence=95)
