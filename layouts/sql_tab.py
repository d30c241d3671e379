"""The SQL tab of the Backtest page: the form, what a query may read, and the first rows that it returns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from dash import html

from beton.model.manifest import Manifest
from beton.model.table_facts import Preview, TableFacts
from layouts import format, ids
from layouts.made_from import made_from
from layouts.parts.attributes import aria
from layouts.parts.buttons import button
from layouts.parts.cards import skeleton
from layouts.parts.forms import form_row, select, text_input
from layouts.parts.sql_editor import SqlEditor
from layouts.parts.still import still
from layouts.schema_tree import schema_tree
from store.sql_draft import SqlDraft
from store.sql_examples import Example, examples

UNITS: Final = [("user", "Users"), ("account", "Accounts")]
TABLES: Final = "events, users, companies, deals"
DAYS_HELP: Final = "The query sees only what happened in that time after each user's signup."
KEYS_HELP: Final = (
    "Ctrl+Enter (⌘ Enter on a Mac) runs the query. Tab indents; press Escape, then Tab, to leave the editor."
)
EMPTY_SENTENCE: Final = "Write a query that returns user_id, or company_id for accounts."
NO_ROWS: Final = "No rows: nobody matches in the days observed."


def waiting_pane() -> html.Div:
    """Return what stands in the tab until it is opened."""
    return skeleton()


def sql_pane(draft: SqlDraft, sentence: str, manifest: Manifest, tables: Sequence[TableFacts] | str) -> html.Div:
    """Return the form; a text in place of ``tables`` says why they cannot be shown."""
    return html.Div(
        [
            html.Div(made_from(draft.origin, "sql"), id=ids.SQL_ORIGIN),
            _fields(draft),
            _editor(draft, manifest, tables),
            html.Div(
                [
                    html.Span(["Available tables: ", html.Code(TABLES)], className="sql-tables"),
                    button(ids.SQL_PREVIEW, "Preview", label="Preview the first rows of the query"),
                ],
                className="sql-tools",
            ),
            schema_tree(tables),
            html.Div(id=ids.SQL_PREVIEW_ROWS, className="preview", **aria(live="polite")),
            html.P(sentence, id=ids.SQL_SENTENCE, className="sentence", **aria(live="polite")),
        ],
        className="sql-form",
    )


def _fields(draft: SqlDraft) -> html.Div:
    return form_row(
        text_input(ids.SQL_NAME, "Signal Name", draft.name, placeholder="Custom SQL signal"),
        select(ids.SQL_UNIT, "Who", UNITS, draft.unit),
        text_input(
            ids.SQL_DAYS,
            "Days observed",
            draft.landmark_days,
            placeholder="14",
            max_length=9,
            units=(None, "days"),
            help=DAYS_HELP,
        ),
    )


def _editor(draft: SqlDraft, manifest: Manifest, tables: Sequence[TableFacts] | str) -> html.Div:
    offered = {} if isinstance(tables, str) else completions(manifest, tables)
    head = html.Div([html.Span("SQL Query", className="field-label"), _menu(examples(manifest))], className="sql-head")
    return html.Div(
        [
            head,
            SqlEditor(id=ids.SQL_EDITOR, value=draft.sql, schema=offered, label="SQL Query"),
            html.Div("", id=ids.error(ids.SQL_EDITOR), className="field-error", **aria(live="polite")),
            html.Div(KEYS_HELP, id=ids.part(ids.SQL_EDITOR, "help"), className="field-help"),
        ],
        className="field sql-field",
    )


def _menu(offered: Sequence[Example]) -> html.Details:
    items = [
        html.Button(
            [html.Strong(each.title), html.Span(each.about)],
            id=ids.event("sql", "example", each.key),
            type="button",
            className="menu-item",
        )
        for each in offered
    ]
    return html.Details([html.Summary("Examples"), html.Div(items, className="menu-items")], className="menu")


def completions(manifest: Manifest, tables: Sequence[TableFacts]) -> dict[str, Any]:
    """Return what the editor offers while typing: tables, columns, and the values that the import counted."""
    values = {
        entry.name: [str(value) for value in entry.values] for entry in manifest.properties if entry.type == "text"
    }
    return {
        "tables": [
            {
                "name": table.name,
                "about": table.about,
                "columns": [{"name": each.name, "type": each.type, "about": each.about} for each in table.columns],
            }
            for table in tables
        ],
        "values": values | {"event": [event.name for event in sorted(manifest.events, key=lambda event: -event.rows)]},
        "keys": manifest.event_keys,
    }


def preview_rows(preview: Preview) -> list[Any]:
    """Return the first rows as a plain table below what the query took."""
    shown = len(preview.rows)
    counted = format.plural(preview.total_rows, "row")
    rows = f"{counted} in all" if shown == preview.total_rows else f"{counted} in all, the first {shown} below"
    words = html.P(f"{rows} · {_took(preview.seconds)} · {_size(preview.bytes)}", className="preview-words")
    if not preview.rows:
        return [words, html.P(NO_ROWS, className="muted")]
    head = html.Tr(
        [html.Th([name, html.Span(kind, className="schema-type")], scope="col") for name, kind in preview.columns]
    )
    body = [html.Tr([html.Td(_cell(cell)) for cell in row]) for row in preview.rows]
    caption = html.Caption("First rows of the query", className="visually-hidden")
    table = html.Table([caption, html.Thead(head), html.Tbody(body)], className="preview-table")
    scroll = html.Div(
        table, className="preview-scroll", tabIndex=0, role="region", **aria(label="First rows of the query")
    )
    return [words, still(scroll)]


def _cell(cell: str | None) -> Any:
    return html.Span("null", className="null") if cell is None else cell


def _took(seconds: float) -> str:
    return f"{1000 * seconds:,.0f} ms" if seconds < 1 else format.duration(seconds)


def _size(size: int) -> str:
    return f"{size:,} bytes" if size < 1000 else f"{size / 1000:,.1f} KB" if size < 1e6 else f"{size / 1e6:,.1f} MB"
