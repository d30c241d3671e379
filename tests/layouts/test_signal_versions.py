"""The versions of a signal: what changed, and whose the evidence is."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from dash import html
from dash.development.base_component import Component
from test_result_view import HOSTILE, REFUSED, RUN_ID, UNBOUNDED, evidence, explained, inside, report, texts
from test_signals_page import definition

from beton.model.evidence import Evidence
from beton.model.signal import SignalDefinition, from_dict
from beton.services.signals import SavedSignal, SignalReport, Version, VersionEvidence
from layouts.signal_detail import signal_detail
from layouts.signal_versions import changed_notice, changes, only_version, versions_card

NOON = datetime(2025, 3, 5, 12, tzinfo=UTC)
HERE = evidence().passport.snapshot_version


def proof(found: Evidence, snapshot: str = HERE) -> VersionEvidence:
    moved = replace(found, passport=replace(found.passport, snapshot_version=snapshot))
    return VersionEvidence(report(moved), NOON)


def version(number: int, says: SignalDefinition, new: bool = True, known: VersionEvidence | None = None) -> Version:
    return Version(number, says, NOON + timedelta(days=number), new and number > 1, known)


ONE = version(1, definition("One"))
TWO = version(2, definition("Two", landmark_days=9))
THREE = version(3, definition("Two", landmark_days=9, description="Why."), new=False)


def said(parts: Any) -> str:
    return " ".join(texts(html.Div(parts)))


def notice(*versions: Version) -> str:
    return said(changed_notice(versions, HERE))


def test_a_single_version_is_a_quiet_line_and_several_are_a_card() -> None:
    assert said(only_version([ONE])) == "Version 1, 6 Mar 2025"
    assert versions_card([ONE]) == []
    assert only_version([ONE, TWO]) == []
    assert only_version([]) == versions_card([]) == []

    [card] = versions_card([ONE, TWO, THREE])
    titles = [each.children for each in inside(card) if isinstance(each, html.H3)]
    assert titles == [
        "Version 3, 8 Mar 2025, 12:00 UTC", "Version 2, 7 Mar 2025, 12:00 UTC", "Version 1, 6 Mar 2025, 12:00 UTC",
    ]  # fmt: skip


def test_each_version_says_what_changed_and_shows_its_lines() -> None:
    [card] = versions_card([ONE, TWO, THREE])
    lines = [each.children for each in inside(card) if isinstance(each, html.Code)]
    points = [each.children for each in inside(card) if isinstance(each, html.Li)]

    assert points == ["Another description.", "Name: Two, was One.", "Landmark: 9 days, was 3 days."]
    assert len(lines) == 2
    assert lines[0].splitlines()[:2] == ["--- version 2", "+++ version 3"]
    assert {"-name: One", "+name: Two", "+landmark_days: 9"} <= set(lines[1].splitlines())


@pytest.mark.parametrize(
    ("known", "sentence"),
    [
        (None, "Not measured."),
        (proof(evidence(), "another"), "Lift 4.2x (95% 3.5x – 5.0x), measured on snapshot another, 5 Mar 2025."),
        (proof(UNBOUNDED), f"– ∞), measured on snapshot {HERE}, 5 Mar 2025."),
        (proof(REFUSED), f"No eligible users carry this signal. Measured on snapshot {HERE}, 5 Mar 2025."),
    ],
)
def test_the_evidence_of_a_version_is_its_own(known: VersionEvidence | None, sentence: str) -> None:
    [card] = versions_card([replace(ONE, evidence=known), TWO])
    links = [each.href for each in inside(card) if isinstance(each, html.A)]

    assert sentence in said(card)
    assert links == ([] if known is None else [f"/backtest?run={RUN_ID}"])
    if known is not None:
        assert known.report.reading.verdict.label in texts(card)


def test_a_changed_definition_says_whose_the_numbers_before_are() -> None:
    old, new = replace(ONE, evidence=proof(evidence())), replace(TWO, evidence=proof(evidence()))

    assert notice(old, new) == (
        "The definition changed on 7 Mar 2025 (version 2): numbers measured before belong to version 1."
    )
    assert notice(old, new, THREE) == notice(old, new), "words alone change no numbers"
    assert "(version 4): numbers measured before belong to version 2." in notice(
        old, new, replace(THREE, evidence=None), version(4, definition(landmark_days=20))
    )


@pytest.mark.parametrize(
    "versions",
    [
        (),
        (ONE,),
        (ONE, TWO),
        (replace(ONE, evidence=proof(evidence(), "other data")), TWO),
        (replace(ONE, evidence=proof(evidence())), replace(TWO, has_new_meaning=False)),
        (ONE, replace(TWO, evidence=proof(evidence()))),
    ],
)
def test_without_other_numbers_on_this_data_there_is_nothing_to_warn_of(versions: tuple[Version, ...]) -> None:
    assert changed_notice(versions, HERE) == []


X, Y = {"event": "x", "within_days": 3}, {"property": "plan", "value": "pro"}


@pytest.mark.parametrize(
    ("before", "after", "sentences"),
    [
        (
            {"when": {"all": [X]}},
            {"when": {"all": [{"event": "y"}, Y]}},
            [
                "Added: who did y within 14 days of signup.",
                "Added: whose plan is pro.",
                "Removed: who did x within 3 days of signup.",
                "Landmark: 14 days, was 3 days.",
            ],
        ),
        (
            {"when": {"all": [{"event": "y"}]}},
            {"when": {"all": [{"event": "y"}, Y]}, "landmark_days": 20},
            ["Added: whose plan is pro.", "Landmark: 20 days, was 14 days."],
        ),
        ({"when": {"all": [X, Y]}}, {"when": {"any": [X, Y]}}, ["The same conditions, combined in another way."]),
        ({"sql": "SELECT 1"}, {"sql": "SELECT 2"}, ["Another query."]),
        (
            {"when": X},
            {"sql": "SELECT 1", "landmark_days": 3},
            ["Written in SQL.", "Removed: who did x within 3 days of signup."],
        ),
        (
            {"unit": "account", "rollup": {"kind": "count", "value": 2}, "when": X},
            {"unit": "account", "rollup": {"kind": "share", "value": 0.5}, "when": X},
            ["Users of an account: at least 50.0%, was at least 2."],
        ),
        (
            {"when": X},
            {"when": X, "outcome": {"source": "deal created", "horizon_days": 30}, "source": "PostHog"},
            [
                "Outcome: a new deal of the user or of the user's account within 30 days, was the workspace's.",
                "Source: PostHog, was none.",
            ],
        ),
        ({"when": {"event": "y"}}, {"when": {"event": "y"}, "landmark_days": 14}, ["Written in another way."]),
    ],
)
def test_changes_are_said_in_words(before: dict[str, Any], after: dict[str, Any], sentences: list[str]) -> None:
    assert changes(from_dict({"name": "S"} | before), from_dict({"name": "S"} | after)) == sentences


def test_hostile_names_and_queries_stay_text() -> None:
    hostile = from_dict({"name": HOSTILE[:60], "sql": f"SELECT '{HOSTILE}'"})
    page = html.Div(versions_card([ONE, version(2, hostile)]))

    assert any(HOSTILE in text for text in texts(page))
    assert {type(each).__name__ for each in inside(page) if isinstance(each, Component)} <= {
        "Div", "Section", "H2", "H3", "P", "Ul", "Li", "Details", "Summary", "Pre", "Code",
    }  # fmt: skip


def page_of(signal: SavedSignal, *versions: Version) -> html.Div:
    shown = report(evidence())
    return signal_detail(SignalReport(signal, shown, None), 1.5, explained(shown), versions=versions)


def test_the_page_of_a_signal_carries_the_notice_first_and_the_card_last() -> None:
    old = replace(ONE, evidence=proof(evidence()))
    found = texts(page_of(SavedSignal("sig_001", True, False, 2, TWO.definition), old, TWO))

    assert found.index(notice(old, TWO)) < found.index("Definition") < found.index("Backtest results")
    assert found.index("Statistics and small print") < found.index("Versions") < found.index("Add to Rule")
    assert "Version 1, 6 Mar 2025" in texts(page_of(SavedSignal("sig_001", True, False, 1, ONE.definition), ONE))


def test_a_signal_in_sql_shows_its_query_as_code_and_can_be_edited() -> None:
    asked = from_dict({"name": "Asked", "sql": "SELECT user_id\nFROM events -- <b>"})
    page = page_of(SavedSignal("sig_007", True, False, 1, asked))
    codes = [each.children for each in inside(page) if isinstance(each, html.Code)]
    links = {texts(each)[0]: each.href for each in inside(page) if isinstance(each, html.A)}

    assert codes[0] == asked.sql
    assert "Condition" not in texts(page), "the sentence stands above the query already"
    described = page_of(SavedSignal("sig_007", True, False, 1, replace(asked, description="Why.")))
    assert {"Why.", "Condition", asked.sql} <= set(texts(described))
    assert links["Edit"] == "/backtest?signal=sig_007"
