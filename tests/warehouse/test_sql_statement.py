"""The check of a query: what it lets pass and runs, what it refuses and how it says so."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator

import duckdb
import pytest

from beton.errors import SqlError
from beton.model.signal import MAX_SQL_BYTES
from beton.warehouse.sandbox import statement
from beton.warehouse.sandbox.functions import ALLOWED, FIX, REFUSED, TABLE_FUNCTIONS
from beton.warehouse.sandbox.grammar import EXPRESSION_FIELDS, EXPRESSIONS, TYPES
from beton.warehouse.sandbox.statement import body, check
from store.sql_draft import START_SQL

LEGITIMATE = {
    "prd": START_SQL,
    "lateral": "SELECT u.user_id FROM users AS u, LATERAL (SELECT count(*) AS n FROM events AS e"
    " WHERE e.user_id = u.user_id) AS c WHERE c.n > 0",
    "asof": "SELECT e.user_id FROM events AS e ASOF JOIN deals AS d"
    " ON e.user_id = d.user_id AND e.timestamp >= d.created_at",
    "windows": "SELECT user_id, row_number() OVER w AS n, lag(timestamp) OVER w AS before, sum(days_since_signup)"
    " FILTER (WHERE event = 'login') OVER (PARTITION BY user_id ORDER BY timestamp ROWS BETWEEN 1 PRECEDING AND"
    " CURRENT ROW EXCLUDE TIES) AS s FROM events WINDOW w AS (PARTITION BY user_id ORDER BY timestamp)",
    "qualify": "SELECT user_id FROM events QUALIFY row_number() OVER (PARTITION BY user_id ORDER BY timestamp) = 2",
    "recursive": "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t WHERE n < 5) SELECT n FROM t",
    "comprehension": "SELECT [upper(x) FOR x IN list(event) IF x <> 'login'] AS names FROM events GROUP BY user_id",
    "lambda": "SELECT list_filter(list(days_since_signup), lambda d: d < 3) AS early FROM events GROUP BY user_id",
    "exclude": "SELECT * EXCLUDE (properties) REPLACE (lower(event) AS event) FROM events",
    "columns": "SELECT min(COLUMNS('.*_id')), COLUMNS(lambda c: c LIKE 'days%') FROM events GROUP BY ALL",
    "union by name": "SELECT user_id FROM events UNION BY NAME SELECT email, user_id FROM users",
    "group by all": "SELECT user_id, count(*) AS n FROM events GROUP BY ALL HAVING n >= 2 ORDER BY ALL",
    "grouping sets": "SELECT user_id, event, grouping(event) FROM events GROUP BY GROUPING SETS ((user_id), (event))",
    "filter": "SELECT user_id FROM events GROUP BY 1 HAVING count(*) FILTER (WHERE event = 'login') > 1",
    "case": "SELECT CASE WHEN company_size > 50 THEN 'big' ELSE coalesce(country, '?') END AS size FROM users",
    "date_trunc": "SELECT date_trunc('week', timestamp) AS week, count(*) FROM events GROUP BY 1",
    "json": "SELECT user_id FROM events WHERE (properties ->> 'plan') = 'pro' OR (properties -> '$.seats')::INT > 3",
    "between": "SELECT user_id FROM users WHERE signed_up_at BETWEEN TIMESTAMP '2024-01-01' AND '2024-02-01'",
    "exists": "SELECT user_id FROM users AS u WHERE EXISTS (SELECT 1 FROM deals WHERE deals.user_id = u.user_id)",
    "any_value": "SELECT any_value(event), arg_max(event, timestamp) FROM events GROUP BY user_id",
    "text": "SELECT user_id FROM users WHERE lower(split_part(email, '@', 2)) SIMILAR TO '[a-z.]+'"
    " AND email NOT ILIKE 'test%' AND regexp_matches(email, '^a') AND email[1] = 'a'",
    "comments": "/* a */ SELECT -- b\n user_id /* c /* d */ */ FROM events -- ;",
    "quoted": 'SELECT "user_id" AS "who; -- is" FROM "events" AS "e""e"',
    "unicode": "SELECT 'ünïcode 💥' AS \"ключ\", user_id FROM events WHERE event <> '見る'",
    "unnest": "SELECT user_id, unnest(json_keys(properties)) AS key FROM events",
    "table functions": "SELECT * FROM range(3) AS r(i), generate_series(1, 2) AS g(j), unnest([7, 8]) AS u(k)",
    "from first": "FROM users SELECT user_id WHERE country = 'DE' LIMIT 5",
    "values": "VALUES ('ann'), ('bob')",
    "table": "TABLE users",
    "intervals": "SELECT user_id FROM events WHERE timestamp < (SELECT min(signed_up_at) FROM users) + INTERVAL 7 DAY",
    "age of two": "SELECT age(e.timestamp, u.signed_up_at) FROM events AS e JOIN users AS u USING (user_id)",
    "nested names": "WITH a AS (SELECT user_id FROM users), b AS (WITH c AS (FROM a) FROM c) SELECT * FROM b",
    "upper case": "SELECT USER_ID FROM EVENTS WHERE COUNTRY_OF IS NULL".replace("COUNTRY_OF", "PAGE_PATH"),
    "array": "SELECT ARRAY(SELECT event FROM events), #1 FROM users",
    "struct": "SELECT {'a': 1, 'b': [2]}.b[1], map {'k': 1}['k'], (1, 2)[1], struct_pack(x := 1).x",
    "casts": "SELECT '1'::INT, CAST('2024-01-01' AS TIMESTAMP), TRY_CAST('x' AS DECIMAL(5, 2)), '[1]'::INT[],"
    " '{}'::JSON, a::STRUCT(b INT) FROM (SELECT {'b': 1} AS a)",
}


@pytest.fixture(scope="module")
def engine() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        connection.execute(
            """CREATE TABLE users AS SELECT 'ann' AS user_id, 'ann@acme.com' AS email, 'acme' AS company_id,
                TIMESTAMP '2024-01-01' AS signed_up_at, 60 AS company_size, 'DE' AS country;
            CREATE TABLE events AS SELECT 'ann' AS user_id, 'login' AS event, TIMESTAMP '2024-01-02' AS timestamp,
                1.0::DOUBLE AS days_since_signup, '/' AS page_path, '{"plan": "pro", "seats": 4}'::JSON AS properties;
            CREATE TABLE companies AS SELECT 'acme' AS company_id;
            CREATE TABLE deals AS SELECT 'd' AS deal_id, 'ann' AS user_id, TIMESTAMP '2024-01-01' AS created_at"""
        )
        yield connection


@pytest.mark.parametrize("sql", LEGITIMATE.values(), ids=LEGITIMATE)
def test_what_a_signal_may_need_passes_and_runs(sql: str, engine: duckdb.DuckDBPyConnection) -> None:
    check(sql)
    text = f"SELECT * FROM (\n{body(sql)}\n)"
    assert len(duckdb.extract_statements(text)) == 1
    engine.execute(text).fetchall()


REFUSED_QUERIES = {
    "SELECT * FROM orders": "The table orders does not exist; did you mean deals?",
    "SELECT * FROM event": "The table event does not exist; did you mean events?",
    "SELECT * FROM nowhere": "The table nowhere does not exist: a query may read events, users",
    "SELECT * FROM 'a.csv'": "Files cannot be read: a query may read events",
    "SELECT * FROM read_csv('a')": "read_csv is not available: a query may read events, users, companies and deals",
    "SELECT * FROM main.events": "Write events without a name and a dot before it.",
    "SELECT * FROM snapshot.store.users": "Write users without a name and a dot before it.",
    "SELECT main.lower('a')": "Write lower without a name and a dot before it.",
    "SELECT 1::main.mood": "Write the type mood without a name and a dot before it.",
    "SELECT 1::mood": "There is no type mood: use",
    "SELECT 1; SELECT 2": "Only one SELECT: remove what follows the semicolon.",
    "SELECT 1; DROP TABLE users": "Only one SELECT: remove what follows the semicolon.",
    "DROP TABLE users": "DROP is not available: a query may only read.",
    "EXPLAIN SELECT 1": "EXPLAIN is not available: a query may only read.",
    "WITH x AS (DELETE FROM users RETURNING *) FROM x": "DELETE is not available: a query may only read.",
    "WITH Users AS (SELECT 1) FROM users": "WITH cannot rename users: take another name, such as my_users.",
    "SELECT lenght('a')": "There is no function lenght for queries; did you mean length?",
    "SELECT now()": "now is not available: a query must give the same answer whenever it is asked; use timestamp,",
    "SELECT Current_Date": "Current_Date is not available: a query must give the same answer",
    'SELECT "localtimestamp"': "localtimestamp is not available: a query must give the same answer",
    "SELECT session_user": "session_user is not available: a query may read events",
    "SELECT age(signed_up_at) FROM users": "age with one time is not available",
    "SELECT random()": "random is not available: a query must give the same answer",
    "SELECT user_id FROM users ORDER BY uuid()": "uuid is not available: a query must give",
    "SELECT getvariable('a')": "getvariable is not available: a query may read",
    "SELECT list_aggregate([1], 'reservoir_quantile')": "list_aggregate is not available: call the function itself",
    "SELECT count(*) OVER (ORDER BY random()) FROM users": "random is not available",
    "SELECT list_transform([1], x -> getenv(x))": "There is no function getenv for queries",
    "SELECT COLUMNS(c -> current_setting(c) = '') FROM users": "current_setting is not available",
    "SELECT * REPLACE (random() AS user_id) FROM users": "random is not available",
    "SELECT * FROM range(10), range((SELECT count(*) FROM secret))": "The table secret does not exist",
    "SELECT 1 LIMIT (SELECT count(*) FROM duckdb_tables)": "The table duckdb_tables does not exist",
    "SELECT $1": "A query has no parameters: write the value itself in place of ? or $1.",
    "SELECT ?, $name": "A query has no parameters",
    "SELECT * FROM users TABLESAMPLE 10%": "TABLESAMPLE is not available, as it may draw other rows each time",
    "SELECT * FROM users USING SAMPLE reservoir(5 ROWS) REPEATABLE (1)": "TABLESAMPLE is not available",
    "SELECT * FROM users AT (VERSION => 1)": "AT is not available: there is one state of the data.",
    "DESCRIBE users": "SHOW, DESCRIBE and SUMMARIZE are not available: write SELECT",
    "SELECT * FROM (SHOW ALL TABLES)": "SHOW, DESCRIBE and SUMMARIZE are not available",
    "SUMMARIZE users": "SHOW, DESCRIBE and SUMMARIZE are not available",
    "PIVOT events ON event": "PIVOT and UNPIVOT are not available: use count(*) FILTER (WHERE ...)",
    "SELECT * FROM (PIVOT events ON event)": "PIVOT and UNPIVOT are not available",
    "SELECT * FROM users UNPIVOT (v FOR n IN (email))": "PIVOT and UNPIVOT are not available",
    "SELECT sum(a) EXPORT_STATE FROM users": "EXPORT_STATE is not available: use the aggregate itself.",
    "SELECT DEFAULT": "DEFAULT has no meaning in a query: write the value itself.",
    "SELECT user_id FROM FROM events": 'The query cannot be read at "FROM": look at what is before it.',
    "SELECT (1": "The query cannot be read at",
    "SELECT 'a": "The query cannot be read: unterminated string literal.",
    "": "Write one SELECT, such as SELECT user_id FROM events.",
    " ; -- nothing": "Write one SELECT, such as SELECT user_id FROM events.",
}


@pytest.mark.parametrize(("sql", "said"), REFUSED_QUERIES.items(), ids=REFUSED_QUERIES)
def test_a_refusal_names_what_to_write_instead(sql: str, said: str) -> None:
    with pytest.raises(SqlError) as refused:
        check(sql)
    message = str(refused.value)
    assert message.startswith(said)
    assert message.endswith((".", "?"))
    assert refused.value.fields == {"sql": message}


@pytest.mark.parametrize(
    ("sql", "line", "column"),
    [
        ("SELECT a,\n  'é💥', random() FROM users", 2, 9),
        ("SELECT 1\nFROM\torders", 2, 6),
        ("SELECT 'é' fro m\nevents", 1, 16),
        ("SELECT 1 -- é\n; SELECT 2", 2, 3),
        ("-- x\nWITH events AS (SELECT 1) FROM events", 2, 6),
        ("SELECT 1\r\nFROM\r\nnowhere", 3, 1),
        ("SELECT '\x07'", 1, 9),
        ("SELECT 'a' ||\n  '\ud800'", 2, 4),
    ],
)
def test_a_refusal_points_at_the_place(sql: str, line: int, column: int) -> None:
    with pytest.raises(SqlError) as refused:
        check(sql)
    assert (refused.value.line, refused.value.column) == (line, column)


@pytest.mark.parametrize(
    "end",
    [
        "",
        ";",
        " ; ",
        ";;",
        "-- c",
        "\n-- c",
        "; -- )",
        "/* c */",
        ";/* ( */ -- '",
        " -- ;\n;\n",
        "\u00a0;",
        ";\u00a0",
        "\t\n",
    ],
)
@pytest.mark.parametrize("sql", ["SELECT user_id FROM users", "SELECT ')--' AS \"/*\"", "(SELECT 1) UNION (SELECT 2)"])
def test_what_follows_a_query_is_taken_off(sql: str, end: str) -> None:
    assert body(sql + end) == sql


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1) UNION (SELECT 2",
        "SELECT 1) AS a, (SELECT 2",
        "SELECT 1) AS a; SELECT * FROM (SELECT 1",
        "SELECT 1 /*",
        "SELECT 1 /* /* */",
        "SELECT 'a",
        'SELECT 1 AS "a',
        "SELECT $$a",
        "SELECT $a$ $$ ",
        "events",
        ") (",
        "SELECT 1 --\n) AS a --",
    ],
)
def test_nothing_breaks_out_of_the_brackets(sql: str) -> None:
    with pytest.raises(SqlError):
        body(sql)


@pytest.mark.parametrize(("sql", "end"), [("SELECT 10 AS apart", 8), ("SELECT 1 AS a, 2 AS b", 13), ("SELECT 7;", 9)])
def test_a_text_that_is_cut_wrongly_is_refused(sql: str, end: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Were DuckDB's tokens ever at odds with its parser, what would run is not what was checked."""
    monkeypatch.setattr(statement, "_end_of_first", lambda sql, raw: end)
    with pytest.raises(SqlError, match="does not stand on its own in brackets"):
        body(sql)


