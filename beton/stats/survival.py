"""Conversion over time when some units have not been watched for long: an early look at young signals."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from beton.errors import InputError
from beton.stats.proportions import Floats, normal_quantile


class Incidence(NamedTuple):
    """Steps of a cumulative incidence, float64[steps]: the share converted at and after each time."""

    time: Floats
    share: Floats
    lower: Floats
    upper: Floats


def kaplan_meier(time: ArrayLike, event: ArrayLike, confidence: float = 0.95) -> Incidence:
    """Share converted by each time a conversion was seen, with pointwise limits.

    ``time`` is how long each unit was watched, until it converted (``event`` true) or was last seen; any unit.
    1 - S of Kaplan & Meier (1958), JASA 53:457; Greenwood's variance on the log(-log) scale, Kalbfleisch &
    Prentice (1980). The limits are nan once nobody is left unconverted. Without conversions there are no steps.
    """
    z = normal_quantile(confidence)
    times, converted = np.asarray(time, dtype=np.float64), np.asarray(event, dtype=bool)
    if times.ndim != 1 or times.shape != converted.shape or not np.all((times >= 0) & np.isfinite(times)):
        raise InputError("times and conversions do not match; give each unit a time of 0 or more and yes or no")
    steps, conversions = np.unique(times[converted], return_counts=True)
    at_risk = times.size - np.searchsorted(np.sort(times), steps, side="left")
    remaining = np.cumprod(1 - conversions / at_risk).astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        greenwood = np.cumsum(conversions / (at_risk * (at_risk - conversions)))
        half = z * np.sqrt(greenwood) / -np.log(remaining)
        lower, upper = (np.where(remaining > 0, 1 - remaining ** np.exp(s * half), np.nan) for s in (-1, 1))
    return Incidence(steps, 1 - remaining, lower, upper)
