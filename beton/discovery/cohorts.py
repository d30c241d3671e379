"""The cohort of each landmark, cut into an earlier training period and a later one that discovery never sees."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Final

import numpy as np
from numpy.typing import NDArray

from beton.discovery.occurrences import events_by_day
from beton.errors import InputError
from beton.model.discovery import DiscoverySettings, LandmarkCohort, Period
from beton.model.outcome import Outcome, Unit
from beton.model.signal import DAY_S, DEFAULT_LANDMARK_DAYS
from beton.warehouse.core.arrays import Core
from beton.warehouse.core.frame import Frame, frame
from beton.warehouse.landmark import Clock

Bools = NDArray[np.bool_]
ClockOf = Callable[[float], Clock]
FrameOf = Callable[[Core, Unit, Outcome, Clock], Frame]

# Bands of employees in common use, so that nobody chose them with an eye on the outcome.
SIZE_EDGES: Final = (11, 51, 201, 501, 1001)
# Inside a band nobody has over 1.25 times the events of another: the long tail, where activity matters most, gets as
# many bands as it is long. Quantiles would put all of it into one, and "50+ page views" would pass as its upper end.
ACTIVITY_STEP: Final = 1.25
DAYS_QUANTILES: Final = (0.25, 0.5, 0.75, 0.9)
MONTHS_PER_QUARTER: Final = 3
MIN_CONVERSIONS: Final = 10


@dataclass(frozen=True)
class Cohort:
    """One landmark's cohort; all arrays have one entry per row of ``frame``.

    ``activity`` is the number of events before the landmark; ``stratum`` codes events x active days x signup quarter x
    account size, all in bands, for adjustment.
    """

    landmark_days: int
    frame: Frame
    train: Bools
    holdout: Bools
    activity: NDArray[np.int64]
    stratum: NDArray[np.int64]

    def facts(self, features: int) -> LandmarkCohort:
        """Return the cohort as it is shown."""
        eligible = self.frame.eligible
        return LandmarkCohort(
            landmark_days=self.landmark_days,
            eligible=int(eligible.sum()),
            train=_period(self.frame, self.train),
            holdout=_period(self.frame, self.holdout),
            purged=int((eligible & ~self.train & ~self.holdout).sum()),
            features=features,
        )


def split_at_s(
    core: Core, outcome: Outcome, clock_of: ClockOf, settings: DiscoverySettings, frame_of: FrameOf = frame
) -> int:
    """Return the epoch second before which units train.

    It leaves ``holdout_share`` of the units outside the purge to the later period, for the default landmark, unless
    ``holdout_from`` says where that begins.

    Raises:
        InputError: the history is too short to hold a period back, or ``holdout_from`` is no date.
    """
    if settings.holdout_from:
        return _day_s(settings.holdout_from)
    clock = clock_of(DEFAULT_LANDMARK_DAYS)
    rows = frame_of(core, "user", outcome, clock)
    purge_s = clock.landmark_s + clock.gap_s + clock.horizon_s
    t0_s = np.sort(rows.t0_s[rows.eligible])
    before = np.arange(t0_s.size)
    after = t0_s.size - np.searchsorted(t0_s, t0_s + purge_s)
    share = after / np.maximum(before + after, 1)
    at = int(np.searchsorted(-share, -settings.holdout_share))
    if at == 0 or at >= t0_s.size or after[at] == 0:
        days = purge_s // DAY_S
        raise InputError(
            f"The history is too short to hold a period back: signups must span well over {days} days that have "
            "matured; import more months, or shorten the outcome's horizon_days."
        )
    return int(t0_s[at])


def _day_s(day: str) -> int:
    try:
        return int(datetime.combine(date.fromisoformat(day), time(), UTC).timestamp())
    except ValueError:
        raise InputError(f"{day!r} is no date; give one such as 2024-07-01") from None


def cohorts(
    core: Core,
    outcome: Outcome,
    clock_of: ClockOf,
    landmarks_days: Sequence[int],
    split_s: int,
    is_purged: bool = True,
    frame_of: FrameOf = frame,
) -> list[Cohort]:
    """Return the ``cohort`` of each landmark; the events are read once for all of them."""
    clocks = [clock_of(each) for each in landmarks_days]
    frames = [frame_of(core, "user", outcome, clock) for clock in clocks]
    daily = _daily(core, frames[0], max(clock.landmark_s for clock in clocks))
    return [
        _split(core, rows, clock, days, daily[:, :days], split_s, is_purged)
        for rows, clock, days in zip(frames, clocks, landmarks_days, strict=True)
    ]


def cohort(
    core: Core, outcome: Outcome, clock: Clock, landmark_days: int, split_s: int, is_purged: bool = True
) -> Cohort:
    """Return the cohort of one landmark, split at ``split_s``, with a purge of L + gap + H behind it if ``is_purged``.

    Raises:
        InputError: a period holds too few conversions to learn from.
    """
    rows = frame(core, "user", outcome, clock)
    return _split(core, rows, clock, landmark_days, _daily(core, rows, clock.landmark_s), split_s, is_purged)


def _daily(core: Core, rows: Frame, before_s: int) -> NDArray[np.int32]:
    position = np.full(core.users.t0_s.size, -1, dtype=np.int64)
    position[rows.unit] = np.arange(rows.unit.size)
    return events_by_day(core, position, rows.unit.size, before_s)


def _split(
    core: Core,
    rows: Frame,
    clock: Clock,
    landmark_days: int,
    daily: NDArray[np.int32],
    split_s: int,
    is_purged: bool,
) -> Cohort:
    """``daily`` (rows, days): events of each day before the landmark."""
    purge_s = clock.landmark_s + clock.gap_s + clock.horizon_s if is_purged else 0
    train = rows.eligible & (rows.t0_s < split_s)
    holdout = rows.eligible & (rows.t0_s >= split_s + purge_s)
    if int(rows.converted[train].sum()) < MIN_CONVERSIONS:
        raise InputError(
            f"Only {int(rows.converted[train].sum())} conversions to learn from; discovery needs {MIN_CONVERSIONS}: "
            "import more history, or choose a more common outcome."
        )
    activity = daily.sum(axis=1, dtype=np.int64)
    active_days = (daily[:, :landmark_days] > 0).sum(axis=1)
    return Cohort(landmark_days, rows, train, holdout, activity, strata(core, rows, activity, active_days))


def strata(core: Core, rows: Frame, activity: NDArray[np.int64], days: NDArray[np.int64]) -> NDArray[np.int64]:
    """Code events x active days x signup quarter x account size, in bands, as one integer per row, dense from 0.

    Two measures of activity, because either alone leaves some of it: many events on one day are not many days.
    """
    quarter = rows.month // 100 * 4 + (rows.month % 100 - 1) // MONTHS_PER_QUARTER
    bands = (
        activity_band(activity),
        _banded(days, DAYS_QUANTILES, rows.eligible),
        quarter,
        _size_band(core, rows),
    )
    code = np.zeros(rows.unit.size, dtype=np.int64)
    for band in bands:
        dense = _dense(band)
        code = code * (int(dense.max(initial=0)) + 1) + dense
    return _dense(code)


def _dense(values: NDArray[np.int64]) -> NDArray[np.int64]:
    """Number the values that occur from 0 in their order."""
    place: NDArray[np.int64] = np.cumsum(np.bincount(values) > 0) - 1
    return place[values]


def activity_band(events: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the band of each count between the powers of ``ACTIVITY_STEP``, 0 for none at all."""
    step = np.floor(np.log(np.maximum(events, 1)) / np.log(ACTIVITY_STEP))
    return np.where(events > 0, 1 + step, 0).astype(np.int64)


