"""The chart of the ledger: every test in order, against the threshold that it had to meet."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from typing import Any, Final

from beton.model.ledger import SMALLEST_SHOWN, Hypothesis, LedgerSheet
from layouts import format
from layouts.parts.figures import GOOD, MUTED, WARN, Figure, base_figure, empty_figure
from layouts.routes import Page, Route, href

ALONE: Final = 0.05  # what a test that was the only one would have to meet
MOST_TICKS: Final = 12
_TICKS: Final = tuple(10.0**-power for power in range(9))


def ledger_figure(sheet: LedgerSheet) -> Figure:
    """Return p-values on a logarithmic axis with the thresholds as steps; points carry the address of their run."""
    tests = sheet.hypotheses
    if not tests:
        return empty_figure()
    thresholds = [*(each.standing.threshold for each in tests), sheet.next_threshold]
    smallest = max(SMALLEST_SHOWN, min(each.standing.p_value for each in tests))
    low = min(smallest, min(thresholds) / 2)  # smaller p-values stand at the edge
    ticks = [tick for tick in _TICKS if tick >= low]
    kinds = (("Holds", True, GOOD, "circle"), ("Does not hold", False, MUTED, "circle-open"))
    return base_figure(
        _steps(thresholds),
        *[_points(name, tests, holds, low, {"color": color, "symbol": symbol}) for name, holds, color, symbol in kinds],
        hovermode="closest",
        shapes=[_alone_line()],
        xaxis={
            "range": [0.4, len(tests) + 1.6],
            "title": {"text": "Test"},
            "tickformat": "d",
            "dtick": math.ceil(len(tests) / MOST_TICKS),
        },
        yaxis={
            "type": "log",
            "range": [math.log10(low) - 0.2, 0.15],
            "tickvals": ticks,
            "ticktext": [format.p_limit(tick, 1) for tick in ticks],
            "title": {"text": "p-value"},
        },
    )


def _steps(thresholds: Sequence[float]) -> dict[str, Any]:
    """A step per test, the last one for the test that comes next."""
    return {
        "type": "scatter",
        "mode": "lines",
        "name": "Threshold",
        "x": [at + side for at in range(1, len(thresholds) + 1) for side in (-0.5, 0.5)],
        "y": [each for each in thresholds for _ in range(2)],
        "line": {"color": WARN, "width": 2},
        "hovertemplate": "p at most %{y:.2g}<extra></extra>",
    }


def _points(name: str, tests: Sequence[Hypothesis], holds: bool, low: float, marker: dict[str, Any]) -> dict[str, Any]:
    drawn = [each for each in tests if each.standing.holds is holds]
    return {
        "type": "scatter",
        "mode": "markers",
        "name": name,
        "x": [each.standing.number for each in drawn],
        "y": [max(each.standing.p_value, low) for each in drawn],
        "marker": {"size": 9, **marker},
        "customdata": [href(Route(Page.BACKTEST, run_id=each.run_id)) for each in drawn],
        "text": [_hover(each) for each in drawn],
        "hovertemplate": "%{text}<extra></extra>",
    }


def _hover(each: Hypothesis) -> str:
    at = each.standing
    limit, p = at.written
    verdict = "Holds" if at.holds else "Does not hold"
    return f"{escape(each.name)}<br>{format.ordinal(at.number)} test: p {p}, at most {limit}<br>{verdict}"


def _alone_line() -> dict[str, Any]:
    line = {"color": MUTED, "width": 1, "dash": "dot"}
    return {"type": "line", "x0": 0, "x1": 1, "xref": "paper", "y0": ALONE, "y1": ALONE, "line": line, "layer": "below"}
