"""How an estimate is written: lift, limits and what they were counted on, each in the same words everywhere."""

from __future__ import annotations

import math
from typing import Final

from beton.model.discovery import Estimate, Period
from beton.model.evidence import Table
from layouts import format
from layouts.result_figures import lift_limits

CANNOT_TELL: Final = "Cannot tell"


def lift_words(each: Estimate | None) -> str:
    """Write the lift: ``3.4x``, ``∞``, or that the data cannot tell."""
    value = None if each is None else each.ratio
    return CANNOT_TELL if value is None else format.lift(value)


def limits_words(each: Estimate | None) -> str:
    """Write the 95% interval, or why there is no lift to give one for."""
    if each is None:
        return "too few comparable people"
    return reason(each) if each.ratio is None else lift_limits(each.interval)


def reason(each: Estimate) -> str:
    """Say why an estimate has no lift."""
    if not each.table.units_with:
        return "nobody has the signal"
    if not each.table.units_without:
        return "everybody has the signal"
    return "nobody converted"


def arm_words(converted: int, units: int) -> str:
    """Write one arm: ``49 of 495``."""
    return f"{converted:,} of {units:,}"


def table_words(table: Table) -> str:
    """Write both arms in a sentence."""
    with_signal = arm_words(table.converted_with, table.units_with)
    return f"{with_signal} with the signal, {arm_words(table.converted_without, table.units_without)} without converted"


def period_words(period: Period) -> str:
    """Write a period by first and last day; the data may have none."""
    return format.date_range(period.start, period.end) if period.units else "no people in this period"


def is_clear(each: Estimate) -> bool:
    """Whether the 95% interval leaves out 1, so that chance alone is no likely cause."""
    upper = math.inf if each.interval.upper is None else each.interval.upper
    return each.ratio is not None and (each.interval.lower > 1 or upper < 1)
