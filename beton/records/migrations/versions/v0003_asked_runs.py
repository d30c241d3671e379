"""Who started each backtest, whether a person asked it as a hypothesis, and its p-value where a query can reach it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_ASKED = sa.text("asked AND p_value IS NOT NULL")


def upgrade() -> None:
    op.add_column("backtest_runs", sa.Column("actor", sa.Text, nullable=False, server_default="local"))
    # Of earlier runs nobody can tell any more whether a person or a page asked, so none of them counts as a hypothesis.
    op.add_column("backtest_runs", sa.Column("asked", sa.Boolean, nullable=False, server_default=sa.false()))
    op.add_column("backtest_runs", sa.Column("p_value", sa.Float))
    runs = sa.table("backtest_runs", sa.column("evidence", sa.JSON), sa.column("p_value", sa.Float))
    kept = runs.c.evidence["result"]["p_value"].as_float()
    op.execute(sa.update(runs).where(runs.c.evidence.is_not(None)).values(p_value=kept))
    op.create_index(
        "ix_backtest_runs_asked",
        "backtest_runs",
        ["finished_at", "id", "request_hash", "definition_hash", "p_value", "asked"],
        sqlite_where=_ASKED,
        postgresql_where=_ASKED,
    )
