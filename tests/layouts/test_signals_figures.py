from __future__ import annotations

import json
import math

import pytest

from beton.model.evidence import Interval
from layouts.parts.figures import BAD
from layouts.signals_figures import MOST_ROWS, ForestRow, forest_figure, forest_height_px


def row(name: str, lift: float, lower: float, upper: float | None) -> ForestRow:
    return ForestRow(name, f"/signals/{name[:3]}", lift, Interval(lower, upper, "score"), 1_247)


ROWS = [row("Unbounded", math.inf, 2.0, None), row("Good", 3.0, 2.0, 4.5), row("Bad", 0.5, 0.3, 0.8)]


def test_points_stand_in_the_order_given_with_their_intervals() -> None:
    others, harmful = forest_figure(ROWS, 1.5)["data"]

    assert others["customdata"] == ["/signals/Unb", "/signals/Goo"]
    assert others["y"] > sorted(others["y"])
    assert others["x"][1] == 3.0
    assert (others["error_x"]["arrayminus"][1], others["error_x"]["array"][1]) == (1.0, 1.5)
    assert "color" not in others["marker"]
    assert harmful["marker"]["color"] == harmful["error_x"]["color"] == BAD
    assert "n = 1,247" in harmful["text"][0]


def test_what_is_beyond_the_axis_stands_at_its_edge_and_points_outwards() -> None:
    figure = forest_figure([*ROWS, row("None", 0.0, 0.0, 0.4)], 1.5)
    low, high = (10**limit for limit in figure["layout"]["xaxis"]["range"])
    others, harmful = figure["data"]

    assert others["x"][0] == pytest.approx(high)
    assert harmful["x"][1] == pytest.approx(low)
    assert (others["marker"]["symbol"], harmful["marker"]["symbol"]) == (
        ["triangle-right", "circle"],
        ["circle", "triangle-left"],
    )
    json.dumps(figure, allow_nan=False)


def test_the_lines_are_at_one_and_at_the_minimum_lift() -> None:
    shapes = forest_figure(ROWS, 1.8)["layout"]["shapes"]
    assert {(shape["x0"], shape["x1"]) for shape in shapes} == {(1.0, 1.0), (1.8, 1.8)}


def test_names_are_text_and_open_their_signal() -> None:
    hostile = row("<a href='//evil.example'>", 2.0, 1.5, 3.0)
    figure = forest_figure([hostile, row("A name that is longer than a phone is wide, by far", 2.0, 1.5, 3.0)], 1.5)
    words = figure["layout"]["annotations"]

    assert "<" not in words[0]["text"] + figure["data"][0]["text"][0].replace("<br>", "")
    assert words[2]["text"].endswith("…")
    assert {each["name"] for each in words[:2]} == {hostile.href}
    assert all(each["captureevents"] for each in words)


def test_a_long_list_is_cut_and_an_empty_one_is_empty() -> None:
    many = [row(f"Signal {number}", 2.0, 1.5, 3.0) for number in range(MOST_ROWS + 5)]
    assert len(forest_figure(many, 1.5)["data"][0]["x"]) == MOST_ROWS
    assert forest_height_px(len(many)) == forest_height_px(MOST_ROWS)
    assert forest_figure([], 1.5)["data"][0]["opacity"] == 0
