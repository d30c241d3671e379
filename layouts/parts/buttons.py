"""Buttons act, links go somewhere; both look alike."""

from __future__ import annotations

from typing import Any, Literal

from dash import html

from layouts import ids
from layouts.parts.attributes import aria
from layouts.parts.icons import IconName, icon

Kind = Literal["primary", "secondary", "ghost"]


def button(
    id: ids.Id,
    text: str,
    kind: Kind = "secondary",
    *,
    icon_name: IconName | None = None,
    label: str | None = None,
    disabled: bool = False,
    hidden: bool = False,
) -> html.Button:
    """Return a button; listen to its ``n_clicks``.

    ``label`` names the action for assistive technology when ``text`` alone does not ("Remove" of which row?).
    """
    return html.Button(
        _inside(text, icon_name),
        id=id,
        type="button",
        disabled=disabled,
        hidden=hidden,
        className=_look(kind),
        **_named(label),
    )


def icon_button(
    id: ids.Id, icon_name: IconName, label: str, *, disabled: bool = False, kind: Kind = "ghost"
) -> html.Button:
    """Return a square button that shows only an icon; ``label`` says what it does."""
    return html.Button(
        icon(icon_name),
        id=id,
        type="button",
        title=label,
        disabled=disabled,
        className=f"{_look(kind)} btn-icon",
        **_named(label),
    )


def link_button(text: str, href: str, kind: Kind = "secondary", *, icon_name: IconName | None = None) -> html.A:
    """Return a link that looks like a button."""
    return html.A(_inside(text, icon_name), href=href, className=_look(kind))


def button_row(*buttons: Any) -> html.Div:
    """Return buttons side by side; they wrap on narrow screens."""
    return html.Div(list(buttons), className="button-row")


def _look(kind: Kind) -> str:
    return f"btn btn-{kind}"


def _inside(text: str, icon_name: IconName | None) -> list[Any]:
    return ([icon(icon_name)] if icon_name else []) + [html.Span(text)]


def _named(label: str | None) -> dict[str, Any]:
    return aria(label=label) if label else {}
