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

    They index ``order``, which indexes ``rel_s``; without an order (size 0) they index ``rel_s`` itself. ``keep``, as
    long as ``rel_s``, drops rows; of size 0 it keeps all.
    """

    first: NDArray[np.int64]
    end: NDArray[np.int64]
    user: NDArray[np.int32]
    rel_s: NDArray[np.int32]
    order: NDArray[np.integer[Any]]
    keep: NDArray[np.bool_]


@_compiled
def kth_row(rows: Rows, offset_s: NDArray[np.int32], k: int, window_s: int, found: NDArray[np.int64]) -> None:
    """Write the clock of each user's k-th kept row (from 1) if it lies in the window; ``rows`` have no order."""
    for i in range(rows.user.size):
        user = rows.user[i]
        row = rows.first[i] + k - 1
        if rows.keep.size > 0:
            seen = 0
            row = rows.first[i] - 1
            while seen < k and row < rows.end[i] - 1:
                row += 1
                seen += rows.keep[row]
            if seen < k:
                continue
        if row < rows.end[i]:
            at_s = np.int64(rows.rel_s[row]) + offset_s[user]
            if at_s < window_s:
                found[user] = at_s


@_compiled
def kth_period(
    rows: Rows, offset_s: NDArray[np.int32], k: int, period_s: int, window_s: int, found: NDArray[np.int64]
) -> None:
    """Write the clock of the first kept row in the k-th distinct period (day or week) that has one."""
    for i in range(rows.user.size):
        user = rows.user[i]
        seen, last = 0, np.int64(-1)
        for at in range(rows.first[i], rows.end[i]):
            row = rows.order[at] if rows.order.size > 0 else at
            at_s = np.int64(rows.rel_s[row]) + offset_s[user]
            if at_s >= window_s:
                break
            period = at_s // period_s
            if period == last or (rows.keep.size > 0 and not rows.keep[row]):
                continue
            last = period
            seen += 1
            if seen == k:
                found[user] = at_s
                break
