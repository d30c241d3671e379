"""What a rate difference is worth in a year, with every factor of the product kept for the screen.

``extra conversions per month = leads per month x (rate with - rate without)``; annual ARR is that x 12 x ACV.
The difference is an association unless its source is an experiment, so the projection holds "if acted upon".
ACV and ARR are in the workspace's currency.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, TypeAlias

from beton.errors import InputError

# Best first: a projection uses the first that is available, and says which.
RateDifferenceSource: TypeAlias = Literal["experiment", "doubly robust", "Mantel-Haenszel", "crude"]

_MONTHS_PER_YEAR = 12


@dataclass(frozen=True)
class Projection:
    """A yearly projection and its factors; rate differences are fractions (0.108 = 10.8 points)."""

    leads_per_month: float
    rate_difference: float
    rate_difference_lower: float
    rate_difference_upper: float
    rate_difference_source: RateDifferenceSource
    acv: float
    extra_conversions_per_month: float
    annual_arr: float
    annual_arr_lower: float
    annual_arr_upper: float


@dataclass(frozen=True)
class ExpectedConversions:
    """Conversions a month of the same leads at the rate with the signal, and at the rate without."""

    with_signal: float
    at_baseline: float


def project(
    leads_per_month: float,
    difference: float,
    lower: float,
    upper: float,
    acv: float,
    source: RateDifferenceSource,
) -> Projection:
    """Project ``difference`` (a rate difference as a fraction, with its interval) to annual ARR.

    The range carries the interval of the difference only; leads and ACV count as known.
    """
    for name, value in (("leads_per_month", leads_per_month), ("acv", acv)):
        if not (math.isfinite(value) and value >= 0):
            raise InputError(f"{name} is {value}; give a number of 0 or more", {name: "0 or more"})
    if not -1 <= lower <= difference <= upper <= 1:
        raise InputError(
            f"rate difference {difference} with interval {lower} to {upper}; "
            "give fractions from -1 to 1, the difference within its interval"
        )

    def annual(rate_difference: float) -> float:
        return leads_per_month * rate_difference * _MONTHS_PER_YEAR * acv

    return Projection(
        leads_per_month=leads_per_month,
        rate_difference=difference,
        rate_difference_lower=lower,
        rate_difference_upper=upper,
        rate_difference_source=source,
        acv=acv,
        extra_conversions_per_month=leads_per_month * difference,
        annual_arr=annual(difference),
        annual_arr_lower=annual(lower),
        annual_arr_upper=annual(upper),
    )


def attributable_difference(rate_with: float, ratio: float, lower: float, upper: float) -> tuple[float, float, float]:
    """Return the rate with the signal less that of the same units without it, ``rate_with / ratio``, and its interval.

    ``ratio`` is an adjusted risk ratio above 0 with its limits, ``upper`` may be infinite. The rate times the
    attributable fraction among the exposed, (RR - 1) / RR: Miettinen (1974), Am J Epidemiol 99:325.
    """
    low, middle, high = (max(rate_with * (1 - 1 / each), -1.0) if each else -1.0 for each in (lower, ratio, upper))
    return middle, low, high


def expected_conversions(leads_per_month: float, rate_with: float, rate_without: float) -> ExpectedConversions:
    """Conversions per month behind a sentence such as "6 a month, against 2 at baseline"."""
    return ExpectedConversions(leads_per_month * rate_with, leads_per_month * rate_without)
