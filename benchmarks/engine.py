"""Beton's own ways: compile the definition, build the cohort, bring back the counts of a whole backtest."""

from __future__ import annotations

from benchmarks.questions import OUTCOME, Question
from beton.warehouse.compile import Catalogue, written
from beton.warehouse.core.arrays import Core
from beton.warehouse.core.count import count_core
from beton.warehouse.core.frame import Frame, frame
from beton.warehouse.core.match import warm
from beton.warehouse.counts import CohortCounts, count_cohort, excluded_units
from beton.warehouse.landmark import Clock, cohort_sql, excluded_sql
from beton.warehouse.reader import Warehouse


def silent(_step: str, _share: float) -> None:
    pass


class Engine:
    """Answers questions from a workspace's snapshot by SQL, as ``beton.services.backtests`` does."""

    def __init__(self, warehouse: Warehouse) -> None:
        self._warehouse = warehouse
        with warehouse.connection() as connection:
            self.excluded = excluded_units(connection, excluded_sql("user"))

    def counts(self, question: Question) -> CohortCounts:
        """Return everything that a backtest counts."""
        manifest = self._warehouse.manifest()
        sql = cohort_sql(question.definition, OUTCOME, question.clock(manifest), Catalogue.of(manifest))
        with self._warehouse.connection() as connection:
            return count_cohort(connection, sql, self.excluded, silent)

    def counts_of_new_definition(self, question: Question) -> CohortCounts:
        """Return the same with every part of the statement parsed anew, as for a definition never seen before."""
        written.cache_clear()
        return self.counts(question)


class CoreEngine:
    """Answers questions from the arrays beside a snapshot, as ``beton.services.backtests`` does where it can."""

    def __init__(self, warehouse: Warehouse, core: Core | None = None) -> None:
        self._core, self._manifest = core or warehouse.core(), warehouse.manifest()
        warm(self._core)
        with warehouse.connection() as connection:
            self._excluded = excluded_units(connection, excluded_sql("user"))
        self._frames: dict[Clock, Frame] = {}

    def counts(self, question: Question) -> CohortCounts:
        """Return everything that a backtest counts; cohorts are kept from one question to the next."""
        clock = question.clock(self._manifest)
        if clock not in self._frames:
            self._frames[clock] = frame(self._core, "user", OUTCOME, clock)
        cohort = self._frames[clock]
        return count_core(self._core, question.definition, cohort, clock.landmark_s, self._excluded, silent)

    def counts_of_new_cohort(self, question: Question) -> CohortCounts:
        """Return the same with the cohort built anew, as for the first question of a landmark."""
        self._frames.clear()
        return self.counts(question)
