"""The pages of the history and of a comparison: what they say, and that names stay text."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from made_backtests import FLAGSHIP, START, evidence, signal
from plotly.utils import PlotlyJSONEncoder
from shell_fakes import DEMO

from beton.model.comparison import cautions, parts_of
from beton.model.ledger import Hypothesis, LedgerSheet, Standing
from beton.model.settings import CompanySettings
from beton.services.backtests import Report
from beton.services.history import Comparison, HistoryRow, SavedAs, Side
from beton.services.reading import Acv, Verdict, read
from layouts import ids
from layouts.backtest_compare import backtest_compare, cannot_compare, compared, too_few
from layouts.history import COLUMNS, MOST_IN_TABLE, grid_row, history, ledger_card
from layouts.history_figures import ledger_figure
from layouts.routes import MOST_COMPARED, Page, Route, href, parse

HOSTILE = "<img src=x onerror=alert(1)> & <b>"
STANDING = Standing(7, 0.0021, 0.03, False, 3, 9)


def row(**changes: Any) -> HistoryRow:
    known = evidence(signal(), FLAGSHIP).result
    made = HistoryRow(
        id="r1",
        name="Did x",
        words="Users who did x.",
        kind="builder",
        unit="user",
        snapshot_version="snap-1",
        is_current=True,
        status="done",
        problem=None,
        verdict=Verdict("Watch", "It does not hold"),
        lift=4.17,
        interval=known.lift_interval,  # type: ignore[union-attr]
        units=1_247,
        standing=STANDING,
        asked=True,
        actor="local",
        created_at=START,
        seconds=2.0,
        definition_hash="hash",
        saved=None,
    )
    return replace(made, **changes)


def sheet(*tests: tuple[float, float]) -> LedgerSheet:
    """One hypothesis for each (p-value, threshold)."""
    found, entries = 0, []
    for number, (p, threshold) in enumerate(tests, start=1):
        found += p <= threshold
        standing = Standing(number, threshold, p, p <= threshold, found, len(tests))
        entries.append(Hypothesis(f"r{number}", f"Test {HOSTILE}", standing))
    return LedgerSheet(tuple(entries), 0.0005)


def written(drawn: Any) -> str:
    return json.dumps(drawn, cls=PlotlyJSONEncoder, ensure_ascii=False)


def one(drawn: Any, id: str) -> Any:
    return next(each for each in drawn._traverse() if getattr(each, "id", None) == id)


# ---- the history


def test_without_runs_the_page_leads_to_the_first_one() -> None:
    page = written(history(DEMO, [], sheet(), is_all=True))
    assert "No backtest has run yet" in page
    assert "beton backtest" in page
    assert ids.HISTORY_GRID not in page
    assert "beton demo" in written(history(None, [], sheet(), is_all=True))


def test_runs_stay_readable_when_the_data_are_gone() -> None:
    page = history(None, [row()], sheet((0.001, 0.0014)), is_all=True)
    assert [each["id"] for each in one(page, ids.HISTORY_GRID).rowData] == ["r1"]


@pytest.mark.parametrize(("asked", "chosen"), [(True, "asked"), (False, "all")])
def test_the_page_begins_with_what_people_asked_if_they_asked_anything(asked: bool, chosen: str) -> None:
    page = history(DEMO, [row(asked=asked), row(id="r2", asked=False)], sheet(), is_all=True)
    assert one(page, ids.HISTORY_ASKED).value == chosen


def test_older_runs_can_be_asked_for_only_where_there_are_some() -> None:
    for is_all in (True, False):
        page = history(DEMO, [row(), row(id="r2")], sheet(), is_all=is_all)
        assert one(page, ids.HISTORY_OLDER).hidden is is_all
        assert one(page, ids.HISTORY_LAST).data == "r2"


def test_a_row_holds_raw_numbers_with_the_words_below_and_behind_them() -> None:
    cells = grid_row(row())
    assert (cells["lift"], cells["units"], cells["test"]) == (4.17, 1_247, 7)
    assert cells["lift_line"] == "3.5x – 5.0x"
    assert cells["test_line"] == "does not hold"
    assert cells["test_why"].startswith("This is your 7th test;")
    assert (cells["verdict"], cells["verdict_look"], cells["verdict_why"]) == ("Watch", "watch", "It does not hold")
    assert (cells["when"], cells["when_line"]) == ("2024-06-01 12:00", "current data · local")
    assert cells["when_why"] == "Snapshot snap-1, started by local, took 2.0 s"
    assert (cells["href"], cells["copy"]) == ("/backtest?run=r1", "/backtest?copy=r1")
    assert {each["field"] for each in COLUMNS} <= {*cells, "saved"}


@pytest.mark.parametrize(
    ("changes", "word", "why"),
    [
        ({"status": "failed", "problem": "The disk is full."}, "Failed", "The disk is full."),
        ({"status": "interrupted", "problem": "Run it again."}, "Interrupted", "Run it again."),
        ({"status": "running"}, "Running", "It has not finished yet"),
        ({"status": "queued"}, "Running", "It has not finished yet"),
        ({"problem": "Another version stored it."}, "Cannot tell", "Another version stored it."),
    ],
)
def test_a_run_without_a_result_says_how_it_ended(changes: dict[str, Any], word: str, why: str) -> None:
    nothing = {"verdict": None, "lift": None, "interval": None, "units": None, "standing": None}
    cells = grid_row(row(**nothing, **changes))
    assert (cells["verdict"], cells["verdict_why"]) == (word, why)
    assert cells["name_line"] == changes.get("problem", "Users who did x.")
    assert "lift" not in cells
    json.dumps(cells, allow_nan=False)


def test_an_infinite_lift_is_no_number_of_the_row() -> None:
    cells = grid_row(row(lift=float("inf")))
    assert cells["lift"] is None
    assert "no upper end" in cells["lift_why"]
    json.dumps(cells, allow_nan=False)


def test_a_saved_definition_leads_to_its_signal_and_names_an_older_version() -> None:
    current = grid_row(row(saved=SavedAs("sig_003", 2, True)))
    older = grid_row(row(saved=SavedAs("sig_003", 1, False)))
    assert (current["saved"], current["saved_href"], current["saved_line"]) == ("sig_003", "/signals/sig_003", "")
    assert older["saved_line"] == "version 1"
    assert "saved" not in grid_row(row())


# ---- the ledger


def test_the_chart_marks_what_holds_and_ends_with_the_threshold_of_the_next_test() -> None:
    figure = ledger_figure(sheet((0.001, 0.0014), (0.5, 0.0017), (0.0, 0.0006)))
    steps, holds, others = figure["data"]
    assert steps["x"][:4] == [0.5, 1.5, 1.5, 2.5]
    assert steps["y"][-2:] == [0.0005, 0.0005]
    assert (holds["x"], others["x"]) == ([1, 3], [2])
    assert holds["y"][1] > 0
    assert holds["customdata"] == ["/backtest?run=r1", "/backtest?run=r3"]
    assert figure["layout"]["yaxis"]["ticktext"][:3] == ["1", "0.1", "0.01"]
    assert "&lt;img" in holds["text"][0]
    assert "<img" not in holds["text"][0]
    json.dumps(figure, allow_nan=False)


def test_without_a_test_there_is_a_sentence_and_no_chart() -> None:
    card = written(ledger_card(sheet()))
    assert "Nobody has asked anything yet." in card
    assert ids.HISTORY_LEDGER not in card


def test_the_table_holds_the_last_tests_newest_first() -> None:
    many = sheet(*[(0.5, 0.001)] * (MOST_IN_TABLE + 5))
    table = written(ledger_card(many))
    assert f"The last {MOST_IN_TABLE} tests" in table
    in_chart_and_table = {number: table.count(f'"/backtest?run=r{number}"') for number in (5, 6, 55)}
    assert in_chart_and_table == {5: 1, 6: 2, 55: 2}
    assert table.rindex('"/backtest?run=r55"') < table.rindex('"/backtest?run=r6"')


# ---- side by side


def comparison(*definitions: Any, tables: Any = (FLAGSHIP, FLAGSHIP, FLAGSHIP), lost: int | None = None) -> Comparison:
    sides, evidences = [], []
    for number, (definition, parts, table) in enumerate(zip(definitions, parts_of(definitions), tables, strict=False)):
        found = evidence(definition, table)
        reading = read(found, CompanySettings(), Acv(27_000.0, "USD", "Settings"))
        report = Report(f"r{number}", found, reading, None)
        made = row(id=f"r{number}", name=definition.name)
        if number == lost:
            made = replace(made, verdict=None, lift=None, interval=None, status="failed", problem="The disk is full.")
            sides.append(Side(made, parts, None))
            continue
        evidences.append(found)
        sides.append(Side(made, parts, report))
    return Comparison(tuple(sides), cautions(evidences))


def test_what_is_comparable_says_so_and_what_is_not_says_why() -> None:
    same = written(compared(comparison(signal("A"), signal("B")), 1.5))
    assert "The same people, the same outcome and the same data" in same
    later = signal("B", when={"event": "x", "within_days": 7})
    other = written(compared(comparison(signal("A"), later), 1.5))
    assert "Not directly comparable" in other
    assert "after a different time: 3 days against 7 days." in other
    assert '"is-different"' in other


def test_figures_stand_in_the_order_of_the_runs_and_what_failed_says_why() -> None:
    page = written(compared(comparison(signal("A"), signal("B"), signal("C"), lost=1), 1.5))
    assert page.count("14.2% (177 of 1,247)") == 2
    assert "The disk is full." in page
    table = page[page.index("Side by side") :]
    assert table.index('"A"') < table.index('"B"') < table.index('"C"')
    assert href(Route(Page.BACKTEST_COMPARE, run_ids=("r0", "r2"))) in page


def test_two_runs_offer_no_way_to_leave_one_out() -> None:
    assert "Leave out" not in written(compared(comparison(signal("A"), signal("B")), 1.5))


def test_fewer_than_two_results_are_nothing_to_compare() -> None:
    page = written(compared(comparison(signal("A"), signal("B"), lost=0), 1.5))
    assert "Fewer than two of these runs have a result." in page


def test_a_query_is_shown_as_code_with_its_differing_lines_marked() -> None:
    first = signal("A", sql="SELECT user_id\nFROM users\nWHERE plan = '<b>'")
    second = signal("B", sql="SELECT user_id\nFROM users")
    page = written(compared(comparison(first, second), 1.5))
    assert '["mark", {}, ["WHERE plan = \'<b>\'\\n"]]' in page
    assert '["span", {}, ["SELECT user_id\\n"]]' in page


def test_names_stay_text() -> None:
    page = backtest_compare(compared(comparison(signal(HOSTILE), signal("B")), 1.5), ("r0", "r1"))
    assert HOSTILE in written(page)
    assert "dangerously" not in written(page).lower()
    assert one(page, ids.COMPARED_RUNS).data == ["r0", "r1"]


def test_an_address_without_two_known_runs_leads_back_to_the_history() -> None:
    for drawn in (too_few(), cannot_compare("There is no run 'x'.")):
        assert '"/backtest/history"' in written(drawn)


# ---- addresses


@pytest.mark.parametrize("route", [Route(Page.HISTORY), Route(Page.BACKTEST_COMPARE, run_ids=("a", "b", "c"))])
def test_the_addresses_lead_back_to_their_pages(route: Route) -> None:
    path, _, query = href(route).partition("?")
    assert parse(path, f"?{query}") == route


@pytest.mark.parametrize(
    ("query", "run_ids"),
    [
        ("?run=a&run=b&run=a&run=c&run=d", ("a", "b", "c")),
        ("?run=a&run=<script>&run=..", ("a",)),
        ("?signal=a", ()),
        ("", ()),
    ],
)
def test_only_so_many_sound_ids_are_taken_from_an_address(query: str, run_ids: tuple[str, ...]) -> None:
    assert parse("/backtest/compare", query).run_ids == run_ids
    assert len(run_ids) <= MOST_COMPARED
