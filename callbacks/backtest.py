"""The Backtest page: edit the draft, run it, show the run in the address, save it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from dash import ALL, ClientsideFunction, Dash, Input, Output, State, html, no_update
from dash.exceptions import PreventUpdate

from beton.errors import BetonError, InputError, SqlError
from beton.model.signal import from_dict
from beton.model.words import sentence
from beton.services import Services
from beton.services.backtests import Report
from beton.services.explaining import explain
from callbacks import guards
from callbacks.backtest_sql import drawn_pane, kept_slice, order, show_problem
from callbacks.opening import as_drawn, opened, source, version_target
from layouts import ids
from layouts.backtest import backtest, form_rows, saving
from layouts.result_view import LEAVES, leaves
from layouts.routes import Page, Route, href
from store import SLICES
from store.codec import decode
from store.draft import Check, Draft, check, located, places_of, reduce, visible_errors, with_values
from store.events import Event
from store.origin import Origin
from store.sql_draft import SqlDraft

FIELDS = {"slice": "field", "intent": ALL, "key": ALL, "at": ALL}
ERRORS = {**FIELDS, "slice": "field-error"}
Answer = tuple[Any, Any, Any, Any, Any]  # the draft, the builder's rows, name, unit, the run to start
EMPTY_SENTENCE = "Choose an event or a property to begin."
MOST_VERSIONS = 10**6  # a forged one may be anything
MOST_PRESSES = 20  # of one button while an answer was on its way; a forged count may be anything


def draw(route: Route, services: Services, states: Mapping[str, Any]) -> html.Div:
    """Return the page, with the result of the run in the address and what the address asks to open in the form."""
    manifest = services.workspace.manifest_or_none()
    if manifest is None:
        return backtest(None, Draft(), "", None, None)
    values, found, problem, target = None, None, None, None
    try:
        found = source(route, services)
        if route.run_id:
            report = services.backtests.report(route.run_id)
            values = _leaves(services, report)
            target = _target(report, states["draft"], states["sql"])
    except BetonError as error:
        what = "This result cannot be shown" if route.run_id else "This signal cannot be opened"
        problem = what, str(error)
    draft = opened(states["draft"], found, route)
    is_sql = states["tab"].active == "sql" if found is None else bool(found.definition.sql)
    pane = drawn_pane(opened(states["sql"], found, route), services, manifest) if is_sql else None
    return backtest(manifest, draft, _sentence(_checked(draft, services)), values, problem, pane, target)


def _leaves(services: Services, report: Report) -> dict[str, Any]:
    settings = services.settings.read()
    return leaves(report, settings.min_lift, explain(report.evidence, report.reading, settings, report.standing))


def _target(report: Report, *drafts: Draft | SqlDraft) -> Origin | None:
    return version_target(from_dict(report.evidence.passport.definition), *drafts)


def _checked(draft: Draft, services: Services) -> Check:
    """Check a draft against its own rules and then against the data."""
    found = check(draft)
    if found.definition is None:
        return found
    try:
        services.backtests.check(found.definition)
    except InputError as problem:
        return Check(None, located(problem.fields, places_of(draft)))
    except BetonError:
        return found
    return found


def _sentence(found: Check) -> str:
    return EMPTY_SENTENCE if found.definition is None else sentence(found.definition)


def typed(named: list[dict[str, str]], values: list[Any]) -> dict[tuple[str, str], Any]:
    """Return what the fields hold by (row, field)."""
    return {(each["key"], each["intent"]): value for each, value in zip(named, values, strict=True)}


def register(app: Dash, services: Services) -> None:
    """Register the page's callbacks."""
    _register_draft(app, services)
    _register_run(app, services)
    _register_result(app, services)


