"""The four tables of a person's SQL, as they are shown beside the editor: rows, types, fill rates, sample values.

Everything is read from the snapshot as a whole. What a query sees is the same tables, cut at each unit's landmark.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from beton.model.manifest import Manifest
from beton.model.mapping import joined_company_column
from beton.model.table_facts import ColumnFacts, TableFacts
from beton.warehouse.connection import ident, literal

if TYPE_CHECKING:
    import duckdb

TABLES: Final[dict[str, str]] = {
    "events": "what users did: one row per event",
    "users": "one row per user, with the facts of the company",
    "companies": "one row per company",
    "deals": "one row per deal of the CRM",
}
MOST_SAMPLES: Final = 5
MOST_CHARACTERS: Final = 60  # of one sample
_ROWS_LOOKED_AT: Final = 300  # for samples that the manifest does not have
_USERS_LOOKED_AT: Final = 5  # and of events those of the first users

_ABOUT: Final[dict[tuple[str, str], str]] = {
    ("events", "days_since_signup"): "days between the signup and the event, with fractions",
    ("events", "timestamp"): "UTC",
    ("users", "signed_up_at"): "UTC; day 0 of the user",
    ("deals", "is_won"): "whether the deal is won",
}
_NEVER_MISSING: Final = frozenset({"user_id", "event", "timestamp", "days_since_signup"})  # in events


def table_facts(connection: duckdb.DuckDBPyConnection, manifest: Manifest) -> tuple[TableFacts, ...]:
    """Return the facts of ``events``, ``users``, ``companies`` and ``deals``, in that order."""
    return tuple(_table(connection, manifest, name, about) for name, about in TABLES.items())


def _table(connection: duckdb.DuckDBPyConnection, manifest: Manifest, table: str, about: str) -> TableFacts:
    described = connection.execute(f"DESCRIBE main.{table}").fetchall()
    types = {str(name): _type(str(kind)) for name, kind, *_ in described}
    rows = manifest.tables.get(table, 0)
    filled = _events_filled(connection, manifest) if table == "events" else _filled(connection, table, list(types))
    first = _first_rows(connection, table)
    seen = dict(zip(types, zip(*first, strict=True), strict=True)) if first else dict.fromkeys(types, ())
    columns = tuple(
        ColumnFacts(
            name=name,
            type=kind,
            fill_rate=filled[name] / rows if rows else None,
            samples=_samples(_known_values(manifest, table, name) or _common(seen[name])),
            about=_about_properties(manifest) if name == "properties" else _ABOUT.get((table, name), ""),
        )
        for name, kind in types.items()
    )
    return TableFacts(table, about, rows, columns)


def _first_rows(connection: duckdb.DuckDBPyConnection, table: str) -> list[tuple[object, ...]]:
    where = ""
    if table == "events":
        found = connection.execute(f"SELECT user_id FROM store.users WHERE user_key < {_USERS_LOOKED_AT}").fetchall()
        # As values, not as a subquery: the filter then comes before the view writes its JSON.
        where = f"WHERE user_id IN ({', '.join(literal(user_id) for (user_id,) in found)})" if found else ""
    return connection.execute(f"SELECT * FROM main.{table} {where} ORDER BY ALL LIMIT {_ROWS_LOOKED_AT}").fetchall()


def _type(kind: str) -> str:
    """Return a type as a query would write it; that names of events are an enumeration concerns nobody."""
    return "VARCHAR" if kind.startswith("ENUM") else kind


def _filled(connection: duckdb.DuckDBPyConnection, table: str, names: list[str]) -> dict[str, int]:
    counts = ", ".join(f"count({ident(name)})" for name in names)
    found: Any = connection.execute(f"SELECT {counts} FROM main.{table}").fetchone()
    return dict(zip(names, found, strict=True))


def _events_filled(connection: duckdb.DuckDBPyConnection, manifest: Manifest) -> dict[str, int]:
    """Count without the joins of the view: a user's company is looked up once, not for each event."""
    # Columns of their own make the view write a JSON for every event; counting JSON itself takes the longest by far.
    written = "count(*)" if manifest.event_keys else "count(properties)"
    found: Any = connection.execute(
        f"""SELECT count(page_path), {written}, count(*) FILTER (WHERE user_key IN (
            SELECT user_key FROM store.users WHERE company_key IS NOT NULL)) FROM store.events"""
    ).fetchone()
    with_path, with_json, with_company = found
    counted = {"page_path": with_path, "company_id": with_company, "properties": with_json}
    return dict.fromkeys(_NEVER_MISSING, manifest.tables["events"]) | counted


def _common(values: Sequence[object]) -> tuple[object, ...]:
    """Return the values that there are, most common first."""
    return tuple(value for value, _ in Counter(value for value in values if value is not None).most_common())


def _known_values(manifest: Manifest, table: str, column: str) -> tuple[object, ...]:
    """Return the values that the import counted, most common first; none where it counted none."""
    scopes = {"events": ("event",), "users": ("user", "company"), "companies": ("company",)}.get(table, ())
    names = (joined_company_column(column), column) if table == "companies" else (column,)
    found = {entry.name: entry.values for entry in manifest.properties if entry.scope in scopes}
    if (table, column) == ("events", "event"):
        return tuple(event.name for event in sorted(manifest.events, key=lambda event: -event.rows))
    return next((found[name] for name in names if name in found), ())


def _about_properties(manifest: Manifest) -> str:
    keys, reading = manifest.event_keys, "read a key with properties->>'key'"
    return f"JSON with {', '.join(keys)}; {reading}" if keys else f"JSON; {reading}"


def _samples(values: Sequence[object]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(map(_text, values)))[:MOST_SAMPLES]


def _text(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4f}".rstrip("0").rstrip(".")
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return text if len(text) <= MOST_CHARACTERS else f"{text[: MOST_CHARACTERS - 1]}…"
