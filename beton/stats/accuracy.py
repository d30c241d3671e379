"""How well "has the signal" works as a forecast of "converts", next to forecasting that nobody does."""

from __future__ import annotations

from dataclasses import dataclass

from beton.stats.proportions import TwoByTwo


@dataclass(frozen=True)
class Accuracy:
    """Shares of 1; None where there is nothing to divide by.

    ``accuracy``: units forecast rightly. ``accuracy_of_never``: the same for "nobody converts", which a
    signal beats only when more than half of its units convert; so the two are shown together.
    ``precision``: units with the signal that convert. ``recall``: conversions that carried the signal.
    """

    accuracy: float | None
    accuracy_of_never: float | None
    precision: float | None
    recall: float | None


def accuracy_of(table: TwoByTwo) -> Accuracy:
    """Read the signal of ``table`` as a yes/no forecast of conversion."""
    forecast_rightly = table.converted_with + table.units_without - table.converted_without
    return Accuracy(
        accuracy=forecast_rightly / table.units if table.units else None,
        accuracy_of_never=(table.units - table.converted) / table.units if table.units else None,
        precision=table.precision,
        recall=table.coverage,
    )
