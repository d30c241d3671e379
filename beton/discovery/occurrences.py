"""When each unit did something for the k-th time: one pass over the rows of an event for all values and counts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple, TypeAlias

import numpy as np
from numba import njit
from numpy.typing import NDArray

from beton.model.signal import DAY_S
from beton.warehouse.core.arrays import Core

Integers: TypeAlias = NDArray[np.int64]
Seconds: TypeAlias = NDArray[np.int32]

NEVER_S: Final = np.iinfo(np.int32).max


class Spans(NamedTuple):
    """Rows of one event: ``first[i]:end[i]`` are those of the unit at ``position[i]`` since its signup, by time.

    They index ``rel_s``, seconds since the signup.
    """

    position: Integers
    first: Integers
    end: Integers
    rel_s: Seconds


def kth_s(spans: Spans, counts: Sequence[int], units: int) -> Seconds:
    """Return the second at which each unit did it for the k-th time, ``NEVER_S`` for never, (counts, units)."""
    found = np.full((len(counts), units), NEVER_S, dtype=np.int32)
    for k, into in zip(counts, found, strict=True):
        reached = spans.end - spans.first >= k
        into[spans.position[reached]] = spans.rel_s[spans.first[reached] + k - 1]
    return found


def rows_by_value(spans: Spans, codes: NDArray[np.int32], values: int) -> Integers:
    """Return how many rows have each code from 0 to ``values`` - 1."""
    seen = np.zeros(values, dtype=np.int64)
    _count_values(spans, codes, seen)
    return seen


def kth_s_by_value(
    spans: Spans, codes: NDArray[np.int32], chosen: Integers, counts: Sequence[int], before_s: int, units: int
) -> Seconds:
    """``kth_s`` of the rows of each of the ``chosen`` codes before ``before_s``, (chosen, counts, units)."""
    place = np.full(int(chosen.max()) + 1, -1, dtype=np.int64)
    place[chosen] = np.arange(chosen.size)
    found = np.full((chosen.size, len(counts), units), NEVER_S, dtype=np.int32)
    least = np.asarray(counts, dtype=np.int64)
    _write_kth(spans, codes, place, least, before_s, found)
    return found


def events_before(core: Core, position: Integers, units: int, before_s: int) -> Integers:
    """Return the events of each unit from its signup to ``before_s``, (units,).

    ``position`` is the place of each user among the units, -1 for none.
    """
    found = np.zeros(units, dtype=np.int64)
    _count_before(core.pair_user, core.pair_zero, core.pair_start, core.rel_s, position, before_s, found)
    return found


def active_days(core: Core, position: Integers, units: int, days: int) -> NDArray[np.bool_]:
    """Return whether each unit did anything on each of its first ``days`` days, (units, days)."""
    found = np.zeros((units, days), dtype=np.bool_)
    _mark_days(core.pair_user, core.pair_zero, core.pair_start, core.rel_s, position, found)
    return found


@njit(cache=True, nogil=True)
def _count_values(spans: Any, codes: Any, seen: Any) -> None:
    for i in range(spans.position.size):
        for row in range(spans.first[i], spans.end[i]):
            if codes[row] >= 0:
                seen[codes[row]] += 1


@njit(cache=True, nogil=True)
def _write_kth(spans: Any, codes: Any, place: Any, counts: Any, before_s: int, found: Any) -> None:
    seen = np.zeros(found.shape[0], dtype=np.int64)
    for i in range(spans.position.size):
        seen[:] = 0
        for row in range(spans.first[i], spans.end[i]):
            if spans.rel_s[row] >= before_s:
                break
            code = codes[row]
            if code < 0 or code >= place.size or place[code] < 0:
                continue
            value = place[code]
            seen[value] += 1
            for k in range(counts.size):
                if seen[value] == counts[k]:
                    found[value, k, spans.position[i]] = spans.rel_s[row]


@njit(cache=True, nogil=True)
def _count_before(
    pair_user: Any, pair_zero: Any, pair_start: Any, rel_s: Any, position: Any, before_s: int, found: Any
) -> None:
    for pair in range(pair_user.size):
        unit = position[pair_user[pair]]
        if unit < 0:
            continue
        for row in range(pair_zero[pair], pair_start[pair + 1]):
            if rel_s[row] >= before_s:
                break
            found[unit] += 1


@njit(cache=True, nogil=True)
def _mark_days(pair_user: Any, pair_zero: Any, pair_start: Any, rel_s: Any, position: Any, found: Any) -> None:
    before_s = found.shape[1] * DAY_S
    for pair in range(pair_user.size):
        unit = position[pair_user[pair]]
        if unit < 0:
            continue
        for row in range(pair_zero[pair], pair_start[pair + 1]):
            if rel_s[row] >= before_s:
                break
            found[unit, rel_s[row] // DAY_S] = True
