"""The SQL tab of the Backtest page: edit the query, try it, run it, and say where it is wrong."""

from __future__ import annotations

import uuid
from dataclasses import replace
from typing import Any

from dash import Dash, Input, Output, State, html, no_update, set_props
from dash.exceptions import PreventUpdate

from beton.errors import BetonError, InputError, SqlError
from beton.model.manifest import Manifest
from beton.model.signal import SignalDefinition
from beton.model.words import sentence
from beton.services import Services
from callbacks import guards
from callbacks.opening import as_drawn
from layouts import ids
from layouts.made_from import made_from
from layouts.sql_tab import EMPTY_SENTENCE, preview_rows, sql_pane
from store import SLICES
from store.codec import decode, encode
from store.draft import Draft
from store.events import Event
from store.sql_draft import SqlDraft, check, question, typed, visible_errors, with_example
from store.sql_examples import examples
from store.tab import Tab

Answer = tuple[Any, ...]
NOT_SOUND = "Correct the fields that are marked, then try again."


def drawn_pane(draft: SqlDraft, services: Services, manifest: Manifest) -> html.Div:
    """Return the form, with the tables of the current data."""
    try:
        tables: Any = services.queries.tables()
    except BetonError as problem:
        tables = str(problem)
    return sql_pane(draft, _sentence(draft), manifest, tables)


def _sentence(draft: SqlDraft) -> str:
    asked = question(draft)
    return EMPTY_SENTENCE if asked is None else sentence(asked)


def kept_slice(name: str, draft: Draft | SqlDraft) -> dict[str, Any]:
    """Return what goes into the store of a slice; InputError where it is too much for it."""
    try:
        return encode(SLICES[name], draft)
    except ValueError as problem:
        raise InputError("This signal is too large to keep; shorten it.") from problem


def order(definition: SignalDefinition | None) -> dict[str, Any]:
    """Return the run to start, or nothing but a toast when the draft is not sound."""
    if definition is None:
        guards.show_toast("Not run", "Correct the fields that are marked, then run again.", "error")
        return {}
    return {"id": uuid.uuid4().hex, "definition": definition.to_dict()}


def show_problem(definition: SignalDefinition, problem: SqlError) -> None:
    """Tell the editor what is wrong with a query; it is shown as long as the query stays that one."""
    told = {"of": definition.meaning_hash(), "line": problem.line, "column": problem.column, "message": str(problem)}
    set_props(ids.SQL_PROBLEM, {"data": told})


def register(app: Dash, services: Services) -> None:
    """Register the callbacks of the tab."""
    _register_tab(app, services)
    _register_draft(app, services)
    _register_preview(app, services)


def _register_tab(app: Dash, services: Services) -> None:
    @app.callback(
        Output(ids.store("tab"), "data"),
        Output(ids.SQL_PANE, "children"),
        Input(ids.BACKTEST_TABS, "active_tab"),
        State(ids.SQL_EDITOR, "id", allow_optional=True),
        State(ids.store("sql"), "data"),
        State(ids.URL, "pathname"),
        State(ids.URL, "search"),
        prevent_initial_call=True,
    )
    def _open(active: Any, drawn: Any, raw: Any, *address: Any) -> tuple[Any, Any]:
        tab = Tab("sql" if active == "sql" else "visual")
        kept = encode(SLICES["tab"], tab)
        if drawn or tab.active != "sql":
            return kept, no_update
        draft = as_drawn(decode(SLICES["sql"], raw).state, guards.route(*address), services)
        return kept, drawn_pane(draft, services, services.workspace.manifest())


