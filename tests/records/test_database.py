from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta, timezone
from io import StringIO
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy import create_engine, insert, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError, OperationalError, StatementError
from sqlalchemy.schema import CreateTable

from beton.errors import BetonError, InputError
from beton.records import database as database_module
from beton.records.audit import AuditRepository, note
from beton.records.columns import storable
from beton.records.database import Database, open_database, sqlite_url
from beton.records.migrations.versions import v0001_settings_signals_runs as first_step
from beton.records.migrations.versions import v0002_jobs_discovery_runs as second_step
from beton.records.migrations.versions import v0003_asked_runs as third_step
from beton.records.runs import RunRepository
from beton.records.signals import SignalRepository
from beton.records.tables import audit, metadata, signal_versions


@pytest.fixture
def file(url: str, database: Database, tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """Another program that has the database open and knows nothing of Beton."""
    with closing(sqlite3.connect(tmp_path / "app.sqlite3")) as connection:
        yield connection


def names(connection: sqlite3.Connection) -> set[str]:
    return {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}


def test_opening_creates_every_table_and_opening_again_keeps_the_rows(
    url: str, database: Database, file: sqlite3.Connection, noon: datetime
) -> None:
    assert set(metadata.tables) <= names(file)
    with database.write() as connection:
        note(connection, noon, "ann", "tried", "thing", {})
    again = open_database(url)
    assert [row.actor for row in AuditRepository(again).recent(5)] == ["ann"]
    again.close()


def test_the_migrated_database_has_the_tables_of_the_code(database: Database) -> None:
    with database.read() as connection:
        found = compare_metadata(MigrationContext.configure(connection), metadata)
        assert found == []
        metadata_without_audit = type(metadata)()
        for table in metadata.sorted_tables:
            if table is not audit:
                table.to_metadata(metadata_without_audit)
        differences = compare_metadata(MigrationContext.configure(connection), metadata_without_audit)
    assert [difference[0] for difference in differences] == ["remove_table"]


def test_constraints_of_the_migrated_database_are_those_of_the_code(file: sqlite3.Connection) -> None:
    def constraints(sql: str) -> set[str]:
        return {line.strip(" ,\t") for line in sql.splitlines() if "CONSTRAINT" in line or "AUTOINCREMENT" in line}

    sql = dict(file.execute("SELECT name, sql FROM sqlite_master WHERE type = 'table'").fetchall())
    for table in metadata.sorted_tables:
        meant = constraints(str(CreateTable(table).compile(dialect=sqlite.dialect())))
        assert meant
        assert constraints(sql[table.name]) == meant


def test_wal_and_the_other_pragmas_are_set_on_every_connection(database: Database) -> None:
    expected = {"journal_mode": "wal", "foreign_keys": 1, "busy_timeout": 10_000, "synchronous": 1}
    with database.read() as first, database.read() as second:
        for connection in (first, second):
            found = {name: connection.exec_driver_sql(f"PRAGMA {name}").scalar_one() for name in expected}
            assert found == expected


def test_foreign_keys_hold(database: Database, noon: datetime) -> None:
    orphan = insert(signal_versions).values(
        signal_id="sig_999", version=1, definition={}, definition_hash="h", created_at=noon
    )
    with pytest.raises(IntegrityError, match="FOREIGN KEY"), database.write() as connection:
        connection.execute(orphan)


def test_a_block_that_raises_keeps_nothing(database: Database, noon: datetime) -> None:
    def note_and_fail() -> None:
        with database.write() as connection:
            note(connection, noon, "ann", "tried", "thing", {})
            raise RuntimeError

    with pytest.raises(RuntimeError):
        note_and_fail()
    assert AuditRepository(database).recent(5) == []


def test_a_reader_sees_one_state_and_does_not_block_a_writer(database: Database, noon: datetime) -> None:
    with database.read() as reader:
        assert reader.execute(select(audit)).all() == []
        with database.write() as writer:
            note(writer, noon, "ann", "tried", "thing", {})
        assert reader.execute(select(audit)).all() == []
    assert len(AuditRepository(database).recent(5)) == 1


def test_an_upgrade_that_fails_half_way_leaves_the_database_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "app.sqlite3"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE audit (mine TEXT)")  # the last table of the first step
    with pytest.raises(BetonError, match="already exists"):
        open_database(sqlite_url(path))
    with closing(sqlite3.connect(path)) as connection:
        assert names(connection) == {"audit"}
        connection.execute("DROP TABLE audit")
    open_database(sqlite_url(path)).close()


OPENER = """
import os
import sys
from datetime import UTC, datetime
from beton.records.database import open_database
from beton.records.signals import SignalRepository
print("ready", flush=True)
sys.stdin.readline()
database = open_database(sys.argv[1])
signals = SignalRepository(database)
for n in range(5):
    record = signals.save(f"signal {n}", {"n": n}, f"hash {os.getpid()} {n}", at=datetime(2024, 1, 1, tzinfo=UTC))
    print(record.id, flush=True)
database.close()
"""


def test_processes_that_open_an_empty_folder_at_once_all_get_to_work(url: str) -> None:
    command = [sys.executable, "-W", "error", "-c", OPENER, url]
    openers = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    try:
        for opener in openers:
            assert opener.stdout is not None
            assert opener.stdout.readline() == "ready\n"
        for opener in openers:
            assert opener.stdin is not None
            opener.stdin.write("go\n")
            opener.stdin.flush()
        ended = [(*opener.communicate(timeout=60), opener.returncode) for opener in openers]
    finally:
        for opener in openers:
            opener.kill()
            opener.wait()
    assert [(stderr, code) for _, stderr, code in ended] == [("", 0)] * 4
    ids = sorted(line for stdout, _, _ in ended for line in stdout.split())
    assert ids == [f"sig_{n:03d}" for n in range(1, 21)]


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE audit SET actor = 'eve'",
        "DELETE FROM audit",
        "REPLACE INTO audit SELECT id, at, 'eve', action, object, detail FROM audit",
        "INSERT INTO audit SELECT id, at, 'eve', action, object, detail FROM audit WHERE true "
        "ON CONFLICT (id) DO UPDATE SET actor = 'eve'",
    ],
)
def test_the_audit_cannot_be_changed_by_any_program(
    database: Database, file: sqlite3.Connection, noon: datetime, change: str
) -> None:
    with database.write() as connection:
        note(connection, noon, "ann", "tried", "thing", {"n": 1})
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        file.execute(change)
    file.rollback()
    (row,) = AuditRepository(database).recent(5)
    assert (row.at, row.actor, row.action, row.object, row.detail) == (noon, "ann", "tried", "thing", {"n": 1})


