"""Run a cohort statement and bring back counts: the only thing of a backtest that leaves the warehouse."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from beton.stats.clustered import ClusterMoments
from beton.stats.proportions import TwoByTwo
from beton.warehouse.landmark import ELIGIBLE, IMMATURE, NOT_AT_RISK

if TYPE_CHECKING:
    import duckdb

MOMENT_NAMES: Final = ("aa", "an", "ac", "am", "nn", "nc", "nm", "cc", "cm", "mm")
_PARTS: Final = {"a": "g.a", "n": "g.n", "c": "g.c", "m": "g.m"}


@dataclass(frozen=True)
class CohortCounts:
    """Counts of one cohort.

    ``status_units``: units by eligibility status, the excluded included; ``months``: table by YYYYMM of the eligible; ``lead_s``: seconds from
    match to outcome of converted units with the signal; ``first_matches``: units by epoch day of their first match;
    ``period_s``: first and last time zero of the eligible, or None.
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


def count_cohort(
    connection: duckdb.DuckDBPyConnection, cohort_sql: str, excluded_sql: str | None, on_step: Step
) -> CohortCounts:
    """Materialise the cohort once, then aggregate it; ``on_step(name, share of the work done)`` before each query."""
    on_step("Building the cohort and evaluating the signal", 0.0)
    connection.execute(f"CREATE OR REPLACE TEMP TABLE cohort_rows AS {cohort_sql}")
    on_step("Counting conversions", 0.7)
    cells = connection.execute(_CELLS).fetchall()
    on_step("Summing by account", 0.8)
    moments = connection.execute(_MOMENTS).fetchall()[0]
    on_step("Reading lead times", 0.9)
    lead = connection.execute(_LEADS).fetchnumpy()["lead_s"]
    matches = dict(connection.execute(_FIRST_MATCHES).fetchall())
    excluded = dict(connection.execute(excluded_sql).fetchall()) if excluded_sql else {}
    connection.execute("DROP TABLE cohort_rows")
    return CohortCounts(
        status_units=_by_status(cells) | excluded,
        months=_by_month(cells),
        moments=ClusterMoments(clusters=int(moments[0]), **_named(moments[1:])),
        lead_s=np.asarray(lead, dtype=np.int64),
        first_matches={int(day): int(units) for day, units in matches.items()},
        period_s=_period(cells),
    )


def time_to_outcome_s(connection: duckdb.DuckDBPyConnection, sql: str) -> NDArray[np.int64]:
    """Return the seconds from time zero to the first outcome of every unit that has one."""
    return np.asarray(connection.execute(sql).fetchnumpy()["seconds"], dtype=np.int64)


_CELLS: Final = """
    SELECT r.month, r.status, r.signal, r.converted, COUNT(*) AS units, MIN(r.t0_s) AS first_s, MAX(r.t0_s) AS last_s
    FROM cohort_rows AS r GROUP BY r.month, r.status, r.signal, r.converted"""

_MOMENTS: Final = f"""
    SELECT COUNT(*), {", ".join(f"COALESCE(SUM({_PARTS[x]} * {_PARTS[y]}), 0)" for x, y in MOMENT_NAMES)}
    FROM (SELECT r.cluster,
            CAST(SUM(r.signal * r.converted) AS BIGINT) AS a, CAST(SUM(r.signal) AS BIGINT) AS n,
            CAST(SUM((1 - r.signal) * r.converted) AS BIGINT) AS c, CAST(SUM(1 - r.signal) AS BIGINT) AS m
          FROM cohort_rows AS r WHERE r.status = {ELIGIBLE} GROUP BY r.cluster) AS g"""

_LEADS: Final = f"""
    SELECT r.outcome_at_s - r.matched_at_s AS lead_s FROM cohort_rows AS r
    WHERE r.status = {ELIGIBLE} AND r.signal = 1 AND r.converted = 1"""

_FIRST_MATCHES: Final = f"""
    SELECT CAST(FLOOR(f.first_s / 86400) AS INT) AS day, COUNT(*) AS units
    FROM (SELECT r.unit AS unit, MIN(r.matched_at_s) AS first_s FROM cohort_rows AS r
          WHERE r.signal = 1 AND r.status IN ({ELIGIBLE}, {NOT_AT_RISK}, {IMMATURE}) AND r.matched_at_s < r.outcome_at_s
          GROUP BY r.unit) AS f
    GROUP BY CAST(FLOOR(f.first_s / 86400) AS INT)"""


def _named(values: tuple[Any, ...]) -> dict[str, int]:
    return {name: int(value) for name, value in zip(MOMENT_NAMES, values, strict=True)}


def _by_status(cells: list[tuple[Any, ...]]) -> dict[int, int]:
    found: dict[int, int] = {}
    for _, status, _, _, units, _, _ in cells:
        found[status] = found.get(status, 0) + units
    return found


def _by_month(cells: list[tuple[Any, ...]]) -> dict[int, TwoByTwo]:
    found: dict[int, TwoByTwo] = {}
    for month, status, signal, converted, units, _, _ in sorted(cells):
        if status != ELIGIBLE:
            continue
        hit = units if converted else 0
        row = TwoByTwo(hit, units, 0, 0) if signal else TwoByTwo(0, 0, hit, units)
        found[int(month)] = found.get(int(month), TwoByTwo(0, 0, 0, 0)) + row
    return found


def _period(cells: list[tuple[Any, ...]]) -> tuple[int, int] | None:
    eligible = [(first, last) for _, status, _, _, _, first, last in cells if status == ELIGIBLE]
    if not eligible:
        return None
    return min(first for first, _ in eligible), max(last for _, last in eligible)
