"""The Backtest page: edit the draft, run it, show the run in the address, save it."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from dash import ALL, Dash, Input, Output, State, html, no_update
from dash.exceptions import PreventUpdate

from beton.errors import BetonError, InputError
from beton.model.signal import from_dict
from beton.model.words import sentence
from beton.services import Services
from beton.services.backtests import Report
from callbacks import guards
from layouts import ids, routes
from layouts.backtest import backtest
from layouts.builder import builder
from layouts.result_view import LEAVES, leaves
from layouts.routes import Page, Route, href, parse
from store import SLICES
from store.codec import decode, encode
from store.draft import TRANSITIONS, Check, Draft, check, located, places_of, reduce, visible_errors, with_values

FIELDS = {"slice": "field", "intent": ALL, "key": ALL, "at": ALL}
ERRORS = {**FIELDS, "slice": "field-error"}
Answer = tuple[Any, Any, Any]  # the draft, the builder's rows, the run to start
EMPTY_SENTENCE = "Choose an event or a property to begin."


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
        State(ids.store("draft"), "data"),
        prevent_initial_call=True,
    )
    def _write(
        _clicks: Any, values: Any, name: Any, unit: Any, _run: Any, named: Any, raw: Any
    ) -> tuple[Any, Any, Any]:
        before = decode(SLICES["draft"], raw).state
        event = guards.meant(ids.BACKTEST_RUN)
        after = edited(before, typed(named, values), str(name or ""), str(unit or "user"), event)
        if after == before and event is None:
            raise PreventUpdate
        return _answer(before, after, event, services)

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


def edited(draft: Draft, values: dict[tuple[str, str], Any], name: str, unit: str, event: Any) -> Draft:
    """Return the draft with what the fields hold now, and then with the button that was pressed."""
    from dataclasses import replace

    taken = replace(with_values(draft, values), name=name, unit=unit if unit in ("user", "account") else "user")
    if event is None:
        return taken
    if event.intent == "run":
        return replace(taken, attempted=True)
    return reduce(taken, event.intent, event.key)


def _answer(before: Draft, draft: Draft, event: Any, services: Services) -> Answer:
    """The new draft; new rows where the tree changed; a run to start where Run was pressed on a sound draft."""
    kept = encode(SLICES["draft"], draft)
    if event is None:
        return kept, no_update, no_update
    if event.intent in TRANSITIONS:
        return kept, builder(draft, services.workspace.manifest()), no_update
    definition = _checked(draft, services).definition
    if definition is None:
        guards.show_toast("Not run", "Correct the fields that are marked, then run again.", "error")
        return kept, no_update, no_update
    return (
        no_update if draft == before else kept,
        no_update,
        {"id": uuid.uuid4().hex, "definition": definition.to_dict()},
    )


def _register_run(app: Dash, services: Services) -> None:
    @app.callback(
        Output(ids.BACKTEST_RESULTS, "hidden"),
        *[Output(ids.result(name), prop) for name, prop in LEAVES.items()],
        Input(ids.RUN, "data"),
        Input(ids.URL, "search"),
        State(ids.URL, "pathname"),
        State(ids.result("run-id"), "children"),
        running=[(Output(ids.BACKTEST_TICK, "disabled"), False, True)],
        prevent_initial_call=True,
    )
    def _show(asked: Any, search: str | None, pathname: str | None, shown: str | None) -> tuple[Any, ...]:
        if guards.is_from(ids.RUN) and asked:
            report = services.backtests.run(from_dict(asked["definition"]), asked["id"])
            guards.set_search(routes.search(Route(Page.BACKTEST, run_id=report.run_id)))
            return False, *_leaves(services, report).values()
        route = parse(pathname, search)
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
        record = services.backtests.status(asked["id"])
        return record.progress, record.stage


def _register_result(app: Dash, services: Services) -> None:
    @app.callback(
        Output(ids.URL, "pathname"),
        Input(ids.BACKTEST_SAVE, "n_clicks"),
        State(ids.URL, "search"),
        State(ids.URL, "pathname"),
        running=ids.BUSY,
        prevent_initial_call=True,
    )
    def _save(clicks: Any, search: str | None, pathname: str | None) -> str:
        guards.clicked(clicks)
        run_id = parse(pathname, search).run_id
        saved = services.signals.save_run(run_id or "")
        guards.show_toast("Signal saved", f"{saved.definition.name} is enabled.", "success")
        return href(Route(Page.SIGNAL, signal_id=saved.id))

    @app.callback(Input(ids.BACKTEST_ANOTHER, "n_clicks"), prevent_initial_call=True)
    def _another(clicks: Any) -> None:
        guards.clicked(clicks)
        guards.go(href(Route(Page.BACKTEST)))
