"""The rows of one user or account: properties, deals, first outcome, events. An id is always a parameter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from beton.model.manifest import PropertyFacts
from beton.model.outcome import Outcome, Unit
from beton.model.signal import DAY_S
from beton.model.unit_facts import MOST_PEOPLE, DayCount, Deal, EventRow, Person, Trait
from beton.warehouse.compile import NEVER, column
from beton.warehouse.landmark import first_outcome_sql
from beton.warehouse.views import SET_S

if TYPE_CHECKING:
    import duckdb

RECENT_EVENTS: Final = 100
MOST_DETAIL: Final = 200  # characters of one property of an event


@dataclass(frozen=True)
class UserRow:
    """A user as stored: keys, identity and the values of all properties by column."""

    user_key: int
    company_key: int | None
    company_id: str | None
    values: dict[str, Any]


def find_user(connection: duckdb.DuckDBPyConnection, user_id: str) -> UserRow | None:
    """Return the user of that id, None when there is none."""
    found = connection.execute(
        "SELECT c.company_id AS known_company_id, u.* FROM store.users AS u"
        " LEFT JOIN store.companies AS c ON c.company_key = u.company_key WHERE u.user_id = $id",
        {"id": user_id},
    )
    names = [each[0] for each in found.description or ()]
    row = found.fetchone()
    if row is None:
        return None
    company_id, *rest = row
    values = dict(zip(names[1:], rest, strict=True))
    return UserRow(values["user_key"], values["company_key"], company_id, values)


@dataclass(frozen=True)
class AccountRow:
    """An account as stored; ``values`` are its columns, its properties under the names that conditions use."""

    company_key: int
    values: dict[str, Any]


def find_account(connection: duckdb.DuckDBPyConnection, account_id: str) -> AccountRow | None:
    """Return the account of that id, None when there is none."""
    found = connection.execute("SELECT c.* FROM store.companies AS c WHERE c.company_id = $id", {"id": account_id})
    names = [each[0] for each in found.description or ()]
    row = found.fetchone()
    if row is None:
        return None
    values = dict(zip(names, row, strict=True))
    return AccountRow(values["company_key"], values)


def people_of(connection: duckdb.DuckDBPyConnection, account: AccountRow) -> tuple[tuple[Person, ...], int]:
    """Return the first users of an account to sign up, and how many it has."""
    rows = connection.execute(
        f"""SELECT u.user_id, u.email, u.t0_s, u.is_internal, COUNT(*) OVER () FROM store.users AS u
        WHERE u.company_key = $company ORDER BY u.t0_s, u.user_id LIMIT {MOST_PEOPLE}""",
        {"company": account.company_key},
    ).fetchall()
    people = tuple(Person(row[0], row[1], datetime.fromtimestamp(row[2], UTC), row[3]) for row in rows)
    return people, rows[0][4] if rows else 0


def account_traits(account: AccountRow, properties: Sequence[PropertyFacts]) -> tuple[Trait, ...]:
    """Return the properties of an account, in the manifest's order; the data never say since when they hold."""
    named = [each.name for each in properties if each.scope == "company"]
    return tuple(Trait(name, True, _plain(account.values[_stored(name, account)]), None) for name in named)


def _stored(name: str, account: AccountRow) -> str:
    """Users carry the columns of their company under longer names."""
    return name if name in account.values else name.removeprefix("company_")


def traits_of(user: UserRow, properties: Sequence[PropertyFacts]) -> tuple[Trait, ...]:
    """Return the properties of a user and of the user's company, in the manifest's order."""
    return tuple(
        Trait(
            each.name,
            each.scope == "company",
            _plain(user.values[each.name]),
            _moment(user.values[each.name + SET_S] or None) if each.set_at else None,
        )
        for each in properties
        if each.scope != "event"
    )


