"""Snapshot directories and the one pointer to the current one.

    warehouse/snap/<version>-<unique>/   store.duckdb  manifest.json  rejects.parquet  core/
    warehouse/CURRENT                    the name of the directory that readers open
    warehouse/writer.lock                held by the one writer; the kernel releases it when the writer dies

A snapshot is built under a name of its own, synced to disk, and becomes visible when CURRENT is replaced. A writer that
dies at any point leaves at most an unnamed directory, which the next writer sweeps away.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from beton.errors import WarehouseError
from beton.model.manifest import SCHEMA_VERSION, Manifest
from beton.warehouse.core.arrays import CORE_FOLDER

KEPT_SNAPSHOTS: Final = 3
STORE_FILE: Final = "store.duckdb"
MANIFEST_FILE: Final = "manifest.json"
REJECTS_FILE: Final = "rejects.parquet"
SNAPSHOT_FILES: Final = (STORE_FILE, MANIFEST_FILE, REJECTS_FILE)
_BUILDING: Final = ".building-"


class SnapshotStore:
    """The ``warehouse`` directory of a workspace."""

    def __init__(self, data_dir: Path) -> None:
        self._root = data_dir / "warehouse"
        self._snap = self._root / "snap"
        self._pointer = self._root / "CURRENT"

    def current_name(self) -> str | None:
        """Return the name of the current snapshot directory, or None before the first import."""
        try:
            return self._pointer.read_text(encoding="ascii").strip()
        except (FileNotFoundError, NotADirectoryError):
            return None

    def directory(self, name: str) -> Path:
        return self._snap / name

    def read_manifest(self, name: str) -> Manifest:
        """Read what a snapshot says about itself.

        Raises:
            FileNotFoundError: the directory is gone; CURRENT may name another by now.
            WarehouseError: the manifest is broken or of another version of Beton.
        """
        text = (self._snap / name / MANIFEST_FILE).read_text(encoding="utf-8")
        try:
            manifest = Manifest.from_json(text)
        except (ValueError, KeyError, TypeError):
            raise WarehouseError(f"The snapshot {name} was made by another version of Beton: import again.") from None
        if manifest.schema_version != SCHEMA_VERSION:
            raise WarehouseError(f"The snapshot {name} was made by another version of Beton: import again.")
        return manifest

    def current_manifest(self) -> Manifest | None:
        """Return the current manifest, or None when there is no snapshot that this version can read."""
        name = self.current_name()
        try:
            return None if name is None else self.read_manifest(name)
        except (FileNotFoundError, WarehouseError):
            return None

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Be the only writer, and start without what a dead writer left behind.

        Raises:
            WarehouseError: another import is running.
        """
        self._snap.mkdir(parents=True, exist_ok=True)
        with (self._root / "writer.lock").open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise WarehouseError("Another import is running here: wait until it has finished.") from None
            self._sweep()
            yield

    @contextmanager
    def building(self, version: str) -> Iterator[Path]:
        """Yield an empty directory of a unique name; it is removed unless ``publish`` took it."""
        folder = self._snap / f"{_BUILDING}{version}-{secrets.token_hex(4)}"
        folder.mkdir()
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def publish(self, folder: Path) -> None:
        """Make a built directory the current snapshot; readers see either the old one or all of the new one."""
        core = folder / CORE_FOLDER
        for path in (*(folder / name for name in SNAPSHOT_FILES), *core.iterdir()):
            path.chmod(0o444)
            _sync(path)
        _sync(core)
        _sync(folder)
        final = self._snap / folder.name.removeprefix(_BUILDING)
        folder.rename(final)
        _sync(self._snap)
        aside = self._root / "CURRENT.new"
        aside.write_text(final.name + "\n", encoding="ascii")
        _sync(aside)
        os.replace(aside, self._pointer)
        _sync(self._root)
        self._drop_old(final.name)

    def _sweep(self) -> None:
        """Remove what was never published: unfinished directories, and finished ones newer than the current one."""
        current = self.current_name()
        published_at = self._age(current) if current else -1
        for folder in self._snap.iterdir():
            if folder.name != current and (folder.name.startswith(_BUILDING) or self._age(folder.name) > published_at):
                shutil.rmtree(folder, ignore_errors=True)

    def _drop_old(self, current: str) -> None:
        older = [folder.name for folder in self._snap.iterdir() if folder.name != current]
        older.sort(key=self._age, reverse=True)
        for name in older[KEPT_SNAPSHOTS - 1 :]:
            shutil.rmtree(self._snap / name, ignore_errors=True)

    def _age(self, name: str) -> int:
        """Return when the snapshot's manifest was written, in ns; 0 when it has none."""
        try:
            return (self._snap / name / MANIFEST_FILE).stat().st_mtime_ns
        except OSError:
            return 0


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
