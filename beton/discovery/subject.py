"""A saved signal on its own cohort, judged as a discovery run judges what it lists."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from beton.discovery.cohorts import Cohort
from beton.discovery.findings import SHRUNK, OfPeriod, adjusted_lift, climb_of, of_periods, prior_of
from beton.discovery.shortlist import Bools, Entry, count
from beton.model.conditions import leaves
from beton.model.discovery import DiscoveryResult, DiscoverySettings, Estimate, Finding, Mixture, NearOutcome
from beton.model.evidence import Interval
from beton.model.examination import Brief
from beton.model.ladder import Rung, rung
from beton.model.manifest import Manifest
from beton.model.signal import SignalDefinition
from beton.stats.proportions import TwoByTwo
from beton.stats.shrinkage import log_ratio
from beton.warehouse.core.arrays import Core

ALONE: Final = "this signal alone, as one hypothesis"


@dataclass(frozen=True)
class Listing:
    """What a discovery run on the same data, outcome and clock says of its signals: ``findings`` by definition hash.

    ``family``: candidates behind a q-value, by number of conditions.
    """

    run_id: str
    settings: DiscoverySettings
    family: Mapping[int, int]
    priors: Mapping[str, Mixture]
    findings: Mapping[str, Finding]

    @classmethod
    def of(cls, run_id: str, result: DiscoveryResult) -> Listing:
        """Keep of a run what an examination reads."""
        return cls(
            run_id,
            result.settings,
            {conditions: result.family_of(conditions) for conditions in (1, 2, 3)},
            result.priors,
            {each.definition_hash: each for each in result.findings},
        )


@dataclass(frozen=True)
class Study:
    """What all examinations of one outcome share.

    ``cohort_of`` gives the split cohort of a landmark in days, ``carriers`` who carries a signal by its own landmark
    (one entry per user of ``core``), ``near`` the events that come with the outcome. A caller may keep their answers.
    """

    core: Core
    manifest: Manifest
    listing: Listing | None
    cohort_of: Callable[[float], Cohort]
    carriers: Callable[[SignalDefinition], Bools]
    near: Callable[[], tuple[NearOutcome, ...]]


@dataclass(frozen=True)
class Subject:
    """A signal with those who carry it in its cohort, and what the earlier and the later part of that say.

    ``finding`` is that of the listing, None where it has none.
    """

    signal: SignalDefinition
    entry: Entry
    periods: tuple[OfPeriod, OfPeriod]
    finding: Finding | None
    near: tuple[NearOutcome, ...]

    @property
    def cohort(self) -> Cohort:
        """The cohort of the signal's landmark."""
        return self.entry.cohort


def subject(study: Study, signal: SignalDefinition) -> Subject:
    """Evaluate a signal; InputError where its cohort holds too few conversions."""
    cohort = study.cohort_of(signal.landmark_days)
    units = study.carriers(signal)[cohort.frame.unit]
    train, holdout = (table_of(cohort, units, member) for member in (cohort.train, cohort.holdout))
    finding = study.listing.findings.get(signal.meaning_hash()) if study.listing else None
    entry = Entry((), cohort, units, train, holdout, 0.0, 1.0, 1.0)
    periods = of_periods(entry)
    log_p = periods[0].log_p
    alone = math.exp(log_p)
    q_all, q_depth = (alone, alone) if finding is None else (finding.q_value, finding.q_depth)
    entry = replace(entry, log_p=log_p, q_all=q_all, q_depth=q_depth)
    events = {each.event for each in signal.events}
    near = tuple(each for each in study.near() if each.event in events)
    return Subject(signal, entry, periods, finding, near)


def brief(study: Study, about: Subject) -> Brief:
    """Return the figures that decide the rung, and the rung."""
    entry, listing, finding = about.entry, study.listing, about.finding
    (train, _), (held_out, held_log_p) = about.periods
    held_p, adjusted, family = math.exp(held_log_p), adjusted_lift(entry), ALONE
    if finding is not None and listing is not None:
        family = f"{listing.family[finding.conditions]:,} candidates of the discovery run"
    held_q = held_p if finding is None or finding.held_out_q is None else finding.held_out_q
    shrunk_lift, shrunk_interval, confidence = _shrunk(about, listing)
    return Brief(
        definition_hash=about.signal.meaning_hash(),
        train=train,
        held_out=held_out,
        held_out_p=held_p,
        q_value=entry.q_all,
        family=family,
        shrunk_lift=shrunk_lift,
        shrunk_interval=shrunk_interval,
        confidence=confidence,
        adjusted=adjusted,
        rung=_rung(about, held_out, held_q, adjusted),
    )


def _rung(about: Subject, held_out: Estimate, held_q: float, adjusted: Estimate | None) -> Rung:
    climb = climb_of(about.entry, held_out, held_q, adjusted)
    if about.near and not climb.leaks:
        climb = replace(climb, leaks=about.near[0].sentence)
    return rung(climb)


def _shrunk(about: Subject, listing: Listing | None) -> tuple[float | None, Interval | None, float | None]:
    """Posterior median of the training lift, its limits, and 1 - local false sign rate; the prior is the run's."""
    if listing is None:
        return None, None, None
    written = max(1, sum(1 for _ in leaves(about.signal.when)))  # a query counts as one
    conditions = written if about.finding is None else about.finding.conditions
    posterior = prior_of(listing.priors, conditions).posterior(*log_ratio(*about.entry.train.cells))
    median, lower, upper, lfsr = map(float, posterior)
    if math.isnan(median):
        return None, None, None
    return math.exp(median), Interval(math.exp(lower), math.exp(upper), SHRUNK), 1 - lfsr


def table_of(cohort: Cohort, units: Bools, member: Bools) -> TwoByTwo:
    """Count the table of some rows of a cohort."""
    return count(units, cohort.frame.converted, member)


def tables_by(code: NDArray[np.int64], groups: int, converted: Bools, units: Bools, member: Bools) -> list[TwoByTwo]:
    """Count the tables of ``member`` rows by their ``code``, 0 to ``groups`` - 1; all arrays (rows,)."""
    cell = (code * 4 + units * 2 + converted)[member]
    counts = np.bincount(cell, minlength=groups * 4).reshape(-1, 4).tolist()
    return [TwoByTwo(hits, hits + misses, others, others + rest) for rest, others, misses, hits in counts]
