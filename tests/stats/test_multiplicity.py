"""Benjamini-Hochberg against scipy, and far below where p-values underflow."""

from __future__ import annotations

import numpy as np
from scipy.stats import false_discovery_control

from beton.stats.multiplicity import benjamini_hochberg, bh_cutoff, simes


def test_q_values_are_scipys_with_unlisted_candidates_at_1():
    p = np.random.default_rng(1).random(300) ** 4
    expected = false_discovery_control(np.append(p, np.ones(200)))[:300]
    np.testing.assert_allclose(benjamini_hochberg(np.log(p), 500), expected, rtol=1e-12)
    cutoff = bh_cutoff(np.log(p), 500, 0.05)
    np.testing.assert_array_equal(np.log(p) <= np.log(cutoff), expected <= 0.05)


def test_underflowing_p_values_are_rejected():
    assert bh_cutoff([-2000.0, -np.inf, -0.1], 1000, 0.05) == 5e-324
    assert bh_cutoff([-0.1], 1, 0.05) is None


def test_simes_by_hand():
    log_p = simes(np.log([0.04, 0.01, 0.5]), [0, 0, 1], [4, 1, 2])
    np.testing.assert_allclose(np.exp(log_p), [0.04, 0.5, 1.0])
