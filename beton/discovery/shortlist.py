"""From discoveries to signals: near-copies go, and what others explain. Nothing here looks at the later cohorts."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from beton.discovery.candidates import Candidates
from beton.discovery.cohorts import Cohort
from beton.discovery.families import Floats
from beton.discovery.search import Found, Search
from beton.model.discovery import DiscoverySettings
from beton.stats.clustered import ClusteredRatio, ClusterMoments, clustered_ratio
from beton.stats.proportions import TwoByTwo
from beton.stats.strata import Stratified, mantel_haenszel

Bools = NDArray[np.bool_]

JACCARD: Final = 0.6
MIN_EXPECTED: Final = 5
REASONS: Final = ("few", "clustered", "copies", "no_gain", "explained", "beyond_limit")
SCORE_STEP: Final = math.log(1.25)
MAX_RATIO: Final = 32.0
PER_GROUP: Final = 12  # variants of one event, or pair of events, that may compete
MAX_PAIRS: Final = 400  # pairs that may compete, best first


@dataclass(frozen=True)
class Entry:
    """One candidate of the shortlist; ``units`` (identified units,) says who carries it.

    ``parts``: who carries each of its conditions, where it has several.
    """

    features: tuple[int, ...]
    cohort: Cohort
    units: Bools
    train: TwoByTwo
    holdout: TwoByTwo
    log_p: float
    q_all: float
    q_depth: float
    parts: tuple[Bools, ...] = ()


@dataclass(frozen=True)
class Kept:
    """An entry that survived pruning, with the positions of those that it stands for."""

    entry: Entry
    stands_for: tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Pruned:
    """The signals in order of strength, and how many entries left for which reason."""

    kept: tuple[Kept, ...]
    considered: int
    few: int
    clustered: int
    copies: int
    no_gain: int
    explained: int
    beyond_limit: int


def entries(candidates: Candidates, found: Search, barred: frozenset[str]) -> list[Entry]:
    """Return the listed candidates, singles first and the strongest of each depth first.

    Conditions on ``barred`` events (near the outcome) have none. A pair comes after its parts, so that it has to add
    to them.
    """
    made = [
        *_entries(candidates, found, found.singles, barred),
        *_entries(candidates, found, found.pairs, barred),
        *_entries(candidates, found, found.triples, barred),
    ]
    return sorted(made, key=lambda each: (len(each.features), each.log_p, each.features))


def _entries(candidates: Candidates, found: Search, depth: Found, barred: frozenset[str]) -> Iterator[Entry]:
    carried = cache(lambda feature: candidates.columns.carried([feature])[0])
    order = np.flatnonzero(depth.listed)
    order = order[np.lexsort((order, depth.adds[order]))]
    seen: dict[tuple[str, ...], int] = {}
    listed = 0
    for at in order.tolist():
        features = tuple(depth.features[at].tolist())
        group = tuple(sorted(candidates.features[feature].group for feature in features))
        events = {candidates.features[feature].condition.get("event") for feature in features}
        if events & barred or seen.get(group, 0) >= PER_GROUP:
            continue
        if len(features) > 1 and listed >= MAX_PAIRS:
            return
        seen[group] = seen.get(group, 0) + 1
        listed += 1
        row, parts = np.array([at]), tuple(carried(feature) for feature in features)
        yield Entry(
            features=features,
            cohort=found.blocks[int(depth.block[at])].cohort,
            units=np.logical_and.reduce(parts),
            train=_table(depth.counts[row].table()),
            holdout=_table(depth.counts[row].table(held_out=True)),
            log_p=float(depth.p[at]),
            q_all=float(depth.q_all[at]),
            q_depth=float(depth.q_depth[at]),
            parts=parts if len(parts) > 1 else (),
        )


def _table(columns: tuple[NDArray[np.int64], ...]) -> TwoByTwo:
    a, n1, c, n0 = (int(column[0]) for column in columns)
    return TwoByTwo(a, n1, c, n0)


def prune(listed: Sequence[Entry], cutoff_p: float | None, settings: DiscoverySettings) -> Pruned:
    """Keep few and different signals: those with several conditions come after the single ones, which they must beat.

    Out goes, in this order: an entry with fewer than 5 conversions to be expected; one whose account-clustered p-value
    is above the run's cutoff; a near-copy (Jaccard 0.6 or more) of a stronger kept one; a combination that does not
    gain by each of its conditions; one that would not have passed the cutoff among units alike in what is kept.
    """
    leaders = _Leaders()
    left = dict.fromkeys(REASONS, 0)
    level = settings.fdr if cutoff_p is None else cutoff_p
    for each in listed:
        reason = _why_not(each, leaders, level)
        if not reason and len(leaders.kept) >= settings.max_signals:
            reason = "beyond_limit"
        if reason:
            left[reason] += 1
        else:
            leaders.add(each)
        if reason and len(each.features) == 1:
            leaders.dropped.add(each.features[0])
    return Pruned(tuple(leaders.kept), len(listed), **left)


@dataclass
class _Leaders:
    """What is kept so far, and how likely it makes each unit to convert.

    ``score`` (identified units,): sum of the log lifts of the kept single signals that a unit carries, each given those
    kept before it; a prognostic score (Hansen 2008, Biometrika 95:481), on which units are compared without cutting
    them into ever smaller combinations; ``bands`` cuts it into bands. ``dropped``: single conditions that were found
    but are not kept.
    """

    kept: list[Kept] = field(default_factory=list)
    score: Floats | None = None
    bands: NDArray[np.int64] | None = None
    dropped: set[int] = field(default_factory=set)

    def add(self, entry: Entry) -> None:
        self.kept.append(Kept(entry, ()))
        if len(entry.features) > 1:
            return
        before = np.zeros(entry.units.size) if self.score is None else self.score
        bands = _banded(before) if self.bands is None else self.bands
        ratio = float(stratified(entry, bands, entry.cohort.train).ratio)
        known = 1.0 if math.isnan(ratio) else min(max(ratio, 1 / MAX_RATIO), MAX_RATIO)
        self.score = before + entry.units * math.log(known)
        self.bands = _banded(self.score)

    def twin(self, entry: Entry) -> bool:
        """Whether a kept one is a near-copy; it then stands for the entry too."""
        for i, each in enumerate(self.kept):
            if jaccard(entry.units, each.entry.units) >= JACCARD:
                self.kept[i] = Kept(each.entry, (*each.stands_for, entry.features))
                return True
        return False

    def explain(self, entry: Entry, level: float) -> bool:
        """Whether the training lift could be 1 among units alike in what is kept.

        A single condition is held against all kept ones at once, a combination against each: its own parts leave
        nothing to compare when they are taken together.
        """
        train = entry.cohort.train
        if len(entry.features) == 1:
            return self.bands is not None and not _is_found(entry, self.bands, train, level)
        return any(
            not _is_found(entry, other.entry.units.astype(np.int64), train, level)
            for other in self.kept
            if not set(other.entry.features) <= set(entry.features)
        )


def _banded(score: Floats) -> NDArray[np.int64]:
    """Number the bands of a score from 0; the chance to convert differs by a quarter from one to the next."""
    return np.unique(np.round(score / SCORE_STEP), return_inverse=True)[1].astype(np.int64)


def _why_not(entry: Entry, leaders: _Leaders, level: float) -> str:
    if entry.train.expected_with < MIN_EXPECTED:
        return "few"
    if not _holds_clustered(entry, level):
        return "clustered"
    if leaders.twin(entry):
        return "copies"
    if len(entry.features) > 1 and not _gains(entry, leaders.dropped, level):
        return "no_gain"
    return "explained" if leaders.explain(entry, level) else ""


def _gains(entry: Entry, dropped: set[int], level: float) -> bool:
    """Whether each condition of a combination would have been found among those alike who carry the others.

    Alike in activity, signup quarter and account size; otherwise "and active on many days" would go with every signal.
    Conditions found but ``dropped`` make no combination: what speaks for them would. The later cohorts have no say, so
    that their lift is not that of a combination picked for it.
    """
    if dropped & set(entry.features):
        return False
    for i, part in enumerate(entry.parts):
        others = np.logical_and.reduce([each for j, each in enumerate(entry.parts) if j != i])
        if not _is_found(replace(entry, units=part), entry.cohort.stratum, others & entry.cohort.train, level):
            return False
    return True


def clustered(entry: Entry, member: Bools) -> ClusteredRatio | None:
    """Account-clustered inference on the units of ``member`` (rows of the entry's frame).

    None where no two of them share an account, or the sandwich does not exist: then the table alone speaks.
    """
    rows = entry.cohort.frame
    moments = ClusterMoments.from_arrays(rows.converted[member], entry.units[member], rows.cluster[member])
    if moments.clusters == int(member.sum()):
        return None
    return clustered_ratio(count(entry.units, rows.converted, member), moments)


def count(units: Bools, converted: Bools, member: Bools) -> TwoByTwo:
    """Count the table of ``member`` rows by who carries it (``units``) and who converted; all arrays (rows,)."""
    with_it, without = member & units, member & ~units
    return TwoByTwo(
        int(converted[with_it].sum()), int(with_it.sum()), int(converted[without].sum()), int(without.sum())
    )


def _holds_clustered(entry: Entry, level: float) -> bool:
    """Whether it would have passed with accounts as the unit of chance."""
    ratio = clustered(entry, entry.cohort.train)
    return ratio is None or ratio.design_effect <= 1 or ratio.p_value <= level


def jaccard(one: Bools, other: Bools) -> float:
    """Units that carry both over units that carry either; 0 where nobody does."""
    either = int((one | other).sum())
    return int((one & other).sum()) / either if either else 0.0


def _is_found(entry: Entry, stratum: NDArray[np.int64], member: Bools, level: float) -> bool:
    """Whether the entry passes, in the direction of its training lift, among ``member`` units of one stratum."""
    within = stratified(entry, stratum, member)
    return float(within.p) <= level and (float(within.ratio) > 1) == _helps(entry.train)


def _helps(table: TwoByTwo) -> bool:
    return table.lift is None or table.lift > 1


def stratified(entry: Entry, stratum: NDArray[np.int64], member: Bools) -> Stratified:
    """Mantel-Haenszel lift of the entry over ``stratum`` codes among the units of ``member``."""
    code, signal = stratum[member], entry.units[member]
    converted = entry.cohort.frame.converted[member]
    size = int(stratum.max(initial=0)) + 1

    def by_stratum(chosen: Bools) -> Floats:
        return np.bincount(code[chosen], minlength=size).astype(np.float64)

    return mantel_haenszel(
        by_stratum(signal & converted), by_stratum(signal), by_stratum(~signal & converted), by_stratum(~signal)
    )
