from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import pytest
from made_runs import brief, estimate
from shell_fakes import DEMO
from test_discovery_panel import NOON, STATES
from test_result_view import HARMFUL, HOSTILE, REFUSED, UNBOUNDED, evidence, inside, report, texts

from beton.model.evidence import Table
from beton.model.examination import CannotExamine
from beton.model.ladder import LABELS, NO_DIFFERENCE, Rung
from beton.model.settings import CompanySettings
from beton.model.signal import SignalDefinition, from_dict
from beton.services.discovery import Standing
from beton.services.listing import Listed
from beton.services.signals import SavedSignal, SignalReport
from layouts import ids
from layouts.routes import EVIDENCE, THRESHOLDS, SignalFilter
from layouts.signals import EVIDENCE_CHOICES, THRESHOLD_CHOICES, Shown, leaves, signals
from layouts.signals_rows import COLUMNS, NO_SOURCE, forest_row, grid_row, listed

SETTINGS = CompanySettings()
IDLE = Standing(NOON, None)


def definition(name: str = "Onboarded", **changes: Any) -> SignalDefinition:
    return from_dict({"name": name, "when": {"event": "onboarding_completed", "within_days": 3}} | changes)


def saved(name: str = "Onboarded", enabled: bool = True, demo: bool = False, **changes: Any) -> SavedSignal:
    return SavedSignal("sig_001", enabled, demo, 1, definition(name, **changes))


def one(signal: SavedSignal, found: Any, **changes: Any) -> Listed:
    problem = None if found else "the event is gone"
    made = Listed(SignalReport(signal, report(found) if found else None, problem), CannotExamine("Not examined."))
    return replace(made, **changes)


def drawn(listed: list[Listed], chosen: SignalFilter = SignalFilter(), **settings: Any) -> Any:  # noqa: B008  # frozen
    return signals(DEMO, Shown(listed, chosen, CompanySettings(**settings)), IDLE, None)


def shown(page: Any) -> Any:
    """Return the page's grid."""
    return next(each for each in inside(page) if getattr(each, "id", None) == ids.SIGNALS_GRID)


def by_id(page: Any) -> dict[str, Any]:
    return {each.id: each for each in inside(page) if isinstance(getattr(each, "id", None), str)}


def test_without_data_the_page_shows_the_next_step() -> None:
    page = signals(None, Shown([], SignalFilter(), SETTINGS), IDLE, None)
    assert "beton demo" in str(page)
    assert ids.DISCOVERY_RUN not in by_id(page)


def test_without_signals_run_discovery_is_the_main_action() -> None:
    at = by_id(drawn([]))
    assert at[ids.SIGNALS_SOME].hidden
    assert not at[ids.SIGNALS_NONE].hidden
    assert at[ids.DISCOVERY_RUN_EMPTY].className == "btn btn-primary"
    assert at[ids.DISCOVERY_RUN].hidden, "one of a kind is enough"

    some = by_id(drawn([one(saved(), evidence())]))
    assert (some[ids.SIGNALS_SOME].hidden, some[ids.DISCOVERY_RUN].hidden) == (False, False)
    assert some[ids.SIGNALS_NONE].hidden


def test_while_discovery_runs_it_cannot_be_started_again() -> None:
    page = signals(DEMO, Shown([], SignalFilter(), SETTINGS), STATES["running"][0], None)
    at = by_id(page)
    assert at[ids.DISCOVERY_RUN].disabled
    assert at[ids.DISCOVERY_RUN_EMPTY].disabled
    assert not at[ids.DISCOVERY_TICK].disabled


def test_a_row_holds_raw_numbers_for_the_columns() -> None:
    row = grid_row(one(saved(), evidence(), brief=brief()))

    assert {each["field"] for each in COLUMNS} <= set(row)
    assert (row["units"], row["status"], row["evidence"], row["evidence_line"]) == (
        1_247,
        "enabled",
        3,
        "Survives adjustment",
    )
    assert math.isclose(row["lift"], (177 / 1_247) / (304 / 8_934))
    assert row["lift_line"] == "3.5x – 5.0x"
    assert "177 of 1,247 with the signal" in row["lift_why"]
    assert "2.6x (2.1x – 3.3x)" in row["lift_why"], "shrunk, for having been picked from many"
    assert (row["confidence"], row["held_out"]) == (0.987, 2.5)
    assert row["held_out_line"] == "1.7x – 3.8x"
    assert "20 of 200 with the signal" in row["held_out_why"]
    assert row["evidence_why"] == "Reason of level 3. q < 0.001 over 301,741 candidates of the discovery run"
    assert row["href"] == "/signals/sig_001"


