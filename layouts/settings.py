"""The Settings page (PRD 5.8)."""

from __future__ import annotations

from dash import dcc, html

from beton.model.settings import CURRENCIES, CompanySettings
from layouts import ids
from layouts.parts.buttons import button
from layouts.parts.cards import card, columns, page
from layouts.parts.forms import select, text_input

FIELDS = (
    "acv",
    "acv_source",
    "baseline_conversion",
    "sales_cycle_days",
    "currency",
    "min_confidence",
    "min_sample",
    "min_lift",
)
THRESHOLDS_NOTE = "The Signals list hides what discovery found below these, as long as nobody has enabled it."
_ACV_SOURCES = [
    ("settings", "The amount above"),
    ("mean", "Mean amount of won deals"),
    ("median", "Median amount of won deals"),
]


def settings(current: CompanySettings, version: int) -> html.Div:
    """Return the form, filled with the settings in force; ``version`` guards against overwriting another save."""
    at = current.to_form()

    def typed(name: str, label: str, units: tuple[str | None, str | None], help: str) -> html.Div:
        return text_input(ids.setting(name), label, at[name], units=units, help=help)

    revenue = [
        typed("acv", "Average Contract Value (ACV)", (current.currency, None), "Used for ARR projections."),
        select(ids.setting("acv_source"), "ACV taken from", _ACV_SOURCES, at["acv_source"]),
        typed(
            "baseline_conversion",
            "Baseline Conversion Rate",
            (None, "%"),
            "Your historical free-to-paid conversion, for reference; backtests measure their own.",
        ),
        typed("sales_cycle_days", "Average Sales Cycle", (None, "days"), "The shortest outcome window of a backtest."),
        select(ids.setting("currency"), "Currency", list(CURRENCIES), at["currency"]),
    ]
    thresholds = [
        typed(
            "min_confidence",
            "Minimum confidence to show signal",
            (None, "%"),
            "Of the direction, for discovered signals.",
        ),
        typed("min_sample", "Minimum sample size", (None, "users"), "With fewer, the verdict is: not enough data."),
        typed(
            "min_lift",
            "Minimum lift",
            (None, "x"),
            "Recommended from this lift on. Harmful ones count when as far below 1x.",
        ),
    ]
    return page(
        "Settings",
        columns(card("Revenue Settings", revenue), card("Signal Thresholds", thresholds, note=THRESHOLDS_NOTE)),
        html.Div(button(ids.SETTINGS_SAVE, "Save Settings", "primary"), className="button-row"),
        dcc.Store(id=ids.SETTINGS_VERSION, data=version),
        subtitle="Every verdict and projection follows these at once; nothing needs to run again.",
    )
