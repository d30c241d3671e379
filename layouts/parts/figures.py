"""Charts. A figure is a plain dict; colours, fonts and grid lines come from the theme in the browser
(``assets/20-charts.js``), so a figure names no colour unless the colour means something."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dash import dcc, html

from layouts import ids
from layouts.parts.attributes import aria

# Colours that mean something, chosen to be read on the light and on the dark card.
GOOD, WARN, BAD, MUTED = "#10b981", "#f59e0b", "#ef4444", "#8a8a8a"

Figure = dict[str, Any]

_CONFIG: Any = {"displayModeBar": False, "responsive": True, "showTips": False, "doubleClick": "reset"}


def base_figure(*traces: Mapping[str, Any], **layout: Any) -> Figure:
    """Return a figure of plotly traces; ``layout`` are plotly layout attributes that differ from the theme."""
    return {"data": [dict(trace) for trace in traces], "layout": layout}


def empty_figure() -> Figure:
    """Return a figure with nothing in it, for a graph that is filled later."""
    # One invisible point: plotly pays for its first real trace now, not when the result arrives.
    point = {"type": "scatter", "mode": "markers", "x": [0], "y": [0], "opacity": 0, "hoverinfo": "skip"}
    return base_figure(point, xaxis={"visible": False}, yaxis={"visible": False})


def graph(
    id: ids.Id,
    figure: Figure | None,
    label: str,
    *,
    height_px: int = 280,
    caption: Any = None,
    as_table: Any = None,
) -> html.Figure:
    """Return a chart with its text alternative; update ``figure`` of ``id``.

    ``label`` says in a sentence what the chart shows (it is what a screen reader reads); ``caption`` is seen
    by everyone; ``as_table`` is a ``parts.tables.table`` with the same numbers, folded away below the chart.
    """
    drawn = dcc.Graph(
        id=id,
        figure=empty_figure() if figure is None else figure,
        config=_CONFIG,
        responsive=True,
        style={"height": f"{height_px}px"},
    )
    inside: list[Any] = [html.Div(drawn, role="img", **aria(label=label))]
    if caption is not None:
        inside.append(html.Figcaption(caption, className="figure-caption"))
    if as_table is not None:
        inside.append(html.Details([html.Summary("View as table"), as_table], className="as-table"))
    return html.Figure(inside, className="b-figure")
