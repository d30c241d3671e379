"""Lifts of many candidates, shrunk by what all of them together say: the best of thousands is partly luck.

Adaptive shrinkage, Stephens (2017), Biostatistics 18:275: true log lifts come from a spike at 0 and zero-mean normals
of increasing spread, whose weights are learned from all candidates; each estimate is normal around its true value
with a known error. Everything is on the log scale. An estimate or error that is nan has a nan posterior.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from beton.errors import InputError
from beton.stats.proportions import Floats, checked_counts, normal_quantile

# Pseudo-candidates added to the null spike, as ashr does: where the data cannot tell, there is no effect.
_NULL_CANDIDATES = 9.0
# Convergence is quadratic: 10 to 20 rounds in practice.
_ROUNDS = 100
# Mean log likelihood per candidate that is still missing to the largest.
_TOLERANCE = 1e-7
_RIDGE = 1e-10
_HALVINGS = 30
_SUFFICIENT = 0.01
# Components this rare move no posterior that matters, and cost as much as the others.
_SMALLEST_WEIGHT = 1e-4
# 2**-40 of the posterior range: limits to about 1e-11 on the log scale.
_BISECTIONS = 40
# Rows worked on at once, so that the (rows, components) arrays stay in the processor's cache.
_BLOCK_ROWS = 8192


class Posterior(NamedTuple):
    """Median and limits of the log lift, and the local false sign rate, each of the estimates' shape."""

    median: Floats
    lower: Floats
    upper: Floats
    lfsr: Floats


@dataclass(frozen=True)
class Prior:
    """Mixture of zero-mean normals: ``weights`` sum to 1; ``deviations`` on the log scale, 0 is the null spike."""

    weights: tuple[float, ...]
    deviations: tuple[float, ...]

    def posterior(self, estimate: ArrayLike, error: ArrayLike, confidence: float = 0.95) -> Posterior:
        """Shrink log lifts with their standard errors.

        The local false sign rate is the smaller of the probabilities that the true value is not above, and not
        below, 0. The median and limits are exactly 0 where the null spike covers them.
        """
        tail = (1 - confidence) / 2
        normal_quantile(confidence)
        estimates, errors = _estimates(estimate, error)
        flat = np.full((4, estimates.size), np.nan)
        known = np.flatnonzero(np.isfinite(estimates.ravel()) & np.isfinite(errors.ravel()))
        for start in range(0, known.size, _BLOCK_ROWS):
            rows = known[start : start + _BLOCK_ROWS]
            block = _Block.of(self, estimates.ravel()[rows], errors.ravel()[rows])
            flat[:3, rows] = [block.quantile(share) for share in (0.5, tail, 1 - tail)]
            flat[3, rows] = np.minimum(1.0, block.null + np.minimum(block.below, block.above))
        return Posterior(*(row.reshape(estimates.shape) for row in flat))


def log_ratio(a: ArrayLike, n1: ArrayLike, c: ArrayLike, n0: ArrayLike) -> tuple[Floats, Floats]:
    """Log lift and its standard error with 1/2 added to every count; nan where the table says nothing of a lift.

    Walter (1975), Biometrika 62:371. An empty arm, or an outcome that all units share, has no lift.
    """
    a, n1, c, n0 = checked_counts(a, n1, c, n0)
    nothing = (n1 == 0) | (n0 == 0) | ((a == n1) & (c == n0))
    a, n1, c, n0 = a + 0.5, n1 + 0.5, c + 0.5, n0 + 0.5
    estimate = np.log(a / n1) - np.log(c / n0)
    error = np.sqrt(1 / a - 1 / n1 + 1 / c - 1 / n0)
    return np.where(nothing, np.nan, estimate), np.where(nothing, np.nan, error)


def fit(estimate: ArrayLike, error: ArrayLike) -> Prior:
    """Learn the prior from the log lifts of all candidates of a run and their standard errors; nan rows are skipped.

    Penalised likelihood. The grid runs from a tenth of the smallest error to twice the largest excess of an
    estimate over its error, in steps of sqrt(2). Raises InputError when no candidate has an estimate.
    """
    estimates, errors = (x.ravel() for x in _estimates(estimate, error))
    known = np.isfinite(estimates) & np.isfinite(errors)
    if not known.any():
        raise InputError("no candidate has a log lift to learn from; give at least one")
    estimates, errors = estimates[known], errors[known]
    smallest = errors.min() / 10
    largest = max(2 * np.sqrt(np.maximum(estimates**2 - errors**2, 0).max()), 8 * smallest)
    steps = int(np.ceil(2 * np.log2(largest / smallest)))
    deviations = np.concatenate(([0.0], largest * 2.0 ** (-np.arange(steps, -1, -1) / 2)))
    weights = _weights(_likelihood(estimates, errors, deviations))
    return Prior(tuple(weights[weights > 0].tolist()), tuple(deviations[weights > 0].tolist()))


