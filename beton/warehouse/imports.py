"""Bring files in: read, type, reject, build, publish. ``dry_run`` stops before building and says what would happen."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Callable, Iterator
from collections.abc import Mapping as MappingABC
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from beton import clock
from beton.errors import ImportRefused, WarehouseError
from beton.model.manifest import SCHEMA_VERSION, Manifest, SourceFile
from beton.model.mapping import FIELDS, Column, Constant, Mapping, Source
from beton.warehouse import build, facts
from beton.warehouse.connection import literal, workbench
from beton.warehouse.core.arrays import CORE_FOLDER
from beton.warehouse.core.build import write_core
from beton.warehouse.snapshot import MANIFEST_FILE, REJECTS_FILE, STORE_FILE, SnapshotStore
from beton.warehouse.sources import REJECTS_DDL, SourceTable, find_sources, load_raw, sha256
from beton.warehouse.staging import REJECT_REASONS, StagedTable, keep_rejects, stage, stage_nothing

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

Progress = Callable[[float, str], None]

_SAMPLE_ROWS: Final = 5
_MOSTLY: Final = 0.5
# users and companies before the tables that refer to them
_ORDER: Final = ("users", "companies", "contacts", "deals", "events")


@dataclass(frozen=True, slots=True)
class RejectCount:
    """Rows of one table that were rejected for one reason, with the first of them as an example."""

    reason: str
    sentence: str
    rows: int
    example_file: str
    example_row: int
    example: str


@dataclass(frozen=True, slots=True)
class ColumnPreview:
    """One canonical field or property: the column (or constant) it is read from, and the types of both."""

    field: str
    source: str
    source_type: str
    type: str


@dataclass(frozen=True, slots=True)
class TablePreview:
    """One table as an import would read it; ``sample`` holds its first usable rows as canonical field -> value."""

    name: str
    files: tuple[str, ...]
    rows_read: int
    rows_kept: int
    rejects: tuple[RejectCount, ...]
    columns: tuple[ColumnPreview, ...]
    sample: tuple[MappingABC[str, Any], ...]


@dataclass(frozen=True, slots=True)
class ImportPreview:
    """What an import would do. ``problem`` is the sentence it would be refused with, None when it would publish."""

    name: str
    tables: tuple[TablePreview, ...]
    problem: str | None


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What an import did."""

    status: Literal["published", "unchanged"]
    manifest: Manifest

    @property
    def rejects(self) -> MappingABC[str, MappingABC[str, int]]:
        """Return rows left out, by table and reason."""
        return self.manifest.rejects


def import_mapping(
    data_dir: Path,
    mapping: Mapping,
    *,
    replace: bool = False,
    on_progress: Progress | None = None,
    allow_rejects: bool = False,
) -> ImportReport:
    """Import the files of a mapping and publish them as the current snapshot.

    Args:
        data_dir: the workspace's directory.
        mapping: what the files mean.
        replace: allow to replace a snapshot of another workspace name.
        on_progress: called with the share done (0..1) and the name of the step.
        allow_rejects: publish even if more than half of the users or events are rejected.

    Raises:
        ImportRefused: the files cannot be read as the mapping says; nothing was changed.
        WarehouseError: another import is running.
    """
    return _run(data_dir, mapping, find_sources(mapping), _Options(replace, allow_rejects, on_progress))


def build_from_tables(
    data_dir: Path,
    tables: MappingABC[str, pa.Table],
    mapping: Mapping,
    *,
    replace: bool = False,
    on_progress: Progress | None = None,
    allow_rejects: bool = False,
) -> ImportReport:
    """Import Arrow tables by the same path as files; the files that the mapping names are not read."""
    sources = [
        SourceTable(mapping.tables[name], labels=(f"{name} in memory",), arrow=table) for name, table in tables.items()
    ]
    return _run(data_dir, mapping, sources, _Options(replace, allow_rejects, on_progress))


