"""Run a cohort statement and count its rows: counts are the only thing of a backtest that leaves the warehouse.

The rows (one per identified unit, or unit and week) are counted in memory: on a cohort of the usual size, planning one
aggregate query takes longer than all of the counting.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from beton.model.signal import DAY_S
from beton.stats.clustered import ClusterMoments
from beton.stats.proportions import TwoByTwo
from beton.warehouse.landmark import ELIGIBLE, IMMATURE, NOT_AT_RISK

if TYPE_CHECKING:
    import duckdb

Rows = dict[str, NDArray[Any]]
Integers = NDArray[np.int64]

_STATUSES: Final = 8  # room for every status in a cell's code
_BEFORE_OUTCOME: Final = np.isin(np.arange(_STATUSES), (ELIGIBLE, NOT_AT_RISK, IMMATURE))
_MOST_GAPS: Final = 4  # counting over this many times as many numbers as rows is still cheaper than sorting them


@dataclass(frozen=True)
class CohortCounts:
    """Counts of one cohort.

    ``status_units``: units by eligibility status, the excluded included; ``months``: table by YYYYMM of the eligible;
    ``lead_s``: seconds from match to outcome of converted units with the signal; ``first_matches``: units by epoch day
    of their first match; ``period_s``: first and last time zero of the eligible, or None.
    """

    status_units: dict[int, int]
    months: dict[int, TwoByTwo]
    moments: ClusterMoments
    lead_s: NDArray[np.int64]
    first_matches: dict[int, int]
    period_s: tuple[int, int] | None

    @property
    def table(self) -> TwoByTwo:
        """The table of all eligible units."""
        return sum(self.months.values(), TwoByTwo(0, 0, 0, 0))


Step = Callable[[str, float], None]
EVALUATING: Final = "Building the cohort and evaluating the signal"


def count_cohort(
    connection: duckdb.DuckDBPyConnection, cohort_sql: str, excluded: Mapping[int, int], on_step: Step
) -> CohortCounts:
    """Run the cohort once and count its rows; ``on_step(name, share of the work done)`` before each part.

    ``excluded`` are the units outside every cohort, by status (``excluded_units``).
    """
    on_step(EVALUATING, 0.0)
    return count_rows(connection.execute(cohort_sql).fetchnumpy(), excluded, on_step)


def count_rows(rows: Rows, excluded: Mapping[int, int], on_step: Step) -> CohortCounts:
    """Count the rows of a cohort, columns as ``landmark`` names them, whichever tier made them."""
    on_step("Counting conversions", 0.7)
    codes, units = _tally(_cells(rows))
    on_step("Summing by account", 0.8)
    eligible = rows["status"] == ELIGIBLE
    moments = ClusterMoments.from_arrays(*(rows[name][eligible] for name in ("converted", "signal", "cluster")))
    on_step("Reading lead times", 0.9)
    hits = eligible & (rows["signal"] == 1) & (rows["converted"] == 1)
    return CohortCounts(
        status_units=_by_status(codes, units) | dict(excluded),
        months=_by_month(codes, units),
        moments=moments,
        lead_s=(rows["outcome_at_s"][hits] - rows["matched_at_s"][hits]).astype(np.int64),
        first_matches=_first_matches(rows),
        period_s=_period(rows["t0_s"][eligible]),
    )


def excluded_units(connection: duckdb.DuckDBPyConnection, sql: str) -> dict[int, int]:
    """Return the units that ``excluded_sql`` counts, by status."""
    return {int(status): int(units) for status, units in connection.execute(sql).fetchall()}


def time_to_outcome_s(connection: duckdb.DuckDBPyConnection, sql: str) -> NDArray[np.int64]:
    """Return the seconds from time zero to the first outcome of every unit that has one."""
    return np.asarray(connection.execute(sql).fetchnumpy()["seconds"], dtype=np.int64)


def _cells(rows: Rows) -> Integers:
    """Return month, status, signal and converted of each row as one number."""
    month_and_status = rows["month"].astype(np.int64) * _STATUSES + rows["status"]
    code: Integers = (month_and_status * 2 + rows["signal"]) * 2 + rows["converted"]
    return code


def _tally(numbers: Integers) -> tuple[Integers, Integers]:
    """Return the numbers that there are, ascending, and how often there is each."""
    if not numbers.size:
        return numbers, numbers
    low = int(numbers.min())
    if int(numbers.max()) - low > _MOST_GAPS * numbers.size:
        return np.unique(numbers, return_counts=True)
    times = np.bincount(numbers - low)
    found = np.flatnonzero(times)
    return found + low, times[found]


def _first_matches(rows: Rows) -> dict[int, int]:
    """Count units by the epoch day of their first match; matches after the outcome are none."""
    known = _BEFORE_OUTCOME[rows["status"]] & (rows["signal"] == 1)
    chosen = np.flatnonzero(known & (rows["matched_at_s"] < rows["outcome_at_s"]))
    unit, at_s = rows["unit"][chosen], rows["matched_at_s"][chosen]
    if not np.all(unit[1:] > unit[:-1]):  # with a row per week, a unit has several
        order = np.lexsort((at_s, unit))
        at_s = at_s[order][np.unique(unit[order], return_index=True)[1]]
    days, units = _tally(at_s // DAY_S)
    return dict(zip(days.tolist(), units.tolist(), strict=True))


def _by_status(codes: Integers, units: Integers) -> dict[int, int]:
    found = np.bincount(codes // 4 % _STATUSES, weights=units, minlength=_STATUSES)
    return {status: int(found[status]) for status in np.flatnonzero(found).tolist()}


def _by_month(codes: Integers, units: Integers) -> dict[int, TwoByTwo]:
    eligible = codes // 4 % _STATUSES == ELIGIBLE
    months, row = np.unique(codes[eligible] // (4 * _STATUSES), return_inverse=True)
    table = np.zeros((months.size, 4), dtype=np.int64)
    table[row, codes[eligible] % 4] = units[eligible]
    return {
        month: TwoByTwo(a, a + failed, c, c + missed)
        for month, (missed, c, failed, a) in zip(months.tolist(), table.tolist(), strict=True)
    }


def _period(t0_s: NDArray[np.int64]) -> tuple[int, int] | None:
    return (int(t0_s.min()), int(t0_s.max())) if t0_s.size else None
