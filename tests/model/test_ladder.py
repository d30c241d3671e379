from __future__ import annotations

from dataclasses import replace

import pytest

from beton.model.ladder import Climb, hidden_share, rung

STRONG = Climb(
    measurable=True,
    obstacle="",
    q_value=0.001,
    lift=3.0,
    held_out_lift=2.5,
    held_out_q=0.01,
    held_out_limits=(1.6, 3.9),
    adjusted_lift=2.4,
    adjusted_limits=(1.8, 3.2),
    unadjusted_lift=2.6,
)


@pytest.mark.parametrize(
    ("change", "level", "words"),
    [
        ({}, 3, "Holds in later cohorts"),
        ({"measurable": False, "obstacle": "2 conversions expected"}, 0, "2 conversions expected"),
        ({"q_value": 0.05}, 0, "chance alone"),
        ({"leaks": "part of the outcome"}, 1, "part of the outcome"),
        ({"held_out_q": 0.2}, 1, "Not confirmed"),
        ({"held_out_lift": 0.8}, 1, "opposite"),
        ({"held_out_lift": None}, 1, "too few conversions"),
        ({"held_out_limits": (0.9, 4.0)}, 1, "Not confirmed"),
        ({"adjusted_limits": (0.98, 3.2)}, 2, "2.40x"),
        ({"adjusted_lift": None, "adjusted_limits": None}, 2, "Too few comparable"),
        ({"adjusted_lift": 0.7, "adjusted_limits": (0.5, 0.9)}, 2, "0.70x"),
        ({"unadjusted_lift": 4.3}, 3, "Holds in later cohorts"),
        ({"unadjusted_lift": 4.4}, 2, "down from 4.40x"),
        ({"unadjusted_lift": 2.0}, 3, "Holds in later cohorts"),
    ],
)
def test_each_rung_needs_all_below_it(change: dict[str, object], level: int, words: str) -> None:
    reached = rung(replace(STRONG, **change))  # type: ignore[arg-type]

    assert reached.level == level
    assert words in reached.reason


def test_harmful_signals_climb_the_same_ladder() -> None:
    harmful = replace(
        STRONG,
        lift=0.4,
        held_out_lift=0.5,
        held_out_limits=(0.3, 0.8),
        adjusted_lift=0.45,
        adjusted_limits=(0.3, 0.7),
        unadjusted_lift=0.4,
    )

    assert rung(harmful).level == 3
    assert rung(replace(harmful, held_out_limits=(0.3, None))).level == 1
    assert rung(replace(harmful, adjusted_limits=(0.3, 1.0))).level == 2
    assert rung(replace(harmful, unadjusted_lift=0.3)).level == 2


@pytest.mark.parametrize(
    ("lift", "adjusted", "share"), [(3.0, 2.0, 1.5), (2.0, 3.0, 1.0), (0.4, 0.5, 0.8), (0.5, 0.4, 1.0), (2.0, 2.0, 1.0)]
)
def test_what_is_hidden_counts_for_as_much_as_what_adjustment_took_away(
    lift: float, adjusted: float, share: float
) -> None:
    assert hidden_share(lift, adjusted) == pytest.approx(share)


def test_nothing_but_an_experiment_reaches_the_top() -> None:
    certain = replace(STRONG, q_value=0.0, held_out_q=0.0, held_out_limits=(9.0, 11.0), adjusted_limits=(9.0, 11.0))

    assert rung(certain).level == 3
