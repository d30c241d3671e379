"""The editor of queries. It is drawn in the browser by ``assets/26-sql-editor.js``; here is what Dash knows of it."""

from __future__ import annotations

from typing import Any, TypedDict, Unpack

from dash.development.base_component import Component


class ErrorMark(TypedDict):
    """Where a query is wrong, counted from 1; without a line nothing is marked."""

    line: int | None
    column: int | None
    message: str


class SqlEditorProps(TypedDict, total=False):
    """What an editor has.

    ``value`` is the text, current ``debounce`` milliseconds (250) after the last key, and at once when the field is
    left or the query submitted. ``n_submit`` counts the presses of Ctrl+Enter or Cmd+Enter. ``label`` names the field
    for assistive technology, ``disabled`` makes it read-only, ``error`` marks a line. ``schema`` is what completion
    offers: ``tables`` (name, about, columns of name, type, about), ``values`` by column or key, and the ``keys`` of
    properties.
    """

    id: str
    value: str
    schema: dict[str, Any]
    label: str
    disabled: bool
    debounce: int
    n_submit: int
    error: ErrorMark | None


class SqlEditor(Component):
    """One field for a query."""

    _namespace = "beton_components"
    _type = "SqlEditor"

    def __init__(self, **props: Unpack[SqlEditorProps]) -> None:
        self._prop_names = list(SqlEditorProps.__annotations__)
        self._valid_wildcard_attributes: list[str] = []
        self.available_properties = self._prop_names
        self.available_wildcard_properties: list[str] = []
        super().__init__(**props)  # type: ignore[no-untyped-call]
