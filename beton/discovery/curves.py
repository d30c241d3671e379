"""Cumulative conversion with and without a signal: an early look that also uses units not yet fully watched."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from beton.discovery.cohorts import Cohort
from beton.discovery.shortlist import Bools
from beton.model.examination import Curve
from beton.model.signal import DAY_S
from beton.stats.survival import Incidence, kaplan_meier
from beton.warehouse.core.frame import Frame
from beton.warehouse.landmark import ELIGIBLE, IMMATURE, Clock

MAX_POINTS: Final = 200


def curves(cohort: Cohort, units: Bools, clock: Clock) -> tuple[Curve | None, Curve | None]:
    """Return the curves with and without the signal; None for an arm without units.

    They start when the outcome window opens, with the units that are at risk then, and end when it closes. A unit
    whose window is not over at the data's end is watched until there.
    """
    days, converted, member = watched(cohort.frame, clock)
    start = (clock.landmark_s + clock.gap_s) / DAY_S
    with_signal, without = (_curve(days[arm], converted[arm], start) for arm in (member & units, member & ~units))
    return with_signal, without


def watched(rows: Frame, clock: Clock) -> tuple[NDArray[np.float64], Bools, Bools]:
    """Return how many days after time zero each row was watched, whether it converted then, and whether it counts."""
    opens_s = rows.t0_s + clock.landmark_s + clock.gap_s
    closes_s = opens_s + clock.horizon_s
    until_s = np.minimum(closes_s, clock.data_end_s)
    # The window is open on the right, but the data are recorded up to and including their end.
    converted = (rows.outcome_at_s < closes_s) & (rows.outcome_at_s <= clock.data_end_s)
    member = np.isin(rows.status, (ELIGIBLE, IMMATURE)) & (opens_s <= clock.data_end_s)
    days = (np.where(converted, rows.outcome_at_s, until_s) - rows.t0_s) / DAY_S
    return days, converted, member


def _curve(days: NDArray[np.float64], converted: Bools, start: float) -> Curve | None:
    if not days.size:
        return None
    steps = thinned(kaplan_meier(days, converted), MAX_POINTS - 2)
    # Where nobody is left the limits are unknown: the lower stays what it was, the upper is everybody.
    known = np.isfinite(steps.lower)
    lower = np.where(known, steps.lower, np.maximum.accumulate(np.where(known, steps.lower, 0.0)))
    upper = np.where(known, steps.upper, 1.0)
    end = float(days.max())

    def drawn(values: NDArray[np.float64], first: float) -> tuple[float, ...]:
        inner = [float(value) for value in values]
        return (first, *inner, inner[-1] if inner else first)

    return Curve(
        days=(start, *(float(day) for day in steps.time), end),
        share=drawn(steps.share, 0.0),
        lower=drawn(lower, 0.0),
        upper=drawn(upper, 0.0),
        units=int(days.size),
        converted=int(converted.sum()),
    )


def thinned(steps: Incidence, most: int) -> Incidence:
    """Keep at most ``most`` steps, at even ranks, the last one among them."""
    if steps.time.size <= most:
        return steps
    kept = np.linspace(0, steps.time.size - 1, most).round().astype(np.int64)
    return Incidence(*(values[kept] for values in steps))
