"""Queries made from a grammar of legal and hostile parts: what the check lets pass reaches only what it may."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise

import duckdb
from hypothesis import given, settings
from hypothesis import strategies as st

from beton.errors import SqlError
from beton.warehouse.sandbox.functions import ALLOWED, TABLE_FUNCTIONS
from beton.warehouse.sandbox.statement import TABLES, body, check

# Words that may stand before a bracket without being functions.
WORDS = frozenset(
    "as in and or not over values select from where exists any all on using when then else by distinct filter exclude"
    " replace union except intersect lateral columns case cast try_cast array try coalesce ifnull row interval decimal"
    " struct enum rename having qualify limit offset with materialized extract position overlay grouping recursive"
    " q_1 q_2 t_1 list_value varchar order within group join x k".split()
)
ENGINE = duckdb.connect()
SLOW = settings(max_examples=400, derandomize=True, deadline=None, database=None)


@dataclass(frozen=True)
class Part:
    """A piece of SQL, and whether something in it must never run."""

    sql: str
    is_hostile: bool = False


def joined(*pieces: Part | str) -> Part:
    parts = [Part(piece) if isinstance(piece, str) else piece for piece in pieces]
    return Part("".join(part.sql for part in parts), any(part.is_hostile for part in parts))


SPACES = st.sampled_from(
    [" ", "\n", "\t", " /* read_csv('a') */ ", " -- ; DROP TABLE users\n", " /* /* ; */ */ ", "\u00a0"]
)
NAMES = st.sampled_from(["user_id", "event", '"timestamp"', "e.user_id", "days_since_signup", '"a""b"', "é"])
LITERALS = st.sampled_from(
    ["1", "1.5", "'a'", "'--'", "');'", "'/*'", "''''", "$$ ; ) $$", "e'\\''", "NULL", "TRUE", "DATE '2024-01-01'"]
)
GOOD_CALLS = ["lower", "COALESCE", "count", "sum", "date_trunc", '"upper"', "list_value", "any_value", "abs"]
BAD_CALLS = [
    "read_text", "getenv", "current_setting", "now", '"RANDOM"', "uuid", "sleep_ms", "getvariable", "system.main.lower",
    "nextval", "query", "write_log", "list_aggregate", "pg_sleep", "txid_current", "repeat", "no_such_function",
]  # fmt: skip
BAD_VALUES = ["$1", "?", "current_date", '"current_timestamp"', "session_user", "DEFAULT", "1::main.t", "'a'::no_type"]
GOOD_TABLES = [
    "events",
    "users",
    "COMPANIES",
    '"deals"',
    "events AS e",
    "range(3)",
    "unnest([1]) AS u",
    "(VALUES (1))",
]
BAD_TABLES = [
    "secret", "main.events", "snapshot.store.users", "'a.csv'", "read_csv('a')", "duckdb_settings()", "pg_class",
    "information_schema.tables", "query('SELECT 1')", "glob('*')", "users TABLESAMPLE 10%", "(SHOW TABLES)",
    "(DESCRIBE users)", "(PIVOT users ON email)", "users AT (VERSION => 1)", "sqlite_master", '"events "',
    "json_each('{}')",
]  # fmt: skip
BAD_WITHS = [
    "events AS (SELECT 1)",
    '"USERS" AS (SELECT 1)',
    "q_1 AS (DELETE FROM users)",
    "q_1 AS (COPY users TO 'a')",
]


def hostile(choices: list[str]) -> st.SearchStrategy[Part]:
    return st.sampled_from(choices).map(lambda sql: Part(sql, True))


def rarely(good: st.SearchStrategy[Part], bad: st.SearchStrategy[Part]) -> st.SearchStrategy[Part]:
    return st.integers(0, 11).flatmap(lambda roll: bad if roll == 0 else good)


def expressions(queries: st.SearchStrategy[Part]) -> st.SearchStrategy[Part]:
    leaves = rarely(st.one_of(NAMES, LITERALS).map(Part), hostile(BAD_VALUES))

    def larger(inner: st.SearchStrategy[Part]) -> st.SearchStrategy[Part]:
        names = rarely(st.sampled_from(GOOD_CALLS).map(Part), hostile(BAD_CALLS))
        return st.one_of(
            st.builds(lambda name, a: joined(name, "(", a, ")"), names, inner),
            st.builds(
                lambda a, op, b: joined(a, op, b), inner, st.sampled_from([" + ", " = ", " || ", " AND "]), inner
            ),
            st.builds(lambda a: joined("(", a, ")"), inner),
            st.builds(lambda a, b: joined("CASE WHEN ", a, " THEN ", b, " END"), inner, inner),
            st.builds(lambda a: joined("list_transform([1], lambda x: ", a, ")"), inner),
            st.builds(lambda a: joined("sum(1) OVER (ORDER BY ", a, ")"), inner),
            st.builds(lambda a: joined("[", a, "][1]"), inner),
            st.builds(lambda a: joined("{'k': ", a, "}.k"), inner),
            st.builds(lambda q: joined("EXISTS (", q, ")"), queries),
            st.builds(lambda a, q: joined(a, " IN (", q, ")"), inner, queries),
        )

    return st.recursive(leaves, larger, max_leaves=4)


def selects(queries: st.SearchStrategy[Part]) -> st.SearchStrategy[Part]:
    values = expressions(queries)
    tables = rarely(st.sampled_from(GOOD_TABLES).map(Part), hostile(BAD_TABLES))
    sources = st.one_of(
        tables,
        st.builds(lambda q: joined("(", q, ") AS t_1"), queries),
        st.builds(lambda a, b: joined(a, " CROSS JOIN ", b), tables, tables),
        st.builds(lambda a, q: joined(a, ", LATERAL (", q, ") AS t_1"), tables, queries),
    )
    columns = st.one_of(values, st.sampled_from([Part("*"), Part("COLUMNS(*)"), Part("* EXCLUDE (event)")]))
    tails = st.one_of(
        st.just(Part("")),
        st.builds(lambda a: joined(" WHERE ", a), values),
        st.builds(lambda a: joined(" GROUP BY ALL HAVING ", a), values),
        st.builds(lambda a: joined(" QUALIFY ", a), values),
        st.builds(lambda a: joined(" ORDER BY ", a, " LIMIT 5"), values),
    )
    return st.builds(
        lambda space, column, source, tail: joined("SELECT", space, column, space, "FROM", space, source, tail),
        SPACES, columns, sources, tails,
    )  # fmt: skip


def larger_queries(inner: st.SearchStrategy[Part]) -> st.SearchStrategy[Part]:
    named = st.builds(lambda q: joined("q_1 AS (", q, ")"), inner)
    withs = rarely(named, st.one_of(hostile(BAD_WITHS), st.just(Part("q_2 AS (SELECT * FROM q_2)", True))))
    return st.one_of(
        selects(inner),
        st.builds(lambda w, q: joined("WITH ", w, " ", q), withs, inner),
        st.builds(lambda w: joined("WITH ", w, " SELECT * FROM q_1"), named),
        st.builds(lambda a, op, b: joined(a, op, b), inner, st.sampled_from([" UNION ALL ", " EXCEPT "]), inner),
        st.builds(lambda q: joined("(", q, ")"), inner),
    )


QUERIES = st.recursive(selects(st.just(Part("SELECT 1"))), larger_queries, max_leaves=3)
ENDS = rarely(
    st.sampled_from(["", ";", " -- ;", "; /* x */ ;", "\n"]).map(Part),
    hostile(["; SELECT 2", "; DROP TABLE users", ") AS a, (SELECT 1", " /*", " '", ") --", "; COMMIT"]),
)


def refusal(sql: str) -> SqlError | None:
    """Return why the check refuses a text, None where it lets it pass; any other exception is a defect."""
    try:
        check(sql)
    except SqlError as refused:
        return refused
    return None


def accepted(sql: str) -> bool:
    """Say whether the check lets a text pass; where it does not, the sentence and the place are in order."""
    refused = refusal(sql)
    if refused is None:
        return True
    assert "\n" not in str(refused)
    assert (refused.line is None) == (refused.column is None)
    if refused.line is not None and refused.column is not None:
        lines = sql.split("\n")
        assert 1 <= refused.line <= len(lines)
        assert 1 <= refused.column <= len(lines[refused.line - 1]) + 1
    return False


def calls(sql: str) -> set[str]:
    """Every name before a bracket, found without the check's own walk: on DuckDB's tokens."""
    raw = sql.encode()
    tokens = duckdb.tokenize(sql)
    ends = [at for at, _ in tokens[1:]] + [len(raw)]
    live = [(at, end, kind) for (at, kind), end in zip(tokens, ends, strict=True) if kind != duckdb.token_type.comment]
    names = set()
    for (at, end, kind), (following, _, _) in pairwise(live):
        if raw[following : following + 1] == b"(" and kind != duckdb.token_type.operator:
            names.add(raw[at:end].decode().split()[-1].strip('"').lower())
    return {name for name in names if re.fullmatch(r"[a-z_]\w*", name)}


def tables_of(text: str) -> set[str]:
    """The tables that DuckDB's binder would look up; none where it cannot bind the query, which then cannot run."""
    with ENGINE.cursor() as engine, suppress(duckdb.BinderException):
        return {name.strip('"').lower() for name in engine.get_table_names(text)}
    return set()