def test_times_are_kept_in_utc_and_come_back_aware(
    database: Database, file: sqlite3.Connection, noon: datetime
) -> None:
    elsewhere = noon.astimezone(timezone(timedelta(hours=-7)))
    with database.write() as connection:
        note(connection, elsewhere, "ann", "tried", "thing", {})
    assert file.execute("SELECT at FROM audit").fetchone() == ("2024-06-01 12:00:00.123456",)
    (row,) = AuditRepository(database).recent(1)
    assert row.at == noon
    assert row.at.utcoffset() == timedelta(0)


def test_a_time_without_zone_is_refused(database: Database, noon: datetime) -> None:
    with pytest.raises(StatementError, match="no time zone"), database.write() as connection:
        note(connection, noon.replace(tzinfo=None), "ann", "tried", "thing", {})


def test_json_that_would_not_come_back_equal_is_refused_with_its_path() -> None:
    fine = {"a": [1, 2.5, None, True, "ü\u0000"], "b": {"c": -0.0}}
    assert storable(fine, "evidence") is fine
    bad = {"lift": float("inf"), "rows": [{"p": 0.1}, {"p": float("nan")}], "by": {3: 1}, "at": {1, 2}}
    with pytest.raises(InputError, match=r"evidence\.lift cannot be stored: JSON has no inf") as caught:
        storable(bad, "evidence")
    assert set(caught.value.fields) == {"evidence.lift", "evidence.rows.1.p", "evidence.by", "evidence.at"}


@pytest.mark.parametrize(
    ("wrong", "hint"),
    [
        ("", "cannot be read"),
        ("app.sqlite3", "cannot be read"),
        ("mysql://host/name", "not mysql"),
        ("sqlite://", "name a file"),
        ("sqlite:///:memory:", "name a file"),
    ],
)
def test_a_url_that_cannot_serve_is_refused_with_the_fix(wrong: str, hint: str) -> None:
    with pytest.raises(InputError, match=hint):
        open_database(wrong)


def test_odd_characters_in_the_path_are_no_trouble(tmp_path: Path) -> None:
    path = tmp_path / "50% of ü?#&=%20" / "app.sqlite3"
    open_database(sqlite_url(path)).close()
    assert path.is_file()


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(BetonError, match=r"taken .*BETON_DATA_DIR"):
        open_database(sqlite_url(tmp_path / "taken" / "app.sqlite3"))


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    (tmp_path / "app.sqlite3").write_text("not a database, but long enough to have a header of its own " * 20)
    with pytest.raises(BetonError, match=r"app\.sqlite3 does not answer \(file is not a database\)"):
        open_database(sqlite_url(tmp_path / "app.sqlite3"))


def test_a_database_of_a_later_beton_is_left_alone(url: str, file: sqlite3.Connection) -> None:
    file.execute("UPDATE alembic_version SET version_num = '9999'")
    file.commit()
    with pytest.raises(BetonError, match="another version of Beton"):
        open_database(url)
    assert file.execute("SELECT version_num FROM alembic_version").fetchone() == ("9999",)


def test_a_database_that_another_program_holds_is_reported(
    url: str, file: sqlite3.Connection, noon: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database_module, "BUSY_TIMEOUT_MS", 0)
    hasty = open_database(url)
    file.execute("BEGIN IMMEDIATE")
    with pytest.raises(BetonError, match="database is locked"), hasty.write():
        pytest.fail("two writers at once")
    file.rollback()
    hasty.close()


