"""Who did what, when: written in the transaction of the deed, never changed afterwards."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, insert, select

from beton.records.database import Database
from beton.records.rows import AuditRecord
from beton.records.tables import audit


def note(connection: Connection, at: datetime, actor: str, action: str, about: str, detail: Mapping[str, Any]) -> None:
    """Add a row in the caller's transaction. ``detail`` must be JSON and must hold no secret."""
    connection.execute(insert(audit).values(at=at, actor=actor, action=action, object=about, detail=dict(detail)))


class AuditRepository:
    """Reads the audit."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def recent(self, limit: int) -> list[AuditRecord]:
        """Return the last ``limit`` rows, newest first."""
        columns = (audit.c.at, audit.c.actor, audit.c.action, audit.c.object, audit.c.detail)
        with self._database.read() as connection:
            rows = connection.execute(select(*columns).order_by(audit.c.id.desc()).limit(limit)).mappings()
            return [AuditRecord(**row) for row in rows]
