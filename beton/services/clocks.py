"""The clocks of an outcome's cohorts: they differ in the landmark alone, and their outcome window is a backtest's."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from beton.model.evidence import Cohort
from beton.model.manifest import Manifest
from beton.model.outcome import Outcome
from beton.services import measurement
from beton.warehouse.counts import time_to_outcome_s
from beton.warehouse.landmark import Clock, time_to_outcome_sql

if TYPE_CHECKING:
    from beton.warehouse.reader import Warehouse


def clocks(
    warehouse: Warehouse, manifest: Manifest, outcome: Outcome, sales_cycle_days: int
) -> Callable[[float], Clock]:
    """Return the clock of users for a landmark in days."""
    with warehouse.connection() as connection:
        waits = time_to_outcome_s(connection, time_to_outcome_sql("user", outcome))
    horizon, source = measurement.horizon_of(outcome, waits, sales_cycle_days)

    def made(landmark_days: float) -> Clock:
        of = Cohort("user", "after signup", landmark_days, measurement.GAP_DAYS, horizon, source)
        return measurement.clock_of(of, outcome, manifest)

    return made
