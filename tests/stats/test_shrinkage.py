"""Shrunk lifts against numerical integration, a slow optimiser, and simulated truths."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import norm

from beton.errors import InputError
from beton.stats.shrinkage import Posterior, Prior, fit, log_ratio

PRIOR = Prior((0.6, 0.3, 0.1), (0.0, 0.3, 1.2))


def simulated(candidates: int, share_real: float, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """True log lifts, their estimates and the standard errors of these."""
    rng = np.random.default_rng(seed)
    truth = np.where(rng.random(candidates) < share_real, rng.normal(0, 0.7, candidates), 0.0)
    error = np.exp(rng.normal(-1.2, 0.5, candidates))
    return truth, truth + error * rng.standard_normal(candidates), error


# --- the prior -----------------------------------------------------------------------------------------


def penalised(prior: Prior, estimate: np.ndarray, error: np.ndarray) -> float:
    """Log likelihood with nine extra candidates on the null spike."""
    variance = error[:, None] ** 2 + np.array(prior.deviations) ** 2
    density = np.exp(-0.5 * estimate[:, None] ** 2 / variance) / np.sqrt(2 * np.pi * variance)
    spike = prior.weights[prior.deviations.index(0.0)]
    return float(np.log(density @ np.array(prior.weights)).sum() + 9 * np.log(spike))


def by_patient_em(estimate: np.ndarray, error: np.ndarray, rounds: int) -> Prior:
    """The same grid, and the same likelihood raised step by step."""
    smallest = error.min() / 10
    largest = max(2 * np.sqrt(np.maximum(estimate**2 - error**2, 0).max()), 8 * smallest)
    steps = int(np.ceil(2 * np.log2(largest / smallest)))
    deviations = np.append(0.0, largest * 2 ** (-np.arange(steps, -1, -1) / 2))
    likelihood = norm.pdf(estimate[:, None], scale=np.sqrt(error[:, None] ** 2 + deviations**2))
    weights = np.full(deviations.size, 1 / deviations.size)
    for _ in range(rounds):
        share = likelihood * weights
        weights = (share / share.sum(axis=1, keepdims=True)).sum(axis=0)
        weights[0] += 9
        weights /= weights.sum()
    return Prior(tuple(weights.tolist()), tuple(deviations.tolist()))


@pytest.mark.parametrize(
    ("candidates", "share_real", "seed"), [(40, 0.5, 1), (400, 0.1, 2), (400, 1.0, 3), (800, 0, 4)]
)
def test_no_prior_on_the_grid_is_more_likely(candidates, share_real, seed):
    _, estimate, error = simulated(candidates, share_real, seed)
    learned = fit(estimate, error)
    slow = by_patient_em(estimate, error, rounds=8_000)
    assert penalised(learned, estimate, error) >= penalised(slow, estimate, error) - 1e-6 * candidates
    assert sum(learned.weights) == pytest.approx(1)
    assert set(learned.deviations) <= set(slow.deviations)


def test_pure_noise_has_no_spread_to_speak_of():
    _, estimate, error = simulated(5000, 0.0, seed=5)
    posterior = fit(estimate, error).posterior(estimate, error)
    assert np.abs(posterior.median).max() < 0.05
    assert (posterior.lfsr < 0.05).sum() == 0


def test_the_prior_of_many_real_candidates_is_the_one_they_came_from():
    _, estimate, error = simulated(20_000, 0.3, seed=6)
    prior = fit(estimate, error)
    variance = sum(w * d**2 for w, d in zip(prior.weights, prior.deviations, strict=True))
    assert variance == pytest.approx(0.3 * 0.7**2, rel=0.05)


def test_candidates_without_an_estimate_are_skipped():
    _, estimate, error = simulated(300, 0.3, seed=7)
    more = np.append(estimate, [np.nan, 1.0]), np.append(error, [0.2, np.nan])
    assert fit(*more) == fit(estimate, error)
    posterior = fit(*more).posterior(*more)
    assert np.isnan([each[-2:] for each in posterior]).all()
    assert np.isfinite([each[:-2] for each in posterior]).all()


def test_nothing_to_learn_from_is_refused():
    with pytest.raises(InputError, match="no candidate has a log lift"):
        fit([np.nan], [1.0])
    with pytest.raises(InputError, match="a standard error is not above 0"):
        fit([0.3], [0.0])
    with pytest.raises(InputError, match="a standard error is not above 0"):
        PRIOR.posterior(0.3, -1.0)
    with pytest.raises(InputError, match="confidence is 95"):
        PRIOR.posterior(0.3, 0.2, confidence=95)


# --- the posterior -------------------------------------------------------------------------------------


def integrated(estimate: float, error: float) -> tuple[float, float, float]:
    """Posterior probability of a negative, no, and a positive log lift, by integrating over the true value."""

    def density(true: float) -> float:
        slabs = zip(PRIOR.weights[1:], PRIOR.deviations[1:], strict=True)
        return sum(w * norm.pdf(true, scale=d) for w, d in slabs) * norm.pdf(estimate, true, error)

    spike = PRIOR.weights[0] * norm.pdf(estimate, 0, error)
    points = sorted({0.0, estimate})
    below = quad(density, -15, 0, points=points, limit=400)[0]
    above = quad(density, 0, 15, points=points, limit=400)[0]
    whole = below + spike + above
    return below / whole, spike / whole, above / whole


@pytest.mark.parametrize(("estimate", "error"), [(0.0, 0.3), (0.4, 0.2), (-0.9, 0.4), (2.0, 0.5), (-0.05, 0.02)])
def test_the_posterior_is_that_of_numerical_integration(estimate, error):
    below, null, above = integrated(estimate, error)
    posterior = PRIOR.posterior(estimate, error)
    assert posterior.lfsr == pytest.approx(null + min(below, above), rel=1e-6)
    for value, probability in ((posterior.median, 0.5), (posterior.lower, 0.025), (posterior.upper, 0.975)):
        if value == 0:
            assert below <= probability <= below + null
        else:
            # The share at or below the value, from the normal components that Bayes' rule gives.
            weights = np.array(PRIOR.weights) * norm.pdf(estimate, 0, np.hypot(error, PRIOR.deviations))
            weights /= weights.sum()
            shrink = np.array(PRIOR.deviations[1:]) ** 2 / (np.array(PRIOR.deviations[1:]) ** 2 + error**2)
            share = weights[1:] @ norm.cdf(value, shrink * estimate, np.sqrt(shrink) * error) + weights[0] * (value > 0)
            assert share == pytest.approx(probability, abs=1e-9)
            assert weights[0] == pytest.approx(null, rel=1e-6)


logs = st.floats(-5, 5)
errors = st.floats(0.01, 3)


@given(logs, errors)
def test_shrinking_moves_towards_0_and_treats_both_signs_alike(estimate, error):
    one, other = PRIOR.posterior(estimate, error), PRIOR.posterior(-estimate, error)
    assert abs(one.median) <= abs(estimate) + 1e-9
    assert one.median * estimate >= 0
    assert one.lower <= one.median <= one.upper
    assert 0 <= one.lfsr <= 1
    assert other.median == pytest.approx(-float(one.median), abs=1e-9)
    assert (other.lower, other.upper) == pytest.approx((-float(one.upper), -float(one.lower)), abs=1e-9)


def test_many_at_once_are_each_alone():
    _, estimate, error = simulated(9000, 0.3, seed=8)
    posterior = PRIOR.posterior(estimate, error)
    for i in (0, 4500, 8999):
        alone = PRIOR.posterior(estimate[i], error[i])
        assert [each[i] for each in posterior] == pytest.approx([float(each) for each in alone], abs=1e-9)


# --- what it is for ------------------------------------------------------------------------------------


def test_selected_candidates_are_shrunk_to_their_truth():
    truth, estimate, error = simulated(5000, 0.1, seed=1)
    posterior = fit(estimate, error).posterior(estimate, error)
    chosen = (posterior.lfsr < 0.1) & (estimate > 0)
    assert posterior.median[chosen].mean() == pytest.approx(truth[chosen].mean(), rel=0.05)
    assert estimate[chosen].mean() > 1.05 * truth[chosen].mean()


@pytest.fixture(scope="module")
def run_of_40_000() -> tuple[np.ndarray, np.ndarray, np.ndarray, Posterior]:
    truth, estimate, error = simulated(40_000, 0.2, seed=9)
    return truth, estimate, error, fit(estimate, error).posterior(estimate, error)


@pytest.mark.parametrize(("low", "high"), [(0, 0.05), (0.05, 0.2), (0.2, 0.5), (0.5, 0.8), (0.8, 1)])
def test_the_false_sign_rate_is_the_rate_of_false_signs(run_of_40_000, low, high):
    truth, estimate, _, posterior = run_of_40_000
    inside = (posterior.lfsr > low) & (posterior.lfsr <= high)
    wrong = np.sign(truth[inside]) != np.sign(estimate[inside])
    assert inside.sum() > 400
    # Four Monte-Carlo standard errors, and what the learned prior is off.
    slack = 4 * np.sqrt(0.25 / inside.sum()) * min(1.0, 2 * np.sqrt(high * (1 - low))) + 0.01
    assert wrong.mean() == pytest.approx(posterior.lfsr[inside].mean(), abs=slack)


def test_credible_limits_cover_the_truth_of_selected_candidates(run_of_40_000):
    truth, estimate, error, posterior = run_of_40_000
    chosen = posterior.lfsr < 0.1
    covered = (posterior.lower <= truth) & (truth <= posterior.upper)
    raw = np.abs(estimate - truth) <= 1.96 * error
    # A little more than 95%, since limits at the null spike take in all of it.
    assert 0.945 < covered[chosen].mean() < 0.975
    assert raw[chosen].mean() < 0.93


# --- tables --------------------------------------------------------------------------------------------


def test_the_log_lift_of_a_table_with_halves_added():
    estimate, error = log_ratio(3, 30, 0, 90)
    assert estimate == pytest.approx(np.log((3.5 / 30.5) / (0.5 / 90.5)))
    assert error == pytest.approx(np.sqrt(1 / 3.5 - 1 / 30.5 + 1 / 0.5 - 1 / 90.5))


def test_tables_without_a_lift_are_nan():
    assert np.isnan(log_ratio([0, 5], [0, 5], [1, 9], [10, 9])).all()
    with pytest.raises(InputError, match="give counts from 0"):
        log_ratio(5, 4, 0, 9)
