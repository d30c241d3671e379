"""The history reads every run under today's settings, names what became of it, and lays some side by side."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from journeys import Journeys
from made_backtests import FLAGSHIP, NOTHING, START, WEAK, evidence, keep, signal

from beton import clock
from beton.errors import InputError
from beton.records.database import Database
from beton.records.runs import RunRepository
from beton.records.signals import SignalRepository
from beton.services import Services
from beton.services.history import INTERRUPTED, HistoryRow
from beton.stats.proportions import TwoByTwo


@pytest.fixture
def runs(database: Database) -> RunRepository:
    """The runs that ``services`` show: both have the database of ``tmp_path``."""
    return RunRepository(database)


def only(services: Services) -> HistoryRow:
    (row,) = services.history.page()
    return row


def test_a_finished_run_is_read_under_todays_settings(
    services: Services, runs: RunRepository, set_company: Callable[..., None]
) -> None:
    keep(runs, "r1")
    row = only(services)
    assert (row.id, row.name, row.kind, row.unit, row.status) == ("r1", "Did x", "builder", "user", "done")
    assert row.words == "Users who did x within 3 days of signup."
    assert (row.units, row.problem, row.actor, row.asked, row.seconds) == (1_247, None, "local", True, 2.0)
    assert row.lift == pytest.approx(4.1713, abs=1e-4)
    assert row.interval is not None
    assert row.verdict is not None
    assert row.verdict.label == "Enable"
    assert row.standing is not None
    assert row.standing.number == 1
    set_company(min_lift="9")
    read_again = only(services).verdict
    assert read_again is not None
    assert read_again.label == "Reject"


def test_an_enable_that_does_not_hold_among_all_tests_is_a_watch(services: Services, runs: RunRepository) -> None:
    keep(runs, "page", WEAK, asked_by=None)
    keep(runs, "asked", WEAK, minute=1)
    asked, page = services.history.page()
    assert [row.verdict and row.verdict.label for row in (page, asked)] == ["Enable", "Watch"]
    assert asked.verdict is not None
    assert "This is your 1st test" in asked.verdict.reason
    assert (page.asked, page.standing) == (False, None)


def test_runs_without_a_result_say_why(services: Services, runs: RunRepository) -> None:
    keep(runs, "refused", None, minute=5)
    other = {"definition_hash": "h", "request_hash": "r", "snapshot_version": "s"}
    now = clock.now()
    runs.start("failed", {"name": "F", "sql": "SELECT 1"}, at=START, **other)
    runs.fail("failed", "The query took too long.", at=START + timedelta(seconds=9))
    runs.start("silent", signal("S").to_dict(), at=START - timedelta(days=1), **other)
    runs.start("open", signal("O").to_dict(), at=now, **other)
    runs.start("old", signal("V").to_dict(), at=START - timedelta(days=2), **other)
    runs.finish("old", {**evidence(signal(), FLAGSHIP).to_json(), "version": 0}, at=START)
    rows = {row.id: row for row in services.history.page()}
    assert [*rows] == ["open", "refused", "failed", "silent", "old"]
    assert (rows["failed"].status, rows["failed"].problem, rows["failed"].kind) == (
        "failed",
        "The query took too long.",
        "SQL",
    )
    assert (rows["silent"].status, rows["silent"].problem) == ("interrupted", INTERRUPTED)
    assert (rows["open"].status, rows["open"].problem, rows["open"].seconds) == ("queued", None, None)
    assert rows["open"].words == "Users who did x within 3 days of signup."
    assert "another version" in str(rows["old"].problem)
    refused = rows["refused"].verdict
    assert refused is not None
    assert (refused.label, rows["refused"].lift, rows["refused"].problem) == ("Cannot tell", None, None)
    assert [row.verdict for row in rows.values() if row.id != "refused"] == [None] * 4


def test_a_lift_without_an_upper_end_is_infinite(services: Services, runs: RunRepository) -> None:
    keep(runs, "r1", TwoByTwo(60, 100, 0, 900))
    assert only(services).lift == math.inf


def test_a_page_goes_on_where_the_last_one_ended(services: Services, runs: RunRepository) -> None:
    for number in range(5):
        keep(runs, f"r{number}", minute=number)
    first = services.history.page(2)
    assert [row.id for row in first] == ["r4", "r3"]
    assert [row.id for row in services.history.page(9, first[-1].id)] == ["r2", "r1", "r0"]
    assert services.history.count() == 5
    with pytest.raises(InputError, match="no run 'nope'"):
        services.history.page(2, "nope")


def test_a_run_knows_the_signal_that_has_its_definition_or_once_had_it(
    services: Services, runs: RunRepository, database: Database
) -> None:
    first, second = signal("First"), signal("Second", when={"event": "y", "within_days": 3})
    keep(runs, "older", definition=first)
    keep(runs, "newer", definition=second, minute=1)
    saved = services.signals.save(first)
    repository = SignalRepository(database)
    repository.add_version(
        saved.id, (second.name, second.to_dict(), second.meaning_hash()), expected_version=1, at=START
    )
    newer, older = services.history.page()
    assert newer.saved is not None
    assert older.saved is not None
    assert (newer.saved.signal_id, newer.saved.version, newer.saved.is_current) == (saved.id, 2, True)
    assert (older.saved.signal_id, older.saved.version, older.saved.is_current) == (saved.id, 1, False)
    again = services.signals.save(first)
    assert services.history.row("older").saved == replace(older.saved, signal_id=again.id, version=1, is_current=True)


def test_an_id_is_found_by_its_beginning(services: Services, runs: RunRepository) -> None:
    for run_id in ("abc1", "abd2"):
        keep(runs, run_id)
    assert services.history.find("abc") == "abc1"
    assert services.history.find("zz") == "zz"
    with pytest.raises(InputError, match="2 backtests begin with 'ab'"):
        services.history.find("ab")


# ---- side by side


@pytest.fixture
def imported(services: Services, tmp_path: Path) -> Services:
    people = Journeys(tmp_path, data_end="2024-12-31")
    for number in range(80):
        people.user(f"u{number}", signed_up=f"2024-{1 + number % 4:02d}-{1 + number % 20:02d}")
        people.did("x" if number < 40 else "y", after_days=2)
        if number % 40 < (16 if number < 40 else 4):
            people.won(after_days=20, amount=1_000)
    people.build()
    return services


def test_runs_are_compared_in_the_order_of_their_ids_with_reports_and_cautions(imported: Services) -> None:
    first = imported.backtests.run(signal("Three")).run_id
    second = imported.backtests.run(signal("Seven", when={"event": "x", "within_days": 7})).run_id
    found = imported.history.compare([second, first, second])
    assert [side.row.id for side in found.sides] == [second, first]
    assert [side.report and side.report.run_id for side in found.sides] == [second, first]
    assert all(side.row.is_current for side in found.sides)
    assert found.cautions == (
        "Not the same people, because the signal is read after a different time: 7 days against 3 days.",
    )
    assert [line.differs for part in found.sides[0].parts for line in part.lines] == [False, True, True, False]


def test_a_run_without_a_result_is_compared_by_its_definition(imported: Services, runs: RunRepository) -> None:
    run = imported.backtests.run(signal()).run_id
    runs.start(
        "failed", signal("F").to_dict(), definition_hash="h", request_hash="r", snapshot_version="s", at=clock.now()
    )
    runs.fail("failed", "The disk is full.", at=clock.now())
    found = imported.history.compare([run, "failed"])
    assert found.sides[1].report is None
    assert found.sides[1].row.problem == "The disk is full."
    assert found.cautions == ()


@pytest.mark.parametrize("count", [0, 1, 4])
def test_two_or_three_can_be_compared(imported: Services, runs: RunRepository, count: int) -> None:
    for number in range(count):
        keep(runs, f"r{number}", NOTHING)
    with pytest.raises(InputError, match="two or 3"):
        imported.history.compare([f"r{number}" for number in range(count)])


def test_an_unknown_run_is_named(imported: Services, runs: RunRepository) -> None:
    keep(runs, "r1")
    with pytest.raises(InputError, match="no run 'nope'"):
        imported.history.compare(["r1", "nope"])
