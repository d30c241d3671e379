"""Two-sided Fisher mid-P of one 2x2 table inside compiled loops; the formula is that of stats.proportions.log_mid_p.

In one cohort all tables share their margins, units and conversions, so a p-value belongs to (conversions with,
units with). The same few tables come up again and again among millions of pairs: each thread remembers them.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, log, log1p
from typing import Any, Final, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

_REMEMBERED: Final = 1 << 17
# What is left of the tail then is below 1e-12 of it.
_NEGLIGIBLE: Final = 1e-14


class Memory(NamedTuple):
    """Tables a thread has met: ``key`` of the table in each place, -1 for none, and its natural ``log_p``."""

    key: NDArray[np.int64]
    log_p: NDArray[np.float64]


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


def new_memory() -> Memory:
    """Return an empty memory for one thread and one cohort."""
    return Memory(np.full(_REMEMBERED, -1, dtype=np.int64), np.zeros(_REMEMBERED))


@njit(cache=True, nogil=True)
def remembered_log_mid_p(
    a: Any, n1: Any, units: Any, converted: Any, log_factorial: Any, key: Any, remembered: Any
) -> Any:
    """Natural log of the mid-P of ``a`` conversions among ``n1`` units with the signal."""
    table = n1 * (converted + 1) + a
    # Tables that occur together differ in the low bits of a and n1: neighbours get places of their own.
    place = (n1 * 257 + a) & (key.size - 1)
    if key[place] != table:
        key[place] = table
        remembered[place] = log_mid_p(a, n1, units, converted, log_factorial)
    return remembered[place]


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
    while term > _NEGLIGIBLE * total:
        term *= float(c) * float(n1 - a) / (float(a + 1) * float(n0 - c + 1))
        total += term
        a += 1
        c -= 1
    tail = observed + log(total)
    if tail > -0.6931471805599453:
        tail = log1p(-exp(tail))
    return min(0.6931471805599453 + tail, 0.0)
