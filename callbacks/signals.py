"""Signals list and Signal Detail: draw, switch on and off, export."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dash import Dash, Input, Output, html

from beton.errors import BetonError
from beton.services import Services
from callbacks import guards
from layouts import ids
from layouts.not_found import signal_not_found
from layouts.routes import Route
from layouts.signal_detail import enable_words, signal_detail
from layouts.signals import signals


def draw_list(_route: Route, services: Services, _states: Mapping[str, Any]) -> html.Div:
    """Return the list of saved signals."""
    manifest = services.workspace.manifest_or_none()
    reports = services.signals.reports() if manifest is not None else []
    return signals(manifest, reports, services.settings.read().currency)


def draw_detail(route: Route, services: Services, _states: Mapping[str, Any]) -> html.Div:
    """Return the page of one signal, or the 404 page."""
    try:
        report = services.signals.report(route.signal_id or "")
    except BetonError:
        return signal_not_found(route.signal_id or "")
    return signal_detail(report, services.settings.read().min_lift)


def register(app: Dash, services: Services) -> None:
    """Register the callbacks of the detail page."""

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
        prevent_initial_call=True,
    )
    def _export(clicks: Any) -> dict[str, str]:
        filename, content = services.signals.export_csv(guards.fired(clicks).key)
        return {"filename": filename, "content": "\ufeff" + content, "type": "text/csv;charset=utf-8"}
