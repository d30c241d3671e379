"""What the page of one signal shows beyond its backtest: every comparison that could speak against it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from beton.model.discovery import Estimate, Period
from beton.model.evidence import Interval, Note
from beton.model.ladder import Rung

CompareBy = Literal["period", "adjusted", "segment", "month"]
Severity = Literal["clear", "warning", "unknown"]


@dataclass(frozen=True)
class Comparison:
    """One row of the forest plot; ``group`` says what the units of the row share, ``label`` which of them."""

    group: CompareBy
    by: str
    label: str
    estimate: Estimate


@dataclass(frozen=True)
class Curve:
    """Cumulative conversion since time zero of one arm (1 - Kaplan-Meier), as steps, with 95% limits.

    ``days``, ``share``, ``lower`` and ``upper`` have one entry per step, at most 200; shares are between 0 and 1. The
    first entry is where the outcome window opens and ``units`` are at risk, the last where it closes or the data end.
    """

    days: tuple[float, ...]
    share: tuple[float, ...]
    lower: tuple[float, ...]
    upper: tuple[float, ...]
    units: int
    converted: int


@dataclass(frozen=True)
class HeatMap:
    """Held-out lift of "``event`` at least k times in d days" for every k of ``counts`` and d of ``windows_days``.

    ``cells[i][j]`` belongs to ``counts[i]`` and ``windows_days[j]``; None where a side has no units. ``chosen`` is the
    signal's own cell, None when the signal is not of this form alone.
    """

    event: str
    counts: tuple[int, ...]
    windows_days: tuple[float, ...]
    cells: tuple[tuple[Estimate | None, ...], ...]
    chosen: tuple[int, int] | None


@dataclass(frozen=True)
class Doubt:
    """One reason why the signal may be wrong, and what the data says about it."""

    key: str
    title: str
    severity: Severity
    sentence: str


@dataclass(frozen=True)
class Overlap:
    """How many eligible units of this signal's cohort carry it and another saved signal."""

    signal_id: str
    name: str
    both: int
    only_this: int
    only_other: int

    @property
    def jaccard(self) -> float:
        """Units that carry both over units that carry either; 0 where nobody does."""
        either = self.both + self.only_this + self.only_other
        return self.both / either if either else 0.0


@dataclass(frozen=True)
class CannotExamine:
    """There is no examination of a signal on the current data, and why not."""

    reason: str


@dataclass(frozen=True)
class Brief:
    """The figures of one signal that a list shows; the same as in a discovery run that lists it.

    ``train`` and ``held_out`` are earlier and later cohorts. ``q_value`` is over what ``family`` describes in words (a
    discovery run, or this one hypothesis). ``confidence``, ``shrunk_lift`` and its interval need the prior of
    a discovery run; None without one.
    """

    definition_hash: str
    train: Estimate
    held_out: Estimate
    held_out_p: float | None
    q_value: float
    family: str
    shrunk_lift: float | None
    shrunk_interval: Interval | None
    confidence: float | None
    adjusted: Estimate | None
    rung: Rung


@dataclass(frozen=True)
class Examination(Brief):
    """Everything about one signal on one snapshot.

    ``purged`` units lie between the periods. ``e_value`` is of the adjusted lift and of its limit nearer to 1.
    ``homogeneity_p`` is Breslow-Day over the strata of the adjustment, rough where these are small.
    """

    snapshot_version: str
    train_period: Period
    held_out_period: Period
    purged: int
    homogeneity_p: float | None
    e_value: tuple[float, float] | None
    comparisons: tuple[Comparison, ...]
    with_signal: Curve | None
    without_signal: Curve | None
    heat_map: HeatMap | None
    doubts: tuple[Doubt, ...]
    notes: tuple[Note, ...] = ()