def test_names_of_with_hold_where_duckdb_lets_them_hold() -> None:
    """A query of WITH sees the names before it, not its own: there a table of that name would be read."""
    check("WITH a AS (SELECT 1), b AS (FROM a) SELECT * FROM a, b, (WITH c AS (FROM b) FROM c)")
    for sql in (
        "WITH secret AS (SELECT * FROM secret) SELECT * FROM secret",
        "WITH RECURSIVE secret AS (SELECT * FROM secret) SELECT * FROM secret",
        "WITH RECURSIVE secret AS (SELECT * FROM secret UNION SELECT 1) SELECT * FROM secret",
        "WITH b AS (FROM a), a AS (SELECT 1) SELECT * FROM b",
        "SELECT * FROM (WITH secret AS (SELECT 1) FROM secret), secret",
        "WITH a AS (WITH secret AS (SELECT 1) FROM secret) SELECT * FROM secret",
        "WITH secret AS (SELECT 1) SELECT * FROM main.secret",
        "WITH \u212aey AS (SELECT 1) SELECT * FROM key",
    ):
        with pytest.raises(SqlError, match=r"does not exist|without a name and a dot"):
            check(sql)


def test_size_is_bounded() -> None:
    longest = "SELECT '" + "x" * (MAX_SQL_BYTES - len("SELECT ''")) + "'"
    check(longest)
    with pytest.raises(SqlError, match="longer than 20,000 bytes"):
        check(longest + " ")


