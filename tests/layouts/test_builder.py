from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from dash.development.base_component import Component
from shell_fakes import DEMO

from beton.model.conditions import EVENT_OPS, PROPERTY_OPS
from beton.model.manifest import EventFacts, PropertyFacts
from layouts import ids
from layouts.backtest import backtest
from layouts.builder import builder
from store.draft import FIELDS, WITHIN, Box, Draft, Row, reduce

HOSTILE = "<img src=x onerror=alert(1)>\"'`=cmd|' /C calc'!A0"
MANIFEST = replace(
    DEMO,
    events=(EventFacts(HOSTILE, 5, 5), EventFacts("pageview", 900, 10), EventFacts("x" * 500, 1, 1)),
    properties=(
        PropertyFacts("plan", "user", "text", False, (HOSTILE, "pro"), 2),
        PropertyFacts("seats", "company", "number", False, (), 9),
        PropertyFacts("born", "user", "time", False, (), 9),
        PropertyFacts(HOSTILE, "event", "text", False, (True, 1.5), 2),
    ),
)


def inside(component: Any) -> list[Component]:
    return [component, *component._traverse()]


def drawn(*items: Row | Box, match: Any = "all") -> dict[str, Any]:
    """Draw a draft and return its components by their id as text."""
    draft = Draft(root=Box("root", match, items), next_key=100)
    return {str(each.id): each for each in inside(builder(draft, MANIFEST)) if hasattr(each, "id")}


def field(page: dict[str, Any], name: str, key: str) -> Any:
    return page[str(ids.field(name, key))]


@pytest.mark.parametrize("op", [*EVENT_OPS, WITHIN])
def test_every_event_operator_is_offered_and_kept(op: str) -> None:
    page = drawn(Row("r1", "event", "pageview", op, "3", "", "7"))

    chosen = field(page, "op", "r1")
    assert chosen.value == op
    assert [each["value"] for each in chosen.options].count(op) == 1
    assert (field(page, "value", "r1").value, field(page, "within", "r1").value) == ("3", "7")


@pytest.mark.parametrize("op", PROPERTY_OPS)
def test_every_property_operator_is_offered_and_kept(op: str) -> None:
    page = drawn(Row("r1", "property", "plan", op, "a", "b"))

    chosen = field(page, "op", "r1")
    assert chosen.value == op
    assert [each["value"] for each in chosen.options] == list(PROPERTY_OPS)
    assert (field(page, "value", "r1").value, field(page, "value2", "r1").value) == ("a", "b")


def test_groups_nest_and_every_id_is_used_once() -> None:
    draft = Draft()
    for intent, key in (
        ("add-group", "root"),
        ("add-property", "g2"),
        ("add-group", "g2"),
        ("wrap", "r1"),
        ("add-filter", "r1"),
        ("add-filter", "r1"),
    ):
        draft = reduce(draft, intent, key)
    found = Counter(str(each.id) for each in inside(builder(draft, MANIFEST)) if hasattr(each, "id"))
    assert [owner for owner, number in found.items() if number > 1] == []
    removable = {f"{ids.event('draft', 'remove', key)}" for key in ("g2", "r1")}
    assert removable <= set(found)
    assert str(ids.event("draft", "remove", "root")) not in found


def test_the_fields_of_a_row_are_those_the_draft_reads_back() -> None:
    page = drawn(
        Row("r1", "event", op="completed"), Row("r2", "property", op="="), Box("g3", "none", (Row("r4", "event"),))
    )
    for owner in (each for each in page if "'slice': 'field'," in each):
        assert any(f"'intent': '{name}'" in owner for name in (*FIELDS, "match")), owner


def test_an_unfinished_row_has_a_placeholder_and_no_value() -> None:
    page = drawn(Row("r1", "event"))
    assert field(page, "subject", "r1").value is None
    assert field(page, "subject", "r1").placeholder == "Event"


def test_filters_offer_event_properties_and_rows_offer_the_others() -> None:
    page = drawn(
        Row("r1", "event", "pageview", filters=(Row("r2", "property", HOSTILE),)), Row("r3", "property", "plan")
    )

    of_events, of_units = ([o["value"] for o in field(page, "subject", key).options] for key in ("r2", "r3"))
    assert of_events == [HOSTILE]
    assert of_units == ["plan", "seats"]  # times have no operator that reads them


def test_events_are_offered_by_size_with_hostile_names_as_text() -> None:
    options = field(drawn(Row("r1", "event", HOSTILE)), "subject", "r1").options

    assert [each["value"] for each in options] == ["pageview", HOSTILE, "x" * 500, "*"]
    assert options[1]["label"] == f"{HOSTILE} · 5"


def test_values_are_suggested_as_text_only() -> None:
    page = drawn(Row("r1", "property", "plan", "=", HOSTILE))

    listed = page[str(ids.part(ids.field("value", "r1"), "list"))]
    assert [each.value for each in listed.children] == [HOSTILE, "pro"]
    assert field(page, "value", "r1").value == HOSTILE


def test_a_draft_of_another_data_set_keeps_its_names() -> None:
    page = drawn(Row("r1", "event", "gone"), Row("r2", "property", "gone_too"))
    assert field(page, "subject", "r1").value == "gone"
    assert field(page, "subject", "r2").value == "gone_too"


def test_without_data_the_page_says_how_to_get_some() -> None:
    page = backtest(None, Draft(), "", None, None)
    assert "beton demo" in str(page)
    assert ids.BACKTEST_RUN not in [getattr(each, "id", None) for each in inside(page)]


def test_a_problem_is_shown_as_text_and_the_results_stay_away() -> None:
    page = backtest(MANIFEST, Draft(name=HOSTILE), "", None, ("Not shown", HOSTILE))
    by_id = {str(each.id): each for each in inside(page) if hasattr(each, "id")}
    assert by_id[ids.BACKTEST_NAME].value == HOSTILE
    assert by_id[ids.BACKTEST_RESULTS].hidden is True
    assert any(getattr(each, "children", None) == HOSTILE for each in inside(page))