def test_what_cannot_be_told_has_no_number_but_a_reason() -> None:
    for each in (one(saved(), None), one(saved(), REFUSED)):
        row = grid_row(each)
        assert {"lift", "units", "leads", "arr", "confidence", "evidence", "held_out"} & set(row) == set()
        assert row["evidence_why"] == row["confidence_why"] == row["held_out_why"] == "Not examined."
        assert row["lift_why"]
    assert grid_row(one(saved(), None))["lift_why"] == "the event is gone"

    unlisted = grid_row(
        one(saved(), evidence(), brief=brief(confidence=None, held_out=estimate(None, Table(0, 0, 5, 90))))
    )
    assert unlisted["confidence"] is None
    assert "discovery run" in unlisted["confidence_why"]
    assert "held_out" not in unlisted
    assert unlisted["held_out_why"] == "Later cohorts cannot tell: nobody has the signal"
    unbounded = grid_row(one(saved(), UNBOUNDED))
    assert unbounded["lift"] is None
    assert unbounded["lift_why"].startswith("Nobody without the signal converted")


def test_no_signal_is_shown_as_certain() -> None:
    assert grid_row(one(saved(), evidence(), brief=brief(confidence=1.0)))["confidence"] < 1


def test_rows_are_json_whatever_the_result() -> None:
    found = (brief(), brief(0, confidence=None), CannotExamine("no"))
    rows = [grid_row(one(saved(), each, brief=of)) for each in (UNBOUNDED, HARMFUL, evidence(), None) for of in found]
    json.dumps(rows, allow_nan=False)


def test_names_are_data_of_the_grid_and_no_cell_runs_code() -> None:
    page = drawn([one(saved(HOSTILE[:60], enabled=False), evidence())], currency="EUR")
    grid = shown(page)

    assert grid.rowData[0]["name"] == HOSTILE[:60]
    assert getattr(grid, "dangerously_allow_code", None) is None
    assert "onerror" not in json.dumps([grid.columnDefs, grid.dashGridOptions])
    assert grid.dashGridOptions["context"] == {"currency": "EUR"}
    assert "1 signal · 0 enabled · 1 shown" in texts(page)


def test_a_click_or_enter_on_a_row_opens_it() -> None:
    listeners = shown(drawn([one(saved(), evidence())])).eventListeners
    assert listeners["rowClicked"] == listeners["cellKeyDown"] == ["openRow(params)"]
    assert "rowDoubleClicked" not in listeners


def four() -> list[Listed]:
    """Return a signal without an upper limit, a good one, a harmful one that is disabled, and one not measured."""
    made = (
        one(saved("Contract", source="Attio"), UNBOUNDED, brief=brief(1)),
        one(saved("Pricing page", source="PostHog", description="Looked at prices."), evidence(), brief=brief(3)),
        one(saved("Support tickets", enabled=False, source="Intercom"), HARMFUL, brief=brief(2)),
        one(saved("Gone"), None),
    )
    return [
        replace(each, report=replace(each.report, signal=replace(each.report.signal, id=f"sig_{n}")))
        for n, each in enumerate(made)
    ]


def names(signals: list[Listed] | None = None, **chosen: str) -> list[str]:
    kept = listed(four() if signals is None else signals, SignalFilter(**chosen))
    return [each.report.signal.definition.name for each in kept]


def test_every_filter_narrows_the_list() -> None:
    assert names() == ["Contract", "Pricing page", "Support tickets", "Gone"]
    assert names(status="disabled") == ["Support tickets"]
    assert names(lift="3") == ["Contract", "Pricing page"]
    assert names(lift="harmful") == ["Support tickets"]
    assert names(source="Attio") == ["Contract"]
    assert names(source=NO_SOURCE) == ["Gone"]
    assert names(evidence="2") == ["Pricing page", "Support tickets"]
    assert names(evidence="3") == ["Pricing page"]
    assert names(evidence="0") == ["Gone"], "what cannot be told is not shown either"
    assert names(evidence="1", status="enabled", q="PRIC looked") == ["Pricing page"]
    assert names(q="onboarding_completed") == names()
    assert names(q="nothing like it") == []
    assert names(source="Mars") == names(), "a source that nothing has is no filter"


def test_no_difference_shown_is_no_evidence() -> None:
    nothing = brief(0, rung=Rung(0, NO_DIFFERENCE, "q-value 0.4: chance alone would show as much"))
    signals = [one(saved(), evidence(), brief=nothing)]
    assert (names(signals, evidence="0"), names(signals, evidence="1")) == (["Onboarded"], [])


def weak() -> list[Listed]:
    """Two signals, the second of which stays below two thresholds."""
    below = one(saved("Weak", enabled=False), HARMFUL, brief=brief(1), misses=("confidence", "lift"))
    return [one(saved("Strong"), evidence(), brief=brief(3)), below]


