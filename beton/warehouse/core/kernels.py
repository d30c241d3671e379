"""Loops over the event rows of one condition; each writes the second of the match by user and leaves the rest alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np
from numba import njit
from numpy.typing import NDArray

_Kernel = TypeVar("_Kernel", bound=Callable[..., Any])

if TYPE_CHECKING:

    def _compiled(kernel: _Kernel) -> _Kernel: ...
else:
    _compiled = njit(cache=True, nogil=True)


class Rows(NamedTuple):
    """The rows a condition looks at: ``first[i]:end[i]`` are those of ``user[i]``, by time.

    They index ``order``, which indexes ``rel_s``; without an order (size 0) they index ``rel_s`` itself. A row is kept
    when ``kept_codes[code[row]]``, so that only rows inside the window are judged; ``code``, as long as ``rel_s``, is
    of size 0 where all rows are kept. Code -1 is the last of ``kept_codes``. Users that are not ``wanted`` are passed
    over.
    """

    first: NDArray[np.int64]
    end: NDArray[np.int64]
    user: NDArray[np.int32]
    rel_s: NDArray[np.int32]
    order: NDArray[np.integer[Any]]
    code: NDArray[np.signedinteger[Any]]
    kept_codes: NDArray[np.bool_]
    wanted: NDArray[np.bool_]


@_compiled
def kth_row(rows: Rows, offset_s: NDArray[np.int32], k: int, window_s: int, found: NDArray[np.int64]) -> None:
    """Write the clock of each user's k-th kept row (from 1) if it lies in the window; ``rows`` have no order."""
    for i in range(rows.user.size):
        user = rows.user[i]
        if not rows.wanted[user]:
            continue
        row = rows.first[i] + k - 1
        if rows.code.size > 0:
            row = _kth_kept(rows, i, k, window_s - offset_s[user])
        if row < rows.end[i]:
            at_s = np.int64(rows.rel_s[row]) + offset_s[user]
            if at_s < window_s:
                found[user] = at_s


@_compiled
def _kth_kept(rows: Rows, i: int, k: int, before_s: int) -> Any:
    """The k-th kept row of the i-th user that lies before ``before_s``, or the end of the user's rows."""
    seen = 0
    for row in range(rows.first[i], rows.end[i]):
        if rows.rel_s[row] >= before_s:
            break
        seen += rows.kept_codes[rows.code[row]]
        if seen == k:
            return row
    return rows.end[i]


@_compiled
def kth_period(
    rows: Rows, offset_s: NDArray[np.int32], k: int, period_s: int, window_s: int, found: NDArray[np.int64]
) -> None:
    """Write the clock of the first kept row in the k-th distinct period (day or week) that has one."""
    for i in range(rows.user.size):
        user = rows.user[i]
        if not rows.wanted[user]:
            continue
        seen, next_s = 0, np.int64(0)
        for at in range(rows.first[i], rows.end[i]):
            row = rows.order[at] if rows.order.size > 0 else at
            at_s = np.int64(rows.rel_s[row]) + offset_s[user]
            if at_s >= window_s:
                break
            if at_s < next_s or (rows.code.size > 0 and not rows.kept_codes[rows.code[row]]):
                continue
            next_s = (at_s // period_s + 1) * period_s
            seen += 1
            if seen == k:
                found[user] = at_s
                break
