from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from datetime import timedelta
from threading import Event, Thread
from typing import Any

import pytest

from beton.clock import now
from beton.errors import BetonError, InputError
from beton.jobs.queue import Jobs
from beton.jobs.worker import Handler, Progress, Worker
from beton.records.rows import JobRecord

Until = Callable[[Callable[[], bool]], None]


def ended(jobs: Jobs, handler: Handler, payload: Mapping[str, Any] | None = None) -> JobRecord:
    job = jobs.enqueue("test", "key", payload or {}, now())
    assert Worker(jobs, {"test": handler}).run_once()
    return jobs.read(job.id)


def failing(problem: Exception) -> Handler:
    def fail(payload: Mapping[str, Any], progress: Progress) -> Mapping[str, Any]:
        raise problem

    return fail


def until_told(payload: Mapping[str, Any], progress: Progress) -> Mapping[str, Any]:
    tick = Event()
    while not progress.should_stop():
        tick.wait(0.01)
    progress("never said", 1.0)
    raise AssertionError("the progress lets a job go on that is to stop")


def test_nothing_is_done_when_nothing_waits(jobs: Jobs) -> None:
    assert not Worker(jobs, {}).run_once()


def test_the_result_of_the_handler_is_kept(jobs: Jobs) -> None:
    def double(payload: Mapping[str, Any], progress: Progress) -> Mapping[str, Any]:
        progress("Doubling", 0.5)
        return {"twice": payload["n"] * 2}

    job = ended(jobs, double, {"n": 21})
    assert (job.status, job.result, job.progress, job.attempts) == ("done", {"twice": 42}, 1.0, 1)
    assert job.finished_at is not None


def test_progress_reaches_the_database_and_a_long_job_keeps_its_lease(jobs: Jobs, until: Until) -> None:
    seen: list[JobRecord] = []

    def slow(payload: Mapping[str, Any], progress: Progress) -> Mapping[str, Any]:
        job = jobs.open_for("key")
        assert job is not None
        assert job.lease_until is not None
        first = job.lease_until
        progress("Counting pairs", 0.25)
        until(lambda: bool(jobs.read(job.id).progress))
        # One lease and more goes by without a word from the handler, as in a native call.
        until(lambda: now() > first + timedelta(seconds=0.2))
        assert jobs.claim("thief", now(), 1.0) is None
        seen.append(jobs.read(job.id))
        return {}

    job = jobs.enqueue("test", "key", {}, now())
    assert Worker(jobs, {"test": slow}, lease_s=1.0).run_once()
    assert jobs.read(job.id).status == "done"
    assert [(row.stage, row.progress) for row in seen] == [("Counting pairs", 0.25)]


@pytest.mark.parametrize(
    ("problem", "sentence"),
    [
        (InputError("Too many events: leave some out."), "Too many events: leave some out."),
        (BetonError("Gone: import again."), "Gone: import again."),
        (ZeroDivisionError("secret detail"), "The job broke (ZeroDivisionError): the worker's log says where."),
    ],
)
def test_a_handler_that_raises_fails_the_job_with_a_sentence(
    jobs: Jobs, caplog: pytest.LogCaptureFixture, problem: Exception, sentence: str
) -> None:
    with caplog.at_level(logging.ERROR, "beton.jobs"):
        job = ended(jobs, failing(problem))
    assert (job.status, job.error, job.result) == ("failed", sentence, None)
    (record,) = caplog.records
    assert record.exc_info is not None
    assert record.exc_info[1] is problem


def test_a_result_that_json_cannot_hold_fails_the_job(jobs: Jobs) -> None:
    job = ended(jobs, lambda payload, progress: {"lift": float("inf")})
    assert (job.status, job.result) == ("failed", None)
    assert "result.lift" in str(job.error)


def test_a_kind_without_handler_fails_with_a_sentence(jobs: Jobs) -> None:
    job = jobs.enqueue("sorcery", "key", {}, now())
    assert Worker(jobs, {}).run_once()
    assert jobs.read(job.id).status == "failed"
    assert "'sorcery'" in str(jobs.read(job.id).error)


def cancelled_in_the_midst(jobs: Jobs, until: Until, after_that: Handler) -> JobRecord:
    def handler(payload: Mapping[str, Any], progress: Progress) -> Mapping[str, Any]:
        job = jobs.open_for("key")
        assert job is not None
        jobs.request_cancel(job.id, now())
        until(progress.should_stop)
        return after_that(payload, progress)

    return ended(jobs, handler)


def test_a_cancelled_job_stops_at_its_next_word(jobs: Jobs, until: Until) -> None:
    assert cancelled_in_the_midst(jobs, until, until_told).status == "cancelled"


def test_a_cancel_that_came_too_late_does_not_hide_what_was_done(jobs: Jobs, until: Until) -> None:
    job = cancelled_in_the_midst(jobs, until, lambda payload, progress: {"whole": True})
    assert (job.status, job.result, job.cancel_requested) == ("done", {"whole": True}, True)


def test_what_a_job_raises_after_the_cancel_is_thrown_away(jobs: Jobs, until: Until) -> None:
    job = cancelled_in_the_midst(jobs, until, failing(ValueError("cut short")))
    assert (job.status, job.error) == ("cancelled", None)


def claimed_by_another(jobs: Jobs, job_id: str) -> None:
    assert jobs.claim("other", now() + timedelta(hours=1), 30.0) is not None


