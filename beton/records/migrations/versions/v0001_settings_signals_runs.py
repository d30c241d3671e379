"""Settings, signals with their versions, backtest runs, and an audit that only grows."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_TIME: Final = sa.DateTime(timezone=True)

# REPLACE deletes a row without firing its delete trigger, hence the check on insert.
_SQLITE_APPEND_ONLY: Final = (
    """CREATE TRIGGER audit_no_update BEFORE UPDATE ON audit
    BEGIN SELECT RAISE(ABORT, 'audit is append-only'); END""",
    """CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit
    BEGIN SELECT RAISE(ABORT, 'audit is append-only'); END""",
    """CREATE TRIGGER audit_no_replace BEFORE INSERT ON audit
    WHEN EXISTS (SELECT 1 FROM audit WHERE id = NEW.id)
    BEGIN SELECT RAISE(ABORT, 'audit is append-only'); END""",
)
_POSTGRESQL_APPEND_ONLY: Final = (
    """CREATE FUNCTION audit_append_only() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN RAISE EXCEPTION 'audit is append-only'; END $$""",
    """CREATE TRIGGER audit_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON audit
    FOR EACH STATEMENT EXECUTE FUNCTION audit_append_only()""",
)


def upgrade() -> None:
    _create_settings()
    _create_signals()
    _create_runs()
    _create_audit()


def _create_settings() -> None:
    op.create_table(
        "settings",
        sa.Column("id", sa.Integer, autoincrement=False),
        sa.Column("json", sa.JSON, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("updated_at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_settings"),
        sa.CheckConstraint("id = 1", name="ck_settings_one_row"),
    )


def _create_signals() -> None:
    numbering = op.create_table(
        "numbering",
        sa.Column("kind", sa.String(32)),
        sa.Column("last", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("kind", name="pk_numbering"),
    )
    op.bulk_insert(numbering, [{"kind": "signal", "last": 0}])
    op.create_table(
        "signals",
        sa.Column("id", sa.String(32)),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("enabled", sa.Boolean, nullable=False),
        sa.Column("demo", sa.Boolean, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("updated_at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_signals"),
    )
    op.create_table(
        "signal_versions",
        sa.Column("signal_id", sa.String(32)),
        sa.Column("version", sa.Integer, autoincrement=False),
        sa.Column("definition", sa.JSON, nullable=False),
        sa.Column("definition_hash", sa.String(64), nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("signal_id", "version", name="pk_signal_versions"),
        sa.ForeignKeyConstraint(["signal_id"], ["signals.id"], name="fk_signal_versions_signal_id"),
    )
    op.create_index("ix_signal_versions_definition_hash", "signal_versions", ["definition_hash"])


def _create_runs() -> None:
    op.create_table(
        "backtest_runs",
        sa.Column("id", sa.String(32)),
        sa.Column("definition", sa.JSON, nullable=False),
        sa.Column("definition_hash", sa.String(64), nullable=False),
        sa.Column("request_hash", sa.String(64), nullable=False),
        sa.Column("snapshot_version", sa.String(64), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("stage", sa.Text, nullable=False),
        sa.Column("progress", sa.Float, nullable=False),
        sa.Column("evidence", sa.JSON),
        sa.Column("error", sa.Text),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("finished_at", _TIME),
        sa.Column("heartbeat_at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_backtest_runs"),
        sa.CheckConstraint(
            "status IN ('queued', 'running', 'done', 'failed', 'interrupted')", name="ck_backtest_runs_status"
        ),
        sa.CheckConstraint("progress BETWEEN 0 AND 1", name="ck_backtest_runs_progress"),
        sa.CheckConstraint("(status = 'done') = (evidence IS NOT NULL)", name="ck_backtest_runs_evidence"),
    )
    op.create_index("ix_backtest_runs_request_hash", "backtest_runs", ["request_hash"])
    op.create_index("ix_backtest_runs_created_at", "backtest_runs", ["created_at"])


def _create_audit() -> None:
    op.create_table(
        "audit",
        sa.Column("id", sa.Integer),
        sa.Column("at", _TIME, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("action", sa.String(64), nullable=False),
        sa.Column("object", sa.Text, nullable=False),
        sa.Column("detail", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_audit"),
        sqlite_autoincrement=True,
    )
    is_sqlite = op.get_context().dialect.name == "sqlite"
    for statement in _SQLITE_APPEND_ONLY if is_sqlite else _POSTGRESQL_APPEND_ONLY:
        op.execute(statement)
