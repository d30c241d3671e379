"""The Signals page (PRD 5.3): discovery on top, then the signals with their evidence, filtered by the address."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from dash import dcc, html

from beton.model.manifest import Manifest
from beton.model.settings import CompanySettings
from layouts import discovery_panel, format, ids
from layouts.discovery_panel import Values
from layouts.parts.attributes import aria
from layouts.parts.buttons import button, button_row, link_button
from layouts.parts.cards import card, page
from layouts.parts.figures import graph
from layouts.parts.forms import as_options, select, text_input
from layouts.parts.grids import OPENS, grid
from layouts.parts.notices import empty_state
from layouts.parts.tables import table, table_rows
from layouts.result_figures import lift_limits
from layouts.routes import HARMFUL, LIFTS, MOST_CHARACTERS, STATUSES, Page, Route, SignalFilter, href
from layouts.signals_figures import MOST_ROWS, forest_figure, forest_height_px
from layouts.signals_rows import COLUMNS, evidence_words, forest_row, grid_row, hidden, listed, source_of
from layouts.upcoming import no_data

if TYPE_CHECKING:
    from beton.services.discovery import Standing
    from beton.services.discovery_runs import RunSummary
    from beton.services.listing import Listed

TITLE: Final = "Discovered Signals"
FOREST_NOTE: Final = (
    "95% intervals on a logarithmic axis, in the order of the list: the best proven first, then by the lift that is "
    "left after allowing for having been picked from many. Solid line: no difference. Dotted: your minimum lift. Red: "
    "fewer convert with the signal."
)
FOREST_HEADER: Final = ("Signal", "Lift", "95% CI", "With signal", "Evidence")
LISTENERS: Final = {
    **OPENS,
    "firstDataRendered": ["fitSignals(params)"],
    "gridSizeChanged": ["fitSignals(params)"],
}

EVIDENCE_CHOICES: Final = (
    ("", "All"),
    ("1", "1 Correlates, or more"),
    ("2", "2 Predicts, or more"),
    ("3", "3 Survives adjustment"),
    ("0", "0 Not shown"),
)
THRESHOLD_CHOICES: Final = (("", "Met"), ("any", "Met or not"), ("missed", "Not met"))

# What follows the filter: every leaf with the property that changes.
LEAVES: Final[tuple[tuple[str, str], ...]] = (
    (ids.SIGNALS_SOME, "hidden"),
    (ids.SIGNALS_NONE, "hidden"),
    (ids.DISCOVERY_RUN, "hidden"),
    (ids.SIGNALS_SOURCE, "options"),
    (ids.SIGNALS_GRID, "rowData"),
    (ids.SIGNALS_LISTED, "hidden"),
    (ids.SIGNALS_EMPTY, "hidden"),
    (ids.SIGNALS_BELOW, "hidden"),
    (ids.SIGNALS_SUMMARY, "children"),
    (ids.SIGNALS_CLEAR, "hidden"),
    (ids.SIGNALS_EXPORT, "disabled"),
    (ids.SIGNALS_FOREST, "figure"),
    (ids.SIGNALS_FOREST, "style"),
    (ids.SIGNALS_FOREST_CARD, "hidden"),
    (f"{ids.SIGNALS_FOREST_TABLE}-body", "children"),
)


@dataclass(frozen=True)
class Shown:
    """What the page shows: every signal in its order, the choice, and the thresholds that the summary names."""

    signals: Sequence[Listed]
    chosen: SignalFilter
    settings: CompanySettings


def signals(manifest: Manifest | None, shown: Shown, now: Standing, run: RunSummary | None) -> html.Div:
    """Return the page; ``now`` and ``run`` say how the newest discovery and the last finished one stand."""
    if manifest is None:
        return page(TITLE, no_data())
    panel = discovery_panel.leaves(now, run, manifest.version)
    test = link_button("Test a hypothesis", href(Route(Page.BACKTEST)), icon_name="backtest")
    at = leaves(shown)
    some = html.Div(
        [_filters(shown, at), *_list(shown, at)],
        id=ids.SIGNALS_SOME,
        hidden=at[ids.SIGNALS_SOME, "hidden"],
        className="stack",
    )
    return page(
        TITLE,
        discovery_panel.discovery_panel(panel, run),
        some,
        html.Div(_none(panel), id=ids.SIGNALS_NONE, hidden=at[ids.SIGNALS_NONE, "hidden"]),
        dcc.Download(id=ids.SIGNALS_DOWNLOAD),
        subtitle=discovery_panel.last_line(panel),
        actions=[test, discovery_panel.run_button(panel, hidden=at[ids.DISCOVERY_RUN, "hidden"])],
    )


def leaves(shown: Shown) -> Values:
    """Return the value of every one of ``LEAVES``."""
    kept = listed(shown.signals, shown.chosen)
    below = hidden(shown.signals, shown.chosen)
    rows = [row for row in map(forest_row, kept) if row is not None]
    sources = sorted(set(map(source_of, shown.signals)))
    values = (
        not shown.signals,
        bool(shown.signals),
        not shown.signals,
        as_options([("", "All"), *((each, each) for each in sources)]),
        [grid_row(each) for each in kept],
        not kept,
        bool(kept or below),
        bool(kept or not below),
        _summary(shown, len(kept), len(below), len(rows)),
        not (kept and shown.chosen.query()),
        not kept,
        forest_figure(rows, shown.settings.min_lift),
        {"height": f"{forest_height_px(len(rows))}px"},
        not rows,
        table_rows(FOREST_HEADER, _numbers(kept)),
    )
    return dict(zip(LEAVES, values, strict=True))


def _summary(shown: Shown, kept: int, below: int, measured: int) -> str:
    enabled = sum(each.report.signal.enabled for each in shown.signals)
    parts = [format.plural(len(shown.signals), "signal"), f"{enabled} enabled", f"{kept} shown"]
    if below and shown.chosen.thresholds == "missed":
        parts.append(f"{below} that meet your thresholds not shown")
    elif below:
        parts.append(f"{below} hidden below your thresholds ({thresholds_words(shown.settings)})")
    if measured > MOST_ROWS:
        parts.append(f"the chart draws the {MOST_ROWS} strongest")
    return " · ".join(parts)


def thresholds_words(settings: CompanySettings) -> str:
    """Name the thresholds of Settings that decide what is listed."""
    confidence, users = format.percent(settings.min_confidence, 0), format.plural(settings.min_sample, "user")
    return f"{confidence} confidence, {users}, {format.lift(settings.min_lift)} lift"


def _filters(shown: Shown, at: Values) -> html.Div:
    chosen, sources = shown.chosen, at[ids.SIGNALS_SOURCE, "options"]
    lifts = [(each, "Harmful (<1x)" if each == HARMFUL else f"{each}x or more") for each in LIFTS]
    statuses = [(each, each.capitalize()) for each in STATUSES]
    source = chosen.source if chosen.source in {each["value"] for each in sources} else ""
    fields = (
        text_input(ids.SIGNALS_SEARCH, "Search", chosen.q, placeholder="Name or condition", max_length=MOST_CHARACTERS),
        _choice(ids.SIGNALS_STATUS, "Status", [("", "All"), *statuses], chosen.status),
        _choice(ids.SIGNALS_LIFT, "Lift", [("", "All"), *lifts], chosen.lift),
        _choice(ids.SIGNALS_SOURCE, "Source", sources, source),
        _choice(ids.SIGNALS_EVIDENCE, "Evidence", EVIDENCE_CHOICES, chosen.evidence),
        _choice(ids.SIGNALS_THRESHOLDS, "Thresholds", THRESHOLD_CHOICES, chosen.thresholds),
    )
    return html.Div(list(fields), className="signal-filters", role="search", **aria(label="Filter signals"))


def _choice(id: str, label: str, options: Sequence[Any], value: str) -> html.Div:
    # The placeholder is what shows for "", and the option is what can be chosen again.
    first = as_options(options)[0]["label"]
    return select(id, label, options, value, placeholder=first)


def _list(shown: Shown, at: Values) -> list[Any]:
    summary = html.P(at[ids.SIGNALS_SUMMARY, "children"], id=ids.SIGNALS_SUMMARY, className="summary", role="status")
    clear = button(ids.SIGNALS_CLEAR, "Clear filters", "ghost", hidden=at[ids.SIGNALS_CLEAR, "hidden"])
    is_empty = at[ids.SIGNALS_EXPORT, "disabled"]
    export = button(ids.SIGNALS_EXPORT, "Export CSV", icon_name="download", disabled=is_empty)
    rows = grid(
        ids.SIGNALS_GRID,
        TITLE,
        COLUMNS,
        at[ids.SIGNALS_GRID, "rowData"],
        listeners=LISTENERS,
        currency=shown.settings.currency,
    )
    return [
        html.Div([summary, button_row(clear, export)], className="list-head"),
        html.Div(rows, id=ids.SIGNALS_LISTED, hidden=at[ids.SIGNALS_LISTED, "hidden"], className="signal-list"),
        html.Div(_no_match(), id=ids.SIGNALS_EMPTY, hidden=at[ids.SIGNALS_EMPTY, "hidden"]),
        html.Div(_all_below(), id=ids.SIGNALS_BELOW, hidden=at[ids.SIGNALS_BELOW, "hidden"]),
        _forest(listed(shown.signals, shown.chosen), at),
    ]


def _no_match() -> html.Div:
    return empty_state(
        "No signal matches these filters",
        "Loosen one of them, or see every signal again.",
        action=button(ids.SIGNALS_CLEAR_EMPTY, "Clear filters", "primary"),
    )


def _all_below() -> html.Div:
    every = replace(SignalFilter(), thresholds="any")
    return empty_state(
        "Nothing here meets your thresholds",
        "Every signal that matches was found by discovery and stays below a threshold of Settings.",
        action=[
            link_button("Show all signals", href(Route(Page.SIGNALS, filter=every)), "primary"),
            link_button("Open Settings", href(Route(Page.SETTINGS))),
        ],
    )


def _none(panel: Values) -> html.Div:
    return empty_state(
        "No signals yet",
        "Discovery tests every behaviour and trait in your data against who converted, and confirms what it finds on "
        "users who came later. It takes seconds to minutes.",
        action=[
            discovery_panel.run_button(panel, ids.DISCOVERY_RUN_EMPTY),
            link_button("Test a hypothesis", href(Route(Page.BACKTEST))),
        ],
    )


def _forest(kept: Sequence[Listed], at: Values) -> html.Div:
    numbers = table("Lift of the listed signals", FOREST_HEADER, _numbers(kept), id=ids.SIGNALS_FOREST_TABLE)
    drawn = graph(
        ids.SIGNALS_FOREST,
        at[ids.SIGNALS_FOREST, "figure"],
        "Lift of the listed signals with 95% intervals, best proven first",
        height_px=forest_height_px(sum(forest_row(each) is not None for each in kept)),
        as_table=numbers,
    )
    inside = card("Lift of the listed signals", drawn, note=FOREST_NOTE, class_name="forest")
    return html.Div(inside, id=ids.SIGNALS_FOREST_CARD, hidden=at[ids.SIGNALS_FOREST_CARD, "hidden"])


def _numbers(kept: Sequence[Listed]) -> list[list[Any]]:
    """Return the rows of the table beside the plot."""
    rows = []
    for each in kept:
        row = forest_row(each)
        if row is not None:
            figures = (format.lift(row.lift), lift_limits(row.interval), format.count(row.units), evidence_words(each))
            rows.append([html.A(row.name, href=row.href), *figures])
    return rows
