"""One file at a time: which columns it has, and its rows moved into a raw table. Parquet here, text formats beside."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from beton.errors import ImportRefused
from beton.model.mapping_check import suggest
from beton.warehouse.connection import ident, literal

if TYPE_CHECKING:
    import duckdb

RAW_TEXT_CHARS: Final = 2_000


def describe(connection: duckdb.DuckDBPyConnection, query: str) -> list[tuple[str, str]]:
    return [(row[0], row[1]) for row in connection.execute(f"DESCRIBE {query}").fetchall()]


class Reader:
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

    def complaint(self, error: Exception) -> str:
        """Return what DuckDB says about the file, in one line and under the name that its owner knows."""
        if "state machine" in str(error):
            return "its line ends are mixed, or a quote is out of place: open it and save it again as CSV."
        first = str(error).splitlines()[0].rstrip(".").replace(str(self.path), self.label)
        return f"{first}: export it again."

    def count(self, query: str) -> int:
        return int(self.connection.execute(query).fetchall()[0][0])


class ParquetReader(Reader):
    def find_types(self) -> dict[str, str]:
        import duckdb

        try:
            return dict(describe(self.connection, f"SELECT * FROM read_parquet({literal(str(self.path))})"))
        except duckdb.Error as error:
            raise ImportRefused(f"{self.label} is not a readable Parquet file: {self.complaint(error)}") from None

    def load(self, raw: str, wanted: Sequence[str]) -> int:
        columns = ", ".join(ident(name) for name in wanted)
        file = literal(str(self.path))
        self.connection.execute(
            f"INSERT INTO {raw} SELECT {self.file_no}, file_row_number + 1, {columns}"
            f" FROM read_parquet({file}, file_row_number = true)"
        )
        return self.count(f"SELECT count(*) FROM {raw} WHERE file_no = {self.file_no}")
