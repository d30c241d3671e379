"""The figures of a signal's proof hold the numbers of the examination."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from dash.development.base_component import Component
from test_proof import ADJUSTED, HELD_OUT, TRAIN, curve, estimate, examination, inside, words

from beton.model.discovery import Estimate
from beton.model.examination import Comparison, HeatMap, Overlap
from layouts.parts.figures import BAD, GOOD
from layouts.proof_figures import (
    TOO_FEW,
    curve_rows,
    curves_figure,
    forest,
    forest_axis,
    grouped,
    heat_map,
    overlap_rows,
    tint,
)


def props(each: Component) -> dict[str, Any]:
    found: dict[str, Any] = each.to_plotly_json()["props"]
    return found


def tracks(drawn: Any) -> list[dict[str, Any]]:
    return [props(each) for each in inside(drawn) if getattr(each, "className", "") == "forest-track"]


def row(lift: Estimate, group: Any = "segment", by: str = "plan") -> Comparison:
    return Comparison(group, by, "free", lift)


def test_the_forest_is_grouped_and_every_row_tells_counts_lift_and_range() -> None:
    drawn = forest(examination())
    said = words(drawn)

    headings = ("Earlier and later signups", "Among comparable people", "By company size", "By role", "By signup month")
    assert [said.index(each) for each in headings] == sorted(said.index(each) for each in headings)
    assert "Discovery (earlier cohorts) 1 Jan 2024 – 28 Jun 2024 53 of 274 255 of 4,918 3.7x 2.8x – 4.9x" in said
    assert "Held out (later cohorts) 1 Sep 2024 – 27 Oct 2024 12 of 115 63 of 2,110 3.5x 1.9x – 6.1x" in said
    assert "11–50 9 of 202 127 of 3,416 0.50x 0.20x – 0.90x" in said
    assert "Feb 2024 0 of 0 63 of 2,110 Cannot tell nobody has the signal" in said


def test_a_group_of_one_row_says_that_it_compares_nothing() -> None:
    said = words(forest(examination()))
    assert "By role the only group with enough people" in said
    assert "By company size the only" not in said
    assert "Among comparable people the only" not in said


def test_squares_and_lines_stand_where_the_numbers_are() -> None:
    found = examination()
    axis = forest_axis(found.comparisons)
    drawn = tracks(forest(found))

    first = drawn[0]["style"]
    places = [axis.percent(value) for value in (2.8, 3.7, 4.9)]
    assert [first[name] for name in ("--from", "--at", "--to")] == [f"{each}%" for each in places]
    assert places == sorted(places)
    assert "53 of 274 with the signal, 255 of 4,918 without converted" in drawn[0]["title"]
    sizes = [float(each["style"]["--square"].removesuffix("px")) for each in drawn[:3]]
    units = [each.table.units_with + each.table.units_without for each in (TRAIN, HELD_OUT, ADJUSTED)]
    ratios = [size**2 / number for size, number in zip(sizes, units, strict=True)]
    assert ratios == pytest.approx([ratios[0]] * 3, rel=0.02)


def test_rows_are_coloured_by_direction_only_where_chance_is_no_likely_cause() -> None:
    drawn = tracks(forest(examination()))
    assert [each["data-side"] for each in drawn] == ["up", "up", "up", "up", "down", "none", "none", "none"]


def test_a_range_beyond_the_axis_is_marked_and_a_missing_lift_draws_nothing() -> None:
    drawn = tracks(forest(examination()))
    assert [each.get("data-cut") for each in drawn[-2:]] == ["leftright", None]
    assert "style" not in drawn[-1]


def test_the_axis_is_logarithmic_and_holds_every_lift() -> None:
    axis = forest_axis([row(estimate(0.2, 0.1, 0.4)), row(estimate(8.0, 5.0, 11.0))])
    assert axis.low < 0.2 < 8.0 < axis.high
    assert axis.percent(2.0) - axis.percent(1.0) == pytest.approx(axis.percent(4.0) - axis.percent(2.0), abs=0.02)
    assert (axis.percent(0.0001), axis.percent(math.inf)) == (0.0, 100.0)


@pytest.mark.parametrize("lift", [None, 0.0])
def test_an_axis_of_nothing_still_has_room_round_no_difference(lift: float | None) -> None:
    axis = forest_axis([row(estimate(lift, 0.0, None, 0, 4, 0, 4))])
    assert 0 < axis.low < 1 < axis.high
    assert 1 in axis.ticks


def test_one_wide_month_does_not_squeeze_the_axis() -> None:
    alone = forest_axis([row(TRAIN, "period")])
    beside = forest_axis([row(TRAIN, "period"), row(estimate(3.0, 0.01, 500.0), "month")])
    assert beside == alone


def test_segments_of_different_traits_have_headings_of_their_own() -> None:
    rows = [row(TRAIN, by="plan"), row(TRAIN, by="company_size"), row(HELD_OUT, by="plan")]
    assert [(heading, len(each)) for heading, each in grouped(rows)] == [("By plan", 2), ("By company size", 1)]


def test_the_curves_hold_shares_and_limits_as_steps() -> None:
    with_signal, without = curve(0.2, 614), curve(0.05, 10_420)
    figure = curves_figure(with_signal, without)
    json.dumps(figure, allow_nan=False)
    low, high, share = figure["data"][3:]

    assert (low["y"], high["y"], share["y"]) == tuple(
        list(each) for each in (with_signal.lower, with_signal.upper, with_signal.share)
    )
    assert {each["line"]["shape"] for each in figure["data"]} == {"hv"}
    assert (low.get("fill"), high["fill"]) == (None, "tonexty")
    assert figure["data"][2]["y"] == list(without.share)
    assert (share["name"], figure["data"][2]["name"]) == ("With signal, n = 614", "Without signal, n = 10,420")
    assert share["customdata"][1] == "10.0% (8.0% – 12.0%)"


@pytest.mark.parametrize(("with_end", "color"), [(0.2, GOOD), (0.01, BAD)])
def test_the_curve_with_the_signal_is_green_above_and_red_below(with_end: float, color: str) -> None:
    figure = curves_figure(curve(with_end, 100), curve(0.05, 1_000))
    assert figure["data"][-1]["line"]["color"] == color


def test_a_band_that_ends_at_everybody_does_not_flatten_the_curves() -> None:
    late = curve(0.2, 614)
    open_ended = type(late)(late.days, late.share, late.lower, (*late.upper[:-1], 1.0), late.units, late.converted)
    assert curves_figure(open_ended, curve(0.05, 100))["layout"]["yaxis"]["range"][1] == pytest.approx(0.264)


def test_curves_on_which_nobody_converted_have_an_axis() -> None:
    assert curves_figure(curve(0.0, 9), curve(0.0, 9))["layout"]["yaxis"]["range"] == [0, 1.0]


def test_the_table_of_the_curves_reads_the_steps() -> None:
    rows = curve_rows(curve(0.2, 614), curve(0.05, 10_420))
    days = [int(day.removeprefix("Day ")) for day, _, _ in rows]

    assert (days, days[-1]) == (sorted(set(days)), 65)
    assert {day: shown for day, shown, _ in rows}["Day 40"] == "10.0% (8.0% – 12.0%)"
    assert rows[-1][1:] == ["20.0% (16.0% – 24.0%)", "5.0% (4.0% – 6.0%)"]


def cells(found: HeatMap) -> list[Component]:
    return [each for each in inside(heat_map(found)) if type(each).__name__ == "Td"]


def test_the_heat_map_shows_each_lift_with_its_n_and_outlines_the_signal() -> None:
    heat = examination().heat_map
    assert heat is not None
    drawn = cells(heat)

    assert [words(each) for each in drawn] == ["4.0x n 115", "0.25x n 115", f"– {TOO_FEW}", "This signal: 1.1x n 115"]
    assert [props(each)["data-side"] for each in drawn] == ["up", "down", "none", "up"]
    assert [props(each).get("data-chosen") for each in drawn] == [None, None, None, "true"]
    assert [props(each).get("data-clear") for each in drawn] == ["true", "true", None, "false"]
    assert "once or more in 3 days: held-out lift 4.0x, 95% 2.0x – 8.0x. 12 of 115 with" in props(drawn[0])["title"]
    assert props(drawn[0])["style"] == props(drawn[1])["style"] == {"--heat": "1.00"}


def test_a_cell_without_a_lift_says_why() -> None:
    nobody = estimate(None, 0.0, None, 0, 40, 0, 900)
    only_with = estimate(None, 2.0, None, 4, 40, 0, 900)
    drawn = cells(HeatMap("seen", (1,), (3, 7), ((nobody, only_with),), None))
    assert [words(each) for each in drawn] == ["– nobody converted", "∞ n 40"]


@pytest.mark.parametrize(
    ("lift", "depth"), [(1.0, 0.0), (2.0, 0.5), (0.5, 0.5), (4.0, 1.0), (9.0, 1.0), (0.0, 1.0), (math.inf, 1.0)]
)
def test_colours_are_as_deep_for_half_as_for_double(lift: float, depth: float) -> None:
    assert tint(lift) == pytest.approx(depth)


def test_the_strip_of_an_overlap_is_divided_by_its_counts() -> None:
    (drawn,) = overlap_rows([Overlap("sig_002", "Other", both=25, only_this=50, only_other=25)])
    (strip,) = [props(each) for each in inside(drawn) if getattr(each, "className", "") == "overlap-strip"]
    assert strip["style"] == {"--this": "50.0%", "--both": "75.0%"}
    assert words(drawn) == "Other 25 50 25 25%"


def test_an_overlap_of_nobody_is_no_division_by_zero() -> None:
    (drawn,) = overlap_rows([Overlap("sig_002", "Other", 0, 0, 0)])
    assert words(drawn) == "Other 0 0 0 0%"
