"""The Signals page: saved signals with their proof on the current data, filtered by what the address says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from dash import dcc, html

from beton.model.manifest import Manifest
from beton.model.settings import CompanySettings
from beton.model.words import sentence
from layouts import format, ids
from layouts.parts.attributes import aria
from layouts.parts.buttons import button, button_row, link_button
from layouts.parts.cards import card, page
from layouts.parts.figures import graph
from layouts.parts.forms import select, text_input
from layouts.parts.grids import column, grid
from layouts.parts.notices import empty_state
from layouts.parts.tables import table, table_rows
from layouts.result_figures import lift_limits
from layouts.routes import HARMFUL, LIFTS, MOST_CHARACTERS, STATUSES, VERDICTS, Page, Route, SignalFilter, href
from layouts.signals_figures import MOST_ROWS, ForestRow, forest_figure, forest_height_px
from layouts.upcoming import no_data

if TYPE_CHECKING:
    from beton.services.signals import SignalReport

TITLE = "Signals"
SUBTITLE = "Saved signals and their proof on the current data. Discovery will find more by itself."
FOREST_NOTE = (
    "95% intervals on a logarithmic axis, highest lift first. Solid line: no difference. Dotted: your minimum lift. "
    "Red: fewer convert with the signal."
)
NO_SOURCE = "Imported files"  # what a definition that names no source was measured on

COLUMNS = [
    column("name", "Signal", "link", minWidth=160, flex=3, wrapText=True, autoHeight=True),
    column("lift", "Lift", "lift", minWidth=70, maxWidth=84),
    column("interval", "95% CI", minWidth=118, maxWidth=132, sortable=False, type="rightAligned"),
    column("units", "With signal", "integer", minWidth=96, maxWidth=104),
    column("leads", "Leads/mo", "decimal", minWidth=84, maxWidth=100),
    column("arr", "Est ARR", "money", minWidth=82, maxWidth=100),
    column("verdict", "Verdict", minWidth=132, maxWidth=150),
    column("status", "Status", "status", minWidth=112, maxWidth=122),
]
ROW_OPENS = {"cellKeyDown": ["openRow(params)"], "rowClicked": ["openRow(params)"]}
FITS = {"firstDataRendered": ["fitSignals(params)"], "gridSizeChanged": ["fitSignals(params)"]}

# What follows the filter: every leaf with the property that changes.
LEAVES: tuple[tuple[str, str], ...] = (
    (ids.SIGNALS_GRID, "rowData"),
    (ids.SIGNALS_LISTED, "hidden"),
    (ids.SIGNALS_EMPTY, "hidden"),
    (ids.SIGNALS_SUMMARY, "children"),
    (ids.SIGNALS_CLEAR, "className"),
    (ids.SIGNALS_EXPORT, "disabled"),
    (ids.SIGNALS_FOREST, "figure"),
    (ids.SIGNALS_FOREST, "style"),
    (ids.SIGNALS_FOREST_CARD, "hidden"),
    (f"{ids.SIGNALS_FOREST_TABLE}-body", "children"),
)


def signals(
    manifest: Manifest | None,
    reports: Sequence[SignalReport],
    settings: CompanySettings,
    chosen: SignalFilter = SignalFilter(),  # noqa: B008  # frozen
) -> html.Div:
    """Return the list of saved signals that ``chosen`` leaves."""
    if manifest is None:
        return page(TITLE, no_data(), subtitle=SUBTITLE)
    test = link_button("Test a hypothesis", href(Route(Page.BACKTEST)), "primary", icon_name="backtest")
    if not reports:
        empty = empty_state("No signals yet", "Backtest a hypothesis and save what holds.", action=test)
        return page(TITLE, empty, subtitle=SUBTITLE)
    return page(
        TITLE,
        _filters(reports, chosen),
        *_list(leaves(reports, chosen, settings.min_lift), settings.currency),
        dcc.Download(id=ids.SIGNALS_DOWNLOAD),
        subtitle=SUBTITLE,
        actions=test,
    )


def listed(reports: Sequence[SignalReport], chosen: SignalFilter) -> list[SignalReport]:
    """Return the signals that ``chosen`` leaves, highest lift first; a source that no signal has is ignored."""
    source = chosen.source if chosen.source in map(source_of, reports) else ""
    kept = [each for each in reports if _is_wanted(each, chosen, source)]
    return sorted(kept, key=lambda each: -1.0 if each.lift is None else each.lift, reverse=True)


def _is_wanted(each: SignalReport, chosen: SignalFilter, source: str) -> bool:
    return (
        chosen.status in ("", status_of(each))
        and chosen.verdict in ("", slug(verdict_of(each)))
        and source in ("", source_of(each))
        and _has_lift(each.lift, chosen.lift)
        and _has_words(each, chosen.q)
    )


def _has_lift(lift: float | None, wanted: str) -> bool:
    if not wanted:
        return True
    if lift is None:
        return False
    return lift < 1 if wanted == HARMFUL else lift >= float(wanted)


def _has_words(each: SignalReport, words: str) -> bool:
    definition = each.signal.definition
    text = " ".join((definition.name, definition.description or "", sentence(definition))).casefold()
    return all(word in text for word in words.casefold().split())


def source_of(each: SignalReport) -> str:
    """Return where the signal's events come from."""
    return each.signal.definition.source or NO_SOURCE


