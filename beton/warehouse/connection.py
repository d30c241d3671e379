"""Opening DuckDB, and writing names and texts into SQL safely."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import duckdb

BUILD_THREADS: Final = 2

# Nothing is ever fetched from the network, and no variable of the calling Python code can be read as a table.
_LOCKED_DOWN: Final[dict[str, str | bool | int | float | list[str]]] = {
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "allow_community_extensions": False,
    "allow_persistent_secrets": False,
    "python_enable_replacements": False,
}


def ident(name: str) -> str:
    """Quote a name that came from outside, such as a column of the user's file."""
    return '"' + name.replace('"', '""') + '"'


def literal(value: str | int | float | bool) -> str:
    """Write a value as an SQL literal."""
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, int | float):
        return repr(value)
    return "'" + value.replace("'", "''") + "'"


@contextmanager
def workbench(folder: Path, time_zone: str) -> Iterator[duckdb.DuckDBPyConnection]:
    """Yield a connection whose catalog ``scratch`` lies in ``folder``; times without a zone are in ``time_zone``."""
    import duckdb

    config = {**_LOCKED_DOWN, "threads": BUILD_THREADS, "temp_directory": str(folder / "spill")}
    with duckdb.connect(":memory:", config=config) as connection:
        connection.execute("SET enable_progress_bar = false")
        connection.execute(f"SET TimeZone = {literal(time_zone)}")
        connection.execute(f"ATTACH {literal(str(folder / 'scratch.duckdb'))} AS scratch")
        yield connection


def open_snapshot(database: Path, threads: int) -> duckdb.DuckDBPyConnection:
    """Open a published store.duckdb for reading.

    It is attached as the catalog ``snapshot`` rather than opened by its path: DuckDB names a catalog after its file,
    and a catalog ``store`` beside the schema ``store`` makes every ``store.users`` ambiguous.
    """
    import duckdb

    connection = duckdb.connect(":memory:", config={**_LOCKED_DOWN, "threads": threads, "temp_directory": ""})
    try:
        connection.execute("SET enable_progress_bar = false")
        connection.execute(f"ATTACH {literal(str(database))} AS snapshot (READ_ONLY)")
        connection.execute("SET enable_external_access = false")
    except duckdb.Error:
        connection.close()
        raise
    return connection
