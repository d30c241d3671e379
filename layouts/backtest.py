"""The Backtest page (PRD 5.5): define a signal, run it, read the proof, save it."""

from __future__ import annotations

from typing import Any

import dash_bootstrap_components as dbc
from dash import dcc, html

from beton.model.manifest import Manifest
from layouts import ids
from layouts.builder import builder
from layouts.parts.attributes import aria
from layouts.parts.buttons import button, button_row, link_button
from layouts.parts.cards import card, page
from layouts.parts.forms import form_row, select, text_input
from layouts.parts.notices import badge, error_notice, info
from layouts.result_view import Placed, result_view
from layouts.routes import Page, Route, href
from layouts.upcoming import no_data
from store.draft import Draft

TITLE = "Backtest Your Signals"
SUBTITLE = "Test any hypothesis against your historical data"
UNITS = [("user", "Users"), ("account", "Accounts")]


def backtest(
    manifest: Manifest | None, draft: Draft, sentence: str, values: dict[str, Any] | None, problem: str | None
) -> html.Div:
    """Return the page; ``values`` are the leaves of the run in the address, ``problem`` why it cannot be shown."""
    if manifest is None:
        return page(TITLE, no_data(), subtitle=SUBTITLE)
    return page(
        TITLE,
        card("Define Your Signal", _tabs(draft, manifest, sentence)),
        *([error_notice(problem, "This result cannot be shown")] if problem else []),
        _results(values),
        dcc.Store(id=ids.RUN),
        dcc.Store(id=ids.BACKTEST_SEARCH),
        dcc.Interval(id=ids.BACKTEST_TICK, interval=1000, disabled=True),
        subtitle=SUBTITLE,
    )


def _tabs(draft: Draft, manifest: Manifest, sentence: str) -> dbc.Tabs:
    visual = [
        form_row(
            text_input(ids.BACKTEST_NAME, "Signal Name", draft.name, placeholder="High-intent enterprise accounts"),
            select(ids.BACKTEST_UNIT, "Who", UNITS, draft.unit),
        ),
        html.Div(builder(draft, manifest), id=ids.BACKTEST_BUILDER),
        html.P(sentence, id=ids.BACKTEST_SENTENCE, className="sentence", **aria(live="polite")),
        _run_line(),
    ]
    return dbc.Tabs(
        [
            dbc.Tab(html.Div(visual, className="tab-inside"), label="Visual Builder", tab_id="visual"),
            dbc.Tab(html.Div(_sql_tab(), className="tab-inside"), label="SQL Query", tab_id="sql"),
        ],
        active_tab="visual",
    )


def _run_line() -> html.Div:
    bar = dbc.Progress(id=ids.BACKTEST_PROGRESS, value=0, max=1, className="run-bar")
    text = html.Span(id=ids.BACKTEST_PROGRESS_TEXT, className="run-text", **aria(live="polite"))
    run = button(ids.BACKTEST_RUN, "Run Backtest", "primary", icon_name="backtest")
    progress = html.Div([bar, text], className="run-progress")
    return html.Div([run, progress], className="run-line")


def _sql_tab() -> list[Any]:
    words = (
        "Signals written in SQL will run here, against tables cut at each user's landmark, so that no query can look "
        "into the future. Until then the visual builder covers events, counts, windows and properties."
    )
    return [info(words, "SQL comes next")]


def _results(values: dict[str, Any] | None) -> html.Section:
    at = Placed(values)
    head = html.Div(
        [
            html.Div([html.H2("Backtest Results", className="results-word"), at.text("title", "results-title")]),
            html.Span(at.text("run-id"), hidden=True),
            badge("Complete", "healthy"),
        ],
        className="results-head",
    )
    actions = button_row(
        button(ids.BACKTEST_SAVE, "Save Signal", "primary"),
        link_button("Add to Rule", href(Route(Page.PLAYBOOKS))),
        button(ids.BACKTEST_ANOTHER, "Run Another", "ghost"),
    )
    return html.Section(
        [head, result_view(values), actions],
        id=ids.BACKTEST_RESULTS,
        hidden=values is None,
        className="stack results",
    )
