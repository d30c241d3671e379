"""One 2x2 table: its rates, its lift, their intervals, and how surprising it is.

Everywhere ``a`` of ``n1`` units with the signal converted, and ``c`` of ``n0`` without. The functions take
integers or arrays of them that broadcast, and answer with float64 arrays of the broadcast shape (0-d for
scalars). They raise InputError when a count is negative or exceeds its arm.

docs/statistics.md says for each what it assumes, where it comes from and what the tests compare it with.
"""

from __future__ import annotations

import operator
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from beton.errors import InputError

Floats: TypeAlias = NDArray[np.float64]
PValueMethod: TypeAlias = Literal["Boschloo", "Fisher mid-P"]

# exp(40) is a ratio of 2e17: beyond any interval that counts of real units can produce.
_LOG_RATIO_RANGE = 40.0
# 80 / 2**60 is below the spacing of doubles near log 4.
_BISECTIONS = 60
# One Boschloo p-value takes about 0.1 s at 300 units and over a minute at 5,000.
_BOSCHLOO_MAX_UNITS = 300


@dataclass(frozen=True)
class TwoByTwo:
    """Counts of units by signal and outcome. Tables of disjoint units add.

    Rates are fractions of 1, and None where their arm is empty.
    """

    converted_with: int
    units_with: int
    converted_without: int
    units_without: int

    def __post_init__(self) -> None:
        self._check_arm("converted_with", "units_with")
        self._check_arm("converted_without", "units_without")

    def _check_arm(self, converted_field: str, units_field: str) -> None:
        for field in (converted_field, units_field):
            try:
                # numpy integers become plain ones, so that a table can be written as JSON
                object.__setattr__(self, field, operator.index(getattr(self, field)))
            except TypeError:
                raise _table_error(field, f"is {getattr(self, field)!r}; give a whole number") from None
        converted, units = getattr(self, converted_field), getattr(self, units_field)
        if units < 0:
            raise _table_error(units_field, f"is {units}; give 0 or more")
        if not 0 <= converted <= units:
            raise _table_error(converted_field, f"is {converted} of {units} units; give a number from 0 to {units}")

    @property
    def cells(self) -> tuple[int, int, int, int]:
        """The four counts in the order in which the functions below take them."""
        return self.converted_with, self.units_with, self.converted_without, self.units_without

    @property
    def units(self) -> int:
        """All units."""
        return self.units_with + self.units_without

    @property
    def converted(self) -> int:
        """All conversions."""
        return self.converted_with + self.converted_without

    @property
    def rate_with(self) -> float | None:
        """Share of units with the signal that converted."""
        return _share(self.converted_with, self.units_with)

    @property
    def rate_without(self) -> float | None:
        """Share of units without the signal that converted."""
        return _share(self.converted_without, self.units_without)

    @property
    def base_rate(self) -> float | None:
        """Share of all units that converted; not the rate without the signal."""
        return _share(self.converted, self.units)

    @property
    def expected_with(self) -> float:
        """Conversions to expect with the signal if it made no difference."""
        return self.units_with * (self.base_rate or 0.0)

    @property
    def lift(self) -> float | None:
        """Risk ratio, rate with / rate without; None for an empty arm or no conversion without the signal."""
        if self.rate_with is None or not self.rate_without:
            return None
        return self.rate_with / self.rate_without

    @property
    def extra_points(self) -> float | None:
        """Risk difference, rate with - rate without, as a fraction: 0.108 is shown as 10.8 points."""
        if self.rate_with is None or self.rate_without is None:
            return None
        return self.rate_with - self.rate_without

    @property
    def precision(self) -> float | None:
        """Share of units with the signal that converted."""
        return self.rate_with

    @property
    def coverage(self) -> float | None:
        """Share of all conversions that carried the signal; None without conversions."""
        return _share(self.converted_with, self.converted)

    def __add__(self, other: TwoByTwo) -> TwoByTwo:
        return TwoByTwo(
            self.converted_with + other.converted_with,
            self.units_with + other.units_with,
            self.converted_without + other.converted_without,
            self.units_without + other.units_without,
        )


@dataclass(frozen=True)
class PValue:
    """A two-sided p-value with the name of its test; ``value`` is None when an arm is empty."""

    value: float | None
    method: PValueMethod


def normal_quantile(confidence: float) -> float:
    """Return z with ``confidence`` of the standard normal between -z and z; 1.96 for 0.95."""
    from scipy.special import ndtri

    if not 0 < confidence < 1:
        raise InputError(f"confidence is {confidence}; give a number between 0 and 1, such as 0.95")
    return float(-ndtri((1 - confidence) / 2))


