"""Count every single candidate and every pair, and keep those that chance does not explain.

A candidate is counted in the cohort of its own landmark, the longest window of its conditions: its table is the one
that a backtest of the saved signal gives. Pairs are counted where their later window is new.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import comb, prod
from typing import Final

import numpy as np
from numpy.typing import NDArray

from beton.discovery import matrix, sweep, triples
from beton.discovery.candidates import TRAIT_WINDOW, Candidates
from beton.discovery.cohorts import Cohort
from beton.discovery.families import Counts, Floats, adds_log_p, groups_found, log_p
from beton.errors import InputError
from beton.model.discovery import DiscoverySettings
from beton.model.signal import DEFAULT_LANDMARK_DAYS
from beton.stats.multiplicity import benjamini_hochberg, bh_cutoff, simes

OnProgress = Callable[[float], None]
ShouldStop = Callable[[], bool]

# Pairs drawn at even distances to learn how lifts are spread: those that passed a test would bias it.
PRIOR_SAMPLE: Final = 200
# More than will ever pass: a list that is full only makes the q-values of triples larger.
BEST_TRIPLES: Final = 200
THREADS: Final = os.cpu_count() or 1


@dataclass(frozen=True)
class Block:
    """One cohort with the features known by its landmark: ``end`` of them, those from ``first_new`` on for the first
    time."""

    cohort: Cohort
    end: int
    first_new: int
    bits: matrix.BitMatrix
    singles: NDArray[np.int64]

    def counts(self, features: NDArray[np.int64]) -> Counts:
        """Return the tables of single features in this cohort."""
        return self.wrap(self.singles[features])

    def wrap(self, counts: NDArray[np.int64]) -> Counts:
        """Return counts of carriers with everybody of this cohort beside them."""
        return Counts(counts, np.broadcast_to(self.bits.sizes, counts.shape))


@dataclass(frozen=True)
class Found:
    """Candidates of one depth that passed the first threshold.

    ``features`` (n, depth): positions; ``block`` (n,): where each was counted; ``p`` and ``adds``: log p-values of the
    table and of rule 3; ``q_all`` and ``q_depth``; ``listed``: passed all three rules.
    """

    features: NDArray[np.int64]
    block: NDArray[np.int64]
    counts: Counts
    p: Floats
    adds: Floats
    q_all: Floats
    q_depth: Floats
    listed: NDArray[np.bool_]
    tested: int


@dataclass(frozen=True)
class Search:
    """Singles (all), pairs (those that may be below ``cutoff_p``), the best triples, and pairs chosen blindly.

    ``triples.tested`` is 0 where there were too many to search.
    """

    blocks: tuple[Block, ...]
    singles: Found
    pairs: Found
    triples: Found
    sample: Counts
    cutoff_p: float | None


def blocks(candidates: Candidates, cohorts: Sequence[Cohort], threads: int = THREADS) -> tuple[Block, ...]:
    """Return the blocks in order of landmark; traits alone are counted at the default landmark."""
    windows = np.array([feature.window_days for feature in candidates.features])
    asked: list[tuple[Cohort, int, int]] = []
    for each in cohorts:
        end = int(np.searchsorted(windows, each.landmark_days, side="right"))
        first_new = int(np.searchsorted(windows, each.landmark_days, side="left"))
        if first_new < end:
            asked.append((each, end, first_new))
        traits = int(np.searchsorted(windows, TRAIT_WINDOW, side="right"))
        if each.landmark_days == DEFAULT_LANDMARK_DAYS and traits:
            asked.append((each, traits, 0))
    return tuple(sweep.in_threads(asked, lambda each: _block(candidates, *each), threads))


def _block(candidates: Candidates, cohort: Cohort, end: int, first_new: int) -> Block:
    rows = cohort.frame
    bits = matrix.build(candidates.columns.first(end), cohort.train, cohort.holdout, rows.converted, cohort.activity)
    return Block(cohort, end, first_new, bits, matrix.singles(bits))


def search(
    candidates: Candidates,
    made: tuple[Block, ...],
    settings: DiscoverySettings,
    on_progress: OnProgress,
    should_stop: ShouldStop,
    threads: int = THREADS,
) -> Search:
    """Test everything in ``made`` and apply the rules of ``families``.

    Raises:
        InputError: there is nothing to test; the text says what to import.
    """
    features, block, counts = _singles(made, settings)
    if not features.size:
        raise InputError(
            f"No condition is carried by {settings.min_units} users of the earlier period, with as many without it: "
            "import more months or more events, or lower min_units."
        )
    p = log_p(counts.table())
    collected, pairs_tested = _test_pairs(made, p, settings, on_progress, should_stop, threads)
    family = p.size + pairs_tested
    pair_p = np.concatenate([each.log_p for each in collected])
    every_p = np.concatenate([p, pair_p])
    q_all = benjamini_hochberg(every_p, family)
    groups = [feature.group for feature in candidates.features]
    singles = _judge_singles(features, block, counts, p, q_all[: p.size], groups, settings)
    pairs = _judge_pairs(made, collected, q_all[p.size :], pairs_tested, groups, settings)
    parts, tested = _best_triples(made, settings, lambda share: on_progress(0.6 + 0.4 * share), should_stop, threads)
    best = _judge_triples(made, parts, tested, (every_p, family), groups, settings)
    return Search(made, singles, pairs, best, _sample(made, settings), bh_cutoff(every_p, family, settings.fdr))


def _test_pairs(
    made: tuple[Block, ...],
    singles_p: Floats,
    settings: DiscoverySettings,
    on_progress: OnProgress,
    should_stop: ShouldStop,
    threads: int,
) -> tuple[list[sweep.Pairs], int]:
    """Return the pairs of each block that may be discoveries beside the singles, and how many are tested."""
    families = [sweep.Family(settings.min_units, each.first_new) for each in made]
    limit, room = float(np.log(settings.fdr)), sweep.MOST_KEPT
    scans = []
    for i, each in enumerate(made):
        on_progress(0.3 * i / len(made))
        scans.append(sweep.scan(each.bits, families[i], limit, room, threads=threads, should_stop=should_stop))
        room -= scans[i].pairs_kept
    tested = sum(scan.tested for scan in scans)
    histogram = np.sum([scan.histogram for scan in scans], axis=0)
    sweep.add_to_histogram(histogram, singles_p)
    bound = sweep.largest_rejectable_log_p(histogram, singles_p.size + tested, settings.fdr)
    cutoff = -np.inf if bound is None else bound
    collected = []
    for i, (each, scan) in enumerate(zip(made, scans, strict=True)):
        on_progress(0.3 + 0.3 * i / len(made))
        collected.append(sweep.collect(each.bits, families[i], cutoff, scan, threads=threads, should_stop=should_stop))
    return collected, tested


def _singles(
    made: tuple[Block, ...], settings: DiscoverySettings
) -> tuple[NDArray[np.int64], NDArray[np.int64], Counts]:
    """Every feature once, in the block where it is new, with enough units on both sides in the training period."""
    features, block, counts, totals = ([np.zeros(shape, np.int64)] for shape in (0, 0, (0, 4), (0, 4)))
    for i, each in enumerate(made):
        new = np.arange(each.first_new, each.end)
        of_new = each.counts(new)
        _, n1, _, n0 = of_new.table()
        kept = np.minimum(n1, n0) >= settings.min_units
        features.append(new[kept])
        block.append(np.full(int(kept.sum()), i))
        counts.append(of_new.counts[kept])
        totals.append(of_new.totals[kept])
    return np.concatenate(features), np.concatenate(block), Counts(np.concatenate(counts), np.concatenate(totals))


def _judge_singles(
    features: NDArray[np.int64],
    block: NDArray[np.int64],
    counts: Counts,
    p: Floats,
    q_all: Floats,
    groups: Sequence[str],
    settings: DiscoverySettings,
) -> Found:
    q_depth = benjamini_hochberg(p)
    own = [groups[feature] for feature in features]
    listed = (q_all < settings.fdr) & (q_depth < settings.fdr) & groups_found(own, p, settings.fdr)
    return Found(features[:, None], block, counts, p, p, q_all, q_depth, listed, p.size)


def _judge_pairs(
    made: tuple[Block, ...],
    collected: Sequence[sweep.Pairs],
    q_all: Floats,
    tested: int,
    groups: Sequence[str],
    settings: DiscoverySettings,
) -> Found:
    features = np.concatenate([np.column_stack([each.first, each.second]) for each in collected]).astype(np.int64)
    block = np.repeat(np.arange(len(made)), [each.first.size for each in collected])
    wrapped = [each.wrap(pairs.counts.astype(np.int64)) for each, pairs in zip(made, collected, strict=True)]
    counts = Counts(np.concatenate([w.counts for w in wrapped]), np.concatenate([w.totals for w in wrapped]))
    p = np.concatenate([each.log_p for each in collected])
    adds = np.zeros(p.size)
    for i, each in enumerate(made):
        at = np.flatnonzero((block == i) & (q_all < settings.fdr))
        if at.size:
            parents = (each.counts(features[at, side]) for side in (0, 1))
            adds[at] = adds_log_p(counts[at], *parents)
    q_depth = benjamini_hochberg(p, tested)
    found = np.zeros(p.size, dtype=bool)
    # No larger p-value can lower a Simes p-value below the level.
    near = np.flatnonzero(adds < np.log(settings.fdr))
    if near.size:
        of_pair = [" & ".join(sorted((groups[a], groups[b]))) for a, b in features[near].tolist()]
        found[near] = groups_found(of_pair, adds[near], settings.fdr, _pairs_by_group(groups))
    beats = benjamini_hochberg(adds, tested) < settings.fdr
    return Found(features, block, counts, p, adds, q_all, q_depth, (q_depth < settings.fdr) & found & beats, tested)


def _best_triples(
    made: tuple[Block, ...],
    settings: DiscoverySettings,
    on_progress: OnProgress,
    should_stop: ShouldStop,
    threads: int,
) -> tuple[list[triples.Triples], int]:
    """Return the best triples of each block, and how many there are to choose from; none where they are too many.

    Triples that no list of ``BEST_TRIPLES`` could make a discovery of are not looked for.
    """
    if triples.possible([(each.end, each.first_new) for each in made]) > triples.MOST_TRIPLES:
        return [], 0
    tables = []
    for each in made:
        if should_stop():
            raise sweep.Stopped
        tables.append(triples.tables_of(each.bits, sweep.Family(settings.min_units, each.first_new)))
    tested = sum(triples.tested(each) for each in tables)
    limit = float(np.log(settings.fdr * BEST_TRIPLES / max(tested, BEST_TRIPLES)))
    found = []
    for i, each in enumerate(made):
        on_progress(i / len(made))
        found.append(triples.best(each.bits, tables[i], BEST_TRIPLES, limit, threads=threads, should_stop=should_stop))
    return found, tested


def _judge_triples(
    made: tuple[Block, ...],
    parts: Sequence[triples.Triples],
    tested: int,
    others: tuple[Floats, int],
    groups: Sequence[str],
    settings: DiscoverySettings,
) -> Found:
    """Apply the rules to the best triples: a family of their own, and within the whole with the p-values of ``others``.

    The triples that were not counted rank as if their p-values were 1, which can only make q-values larger.
    """
    none = np.zeros((0, 4), dtype=np.int64)
    features = np.concatenate([none[:, :3], *(each.features for each in parts)])
    block = np.repeat(np.arange(len(parts)), [len(each.features) for each in parts])
    wrapped = [each.wrap(part.counts) for each, part in zip(made, parts, strict=bool(parts))]
    counts = Counts(
        np.concatenate([none, *(each.counts for each in wrapped)]),
        np.concatenate([none, *(each.totals for each in wrapped)]),
    )
    p = log_p(counts.table())
    adds = np.concatenate([np.zeros(0), *(each.log_p for each in parts)])
    other_p, family = others
    q_all = benjamini_hochberg(np.concatenate([other_p, p]), family + tested)[other_p.size :]
    q_depth = benjamini_hochberg(p, tested)
    beats = benjamini_hochberg(adds, tested) < settings.fdr
    listed = (q_all < settings.fdr) & (q_depth < settings.fdr) & beats
    listed &= _triple_groups_found(groups, features, adds, settings.fdr)
    return Found(features, block, counts, p, adds, q_all, q_depth, listed, tested)


def _triple_groups_found(
    groups: Sequence[str], features: NDArray[np.int64], adds: Floats, level: float
) -> NDArray[np.bool_]:
    """Whether the three groups of each triple are a discovery among all sets of three groups."""
    sizes = Counter(groups)
    chosen = [tuple(sorted(groups[at] for at in each)) for each in features.tolist()]
    size_of = {each: prod(comb(sizes[name], n) for name, n in Counter(each).items()) for each in chosen}
    names = {each: code for code, each in enumerate(size_of)}
    code = np.array([names[each] for each in chosen], dtype=np.int64)
    twice, thrice = (sum(size >= least for size in sizes.values()) for least in (2, 3))
    families = comb(len(sizes), 3) + twice * (len(sizes) - 1) + thrice
    q = benjamini_hochberg(simes(adds, code, list(size_of.values())), families)
    found: NDArray[np.bool_] = (q < level)[code]
    return found


def _pairs_by_group(groups: Sequence[str]) -> dict[str, int]:
    """Number of pairs of features in each pair of groups: at least those that were tested."""
    names, sizes = np.unique(np.asarray(groups, dtype=str), return_counts=True)
    made = {}
    for i, (name, size) in enumerate(zip(names.tolist(), sizes.tolist(), strict=True)):
        made[f"{name} & {name}"] = max(1, size * (size - 1) // 2)
        for other, more in zip(names[i + 1 :].tolist(), sizes[i + 1 :].tolist(), strict=True):
            made[" & ".join(sorted((name, other)))] = size * more
    return made


def _sample(made: tuple[Block, ...], settings: DiscoverySettings) -> Counts:
    """Pairs of evenly spaced features of the largest block, whatever their outcome."""
    largest = max(made, key=lambda each: each.end - each.first_new)
    chosen = np.unique(np.linspace(0, largest.end - 1, PRIOR_SAMPLE).astype(np.int64))
    first, second = (chosen[at] for at in np.triu_indices(chosen.size, 1))
    counts = largest.wrap(matrix.intersections(largest.bits, first, second))
    _, n1, _, n0 = counts.table()
    return counts[np.flatnonzero(np.minimum(n1, n0) >= settings.min_units)]
