"""The user's files, read as they are: ``scratch.raw_<table>`` holds every readable row, unreadable ones are rejects.

A raw table has ``file_no`` (index into the table's files), ``row`` (1 for the first row below the header, so that a
person finds it) and the mapped columns as ``c0``, ``c1``, ...: two names of a file may differ by case only, which
DuckDB's may not. CSV and JSONL columns are text, Parquet columns keep their types.
"""

from __future__ import annotations

import codecs
import csv
import glob
import gzip
import hashlib
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final, cast

from beton.errors import ImportRefused
from beton.model.mapping import FileFormat, Mapping, TableMapping, file_format
from beton.model.mapping_check import suggest
from beton.warehouse.connection import ident, literal

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

# A longer line is rejected without being read into memory; a cell above MAX_CELL_BYTES is rejected after it was read.
MAX_LINE_BYTES: Final = 32 * 2**20
MAX_CELL_BYTES: Final = 1_000_000
RAW_TEXT_CHARS: Final = 2_000
_BLOCK_BYTES: Final = 2**20
_DELIMITERS: Final = (",", ";", "\t", "|")
_JSON_KEYS_FROM_ROWS: Final = 1_000

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
            raise ImportRefused(f"{reader.label} cannot be read: {_first_line(error)}") from None
    return RawTable(source.mapping.name, types, tuple(rows_per_file))


def _merged(known: str | None, new: str) -> str:
    return new if known in (None, new) else "VARCHAR"


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0].rstrip(".") + "."


def _load_arrow(connection: duckdb.DuckDBPyConnection, source: SourceTable, raw: str) -> RawTable:
    assert source.arrow is not None
    wanted = list(source.mapping.source_columns())
    connection.register("in_memory", source.arrow.select(wanted))
    columns = ", ".join(f"{ident(name)} AS c{at}" for at, name in enumerate(wanted))
    connection.execute(
        f'CREATE TABLE {raw} AS SELECT 0::INTEGER AS file_no, row_number() OVER () AS "row", {columns} FROM in_memory'
    )
    connection.unregister("in_memory")
    described = _describe(connection, f'SELECT * EXCLUDE (file_no, "row") FROM {raw}')
    types = {name: kind for name, (_, kind) in zip(wanted, described, strict=True)}
    return RawTable(source.mapping.name, types, (source.arrow.num_rows,))


def _describe(connection: duckdb.DuckDBPyConnection, query: str) -> list[tuple[str, str]]:
    return [(row[0], row[1]) for row in connection.execute(f"DESCRIBE {query}").fetchall()]


def _reader(connection: duckdb.DuckDBPyConnection, source: SourceTable, file_no: int, folder: Path) -> _Reader:
    path = source.paths[file_no]
    # DuckDB takes [ and * in a file name for a pattern, so it is shown every file under a plain name.
    ending = "".join(path.suffixes[-2:]).lower() if path.name.lower().endswith(".gz") else path.suffix.lower()
    link = folder / f"{source.mapping.name}_{file_no}{ending}"
    link.symlink_to(path.resolve())
    kinds: dict[FileFormat, type[_Reader]] = {"csv": _Csv, "jsonl": _JsonLines, "parquet": _Parquet}
    return kinds[source.kind](connection, source.mapping.name, file_no, link, source.labels[file_no])


class _Reader:
    """One file: its columns with their types, and the query that reads them."""

    types: dict[str, str]

    def __init__(self, connection: duckdb.DuckDBPyConnection, table: str, file_no: int, path: Path, label: str) -> None:
        self.connection = connection
        self.table = table
        self.file_no = file_no
        self.path = path
        self.label = label
        self.types = self.find_types()

    def find_types(self) -> dict[str, str]:
        raise NotImplementedError

    def check_columns(self, wanted: dict[str, str]) -> None:
        for column, where in wanted.items():
            if column not in self.types:
                fix = suggest(column, self.types)
                raise ImportRefused(f"{where}: {self.label} has no column {column!r}: {fix}")

    def load(self, raw: str, wanted: Sequence[str]) -> int:
        """Append the file's rows to ``raw`` and return how many rows it has, unreadable ones included."""
        raise NotImplementedError

    def reject(self, selected: str) -> None:
        """Keep rows that could not be read; ``selected`` yields row, reason and raw text."""
        self.connection.execute(
            f"""INSERT INTO scratch.rejects
            SELECT {literal(self.table)}, {literal(self.label)}, s."row", s.reason, NULL,
                left(to_json(left(s.raw, {RAW_TEXT_CHARS}))::VARCHAR, {RAW_TEXT_CHARS}) FROM ({selected}) AS s"""
        )

    def count(self, query: str) -> int:
        return int(self.connection.execute(query).fetchall()[0][0])


