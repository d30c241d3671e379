"""Whom a query names and when, in the sandbox; and queries that read other units' future are refused."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from journeys import Journeys

from beton.errors import SqlError
from beton.model.outcome import Unit
from beton.warehouse.compile import NEVER
from beton.warehouse.core.arrays import Core
from beton.warehouse.reader import Warehouse
from beton.warehouse.sandbox.answers import Asker, first_rows, matched_s
from beton.warehouse.sandbox.pool import Sandbox
from beton.warehouse.views import Cut, columns_of

DAY = 86_400
USERS = 120


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    """A user signs up every day, and a colleague 60 days later; each third one exports a report on its third day."""
    people = Journeys(tmp_path_factory.mktemp("company"), data_end="2024-12-31")
    for number in range(USERS):
        company = f"c{number % 60:03d}"
        month, day = divmod(number, 28)
        people.user(
            f"u{number:03d}", signed_up=f"2024-{1 + month:02d}-{1 + day:02d}", company=company, company_size=number
        )
        people.did("login", after_days=1).did("login", after_days=9)
        if number % 3 == 0:
            people.did("export", after_days=2.5, page_path=f"/report/{number}")
        people.did("late", after_days=20)
        if number % 5 == 0:
            people.won(after_days=40, created_after_days=4, amount=100)
    return people.build()


@pytest.fixture(scope="module")
def asker(warehouse: Warehouse) -> Iterator[Asker]:
    sandbox = Sandbox(warehouse.database)
    with warehouse.connection() as connection:
        columns = columns_of(connection)
    yield Asker(sandbox, columns, "ann")
    sandbox.close()


@pytest.fixture(scope="module")
def core(warehouse: Warehouse) -> Core:
    return warehouse.core()


def named(asker: Asker, core: Core, sql: str, unit: Unit = "user", days: float = 14) -> dict[int, float]:
    """Key of each unit that the query names -> days after its time zero."""
    units = core.users if unit == "user" else core.companies
    found = matched_s(asker, sql, Cut(unit, round(days * DAY)), units)
    return {int(key): float(found[key]) / DAY for key in np.flatnonzero(found < NEVER)}


THIRDS = dict.fromkeys(range(0, USERS, 3), 14.0)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT DISTINCT user_id FROM events WHERE event = 'export'",
        "SELECT user_id FROM events WHERE event = 'export'; -- those who export",
        "SELECT user_id, COUNT(*) AS times, 'x' AS other FROM events WHERE event = 'export' GROUP BY 1",
        "SELECT e.user_id AS \"USER_ID\" FROM events AS e WHERE e.event = 'export'",
        "WITH named AS (SELECT user_id FROM events WHERE event = 'export') SELECT * FROM named",
        "SELECT user_id FROM events WHERE event = 'export' ORDER BY user_id",
        "SELECT user_id FROM events WHERE event = 'export' UNION SELECT NULL",
    ],
)
def test_a_query_names_its_users_and_they_match_at_the_landmark(asker: Asker, core: Core, sql: str) -> None:
    assert named(asker, core, sql) == THIRDS


@pytest.mark.parametrize(
    "columns", ["user_id, timestamp AS matched_at", "user_id, timestamp", "timestamp AS AT, user_id", "*"]
)
def test_a_time_says_when(asker: Asker, core: Core, columns: str) -> None:
    sql = f"SELECT {columns} FROM events WHERE event = 'export'"
    assert named(asker, core, sql) == dict.fromkeys(THIRDS, 2.5)


def test_the_time_called_matched_at_goes_before_the_others(asker: Asker, core: Core) -> None:
    sql = "SELECT user_id, timestamp, signed_up_at AS matched_at FROM events JOIN users USING (user_id)"
    assert set(named(asker, core, f"{sql} WHERE event = 'export'").values()) == {0.0}


def test_of_several_times_the_earliest_counts(asker: Asker, core: Core) -> None:
    sql = "SELECT user_id, timestamp AS matched_at FROM events WHERE event = 'login'"
    assert named(asker, core, sql) == dict.fromkeys(range(USERS), 1.0)


def test_a_time_outside_the_window_is_put_on_its_edge(asker: Asker, core: Core) -> None:
    shifted = "SELECT user_id, timestamp + INTERVAL ({}) DAY AS matched_at FROM events WHERE event = 'export'"
    assert named(asker, core, shifted.format(60)) == THIRDS
    assert named(asker, core, shifted.format(-60)) == dict.fromkeys(THIRDS, 0.0)


def test_what_comes_after_the_landmark_is_not_there(asker: Asker, core: Core) -> None:
    assert named(asker, core, "SELECT user_id FROM events WHERE event = 'late'") == {}
    assert len(named(asker, core, "SELECT user_id FROM events WHERE event = 'late'", days=21)) == USERS
    closed = named(asker, core, "SELECT user_id FROM deals WHERE is_won OR closed_at IS NOT NULL")
    assert set(closed) == set(range(60, USERS, 5))  # what a colleague bought before them
    opened = named(asker, core, "SELECT user_id FROM deals WHERE created_at IS NOT NULL AND amount IS NULL")
    assert set(range(0, USERS, 5)) <= set(opened)


def test_accounts_are_named_by_company_id(asker: Asker, core: Core) -> None:
    sql = "SELECT company_id, MIN(timestamp) AS matched_at FROM events WHERE event = 'export' GROUP BY company_id"
    found = named(asker, core, sql, "account", days=3)
    assert found == dict.fromkeys(range(0, 60, 3), 2.5)


@pytest.mark.parametrize(
    ("sql", "fix"),
    [
        ("SELECT company_id FROM users", "select user_id"),
        ("SELECT 'nobody' AS user_id", "user_id of users in the data"),
        ("SELECT user_id, page_path AS matched_at FROM events", "time"),
        ("SELECT usr_id FROM users", "user_id"),
        ("SELECT user_id FROM events WHERE event = = 'x'", "="),
    ],
)
def test_a_query_that_names_nobody_is_refused_with_the_fix(asker: Asker, core: Core, sql: str, fix: str) -> None:
    with pytest.raises(SqlError) as refused:
        named(asker, core, sql)
    assert fix in str(refused.value)
    assert "snapshot" not in str(refused.value)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT user_id FROM users WHERE company_id IN"
        " (SELECT company_id FROM users GROUP BY company_id HAVING COUNT(*) = 2)",
        "SELECT user_id FROM users ORDER BY md5(user_id) LIMIT 40",
        "SELECT user_id FROM users QUALIFY PERCENT_RANK() OVER (ORDER BY signed_up_at) > 0.3",
        "SELECT user_id FROM users WHERE (SELECT COUNT(*) FROM users) > 100",
    ],
)
def test_a_query_that_reads_the_future_of_others_is_refused(asker: Asker, core: Core, sql: str) -> None:
    with pytest.raises(SqlError, match="looks into the future"):
        named(asker, core, sql)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT e.user_id FROM users e JOIN users d USING (company_id)"
        " WHERE d.signed_up_at BETWEEN e.signed_up_at + INTERVAL 50 DAY AND e.signed_up_at + INTERVAL 70 DAY",
        "SELECT e.user_id FROM users e JOIN deals d USING (company_id)"
        " WHERE d.is_won AND d.closed_at < e.signed_up_at + INTERVAL 41 DAY",
    ],
)
def test_a_short_look_at_colleagues_to_come_is_refused_far_from_the_hidden_day(
    asker: Asker, core: Core, sql: str
) -> None:
    with pytest.raises(SqlError, match="what colleagues did later"):
        named(asker, core, sql + " AND e.signed_up_at < TIMESTAMP '2024-01-15'")


def test_what_depends_on_the_order_of_rows_is_the_same_each_time(asker: Asker, core: Core) -> None:
    sql = "SELECT user_id FROM events GROUP BY user_id HAVING last(event) = 'login'"
    assert len({tuple(sorted(named(asker, core, sql))) for _ in range(5)}) == 1


def test_colleagues_may_be_read_as_far_as_they_came_before(asker: Asker, core: Core) -> None:
    sql = (
        "SELECT u.user_id FROM users AS u JOIN users AS o ON o.company_id = u.company_id"
        " WHERE o.signed_up_at < u.signed_up_at"
    )
    assert set(named(asker, core, sql)) == set(range(60, USERS))


def test_the_first_rows_come_with_types_and_the_number_of_all(asker: Asker) -> None:
    found = first_rows(asker, "SELECT user_id, days_since_signup, NULL AS x FROM events", Cut("user", 14 * DAY))
    assert [name for name, _ in found.columns] == ["user_id", "days_since_signup", "x"]
    assert found.columns[1][1] == "DOUBLE"
    assert len(found.rows) == 50
    assert found.total_rows == USERS * 2 + len(THIRDS)
    assert found.rows[0][2] is None
    assert found.seconds > 0
    assert found.bytes > 0


def test_a_long_cell_is_cut_and_markup_stays_text(asker: Asker) -> None:
    found = first_rows(asker, "SELECT STRING_AGG('<b>', '') AS x FROM users, users AS others", Cut("user", DAY))
    assert found.rows == (("<b>" * 66 + "<b",),)
