"""Long jobs, stored discovery runs, and where each signal came from."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_TIME: Final = sa.DateTime(timezone=True)
_OPEN: Final = sa.text("status IN ('queued', 'running')")


def upgrade() -> None:
    _create_jobs()
    _create_discovery_runs()
    op.add_column("signals", sa.Column("origin", sa.String(16), nullable=False, server_default="person"))
    op.add_column("signals", sa.Column("run_id", sa.String(32)))
    op.execute("UPDATE signals SET origin = 'demo' WHERE demo")


def _create_jobs() -> None:
    op.create_table(
        "jobs",
        sa.Column("id", sa.String(32)),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("payload", sa.JSON, nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("stage", sa.Text, nullable=False),
        sa.Column("progress", sa.Float, nullable=False),
        sa.Column("result", sa.JSON),
        sa.Column("error", sa.Text),
        sa.Column("cancel_requested", sa.Boolean, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("worker", sa.Text),
        sa.Column("lease_until", _TIME),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("started_at", _TIME),
        sa.Column("finished_at", _TIME),
        sa.PrimaryKeyConstraint("id", name="pk_jobs"),
        sa.CheckConstraint(
            "status IN ('queued', 'running', 'done', 'failed', 'cancelled', 'interrupted')", name="ck_jobs_status"
        ),
        sa.CheckConstraint("progress BETWEEN 0 AND 1", name="ck_jobs_progress"),
        sa.CheckConstraint("(status = 'done') = (result IS NOT NULL)", name="ck_jobs_result"),
        sa.CheckConstraint("(status = 'running') = (lease_until IS NOT NULL)", name="ck_jobs_lease"),
    )
    op.create_index("ix_jobs_created_at", "jobs", ["created_at"])
    op.create_index("uq_jobs_open_key", "jobs", ["key"], unique=True, sqlite_where=_OPEN, postgresql_where=_OPEN)


def _create_discovery_runs() -> None:
    op.create_table(
        "discovery_runs",
        sa.Column("id", sa.String(32)),
        sa.Column("request_hash", sa.String(64), nullable=False),
        sa.Column("snapshot_version", sa.String(64), nullable=False),
        sa.Column("settings", sa.JSON, nullable=False),
        sa.Column("result", sa.JSON, nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("seconds", sa.Float, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_discovery_runs"),
    )
    op.create_index("ix_discovery_runs_request_hash", "discovery_runs", ["request_hash"])
    op.create_index("ix_discovery_runs_created_at", "discovery_runs", ["created_at"])
