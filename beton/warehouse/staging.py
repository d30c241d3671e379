"""From raw rows to typed canonical rows: ``scratch.<table>`` and, for rows that cannot be used, ``scratch.rejects``.

A typed table has the mapped canonical fields and properties under their names in Beton, ``src__file`` and ``src__row``
(where the row came from; together they are the order of arrival) and ``src__reject``: NULL, or ``reason.field``. Rows
with a reason stay out of the snapshot and go to the rejects. Names with ``__`` cannot clash with a property.
"""

from __future__ import annotations

from collections.abc import Mapping as MappingABC
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from beton.model.manifest import ValueType
from beton.model.mapping import ATTRIBUTE_FIELDS, FIELDS, Constant, Kind, Source, TableMapping
from beton.warehouse import expressions
from beton.warehouse.connection import ident, literal
from beton.warehouse.file_readers import RAW_TEXT_CHARS
from beton.warehouse.sources import RawTable, SourceTable

if TYPE_CHECKING:
    import duckdb

MAX_CELL_BYTES: Final = 1_000_000

REJECT_REASONS: Final[MappingABC[str, str]] = {
    "malformed_row": "The line has too few or too many cells, or is not a JSON object.",
    "cell_too_large": "A cell is larger than 1 MB.",
    "missing_value": "A required value is missing.",
    "bad_time": "The time cannot be read, or lies outside 1970 to 2199. Write it like 2024-12-31 18:00:00.",
    "bad_number": "The number cannot be read. Write it like 1234.56.",
    "bad_boolean": "The value is neither true nor false.",
    "bad_json": "The properties are not a JSON object.",
    "duplicate_id": "An earlier row has the same id; the first one is kept.",
    "unknown_user": "No usable row of the users has this id.",
    "missing_owner": "The deal has neither a company nor a user.",
    "won_without_close": "The deal is won but has no closing time.",
    "closed_before_created": "The deal closes more than a day before it was created.",
    "time_out_of_range": "The event is more than 68 years away from the user's signup.",
}

_SQL_TYPES: Final[MappingABC[Kind, str]] = {
    "id": "VARCHAR",
    "text": "VARCHAR",
    "time": "TIMESTAMP",
    "number": "DOUBLE",
    "boolean": "BOOLEAN",
}
_UNREADABLE: Final[MappingABC[str, str]] = {"time": "bad_time", "number": "bad_number", "boolean": "bad_boolean"}


@dataclass(frozen=True, slots=True)
class StagedProperty:
    """A property as it was found: what it is called, and what its values turned out to be."""

    name: str
    source_type: str
    type: ValueType
    is_whole: bool


@dataclass(frozen=True, slots=True)
class StagedTable:
    """One typed table in scratch."""

    source: SourceTable
    raw: RawTable
    properties: tuple[StagedProperty, ...]


@dataclass(frozen=True, slots=True)
class _Cell:
    """One typed column: how to read it, and why a row is rejected when reading gives NULL."""

    name: str
    sql: str
    given: str
    is_required: bool = False
    unreadable: str | None = None


def stage(connection: duckdb.DuckDBPyConnection, source: SourceTable, raw: RawTable, zone: str) -> StagedTable:
    """Type every raw row of a table into ``scratch.<name>`` and move unusable ones to the rejects."""
    reader = _CellReader(connection, source.mapping, raw, zone)
    properties = reader.detect()
    cells = reader.cells(properties)
    name = source.mapping.name
    typed = ", ".join(f"{cell.sql} AS {ident(cell.name)}" for cell in cells)
    given = ", ".join(f"{cell.given} AS {ident(cell.name + '__given')}" for cell in cells if _can_fail(cell))
    columns = ", ".join(ident(cell.name) for cell in cells)
    connection.execute(
        f"""CREATE TABLE scratch.{name} AS
        SELECT src__file, src__row, {columns}, CASE {_reasons(name, cells)} END AS src__reject
        FROM (SELECT file_no AS src__file, "row" AS src__row, {typed}{", " + given if given else ""},
            {reader.too_large()} AS too__large FROM scratch.raw_{name})"""
    )
    if name in _OWN_ID:
        _reject_duplicates(connection, name)
    return StagedTable(source, raw, properties)


def stage_nothing(connection: duckdb.DuckDBPyConnection, name: str) -> None:
    """Create the typed table of a canonical table that the mapping leaves out."""
    columns = ", ".join(f"{ident(field.name)} {_SQL_TYPES[field.kind]}" for field in FIELDS[name])
    connection.execute(
        f"CREATE TABLE scratch.{name} (src__file INTEGER, src__row BIGINT, {columns}, src__reject VARCHAR)"
    )


