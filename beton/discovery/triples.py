"""The triples of candidates in which each condition adds most to the other two: exactly the best, by branch and bound.

A triple is a candidate when each of its three pairs is one. Its score is the p-value of "each condition adds to the
other two": within each pair, the mid-P of the third condition, the largest of the three (an intersection-union test,
Berger 1982). Most triples are never counted: from the common conversions and the tables of the three pairs follows how
small that p-value can get at best.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from beton.discovery.intersect import with_later_rows
from beton.discovery.matrix import BitMatrix, popcount
from beton.discovery.mid_p import log_mid_p, log_probability, margins
from beton.discovery.reach import NEVER, no_reach, reach_rows, within_reach
from beton.discovery.sweep import Family, in_threads

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
ShouldStop = Callable[[], bool]

# About ten seconds of two cores.
MOST_TRIPLES: Final = 3_000_000_000
_CHUNK_WORDS: Final = 10_000_000
_ROWS: Final = 32


@dataclass(frozen=True)
class Triples:
    """Triples, best first: ``features`` (n, 3) ascending, ``counts`` (n, 4) as in BitMatrix, and ``log_p``, the natural
    log of the p-value that each condition adds.
    """

    features: Ints
    counts: Ints
    log_p: Floats


class Tables(NamedTuple):
    """Training counts of a block, of singles (F,) and of candidate pairs above the diagonal (F, F).

    ``hit``: converted carriers, ``out``: the others; a pair that is no candidate has -1 ``out``. ``hits`` and
    ``outs`` (F, words): the bits of either kind of unit.
    """

    hit: Any
    out: Any
    pair_hit: Any
    pair_out: Any
    hits: Any
    outs: Any
    units: int
    converted: int
    log_factorial: Any
    min_units: int
    first_new: int


class _Best(NamedTuple):
    """The best of a chunk so far: ``log_p`` and ``code``, their features in one number; threads share ``bound``."""

    log_p: Any
    code: Any
    bound: Any


def possible(ends: Sequence[tuple[int, int]]) -> int:
    """Return how many triples there are at most in blocks of so many features, of which those from a first are new."""
    return sum(_choose_3(end) - _choose_3(first_new) for end, first_new in ends)


def best(
    matrix: BitMatrix,
    tables: Tables,
    most: int,
    log_p_limit: float = 0.0,
    *,
    threads: int = 1,
    on_progress: Callable[[float], None] | None = None,
    should_stop: ShouldStop | None = None,
) -> Triples:
    """Return the ``most`` triples of a block with the smallest p-values at or below the limit.

    Ties go to the features that come first; the same for any number of threads. Raises Stopped between two chunks of
    rows, each far below a second.
    """
    size, bound = matrix.features, np.array([log_p_limit])
    reach = no_reach(size)
    rows = [range(at, min(at + _ROWS, size)) for at in range(0, size, _ROWS)]

    def prepare(part: range) -> None:
        reach_rows(tables, part.start, part.stop, log_p_limit, reach)

    def one(chunk: range) -> tuple[Floats, Ints]:
        found = _Best(np.full(most, np.inf), np.full(most, np.iinfo(np.int64).max), bound)
        _search_rows(tables, reach, edges, chunk.start, chunk.stop, found)
        return found.log_p, found.code

    for _ in in_threads(rows, prepare, threads, None, should_stop):
        pass
    edges = _edges((reach.up_hit < NEVER) | (reach.down_out < NEVER))
    parts = [(np.zeros(0), np.zeros(0, np.int64))]
    parts += in_threads(_chunks(tables), one, threads, on_progress, should_stop)
    log_p, code = (np.concatenate([part[side] for part in parts]) for side in (0, 1))
    order = np.lexsort((code, log_p))[:most]
    order = order[np.isfinite(log_p[order])]
    features = np.column_stack([code[order] // size**2, code[order] // size % size, code[order] % size])
    return Triples(features, _counts(matrix, features), log_p[order])


def _choose_3(size: int) -> int:
    return size * (size - 1) * (size - 2) // 6


def tables_of(matrix: BitMatrix, family: Family) -> Tables:
    """Count the pairs of a block; the family is that of the pairs."""
    split, end, size = int(matrix.groups[1]), int(matrix.groups[2]), matrix.features
    train = matrix.words[:, :end]
    hit, out = (np.bitwise_count(part).sum(axis=1).astype(np.int32) for part in (train[:, :split], train[:, split:]))
    pair_hit, pair_out = np.zeros((size, size), np.int32), np.full((size, size), -1, np.int32)
    units = matrix.train_units
    for i, counts in enumerate(with_later_rows(train, split)):
        both = counts.sum(axis=0)
        tested = (both >= family.min_units) & (both <= units - family.min_units)
        tested &= (both < hit[i] + out[i]) & (both < (hit + out)[i + 1 :])
        pair_hit[i, i + 1 :] = counts[0]
        pair_out[i, i + 1 :] = np.where(tested, counts[1], -1)
    shared = margins(units, matrix.train_converted)
    return Tables(
        hit,
        out,
        pair_hit,
        pair_out,
        np.ascontiguousarray(train[:, :split]),
        np.ascontiguousarray(train[:, split:]),
        units,
        matrix.train_converted,
        shared.log_factorial,
        family.min_units,
        family.first_new,
    )


def tested(tables: Tables) -> int:
    """Return how many triples of a block have three candidate pairs: by carriers alone, outcomes play no part.

    Some of them have too few units themselves, so the family is at least as large as what is tested.
    """
    return int(_triangles(_edges(tables.pair_out >= 0), tables.first_new))


def _edges(pairs: NDArray[np.bool_]) -> NDArray[np.uint64]:
    """Pack pairs (F, F): bit k of row i for the pair of i and k > i."""
    size = len(pairs)
    bits = np.zeros((size, -(-size // 64) * 64), dtype=bool)
    bits[:, :size] = pairs
    edges: NDArray[np.uint64] = np.packbits(bits, axis=1, bitorder="little").view(np.uint64)
    return edges


@njit(cache=True, nogil=True)
def _triangles(edges: Any, first_new: Any) -> Any:
    total = 0
    for i in range(len(edges)):
        for j in range(i + 1, len(edges)):
            if not edges[i, j // 64] >> np.uint64(j % 64) & np.uint64(1):
                continue
            begin = max(j + 1, first_new)
            for w in range(begin // 64, edges.shape[1]):
                word = edges[i, w] & edges[j, w]
                if w == begin // 64:
                    word = word >> np.uint64(begin % 64) << np.uint64(begin % 64)
                total += popcount(word)
    return total


def _chunks(tables: Tables) -> list[range]:
    """Cut the rows so that a chunk takes a few hundredths of a second."""
    size = len(tables.hit)
    work, chunks, begin = 0, [], 0
    for i in range(size):
        late = min(size - i - 1, size - tables.first_new)
        early = size - i - 1 - late
        work += (early * (size - tables.first_new) + late * (late - 1) // 2) * (tables.hits.shape[1] + 4)
        if work > _CHUNK_WORDS or i == size - 1:
            chunks.append(range(begin, i + 1))
            begin, work = i + 1, 0
    return chunks


def _counts(matrix: BitMatrix, features: Ints) -> Ints:
    counts = np.zeros((len(features), 4), dtype=np.int64)
    for group in range(4):
        words = matrix.words[:, matrix.groups[group] : matrix.groups[group + 1]]
        both = words[features[:, 0]] & words[features[:, 1]] & words[features[:, 2]]
        counts[:, group] = np.bitwise_count(both).sum(axis=1)
    return counts


@njit(cache=True, nogil=True)
def _search_rows(tables: Any, reach: Any, edges: Any, begin: Any, stop: Any, found: Any) -> None:
    size = len(edges)
    third = np.empty(size, dtype=np.int64)
    common = np.empty(size, dtype=np.int64)
    for i in range(begin, stop):
        for j in range(i + 1, size):
            if edges[i, j // 64] >> np.uint64(j % 64) & np.uint64(1):
                listed = within_reach(tables, reach, edges, i, j, third, common)
                _consider(tables, i, j, third[:listed], common[:listed], found)


@njit(cache=True, nogil=True)
def _consider(tables: Any, i: Any, j: Any, third: Any, common: Any, found: Any) -> None:
    """Count the triples of a pair with these third features unless their p-values cannot be among the best."""
    # Passing the tables on counts references to all of its arrays, which takes longer than a triple.
    pair_hit, pair_out, single_out, factorial = tables.pair_hit, tables.pair_out, tables.out, tables.log_factorial
    bound, min_units = found.bound, tables.min_units
    for at in range(third.size):
        k, hit = third[at], common[at]
        out_ij, out_ik, out_jk = pair_out[i, j], pair_out[i, k], pair_out[j, k]
        most = min(min(out_ij, out_ik), out_jk)
        least = max(out_ij + out_ik - single_out[i], out_ij + out_jk - single_out[j])
        least = max(max(least, out_ik + out_jk - single_out[k]), max(min_units - hit, 0))
        pairs = ((pair_hit[i, j], out_ij), (pair_hit[i, k], out_ik), (pair_hit[j, k], out_jk))
        if least <= most and (
            _is_possible(factorial, pairs, hit, least, True, bound[0])
            or _is_possible(factorial, pairs, hit, most, False, bound[0])
        ):
            _count(tables, i, j, k, hit, found)


@njit(cache=True, nogil=True)
def _count(tables: Any, i: Any, j: Any, k: Any, hit: Any, found: Any) -> None:
    """Count the triple, and put it among the best if it is."""
    out = 0
    for w in range(tables.outs.shape[1]):
        out += popcount(tables.outs[i, w] & tables.outs[j, w] & tables.outs[k, w])
    if hit + out >= tables.min_units:
        log_p = _adds(tables, i, j, k, hit, out)
        if log_p < 0.0 and log_p <= found.bound[0]:
            size = len(tables.hit)
            _keep(found, log_p, (np.int64(i) * size + j) * size + k)


@njit(cache=True, nogil=True)
def _is_possible(factorial: Any, pairs: Any, hit: Any, out: Any, is_up: Any, bound: Any) -> Any:
    """Whether ln p may be at or below the bound with so many conversions and at least, or at most, so many others.

    A mid-P is no smaller than the probability of its table, and that falls away from the rate of the pair: a triple
    that lies further in with the same conversions is no less probable.
    """
    for converted, others in pairs:
        distance = hit * others - converted * out
        if distance <= 0 if is_up else distance >= 0:
            return False
        if log_probability(hit, hit + out, converted + others, converted, factorial) > bound:
            return False
    return True


@njit(cache=True, nogil=True)
def _adds(tables: Any, i: Any, j: Any, k: Any, hit: Any, out: Any) -> Any:
    """Largest of the three ln p, 0 where the lift does not go beyond that of each pair in the same direction."""
    strength = _lift(tables, hit, out)
    largest = -np.inf
    for first, second in ((i, j), (i, k), (j, k)):
        converted, others = tables.pair_hit[first, second], tables.pair_out[first, second]
        of_pair = _lift(tables, converted, others)
        beats = strength > of_pair if strength > 1 else strength < of_pair
        if hit + out >= converted + others or not beats:
            return 0.0
        log_p = log_mid_p(hit, hit + out, converted + others, converted, tables.log_factorial)
        largest = max(largest, log_p)
    return largest


@njit(cache=True, nogil=True)
def _lift(tables: Any, hit: Any, out: Any) -> Any:
    """Risk ratio among all units of the training period."""
    rest = tables.converted - hit
    if rest == 0:
        return np.inf
    return (hit / (hit + out)) / (rest / (tables.units - hit - out))


@njit(cache=True, nogil=True)
def _keep(found: Any, log_p: Any, code: Any) -> None:
    """Put a triple in the place of the worst, if it is better; of equals the one that comes first."""
    worst = 0
    for at in range(1, found.log_p.size):
        if (found.log_p[at], found.code[at]) > (found.log_p[worst], found.code[worst]):
            worst = at
    if (log_p, code) < (found.log_p[worst], found.code[worst]):
        found.log_p[worst] = log_p
        found.code[worst] = code
        # Now the worst of a full list is at least as good as any triple outside the best of all.
        found.bound[0] = min(found.bound[0], found.log_p.max())