def test_a_failure_of_the_machine_is_told_in_one_line(database: Database) -> None:
    with pytest.raises(BetonError, match=r"does not answer \(connection lost Is it up\?\)"), database.read():
        raise OperationalError("SELECT 1", {}, Exception("connection lost\n\tIs it up?"))


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_postgresql_urls_go_to_the_psycopg_driver(scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def without_driver(url: object, **_: object) -> None:
        asked.append(url)
        raise ModuleNotFoundError("psycopg")

    monkeypatch.setattr(database_module, "create_engine", without_driver)
    with pytest.raises(InputError, match="pip install"):
        open_database(f"{scheme}://ann:secret@host/name")
    assert [str(url.drivername) for url in asked] == ["postgresql+psycopg"]  # type: ignore[attr-defined]


def test_the_steps_are_written_for_postgresql_too() -> None:
    written = StringIO()
    context = MigrationContext.configure(dialect_name="postgresql", opts={"as_sql": True, "output_buffer": written})
    with Operations.context(context):
        first_step.upgrade()
        second_step.upgrade()
        third_step.upgrade()
    sql = written.getvalue()
    for table in metadata.tables.values():
        assert f"CREATE TABLE {table.name} (" in sql
        assert str(CreateTable(table).compile(dialect=postgresql.dialect()))
    assert "BEFORE UPDATE OR DELETE OR TRUNCATE ON audit" in sql
    assert "TIMESTAMP WITH TIME ZONE" in sql
    assert "RAISE(ABORT" not in sql
    assert "CREATE UNIQUE INDEX uq_jobs_open_key ON jobs (key) WHERE status IN ('queued', 'running')" in sql
    assert "ALTER TABLE backtest_runs ADD COLUMN asked BOOLEAN DEFAULT false NOT NULL" in sql
    assert "UPDATE backtest_runs SET p_value=(CAST((backtest_runs.evidence -> " in sql
    assert "definition_hash, p_value, asked) WHERE asked AND p_value IS NOT NULL" in sql


def test_the_second_step_keeps_the_signals_and_says_where_they_came_from(tmp_path: Path) -> None:
    path = tmp_path / "app.sqlite3"
    engine = create_engine(sqlite_url(path))
    with engine.begin() as connection:
        with Operations.context(MigrationContext.configure(connection)):
            first_step.upgrade()
        connection.exec_driver_sql("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)")
        connection.exec_driver_sql("INSERT INTO alembic_version VALUES ('0001')")
        for n, demo in enumerate((True, False), start=1):
            row = f"'sig_00{n}', 'Signal {n}', 1, {int(demo)}, 1, '2024-06-01 12:00:00', '2024-06-01 12:00:00'"
            connection.exec_driver_sql(f"INSERT INTO signals VALUES ({row})")
            version = f"'sig_00{n}', 1, '{{}}', 'hash', '2024-06-01 12:00:00'"
            connection.exec_driver_sql(f"INSERT INTO signal_versions VALUES ({version})")
    engine.dispose()
    upgraded = open_database(sqlite_url(path))
    found = SignalRepository(upgraded).list()
    upgraded.close()
    assert [(row.id, row.name, row.demo, row.origin, row.run_id) for row in found] == [
        ("sig_001", "Signal 1", True, "demo", None),
        ("sig_002", "Signal 2", False, "person", None),
    ]


def test_the_third_step_keeps_the_runs_counts_none_as_asked_and_finds_their_p_values(tmp_path: Path) -> None:
    path = tmp_path / "app.sqlite3"
    engine = create_engine(sqlite_url(path))
    kept = {
        "measured": ("done", '{"result": {"kind": "measured", "p_value": 1.5e-9}}'),
        "refused": ("done", '{"result": {"kind": "not_measurable", "reason": "no_conversions"}}'),
        "failed": ("failed", None),
    }
    with engine.begin() as connection:
        with Operations.context(MigrationContext.configure(connection)):
            first_step.upgrade()
            second_step.upgrade()
        connection.exec_driver_sql("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)")
        connection.exec_driver_sql("INSERT INTO alembic_version VALUES ('0002')")
        for run_id, (status, evidence) in kept.items():
            at = "2024-06-01 12:00:00"
            row = (run_id, '{"name": "Did x"}', "h", "r", "v", status, "", 1.0, evidence, None, at, at, at)
            connection.exec_driver_sql(f"INSERT INTO backtest_runs VALUES ({', '.join('?' * len(row))})", row)
    engine.dispose()
    upgraded = open_database(sqlite_url(path))
    runs = RunRepository(upgraded)
    found = {run.id: (run.actor, run.asked, run.p_value) for run in runs.history(9)}
    asked = runs.asked_runs()
    upgraded.close()
    assert found == {
        "measured": ("local", False, 1.5e-9),
        "refused": ("local", False, None),
        "failed": ("local", False, None),
    }
    assert asked == []


@pytest.mark.parametrize(("demo", "origin"), [(True, "demo"), (False, "person")])
def test_a_new_signal_is_a_persons_or_the_demos(database: Database, noon: datetime, demo: bool, origin: str) -> None:
    assert SignalRepository(database).save("Did x", {}, "hash", at=noon, demo=demo).origin == origin
