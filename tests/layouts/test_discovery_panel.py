"""The panel says what is true of the newest job: each state in words, and what may be pressed in it."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from test_result_view import inside

from beton.model.outcome import Outcome
from beton.records.rows import JobRecord
from beton.services.discovery import Standing
from beton.services.discovery_runs import RunSummary
from layouts import ids
from layouts.discovery_panel import LEAVES, discovery_panel, last_line, last_words, leaves, run_button, said

NOON = datetime(2026, 11, 23, 13, 2, tzinfo=UTC)
VERSION = "a3f09c21be77"
RUN = RunSummary("r" * 32, NOON, 2.94, VERSION, False, True, Outcome(), 301_741, 15)


def job(status: str = "queued", age_s: float = 1.0, **changes: Any) -> JobRecord:
    made = JobRecord(
        id="j" * 32,
        kind="discovery",
        key="k",
        payload={},
        status=status,  # type: ignore[arg-type]
        stage="",
        progress=0.0,
        result=None,
        error=None,
        cancel_requested=False,
        attempts=0,
        worker=None,
        lease_until=None,
        created_at=NOON - timedelta(seconds=age_s),
        started_at=None,
        finished_at=None,
    )
    return replace(made, **changes)


def running(**changes: Any) -> JobRecord:
    at_work = {"stage": "Testing singles and pairs", "progress": 0.42, "attempts": 1, "worker": "w"}
    started = {"started_at": NOON - timedelta(seconds=64), "lease_until": NOON + timedelta(seconds=29)}
    return replace(job("running", 66.0, **at_work, **started), **changes)


def ended(status: str, **changes: Any) -> JobRecord:
    return running(status=status, lease_until=None, finished_at=NOON - timedelta(seconds=1), **changes)


def standing(of: JobRecord | None, **changes: Any) -> Standing:
    return Standing(NOON, of, **changes)


OLD_RUN = replace(RUN, created_at=NOON - timedelta(days=1))

STATES = {
    "queued": (standing(job()), "queued", "Queued"),
    "queued behind another": (standing(job(age_s=60), is_next=True), "queued", "Queued"),
    "waiting": (standing(job(age_s=60)), "waiting", "Waiting for the worker"),
    "retry": (standing(job(age_s=60, attempts=1, started_at=NOON)), "waiting", "Interrupted, to be tried again"),
    "running": (standing(running(), silent_s=0.3, lease_s=30), "running", "Discovery is running"),
    "silent": (standing(running(), silent_s=8, lease_s=30), "waiting", "No sign of life from the worker"),
    "cancelling": (standing(running(cancel_requested=True)), "running", "Cancelling"),
    "done": (standing(ended("done")), "done", "15 signals found of 301,741 tested in 2.9 s"),
    "failed": (standing(ended("failed", error="Too short: import more.")), "failed", "Discovery did not finish"),
    "cancelled": (standing(ended("cancelled")), "cancelled", "Discovery was cancelled"),
    "interrupted": (standing(ended("interrupted", attempts=2)), "interrupted", "Discovery was interrupted"),
}


@pytest.mark.parametrize("name", STATES)
def test_every_state_has_its_words_and_what_may_be_pressed(name: str) -> None:
    now, state, headline = STATES[name]
    say = said(now, OLD_RUN)
    assert (say.state, say.headline) == (state, headline)

    at = leaves(now, OLD_RUN, VERSION)
    assert now.job is not None
    is_open = now.job.is_open
    assert at[ids.DISCOVERY, "data-state"] == state
    assert at[ids.DISCOVERY_TICK, "disabled"] is not is_open, "polls only while a job is open"
    assert at[ids.DISCOVERY_RUN, "disabled"] is at[ids.DISCOVERY_RUN_EMPTY, "disabled"] is is_open
    assert at[ids.DISCOVERY_CANCEL, "hidden"] is at[ids.DISCOVERY_PROGRESS, "hidden"] is not is_open
    assert at[ids.DISCOVERY_CANCEL, "disabled"] is (name == "cancelling")
    assert at[ids.DISCOVERY_RESULT, "hidden"] is (name != "done")
    assert bool(at[ids.DISCOVERY_ELAPSED, "children"]) is is_open
    json.dumps(list(at.values()))


def elapsed(name: str) -> str:
    shown: str = leaves(STATES[name][0], None, VERSION)[ids.DISCOVERY_ELAPSED, "children"]
    return shown


def test_progress_is_what_the_worker_says_and_time_runs_from_its_start() -> None:
    at = leaves(STATES["running"][0], None, VERSION)
    assert at[ids.DISCOVERY_BAR, "value"] == 0.42
    assert at[ids.DISCOVERY_DETAIL, "children"] == "Testing singles and pairs"
    assert elapsed("running") == "42% · 1:04 elapsed"
    assert elapsed("waiting") == "Asked for 1:00 ago"
    assert elapsed("silent") == "Last sign 0:08 ago"


def test_a_run_that_nobody_works_on_names_the_command_that_helps() -> None:
    for name in ("waiting", "retry"):
        assert "beton worker" in said(STATES[name][0], None).detail
    assert "beton worker" not in said(STATES["queued behind another"][0], None).detail
    assert "tried once more" in said(STATES["silent"][0], None).detail
    silent = standing(running(cancel_requested=True), silent_s=8, lease_s=30)
    assert "counts as cancelled 30 s after" in said(silent, None).detail
    assert "second attempt" in said(standing(running(attempts=2)), None).detail


def test_a_failure_shows_the_sentence_that_names_the_fix() -> None:
    assert said(STATES["failed"][0], None).detail == "Too short: import more."
    assert "Run Discovery again" in said(STATES["interrupted"][0], None).detail


@pytest.mark.parametrize("status", ["failed", "cancelled", "interrupted"])
def test_a_later_run_from_the_command_line_takes_the_place_of_an_ended_job(status: str) -> None:
    assert said(standing(ended(status)), RUN).state == "done"
    assert said(standing(ended(status)), OLD_RUN).state == status


def test_before_anything_has_run_the_panel_takes_no_room() -> None:
    assert said(standing(None), None).state == "none"
    assert said(standing(ended("done")), None).state == "none", "its run is gone"
    assert said(standing(None), RUN).state == "done"


def test_the_last_line_names_the_run_and_whether_it_saw_this_data() -> None:
    now = RUN.created_at + timedelta(hours=2, minutes=59)
    when = "Last discovery: 2 hours ago (23 Nov 2026, 13:02 UTC)"
    line = f"{when} · snapshot a3f09c21be77 · 15 signals"
    assert last_words(RUN, VERSION, now) == line
    assert last_words(RUN, "another", now) == f"{line} · the data has changed since"
    assert last_words(None, VERSION, now) == "Discovery has not run yet."
    of_another = replace(RUN, is_readable=False, tested=None, signals=None)
    assert last_words(of_another, VERSION, now) == f"{when} · snapshot a3f09c21be77"
    assert "another version" in said(standing(None), of_another).headline
    at = leaves(standing(None), RUN, VERSION)
    assert at[ids.DISCOVERY_LAST_LINK, "href"] == at[ids.DISCOVERY_RESULT, "href"] == f"/runs/{RUN.id}"


@pytest.mark.parametrize("name", STATES)
def test_the_panel_is_drawn_with_what_its_leaves_say(name: str) -> None:
    at = leaves(STATES[name][0], RUN, VERSION)
    buttons = [run_button(at), run_button(at, ids.DISCOVERY_RUN_EMPTY)]
    drawn = [*inside(discovery_panel(at, RUN)), *inside(last_line(at)), *buttons]
    by_id = {each.id: each for each in drawn if isinstance(getattr(each, "id", None), str)}
    for owner, prop in LEAVES:
        assert getattr(by_id[owner], prop) == at[owner, prop], (owner, prop)
    assert by_id[ids.DISCOVERY_TICK].interval >= 1000
    assert by_id[ids.DISCOVERY_NEWEST].data == RUN.id
