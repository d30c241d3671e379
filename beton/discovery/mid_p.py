"""Two-sided Fisher mid-P of one 2x2 table inside compiled loops; the formula is that of stats.proportions.log_mid_p.

In one cohort all tables share their margins, units and conversions, so a p-value belongs to (conversions with,
units with). The same few tables come up again and again among millions of pairs: each thread remembers them, and
between which numbers of conversions a table is of no interest.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, log, log1p, sqrt
from typing import Any, Final, NamedTuple, TypeAlias

import numpy as np
from numba import njit
from numpy.typing import NDArray

# Tables a thread has met: the key of the table in each place, -1 for none, and its natural ln p, side by side so that
# one look at the cache finds both.
Memory: TypeAlias = NDArray[np.float64]

# Half a megabyte: a larger memory knows few tables more, and does not fit in a core's cache.
_REMEMBERED: Final = 1 << 15
_ANCHORS: Final = 1 << 14
# In standard deviations: nobody asks for a p-value of 1e-217,000.
_FARTHEST: Final = 1e3
_LOG_2: Final = 0.6931471805599453
# What is left of the tail then is below 1e-12 of it.
_NEGLIGIBLE: Final = 1e-14


@dataclass(frozen=True)
class Margins:
    """What all tables of a cohort share: its units, its conversions and ln n! for n up to the units."""

    units: int
    converted: int
    log_factorial: NDArray[np.float64]


def margins(units: int, converted: int) -> Margins:
    """Prepare the p-values of a cohort."""
    from scipy.special import gammaln

    return Margins(units, converted, gammaln(np.arange(units + 1) + 1.0))


def new_memory(places: int = _REMEMBERED) -> Memory:
    """Return an empty memory for one thread and one cohort; ``places`` is a power of two."""
    return np.full((places, 2), -1.0)


class Screen(NamedTuple):
    """Tables that can have ln p at or below a limit: those of n1 units with the signal and up to ``few[n1]``
    conversions, or from ``many[n1]`` on; both int32 (most units + 1,)."""

    few: NDArray[np.int32]
    many: NDArray[np.int32]


def screen(shared: Margins, limit: float, most_units: int) -> Screen:
    """Return the screen for tables of up to ``most_units`` with the signal.

    It is never too narrow, and a conversion or two too wide.
    One more unit adds no conversion or one, so that both ends grow by at most one from n1 to n1 + 1: they are worked
    out at some n1 only, and those around an n1 between enclose its own.
    """
    from scipy.special import ndtri_exp

    step = 1 + max(shared.units // max(shared.converted, 1), shared.units // _ANCHORS)
    anchors = np.minimum(np.arange(0, most_units + step, step), shared.units)
    ends = np.empty((2, anchors.size), dtype=np.int32)
    deviate = min(-float(ndtri_exp(limit - _LOG_2)), _FARTHEST)
    _find_ends(anchors, shared.units, shared.converted, shared.log_factorial, limit, deviate, ends)
    below = np.arange(most_units + 1) // step
    above = -(-np.arange(most_units + 1) // step)
    return Screen(ends[0, above], ends[1, below])


@njit(cache=True, nogil=True)
def remembered_log_mid_p(a: Any, n1: Any, units: Any, converted: Any, log_factorial: Any, memory: Any) -> Any:
    """Natural log of the mid-P of ``a`` conversions among ``n1`` units with the signal."""
    table = n1 * (converted + 1) + a
    # Tables that occur together differ in the low bits of a and n1: neighbours get places of their own.
    place = (n1 * 257 + a) & (len(memory) - 1)
    if memory[place, 0] != table:
        memory[place, 0] = table
        memory[place, 1] = log_mid_p(a, n1, units, converted, log_factorial)
    return memory[place, 1]


@njit(cache=True, nogil=True)
def log_probability(a: Any, n1: Any, units: Any, converted: Any, log_factorial: Any) -> Any:
    """Natural log of the hypergeometric probability of the table; its mid-P is never smaller."""
    n0 = units - n1
    c = converted - a
    return (
        (log_factorial[n1] - log_factorial[a] - log_factorial[n1 - a])
        + (log_factorial[n0] - log_factorial[c] - log_factorial[n0 - c])
        - (log_factorial[units] - log_factorial[converted] - log_factorial[units - converted])
    )


@njit(cache=True, nogil=True)
def log_mid_p(a: Any, n1: Any, units: Any, converted: Any, log_factorial: Any) -> Any:
    """Natural log of the mid-P, worked out; see ``remembered_log_mid_p``."""
    n0 = units - n1
    c = converted - a
    if a * n0 < c * n1:
        a, c, n1, n0 = c, a, n0, n1
    observed = log_probability(a, n1, units, converted, log_factorial)
    term = 1.0
    total = 0.5
    x, y, u, v = float(c), float(n1 - a), float(a + 1), float(n0 - c + 1)
    # Four terms at a time, so that their divisions do not wait for each other; past the last table all are 0.
    while term > _NEGLIGIBLE * total:
        first = term * (x * y / (u * v))
        second = first * ((x - 1) * (y - 1) / ((u + 1) * (v + 1)))
        third = second * ((x - 2) * (y - 2) / ((u + 2) * (v + 2)))
        term = third * ((x - 3) * (y - 3) / ((u + 3) * (v + 3)))
        total += (first + second) + (third + term)
        x, y, u, v = x - 4, y - 4, u + 4, v + 4
    tail = observed + log(total)
    if tail > -_LOG_2:
        tail = log1p(-exp(tail))
    return min(_LOG_2 + tail, 0.0)


@njit(cache=True, nogil=True)
def _find_ends(
    anchors: Any, units: Any, converted: Any, log_factorial: Any, limit: Any, deviate: Any, ends: Any
) -> None:
    """Fill the exact few and many of each of the ``anchors``, ``ends`` (2, anchors).

    The p-value grows with every conversion up to the expected number and falls from there; few steps lead to the ends
    from where those of a normal variable would be, ``deviate`` standard deviations from its mean.
    """
    for at in range(anchors.size):
        n1 = anchors[at]
        lowest, highest = max(0, n1 - (units - converted)), min(n1, converted)
        expected = n1 * converted // units
        spread = deviate * sqrt(expected * (1.0 - converted / units) * (1.0 - n1 / units))
        end = min(max(int(expected + spread), expected + 1), highest + 1)
        while end <= highest and log_mid_p(end, n1, units, converted, log_factorial) > limit:
            end += 1
        while end > expected + 1 and log_mid_p(end - 1, n1, units, converted, log_factorial) <= limit:
            end -= 1
        ends[1, at] = end
        end = max(min(int(expected - spread), expected), lowest - 1)
        while end >= lowest and log_mid_p(end, n1, units, converted, log_factorial) > limit:
            end -= 1
        while end < expected and log_mid_p(end + 1, n1, units, converted, log_factorial) <= limit:
            end += 1
        ends[0, at] = end
