from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from beton.errors import InputError
from beton.records.audit import AuditRepository
from beton.records.database import Database
from beton.records.rows import AskedRun, RunRecord
from beton.records.runs import RunRepository

EVIDENCE = {"table": [177, 1247, 304, 8934], "lift": 4.1713, "upper": None}


@pytest.fixture
def runs(database: Database) -> RunRepository:
    return RunRepository(database)


@pytest.fixture
def start(runs: RunRepository, noon: datetime) -> Callable[..., RunRecord]:
    def start(run_id: str, request_hash: str = "req", at: datetime = noon, **more: Any) -> RunRecord:
        return runs.start(
            run_id,
            {"name": f"Name of {run_id}", "when": []},
            definition_hash="def",
            request_hash=request_hash,
            snapshot_version="abc",
            at=at,
            **more,
        )

    return start


def test_a_run_goes_from_queued_through_running_to_done(
    runs: RunRepository, start: Callable[..., RunRecord], noon: datetime, later: datetime
) -> None:
    queued = start("r1")
    assert (queued.status, queued.stage, queued.progress, queued.evidence) == ("queued", "", 0.0, None)
    assert (queued.created_at, queued.heartbeat_at, queued.finished_at) == (noon, noon, None)
    runs.beat("r1", "Counting", 0.5, at=later)
    running = runs.read("r1")
    assert (running.status, running.stage, running.progress, running.heartbeat_at) == (
        "running",
        "Counting",
        0.5,
        later,
    )
    runs.finish("r1", EVIDENCE, at=later)
    done = runs.read("r1")
    assert (done.status, done.progress, done.evidence, done.error) == ("done", 1.0, EVIDENCE, None)
    assert done.finished_at == later


def test_a_failed_run_says_why(runs: RunRepository, start: Callable[..., RunRecord], later: datetime) -> None:
    start("r1")
    runs.beat("r1", "Counting", 0.25, at=later)
    runs.fail("r1", "The disk is full.", at=later)
    failed = runs.read("r1")
    assert (failed.status, failed.error, failed.progress, failed.evidence) == (
        "failed",
        "The disk is full.",
        0.25,
        None,
    )
    assert failed.finished_at == later


def test_runs_that_fell_silent_are_interrupted_and_stay_so(
    runs: RunRepository, start: Callable[..., RunRecord], noon: datetime, later: datetime
) -> None:
    for run_id in ("silent", "queued", "alive", "done"):
        start(run_id)
    runs.beat("silent", "Counting", 0.5, at=noon + timedelta(seconds=1))
    runs.beat("alive", "Counting", 0.5, at=later)
    runs.finish("done", EVIDENCE, at=noon)
    assert runs.mark_interrupted(later) == 2
    assert {run.id: run.status for run in runs.history(9)} == {
        "silent": "interrupted",
        "queued": "interrupted",
        "alive": "running",
        "done": "done",
    }
    assert runs.read("silent").finished_at == noon + timedelta(seconds=1)
    for change in (
        lambda: runs.beat("silent", "Counting", 0.6, at=later),
        lambda: runs.finish("silent", EVIDENCE, at=later),
        lambda: runs.fail("silent", "no", at=later),
    ):
        with pytest.raises(InputError, match=r"already ended \(interrupted\)"):
            change()
    assert runs.read("silent").evidence is None
    assert runs.mark_interrupted(later) == 0


def test_the_newest_run_of_a_request_is_found(
    runs: RunRepository, start: Callable[..., RunRecord], noon: datetime, later: datetime
) -> None:
    start("new", at=later)
    start("old", at=noon)
    start("other", request_hash="else", at=later + timedelta(hours=1))
    found = runs.latest_for("req")
    assert found is not None
    assert found.id == "new"
    assert runs.latest_for("unseen") is None
    assert [run.id for run in runs.history(2)] == ["other", "new"]


def test_an_id_cannot_be_used_twice(start: Callable[..., RunRecord]) -> None:
    start("r1")
    with pytest.raises(InputError, match="already a run r1"):
        start("r1")


@pytest.mark.parametrize("progress", [-0.01, 1.01, float("nan")])
def test_progress_is_a_share(
    runs: RunRepository, start: Callable[..., RunRecord], later: datetime, progress: float
) -> None:
    queued = start("r1")
    with pytest.raises(InputError, match="share from 0 to 1"):
        runs.beat("r1", "Counting", progress, at=later)
    assert runs.read("r1") == queued


