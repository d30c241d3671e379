"""CSV and JSONL files: every record becomes a row or a reject, and keeps the number that it has in the file."""

from __future__ import annotations

import codecs
import csv
import gzip
import json
import zlib
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import IO, Final, cast

from beton.errors import ImportRefused
from beton.warehouse.connection import literal
from beton.warehouse.file_readers import Reader

# A longer line is rejected without being read into memory.
MAX_LINE_BYTES: Final = 32 * 2**20
_BLOCK_BYTES: Final = 2**20
_DELIMITERS: Final = (",", ";", "\t", "|")
_JSON_KEYS_FROM_ROWS: Final = 1_000


class TextReader(Reader):
    """What CSV and JSONL share: UTF-8, perhaps compressed, one record per line unless quoted."""

    header_lines: int

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
        except UnicodeDecodeError as error:
            line = lines + error.object[: error.start].count(b"\n") + 1
            raise ImportRefused(f"{self.label} is not UTF-8 text (line {line:,}): save it as UTF-8.") from None
        except (OSError, EOFError, zlib.error):
            raise ImportRefused(f"{self.label} cannot be unpacked or read: export or download it again.") from None
        if seen == 0:
            raise ImportRefused(f"{self.label} is empty: export it again.")

    def load(self, raw: str, wanted: Sequence[str]) -> int:
        self.connection.execute(
            f'CREATE OR REPLACE TABLE scratch.loaded AS SELECT row_number() OVER () AS "row", {self.cells(wanted)}'
            f" FROM {self.scan()}"
        )
        unreadable = self.count("SELECT count(DISTINCT line) FROM unreadable")
        if unreadable:
            self.refuse_open_quote()
            self._number_past_unreadable()
            self.reject(
                f"""SELECT line - {self.header_lines} AS "row", any_value(CASE error_type WHEN 'LINE SIZE OVER MAXIMUM'
                    THEN 'cell_too_large' ELSE 'malformed_row' END) AS reason, any_value(csv_line) AS raw
                FROM unreadable GROUP BY line"""
            )
        rows = self.take(raw, wanted) + unreadable
        self.connection.execute("DROP TABLE scratch.loaded; DROP TABLE unreadable; DROP TABLE unreadable_scans")
        return rows

    def cells(self, wanted: Sequence[str]) -> str:
        """Return the select list of the columns that ``scan`` yields."""
        raise NotImplementedError

    def scan(self) -> str:
        """Return the FROM clause that reads the file and lists what it cannot read in ``unreadable``."""
        raise NotImplementedError

    def take(self, raw: str, wanted: Sequence[str]) -> int:
        """Move ``scratch.loaded`` to ``raw`` and return how many rows it had."""
        raise NotImplementedError

    def refuse_open_quote(self) -> None:
        """Refuse a file whose rows cannot be told apart."""

    def _number_past_unreadable(self) -> None:
        """Rows were numbered without the unreadable ones: each of those pushes the rows behind it by one."""
        self.connection.execute(
            f"""CREATE OR REPLACE TABLE scratch.loaded AS
            WITH pushed AS (
                SELECT line - {self.header_lines} - row_number() OVER (ORDER BY line) + 1 AS from_row,
                    row_number() OVER (ORDER BY line) AS by_rows
                FROM (SELECT DISTINCT line::BIGINT AS line FROM unreadable)
            ), steps AS (SELECT from_row, max(by_rows) AS by_rows FROM pushed GROUP BY from_row)
            SELECT l.* REPLACE (l."row" + coalesce(s.by_rows, 0) AS "row")
            FROM scratch.loaded AS l ASOF LEFT JOIN steps AS s ON l."row" >= s.from_row"""
        )

    def read_csv(self, columns: str, options: str) -> str:
        return f"""read_csv({literal(str(self.path))}, auto_detect = false, columns = {{{columns}}},
            max_line_size = {MAX_LINE_BYTES}, store_rejects = true, rejects_limit = 0,
            rejects_table = 'unreadable', rejects_scan = 'unreadable_scans', {options})"""


