"""Stratified lifts against statsmodels and published figures."""

from __future__ import annotations

import numpy as np
import pytest
from statsmodels.stats.contingency_tables import StratifiedTable

from beton.stats.strata import breslow_day, e_value, mantel_haenszel


def test_kidney_stones():
    result = mantel_haenszel([81, 192], [87, 263], [234, 55], [270, 80])
    assert [result.ratio, result.lower, result.upper] == pytest.approx([1.069, 0.985, 1.160], abs=0.0006)


def test_random_tables_against_statsmodels():
    rng = np.random.default_rng(1)
    for _ in range(50):
        n1, n0 = rng.integers(20, 90, (2, 4))
        a, c = rng.binomial(n1, 0.4), rng.binomial(n0, 0.3)
        other = StratifiedTable([np.array([[w, x - w], [y, z - y]]) for w, x, y, z in zip(a, n1, c, n0, strict=True)])
        assert mantel_haenszel(a, n1, c, n0).ratio == pytest.approx(other.riskratio_pooled)
        assert mantel_haenszel(a, n1, c, n0).p == pytest.approx(other.test_null_odds(correction=False).pvalue)
        assert breslow_day(a, n1, c, n0) == pytest.approx(other.test_equal_odds(adjust=True).pvalue)


def test_published_e_values():
    np.testing.assert_allclose(e_value([3.9, 1.8, 1 / 1.8]), [7.26, 3.0, 3.0], atol=0.005)