def test_signals_below_the_thresholds_are_hidden_until_asked_for_and_counted() -> None:
    assert names(weak()) == ["Strong"]
    assert names(weak(), thresholds="any") == ["Strong", "Weak"]
    assert names(weak(), thresholds="missed") == ["Weak"]

    def summary(**chosen: str) -> str:
        said: str = leaves(Shown(weak(), SignalFilter(**chosen), SETTINGS))[ids.SIGNALS_SUMMARY, "children"]
        return said

    hidden = "1 hidden below your thresholds (90% confidence, 30 users, 1.5x lift)"
    assert summary() == f"2 signals · 1 enabled · 1 shown · {hidden}"
    assert summary(thresholds="any") == "2 signals · 1 enabled · 2 shown"
    assert summary(status="enabled") == "2 signals · 1 enabled · 1 shown", "the other filters leave it out as well"
    assert summary(thresholds="missed").endswith("1 shown · 1 that meet your thresholds not shown")


def test_when_only_the_thresholds_hide_what_matches_the_page_says_so() -> None:
    at = by_id(drawn(weak(), SignalFilter(status="disabled")))
    assert at[ids.SIGNALS_EMPTY].hidden
    assert not at[ids.SIGNALS_BELOW].hidden
    assert "/signals?thresholds=any" in str(at[ids.SIGNALS_BELOW])
    assert by_id(drawn(weak()))[ids.SIGNALS_BELOW].hidden


@pytest.mark.parametrize(("choices", "known"), [(EVIDENCE_CHOICES, EVIDENCE), (THRESHOLD_CHOICES, THRESHOLDS)])
def test_every_choice_is_one_that_an_address_can_say(choices: Any, known: tuple[str, ...]) -> None:
    assert {value for value, _ in choices} == {"", *known}


def test_the_levels_of_the_filter_are_named_as_on_the_ladder() -> None:
    for value, words in EVIDENCE_CHOICES[1:4]:
        assert words.startswith(f"{value} {LABELS[int(value)]}")


def test_the_controls_and_the_list_follow_the_address() -> None:
    chosen = SignalFilter(lift="3", source="Attio", q="contract", evidence="1", thresholds="any")
    at = by_id(drawn(four(), chosen))

    controls = (ids.SIGNALS_LIFT, ids.SIGNALS_SOURCE, ids.SIGNALS_SEARCH, ids.SIGNALS_EVIDENCE, ids.SIGNALS_THRESHOLDS)
    assert [at[each].value for each in controls] == ["3", "Attio", "contract", "1", "any"]
    assert at[ids.SIGNALS_STATUS].value == ""
    sources = [option["value"] for option in at[ids.SIGNALS_SOURCE].options]
    assert sources == ["", "Attio", NO_SOURCE, "Intercom", "PostHog"]
    assert [row["name"] for row in at[ids.SIGNALS_GRID].rowData] == ["Contract"]
    assert at[ids.SIGNALS_SUMMARY].children == "4 signals · 3 enabled · 1 shown"
    assert not at[ids.SIGNALS_CLEAR].hidden
    assert at[ids.SIGNALS_EMPTY].hidden


def test_the_page_is_drawn_with_what_its_leaves_say() -> None:
    for chosen in (SignalFilter(), SignalFilter(q="nothing like it"), SignalFilter(evidence="0")):
        for each in (four(), weak(), []):
            at = by_id(drawn(each, chosen))
            for (owner, prop), value in leaves(Shown(each, chosen, SETTINGS)).items():
                assert str(getattr(at[owner], prop)) == str(value), (owner, prop)


def test_when_nothing_matches_only_the_way_back_is_shown() -> None:
    at = by_id(drawn(four(), SignalFilter(q="nothing like it")))
    assert (at[ids.SIGNALS_LISTED].hidden, at[ids.SIGNALS_FOREST_CARD].hidden) == (True, True)
    assert not at[ids.SIGNALS_EMPTY].hidden
    assert at[ids.SIGNALS_EXPORT].disabled
    assert ids.SIGNALS_CLEAR_EMPTY in at


def test_the_forest_has_what_is_measured_with_a_table_beside_it() -> None:
    rows = [row for row in map(forest_row, listed(four(), SignalFilter())) if row is not None]
    assert [row.name for row in rows] == ["Contract", "Pricing page", "Support tickets"]
    assert rows[0].lift == math.inf
    body = leaves(Shown(four(), SignalFilter(), SETTINGS))[f"{ids.SIGNALS_FOREST_TABLE}-body", "children"]
    assert len(body) == 3
    assert "/signals/sig_0" in str(body[0])
    assert "3 Survives adjustment" in str(body[1])
