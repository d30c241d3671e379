"""The paragraph and its working on a page."""

from __future__ import annotations

from typing import Any

from dash import html
from test_result_view import CASES, HOSTILE, evidence, inside, report, texts

from beton.model.settings import CompanySettings
from beton.services.explaining import Explanation, explain
from beton.services.working import WorkingStep
from layouts import ids
from layouts.parts.still import Still
from layouts.result_view import Placed, leaves, result_view
from layouts.working import numbered, show_working

STEP = WorkingStep("Lift", "(1 / 2) / (1 / 4)", "2.0x", "risk ratio")


def explained(case: str) -> Explanation:
    shown = report(CASES[case])
    return explain(shown.evidence, shown.reading, CompanySettings())


def drawn(tree: Any) -> list[str]:
    """Return the texts of a packed tree in their order."""
    return [tree] if isinstance(tree, str) else [text for each in tree[2] for text in drawn(each)]


def test_steps_are_one_component_with_title_result_formula_and_source_in_this_order() -> None:
    packed = numbered([STEP, WorkingStep("Clock", "T0 = signup\ngap: 1 day", "H 45 days")])

    assert isinstance(packed, Still)
    tag, attributes, items = packed.tree
    assert (tag, attributes, [item[0] for item in items]) == ("ol", {"className": "working-steps"}, ["li", "li"])
    assert drawn(items[0]) == ["Lift", "2.0x", "(1 / 2) / (1 / 4)", "risk ratio"]
    assert drawn(items[1]) == ["Clock", "H 45 days", "T0 = signup\ngap: 1 day"]


def test_names_from_the_data_stay_text() -> None:
    packed = numbered([WorkingStep(HOSTILE, HOSTILE, HOSTILE, HOSTILE)])
    assert drawn(packed.tree) == [HOSTILE] * 4


def test_every_result_has_its_paragraph_and_its_steps_as_leaves() -> None:
    for case in CASES:
        found = explained(case)
        values = leaves(report(CASES[case]), 1.5, found)
        page = result_view(values)

        assert texts(page).count(found.paragraph) == 1, case
        by_id = {str(each.id): each for each in inside(page) if hasattr(each, "id")}
        assert by_id[ids.result("explanation")].children == found.paragraph
        titles = [item[2][0][2][0][2][0] for item in by_id[ids.result("working")].children.tree[2]]
        assert titles == [step.title for step in found.working], case


def test_the_working_is_folded_away_and_opens_without_a_script() -> None:
    details = show_working(Placed(leaves(report(evidence()), 1.5, explained("measured"))))

    assert isinstance(details, html.Details)
    assert not getattr(details, "open", False)
    assert details.children[0].children == "Show the working"
    assert "Lift 4.2x with 95% interval 3.50x to 4.97x, p < 0.001" in texts(details)