def checked_counts(a: ArrayLike, n1: ArrayLike, c: ArrayLike, n0: ArrayLike) -> tuple[Floats, Floats, Floats, Floats]:
    """Return the four counts as float64 arrays of their common shape; InputError for impossible ones."""
    broadcast = np.broadcast_arrays(a, n1, c, n0)
    return *_arm(broadcast[0], broadcast[1]), *_arm(broadcast[2], broadcast[3])


def wilson_interval(x: ArrayLike, n: ArrayLike, confidence: float = 0.95) -> tuple[Floats, Floats]:
    """Score interval of one rate, x of n; 0 to 1 where n is 0.

    Wilson (1927), JASA 22:209.
    """
    count, units = _arm(x, n)
    z = normal_quantile(confidence)
    with np.errstate(invalid="ignore", divide="ignore"):
        rate = count / units
        centre = (rate + z**2 / (2 * units)) / (1 + z**2 / units)
        half = z / (1 + z**2 / units) * np.sqrt(rate * (1 - rate) / units + z**2 / (4 * units**2))
    # The limit is exactly the end of the scale at x = 0 and x = n; rounding would miss it by 1e-17.
    lower = np.where(count == 0, 0.0, centre - half)
    upper = np.where(count == units, 1.0, centre + half)
    return lower, upper


def risk_ratio_interval(
    a: ArrayLike,
    n1: ArrayLike,
    c: ArrayLike,
    n0: ArrayLike,
    confidence: float = 0.95,
    correction: bool = True,
) -> tuple[Floats, Floats]:
    """Score interval of the lift (a/n1) / (c/n0).

    Miettinen & Nurminen (1985), Stat Med 4:213; without ``correction`` Koopman (1984), Biometrics 40:513.
    Lower is 0 where a is 0 and upper is inf where c is 0; no conversion at all, or an empty arm, says
    nothing about the ratio: 0 to inf.
    """
    a, n1, c, n0 = checked_counts(a, n1, c, n0)
    z = normal_quantile(confidence)
    lowest, highest = np.full(a.shape, -_LOG_RATIO_RANGE), np.full(a.shape, _LOG_RATIO_RANGE)
    with np.errstate(invalid="ignore", divide="ignore"):
        estimate = np.log(a / n1) - np.log(c / n0)
    known = np.isfinite(estimate)
    # Both limits at once: half as many steps.
    low = np.stack([lowest, np.where(known, estimate, lowest)])
    high = np.stack([np.where(known, estimate, highest), highest])
    target = np.reshape([z, -z], (2, *(1 for _ in a.shape)))
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        below_root = _ratio_score(a, n1, c, n0, np.exp(middle), correction) > target
        low, high = np.where(below_root, middle, low), np.where(below_root, high, middle)
    lower, upper = np.exp((low + high) / 2)
    unknown = (n1 == 0) | (n0 == 0)
    return np.where(unknown | (a == 0), 0.0, lower), np.where(unknown | (c == 0), np.inf, upper)


