"""The timeline of one user: what happened on which day since the signup, with the signals and the outcome."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from typing import Any, Final

from beton.model.unit_facts import Carried, DayCount, UnitFacts
from layouts import format
from layouts.parts.figures import GOOD, WARN, Figure, base_figure, empty_figure

MOST_EVENTS: Final = 16  # kinds of events, the most frequent ones
MOST_LETTERS: Final = 26  # of an event's name beside the axis
ROW_HEIGHT_PX: Final = 28
AXES_HEIGHT_PX: Final = 100
SHORTEST_DAYS: Final = 7
SIGNALS_ROW: Final = "Signals"


def drawn_events(facts: UnitFacts) -> list[str]:
    """Return the events of the timeline, in the order in which they first happened."""
    times: dict[str, int] = {}
    for each in facts.days:
        times[each.event] = times.get(each.event, 0) + each.times
    kept = set(sorted(times, key=lambda event: -times[event])[:MOST_EVENTS])
    return [event for event in times if event in kept]


def timeline_height_px(facts: UnitFacts) -> int:
    """Return the height that gives every row the same room."""
    return AXES_HEIGHT_PX + ROW_HEIGHT_PX * (len(drawn_events(facts)) + bool(facts.carried))


def last_day(facts: UnitFacts) -> float:
    """Return where the axis ends: with the span, or with the data, whichever is earlier."""
    return min(facts.span_days, max(SHORTEST_DAYS, math.ceil(facts.after_days(facts.data_end))))


def timeline_figure(facts: UnitFacts) -> Figure:
    """Return dots by day and event, larger for more; a line where a signal first matched, one for the outcome."""
    events = drawn_events(facts)
    if not events:
        return empty_figure()
    end = last_day(facts)
    matched = [each for each in facts.carried if is_drawn(each.matched_after_days, end)]
    outcome_day = None if facts.outcome_at is None else facts.after_days(facts.outcome_at)
    outcomes = [outcome_day] if outcome_day is not None and is_drawn(outcome_day, end) else []
    start = min(0.0, *outcomes, *(each.matched_after_days for each in matched)) if outcomes or matched else 0.0
    at = {event: -position for position, event in enumerate(events, start=bool(facts.carried))}
    rows = [*([(0, SIGNALS_ROW)] if facts.carried else []), *((row, event) for event, row in at.items())]
    return base_figure(
        _dots([each for each in facts.days if each.event in at and each.day < end], at),
        *([_diamonds(matched)] if matched else []),
        showlegend=False,
        hovermode="closest",
        margin={"l": 8, "r": 8, "t": 24, "b": 40},
        shapes=[
            *(_line(each.matched_after_days, WARN, "dot") for each in matched),
            *(_line(day, GOOD, "solid") for day in outcomes),
        ],
        annotations=[_outcome_words(day, start, end) for day in outcomes],
        xaxis={
            "range": [start - end / 60, end],
            "title": {"text": "Days since signup"},
            "fixedrange": True,
            "nticks": 8,
        },
        yaxis={
            "range": [-len(rows) + 0.4, 0.6],
            "tickvals": [row for row, _ in rows],
            "ticktext": [_short(name) for _, name in rows],
            "fixedrange": True,
        },
    )


def is_drawn(day: float, end: float) -> bool:
    """Whether a moment has a place on the axis, which may begin before the signup: an account is older than a user."""
    return -end <= day <= end


def _dots(days: Sequence[DayCount], at: dict[str, int]) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "markers",
        "x": [each.day + 0.5 for each in days],
        "y": [at[each.event] for each in days],
        "marker": {"size": [min(6 + 2.5 * math.log2(each.times), 20) for each in days], "opacity": 0.85},
        "text": [f"{escape(each.event)}<br>day {each.day}: {format.plural(each.times, 'time')}" for each in days],
        "hovertemplate": "%{text}<extra></extra>",
        "cliponaxis": False,
    }


def _diamonds(matched: Sequence[Carried]) -> dict[str, Any]:
    """One diamond in the top row for all signals that matched at the same tenth of a day."""
    by_moment: dict[float, list[Carried]] = {}
    for each in matched:
        by_moment.setdefault(round(each.matched_after_days, 1), []).append(each)
    return {
        "type": "scatter",
        "mode": "markers",
        "x": [some[0].matched_after_days for some in by_moment.values()],
        "y": [0] * len(by_moment),
        "marker": {"size": 11, "symbol": "diamond", "color": WARN},
        "text": ["<br>".join(_matched_words(each) for each in some) for some in by_moment.values()],
        "hovertemplate": "%{text}<extra></extra>",
        "cliponaxis": False,
    }


def _matched_words(each: Carried) -> str:
    return f"{escape(each.name)}: first matched on day {format.decimal(each.matched_after_days)}"


def _line(day: float, color: str, dash: str) -> dict[str, Any]:
    line = {"color": color, "width": 1 if dash == "dot" else 2, "dash": dash}
    return {"type": "line", "x0": day, "x1": day, "yref": "paper", "y0": 0, "y1": 1, "line": line, "layer": "below"}


def _outcome_words(day: float, start: float, end: float) -> dict[str, Any]:
    """Return the words above the line, moved inwards near an edge."""
    share = (day - start) / (end - start)
    return {
        "x": day,
        "xanchor": "left" if share < 0.25 else "right" if share > 0.75 else "center",
        "y": 1,
        "yref": "paper",
        "yanchor": "bottom",
        "text": f"outcome, day {format.decimal(day)}",
        "showarrow": False,
        "font": {"color": GOOD},
    }


def _short(name: str) -> str:
    return escape(name if len(name) <= MOST_LETTERS else f"{name[: MOST_LETTERS - 1].rstrip()}…")
