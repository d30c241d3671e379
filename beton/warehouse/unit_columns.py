"""What every backtest asks of every unit, stored with it: its month, its first won deal, whether it is identified.

A deal of an account is an outcome of all its users, so ``users.won_account_s`` is the earlier of the user's own deal
and the account's; ``NEVER`` stands for no deal. Times are epoch seconds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from beton.warehouse.compile import NEVER

if TYPE_CHECKING:
    import duckdb


def add_unit_columns(connection: duckdb.DuckDBPyConnection) -> None:
    """Extend ``store.users`` and ``store.companies``; both keep their order by key."""
    by_user, by_company = (
        f"(SELECT {who}_key, MIN(closed_s) AS won_s FROM store.deals WHERE is_won AND {who}_key IS NOT NULL"
        f" GROUP BY {who}_key)"
        for who in ("user", "company")
    )
    connection.execute(
        f"""CREATE OR REPLACE TABLE store.users AS
        SELECT u.*, (year(u.signed_up_at) * 100 + month(u.signed_up_at))::INTEGER AS signup_month,
            COALESCE(d.won_s, {NEVER}) AS won_own_s,
            LEAST(COALESCE(d.won_s, {NEVER}), COALESCE(a.won_s, {NEVER})) AS won_account_s
        FROM store.users AS u LEFT JOIN {by_user} AS d ON d.user_key = u.user_key
        LEFT JOIN {by_company} AS a ON a.company_key = u.company_key ORDER BY u.user_key"""
    )
    connection.execute(
        f"""CREATE OR REPLACE TABLE store.companies AS
        SELECT c.*, (year(c.first_seen_at) * 100 + month(c.first_seen_at))::INTEGER AS first_seen_month,
            COALESCE(m.is_internal, FALSE) AS is_internal, COALESCE(m.is_matched, FALSE) AS is_matched,
            COALESCE(a.won_s, {NEVER}) AS won_s
        FROM store.companies AS c LEFT JOIN {by_company} AS a ON a.company_key = c.company_key
        LEFT JOIN (SELECT company_key, bool_and(is_internal) AS is_internal, bool_or(is_matched) AS is_matched
            FROM store.users GROUP BY company_key) AS m ON m.company_key = c.company_key ORDER BY c.company_key"""
    )