def keep_rejects(connection: duckdb.DuckDBPyConnection, staged: StagedTable) -> None:
    """Copy the rejected rows of a typed table, as they stand in the file, to ``scratch.rejects``."""
    name = staged.source.mapping.name
    cells = ", ".join(
        f"{literal(column)}, left({alias}::VARCHAR, {RAW_TEXT_CHARS})" for column, alias in staged.raw.columns.items()
    )
    files = ", ".join(literal(label) for label in staged.source.labels)
    connection.execute(
        f"""INSERT INTO scratch.rejects
        SELECT {literal(name)}, list_extract([{files}], t.src__file + 1), t.src__row, split_part(t.src__reject, '.', 1),
            split_part(t.src__reject, '.', 2), left(json_object({cells})::VARCHAR, {RAW_TEXT_CHARS})
        FROM (SELECT src__file, src__row, src__reject FROM scratch.{name} WHERE src__reject IS NOT NULL) AS t
        JOIN scratch.raw_{name} AS r ON r.file_no = t.src__file AND r."row" = t.src__row
        ORDER BY t.src__file, t.src__row"""
    )


_OWN_ID: Final[MappingABC[str, str]] = {
    "users": "user_id",
    "companies": "company_id",
    "contacts": "contact_id",
    "deals": "deal_id",
}


def _reject_duplicates(connection: duckdb.DuckDBPyConnection, name: str) -> None:
    column = _OWN_ID[name]
    connection.execute(
        f"""UPDATE scratch.{name} AS t SET src__reject = 'duplicate_id.{column}' FROM (
            SELECT src__file, src__row, row_number() OVER (PARTITION BY {column} ORDER BY src__file, src__row) AS nth
            FROM scratch.{name} WHERE src__reject IS NULL
        ) AS d WHERE d.nth > 1 AND d.src__file = t.src__file AND d.src__row = t.src__row"""
    )


def _can_fail(cell: _Cell) -> bool:
    return cell.is_required or cell.unreadable is not None


def _reasons(table: str, cells: list[_Cell]) -> str:
    """Return the branches of a CASE, in the order in which a row's first problem is named."""
    branches = ["WHEN too__large THEN 'cell_too_large.'"]
    for cell in cells:
        name, given = ident(cell.name), ident(cell.name + "__given")
        if cell.is_required:
            branches.append(f"WHEN {given} IS NULL THEN 'missing_value.{cell.name}'")
        if cell.unreadable:
            branches.append(f"WHEN {given} IS NOT NULL AND {name} IS NULL THEN '{cell.unreadable}.{cell.name}'")
    if table == "deals":
        branches += _deal_reasons({cell.name for cell in cells})
    return " ".join(branches)


def _deal_reasons(columns: set[str]) -> list[str]:
    owners = [f"{column} IS NULL" for column in ("company_id", "user_id") if column in columns]
    branches = [
        f"WHEN {' AND '.join(owners)} THEN 'missing_owner.'",
        "WHEN is_won AND closed_at IS NULL THEN 'won_without_close.closed_at'",
    ]
    if "created_at" in columns:
        # A closing date without a time of day lies up to a day before a creation time of the same day.
        branches.append("WHEN closed_at < created_at - INTERVAL 1 DAY THEN 'closed_before_created.closed_at'")
    return branches


