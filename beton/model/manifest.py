"""What a snapshot says about itself: manifest.json beside store.duckdb."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Final, Literal, Self

from beton.model.outcome import Outcome

# Raise it whenever the tables of store.duckdb change shape: older snapshots are then refused, not misread.
SCHEMA_VERSION: Final = 2

Scope = Literal["user", "company", "event"]
ValueType = Literal["text", "number", "boolean", "time"]
PropertyValue = str | int | float | bool


@dataclass(frozen=True, slots=True)
class TimeRange:
    """First and last moment of the events, aware, UTC."""

    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class EventFacts:
    """One event name: how many rows, by how many users."""

    name: str
    rows: int
    users: int


@dataclass(frozen=True, slots=True)
class PropertyFacts:
    """One property that a condition may ask for.

    ``name``      column of ``store.users`` (scopes user and company) or of ``store.events``
    ``set_at``    whether ``<name>__set_s`` says when it got its value
    ``values``    up to 20 most common values, most common first; times as ISO text
    ``distinct``  how many different values there are, missing ones not counted
    """

    name: str
    scope: Scope
    type: ValueType
    set_at: bool
    values: tuple[PropertyValue, ...]
    distinct: int


@dataclass(frozen=True, slots=True)
class ContactFacts:
    """CRM people: how many there are and how many of them are also users, by e-mail."""

    total: int
    matched: int


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One file that was read: its rows before rejects, and its SHA-256 in hex."""

    table: str
    file: str
    rows: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """The facts of one snapshot; every datetime is aware and in UTC.

    ``version``         content hash, 12 hex digits: same mapping and files, same version
    ``tables``          rows of users, companies, contacts, events, deals
    ``data_end``        until when outcomes were recorded
    ``outcomes_since``  since when, None without deals
    ``contacts``        None when no contacts were imported
    ``conversion``      what counts as one in this workspace, None for the default
    ``rejects``         table -> reason -> rows
    """

    schema_version: int
    version: str
    built_at: datetime
    name: str
    demo: bool
    currency: str | None
    tables: Mapping[str, int]
    range: TimeRange
    data_end: datetime
    outcomes_since: datetime | None
    contacts: ContactFacts | None
    internal_users: int
    events: tuple[EventFacts, ...]
    properties: tuple[PropertyFacts, ...]
    rejects: Mapping[str, Mapping[str, int]]
    sources: tuple[SourceFile, ...]
    conversion: Outcome | None = None

    @property
    def event_keys(self) -> list[str]:
        """Properties of events that a query reads as keys of the JSON column; ``page_path`` is a column of its own."""
        return [entry.name for entry in self.properties if entry.scope == "event" and entry.name != "page_path"]

    def to_json(self) -> str:
        """Return the text of manifest.json."""
        return json.dumps(asdict(self), default=_iso, indent=1, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read the text of manifest.json.

        Raises:
            ValueError, KeyError, TypeError: the text is not a manifest of this schema.
        """
        raw: dict[str, Any] = json.loads(text)
        contacts, since = raw["contacts"], raw["outcomes_since"]
        return cls(
            **raw
            | {
                "built_at": _moment(raw["built_at"]),
                "range": TimeRange(_moment(raw["range"]["start"]), _moment(raw["range"]["end"])),
                "data_end": _moment(raw["data_end"]),
                "outcomes_since": None if since is None else _moment(since),
                "contacts": None if contacts is None else ContactFacts(**contacts),
                "events": tuple(EventFacts(**entry) for entry in raw["events"]),
                "properties": tuple(
                    PropertyFacts(**entry | {"values": tuple(entry["values"])}) for entry in raw["properties"]
                ),
                "sources": tuple(SourceFile(**entry) for entry in raw["sources"]),
                "conversion": Outcome(**raw["conversion"]) if raw.get("conversion") else None,
            }
        )


def _iso(value: object) -> str:
    if not isinstance(value, datetime):
        raise TypeError(f"{type(value).__name__} has no place in a manifest")
    return value.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)
