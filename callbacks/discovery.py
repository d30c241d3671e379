"""Run Discovery: start it, follow it, cancel it. Every answer says the whole state, as the database has it."""

from __future__ import annotations

from typing import Any

from dash import Dash, Input, Output, State, no_update

from beton.model.discovery import DiscoverySettings
from beton.services import Services
from callbacks import guards
from layouts import ids
from layouts.discovery_panel import LEAVES, leaves


def register(app: Dash, services: Services) -> None:
    """Register the panel's only writer.

    One callback, because an answer that arrives after a later one was asked for is dropped: whichever comes last then
    says how things stand, whoever pressed what.
    """

    @app.callback(
        Output(ids.DISCOVERY_NEWEST, "data"),
        *[Output(owner, prop) for owner, prop in LEAVES],
        Input(ids.DISCOVERY_RUN, "n_clicks"),
        Input(ids.DISCOVERY_RUN_EMPTY, "n_clicks"),
        Input(ids.DISCOVERY_CANCEL, "n_clicks"),
        Input(ids.DISCOVERY_TICK, "n_intervals"),
        State(ids.DISCOVERY_NEWEST, "data"),
        prevent_initial_call=True,
    )
    def _follow(run: Any, run_empty: Any, cancel: Any, tick: Any, newest: Any) -> tuple[Any, ...]:
        guards.clicked(run, run_empty, cancel, tick)
        version = services.workspace.manifest().version
        if guards.pressed(ids.DISCOVERY_CANCEL):
            services.discovery.cancel()
        elif guards.pressed(ids.DISCOVERY_RUN, ids.DISCOVERY_RUN_EMPTY):
            services.discovery.request(DiscoverySettings())
        now, last = services.discovery.standing(), services.discovery_runs.newest()
        shown = leaves(now, last, version)
        is_new = last is not None and last.id != newest and not (now.job and now.job.is_open)
        return last.id if last is not None and is_new else no_update, *shown.values()
