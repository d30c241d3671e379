"""The workspace's settings: one row, guarded against two people saving over each other."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, insert, select, update
from sqlalchemy.exc import IntegrityError

from beton.errors import InputError
from beton.model.settings import CompanySettings
from beton.records.audit import note
from beton.records.database import Database
from beton.records.rows import LOCAL_ACTOR, SettingsRecord
from beton.records.tables import settings as table


class SettingsRepository:
    """Reads and saves ``CompanySettings``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def read(self) -> CompanySettings:
        """Return the settings in force: the saved ones, else the defaults."""
        return self.record().settings

    def record(self) -> SettingsRecord:
        """Return the settings in force with the version that ``write`` wants to see again."""
        with self._database.read() as connection:
            row = connection.execute(select(table)).mappings().one_or_none()
        if row is None:
            return SettingsRecord(CompanySettings(), version=0, updated_at=None)
        return SettingsRecord(CompanySettings.from_json(row["json"]), row["version"], row["updated_at"])

    def write(
        self, settings: CompanySettings, expected_version: int, *, at: datetime, actor: str = LOCAL_ACTOR
    ) -> SettingsRecord:
        """Save the settings over ``expected_version`` (0: nothing saved yet) and return them as saved.

        Raises:
            InputError: somebody else saved since that version was read.
        """
        version = expected_version + 1
        values = {"json": settings.to_json(), "version": version, "updated_at": at}
        with self._database.write() as connection:
            if not _replace(connection, values, expected_version):
                raise InputError("The settings were changed elsewhere since you opened them: reload and save again.")
            detail = {"version": version, "settings": settings.to_json()}
            note(connection, at, actor, "settings.saved", "settings", detail)
        return SettingsRecord(settings, version, at)


def _replace(connection: Connection, values: dict[str, object], expected_version: int) -> bool:
    if expected_version != 0:
        changed = connection.execute(update(table).where(table.c.version == expected_version).values(values))
        return changed.rowcount == 1
    try:
        connection.execute(insert(table).values(id=1, **values))
    except IntegrityError:
        return False
    return True
