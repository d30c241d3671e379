"""One discovery run: from a snapshot and an outcome to signals with their evidence."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from beton.discovery.candidates import Candidates, candidates
from beton.discovery.cohorts import ClockOf, cohort, split_at_s
from beton.discovery.families import lift
from beton.discovery.findings import Setting, findings, priors
from beton.discovery.near_outcome import near_outcome
from beton.discovery.search import Search, blocks, search
from beton.discovery.shortlist import Pruned, entries, prune
from beton.discovery.sweep import Stopped
from beton.model.discovery import DiscoveryResult, DiscoverySettings, Finding, NearOutcome, Step, VolcanoPoint
from beton.model.evidence import Note
from beton.model.manifest import Manifest
from beton.model.outcome import Outcome
from beton.model.signal import DAY_S
from beton.warehouse.core.arrays import Core

OnStep = Callable[[str, float], None]
ShouldStop = Callable[[], bool]

LN10: Final = float(np.log(10))


@dataclass(frozen=True)
class Question:
    """What is asked of which data; ``clock_of`` gives the cohort's clock for a landmark in days."""

    core: Core
    manifest: Manifest
    outcome: Outcome
    clock_of: ClockOf
    settings: DiscoverySettings


@dataclass(frozen=True)
class Answer:
    """The result, and the counted candidates behind it for the tables of the run."""

    result: DiscoveryResult
    candidates: Candidates
    search: Search


class _Stages:
    """Announces each stage with the share of the work done, times it, and stops between stages."""

    def __init__(self, on_step: OnStep, should_stop: ShouldStop) -> None:
        self._on_step, self.should_stop = on_step, should_stop
        self.timings_s: dict[str, float] = {}
        self._name, self._since = "", time.perf_counter()

    def begin(self, name: str, share: float) -> None:
        self._close()
        if self.should_stop():
            raise Stopped
        self._name = name
        self._on_step(name, share)

    def inside(self, start: float, length: float) -> Callable[[float], None]:
        """Return a callback that reports progress within the current stage."""
        return lambda share: self._on_step(self._name, start + length * share)

    def end(self) -> dict[str, float]:
        self._close()
        return self.timings_s

    def _close(self) -> None:
        now = time.perf_counter()
        if self._name:
            self.timings_s[self._name] = now - self._since
        self._since = now


def run(question: Question, on_step: OnStep, should_stop: ShouldStop = lambda: False) -> Answer:
    """Find the signals of a snapshot. Repeating it gives the same result, timings apart.

    Raises:
        InputError: the history is too short or holds too few conversions; the text says what to import.
        Stopped: ``should_stop`` said so.
    """
    core, outcome, settings = question.core, question.outcome, question.settings
    stages = _Stages(on_step, should_stop)
    stages.begin("Building cohorts", 0.0)
    split_s = split_at_s(core, outcome, question.clock_of, settings)
    days = sorted({*settings.windows_days, settings.activity_days})
    cohorts = [cohort(core, outcome, question.clock_of(each), each, split_s) for each in days]
    stages.begin("Evaluating candidates", 0.1)
    pool = candidates(core, cohorts[0].frame.unit, question.manifest, settings)
    stages.begin("Packing bits", 0.35)
    made = blocks(pool, cohorts)
    stages.begin("Testing singles and pairs", 0.4)
    found = search(pool, made, settings, stages.inside(0.4, 0.3), should_stop)
    stages.begin("Checking for leaks", 0.7)
    near = near_outcome(core, cohorts[0].frame, split_s)
    stages.begin("Pruning near-copies", 0.75)
    listed = entries(pool, found, frozenset(each.event for each in near))
    pruned = prune(listed, found.cutoff_p, settings)
    stages.begin("Confirming and adjusting", 0.9)
    made_priors, mixtures = priors(found)
    own = question.manifest.conversion or Outcome()
    named = None if outcome == own else outcome
    signals = findings(Setting(core, pool, made_priors, named), pruned.kept)
    clock = question.clock_of(days[0])
    result = DiscoveryResult(
        settings=settings,
        snapshot_version=question.manifest.version,
        workspace=question.manifest.name,
        demo=question.manifest.demo,
        unit="user",
        outcome=outcome,
        gap_days=clock.gap_s / DAY_S,
        horizon_days=clock.horizon_s / DAY_S,
        cohorts=tuple(each.cohort.facts(each.end) for each in made if each.end > each.first_new),
        family=_family(found),
        funnel=_funnel(pool, found, pruned, signals, near, settings.fdr),
        cutoff_p=found.cutoff_p,
        priors=mixtures,
        findings=tuple(signals),
        near_outcome=near,
        notes=(*pool.notes, *_limits()),
        volcano=_volcano(pool, found, signals),
        timings_s=stages.end(),
    )
    return Answer(result, pool, found)


