"""SQL that turns a cell of any source type into a canonical value, or NULL when it cannot.

Every function takes an SQL expression and its DuckDB type and returns an SQL expression.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

from beton.model.manifest import ValueType
from beton.warehouse.connection import literal

Family = Literal["text", "integer", "real", "boolean", "date", "timestamp", "zoned", "nested"]

_INTEGERS: Final = frozenset({"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER"})
_REALS: Final = ("FLOAT", "DOUBLE", "DECIMAL", "HUGEINT", "UHUGEINT", "UBIGINT")
_PLAIN: Final[Mapping[str, Family]] = {"BOOLEAN": "boolean", "DATE": "date"}
_NESTED: Final = ("STRUCT", "MAP", "UNION", "VARIANT", "JSON")
EARLIEST: Final = "TIMESTAMP '1970-01-01'"
LATEST: Final = "TIMESTAMP '2200-01-01'"


def family(duckdb_type: str) -> Family:
    """Sort a DuckDB type into the few ways that its values are read."""
    if duckdb_type.endswith("]") or duckdb_type.startswith(_NESTED):
        return "nested"
    if duckdb_type in _INTEGERS:
        return "integer"
    if duckdb_type.startswith(_REALS):
        return "real"
    if duckdb_type.startswith("TIMESTAMP"):
        return "zoned" if "TIME ZONE" in duckdb_type else "timestamp"
    return _PLAIN.get(duckdb_type, "text")


def text(cell: str, duckdb_type: str) -> str:
    """Return trimmed text, NULL for blank. A whole number stored as a real loses its ``.0``: an id stays an id."""
    kind = family(duckdb_type)
    if kind == "nested":
        return f"to_json({cell})::VARCHAR"
    if kind == "real":
        return (
            f"coalesce(CASE WHEN {cell} = trunc({cell}) THEN TRY_CAST({cell} AS BIGINT) END::VARCHAR, {cell}::VARCHAR)"
        )
    if kind == "text":
        return f"nullif(trim({cell}::VARCHAR, ' \t\r\n'), '')"
    return f"{cell}::VARCHAR"


def number(cell: str, duckdb_type: str) -> str:
    """Return a finite DOUBLE."""
    source = text(cell, duckdb_type) if family(duckdb_type) == "text" else cell
    if family(duckdb_type) not in ("text", "integer", "real"):
        return "NULL::DOUBLE"
    value = f"TRY_CAST({source} AS DOUBLE)"
    return f"CASE WHEN isfinite({value}) THEN {value} END"


def boolean(cell: str, duckdb_type: str) -> str:
    """Return a BOOLEAN from true/false, yes/no, t/f, y/n, 1/0."""
    if duckdb_type == "BOOLEAN":
        return cell
    word = f"lower({text(cell, duckdb_type)})"
    return (
        f"CASE WHEN {word} IN ('true', 't', 'yes', 'y', '1') THEN TRUE"
        f" WHEN {word} IN ('false', 'f', 'no', 'n', '0') THEN FALSE END"
    )


def time(cell: str, duckdb_type: str, zone: str) -> str:
    """Return a TIMESTAMP in UTC between 1970 and 2200.

    Times without a zone are in ``zone`` (the connection's TimeZone must be the same); dates are its midnight; numbers
    are seconds, milliseconds, microseconds or nanoseconds since 1970, told apart by their size. A local time that
    occurs twice is the later one, one that a clock change skips is moved forward by the change.
    """
    kind = family(duckdb_type)
    if kind in ("integer", "real"):
        moment = _since_1970(f"{cell}::DOUBLE")
    elif kind == "zoned":
        moment = f"timezone('UTC', {cell})"
    elif kind in ("date", "timestamp"):
        local = f"{cell}::TIMESTAMP"
        moment = local if zone == "UTC" else f"timezone('UTC', timezone({literal(zone)}, {local}))"
    elif kind == "text":
        source = text(cell, duckdb_type)
        epoch = _since_1970(f"TRY_CAST({source} AS DOUBLE)")
        moment = f"coalesce({epoch}, timezone('UTC', TRY_CAST({source} AS TIMESTAMPTZ)))"
    else:
        return "NULL::TIMESTAMP"
    return f"CASE WHEN {moment} >= {EARLIEST} AND {moment} < {LATEST} THEN {moment} END"


def _since_1970(value: str) -> str:
    """Tell the unit by size: every moment from 1973 to 2286 is unambiguous."""
    units = ((1e8, 1e10, "* 1000000"), (1e11, 1e13, "* 1000"), (1e14, 1e16, ""), (1e17, 1e19, "/ 1000"))
    cases = " ".join(f"WHEN {value} >= {low} AND {value} < {high} THEN {value} {scale}" for low, high, scale in units)
    return f"make_timestamp((CASE {cases} END)::BIGINT)"


def json_object(cell: str, duckdb_type: str) -> str:
    """Return a JSON object, NULL for anything else."""
    source = f"to_json({cell})" if family(duckdb_type) == "nested" else f"TRY_CAST({text(cell, duckdb_type)} AS JSON)"
    return f"CASE WHEN json_type({source}) = 'OBJECT' THEN {source} END"


def of_type(cell: str, duckdb_type: str, target: ValueType, is_whole: bool, zone: str) -> str:
    """Return a property's value as its detected type; whole numbers are BIGINT, others DOUBLE."""
    if target == "number":
        return f"({number(cell, duckdb_type)})::{'BIGINT' if is_whole else 'DOUBLE'}"
    if target == "boolean":
        return boolean(cell, duckdb_type)
    if target == "time":
        return time(cell, duckdb_type, zone)
    return text(cell, duckdb_type)