def deals_of(connection: duckdb.DuckDBPyConnection, user_key: int | None, company_key: int | None) -> tuple[Deal, ...]:
    """Return the deals of a user (``is_own``) and those of an account, oldest first."""
    rows = connection.execute(
        """SELECT d.deal_id, COALESCE(d.user_key = $user, FALSE), d.amount, d.currency, d.stage, d.created_s,
            d.closed_s, COALESCE(d.is_won, FALSE)
        FROM store.deals AS d WHERE d.user_key = $user OR d.company_key = $company
        ORDER BY COALESCE(d.created_s, d.closed_s), d.deal_id""",
        {"user": user_key, "company": company_key},
    ).fetchall()
    return tuple(
        Deal(deal_id, is_own, amount, currency, stage, _moment(created_s), _moment(closed_s), is_won)
        for deal_id, is_own, amount, currency, stage, created_s, closed_s, is_won in rows
    )


def first_outcome(
    connection: duckdb.DuckDBPyConnection, unit: Unit, unit_key: int, outcome: Outcome
) -> datetime | None:
    """Return when the outcome first happened to a user (or the account it belongs to), or to an account."""
    sql = f"SELECT o.outcome_at_s FROM ({first_outcome_sql(unit, outcome)}) AS o WHERE o.unit = $unit"
    row = connection.execute(sql, {"unit": unit_key}).fetchone()
    return None if row is None or row[0] >= NEVER else _moment(row[0])


def day_counts(connection: duckdb.DuckDBPyConnection, user: UserRow, span_days: int) -> tuple[DayCount, ...]:
    """Return how often each event happened on each of the first days after the signup."""
    rows = connection.execute(
        f"""SELECT CAST(FLOOR(e.rel_s / {DAY_S}) AS INTEGER) AS day, CAST(e.event AS VARCHAR) AS event, COUNT(*)
        FROM store.events AS e WHERE e.user_key = $user AND e.rel_s >= 0 AND e.rel_s < $span
        GROUP BY ALL ORDER BY day, event""",
        {"user": user.user_key, "span": span_days * DAY_S},
    ).fetchall()
    return tuple(DayCount(*row) for row in rows)


def event_totals(connection: duckdb.DuckDBPyConnection, user: UserRow) -> tuple[int, int]:
    """Return how many events the user has, and how many of them lie before the signup."""
    sql = "SELECT COUNT(*), COUNT(*) FILTER (WHERE e.rel_s < 0) FROM store.events AS e WHERE e.user_key = $user"
    row = connection.execute(sql, {"user": user.user_key}).fetchone()
    assert row is not None
    return row[0], row[1]


def recent_events(
    connection: duckdb.DuckDBPyConnection, user: UserRow, properties: Sequence[PropertyFacts]
) -> tuple[EventRow, ...]:
    """Return the last ``RECENT_EVENTS`` events, newest first, with the properties that have a value."""
    named = [each.name for each in properties if each.scope == "event"]
    details = "".join(f", LEFT(CAST({column('e', name)} AS VARCHAR), {MOST_DETAIL})" for name in named)
    rows = connection.execute(
        f"""SELECT epoch(e.ts)::DOUBLE, CAST(e.event AS VARCHAR), e.rel_s{details}
        FROM store.events AS e WHERE e.user_key = $user ORDER BY e.ts DESC, e.event, e.n DESC LIMIT {RECENT_EVENTS}""",
        {"user": user.user_key},
    ).fetchall()
    return tuple(
        EventRow(
            datetime.fromtimestamp(row[0], UTC),
            row[1],
            row[2] / DAY_S,
            {name: value for name, value in zip(named, row[3:], strict=True) if value},
        )
        for row in rows
    )


def _plain(value: Any) -> str | int | float | bool | None:
    return value if value is None or isinstance(value, str | int | float | bool) else str(value)


def _moment(epoch_s: int | None) -> datetime | None:
    return None if epoch_s is None else datetime.fromtimestamp(epoch_s, UTC)
