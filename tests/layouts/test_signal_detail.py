from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from dash import html
from test_result_view import CASES, HOSTILE, REFUSED, evidence, explained, inside, report, texts
from test_signals_page import saved

from beton.services.backtests import Report
from beton.services.signals import SavedSignal, SignalReport
from layouts import format, ids
from layouts.proof import SLOTS
from layouts.signal_detail import signal_detail


def detail(signal: SavedSignal, shown: Report) -> html.Div:
    return signal_detail(SignalReport(signal, shown, None), 1.5, explained(shown))


def ids_of(page: Any) -> Counter[str]:
    return Counter(str(each.id) for each in inside(page) if hasattr(each, "id"))


@pytest.mark.parametrize("case", CASES)
def test_every_kind_of_result_is_drawn_with_ids_used_once(case: str) -> None:
    found = ids_of(detail(saved(), report(CASES[case])))

    assert [owner for owner, number in found.items() if number > 1] == []
    assert {ids.DETAIL_STATUS, ids.DETAIL_TOGGLE_TEXT, ids.DETAIL_DOWNLOAD} <= set(found)
    assert {str(ids.event("signal", intent, "sig_001")) for intent in ("toggle", "export", "yaml")} <= set(found)


def test_a_signal_the_data_cannot_answer_says_why_and_can_still_be_switched() -> None:
    page = signal_detail(SignalReport(saved(), None, f"'{HOSTILE}' is not in the data"), 1.5, None)

    assert f"'{HOSTILE}' is not in the data" in texts(page)
    assert str(ids.event("signal", "toggle", "sig_001")) in ids_of(page)
    assert ids.result("lift") not in ids_of(page)
    assert ids.PROOF_OF not in ids_of(page)


def test_the_proof_has_its_places_in_the_order_of_the_story_and_waits_in_them() -> None:
    page = detail(saved(), report(evidence()))
    order = [str(each.id) for each in inside(page) if hasattr(each, "id")]
    story = [
        ids.PROOF_BADGE, ids.DETAIL_YAML, ids.PROOF_LADDER, ids.result("users-with"), ids.result("lift"),
        ids.PROOF_FIGURES, ids.CARRIERS_GRID, ids.PROOF_DOUBTS, ids.result("arr"), ids.result("accuracy-figure"),
        ids.PROOF_STATISTICS,
    ]  # fmt: skip

    assert [order.index(each) for each in story] == sorted(order.index(each) for each in story)
    assert set(SLOTS) <= set(order)
    by_id = {str(each.id): each for each in inside(page) if hasattr(each, "id")}
    assert by_id[ids.PROOF_OF].data == "sig_001"
    assert by_id[ids.part(ids.PROOF_AGAIN, "box")].hidden
    assert [each.to_plotly_json()["props"].get("aria-label") for each in inside(by_id[ids.PROOF_FIGURES])].count(
        "Working out the proof"
    ) == 1


def test_the_projection_names_every_factor_and_its_product() -> None:
    shown = report(evidence())
    said = texts(detail(saved(), shown))
    assert explained(shown).paragraph in said
    projection = report(evidence()).reading.projection
    assert projection is not None

    for name in ("Users matching this signal", "Expected additional conversions", "Projected annual impact"):
        assert name in said, name
    assert said[said.index("Expected additional conversions") + 1] == (
        f"{format.decimal(projection.extra_conversions_per_month)} / month"
    )


def test_confidence_is_said_by_the_proof_alone() -> None:
    page = detail(saved(), report(evidence()))
    assert "Confidence" not in texts(page)


def test_the_actions_lead_where_they_say() -> None:
    page = detail(saved(), report(evidence()))
    links = {texts(each)[0]: each.href for each in inside(page) if type(each).__name__ == "A" and texts(each)}
    copies = [
        each.to_plotly_json()["props"].get("data-copy") for each in inside(page) if type(each).__name__ == "Button"
    ]

    assert links["Add to Rule"] == "/playbooks/new?signal=sig_001"
    assert [each for each in copies if each] == [ids.DETAIL_YAML, "link"]
    (code,) = [each for each in inside(page) if getattr(each, "id", None) == ids.DETAIL_YAML]
    assert code.children == saved().definition.to_yaml()


def test_a_refusal_shows_its_sentence_and_no_figures() -> None:
    page = detail(saved(), report(REFUSED))

    assert "No eligible users carry this signal." in texts(page)
    assert ids.result("arr") not in ids_of(page)
    assert ids.result("funnel-figure") in ids_of(page)
    assert not {ids.PROOF_OF, ids.PROOF_FIGURES} & set(ids_of(page))


def test_demo_signals_say_so_and_others_do_not() -> None:
    for demo in (True, False):
        page = detail(saved(demo=demo), report(evidence()))
        assert ("DEMO" in texts(page)) is demo


def test_a_stale_result_carries_a_warning() -> None:
    why = "measured on snapshot a; the data is now b"
    stale = replace(report(evidence()), stale_because=why)
    assert why in texts(detail(saved(), stale))


def test_hostile_definitions_are_text() -> None:
    about = saved(HOSTILE[:60], description=HOSTILE, source=HOSTILE[:60])
    page = detail(about, report(evidence()))

    assert {HOSTILE[:60], HOSTILE} <= set(texts(page))
    assert [type(each).__name__ for each in inside(page) if type(each).__name__ in ("Markdown", "Iframe")] == []


@pytest.mark.parametrize(("enabled", "status", "action"), [(True, "Enabled", "Disable"), (False, "Disabled", "Enable")])
def test_the_switch_names_what_it_would_do(enabled: bool, status: str, action: str) -> None:
    page = detail(saved(enabled=enabled), report(evidence()))
    by_id = {str(each.id): each for each in inside(page) if hasattr(each, "id")}
    assert by_id[ids.DETAIL_STATUS].children == status
    assert by_id[ids.DETAIL_TOGGLE_TEXT].children == action