def _ratio_score(a: Floats, n1: Floats, c: Floats, n0: Floats, ratio: Floats, correction: bool) -> Floats:
    """Score statistic of the hypothesis that the risk ratio is ``ratio``; falls as ``ratio`` grows."""
    n = n1 + n0
    linear = n1 * ratio + a + n0 + c * ratio
    discriminant = np.maximum(linear**2 - 4 * n * ratio * (a + c), 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        # Smaller root of n ratio p^2 - linear p + (a + c) = 0, in the form that does not cancel.
        p0 = np.minimum(2 * (a + c) / (linear + np.sqrt(discriminant)), 1)
        p1 = np.minimum(ratio * p0, 1)
        variance = p1 * (1 - p1) / n1 + ratio**2 * p0 * (1 - p0) / n0
        if correction:
            variance = variance * n / (n - 1)
        score: Floats = (a / n1 - ratio * c / n0) / np.sqrt(variance)
    return score


def risk_difference_interval(
    a: ArrayLike, n1: ArrayLike, c: ArrayLike, n0: ArrayLike, confidence: float = 0.95
) -> tuple[Floats, Floats]:
    """Hybrid score interval of a/n1 - c/n0, from two Wilson intervals; -1 to 1 for an empty arm.

    Newcombe (1998), Stat Med 17:873, method 10.
    """
    a, n1, c, n0 = checked_counts(a, n1, c, n0)
    lower1, upper1 = wilson_interval(a, n1, confidence)
    lower0, upper0 = wilson_interval(c, n0, confidence)
    with np.errstate(invalid="ignore", divide="ignore"):
        p1, p0 = a / n1, c / n0
    lower = p1 - p0 - np.hypot(p1 - lower1, upper0 - p0)
    upper = p1 - p0 + np.hypot(upper1 - p1, p0 - lower0)
    unknown = (n1 == 0) | (n0 == 0)
    return np.where(unknown, -1.0, lower), np.where(unknown, 1.0, upper)


def log_mid_p(a: ArrayLike, n1: ArrayLike, c: ArrayLike, n0: ArrayLike) -> Floats:
    """Natural log of the two-sided Fisher mid-P value; finite however small the p-value is.

    Twice the smaller tail of the hypergeometric distribution given all margins, the observed table counted
    half, at most 1: Lancaster (1961), JASA 56:223; Hwang & Yang (2001), Stat Sinica 11:807. The tail is the
    probability of the observed table times a sum of products of ratios of neighbouring tables, so nothing
    is subtracted and nothing underflows. An empty arm, or an outcome all units share, gives 0 (p = 1).
    """
    from scipy.special import betaln

    a, n1, c, n0 = checked_counts(a, n1, c, n0)
    # The lower tail of one arm is the upper tail of the other.
    swap = a * n0 < c * n1
    a, c = np.where(swap, c, a), np.where(swap, a, c)
    n1, n0 = np.where(swap, n0, n1), np.where(swap, n1, n0)

    def log_choose(n: Floats, k: Floats) -> Floats:
        result: Floats = -np.log1p(n) - betaln(n - k + 1, k + 1)
        return result

    log_observed = log_choose(n1, a) + log_choose(n0, c) - log_choose(n1 + n0, a + c)
    tail = log_observed + np.log(_relative_upper_tail(a, n1, c, n0))
    # Within rounding of the mean the chosen tail can be the larger one; there 1 - tail loses nothing.
    smaller = np.where(tail > np.log(0.5), np.log1p(-np.exp(tail)), tail)
    log_p: Floats = np.minimum(np.log(2) + smaller, 0.0)
    return log_p


def _relative_upper_tail(a: Floats, n1: Floats, c: Floats, n0: Floats) -> Floats:
    """(P(more than a) + P(a) / 2) / P(a), for a at or above its mean, where the terms only fall."""
    shape = a.shape
    a, n1, c, n0 = (np.ravel(x) for x in (a, n1, c, n0))
    total, live = np.full(a.shape, 0.5), np.arange(a.size)
    term = np.ones(a.shape)
    step = 0
    while live.size:
        more, fewer = a + step, c - step
        term = term * fewer * (n1 - more) / ((more + 1) * (n0 - fewer + 1))
        total[live] += term
        keep = term > 1e-17 * total[live]
        if not keep.all():
            live, term = live[keep], term[keep]
            a, n1, c, n0 = a[keep], n1[keep], c[keep], n0[keep]
        step += 1
    return total.reshape(shape)


def mid_p(a: ArrayLike, n1: ArrayLike, c: ArrayLike, n0: ArrayLike) -> Floats:
    """Two-sided Fisher mid-P value, see log_mid_p.

    Accurate down to 1e-307; from there digits are lost, and below 5e-324 it is 0: rank by log_mid_p.
    """
    p: Floats = np.exp(log_mid_p(a, n1, c, n0))
    return p


def p_value(table: TwoByTwo) -> PValue:
    """P-value of "the signal makes no difference": Boschloo up to 300 units, Fisher mid-P above.

    Boschloo (1970), Stat Neerl 24:1, holds its level in every sample size. It is searched numerically, so
    it is for the one table on a screen, never for a list of candidates.
    """
    from scipy.stats import boschloo_exact

    a, n1, c, n0 = table.converted_with, table.units_with, table.converted_without, table.units_without
    small = table.units <= _BOSCHLOO_MAX_UNITS
    method: PValueMethod = "Boschloo" if small else "Fisher mid-P"
    if n1 == 0 or n0 == 0:
        return PValue(None, method)
    if table.converted in (0, table.units):
        return PValue(1.0, method)
    if small:
        return PValue(float(boschloo_exact([[a, c], [n1 - a, n0 - c]]).pvalue), method)
    return PValue(float(mid_p(a, n1, c, n0)), method)


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _table_error(field: str, problem: str) -> InputError:
    return InputError(f"{field} {problem}", {field: problem})


def _arm(x: ArrayLike, n: ArrayLike) -> tuple[Floats, Floats]:
    count, units = np.broadcast_arrays(np.asarray(x, dtype=np.float64), np.asarray(n, dtype=np.float64))
    if not np.all((count >= 0) & (count <= units)):
        raise InputError("a count is negative or larger than its arm; give counts from 0 to the arm's size")
    return count, units
