"""The workspace: what has been imported, importing more, and the demo company."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from beton.errors import ImportRefused, NoDataError, WarehouseError
from beton.model.signal_file import load

if TYPE_CHECKING:
    from beton.model.manifest import Manifest
    from beton.model.mapping import Mapping
    from beton.services.signals import Signals
    from beton.warehouse.imports import ImportPreview, ImportReport
    from beton.warehouse.reader import Warehouse

Progress = Callable[[float, str], None]
DEMO_WRITE_SHARE: Final = 0.5  # of the time of `demo`; the import and the first backtests take the rest
DEMO_IMPORT_SHARE: Final = 0.4


class Workspace:
    """Use cases on the imported data."""

    def __init__(self, data_dir: Path, warehouse: Warehouse, signals: Signals) -> None:
        self._data_dir = data_dir
        self._warehouse = warehouse
        self._signals = signals

    def manifest(self) -> Manifest:
        """Return the facts of the current snapshot; NoDataError when there is none."""
        return self._warehouse.manifest()

    def manifest_or_none(self) -> Manifest | None:
        """Return the facts of the current snapshot, or None before the first import."""
        try:
            return self._warehouse.manifest()
        except NoDataError:
            return None

    def preview(self, mapping_file: Path, files_dir: Path | None = None) -> ImportPreview:
        """Read the files as an import would, and publish nothing."""
        from beton.warehouse.imports import dry_run

        return dry_run(_mapping(mapping_file, files_dir))

    def import_files(
        self,
        mapping_file: Path,
        *,
        files_dir: Path | None = None,
        replace: bool = False,
        allow_rejects: bool = False,
        on_progress: Progress | None = None,
    ) -> ImportReport:
        """Import the files of a mapping as a new snapshot; the old one serves until the new one is complete.

        ``files_dir`` is where relative file names start, if not beside the mapping.
        """
        from beton.warehouse.imports import import_mapping

        return import_mapping(
            self._data_dir,
            _mapping(mapping_file, files_dir),
            replace=replace,
            allow_rejects=allow_rejects,
            on_progress=on_progress,
        )

    def build_demo(self, seed: int, *, replace: bool, on_progress: Progress) -> ImportReport:
        """Write the simulated company's files, import them like any others, and save its ten signals."""
        from beton.demo.company import write

        try:
            current = self.manifest_or_none()
        except WarehouseError as problem:
            if not replace:
                raise WarehouseError(
                    f"{problem} `beton demo --replace` puts the demo company in its place."
                ) from problem
            current = None
        if current is not None and not current.demo and not replace:
            raise ImportRefused(
                f"This workspace holds {current.name!r}: pass --replace to put the demo company in its place, "
                "or set BETON_DATA_DIR to keep both."
            )
        folder = self._data_dir / "demo"
        write(folder, seed=seed, on_progress=_part(on_progress, 0.0, DEMO_WRITE_SHARE))
        report = self.import_files(
            folder / "mapping.yaml",
            replace=replace,
            on_progress=_part(on_progress, DEMO_WRITE_SHARE, DEMO_IMPORT_SHARE),
        )
        self._signals.forget_demo()
        files = sorted((folder / "signals").glob("*.yaml"))
        for done, file in enumerate(files):
            at = DEMO_WRITE_SHARE + DEMO_IMPORT_SHARE
            on_progress(at + (1 - at) * done / len(files), f"Backtesting {file.stem}")
            self._signals.report(self._signals.save(load(file), demo=True).id)
        on_progress(1.0, "Ready")
        return report


def _mapping(file: Path, files_dir: Path | None) -> Mapping:
    from beton.model.mapping import load_mapping

    mapping = load_mapping(file)
    return mapping if files_dir is None else dataclasses.replace(mapping, base_dir=files_dir)


def _part(on_progress: Progress | None, start: float, share: float) -> Progress:
    """Map the progress of a part onto its share of the whole."""

    def report(fraction: float, stage: str) -> None:
        if on_progress is not None:
            on_progress(start + share * fraction, stage)

    return report
