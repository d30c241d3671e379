from __future__ import annotations

import json
import math

import pytest
from made_runs import result

from beton.model.discovery import Mixture, VolcanoPoint
from layouts.parts.figures import GOOD
from layouts.run_figures import MOST_POINTS, beyond_edge, power_p, prior_figure, thinned, volcano_figure


def point(name: str = "A", lift: float = 2.0, log10_p: float = -4.0, fate: str = "kept") -> VolcanoPoint:
    return VolcanoPoint(name, lift, log10_p, 400, fate)


def traces(*points: VolcanoPoint, hrefs: dict[str, str] | None = None) -> dict[str, dict]:
    listed, tested, kept = volcano_figure(points, 0.01, hrefs or {})["data"]
    return {"listed": listed, "tested": tested, "kept": kept}


def test_dots_stand_by_lift_and_surprise_in_the_trace_of_their_fate() -> None:
    drawn = traces(
        point(), point("B", 0.5, -1.0, "tested"), point("C", 3.0, -5.0, "listed"), point("D", fate="another")
    )

    assert (drawn["kept"]["x"], drawn["kept"]["y"]) == ([2.0], [4.0])
    assert sorted(drawn["tested"]["x"]) == [0.5, 2.0]
    assert drawn["listed"]["y"] == [5.0]
    assert drawn["kept"]["marker"]["color"] == GOOD
    assert "n = 400" in drawn["kept"]["text"][0]
    assert "(1)" in drawn["kept"]["name"]


def test_only_a_kept_dot_opens_and_only_while_its_signal_is_saved() -> None:
    hrefs = {"A": "/signals/a", "B": "/signals/b"}
    drawn = traces(point("A"), point("C"), point("B", fate="tested"), hrefs=hrefs)

    assert drawn["kept"]["customdata"] == ["/signals/a", ""]
    assert drawn["tested"]["customdata"] == [""]


def test_what_is_beyond_the_axis_stands_at_its_edge_points_outwards_and_is_counted() -> None:
    far = [point(lift=40.0), point(lift=0.01), point(log10_p=-320.0), point()]
    figure = volcano_figure(far, 0.01, {})
    kept = figure["data"][2]
    low, high = figure["layout"]["xaxis"]["range"]

    assert kept["marker"]["symbol"] == ["triangle-right", "triangle-left", "triangle-up", "diamond"]
    assert beyond_edge(far) == 3
    assert all(low < math.log10(x) < high for x in kept["x"])
    assert all(y <= figure["layout"]["yaxis"]["range"][1] for y in kept["y"])
    json.dumps(figure, allow_nan=False)


def test_the_line_is_at_the_cutoff_and_absent_without_one() -> None:
    shapes = volcano_figure([point()], 0.001, {})["layout"]["shapes"]
    assert [shape["y0"] for shape in shapes if shape.get("xref") == "paper"] == [pytest.approx(3.0)]
    assert not [s for s in volcano_figure([point()], None, {})["layout"]["shapes"] if s.get("xref") == "paper"]


def test_a_long_run_is_thinned_evenly_and_never_loses_what_passed() -> None:
    chance = [point(f"T{i}", 1.1, -i / 5_000, "tested") for i in range(9_000)]
    passed = [point(f"K{i}") for i in range(40)]
    drawn = thinned([*chance, *passed])

    assert len(drawn) <= MOST_POINTS
    assert [each for each in drawn if each.fate == "kept"] == passed
    kept_p = [each.log10_p for each in drawn if each.fate == "tested"]
    assert max(kept_p) - min(kept_p) > 0.99 * (9_000 - 1) / 5_000
    assert thinned(chance[:50]) == sorted(chance[:50], key=lambda each: each.log10_p)


def test_nothing_to_draw_is_an_empty_figure() -> None:
    assert volcano_figure([], 0.01, {})["data"][0]["opacity"] == 0
    assert prior_figure({"1": Mixture((1.0,), (0.0,), 10)})["data"][0]["opacity"] == 0


@pytest.mark.parametrize(
    ("log10_p", "written"),
    [
        (0.0, "p = 1.00"),
        (-2.0, "p = 0.0100"),
        (-20.92226, "p = 1.2 × 10<sup>−21</sup>"),
        (-400.0, "p = 1.0 × 10<sup>−400</sup>"),
    ],
)
def test_p_values_of_any_smallness_are_written(log10_p: float, written: str) -> None:
    assert power_p(log10_p) == written


def test_the_spread_is_symmetric_and_leaves_out_depths_without_any() -> None:
    drawn = prior_figure(result().priors)["data"]
    assert [trace["name"] for trace in drawn] == ["Single conditions"]
    assert drawn[0]["y"] == drawn[0]["y"][::-1]
    assert max(drawn[0]["y"]) == drawn[0]["y"][len(drawn[0]["y"]) // 2]
