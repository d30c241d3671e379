"""Pages, cards and the figures inside them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from dash import html

from layouts import ids
from layouts.parts.attributes import aria, at, data
from layouts.parts.icons import icon


def page(
    title: str,
    *children: Any,
    subtitle: Any = None,
    actions: Any = None,
    back: tuple[str, str] | None = None,
) -> html.Div:
    """Return a whole page: what the router puts into the shell.

    ``title`` is the heading and, with the product's name behind it, the title of the browser tab.
    ``back`` is (text, href) of the link above the heading; ``actions`` sit beside it.
    """
    words: list[Any] = [html.H1(title, tabIndex=-1)]
    if subtitle is not None:
        words.append(html.P(subtitle, className="page-subtitle"))
    header: list[Any] = [html.Div(words, className="page-words")]
    if actions is not None:
        header.append(html.Div(actions, className="page-actions"))
    above = [] if back is None else [html.A([icon("back"), back[0]], href=back[1], className="back-link")]
    body = [*above, html.Div(header, className="page-header"), html.Div(list(children), className="stack")]
    return html.Div(body, className="page", **data(title=title))


def card(
    title: str | None = None,
    children: Any = None,
    actions: Any = None,
    *,
    id: ids.Id | None = None,
    note: Any = None,
    class_name: str = "",
) -> html.Section:
    """Return a bordered card. ``actions`` stand right of the title, ``note`` is the muted line below it."""
    header: list[Any] = []
    if title is not None or actions is not None:
        header = [html.Div([html.H2(title or "", className="card-title"), actions], className="card-head")]
    if note is not None:
        header.append(html.P(note, className="card-note"))
    return html.Section(
        [*header, html.Div(children, className="card-inside")], className=f"b-card {class_name}".strip(), **at(id)
    )


def metric(label: str, value: Any, sub: Any = None, id: ids.Id | None = None) -> html.Div:
    """Return one large figure. With an ``id``, callbacks set ``children`` of ``id`` and of ``ids.part(id, "sub")``."""
    return html.Div(
        [
            html.Div(label, className="metric-label"),
            html.Div(value, className="metric-value", **at(id)),
            html.Div(sub, className="metric-sub", **at(None if id is None else ids.part(id, "sub"))),
        ],
        className="metric",
    )


def metrics(*items: Any) -> html.Div:
    """Return metrics as equal cards in one row; two by two on phones."""
    return html.Div([html.Div(item, className="b-card") for item in items], className="metrics")


def facts(rows: Iterable[tuple[str, Any]]) -> html.Dl:
    """Return names and values in two columns."""
    return html.Dl(
        [html.Div([html.Dt(name), html.Dd(value)], className="fact") for name, value in rows],
        className="facts",
    )


def columns(*children: Any) -> html.Div:
    """Return children in equal columns that stack on narrow screens."""
    return html.Div(list(children), className="columns")


def skeleton() -> html.Div:
    """Return grey shapes in the place of a page that is on its way."""
    return html.Div(
        [
            html.Div(className="bone bone-title"),
            html.Div(className="bone bone-line"),
            html.Div(className="bone bone-card"),
            html.Div(className="bone bone-card"),
        ],
        className="skeleton",
        role="status",
        **aria(label="Loading"),
    )
