"""The Backtest page: edit the draft, run it, show the run in the address, save it."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from dash import ALL, ClientsideFunction, Dash, Input, Output, State, html, no_update
from dash.exceptions import PreventUpdate

from beton.errors import BetonError, InputError
from beton.model.signal import from_dict
from beton.model.words import sentence
from beton.services import Services
from beton.services.backtests import Report
from callbacks import guards
from layouts import ids
from layouts.backtest import backtest
from layouts.builder import builder
from layouts.result_view import LEAVES, leaves
from layouts.routes import Page, Route, href
from store import SLICES
from store.codec import decode, encode
from store.draft import Check, Draft, check, located, places_of, reduce, visible_errors, with_values
from store.events import Event

FIELDS = {"slice": "field", "intent": ALL, "key": ALL, "at": ALL}
ERRORS = {**FIELDS, "slice": "field-error"}
Answer = tuple[Any, Any, Any]  # the draft, the builder's rows, the run to start
EMPTY_SENTENCE = "Choose an event or a property to begin."
MOST_PRESSES = 20  # of one button while an answer was on its way; a forged count may be anything


def draw(route: Route, services: Services, states: Mapping[str, Any]) -> html.Div:
    """Return the page, with the result of the run in the address."""
    manifest = services.workspace.manifest_or_none()
    values, problem = None, None
    if manifest is not None and route.run_id:
        try:
            values = _leaves(services, services.backtests.report(route.run_id))
        except BetonError as error:
            problem = str(error)
    draft = states["draft"]
    return backtest(manifest, draft, _sentence(_checked(draft, services)), values, problem)


def _leaves(services: Services, report: Report) -> dict[str, Any]:
    return leaves(report, services.settings.read().min_lift)


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
        prevent_initial_call=True,
    )
    def _write(clicks: Any, values: Any, name: Any, unit: Any, run: Any, *states: Any) -> Answer:
        fields, buttons, raw, last_run = states
        before = decode(SLICES["draft"], raw).state
        pressed = pending(guards.named(buttons), clicks)
        wants_run = (run or 0) > (last_run or {}).get("clicks", 0)
        after = edited(before, typed(guards.named(fields), values), str(name or ""), str(unit or "user"), pressed)
        if wants_run:
            after = replace(after, attempted=True)
        if after == before and not pressed and not wants_run:
            raise PreventUpdate
        kept = no_update if after == before else _kept(after)
        rows = builder(after, services.workspace.manifest()) if pressed else no_update
        return kept, rows, {**_order(after, services), "clicks": run} if wants_run else no_update

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


def _kept(draft: Draft) -> dict[str, Any]:
    try:
        return encode(SLICES["draft"], draft)
    except ValueError as problem:
        raise InputError("This signal is too large to keep; shorten its values or remove rows.") from problem


def edited(draft: Draft, values: dict[tuple[str, str], Any], name: str, unit: str, pressed: list[Event]) -> Draft:
    """Return the draft with what the fields hold now, and then with the buttons that were pressed."""
    taken = replace(with_values(draft, values), name=name, unit=unit if unit in ("user", "account") else "user")
    for event in pressed:
        taken = reduce(taken, event.intent, event.key)
    return taken


def _order(draft: Draft, services: Services) -> dict[str, Any]:
    """The run to start, or nothing but a toast when the draft is not sound."""
    definition = _checked(draft, services).definition
    if definition is None:
        guards.show_toast("Not run", "Correct the fields that are marked, then run again.", "error")
        return {}
    return {"id": uuid.uuid4().hex, "definition": definition.to_dict()}


def _register_run(app: Dash, services: Services) -> None:
    @app.callback(
        Output(ids.BACKTEST_RESULTS, "hidden"),
        *[Output(ids.result(name), prop) for name, prop in LEAVES.items()],
        Input(ids.RUN, "data"),
        Input(ids.BACKTEST_SEARCH, "data"),
        State(ids.URL, "pathname"),
        State(ids.result("run-id"), "children"),
        running=[(Output(ids.BACKTEST_TICK, "disabled"), False, True)],
        prevent_initial_call=True,
    )
    def _show(asked: Any, search: str | None, pathname: str | None, shown: str | None) -> tuple[Any, ...]:
        if guards.is_from(ids.RUN):
            if not _run_id(asked):  # the draft was not sound
                raise PreventUpdate
            report = services.backtests.run(from_dict(asked.get("definition")), _run_id(asked))
            return False, *_leaves(services, report).values()
        route = guards.route(pathname, search)
        if route.page is not Page.BACKTEST or route.run_id == shown:
            raise PreventUpdate
        if route.run_id is None:
            return True, None, *([no_update] * (len(LEAVES) - 1))
        return False, *_leaves(services, services.backtests.report(route.run_id)).values()

    @app.callback(
        Output(ids.BACKTEST_PROGRESS, "value"),
        Output(ids.BACKTEST_PROGRESS_TEXT, "children"),
        Input(ids.BACKTEST_TICK, "n_intervals"),
        State(ids.RUN, "data"),
        prevent_initial_call=True,
    )
    def _progress(_ticks: Any, asked: Any) -> tuple[float, str]:
        try:
            record = services.backtests.status(_run_id(asked))
        except InputError as unknown:  # nothing runs here, or the run is not written down yet
            raise PreventUpdate from unknown
        return record.progress, record.stage


def _run_id(asked: Any) -> str:
    """Return the id of the run that a draft ordered; empty where it ordered none."""
    return guards.text(asked.get("id")) if isinstance(asked, dict) else ""


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

    @app.callback(Input(ids.BACKTEST_ANOTHER, "n_clicks"), prevent_initial_call=True)
    def _another(clicks: Any) -> None:
        guards.clicked(clicks)
        guards.go(href(Route(Page.BACKTEST)))
