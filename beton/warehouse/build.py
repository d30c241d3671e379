"""The tables of a snapshot, made from the typed rows in ``scratch``.

They lie in the catalog ``snapshot``: physical tables in schema ``store``, views for people in ``main``.

``store.events`` is sorted by (event, user_key, ts): a signal then reads the few row groups of its events, and
"at least k within d days" is ``n = k AND rel_s < d * 86400`` without a GROUP BY.
"""

from __future__ import annotations

from collections.abc import Mapping as MappingABC
from pathlib import Path
from typing import TYPE_CHECKING, Final

from beton.errors import WarehouseError
from beton.model.mapping import FIELDS, Mapping, joined_company_column
from beton.warehouse.connection import BUILD_THREADS, ident, literal
from beton.warehouse.staging import StagedTable
from beton.warehouse.unit_columns import add_unit_columns
from beton.warehouse.views import SET_S, ViewColumns, whole

if TYPE_CHECKING:
    import duckdb

Staged = MappingABC[str, StagedTable]

_COMPANY_FACTS: Final = ("name", "company_size", "industry", "country")
_USER_FACTS: Final = ("plan", "role", "country")
_LONGEST_REL_S: Final = 2**31 - 1


def attach_store(connection: duckdb.DuckDBPyConnection, database: Path) -> None:
    """Create an empty store.duckdb as the catalog ``snapshot``."""
    connection.execute(f"ATTACH {literal(str(database))} AS snapshot; USE snapshot; CREATE SCHEMA store")


def build_entities(connection: duckdb.DuckDBPyConnection, mapping: Mapping, staged: Staged) -> None:
    """Build companies, users, contacts and deals; deals of unknown users become rejects."""
    _number_entities(connection)
    _reject_deals_of_unknown_users(connection)
    _build_companies(connection, staged)
    _build_contact_matches(connection)
    _build_users(connection, mapping, staged)
    _build_contacts(connection)
    _build_deals(connection, mapping)
    add_unit_columns(connection)


def _number_entities(connection: duckdb.DuckDBPyConnection) -> None:
    """Give users and companies dense keys. Signups are cut to whole seconds, so that every clock counts from one."""
    connection.execute(
        """CREATE TABLE scratch.user_keys AS
        SELECT (row_number() OVER (ORDER BY signed_up_at, user_id) - 1)::INTEGER AS user_key, user_id, company_id,
            signed_up_at, epoch(signed_up_at)::BIGINT AS t0_s
        FROM (SELECT user_id, company_id, date_trunc('second', signed_up_at) AS signed_up_at
            FROM scratch.users WHERE src__reject IS NULL)"""
    )
    connection.execute(
        """CREATE TABLE scratch.company_keys AS
        SELECT (row_number() OVER (ORDER BY company_id) - 1)::INTEGER AS company_key, company_id FROM (
            SELECT company_id FROM scratch.companies WHERE src__reject IS NULL
            UNION SELECT company_id FROM scratch.user_keys WHERE company_id IS NOT NULL
            UNION SELECT company_id FROM scratch.deals WHERE src__reject IS NULL AND company_id IS NOT NULL)"""
    )


def _reject_deals_of_unknown_users(connection: duckdb.DuckDBPyConnection) -> None:
    """A deal with a company stays: its outcome reaches the users through their account."""
    connection.execute(
        """UPDATE scratch.deals SET src__reject = 'unknown_user.user_id'
        WHERE src__reject IS NULL AND company_id IS NULL
            AND user_id NOT IN (SELECT user_id FROM scratch.user_keys)"""
    )


def _build_companies(connection: duckdb.DuckDBPyConnection, staged: Staged) -> None:
    facts = [field.name for field in FIELDS["companies"] if field.name != "company_id"] + _properties(
        staged, "companies"
    )
    columns = ", ".join(f"c.{ident(name)}" for name in facts)
    connection.execute(
        f"""CREATE TABLE store.companies AS
        SELECT k.company_key, k.company_id, {columns}, s.first_seen_at, epoch(s.first_seen_at)::BIGINT AS t0_s
        FROM scratch.company_keys AS k
        LEFT JOIN scratch.companies AS c ON c.company_id = k.company_id AND c.src__reject IS NULL
        LEFT JOIN (SELECT company_id, min(signed_up_at) AS first_seen_at
            FROM scratch.user_keys GROUP BY company_id) AS s ON s.company_id = k.company_id
        ORDER BY k.company_key"""
    )


