"""One discovery run: from a snapshot and an outcome to signals with their evidence."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from beton.discovery.candidates import Candidates, candidates
from beton.discovery.cohorts import ClockOf, Cohort, FrameOf, cohorts, split_at_s
from beton.discovery.families import lift
from beton.discovery.findings import Setting, findings, priors
from beton.discovery.near_outcome import near_outcome
from beton.discovery.permutation import MaxT, max_t
from beton.discovery.search import THREADS, Found, Search, blocks, search
from beton.discovery.shortlist import Pruned, entries, prune
from beton.discovery.sweep import Stopped
from beton.model.discovery import DiscoveryResult, DiscoverySettings, Finding, NearOutcome, Step, VolcanoPoint
from beton.model.evidence import Note
from beton.model.manifest import Manifest
from beton.model.outcome import Outcome
from beton.model.signal import DAY_S
from beton.warehouse.core.arrays import Core
from beton.warehouse.core.frame import frame

OnStep = Callable[[str, float], None]
ShouldStop = Callable[[], bool]

LN10: Final = float(np.log(10))


@dataclass(frozen=True)
class Question:
    """What is asked of which data; ``clock_of`` gives the cohort's clock for a landmark in days.

    ``frame_of`` builds the cohorts; ``threads`` change the time it takes and nothing else.
    """

    core: Core
    manifest: Manifest
    outcome: Outcome
    clock_of: ClockOf
    settings: DiscoverySettings
    frame_of: FrameOf = frame
    threads: int = THREADS


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
    settings, stages = question.settings, _Stages(on_step, should_stop)
    made = _search(question, None, stages)
    pool, found, pruned = made.pool, made.search, made.pruned
    stages.begin("Permuting outcomes", 0.7)
    permuted = max_t(
        pool,
        found,
        question.clock_of,
        settings,
        threads=question.threads,
        on_progress=stages.inside(0.7, 0.22),
        should_stop=should_stop,
    )
    stages.begin("Confirming and adjusting", 0.92)
    mixtures = priors(found)
    own = question.manifest.conversion or Outcome()
    named = None if question.outcome == own else question.outcome
    signals = _with_fwer(findings(Setting(question.core, pool, mixtures, named), pruned.kept), permuted)
    clock = question.clock_of(found.blocks[0].cohort.landmark_days)
    result = DiscoveryResult(
        settings=settings,
        snapshot_version=question.manifest.version,
        workspace=question.manifest.name,
        demo=question.manifest.demo,
        unit="user",
        outcome=question.outcome,
        gap_days=clock.gap_s / DAY_S,
        horizon_days=clock.horizon_s / DAY_S,
        cohorts=tuple(each.cohort.facts(each.end) for each in found.blocks if each.end > each.first_new),
        family=_family(found),
        funnel=_funnel(made, signals, settings.fdr),
        cutoff_p=found.cutoff_p,
        priors=mixtures,
        findings=tuple(signals),
        near_outcome=made.near,
        notes=(*pool.notes, _limits(found, permuted), *_overlap(settings)),
        volcano=_volcano(pool, found, pruned),
        permutation=None if permuted is None else permuted.facts(),
        timings_s=stages.end(),
    )
    return Answer(result, pool, found)


@dataclass(frozen=True)
class Searched:
    """What a search of cohorts found, and what is left after pruning."""

    pool: Candidates
    search: Search
    near: tuple[NearOutcome, ...]
    pruned: Pruned


def search_cohorts(question: Question, pool: Candidates, should_stop: ShouldStop) -> Searched:
    """Search for signals among the candidates of ``pool``, without confirming them or saying how far it is."""
    return _search(question, pool, _Stages(lambda stage, share: None, should_stop))


def _search(question: Question, pool: Candidates | None, stages: _Stages) -> Searched:
    """Search up to pruning; ``pool`` where the candidates are known already."""
    core, settings = question.core, question.settings
    stages.begin("Building cohorts", 0.0)
    split_s, landmarks = _cohorts(question)
    if pool is None:
        stages.begin("Evaluating candidates", 0.08)
        pool = candidates(core, landmarks[0].frame.unit, question.manifest, settings, question.threads)
    stages.begin("Packing bits", 0.2)
    made = blocks(pool, landmarks, question.threads)
    stages.begin("Testing singles, pairs and triples", 0.3)
    found = search(pool, made, settings, stages.inside(0.3, 0.3), stages.should_stop, question.threads)
    stages.begin("Checking for leaks", 0.6)
    near = near_outcome(core, landmarks[0].frame, split_s)
    stages.begin("Pruning near-copies", 0.61)
    listed = entries(pool, found, frozenset(each.event for each in near))
    return Searched(pool, found, near, prune(listed, found.cutoff_p, settings))


def _cohorts(question: Question) -> tuple[int, list[Cohort]]:
    """Return when the training period ends, and the cohorts of all landmarks."""
    core, outcome, settings, frame_of = question.core, question.outcome, question.settings, question.frame_of
    split_s = split_at_s(core, outcome, question.clock_of, settings, frame_of)
    days = sorted({*settings.windows_days, settings.activity_days})
    is_purged = not settings.holdout_from
    return split_s, cohorts(core, outcome, question.clock_of, days, split_s, is_purged, frame_of)


def _with_fwer(signals: Sequence[Finding], permuted: MaxT | None) -> list[Finding]:
    if permuted is None:
        return list(signals)
    p = permuted.fwer_p(np.array([each.log_p for each in signals])).tolist()
    return [
        replace(each, fwer_p=own) if each.conditions <= permuted.depth else each
        for each, own in zip(signals, p, strict=True)
    ]


def _family(found: Search) -> dict[str, int]:
    return {
        "1": found.singles.tested,
        "2": found.pairs.tested,
        "3": found.triples.tested,
        "all": found.singles.tested + found.pairs.tested,
    }


def _funnel(made: Searched, signals: Sequence[Finding], fdr: float) -> tuple[Step, ...]:
    pool, found, pruned, near = made.pool, made.search, made.pruned, made.near
    level = sum(each.rung.level >= 2 for each in signals)
    adjusted = sum(each.rung.level >= 3 for each in signals)
    depths = (found.singles, found.pairs, found.triples)
    rejected = sum(int((each.q_all < fdr).sum()) for each in depths)
    listed = sum(int(each.listed.sum()) for each in depths)
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
        Step("triples", "Triples to choose from", found.triples.tested, _triples_reason(found.triples)),
        Step("q", f"q below {fdr:.0%} over the whole family", rejected, "Chance explains the others"),
        Step(
            "listed",
            "Hold as a group, and beat their parts",
            listed,
            "In a combination each condition must add to the others",
        ),
        Step(
            "kept",
            "Different from stronger ones",
            len(signals),
            f"{pruned.considered:,} strongest compared: {pruned.few:,} with too few conversions to expect, "
            f"{pruned.clustered:,} on few accounts, {pruned.copies:,} near-copies, {pruned.no_gain:,} no better than "
            f"their parts among users alike, {pruned.explained:,} explained by others, {pruned.beyond_limit:,} beyond "
            f"the limit{barred}",
        ),
        Step("held_out", "Confirmed in later cohorts", level, "Not replicated, or too few units to tell"),
        Step(
            "adjusted",
            "Survive adjustment",
            adjusted,
            "Activity, signup quarter and account size explain the lift, or so much of it that more of the kind could",
        ),
    )


def _triples_reason(triples: Found) -> str:
    if not triples.tested:
        return "Not searched: too few conditions, or so many that it would take too long"
    few = f"the {len(triples.p):,} best" if len(triples.p) else "none"
    return f"Each condition must add to the other two, more than chance would among so many: {few} may"


def _limits(found: Search, permuted: MaxT | None) -> Note:
    said = ["Accounts as units are not searched"]
    if not found.triples.tested:
        said.append("nor are triples")
    if permuted is None:
        said.append("Westfall-Young p-values are not computed, since no rounds were asked for")
    elif permuted.depth == 1:
        said.append("Westfall-Young p-values cover single conditions alone: with every pair it would take too long")
    else:
        rounds = permuted.minima.size
        said.append(f"Westfall-Young p-values ({rounds:,} rounds) cover single conditions and pairs, not triples")
    return Note("limits", "; ".join(said))


def _overlap(settings: DiscoverySettings) -> tuple[Note, ...]:
    if not settings.holdout_from:
        return ()
    text = (
        f"Later cohorts begin on {settings.holdout_from}, as asked: the last outcomes of the earlier ones may fall "
        "into the same weeks"
    )
    return (Note("no_purge", text),)


def _volcano(pool: Candidates, found: Search, pruned: Pruned) -> tuple[VolcanoPoint, ...]:
    """Every single candidate with a finite lift, and how far it came."""
    ratio, p = lift(found.singles.counts.table()), found.singles.p
    kept = {each.entry.features for each in pruned.kept}
    units = found.singles.counts.table()[1]
    points = []
    for i, feature in enumerate(found.singles.features[:, 0].tolist()):
        if not (np.isfinite(ratio[i]) and ratio[i] > 0):
            continue
        name = pool.features[feature].name
        fate = "kept" if (feature,) in kept else "listed" if found.singles.listed[i] else "tested"
        points.append(VolcanoPoint(name, float(ratio[i]), float(p[i]) / LN10, int(units[i]), fate))
    return tuple(points)
