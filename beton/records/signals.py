"""Saved signals. Each change of a definition is a further version; none is ever overwritten."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Select, delete, func, insert, select, update

from beton.errors import InputError
from beton.records.audit import note
from beton.records.columns import storable
from beton.records.database import Database
from beton.records.rows import LOCAL_ACTOR, SignalRecord, SignalVersion
from beton.records.tables import numbering, signal_versions, signals

LONGEST_NAME: Final = 120


class SignalRepository:
    """Creates, reads and changes signals. Unknown ids raise ``InputError``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(
        self,
        name: str,
        definition: Mapping[str, Any],
        definition_hash: str,
        *,
        at: datetime,
        demo: bool = False,
        found_in: str | None = None,
        actor: str = LOCAL_ACTOR,
    ) -> SignalRecord:
        """Save a new signal under the next free id: enabled, unless the discovery run ``found_in`` found it.

        Raises:
            InputError: the name is empty, too long or unprintable, or the definition is not JSON.
        """
        name = _checked_name(name)
        with self._database.write() as connection:
            signal_id = _next_id(connection)
            connection.execute(
                insert(signals).values(
                    id=signal_id,
                    name=name,
                    enabled=found_in is None,
                    demo=demo,
                    version=1,
                    created_at=at,
                    updated_at=at,
                    origin="discovery" if found_in else "demo" if demo else "person",
                    run_id=found_in,
                )
            )
            _add_definition(connection, signal_id, 1, definition, definition_hash, at)
            detail = {"name": name, "demo": demo, "definition_hash": definition_hash}
            note(connection, at, actor, "signal.created", signal_id, detail)
            return _read(connection, signal_id)

    def read(self, signal_id: str) -> SignalRecord:
        """Return one signal with its current definition."""
        with self._database.read() as connection:
            return _read(connection, signal_id)

    def list(self) -> list[SignalRecord]:
        """Return every signal in the order of their ids."""
        with self._database.read() as connection:
            rows = connection.execute(_current().order_by(func.length(signals.c.id), signals.c.id)).mappings()
            return [SignalRecord(**row) for row in rows]

    def versions(self, signal_id: str) -> tuple[SignalVersion, ...]:
        """Return every definition the signal has had, oldest first."""
        query = select(signal_versions).where(signal_versions.c.signal_id == signal_id)
        with self._database.read() as connection:
            _read(connection, signal_id)
            rows = connection.execute(query.order_by(signal_versions.c.version)).mappings()
            return tuple(SignalVersion(**row) for row in rows)

    def find_by_hash(self, definition_hash: str) -> SignalRecord | None:
        """Return the oldest signal whose current definition has this hash."""
        query = _current().where(signal_versions.c.definition_hash == definition_hash)
        with self._database.read() as connection:
            row = (
                connection.execute(query.order_by(func.length(signals.c.id), signals.c.id).limit(1)).mappings().first()
            )
            return SignalRecord(**row) if row else None

    def add_version(
        self,
        signal_id: str,
        definition: Mapping[str, Any],
        definition_hash: str,
        *,
        expected_version: int,
        at: datetime,
        actor: str = LOCAL_ACTOR,
    ) -> SignalRecord:
        """Give the signal a further definition, built on ``expected_version``.

        Raises:
            InputError: somebody else changed it since that version was read, or it is not JSON.
        """
        version = expected_version + 1
        change = update(signals).where(signals.c.id == signal_id, signals.c.version == expected_version)
        with self._database.write() as connection:
            _read(connection, signal_id)
            if connection.execute(change.values(version=version, updated_at=at)).rowcount == 0:
                raise InputError(
                    f"Signal {signal_id} was changed elsewhere since you opened it: reload and save again."
                )
            _add_definition(connection, signal_id, version, definition, definition_hash, at)
            detail = {"version": version, "definition_hash": definition_hash}
            note(connection, at, actor, "signal.redefined", signal_id, detail)
            return _read(connection, signal_id)

    def set_enabled(self, signal_id: str, enabled: bool, *, at: datetime, actor: str = LOCAL_ACTOR) -> SignalRecord:
        """Switch the signal on or off. Nothing is written when it is so already."""
        change = update(signals).where(signals.c.id == signal_id, signals.c.enabled != enabled)
        with self._database.write() as connection:
            if connection.execute(change.values(enabled=enabled, updated_at=at)).rowcount:
                note(connection, at, actor, "signal.enabled" if enabled else "signal.disabled", signal_id, {})
            return _read(connection, signal_id)

    def found_again(self, signal_id: str, run_id: str) -> None:
        """Note the latest discovery run that found the signal, whoever made it."""
        with self._database.write() as connection:
            connection.execute(update(signals).where(signals.c.id == signal_id).values(run_id=run_id))

    def delete_lost(self, run_id: str, *, at: datetime, actor: str = LOCAL_ACTOR) -> int:
        """Remove discovered signals that are off and that ``run_id`` did not find; return how many there were."""
        lost = (signals.c.origin == "discovery") & ~signals.c.enabled & (signals.c.run_id != run_id)
        return self._delete(lost, {"discovery_run": run_id}, at, actor)

    def delete_demo(self, *, at: datetime, actor: str = LOCAL_ACTOR) -> int:
        """Remove the demo's signals with their versions, and return how many there were."""
        return self._delete(signals.c.demo, {"demo": True}, at, actor)

    def _delete(self, which: ColumnElement[bool], detail: dict[str, Any], at: datetime, actor: str) -> int:
        with self._database.write() as connection:
            ids = connection.scalars(select(signals.c.id).where(which)).all()
            connection.execute(delete(signal_versions).where(signal_versions.c.signal_id.in_(ids)))
            connection.execute(delete(signals).where(signals.c.id.in_(ids)))
            for signal_id in ids:
                note(connection, at, actor, "signal.deleted", signal_id, detail)
            return len(ids)


def _current() -> Select[Any]:
    of_signal = (signals.c.id == signal_versions.c.signal_id) & (signals.c.version == signal_versions.c.version)
    return select(signals, signal_versions.c.definition, signal_versions.c.definition_hash).join(
        signal_versions, of_signal
    )


def _read(connection: Connection, signal_id: str) -> SignalRecord:
    row = connection.execute(_current().where(signals.c.id == signal_id)).mappings().one_or_none()
    if row is None:
        raise InputError(f"There is no signal {signal_id!r}: choose one from the list of signals.")
    return SignalRecord(**row)


def _next_id(connection: Connection) -> str:
    step = update(numbering).where(numbering.c.kind == "signal").values(last=numbering.c.last + 1)
    return f"sig_{connection.execute(step.returning(numbering.c.last)).scalar_one():03d}"


def _add_definition(
    connection: Connection,
    signal_id: str,
    version: int,
    definition: Mapping[str, Any],
    definition_hash: str,
    at: datetime,
) -> None:
    connection.execute(
        insert(signal_versions).values(
            signal_id=signal_id,
            version=version,
            definition=storable(dict(definition), "definition"),
            definition_hash=definition_hash,
            created_at=at,
        )
    )


def _checked_name(name: str) -> str:
    name = name.strip()
    if not name or len(name) > LONGEST_NAME or not name.isprintable():
        sentence = f"Give the signal a name of 1 to {LONGEST_NAME} printable characters."
        raise InputError(sentence, fields={"name": sentence})
    return name
