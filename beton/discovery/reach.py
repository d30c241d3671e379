"""What a triple needs of each of its pairs to be among the best, worked out pair by pair before any triple is counted.

The mid-P of a table is no smaller than its probability, and that falls away from the rate of the pair, in conversions
as in others: a triple beyond one of these limits cannot have a small enough p-value.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
from numba import njit

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
    for i in range(begin, stop):
        for j in range(i + 1, len(tables.hit)):
            converted, others = tables.pair_hit[i, j], tables.pair_out[i, j]
            if others < 0:
                continue
            pair = (converted, others)
            low, high = 0, converted + 1
            while low < high:
                hit = (low + high) // 2
                if _is_far(tables, hit, max(0, tables.min_units - hit), pair, True, bound):
                    high = hit
                else:
                    low = hit + 1
            if low <= converted:
                reach.up_hit[i, j] = low
                reach.up_out[i, j] = _last_far(tables, True, pair, bound)
            low, high = 0, others + 1
            while low < high:
                out = (low + high) // 2
                if _is_far(tables, 0, out, pair, False, bound):
                    high = out
                else:
                    low = out + 1
            if low <= others:
                reach.down_out[i, j] = low
                reach.down_hit[i, j] = _last_far(tables, False, pair, bound)


@njit(cache=True, nogil=True)
def _last_far(tables: Any, is_up: Any, pair: Any, bound: Any) -> Any:
    """Most others with all conversions (up), or most conversions with all others (down), that are far enough; or -1."""
    converted, others = pair
    low, high = -1, others if is_up else converted
    while low < high:
        at = (low + high + 1) // 2
        hit, out = (converted, at) if is_up else (at, others)
        if _is_far(tables, hit, out, pair, is_up, bound):
            low = at
        else:
            high = at - 1
    return low


@njit(cache=True, nogil=True)
def _is_far(tables: Any, hit: Any, out: Any, pair: Any, is_up: Any, bound: Any) -> Any:
    """Whether a part of a pair has a rate above (or below) the pair's, and is improbable enough."""
    converted, others = pair
    distance = hit * others - converted * out
    if out > others or (distance <= 0 if is_up else distance >= 0):
        return False
    return log_probability(hit, hit + out, converted + others, converted, tables.log_factorial) <= bound


@njit(cache=True, nogil=True)
def within_reach(tables: Any, reach: Any, i: Any, j: Any, start: Any, hit: Any, flags: Any) -> Any:
    """Flag the triples of a pair that, with these common conversions, can be within reach of all three pairs."""
    flag, outs = flags[start:], tables.out[start:]
    out_ij, out_i, out_j = tables.pair_out[i, j], tables.pair_out[i, start:], tables.pair_out[j, start:]
    spare_i, spare_j = out_ij - tables.out[i], out_ij - tables.out[j]
    up_hit, up_hit_i, up_hit_j = reach.up_hit[i, j], reach.up_hit[i, start:], reach.up_hit[j, start:]
    up_out, up_out_i, up_out_j = reach.up_out[i, j], reach.up_out[i, start:], reach.up_out[j, start:]
    down_hit, down_hit_i, down_hit_j = reach.down_hit[i, j], reach.down_hit[i, start:], reach.down_hit[j, start:]
    down_out, down_out_i, down_out_j = reach.down_out[i, j], reach.down_out[i, start:], reach.down_out[j, start:]
    found = 0
    for k in range(hit.size):
        a = np.int32(hit[k])
        least = max(max(spare_i + out_i[k], spare_j + out_j[k]), out_i[k] + out_j[k] - outs[k])
        most = min(min(out_i[k], out_j[k]), out_ij)
        needed, allowed = max(max(up_hit_i[k], up_hit_j[k]), up_hit), min(min(up_out_i[k], up_out_j[k]), up_out)
        up = (a >= needed) & (least <= allowed)
        needed = max(max(down_out_i[k], down_out_j[k]), down_out)
        allowed = min(min(down_hit_i[k], down_hit_j[k]), down_hit)
        flag[k] = up | ((most >= needed) & (a <= allowed))
        found += flag[k]
    return found
