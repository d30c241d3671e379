"""Many p-values at once: which of them hold when thousands of candidates were tried.

All p-values come as natural logarithms, since those of strong signals underflow; -inf is allowed. The *family* is
every candidate that was tested: when it is larger than the list, the others count as p = 1.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from beton.errors import InputError
from beton.stats.proportions import Floats


def benjamini_hochberg(log_p: ArrayLike, family: int | None = None) -> Floats:
    """Return the q-value of each p-value, in its order.

    Benjamini & Hochberg (1995), JRSSB 57:289, step-up: the smallest m p(j) / j over all ranks j from its own up.
    Raises InputError for a logarithm above 0, nan, or a family smaller than the list.
    """
    logs, members = _family(log_p, family)
    # Equal p-values get equal q-values, in whatever order they stand.
    order = np.argsort(logs)
    scaled = logs[order] + (math.log(members) if members else 0.0) - np.log(np.arange(1, logs.size + 1))
    q = np.empty(logs.size)
    q[order] = np.exp(np.minimum(np.minimum.accumulate(scaled[::-1])[::-1], 0.0))
    # Rounding of the logarithms must not put a q-value below its p-value.
    return np.maximum(q, np.exp(logs))


def bh_cutoff(log_p: ArrayLike, family: int | None, level: float) -> float | None:
    """Return the largest p-value that Benjamini-Hochberg rejects at ``level``; None when it rejects none.

    Rounded up to a double whose logarithm is not below that p-value's, at least 5e-324, so that
    ``log_p <= log(cutoff)`` selects exactly the rejected ones.
    """
    if not 0 < level < 1:
        raise InputError(f"level is {level}; give a number between 0 and 1, such as 0.05")
    logs, members = _family(log_p, family)
    ranked = np.sort(logs)
    if not ranked.size:
        return None
    line = math.log(level) - math.log(members) + np.log(np.arange(1, ranked.size + 1))
    rejected = ranked[ranked <= line]
    if not rejected.size:
        return None
    largest = float(rejected[-1])
    cutoff = max(math.exp(largest), math.ulp(0.0))
    while math.log(cutoff) < largest:
        cutoff = math.nextafter(cutoff, 1.0)
    return cutoff


def simes(log_p: ArrayLike, groups: ArrayLike, sizes: ArrayLike) -> Floats:
    """Return the log p-value of "nothing in this group is real", float64[groups].

    ``groups`` holds the group of each p-value, 0 to len(sizes) - 1; ``sizes`` how many were tested in each, listed
    or not. The smallest size p(j) / j over the ranks j of the group: Simes (1986), Biometrika 73:751.
    """
    logs, _ = _family(log_p, None)
    group, tested = np.asarray(groups, dtype=np.int64), np.asarray(sizes, dtype=np.int64)
    if group.shape != logs.shape or np.any((group < 0) | (group >= tested.size)):
        raise InputError("groups and p-values do not match; give each p-value a group from 0 to len(sizes) - 1")
    listed = np.bincount(group, minlength=tested.size)
    if np.any(listed > tested):
        raise InputError("a group has more p-values than its size; give the number of all tested in the group")
    order = np.lexsort((logs, group))
    logs, group = logs[order], group[order]
    rank = np.arange(1, logs.size + 1) - (np.cumsum(listed) - listed)[group]
    result = np.zeros(tested.size)
    np.minimum.at(result, group, logs + np.log(tested[group]) - np.log(rank))
    return result


def _family(log_p: ArrayLike, family: int | None) -> tuple[NDArray[np.float64], int]:
    logs = np.asarray(log_p, dtype=np.float64)
    if logs.ndim != 1 or not np.all(logs <= 0):
        raise InputError("a log p-value is above 0 or missing; give one list of natural logarithms of p-values")
    if family is not None and family < logs.size:
        raise InputError(f"family is {family} but {logs.size} p-values are listed; give the number of all tested")
    return logs, logs.size if family is None else family