class _Parquet(_Reader):
    def find_types(self) -> dict[str, str]:
        import duckdb

        try:
            return dict(_describe(self.connection, f"SELECT * FROM read_parquet({literal(str(self.path))})"))
        except duckdb.Error as error:
            raise ImportRefused(f"{self.label} is not a readable Parquet file: {_first_line(error)}") from None

    def load(self, raw: str, wanted: Sequence[str]) -> int:
        columns = ", ".join(ident(name) for name in wanted)
        file = literal(str(self.path))
        self.connection.execute(
            f"INSERT INTO {raw} SELECT {self.file_no}, file_row_number + 1, {columns}"
            f" FROM read_parquet({file}, file_row_number = true)"
        )
        return self.count(f"SELECT count(*) FROM {raw} WHERE file_no = {self.file_no}")


class _Text(_Reader):
    """What CSV and JSONL share: UTF-8, perhaps compressed, one record per line unless quoted."""

    def open(self) -> IO[bytes]:
        return cast(IO[bytes], gzip.open(self.path)) if self.path.suffix == ".gz" else self.path.open("rb")

    def lines(self) -> Iterator[str]:
        with self.open() as file:
            for line in iter(lambda: file.readline(MAX_LINE_BYTES), b""):
                yield line.decode("utf-8-sig")

    def check_utf8(self) -> None:
        """Refuse a file that is not UTF-8 or that its compression cannot be undone for."""
        decoder = codecs.getincrementaldecoder("utf-8")()
        seen = lines = 0
        try:
            with self.open() as file:
                for block in iter(lambda: file.read(_BLOCK_BYTES), b""):
                    decoder.decode(block)
                    seen += len(block)
                    lines += block.count(b"\n")
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            raise ImportRefused(
                f"{self.label} is not UTF-8 text (near line {lines + 1}): save it as UTF-8 and import again."
            ) from None
        except (OSError, EOFError, zlib.error):
            raise ImportRefused(f"{self.label} cannot be unpacked or read: export or download it again.") from None
        if seen == 0:
            raise ImportRefused(f"{self.label} is empty: export it again.")


class _Csv(_Text):
    delimiter = ","

    def find_types(self) -> dict[str, str]:
        self.check_utf8()
        header = next(self.lines(), "")
        outside_quotes = "".join(header.split('"')[::2])
        self.delimiter = max(_DELIMITERS, key=outside_quotes.count)
        names = [name.strip() for name in next(csv.reader([header], delimiter=self.delimiter), [])]
        if not any(names):
            raise ImportRefused(f"{self.label} has no header line: its first line must name the columns.")
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise ImportRefused(f"{self.label} has two columns named {twice!r}: rename one of them.")
        return dict.fromkeys(names, "VARCHAR")

    def load(self, raw: str, wanted: Sequence[str]) -> int:
        positions = list(self.types)
        columns = ", ".join(f"p{positions.index(name)}" for name in wanted)
        self.connection.execute(
            f'CREATE OR REPLACE TABLE scratch.loaded AS SELECT row_number() OVER () AS "row", {columns}'
            f" FROM {self._scan()}"
        )
        self._refuse_an_open_quote()
        self.reject(
            """SELECT line - 1 AS "row", any_value(CASE error_type WHEN 'LINE SIZE OVER MAXIMUM'
                THEN 'cell_too_large' ELSE 'malformed_row' END) AS reason, any_value(csv_line) AS raw
            FROM unreadable GROUP BY line"""
        )
        # Rows are numbered without the unreadable ones; those before a row push its number up.
        self.connection.execute(
            f"""WITH pushed AS (
                SELECT line - row_number() OVER (ORDER BY line) AS from_row, row_number() OVER (ORDER BY line) AS by_rows
                FROM (SELECT DISTINCT line::BIGINT AS line FROM unreadable)
            ), steps AS (SELECT from_row, max(by_rows) AS by_rows FROM pushed GROUP BY from_row)
            INSERT INTO {raw} SELECT {self.file_no}, l."row" + coalesce(s.by_rows, 0), {columns}
            FROM scratch.loaded AS l ASOF LEFT JOIN steps AS s ON l."row" >= s.from_row"""
            if self.count("SELECT count(*) FROM unreadable")
            else f'INSERT INTO {raw} SELECT {self.file_no}, "row", {columns} FROM scratch.loaded'
        )
        rows = self.count("SELECT count(*) + (SELECT count(DISTINCT line) FROM unreadable) FROM scratch.loaded")
        self.connection.execute("DROP TABLE scratch.loaded; DROP TABLE unreadable; DROP TABLE unreadable_scans")
        return rows

    def _scan(self) -> str:
        names = ", ".join(f"'p{at}': 'VARCHAR'" for at in range(len(self.types)))
        return f"""read_csv({literal(str(self.path))}, auto_detect = false, header = true, columns = {{{names}}},
            delim = {literal(self.delimiter)}, quote = '"', escape = '"', max_line_size = {MAX_LINE_BYTES},
            store_rejects = true, rejects_table = 'unreadable', rejects_scan = 'unreadable_scans', rejects_limit = 0)"""

    def _refuse_an_open_quote(self) -> None:
        open_quotes = self.connection.execute(
            "SELECT line - 1 FROM unreadable WHERE error_message LIKE '%unterminated quote%' LIMIT 1"
        ).fetchall()
        if open_quotes:
            raise ImportRefused(
                f'{self.label}: row {open_quotes[0][0]} opens a quote (") that never closes, which swallows the rows '
                "after it: fix that row."
            )


