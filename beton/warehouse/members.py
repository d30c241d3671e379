"""Who carries a signal: the rows behind the counts, for an export, for a list and for one unit's page."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from beton.model.outcome import Unit
from beton.model.signal import DAY_S
from beton.model.unit_facts import TRAITS, Carrier, CarrierPage, CarrierQuery, SortKey
from beton.warehouse.compile import NEVER, column
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

_LISTED: Final = {
    "user": "SELECT s.*, u.user_id AS unit_id, u.email, COALESCE(c.name, c.company_id) AS company, u.t0_s AS since_s"
    "{traits} FROM carriers AS s JOIN store.users AS u ON u.user_key = s.unit"
    " LEFT JOIN store.companies AS c ON c.company_key = u.company_key",
    "account": "SELECT s.*, c.company_id AS unit_id, NULL::VARCHAR AS email, c.name AS company, c.t0_s AS since_s"
    "{traits} FROM carriers AS s JOIN store.companies AS c ON c.company_key = s.unit",
}
_ORDER: Final[dict[SortKey, str]] = {
    "who": "LOWER(COALESCE(email, unit_id))",
    "company": "LOWER(company)",
    "plan": "plan",
    "role": "role",
    "matched_at": "matched_at_s",
    "day": "matched_at_s - since_s",
    "outcome": f"NULLIF(outcome_at_s, {NEVER})",
    "standing": "status",
}


def members(
    connection: duckdb.DuckDBPyConnection, cohort_sql: str, unit: Unit, data_end_s: int
) -> tuple[tuple[str, ...], list[tuple[object, ...]]]:
    """Return header and rows: identity, when the signal first matched, standing in the backtest, outcome time.

    Times are ISO 8601 in UTC; one row per unit, ordered by the time of the match. A condition that will only be certain
    after ``data_end_s`` (not done *yet*) is carried by nobody.
    """
    names, query = _DETAILS[unit]
    carriers = carriers_sql(cohort_sql, data_end_s)
    rest = "s.matched_at_s, s.status, s.converted, s.outcome_at_s"
    found = connection.execute(f"WITH carriers AS ({carriers}) {query.format(rest=rest)}").fetchall()
    header = (*names, "matched_at", "standing", "converted_in_window", "first_outcome_at")
    return header, [_row(row) for row in found]


def member_page(
    connection: duckdb.DuckDBPyConnection,
    cohort_sql: str,
    unit: Unit,
    data_end_s: int,
    wanted: CarrierQuery,
    traits: Sequence[str] = (),
) -> CarrierPage:
    """Return the part of the list that ``wanted`` names, of the units of ``members``.

    ``traits`` are columns of ``store.users`` to add; accounts have none.
    """
    traits = traits if unit == "user" else ()
    keeps = _kept(wanted)
    listed = _LISTED[unit].format(traits="".join(f", CAST({column('u', n)} AS VARCHAR) AS {n}" for n in traits))
    order = f"{_ORDER[_sortable(wanted.sort, traits)]} {'DESC' if wanted.is_descending else 'ASC'} NULLS LAST, unit_id"
    found = connection.execute(
        f"""WITH carriers AS MATERIALIZED ({carriers_sql(cohort_sql, data_end_s)}), listed AS ({listed})
        SELECT t.total, t.matching, p.* FROM
            (SELECT COUNT(*) AS total, COUNT(*) FILTER (WHERE {keeps}) AS matching FROM listed) AS t
        LEFT JOIN (SELECT * FROM listed WHERE {keeps} ORDER BY {order} LIMIT $rows OFFSET $start) AS p ON TRUE
        ORDER BY {order}""",
        {"text": wanted.text, "rows": wanted.rows, "start": wanted.start},
    )
    names = [each[0] for each in found.description or ()]
    rows = [dict(zip(names, row, strict=True)) for row in found.fetchall()]
    carriers = tuple(_carrier(row, traits) for row in rows if row["unit_id"] is not None)
    return CarrierPage(unit, carriers, rows[0]["matching"], rows[0]["total"])


def member_of(
    connection: duckdb.DuckDBPyConnection, cohort_sql: str, unit_key: int, data_end_s: int
) -> tuple[datetime, str] | None:
    """Return when one unit first matched, and its standing in the backtest; None if it does not carry the signal."""
    sql = carriers_sql(cohort_sql, data_end_s, of_one=True)
    rows = connection.execute(sql, {"unit": unit_key}).fetchall()
    return (_moment(rows[0][1]), STATUS_WORDS[rows[0][2]]) if rows else None


def carriers_sql(cohort_sql: str, data_end_s: int, of_one: bool = False) -> str:
    """Return the SELECT with one row per carrier of the cohort's signal, or only that of the unit ``$unit``."""
    one = " AND r.unit = $unit" if of_one else ""
    return f"""SELECT r.unit, MIN(r.matched_at_s) AS matched_at_s, MIN(r.status) AS status,
            MAX(r.converted) AS converted, MIN(r.outcome_at_s) AS outcome_at_s
        FROM ({cohort_sql}) AS r
        WHERE r.signal = 1 AND r.status <> {INTERNAL} AND r.matched_at_s <= {data_end_s}{one} GROUP BY r.unit"""


def _sortable(key: SortKey, traits: Sequence[str]) -> SortKey:
    """A property that these data do not have sorts nothing."""
    return "matched_at" if key in TRAITS and key not in traits else key


def _kept(wanted: CarrierQuery) -> str:
    has_text = "STRPOS(LOWER(CONCAT_WS(' ', unit_id, email, company)), LOWER($text)) > 0"
    converted = {
        "": "TRUE",
        "yes": f"outcome_at_s < {NEVER}",
        "open": f"outcome_at_s >= {NEVER} AND status = {IMMATURE}",
        "no": f"outcome_at_s >= {NEVER} AND status <> {IMMATURE}",
    }[wanted.converted]
    return f"($text = '' OR {has_text}) AND {converted}"


def _carrier(row: dict[str, Any], traits: Sequence[str]) -> Carrier:
    has_outcome = row["outcome_at_s"] < NEVER
    return Carrier(
        unit_id=row["unit_id"],
        email=row["email"],
        company=row["company"],
        traits={name: row[name] for name in traits},
        matched_at=_moment(row["matched_at_s"]),
        matched_after_days=(row["matched_at_s"] - row["since_s"]) / DAY_S,
        standing=STATUS_WORDS[row["status"]],
        outcome_at=_moment(row["outcome_at_s"]) if has_outcome else None,
        is_open=not has_outcome and row["status"] == IMMATURE,
    )


def _moment(epoch_s: int) -> datetime:
    return datetime.fromtimestamp(epoch_s, UTC)


def _row(row: tuple[object, ...]) -> tuple[object, ...]:
    *identity, matched_s, status, converted, outcome_s = row
    shown = [value.isoformat() + "Z" if isinstance(value, datetime) else value for value in identity]
    counted = ("yes" if converted else "no") if status == ELIGIBLE else ""
    return (*shown, _iso(matched_s), STATUS_WORDS[status], counted, _iso(outcome_s))  # type: ignore[index]


def _iso(epoch_s: object) -> str:
    assert isinstance(epoch_s, int)
    return "" if epoch_s >= NEVER else _moment(epoch_s).strftime("%Y-%m-%dT%H:%M:%SZ")
