"""Beton's own way: compile the definition, build the cohort, bring back the counts of a whole backtest."""

from __future__ import annotations

from benchmarks.questions import OUTCOME, Question
from beton.warehouse.compile import Catalogue, written
from beton.warehouse.counts import CohortCounts, count_cohort, excluded_units
from beton.warehouse.landmark import cohort_sql, excluded_sql
from beton.warehouse.reader import Warehouse


def silent(_step: str, _share: float) -> None:
    pass


class Engine:
    """Answers questions from a workspace's snapshot, as ``beton.services.backtests`` does."""

    def __init__(self, warehouse: Warehouse) -> None:
        self._warehouse = warehouse
        self._excluded: dict[int, int] | None = None

    def counts(self, question: Question) -> CohortCounts:
        """Return everything that a backtest counts."""
        manifest = self._warehouse.manifest()
        sql = cohort_sql(question.definition, OUTCOME, question.clock(manifest), Catalogue.of(manifest))
        with self._warehouse.connection() as connection:
            if self._excluded is None:
                self._excluded = excluded_units(connection, excluded_sql("user"))
            return count_cohort(connection, sql, self._excluded, silent)

    def counts_of_new_definition(self, question: Question) -> CohortCounts:
        """Return the same with every part of the statement parsed anew, as for a definition never seen before."""
        written.cache_clear()
        return self.counts(question)
