"""Small tables that need no sorting or filtering. Larger ones are grids."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from dash import html

from layouts import ids
from layouts.parts.attributes import at, data

FITS_A_PHONE: Final = 3  # columns; where there are more, a phone shows each row as a block of labelled figures


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
    ``table_rows`` draws. A ``header`` of more than ``FITS_A_PHONE`` columns is of plain text.
    """
    body_id = None if id is None else ids.part(id, "body")
    head = html.Thead(html.Tr([html.Th(cell, scope="col") for cell in header]))
    titled = html.Caption(caption, className="" if show_caption else "visually-hidden")
    body = html.Tbody(table_rows(header, rows), **at(body_id))
    look = "b-table stacks" if len(header) > FITS_A_PHONE else "b-table"
    whole = html.Table([titled, head, body], className=look, **at(id))
    return html.Div(whole, className="table-scroll")


def table_rows(header: Sequence[Any], rows: Sequence[Sequence[Any]]) -> list[html.Tr]:
    """Return the body rows of a ``table``; each has as many cells as ``header``."""
    named = [data(label=each) if len(header) > FITS_A_PHONE else {} for each in header]
    return [
        html.Tr(
            [html.Th(first, scope="row"), *(html.Td(cell, **name) for cell, name in zip(rest, named[1:], strict=True))]
        )
        for first, *rest in rows
    ]
