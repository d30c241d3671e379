"""From discoveries to signals: near-copies go, what is left is confirmed on later cohorts and adjusted."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from beton.discovery.candidates import Candidates
from beton.discovery.cohorts import Cohort
from beton.discovery.families import Floats
from beton.discovery.search import Found, Search
from beton.model.discovery import DiscoverySettings
from beton.stats.clustered import ClusteredRatio, ClusterMoments, clustered_ratio
from beton.stats.proportions import TwoByTwo, log_mid_p
from beton.stats.strata import Stratified, mantel_haenszel

Bools = NDArray[np.bool_]

JACCARD: Final = 0.6
MIN_EXPECTED: Final = 5
EXPLAINED_P: Final = 0.05
LOG_EXPLAINED_P: Final = math.log(EXPLAINED_P)
REASONS: Final = ("few", "clustered", "copies", "unproven", "explained", "beyond_limit")
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

    @property
    def expected(self) -> float:
        """Conversions expected among those with the signal in the training period, were it without effect."""
        return self.train.units_with * (self.train.base_rate or 0.0)


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
    unproven: int
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
        row, parts = np.array([at]), tuple(candidates.columns[feature] for feature in features)
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
    is above the run's cutoff; a near-copy (Jaccard 0.6 or more) of a stronger kept one; a combination that
    ``_is_proven`` does not bear out; one that would not have passed the cutoff among units alike in what is kept.
    """
    leaders = _Leaders()
    left = dict.fromkeys(REASONS, 0)
    for each in listed:
        reason = _why_not(each, leaders, cutoff_p)
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
        self.score = before + entry.units * math.log(min(max(ratio, 1 / MAX_RATIO), MAX_RATIO))
        self.bands = _banded(self.score)

    def twin(self, entry: Entry) -> bool:
        """Whether a kept one is a near-copy; it then stands for the entry too."""
        for i, each in enumerate(self.kept):
            if jaccard(entry.units, each.entry.units) >= JACCARD:
                self.kept[i] = Kept(each.entry, (*each.stands_for, entry.features))
                return True
        return False

    def explain(self, entry: Entry, cutoff_p: float) -> bool:
        """Whether the training lift could be 1 among units alike in what is kept.

        A single condition is held against all kept ones at once, a combination against each: its own parts leave
        nothing to compare when they are taken together.
        """
        if len(entry.features) == 1:
            return self.bands is not None and _is_explained(entry, self.bands, cutoff_p)
        return any(
            _is_explained(entry, other.entry.units.astype(np.int64), cutoff_p)
            for other in self.kept
            if not set(other.entry.features) <= set(entry.features)
        )


def _banded(score: Floats) -> NDArray[np.int64]:
    """Number the bands of a score from 0; the chance to convert differs by a quarter from one to the next."""
    return np.unique(np.round(score / SCORE_STEP), return_inverse=True)[1].astype(np.int64)


def _why_not(entry: Entry, leaders: _Leaders, cutoff_p: float | None) -> str:
    if entry.expected < MIN_EXPECTED:
        return "few"
    if not _holds_clustered(entry, cutoff_p):
        return "clustered"
    if leaders.twin(entry):
        return "copies"
    if len(entry.features) > 1 and not _is_proven(entry, leaders.dropped):
        return "unproven"
    return "explained" if leaders.explain(entry, EXPLAINED_P if cutoff_p is None else cutoff_p) else ""


def _is_proven(entry: Entry, dropped: set[int]) -> bool:
    """Whether each condition of a combination adds to the others where the search did not look.

    Among those who carry the others: it must add in the later cohorts (mid-P), and among units alike in activity,
    signup quarter and account size (Mantel-Haenszel); otherwise "and active on many days" would go with every signal.
    Conditions found but ``dropped`` make no combination: what speaks for them would.
    """
    if dropped & set(entry.features):
        return False
    helps = _helps(entry.train)
    rows = entry.cohort.frame
    for i, part in enumerate(entry.parts):
        others = np.logical_and.reduce([each for j, each in enumerate(entry.parts) if j != i])
        later = _count(part, rows.converted, others & entry.cohort.holdout)
        if not (later.units_with and later.units_without) or _helps(later) != helps or _log_p(later) > LOG_EXPLAINED_P:
            return False
        within = stratified(replace(entry, units=part), entry.cohort.stratum, others & rows.eligible)
        if not float(within.p) < EXPLAINED_P or (float(within.ratio) > 1) != helps:
            return False
    return True


def clustered(entry: Entry, member: Bools) -> ClusteredRatio | None:
    """Account-clustered inference on the units of ``member`` (rows of the entry's frame)."""
    rows = entry.cohort.frame
    moments = ClusterMoments.from_arrays(rows.converted[member], entry.units[member], rows.cluster[member])
    return clustered_ratio(_count(entry.units, rows.converted, member), moments)


def _count(units: Bools, converted: Bools, member: Bools) -> TwoByTwo:
    with_it, without = member & units, member & ~units
    return TwoByTwo(
        int(converted[with_it].sum()), int(with_it.sum()), int(converted[without].sum()), int(without.sum())
    )


def _log_p(table: TwoByTwo) -> float:
    columns = table.converted_with, table.units_with, table.converted_without, table.units_without
    return float(log_mid_p(*([each] for each in columns))[0])


def _holds_clustered(entry: Entry, cutoff_p: float | None) -> bool:
    """Whether it would have passed with accounts as the unit of chance; an empty cell leaves mid-P to speak."""
    ratio = clustered(entry, entry.cohort.train)
    if ratio is None or cutoff_p is None:
        return True
    return ratio.design_effect <= 1 or ratio.p_value <= cutoff_p


def jaccard(one: Bools, other: Bools) -> float:
    """Units that carry both over units that carry either; 0 where nobody does."""
    either = int((one | other).sum())
    return int((one & other).sum()) / either if either else 0.0


def _is_explained(entry: Entry, by: NDArray[np.int64], cutoff_p: float) -> bool:
    within = stratified(entry, by, entry.cohort.train)
    return not float(within.p) <= cutoff_p or (float(within.ratio) > 1) != _helps(entry.train)


def _helps(table: TwoByTwo) -> bool:
    return table.lift is None or table.lift > 1


def stratified(entry: Entry, stratum: NDArray[np.int64], member: Bools) -> Stratified:
    """Mantel-Haenszel lift of the entry over ``stratum`` codes among the units of ``member``."""
    code, signal = stratum[member], entry.units[member]
    converted = entry.cohort.frame.converted[member]
    size = int(stratum.max(initial=0)) + 1

    def count(chosen: Bools) -> Floats:
        return np.bincount(code[chosen], minlength=size).astype(np.float64)

    return mantel_haenszel(count(signal & converted), count(signal), count(~signal & converted), count(~signal))
