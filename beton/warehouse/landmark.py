"""Landmark cohorts: who is eligible, who carries the signal, who converted afterwards (definitions, section 2).

Every identified unit gets one row (``after signup``) or one row per week (``any time``) with the same columns:
``unit``, ``cluster``, ``month``, ``t0_s`` (the landmark itself for weeks), ``status``, ``signal``, ``converted``,
``matched_at_s`` and ``outcome_at_s``. ``counts`` aggregates the rows; only counts go further.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from beton.errors import InputError
from beton.model.outcome import Outcome, Unit
from beton.model.signal import SignalDefinition
from beton.warehouse.compile import (
    MONDAY_S,
    NEVER,
    WEEK_S,
    Catalogue,
    Compiled,
    compile_conditions,
    compile_weekly,
    statement,
    text_literal,
)

ELIGIBLE: Final = 0
INTERNAL, UNMATCHED, UNRECORDED, NOT_AT_RISK, IMMATURE = 1, 2, 3, 4, 5
MAX_WEEKS: Final = 1_040


@dataclass(frozen=True)
class Clock:
    """All times of a cohort in seconds; ``data_end_s`` and ``outcomes_since_s`` are epoch seconds."""

    landmark_s: int
    gap_s: int
    horizon_s: int
    data_end_s: int
    outcomes_since_s: int


@dataclass(frozen=True)
class Base:
    """Where the units of a cohort and their first outcome come from.

    ``ctes`` are needed before ``source`` (a FROM clause in which ``u`` is the unit's row); ``outcome_at`` is the SQL of
    the first outcome in epoch seconds, ``NEVER`` where there is none.
    """

    ctes: list[tuple[str, str]]
    source: str
    key: str
    cluster: str
    month: str
    outcome_at: str


def cohort_sql(
    signal: SignalDefinition, outcome: Outcome, clock: Clock, catalogue: Catalogue, dialect: str = "duckdb"
) -> str:
    """Return the SELECT with one row per identified unit (or unit and week); ``excluded_sql`` counts the others.

    That of a signal in SQL reads ``answer_table``: (unit, match_s) of the units that its query names.

    Raises:
        InputError: unknown event or property, or a combination that has no meaning; the text names the fix.
    """
    if signal.timing == "any time":
        return _weekly_sql(signal, outcome, clock, catalogue, dialect)
    base = _base(signal.unit, outcome)
    ctes, match, joins = base.ctes, f"COALESCE(r.match_s, {NEVER})", ""
    if signal.sql:
        joins = f"LEFT JOIN {answer_table(signal)} AS r ON r.unit = {base.key}"
    else:
        compiled = compile_conditions(signal, catalogue, clock.landmark_s)
        ctes = [*ctes, *compiled.ctes]
        if signal.unit == "user":
            match, joins = compiled.match, compiled.joins("u.user_key")
        else:
            ctes += [("member", _members(compiled, clock)), ("rolled", _rollup(signal, clock))]
            joins = "LEFT JOIN rolled AS r ON r.company_key = u.company_key"
    valued = f"""
        SELECT {base.key} AS unit, {base.cluster} AS cluster, {base.month} AS month, u.t0_s AS t0_s,
            {base.outcome_at} AS outcome_at_s, {match} AS match_s
        FROM {base.source} {joins}
        WHERE u.is_matched AND NOT u.is_internal"""
    return statement([*ctes, ("valued", valued)], _rows(clock, clock.landmark_s + clock.gap_s), dialect)


def answer_table(signal: SignalDefinition) -> str:
    """Return the name of the table that holds the answer of a query."""
    return f"answer_{signal.meaning_hash()}"


def excluded_sql(unit: Unit, dialect: str = "duckdb") -> str:
    """Return the SELECT (status, units) of units that never enter a cohort: internal ones, and unidentified ones."""
    table = "store.users" if unit == "user" else "store.companies"
    known = "u.t0_s IS NOT NULL"
    return statement(
        [],
        f"""SELECT CASE WHEN u.is_internal THEN {INTERNAL} ELSE {UNMATCHED} END AS status, COUNT(*) AS units
        FROM {table} AS u WHERE {known} AND (u.is_internal OR NOT u.is_matched)
        GROUP BY CASE WHEN u.is_internal THEN {INTERNAL} ELSE {UNMATCHED} END""",
        dialect,
    )


def time_to_outcome_sql(unit: Unit, outcome: Outcome, dialect: str = "duckdb") -> str:
    """Return the SELECT of seconds from time zero to the first outcome, over units that have one after it."""
    base = _base(unit, outcome)
    return statement(
        base.ctes,
        f"SELECT {base.outcome_at} - u.t0_s AS seconds FROM {base.source} WHERE NOT u.is_internal"
        f" AND {base.outcome_at} >= u.t0_s AND {base.outcome_at} < {NEVER}",
        dialect,
    )


def first_outcome_sql(unit: Unit, outcome: Outcome, dialect: str = "duckdb") -> str:
    """Return the SELECT (unit, outcome_at_s) of every unit, with ``NEVER`` where there is no outcome."""
    base = _base(unit, outcome)
    return statement(
        base.ctes, f"SELECT {base.key} AS unit, {base.outcome_at} AS outcome_at_s FROM {base.source}", dialect
    )


def _rows(clock: Clock, start_s: int) -> str:
    """Give every row its standing, signal and outcome; the outcome window opens ``start_s`` after ``t0_s``."""
    opens, closes = f"v.t0_s + {start_s}", f"v.t0_s + {start_s + clock.horizon_s}"
    return f"""
        SELECT v.unit, v.cluster, v.month, v.t0_s,
            CASE WHEN v.t0_s < {clock.outcomes_since_s} THEN {UNRECORDED}
                 WHEN v.outcome_at_s < {opens} THEN {NOT_AT_RISK}
                 WHEN {closes} > {clock.data_end_s} THEN {IMMATURE}
                 ELSE {ELIGIBLE} END AS status,
            CASE WHEN v.match_s < {NEVER} THEN 1 ELSE 0 END AS signal,
            CASE WHEN v.outcome_at_s >= {opens} AND v.outcome_at_s < {closes}
                 THEN 1 ELSE 0 END AS converted,
            CASE WHEN v.match_s < {NEVER} THEN v.t0_s + v.match_s ELSE {NEVER} END AS matched_at_s,
            v.outcome_at_s
        FROM valued AS v"""


def _base(unit: Unit, outcome: Outcome) -> Base:
    """The units with their first outcome; won deals are stored with each unit, other outcomes are looked up."""
    table = "store.users" if unit == "user" else "store.companies"
    month = "u.signup_month" if unit == "user" else "u.first_seen_month"
    shared = outcome.belongs_to == "account" or unit == "account"
    key = "u.user_key" if unit == "user" else "u.company_key"
    cluster = "COALESCE(u.company_key, -1 - u.user_key)" if shared and unit == "user" else key
    if outcome.source == "deal won":
        column = "won_s" if unit == "account" else "won_account_s" if shared else "won_own_s"
        return Base([], f"{table} AS u", key, cluster, month, f"u.{column}")
    joins = []
    if unit == "user":
        joins.append("LEFT JOIN outcome_by_user AS ou ON ou.user_key = u.user_key")
    if shared:
        joins.append("LEFT JOIN outcome_by_company AS oc ON oc.company_key = u.company_key")
    firsts = [f"COALESCE({join.split(' AS ')[1][:2]}.first_s, {NEVER})" for join in joins]
    outcome_at = firsts[0] if len(firsts) == 1 else f"LEAST({', '.join(firsts)})"
    return Base(_outcome_ctes(outcome), f"{table} AS u {' '.join(joins)}", key, cluster, month, outcome_at)


def _outcome_ctes(outcome: Outcome) -> list[tuple[str, str]]:
    """First outcome by user, and by account, in epoch seconds."""
    if outcome.source == "first payment":
        raise InputError("first payment needs billing data; use the outcome deal won until Stripe is connected")
    if outcome.source == "event":
        rows = f"""SELECT e.user_key AS user_key, x.company_key AS company_key, x.t0_s + e.rel_s AS at_s
            FROM store.events AS e JOIN store.users AS x ON x.user_key = e.user_key
            WHERE e.event = {text_literal(outcome.event or "")}"""
    else:
        rows = """SELECT d.user_key AS user_key, d.company_key AS company_key, d.created_s AS at_s
            FROM store.deals AS d WHERE d.created_s IS NOT NULL"""
    firsts = [
        (
            f"outcome_by_{who}",
            f"SELECT r.{who}_key AS {who}_key, MIN(r.at_s) AS first_s FROM outcome_rows AS r"
            f" WHERE r.{who}_key IS NOT NULL GROUP BY r.{who}_key",
        )
        for who in ("user", "company")
    ]
    return [("outcome_rows", rows), *firsts]


def _members(compiled: Compiled, clock: Clock) -> str:
    """The users an account was seen to have by its landmark, each with the second at which the tree held."""
    return f"""
        SELECT u.company_key AS company_key, {compiled.match} AS match_s
        FROM store.users AS u {compiled.joins("u.user_key")}
        WHERE u.company_key IS NOT NULL AND NOT u.is_internal AND u.account_offset_s < {clock.landmark_s}"""


def _rollup(signal: SignalDefinition, clock: Clock) -> str:
    kind, value = signal.rollup.kind, signal.rollup.value
    if kind == "any":
        return "SELECT m.company_key AS company_key, MIN(m.match_s) AS match_s FROM member AS m GROUP BY m.company_key"
    if kind == "share":
        matched = f"SUM(CASE WHEN m.match_s < {NEVER} THEN 1 ELSE 0 END)"
        return f"""SELECT m.company_key AS company_key,
            CASE WHEN {matched} >= {value!r} * COUNT(*) THEN {clock.landmark_s} ELSE {NEVER} END AS match_s
            FROM member AS m GROUP BY m.company_key"""
    return f"""SELECT k.company_key AS company_key, k.match_s AS match_s FROM (
            SELECT m.company_key AS company_key, m.match_s AS match_s,
                ROW_NUMBER() OVER (PARTITION BY m.company_key ORDER BY m.match_s) AS rank_in_account
            FROM member AS m) AS k WHERE k.rank_in_account = {math.ceil(value)}"""


def _weekly_sql(signal: SignalDefinition, outcome: Outcome, clock: Clock, catalogue: Catalogue, dialect: str) -> str:
    """Unit-weeks: every Monday from one full window after time zero to the end of the data."""
    if signal.unit == "account":
        raise InputError("a signal at any time is measured per user; set unit: user, or timing: after signup")
    compiled = compile_weekly(signal, catalogue)
    base = _base("user", outcome)
    landmark = f"(w.week * {WEEK_S} + {MONDAY_S})"
    valued = f"""
        SELECT {base.key} AS unit, {base.cluster} AS cluster, w.month AS month, {landmark} AS t0_s,
            {base.outcome_at} AS outcome_at_s, {compiled.match} AS match_s
        FROM {base.source}
        JOIN weeks AS w ON {landmark} >= u.t0_s + {clock.landmark_s}
        {compiled.joins("u.user_key", "w.week")}
        WHERE u.is_matched AND NOT u.is_internal AND u.t0_s >= {clock.outcomes_since_s}"""
    ctes = [*base.ctes, ("weeks", _weeks(clock)), *compiled.ctes, ("valued", valued)]
    return statement(ctes, _rows(clock, clock.gap_s), dialect)


def _weeks(clock: Clock) -> str:
    """The Mondays between the first recorded outcome and the end of the data, with the month each lies in."""
    first, last = ((at - MONDAY_S) // WEEK_S for at in (clock.outcomes_since_s, clock.data_end_s))
    if last - first > MAX_WEEKS:
        raise InputError(f"more than {MAX_WEEKS} weeks of data; set outcomes_since in the mapping to a later date")
    mondays = [
        (week, datetime.fromtimestamp(week * WEEK_S + MONDAY_S, UTC)) for week in range(first, max(first, last) + 1)
    ]
    values = ", ".join(f"({week}, {day.year * 100 + day.month})" for week, day in mondays)
    return f"SELECT n.week AS week, n.month AS month FROM (VALUES {values}) AS n(week, month)"