class _CellReader:
    """Writes the SQL that reads the cells of one table."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, table: TableMapping, raw: RawTable, zone: str) -> None:
        self.connection = connection
        self.table = table
        self.raw = raw
        self.zone = zone

    def too_large(self) -> str:
        texts = [
            f"coalesce(strlen({alias}) > {MAX_CELL_BYTES}, FALSE)"
            for column, alias in self.raw.columns.items()
            if self.raw.types[column] in ("VARCHAR", "JSON", "BLOB")
        ]
        return " OR ".join(texts) or "FALSE"

    def locate(self, source: Source | str) -> tuple[str, str]:
        """Return SQL and DuckDB type of a column or constant."""
        if isinstance(source, Constant):
            types = {bool: "BOOLEAN", int: "BIGINT", float: "DOUBLE", str: "VARCHAR"}
            return literal(source.value), types[type(source.value)]
        column = source if isinstance(source, str) else source.name
        return self.raw.columns[column], self.raw.types[column]

    def given(self, cell: str, duckdb_type: str) -> str:
        return f"({expressions.text(cell, duckdb_type)}) IS NOT NULL OR NULL"

    def cells(self, properties: tuple[StagedProperty, ...]) -> list[_Cell]:
        table = self.table
        attributes = {staged.name: staged for staged in properties}
        cells = []
        for field in FIELDS[table.name]:
            source = table.columns.get(field.name)
            if source is not None:
                cells.append(self.field(field.name, field.kind, field.required, source, attributes.get(field.name)))
            elif field.name != "is_won":
                cells.append(_Cell(field.name, f"NULL::{_SQL_TYPES[field.kind]}", "NULL"))
        cells += [self.property(staged) for staged in properties if staged.name not in table.columns]
        for name, column in table.set_at.items():
            cells.append(self.field(f"{name}__set_at", "time", False, column, None))
        return cells + self.special_cells()

    def field(
        self, name: str, kind: Kind, is_required: bool, source: Source | str, staged: StagedProperty | None
    ) -> _Cell:
        cell, duckdb_type = self.locate(source)
        # closed_at must be mapped, but an open deal has none.
        is_required = is_required and name != "closed_at"
        given, unreadable = self.given(cell, duckdb_type), _UNREADABLE.get(kind)
        if kind == "time":
            sql = expressions.time(cell, duckdb_type, self.zone)
        elif kind == "number":
            sql = expressions.number(cell, duckdb_type)
            sql = f"({sql})::BIGINT" if staged is not None and staged.is_whole else sql
        elif kind == "boolean":
            sql = expressions.boolean(cell, duckdb_type)
        else:
            sql = expressions.text(cell, duckdb_type)
        return _Cell(name, sql, given, is_required, unreadable)

    def property(self, staged: StagedProperty) -> _Cell:
        cell, duckdb_type = self.locate(self.table.properties[staged.name])
        sql = expressions.of_type(cell, duckdb_type, staged.type, staged.is_whole, self.zone)
        return _Cell(staged.name, sql, "NULL")

    def special_cells(self) -> list[_Cell]:
        table, cells = self.table, []
        if table.won is not None:
            stage_text = expressions.text(*self.locate(table.won.column))
            values = ", ".join(literal(value) for value in table.won.values)
            cells.append(_Cell("is_won", f"coalesce({stage_text} IN ({values}), FALSE)", "NULL"))
        if table.properties_json is not None:
            cell, duckdb_type = self.locate(table.properties_json)
            sql = f"({expressions.json_object(cell, duckdb_type)})::VARIANT"
            cells.append(_Cell("properties", sql, self.given(cell, duckdb_type), unreadable="bad_json"))
        if table.internal is not None and table.internal.column is not None:
            cells.append(self.field("is_internal", "boolean", False, table.internal.column, None))
        return cells

    def detect(self) -> tuple[StagedProperty, ...]:
        """Find out what the values of every property are; canonical attributes keep their own kind."""
        sources = {
            name: self.table.columns[name]
            for name in ATTRIBUTE_FIELDS.get(self.table.name, ())
            if name in self.table.columns
        } | dict(self.table.properties)
        located = {name: self.locate(source) for name, source in sources.items()}
        counts = self._count_readings({name: cell for name, cell in located.items() if self._is_open(name, cell[1])})
        kinds = {field.name: field.kind for field in FIELDS[self.table.name]}
        found = []
        for name, (_, duckdb_type) in located.items():
            kind, is_whole = _KIND_BY_FAMILY[expressions.family(duckdb_type)]
            if name in counts:
                kind, is_whole = counts[name].verdict()
            match kinds.get(name):
                case "text":
                    kind, is_whole = "text", False
                case "time":
                    kind, is_whole = "time", False
                case "number":
                    # Cells that are no number are rejected, so they do not decide whether the others are whole.
                    kind, is_whole = "number", counts[name].whole == counts[name].numbers
            found.append(StagedProperty(name, duckdb_type, kind, is_whole))
        return tuple(found)

    def _is_open(self, name: str, duckdb_type: str) -> bool:
        """Whether the values themselves must be looked at to know the type."""
        fixed = name in ATTRIBUTE_FIELDS.get(self.table.name, ()) and name != "company_size"
        return not fixed and (expressions.family(duckdb_type) == "text" or name == "company_size")

    def _count_readings(self, located: dict[str, tuple[str, str]]) -> dict[str, _Readings]:
        if not located:
            return {}
        counts = ", ".join(_count_sql(cell, duckdb_type) for cell, duckdb_type in located.values())
        row = self.connection.execute(f"SELECT {counts} FROM scratch.raw_{self.table.name}").fetchall()[0]
        size = len(_Readings.__slots__)
        return {name: _Readings(*row[at * size : (at + 1) * size]) for at, name in enumerate(located)}


_KIND_BY_FAMILY: Final[MappingABC[str, tuple[ValueType, bool]]] = {
    "text": ("text", False),
    "nested": ("text", False),
    "integer": ("number", True),
    "real": ("number", False),
    "boolean": ("boolean", False),
    "date": ("time", False),
    "timestamp": ("time", False),
    "zoned": ("time", False),
}


@dataclass(frozen=True, slots=True)
class _Readings:
    """How many of a column's values can be read in which way."""

    given: int
    numbers: int
    whole: int
    codes: int
    booleans: int
    times: int

    def verdict(self) -> tuple[ValueType, bool]:
        """Return the narrowest type that fits every value; codes such as 0012 stay text."""
        if self.given == 0:
            return "text", False
        if self.booleans == self.given:
            return "boolean", False
        if self.numbers == self.given and self.codes == 0:
            return "number", self.whole == self.given
        if self.times == self.given:
            return "time", False
        return "text", False


def _count_sql(cell: str, duckdb_type: str) -> str:
    value, numeric = expressions.text(cell, duckdb_type), expressions.number(cell, duckdb_type)
    return (
        f"count({value}), count({numeric}),"
        f" count(*) FILTER (WHERE {numeric} = trunc({numeric}) AND abs({numeric}) < 9e15),"
        f" count(*) FILTER (WHERE regexp_matches({value}, '^[+-]?0[0-9]')),"
        f" count(*) FILTER (WHERE lower({value}) IN ('true', 'false')),"
        f" count(TRY_CAST({value} AS TIMESTAMPTZ))"
    )
