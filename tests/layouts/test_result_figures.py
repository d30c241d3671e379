from __future__ import annotations

import json
import math
from typing import Any

import plotly.graph_objects as go
import pytest
from test_result_view import CASES, evidence

from beton.model.evidence import FunnelStep, Interval, MonthRow, Table
from beton.stats.accuracy import Accuracy
from layouts.result_figures import accuracy_figure, funnel_figure, lift_figure, month_figure


def numbers(figure: Any) -> list[float]:
    """Return every number of a figure."""
    if isinstance(figure, dict):
        return [n for each in figure.values() for n in numbers(each)]
    if isinstance(figure, list | tuple):
        return [n for each in figure for n in numbers(each)]
    return [figure] if isinstance(figure, int | float) and not isinstance(figure, bool) else []


@pytest.mark.parametrize("case", CASES)
def test_figures_are_valid_plotly_and_plain_json(case: str) -> None:
    about = CASES[case]
    for figure in (lift_figure(about, 1.5), month_figure(about.months), funnel_figure(about.funnel)):
        json.dumps(figure, allow_nan=False)
        go.Figure(figure)
        assert all(math.isfinite(n) for n in numbers(figure))


@pytest.mark.parametrize("min_lift", [0.0, 0.001, 1.5, 1000.0])
def test_the_axis_of_the_lift_is_ordered_for_any_minimum(min_lift: float) -> None:
    low, high = lift_figure(CASES["measured"], min_lift)["layout"]["xaxis"]["range"]
    assert low < high
    assert low < math.log10(CASES["measured"].result.lift) < high  # type: ignore[union-attr, arg-type]


def test_an_interval_without_an_end_is_drawn_beyond_the_axis() -> None:
    months = (MonthRow("2024-01", Table(3, 9, 0, 50), 5.0, Interval(1.2, None, "score")),)
    figure = lift_figure(evidence(months=months), 1.5)
    error = figure["data"][1]["error_x"]
    drawn_to = figure["data"][1]["x"][0] + error["array"][0]
    assert math.log10(drawn_to) > figure["layout"]["xaxis"]["range"][1]


def test_a_lift_of_zero_stands_at_the_edge_of_the_logarithmic_axis() -> None:
    months = (MonthRow("2024-01", Table(0, 9, 20, 50), 0.0, Interval(0.0, 0.8, "score")),)
    figure = lift_figure(evidence(months=months), 1.5)
    low, high = figure["layout"]["xaxis"]["range"]
    assert low <= math.log10(figure["data"][1]["x"][0]) <= high


def test_every_error_bar_reaches_outward() -> None:
    for case in CASES.values():
        for trace in lift_figure(case, 1.5)["data"]:
            bars = trace.get("error_x", {"array": [], "arrayminus": []})
            assert all(length >= 0 for length in [*bars["array"], *bars["arrayminus"]])


def test_the_funnel_keeps_its_order_and_says_what_was_lost() -> None:
    steps = (FunnelStep("all", "All users", 10, ""), FunnelStep("mature", "Mature", 4, "too young"))
    figure = funnel_figure(steps)
    assert figure["layout"]["yaxis"]["categoryarray"] == ["Mature", "All users"]
    assert figure["data"][0]["customdata"] == ["0 lost: everyone in the data", "6 lost: too young"]


def test_months_without_units_leave_gaps() -> None:
    figure = month_figure((MonthRow("2024-01", Table(0, 0, 3, 10), None, None),))
    assert [trace["y"] for trace in figure["data"]] == [[None], [0.3]]


def test_accuracy_has_two_lines_or_an_empty_chart() -> None:
    figure = accuracy_figure([("2024-01", Accuracy(0.9, 0.95, None, 0.2))])
    assert [trace["y"] for trace in figure["data"]] == [[0.9], [0.95]]
    assert len(accuracy_figure([])["data"]) == 1
