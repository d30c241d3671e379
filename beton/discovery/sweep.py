"""All pairs of candidates: how many there are to test, the histogram of their p-values, and the pairs below a cutoff.

The histogram says which p-values the false discovery rate can still accept. No rejected p-value exceeds the level, so
larger ones are only counted, and pairs below it are kept; where they are too many to keep, a second pass stores only
those that can be accepted, and the memory stays independent of the number of pairs. Which pairs are tested depends on
who carries them, never on who converted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from itertools import pairwise
from queue import SimpleQueue
from typing import Any, Final, NamedTuple, TypeVar

import numpy as np
from numba import njit
from numpy.typing import NDArray

from beton.discovery.intersect import RowPairs, count_against, row_pairs
from beton.discovery.matrix import BitMatrix, Integers, intersections, singles
from beton.discovery.mid_p import Memory, Screen, margins, new_memory, remembered_log_mid_p, screen
from beton.errors import BetonError

Floats = NDArray[np.float64]
Progress = Callable[[float], None]
ShouldStop = Callable[[], bool]
_Answer = TypeVar("_Answer")

# A bin spans a factor of 1.023 in p; everything below 1e-400 shares the last one.
BINS_PER_DECADE: Final = 100
_BINS: Final = 400 * BINS_PER_DECADE + 1
_BINS_PER_LOG: Final = BINS_PER_DECADE / np.log(10)
# Hundredths of a second and 11 MB of answers; enough chunks for threads to end together, of rows numbered in 16 bits.
_CHUNK_WORDS: Final = 50_000_000
_CHUNK_PAIRS: Final = 500_000
# Partners that a core's cache holds while all rows of a chunk meet them: 160 KB at 20,000 units.
_TILE: Final = 64
# 400 MB.
MOST_KEPT: Final = 16_000_000


class Stopped(BetonError):
    """``should_stop`` said so; there is no result."""

    def __init__(self) -> None:
        super().__init__("The discovery was cancelled; nothing was changed.")


@dataclass(frozen=True)
class Family:
    """Which pairs are tested; the rule sees no outcome.

    At least ``min_units`` units of the training period carry the pair, at least as many do not, and fewer carry it
    than carry either candidate alone. Pairs of two candidates before ``first_new`` belong to an earlier cohort.
    """

    min_units: int
    first_new: int = 0


@dataclass(frozen=True)
class Pairs:
    """Pairs in the order of (first, second), first < second.

    ``counts`` int32 (K, 4): carriers in the groups of the BitMatrix; ``log_p`` natural log of the training mid-P.
    """

    first: NDArray[np.int32]
    second: NDArray[np.int32]
    counts: NDArray[np.int32]
    log_p: Floats


@dataclass(frozen=True)
class Scan:
    """``tested`` pairs, and of those with ln p at or below ``log_p_limit`` what follows.

    ``histogram`` of -log10 p, int64, see ``add_to_histogram``; ``kept``: the pairs by chunk of rows, counted in the two
    groups of the training period only, None where they were too many.
    """

    tested: int
    histogram: Integers
    log_p_limit: float
    kept: Sequence[Pairs] | None

    @property
    def pairs_kept(self) -> int:
        """Number of pairs in ``kept``."""
        return sum(part.log_p.size for part in self.kept or ())


def scan(
    matrix: BitMatrix,
    family: Family,
    log_p_limit: float = 0.0,
    most_kept: int = MOST_KEPT,
    *,
    threads: int = 1,
    should_stop: ShouldStop | None = None,
) -> Scan:
    """Test every pair of the family; the same for any number of threads.

    Pairs with ln p at or below the limit are kept for ``collect`` unless they are more than ``most_kept``. Raises
    Stopped between two chunks of rows, each far below a second.
    """
    setting = _Setting.of(matrix, family, log_p_limit)
    histogram, tested, pairs_kept = empty_histogram(), 0, 0
    kept: list[Pairs] | None = []
    for in_chunk, part in _in_chunks(setting, threads, should_stop):
        tested += in_chunk
        add_to_histogram(histogram, part.log_p)
        pairs_kept += part.log_p.size
        if pairs_kept > most_kept:
            kept = None
        if kept is not None:
            kept.append(part)
    return Scan(tested, histogram, log_p_limit, kept)


def collect(
    matrix: BitMatrix,
    family: Family,
    log_p_cutoff: float,
    scanned: Scan | None = None,
    *,
    threads: int = 1,
    should_stop: ShouldStop | None = None,
) -> Pairs:
    """Return the tested pairs with ln p at or below the cutoff; raises Stopped as ``scan`` does.

    They are taken from those that a scan of the same pairs kept, or else all pairs are tested again.
    """

    def finish(part: Pairs) -> Pairs:
        at = np.flatnonzero(part.log_p <= log_p_cutoff)
        first, second = part.first[at], part.second[at]
        held_out = intersections(matrix, first, second, first_group=2).astype(np.int32)
        return Pairs(first, second, np.concatenate([part.counts[at], held_out], axis=1), part.log_p[at])

    if scanned is not None and scanned.kept is not None and log_p_cutoff <= scanned.log_p_limit:
        found = list(in_threads(scanned.kept, finish, threads, None, should_stop))
    elif log_p_cutoff > -np.inf:
        setting = _Setting.of(matrix, family, log_p_cutoff)
        found = [finish(part) for _, part in _in_chunks(setting, threads, should_stop)]
    else:
        found = []
    none = Pairs(np.zeros(0, np.int32), np.zeros(0, np.int32), np.zeros((0, 4), np.int32), np.zeros(0))
    return Pairs(*(np.concatenate([getattr(part, each.name) for part in (none, *found)]) for each in fields(Pairs)))


def empty_histogram() -> Integers:
    """Return a histogram of no p-values."""
    return np.zeros(_BINS, dtype=np.int64)


def add_to_histogram(histogram: Integers, log_p: Floats) -> None:
    """Count p-values, given as natural logs, in place; bin b spans 10**-(b + 1)/100 to 10**-b/100."""
    bins = np.minimum((-log_p * _BINS_PER_LOG).astype(np.int64), _BINS - 1)
    histogram += np.bincount(bins, minlength=_BINS)


def largest_rejectable_log_p(histogram: Integers, family: int, level: float) -> float | None:
    """Return an upper bound of the largest ln p that Benjamini-Hochberg rejects; None when it rejects none.

    ``histogram`` of the p-values of a ``family`` of tests, at least of those up to the ``level`` (the others count
    as 1). A bin can hold the largest rejected p only when its lower end is at most level x rank / family, and its rank
    is at most the number of p-values down to the bin.
    """
    at_most = np.cumsum(histogram[::-1])[::-1]
    with np.errstate(divide="ignore"):
        line = np.log(level * at_most / family)
    lower_end = -(np.arange(_BINS) + 1) / _BINS_PER_LOG
    lower_end[-1] = -np.inf
    possible = np.flatnonzero((histogram > 0) & (lower_end <= line + 1e-9))
    if not len(possible):
        return None
    largest = possible[0]
    # The slack covers rounding of a p-value that sits on an end of its bin.
    return float(min(-largest / _BINS_PER_LOG, line[largest]) + 1e-9)


class _Inputs(NamedTuple):
    """What the kernels read: the training bits, carriers per row, margins, family, limit."""

    train: RowPairs
    carriers: Any
    units: int
    converted: int
    log_factorial: Any
    min_units: int
    first_new: int
    log_p_limit: float
    screen: Screen


@dataclass(frozen=True)
class _Setting:
    """A matrix prepared for the sweep over its training words."""

    work: Floats
    inputs: _Inputs

    @classmethod
    def of(cls, matrix: BitMatrix, family: Family, log_p_limit: float) -> _Setting:
        train = matrix.words[:, : matrix.groups[2]]
        shared = margins(matrix.train_units, matrix.train_converted)
        carriers = singles(matrix)[:, :2].sum(axis=1)
        inputs = _Inputs(
            row_pairs(train, int(matrix.groups[1])),
            carriers,
            shared.units,
            shared.converted,
            shared.log_factorial,
            family.min_units,
            family.first_new,
            log_p_limit,
            screen(shared, log_p_limit, int(carriers.max(initial=0))),
        )
        partners = matrix.features - np.maximum(np.arange(matrix.features) + 1, family.first_new)
        return cls(partners.clip(0).astype(np.float64) * max(1, train.shape[1]), inputs)

    def chunks(self) -> list[range]:
        """Cut the rows so that a chunk takes a few hundredths of a second."""
        features = len(self.work)
        size = self.work.cumsum() // _CHUNK_WORDS
        size = np.maximum(size, np.arange(features) * features // _CHUNK_PAIRS)
        # From even rows on, which meet their neighbours.
        starts = [0, *((np.flatnonzero(np.diff(size)) + 1) // 2 * 2).tolist(), features]
        return [range(start, stop) for start, stop in pairwise(starts) if stop > start]


def _in_chunks(setting: _Setting, threads: int, should_stop: ShouldStop | None) -> Iterator[tuple[int, Pairs]]:
    """Test chunks of rows in order, in threads that the compiled loops leave free to run; see ``_test_chunk``."""
    chunks, benches = setting.chunks(), SimpleQueue[tuple[Memory, _Found]]()
    for _ in range(threads):
        benches.put((new_memory(), _new_found(max(map(len, chunks), default=0) * len(setting.work))))

    def one(chunk: range) -> tuple[int, Pairs]:
        bench = benches.get()
        try:
            return _test_chunk(setting.inputs, *bench, chunk)
        finally:
            benches.put(bench)

    yield from in_threads(chunks, one, threads, None, should_stop)


_Task = TypeVar("_Task")


def in_threads(
    tasks: Sequence[_Task],
    one: Callable[[_Task], _Answer],
    threads: int,
    on_progress: Progress | None = None,
    should_stop: ShouldStop | None = None,
) -> Iterator[_Answer]:
    """Yield the answers of tasks in order; after each, report the share done and raise Stopped if asked to."""
    with ThreadPoolExecutor(threads) as pool:
        waiting = [pool.submit(one, task) for task in tasks]
        try:
            for done, each in enumerate(waiting):
                if should_stop is not None and should_stop():
                    raise Stopped
                yield each.result()
                if on_progress is not None:
                    on_progress((done + 1) / len(tasks))
        finally:
            for each in waiting:
                each.cancel()


class _Found(NamedTuple):
    """Pairs found in a chunk, tile by tile: ``row`` of the chunk, partner, training counts and ln p."""

    row: Any
    partner: Any
    counts: Any
    log_p: Any


def _new_found(pairs: int) -> _Found:
    # One more, since every pair is written down before it is known whether it stays.
    most = pairs + 1
    return _Found(np.empty(most, np.uint16), np.empty(most, np.int32), np.empty((most, 2), np.int32), np.empty(most))


def _test_chunk(inputs: _Inputs, memory: Memory, found: _Found, chunk: range) -> tuple[int, Pairs]:
    """Return how many pairs of some rows are tested, and those with ln p at or below the limit; ``found`` is used."""
    tested, noted = _test_rows(inputs, (chunk.start, chunk.stop), found)
    return int(tested), Pairs(*_within_limit(inputs, memory, (chunk.start, chunk.stop), noted, found))


@njit(cache=True, nogil=True)
def _test_rows(sweep: Any, chunk: Any, found: Any) -> Any:
    """Note the pairs of a chunk of rows that the screen lets pass; return how many are tested, and how many noted.

    All rows meet a tile of partners before the next tile is read: read once per row, the partners of thousands of
    candidates would come from memory each time. Whether a pair passes is as good as random: instead of a branch,
    every pair is written down, and the next one in its place unless it stays.
    """
    counts = np.zeros((2, 2, _TILE), dtype=np.int64)
    words, size = sweep.train.words, sweep.carriers.size
    begin, end = chunk
    tested = noted = 0
    for at in range(max(begin + 1, sweep.first_new), size, _TILE):
        tile = words[at : min(at + _TILE, size)]
        for pair in range(begin, end, 2):
            start = max(pair + 1 - at, 0)
            if sweep.carriers[pair : pair + 2].max() <= sweep.min_units or start >= len(tile):
                continue
            runs = sweep.train.runs[sweep.train.ends[pair // 2] : sweep.train.ends[pair // 2 + 1]]
            count_against(words[pair : pair + 2], runs, sweep.train.split, tile, start, counts)
            for i in range(pair, min(pair + 2, end)):
                most = min(sweep.carriers[i] - 1, sweep.units - sweep.min_units)
                for k in range(max(i + 1 - at, 0), len(tile)):
                    a, j = counts[i - pair, 0, k], at + k
                    n1 = a + counts[i - pair, 1, k]
                    is_tested = (n1 >= sweep.min_units) & (n1 <= most) & (n1 < sweep.carriers[j])
                    found.row[noted] = i - begin
                    found.partner[noted] = j
                    found.counts[noted, 0] = a
                    found.counts[noted, 1] = n1 - a
                    tested += is_tested
                    noted += is_tested & ((a <= sweep.screen.few[n1]) | (a >= sweep.screen.many[n1]))
    return tested, noted


@njit(cache=True, nogil=True)
def _within_limit(sweep: Any, memory: Any, chunk: Any, noted: Any, found: Any) -> Any:
    """Return the fields of ``Pairs`` for the noted pairs within the limit, by row; a row's come by partner already."""
    begin, end = chunk
    place = np.zeros(end - begin + 1, dtype=np.int64)
    for at in range(noted):
        a = np.int64(found.counts[at, 0])
        n1 = a + found.counts[at, 1]
        log_p = remembered_log_mid_p(a, n1, sweep.units, sweep.converted, sweep.log_factorial, memory)
        found.log_p[at] = log_p
        place[found.row[at] + 1] += log_p <= sweep.log_p_limit
    place = np.cumsum(place)
    kept = place[-1]
    first, second = np.empty(kept, dtype=np.int32), np.empty(kept, dtype=np.int32)
    counts, ln_p = np.empty((kept, 2), dtype=np.int32), np.empty(kept)
    for at in range(noted):
        if found.log_p[at] <= sweep.log_p_limit:
            row = found.row[at]
            to = place[row]
            place[row] += 1
            first[to], second[to], ln_p[to] = begin + row, found.partner[at], found.log_p[at]
            counts[to, 0], counts[to, 1] = found.counts[at, 0], found.counts[at, 1]
    return first, second, counts, ln_p
