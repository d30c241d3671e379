from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from made_runs import estimate, finding, result

from beton.discovery.compare import Comparison, Pair, compare
from beton.errors import InputError
from beton.model.discovery import DiscoverySettings, Finding, NearOutcome
from beton.model.evidence import Table
from beton.model.outcome import Outcome

WINDOWS = "Windows of the counts, in days: 1, 3, 7, 14 before, 3, 7 now"


def one(was: Finding, now: Finding) -> Pair:
    """Compare two runs that found one signal each and return what became of it."""
    return compare(result(was), result(now)).pairs[0]


def fates(comparison: Comparison) -> dict[str, list[str]]:
    return {
        fate: [pair.newest.name.split()[0] for pair in comparison.of(fate)]  # type: ignore[arg-type]
        for fate in ("new", "gone", "changed", "same")
    }


def test_each_signal_is_new_gone_changed_or_same() -> None:
    before = result(finding("invited"), finding("exported"), finding("opened"))
    after = result(finding("opened", level=1), finding("shared"), finding("invited"))

    assert fates(compare(before, after)) == {
        "new": ["shared"],
        "gone": ["exported"],
        "changed": ["opened"],
        "same": ["invited"],
    }
    assert fates(compare(after, before))["new"] == ["exported"]


def test_a_run_compared_with_itself_is_identical_whatever_it_took() -> None:
    run = result(finding("invited"))
    again = compare(run, replace(run, timings_s={"Building cohorts": 9.0}))

    assert again.identical
    assert (again.causes, fates(again)["same"]) == ((), ["invited"])
    assert not compare(run, result(finding("invited", q_value=0.04))).identical


def test_signals_are_matched_by_meaning_and_not_by_name() -> None:
    renamed = finding("invited", name="Teammate invited")
    assert one(finding("invited"), renamed).fate == "same"


def test_a_rung_that_moved_says_from_where_to_where_and_why() -> None:
    down = one(finding("invited", level=3), finding("invited", level=1))
    assert down.reasons == ("Down from “Survives adjustment” to “Correlates”: Reason of level 1",)
    assert one(finding("invited", level=1), finding("invited", level=2)).reasons == (
        "Up from “Correlates” to “Predicts”",
    )


@pytest.mark.parametrize(("lift", "is_changed"), [(2.01, False), (4.49, False), (1.99, True), (4.51, True)])
def test_a_lift_changed_when_it_left_the_earlier_interval(lift: float, is_changed: bool) -> None:
    pair = one(finding("invited", lift=3.0), finding("invited", lift=lift))

    assert (pair.fate == "changed") is is_changed
    if is_changed:
        assert "outside the earlier 2.0x – 4.5x" in pair.reasons[0]


def test_a_turned_direction_is_said_even_within_the_interval() -> None:
    was, now = finding("invited", lift=1.2), finding("invited", lift=0.9)
    assert was.train.interval.lower < 0.9
    assert one(was, now).reasons == ("The direction turned",)


def test_an_unbounded_lift_is_inside_an_unbounded_interval_only() -> None:
    endless = finding("invited", train=estimate(None, Table(40, 400, 0, 4_000)))
    assert one(endless, endless).fate == "same"
    assert one(finding("invited"), endless).reasons == ("Lift 3.0x to ∞, outside the earlier 2.0x – 4.5x",)


def test_near_copies_say_where_a_signal_came_from_or_went() -> None:
    twice, once = finding("invited"), finding("shared", stands_for=("invited once in 3 days",))

    swapped = compare(result(twice), result(once))
    assert [pair.reasons for pair in swapped.of("gone")] == [("Now a near-copy of shared once in 3 days",)]
    back = compare(result(once), result(twice))
    assert [pair.reasons for pair in back.of("new")] == [("Was a near-copy of shared once in 3 days",)]


def test_a_signal_whose_event_now_comes_with_the_outcome_says_so() -> None:
    near = (NearOutcome("invited", 10, 9, "9 of 10"),)
    gone = compare(result(finding("invited"), finding("shared")), result(near_outcome=near)).of("gone")
    assert [pair.reasons for pair in gone] == [("invited now comes with the outcome",), ()]


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        ({"snapshot_version": "b"}, "Other data: snapshot a3f09c21be77 before, b now"),
        ({"horizon_days": 60.0}, "Outcome window: 50 days before, 60 days now"),
        ({"gap_days": 2.0}, "Gap: 1 day before, 2 days now"),
        ({"unit": "account"}, "Other unit: user before, account now"),
        (
            {"settings": DiscoverySettings(holdout_from="2024-07-01")},
            "First day of the later cohorts: – before, 2024-07-01 now",
        ),
        ({"settings": DiscoverySettings(min_units=50)}, "Units needed with and without a condition: 30 before, 50 now"),
        ({"settings": DiscoverySettings(windows_days=(3, 7))}, WINDOWS),
    ],
)
def test_what_differs_between_the_runs_is_named(change: dict[str, Any], cause: str) -> None:
    assert compare(result(), result(**change)).causes == (cause,)


def test_runs_of_different_outcomes_are_not_compared() -> None:
    with pytest.raises(InputError, match="different outcomes"):
        compare(result(), result(outcome=Outcome("deal created")))
