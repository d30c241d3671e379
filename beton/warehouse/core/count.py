"""The units of one signal on a frame, counted to the figures that SQL's rows give."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from beton.model.signal import SignalDefinition
from beton.stats.clustered import ClusterMoments
from beton.stats.proportions import TwoByTwo
from beton.warehouse.compile import NEVER
from beton.warehouse.core.arrays import Core
from beton.warehouse.core.frame import Frame
from beton.warehouse.core.kernels import Cohort, products, tally
from beton.warehouse.core.match import match_s
from beton.warehouse.counts import EVALUATING, CohortCounts, Step


def count_core(
    core: Core, signal: SignalDefinition, frame: Frame, landmark_s: int, excluded: Mapping[int, int], on_step: Step
) -> CohortCounts:
    """Evaluate the signal and count; ``excluded`` are the units outside every cohort, by status."""
    on_step(EVALUATING, 0.0)
    return count_matches(match_s(core, signal, landmark_s, frame.unit), frame, excluded, on_step)


def count_matches(held_s: NDArray[np.int64], frame: Frame, excluded: Mapping[int, int], on_step: Step) -> CohortCounts:
    """Count a signal that matched each user (or account) at second ``held_s``, ``NEVER`` where it did not."""
    on_step("Counting conversions", 0.7)
    units = Cohort(
        frame.unit, frame.cluster, frame.month_row, frame.t0_s, frame.outcome_at_s, frame.status, frame.converted
    )
    by_month, by_cluster, lead_s, match_day = tally(held_s, units, frame.months.size, frame.clusters)
    return CohortCounts(
        status_units=frame.status_units | dict(excluded),
        months={
            month: TwoByTwo(a, a + failed, c, c + missed)
            for month, (missed, c, failed, a) in zip(frame.months.tolist(), by_month.tolist(), strict=True)
        },
        moments=ClusterMoments(*products(by_cluster).tolist()),
        lead_s=lead_s,
        first_matches=_by_day(match_day),
        period_s=frame.period_s,
    )


def _by_day(days: NDArray[np.int64]) -> dict[int, int]:
    """How often there is each day. Days of one history lie close together, so counting them needs no sort."""
    first = int(days.min(initial=NEVER))
    times = np.bincount(days - first)
    found = np.flatnonzero(times)
    return dict(zip((found + first).tolist(), times[found].tolist(), strict=True))