@pytest.mark.parametrize("lift", [float("inf"), float("-inf"), float("nan")])
def test_evidence_that_json_cannot_hold_is_refused_and_the_run_stays_open(
    runs: RunRepository, start: Callable[..., RunRecord], later: datetime, lift: float
) -> None:
    queued = start("r1")
    with pytest.raises(InputError, match=r"evidence\.lift cannot be stored.*write None"):
        runs.finish("r1", EVIDENCE | {"lift": lift}, at=later)
    assert runs.read("r1") == queued


def test_an_unknown_id_is_named_by_every_method(runs: RunRepository, noon: datetime) -> None:
    for use in (
        lambda: runs.read("nope"),
        lambda: runs.beat("nope", "Counting", 0.1, at=noon),
        lambda: runs.finish("nope", EVIDENCE, at=noon),
        lambda: runs.fail("nope", "why", at=noon),
    ):
        with pytest.raises(InputError, match="no run 'nope'"):
            use()


def test_runs_are_no_business_of_the_audit(
    runs: RunRepository, start: Callable[..., RunRecord], database: Database, later: datetime
) -> None:
    start("r1")
    runs.finish("r1", EVIDENCE, at=later)
    assert AuditRepository(database).recent(5) == []


# ---- history and the ledger's question


def measured(p_value: float | None) -> dict[str, Any]:
    return {"result": {"kind": "not_measurable"} if p_value is None else {"kind": "measured", "p_value": p_value}}


def test_a_run_says_who_started_it_and_whether_it_was_asked(start: Callable[..., RunRecord]) -> None:
    refreshed, asked = start("r1"), start("r2", asked_by="ann")
    assert (refreshed.actor, refreshed.asked, refreshed.p_value) == ("local", False, None)
    assert (asked.actor, asked.asked) == ("ann", True)


def test_history_goes_on_after_a_run_also_where_times_are_equal(
    runs: RunRepository, start: Callable[..., RunRecord], noon: datetime, later: datetime
) -> None:
    for run_id, at in (("a", noon), ("c", noon), ("b", noon), ("new", later), ("old", noon - timedelta(days=1))):
        start(run_id, at=at)
    whole = [run.id for run in runs.history(9)]
    assert whole == ["new", "a", "b", "c", "old"]
    paged: list[str] = []
    while found := runs.history(2, paged[-1] if paged else None):
        paged += [run.id for run in found]
    assert paged == whole
    assert runs.count() == 5
    with pytest.raises(InputError, match="no run 'nope'"):
        runs.history(2, "nope")


def test_several_runs_come_in_the_order_of_their_ids(runs: RunRepository, start: Callable[..., RunRecord]) -> None:
    for run_id in ("a", "b", "c"):
        start(run_id)
    assert [run.id for run in runs.several(["c", "a"])] == ["c", "a"]
    with pytest.raises(InputError, match="no run 'nope'"):
        runs.several(["a", "nope", "b"])


def test_only_what_was_asked_and_measured_is_for_the_ledger_in_the_order_of_finishing(
    runs: RunRepository, start: Callable[..., RunRecord], noon: datetime
) -> None:
    for minute, (run_id, asked, p_value) in enumerate(
        [("slow", True, 0.25), ("page", False, 0.01), ("refused", True, None), ("quick", True, 0.0)]
    ):
        who, at = "ann" if asked else None, noon + timedelta(minutes=minute)
        start(run_id, request_hash=f"req {run_id}", asked_by=who, at=at)
        ended = noon + timedelta(minutes=90 if run_id == "slow" else 60)
        runs.finish(run_id, measured(p_value), at=ended)
    start("open", asked_by="ann")
    start("failed", asked_by="ann")
    runs.fail("failed", "The disk is full.", at=noon)
    assert runs.asked_runs() == [AskedRun("quick", "req quick", "def", 0.0), AskedRun("slow", "req slow", "def", 0.25)]
    assert runs.read("quick").p_value == 0.0
    assert runs.names(["slow", "page"]) == {"slow": "Name of slow", "page": "Name of page"}


def test_the_ledger_never_reads_the_long_rows(database: Database) -> None:
    query = (
        "SELECT id, request_hash, definition_hash, p_value FROM backtest_runs "
        "WHERE asked AND p_value IS NOT NULL ORDER BY finished_at, id"
    )
    with database.read() as connection:
        plan = [row.detail for row in connection.execute(text(f"EXPLAIN QUERY PLAN {query}"))]
    assert plan == ["SCAN backtest_runs USING COVERING INDEX ix_backtest_runs_asked"]
