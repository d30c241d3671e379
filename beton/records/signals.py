"""Saved signals. Each change of a definition is a further version; none is ever overwritten."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, TypeAlias

from sqlalchemy import ColumnElement, Connection, Select, delete, func, insert, select, update

from beton.errors import InputError
from beton.records.audit import note
from beton.records.columns import storable
from beton.records.database import Database
from beton.records.rows import LOCAL_ACTOR, MeasuredDefinition, SignalRecord, SignalVersion
from beton.records.tables import backtest_runs, numbering, signal_versions, signals

LONGEST_NAME: Final = 120
Named: TypeAlias = tuple[str, Mapping[str, Any], str]
"""The name of a signal, its definition and the hash of that."""
Redefined: TypeAlias = tuple[str, int, Named]
"""The id of a signal, the version it has, and what the next one says."""

_OLDEST_FIRST: Final = (func.length(signals.c.id), signals.c.id)


class SignalRepository:
    """Creates, reads and changes signals. Unknown ids raise ``InputError``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def save(
        self,
        name: str,
        definition: Mapping[str, Any],
        definition_hash: str,
        *,
        at: datetime,
        demo: bool = False,
        actor: str = LOCAL_ACTOR,
    ) -> SignalRecord:
        """Save a signal, enabled, under the next free id, unless there is one of this hash, which is returned.

        One that discovery found is switched on, so that no later run drops it.

        Raises:
            InputError: the name is empty, too long or unprintable, or the definition is not JSON.
        """
        with self._database.write() as connection:
            known = _find(connection, definition_hash)
            if known is None:
                return _create(connection, (name, definition, definition_hash), at, actor, demo=demo)
            return _switch(connection, known.id, True, at, actor) if known.origin == "discovery" else known

    def keep_found(
        self,
        found: Iterable[Named],
        run_id: str,
        *,
        at: datetime,
        actor: str = LOCAL_ACTOR,
    ) -> None:
        """Save what a discovery run found, switched off, and drop what it did not find and nobody has enabled.

        All of it happens or nothing: of two runs that end at the same moment one replaces what the other found, and
        what stays is never a mixture.
        """
        with self._database.write() as connection:
            for each in found:
                known = _find(connection, each[2])
                if known is None:
                    _create(connection, each, at, actor, found_in=run_id)
                else:
                    connection.execute(update(signals).where(signals.c.id == known.id).values(run_id=run_id))
            lost = (signals.c.origin == "discovery") & ~signals.c.enabled & (signals.c.run_id != run_id)
            _delete(connection, lost, {"discovery_run": run_id}, at, actor)

    def read(self, signal_id: str) -> SignalRecord:
        """Return one signal with its current definition."""
        with self._database.read() as connection:
            return _read(connection, signal_id)

    def list(self) -> list[SignalRecord]:
        """Return every signal in the order of their ids."""
        with self._database.read() as connection:
            rows = connection.execute(_current().order_by(*_OLDEST_FIRST)).mappings()
            return [SignalRecord(**row) for row in rows]

    def versions(self, signal_id: str) -> tuple[SignalVersion, ...]:
        """Return every definition the signal has had, oldest first."""
        query = select(signal_versions).where(signal_versions.c.signal_id == signal_id)
        with self._database.read() as connection:
            _read(connection, signal_id)
            rows = connection.execute(query.order_by(signal_versions.c.version)).mappings()
            return tuple(SignalVersion(**row) for row in rows)

    def measured(self, signal_id: str) -> dict[str, MeasuredDefinition]:
        """Return, by its hash, each definition the signal has had that was measured, with the newest finished run."""
        hashes = select(signal_versions.c.definition_hash).where(signal_versions.c.signal_id == signal_id)
        runs = backtest_runs.c
        query = (
            select(runs.definition_hash, runs.id, runs.finished_at)
            .where(runs.status == "done", runs.definition_hash.in_(hashes))
            .order_by(runs.finished_at, runs.id)
        )
        with self._database.read() as connection:
            return {row.definition_hash: MeasuredDefinition(*row) for row in connection.execute(query)}

    def every_version(self) -> tuple[tuple[str, str, int, bool], ...]:
        """Return (hash, signal, version, whether it is the signal's current one) of every definition ever saved."""
        wanted = (
            signal_versions.c.definition_hash,
            signals.c.id,
            signal_versions.c.version,
            signal_versions.c.version == signals.c.version,
        )
        query = select(*wanted).join(signals).order_by(*_OLDEST_FIRST, signal_versions.c.version)
        with self._database.read() as connection:
            return tuple((digest, owner, n, bool(current)) for digest, owner, n, current in connection.execute(query))

    def add_version(
        self, signal_id: str, new: Named, *, expected_version: int, at: datetime, actor: str = LOCAL_ACTOR
    ) -> SignalRecord:
        """Give the signal a further definition, built on ``expected_version``, and its name.

        One that only discovery had found is switched on and kept, as if a person had saved it.

        Raises:
            InputError: somebody else changed it since that version was read, or it is not JSON.
        """
        with self._database.write() as connection:
            return _redefine(connection, (signal_id, expected_version, new), at, actor)

    def apply(
        self,
        created: Iterable[Named],
        redefined: Iterable[Redefined],
        disabled: Iterable[str],
        *,
        at: datetime,
        actor: str = LOCAL_ACTOR,
    ) -> None:
        """Create signals, give others a further version and switch others off: all of it, or nothing.

        Raises:
            InputError: one of them was changed elsewhere meanwhile, or another signal has one of the names by now.
        """
        with self._database.write() as connection:
            named = [_redefine(connection, each, at, actor).name for each in redefined]
            named += [_create(connection, each, at, actor).name for each in created]
            for signal_id in disabled:
                _switch(connection, signal_id, False, at, actor)
            _refuse_namesakes(connection, named)

    def set_enabled(self, signal_id: str, enabled: bool, *, at: datetime, actor: str = LOCAL_ACTOR) -> SignalRecord:
        """Switch the signal on or off. Nothing is written when it is so already."""
        with self._database.write() as connection:
            return _switch(connection, signal_id, enabled, at, actor)

    def delete_demo(self, *, at: datetime, actor: str = LOCAL_ACTOR) -> int:
        """Remove the demo's signals with their versions, and return how many there were."""
        with self._database.write() as connection:
            return _delete(connection, signals.c.demo, {"demo": True}, at, actor)


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


