"""Kaplan-Meier against statsmodels."""

from __future__ import annotations

import numpy as np
from statsmodels.duration.survfunc import SurvfuncRight

from beton.stats.survival import kaplan_meier


def test_curve_and_greenwood_error_are_statsmodels():
    rng = np.random.default_rng(1)
    time, event = rng.integers(1, 30, 200), rng.random(200) < 0.4
    event[time == time.max()] = False
    other, own = SurvfuncRight(time, event), kaplan_meier(time, event)
    seen = np.isin(other.surv_times, own.time)
    survival, error = other.surv_prob[seen], other.surv_prob_se[seen]
    np.testing.assert_allclose(own.share, 1 - survival)
    half = 1.959964 * error / (survival * -np.log(survival))
    np.testing.assert_allclose(own.upper, 1 - survival ** np.exp(half), rtol=1e-6)
    np.testing.assert_allclose(own.lower, 1 - survival ** np.exp(-half), rtol=1e-6)