def status_of(each: SignalReport) -> str:
    """Return the status as addresses and the grid write it."""
    return "enabled" if each.signal.enabled else "disabled"


def verdict_of(each: SignalReport) -> str:
    """Return the words of the verdict."""
    return "Cannot tell" if each.report is None else each.report.reading.verdict.label


def slug(words: str) -> str:
    """Return words as an address writes them."""
    return words.lower().replace(" ", "-")


def leaves(reports: Sequence[SignalReport], chosen: SignalFilter, min_lift: float) -> dict[tuple[str, str], Any]:
    """Return the value of every one of ``LEAVES``."""
    kept = listed(reports, chosen)
    rows = [row for row in map(forest_row, kept) if row is not None]
    values = (
        [grid_row(each) for each in kept],
        not kept,
        bool(kept),
        _summary(reports, len(kept), len(rows)),
        "btn btn-ghost" if kept and chosen.query() else "btn btn-ghost d-none",
        not kept,
        forest_figure(rows, min_lift),
        {"height": f"{forest_height_px(len(rows))}px"},
        not rows,
        _forest_table(kept),
    )
    return dict(zip(LEAVES, values, strict=True))


def _summary(reports: Sequence[SignalReport], shown: int, measured: int) -> str:
    enabled = sum(each.signal.enabled for each in reports)
    parts = [format.plural(len(reports), "signal"), f"{enabled} enabled", f"{shown} shown"]
    if measured > MOST_ROWS:
        parts.append(f"the chart draws the {MOST_ROWS} highest lifts")
    return " · ".join(parts)


def _filters(reports: Sequence[SignalReport], chosen: SignalFilter) -> html.Div:
    sources = sorted(set(map(source_of, reports)))
    lifts = [(each, "Harmful (<1x)" if each == HARMFUL else f"{each}x or more") for each in LIFTS]
    verdicts = [(each, each.capitalize().replace("-", " ")) for each in VERDICTS]
    source = chosen.source if chosen.source in sources else ""
    fields = (
        text_input(ids.SIGNALS_SEARCH, "Search", chosen.q, placeholder="Name or condition", max_length=MOST_CHARACTERS),
        _choice(ids.SIGNALS_STATUS, "Status", [(each, each.capitalize()) for each in STATUSES], chosen.status),
        _choice(ids.SIGNALS_LIFT, "Lift", lifts, chosen.lift),
        _choice(ids.SIGNALS_SOURCE, "Source", [(each, each) for each in sources], source),
        _choice(ids.SIGNALS_VERDICT, "Verdict", verdicts, chosen.verdict),
    )
    return html.Div(list(fields), className="signal-filters", role="search", **aria(label="Filter signals"))


