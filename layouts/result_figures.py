"""The charts of a backtest: plain plotly dicts from evidence."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from beton.model.evidence import Evidence, FunnelStep, Interval, Measured, MonthRow
from layouts import format
from layouts.parts.figures import GOOD, MUTED, Figure, base_figure, empty_figure

if TYPE_CHECKING:
    from beton.stats.accuracy import Accuracy

_MONTH_AXIS = {"type": "date", "tickformat": "%b\n%Y", "hoverformat": "%b %Y", "nticks": 7}
_NARROWEST_RATIO = 0.25  # smaller ratios, down to none converted, stand at the edge
_WIDEST_RATIO = 1000.0  # an unbounded limit is drawn as an arrow to here


def lift_figure(evidence: Evidence, min_lift: float) -> Figure:
    """Return the lift with its interval on a logarithmic axis, overall first, then by month."""
    rows = _lift_rows(evidence)
    if not rows:
        return empty_figure()
    labels = [label for label, _, _ in rows]
    traces = [_interval_trace([row for row in rows if (row[0] == "All") is is_all], is_all) for is_all in (True, False)]
    low = min(0.5, *(max(interval.lower, _NARROWEST_RATIO) for _, _, interval in rows))
    high = max(2.0, min_lift, *(min(_top(interval), 40.0) for _, _, interval in rows))
    ticks = [t for t in (0.25, 0.5, 1, 2, 4, 8, 16, 32) if low * 0.9 <= t <= high * 1.1]
    return base_figure(
        *traces,
        showlegend=False,
        hovermode="closest",
        xaxis={
            "type": "log",
            "range": [math.log10(low * 0.9), math.log10(high * 1.1)],
            "tickvals": ticks,
            "ticktext": [f"{t:g}x" for t in ticks],
            "showgrid": True,
            "tickangle": 0,
        },
        yaxis={"categoryorder": "array", "categoryarray": labels[::-1], "showgrid": False},
        shapes=[_line_at(1.0, MUTED, "solid"), _line_at(min_lift, GOOD, "dot")],
    )


def _lift_rows(evidence: Evidence) -> list[tuple[str, float, Interval]]:
    result = evidence.result
    rows: list[tuple[str, float, Interval]] = []
    if isinstance(result, Measured) and result.lift is not None:
        rows.append(("All", result.lift, result.lift_interval))
    months = [
        (format.month(row.month), row.lift, row.lift_interval)
        for row in evidence.months
        if row.lift is not None and row.lift_interval is not None
    ]
    return rows + months


def _top(interval: Interval) -> float:
    return _WIDEST_RATIO if interval.upper is None else interval.upper


def _interval_trace(rows: Sequence[tuple[str, float, Interval]], strong: bool) -> dict[str, Any]:
    points = [max(lift, _NARROWEST_RATIO) for _, lift, _ in rows]
    lowest = [max(interval.lower, _NARROWEST_RATIO) for _, _, interval in rows]
    highest = [max(_top(interval), _NARROWEST_RATIO) for _, _, interval in rows]
    return {
        "type": "scatter",
        "mode": "markers",
        "x": points,
        "y": [label for label, _, _ in rows],
        "marker": {"size": 11 if strong else 7, **({} if strong else {"color": MUTED})},
        "error_x": {
            "type": "data",
            "symmetric": False,
            "array": [high - point for point, high in zip(points, highest, strict=True)],
            "arrayminus": [point - low for point, low in zip(points, lowest, strict=True)],
            "thickness": 2 if strong else 1,
            "width": 0,
            **({} if strong else {"color": MUTED}),
        },
        "hovertemplate": "%{customdata}<extra></extra>",
        "customdata": [f"{label}: {format.lift(lift)}, 95% {lift_limits(interval)}" for label, lift, interval in rows],
    }


def lift_limits(interval: Interval) -> str:
    """Write the interval of a lift; unbounded above is infinity."""
    upper = math.inf if interval.upper is None else interval.upper
    return format.interval(format.lift(interval.lower), format.lift(upper))


def _line_at(ratio: float, color: str, dash: str) -> dict[str, Any]:
    line = {"color": color, "width": 1, "dash": dash}
    return {"type": "line", "x0": ratio, "x1": ratio, "y0": 0, "y1": 1, "yref": "paper", "line": line, "layer": "below"}


def month_figure(months: Sequence[MonthRow]) -> Figure:
    """Return conversion with and without the signal by month."""
    if not months:
        return empty_figure()
    x = [f"{row.month}-01" for row in months]
    tables = [row.table for row in months]
    arms = (
        ("With signal", [(t.rate_with, t.converted_with, t.units_with) for t in tables], "solid"),
        ("Without", [(t.rate_without, t.converted_without, t.units_without) for t in tables], "dot"),
    )
    traces = [
        {
            "type": "scatter",
            "mode": "lines+markers",
            "name": name,
            "x": x,
            "y": [rate for rate, _, _ in points],
            "line": {"dash": dash},
            "customdata": [f"{format.percent(rate)} ({hit:,} of {units:,})" for rate, hit, units in points],
            "hovertemplate": "%{customdata}",
        }
        for name, points, dash in arms
    ]
    return base_figure(*traces, xaxis=_MONTH_AXIS, yaxis={"tickformat": ".0%", "rangemode": "tozero"})


def funnel_figure(funnel: Sequence[FunnelStep]) -> Figure:
    """Return how many units remain after each rule of eligibility."""
    labels = [step.label for step in funnel]
    start = funnel[0].units if funnel else 0
    shown = [f"{step.units:,}" for step in funnel]
    why = [step.dropped_because or "everyone in the data" for step in funnel]
    before = [funnel[max(0, i - 1)].units for i in range(len(funnel))]
    lost = [f"{was - step.units:,} lost: {text}" for step, was, text in zip(funnel, before, why, strict=True)]
    bars = {
        "type": "bar",
        "orientation": "h",
        "x": [step.units for step in funnel],
        "y": labels,
        "text": shown,
        "textposition": "outside",
        "cliponaxis": False,
        "marker": {"color": [MUTED] * (len(funnel) - 1) + [GOOD]},
        "customdata": lost,
        "hovertemplate": "%{customdata}<extra></extra>",
    }
    return base_figure(
        bars,
        hovermode="closest",
        bargap=0.35,
        xaxis={"visible": False, "range": [0, start * 1.18 or 1]},
        yaxis={"categoryorder": "array", "categoryarray": labels[::-1], "showgrid": False},
    )


def accuracy_figure(months: Sequence[tuple[str, Accuracy]]) -> Figure:
    """Return accuracy by month beside that of predicting that nobody converts (definitions, section 6)."""
    if not months:
        return empty_figure()
    x = [f"{month}-01" for month, _ in months]
    lines = (
        ("Signal as a forecast", [accuracy.accuracy for _, accuracy in months], "solid"),
        ("Predicting nobody converts", [accuracy.accuracy_of_never for _, accuracy in months], "dot"),
    )
    traces = [
        {
            "type": "scatter",
            "mode": "lines+markers",
            "name": name,
            "x": x,
            "y": shares,
            "line": {"dash": dash},
            "hovertemplate": "%{y:.1%}",
        }
        for name, shares, dash in lines
    ]
    return base_figure(*traces, xaxis=_MONTH_AXIS, yaxis={"tickformat": ".0%"})
