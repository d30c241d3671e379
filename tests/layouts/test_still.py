"""What never changes is packed; what callbacks or charts need is not, and nothing that can be read is lost."""

from __future__ import annotations

import json
from typing import Any

from dash import dcc, html
from dash.development.base_component import Component

from layouts.parts.still import Still, still


def plain(drawn: Any) -> Any:
    return json.loads(json.dumps(drawn, default=lambda each: each.to_plotly_json()))


def test_html_without_ids_becomes_one_component_with_all_attributes() -> None:
    cell = html.Td(["a", html.Strong(3)], colSpan=2, title="t", style={"--at": "5%"}, **{"data-side": "up"})
    packed = still(html.Tr([cell, html.Td()], className="row"))

    assert isinstance(packed, Still)
    attributes = {"colSpan": 2, "title": "t", "style": {"--at": "5%"}, "data-side": "up"}
    inside = [["td", attributes, ["a", ["strong", {}, [3]]]], ["td", {}, []]]
    assert plain(packed)["props"] == {"tree": ["tr", {"className": "row"}, inside]}


def test_what_has_an_id_and_what_is_not_html_stays_reachable() -> None:
    page = html.Div([html.P("a"), html.Div([html.P("b"), html.Span("c", id="leaf")]), html.Figure(dcc.Graph(id="g"))])
    packed = still(page)

    kinds = [type(each).__name__ for each in (packed, *packed._traverse()) if isinstance(each, Component)]
    assert kinds == ["Div", "Still", "Div", "Still", "Span", "Figure", "Graph"]
    assert packed.children[1].children[1].id == "leaf"


def test_lists_texts_and_nothing_pass_through() -> None:
    assert still(["a", 3, None]) == ["a", 3, None]
    assert still([]) == []
    assert [type(each).__name__ for each in still((html.P("a"), html.P("b", id="x")))] == ["Still", "P"]


def test_markup_in_a_text_stays_a_text() -> None:
    assert still(html.P("<b>x</b>")).tree == ["p", {}, ["<b>x</b>"]]
