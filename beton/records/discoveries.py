"""Discovery runs, each kept whole."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from sqlalchemy import func, insert, select

from beton.errors import InputError
from beton.records.columns import storable
from beton.records.database import Database
from beton.records.rows import DiscoveryRecord, DiscoverySummary
from beton.records.tables import discovery_runs as runs

_IN_RESULT: Final = runs.c.result
_SUMMARY: Final = (
    runs.c.id,
    runs.c.snapshot_version,
    runs.c.created_at,
    runs.c.seconds,
    _IN_RESULT["version"].as_integer().label("version"),
    _IN_RESULT["outcome"].as_json().label("outcome"),
    _IN_RESULT["demo"].as_boolean().label("demo"),
    _IN_RESULT["family"]["all"].as_integer().label("tested"),
    func.json_array_length(_IN_RESULT["findings"]).label("signals"),
)
_NEWEST_FIRST: Final = (runs.c.created_at.desc(), runs.c.id)


class DiscoveryRepository:
    """Keeps discovery runs; none is ever changed."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(
        self,
        run_id: str,
        result: Mapping[str, Any],
        *,
        settings: Mapping[str, Any],
        request_hash: str,
        snapshot_version: str,
        at: datetime,
        seconds: float,
    ) -> DiscoveryRecord:
        """Store a finished run under the id that the caller made."""
        values = {
            "id": run_id,
            "request_hash": request_hash,
            "snapshot_version": snapshot_version,
            "settings": storable(dict(settings), "settings"),
            "result": storable(dict(result), "result"),
            "created_at": at,
            "seconds": seconds,
        }
        with self._database.write() as connection:
            connection.execute(insert(runs).values(**values))
        return self.read(run_id)

    def read(self, run_id: str) -> DiscoveryRecord:
        """Return one run; InputError when there is none of that id."""
        with self._database.read() as connection:
            row = connection.execute(select(runs).where(runs.c.id == run_id)).mappings().one_or_none()
        if row is None:
            raise InputError(f"There is no discovery run {run_id!r}: `beton runs` lists them.")
        return DiscoveryRecord(**row)

    def summaries(self, limit: int) -> list[DiscoverySummary]:
        """Return what a list shows of the last ``limit`` runs, newest first, of whatever version."""
        with self._database.read() as connection:
            rows = connection.execute(select(*_SUMMARY).order_by(*_NEWEST_FIRST).limit(limit)).mappings()
            return [DiscoverySummary(**row) for row in rows]

    def of_snapshot(self, snapshot_version: str, limit: int) -> list[str]:
        """Return the ids of the last ``limit`` runs on one snapshot, newest first."""
        chosen = select(runs.c.id).where(runs.c.snapshot_version == snapshot_version)
        with self._database.read() as connection:
            return list(connection.execute(chosen.order_by(*_NEWEST_FIRST).limit(limit)).scalars())
