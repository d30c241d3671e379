"""The history of backtests and the comparison of some: draw both, add older runs, follow the address."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dash import ClientsideFunction, Dash, Input, Output, State, html
from dash.exceptions import PreventUpdate

from beton.errors import BetonError
from beton.services import Services
from beton.services.history import PAGE, HistoryRow
from callbacks import guards
from layouts import ids
from layouts.backtest_compare import backtest_compare, cannot_compare, compared, too_few
from layouts.history import grid_row, history
from layouts.routes import Page, Route

FILTERS = (ids.HISTORY_SEARCH, ids.HISTORY_VERDICT, ids.HISTORY_KIND, ids.HISTORY_ASKED)


def draw(_route: Route, services: Services, _states: Mapping[str, Any]) -> html.Div:
    """Return the history with its newest runs."""
    rows, is_all = _rows(services)
    return history(services.workspace.manifest_or_none(), rows, services.ledger.sheet(), is_all=is_all)


def draw_compare(route: Route, services: Services, _states: Mapping[str, Any]) -> html.Div:
    """Return the runs of the address side by side, or why they cannot be."""
    return backtest_compare(_compared(route.run_ids, services), route.run_ids)


def _rows(services: Services, before: str | None = None) -> tuple[list[HistoryRow], bool]:
    """Return the next page of runs, and whether it is the last."""
    rows = services.history.page(PAGE + 1, before)
    return rows[:PAGE], len(rows) <= PAGE


def _compared(run_ids: Sequence[str], services: Services) -> Any:
    if len(run_ids) < 2:
        return too_few()
    try:
        found = services.history.compare(run_ids)
    except BetonError as problem:
        return cannot_compare(str(problem))
    return compared(found, services.settings.read().min_lift)


def register(app: Dash, services: Services) -> None:
    """Register the callbacks of both pages."""
    _register_browser(app)

    @app.callback(
        Output(ids.HISTORY_GRID, "rowTransaction"),
        Output(ids.HISTORY_LAST, "data"),
        Output(ids.HISTORY_OLDER, "hidden"),
        Input(ids.HISTORY_OLDER, "n_clicks"),
        State(ids.HISTORY_LAST, "data"),
        running=ids.BUSY,
        prevent_initial_call=True,
    )
    def _add_older(clicks: Any, last: Any) -> tuple[dict[str, Any], str, bool]:
        guards.clicked(clicks)
        rows, is_all = _rows(services, guards.text(last))
        newest = rows[-1].id if rows else guards.text(last)
        return {"add": [grid_row(row) for row in rows], "async": False}, newest, is_all

    @app.callback(
        Output(ids.COMPARED, "children"),
        Output(ids.COMPARED_RUNS, "data"),
        Input(ids.URL, "search"),
        State(ids.URL, "pathname"),
        State(ids.COMPARED_RUNS, "data"),
        prevent_initial_call=True,
    )
    def _follow(search: Any, pathname: Any, shown: Any) -> tuple[Any, list[str]]:
        """Compare others when only the query changes: the router draws a page anew for another path alone."""
        route = guards.route(pathname, search)
        if route.page is not Page.BACKTEST_COMPARE or list(route.run_ids) == shown:
            raise PreventUpdate
        return _compared(route.run_ids, services), list(route.run_ids)


def _register_browser(app: Dash) -> None:
    """Filter, clear and choose in the browser: none of it needs an answer from the server."""
    wanted = [Input(each, "value") for each in FILTERS]
    _in_browser(app, "history", "filter", *wanted)
    _in_browser(
        app, "history", "clear", *[Output(each, "value") for each in FILTERS], Input(ids.HISTORY_CLEAR, "n_clicks")
    )
    _in_browser(
        app,
        "history",
        "choose",
        Output(ids.HISTORY_COMPARE, "href"),
        Output(ids.HISTORY_COMPARE, "children"),
        Output(ids.HISTORY_COMPARE, "aria-disabled"),
        Input(ids.HISTORY_GRID, "selectedRows"),
    )
    _in_browser(app, "signals", "open", Input(ids.HISTORY_LEDGER, "clickData"))


def _in_browser(app: Dash, namespace: str, function: str, *wires: Any) -> None:
    app.clientside_callback(  # type: ignore[no-untyped-call]
        ClientsideFunction(namespace, function), *wires, prevent_initial_call=True
    )
