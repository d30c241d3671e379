"""The line that says what a draft was made from."""

from __future__ import annotations

from typing import Any

from dash import html

from layouts import ids
from layouts.parts.buttons import button
from layouts.parts.icons import icon
from layouts.routes import Page, Route, href
from store.origin import Origin


def made_from(origin: Origin | None, slice_name: str) -> list[Any]:
    """Return the line, with the way back to an empty form; nothing for a draft that was begun empty."""
    if origin is None:
        return []
    is_signal = origin.kind == "signal"
    target = Route(Page.SIGNAL, signal_id=origin.id) if is_signal else Route(Page.BACKTEST, run_id=origin.id)
    name = html.A(origin.name or origin.id, href=href(target), className="made-from-name")
    words = html.Span(["Made from the ", "signal " if is_signal else "backtest ", name, "."])
    anew = button(ids.event(slice_name, "new", "root"), "Start empty", "ghost")
    return [html.Div([icon("copy"), words, anew], className="made-from", role="note")]
