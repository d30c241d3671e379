from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any, get_args

from shell_fakes import DEMO
from test_result_view import HARMFUL, HOSTILE, REFUSED, UNBOUNDED, evidence, inside, report, texts

from beton.model.settings import CompanySettings
from beton.model.signal import SignalDefinition, from_dict
from beton.services.reading import Label
from beton.services.signals import SavedSignal, SignalReport
from layouts import ids
from layouts.routes import VERDICTS, SignalFilter
from layouts.signals import COLUMNS, NO_SOURCE, forest_row, grid_row, leaves, listed, signals, slug


def definition(name: str = "Onboarded", **changes: Any) -> SignalDefinition:
    return from_dict({"name": name, "when": {"event": "onboarding_completed", "within_days": 3}} | changes)


def saved(name: str = "Onboarded", enabled: bool = True, demo: bool = False, **changes: Any) -> SavedSignal:
    return SavedSignal("sig_001", enabled, demo, 1, definition(name, **changes))


def shown(page: Any) -> Any:
    """Return the page's grid, if it has one."""
    return next((each for each in inside(page) if getattr(each, "id", None) == ids.SIGNALS_GRID), None)


def test_without_data_and_without_signals_the_page_shows_the_next_step() -> None:
    assert "beton demo" in str(signals(None, [], CompanySettings()))
    empty = signals(DEMO, [], CompanySettings())
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
    page = signals(
        DEMO,
        [SignalReport(saved(HOSTILE[:60], enabled=False), report(evidence()), None)],
        CompanySettings(currency="EUR"),
    )
    grid = shown(page)

    assert grid.rowData[0]["name"] == HOSTILE[:60]
    assert getattr(grid, "dangerously_allow_code", None) is None
    assert "onerror" not in json.dumps([grid.columnDefs, grid.dashGridOptions])
    assert grid.dashGridOptions["context"] == {"currency": "EUR"}
    assert "1 signal · 0 enabled · 1 shown" in texts(page)


def four() -> list[SignalReport]:
    """Return a good signal, a harmful one that is disabled, one without an upper limit, and one not measured."""
    made = (
        (saved("Pricing page", source="PostHog", description="Looked at prices."), report(evidence())),
        (saved("Support tickets", enabled=False, source="Intercom"), report(HARMFUL)),
        (saved("Contract", source="Attio"), report(UNBOUNDED)),
        (saved("Gone"), None),
    )
    return [
        SignalReport(replace(signal, id=f"sig_{number}"), found, None if found else "the event is gone")
        for number, (signal, found) in enumerate(made)
    ]


def names(**chosen: str) -> list[str]:
    return [each.signal.definition.name for each in listed(four(), SignalFilter(**chosen))]


def test_the_list_starts_with_the_highest_lift_and_ends_with_what_cannot_be_measured() -> None:
    assert names() == ["Contract", "Pricing page", "Support tickets", "Gone"]


def test_every_filter_narrows_the_list() -> None:
    assert names(status="disabled") == ["Support tickets"]
    assert names(lift="3") == ["Contract", "Pricing page"]
    assert names(lift="harmful") == ["Support tickets"]
    assert names(source="Attio") == ["Contract"]
    assert names(source=NO_SOURCE) == ["Gone"]
    assert names(verdict="cannot-tell") == ["Gone"]
    assert names(verdict="enable", status="enabled", q="PRIC looked") == ["Pricing page"]
    assert names(q="onboarding_completed") == names()
    assert names(q="nothing like it") == []
    assert names(source="Mars") == names(), "a source that nothing has is no filter"


def test_the_verdicts_of_the_address_are_those_of_the_engine() -> None:
    assert [slug(label) for label in get_args(Label)] == list(VERDICTS)


def by_id(page: Any) -> dict[str, Any]:
    return {each.id: each for each in inside(page) if isinstance(getattr(each, "id", None), str)}


def test_the_controls_and_the_list_follow_the_address() -> None:
    chosen = SignalFilter(lift="3", source="Attio", q="contract")
    at = by_id(signals(DEMO, four(), CompanySettings(), chosen))

    assert [at[each].value for each in (ids.SIGNALS_LIFT, ids.SIGNALS_SOURCE, ids.SIGNALS_SEARCH)] == [
        "3",
        "Attio",
        "contract",
    ]
    assert at[ids.SIGNALS_STATUS].value == ""
    assert [option["value"] for option in at[ids.SIGNALS_SOURCE].options] == [
        "",
        "Attio",
        NO_SOURCE,
        "Intercom",
        "PostHog",
    ]
    assert [row["name"] for row in at[ids.SIGNALS_GRID].rowData] == ["Contract"]
    assert at[ids.SIGNALS_SUMMARY].children == "4 signals · 3 enabled · 1 shown"
    assert "d-none" not in at[ids.SIGNALS_CLEAR].className
    assert at[ids.SIGNALS_EMPTY].hidden


def test_the_page_is_drawn_with_what_its_leaves_say() -> None:
    for chosen in (SignalFilter(), SignalFilter(q="nothing like it"), SignalFilter(verdict="cannot-tell")):
        at = by_id(signals(DEMO, four(), CompanySettings(), chosen))
        for (owner, prop), value in leaves(four(), chosen, CompanySettings().min_lift).items():
            assert str(getattr(at[owner], prop)) == str(value), (owner, prop)


def test_when_nothing_matches_only_the_way_back_is_shown() -> None:
    at = by_id(signals(DEMO, four(), CompanySettings(), SignalFilter(q="nothing like it")))
    assert (at[ids.SIGNALS_LISTED].hidden, at[ids.SIGNALS_FOREST_CARD].hidden) == (True, True)
    assert not at[ids.SIGNALS_EMPTY].hidden
    assert at[ids.SIGNALS_EXPORT].disabled
    assert ids.SIGNALS_CLEAR_EMPTY in at


def test_the_forest_has_what_is_measured_with_a_table_beside_it() -> None:
    rows = [row for row in map(forest_row, listed(four(), SignalFilter())) if row is not None]
    assert [row.name for row in rows] == ["Contract", "Pricing page", "Support tickets"]
    assert rows[0].lift == math.inf
    body = leaves(four(), SignalFilter(), 1.5)[f"{ids.SIGNALS_FOREST_TABLE}-body", "children"]
    assert len(body) == 3
    assert "/signals/sig_2" in str(body[0])
