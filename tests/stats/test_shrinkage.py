"""Shrinkage undoes the winner's curse of a simulated run."""

from __future__ import annotations

import numpy as np
import pytest

from beton.stats.shrinkage import fit, log_ratio


def test_selected_candidates_are_shrunk_to_their_truth():
    rng = np.random.default_rng(1)
    truth = np.where(rng.random(5000) < 0.1, rng.normal(0, 0.7, 5000), 0.0)
    error = np.exp(rng.normal(-1.2, 0.5, 5000))
    estimate = truth + error * rng.standard_normal(5000)
    posterior = fit(estimate, error).posterior(estimate, error)
    chosen = (posterior.lfsr < 0.1) & (estimate > 0)
    assert posterior.median[chosen].mean() == pytest.approx(truth[chosen].mean(), rel=0.05)
    assert estimate[chosen].mean() > 1.05 * truth[chosen].mean()


def test_tables_without_a_lift_are_nan():
    assert np.isnan(log_ratio([0, 5], [0, 5], [1, 9], [10, 9])).all()
