"""The Settings page: draw, check, save."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dash import Dash, Input, Output, State, html

from beton.errors import InputError
from beton.services import Services
from callbacks import guards
from layouts import ids
from layouts.routes import Route
from layouts.settings import FIELDS, settings


def draw(_route: Route, services: Services, _states: Mapping[str, Any]) -> html.Div:
    """Return the form."""
    record = services.settings.record()
    return settings(record.settings, record.version)


def register(app: Dash, services: Services) -> None:
    """Register the form's only writer."""

    @app.callback(
        Output(ids.SETTINGS_VERSION, "data"),
        *[Output(ids.error(ids.setting(name)), "children") for name in FIELDS],
        Input(ids.SETTINGS_SAVE, "n_clicks"),
        State(ids.SETTINGS_VERSION, "data"),
        *[State(ids.setting(name), "value") for name in FIELDS],
        running=ids.BUSY,
        prevent_initial_call=True,
    )
    def _save(clicks: Any, version: Any, *values: Any) -> tuple[Any, ...]:
        guards.clicked(clicks)
        try:
            record = services.settings.save_form(dict(zip(FIELDS, values, strict=True)), _opened(version))
        except InputError as problem:
            guards.as_toast(problem)
            return version, *(problem.fields.get(name, "") for name in FIELDS)
        guards.show_toast("Settings saved", "Verdicts and projections follow them from now on.", "success")
        return record.version, *([""] * len(FIELDS))


def _opened(version: object) -> int:
    """Return the version the form was opened with: it comes from the browser, and 0 is the lowest there is."""
    if not isinstance(version, int) or version < 0:
        raise InputError("The form has lost its version: reload the page and save again.")
    return version
