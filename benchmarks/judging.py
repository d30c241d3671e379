"""What a discovery says about a simulated company, held against the model that wrote it.

The engine never sees any of this: the chance of every user to convert comes from the model, not from who converted.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from beton.demo import company, truth
from beton.demo.signals import PLANTED, SIGNALS, Signal
from beton.demo.sizes import CompanySize
from beton.discovery.cohorts import Cohort, cohort, split_at_s
from beton.discovery.findings import adjusted_lift, climb_of, of_periods, table_log_p
from beton.discovery.run import Question
from beton.discovery.shortlist import Entry, count
from beton.model.discovery import DiscoveryResult, DiscoverySettings, Finding
from beton.model.ladder import rung
from beton.model.outcome import Outcome
from beton.model.signal import DAY_S, SignalDefinition, from_dict
from beton.services.measurement import GAP_DAYS
from beton.stats.power import power
from beton.warehouse.compile import NEVER, seconds
from beton.warehouse.core.match import match_s
from beton.warehouse.landmark import Clock
from beton.warehouse.reader import Warehouse

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]
Node = dict[str, Any]

# Fewer carriers say nothing about an association.
MIN_CARRIERS: Final = 20


@dataclass
class World:
    """One simulated company, imported; ``model`` knows who would buy, ``size`` is None for the usual one.

    Westfall-Young takes most of a run and decides nothing about the list, so it is left out.
    """

    seed: int
    workspace: Path
    size: CompanySize | None = None
    settings: DiscoverySettings = field(default_factory=lambda: DiscoverySettings(permutations=0))
    _rows: dict[int, _Rows] = field(default_factory=dict)

    @cached_property
    def model(self) -> truth.World:
        """Who signs up, takes what up and buys."""
        return company.buyers(self.seed, self.size)

    @cached_property
    def question(self) -> Question:
        """The workspace's outcome with the clock that truth.json has."""
        warehouse = Warehouse(self.workspace)
        manifest, core = warehouse.manifest(), warehouse.core()
        assert manifest.outcomes_since is not None
        since, end = int(manifest.outcomes_since.timestamp()), int(manifest.data_end.timestamp())
        horizon_s = seconds(truth.outcome_days(self.model))

        def clock_of(days: float) -> Clock:
            return Clock(seconds(days), seconds(GAP_DAYS), horizon_s, end, since)

        return Question(core, manifest, Outcome(), clock_of, self.settings)

    def rows(self, landmark_days: int) -> _Rows:
        """Return the cohort of a landmark with the chance of each of its rows to convert."""
        if landmark_days not in self._rows:
            asked = self.question
            split_s = split_at_s(asked.core, asked.outcome, asked.clock_of, asked.settings)
            made = cohort(asked.core, asked.outcome, asked.clock_of(landmark_days), landmark_days, split_s)
            days = truth.outcome_days(self.model)
            units = made.frame.unit.astype(np.int64)
            chance = truth.WinProbabilities(self.model, units, landmark_days, days).given(self.model.wins.hazard[units])
            self._rows[landmark_days] = _Rows(made, chance)
        return self._rows[landmark_days]

    def carriers(self, definition: SignalDefinition) -> Bools:
        """Return which rows of the signal's cohort carry it."""
        landmark_days = int(definition.landmark_days)
        matched = match_s(self.question.core, definition, landmark_days * DAY_S)
        carried: Bools = matched[self.rows(landmark_days).cohort.frame.unit] < NEVER
        return carried

    def expected(self, definition: SignalDefinition) -> Expected | None:
        """Return what the model expects of a signal in the training period; None with too few on one side."""
        rows, carried = self.rows(int(definition.landmark_days)), self.carriers(definition)
        with_it, without = rows.cohort.train & carried, rows.cohort.train & ~carried
        if min(int(with_it.sum()), int(without.sum())) < MIN_CARRIERS:
            return None
        rates = float(rows.chance[with_it].mean()), float(rows.chance[without].mean())
        return Expected(rates[0] / rates[1], rates[1], int(with_it.sum()), int(without.sum()))


@dataclass(frozen=True)
class _Rows:
    cohort: Cohort
    chance: Floats


@dataclass(frozen=True)
class Expected:
    """Lift that the model expects among the realised carriers, the rate without, and the units of both sides."""

    lift: float
    rate_without: float
    units_with: int
    units_without: int

    def power(self, alpha: float) -> float:
        """Chance that a table of these units shows it at this level."""
        return float(power(self.units_with, self.units_without, self.rate_without, self.lift, alpha))


