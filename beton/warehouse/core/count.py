"""The counts of one signal on a frame: the same as ``counts.count_cohort`` takes from rows that SQL made."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from beton.model.signal import DAY_S, SignalDefinition
from beton.stats.clustered import ClusterMoments
from beton.stats.proportions import TwoByTwo
from beton.warehouse.compile import NEVER
from beton.warehouse.core.arrays import Core
from beton.warehouse.core.frame import Frame
from beton.warehouse.core.match import match_s
from beton.warehouse.counts import CohortCounts
from beton.warehouse.landmark import ELIGIBLE, IMMATURE, NOT_AT_RISK


def count_core(
    core: Core, signal: SignalDefinition, frame: Frame, landmark_s: int, excluded: Mapping[int, int]
) -> CohortCounts:
    """Evaluate the signal and count; ``excluded`` are the units outside every cohort, by status."""
    held_s = match_s(core, signal, landmark_s)[frame.unit]
    has_signal, eligible = held_s < NEVER, frame.eligible
    matched_at_s = frame.t0_s + held_s
    hits = eligible & has_signal & frame.converted
    chosen = has_signal & (matched_at_s < frame.outcome_at_s)
    chosen &= np.isin(frame.status, (ELIGIBLE, NOT_AT_RISK, IMMATURE))
    t0_s = frame.t0_s[eligible]
    return CohortCounts(
        status_units=_tally(frame.status) | dict(excluded),
        months=_months(frame.month[eligible], has_signal[eligible], frame.converted[eligible]),
        moments=ClusterMoments.from_arrays(frame.converted[eligible], has_signal[eligible], frame.cluster[eligible]),
        lead_s=frame.outcome_at_s[hits] - matched_at_s[hits],
        first_matches=_tally(matched_at_s[chosen] // DAY_S),
        period_s=(int(t0_s.min()), int(t0_s.max())) if t0_s.size else None,
    )


def _tally(codes: NDArray[np.generic]) -> dict[int, int]:
    values, units = np.unique(codes, return_counts=True)
    return dict(zip(values.tolist(), units.tolist(), strict=True))


def _months(
    month: NDArray[np.int32], has_signal: NDArray[np.bool_], converted: NDArray[np.bool_]
) -> dict[int, TwoByTwo]:
    months, place = np.unique(month, return_inverse=True)
    cells = np.bincount(place * 4 + has_signal * 2 + converted, minlength=months.size * 4).reshape(-1, 4)
    return {
        each: TwoByTwo(hits, hits + misses, quiet_hits, quiet_hits + quiet_misses)
        for each, (quiet_misses, quiet_hits, misses, hits) in zip(months.tolist(), cells.tolist(), strict=True)
    }
