"""The tables as the code uses them. The migrations create them; a test keeps the two equal."""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    JSON,
    Boolean,
    CheckConstraint,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    false,
    text,
)

from beton.records.columns import UtcDateTime

metadata: Final = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "ix": "ix_%(table_name)s_%(column_0_name)s",
    }
)

settings: Final = Table(
    "settings",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("json", JSON, nullable=False),
    Column("version", Integer, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    CheckConstraint("id = 1", name="one_row"),
)

# The last number given, kept apart from the rows so that a deleted signal's id never comes back.
numbering: Final = Table(
    "numbering",
    metadata,
    Column("kind", String(32), primary_key=True),
    Column("last", Integer, nullable=False),
)

signals: Final = Table(
    "signals",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("name", Text, nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("demo", Boolean, nullable=False),
    Column("version", Integer, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    Column("origin", String(16), nullable=False, server_default="person"),
    Column("run_id", String(32)),
)

signal_versions: Final = Table(
    "signal_versions",
    metadata,
    Column("signal_id", String(32), ForeignKey("signals.id"), primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("definition", JSON, nullable=False),
    Column("definition_hash", String(64), nullable=False, index=True),
    Column("created_at", UtcDateTime, nullable=False),
)

# A partial index serves a query only whose condition reads the same.
ASKED_TESTS: Final = text("asked AND p_value IS NOT NULL")

backtest_runs: Final = Table(
    "backtest_runs",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("definition", JSON, nullable=False),
    Column("definition_hash", String(64), nullable=False),
    Column("request_hash", String(64), nullable=False, index=True),
    Column("snapshot_version", String(64), nullable=False),
    Column("status", String(16), nullable=False),
    Column("stage", Text, nullable=False),
    Column("progress", Float, nullable=False),
    Column("evidence", JSON(none_as_null=True)),
    Column("error", Text),
    Column("created_at", UtcDateTime, nullable=False, index=True),
    Column("finished_at", UtcDateTime),
    Column("heartbeat_at", UtcDateTime, nullable=False),
    Column("actor", Text, nullable=False, server_default="local"),
    Column("asked", Boolean, nullable=False, server_default=false()),
    Column("p_value", Float),
    CheckConstraint("status IN ('queued', 'running', 'done', 'failed', 'interrupted')", name="status"),
    CheckConstraint("progress BETWEEN 0 AND 1", name="progress"),
    CheckConstraint("(status = 'done') = (evidence IS NOT NULL)", name="evidence"),
    # It holds all that the ledger reads: the rows themselves are long, because of their evidence.
    Index(
        "ix_backtest_runs_asked",
        *("finished_at", "id", "request_hash", "definition_hash", "p_value", "asked"),
        sqlite_where=ASKED_TESTS,
        postgresql_where=ASKED_TESTS,
    ),
)

_OPEN_JOB: Final = text("status IN ('queued', 'running')")

jobs: Final = Table(
    "jobs",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("kind", String(32), nullable=False),
    Column("key", Text, nullable=False),
    Column("payload", JSON, nullable=False),
    Column("status", String(16), nullable=False),
    Column("stage", Text, nullable=False),
    Column("progress", Float, nullable=False),
    Column("result", JSON(none_as_null=True)),
    Column("error", Text),
    Column("cancel_requested", Boolean, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("worker", Text),
    Column("lease_until", UtcDateTime),
    Column("created_at", UtcDateTime, nullable=False, index=True),
    Column("started_at", UtcDateTime),
    Column("finished_at", UtcDateTime),
    CheckConstraint("status IN ('queued', 'running', 'done', 'failed', 'cancelled', 'interrupted')", name="status"),
    CheckConstraint("progress BETWEEN 0 AND 1", name="progress"),
    CheckConstraint("(status = 'done') = (result IS NOT NULL)", name="result"),
    CheckConstraint("(status = 'running') = (lease_until IS NOT NULL)", name="lease"),
    Index("uq_jobs_open_key", "key", unique=True, sqlite_where=_OPEN_JOB, postgresql_where=_OPEN_JOB),
)

discovery_runs: Final = Table(
    "discovery_runs",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("request_hash", String(64), nullable=False, index=True),
    Column("snapshot_version", String(64), nullable=False),
    Column("settings", JSON, nullable=False),
    Column("result", JSON, nullable=False),
    Column("created_at", UtcDateTime, nullable=False, index=True),
    Column("seconds", Float, nullable=False),
)

audit: Final = Table(
    "audit",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("at", UtcDateTime, nullable=False),
    Column("actor", Text, nullable=False),
    Column("action", String(64), nullable=False),
    Column("object", Text, nullable=False),
    Column("detail", JSON, nullable=False),
    sqlite_autoincrement=True,
)
