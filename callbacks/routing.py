"""From the address to a whole page, in one round trip.

Only ``pathname`` draws a page. A page that keeps state in the query reads ``search`` in a callback of its own,
so a changed filter does not mount everything anew.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from dash import Dash, Input, Output, State, html

from beton.services import Services
from callbacks import backtest, guards, history, playbooks, runs, settings, signals, units
from layouts import ids, not_found, shell, upcoming
from layouts.routes import Page, Route
from store import SLICES
from store.codec import decode

# Route, services and the decoded slices by name -> a ``parts.cards.page``.
Draw = Callable[[Route, Services, Mapping[str, Any]], html.Div]


def _dashboard(_route: Route, services: Services, _states: Mapping[str, Any]) -> html.Div:
    return upcoming.dashboard(services.workspace.manifest_or_none())


def _sources(_route: Route, services: Services, _states: Mapping[str, Any]) -> html.Div:
    return upcoming.sources(services.workspace.manifest_or_none())


def _not_found(route: Route, _services: Services, _states: Mapping[str, Any]) -> html.Div:
    return not_found.not_found(route.path)


PAGES: dict[Page, Draw] = {
    Page.DASHBOARD: _dashboard,
    Page.SOURCES: _sources,
    Page.SIGNALS: signals.draw_list,
    Page.SIGNAL: signals.draw_detail,
    Page.USER: units.draw,
    Page.ACCOUNT: units.draw_account,
    Page.RUNS: runs.draw_list,
    Page.RUN: runs.draw_run,
    Page.BACKTEST: backtest.draw,
    Page.HISTORY: history.draw,
    Page.BACKTEST_COMPARE: history.draw_compare,
    Page.SETTINGS: settings.draw,
    Page.PLAYBOOKS: lambda *_: upcoming.playbooks(),
    Page.PLAYBOOK: playbooks.draw,
    Page.DESTINATIONS: lambda *_: upcoming.destinations(),
    Page.NOT_FOUND: _not_found,
}


def register(app: Dash, services: Services) -> None:
    """Register the router: the only writer of the page and of the workspace lines."""

    @app.callback(
        Output(ids.PAGE, "children"),
        Output(ids.WORKSPACE, "children"),
        Input(ids.URL, "pathname"),
        State(ids.URL, "search"),
        *[State(ids.store(name), "data") for name in SLICES],
    )
    def _route(pathname: str | None, search: str | None, *raw: object) -> tuple[html.Div, list[Any]]:
        states = {name: decode(SLICES[name], data).state for name, data in zip(SLICES, raw, strict=True)}
        page = draw(guards.route(pathname, search), services, states)
        return page, shell.workspace(services.workspace.manifest_or_none())


def draw(route: Route, services: Services, states: Mapping[str, Any]) -> html.Div:
    """Return the page of a route."""
    return PAGES[route.page](route, services, states)
