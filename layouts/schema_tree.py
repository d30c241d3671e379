"""The tables that a query may name, to be browsed: rows, columns, types, how full they are, and some values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dash import html

from beton.model.table_facts import ColumnFacts, TableFacts
from layouts import format
from layouts.parts.attributes import aria
from layouts.parts.notices import error_notice
from layouts.parts.still import still

HEADER = ("Column", "Filled", "Values")


def schema_tree(tables: Sequence[TableFacts] | str) -> html.Details:
    """Return the tree, closed; a text in place of the tables says why there are none."""
    if isinstance(tables, str):
        inside: Any = error_notice(tables, "The tables cannot be shown")
    else:
        inside = still([_table(each) for each in tables])
    return html.Details([html.Summary("Show Schema"), html.Div(inside, className="schema-tables")], className="schema")


def _table(table: TableFacts) -> html.Details:
    summary = html.Summary(
        [
            html.Code(table.name),
            html.Span(format.plural(table.rows, "row"), className="schema-rows"),
            html.Span(table.about, className="schema-about"),
        ]
    )
    head = html.Thead(html.Tr([html.Th(name, scope="col") for name in HEADER]))
    body = html.Tbody([_column(each) for each in table.columns])
    caption = html.Caption(f"Columns of {table.name}", className="visually-hidden")
    return html.Details([summary, html.Table([caption, head, body], className="schema-columns")])


def _column(column: ColumnFacts) -> html.Tr:
    about = [html.Span(column.about, className="schema-about")] if column.about else []
    name = [html.Code(column.name), html.Span(column.type, className="schema-type"), *about]
    values = [html.Code(sample) for sample in column.samples]
    return html.Tr([html.Th(name, scope="row"), html.Td(_fill(column.fill_rate)), html.Td(values)])


def _fill(rate: float | None) -> list[Any]:
    if rate is None:
        return [format.MISSING]
    bar = html.Span(html.Span(style={"width": f"{100 * rate:.1f}%"}), className="fill-bar", **aria(hidden="true"))
    return [bar, html.Span(format.percent(rate), className="fill-words")]
