"""Labelled inputs. Every one has a label, an optional help text and an error line.

A callback marks a field wrong by writing a sentence into ``children`` of ``ids.error(id)`` and right by
writing ``""``; the colour of the field follows in CSS.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypedDict, Unpack

import dash_bootstrap_components as dbc
from dash import html

from layouts import ids
from layouts.parts.attributes import aria

Options = Iterable[str | tuple[str, str] | Mapping[str, Any]]


class FieldOptions(TypedDict, total=False):
    """What every field may have besides its control.

    ``help`` stands below it, ``error`` marks it wrong from the start, and ``compact`` keeps the label for
    assistive technology only (rows of a table of fields).
    """

    help: Any
    error: str
    compact: bool


def text_input(
    id: ids.Id,
    label: str,
    value: str | None = None,
    *,
    placeholder: str = "",
    max_length: int = 200,
    units: tuple[str | None, str | None] = (None, None),
    suggestions: Iterable[str] = (),
    **field: Unpack[FieldOptions],
) -> html.Div:
    """Return a one-line text field; read its ``value``. ``units`` stand before (``$``) and behind it (``%``, ``days``).

    The value is current with every key: a delayed one would be missing when a button is clicked at once, and its timer
    fails when the field is gone by then. ``suggestions`` are offered while typing and bind nobody.
    """
    offered = list(suggestions)
    control = dbc.Input(
        id=id,
        type="text",
        value=value or "",
        placeholder=placeholder,
        maxlength=max_length,
        autocomplete="off",
        **({"list": ids.dom(ids.part(id, "list"))} if offered else {}),
    )
    before, behind = ([] if unit is None else [dbc.InputGroupText(unit)] for unit in units)
    if before or behind:
        control = dbc.InputGroup([*before, control, *behind])
    listed = [html.Datalist([html.Option(value=each) for each in offered], id=ids.part(id, "list"))]
    return _field(id, label, html.Div([control, *(listed if offered else [])]), **field)


def select(
    id: ids.Id,
    label: str,
    options: Options,
    value: str | None = None,
    *,
    placeholder: str | None = None,
    disabled: bool = False,
    **field: Unpack[FieldOptions],
) -> html.Div:
    """Return a native drop-down; read its ``value``. Options are values, (value, words) or Dash option dicts."""
    control = dbc.Select(
        id=id,
        options=as_options(options),
        value=value,
        placeholder=placeholder,
        disabled=disabled,
    )
    return _field(id, label, control, **field)


def as_options(options: Options) -> list[dict[str, Any]]:
    """Return options as Dash wants them, for callbacks that replace a drop-down's ``options``."""
    return [_option(each) for each in options]


def form_row(*fields: Any) -> html.Div:
    """Return fields side by side; they stack on phones."""
    return html.Div(list(fields), className="form-row")


def _option(option: str | tuple[str, str] | Mapping[str, Any]) -> dict[str, Any]:
    if isinstance(option, str):
        return {"value": option, "label": option}
    if isinstance(option, tuple):
        return {"value": option[0], "label": option[1]}
    return dict(option)


def _field(id: ids.Id, label: str, control: Any, **field: Unpack[FieldOptions]) -> html.Div:
    shown = "field-label visually-hidden" if field.get("compact") else "field-label"
    inside = [html.Label(label, htmlFor=ids.dom(id), className=shown), control]
    if field.get("help") is not None:
        inside.append(html.Div(field["help"], id=ids.part(id, "help"), className="field-help"))
    sentence = field.get("error", "")
    inside.append(html.Div(sentence, id=ids.error(id), className="field-error", **aria(live="polite")))
    return html.Div(inside, className="field")
