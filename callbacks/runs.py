"""Discovery runs: the list, the page of one, its dots, and its tables as files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dash import ClientsideFunction, Dash, Input, Output, State, html
from flask import Response, abort, send_file

from beton.errors import BetonError
from beton.model.signal import content_hash
from beton.services import Services
from callbacks import guards
from layouts import ids, routes
from layouts.routes import Route
from layouts.run_page import run_page
from layouts.runs import run_not_found, run_unreadable, runs
from layouts.shuffle_card import LEAVES, leaves

if TYPE_CHECKING:
    from beton.records.rows import JobRecord
    from beton.services.discovery import DiscoveryRun


def draw_list(_route: Route, services: Services, _states: Mapping[str, Any]) -> html.Div:
    """Return the list of runs."""
    return runs(services.workspace.manifest_or_none(), services.discovery_runs.listed())


def draw_run(route: Route, services: Services, _states: Mapping[str, Any]) -> html.Div:
    """Return the page of one run, or why there is none."""
    run_id = route.run_id or ""
    try:
        view = services.discovery_runs.view(run_id)
    except BetonError as problem:
        return run_unreadable(str(problem)) if services.discovery_runs.exists(run_id) else run_not_found(run_id)
    return run_page(view, services.workspace.manifest_or_none(), _shuffle_of(view.run, services))


def _shuffle_of(run: DiscoveryRun, services: Services) -> JobRecord | None:
    """Return the newest shuffle test if it asks what this run asked, of the data that is current now."""
    job, manifest = services.discovery.shuffle_job(), services.workspace.manifest_or_none()
    if job is None or manifest is None or job.created_at < manifest.built_at:
        return None
    asked = [job.payload["settings"], job.payload["outcome"]]
    own = [run.result.settings.to_dict(), run.result.outcome.to_dict()]
    return job if content_hash(asked) == content_hash(own) else None


def register(app: Dash, services: Services) -> None:
    """Register the click on a dot, the shuffle test and the download of tables."""
    _register_shuffle(app, services)
    app.clientside_callback(  # type: ignore[no-untyped-call]
        ClientsideFunction("signals", "open"), Input(ids.DISCOVERY_VOLCANO, "clickData"), prevent_initial_call=True
    )

    def _table(run_id: str, name: str, extension: str) -> Response:
        """Send a table as a plain file: it may be far larger than what a callback should answer."""
        try:
            if extension == "csv":
                return Response(services.discovery_runs.table_csv(run_id, name), mimetype="text/csv")
            if extension == "parquet":
                path = services.discovery_runs.table(run_id, name).resolve()
                return send_file(path, mimetype="application/vnd.apache.parquet")
        except BetonError as problem:
            abort(404, str(problem))
        abort(404)

    app.server.add_url_rule(f"{routes.RUN_TABLE_PATH}/<run_id>/<name>.<extension>", "run_table", _table)


def _register_shuffle(app: Dash, services: Services) -> None:
    """Register the only writer of the shuffle test: every answer says the whole state, as the database has it."""

    @app.callback(
        *[Output(owner, prop) for owner, prop in LEAVES],
        Input(ids.SHUFFLE_RUN, "n_clicks"),
        Input(ids.SHUFFLE_CANCEL, "n_clicks"),
        Input(ids.SHUFFLE_TICK, "n_intervals"),
        State(ids.SHUFFLE_OF, "data"),
        prevent_initial_call=True,
    )
    def _follow(start: Any, cancel: Any, tick: Any, run_id: Any) -> tuple[Any, ...]:
        guards.clicked(start, cancel, tick)
        run = services.discovery_runs.read(guards.text(run_id))
        is_current = services.workspace.manifest().version == run.result.snapshot_version
        if guards.pressed(ids.SHUFFLE_CANCEL):
            services.discovery.cancel_shuffle()
        elif guards.pressed(ids.SHUFFLE_RUN) and is_current:
            services.discovery.request_shuffle(run.result.settings, run.result.outcome)
        return tuple(leaves(_shuffle_of(run, services), is_current=is_current).values())
