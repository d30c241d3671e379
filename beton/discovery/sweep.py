"""All pairs of candidates: how many there are to test, the histogram of their p-values, and the pairs below a cutoff.

Two passes instead of one keep the memory independent of the number of pairs: the histogram of the first says which
p-values the false discovery rate can still accept, and the second stores only those pairs. Which pairs are tested
depends on who carries them, never on who converted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
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
# 20 ms or so, and 24 MB of answers at most.
_CHUNK_WORDS: Final = 200_000_000
_CHUNK_PAIRS: Final = 2_000_000


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
class Scan:
    """``tested`` pairs and the ``histogram`` of -log10 of their p-values, int64, see ``add_to_histogram``."""

    tested: int
    histogram: Integers


@dataclass(frozen=True)
class Pairs:
    """Collected pairs in the order of (first, second), first < second.

    ``counts`` int32 (K, 4): carriers in the groups of the BitMatrix; ``log_p`` natural log of the training mid-P.
    """

    first: NDArray[np.int32]
    second: NDArray[np.int32]
    counts: NDArray[np.int32]
    log_p: Floats


def scan(
    matrix: BitMatrix,
    family: Family,
    *,
    threads: int = 1,
    on_progress: Progress | None = None,
    should_stop: ShouldStop | None = None,
) -> Scan:
    """Test every pair of the family and keep the histogram only; the same for any number of threads.

    Raises Stopped between two chunks of rows, each far below a second.
    """
    setting = _Setting.of(matrix, family)

    def one(chunk: range, memory: Memory) -> Integers:
        histogram = np.zeros(_BINS, dtype=np.int64)
        _scan_rows(setting.inputs, memory, chunk.start, chunk.stop, histogram)
        return histogram

    histogram = np.zeros(_BINS, dtype=np.int64)
    for part in _in_chunks(setting, one, threads, on_progress, should_stop):
        histogram += part
    return Scan(int(histogram.sum()), histogram)


def collect(
    matrix: BitMatrix,
    family: Family,
    log_p_cutoff: float,
    *,
    threads: int = 1,
    on_progress: Progress | None = None,
    should_stop: ShouldStop | None = None,
) -> Pairs:
    """Return the tested pairs with ln p at or below the cutoff; raises Stopped as ``scan`` does."""
    setting = _Setting.of(matrix, family)

    def one(chunk: range, memory: Memory) -> tuple[Integers, Integers, Floats]:
        found = np.zeros(len(chunk), dtype=np.int64)
        partner = np.empty((len(chunk), matrix.features), dtype=np.int32)
        log_p = np.empty(partner.shape)
        _collect_rows(setting.inputs, memory, chunk.start, log_p_cutoff, found, partner, log_p)
        filled = np.arange(matrix.features) < found[:, None]
        return np.repeat(np.arange(chunk.start, chunk.stop), found), partner[filled].astype(np.int64), log_p[filled]

    none = (np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))
    parts = [none, *_in_chunks(setting, one, threads, on_progress, should_stop)]
    first, second, log_p = (np.concatenate([part[i] for part in parts]) for i in range(3))
    counts = intersections(matrix, first, second).astype(np.int32)
    return Pairs(first.astype(np.int32), second.astype(np.int32), counts, log_p)


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
        runs, ends = runs_of_blocks(train, int(matrix.groups[1]))
        rows = np.arange(matrix.features)
        partners = matrix.features - np.maximum(rows + 1, family.first_new)
        inputs = _Inputs(
            np.ascontiguousarray(train),
            runs,
            ends,
            int(matrix.groups[1]),
            singles(matrix)[:, :2].sum(axis=1),
            shared.units,
            shared.converted,
            shared.log_factorial,
            family.min_units,
            family.first_new,
        )
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
    on_progress: Progress | None,
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

    yield from in_threads(setting.chunks(len(setting.work)), remember, threads, on_progress, should_stop)


_Task = TypeVar("_Task")


def in_threads(
    tasks: list[_Task],
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


@njit(cache=True, nogil=True)
def _test_row(i: Any, sweep: Any, memory: Any, counts: Any, log_p: Any) -> Any:
    """Fill log_p[j] for each partner j of row i, 1 where the pair is not tested; return the first partner."""
    start = max(i + 1, sweep.first_new)
    log_p[start:] = 1.0
    if sweep.carriers[i] <= sweep.min_units:
        return start
    runs = sweep.runs[sweep.ends[i] : sweep.ends[i + 1]]
    count_against(sweep.train[i], runs, sweep.split, sweep.train, start, counts)
    for j in range(start, len(sweep.train)):
        n1 = counts[0, j] + counts[1, j]
        enough = sweep.min_units <= n1 <= sweep.units - sweep.min_units
        if enough and n1 < sweep.carriers[i] and n1 < sweep.carriers[j]:
            log_p[j] = remembered_log_mid_p(
                counts[0, j], n1, sweep.units, sweep.converted, sweep.log_factorial, memory.key, memory.log_p
            )
    return start


@njit(cache=True, nogil=True)
def _scan_rows(sweep: Any, memory: Any, begin: Any, end: Any, histogram: Any) -> None:
    """Add the p-values of the pairs of rows begin to end to the histogram."""
    counts = np.zeros((2, len(sweep.train)), dtype=np.int64)
    log_p = np.empty(len(sweep.train))
    for i in range(begin, end):
        for j in range(_test_row(i, sweep, memory, counts, log_p), len(sweep.train)):
            if log_p[j] <= 0.0:
                histogram[min(int(-log_p[j] * _BINS_PER_LOG), _BINS - 1)] += 1


@njit(cache=True, nogil=True)
def _collect_rows(sweep: Any, memory: Any, begin: Any, cutoff: Any, found: Any, partner: Any, kept: Any) -> None:
    """List the partners of each row with ln p at or below the cutoff: found[r] of them in partner[r] and kept[r]."""
    counts = np.zeros((2, len(sweep.train)), dtype=np.int64)
    log_p = np.empty(len(sweep.train))
    for r in range(len(found)):
        i = begin + r
        for j in range(_test_row(i, sweep, memory, counts, log_p), len(sweep.train)):
            if log_p[j] <= min(cutoff, 0.0):
                partner[r, found[r]] = j
                kept[r, found[r]] = log_p[j]
                found[r] += 1
