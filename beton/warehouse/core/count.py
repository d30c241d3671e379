"""The rows of one signal on a frame, counted as those that SQL makes."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from beton.model.signal import SignalDefinition
from beton.warehouse.compile import NEVER
from beton.warehouse.core.arrays import Core
from beton.warehouse.core.frame import Frame
from beton.warehouse.core.match import match_s
from beton.warehouse.counts import EVALUATING, CohortCounts, Rows, Step, count_rows


def count_core(
    core: Core, signal: SignalDefinition, frame: Frame, landmark_s: int, excluded: Mapping[int, int], on_step: Step
) -> CohortCounts:
    """Evaluate the signal and count; ``excluded`` are the units outside every cohort, by status."""
    on_step(EVALUATING, 0.0)
    held_s = match_s(core, signal, landmark_s, frame.unit)[frame.unit]
    has_signal = held_s < NEVER
    rows: Rows = {
        "unit": frame.unit,
        "cluster": frame.cluster,
        "month": frame.month,
        "t0_s": frame.t0_s,
        "status": frame.status,
        "signal": has_signal,
        "converted": frame.converted,
        "matched_at_s": np.where(has_signal, frame.t0_s + held_s, NEVER),
        "outcome_at_s": frame.outcome_at_s,
    }
    return count_rows(rows, excluded, on_step)