def _build_contact_matches(connection: duckdb.DuckDBPyConnection) -> None:
    """A contact and a user are the same person when their e-mail addresses are, whatever the case."""
    connection.execute(
        """CREATE TABLE scratch.contact_by_email AS
        SELECT lower(email) AS email, arg_min(contact_id, (src__file, src__row)) AS contact_id
        FROM scratch.contacts WHERE src__reject IS NULL GROUP BY lower(email)"""
    )


def _build_users(connection: duckdb.DuckDBPyConnection, mapping: Mapping, staged: Staged) -> None:
    own = [*_USER_FACTS, *_properties(staged, "users")]
    columns = ", ".join(f"u.{ident(name)}" for name in own)
    set_at = "".join(
        f", epoch({ident(name + '__set_at')})::BIGINT AS {ident(name + SET_S)}"
        for name in mapping.tables["users"].set_at
    )
    joined = ", ".join(
        f"c.{ident(name)} AS {ident(joined_company_column(name))}"
        for name in [*_COMPANY_FACTS, *_properties(staged, "companies")]
    )
    matched = "m.contact_id IS NOT NULL" if "contacts" in mapping.tables else "TRUE"
    connection.execute(
        f"""CREATE TABLE store.users AS
        SELECT k.user_key, k.user_id, u.email, c.company_key, k.signed_up_at, k.t0_s,
            coalesce(k.t0_s - c.t0_s, 0)::INTEGER AS account_offset_s, {_is_internal(mapping)} AS is_internal,
            {matched} AS is_matched, m.contact_id, {columns}{set_at}, {joined}
        FROM scratch.user_keys AS k
        JOIN scratch.users AS u ON u.user_id = k.user_id AND u.src__reject IS NULL
        LEFT JOIN store.companies AS c ON c.company_id = k.company_id
        LEFT JOIN scratch.contact_by_email AS m ON m.email = lower(u.email)
        ORDER BY k.user_key"""
    )


def _is_internal(mapping: Mapping) -> str:
    rule = mapping.tables["users"].internal
    tests = []
    if rule is not None and rule.email_domains:
        domains = ", ".join(literal(domain) for domain in rule.email_domains)
        tests.append(f"coalesce(lower(split_part(u.email, '@', -1)) IN ({domains}), FALSE)")
    if rule is not None and rule.column is not None:
        tests.append("coalesce(u.is_internal, FALSE)")
    return " OR ".join(tests) or "FALSE"


