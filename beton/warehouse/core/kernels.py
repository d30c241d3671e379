"""The loops over rows and units that numpy has no word for, compiled by numba and kept compiled on disk."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np
from numba import njit
from numpy.typing import NDArray

from beton.model.signal import DAY_S
from beton.warehouse.compile import NEVER
from beton.warehouse.landmark import ELIGIBLE, UNRECORDED

_Kernel = TypeVar("_Kernel", bound=Callable[..., Any])
_Int64 = NDArray[np.int64]
_Integers = NDArray[np.integer[Any]]

if TYPE_CHECKING:

    def _compiled(kernel: _Kernel) -> _Kernel: ...
else:
    _compiled = njit(cache=True, nogil=True)


class Rows(NamedTuple):
    """The rows of one event, or of any: ``first[i]:end[i]`` are those of ``user[i]`` by time.

    Where ``user`` is of size 0 they are those of user i. They index ``order``, which indexes ``rel_s``; without an
    order (size 0) they index ``rel_s`` itself. ``offset_s`` (users,) is the clock of each user at the signup.
    """

    user: NDArray[np.int32]
    first: _Int64
    end: _Int64
    order: _Integers
    rel_s: NDArray[np.int32]
    offset_s: NDArray[np.int32]


@_compiled
def put_off(held_s: _Int64, rows: Rows, k: int, period_s: int, window_s: int, negated: bool) -> None:
    """Put off ``held_s`` (users,) to when one event's condition holds too: ``NEVER`` where it does not in the window.

    It holds at the k-th row (from 1) or, with a period, at the first row of the k-th distinct period that has one;
    ``negated``: at the window's end if there is none. Rows of users that can never hold are not read.
    """
    at_s = np.full(held_s.size, NEVER, np.int64)
    for i in range(rows.first.size):
        user = rows.user[i] if rows.user.size > 0 else i
        if held_s[user] < NEVER:
            at_s[user] = _kth_s(rows, i, rows.offset_s[user], k, period_s, window_s)
    for user in range(held_s.size):
        holds_s = at_s[user] if not negated else window_s if at_s[user] == NEVER else NEVER
        held_s[user] = max(held_s[user], holds_s)


@_compiled
def _kth_s(rows: Rows, i: int, offset_s: int, k: int, period_s: int, window_s: int) -> Any:
    """The clock at the i-th user's row that ``put_off`` looks for, ``NEVER`` if the window has none."""
    first, end = rows.first[i], rows.end[i]
    if period_s == 0:
        if first + k > end:
            return NEVER
        row = rows.order[first + k - 1] if rows.order.size > 0 else first + k - 1
        at_s = np.int64(rows.rel_s[row]) + offset_s
        return at_s if at_s < window_s else NEVER
    seen, next_s = 0, np.int64(0)
    for at in range(first, end):
        row = rows.order[at] if rows.order.size > 0 else at
        at_s = np.int64(rows.rel_s[row]) + offset_s
        if at_s >= window_s:
            break
        if at_s >= next_s:
            next_s = (at_s // period_s + 1) * period_s
            seen += 1
            if seen == k:
                return at_s
    return NEVER


@_compiled
def sift(
    held_s: _Int64, rows: Rows, window_s: int, code: _Integers, kept_codes: NDArray[np.bool_]
) -> tuple[NDArray[np.int32], _Int64, _Int64, _Integers]:
    """Return ``user``, ``first``, ``end`` and ``order`` of the rows in the window for which ``kept_codes[code[row]]``.

    Code -1 is the last of ``kept_codes``; all rows are kept where ``code`` is of size 0. Users that keep none are left
    out, and so are those that can never hold: their rows are not read.
    """
    whose, first = np.empty(rows.first.size, np.int32), np.empty(rows.first.size, np.int64)
    end, users = np.empty(rows.first.size, np.int64), 0
    order, kept = np.empty((rows.end - rows.first).sum(), rows.order.dtype), 0
    for i in range(rows.first.size):
        user = rows.user[i] if rows.user.size > 0 else i
        if held_s[user] == NEVER:
            continue
        before, before_s = kept, window_s - rows.offset_s[user]
        for at in range(rows.first[i], rows.end[i]):
            row = rows.order[at] if rows.order.size > 0 else at
            if rows.rel_s[row] >= before_s:
                break
            if code.size == 0 or kept_codes[code[row]]:
                order[kept] = row
                kept += 1
        whose[users], first[users], end[users] = user, before, kept
        users += kept > before
    return whose[:users].copy(), first[:users].copy(), end[:users].copy(), order[:kept].copy()


@_compiled
def look_up(held_s: _Int64, rows: Rows, listed: _Integers) -> tuple[NDArray[np.int32], _Int64, _Int64]:
    """Return ``user``, ``first`` and ``end`` of those of ``rows`` (without an order) that are ``listed``, ascending.

    They index ``listed``. Users left out are those of ``sift``.
    """
    whose, first = np.empty(rows.first.size, np.int32), np.empty(rows.first.size, np.int64)
    end, users, at = np.empty(rows.first.size, np.int64), 0, 0
    for i in range(rows.first.size):
        if held_s[rows.user[i]] == NEVER:
            continue
        while at < listed.size and listed[at] < rows.first[i]:
            at += 1
        before = at
        while at < listed.size and listed[at] < rows.end[i]:
            at += 1
        whose[users], first[users], end[users] = rows.user[i], before, at
        users += at > before
    return whose[:users].copy(), first[:users].copy(), end[:users].copy()


@_compiled
def begin(held_s: _Int64, units: _Integers) -> None:
    """Set ``held_s`` to 0 at ``units`` and to ``NEVER`` elsewhere."""
    held_s[:] = NEVER
    for unit in units:
        held_s[unit] = 0


@_compiled
def drop(held_s: _Int64, test: NDArray[np.bool_]) -> None:
    """Set ``held_s`` to ``NEVER`` where ``test`` does not hold, without a branch that would be guessed wrongly."""
    for one in range(held_s.size):
        held_s[one] = held_s[one] if test[one] else NEVER


class Cohort(NamedTuple):
    """The units of a ``frame.Frame``; ``month`` numbers the months of the eligible from 0."""

    unit: NDArray[np.int32]
    cluster: NDArray[np.int32]
    month: _Int64
    t0_s: _Int64
    outcome_at_s: _Int64
    status: NDArray[np.int8]
    converted: NDArray[np.bool_]


@_compiled
def tally(held_s: _Int64, units: Cohort, months: int, clusters: int) -> tuple[_Int64, _Int64, _Int64, _Int64]:
    """Count units by whether ``held_s[unit]`` says that they carry the signal.

    Returns the eligible by month and ``2 * signal + converted``, (months, 4), and likewise by cluster, (clusters, 4);
    seconds from match to outcome of the eligible that carry and converted; epoch days of the matches before the
    outcome, of everybody whose outcomes were recorded.
    """
    by_month, by_cluster = np.zeros((months, 4), np.int64), np.zeros((clusters, 4), np.int64)
    lead_s, match_day = np.empty(units.unit.size, np.int64), np.empty(units.unit.size, np.int64)
    leads, matches = 0, 0
    for i in range(units.unit.size):
        after_s, status = held_s[units.unit[i]], units.status[i]
        carries, matched_at_s = after_s < NEVER, units.t0_s[i] + after_s
        if status == ELIGIBLE:
            cell = 2 * carries + units.converted[i]
            by_month[units.month[i], cell] += 1
            by_cluster[units.cluster[i], cell] += 1
            if carries and units.converted[i]:
                lead_s[leads] = units.outcome_at_s[i] - matched_at_s
                leads += 1
        if carries and status != UNRECORDED and matched_at_s < units.outcome_at_s[i]:
            match_day[matches] = matched_at_s // DAY_S
            matches += 1
    return by_month, by_cluster, lead_s[:leads], match_day[:matches]


@_compiled
def products(cells: _Int64) -> _Int64:
    """Return how many clusters have units, and the sums that ``ClusterMoments`` names, in its order.

    ``cells`` (clusters, 4) are units by ``2 * signal + converted``.
    """
    clusters = aa = an = ac = am = nn = nc = nm = cc = cm = mm = np.int64(0)
    for g in range(cells.shape[0]):
        c, a = cells[g, 1], cells[g, 3]
        m, n = cells[g, 0] + c, cells[g, 2] + a
        clusters += n + m > 0
        aa, an, ac, am = aa + a * a, an + a * n, ac + a * c, am + a * m
        nn, nc, nm = nn + n * n, nc + n * c, nm + n * m
        cc, cm, mm = cc + c * c, cm + c * m, mm + m * m
    return np.array((clusters, aa, an, ac, am, nn, nc, nm, cc, cm, mm))