def reaches_only_what_it_may(sql: str) -> None:
    text = f"SELECT * FROM (\n{body(sql)}\n)"
    statements = duckdb.extract_statements(text)
    assert [statement.type for statement in statements] == [duckdb.StatementType.SELECT]
    assert not statements[0].named_parameters
    assert tables_of(text) <= set(TABLES)
    assert calls(text) <= {name.lower() for name in ALLOWED} | TABLE_FUNCTIONS | WORDS


@SLOW
@given(QUERIES, ENDS)
def test_what_passes_reaches_only_what_it_may(query: Part, end: Part) -> None:
    sql = query.sql + end.sql
    if accepted(sql):
        assert not joined(query, end).is_hostile, sql
        reaches_only_what_it_may(sql)


def test_the_grammar_makes_both_kinds() -> None:
    """The property above would hold of nothing if everything were refused, or nothing hostile were made."""
    seen: list[tuple[bool, bool]] = []

    @settings(max_examples=200, derandomize=True, deadline=None, database=None)
    @given(QUERIES, ENDS)
    def look(query: Part, end: Part) -> None:
        seen.append((query.is_hostile or end.is_hostile, accepted(query.sql + end.sql)))

    look()
    assert sum(passed for _, passed in seen) > 40
    assert sum(is_bad for is_bad, _ in seen) > 40
    assert not [both for both in seen if both == (True, True)]


WORDS_AND_SIGNS = (
    "select from events with as ( ) ; ' \" $$ $a$ /* */ -- 1 , e' \\ [ ] { } :: . ? é 💥 read_csv now union lambda ->"
    " describe values users in case"
)
SCRAPS = st.sampled_from([*WORDS_AND_SIGNS.split(), "\n", "\u00a0", "\ufeff", "\u202e", "\x00", "\ud800"])


@SLOW
@given(st.lists(st.one_of(SCRAPS, st.text(max_size=3)), max_size=25), st.sampled_from(["", " "]))
def test_any_text_at_all_is_checked_or_refused(scraps: list[str], between: str) -> None:
    for sql in (between.join(scraps), "select " + between.join(scraps)):
        if accepted(sql):
            reaches_only_what_it_may(sql)


@SLOW
@given(QUERIES, st.integers(0, 400), st.integers(0, 8), SCRAPS)
def test_a_query_with_a_piece_cut_out_or_put_in(query: Part, at: int, length: int, scrap: str) -> None:
    sql = query.sql[:at] + scrap + query.sql[at + length :]
    if accepted(sql):
        reaches_only_what_it_may(sql)
