"""What the manifest says about the tables of a new snapshot, read back from those tables."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from beton.model.manifest import (
    SCHEMA_VERSION,
    ContactFacts,
    EventFacts,
    Manifest,
    PropertyFacts,
    PropertyValue,
    Scope,
    SourceFile,
    TimeRange,
)
from beton.model.mapping import FIELDS, Mapping, joined_company_column
from beton.warehouse.build import Staged
from beton.warehouse.connection import ident
from beton.warehouse.staging import StagedProperty

if TYPE_CHECKING:
    import duckdb

_MOST_COMMON: Final = 20
_SCOPES: Final[dict[str, Scope]] = {"users": "user", "companies": "company", "events": "event"}


def describe_snapshot(
    connection: duckdb.DuckDBPyConnection,
    mapping: Mapping,
    staged: Staged,
    sources: Sequence[SourceFile],
    version: str,
    built_at: datetime,
) -> Manifest:
    """Read the facts of the tables in catalog ``snapshot``."""
    count = _Reader(connection)
    start, end = count.row("SELECT min(ts), max(ts) FROM store.events")
    latest, since = count.row(
        """SELECT greatest((SELECT max(ts) FROM store.events), (SELECT max(signed_up_at) FROM store.users),
                max(created_at), max(closed_at) FILTER (WHERE is_won)),
            least(min(created_at), min(closed_at)) FROM store.deals"""
    )
    return Manifest(
        schema_version=SCHEMA_VERSION,
        version=version,
        built_at=built_at,
        name=mapping.name,
        demo=mapping.demo,
        currency=mapping.currency,
        tables={name: int(count.row(f"SELECT count(*) FROM store.{name}")[0]) for name in FIELDS},
        range=TimeRange(_utc(start), _utc(end)),
        data_end=mapping.data_end or _utc(latest),
        outcomes_since=None if since is None else mapping.outcomes_since or _utc(since),
        contacts=count.contacts() if "contacts" in mapping.tables else None,
        internal_users=int(count.row("SELECT count(*) FROM store.users WHERE is_internal")[0]),
        events=tuple(
            EventFacts(name, rows, users)
            for name, rows, users in count.rows(
                """SELECT event::VARCHAR, count(*), count(DISTINCT user_key)
                FROM store.events GROUP BY event ORDER BY event"""
            )
        ),
        properties=count.properties(mapping, staged),
        rejects=count.rejects(),
        sources=tuple(sources),
        conversion=mapping.conversion,
    )


def _utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC)


class _Reader:
    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self.connection = connection

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        return self.connection.execute(query).fetchall()

    def row(self, query: str) -> tuple[Any, ...]:
        return self.rows(query)[0]

    def contacts(self) -> ContactFacts:
        return ContactFacts(*self.row("SELECT count(*), count(user_key) FROM store.contacts"))

    def rejects(self) -> dict[str, dict[str, int]]:
        found: dict[str, dict[str, int]] = {}
        for table, reason, rows in self.rows(
            'SELECT "table", reason, count(*) FROM scratch.rejects GROUP BY ALL ORDER BY "table", reason'
        ):
            found.setdefault(table, {})[reason] = rows
        return found

    def properties(self, mapping: Mapping, staged: Staged) -> tuple[PropertyFacts, ...]:
        set_at = mapping.tables["users"].set_at
        return tuple(
            self.property(table, entry, table == "users" and entry.name in set_at)
            for table in _SCOPES
            if table in staged
            for entry in staged[table].properties
        )

    def property(self, table: str, entry: StagedProperty, is_dated: bool) -> PropertyFacts:
        column = ident(entry.name)
        (distinct,) = self.row(f"SELECT count(DISTINCT {column}) FROM store.{table}")
        common = self.rows(
            f"""SELECT {column} FROM store.{table} WHERE {column} IS NOT NULL
            GROUP BY {column} ORDER BY count(*) DESC, {column} LIMIT {_MOST_COMMON}"""
        )
        name = joined_company_column(entry.name) if table == "companies" else entry.name
        return PropertyFacts(
            name, _SCOPES[table], entry.type, is_dated, tuple(_plain(value) for (value,) in common), distinct
        )


def _plain(value: Any) -> PropertyValue:
    if isinstance(value, datetime):
        return value.isoformat() + "Z"
    plain: PropertyValue = value
    return plain
