"""Which queries look at one unit at a time: those that do need no second asking, all others get one."""

from __future__ import annotations

import pytest

from beton.warehouse.sandbox.own_rows import reads_own_rows
from store.sql_draft import START_SQL


@pytest.mark.parametrize(
    "sql",
    [
        START_SQL,
        "SELECT user_id FROM events",
        "SELECT USER_ID, timestamp AS matched_at FROM Events AS e WHERE e.event IN ('a', 'b') ORDER BY timestamp",
        "SELECT e.user_id AS user_id, lower(page_path) AS p FROM events e WHERE p LIKE '/p%' OR NOT page_path IS NULL",
        "SELECT user_id FROM events GROUP BY user_id HAVING COUNT(*) >= 3 AND COUNT(DISTINCT event) > 1",
        "SELECT user_id, MIN(timestamp) AS at FROM events WHERE event = 'x' GROUP BY user_id, page_path",
        "SELECT user_id FROM users WHERE user_id NOT IN (SELECT user_id FROM events WHERE event = 'x')",
        "SELECT user_id FROM deals WHERE is_won AND CASE WHEN amount > 5 THEN TRUE ELSE closed_at IS NULL END",
        "SELECT user_id FROM users WHERE user_id IN (SELECT user_id FROM events GROUP BY user_id HAVING COUNT(*) > 2)",
        "SELECT user_id FROM events WHERE properties->>'kind' = 'x' AND timestamp::DATE > DATE '2024-01-01'",
        "SELECT user_id FROM events;",
    ],
)
def test_rows_of_one_user_at_a_time(sql: str) -> None:
    assert reads_own_rows(sql, "user")


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT company_id FROM companies WHERE company_size > 50",
        "SELECT company_id FROM events GROUP BY company_id HAVING COUNT(DISTINCT user_id) > 1",
    ],
)
def test_rows_of_one_account_at_a_time(sql: str) -> None:
    assert reads_own_rows(sql, "account")
    assert not reads_own_rows(sql, "user")


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT user_id FROM events LIMIT 5",
        "SELECT user_id FROM events ORDER BY timestamp LIMIT 5",
        "SELECT DISTINCT ON (event) user_id FROM events",
        "SELECT any_value(user_id) AS user_id FROM events",
        "SELECT MAX(user_id) AS user_id FROM events",
        "SELECT email AS user_id FROM users",
        "SELECT user_id, email AS user_id FROM users",
        "SELECT * FROM users",
        "SELECT user_id FROM users WHERE company_size > (SELECT AVG(company_size) FROM users)",
        "SELECT user_id FROM users WHERE company_id IN (SELECT company_id FROM users WHERE plan = 'pro')",
        "SELECT user_id FROM users WHERE email IN (SELECT user_id FROM users)",
        "SELECT user_id FROM users WHERE user_id IN (SELECT email FROM users)",
        "SELECT user_id FROM users WHERE user_id IN (SELECT user_id FROM users LIMIT 3)",
        "SELECT user_id FROM users WHERE user_id > ANY (SELECT user_id FROM users)",
        "SELECT user_id FROM users AS u WHERE EXISTS (SELECT 1 FROM events AS e WHERE e.user_id = u.user_id)",
        "SELECT user_id FROM users WHERE (SELECT COUNT(*) FROM events) > 10",
        "SELECT u.user_id FROM users AS u JOIN events AS e USING (user_id)",
        "SELECT user_id FROM users, events",
        "SELECT user_id FROM events GROUP BY ALL",
        "SELECT user_id FROM events GROUP BY event, user_id HAVING COUNT(*) > (SELECT COUNT(*) FROM users)",
        "SELECT event AS user_id FROM events GROUP BY event",
        "SELECT user_id FROM events QUALIFY ROW_NUMBER() OVER (ORDER BY timestamp) < 9",
        "SELECT user_id, ROW_NUMBER() OVER (ORDER BY timestamp) AS n FROM events ORDER BY 2",
        "SELECT user_id FROM users UNION SELECT user_id FROM events",
        "WITH e AS (SELECT user_id FROM events LIMIT 3) SELECT user_id FROM e",
        "SELECT user_id FROM (SELECT user_id FROM events LIMIT 3) AS x",
        "SELECT user_id FROM users WHERE list_contains([x FOR x IN ['a']], plan) AND MEDIAN(1) > 0",
        "SELECT unnest(['u1', user_id]) AS user_id FROM users",
        "SELECT 'u1' AS user_id",
        "SELECT user_id FROM range(3) AS r(user_id)",
        # The id of another row: of a query around this one, or of what an event says.
        "SELECT e.user_id FROM users AS e WHERE e.user_id IN"
        " (SELECT e.user_id FROM deals AS m WHERE m.company_id = e.company_id AND m.is_won)",
        "SELECT e.user_id FROM users AS e WHERE e.user_id IN"
        " (SELECT m.user_id FROM users AS m WHERE e.user_id IN (SELECT x.user_id FROM users AS x))",
        "SELECT e.user_id FROM users AS e WHERE e.user_id IN"
        " (SELECT m.user_id FROM deals AS m GROUP BY e.user_id, m.company_id)",
        "SELECT properties.user_id FROM events",
        "SELECT properties.user_id FROM events AS properties",
        "SELECT user_id FROM events GROUP BY events.properties.user_id, page_path",
        "SELECT e.user_id FROM events AS e WHERE e.properties.user_id IN (SELECT user_id FROM deals)",
        # Rows of all users at once.
        "SELECT user_id FROM users WHERE user_id NOT IN (SELECT user_id FROM users GROUP BY ROLLUP (user_id))",
        "SELECT user_id FROM users GROUP BY GROUPING SETS ((user_id), ())",
        "SELECT user_id FROM users GROUP BY CUBE (user_id, plan)",
        # The order of rows decides.
        "SELECT user_id FROM events GROUP BY user_id HAVING last(event) = 'pageview'",
        "SELECT user_id, first(timestamp) AS at FROM events GROUP BY user_id",
        "SELECT user_id FROM events GROUP BY user_id HAVING mode(page_path) = '/pricing'",
        "SELECT user_id FROM events GROUP BY user_id HAVING hash(string_agg(event)) % 2 = 0",
    ],
)
def test_everything_else_is_asked_twice(sql: str) -> None:
    assert not reads_own_rows(sql, "user")
