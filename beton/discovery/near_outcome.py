"""Events that come with the outcome: they tell of a decision already made, so they make no signal."""

from __future__ import annotations

from typing import Final

import numpy as np

from beton.model.discovery import NearOutcome
from beton.model.signal import DAY_S
from beton.warehouse.compile import NEVER
from beton.warehouse.core.arrays import Core
from beton.warehouse.core.frame import Frame

NEAR_DAYS: Final = 7
MIN_CONVERTERS: Final = 10
NEAR_SHARE: Final = 0.5


def near_outcome(core: Core, rows: Frame, split_s: int) -> tuple[NearOutcome, ...]:
    """Return the events that at least half of their converters first do in the week before the outcome.

    Looked at are converters of the training period (time zero before ``split_s``) who did it before, or within a day
    of, their outcome; what comes later never enters a landmark's window.
    """
    found = []
    wait_s = np.full(core.users.t0_s.size, NEVER, dtype=np.int64)
    has_outcome = (rows.outcome_at_s < NEVER) & (rows.outcome_at_s >= rows.t0_s) & (rows.t0_s < split_s)
    wait_s[rows.unit[has_outcome]] = (rows.outcome_at_s - rows.t0_s)[has_outcome]
    for code, event in enumerate(core.event_names):
        pairs = slice(int(core.event_pairs[code]), int(core.event_pairs[code + 1]))
        first = np.asarray(core.pair_zero[pairs])
        some = first < core.pair_start[pairs.start + 1 : pairs.stop + 1]
        at_s, wait = core.rel_s[first[some]].astype(np.int64), wait_s[core.pair_user[pairs][some]]
        before = (wait < NEVER) & (at_s < wait + DAY_S)
        near = before & (at_s >= wait - NEAR_DAYS * DAY_S)
        converters, close = int(before.sum()), int(near.sum())
        if converters >= MIN_CONVERTERS and close >= NEAR_SHARE * converters:
            sentence = (
                f"{close:,} of {converters:,} converters of the earlier period who did {event} by the day after the "
                f"outcome first did it from {NEAR_DAYS} days before it on: it comes with the decision, not ahead of it"
            )
            found.append(NearOutcome(event, converters, close, sentence))
    return tuple(found)
