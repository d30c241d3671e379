"""Line icons, drawn by CSS masks in ``assets/45-icons.css`` so that they take the colour of the text."""

from __future__ import annotations

from typing import Literal

from dash import html

from layouts.parts.attributes import aria

IconName = Literal[
    "logo",
    "dashboard",
    "sources",
    "signals",
    "backtest",
    "playbooks",
    "destinations",
    "settings",
    "menu",
    "close",
    "sun",
    "moon",
    "system",
    "back",
    "forward",
    "plus",
    "check",
    "alert",
    "info",
    "download",
    "play",
    "filter",
    "group",
    "copy",
]


def icon(name: IconName) -> html.Span:
    """Return a 16 px icon that assistive technology skips; the words beside it carry the meaning."""
    return html.Span(className=f"icon icon-{name}", **aria(hidden="true"))
