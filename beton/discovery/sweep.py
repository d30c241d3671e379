"""All pairs of candidates: how many there are to test, the histogram of their p-values, and the pairs below a cutoff.

The histogram says which p-values the false discovery rate can still accept. No rejected p-value exceeds the level, so
pairs below that are kept while they are counted; where they are too many to keep, a second pass stores only those that
can be accepted, and the memory stays independent of the number of pairs. Which pairs are tested depends on who carries
them, never on who converted.
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

from beton.discovery.matrix import WORDS_PER_BLOCK, BitMatrix, Integers, intersections, popcount, singles
from beton.discovery.mid_p import Memory, margins, new_memory, remembered_log_mid_p
from beton.errors import BetonError

Floats = NDArray[np.float64]
Progress = Callable[[float], None]
ShouldStop = Callable[[], bool]
_Answer = TypeVar("_Answer")

# A bin spans a factor of 1.023 in p; everything below 1e-400 shares the last one.
BINS_PER_DECADE: Final = 100
_BINS: Final = 400 * BINS_PER_DECADE + 1
_BINS_PER_LOG: Final = BINS_PER_DECADE / np.log(10)
# At most 0.2 s, 44 MB of answers, and rows that can be numbered in 16 bits.
_CHUNK_WORDS: Final = 200_000_000
_CHUNK_PAIRS: Final = 2_000_000
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
    """``tested`` pairs and the ``histogram`` of -log10 of their p-values, int64, see ``add_to_histogram``.

    ``kept``: those with ln p at or below ``log_p_limit`` by chunk of rows, counted in the two groups of the training
    period only; None where they were too many.
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
    log_p_limit: float = -np.inf,
    most_kept: int = MOST_KEPT,
    *,
    threads: int = 1,
    should_stop: ShouldStop | None = None,
) -> Scan:
    """Test every pair of the family; the same for any number of threads.

    Pairs with ln p at or below the limit are kept for ``collect`` unless they are more than ``most_kept``. Raises
    Stopped between two chunks of rows, each far below a second.
    """
    setting = _Setting.of(matrix, family)
    histogram, pairs_kept = empty_histogram(), 0
    kept: list[Pairs] | None = []

    def one(chunk: range, memory: Memory) -> tuple[Integers, Pairs]:
        return _test_chunk(setting.inputs, memory, chunk, -np.inf if kept is None else log_p_limit)

    for counted, part in _in_chunks(setting, one, threads, should_stop):
        histogram += counted
        pairs_kept += part.log_p.size
        if pairs_kept > most_kept:
            kept = None
        if kept is not None:
            kept.append(part)
    return Scan(int(histogram.sum()), histogram, log_p_limit, kept)


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

    def one(chunk: range, memory: Memory) -> Pairs:
        return finish(_test_chunk(setting.inputs, memory, chunk, log_p_cutoff)[1])

    if scanned is not None and scanned.kept is not None and log_p_cutoff <= scanned.log_p_limit:
        found = list(in_threads(scanned.kept, finish, threads, None, should_stop))
    elif log_p_cutoff > -np.inf:
        setting = _Setting.of(matrix, family)
        found = list(_in_chunks(setting, one, threads, should_stop))
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

    ``histogram`` of all p-values of a ``family`` of tests (those not in it count as 1). A bin can hold the largest
    rejected p only when its lower end is at most level x rank / family, and its rank is at most the number of
    p-values down to the bin.
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
    """What the kernels read: the training bits with their runs of blocks, carriers per row, margins and the family."""

    train: Any
    runs: Any
    ends: Any
    split: int
    carriers: Any
    units: int
    converted: int
    log_factorial: Any
    min_units: int
    first_new: int


