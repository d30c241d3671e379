"""HTML attributes whose names Python cannot spell."""

from __future__ import annotations

from typing import Any


def aria(**states: Any) -> dict[str, Any]:
    """Return ``aria-*`` attributes: ``html.Nav(..., **aria(label="Pages"))``."""
    return {f"aria-{name}": value for name, value in states.items()}


def data(**values: Any) -> dict[str, Any]:
    """Return ``data-*`` attributes; underscores become hyphens: ``data(theme_choice="dark")``."""
    return {f"data-{name.replace('_', '-')}": value for name, value in values.items()}


def at(id: Any) -> dict[str, Any]:
    """Return ``{"id": id}``, or nothing for None: Dash refuses an id of None."""
    return {} if id is None else {"id": id}
