"""Sortable tables on AG Grid Community. Formats and cells are named functions in ``assets/grid.js``: a grid is never
given code, and rows hold raw numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import dash_ag_grid as dag
from dash import html

from layouts import ids
from layouts.parts.attributes import aria

# What a column shows. The last two draw the row's ``href`` as a link and its status word as a pill.
Kind = Literal["text", "integer", "decimal", "percent", "points", "lift", "p", "money", "link", "status"]
Row = Mapping[str, Any]

_NUMBERS = {"integer", "decimal", "percent", "points", "lift", "p", "money"}
_CELLS = {"link": "SignalLink", "status": "StatusPill"}


def column(field: str, header: str, kind: Kind = "text", **definition: Any) -> dict[str, Any]:
    """Return a column: its format and filter follow from ``kind``; ``definition`` adds AG Grid attributes."""
    number = kind in _NUMBERS
    made: dict[str, Any] = {
        "field": field,
        "headerName": header,
        "filter": "agNumberColumnFilter" if number else "agTextColumnFilter",
    }
    if number:
        made |= {"type": "rightAligned", "valueFormatter": {"function": f"{kind}(params)"}}
    if kind in _CELLS:
        made["cellRenderer"] = _CELLS[kind]
    return made | definition


def grid(
    id: ids.Id,
    label: str,
    columns: Sequence[dict[str, Any]],
    rows: Sequence[Row],
    *,
    row_id: str = "id",
    currency: str = "USD",
    height_px: int | None = None,
) -> html.Div:
    """Return a grid; update ``rowData`` of ``id``.

    Each row may carry ``href``: Enter or a double click on the row opens it, and ``link`` columns show it.
    ``row_id`` names the field that identifies a row, so that selection survives an update. Without
    ``height_px`` the grid is as tall as its rows.
    """
    drawn = dag.AgGrid(
        id=id,
        columnDefs=list(columns),
        rowData=[dict(row) for row in rows],
        getRowId=f"params.data.{row_id}",
        defaultColDef={"flex": 1, "minWidth": 96, "sortable": True, "suppressHeaderFilterButton": True},
        dashGridOptions={
            "theme": {"function": "betonTheme(themeQuartz, agGrid)"},
            "context": {"currency": currency},
            "domLayout": "autoHeight" if height_px is None else "normal",
            "ensureDomOrder": True,
        },
        eventListeners={"cellKeyDown": ["openRow(params)"], "rowDoubleClicked": ["openRow(params)"]},
        className="b-grid",
        style={"height": None if height_px is None else f"{height_px}px"},
    )
    return html.Div(drawn, role="region", **aria(label=label))
