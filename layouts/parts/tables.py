"""Small tables that need no sorting or filtering. Larger ones are grids."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dash import html

from layouts import ids
from layouts.parts.attributes import at


def table(
    caption: str,
    header: Sequence[Any],
    rows: Sequence[Sequence[Any]],
    *,
    id: ids.Id | None = None,
    show_caption: bool = False,
) -> html.Div:
    """Return a table whose first column names the row and whose other columns are figures.

    With an ``id``, callbacks replace all rows through ``children`` of ``ids.part(id, "body")``, which
    ``table_rows`` draws.
    """
    body_id = None if id is None else ids.part(id, "body")
    head = html.Thead(html.Tr([html.Th(cell, scope="col") for cell in header]))
    titled = html.Caption(caption, className="" if show_caption else "visually-hidden")
    whole = html.Table([titled, head, html.Tbody(table_rows(rows), **at(body_id))], className="b-table", **at(id))
    return html.Div(whole, className="table-scroll")


def table_rows(rows: Sequence[Sequence[Any]]) -> list[html.Tr]:
    """Return the body rows of a ``table``."""
    return [html.Tr([html.Th(row[0], scope="row"), *map(html.Td, row[1:])]) for row in rows]
