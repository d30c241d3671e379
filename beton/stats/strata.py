"""One lift across strata: is the signal more than activity, calendar time or account size in disguise?

Everywhere ``a`` of ``n1`` units with the signal converted, and ``c`` of ``n0`` without, as arrays (..., strata) that
broadcast; the answers have the shape without the last axis. A stratum without units in one arm compares nothing and
contributes nothing. What cannot be computed is nan. Negative counts, or counts above their arm, raise InputError.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from beton.errors import InputError
from beton.stats.proportions import Floats, checked_counts, normal_quantile


@dataclass(frozen=True)
class Stratified:
    """Risk ratio common to all strata, its interval, the standard error of its logarithm, and its p-value."""

    ratio: Floats
    lower: Floats
    upper: Floats
    error_log: Floats
    p: Floats


def mantel_haenszel(a: ArrayLike, n1: ArrayLike, c: ArrayLike, n0: ArrayLike, confidence: float = 0.95) -> Stratified:
    """Mantel-Haenszel risk ratio with the Greenland-Robins interval and the Cochran-Mantel-Haenszel p-value.

    Mantel & Haenszel (1959), JNCI 22:719; Greenland & Robins (1985), Biometrics 41:55. The p-value is without
    continuity correction. The ratio is 0 when nobody with the signal converted, inf when nobody without did, nan when
    nobody did; none of these has an interval.
    """
    from scipy.special import erfc

    z = normal_quantile(confidence)
    a, n1, c, n0, n = _comparable(a, n1, c, n0)
    converted = a + c
    expected_with = (a * n0 / n).sum(axis=-1)
    expected_without = (c * n1 / n).sum(axis=-1)
    spread = ((n1 * n0 * converted - a * c * n) / n**2).sum(axis=-1)
    excess = (a - n1 * converted / n).sum(axis=-1)
    # A stratum of one unit has no hypergeometric variance, and no comparison.
    variance = (n1 * n0 * converted * (n - converted) / (n**2 * np.maximum(n - 1, 1))).sum(axis=-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = expected_with / expected_without
        error = np.where((ratio > 0) & np.isfinite(ratio), np.sqrt(spread / (expected_with * expected_without)), np.nan)
        p = np.where(variance > 0, erfc(np.abs(excess) / np.sqrt(2 * variance)), np.nan)
    return Stratified(ratio, ratio * np.exp(-z * error), ratio * np.exp(z * error), error, p)


def breslow_day(a: ArrayLike, n1: ArrayLike, c: ArrayLike, n0: ArrayLike) -> Floats:
    """P-value of "the odds ratio is the same in every stratum", with Tarone's correction.

    Breslow & Day (1980), *Statistical Methods in Cancer Research* 1, p. 142; Tarone (1985), Biometrika 72:91. nan
    with fewer than two strata that hold both arms and both outcomes, or a common odds ratio of 0 or infinity.
    """
    from scipy.special import chdtrc

    a, n1, c, n0, n = _comparable(a, n1, c, n0)
    converted = a + c
    telling = (n1 > 0) & (n0 > 0) & (converted > 0) & (converted < n)
    with np.errstate(invalid="ignore", divide="ignore"):
        odds = (a * (n0 - c) / n).sum(axis=-1) / ((n1 - a) * c / n).sum(axis=-1)
        fitted = _fitted(n1, n0, converted, odds[..., np.newaxis])
        variance = 1 / (1 / fitted + 1 / (n1 - fitted) + 1 / (converted - fitted) + 1 / (n0 - converted + fitted))
        distance = np.where(telling, (a - fitted) ** 2 / variance, 0.0).sum(axis=-1)
        residual = np.where(telling, a - fitted, 0.0).sum(axis=-1)
        statistic = distance - residual**2 / np.where(telling, variance, 0.0).sum(axis=-1)
        freedom = telling.sum(axis=-1) - 1
        defined = (freedom > 0) & (odds > 0) & np.isfinite(odds)
        p: Floats = np.where(defined, chdtrc(np.maximum(freedom, 1), np.maximum(statistic, 0)), np.nan)
    return p


def _fitted(n1: Floats, n0: Floats, converted: Floats, odds: Floats) -> Floats:
    """Conversions with the signal that the margins and this odds ratio imply: a root of a quadratic."""
    linear = n0 - converted + odds * (n1 + converted)
    product = odds * n1 * converted
    root = np.sqrt(linear**2 + 4 * (1 - odds) * product)
    # Of the two forms of the root, the one that does not cancel; a negative linear term implies odds below 1.
    fitted: Floats = np.where(linear >= 0, 2 * product / (linear + root), (root - linear) / (2 * (1 - odds)))
    return fitted


def e_value(ratio: ArrayLike) -> Floats:
    """Risk ratio an unmeasured cause needs with both signal and conversion to explain ``ratio`` away.

    RR + sqrt(RR (RR - 1)), of 1 / RR below 1: VanderWeele & Ding (2017), Ann Intern Med 167:268. For an interval,
    give its limit nearer to 1; one that contains 1 has 1. nan stays nan.
    """
    ratio = np.asarray(ratio, dtype=np.float64)
    if np.any(ratio < 0):
        raise InputError("a risk ratio is negative; give 0 or more")
    with np.errstate(divide="ignore"):
        away = np.where(ratio < 1, 1 / ratio, ratio)
    value: Floats = away + np.sqrt(away * (away - 1))
    return value


def _comparable(
    a: ArrayLike, n1: ArrayLike, c: ArrayLike, n0: ArrayLike
) -> tuple[Floats, Floats, Floats, Floats, Floats]:
    """Counts with everything of one-armed strata set to 0, and the units per stratum, at least 1 to divide by."""
    a, n1, c, n0 = checked_counts(a, n1, c, n0)
    if a.ndim == 0:
        raise InputError("the counts have no strata; give one count per stratum")
    both = (n1 > 0) & (n0 > 0)
    a, n1, c, n0 = (np.where(both, x, 0.0) for x in (a, n1, c, n0))
    return a, n1, c, n0, np.maximum(n1 + n0, 1.0)
