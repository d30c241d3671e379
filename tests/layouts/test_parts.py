from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import pytest
from dash import html
from dash.development.base_component import Component

from layouts import ids
from layouts.parts import buttons, cards, figures, forms, grids, icons, notices, tables

ASSETS = Path(__file__).parents[2] / "assets"
ROW = ids.event("draft", "event", "r1")


def inside(component: Any) -> list[Component]:
    """Return a component and everything below it."""
    return [component, *component._traverse()]


def by_id(component: Any, wanted: ids.Id) -> Any:
    return next(each for each in inside(component) if getattr(each, "id", None) == wanted)


@pytest.mark.parametrize("owner", ["settings-acv", ROW])
def test_every_input_has_a_label_a_help_and_an_error_line_found_by_its_id(owner: ids.Id) -> None:
    options = {"help": "Used for projections", "error": "Must be a number"}
    for field in (
        forms.text_input(owner, "Name", "x", **options),
        forms.text_input(owner, "Value", "1", units=("$", "a year"), **options),
        forms.select(owner, "Event", ["a", ("b", "words")], "a", **options),
    ):
        control = by_id(field, owner)
        label = next(each for each in inside(field) if isinstance(each, html.Label))
        assert label.htmlFor == ids.dom(owner)
        assert control.value in ("x", "1", "a")
        assert by_id(field, ids.part(owner, "help")).children == "Used for projections"
        assert by_id(field, ids.error(owner)).children == "Must be a number"


def test_the_dom_id_of_a_pattern_is_what_dash_writes_into_the_page() -> None:
    assert ids.dom(ROW) == '{"at":"","intent":"event","key":"r1","slice":"draft"}'


def test_parts_of_a_pattern_keep_its_keys_and_leave_its_slice() -> None:
    line = ids.error(ROW)
    assert isinstance(line, dict)
    assert set(line) == set(ROW)
    assert line["slice"] != ROW["slice"]


def test_select_takes_three_kinds_of_options() -> None:
    given: list[Any] = ["a", ("b", "Words"), {"value": "c", "label": "C", "disabled": True}]
    assert forms.as_options(given) == [
        {"value": "a", "label": "a"},
        {"value": "b", "label": "Words"},
        {"value": "c", "label": "C", "disabled": True},
    ]


def test_metric_and_table_offer_leaves_to_update() -> None:
    assert by_id(cards.metric("Lift", "4.2x", "3.5x – 5.0x", id="lift"), "lift").children == "4.2x"
    assert by_id(cards.metric("Lift", "4.2x", "3.5x – 5.0x", id="lift"), "lift-sub").children == "3.5x – 5.0x"
    assert len(by_id(tables.table("By month", ["Month", "Rate"], [["Jan", "1%"]], id="t"), "t-body").children) == 1


def test_a_wide_table_names_every_figure_so_that_a_phone_can_stack_them() -> None:
    header = ["Run", "Signals", "Tested", "Seconds", "Data"]
    drawn = inside(tables.table("Runs", header, [["Monday", 8, 301, 7.0, "a1"]]))
    named = [getattr(each, "data-label") for each in drawn if isinstance(each, html.Td)]
    assert named == header[1:]
    assert any(getattr(each, "className", "") == "b-table stacks" for each in drawn)

    narrow = inside(tables.table("Runs", header[:3], [["Monday", 8, 301]]))
    assert not any(hasattr(each, "data-label") for each in narrow)


def test_a_graph_says_what_it_shows_and_offers_no_way_to_send_data_away() -> None:
    drawn = figures.graph("g", figures.base_figure({"y": [1]}, showlegend=False), "Conversion by month")
    graph = by_id(drawn, "g")
    assert graph.config["displayModeBar"] is False
    assert graph.figure == {"data": [{"y": [1]}], "layout": {"showlegend": False}}
    assert any(getattr(each, "aria-label", None) == "Conversion by month" for each in inside(drawn))


def test_a_grid_is_given_names_of_functions_and_never_code() -> None:
    columns = [grids.column("lift", "Lift", "lift"), grids.column("name", "Signal", "link")]
    grid = by_id(grids.grid("g", "Signals", columns, [{"id": "s1", "name": "<b>", "lift": 4.2}]), "g")
    assert grid.columnDefs[0]["valueFormatter"] == {"function": "lift(params)"}
    assert grid.columnDefs[0]["cellRenderer"] == "Figure"
    assert grid.columnDefs[1]["cellRenderer"] == "SignalLink"
    assert grid.eventListeners["rowClicked"] == grid.eventListeners["cellKeyDown"] == ["openRow(params)"]
    assert not hasattr(grid, "dangerously_allow_code")
    assert not getattr(grid, "enableEnterpriseModules", False)


def test_icon_only_buttons_have_a_name() -> None:
    button = buttons.icon_button(ROW, "close", "Remove condition 2")
    assert getattr(button, "aria-label") == button.title == "Remove condition 2"


def test_notices_announce_errors_only() -> None:
    assert notices.error_notice("No rows").role == "alert"
    assert notices.info("Note").role == notices.warning("Note").role == "note"
    assert by_id(notices.badge("Complete", "healthy", id="b"), "b").children == "Complete"


def test_every_icon_is_drawn_once() -> None:
    css = (ASSETS / "45-icons.css").read_text()
    drawn = [line.split()[0] for line in css.splitlines() if line.startswith(".icon-")]
    assert sorted(drawn) == sorted(f".icon-{name}" for name in get_args(icons.IconName))
