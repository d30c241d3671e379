"""The user's files, read as they are: ``scratch.raw_<table>`` holds every readable row, unreadable ones are rejects.

A raw table has ``file_no`` (index into the table's files), ``row`` (1 for the first row below the header, so that a
person finds it) and the mapped columns as ``c0``, ``c1``, ...: two names of a file may differ by case only, which
DuckDB's may not. CSV and JSONL columns are text, Parquet columns keep their types.
"""

from __future__ import annotations

import glob
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from beton.errors import ImportRefused
from beton.model.mapping import FileFormat, Mapping, TableMapping, file_format
from beton.model.mapping_check import suggest
from beton.warehouse.connection import ident
from beton.warehouse.file_readers import ParquetReader, Reader, describe
from beton.warehouse.text_readers import CsvReader, JsonLinesReader

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

REJECTS_DDL: Final = """CREATE TABLE scratch.rejects
    ("table" VARCHAR, file VARCHAR, "row" BIGINT, reason VARCHAR, field VARCHAR, raw VARCHAR)"""


@dataclass(frozen=True, slots=True)
class SourceTable:
    """Where the rows of one canonical table come from: files of one kind, or a table in memory."""

    mapping: TableMapping
    paths: tuple[Path, ...] = ()
    labels: tuple[str, ...] = ()
    kind: FileFormat = "parquet"
    arrow: pa.Table | None = None


@dataclass(frozen=True, slots=True)
class RawTable:
    """What was read: DuckDB type of each column, and rows per file including unreadable ones."""

    name: str
    types: dict[str, str]
    rows_per_file: tuple[int, ...]

    @property
    def columns(self) -> dict[str, str]:
        """Return the name in ``scratch.raw_<name>`` of each column of the file."""
        return {name: f"c{at}" for at, name in enumerate(self.types)}


def find_sources(mapping: Mapping) -> list[SourceTable]:
    """Find every file that the mapping names.

    Raises:
        ImportRefused: a file is missing, empty or a folder, or a pattern matches nothing.
    """
    return [_find(table, mapping.base_dir) for table in mapping.tables.values()]


def _find(table: TableMapping, base_dir: Path) -> SourceTable:
    paths = [path for name in table.files for path in _resolve(f"tables.{table.name}.file", name, base_dir)]
    labels = tuple(str(path.relative_to(base_dir)) if path.is_relative_to(base_dir) else str(path) for path in paths)
    kind = file_format(table.files[0])
    assert kind is not None, "parse_mapping admits known endings only"
    return SourceTable(table, tuple(paths), labels, kind)


def _resolve(where: str, name: str, base_dir: Path) -> list[Path]:
    path = base_dir / Path(name).expanduser()
    if any(mark in name for mark in "*?[") and not path.exists():
        found = [Path(match) for match in sorted(glob.glob(str(path), recursive=True)) if Path(match).is_file()]
        if not found:
            raise ImportRefused(f"{where}: no file matches {name!r} in {base_dir}: check the pattern.")
        return found
    if not path.exists():
        near = [entry.name for entry in path.parent.iterdir()] if path.parent.is_dir() else []
        fix = suggest(path.name, near) if near else "check the path, it starts at the mapping file."
        raise ImportRefused(f"{where}: there is no file {name!r} in {base_dir}: {fix}")
    if not path.is_file():
        raise ImportRefused(f"{where}: {name!r} is a folder: name the file, or a pattern such as {name}/*.csv.")
    if path.stat().st_size == 0:
        raise ImportRefused(f"{where}: {name!r} is empty (0 bytes): export it again.")
    return [path]


def sha256(source: SourceTable) -> list[str]:
    """Return the SHA-256 of each file, or of the rows of the table in memory."""
    if source.arrow is not None:
        return [_sha256_of_arrow(source.arrow)]
    digests = []
    for path in source.paths:
        with path.open("rb") as file:
            digests.append(hashlib.file_digest(file, "sha256").hexdigest())
    return digests


def _sha256_of_arrow(table: pa.Table) -> str:
    import pyarrow as pa

    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    return hashlib.sha256(sink.getvalue()).hexdigest()


def load_raw(connection: duckdb.DuckDBPyConnection, source: SourceTable, folder: Path) -> RawTable:
    """Read the mapped columns of one table into ``scratch.raw_<name>``.

    Raises:
        ImportRefused: a file cannot be read at all, or lacks a mapped column.
    """
    import duckdb

    raw = f"scratch.raw_{source.mapping.name}"
    if source.arrow is not None:
        return _load_arrow(connection, source, raw)
    wanted = source.mapping.source_columns()
    types: dict[str, str] = {}
    rows_per_file = []
    readers = [_reader(connection, source, file_no, folder) for file_no in range(len(source.paths))]
    for reader in readers:
        reader.check_columns(wanted)
        types |= {name: _merged(types.get(name), reader.types[name]) for name in wanted}
    columns = ", ".join(f"c{at} {types[name]}" for at, name in enumerate(wanted))
    connection.execute(f'CREATE TABLE {raw} (file_no INTEGER, "row" BIGINT, {columns})')
    for reader in readers:
        try:
            rows_per_file.append(reader.load(raw, list(wanted)))
        except duckdb.Error as error:
            raise ImportRefused(f"{reader.label} cannot be read: {reader.complaint(error)}") from None
    return RawTable(source.mapping.name, types, tuple(rows_per_file))


def _merged(known: str | None, new: str) -> str:
    return new if known in (None, new) else "VARCHAR"


def _load_arrow(connection: duckdb.DuckDBPyConnection, source: SourceTable, raw: str) -> RawTable:
    assert source.arrow is not None
    wanted = list(source.mapping.source_columns())
    connection.register("in_memory", source.arrow.select(wanted))
    columns = ", ".join(f"{ident(name)} AS c{at}" for at, name in enumerate(wanted))
    connection.execute(
        f'CREATE TABLE {raw} AS SELECT 0::INTEGER AS file_no, row_number() OVER () AS "row", {columns} FROM in_memory'
    )
    connection.unregister("in_memory")
    described = describe(connection, f'SELECT * EXCLUDE (file_no, "row") FROM {raw}')
    types = {name: kind for name, (_, kind) in zip(wanted, described, strict=True)}
    return RawTable(source.mapping.name, types, (source.arrow.num_rows,))


def _reader(connection: duckdb.DuckDBPyConnection, source: SourceTable, file_no: int, folder: Path) -> Reader:
    path = source.paths[file_no]
    # DuckDB takes [ and * in a file name for a pattern, so it is shown every file under a plain name.
    ending = "".join(path.suffixes[-2:]).lower() if path.name.lower().endswith(".gz") else path.suffix.lower()
    link = folder / f"{source.mapping.name}_{file_no}{ending}"
    link.symlink_to(path.resolve())
    kinds: dict[FileFormat, type[Reader]] = {"csv": CsvReader, "jsonl": JsonLinesReader, "parquet": ParquetReader}
    return kinds[source.kind](connection, source.mapping.name, file_no, link, source.labels[file_no])
