"""What the proof of a signal is drawn with: forest plot, conversion curves, heat map, strips of overlap.

Only the curves need a chart library. The others are tables whose cells carry their geometry as CSS variables
(``assets/55-proof.css`` draws them), so the figure, its numbers and its text alternative are one and the same thing.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from dash import html

from beton.model.discovery import Estimate
from beton.model.evidence import Table
from beton.model.examination import Comparison, Curve, Examination, HeatMap, Overlap
from layouts import estimates, format
from layouts.parts.attributes import aria, data
from layouts.parts.figures import BAD, GOOD, MUTED, Figure, base_figure
from layouts.routes import Page, Route, href

FOREST_HEADER: Final = ("Compared among", "With signal", "Without", "", "Lift (95% range)")
OVERLAP_HEADER: Final = ("Other signal", "", "Both", "Only this", "Only the other", "Shared")

TOO_FEW: Final = "too few to tell"

_SMALLEST, _LARGEST = 0.1, 40.0  # ratios beyond stand at the edge
_TICKS = (0.25, 0.5, 1, 2, 4, 8, 16, 32)
_LARGEST_SQUARE_PX, _SMALLEST_SQUARE_PX = 15, 4
_FULL_TINT_LIFT = 4.0  # a lift of 4x, or of 0.25x, has the deepest colour
_TABLE_DAYS = 6
_GOOD_BAND, _BAD_BAND, _MUTED_BAND = "rgba(16,185,129,0.16)", "rgba(239,68,68,0.16)", "rgba(138,138,138,0.2)"


# ---- forest plot ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Axis:
    """A logarithmic axis of ratios."""

    low: float
    high: float

    def percent(self, value: float) -> float:
        """Return where a ratio stands, from 0 to 100; what lies beyond an end stands at it."""
        inside = min(max(value, self.low), self.high)
        return round(100 * math.log(inside / self.low) / math.log(self.high / self.low), 2)

    @property
    def ticks(self) -> list[float]:
        """The round ratios on the axis."""
        return [tick for tick in _TICKS if self.low <= tick <= self.high]


def forest_axis(rows: Sequence[Comparison]) -> Axis:
    """Return an axis that holds every lift, and the whole intervals of all but segments and months."""
    found = [1.0]
    for row in rows:
        value, limits = row.estimate.ratio, row.estimate.interval
        if value is None:
            continue
        narrow = row.group in ("period", "adjusted")
        found += [value, *([limits.lower, limits.upper or 0.0] if narrow else [])]
    known = [value for value in found if value > 0 and math.isfinite(value)]
    return Axis(max(min(0.5, *known), _SMALLEST) * 0.9, min(max(2.0, *known), _LARGEST) * 1.15)


def forest(examination: Examination) -> html.Div:
    """Return the forest plot: every comparison as a row of a table, grouped by what its people share."""
    rows = examination.comparisons
    axis = forest_axis(rows)
    most = max((_units(row.estimate.table) for row in rows), default=1)
    bodies = [
        html.Tbody([_group_row(heading, len(group)), *[_forest_row(row, axis, most, examination) for row in group]])
        for heading, group in grouped(rows)
    ]
    titled = html.Caption("Lift in every comparison, with its 95% range", className="visually-hidden")
    whole = html.Table([titled, _forest_head(axis), *bodies], className="proof-table forest-table")
    return html.Div(whole, className="forest-plot", style={"--grid": _grid(axis)})


def grouped(rows: Sequence[Comparison]) -> list[tuple[str, list[Comparison]]]:
    """Return the comparisons by heading, in their order."""
    found: dict[str, list[Comparison]] = {}
    for row in rows:
        found.setdefault(_heading(row), []).append(row)
    return list(found.items())


def _heading(row: Comparison) -> str:
    if row.group == "period":
        return "Earlier and later signups"
    if row.group == "adjusted":
        return "Among comparable people"
    return "By signup month" if row.group == "month" else f"By {row.by.replace('_', ' ')}"


def _group_row(heading: str, rows: int) -> html.Tr:
    alone = heading.startswith("By ") and rows == 1
    note = [html.Span(" the only group with enough people", className="proof-note")] if alone else []
    return html.Tr(html.Th([heading, *note], colSpan=len(FOREST_HEADER), scope="rowgroup"), className="forest-group")


def _forest_head(axis: Axis) -> html.Thead:
    ticks = [
        html.Span(f"{tick:g}x", style={"left": f"{axis.percent(tick)}%"}, className="forest-tick")
        for tick in axis.ticks
    ]
    cells: list[Any] = [html.Th(name, scope="col") for name in FOREST_HEADER]
    cells[3] = html.Th(ticks, className="forest-axis", **aria(hidden="true"))
    return html.Thead(html.Tr(cells))


def _grid(axis: Axis) -> str:
    """Return the lines of the axis as a background: no difference stronger than the others."""
    lines = []
    for tick in axis.ticks:
        color = "var(--b-text-2)" if tick == 1 else "var(--b-border)"
        lines.append(f"linear-gradient({color}, {color}) {axis.percent(tick)}% 0 / 1px 100% no-repeat")
    return ", ".join(lines)


def _forest_row(row: Comparison, axis: Axis, most: int, examination: Examination) -> html.Tr:
    estimate, table = row.estimate, row.estimate.table
    label: list[Any] = [row.label]
    period = _period(row, examination)
    if period:
        label.append(html.Span(period, className="proof-note"))
    lift = [html.Strong(estimates.lift_words(estimate)), html.Span(estimates.limits_words(estimate))]
    return html.Tr(
        [
            html.Th(label, scope="row"),
            html.Td(estimates.arm_words(table.converted_with, table.units_with), className="forest-arm"),
            html.Td(estimates.arm_words(table.converted_without, table.units_without), className="forest-arm"),
            _track(estimate, axis, most, f"{row.label}, {period}".rstrip(", ")),
            html.Td(lift, className="forest-lift"),
        ],
        **data(strong=str(row.group in ("period", "adjusted")).lower()),
    )


def _track(estimate: Estimate, axis: Axis, most: int, label: str) -> html.Td:
    value = estimate.ratio
    hover = f"{label}: {estimates.lift_words(estimate)}, {estimates.limits_words(estimate)}. "
    hover += estimates.table_words(estimate.table)
    if value is None:
        return html.Td(className="forest-track", title=hover, **data(side="none"))
    lower, upper = estimate.interval.lower, estimate.interval.upper
    top = math.inf if upper is None else upper
    square = max(_LARGEST_SQUARE_PX * math.sqrt(_units(estimate.table) / most), _SMALLEST_SQUARE_PX)
    cut = ("left" if lower < axis.low else "") + ("right" if top > axis.high else "")
    geometry = {
        "--at": f"{axis.percent(value)}%",
        "--from": f"{axis.percent(lower)}%",
        "--to": f"{axis.percent(top)}%",
        "--square": f"{square:.1f}px",
    }
    side = "none" if not estimates.is_clear(estimate) else "up" if value > 1 else "down"
    return html.Td(className="forest-track", title=hover, style=geometry, **data(side=side, cut=cut))


def _period(row: Comparison, examination: Examination) -> str:
    """Return the dates of a row that compares periods; the other rows hold everybody."""
    if row.group != "period":
        return ""
    is_train = row.estimate == examination.train
    return estimates.period_words(examination.train_period if is_train else examination.held_out_period)


def _units(table: Table) -> int:
    return table.units_with + table.units_without


# ---- cumulative conversion ------------------------------------------------------------------------------------


def curves_figure(with_signal: Curve, without_signal: Curve) -> Figure:
    """Return both arms' cumulative conversion as steps: lower limit, upper limit, share of each."""
    higher = last_share(with_signal) >= last_share(without_signal)
    arms = (
        ("Without signal", without_signal, MUTED, _MUTED_BAND),
        ("With signal", with_signal, *((GOOD, _GOOD_BAND) if higher else (BAD, _BAD_BAND))),
    )
    return base_figure(
        *[trace for name, curve, color, band in arms for trace in _arm_traces(name, curve, color, band)],
        xaxis={"title": {"text": "Days since signup"}, "hoverformat": ".0f", "nticks": 8},
        yaxis={"tickformat": ".0%", "range": [0, _top(with_signal, without_signal)]},
    )