def dry_run(mapping: Mapping) -> ImportPreview:
    """Read and check everything as an import would, publish nothing."""
    sources = find_sources(mapping)
    with (
        tempfile.TemporaryDirectory(prefix="beton-") as folder,
        workbench(Path(folder), mapping.time_zone) as connection,
    ):
        work = _Workbench(connection, mapping, Path(folder))
        work.read(sources, _silent)
        work.resolve(Path(folder) / STORE_FILE)
        tables = tuple(work.preview(staged) for staged in work.staged.values())
        problem = work.refusal(tables_with_limit=("users", "events"))
    return ImportPreview(mapping.name, tables, problem)


@dataclass(frozen=True, slots=True)
class _Options:
    replace: bool
    allow_rejects: bool
    on_progress: Progress | None


def _silent(_share: float, _step: str) -> None:
    pass


def _run(data_dir: Path, mapping: Mapping, sources: list[SourceTable], options: _Options) -> ImportReport:
    report = options.on_progress or _silent
    report(0.0, "Looking at the files")
    store = SnapshotStore(data_dir)
    digests = {source.mapping.name: sha256(source) for source in sources}
    version = _version(mapping, digests)
    current = store.current_manifest()
    if current is not None and current.version == version:
        report(1.0, "Nothing has changed")
        return ImportReport("unchanged", current)
    if current is not None and current.name != mapping.name and not options.replace:
        raise ImportRefused(
            f"This workspace holds {current.name!r}, not {mapping.name!r}: pass --replace to replace it, or set "
            "BETON_DATA_DIR to keep both."
        )
    with _stopping_cleanly(), store.writing(), store.building(version) as folder:
        manifest = _build(folder, mapping, sources, digests, version, options)
        report(0.95, "Publishing")
        store.publish(folder)
    report(1.0, "Published")
    return ImportReport("published", manifest)


@contextmanager
def _stopping_cleanly() -> Iterator[None]:
    """Say in one line when the machine, rather than the data, ends an import."""
    import duckdb

    try:
        yield
    except (duckdb.Error, OSError) as error:
        what = str(error).splitlines()[0].rstrip(".")
        raise WarehouseError(
            f"The import stopped and changed nothing ({what}): check disk space, memory and permissions, and try again."
        ) from error


def _version(mapping: Mapping, digests: MappingABC[str, list[str]]) -> str:
    content = json.dumps([SCHEMA_VERSION, mapping.content(), digests], sort_keys=True, default=str)
    return hashlib.sha256(content.encode()).hexdigest()[:12]


def _build(
    folder: Path,
    mapping: Mapping,
    sources: list[SourceTable],
    digests: MappingABC[str, list[str]],
    version: str,
    options: _Options,
) -> Manifest:
    report = options.on_progress or _silent
    with (
        tempfile.TemporaryDirectory(prefix="work-", dir=folder) as scratch,
        workbench(Path(scratch), mapping.time_zone) as connection,
    ):
        work = _Workbench(connection, mapping, Path(scratch))
        work.read(sources, report)
        report(0.5, "Joining users, companies and deals")
        work.resolve(folder / STORE_FILE)
        problem = work.refusal(() if options.allow_rejects else ("users", "events"))
        if problem:
            raise ImportRefused(problem)
        report(0.6, "Sorting events")
        build.build_events(connection, mapping, work.staged)
        build.create_views(connection, work.staged)
        report(0.85, "Counting")
        files = [
            SourceFile(name, label, rows, digest)
            for name, staged in work.staged.items()
            for label, rows, digest in zip(staged.source.labels, staged.raw.rows_per_file, digests[name], strict=True)
        ]
        manifest = facts.describe_snapshot(connection, mapping, work.staged, files, version, clock.now())
        connection.execute(f"COPY scratch.rejects TO {literal(str(folder / REJECTS_FILE))} (FORMAT parquet)")
        report(0.9, "Laying out arrays")
        write_core(connection, folder / CORE_FOLDER)
        connection.execute("USE memory; CHECKPOINT snapshot; DETACH snapshot")
    (folder / MANIFEST_FILE).write_text(manifest.to_json(), encoding="utf-8")
    return manifest


