"""Signals list and Signal Detail: draw, filter, switch on and off, export."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dash import ClientsideFunction, Dash, Input, Output, State, html
from dash.exceptions import PreventUpdate

from beton.errors import BetonError
from beton.model.unit_facts import list_traits
from beton.services import Services
from beton.services.explaining import explain
from beton.services.listing import best_known, listing, listing_csv
from callbacks import guards
from layouts import ids
from layouts.not_found import signal_not_found
from layouts.parts.still import still
from layouts.routes import Page, Route
from layouts.signal_detail import enable_words, signal_detail
from layouts.signals import LEAVES, Shown, leaves, signals
from layouts.signals_rows import listed


def draw_list(route: Route, services: Services, _states: Mapping[str, Any]) -> html.Div:
    """Return the list of saved signals, filtered by the query."""
    manifest = services.workspace.manifest_or_none()
    found = listing(services) if manifest is not None else []
    shown = Shown(found, route.filter, services.settings.read())
    return signals(manifest, shown, services.discovery.standing(), services.discovery_runs.newest())


def draw_detail(route: Route, services: Services, _states: Mapping[str, Any]) -> html.Div:
    """Return the page of one signal, or the 404 page."""
    try:
        report = best_known(services, services.signals.report(route.signal_id or ""))
        versions = services.signals.versions(report.signal.id)
    except BetonError:
        return signal_not_found(route.signal_id or "")
    traits = list_traits(services.workspace.manifest_or_none())
    settings, explained = services.settings.read(), None
    if (known := report.report) is not None:
        explained = explain(known.evidence, known.reading, settings, known.standing)
    page: html.Div = still(signal_detail(report, settings.min_lift, explained, traits, versions))
    return page


def register(app: Dash, services: Services) -> None:
    """Register the callbacks of both pages."""
    _register_address(app)
    _register_list(app, services)
    _register_detail(app, services)


# In the order of ``KEYS`` in assets/grid.js.
CONTROLS = (
    ids.SIGNALS_STATUS,
    ids.SIGNALS_LIFT,
    ids.SIGNALS_SOURCE,
    ids.SIGNALS_EVIDENCE,
    ids.SIGNALS_THRESHOLDS,
    ids.SIGNALS_SEARCH,
)


def _register_address(app: Dash) -> None:
    """Keep the query and the controls alike, in the browser: what is typed must not wait for an answer."""
    _in_browser(app, "toAddress", *[Input(each, "value") for each in CONTROLS])
    _in_browser(app, "fromAddress", *[Output(each, "value") for each in CONTROLS], Input(ids.URL, "search"))
    _in_browser(app, "clear", Input(ids.SIGNALS_CLEAR, "n_clicks"), Input(ids.SIGNALS_CLEAR_EMPTY, "n_clicks"))
    _in_browser(app, "open", Input(ids.SIGNALS_FOREST, "clickData"), Input(ids.SIGNALS_FOREST, "clickAnnotationData"))


def _in_browser(app: Dash, function: str, *wires: Any) -> None:
    app.clientside_callback(  # type: ignore[no-untyped-call]
        ClientsideFunction("signals", function), *wires, prevent_initial_call=True
    )


def _register_list(app: Dash, services: Services) -> None:
    @app.callback(
        *[Output(owner, prop) for owner, prop in LEAVES],
        Input(ids.URL, "search"),
        Input(ids.DISCOVERY_NEWEST, "data"),
        State(ids.URL, "pathname"),
        prevent_initial_call=True,
    )
    def _filter(search: str | None, _newest: str | None, pathname: str | None) -> tuple[Any, ...]:
        """Follow the address, and a discovery that has just ended."""
        route = _route_of_list(pathname, search)
        return tuple(leaves(Shown(listing(services), route.filter, services.settings.read())).values())

    @app.callback(
        Output(ids.SIGNALS_DOWNLOAD, "data"),
        Input(ids.SIGNALS_EXPORT, "n_clicks"),
        State(ids.URL, "search"),
        State(ids.URL, "pathname"),
        prevent_initial_call=True,
    )
    def _export_list(clicks: Any, search: str | None, pathname: str | None) -> dict[str, str]:
        guards.clicked(clicks)
        route = _route_of_list(pathname, search)
        return _as_file(*listing_csv(listed(listing(services), route.filter)))


def _route_of_list(pathname: str | None, search: str | None) -> Route:
    route = guards.route(pathname, search)
    if route.page is not Page.SIGNALS:  # the address of the next page, while the list is still shown
        raise PreventUpdate
    return route


def _as_file(filename: str, content: str) -> dict[str, str]:
    return {"filename": filename, "content": "\ufeff" + content, "type": "text/csv;charset=utf-8"}


def _register_detail(app: Dash, services: Services) -> None:
    @app.callback(
        Output(ids.DETAIL_STATUS, "children"),
        Output(ids.DETAIL_STATUS, "data-status"),
        Output(ids.DETAIL_TOGGLE_TEXT, "children"),
        Input(ids.events("signal", "toggle"), "n_clicks"),
        running=ids.BUSY,
        prevent_initial_call=True,
    )
    def _toggle(clicks: Any) -> tuple[str, str, str]:
        event = guards.fired(clicks)
        saved = services.signals.set_enabled(event.key, not services.signals.read(event.key).enabled)
        words = "Enabled" if saved.enabled else "Disabled"
        guards.show_toast(f"Signal {words.lower()}", saved.definition.name, "success")
        return words, "healthy" if saved.enabled else "disabled", enable_words(saved.enabled)

    @app.callback(
        Output(ids.DETAIL_DOWNLOAD, "data"),
        Input(ids.events("signal", "export"), "n_clicks"),
        Input(ids.events("signal", "yaml"), "n_clicks"),
        prevent_initial_call=True,
    )
    def _download(*clicks: Any) -> dict[str, str]:
        event = guards.fired(*clicks)
        if event.intent == "export":
            return _as_file(*services.signals.export_csv(event.key))
        written = services.signals.read(event.key).definition.to_yaml()
        return {"filename": f"beton-{event.key}.yaml", "content": written, "type": "application/yaml;charset=utf-8"}
