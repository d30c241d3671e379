"""How many units did something at least k times within d days, for every k and d at once, each d on its own cohort.

A unit enters the table of its k-th time in the window where that time falls, and is in all longer ones too: each row of
events is one addition however many windows there are, and sums along the windows finish the tables.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from beton.discovery.cohorts import Cohort
from beton.discovery.occurrences import Integers, Spans
from beton.model.conditions import PropertyCondition
from beton.warehouse.core.arrays import Core
from beton.warehouse.core.predicates import holds

GROUPS: Final = 4
# The groups of the later period.
HELD_OUT: Final = slice(2, 4)
_NEITHER: Final = np.int8(GROUPS)


class Windows(NamedTuple):
    """The cohorts of D windows side by side, for all U users of a core.

    ``before_s`` (D,): ends of the windows in seconds since the signup, ascending. ``group`` (D, U): place of the user
    in ``BitMatrix.groups``, 4 for neither period. ``last_change`` (U,): the last window whose group is not that of the
    window before, 0 for none, -1 for users of neither period throughout. ``sizes`` (D, 4): units per group.
    """

    before_s: Integers
    group: NDArray[np.int8]
    last_change: NDArray[np.int8]
    sizes: Integers


def windows_of(cohorts: Sequence[Cohort], before_s: Sequence[int], users: int) -> Windows:
    """Put the cohorts of up to 127 windows side by side; ``before_s`` as in Windows, ``users`` all of the core."""
    group = np.full((len(cohorts), users), _NEITHER, dtype=np.int8)
    sizes = np.empty((len(cohorts), GROUPS), dtype=np.int64)
    for each, into, size in zip(cohorts, group, sizes, strict=True):
        code = 2 * each.holdout.view(np.int8) + ~each.frame.converted
        code[~(each.train | each.holdout)] = _NEITHER
        size[:] = [np.count_nonzero(code == member) for member in range(GROUPS)]
        into[each.frame.unit] = code
    last_change = np.zeros(users, dtype=np.int8)
    for j in range(1, len(cohorts)):
        last_change[group[j] != group[j - 1]] = j
    last_change[(group == _NEITHER).all(axis=0)] = -1
    return Windows(np.asarray(before_s, dtype=np.int64), group, last_change, sizes)


def spans_of(core: Core, event: int, where: Sequence[PropertyCondition] = ()) -> Spans:
    """Return the rows of an event (place in ``event_names``) that meet every condition; positions are user keys."""
    first_pair, last_pair = core.event_pairs[event : event + 2].tolist()
    first, end = core.pair_zero[first_pair:last_pair], core.pair_start[first_pair + 1 : last_pair + 1]
    user, rel_s = core.pair_user[first_pair:last_pair].astype(np.int64), core.rel_s
    if where:
        rows = slice(*core.pair_start[[first_pair, last_pair]].tolist())
        tests = [holds(core.event_columns[each.property], each, rows) for each in where]
        kept = rows.start + np.flatnonzero(np.logical_and.reduce(tests))
        first, end, rel_s = np.searchsorted(kept, first), np.searchsorted(kept, end), rel_s[kept]
    return Spans(user, first, end, rel_s)


def counts_of(spans: Spans, windows: Windows, counts: Sequence[int]) -> Integers:
    """Return the units of each group with at least so many rows in each window, (counts, D, 4).

    ``counts`` ascend from 1 or more; positions of the spans are those of the groups.
    """
    found = np.zeros((len(counts), len(windows.before_s), GROUPS + 1), dtype=np.int64)
    _enter(spans, windows, np.asarray(counts, dtype=np.int64), found)
    return found[:, :, :GROUPS].cumsum(axis=1)


@njit(cache=True, nogil=True)
def _enter(spans: Any, windows: Any, counts: Any, found: Any) -> None:
    """Add what each window changes in the tables of the one before; windows must not be empty."""
    before_s, group, last_change = windows.before_s, windows.group, windows.last_change
    for i in range(spans.position.size):
        unit = spans.position[i]
        last = last_change[unit]
        if last < 0:
            continue
        j = 0
        for k in range(counts.size):
            row = spans.first[i] + counts[k] - 1
            if row >= spans.end[i] or spans.rel_s[row] >= before_s[-1]:
                break
            while spans.rel_s[row] >= before_s[j]:
                j += 1
            found[k, j, group[j, unit]] += 1
            for later in range(j + 1, last + 1):
                found[k, later, group[later - 1, unit]] -= 1
                found[k, later, group[later, unit]] += 1
