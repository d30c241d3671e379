"""The same backtest on the files as they come: one DuckDB table per file, and everything else in the query.

Ids are texts, events lie in the order in which they arrived, their properties are JSON text, and there is neither
``rel_s`` nor ``n``: windows are timestamp arithmetic after a join with users. Identity, company size and outcomes are
joined per query as well. The cohort has the columns of Beton's own (units and accounts as numbers, which are quicker to
count than texts), so the same aggregates run on it afterwards.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import duckdb

from benchmarks.engine import silent
from benchmarks.questions import Question
from beton.demo.names import INTERNAL_DOMAIN
from beton.model.manifest import Manifest
from beton.warehouse.compile import NEVER
from beton.warehouse.counts import CohortCounts, count_cohort, excluded_units
from beton.warehouse.landmark import (
    ELIGIBLE,
    IMMATURE,
    INTERNAL,
    NOT_AT_RISK,
    UNMATCHED,
    UNRECORDED,
    Clock,
)

_IS_INTERNAL: Final = f"(u.is_test OR lower(split_part(u.email, '@', -1)) = '{INTERNAL_DOMAIN}')"
_IS_MATCHED: Final = "lower(trim(u.email)) IN (SELECT lower(trim(k.email)) FROM contacts AS k)"
_EXCLUDED: Final = f"""
    SELECT CASE WHEN {_IS_INTERNAL} THEN {INTERNAL} ELSE {UNMATCHED} END AS status, COUNT(*) AS units
    FROM users AS u WHERE {_IS_INTERNAL} OR NOT {_IS_MATCHED} GROUP BY 1"""


def build(files: Path, database: Path) -> None:
    """Load the files into ``database``; properties that the export holds as columns become one JSON text."""
    with duckdb.connect(str(database)) as connection:
        connection.execute("SET enable_progress_bar = false")
        for table in ("users", "companies", "contacts", "deals"):
            connection.execute(f"CREATE TABLE {table} AS SELECT * FROM read_parquet('{files / table}.parquet')")
        connection.execute(
            f"""CREATE TABLE events AS
            SELECT e.user_id::VARCHAR AS user_id, e.event::VARCHAR AS event, e.timestamp,
                CASE WHEN e.event = 'pageview' THEN json_object('page_path', e.page_path, 'browser', e.browser)
                     WHEN e.feature IS NOT NULL THEN json_object('feature', e.feature)
                     WHEN e.page_path IS NOT NULL THEN json_object('page_path', e.page_path)
                     ELSE json_object() END AS properties
            FROM read_parquet('{files / "events.parquet"}') AS e"""
        )


class NaiveImport:
    """Answers questions from the file that ``build`` wrote."""

    def __init__(self, database: Path, manifest: Manifest, threads: int) -> None:
        self._connection = duckdb.connect(str(database), read_only=True, config={"threads": threads})
        self._connection.execute("SET enable_progress_bar = false")
        self._manifest = manifest

    def counts(self, question: Question) -> CohortCounts:
        """Return everything that a backtest counts."""
        with self._connection.cursor() as cursor:
            excluded = excluded_units(cursor, _EXCLUDED)
            return count_cohort(cursor, _cohort_sql(question.key, question.clock(self._manifest)), excluded, silent)


def _first(name: str, event: str, days: int, ordinal: int, where: str = "TRUE") -> str:
    """A CTE: per user, the seconds from signup to the ``ordinal``-th such event inside the window."""
    return f"""{name} AS (
        SELECT r.user_id, r.match_s FROM (
            SELECT e.user_id, epoch(e.timestamp)::BIGINT - epoch(s.signed_up_at)::BIGINT AS match_s,
                ROW_NUMBER() OVER (PARTITION BY e.user_id ORDER BY e.timestamp) AS k
            FROM events AS e JOIN users AS s ON s.id = e.user_id
            WHERE e.event = '{event}' AND {where}
                AND e.timestamp >= s.signed_up_at AND e.timestamp < s.signed_up_at + INTERVAL {days} DAY) AS r
        WHERE r.k = {ordinal})"""


_LEAVES: Final = {
    "onboarded": (_first("onboarded", "onboarding_completed", 7, 1),),
    "pricing": (
        _first("invited", "teammate_invited", 7, 2),
        _first("priced", "pageview", 14, 2, "e.properties->>'page_path' = '/pricing'"),
        _first("helped", "support_ticket_opened", 14, 1),
    ),
}
_JOINS: Final = {
    "onboarded": "LEFT JOIN onboarded AS o ON o.user_id = u.id",
    "pricing": """LEFT JOIN invited AS i ON i.user_id = u.id LEFT JOIN priced AS p ON p.user_id = u.id
        LEFT JOIN helped AS h ON h.user_id = u.id""",
}
_MATCHES: Final = {
    "onboarded": f"""CASE WHEN c.company_size >= 50 AND c.company_size <= 500 THEN COALESCE(o.match_s, {NEVER})
        ELSE {NEVER} END""",
    "pricing": f"""CASE WHEN h.user_id IS NULL
        THEN GREATEST(COALESCE(i.match_s, {NEVER}), COALESCE(p.match_s, {NEVER}), {14 * 86_400}) ELSE {NEVER} END""",
}


def _cohort_sql(key: str, clock: Clock) -> str:
    won = "d.stage = 'Closed Won' AND d.closed_at IS NOT NULL"
    opens = f"v.t0_s + {clock.landmark_s + clock.gap_s}"
    closes = f"{opens} + {clock.horizon_s}"
    return f"""
    WITH {", ".join(_LEAVES[key])},
    own AS (SELECT d.user AS user_id, MIN(d.closed_at) AS won_at FROM deals AS d WHERE {won} GROUP BY d.user),
    account AS (
        SELECT d.company AS company_id, MIN(d.closed_at) AS won_at FROM deals AS d WHERE {won} GROUP BY d.company),
    valued AS (
        SELECT hash(u.id) >> 1 AS unit, hash(COALESCE(u.company, 'user ' || u.id)) >> 1 AS cluster,
            year(u.signed_up_at) * 100 + month(u.signed_up_at) AS month, epoch(u.signed_up_at)::BIGINT AS t0_s,
            LEAST(COALESCE(epoch(own.won_at)::BIGINT, {NEVER}), COALESCE(epoch(account.won_at)::BIGINT, {NEVER}))
                AS outcome_at_s,
            {_MATCHES[key]} AS match_s
        FROM users AS u LEFT JOIN companies AS c ON c.id = u.company
        LEFT JOIN own ON own.user_id = u.id LEFT JOIN account ON account.company_id = u.company
        {_JOINS[key]}
        WHERE {_IS_MATCHED} AND NOT {_IS_INTERNAL})
    SELECT v.unit, v.cluster, v.month, v.t0_s,
        CASE WHEN v.t0_s < {clock.outcomes_since_s} THEN {UNRECORDED}
             WHEN v.outcome_at_s < {opens} THEN {NOT_AT_RISK}
             WHEN {closes} > {clock.data_end_s} THEN {IMMATURE}
             ELSE {ELIGIBLE} END AS status,
        CASE WHEN v.match_s < {NEVER} THEN 1 ELSE 0 END AS signal,
        CASE WHEN v.outcome_at_s >= {opens} AND v.outcome_at_s < {closes} THEN 1 ELSE 0 END AS converted,
        CASE WHEN v.match_s < {NEVER} THEN v.t0_s + v.match_s ELSE {NEVER} END AS matched_at_s, v.outcome_at_s
    FROM valued AS v"""
