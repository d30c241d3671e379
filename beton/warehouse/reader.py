"""Reading the current snapshot: any number of threads and processes, never blocked by an import."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from beton.errors import NoDataError, WarehouseError
from beton.model.manifest import Manifest
from beton.warehouse.connection import open_snapshot
from beton.warehouse.core.arrays import CORE_FOLDER, Core, open_core
from beton.warehouse.snapshot import STORE_FILE, SnapshotStore

if TYPE_CHECKING:
    import duckdb

# A snapshot that is three imports old is deleted; a reader that was just about to open it looks again.
_ATTEMPTS: Final = 10


@dataclass(frozen=True, slots=True)
class _Open:
    """One opened snapshot.

    ``root`` is never closed by hand, which would close the cursors that other threads still read from: when the last
    reference goes, DuckDB lets the file go with the last cursor, even if the file has been deleted since.
    """

    name: str
    process: int
    manifest: Manifest
    root: duckdb.DuckDBPyConnection


class Warehouse:
    """The current snapshot of a workspace, reopened when an import publishes a new one.

    Args:
        data_dir: the workspace's directory.
        threads: DuckDB threads of this process.
    """

    def __init__(self, data_dir: Path, threads: int = 2) -> None:
        self._store = SnapshotStore(data_dir)
        self._threads = threads
        self._lock = threading.Lock()
        self._open: _Open | None = None
        self._core: tuple[str, Core] | None = None
        # A connection that came through a fork has lost its threads: freeing it would wait for them forever.
        self._inherited: list[_Open] = []

    def manifest(self) -> Manifest:
        """Return the facts of the current snapshot.

        Raises:
            NoDataError: nothing has been imported.
            WarehouseError: the snapshot is broken or of another version.
        """
        return self._current().manifest

    def version(self) -> str:
        """Return the content hash of the current snapshot; errors as for ``manifest``."""
        return self.manifest().version

    def database(self) -> tuple[str, Path]:
        """Return the name of the current snapshot and the file that holds its tables; errors as for ``manifest``."""
        name = self._current().name
        return name, self._store.directory(name) / STORE_FILE

    @contextmanager
    def connection(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Yield a read-only connection of the caller's own to the current snapshot; errors as for ``manifest``."""
        cursor = self.cursor()
        try:
            yield cursor
        finally:
            cursor.close()

    def cursor(self) -> duckdb.DuckDBPyConnection:
        """Return a read-only connection that the caller closes; use ``connection`` where a block will do."""
        with self._lock:
            cursor = self._refresh().root.cursor()
        cursor.execute("USE snapshot")
        return cursor

    def core(self) -> Core:
        """Return the arrays of the current snapshot; errors as for ``manifest``."""
        with self._lock:
            name = self._refresh().name
            if self._core is None or self._core[0] != name:
                try:
                    self._core = (name, open_core(self._store.directory(name) / CORE_FOLDER))
                except (OSError, ValueError, KeyError) as error:
                    raise WarehouseError(f"The current snapshot cannot be opened ({error}): import again.") from error
            return self._core[1]

    def close(self) -> None:
        """Let go of the snapshot; connections in use stay usable, and the next call opens it again."""
        with self._lock:
            self._let_go()

    def _let_go(self) -> None:
        if self._open is not None and self._open.process != os.getpid():
            self._inherited.append(self._open)
        self._open = None

    def _current(self) -> _Open:
        with self._lock:
            return self._refresh()

    def _refresh(self) -> _Open:
        """Return the snapshot that CURRENT names, opening it when it is not the one at hand."""
        import duckdb

        failure: Exception | None = None
        for _ in range(_ATTEMPTS):
            name = self._store.current_name()
            if name is None:
                raise NoDataError("Nothing has been imported yet: run `beton demo` or `beton import MAPPING.yaml`.")
            if self._open is not None and (self._open.name, self._open.process) == (name, os.getpid()):
                return self._open
            try:
                manifest = self._store.read_manifest(name)
                root = open_snapshot(self._store.directory(name) / STORE_FILE, self._threads)
            except (OSError, duckdb.Error) as error:
                failure = error
                continue
            self._let_go()
            self._open = _Open(name, os.getpid(), manifest, root)
            return self._open
        what = str(failure).splitlines()[0]
        raise WarehouseError(f"The current snapshot cannot be opened ({what}): import again.")