class _Workbench:
    """The steps that a dry run and an import share."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, mapping: Mapping, folder: Path) -> None:
        self.connection = connection
        self.mapping = mapping
        self.folder = folder
        self.staged: dict[str, StagedTable] = {}

    def read(self, sources: list[SourceTable], report: Progress) -> None:
        """Read and type every table."""
        self.connection.execute(REJECTS_DDL)
        by_name = {source.mapping.name: source for source in sources}
        for done, name in enumerate(_ORDER):
            if name not in by_name:
                stage_nothing(self.connection, name)
                continue
            report(0.05 + 0.45 * done / len(_ORDER), f"Reading {name}")
            raw = load_raw(self.connection, by_name[name], self.folder)
            if sum(raw.rows_per_file) == 0:
                label = by_name[name].labels[0]
                raise ImportRefused(f"{label} has no rows: export it again, or remove tables.{name} from the mapping.")
            self.staged[name] = stage(self.connection, by_name[name], raw, self.mapping.time_zone)

    def resolve(self, database: Path) -> None:
        """Build the entities, which finds the references that lead nowhere, and keep every rejected row."""
        build.attach_store(self.connection, database)
        build.build_entities(self.connection, self.mapping, self.staged)
        build.resolve_events(self.connection)
        for staged in self.staged.values():
            keep_rejects(self.connection, staged)

    def refusal(self, tables_with_limit: tuple[str, ...]) -> str | None:
        """Return why these rows must not be published, or None."""
        for name, staged in self.staged.items():
            rejects = self.rejects(name)
            rejected, read = sum(entry.rows for entry in rejects), sum(staged.raw.rows_per_file)
            if rejected == 0 or (rejected < read and not (name in tables_with_limit and rejected > read * _MOSTLY)):
                continue
            top = rejects[0]
            if rejected == read:
                what, then = f"No row of {name} can be used ({read:,} read)", "."
            else:
                what, then = f"{rejected:,} of {read:,} rows of {name} cannot be used", ", or pass --allow-rejects."
            return (
                f"{what}, most often because: {top.reason} (such as row {top.example_row:,} of {top.example_file}): "
                f"run with --dry-run to see them{then}"
            )
        return None

    def rejects(self, table: str) -> tuple[RejectCount, ...]:
        rows = self.connection.execute(
            """SELECT reason, count(*), arg_min((file, "row", raw), (file, "row")) FROM scratch.rejects
            WHERE "table" = ? GROUP BY reason ORDER BY count(*) DESC, reason""",
            [table],
        ).fetchall()
        return tuple(RejectCount(reason, REJECT_REASONS[reason], count, *first) for reason, count, first in rows)

    def preview(self, staged: StagedTable) -> TablePreview:
        name, table = staged.source.mapping.name, staged.source.mapping
        fields = [*(field.name for field in FIELDS[name] if field.name in table.columns), *table.properties]
        types = {row[0]: row[1] for row in self.connection.execute(f"DESCRIBE SELECT * FROM scratch.{name}").fetchall()}
        listed = ", ".join(f'"{field}"' for field in fields)
        kept = f"FROM scratch.{name} WHERE src__reject IS NULL"
        sample = self.connection.execute(
            f"SELECT {listed} {kept} ORDER BY src__file, src__row LIMIT {_SAMPLE_ROWS}"
        ).fetchall()
        return TablePreview(
            name=name,
            files=staged.source.labels,
            rows_read=sum(staged.raw.rows_per_file),
            rows_kept=self.connection.execute(f"SELECT count(*) {kept}").fetchall()[0][0],
            rejects=self.rejects(name),
            columns=tuple(
                _column_preview(field, {**table.columns, **table.properties}[field], staged, types[field])
                for field in fields
            ),
            sample=tuple(dict(zip(fields, row, strict=True)) for row in sample),
        )


def _column_preview(field: str, source: Source, staged: StagedTable, type_in_beton: str) -> ColumnPreview:
    if isinstance(source, Column):
        return ColumnPreview(field, source.name, staged.raw.types[source.name], type_in_beton)
    assert isinstance(source, Constant)
    return ColumnPreview(field, repr(source.value), "constant", type_in_beton)