def _register_draft(app: Dash, services: Services) -> None:
    @app.callback(
        Output(ids.store("sql"), "data"),
        Output(ids.SQL_ORDER, "data"),
        Output(ids.SQL_NAME, "value"),
        Output(ids.SQL_UNIT, "value"),
        Output(ids.SQL_DAYS, "value"),
        Output(ids.SQL_EDITOR, "value"),
        Output(ids.SQL_ORIGIN, "children"),
        Input(ids.events("sql"), "n_clicks"),
        Input(ids.SQL_NAME, "value"),
        Input(ids.SQL_UNIT, "value"),
        Input(ids.SQL_DAYS, "value"),
        Input(ids.SQL_EDITOR, "value"),
        Input(ids.SQL_EDITOR, "n_submit"),
        State(ids.store("sql"), "data"),
        State(ids.SQL_ORDER, "data"),
        State(ids.URL, "pathname"),
        State(ids.URL, "search"),
        prevent_initial_call=True,
    )
    def _write(_clicks: Any, *inputs: Any) -> Answer:
        name, unit, days, sql, submits, raw, last_order, *address = inputs
        stored = decode(SLICES["sql"], raw).state
        draft = typed(as_drawn(stored, guards.route(*address), services), name, unit, days, sql)
        event = guards.clicked_event("sql")
        after = draft if event is None else _pressed(draft, event, services)
        wants_run = guards.count(submits) > guards.counted(last_order, "submits")
        if wants_run:
            after = replace(after, attempted=True)
        if after == stored and event is None and not wants_run:
            raise PreventUpdate
        kept = no_update if after == stored else kept_slice("sql", after)
        ordered = {**order(check(after).definition), "submits": submits} if wants_run else no_update
        return kept, ordered, *_fields(after, event)

    @app.callback(
        Output(ids.SQL_SENTENCE, "children"),
        Output(ids.error(ids.SQL_NAME), "children"),
        Output(ids.error(ids.SQL_DAYS), "children"),
        Output(ids.error(ids.SQL_EDITOR), "children"),
        Output(ids.SQL_EDITOR, "error"),
        Input(ids.store("sql"), "data"),
        Input(ids.SQL_PROBLEM, "data"),
        prevent_initial_call=True,
    )
    def _say(raw: Any, problem: Any) -> Answer:
        draft = decode(SLICES["sql"], raw).state
        errors = visible_errors(draft, check(draft))
        mark = _mark(draft, problem)
        sql_words = errors.get("sql", "") or ("" if mark is None else _placed(mark))
        return _sentence(draft), errors.get("name", ""), errors.get("landmark_days", ""), sql_words, mark


def _pressed(draft: SqlDraft, event: Event, services: Services) -> SqlDraft:
    if event.intent == "new":
        guards.forget_query()
        return SqlDraft()
    found = [each for each in examples(services.workspace.manifest()) if each.key == event.key]
    if event.intent != "example" or not found:
        raise InputError("There is no such example; reload the page.")
    return with_example(draft, found[0].unit, found[0].sql)


def _fields(draft: SqlDraft, event: Event | None) -> Answer:
    """Return what the form is to show: nothing new unless a button changed it."""
    if event is None:
        return (no_update,) * 5
    return draft.name, draft.unit, draft.landmark_days, draft.sql, made_from(draft.origin, "sql")


def _mark(draft: SqlDraft, problem: Any) -> dict[str, Any] | None:
    asked = question(draft)
    if not isinstance(problem, dict) or asked is None or problem.get("of") != asked.meaning_hash():
        return None
    return {key: problem.get(key) for key in ("line", "column", "message")}


def _placed(mark: dict[str, Any]) -> str:
    message, line = guards.text(mark["message"]), mark["line"]
    return f"Line {line}: {message}" if isinstance(line, int) else message


def _register_preview(app: Dash, services: Services) -> None:
    @app.callback(
        Output(ids.SQL_PREVIEW_ROWS, "children"),
        Input(ids.SQL_PREVIEW, "n_clicks"),
        State(ids.SQL_UNIT, "value"),
        State(ids.SQL_DAYS, "value"),
        State(ids.SQL_EDITOR, "value"),
        running=[(Output(ids.SQL_EDITOR, "disabled"), True, False)],
        prevent_initial_call=True,
    )
    def _preview(clicks: Any, unit: Any, days: Any, sql: Any) -> Any:
        guards.clicked(clicks)
        asked = question(typed(SqlDraft(), None, unit, days, sql))
        if asked is None:
            return html.P(NOT_SOUND, className="field-error")
        try:
            return preview_rows(services.queries.preview(asked, guards.person()))
        except SqlError as problem:
            show_problem(asked, problem)
            return None
