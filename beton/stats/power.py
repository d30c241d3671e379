"""What a cohort of this size can show: power, the smallest lift it would find, the units it would take.

Normal approximation of the test of two proportions, pooled variance under the null and separate variances
under the alternative (Fleiss, Levin & Paik 2003, chapter 4). ``base_rate`` is the conversion rate *without*
the signal. ``alpha`` is two-sided; only a difference in the true direction counts as found. Where users
share accounts, hand in units divided by the design effect.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from beton.errors import InputError

# 2**-60 of the range of possible rates is below the spacing of doubles around the answer.
_BISECTIONS = 60


def power(
    units_with: ArrayLike,
    units_without: ArrayLike,
    base_rate: ArrayLike,
    lift: ArrayLike,
    alpha: float = 0.05,
) -> NDArray[np.float64]:
    """Probability that units_with and units_without units show a true ``lift``; arguments broadcast.

    nan where base_rate * lift exceeds 1, an arm is empty or nobody can convert.
    """
    n1, n0, p0, ratio = (np.asarray(x, dtype=np.float64) for x in (units_with, units_without, base_rate, lift))
    return _found(n1, n0, p0, p0 * ratio, alpha)


def minimum_detectable_lift(
    units_with: float, units_without: float, base_rate: float, alpha: float = 0.05, power: float = 0.8
) -> float | None:
    """Smallest lift above 1 that is found with probability ``power``.

    None when even certain conversion with the signal would be missed, an arm is empty or base_rate is 0 or 1.
    """
    _check_share("power", power)
    if units_with <= 0 or units_without <= 0 or not 0 < base_rate < 1:
        return None
    n1, n0, p0 = (np.asarray(x, dtype=np.float64) for x in (units_with, units_without, base_rate))

    def detectable(rate_with: float) -> bool:
        return bool(_found(n1, n0, p0, np.asarray(rate_with), alpha) >= power)

    low, high = base_rate, 1.0
    if not detectable(high):
        return None
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        low, high = (low, middle) if detectable(middle) else (middle, high)
    return high / base_rate


def units_needed(
    lift: float, share_with: float, base_rate: float, alpha: float = 0.05, power: float = 0.8
) -> int | None:
    """Total units, ``share_with`` of them with the signal, at which ``lift`` is found with ``power``.

    None when no number suffices: lift 1, or a lift that base_rate cannot carry (base_rate * lift > 1).
    """
    from scipy.special import ndtri

    given = {"share_with": share_with, "base_rate": base_rate, "alpha": alpha, "power": power}
    for name, value in given.items():
        _check_share(name, value)
    rate_with = base_rate * lift
    if lift < 0 or lift == 1 or rate_with > 1:
        return None
    one = np.asarray(1.0)
    null, alternative = _deviations(share_with * one, (1 - share_with) * one, base_rate * one, rate_with * one)
    root = (float(ndtri(power)) * alternative - float(ndtri(alpha / 2)) * null) / (rate_with - base_rate)
    return math.ceil(root**2)


def _found(
    n1: NDArray[np.float64],
    n0: NDArray[np.float64],
    p0: NDArray[np.float64],
    p1: NDArray[np.float64],
    alpha: float,
) -> NDArray[np.float64]:
    from scipy.special import ndtr, ndtri

    _check_share("alpha", alpha)
    with np.errstate(invalid="ignore", divide="ignore"):
        null, alternative = _deviations(n1, n0, p0, p1)
        found: NDArray[np.float64] = ndtr((np.abs(p1 - p0) + ndtri(alpha / 2) * null) / alternative)
    return found


def _deviations(
    n1: NDArray[np.float64], n0: NDArray[np.float64], p0: NDArray[np.float64], p1: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Standard deviation of the difference of rates under equal rates and under p0, p1."""
    pooled = (n1 * p1 + n0 * p0) / (n1 + n0)
    null = np.sqrt(pooled * (1 - pooled) * (1 / n1 + 1 / n0))
    return null, np.sqrt(p1 * (1 - p1) / n1 + p0 * (1 - p0) / n0)


def _check_share(name: str, value: float) -> None:
    if not 0 < value < 1:
        raise InputError(f"{name} is {value}; give a number between 0 and 1", {name: "between 0 and 1"})
