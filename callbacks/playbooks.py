"""The playbook form: edit the draft, say what it means and how many match now."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dash import ALL, Dash, Input, Output, State, html, no_update, set_props
from dash.exceptions import PreventUpdate

from beton.errors import BetonError
from beton.model.playbook import PlaybookReach
from beton.services import Services
from callbacks import guards
from callbacks.backtest import pending, typed
from layouts import ids
from layouts.playbook import field_errors, playbook, reach_words, rows, sentence
from layouts.routes import Page, Route
from store import SLICES
from store.codec import decode, encode
from store.playbook import PlaybookDraft, reduce, with_signal, with_values

FIELDS = {"slice": "playbook-field", "intent": ALL, "key": ALL, "at": ALL}
ERRORS = {**FIELDS, "slice": "playbook-field-error"}


def draw(route: Route, services: Services, states: Mapping[str, Any]) -> html.Div:
    """Return the form, with the signal of the address in it."""
    names = _names(services)
    draft: PlaybookDraft = states["playbook"]
    if route.signal_id in names:
        draft = with_signal(draft, route.signal_id or "")
    return playbook(services.workspace.manifest_or_none(), draft, names, _reach(draft, names, services))


def _names(services: Services) -> dict[str, str]:
    return {each.id: each.definition.name for each in services.signals.all()}


def _reach(draft: PlaybookDraft, names: Mapping[str, str], services: Services) -> PlaybookReach | str | None:
    groups = draft.groups(names)
    if not groups:
        return None
    try:
        return services.playbooks.reach(groups)
    except BetonError as problem:
        return str(problem)


def register(app: Dash, services: Services) -> None:
    """Register the writer of the draft and what follows it."""

    @app.callback(
        Output(ids.store("playbook"), "data"),
        Output(ids.PLAYBOOK_ROWS, "children"),
        Input(ids.events("playbook"), "n_clicks"),
        Input(FIELDS, "value"),
        State(FIELDS, "id"),
        State(ids.events("playbook"), "id"),
        State(ids.store("playbook"), "data"),
        State(ids.URL, "pathname"),
        State(ids.URL, "search"),
        prevent_initial_call=True,
    )
    def _write(clicks: Any, values: Any, fields: Any, buttons: Any, raw: Any, *address: Any) -> tuple[Any, Any]:
        kept = decode(SLICES["playbook"], raw).state
        route, names, before = guards.route(*address), _names(services), kept
        if route.page is Page.PLAYBOOK and route.signal_id in names:
            before = with_signal(kept, route.signal_id)  # as the form was drawn
        pressed = pending(guards.named(buttons, clicks), clicks)
        after = with_values(before, typed(guards.named(fields, values), values))
        for event in pressed:
            after = reduce(after, event.intent, event.key)
        if after == kept and not pressed:
            raise PreventUpdate
        if route.signal_id and not after.has(route.signal_id):
            set_props(ids.URL, {"search": ""})  # the address may not bring back what was taken out
        return encode(SLICES["playbook"], after), rows(after, names) if pressed else no_update

    @app.callback(
        Output(ids.PLAYBOOK_SENTENCE, "children"),
        Output(ids.PLAYBOOK_COUNT, "children"),
        Output(ERRORS, "children"),
        Input(ids.store("playbook"), "data"),
        prevent_initial_call=True,
    )
    def _say(raw: Any) -> tuple[str, str, list[str]]:
        draft, names = decode(SLICES["playbook"], raw).state, _names(services)
        errors = field_errors(draft)
        shown = [errors.get(each["intent"], "") for each in guards.asked(2)]
        return sentence(draft, names), reach_words(_reach(draft, names, services)), shown