class _JsonLines(_Text):
    def find_types(self) -> dict[str, str]:
        import json

        self.check_utf8()
        names: dict[str, str] = {}
        for line in islice(self.lines(), _JSON_KEYS_FROM_ROWS):
            try:
                entry = json.loads(line)
            except (ValueError, RecursionError):
                continue
            if isinstance(entry, dict):
                names |= dict.fromkeys(entry, "VARCHAR")
        if not names:
            raise ImportRefused(f"{self.label} holds no JSON object in its first lines: write one object per line.")
        return names

    def check_columns(self, wanted: dict[str, str]) -> None:
        """Objects may leave a key out, so a key that no early row has may still come: look through the whole file."""
        missing = [column for column in wanted if column not in self.types]
        if missing:
            for name in missing:
                if self.count(f"SELECT count(*) FROM {self._scan()} WHERE contains(line, {literal(_json_key(name))})"):
                    self.types[name] = "VARCHAR"
        super().check_columns(wanted)

    def load(self, raw: str, wanted: Sequence[str]) -> int:
        paths = ", ".join(literal(f"$.{_json_key(name)}") for name in wanted)
        values = ", ".join(f"cells[{at}]" for at in range(1, len(wanted) + 1))
        self.connection.execute(
            f"""CREATE OR REPLACE TABLE scratch.loaded AS
            SELECT "row", line, is_object, CASE WHEN is_object THEN json_extract_string(line, [{paths}]) END AS cells
            FROM (SELECT "row", line, json_valid(line) AND json_type(CASE WHEN json_valid(line) THEN line END) = 'OBJECT'
                AS is_object FROM (SELECT row_number() OVER () AS "row", line FROM {self._scan()})
                WHERE trim(line, ' \t\r') <> '')"""
        )
        self.reject("""SELECT "row", 'malformed_row' AS reason, line AS raw FROM scratch.loaded WHERE NOT is_object""")
        self.connection.execute(
            f'INSERT INTO {raw} SELECT {self.file_no}, "row", {values} FROM scratch.loaded WHERE is_object'
        )
        rows = self.count("SELECT count(*) FROM scratch.loaded")
        self.connection.execute("DROP TABLE scratch.loaded")
        return rows

    def _scan(self) -> str:
        # A control character cannot occur inside valid JSON, so as delimiter it keeps every line one cell.
        return f"""read_csv({literal(str(self.path))}, auto_detect = false, header = false,
            columns = {{'line': 'VARCHAR'}}, delim = '\x01', quote = '', escape = '', strict_mode = false,
            max_line_size = {MAX_LINE_BYTES})"""


def _json_key(name: str) -> str:
    import json

    return json.dumps(name, ensure_ascii=False)
