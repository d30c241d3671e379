from __future__ import annotations

from datetime import datetime, timedelta

from beton.records.database import Database
from beton.records.discoveries import DiscoveryRepository


def add(runs: DiscoveryRepository, run_id: str, at: datetime, result: dict[str, object]) -> None:
    runs.add(run_id, result, settings={}, request_hash="h", snapshot_version="s", at=at, seconds=1.5)


def test_summaries_hold_what_a_list_shows_newest_first(database: Database, noon: datetime) -> None:
    runs = DiscoveryRepository(database)
    outcome = {"source": "event", "event": "paid"}
    for minute in range(3):
        whole = {"version": 1, "outcome": outcome, "demo": False, "family": {"1": 2, "all": 7}, "findings": [{}, {}]}
        add(runs, f"run{minute}", noon + timedelta(minutes=minute), whole)

    newest, *_ = found = runs.summaries(2)
    assert [each.id for each in found] == ["run2", "run1"]
    assert (newest.version, newest.outcome, newest.demo) == (1, outcome, False)
    assert (newest.tested, newest.signals) == (7, 2)
    assert (newest.snapshot_version, newest.seconds, newest.created_at) == ("s", 1.5, noon + timedelta(minutes=2))


def test_a_result_of_another_shape_has_a_summary_too(database: Database, noon: datetime) -> None:
    runs = DiscoveryRepository(database)
    add(runs, "old", noon, {"something": "else"})

    (summary,) = runs.summaries(5)
    assert (summary.version, summary.outcome, summary.demo, summary.tested) == (None, None, None, None)
