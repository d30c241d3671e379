"""What won deals were worth, in one currency."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import mean, median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb


@dataclass(frozen=True)
class DealAmounts:
    """Won deals with an amount in the asked currency (or none written); others are counted, never converted."""

    deals: int
    mean: float | None
    median: float | None
    other_currency_deals: int


def won_amounts(connection: duckdb.DuckDBPyConnection, currency: str) -> DealAmounts:
    """Return count, mean and median of the amounts of won deals in ``currency`` (ISO 4217)."""
    rows = connection.execute(
        "SELECT d.amount, COALESCE(UPPER(d.currency), ?) = ? AS same FROM store.deals AS d"
        " WHERE d.is_won AND d.amount IS NOT NULL",
        [currency, currency],
    ).fetchall()
    amounts = [amount for amount, same in rows if same]
    if not amounts:
        return DealAmounts(0, None, None, len(rows))
    return DealAmounts(len(amounts), mean(amounts), median(amounts), len(rows) - len(amounts))