DEEP = {
    "brackets": "SELECT " + "(" * 9000 + "1" + ")" * 9000,
    "open brackets": "SELECT " + "(" * 19000,
    "lists": "SELECT " + "[" * 9000 + "]" * 9000,
    "signs": "SELECT " + "- " * 9000 + "FROM",
    "other signs": "SELECT " + "~ + " * 4000 + "FROM",
    "not": "SELECT " + "NOT " * 4000 + "TRUE",
    "sum": "SELECT 1" + " + 1" * 4000,
    "subqueries": "SELECT * FROM " + "(SELECT * FROM " * 1200 + "users" + ")" * 1200,
    "with": "WITH a AS (" * 900 + "SELECT 1" + ") SELECT 1" * 900,
    "joins": "SELECT 1 FROM users" + " JOIN users USING (a)" * 900,
    "case": "SELECT " + "CASE WHEN " * 900 + "1" + " THEN 1 END" * 900,
    "lambdas": "SELECT " + "f(x -> " * 2000 + "1" + ")" * 2000,
}


@pytest.mark.parametrize("sql", DEEP.values(), ids=DEEP)
def test_depth_is_refused_before_it_costs_anything(sql: str) -> None:
    """DuckDB's parser needs minutes for some of these."""
    with pytest.raises(SqlError, match="nested too deeply"):
        check(sql)