class CsvReader(TextReader):
    header_lines = 1
    delimiter = ","

    def find_types(self) -> dict[str, str]:
        self.check_utf8()
        header = next(self.lines(), "").rstrip("\r\n")
        if "\r" in header:
            raise ImportRefused(f"{self.label} ends its lines as old Macs did: save it with Windows or Unix line ends.")
        outside_quotes = "".join(header.split('"')[::2])
        self.delimiter = max(_DELIMITERS, key=outside_quotes.count)
        names = [name.strip() for name in next(csv.reader([header], delimiter=self.delimiter), [])]
        if not any(names):
            raise ImportRefused(f"{self.label} has no header line: its first line must name the columns.")
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise ImportRefused(f"{self.label} has two columns named {twice!r}: rename one of them.")
        return dict.fromkeys(names, "VARCHAR")

    def cells(self, wanted: Sequence[str]) -> str:
        positions = list(self.types)
        return ", ".join(f"p{positions.index(name)} AS c{at}" for at, name in enumerate(wanted))

    def scan(self) -> str:
        names = ", ".join(f"'p{at}': 'VARCHAR'" for at in range(len(self.types)))
        return self.read_csv(names, f"""header = true, delim = {literal(self.delimiter)}, quote = '"', escape = '"'""")

    def take(self, raw: str, wanted: Sequence[str]) -> int:
        columns = ", ".join(f"c{at}" for at in range(len(wanted)))
        self.connection.execute(f'INSERT INTO {raw} SELECT {self.file_no}, "row", {columns} FROM scratch.loaded')
        return self.count("SELECT count(*) FROM scratch.loaded")

    def refuse_open_quote(self) -> None:
        open_quotes = self.connection.execute(
            r"""SELECT line - 1 FROM unreadable WHERE error_type = 'LINE SIZE OVER MAXIMUM' AND csv_line LIKE '%"%'
                    AND contains(rtrim(csv_line, E'\r\n'), E'\n')
                OR error_message LIKE '%unterminated quote%' AND contains(rtrim(csv_line, E'\r\n'), E'\n')
            ORDER BY line LIMIT 1"""
        ).fetchall()
        if open_quotes:
            raise ImportRefused(
                f'{self.label}: row {open_quotes[0][0]:,} opens a quote (") that does not close in its row, so the '
                "rows behind it cannot be told apart: fix that row."
            )


class JsonLinesReader(TextReader):
    header_lines = 0

    def find_types(self) -> dict[str, str]:
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
        for name in wanted:
            if name not in self.types and any(_json_key(name) in line for line in self.lines()):
                self.types[name] = "VARCHAR"
        super().check_columns(wanted)

    def cells(self, wanted: Sequence[str]) -> str:
        return "line"

    def scan(self) -> str:
        # A control character cannot occur inside valid JSON, so as delimiter it keeps every line one cell.
        options = "header = false, delim = '\x01', quote = '', escape = '', strict_mode = false"
        return self.read_csv("'line': 'VARCHAR'", options)

    def take(self, raw: str, wanted: Sequence[str]) -> int:
        paths = ", ".join(literal(f"$.{_json_key(name)}") for name in wanted)
        values = ", ".join(f"cells[{at}]" for at in range(1, len(wanted) + 1))
        self.connection.execute(
            f"""CREATE OR REPLACE TABLE scratch.parsed AS
            SELECT "row", line, is_object, CASE WHEN is_object THEN json_extract_string(line, [{paths}]) END AS cells
            FROM (SELECT "row", line, coalesce(json_type(TRY_CAST(line AS JSON)) = 'OBJECT', FALSE) AS is_object
                FROM scratch.loaded WHERE trim(line, ' \t\r') <> '')"""
        )
        self.reject("""SELECT "row", 'malformed_row' AS reason, line AS raw FROM scratch.parsed WHERE NOT is_object""")
        self.connection.execute(
            f'INSERT INTO {raw} SELECT {self.file_no}, "row", {values} FROM scratch.parsed WHERE is_object'
        )
        rows = self.count("SELECT count(*) FROM scratch.parsed")
        self.connection.execute("DROP TABLE scratch.parsed")
        return rows


def _json_key(name: str) -> str:
    return json.dumps(name, ensure_ascii=False)