def cancelled_by_somebody(jobs: Jobs, job_id: str) -> None:
    jobs.request_cancel(job_id, now())


@pytest.mark.parametrize(("happens", "status"), [(claimed_by_another, "running"), (cancelled_by_somebody, "cancelled")])
def test_no_stage_begins_for_a_job_that_is_no_longer_wanted(
    jobs: Jobs, monkeypatch: pytest.MonkeyPatch, happens: Callable[[Jobs, str], None], status: str
) -> None:
    monkeypatch.setattr("beton.jobs.worker.BEAT_S", 3600.0)
    begun: list[str] = []

    def handler(payload: Mapping[str, Any], progress: Progress) -> Mapping[str, Any]:
        for stage in ("Counting", "Keeping"):
            progress(stage, 0.5)
            begun.append(stage)
            happens(jobs, job.id)
        return {"stale": True}

    job = jobs.enqueue("test", "key", {}, now())
    assert Worker(jobs, {"test": handler}).run_once()
    assert begun == ["Counting"]
    assert (jobs.read(job.id).status, jobs.read(job.id).result) == (status, None)


def test_a_worker_that_lost_its_job_leaves_it_to_the_other(jobs: Jobs, until: Until) -> None:
    def overtaken(payload: Mapping[str, Any], progress: Progress) -> Mapping[str, Any]:
        assert jobs.claim("other", now() + timedelta(hours=1), 30.0) is not None
        until(progress.should_stop)
        return {"stale": True}

    job = ended(jobs, overtaken)
    assert (job.status, job.worker, job.attempts, job.result) == ("running", "other", 2, None)


def test_a_worker_that_loses_its_job_at_the_very_end_is_not_troubled(jobs: Jobs) -> None:
    def overtaken(payload: Mapping[str, Any], progress: Progress) -> Mapping[str, Any]:
        assert jobs.claim("other", now() + timedelta(hours=1), 30.0) is not None
        return {"stale": True}

    assert ended(jobs, overtaken).worker == "other"


def test_a_worker_that_is_told_to_end_puts_its_job_back(jobs: Jobs, until: Until) -> None:
    first = jobs.enqueue("quick", "first", {}, now())
    second = jobs.enqueue("slow", "second", {}, now())
    stop = Event()
    worker = Worker(jobs, {"quick": lambda payload, progress: {}, "slow": until_told})
    thread = Thread(target=worker.run_forever, args=(stop,))
    thread.start()
    until(lambda: jobs.read(second.id).status == "running")
    stop.set()
    thread.join(timeout=30)
    assert not thread.is_alive()
    assert jobs.read(first.id).status == "done"
    assert (jobs.read(second.id).status, jobs.read(second.id).attempts) == ("queued", 0)


def test_a_job_that_is_over_when_its_worker_is_told_to_end_is_not_run_again(jobs: Jobs) -> None:
    stop = Event()

    def handler(payload: Mapping[str, Any], progress: Progress) -> Mapping[str, Any]:
        stop.set()
        return {"whole": True}

    job = jobs.enqueue("test", "key", {}, now())
    Worker(jobs, {"test": handler}).run_forever(stop)
    assert (jobs.read(job.id).status, jobs.read(job.id).result) == ("done", {"whole": True})


def test_an_idle_worker_prepares_itself_once_it_can(jobs: Jobs, until: Until, monkeypatch: pytest.MonkeyPatch) -> None:
    stop, tries, ran = Event(), [], []
    first = jobs.enqueue("quick", "first", {}, now())

    def warm(should_stop: Callable[[], bool]) -> bool:
        assert jobs.read(first.id).status == "done"
        tries.append(should_stop())
        return len(tries) == 3

    monkeypatch.setattr("beton.jobs.worker.IDLE_S", 0.01)
    worker = Worker(jobs, {"quick": lambda payload, progress: ran.append(1) or {}}, warm=warm)
    thread = Thread(target=worker.run_forever, args=(stop,))
    thread.start()
    until(lambda: len(tries) == 3)
    jobs.enqueue("quick", "second", {}, now())
    until(lambda: len(ran) == 2)
    stop.set()
    thread.join(timeout=30)
    assert tries == [False] * 3


def test_a_worker_that_cannot_prepare_itself_works_all_the_same(
    jobs: Jobs, until: Until, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    stop, tries = Event(), []

    def broken(should_stop: Callable[[], bool]) -> bool:
        tries.append(1)
        raise ValueError

    monkeypatch.setattr("beton.jobs.worker.IDLE_S", 0.01)
    worker = Worker(jobs, {"quick": lambda payload, progress: {}}, warm=broken)
    thread = Thread(target=worker.run_forever, args=(stop,))
    thread.start()
    until(lambda: bool(tries))
    job = jobs.enqueue("quick", "job", {}, now())
    until(lambda: jobs.read(job.id).status == "done")
    stop.set()
    thread.join(timeout=30)
    assert tries == [1]
    assert "could be prepared" in caplog.text


def test_a_queue_that_does_not_answer_is_tried_again(jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    stop, calls = Event(), []

    def claim(*_: object) -> None:
        calls.append(1)
        if len(calls) == 2:
            stop.set()
        raise BetonError("The app database does not answer: wait.")

    monkeypatch.setattr(jobs, "claim", claim)
    monkeypatch.setattr("beton.jobs.worker.IDLE_S", 0.01)
    Worker(jobs, {}).run_forever(stop)
    assert len(calls) == 2
