"""In which window each unit did something for the k-th time: one pass over the rows of an event for all values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numba import njit
from numpy.typing import NDArray

from beton.model.signal import DAY_S
from beton.warehouse.core.arrays import Core

Integers: TypeAlias = NDArray[np.int64]
Places: TypeAlias = NDArray[np.uint8]


class Spans(NamedTuple):
    """Rows of one event: ``first[i]:end[i]`` are those of the unit at ``position[i]`` since its signup, by time.

    They index ``rel_s``, seconds since the signup.
    """

    position: Integers
    first: Integers
    end: Integers
    rel_s: NDArray[np.int32]


def kth_window(spans: Spans, counts: Sequence[int], ends_s: Integers, units: int) -> Places:
    """Return the first window in which each unit had done it k times, (counts, units).

    ``ends_s``: where each window ends, in seconds since the signup, ascending; their number stands for none of them.
    """
    found = np.full((len(counts), units), ends_s.size, dtype=np.uint8)
    for k, into in zip(counts, found, strict=True):
        reached = spans.end - spans.first >= k
        at_s = spans.rel_s[spans.first[reached] + k - 1]
        into[spans.position[reached]] = np.searchsorted(ends_s, at_s, side="right")
    return found


def rows_by_value(spans: Spans, codes: NDArray[np.int32], values: int) -> Integers:
    """Return how many rows have each code from 0 to ``values`` - 1."""
    seen = np.zeros(values, dtype=np.int64)
    _count_values(spans, codes, seen)
    return seen


def kth_window_by_value(
    spans: Spans, codes: NDArray[np.int32], chosen: Integers, counts: Sequence[int], ends_s: Integers, units: int
) -> Places:
    """``kth_window`` of the rows of each of the ``chosen`` codes, (chosen, counts, units)."""
    place = np.full(int(chosen.max()) + 1, -1, dtype=np.int64)
    place[chosen] = np.arange(chosen.size)
    found = np.full((chosen.size, len(counts), units), ends_s.size, dtype=np.uint8)
    _write_kth(spans, codes, place, np.asarray(counts, dtype=np.int64), ends_s, found)
    return found


def events_by_day(core: Core, position: Integers, units: int, before_s: int) -> NDArray[np.int32]:
    """Return the events of each unit on each day from its signup to ``before_s``, (units, days begun).

    ``position`` is the place of each user among the units, -1 for none.
    """
    found = np.zeros((units, -(-before_s // DAY_S)), dtype=np.int32)
    _count_days(core.pair_user, core.pair_zero, core.pair_start, core.rel_s, position, before_s, found)
    return found


@njit(cache=True, nogil=True)
def _count_values(spans: Any, codes: Any, seen: Any) -> None:
    for i in range(spans.position.size):
        for row in range(spans.first[i], spans.end[i]):
            if codes[row] >= 0:
                seen[codes[row]] += 1


@njit(cache=True, nogil=True)
def _write_kth(spans: Any, codes: Any, place: Any, counts: Any, ends_s: Any, found: Any) -> None:
    seen = np.zeros(found.shape[0], dtype=np.int64)
    for i in range(spans.position.size):
        seen[:] = 0
        window = 0
        for row in range(spans.first[i], spans.end[i]):
            while window < ends_s.size and spans.rel_s[row] >= ends_s[window]:
                window += 1
            if window == ends_s.size:
                break
            code = codes[row]
            if code < 0 or code >= place.size or place[code] < 0:
                continue
            value = place[code]
            seen[value] += 1
            for k in range(counts.size):
                if seen[value] == counts[k]:
                    found[value, k, spans.position[i]] = window


@njit(cache=True, nogil=True)
def _count_days(
    pair_user: Any, pair_zero: Any, pair_start: Any, rel_s: Any, position: Any, before_s: int, found: Any
) -> None:
    for pair in range(pair_user.size):
        unit = position[pair_user[pair]]
        if unit < 0:
            continue
        for row in range(pair_zero[pair], pair_start[pair + 1]):
            if rel_s[row] >= before_s:
                break
            found[unit, rel_s[row] // DAY_S] += 1
