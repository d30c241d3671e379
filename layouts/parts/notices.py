"""What the app says aside from figures: states, errors, hints, toasts."""

from __future__ import annotations

from typing import Any, Literal

from dash import html

from layouts import ids
from layouts.parts.attributes import at, data
from layouts.parts.icons import IconName, icon

Status = Literal["healthy", "watch", "degrading", "disabled", "neutral", "demo", "rejected"]
ToastKind = Literal["success", "error", "info"]


def badge(text: Any, kind: Status = "neutral", id: ids.Id | None = None) -> html.Span:
    """Return a small pill with a coloured dot; the words say the same as the colour."""
    return html.Span(text, className="pill", **data(status=kind), **at(id))


def empty_state(title: str, text: Any, action: Any = None, command: str | None = None) -> html.Div:
    """Return what a page shows when there is nothing yet: why, and the next step.

    ``command`` is a line for the terminal; ``action`` a button or link.
    """
    inside: list[Any] = [html.H2(title, className="empty-title"), html.P(text, className="empty-text")]
    if command is not None:
        inside.append(html.Pre(html.Code(command), className="command"))
    if action is not None:
        inside.append(html.Div(action, className="button-row"))
    return html.Div(inside, className="empty")


def info(text: Any, title: str | None = None, id: ids.Id | None = None) -> html.Div:
    """Return a quiet remark in a box."""
    return _notice("info", "info", title, text, id)


def warning(text: Any, title: str | None = None, id: ids.Id | None = None) -> html.Div:
    """Return a remark the reader should weigh before trusting what is below."""
    return _notice("warning", "alert", title, text, id)


def error_notice(text: Any, title: str = "That did not work", id: ids.Id | None = None) -> html.Div:
    """Return an error in place: what happened and what to do. It is announced when it appears."""
    return _notice("error", "alert", title, text, id)


def toast(title: str, text: str = "", kind: ToastKind = "info") -> dict[str, str]:
    """Return the message for ``ids.TOAST``; callbacks usually call ``callbacks.guards.show_toast``."""
    return {"title": title, "text": text, "kind": kind}


def _notice(kind: str, icon_name: IconName, title: str | None, text: Any, id: ids.Id | None) -> html.Div:
    words = ([] if title is None else [html.Strong(title)]) + [html.Div(text)]
    role = "alert" if kind == "error" else "note"
    inside = [icon(icon_name), html.Div(words, className="notice-words")]
    return html.Div(inside, className="notice", role=role, **data(kind=kind), **at(id))
