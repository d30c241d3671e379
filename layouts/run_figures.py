"""What a discovery run is drawn with: rows of bars, the volcano plot, and the spread of true lifts."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any, Final

from dash import html

from beton.model.discovery import Mixture, Step, VolcanoPoint
from layouts import format
from layouts.parts.attributes import aria
from layouts.parts.figures import GOOD, MUTED, Figure, base_figure, empty_figure

MOST_POINTS: Final = 2_500  # every dot is an SVG element; beyond this the page would crawl
_HIGHEST = 60.0  # -log10 p; what is rarer stands at the edge
_WIDEST = 16.0  # lift; what is further from 1 stands at the edge
_TICKS = (0.0625, 0.125, 0.25, 0.5, 1, 2, 4, 8, 16)
_LOG_2 = math.log(2)
_CURVE_STEPS = 40  # to either side of 1
_NAMES = {"1": "Single conditions", "2": "Pairs", "3": "Triples"}


def depth_name(conditions: str) -> str:
    """Return what candidates of so many conditions are called."""
    return _NAMES.get(conditions, f"{conditions} conditions")


# ---- bars -----------------------------------------------------------------------------------------------------


def bars(rows: Iterable[tuple[str, str, float, str]]) -> html.Ol:
    """Return rows of label, number in words, share of the width (0-1) and reason: readable without the bars."""
    return html.Ol([_bar(*row) for row in rows], className="bars")


def _bar(label: str, number: str, share: float, reason: str) -> html.Li:
    inside: list[Any] = [
        html.Div([html.Span(label), html.Span(number, className="bar-number")], className="bar-words"),
        html.Div(html.Div(style={"width": f"{100 * share:.2f}%"}), className="bar", **aria(hidden="true")),
    ]
    if reason:
        inside.append(html.Div(reason, className="bar-reason"))
    return html.Li(inside)


def funnel_bars(funnel: Sequence[Step]) -> html.Ol:
    """Return the way from the grid to the signals; bars grow with the logarithm of the count."""
    most = math.log1p(max((step.candidates for step in funnel), default=0)) or 1.0
    return bars(
        (step.label, format.count(step.candidates), math.log1p(step.candidates) / most, step.reason) for step in funnel
    )


def timing_bars(timings_s: Mapping[str, float]) -> html.Ol:
    """Return how long each stage took."""
    longest = max(timings_s.values(), default=0.0) or 1.0
    return bars((stage, f"{seconds:.2f} s", seconds / longest, "") for stage, seconds in timings_s.items())


# ---- volcano --------------------------------------------------------------------------------------------------


def volcano_figure(points: Sequence[VolcanoPoint], cutoff_p: float | None, hrefs: Mapping[str, str]) -> Figure:
    """Return every drawn candidate by lift (log2) and -log10 p, coloured by how far it came.

    ``hrefs`` are the addresses of saved signals by name: the ``customdata`` of their dots.
    """
    drawn = thinned(points)
    if not drawn:
        return empty_figure()
    wide = min(_WIDEST, max(2.0, *(_spread(point.lift) for point in drawn))) * 1.08
    high = min(_HIGHEST, max(2.0, *(-point.log10_p for point in drawn))) * 1.06
    return base_figure(
        *[_dots(drawn, fate, hrefs) for fate in ("listed", "tested", "kept")],
        hovermode="closest",
        legend={"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom", "itemclick": False},
        shapes=[_line(x0=1, x1=1, y0=0, y1=1, yref="paper"), *_cutoff(cutoff_p)],
        xaxis={
            "type": "log",
            "range": [-math.log10(wide), math.log10(wide)],
            "tickvals": list(_TICKS),
            "ticktext": [f"{tick:g}x" for tick in _TICKS],
            "tickangle": 0,
            "showgrid": True,
            "fixedrange": True,
            "title": {"text": "Lift in the training period"},
        },
        yaxis={
            "range": [-0.02 * high, high],
            "fixedrange": True,
            "title": {"text": "Surprise (−log<sub>10</sub> p)"},
        },
    )


def thinned(points: Sequence[VolcanoPoint]) -> list[VolcanoPoint]:
    """Return at most about ``MOST_POINTS`` dots: all that passed the test, and every n-th of the others by p."""
    passed = [point for point in points if point.fate != "tested"]
    others = sorted((point for point in points if point.fate == "tested"), key=lambda point: point.log10_p)
    step = max(1, math.ceil(len(others) / max(MOST_POINTS - len(passed), MOST_POINTS // 2)))
    return [*passed, *others[::step]]


def beyond_edge(points: Iterable[VolcanoPoint]) -> int:
    """Return how many dots stand at the edge because they lie beyond it."""
    return sum(_symbol(point, "") != "" for point in points)


def _spread(ratio: float) -> float:
    return max(ratio, 1 / ratio)


# Fate -> words of the legend, place in it, order of drawing, and the look; without a colour it has that of text.
_FATES: dict[str, tuple[str, int, int, str, dict[str, Any]]] = {
    "kept": ("Signal", 1, 3, "diamond", {"size": 10, "color": GOOD, "line": {"width": 0}}),
    "listed": ("Beyond chance, but not kept", 2, 2, "circle", {"size": 6}),
    "tested": ("Chance may explain it", 3, 1, "circle", {"size": 5, "color": MUTED, "opacity": 0.45}),
}


def _dots(points: Sequence[VolcanoPoint], fate: str, hrefs: Mapping[str, str]) -> dict[str, Any]:
    words, rank, order, symbol, look = _FATES[fate]
    some = [point for point in points if (point.fate if point.fate in _FATES else "tested") == fate]
    return {
        "type": "scatter",
        "mode": "markers",
        "name": f"{words} ({format.count(len(some))})",
        "legendrank": rank,
        "zorder": order,
        "x": [round(min(max(point.lift, 1 / _WIDEST), _WIDEST), 4) for point in some],
        "y": [round(min(-point.log10_p, _HIGHEST), 3) for point in some],
        "marker": {**look, "symbol": [_symbol(point, symbol) for point in some]},
        "cliponaxis": False,
        "customdata": [hrefs.get(point.name, "") if fate == "kept" else "" for point in some],
        "text": [_hover(point) for point in some],
        "hovertemplate": "%{text}<extra></extra>",
    }


def _symbol(point: VolcanoPoint, inside: str) -> str:
    """Point outwards where the dot itself lies beyond the edge."""
    if -point.log10_p > _HIGHEST:
        return "triangle-up"
    if _spread(point.lift) > _WIDEST:
        return "triangle-right" if point.lift > 1 else "triangle-left"
    return inside


def _hover(point: VolcanoPoint) -> str:
    numbers = f"Lift {format.lift(point.lift)}, {power_p(point.log10_p)}, n = {format.count(point.units_with)} with it"
    return f"{escape(point.name)}<br>{numbers}"


def power_p(log10_p: float) -> str:
    """Write a p-value of any smallness from its base-10 logarithm: ``p = 0.0123``, ``p = 1.2 × 10^−21``."""
    if log10_p >= -3:
        return f"p = {format.p_value(10**log10_p)}"
    exponent = math.floor(log10_p)
    return f"p = {10 ** (log10_p - exponent):.1f} × 10<sup>−{-exponent}</sup>"


def _cutoff(cutoff_p: float | None) -> list[dict[str, Any]]:
    if not cutoff_p:
        return []
    y = -math.log10(cutoff_p)
    return [_line(x0=0, x1=1, xref="paper", y0=y, y1=y, dash="dot", color=GOOD)]


def _line(dash: str = "solid", color: str = MUTED, **ends: Any) -> dict[str, Any]:
    return {"type": "line", **ends, "line": {"color": color, "width": 1, "dash": dash}, "layer": "below"}


# ---- the spread of true lifts ---------------------------------------------------------------------------------


def prior_figure(priors: Mapping[str, Mixture]) -> Figure:
    """Return how the true lifts of the candidates spread, by number of conditions, on a log2 axis."""
    drawn = [(key, prior) for key, prior in sorted(priors.items()) if prior.null_share < 1]
    if not drawn:
        return empty_figure()
    steps = [4 * at / _CURVE_STEPS - 2 for at in range(_CURVE_STEPS + 1)]  # log2, from 0.25x to 4x
    traces = [
        {
            "type": "scatter",
            "mode": "lines",
            "name": depth_name(key),
            "x": [round(2**step, 4) for step in steps],
            "y": [round(prior.density(step * _LOG_2), 4) for step in steps],
            "line": {"dash": dash, "shape": "spline"},
            "hoverinfo": "skip",
        }
        for (key, prior), dash in zip(drawn, ("solid", "dash", "dot"), strict=False)
    ]
    ticks = (0.25, 0.5, 1, 2, 4)
    return base_figure(
        *traces,
        hovermode=False,
        shapes=[_line(x0=1, x1=1, y0=0, y1=1, yref="paper")],
        xaxis={
            "type": "log",
            "tickvals": list(ticks),
            "ticktext": [f"{tick:g}x" for tick in ticks],
            "tickangle": 0,
            "fixedrange": True,
        },
        yaxis={"visible": False, "rangemode": "tozero", "fixedrange": True},
    )
