"""The forest plot of the Signals page: every listed lift with its interval on one axis."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, Final

from beton.model.evidence import Interval
from layouts import format
from layouts.parts.figures import BAD, GOOD, MUTED, Figure, base_figure, empty_figure
from layouts.result_figures import lift_limits

MOST_ROWS: Final = 40  # beyond it a chart is a long list, and there is one above
ROW_HEIGHT_PX: Final = 46
AXIS_HEIGHT_PX: Final = 44
MOST_LETTERS: Final = 34  # of a name; on a phone it shares its line with the numbers

_SMALLEST, _LARGEST = 0.1, 64.0  # ratios beyond stand at the edge
_TICKS = (0.125, 0.25, 0.5, 1, 2, 4, 8, 16, 32, 64)
_WORDS_Y, _POINT_Y = 0.2, -0.2  # within a row of height 1


@dataclass(frozen=True)
class ForestRow:
    """One signal of the plot. ``lift`` may be infinite; ``units`` counts those with the signal."""

    name: str
    href: str
    lift: float
    interval: Interval
    units: int

    @property
    def upper(self) -> float:
        """The upper limit of the interval, infinite where it is unbounded."""
        return math.inf if self.interval.upper is None else self.interval.upper


def forest_height_px(rows: int) -> int:
    """Return the height that gives every row the same room."""
    return min(rows, MOST_ROWS) * ROW_HEIGHT_PX + AXIS_HEIGHT_PX


def forest_figure(rows: Sequence[ForestRow], min_lift: float) -> Figure:
    """Return the intervals of ``rows`` in their order, first on top; beyond ``MOST_ROWS`` they are left out.

    Points carry the address of their signal as ``customdata``, their words as ``name``.
    """
    if not rows:
        return empty_figure()
    drawn = list(enumerate(rows[:MOST_ROWS]))
    low, high = _axis([row for _, row in drawn], min_lift)
    ticks = [tick for tick in _TICKS if low <= tick <= high]
    harmful = [each for each in drawn if each[1].lift < 1]
    others = [each for each in drawn if each[1].lift >= 1]
    return base_figure(
        *[_points(some, low, high, color) for some, color in ((others, None), (harmful, BAD)) if some],
        showlegend=False,
        hovermode="closest",
        margin={"l": 0, "r": 0, "t": 0, "b": 36, "pad": 0},
        annotations=[words for at, row in drawn for words in _words(at, row)],
        shapes=[
            _line_at(ratio, at, color, dash)
            for at, _ in drawn
            for ratio, color, dash in ((1.0, MUTED, "solid"), (min_lift, GOOD, "dot"))
        ],
        xaxis={
            "type": "log",
            "range": [math.log10(low), math.log10(high)],
            "tickvals": ticks,
            "ticktext": [f"{tick:g}x" for tick in ticks],
            "tickangle": 0,
            "automargin": False,
            "fixedrange": True,
        },
        yaxis={
            "range": [-len(drawn) + 0.5, 0.5],
            "tickvals": [0.5 - at for at in range(1, len(drawn))],
            "showticklabels": False,
            "automargin": False,
            "fixedrange": True,
        },
    )


def _axis(rows: Sequence[ForestRow], min_lift: float) -> tuple[float, float]:
    lowest = min(0.5, *(row.interval.lower for row in rows), *(row.lift for row in rows))
    ratios = [ratio for row in rows for ratio in (row.lift, row.upper) if math.isfinite(ratio)]
    highest = max(2.0, min_lift, *(row.interval.lower for row in rows), *ratios)
    return max(lowest, _SMALLEST) * 0.9, min(highest, _LARGEST) * 1.15


def _points(rows: Sequence[tuple[int, ForestRow]], low: float, high: float, color: str | None) -> dict[str, Any]:
    def inside(ratio: float) -> float:
        return min(max(ratio, low), high)

    points = [inside(row.lift) for _, row in rows]
    colored = {} if color is None else {"color": color}
    return {
        "type": "scatter",
        "mode": "markers",
        "x": points,
        "y": [_POINT_Y - at for at, _ in rows],
        "marker": {"size": 9, "symbol": [_symbol(row.lift, low, high) for _, row in rows], **colored},
        "cliponaxis": False,
        "error_x": {
            "type": "data",
            "symmetric": False,
            "array": [inside(row.upper) - point for point, (_, row) in zip(points, rows, strict=True)],
            "arrayminus": [point - inside(row.interval.lower) for point, (_, row) in zip(points, rows, strict=True)],
            "thickness": 2,
            "width": 0,
            **colored,
        },
        "customdata": [row.href for _, row in rows],
        "text": [_hover(row) for _, row in rows],
        "hovertemplate": "%{text}<extra></extra>",
    }


def _symbol(lift: float, low: float, high: float) -> str:
    """Point outwards where the lift itself is beyond the edge."""
    return "triangle-left" if lift < low else "triangle-right" if lift > high else "circle"


def _hover(row: ForestRow) -> str:
    numbers = f"Lift {format.lift(row.lift)}, 95% {lift_limits(row.interval)}"
    return f"{escape(row.name)}<br>{numbers}<br>n = {format.count(row.units)} with the signal"


def _words(at: int, row: ForestRow) -> list[dict[str, Any]]:
    name = row.name if len(row.name) <= MOST_LETTERS else f"{row.name[: MOST_LETTERS - 1].rstrip()}…"
    shared = {
        "xref": "paper",
        "yref": "y",
        "y": _WORDS_Y - at,
        "showarrow": False,
        "captureevents": True,
        "borderpad": 0,
        "name": row.href,
    }
    numbers = f"{format.lift(row.lift)}  ({lift_limits(row.interval)})"
    return [
        {**shared, "x": 0, "xanchor": "left", "text": escape(name)},
        {**shared, "x": 1, "xanchor": "right", "text": numbers},
    ]


def _line_at(ratio: float, at: int, color: str, dash: str) -> dict[str, Any]:
    """Return the line of one row, below its words."""
    line = {"color": color, "width": 1, "dash": dash}
    return {"type": "line", "x0": ratio, "x1": ratio, "y0": -at - 0.5, "y1": -at, "line": line, "layer": "below"}
