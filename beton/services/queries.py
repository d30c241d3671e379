"""Queries that people write: what they may read, what they give, and whom they name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from beton.errors import WarehouseError
from beton.model.signal import SignalDefinition
from beton.model.table_facts import Preview, TableFacts
from beton.records.rows import LOCAL_ACTOR
from beton.services.kept import Kept
from beton.warehouse.compile import NEVER, seconds
from beton.warehouse.landmark import answer_table
from beton.warehouse.sandbox.answers import Asker, first_rows, matched_s
from beton.warehouse.sandbox.statement import check
from beton.warehouse.table_facts import table_facts
from beton.warehouse.views import Cut, ViewColumns, columns_of

if TYPE_CHECKING:
    import duckdb

    from beton.warehouse.reader import Warehouse
    from beton.warehouse.sandbox.pool import Sandbox

KEPT_ANSWERS: Final = 64
KEPT_SNAPSHOTS: Final = 2


class Queries:
    """Use cases on queries in SQL; safe to share between threads."""

    def __init__(self, warehouse: Warehouse, sandbox: Sandbox) -> None:
        self._warehouse = warehouse
        self._sandbox = sandbox
        self._answers: Kept[object, NDArray[np.int64]] = Kept(KEPT_ANSWERS)
        self._columns: Kept[str, ViewColumns] = Kept(KEPT_SNAPSHOTS)
        self._tables: Kept[str, tuple[TableFacts, ...]] = Kept(KEPT_SNAPSHOTS)

    def warm(self) -> None:
        """Start what the first query would otherwise wait for."""
        self._sandbox.warm()
        self.tables()

    def close(self) -> None:
        """End the sandbox's processes; the next query starts new ones."""
        self._sandbox.close()

    def tables(self) -> tuple[TableFacts, ...]:
        """Return what there is to read; NoDataError if nothing has been imported."""
        manifest = self._warehouse.manifest()

        def made() -> tuple[TableFacts, ...]:
            with self._warehouse.connection() as connection:
                return table_facts(connection, manifest)

        return self._tables.get(manifest.version, made)

    def check(self, signal: SignalDefinition) -> None:
        """Raise SqlError if the signal's query may not be run; a signal without one is fine."""
        if signal.sql:
            check(signal.sql)

    def preview(self, signal: SignalDefinition, person: str = LOCAL_ACTOR) -> Preview:
        """Return the first rows of the signal's query, on the tables as the backtest shows them to it.

        Raises:
            SqlError: the query may not or cannot be run.
            NoDataError: nothing has been imported.
        """
        at = Cut(signal.unit, seconds(signal.landmark_days))
        found = first_rows(self._asker(person), signal.sql, at)
        return Preview(found.columns, found.rows, found.total_rows, found.seconds, found.bytes)

    def matched_s(self, signal: SignalDefinition, landmark_s: int, person: str = LOCAL_ACTOR) -> NDArray[np.int64]:
        """Return when the signal's query matched each unit, seconds after its time zero; ``NEVER`` where it did not.

        Errors as for ``preview``.
        """
        core, version = self._warehouse.core(), self._warehouse.version()

        def made() -> NDArray[np.int64]:
            units = core.users if signal.unit == "user" else core.companies
            found = matched_s(self._asker(person), signal.sql, Cut(signal.unit, landmark_s), units)
            if self._warehouse.version() != version:
                raise WarehouseError("The data was replaced while this query ran; run it again.")
            return found

        return self._answers.get((version, signal.sql, signal.unit, landmark_s), made)

    def lay_down(self, connection: duckdb.DuckDBPyConnection, signal: SignalDefinition, landmark_s: int) -> None:
        """Give a connection the table of the signal's answer that ``cohort_sql`` reads; errors as for ``preview``."""
        import pyarrow as pa

        found = self.matched_s(signal, landmark_s)
        unit = np.flatnonzero(found < NEVER)
        connection.register(answer_table(signal), pa.table({"unit": unit, "match_s": found[unit]}))

    def _asker(self, person: str) -> Asker:
        version = self._warehouse.version()

        def made() -> ViewColumns:
            with self._warehouse.connection() as connection:
                return columns_of(connection)

        return Asker(self._sandbox, self._columns.get(version, made), person)