@dataclass(frozen=True)
class Judged:
    """One signal that a run listed; lifts are of the training period, ``expected`` is the model's.

    ``causes``: every condition of it is about something that moves the chance to buy.
    """

    seed: int
    name: str
    definition: SignalDefinition
    level: int
    raw: float
    shrunk: float
    expected: float | None
    causes: bool


@dataclass(frozen=True)
class Planted:
    """One planted cause in one company: the highest level among the signals listed about it, -1 for none.

    ``right_way``: all of them point where the model does; ``power`` at the run's own cutoff for single candidates.
    """

    name: str
    kind: str
    level: int
    right_way: bool
    power: float


def judged(world: World, result: DiscoveryResult) -> list[Judged]:
    """Hold every signal of a run against the model."""
    return [_judged(world, each) for each in result.findings]


def _judged(world: World, finding: Finding) -> Judged:
    definition = from_dict(dict(finding.definition))
    expected = world.expected(definition)
    return Judged(
        seed=world.seed,
        name=finding.name,
        definition=definition,
        level=finding.rung.level,
        raw=math.inf if finding.train.lift is None else finding.train.lift,
        shrunk=finding.shrunk_lift,
        expected=None if expected is None else expected.lift,
        causes=all(subject_of(leaf) in CAUSES for leaf in finding.definition["when"]["all"]),
    )


def subject_of(leaf: Node) -> str:
    """Return what a condition is about: a property, or an event with the page it names."""
    if "property" in leaf:
        return str(leaf["property"])
    pages = [str(clause["value"]) for clause in leaf.get("where", []) if clause["op"] == "="]
    return " ".join([str(leaf["event"]), *pages])


def _single(signal: Signal) -> bool:
    return len(signal.when["all"]) == 1


# What moves the chance to buy, by the demo's own description of itself.
CAUSES: Final[Mapping[str, Signal]] = {
    subject_of(signal.when["all"][0]): signal for signal in (*SIGNALS, *PLANTED) if signal.effects and _single(signal)
}
CONFOUNDED: Final = tuple(each for each in (*SIGNALS, *PLANTED) if each.kind.startswith("confounded"))


def planted(world: World, result: DiscoveryResult) -> list[Planted]:
    """Say of every planted cause whether a run found it, and how likely that was."""
    by_subject: dict[str, list[Finding]] = {}
    for finding in result.findings:
        for leaf in finding.definition["when"]["all"]:
            by_subject.setdefault(subject_of(leaf), []).append(finding)
    return [_planted(world, result, signal, by_subject.get(about, [])) for about, signal in CAUSES.items()]


def _planted(world: World, result: DiscoveryResult, signal: Signal, about: list[Finding]) -> Planted:
    expected = world.expected(from_dict(signal.document()))
    right = []
    for finding in about:
        of_it = world.expected(from_dict(dict(finding.definition)))
        if of_it is not None and finding.train.lift is not None:
            right.append((of_it.lift > 1) == (finding.train.lift > 1))
    return Planted(
        name=signal.name,
        kind=signal.kind,
        level=max((each.rung.level for each in about), default=-1),
        right_way=all(right),
        power=0.0 if expected is None or result.cutoff_p is None else expected.power(result.cutoff_p),
    )


def level_alone(world: World, signal: Signal) -> int:
    """Return the level of a signal that a person proposed, judged as one hypothesis, whether or not it was listed."""
    definition = from_dict(signal.document())
    rows, carried = world.rows(int(definition.landmark_days)).cohort, world.carriers(definition)
    train, holdout = (count(carried, rows.frame.converted, member) for member in (rows.train, rows.holdout))
    log_p = table_log_p(train)
    entry = Entry((), rows, carried, train, holdout, log_p, math.exp(log_p), math.exp(log_p))
    _, later = of_periods(entry)
    return rung(climb_of(entry, later.estimate, math.exp(later.log_p), adjusted_lift(entry))).level


def association(worlds: list[World], definition: SignalDefinition) -> tuple[float, float]:
    """Return the mean log lift that the model expects of a signal over many companies, with its standard error.

    Chance in one company (who happens to carry it) averages out; (0, inf) where fewer than five have carriers.
    """
    logs = [math.log(each.lift) for each in (world.expected(definition) for world in worlds) if each is not None]
    if len(logs) < 5:
        return 0.0, math.inf
    return float(np.mean(logs)), float(np.std(logs, ddof=1) / math.sqrt(len(logs)))
