"""Two simulated companies whose truth is known; ``python -m benchmarks.worlds`` does the same with a hundred."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.judging import CAUSES, CONFOUNDED, World, association, subject_of
from benchmarks.worlds import Verdict, build, summary, verdict
from beton.demo.signals import PLANTED, SIGNALS
from beton.demo.sizes import CompanySize
from beton.model.signal import from_dict

SEEDS = (1, 2)
SHARE = 0.5


@pytest.fixture(scope="module")
def worlds(tmp_path_factory: pytest.TempPathFactory) -> list[World]:
    root: Path = tmp_path_factory.mktemp("worlds")
    return [build(root, seed, CompanySize().scaled(SHARE)) for seed in SEEDS]


@pytest.fixture(scope="module")
def verdicts(worlds: list[World]) -> list[Verdict]:
    return [verdict(world) for world in worlds]


def test_the_strongest_cause_survives_adjustment_and_harm_is_shown_as_harm(verdicts: list[Verdict]) -> None:
    for each in verdicts:
        by_name = {one.name: one for one in each.planted}
        assert by_name["Onboarding completed within 3 days"].level == 3
        assert all(one.right_way for one in each.planted)
        assert all(one.level >= 1 for one in each.planted if one.power > 0.95)


def test_what_activity_or_size_confounds_stays_below_level_three(verdicts: list[Verdict]) -> None:
    for each in verdicts:
        assert len(each.confounded) == len(CONFOUNDED) == 4
        assert max(each.confounded.values()) <= 2
        assert [one.name for one in each.found if one.level >= 3 and not one.causes] == []
        assert any(one.level >= 3 for one in each.found)


def test_the_event_that_comes_with_the_outcome_is_flagged(verdicts: list[Verdict]) -> None:
    assert [each.near_outcome for each in verdicts] == [("contract_viewed",)] * len(SEEDS)


def test_nothing_is_found_where_there_is_nothing(verdicts: list[Verdict]) -> None:
    assert [each.found_in_null for each in verdicts] == [0] * len(SEEDS)


def test_the_summary_counts_what_was_judged(worlds: list[World], verdicts: list[Verdict]) -> None:
    figures = summary(worlds, verdicts)

    assert figures["companies"] == len(SEEDS)
    assert figures["confounded share of level 3"]["listed"] == sum(one.level >= 3 for v in verdicts for one in v.found)
    assert figures["overstatement of lifts"]["shrunk"]["mean"] < figures["overstatement of lifts"]["raw"]["mean"]


def test_the_model_expects_what_the_truth_file_says(worlds: list[World]) -> None:
    """The judge's own arithmetic against the demo's, which has the whole year for its cohort."""
    for signal in (*SIGNALS, *PLANTED):
        expected = worlds[0].expected(from_dict(signal.document()))
        if signal.name == "Onboarding completed within 3 days":
            assert expected is not None
            assert expected.lift == pytest.approx(4.1, rel=0.15)
        if signal.kind == "null":
            assert expected is not None
            assert expected.lift == pytest.approx(1.0, abs=0.25)


def test_causes_are_those_that_the_demo_names(worlds: list[World]) -> None:
    assert set(CAUSES) == {
        "onboarding_completed",
        "teammate_invited",
        "pageview /pricing",
        "api_key_created",
        "company_size",
        "support_ticket_opened",
    }
    assert subject_of({"event": "dashboard_created", "op": "completed", "within_days": 14}) not in CAUSES
    assert association(worlds, from_dict(SIGNALS[0].document())) == (0.0, float("inf"))