@dataclass(frozen=True)
class _Setting:
    """A matrix prepared for the sweep over its training words."""

    work: Floats
    inputs: _Inputs

    @classmethod
    def of(cls, matrix: BitMatrix, family: Family) -> _Setting:
        train = matrix.words[:, : matrix.groups[2]]
        shared = margins(matrix.train_units, matrix.train_converted)
        split = int(matrix.groups[1])
        bits = (np.ascontiguousarray(train), *runs_of_blocks(train, split), split, singles(matrix)[:, :2].sum(axis=1))
        inputs = _Inputs(
            *bits, shared.units, shared.converted, shared.log_factorial, family.min_units, family.first_new
        )
        partners = matrix.features - np.maximum(np.arange(matrix.features) + 1, family.first_new)
        return cls(partners.clip(0).astype(np.float64) * max(1, train.shape[1]), inputs)

    def chunks(self, features: int) -> list[range]:
        """Cut the rows so that a chunk takes a few hundredths of a second."""
        size = self.work.cumsum() // _CHUNK_WORDS
        size = np.maximum(size, np.arange(features) * features // _CHUNK_PAIRS)
        starts = [0, *(np.flatnonzero(np.diff(size)) + 1).tolist(), features]
        return [range(start, stop) for start, stop in pairwise(starts) if stop > start]


def _in_chunks(
    setting: _Setting,
    one: Callable[[range, Memory], _Answer],
    threads: int,
    should_stop: ShouldStop | None,
) -> Iterator[_Answer]:
    """Answer chunks of rows in order, in threads that the compiled loops leave free to run."""
    memories: SimpleQueue[Memory] = SimpleQueue()
    for _ in range(threads):
        memories.put(new_memory())

    def remember(chunk: range) -> _Answer:
        memory = memories.get()
        try:
            return one(chunk, memory)
        finally:
            memories.put(memory)

    yield from in_threads(setting.chunks(len(setting.work)), remember, threads, None, should_stop)


_Task = TypeVar("_Task")


def in_threads(
    tasks: Sequence[_Task],
    one: Callable[[_Task], _Answer],
    threads: int,
    on_progress: Progress | None,
    should_stop: ShouldStop | None,
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


def runs_of_blocks(words: NDArray[np.uint64], split: int) -> tuple[NDArray[np.int32], Integers]:
    """Return the runs of non-empty 512-bit blocks of each row, in words: starts and stops (R, 2), cut at ``split``.

    Row f has runs ends[f] to ends[f + 1]. A single empty block does not end a run: starting anew costs as much.
    """
    filled: NDArray[np.bool_] = np.any(words.reshape(len(words), -1, WORDS_PER_BLOCK), axis=2)
    filled[:, 1:-1] |= filled[:, :-2] & filled[:, 2:]
    padded = np.zeros((len(words), filled.shape[1] + 3), dtype=np.int8)
    cut = split // WORDS_PER_BLOCK
    padded[:, 1 : cut + 1] = filled[:, :cut]
    padded[:, cut + 2 : -1] = filled[:, cut:]
    change = np.diff(padded, axis=1)
    row, start = np.nonzero(change == 1)
    stop = np.nonzero(change == -1)[1]
    runs = np.stack([start - (start > cut), stop - (stop > cut)], axis=1) * WORDS_PER_BLOCK
    return runs.astype(np.int32), np.searchsorted(row, np.arange(len(words) + 1)).astype(np.int64)


@njit(cache=True, nogil=True)
def count_against(row: Any, runs: Any, split: Any, others: Any, start: Any, counts: Any) -> None:
    """Count the common bits of ``row`` with others[start:], before and after word ``split``: counts (2, others).

    Four others at a time share each word loaded of the row; blocks in which the row is empty are passed over.
    """
    counts[:, start:] = 0
    four = start + (len(others) - start) // 4 * 4
    for run in range(len(runs)):
        begin, end = runs[run]
        half = 0 if end <= split else 1
        one = row[begin:end]
        for j in range(start, four, 4):
            other0 = others[j, begin:end]
            other1 = others[j + 1, begin:end]
            other2 = others[j + 2, begin:end]
            other3 = others[j + 3, begin:end]
            total0 = 0
            total1 = 0
            total2 = 0
            total3 = 0
            for w in range(one.size):
                total0 += popcount(one[w] & other0[w])
                total1 += popcount(one[w] & other1[w])
                total2 += popcount(one[w] & other2[w])
                total3 += popcount(one[w] & other3[w])
            counts[half, j] += total0
            counts[half, j + 1] += total1
            counts[half, j + 2] += total2
            counts[half, j + 3] += total3
        for j in range(four, len(others)):
            other0 = others[j, begin:end]
            total0 = 0
            for w in range(one.size):
                total0 += popcount(one[w] & other0[w])
            counts[half, j] += total0


class _Found(NamedTuple):
    """Pairs found in a chunk, tile by tile: ``row`` of the chunk, partner, counts and ln p; ``size[0]`` of them."""

    row: Any
    partner: Any
    counts: Any
    log_p: Any
    size: Any


def _test_chunk(inputs: _Inputs, memory: Memory, chunk: range, log_p_limit: float) -> tuple[Integers, Pairs]:
    """Return the histogram of the pairs of some rows, and those with ln p at or below the limit."""
    histogram, most = empty_histogram(), len(chunk) * len(inputs.train)
    found = _Found(
        np.empty(most, np.uint16),
        np.empty(most, np.int32),
        np.empty((most, 2), np.int32),
        np.empty(most),
        np.zeros(1, np.int64),
    )
    _test_rows(inputs, memory, (chunk.start, chunk.stop), log_p_limit, histogram, found)
    order = np.argsort(found.row[: found.size[0]], kind="stable")
    first = found.row[order] + np.int32(chunk.start)
    return histogram, Pairs(first, found.partner[order], found.counts[order], found.log_p[order])


@njit(cache=True, nogil=True)
def _test_rows(sweep: Any, memory: Any, chunk: Any, log_p_limit: Any, histogram: Any, found: Any) -> None:
    """Add the p-values of the pairs of a chunk of rows to the histogram, and note those within the limit.

    All rows meet a tile of partners before the next tile is read: read once per row, the partners of thousands of
    candidates would come from memory each time.
    """
    counts = np.zeros((2, _TILE), dtype=np.int64)
    begin, end = chunk
    n = 0
    for at in range(max(begin + 1, sweep.first_new), len(sweep.train), _TILE):
        tile = sweep.train[at : at + _TILE]
        for i in range(begin, end):
            start = max(i + 1 - at, 0)
            if sweep.carriers[i] <= sweep.min_units or start >= len(tile):
                continue
            runs = sweep.runs[sweep.ends[i] : sweep.ends[i + 1]]
            count_against(sweep.train[i], runs, sweep.split, tile, start, counts)
            for k in range(start, len(tile)):
                a, j = counts[0, k], at + k
                n1 = a + counts[1, k]
                enough = sweep.min_units <= n1 <= sweep.units - sweep.min_units
                if not (enough and n1 < sweep.carriers[i] and n1 < sweep.carriers[j]):
                    continue
                log_p = remembered_log_mid_p(
                    a, n1, sweep.units, sweep.converted, sweep.log_factorial, memory.key, memory.log_p
                )
                histogram[min(int(-log_p * _BINS_PER_LOG), _BINS - 1)] += 1
                if log_p <= log_p_limit:
                    found.row[n] = i - begin
                    found.partner[n] = j
                    found.counts[n, 0] = a
                    found.counts[n, 1] = counts[1, k]
                    found.log_p[n] = log_p
                    n += 1
    found.size[0] = n
