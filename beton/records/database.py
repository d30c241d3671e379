"""Opening the app database, and the two kinds of transaction it offers."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError, DatabaseError, OperationalError

from beton.errors import BetonError, InputError
from beton.records.upgrade import upgrade

BUSY_TIMEOUT_MS: Final = 10_000

# Execution option of a connection: the statement that opens its transactions on SQLite; empty for none.
_SQLITE_BEGIN: Final = "beton_sqlite_begin"
_UPGRADE_LOCK_KEY: Final = 0x6265746F6E


class Database:
    """The app database behind its transactions. Threads may share one; processes open their own."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._name = engine.url.render_as_string(hide_password=True)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Yield a connection that sees one state throughout on SQLite, and one per statement on PostgreSQL."""
        with self._transaction("BEGIN") as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Yield a connection whose changes are kept together, or not at all when the block raises.

        On SQLite the write lock is taken at the start: a reader that turned writer could not wait for it.
        """
        with self._transaction("BEGIN IMMEDIATE") as connection:
            yield connection

    def close(self) -> None:
        """Give back every connection."""
        self._engine.dispose()

    def upgrade(self) -> None:
        """Bring the tables up to date; processes that come meanwhile wait, and then find nothing to do."""
        if self._engine.dialect.name == "postgresql":
            with self.write() as connection:
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _UPGRADE_LOCK_KEY})
                upgrade(connection)
            return
        with _file_lock(Path(str(self._engine.url.database))):
            # Not possible inside a transaction, and it does not wait for others: hence the lock.
            with self._transaction("") as connection:
                connection.exec_driver_sql("PRAGMA journal_mode=WAL")
            with self.write() as connection:
                upgrade(connection)

    @contextmanager
    def _transaction(self, sqlite_begin: str) -> Iterator[Connection]:
        try:
            with self._engine.connect() as plain:
                connection = plain.execution_options(**{_SQLITE_BEGIN: sqlite_begin})
                with connection.begin():
                    yield connection
        except DatabaseError as error:
            # The other subclasses (a broken constraint, wrong SQL) are this program's, not the machine's.
            if type(error) not in (DatabaseError, OperationalError):
                raise
            reason = " ".join(str(error.orig).split())
            raise BetonError(
                f"The app database {self._name} does not answer ({reason}): check that it is Beton's, "
                "that it can be written, that its disk has room, and that no other program holds it."
            ) from error


def open_database(url: str) -> Database:
    """Open the app database at ``url`` (see ``sqlite_url``, or ``postgresql://...``) and bring it up to date.

    Any number of processes may open it at once: one of them upgrades, the others wait for it.

    Raises:
        InputError: the URL is not one of a database that Beton can use.
        BetonError: the database cannot be read or written, or belongs to a later Beton.
    """
    parsed = _parsed(url)
    database = Database(_engine(parsed))
    try:
        database.upgrade()
    except BaseException:
        database.close()
        raise
    return database


def sqlite_url(path: Path) -> str:
    """Return the URL of a SQLite file, also when its path holds characters that mean something in URLs."""
    return URL.create("sqlite", database=str(path)).render_as_string()


def _parsed(url: str) -> URL:
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise InputError(
            "The database URL cannot be read: write sqlite:///path/to/app.sqlite3 or "
            "postgresql://user:password@host/name."
        ) from error
    backend = parsed.drivername.partition("+")[0]
    if backend in ("postgres", "postgresql"):
        return parsed.set(drivername="postgresql+psycopg")
    if backend != "sqlite":
        raise InputError(f"Beton keeps its records in SQLite or PostgreSQL, not {backend}: change the URL.")
    if parsed.database in (None, "", ":memory:"):
        raise InputError("The app database is shared by processes: name a file, sqlite:///path/to/app.sqlite3.")
    return parsed


def _engine(url: URL) -> Engine:
    try:
        engine = create_engine(url, json_serializer=partial(json.dumps, allow_nan=False))
    except ModuleNotFoundError as error:
        raise InputError(
            "PostgreSQL needs its driver: pip install 'psycopg[binary]', or leave the database URL unset."
        ) from error
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _configure_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    return engine


def _configure_sqlite(connection: Any, _: object) -> None:
    # Python's driver would open transactions by itself, too late, and not at all around CREATE TABLE.
    connection.isolation_level = None
    connection.execute("PRAGMA foreign_keys=ON")
    connection.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
    connection.execute("PRAGMA synchronous=NORMAL")


def _begin_sqlite(connection: Connection) -> None:
    statement = connection.get_execution_options()[_SQLITE_BEGIN]
    if statement:
        connection.exec_driver_sql(statement)


@contextmanager
def _file_lock(database: Path) -> Iterator[None]:
    lock = database.with_name(f"{database.name}.lock")
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        file = lock.open("ab")
    except OSError as error:
        raise BetonError(
            f"The app database cannot be kept in {lock.parent} ({error.strerror}): "
            "set BETON_DATA_DIR to a folder that can be written."
        ) from error
    with file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