def test_depth_is_refused_where_little_stack_is_left() -> None:
    """A tree that the parser lets pass may still be deeper than Python can go from where it stands."""
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(200)
    try:
        with pytest.raises(SqlError, match="nested too deeply"):
            check("SELECT 1" + " + 1" * 140 + " AS deep_where_little_is_left")
    finally:
        sys.setrecursionlimit(limit)
    check("SELECT 1" + " + 1" * 140 + " AS deep_where_little_is_left")


def test_checks_run_side_by_side() -> None:
    wrong: list[str] = []

    def several(number: int) -> None:
        for i in range(20):
            try:
                check(f"SELECT {number * 1000 + i} FROM users")
                check(f"SELECT {number * 1000 + i} FROM secret")
                wrong.append("passed")
            except SqlError as refused:
                if "The table secret" not in str(refused):
                    wrong.append(str(refused))

    threads = [threading.Thread(target=several, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_every_function_of_this_duckdb_is_reviewed(engine: duckdb.DuckDBPyConnection) -> None:
    """Names that an upgrade adds or drops make this fail: review them, then add or remove them."""
    rows = engine.execute("SELECT function_name, function_type FROM duckdb_functions()").fetchall()
    known = {name for name, kind in rows if kind in ("scalar", "aggregate", "macro", "window")}
    tables = {name for name, kind in rows if kind == "table"}
    assert ALLOWED - TABLE_FUNCTIONS | set(REFUSED) == known - TABLE_FUNCTIONS
    assert not ALLOWED & set(REFUSED)
    assert tables >= TABLE_FUNCTIONS
    assert set(REFUSED.values()) == set(FIX)


def test_no_function_that_is_allowed_changes_its_answer(engine: duckdb.DuckDBPyConnection) -> None:
    """DuckDB itself says which functions give the same answer each time."""
    rows = engine.execute(
        "SELECT DISTINCT function_name FROM duckdb_functions() WHERE stability <> 'CONSISTENT'"
    ).fetchall()
    assert {name for (name,) in rows} >= {"random", "now", "nextval", "write_log"}
    assert not {name for (name,) in rows} & ALLOWED


def test_types_are_those_of_duckdb(engine: duckdb.DuckDBPyConnection) -> None:
    rows = engine.execute("SELECT DISTINCT lower(type_name) FROM duckdb_types()").fetchall()
    assert {name for (name,) in rows} > TYPES


def test_kinds_have_fields() -> None:
    assert EXPRESSIONS.keys() == EXPRESSION_FIELDS.keys()


@pytest.mark.parametrize(
    "change",
    [
        {"class": "NEW_CLASS", "type": "COLUMN_REF", "column_names": ["a"]},
        {"class": "COLUMN_REF", "type": "NEW_TYPE", "column_names": ["a"]},
        {"class": "COLUMN_REF", "type": "COLUMN_REF", "column_names": ["a"], "new_field": "x"},
        {"type": "NEW_TABLE_REF"},
        {"type": "MERGE_QUERY_NODE"},
        {"new_field": 1},
        {"type": "BASE_TABLE", "table_name": "events", "qualified_name": {"path": ["store", "events"]}},
        {"class": "FUNCTION", "type": "FUNCTION", "function_name": "abs", "qualified_name": {"path": ["a", "abs"]}},
        {"class": "TYPE", "type": "TYPE", "type_name": "int", "qualified_name": {"path": ["a", "int"]}},
    ],
)
def test_what_a_later_duckdb_adds_is_refused(change: dict[str, object], monkeypatch: pytest.MonkeyPatch) -> None:
    node = {"type": "SELECT_NODE", "cte_map": {}, "select_list": [change]}
    monkeypatch.setattr(statement, "tree", lambda text: {"error": False, "statements": [{"node": node}]})
    with pytest.raises(SqlError, match=r"not available|without a name and a dot"):
        check(f"SELECT a AS later_{len(str(change))}")


def test_the_parser_can_reach_nothing() -> None:
    parser = statement._parser(os.getpid())
    for sql in ("SELECT * FROM read_text('/etc/hostname')", "SET enable_external_access = true", "ATTACH 'a.duckdb'"):
        with statement._lock, pytest.raises(duckdb.Error):
            parser.execute(sql)
