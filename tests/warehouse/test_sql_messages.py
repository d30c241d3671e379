"""DuckDB's refusals of a running query, said in the user's words and at the user's place."""

from __future__ import annotations

from collections.abc import Iterator

import duckdb
import pytest

from beton.errors import SqlError
from beton.warehouse.sandbox.messages import friendly
from beton.warehouse.sandbox.statement import body

TABLES = (
    "WITH events AS NOT MATERIALIZED (SELECT u.user_id, e.event, e.timestamp, e.properties, e.rel_s / 86400.0 AS"
    " days_since_signup FROM snapshot.store.events AS e JOIN snapshot.store.users AS u USING (user_key)),"
    " users AS NOT MATERIALIZED (SELECT user_id, email, company_size, signed_up_at FROM snapshot.store.users) "
)


@pytest.fixture(scope="module")
def engine() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        connection.execute("ATTACH ':memory:' AS snapshot; CREATE SCHEMA snapshot.store")
        connection.execute(
            """CREATE TABLE snapshot.store.users AS SELECT * FROM (VALUES
                (0, 'ann', 'ann@acme.com', 60, TIMESTAMP '2024-01-01', 0), (1, 'bob', 'bob@acme.com', 5,
                TIMESTAMP '2024-01-02', 0)) AS t(user_key, user_id, email, company_size, signed_up_at, t0_s)"""
        )
        connection.execute(
            """CREATE TABLE snapshot.store.events AS SELECT 0 AS user_key, 'login' AS event, 60 AS rel_s,
                TIMESTAMP '2024-01-02' AS timestamp, '{"plan": "pro"}'::JSON AS properties"""
        )
        yield connection


def refusal(engine: duckdb.DuckDBPyConnection, sql: str) -> SqlError:
    """Run a query as the sandbox does, and return its refusal."""
    with pytest.raises(duckdb.Error) as refused:
        engine.execute(f"{TABLES}SELECT * FROM (\n{body(sql)}\n) AS q").fetchall()
    return friendly(type(refused.value).__name__, str(refused.value), sql)


SAID = {
    "SELECT user_idd FROM events": ("There is no column user_idd; did you mean user_id?", 1, 8),
    "SELECT e.user_idd\nFROM events AS e": ("There is no column user_idd in e.", 1, 8),
    "SELECT *\nFROM events\nWHERE evnt = 'a'": ("There is no column evnt; did you mean event?", 3, 7),
    "SELECT user_id FROM users WHERE zzz > 1": ("There is no column zzz; the nearest names: ", 1, 33),
    "SELECT user_id": ("There is no column user_id without a table: add FROM events, users", 1, 8),
    "SELECT x.user_id FROM users": ("There is no table x in this FROM; the nearest names: users.", 1, 8),
    "SELECT users.user_id FROM users AS u": ("There is no table users in this FROM; the nearest names: u.", 1, 8),
    "SELECT * EXCLUDE (foo) FROM users": ("There is no column foo for EXCLUDE", None, None),
    "SELECT user_id\nFROM events AS e, users AS u": (
        "More than one table has a column user_id: write e.user_id or u.user_id.", 1, 8,
    ),
    "FROM users AS a JOIN events AS a ON TRUE": ("Two tables are called a: give each another name", None, None),
    "SELECT event, count(*) FROM events": (
        "event is neither grouped nor aggregated: add it to GROUP BY, or write any_value(event).", 1, 8,
    ),
    "SELECT user_id FROM events WHERE count(*) > 1": ("WHERE cannot hold an aggregate such as count(*)", 1, 34),
    "SELECT 1 FROM users WHERE row_number() OVER () = 1": ("WHERE cannot hold a window function: put", 1, 27),
    "SELECT lag(event) FROM events": ("This window function has no OVER: write OVER", 1, 8),
    "SELECT sum(count(*)) FROM events": ("An aggregate cannot hold another one", 1, 12),
    "SELECT email + 1 FROM users": ("+ does not work with (VARCHAR, INTEGER): convert a value with CAST(", 1, 14),
    "SELECT 1 FROM events WHERE event LIKE 5": ("LIKE does not work with (VARCHAR, INTEGER)", 1, 34),
    "SELECT lower(1, 2)": ("lower does not work with (INTEGER, INTEGER)", 1, 8),
    "SELECT if(1, 2)": ("if takes other arguments: check how many there are.", 1, 8),
    "SELECT 1 FROM events WHERE timestamp > 5": ("TIMESTAMP and INTEGER cannot be compared: convert one", 1, 28),
    "SELECT 1 FROM users WHERE company_size = 'big'": ("'big' is not a value of type INTEGER: correct it", 1, 42),
    "SELECT email::INT FROM users": ("'ann@acme.com' is not a value of type INTEGER", 1, 13),
    "SELECT DATE 'tomorrow'": ('"tomorrow" is not a value of type date', 1, 8),
    "SELECT TIMESTAMP '2024-13-45'": ('"2024-13-45" is not a value of type timestamp', 1, 8),
    "SELECT 300::TINYINT": ("300 is not a value of type INT8", 1, 11),
    "SELECT {'plan': 1}.plam": ("There is no field plam; did you mean plan?", None, None),
    "SELECT (list(user_id)[1]).x FROM users": ("x cannot be taken from this value", None, None),
    "SELECT (SELECT user_id FROM users)": ("A subquery used as a value gave several rows: use IN", None, None),
    "SELECT 1 IN (SELECT 1, 2)": ("This subquery returns 2 columns where 1 is needed", 1, 13),
    "SELECT 1 UNION SELECT 1, 2": ("Both sides of UNION, INTERSECT and EXCEPT need as many columns", None, None),
    "SELECT 1 // 0": ("The query divides by zero: write nullif(..., 0) round the divisor.", None, None),
    "SELECT 9223372036854775807 + 1": ("A number becomes too large in this addition", None, None),
    "SELECT date_trunc('moon', timestamp) FROM events": ("There is no part of a date called moon", None, None),
    "SELECT json_extract(event, '$.a') FROM events": ('"login" is not JSON: use properties', None, None),
    "SELECT 1 FROM events WHERE properties -> '$.n' > 3": ("Put brackets round what is taken", None, None),
    "SELECT list_transform([1], x -> x)": ("Write lambda x: ... in place of x -> ...", None, None),
    "SELECT strptime(event, '%Y') FROM events": ('"login" does not have the format "%Y"', None, None),
    "SELECT unnest(1)": ("unnest takes a list, not INTEGER", 1, 8),
    "SELECT 1 ORDER BY 5": ("ORDER BY counts columns from 1 to 1", 1, 19),
    "SELECT 1 LIMIT -1": ("LIMIT and OFFSET cannot be negative", 1, 16),
    "FROM events JOIN users USING (foo)": ("There is no column foo on the left of this join", None, None),
    "SELECT COLUMNS('zzz') FROM users": ("No column has such a name here", 1, 8),
    "SELECT (1, 2) = (1, 2, 3)": ("The two sides have different numbers of values", 1, 17),
    "SELECT printf('%d', 'a')": ("Invalid type specifier", None, None),
}  # fmt: skip