def _top(*curves: Curve) -> float:
    """Return the end of the axis. Where nobody is left a band ends at 1, which must not flatten the curves."""
    known = [limit for curve in curves for limit in (*curve.share, *curve.upper) if limit < 1]
    return min(1.0, 1.1 * max(known, default=1.0)) or 1.0


def _arm_traces(name: str, curve: Curve, color: str, band: str) -> list[dict[str, Any]]:
    words = [
        f"{format.percent(share)} ({format.interval(format.percent(low), format.percent(high))})"
        for share, low, high in zip(curve.share, curve.lower, curve.upper, strict=True)
    ]
    step = {"type": "scatter", "mode": "lines", "x": list(curve.days)}
    edge = {"line": {"shape": "hv", "width": 0}, "hoverinfo": "skip", "showlegend": False}
    return [
        {**step, **edge, "y": list(curve.lower)},
        {**step, **edge, "y": list(curve.upper), "fill": "tonexty", "fillcolor": band},
        {
            **step,
            "name": f"{name}, n = {format.count(curve.units)}",
            "y": list(curve.share),
            "line": {"shape": "hv", "color": color, "width": 2},
            "customdata": words,
            "hovertemplate": "%{customdata}",
        },
    ]


def curve_rows(with_signal: Curve, without_signal: Curve) -> list[list[str]]:
    """Return both curves at a few round days: day, with, without; each with its 95% range."""
    start = max(with_signal.days[0], without_signal.days[0])
    end = max(with_signal.days[-1], without_signal.days[-1])
    days = sorted({round(start + (end - start) * at / _TABLE_DAYS) for at in range(1, _TABLE_DAYS)} | {math.floor(end)})
    return [[f"Day {day}", _at(with_signal, day), _at(without_signal, day)] for day in days]


