"""What a triple needs of each of its pairs to be among the best, worked out pair by pair before any triple is counted.

The mid-P of a table is no smaller than its probability, and that falls away from the rate of the pair, in conversions
as in others: a triple beyond one of these limits cannot have a small enough p-value.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
from numba import njit

from beton.discovery.matrix import popcount
from beton.discovery.mid_p import log_probability

NEVER: Final = np.iinfo(np.int32).max


class Reach(NamedTuple):
    """What a triple needs to get below the bound within a pair, (F, F) above the diagonal, see ``reach_rows``.

    Above the pair's rate at least ``up_hit`` conversions and at most ``up_out`` others, below it at least ``down_out``
    others and at most ``down_hit`` conversions.
    """

    up_hit: Any
    up_out: Any
    down_hit: Any
    down_out: Any


def no_reach(size: int) -> Reach:
    """Return the reach of pairs of which no triple can be among the best."""
    never, none = np.full((size, size), NEVER, np.int32), np.full((size, size), -1, np.int32)
    return Reach(never, none, none.copy(), never.copy())


@njit(cache=True, nogil=True)
def reach_rows(tables: Any, begin: Any, stop: Any, bound: Any, reach: Any) -> None:
    """Fill the reach of the pairs of rows begin to stop, each limit by bisection.

    A rate above the pair's needs ``up_hit`` conversions even with the fewest others, and ``up_out`` others at most even
    with all conversions; a rate below the mirror image.
    """
    pair_hit, pair_out, min_units, factorial = tables.pair_hit, tables.pair_out, tables.min_units, tables.log_factorial
    up_hit, up_out, down_hit, down_out = reach.up_hit, reach.up_out, reach.down_hit, reach.down_out
    for i in range(begin, stop):
        for j in range(i + 1, len(pair_hit)):
            converted, others = pair_hit[i, j], pair_out[i, j]
            if others < 0:
                continue
            pair = (converted, others)
            low, high = 0, converted + 1
            while low < high:
                hit = (low + high) // 2
                if _is_far(factorial, hit, max(0, min_units - hit), pair, True, bound):
                    high = hit
                else:
                    low = hit + 1
            if low <= converted:
                up_hit[i, j] = low
                up_out[i, j] = _last_far(factorial, True, pair, bound)
            low, high = 0, others + 1
            while low < high:
                out = (low + high) // 2
                if _is_far(factorial, 0, out, pair, False, bound):
                    high = out
                else:
                    low = out + 1
            if low <= others:
                down_out[i, j] = low
                down_hit[i, j] = _last_far(factorial, False, pair, bound)


@njit(cache=True, nogil=True)
def _last_far(factorial: Any, is_up: Any, pair: Any, bound: Any) -> Any:
    """Most others with all conversions (up), or most conversions with all others (down), that are far enough; or -1."""
    converted, others = pair
    low, high = -1, others if is_up else converted
    while low < high:
        at = (low + high + 1) // 2
        hit, out = (converted, at) if is_up else (at, others)
        if _is_far(factorial, hit, out, pair, is_up, bound):
            low = at
        else:
            high = at - 1
    return low


@njit(cache=True, nogil=True)
def _is_far(factorial: Any, hit: Any, out: Any, pair: Any, is_up: Any, bound: Any) -> Any:
    """Whether a part of a pair has a rate above (or below) the pair's, and is improbable enough."""
    converted, others = pair
    distance = hit * others - converted * out
    if out > others or (distance <= 0 if is_up else distance >= 0):
        return False
    return log_probability(hit, hit + out, converted + others, converted, factorial) <= bound


@njit(cache=True, nogil=True)
def within_reach(tables: Any, reach: Any, edges: Any, i: Any, j: Any, third: Any, common: Any) -> Any:
    """List the triples of a pair that can be within reach of all three, and their conversions; return how many.

    ``edges`` has bit k of row i where the pair of i and k > i has a reach. Conversions are counted only where those of
    the pairs leave room. Rows are taken before the loop: a reference counted in it would take longer than the rest.
    """
    hits, hit, out = tables.hits, tables.hit, tables.out
    hit_ij, hit_i, hit_j = tables.pair_hit[i, j], tables.pair_hit[i], tables.pair_hit[j]
    out_ij, out_i, out_j = tables.pair_out[i, j], tables.pair_out[i], tables.pair_out[j]
    up_hit, up_hit_i, up_hit_j = reach.up_hit[i, j], reach.up_hit[i], reach.up_hit[j]
    up_out, up_out_i, up_out_j = reach.up_out[i, j], reach.up_out[i], reach.up_out[j]
    down_hit, down_hit_i, down_hit_j = reach.down_hit[i, j], reach.down_hit[i], reach.down_hit[j]
    down_out, down_out_i, down_out_j = reach.down_out[i, j], reach.down_out[i], reach.down_out[j]
    start, one, found = max(j + 1, tables.first_new), np.uint64(1), 0
    for w in range(start // 64, edges.shape[1]):
        word = edges[i, w] & edges[j, w]
        if w == start // 64:
            word = word >> np.uint64(start % 64) << np.uint64(start % 64)
        while word:
            k = w * 64 + popcount(~word & (word - one))
            word &= word - one
            needed, allowed = max(max(up_hit_i[k], up_hit_j[k]), up_hit), min(min(up_out_i[k], up_out_j[k]), up_out)
            least = max(max(out_ij + out_i[k] - out[i], out_ij + out_j[k] - out[j]), out_i[k] + out_j[k] - out[k])
            up = (min(min(hit_i[k], hit_j[k]), hit_ij) >= needed) & (least <= allowed)
            others, few = max(max(down_out_i[k], down_out_j[k]), down_out), min(down_hit_i[k], down_hit_j[k])
            few = min(few, down_hit)
            least = max(max(hit_ij + hit_i[k] - hit[i], hit_ij + hit_j[k] - hit[j]), hit_i[k] + hit_j[k] - hit[k])
            down = (least <= few) & (min(min(out_i[k], out_j[k]), out_ij) >= others)
            if not (up | down):
                continue
            a = 0
            for v in range(hits.shape[1]):
                a += popcount(hits[i, v] & hits[j, v] & hits[k, v])
            if (up & (a >= needed)) | (down & (a <= few)):
                third[found], common[found] = k, a
                found += 1
    return found
