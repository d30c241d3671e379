"""The frame's behaviour, all of it in the browser (``assets/10-shell.js``)."""

from __future__ import annotations

from typing import Any

from dash import ClientsideFunction, Dash, Input, Output, State

from beton.services import Services
from layouts import ids


def register(app: Dash, _services: Services) -> None:
    """Register navigation marks, the menu of narrow screens, page arrival and toasts."""
    nav = ids.events("shell", "nav")
    _in_browser(app, "markCurrent", Output(nav, "aria-current"), Input(ids.URL, "pathname"), State(nav, "href"))
    _in_browser(
        app,
        "toggleMenu",
        Output(ids.SHELL, "data-menu"),
        Output(ids.NAV_TOGGLE, "aria-expanded"),
        Input(ids.NAV_TOGGLE, "n_clicks"),
        Input(ids.URL, "pathname"),
        State(ids.SHELL, "data-menu"),
    )
    _in_browser(app, "arrive", Input(ids.PAGE, "children"))
    _in_browser(app, "showToast", Input(ids.TOAST, "data"))


def _in_browser(app: Dash, function: str, *wires: Any) -> None:
    app.clientside_callback(ClientsideFunction("shell", function), *wires)  # type: ignore[no-untyped-call]
