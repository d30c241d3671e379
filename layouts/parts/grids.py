"""Sortable tables on AG Grid Community. Formats and cells are named functions in ``assets/grid.js``: a grid is never
given code, and rows hold raw numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import dash_ag_grid as dag
from dash import html

from layouts import ids
from layouts.parts.attributes import aria

# What a column shows. The last three draw the row's ``href`` as a link, its status word as a pill, and its level of
# evidence with the words in the row's ``<field>_line``.
Kind = Literal["text", "integer", "decimal", "percent", "points", "lift", "p", "money", "link", "status", "rung"]
Row = Mapping[str, Any]

# AG Grid events with the calls of named functions that answer them.
Listeners = Mapping[str, Sequence[str]]
OPENS: Listeners = {"cellKeyDown": ["openRow(params)"], "rowClicked": ["openRow(params)"]}

_NUMBERS = {"integer", "decimal", "percent", "points", "lift", "p", "money"}
_CELLS = {"link": "SignalLink", "status": "StatusPill", "rung": "Rung"}


def column(field: str, header: str, kind: Kind = "text", **definition: Any) -> dict[str, Any]:
    """Return a column: its format and filter follow from ``kind``; ``definition`` adds AG Grid attributes.

    A figure may have a smaller line below it, the row's ``<field>_line``, and a reason, the row's ``<field>_why``,
    which shows where the pointer rests on it.
    """
    number = kind in _NUMBERS
    made: dict[str, Any] = {
        "field": field,
        "headerName": header,
        "filter": "agNumberColumnFilter" if number else "agTextColumnFilter",
    }
    if number:
        shown = {"valueFormatter": {"function": f"{kind}(params)"}, "cellRenderer": "Figure"}
        made |= {"type": "rightAligned", **shown}
    if kind in _CELLS:
        made["cellRenderer"] = _CELLS[kind]
    return made | definition


def grid(
    id: ids.Id,
    label: str,
    columns: Sequence[dict[str, Any]],
    rows: Sequence[Row],
    *,
    listeners: Listeners = OPENS,
    currency: str = "USD",
    height_px: int | None = None,
) -> html.Div:
    """Return a grid; update ``rowData`` of ``id``.

    Each row has an ``id``, so that selection survives an update. It may carry ``href``: a click and Enter open it, and
    ``link`` columns show it. Without ``height_px`` the grid is as tall as its rows.
    """
    drawn = dag.AgGrid(
        id=id,
        columnDefs=list(columns),
        rowData=[dict(row) for row in rows],
        getRowId="params.data.id",
        defaultColDef={"flex": 1, "minWidth": 96, "sortable": True, "suppressHeaderFilterButton": True},
        dashGridOptions={
            "theme": {"function": "betonTheme(themeQuartz, agGrid)"},
            "context": {"currency": currency},
            "domLayout": "autoHeight" if height_px is None else "normal",
            "ensureDomOrder": True,
        },
        eventListeners={event: list(calls) for event, calls in listeners.items()},
        className="b-grid",
        style={"height": None if height_px is None else f"{height_px}px"},
    )
    return html.Div(drawn, role="region", **aria(label=label))


def endless_grid(
    id: ids.Id,
    label: str,
    columns: Sequence[dict[str, Any]],
    *,
    listeners: Listeners = OPENS,
    height_px: int,
) -> html.Div:
    """Return a grid that asks for its rows while it is scrolled, sorted or filtered, and keeps at most 500 of them.

    Answer ``getRowsRequest`` of ``id`` with a ``getRowsResponse`` of ``rowData`` and ``rowCount``. One request is
    under way at a time: Dash would drop the answer to the first of two. Rows open as those of ``grid`` do.
    """
    region = grid(id, label, columns, [], listeners=listeners, height_px=height_px)
    drawn: Any = region.children
    del drawn.rowData
    drawn.rowModelType = "infinite"
    drawn.dashGridOptions |= {"cacheBlockSize": 100, "maxBlocksInCache": 5, "maxConcurrentDatasourceRequests": 1}
    return region
