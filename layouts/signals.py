"""The Signals page: saved signals with their proof on the current data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from dash import html

from beton.model.evidence import Measured
from beton.model.manifest import Manifest
from layouts import format, ids
from layouts.parts.buttons import link_button
from layouts.parts.cards import page
from layouts.parts.grids import column, grid
from layouts.parts.notices import empty_state
from layouts.result_figures import lift_limits
from layouts.routes import Page, Route, href
from layouts.upcoming import no_data

if TYPE_CHECKING:
    from beton.services.signals import SignalReport

TITLE = "Signals"
SUBTITLE = "Saved signals and their proof on the current data. Discovery will find more by itself."

COLUMNS = [
    column("name", "Signal", "link", minWidth=230, flex=1),
    column("lift", "Lift", "lift", minWidth=80, maxWidth=90),
    column("interval", "95% CI", minWidth=124, maxWidth=140, sortable=False, type="rightAligned"),
    column("units", "With signal", "integer", minWidth=86, maxWidth=110),
    column("leads", "Leads/mo", "decimal", minWidth=100, maxWidth=120),
    column("arr", "Est ARR", "money", minWidth=98, maxWidth=120),
    column("verdict", "Verdict", minWidth=104, maxWidth=150),
    column("status", "Status", "status", minWidth=118, maxWidth=130),
]


def signals(manifest: Manifest | None, reports: Sequence[SignalReport], currency: str) -> html.Div:
    """Return the list of saved signals."""
    if manifest is None:
        return page(TITLE, no_data(), subtitle=SUBTITLE)
    test = link_button("Test a hypothesis", href(Route(Page.BACKTEST)), "primary", icon_name="backtest")
    if not reports:
        empty = empty_state("No signals yet", "Backtest a hypothesis and save what holds.", action=test)
        return page(TITLE, empty, subtitle=SUBTITLE)
    enabled = sum(each.signal.enabled for each in reports)
    summary = html.P(f"{format.plural(len(reports), 'signal')} saved · {enabled} enabled", className="summary")
    rows = [grid_row(each) for each in reports]
    table = grid(ids.SIGNALS_GRID, "Saved signals", COLUMNS, rows, currency=currency)
    return page(TITLE, table, summary, subtitle=SUBTITLE, actions=test)


def grid_row(each: SignalReport) -> dict[str, Any]:
    """Return one row: raw numbers, formatted by the grid."""
    signal, report = each.signal, each.report
    row: dict[str, Any] = {
        "id": signal.id,
        "name": signal.definition.name,
        "href": href(Route(Page.SIGNAL, signal_id=signal.id)),
        "status": "enabled" if signal.enabled else "disabled",
        "verdict": "Cannot tell" if report is None else report.reading.verdict.label,
    }
    if report is None or not isinstance(report.evidence.result, Measured):
        return row
    result, projection = report.evidence.result, report.reading.projection
    return row | {
        "lift": result.lift,
        "interval": lift_limits(result.lift_interval),
        "units": result.table.units_with,
        "leads": report.evidence.leads.per_month,
        "arr": None if projection is None else projection.annual_arr,
    }