def _find(connection: Connection, definition_hash: str) -> SignalRecord | None:
    """Return the oldest signal whose current definition has this hash."""
    query = _current().where(signal_versions.c.definition_hash == definition_hash).order_by(*_OLDEST_FIRST).limit(1)
    row = connection.execute(query).mappings().first()
    return SignalRecord(**row) if row else None


def _create(
    connection: Connection,
    new: Named,
    at: datetime,
    actor: str,
    *,
    demo: bool = False,
    found_in: str | None = None,
) -> SignalRecord:
    raw_name, definition, definition_hash = new
    signal_id, name = _next_id(connection), _checked_name(raw_name)
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


def _redefine(connection: Connection, further: Redefined, at: datetime, actor: str) -> SignalRecord:
    signal_id, expected_version, (name, definition, definition_hash) = further
    before, version = _read(connection, signal_id), expected_version + 1
    values: dict[str, Any] = {"name": _checked_name(name), "version": version, "updated_at": at}
    if before.definition_hash != definition_hash:
        values["run_id"] = None  # what a discovery run found was the definition before
    if before.origin == "discovery":
        values["origin"] = "person"
        _switch(connection, signal_id, True, at, actor)
    change = update(signals).where(signals.c.id == signal_id, signals.c.version == expected_version)
    if connection.execute(change.values(values)).rowcount == 0:
        raise InputError(f"Signal {signal_id} was changed elsewhere since you opened it: reload and save again.")
    _add_definition(connection, signal_id, version, definition, definition_hash, at)
    detail = {"version": version, "definition_hash": definition_hash}
    note(connection, at, actor, "signal.redefined", signal_id, detail)
    return _read(connection, signal_id)


def _refuse_namesakes(connection: Connection, names: Sequence[str]) -> None:
    bearers = select(signals.c.name).where(signals.c.name.in_(names)).group_by(signals.c.name)
    twice = connection.scalars(bearers.having(func.count() > 1).order_by(signals.c.name)).first()
    if twice is not None:
        raise InputError(f"Another signal is called {twice!r} by now: rename one of them, then apply again.")


def _switch(connection: Connection, signal_id: str, enabled: bool, at: datetime, actor: str) -> SignalRecord:
    change = update(signals).where(signals.c.id == signal_id, signals.c.enabled != enabled)
    if connection.execute(change.values(enabled=enabled, updated_at=at)).rowcount:
        note(connection, at, actor, "signal.enabled" if enabled else "signal.disabled", signal_id, {})
    return _read(connection, signal_id)


def _delete(
    connection: Connection, which: ColumnElement[bool], detail: dict[str, Any], at: datetime, actor: str
) -> int:
    ids = connection.scalars(select(signals.c.id).where(which)).all()
    connection.execute(delete(signal_versions).where(signal_versions.c.signal_id.in_(ids)))
    connection.execute(delete(signals).where(signals.c.id.in_(ids)))
    for signal_id in ids:
        note(connection, at, actor, "signal.deleted", signal_id, detail)
    return len(ids)


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