def _family(found: Search) -> dict[str, int]:
    return {
        "1": found.singles.tested,
        "2": found.pairs.tested,
        "all": found.singles.tested + found.pairs.tested,
    }


def _funnel(
    pool: Candidates, found: Search, pruned: Pruned, signals: Sequence[Finding], near: Sequence[NearOutcome], fdr: float
) -> tuple[Step, ...]:
    level = sum(each.rung.level >= 2 for each in signals)
    adjusted = sum(each.rung.level >= 3 for each in signals)
    rejected = int((found.singles.q_all < fdr).sum() + (found.pairs.q_all < fdr).sum())
    listed = int(found.singles.listed.sum() + found.pairs.listed.sum())
    barred = f"; conditions on {', '.join(each.event for each in near)} come with the outcome" if near else ""
    return (
        Step("grid", "Single conditions in the grid", pool.enumerated, "Every condition of the grid"),
        Step(
            "single",
            "Carried by enough units, and by different ones",
            found.singles.tested,
            f"{pool.rare:,} too rare or too common, {pool.twins:,} carried by the same units; no outcome seen",
        ),
        Step(
            "tested",
            "Tested, with every pair",
            found.singles.tested + found.pairs.tested,
            f"{found.pairs.tested:,} pairs with enough units on both sides",
        ),
        Step("q", f"q below {fdr:.0%} over the whole family", rejected, "Chance explains the others"),
        Step(
            "listed", "Hold as a group, and beat their parts", listed, "A pair must add to each of its two conditions"
        ),
        Step(
            "kept",
            "Different from stronger ones",
            len(signals),
            f"{pruned.considered:,} strongest compared: {pruned.copies:,} near-copies, {pruned.explained:,} explained "
            f"by another, {pruned.clustered:,} rest on few accounts, {pruned.beyond_limit:,} beyond the limit{barred}",
        ),
        Step("held_out", "Confirmed in later cohorts", level, "Not replicated, or too few units to tell"),
        Step(
            "adjusted", "Survive adjustment", adjusted, "Activity, signup month and account size explain the difference"
        ),
    )


def _limits() -> tuple[Note, ...]:
    text = "Triples, and accounts as units, are not searched; Westfall-Young p-values are not computed"
    return (Note("limits", text),)


def _volcano(pool: Candidates, found: Search, signals: Sequence[Finding]) -> tuple[VolcanoPoint, ...]:
    """Every single candidate with a finite lift, and how far it came."""
    ratio, p = lift(found.singles.counts.table()), found.singles.p
    kept = {each.name for each in signals if each.conditions == 1}
    units = found.singles.counts.table()[1]
    points = []
    for i, feature in enumerate(found.singles.features[:, 0].tolist()):
        if not (np.isfinite(ratio[i]) and ratio[i] > 0):
            continue
        name = pool.features[feature].name
        fate = "kept" if name in kept else "listed" if found.singles.listed[i] else "tested"
        points.append(VolcanoPoint(name, float(ratio[i]), float(p[i]) / LN10, int(units[i]), fate))
    return tuple(points)
