"""The visual builder: the draft's tree as rows of native controls.

Every row has all controls of its kind; which of them an operator needs is decided in CSS (``:has(option:checked)``), so
changing an operator costs no round trip and keeps the focus.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from dash import html

from beton.model.conditions import ANY_EVENT, EVENT_OPS, PROPERTY_OPS
from beton.model.manifest import Manifest, PropertyFacts
from layouts import format, ids
from layouts.parts.attributes import data
from layouts.parts.buttons import button, icon_button
from layouts.parts.forms import select, text_input
from store.draft import WITHIN, Box, Draft, Row

_EVENT_OPS: Final = [*EVENT_OPS[:4], WITHIN, *EVENT_OPS[4:]]
_MATCH_WORDS: Final = [("all", "all must be true"), ("any", "any must be true"), ("none", "none may be true")]


def builder(draft: Draft, manifest: Manifest) -> html.Div:
    """Return the rows of a draft."""
    return html.Div(_box(draft.root, Choices(manifest), is_root=True), className="builder")


class Choices:
    """What the drop-downs offer, read from the snapshot."""

    def __init__(self, manifest: Manifest) -> None:
        by_size = sorted(manifest.events, key=lambda event: -event.rows)
        self.events = [
            *((event.name, f"{event.name} · {format.count(event.rows)}") for event in by_size),
            (ANY_EVENT, "any event"),
        ]
        self.of_units = _offered(manifest.properties, of_event=False)
        self.of_events = _offered(manifest.properties, of_event=True)
        self.values = {item.name: [str(value) for value in item.values] for item in manifest.properties}


def _offered(properties: Sequence[PropertyFacts], of_event: bool) -> list[tuple[str, str]]:
    return [
        (item.name, f"{item.name} · {item.type}")
        for item in properties
        if (item.scope == "event") is of_event and item.type != "time"
    ]


def _box(box: Box, choices: Choices, is_root: bool = False) -> html.Div:
    match = select(ids.field("match", box.key), "Group rule", _MATCH_WORDS, box.match, compact=True)
    head = [html.Span("Conditions:" if is_root else "Group:", className="builder-word"), match]
    if not is_root:
        head.append(icon_button(ids.event("draft", "remove", box.key), "close", "Remove the group"))
    items = [_box(item, choices) if isinstance(item, Box) else _row(item, choices) for item in box.items]
    adders = html.Div(
        [
            button(ids.event("draft", "add-event", box.key), "Add event", icon_name="plus"),
            button(ids.event("draft", "add-property", box.key), "Add property", icon_name="plus"),
            button(ids.event("draft", "add-group", box.key), "Add group", "ghost", icon_name="plus"),
        ],
        className="button-row builder-add",
    )
    return html.Div([html.Div(head, className="builder-head"), *items, adders], className="builder-group")


def _row(row: Row, choices: Choices) -> html.Div:
    inside = _event_row(row, choices) if row.kind == "event" else _property_row(row, choices.of_units, choices)
    return html.Div(inside, className="builder-row", **data(kind=row.kind))


def _event_row(row: Row, choices: Choices) -> list[Any]:
    controls = html.Div(
        [
            _select(row, "subject", "Event", choices.events, placeholder="Event"),
            _select(row, "op", "Operator", _EVENT_OPS),
            _typed(row, "value", "Count", "count", numeric=True),
            html.Span("within", className="builder-word"),
            _typed(row, "within", "Days", "days", numeric=True),
            html.Span("days", className="builder-word"),
            _tools(row, with_filter=True),
        ],
        className="builder-controls",
    )
    filters = [
        html.Div(
            [html.Span("where", className="builder-word"), *_property_row(item, choices.of_events, choices)],
            className="builder-filter",
            **data(kind="property"),
        )
        for item in row.filters
    ]
    return [controls, *filters]


def _property_row(row: Row, offered: list[tuple[str, str]], choices: Choices) -> list[Any]:
    controls = [
        _select(row, "subject", "Property", offered, placeholder="Property"),
        _select(row, "op", "Operator", list(PROPERTY_OPS)),
        _typed(row, "value", "Value", "value", suggestions=choices.values.get(row.subject, [])),
        html.Span("and", className="builder-word for-between"),
        _typed(row, "value2", "Upper value", "value"),
        _tools(row, with_filter=False),
    ]
    return [html.Div(controls, className="builder-controls")]


def _select(row: Row, name: str, label: str, options: Any, placeholder: str | None = None) -> html.Div:
    value = getattr(row, name) or None
    field = select(ids.field(name, row.key), label, options, value, placeholder=placeholder, compact=True)
    return html.Div(field, className=f"f-{name}")


def _typed(
    row: Row, name: str, label: str, placeholder: str, numeric: bool = False, suggestions: Sequence[str] = ()
) -> html.Div:
    field = text_input(
        ids.field(name, row.key),
        label,
        getattr(row, name),
        placeholder=placeholder,
        compact=True,
        suggestions=suggestions,
    )
    return html.Div(field, className=f"f-{name}{' is-number' if numeric else ''}")


def _tools(row: Row, with_filter: bool) -> html.Div:
    remove = icon_button(ids.event("draft", "remove", row.key), "close", f"Remove {row.subject or 'this condition'}")
    tools = [remove]
    if with_filter:
        narrow = icon_button(ids.event("draft", "add-filter", row.key), "filter", "Filter by a property of the event")
        tools = [narrow, icon_button(ids.event("draft", "wrap", row.key), "group", "Put into a group"), remove]
    return html.Div(tools, className="builder-tools")