def _register_draft(app: Dash, services: Services) -> None:
    @app.callback(
        Output(ids.store("draft"), "data"),
        Output(ids.BACKTEST_BUILDER, "children"),
        Output(ids.BACKTEST_NAME, "value"),
        Output(ids.BACKTEST_UNIT, "value"),
        Output(ids.RUN, "data"),
        Input(ids.events("draft"), "n_clicks"),
        Input(FIELDS, "value"),
        Input(ids.BACKTEST_NAME, "value"),
        Input(ids.BACKTEST_UNIT, "value"),
        Input(ids.BACKTEST_RUN, "n_clicks"),
        State(FIELDS, "id"),
        State(ids.events("draft"), "id"),
        State(ids.store("draft"), "data"),
        State(ids.RUN, "data"),
        State(ids.URL, "pathname"),
        State(ids.URL, "search"),
        prevent_initial_call=True,
    )
    def _write(clicks: Any, values: Any, name: Any, unit: Any, run: Any, *states: Any) -> Answer:
        fields, buttons, raw, last_run, *address = states
        stored = decode(SLICES["draft"], raw).state
        before = as_drawn(stored, guards.route(*address), services)
        pressed = pending(guards.named(buttons, clicks), clicks)
        wants_run = guards.count(run) > guards.counted(last_run, "clicks")
        held = typed(guards.named(fields, values), values)
        after = edited(before, held, str(name or ""), str(unit or "user"), pressed)
        if wants_run:
            after = replace(after, attempted=True)
        if after == stored and not pressed and not wants_run:
            raise PreventUpdate
        kept = no_update if after == stored else kept_slice("draft", after)
        rows = form_rows(after, services.workspace.manifest()) if pressed else no_update
        order = {**_order(after, services), "clicks": run} if wants_run else no_update
        if any(event.intent == "new" for event in pressed):
            guards.forget_query()
            return kept, rows, after.name, after.unit, order
        return kept, rows, no_update, no_update, order

    @app.callback(
        Output(ids.BACKTEST_SENTENCE, "children"),
        Output(ids.error(ids.BACKTEST_NAME), "children"),
        Output(ERRORS, "children"),
        Input(ids.store("draft"), "data"),
        prevent_initial_call=True,
    )
    def _say(raw: Any) -> tuple[str, str, list[str]]:
        draft = decode(SLICES["draft"], raw).state
        found = _checked(draft, services)
        errors = visible_errors(draft, found)
        fields = [errors.get((each["key"], each["intent"]), "") for each in guards.asked(2)]
        return _sentence(found), errors.get(("", "name"), ""), fields


def pending(buttons: list[dict[str, str]], clicks: list[int | None]) -> list[Event]:
    """Return what was pressed since the rows were drawn.

    Rows are drawn anew after every press, with counts of zero: a count above zero is a press whose answer never
    arrived, because Dash drops the first of two answers in flight (a field left by clicking a button sends two).
    """
    return [
        Event(each["slice"], each["intent"], each["key"])
        for each, count in zip(buttons, clicks, strict=True)
        for _ in range(min(count or 0, MOST_PRESSES if each["intent"].startswith("add") else 1))
    ]


def edited(draft: Draft, values: dict[tuple[str, str], Any], name: str, unit: str, pressed: list[Event]) -> Draft:
    """Return the draft with what the fields hold now, and then with the buttons that were pressed."""
    taken = replace(with_values(draft, values), name=name, unit=unit if unit in ("user", "account") else "user")
    for event in pressed:
        taken = reduce(taken, event.intent, event.key)
    return taken


def _order(draft: Draft, services: Services) -> dict[str, Any]:
    return order(_checked(draft, services).definition)


def _register_run(app: Dash, services: Services) -> None:
    @app.callback(
        Output(ids.BACKTEST_RESULTS, "hidden"),
        Output(ids.BACKTEST_SAVE, "children"),
        Output(ids.BACKTEST_SAVE_VERSION, "children"),
        Output(ids.BACKTEST_SAVE_VERSION, "hidden"),
        Output(ids.BACKTEST_MADE_FROM, "data"),
        *[Output(ids.result(name), prop) for name, prop in LEAVES.items()],
        Input(ids.RUN, "data"),
        Input(ids.SQL_ORDER, "data"),
        Input(ids.BACKTEST_SEARCH, "data"),
        State(ids.store("draft"), "data"),
        State(ids.store("sql"), "data"),
        State(ids.URL, "pathname"),
        State(ids.result("run-id"), "children"),
        running=[
            (Output(ids.BACKTEST_TICK, "disabled"), False, True),
            (Output(ids.SQL_EDITOR, "disabled"), True, False),
        ],
        prevent_initial_call=True,
    )
    def _show(built: Any, written: Any, search: str | None, *states: Any) -> tuple[Any, ...]:
        raw_draft, raw_sql, pathname, shown = states
        drafts = decode(SLICES["draft"], raw_draft).state, decode(SLICES["sql"], raw_sql).state
        if guards.is_from(ids.RUN) or guards.is_from(ids.SQL_ORDER):
            ordered = built if guards.is_from(ids.RUN) else written
            if not _run_id(ordered):  # the draft was not sound
                raise PreventUpdate
            definition = from_dict(ordered.get("definition"))
            try:
                report = services.backtests.run(definition, _run_id(ordered), person=guards.person())
            except SqlError as problem:
                show_problem(definition, problem)
                return (no_update,) * (len(LEAVES) + 5)
            return _shown(services, report, drafts)
        route = guards.route(pathname, search)
        if route.page is not Page.BACKTEST or route.run_id == shown:
            raise PreventUpdate
        if route.run_id is None:
            return True, *([no_update] * 4), None, *([no_update] * (len(LEAVES) - 1))
        return _shown(services, services.backtests.report(route.run_id), drafts)

    @app.callback(
        Output(ids.BACKTEST_PROGRESS, "value"),
        Output(ids.BACKTEST_PROGRESS_TEXT, "children"),
        Input(ids.BACKTEST_TICK, "n_intervals"),
        State(ids.RUN, "data"),
        State(ids.SQL_ORDER, "data"),
        State(ids.BACKTEST_TABS, "active_tab"),
        prevent_initial_call=True,
    )
    def _progress(_ticks: Any, built: Any, written: Any, tab: Any) -> tuple[float, str]:
        try:
            record = services.backtests.status(_run_id(written if tab == "sql" else built))
        except InputError as unknown:  # nothing runs here, or the run is not written down yet
            raise PreventUpdate from unknown
        return record.progress, record.stage