def _at(curve: Curve, day: float) -> str:
    at = bisect_right(curve.days, day) - 1
    if at < 0:
        return format.percent(0.0)
    limits = format.interval(format.percent(curve.lower[at]), format.percent(curve.upper[at]))
    return f"{format.percent(curve.share[at])} ({limits})"


def last_share(curve: Curve) -> float:
    """Return the share that has converted at the end of the curve."""
    return curve.share[-1] if curve.share else 0.0


# ---- heat map -------------------------------------------------------------------------------------------------


def heat_map(found: HeatMap) -> html.Div:
    """Return held-out lifts by how often and within how many days; the signal's own cell is outlined."""
    corner = html.Th(found.event, scope="col", className="heat-corner", title=found.event)
    head = html.Tr([corner, *[html.Th(f"in {format.days(days)}", scope="col") for days in found.windows_days]])
    rows = [_heat_row(found, at) for at in range(len(found.counts))]
    titled = html.Caption("Held-out lift by number of times and days", className="visually-hidden")
    whole = html.Table([titled, html.Thead(head), html.Tbody(rows)], className="heat-table")
    # What scrolls sideways must be reached by the keyboard.
    return html.Div(whole, className="table-scroll", tabIndex=0, role="region", **aria(label="Held-out lift"))


def _heat_row(found: HeatMap, at: int) -> html.Tr:
    often = f"{found.counts[at]}+ times" if found.counts[at] > 1 else "once or more"
    cells = [
        _heat_cell(cell, f"{found.event} {often} in {format.days(days)}", found.chosen == (at, window))
        for window, (days, cell) in enumerate(zip(found.windows_days, found.cells[at], strict=True))
    ]
    return html.Tr([html.Th(often, scope="row"), *cells])


def _heat_cell(cell: Estimate | None, label: str, is_chosen: bool) -> html.Td:
    value = None if cell is None else cell.ratio
    if cell is None or value is None:
        why = TOO_FEW if cell is None else estimates.reason(cell)
        shown, below, hover, look = format.MISSING, why, why, data(side="none")
    else:
        shown, below = estimates.lift_words(cell), f"n {format.count(cell.table.units_with)}"
        hover = f"held-out lift {shown}, 95% {estimates.limits_words(cell)}. {estimates.table_words(cell.table)}"
        look = data(side="up" if value >= 1 else "down", clear=str(estimates.is_clear(cell)).lower())
        look["style"] = {"--heat": f"{tint(value):.2f}"}
    if is_chosen:
        look |= data(chosen="true")
    own = html.Span("This signal: " if is_chosen else "", className="visually-hidden")
    return html.Td([own, shown, html.Span(below, className="heat-n")], title=f"{label}: {hover}", **look)


def tint(lift: float) -> float:
    """Return the depth of a colour from 0 (no difference) to 1, alike for 2x and 0.5x."""
    if lift <= 0 or math.isinf(lift):
        return 1.0
    return min(abs(math.log(lift)) / math.log(_FULL_TINT_LIFT), 1.0)


# ---- overlap --------------------------------------------------------------------------------------------------


def overlap_rows(overlaps: Sequence[Overlap]) -> Iterator[html.Tr]:
    """Return one row per other signal: its link, a strip of three parts, and the numbers."""
    for each in overlaps:
        either = each.both + each.only_this + each.only_other
        parts = [100 * part / either if either else 0.0 for part in (each.only_this, each.both)]
        strip = {"--this": f"{parts[0]:.1f}%", "--both": f"{parts[0] + parts[1]:.1f}%"}
        yield html.Tr(
            [
                html.Th(html.A(each.name, href=href(Route(Page.SIGNAL, signal_id=each.signal_id))), scope="row"),
                html.Td(
                    html.Div(className="overlap-strip", style=strip), className="overlap-bar", **aria(hidden="true")
                ),
                *[html.Td(format.count(number)) for number in (each.both, each.only_this, each.only_other)],
                html.Td(format.percent(each.jaccard, 0)),
            ]
        )