def _build_contacts(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute(
        """CREATE TABLE store.contacts AS
        SELECT t.contact_id, t.email, c.company_key, u.user_key
        FROM scratch.contacts AS t
        LEFT JOIN scratch.company_keys AS c ON c.company_id = t.company_id
        LEFT JOIN (SELECT lower(email) AS email, min(user_key) AS user_key FROM store.users GROUP BY lower(email)) AS u
            ON u.email = lower(t.email)
        WHERE t.src__reject IS NULL ORDER BY t.contact_id"""
    )


def _build_deals(connection: duckdb.DuckDBPyConnection, mapping: Mapping) -> None:
    currency = f"coalesce(d.currency, {literal(mapping.currency)})" if mapping.currency else "d.currency"
    connection.execute(
        f"""CREATE TABLE store.deals AS
        SELECT d.deal_id, coalesce(c.company_key, u.company_key) AS company_key, u.user_key, d.amount::DOUBLE AS amount,
            {currency} AS currency, d.stage, d.created_at, d.closed_at, coalesce(d.is_won, FALSE) AS is_won,
            floor(epoch(d.created_at))::BIGINT AS created_s, floor(epoch(d.closed_at))::BIGINT AS closed_s
        FROM scratch.deals AS d
        LEFT JOIN scratch.company_keys AS c ON c.company_id = d.company_id
        LEFT JOIN store.users AS u ON u.user_id = d.user_id
        WHERE d.src__reject IS NULL ORDER BY d.deal_id"""
    )


def resolve_events(connection: duckdb.DuckDBPyConnection) -> None:
    """Reject events whose user is unknown, or so far from the signup that its distance does not fit its column."""
    connection.execute(
        f"""UPDATE scratch.events SET src__reject = 'unknown_user.user_id'
        WHERE src__reject IS NULL AND user_id NOT IN (SELECT user_id FROM scratch.user_keys);
        UPDATE scratch.events AS e SET src__reject = 'time_out_of_range.timestamp' FROM scratch.user_keys AS k
        WHERE e.src__reject IS NULL AND k.user_id = e.user_id
            AND abs(epoch(e.timestamp) - k.t0_s) > {_LONGEST_REL_S}"""
    )


def build_events(connection: duckdb.DuckDBPyConnection, mapping: Mapping, staged: Staged) -> None:
    """Build the sorted event table.

    Raises:
        WarehouseError: the rows did not come out sorted.
    """
    names = connection.execute(
        "SELECT DISTINCT event FROM scratch.events WHERE src__reject IS NULL ORDER BY event"
    ).fetchall()
    values = ", ".join(literal(name) for (name,) in names)
    connection.execute(f"CREATE TYPE store.event_name AS ENUM ({values})")
    for threads in (BUILD_THREADS, 1):
        connection.execute(f"SET threads = {threads}")
        connection.execute(_events_sql(mapping, staged))
        # With two threads DuckDB has been seen to write a join in another order than it was sorted in.
        if _is_sorted(connection):
            connection.execute(f"SET threads = {BUILD_THREADS}")
            break
    else:
        raise WarehouseError("The events could not be stored in order: report this with the DuckDB version in use.")
    if mapping.tables["events"].properties_json is None:
        # Sorting a column that is always NULL would cost a quarter of the time.
        connection.execute("ALTER TABLE store.events ADD COLUMN properties VARIANT")


def _events_sql(mapping: Mapping, staged: Staged) -> str:
    columns = [*_properties(staged, "events"), *(["properties"] if mapping.tables["events"].properties_json else [])]
    listed = "".join(f", {ident(name)}" for name in columns)
    return f"""CREATE OR REPLACE TABLE store.events AS
        SELECT user_key, event, rel_s, CASE WHEN rel_s < 0 THEN 0 ELSE row_number() OVER (
                PARTITION BY event, user_key, rel_s < 0 ORDER BY ts, src__file, src__row) END::INTEGER AS n,
            ts, page_path{listed}
        FROM (SELECT k.user_key, e.event::store.event_name AS event, e.timestamp AS ts,
                (floor(epoch(e.timestamp)) - k.t0_s)::INTEGER AS rel_s, e.* EXCLUDE (user_id, event, timestamp)
            FROM scratch.events AS e JOIN scratch.user_keys AS k ON k.user_id = e.user_id
            WHERE e.src__reject IS NULL)
        ORDER BY event, user_key, ts, src__file, src__row"""


def _is_sorted(connection: duckdb.DuckDBPyConnection) -> bool:
    """Compare each stored row with the one before it; the rows are taken by their place in the file."""
    import numpy as np

    columns = connection.execute(
        "SELECT enum_code(event)::INTEGER AS event, user_key, epoch_us(ts) AS ts, n FROM store.events ORDER BY rowid"
    ).fetchnumpy()
    order = np.ones(len(columns["event"]) - 1, dtype=bool)
    for name in ("n", "ts", "user_key", "event"):
        before, after = columns[name][:-1], columns[name][1:]
        order = (before < after) | ((before == after) & order)
    return bool(order.all())


def create_views(connection: duckdb.DuckDBPyConnection, staged: Staged) -> None:
    """Create the views that a person's SQL sees, with the columns of the canonical tables."""
    users = [*_USER_FACTS, "company_name", "company_size", "industry", *_properties(staged, "users")]
    users += [joined_company_column(name) for name in _properties(staged, "companies")]
    companies = ["domain", "company_size", "industry", "country", *_properties(staged, "companies")]
    columns = ViewColumns(tuple(users), tuple(companies), tuple(_properties(staged, "events")))
    for name, select in whole(columns).items():
        connection.execute(f"CREATE VIEW main.{name} AS {select}")


def _properties(staged: Staged, table: str) -> list[str]:
    """Return the mapped properties of a table, without the canonical attributes."""
    return list(staged[table].source.mapping.properties) if table in staged else []