def _choice(id: str, label: str, options: list[tuple[str, str]], value: str) -> html.Div:
    # The placeholder is what shows for "", and the option is what can be chosen again.
    return select(id, label, [("", "All"), *options], value, placeholder="All")


def _list(at: dict[tuple[str, str], Any], currency: str) -> list[Any]:
    summary = html.P(at[ids.SIGNALS_SUMMARY, "children"], id=ids.SIGNALS_SUMMARY, className="summary", role="status")
    clear: Any = button(ids.SIGNALS_CLEAR, "Clear filters", "ghost")
    clear.className = at[ids.SIGNALS_CLEAR, "className"]
    is_empty = at[ids.SIGNALS_EXPORT, "disabled"]
    export = button(ids.SIGNALS_EXPORT, "Export CSV", icon_name="download", disabled=is_empty)
    rows = grid(ids.SIGNALS_GRID, "Saved signals", COLUMNS, at[ids.SIGNALS_GRID, "rowData"], currency=currency)
    rows.children.eventListeners = ROW_OPENS | FITS
    nothing = empty_state(
        "No signal matches these filters",
        "Loosen one of them, or see every signal again.",
        action=button(ids.SIGNALS_CLEAR_EMPTY, "Clear filters", "primary"),
    )
    return [
        html.Div([summary, button_row(clear, export)], className="list-head"),
        html.Div(rows, id=ids.SIGNALS_LISTED, hidden=at[ids.SIGNALS_LISTED, "hidden"], className="signal-list"),
        html.Div(nothing, id=ids.SIGNALS_EMPTY, hidden=at[ids.SIGNALS_EMPTY, "hidden"]),
        _forest(at),
    ]


def _forest(at: dict[tuple[str, str], Any]) -> html.Div:
    numbers = table("Lift of the listed signals", FOREST_HEADER, [], id=ids.SIGNALS_FOREST_TABLE)
    numbers.children.children[-1].children = at[f"{ids.SIGNALS_FOREST_TABLE}-body", "children"]
    drawn = graph(
        ids.SIGNALS_FOREST,
        at[ids.SIGNALS_FOREST, "figure"],
        "Lift of the listed signals with 95% intervals, highest first",
        as_table=numbers,
    )
    drawn.children[0].children.style = at[ids.SIGNALS_FOREST, "style"]
    inside = card("Lift of the listed signals", drawn, note=FOREST_NOTE, class_name="forest")
    return html.Div(inside, id=ids.SIGNALS_FOREST_CARD, hidden=at[ids.SIGNALS_FOREST_CARD, "hidden"])


FOREST_HEADER = ("Signal", "Lift", "95% CI", "With signal", "Verdict")


def _forest_table(kept: Sequence[SignalReport]) -> list[html.Tr]:
    rows = []
    for each in kept:
        row = forest_row(each)
        if row is not None:
            numbers = (format.lift(row.lift), lift_limits(row.interval), format.count(row.units), verdict_of(each))
            rows.append([html.A(row.name, href=row.href), *numbers])
    return table_rows(rows)


def forest_row(each: SignalReport) -> ForestRow | None:
    """Return one row of the forest plot; None for a signal whose lift the data cannot tell."""
    measured, lift = each.measured, each.lift
    if measured is None or lift is None:
        return None
    address = href(Route(Page.SIGNAL, signal_id=each.signal.id))
    return ForestRow(each.signal.definition.name, address, lift, measured.lift_interval, measured.table.units_with)


def grid_row(each: SignalReport) -> dict[str, Any]:
    """Return one row: raw numbers, formatted by the grid."""
    signal, report, measured = each.signal, each.report, each.measured
    row: dict[str, Any] = {
        "id": signal.id,
        "name": signal.definition.name,
        "href": href(Route(Page.SIGNAL, signal_id=signal.id)),
        "status": status_of(each),
        "verdict": verdict_of(each),
    }
    if report is None or measured is None:
        return row
    projection = report.reading.projection
    return row | {
        "lift": measured.lift,
        "interval": lift_limits(measured.lift_interval),
        "units": measured.table.units_with,
        "leads": report.evidence.leads.per_month,
        "arr": None if projection is None else projection.annual_arr,
    }