def _run_id(asked: Any) -> str:
    """Return the id of the run that a draft ordered; empty where it ordered none."""
    return guards.text(asked.get("id")) if isinstance(asked, dict) else ""


def _shown(services: Services, report: Report, drafts: Sequence[Draft | SqlDraft]) -> tuple[Any, ...]:
    target = _target(report, *drafts)
    save, version, hidden = saving(target)
    named = None if target is None else asdict(target)
    return False, save, version, hidden, named, *_leaves(services, report).values()


def decoded_target(raw: Any) -> Origin:
    """Return the saved signal that a run is to become a version of.

    Raises:
        InputError: the browser sent none.
    """
    known = isinstance(raw, dict) and raw.get("kind") == "signal" and type(raw.get("version")) is int
    if not known or not 0 <= raw["version"] < MOST_VERSIONS:
        raise InputError("This result belongs to no saved signal; save it as a new one.")
    return Origin("signal", guards.text(raw.get("id")), version=raw["version"])


def _register_result(app: Dash, services: Services) -> None:
    # The page of a signal has leaves of a result too: what draws them here must not hear of a query there.
    app.clientside_callback(  # type: ignore[no-untyped-call]
        ClientsideFunction("backtest", "hear"),
        Output(ids.BACKTEST_SEARCH, "data"),
        Input(ids.URL, "search"),
        prevent_initial_call=True,
    )
    # In the browser: it knows whether the reader is still on the page that the answer was for.
    app.clientside_callback(  # type: ignore[no-untyped-call]
        ClientsideFunction("backtest", "address"), Input(ids.result("run-id"), "children"), prevent_initial_call=True
    )

    @app.callback(
        Input(ids.BACKTEST_SAVE, "n_clicks"),
        State(ids.result("run-id"), "children"),
        running=ids.BUSY,
        prevent_initial_call=True,
    )
    def _save(clicks: Any, shown: str | None) -> None:
        guards.clicked(clicks)
        saved = services.signals.save_run(guards.text(shown))
        guards.show_toast("Signal saved", f"{saved.definition.name} is enabled.", "success")
        guards.go(href(Route(Page.SIGNAL, signal_id=saved.id)))

    @app.callback(
        Input(ids.BACKTEST_SAVE_VERSION, "n_clicks"),
        State(ids.BACKTEST_MADE_FROM, "data"),
        State(ids.result("run-id"), "children"),
        running=ids.BUSY,
        prevent_initial_call=True,
    )
    def _save_version(clicks: Any, made_from: Any, shown: Any) -> None:
        guards.clicked(clicks)
        target = decoded_target(made_from)
        saved = services.signals.save_version(target.id, guards.text(shown), target.version)
        guards.show_toast("New version saved", saved.definition.name, "success")
        guards.go(href(Route(Page.SIGNAL, signal_id=saved.id)))

    @app.callback(
        Input(ids.BACKTEST_RULE, "n_clicks"),
        State(ids.result("run-id"), "children"),
        running=ids.BUSY,
        prevent_initial_call=True,
    )
    def _add_to_rule(clicks: Any, shown: Any) -> None:
        guards.clicked(clicks)
        saved = services.signals.save_run(guards.text(shown))
        guards.go(href(Route(Page.PLAYBOOK, signal_id=saved.id)))

    @app.callback(Input(ids.BACKTEST_ANOTHER, "n_clicks"), prevent_initial_call=True)
    def _another(clicks: Any) -> None:
        guards.clicked(clicks)
        guards.go(href(Route(Page.BACKTEST)))
