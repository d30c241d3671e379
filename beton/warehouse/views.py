"""The four tables that a person's SQL sees, whole or cut at each unit's landmark.

``events``, ``users``, ``companies`` and ``deals`` have the same columns either way. Cut, a row is there only if it was
before the landmark of the unit that it belongs to, and a value only if it was known by then: whatever is asked of such
tables cannot look into the future of the row's own unit. ``Cut`` can hide more, which is how ``sandbox.answers`` finds
queries that read the future of other units.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from beton.model.outcome import Unit
from beton.warehouse.connection import ident, literal

if TYPE_CHECKING:
    import duckdb

SET_S: Final = "__set_s"  # ends the name of the column that says since when a property has its value, epoch seconds
_STORE: Final = "snapshot.store"  # seen from a connection whose own catalog holds nothing
_EVENT_COLUMNS: Final = ("user_key", "event", "rel_s", "n", "ts", "page_path", "properties")
_USER_IDENTITY: Final = ("user_id", "email", "company_id", "signed_up_at")
_COMPANY_IDENTITY: Final = ("company_id", "name")


@dataclass(frozen=True)
class ViewColumns:
    """The columns that differ from workspace to workspace.

    ``users`` and ``companies`` after their identity; ``event_properties`` are columns that join the JSON of an event;
    ``dated`` are those of ``users`` whose ``<name>__set_s`` says since when.
    """

    users: tuple[str, ...]
    companies: tuple[str, ...]
    event_properties: tuple[str, ...]
    dated: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Cut:
    """Where the tables end: ``landmark_s`` after each unit's time zero, and at ``until_s`` (epoch seconds) if given.

    ``with_account`` ends the rows of a user where those of the first user of the account end.
    """

    unit: Unit
    landmark_s: int
    until_s: int | None = None
    with_account: bool = False

    def at(self, t0_s: str) -> str:
        """Return the SQL of the first second that a unit with this time zero may not see."""
        landmark = f"{t0_s} + {self.landmark_s}"
        return landmark if self.until_s is None else f"LEAST({landmark}, {self.until_s})"


def columns_of(connection: duckdb.DuckDBPyConnection) -> ViewColumns:
    """Read which columns the views of a snapshot have."""

    def names(table: str) -> list[str]:
        return [str(row[0]) for row in connection.execute(f"DESCRIBE snapshot.{table}").fetchall()]

    dated = frozenset(name.removesuffix(SET_S) for name in names("store.users") if name.endswith(SET_S))
    return ViewColumns(
        tuple(name for name in names("main.users") if name not in _USER_IDENTITY),
        tuple(name for name in names("main.companies") if name not in _COMPANY_IDENTITY),
        tuple(name for name in names("store.events") if name not in _EVENT_COLUMNS),
        dated,
    )


def whole(columns: ViewColumns) -> dict[str, str]:
    """Return the SELECT of each table with all of its rows."""
    users = _listed("u", columns.users)
    return {
        "events": f"SELECT {_event_values(columns)} {_events('store')}",
        "users": f"SELECT u.user_id, u.email, c.company_id, u.signed_up_at{users} {_users('store')}",
        "companies": f"SELECT c.company_id, c.name{_listed('c', columns.companies)} FROM store.companies AS c",
        "deals": "SELECT d.deal_id, c.company_id, u.user_id, d.amount, d.currency, d.stage, d.created_at, d.closed_at,"
        " d.is_won FROM store.deals AS d LEFT JOIN store.companies AS c ON c.company_key = d.company_key"
        " LEFT JOIN store.users AS u ON u.user_key = d.user_key",
    }


def cut(columns: ViewColumns, at: Cut) -> dict[str, str]:
    """Return the SELECT of each table as it may be seen; internal and test users are not there.

    For accounts the clock of everything is the account's. ``deals`` of users has a row per user whom the deal concerns:
    the user's own and those of the account.
    """
    own_clock = at.unit == "user" and not at.with_account
    t0_s = "u.t0_s" if own_clock else "(u.t0_s - u.account_offset_s)"
    end_s = at.at(t0_s)
    seen = "NOT u.is_internal" if at.unit == "user" else "NOT u.is_internal AND u.company_key IS NOT NULL"
    is_always = own_clock and at.until_s is None  # nobody signs up after their own landmark
    began = seen if is_always else f"{seen} AND u.t0_s < {end_s}"
    values = "".join(f", {_known(name, name in columns.dated, end_s)}" for name in columns.users)
    happened = f"e.rel_s >= 0 AND e.rel_s < {at.landmark_s}"  # which DuckDB can use to skip rows
    happened += "" if is_always else f" AND u.t0_s + e.rel_s < {end_s}"
    company_end = "c.t0_s IS NOT NULL" + ("" if at.until_s is None else f" AND c.t0_s < {at.until_s}")
    return {
        "events": f"SELECT {_event_values(columns)} {_events(_STORE)} WHERE {seen} AND {happened}",
        "users": f"SELECT u.user_id, u.email, c.company_id, u.signed_up_at{values} {_users(_STORE)} WHERE {began}",
        "companies": f"SELECT c.company_id, c.name{_listed('c', columns.companies)} FROM {_STORE}.companies AS c"
        f" WHERE NOT c.is_internal AND {company_end}",
        "deals": _deals_of_users(began, end_s) if at.unit == "user" else _deals_of_accounts(at),
    }


def named(selects: Mapping[str, str]) -> str:
    """Return the WITH clause, on one line, that gives tables their names; '' for none."""
    tables = ", ".join(f"{name} AS NOT MATERIALIZED ({select})" for name, select in selects.items())
    return f"WITH {tables} " if tables else ""


def _events(store: str) -> str:
    return (
        f"FROM {store}.events AS e JOIN {store}.users AS u ON u.user_key = e.user_key"
        f" LEFT JOIN {store}.companies AS c ON c.company_key = u.company_key"
    )


def _users(store: str) -> str:
    return f"FROM {store}.users AS u LEFT JOIN {store}.companies AS c ON c.company_key = u.company_key"


def _event_values(columns: ViewColumns) -> str:
    properties = "e.properties::JSON"
    if columns.event_properties:
        pairs = ", ".join(f"{literal(name)}, e.{ident(name)}" for name in columns.event_properties)
        # In this order the patch drops properties without a value.
        properties = f"json_merge_patch(coalesce(e.properties::JSON, '{{}}'::JSON), json_object({pairs}))"
    return (
        "u.user_id, c.company_id, e.event, e.ts AS timestamp, e.rel_s / 86400.0::DOUBLE AS days_since_signup,"
        f" e.page_path, {properties} AS properties"
    )


def _listed(alias: str, names: tuple[str, ...]) -> str:
    return "".join(f", {alias}.{ident(name)}" for name in names)


def _known(name: str, is_dated: bool, end_s: str) -> str:
    """A value set later is not known yet; what it replaced is not recorded."""
    column = f"u.{ident(name)}"
    if not is_dated:
        return column
    return f"CASE WHEN COALESCE(u.{ident(name + SET_S)}, 0) < {end_s} THEN {column} END AS {ident(name)}"


def _deals_of_users(began: str, end_s: str) -> str:
    own = f"JOIN {_STORE}.users AS u ON u.user_key = d.user_key AND u.company_key IS DISTINCT FROM d.company_key {_OF}"
    shared = f"JOIN {_STORE}.users AS u ON u.company_key = d.company_key {_OF}"
    selects = (
        f"SELECT {_deal_values(end_s)} FROM {_STORE}.deals AS d {join} WHERE {began} AND {_deal_is_known(end_s)}"
        for join in (own, shared)
    )
    return " UNION ALL ".join(selects)


_OF: Final = f"LEFT JOIN {_STORE}.companies AS c ON c.company_key = d.company_key"


def _deals_of_accounts(at: Cut) -> str:
    end_s = at.at("c.t0_s")
    return (
        f"SELECT {_deal_values(end_s)} FROM {_STORE}.deals AS d"
        f" JOIN {_STORE}.companies AS c ON c.company_key = d.company_key"
        f" LEFT JOIN {_STORE}.users AS u ON u.user_key = d.user_key AND u.t0_s < {end_s} AND NOT u.is_internal"
        f" WHERE NOT c.is_internal AND c.t0_s IS NOT NULL AND {_deal_is_known(end_s)}"
    )


def _deal_is_known(end_s: str) -> str:
    return f"LEAST(COALESCE(d.created_s, d.closed_s), COALESCE(d.closed_s, d.created_s)) < {end_s}"


def _deal_values(end_s: str) -> str:
    """Amount, stage and result are those of today, so they count as known once the deal is closed."""
    closed = f"d.closed_s < {end_s}"
    late = "".join(f", CASE WHEN {closed} THEN d.{name} END AS {name}" for name in ("amount", "currency", "stage"))
    created = f"CASE WHEN d.created_s < {end_s} THEN d.created_at END AS created_at"
    ended = f"CASE WHEN {closed} THEN d.closed_at END AS closed_at"
    won = f"COALESCE({closed}, FALSE) AND d.is_won AS is_won"
    return f"d.deal_id, c.company_id, u.user_id{late}, {created}, {ended}, {won}"