def _weights(likelihood: Floats) -> Floats:
    """Mixture weights, float64[components], that maximise the penalised likelihood (rows, components).

    Sequential quadratic programming: Kim, Carbonetto, Stephens & Anitescu (2020), JCGS 29:261. Rows + _NULL_CANDIDATES
    times the sum of the weights is added to the objective, which makes its minimum sum to 1 by itself.
    """
    from scipy.linalg import cholesky, solve_triangular
    from scipy.optimize import nnls

    rows, components = likelihood.shape
    total = rows + _NULL_CANDIDATES
    weights = np.full(components, 1 / components)
    for _ in range(_ROUNDS):
        relative = likelihood / (likelihood @ weights)[:, np.newaxis]
        gradient = total - relative.sum(axis=0)
        gradient[0] -= _NULL_CANDIDATES / weights[0]
        # The objective is convex, so that its minimum lies no further below than the steepest descent.
        if gradient.min() >= -_TOLERANCE * total:
            break
        curvature = relative.T @ relative
        curvature[0, 0] += _NULL_CANDIDATES / weights[0] ** 2
        # Neighbouring spreads are nearly alike, so that their curvature alone is singular.
        root = cholesky(curvature + _RIDGE * np.trace(curvature) * np.eye(components))
        target = solve_triangular(root, curvature @ weights - gradient, trans="T")
        weights = _towards(nnls(root, target)[0], weights, likelihood, gradient)
    weights = np.where(weights < _SMALLEST_WEIGHT, 0.0, weights)
    normalised: Floats = weights / weights.sum()
    return normalised


def _towards(goal: Floats, weights: Floats, likelihood: Floats, gradient: Floats) -> Floats:
    """Weights on the way to ``goal``, the whole way if that lowers the objective; they sum to 1."""

    def objective(at: Floats) -> float:
        if at[0] <= 0:
            return np.inf
        penalty = (len(likelihood) + _NULL_CANDIDATES) * at.sum() - _NULL_CANDIDATES * np.log(at[0])
        with np.errstate(divide="ignore"):
            return float(penalty - np.log(likelihood @ at).sum())

    before, slope, share = objective(weights), float(gradient @ (goal - weights)), 1.0
    for _ in range(_HALVINGS):
        moved = weights + share * (goal - weights)
        if objective(moved) <= before + _SUFFICIENT * share * slope:
            normalised: Floats = moved / moved.sum()
            return normalised
        share /= 2
    return weights


def _likelihood(estimates: Floats, errors: Floats, deviations: Floats) -> Floats:
    """Density of each estimate under each component, relative to its largest, (rows, components)."""
    variance = errors[:, np.newaxis] ** 2 + deviations**2
    log_density = -0.5 * (np.log(variance) + estimates[:, np.newaxis] ** 2 / variance)
    relative: Floats = np.exp(log_density - log_density.max(axis=1, keepdims=True))
    return relative


@dataclass(frozen=True)
class _Block:
    """Posterior of some rows: probability of the null spike, and normal components (rows, components) beside it."""

    null: Floats
    share: Floats
    mean: Floats
    deviation: Floats
    below: Floats
    above: Floats

    @classmethod
    def of(cls, prior: Prior, estimates: Floats, errors: Floats) -> _Block:
        from scipy.special import ndtr

        deviations = np.asarray(prior.deviations)
        share = _likelihood(estimates, errors, deviations) * np.asarray(prior.weights)
        share /= share.sum(axis=1, keepdims=True)
        spread = deviations > 0
        null, share = share[:, ~spread].sum(axis=1), share[:, spread]
        shrink = 1 / (1 + (errors[:, np.newaxis] / deviations[spread]) ** 2)
        mean, deviation = shrink * estimates[:, np.newaxis], np.sqrt(shrink) * errors[:, np.newaxis]
        below = (share * ndtr(-mean / deviation)).sum(axis=1)
        above = (share * ndtr(mean / deviation)).sum(axis=1)
        return cls(null, share, mean, deviation, below, above)

    def quantile(self, probability: float) -> Floats:
        """Smallest value with at least ``probability`` at or below it; bisection where it is not the null spike."""
        from scipy.special import ndtr

        result = np.zeros(self.null.size)
        left = self.below >= probability
        rows = np.flatnonzero(left | (self.below + self.null < probability))
        if not rows.size:
            return result
        share, mean, deviation = self.share[rows], self.mean[rows], self.deviation[rows]
        target = probability - np.where(left[rows], 0.0, self.null[rows])
        # No component has more than 1e-15 of itself beyond 8 of its deviations.
        low = np.where(left[rows], (mean - 8 * deviation).min(axis=1), 0.0)
        high = np.where(left[rows], 0.0, (mean + 8 * deviation).max(axis=1))
        for _ in range(_BISECTIONS):
            middle = (low + high) / 2
            reached = (share * ndtr((middle[:, np.newaxis] - mean) / deviation)).sum(axis=1) >= target
            low, high = np.where(reached, low, middle), np.where(reached, middle, high)
        result[rows] = (low + high) / 2
        return result


def _estimates(estimate: ArrayLike, error: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    estimates, errors = np.broadcast_arrays(np.asarray(estimate, dtype=np.float64), np.asarray(error, dtype=np.float64))
    if np.any(errors <= 0):
        raise InputError("a standard error is not above 0; give positive errors, or nan where there is no estimate")
    return estimates, errors
