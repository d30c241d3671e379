"""What comes from a browser, which may be anything, and what the reader is told about it. The only readers of Dash's
callback context."""

from __future__ import annotations

import json
import re
from typing import Any, Final

from dash import ctx, set_props
from dash.exceptions import PreventUpdate
from flask import has_request_context, request

from beton.errors import BetonError, InputError
from layouts import ids
from layouts.parts.notices import ToastKind, toast
from layouts.routes import Route, parse
from store.events import Event

BROWSER_COOKIE: Final = "beton_browser"
NO_BROWSER: Final = "local"
_BROWSER: Final = re.compile(r"[0-9a-f]{32}", re.ASCII)


def fired(*_inputs: Any) -> Event:
    """Return the event behind a callback whose inputs are ``ids.events(...)``.

    Raises:
        PreventUpdate: nobody clicked. Dash also calls writers when a page inserts their buttons, with
            ``n_clicks`` None.
    """
    clicked()
    target: Any = ctx.triggered_id
    if not isinstance(target, dict):
        raise PreventUpdate
    return Event(*(text(target[key]) for key in ("slice", "intent", "key", "at")))


def clicked(*_inputs: Any) -> None:
    """Go on only if the input that triggered the callback holds a value, such as a count of clicks."""
    if not any(each["value"] for each in ctx.triggered):
        raise PreventUpdate


def pressed(*component_ids: str) -> bool:
    """Whether one of the components is among what triggered the callback, and holds a value: ticks and clicks may
    arrive together."""
    return any(each["value"] and each["prop_id"].rpartition(".")[0] in component_ids for each in ctx.triggered)


def text(value: object) -> str:
    """Return a value as text that can be stored and looked up: empty where it is no text, without lone surrogates."""
    return value.encode(errors="ignore").decode() if isinstance(value, str) else ""


def route(pathname: object, search: object) -> Route:
    """Return the route of an address."""
    return parse(text(pathname), text(search))


def count(clicks: object) -> int:
    """Return a count of clicks; 0 for what is none."""
    return clicks if isinstance(clicks, int) and not isinstance(clicks, bool) else 0


def counted(kept: object, key: str) -> int:
    """Return the count that a store keeps under ``key``; 0 where it keeps none."""
    return count(kept.get(key)) if isinstance(kept, dict) else 0


def named(ids_of_state: object, values: object) -> list[dict[str, str]]:
    """Return the ids that a pattern in ``State`` sent along, one for each of its ``values``.

    Raises:
        InputError: they are no ids of ours, or not as many as the values.
    """
    keys = {"slice", "intent", "key", "at"}
    listed: list[Any] = ids_of_state if isinstance(ids_of_state, list) else [None]
    is_paired = isinstance(values, list) and len(values) == len(listed)
    if not is_paired or not all(isinstance(each, dict) and keys <= each.keys() for each in listed):
        raise InputError("The form could not be read: reload the page.")
    return [{key: text(each[key]) for key in keys} for each in listed]


def asked(position: int) -> list[dict[str, str]]:
    """Return the ids that the pattern output at ``position`` matched, in the order their values are to be given."""
    matched: Any = ctx.outputs_list[position]
    return [each["id"] for each in matched]


def clicked_event(slice_name: str) -> Event | None:
    """Return the event of a slice whose click is among what triggered the callback; None where there is none.

    A page that inserts its buttons together with its fields triggers both, the buttons with ``n_clicks`` None.
    """
    for each in ctx.triggered:
        owner = each["prop_id"].rpartition(".")[0]
        target = json.loads(owner) if owner.startswith("{") else {}
        if each["value"] and target.get("slice") == slice_name:
            return Event(*(text(target.get(key)) for key in ("slice", "intent", "key", "at")))
    return None


def person() -> str:
    """Return the place in the queue of queries that the browser has: no identity, and without one that of everybody
    who has none."""
    if not has_request_context():
        return NO_BROWSER
    given = request.cookies.get(BROWSER_COOKIE, "")
    return given if is_browser(given) else NO_BROWSER


def is_browser(cookie: str) -> bool:
    """Whether the value of the cookie is one that the app gave out, or could have."""
    return _BROWSER.fullmatch(cookie) is not None


def is_from(component_id: str) -> bool:
    """Whether ``component_id`` triggered the callback."""
    return bool(ctx.triggered_id == component_id)


def go(address: str) -> None:
    """Send the browser to an address of the app, leaving the query of the present one behind."""
    pathname, mark, query = address.partition("?")
    set_props(ids.URL, {"pathname": pathname, "search": mark + query})


def forget_query() -> None:
    """Take the query off the address of the page."""
    set_props(ids.URL, {"search": ""})


def show_toast(title: str, text: str = "", kind: ToastKind = "info") -> None:
    """Show a toast in the browser that sent the callback."""
    set_props(ids.TOAST, {"data": toast(title, text, kind)})


def as_toast(problem: Exception) -> None:
    """Show a failure: the sentence of a ``BetonError``, and no inner detail of anything else."""
    known = isinstance(problem, BetonError)
    text = str(problem) if known else "Nothing was changed. Try again; the server's log has the cause."
    show_toast("That did not work" if known else "Something went wrong", text, "error")
