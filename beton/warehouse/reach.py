"""Whom a combination of signals matches: every user once, however many of its alternatives hold."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from beton.model.outcome import Outcome, Unit
from beton.model.playbook import PlaybookReach
from beton.model.signal import DAY_S
from beton.warehouse.compile import NEVER
from beton.warehouse.landmark import first_outcome_sql
from beton.warehouse.members import carriers_sql

if TYPE_CHECKING:
    import duckdb

RECENT_DAYS: Final = 30


def reach(
    connection: duckdb.DuckDBPyConnection,
    alternatives: Sequence[Sequence[tuple[str, Unit]]],
    outcome: Outcome,
    data_end_s: int,
) -> PlaybookReach:
    """Count the users who carry all signals of an alternative, for at least one alternative.

    Each signal is its cohort statement and its unit; a signal on accounts is carried by all users of the account. With
    times of the first match, "all" is the latest and "any" the earliest, as in ``compile``.
    """
    signals = list(dict.fromkeys(signal for alternative in alternatives for signal in alternative))
    carriers = [f"s{i} AS ({carriers_sql(sql, data_end_s)})" for i, (sql, _) in enumerate(signals)]
    joins = [
        f"LEFT JOIN s{i} ON s{i}.unit = u.{'user' if unit == 'user' else 'company'}_key"
        for i, (_, unit) in enumerate(signals)
    ]
    latest = [_combined("GREATEST", [_at(signals.index(each)) for each in group]) for group in alternatives]
    row = connection.execute(
        f"""WITH {", ".join(carriers)}, outcomes AS ({first_outcome_sql("user", outcome)}), matched AS (
            SELECT u.user_key, u.company_key, {_combined("LEAST", latest)} AS matched_at_s,
                o.outcome_at_s >= {NEVER} AS is_open
            FROM store.users AS u {" ".join(joins)} JOIN outcomes AS o ON o.unit = u.user_key
            WHERE u.is_matched AND NOT u.is_internal)
        SELECT COUNT(*), COUNT(DISTINCT m.company_key), COUNT(*) FILTER (WHERE m.is_open),
            COUNT(DISTINCT m.company_key) FILTER (WHERE m.is_open),
            COUNT(*) FILTER (WHERE m.matched_at_s > {data_end_s - RECENT_DAYS * DAY_S})
        FROM matched AS m WHERE m.matched_at_s < {NEVER}"""
    ).fetchone()
    assert row is not None
    users, accounts, open_users, open_accounts, recent_users = row
    return PlaybookReach(
        users, accounts, open_users, open_accounts, recent_users, RECENT_DAYS, datetime.fromtimestamp(data_end_s, UTC)
    )


def _at(number: int) -> str:
    return f"COALESCE(s{number}.matched_at_s, {NEVER})"


def _combined(function: str, times: Sequence[str]) -> str:
    return times[0] if len(times) == 1 else f"{function}({', '.join(times)})"
