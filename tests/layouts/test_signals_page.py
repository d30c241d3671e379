from __future__ import annotations

import json
import math
from typing import Any

from shell_fakes import DEMO
from test_result_view import HARMFUL, HOSTILE, REFUSED, UNBOUNDED, evidence, inside, report, texts

from beton.model.signal import SignalDefinition, from_dict
from beton.services.signals import SavedSignal, SignalReport
from layouts import ids
from layouts.signals import COLUMNS, grid_row, signals


def definition(name: str = "Onboarded", **changes: Any) -> SignalDefinition:
    return from_dict({"name": name, "when": {"event": "onboarding_completed", "within_days": 3}} | changes)


def saved(name: str = "Onboarded", enabled: bool = True, demo: bool = False, **changes: Any) -> SavedSignal:
    return SavedSignal("sig_001", enabled, demo, 1, definition(name, **changes))


def shown(page: Any) -> Any:
    """Return the page's grid, if it has one."""
    return next((each for each in inside(page) if getattr(each, "id", None) == ids.SIGNALS_GRID), None)


def test_without_data_and_without_signals_the_page_shows_the_next_step() -> None:
    assert "beton demo" in str(signals(None, [], "USD"))
    empty = signals(DEMO, [], "USD")
    assert shown(empty) is None
    assert "No signals yet" in str(empty)


def test_a_row_holds_raw_numbers_for_the_columns() -> None:
    row = grid_row(SignalReport(saved(), report(evidence()), None))

    assert set(row) == {each["field"] for each in COLUMNS} | {"id", "href"}
    assert (row["units"], row["verdict"], row["status"]) == (1_247, "Enable", "enabled")
    assert math.isclose(row["lift"], (177 / 1_247) / (304 / 8_934))
    assert row["href"] == "/signals/sig_001"


def test_what_cannot_be_measured_has_no_numbers() -> None:
    for each in (SignalReport(saved(), None, "the event is gone"), SignalReport(saved(), report(REFUSED), None)):
        row = grid_row(each)
        assert row["verdict"] == "Cannot tell"
        assert {"lift", "interval", "units", "leads", "arr"} & set(row) == set()


def test_rows_are_json_whatever_the_result() -> None:
    rows = [grid_row(SignalReport(saved(), report(each), None)) for each in (UNBOUNDED, HARMFUL, evidence())]
    json.dumps(rows, allow_nan=False)


def test_names_are_data_of_the_grid_and_no_cell_runs_code() -> None:
    page = signals(DEMO, [SignalReport(saved(HOSTILE[:60], enabled=False), report(evidence()), None)], "EUR")
    grid = shown(page)

    assert grid.rowData[0]["name"] == HOSTILE[:60]
    assert getattr(grid, "dangerously_allow_code", None) is None
    assert "onerror" not in json.dumps([grid.columnDefs, grid.dashGridOptions])
    assert grid.dashGridOptions["context"] == {"currency": "EUR"}
    assert "1 signal saved · 0 enabled" in texts(page)
