"""From discoveries to signals: near-copies go, what is left is confirmed on later cohorts and adjusted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
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
EXPLAINED_P: Final = 0.05
PER_GROUP: Final = 12  # variants of one event, or pair of events, that may compete
MAX_PAIRS: Final = 400  # pairs that may compete, best first


@dataclass(frozen=True)
class Entry:
    """One candidate of the shortlist; ``units`` (identified units,) says who carries it."""

    features: tuple[int, ...]
    cohort: Cohort
    units: Bools
    train: TwoByTwo
    holdout: TwoByTwo
    log_p: float
    q_all: float
    q_depth: float


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
    clustered: int
    copies: int
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
        row = np.array([at])
        yield Entry(
            features=features,
            cohort=found.blocks[int(depth.block[at])].cohort,
            units=np.logical_and.reduce(candidates.columns[list(features)]),
            train=_table(depth.counts[row].table()),
            holdout=_table(depth.counts[row].table(held_out=True)),
            log_p=float(depth.p[at]),
            q_all=float(depth.q_all[at]),
            q_depth=float(depth.q_depth[at]),
        )


def _table(columns: tuple[NDArray[np.int64], ...]) -> TwoByTwo:
    a, n1, c, n0 = (int(column[0]) for column in columns)
    return TwoByTwo(a, n1, c, n0)


def prune(listed: Sequence[Entry], cutoff_p: float | None, settings: DiscoverySettings) -> Pruned:
    """Keep the strongest of each set of near-copies, and what no kept signal explains.

    An entry goes when its account-clustered p-value is above the run's cutoff, when its Jaccard index with a stronger
    kept one is 0.6 or more, or when within those with and those without a kept one (Mantel-Haenszel) its training
    lift could be 1.
    """
    kept: list[Kept] = []
    clustered = copies = explained = beyond = 0
    for each in listed:
        if not _holds_clustered(each, cutoff_p):
            clustered += 1
            continue
        twin = next((i for i, other in enumerate(kept) if jaccard(each.units, other.entry.units) >= JACCARD), None)
        if twin is not None:
            kept[twin] = Kept(kept[twin].entry, (*kept[twin].stands_for, each.features))
            copies += 1
        elif any(_is_explained(each, other.entry) for other in kept):
            explained += 1
        elif len(kept) >= settings.max_signals:
            beyond += 1
        else:
            kept.append(Kept(each, ()))
    return Pruned(tuple(kept), len(listed), clustered, copies, explained, beyond)


def clustered(entry: Entry, member: Bools) -> ClusteredRatio | None:
    """Account-clustered inference on the units of ``member`` (rows of the entry's frame)."""
    rows = entry.cohort.frame
    converted, signal = rows.converted[member], entry.units[member]
    counts = [int(converted[signal].sum()), int(signal.sum()), int(converted[~signal].sum()), int((~signal).sum())]
    return clustered_ratio(TwoByTwo(*counts), ClusterMoments.from_arrays(converted, signal, rows.cluster[member]))


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


def _is_explained(entry: Entry, by: Entry) -> bool:
    member = entry.cohort.train
    within = stratified(entry, by.units.astype(np.int64), member)
    return not float(within.p) < EXPLAINED_P or (float(within.ratio) > 1) != _helps(entry.train)


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
