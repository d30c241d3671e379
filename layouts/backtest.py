"""The Backtest page (PRD 5.5): define a signal, run it, read the proof, save it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import dash_bootstrap_components as dbc
from dash import dcc, html

from beton.model.manifest import Manifest
from layouts import ids
from layouts.builder import builder
from layouts.made_from import made_from
from layouts.parts.attributes import aria, data
from layouts.parts.buttons import button, button_row, link_button
from layouts.parts.cards import card, page
from layouts.parts.forms import form_row, select, text_input
from layouts.parts.icons import icon
from layouts.parts.notices import badge, error_notice
from layouts.result_view import Placed, result_view
from layouts.routes import Page, Route, href
from layouts.sql_tab import UNITS, waiting_pane
from layouts.upcoming import no_data
from store.draft import Draft
from store.origin import Origin
from store.tab import TabName

TITLE = "Backtest Your Signals"
SUBTITLE = "Test any hypothesis against your historical data"


def backtest(
    manifest: Manifest | None,
    draft: Draft,
    sentence: str,
    values: dict[str, Any] | None,
    problem: tuple[str, str] | None,
    sql: html.Div | None = None,
    target: Origin | None = None,
) -> html.Div:
    """Return the page.

    ``values`` are the leaves of the run in the address, ``problem`` what of the address cannot be shown and why;
    ``sql`` is the form of the SQL tab if that is the open one, ``target`` the saved signal that the run could be a new
    version of.
    """
    if manifest is None:
        return page(TITLE, no_data(), subtitle=SUBTITLE)
    return page(
        TITLE,
        card("Define Your Signal", [_tabs(draft, manifest, sentence, sql), _run_line()], class_name="define"),
        *([] if problem is None else [error_notice(problem[1], problem[0])]),
        _results(values, target),
        dcc.Store(id=ids.RUN),
        dcc.Store(id=ids.SQL_ORDER),
        dcc.Store(id=ids.SQL_PROBLEM),
        dcc.Store(id=ids.BACKTEST_MADE_FROM, data=None if target is None else asdict(target)),
        dcc.Store(id=ids.BACKTEST_SEARCH),
        dcc.Interval(id=ids.BACKTEST_TICK, interval=1000, disabled=True),
        subtitle=SUBTITLE,
        actions=link_button("Run history", href(Route(Page.HISTORY))),
    )


def form_rows(draft: Draft, manifest: Manifest) -> list[Any]:
    """Return what a press of a button draws anew: where the draft comes from, and its rows."""
    return [*made_from(draft.origin, "draft"), builder(draft, manifest)]


def _tabs(draft: Draft, manifest: Manifest, sentence: str, sql: html.Div | None) -> dbc.Tabs:
    visual = [
        form_row(
            text_input(ids.BACKTEST_NAME, "Signal Name", draft.name, placeholder="High-intent enterprise accounts"),
            select(ids.BACKTEST_UNIT, "Who", UNITS, draft.unit),
        ),
        html.Div(form_rows(draft, manifest), id=ids.BACKTEST_BUILDER),
        html.P(sentence, id=ids.BACKTEST_SENTENCE, className="sentence", **aria(live="polite")),
    ]
    written = html.Div(waiting_pane() if sql is None else sql, id=ids.SQL_PANE, className="tab-inside")
    active: TabName = "visual" if sql is None else "sql"
    return dbc.Tabs(
        [
            dbc.Tab(html.Div(visual, className="tab-inside"), label="Visual Builder", tab_id="visual"),
            dbc.Tab(written, label="SQL Query", tab_id="sql"),
        ],
        id=ids.BACKTEST_TABS,
        active_tab=active,
    )


def _run_line() -> html.Div:
    """Return the button of each tab, of which CSS shows that of the open one, and the progress that both share."""
    bar = dbc.Progress(id=ids.BACKTEST_PROGRESS, value=0, max=1, className="run-bar")
    text = html.Span(id=ids.BACKTEST_PROGRESS_TEXT, className="run-text", **aria(live="polite"))
    run = button(ids.BACKTEST_RUN, "Run Backtest", "primary", icon_name="backtest")
    run_sql = html.Button(
        [icon("backtest"), html.Span("Run Backtest")],
        id=ids.SQL_RUN,
        type="button",
        className="btn btn-primary",
        **data(submits=ids.SQL_EDITOR),
    )
    progress = html.Div([bar, text], className="run-progress")
    return html.Div([run, run_sql, progress], className="run-line")


def _results(values: dict[str, Any] | None, target: Origin | None) -> html.Section:
    at = Placed(values)
    head = html.Div(
        [
            html.Div([html.H2("Backtest Results", className="results-word"), at.text("title", "results-title")]),
            html.Span(at.text("run-id"), hidden=True),
            badge("Complete", "healthy"),
        ],
        className="results-head",
    )
    save, version, hidden = saving(target)
    actions = button_row(
        button(ids.BACKTEST_SAVE, save, "primary"),
        button(ids.BACKTEST_SAVE_VERSION, version, hidden=hidden),
        button(ids.BACKTEST_RULE, "Add to Rule"),
        button(ids.BACKTEST_ANOTHER, "Run Another", "ghost"),
    )
    return html.Section(
        [head, result_view(values), actions],
        id=ids.BACKTEST_RESULTS,
        hidden=values is None,
        className="stack results",
    )


def saving(target: Origin | None) -> tuple[str, str, bool]:
    """Return the words of both save buttons, and whether the second rests: it needs a signal to be a version of."""
    if target is None:
        return "Save Signal", "", True
    return "Save as a new signal", f"Save as a new version of {target.name or target.id}", False