@pytest.mark.parametrize(("sql", "said"), SAID.items(), ids=SAID)
def test_a_failure_is_said_plainly_and_at_its_place(
    sql: str, said: tuple[str, int | None, int | None], engine: duckdb.DuckDBPyConnection
) -> None:
    start, line, column = said
    error = refusal(engine, sql)
    message = str(error)
    assert message.startswith(start)
    assert (error.line, error.column) == (line, column)
    assert message.endswith((".", "?"))
    assert len(message) <= 300
    for own in ("snapshot", "store.", "user_key", "rel_s", "LINE ", "\n", " SET ", "Error:", "^"):
        assert own not in message


def test_a_place_in_a_long_line_is_found(engine: duckdb.DuckDBPyConnection) -> None:
    """DuckDB shows a part of a long line only, between dots."""
    sql = f"SELECT {'1 + ' * 30}zzz{' + 1' * 30} FROM users"
    error = refusal(engine, sql)
    assert (error.line, error.column) == (1, sql.index("zzz") + 1)


def test_a_place_after_wide_characters_is_found(engine: duckdb.DuckDBPyConnection) -> None:
    sql = "SELECT '💥💥💥 見る', 'é', zzz, '見' FROM users"
    error = refusal(engine, sql)
    assert (error.line, error.column) == (1, sql.index("zzz") + 1)


@pytest.mark.parametrize("column", ["user_key", "rel_s", "t0_s"])
def test_candidates_of_ours_are_not_offered(column: str) -> None:
    candidates = f'Candidate bindings: "{column}", "email"'
    message = f'Binder Error: Referenced column "usr" not found in FROM clause!\n{candidates}'
    said = str(friendly("BinderException", message, "SELECT usr"))
    assert said == "There is no column usr; the nearest names: email."


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("IOException", 'IO Error: Cannot open file "/srv/data/store.duckdb": No such file or directory'),
        ("PermissionException", "Permission Error: file system LocalFileSystem has been disabled by configuration"),
        ("InternalException", "INTERNAL Error: Attempted to access index 3 within vector\nStack Trace:\n0 duckdb::Foo"),
        ("CatalogException", 'Catalog Error: Type with name x does not exist! Did you mean "snapshot.store.x"?'),
        ("BinderException", "Binder Error: something about snapshot.store.users and user_key"),
        ("BinderException", "Binder Error: use SET foo=true to go on"),
        ("InvalidInputException", "Invalid Input Error: cannot open /srv/data/file"),
        ("BinderException", ""),
        ("", "\n\n"),
    ],
)
def test_what_is_ours_never_comes_through(kind: str, message: str) -> None:
    error = friendly(kind, message, "SELECT 1")
    assert str(error) == "The query cannot be run as it stands: check its columns, types and functions."
    assert (error.line, error.column) == (None, None)


def test_a_place_in_our_own_lines_is_not_the_users() -> None:
    for line in (1, 4, 99):
        error = friendly(
            "BinderException", f"Binder Error: odd thing\n\nLINE {line}: x\n        ^", "SELECT 1\nFROM users"
        )
        assert (error.line, error.column) == (None, None)
        assert str(error) == "odd thing: change the query here and run it again."


def test_a_message_stays_short_and_is_not_markup_of_ours() -> None:
    name = "<b>" + "x" * 5000
    message = f'Binder Error: Referenced column "{name}" not found in FROM clause!'
    error = friendly("BinderException", message, "SELECT 1")
    assert str(error).startswith("There is no column <b>xxx")
    assert len(str(error)) <= 300
    assert len(str(friendly("BinderException", "Binder Error: " + "y" * 5000, "SELECT 1"))) <= 300


def test_braces_in_a_name_are_only_text() -> None:
    message = 'Binder Error: Ambiguous reference to table "{name}{0}" (duplicate alias)'
    assert str(friendly("BinderException", message, "SELECT 1")).startswith("Two tables are called {name}{0}: give")
