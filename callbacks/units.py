"""Who carries a signal, and the pages of one user and of one account."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dash import ClientsideFunction, Dash, Input, Output, State, html
from dash.exceptions import PreventUpdate

from beton.errors import BetonError, InputError
from beton.model.unit_facts import CarrierQuery
from beton.services import Services
from callbacks import guards
from layouts import ids
from layouts.account import account_page
from layouts.not_found import account_not_found, user_not_found
from layouts.routes import Route
from layouts.unit import unit_page
from layouts.unit_grid import grid_row, summary_words


def draw(route: Route, services: Services, _states: Mapping[str, Any]) -> html.Div:
    """Return the page of one user, or the 404 page."""
    try:
        facts = services.units.read(route.unit_id or "")
    except BetonError:
        return user_not_found(route.unit_id or "")
    return unit_page(facts)


def draw_account(route: Route, services: Services, _states: Mapping[str, Any]) -> html.Div:
    """Return the page of one account, or the 404 page."""
    try:
        facts = services.units.read_account(route.unit_id or "")
    except BetonError:
        return account_not_found(route.unit_id or "")
    return account_page(facts)


def register(app: Dash, services: Services) -> None:
    """Register the callbacks of the list; the pages have none."""
    app.clientside_callback(  # type: ignore[no-untyped-call]
        ClientsideFunction("carriers", "filter"),
        Input(ids.CARRIERS_SEARCH, "value"),
        Input(ids.CARRIERS_CONVERTED, "value"),
        prevent_initial_call=True,
    )

    @app.callback(
        Output(ids.CARRIERS_GRID, "getRowsResponse"),
        Output(ids.CARRIERS_SUMMARY, "children"),
        Input(ids.CARRIERS_GRID, "getRowsRequest"),
        State(ids.CARRIERS_OF, "data"),
        prevent_initial_call=True,
    )
    def _rows(asked: Any, signal_id: Any) -> tuple[dict[str, Any], str]:
        if not asked:
            raise PreventUpdate
        try:
            page = services.units.carriers(guards.text(signal_id), carrier_query(asked))
        except BetonError as problem:  # a grid without an answer would wait for it and never ask again
            return {"rowData": [], "rowCount": 0}, str(problem)
        rows = [grid_row(each, page.unit) for each in page.rows]
        return {"rowData": rows, "rowCount": page.matching}, summary_words(page)


def carrier_query(asked: Any) -> CarrierQuery:
    """Read AG Grid's request for a block of rows; it comes from a browser and may hold anything.

    Raises:
        InputError: it holds what the grid would not send.
    """
    try:
        start, end = int(asked["startRow"]), int(asked["endRow"])
        order = (asked.get("sortModel") or [{"colId": "matched_at", "sort": "desc"}])[0]
        filters = asked.get("filterModel") or {}
        text, converted = (str(filters.get(name, {}).get("filter", "")) for name in ("who", "outcome"))
        return CarrierQuery(start, end - start, order["colId"], order["sort"] == "desc", text, converted)  # type: ignore[arg-type]
    except (TypeError, ValueError, KeyError, AttributeError, IndexError, OverflowError) as problem:
        raise InputError("The list could not be read: reload the page.") from problem