def _banded(values: NDArray[np.int64], quantiles: tuple[float, ...], of: Bools) -> NDArray[np.int64]:
    """Return the band of each value between quantiles of the values ``of`` some rows."""
    edges = np.quantile(values[of], quantiles) if of.any() else np.zeros(1)
    return np.searchsorted(edges, values, side="right").astype(np.int64)


def _size_band(core: Core, rows: Frame) -> NDArray[np.int64]:
    """Band of employees, 0 where unknown; without that column, of the users that the account has."""
    column = core.users.columns.get("company_size")
    if column is not None and column.kind == "number":
        size = column.values[rows.unit]
        band: NDArray[np.int64] = np.where(np.isfinite(size), np.searchsorted(SIZE_EDGES, size, side="right") + 1, 0)
        return band
    keys = core.users.company_key
    users = np.bincount(keys[keys >= 0], minlength=int(keys.max(initial=-1)) + 1)
    own = keys[rows.unit]
    seen = np.where(own >= 0, users[np.maximum(own, 0)] if users.size else 0, 0)
    return np.minimum(seen, len(SIZE_EDGES) + 1)


def _period(rows: Frame, member: Bools) -> Period:
    if not member.any():
        return Period("", "", 0, 0)
    first, last = (datetime.fromtimestamp(int(at), UTC).date().isoformat() for at in _ends(rows.t0_s[member]))
    return Period(first, last, int(member.sum()), int(rows.converted[member].sum()))


def _ends(t0_s: NDArray[np.int64]) -> tuple[int, int]:
    return int(t0_s.min()), int(t0_s.max())
