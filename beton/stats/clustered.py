"""Lift and extra points when users share an account, and an account converts as a whole.

Ten sums over accounts carry everything the account-clustered sandwich variance needs, so a warehouse can
deliver them with one GROUP BY and shards can be added up. They stay Python's unbounded integers until the
last division: what the subtractions leave is exact.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import ArrayLike, NDArray

from beton.stats.proportions import TwoByTwo, normal_quantile

# Counting over this many times as many numbers as there are units is still cheaper than sorting their keys.
_MOST_GAPS = 4
# Cells of a matrix by a, n, c and m in the order of the fields of ClusterMoments.
_UPPER = np.triu_indices(4)


@dataclass(frozen=True)
class ClusterMoments:
    """Sums over accounts g of products of two counts of the account.

    The letters: a = converted with the signal, n = units with, c = converted without, m = units without;
    ``am`` is the sum of a_g * m_g. Adding is right when no account is split between the two summands.
    """

    clusters: int
    aa: int
    an: int
    ac: int
    am: int
    nn: int
    nc: int
    nm: int
    cc: int
    cm: int
    mm: int

    def __add__(self, other: ClusterMoments) -> ClusterMoments:
        return ClusterMoments(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))

    @classmethod
    def from_arrays(cls, converted: ArrayLike, signal: ArrayLike, cluster: ArrayLike) -> ClusterMoments:
        """Build from one entry per unit: two booleans and the key of its account, all of shape (units,).

        A unit without an account needs a key of its own, or all such units count as one account.
        """
        has_signal, success = np.asarray(signal, dtype=bool), np.asarray(converted, dtype=bool)
        account = _numbered(np.asarray(cluster))
        code, size = account * 4 + has_signal * 2 + success, 4 * (int(account.max(initial=-1)) + 1)
        missed, c, failed, a = np.bincount(code, minlength=size).reshape(-1, 4).T
        sides = np.stack((a, a + failed, c, c + missed))
        # Whole numbers that float64 holds add up exactly, and many times as fast.
        sides = sides.astype(np.float64 if has_signal.size**2 < 2**53 else np.int64)
        sums = (sides @ sides.T)[_UPPER]
        return cls(int(np.count_nonzero(sides[1] + sides[3])), *(int(each) for each in sums))


def _numbered(keys: NDArray[np.generic]) -> NDArray[np.int64]:
    """Return a number per key for counting by it; numbers that leave few gaps stand for themselves, unsorted."""
    if keys.size and keys.dtype.kind == "i" and keys.min() >= 0 and keys.max() < _MOST_GAPS * keys.size:
        return keys.astype(np.int64)
    numbers: NDArray[np.int64] = np.unique(keys, return_inverse=True)[1].astype(np.int64)
    return numbers


@dataclass(frozen=True)
class ClusteredRatio:
    """Lift with an account-clustered interval, p-value of lift 1, and standard error of log lift.

    ``design_effect`` is the variance over what it would be if units of one account were independent: 2 says
    the table is worth half its units.
    """

    lift: float
    lower: float
    upper: float
    p_value: float
    standard_error_log: float
    design_effect: float


@dataclass(frozen=True)
class ClusteredDifference:
    """Rate difference (a fraction) with an account-clustered interval; design effect as in ClusteredRatio."""

    difference: float
    lower: float
    upper: float
    p_value: float
    standard_error: float
    design_effect: float


def clustered_ratio(table: TwoByTwo, moments: ClusterMoments, confidence: float = 0.95) -> ClusteredRatio | None:
    """Clustered inference on the lift of ``table``, whose units are those of ``moments``.

    The sandwich variance of log lift of a Poisson regression on the signal: Zou (2004), Am J Epidemiol
    159:702; clustered, Zou & Donner (2013), Stat Methods Med Res 22:661; times clusters / (clusters - 1).
    None where it does not exist or is worthless, and the score interval still speaks: a cell of the table
    is empty, fewer than two accounts, or accounts so alike that the variance vanishes.
    """
    z = normal_quantile(confidence)
    variances = _variances(table, moments, 1.0, 1.0)
    if variances is None or not table.lift:
        return None
    clustered, independent = variances
    log_lift, error = math.log(table.lift), math.sqrt(clustered)
    return ClusteredRatio(
        lift=table.lift,
        lower=math.exp(log_lift - z * error),
        upper=math.exp(log_lift + z * error),
        p_value=_two_sided(log_lift / error),
        standard_error_log=error,
        design_effect=clustered / independent,
    )


def clustered_difference(
    table: TwoByTwo, moments: ClusterMoments, confidence: float = 0.95
) -> ClusteredDifference | None:
    """Clustered inference on rate with - rate without: the sandwich of least squares on the signal.

    Liang & Zeger (1986), Biometrika 73:13, times clusters / (clusters - 1). None as in clustered_ratio;
    Newcombe's interval still speaks there.
    """
    z = normal_quantile(confidence)
    if table.rate_with is None or table.rate_without is None:
        return None
    variances = _variances(table, moments, table.rate_with, table.rate_without)
    if variances is None:
        return None
    clustered, independent = variances
    difference, error = table.rate_with - table.rate_without, math.sqrt(clustered)
    return ClusteredDifference(
        difference=difference,
        lower=max(-1.0, difference - z * error),
        upper=min(1.0, difference + z * error),
        p_value=_two_sided(difference / error),
        standard_error=error,
        design_effect=clustered / independent,
    )


def _variances(
    table: TwoByTwo, moments: ClusterMoments, weight_with: float, weight_without: float
) -> tuple[float, float] | None:
    """Clustered and independent variance of weight_with * log(rate with) - weight_without * log(rate without).

    Sum over accounts of the squared sum of their units' influences (y - p) / (n p). The difference of the
    rates themselves has the rates as weights.
    """
    a, n, c, m = table.converted_with, table.units_with, table.converted_without, table.units_without
    if not (0 < a < n and 0 < c < m) or moments.clusters < 2:
        return None
    s = moments
    own_with = (n * n * s.aa - 2 * a * n * s.an + a * a * s.nn) / (n * a) ** 2
    own_without = (m * m * s.cc - 2 * c * m * s.cm + c * c * s.mm) / (m * c) ** 2
    shared = (n * m * s.ac - n * c * s.am - m * a * s.nc + a * c * s.nm) / (n * m * a * c)
    clustered = weight_with**2 * own_with + weight_without**2 * own_without
    clustered -= 2 * weight_with * weight_without * shared
    # Rounding of the three parts, relative to their size, is all that is left when accounts are alike.
    if clustered <= 1e-12 * (weight_with**2 * own_with + weight_without**2 * own_without):
        return None
    independent = weight_with**2 * (n - a) / (n * a) + weight_without**2 * (m - c) / (m * c)
    units = table.units
    return clustered * s.clusters / (s.clusters - 1), independent * units / (units - 1)


def _two_sided(z: float) -> float:
    """Both tails of the standard normal beyond z, without subtracting from 1."""
    return math.erfc(abs(z) / math.sqrt(2))
