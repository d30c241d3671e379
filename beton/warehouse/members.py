"""Who carries a signal: the rows behind the counts, for an export."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from beton.model.outcome import Unit
from beton.warehouse.compile import NEVER
from beton.warehouse.landmark import ELIGIBLE, IMMATURE, INTERNAL, NOT_AT_RISK, UNMATCHED, UNRECORDED

if TYPE_CHECKING:
    import duckdb

STATUS_WORDS: Final = {
    ELIGIBLE: "in the backtest",
    UNMATCHED: "no CRM contact",
    UNRECORDED: "before outcomes were recorded",
    NOT_AT_RISK: "converted before the outcome window",
    IMMATURE: "not yet mature",
}
_DETAILS: Final = {
    "user": (
        ("user_id", "email", "company_id", "company_name", "signed_up_at"),
        "SELECT u.user_id, u.email, c.company_id, c.name, u.signed_up_at, {rest} FROM carriers AS s"
        " JOIN store.users AS u ON u.user_key = s.unit LEFT JOIN store.companies AS c ON c.company_key = u.company_key"
        " ORDER BY s.matched_at_s, u.user_id",
    ),
    "account": (
        ("company_id", "company_name", "first_seen_at"),
        "SELECT c.company_id, c.name, c.first_seen_at, {rest} FROM carriers AS s"
        " JOIN store.companies AS c ON c.company_key = s.unit ORDER BY s.matched_at_s, c.company_id",
    ),
}


def members(
    connection: duckdb.DuckDBPyConnection, cohort_sql: str, unit: Unit, data_end_s: int
) -> tuple[tuple[str, ...], list[tuple[object, ...]]]:
    """Return header and rows: identity, when the signal first matched, standing in the backtest, outcome time.

    Times are ISO 8601 in UTC; one row per unit, ordered by the time of the match. A condition that will only be certain
    after ``data_end_s`` (not done *yet*) is carried by nobody.
    """
    names, query = _DETAILS[unit]
    carriers = f"""SELECT r.unit, MIN(r.matched_at_s) AS matched_at_s, MIN(r.status) AS status,
            MAX(r.converted) AS converted, MIN(r.outcome_at_s) AS outcome_at_s
        FROM ({cohort_sql}) AS r
        WHERE r.signal = 1 AND r.status <> {INTERNAL} AND r.matched_at_s <= {data_end_s} GROUP BY r.unit"""
    rest = "s.matched_at_s, s.status, s.converted, s.outcome_at_s"
    found = connection.execute(f"WITH carriers AS ({carriers}) {query.format(rest=rest)}").fetchall()
    header = (*names, "matched_at", "standing", "converted_in_window", "first_outcome_at")
    return header, [_row(row) for row in found]


def _row(row: tuple[object, ...]) -> tuple[object, ...]:
    *identity, matched_s, status, converted, outcome_s = row
    shown = [value.isoformat() + "Z" if isinstance(value, datetime) else value for value in identity]
    counted = ("yes" if converted else "no") if status == ELIGIBLE else ""
    return (*shown, _iso(matched_s), STATUS_WORDS[status], counted, _iso(outcome_s))  # type: ignore[index]


def _iso(epoch_s: object) -> str:
    assert isinstance(epoch_s, int)
    return "" if epoch_s >= NEVER else datetime.fromtimestamp(epoch_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
