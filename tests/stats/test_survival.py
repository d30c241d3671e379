"""Kaplan-Meier against statsmodels and scipy."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import CensoredData, ecdf
from statsmodels.duration.survfunc import SurvfuncRight

from beton.errors import InputError
from beton.stats.survival import kaplan_meier

# Few distinct days, so that conversions and last sightings fall on the same one.
watched = st.lists(st.tuples(st.integers(0, 12), st.booleans()), min_size=1, max_size=60)


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


@given(watched, st.sampled_from([0.8, 0.95]))
def test_curve_and_limits_are_scipys(units, confidence):
    time, event = (np.array(each) for each in zip(*units, strict=True))
    own = kaplan_meier(time, event, confidence)
    assert own.time.tolist() == sorted(set(time[event].tolist()))
    if not event.any():
        return
    other = ecdf(CensoredData.right_censored(time, ~event)).sf
    np.testing.assert_allclose(own.share, 1 - other.evaluate(own.time), atol=1e-12)
    known = own.share < 1
    if not known.any():
        return
    with warnings.catch_warnings():
        # scipy warns where nobody is left.
        warnings.simplefilter("ignore", RuntimeWarning)
        limits = other.confidence_interval(confidence, method="log-log")
    at = np.searchsorted(other.quantiles, own.time[known])
    np.testing.assert_allclose(own.lower[known], 1 - limits.high.probabilities[at], atol=1e-9)
    np.testing.assert_allclose(own.upper[known], 1 - limits.low.probabilities[at], atol=1e-9)


def test_without_the_limits_of_nobody_left():
    own = kaplan_meier([1, 2, 2], [True, True, True])
    assert own.time.tolist() == [1, 2]
    assert own.share.tolist() == pytest.approx([1 / 3, 1])
    assert np.isnan([own.lower[1], own.upper[1]]).all()


def test_nobody_converted_has_no_steps():
    assert [each.size for each in kaplan_meier([3, 4], [False, False])] == [0, 0, 0, 0]
    assert kaplan_meier([], []).time.size == 0


@pytest.mark.parametrize(
    ("time", "event"), [([1, 2], [True]), ([-1], [True]), ([np.nan], [False]), ([np.inf], [False]), ([[1]], [[True]])]
)
def test_impossible_times_are_refused(time, event):
    with pytest.raises(InputError, match="give each unit a time"):
        kaplan_meier(time, event)
