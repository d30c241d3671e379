from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from threading import Barrier

import pytest
from sqlalchemy import insert
from sqlalchemy.exc import IntegrityError

from beton.errors import InputError
from beton.jobs.queue import Jobs, LeaseLost, as_of
from beton.records.database import Database
from beton.records.rows import JobRecord
from beton.records.tables import jobs as table

LEASE_S = 30.0
Ending = Callable[[Jobs, str, datetime], object]

ENDINGS: dict[str, Ending] = {
    "done": lambda jobs, job_id, at: jobs.finish(job_id, "ann", {"found": 3}, at),
    "failed": lambda jobs, job_id, at: jobs.fail(job_id, "ann", "Too large: choose fewer events.", at),
    "cancelled": lambda jobs, job_id, at: jobs.cancelled(job_id, "ann", at),
}


def after(at: datetime, seconds: float) -> datetime:
    return at + timedelta(seconds=seconds)


def claimed(jobs: Jobs, worker: str, at: datetime) -> JobRecord:
    job = jobs.claim(worker, at, LEASE_S)
    assert job is not None
    return job


def test_a_queued_job_is_read_as_it_was_written(jobs: Jobs, noon: datetime) -> None:
    payload = {"outcome": "won", "windows": [7, 14], "share": 0.5, "none": None}
    job = jobs.enqueue("discovery", "a", payload, noon)
    assert jobs.read(job.id) == jobs.open_for("a") == job
    assert (len(job.id), int(job.id, 16) >= 0) == (32, True)
    assert (job.kind, job.key, job.payload, job.created_at) == ("discovery", "a", payload, noon)
    assert (job.status, job.stage, job.progress, job.attempts) == ("queued", "", 0.0, 0)
    assert job.is_open
    assert not job.cancel_requested
    for unset in (job.result, job.error, job.worker, job.lease_until, job.started_at, job.finished_at):
        assert unset is None


def test_an_open_job_of_the_same_key_is_shared(jobs: Jobs, noon: datetime) -> None:
    first = jobs.enqueue("discovery", "a", {"n": 1}, noon)
    assert jobs.enqueue("discovery", "a", {"n": 2}, after(noon, 1)) == first
    running = claimed(jobs, "ann", noon)
    assert jobs.enqueue("discovery", "a", {"n": 3}, after(noon, 2)) == running
    assert jobs.enqueue("discovery", "b", {}, noon).id != first.id
    jobs.finish(first.id, "ann", {}, noon)
    assert jobs.open_for("a") is None
    assert jobs.enqueue("discovery", "a", {}, noon).id != first.id


def test_people_who_ask_at_once_get_one_job(jobs: Jobs, noon: datetime) -> None:
    gate = Barrier(4)

    def ask(n: int) -> str:
        gate.wait(timeout=30)
        return jobs.enqueue("discovery", "a", {"n": n}, noon).id

    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(ask, range(4)))) == 1
    assert len(jobs.recent("discovery", 10)) == 1


@pytest.mark.parametrize("status", ["queued", "running"])
def test_the_database_itself_refuses_a_second_open_job_of_a_key(
    jobs: Jobs, database: Database, noon: datetime, status: str
) -> None:
    jobs.enqueue("discovery", "a", {}, noon)
    second = {"kind": "discovery", "key": "a", "payload": {}, "stage": "", "progress": 0.0, "created_at": noon}
    lease = noon if status == "running" else None
    with pytest.raises(IntegrityError, match="UNIQUE"), database.write() as connection:
        connection.execute(
            insert(table).values(
                id="f" * 32, status=status, cancel_requested=False, attempts=0, lease_until=lease, **second
            )
        )


def test_a_payload_that_is_not_json_is_refused(jobs: Jobs, noon: datetime) -> None:
    with pytest.raises(InputError, match=r"payload\.at"):
        jobs.enqueue("discovery", "a", {"at": noon}, noon)
    assert jobs.open_for("a") is None


def test_the_newest_jobs_of_a_kind_come_first(jobs: Jobs, noon: datetime) -> None:
    ids = [jobs.enqueue("discovery", f"key {n}", {}, after(noon, n)).id for n in range(4)]
    jobs.enqueue("sync", "other", {}, after(noon, 9))
    assert [job.id for job in jobs.recent("discovery", 3)] == ids[:0:-1]


def test_an_unknown_job_is_named(jobs: Jobs, noon: datetime) -> None:
    for ask in (
        jobs.read,
        lambda job_id: jobs.request_cancel(job_id, noon),
        lambda job_id: jobs.release(job_id, "ann"),
    ):
        with pytest.raises(InputError, match="no job 'nothing'"):
            ask("nothing")


def test_the_oldest_job_is_claimed_first_and_nothing_when_none_waits(jobs: Jobs, noon: datetime) -> None:
    assert jobs.claim("ann", noon, LEASE_S) is None
    late = jobs.enqueue("discovery", "late", {}, after(noon, 2))
    early = jobs.enqueue("discovery", "early", {}, after(noon, 1))
    job = claimed(jobs, "ann", after(noon, 5))
    assert (job.id, job.status, job.attempts, job.worker) == (early.id, "running", 1, "ann")
    assert (job.started_at, job.lease_until) == (after(noon, 5), after(noon, 5 + LEASE_S))
    assert claimed(jobs, "bob", after(noon, 5)).id == late.id
    assert jobs.claim("bob", after(noon, 5), LEASE_S) is None


def test_of_claimers_at_once_each_job_has_one_winner(jobs: Jobs, noon: datetime) -> None:
    ids = {jobs.enqueue("discovery", f"key {n}", {}, noon).id for n in range(2)}
    gate = Barrier(4)

    def take(worker: str) -> JobRecord | None:
        gate.wait(timeout=30)
        return jobs.claim(worker, noon, LEASE_S)

    with ThreadPoolExecutor(4) as pool:
        taken = [job for job in pool.map(take, "abcd") if job]
    assert len(taken) == 2
    assert {job.id for job in taken} == ids
    assert all(jobs.read(job.id).worker == job.worker for job in taken)


def test_a_beat_tells_the_progress_and_extends_the_lease(jobs: Jobs, noon: datetime) -> None:
    jobs.enqueue("discovery", "a", {}, noon)
    job = claimed(jobs, "ann", noon)
    assert jobs.beat(job.id, "ann", "Counting pairs", 0.4, after(noon, 20), LEASE_S) is False
    job = jobs.read(job.id)
    assert (job.stage, job.progress, job.lease_until) == ("Counting pairs", 0.4, after(noon, 20 + LEASE_S))
    assert jobs.claim("bob", after(noon, 45), LEASE_S) is None


def test_a_job_whose_lease_ran_out_is_claimed_again_and_its_first_worker_is_shut_out(
    jobs: Jobs, noon: datetime
) -> None:
    jobs.enqueue("discovery", "a", {}, noon)
    job = claimed(jobs, "ann", noon)
    jobs.beat(job.id, "ann", "Counting pairs", 0.4, noon, LEASE_S)
    assert jobs.claim("bob", after(noon, LEASE_S), LEASE_S) is None
    again = claimed(jobs, "bob", after(noon, LEASE_S + 1))
    assert (again.id, again.attempts, again.worker) == (job.id, 2, "bob")
    assert (again.stage, again.progress, again.started_at) == ("", 0.0, noon)
    with pytest.raises(LeaseLost):
        jobs.beat(job.id, "ann", "Counting pairs", 0.9, after(noon, 32), LEASE_S)
    for end in ENDINGS.values():
        with pytest.raises(LeaseLost):
            end(jobs, job.id, after(noon, 32))
    assert jobs.read(job.id) == again


def test_a_second_death_interrupts_the_job_for_good(jobs: Jobs, noon: datetime) -> None:
    jobs.enqueue("discovery", "a", {}, noon)
    claimed(jobs, "ann", noon)
    job = claimed(jobs, "bob", after(noon, 40))
    assert jobs.claim("cat", after(noon, 80), LEASE_S) is None
    ended = jobs.read(job.id)
    assert (ended.status, ended.result, ended.finished_at) == ("interrupted", None, after(noon, 40 + LEASE_S))
    assert "ended twice" in str(ended.error)
    assert not ended.is_open
    with pytest.raises(LeaseLost, match="interrupted"):
        jobs.finish(job.id, "bob", {}, after(noon, 81))
    assert jobs.read(job.id) == ended


def test_the_job_of_a_worker_known_to_be_dead_is_taken_at_once(jobs: Jobs, noon: datetime) -> None:
    first, other = (jobs.enqueue("discovery", key, {}, noon) for key in "ab")
    assert {claimed(jobs, "ann", noon).id, claimed(jobs, "bob", noon).id} == {first.id, other.id}
    jobs.worker_died("ann", after(noon, 1))
    dead, alive = (
        next(each for each in map(jobs.read, (first.id, other.id)) if each.worker == w) for w in ("ann", "bob")
    )
    assert as_of(dead, after(noon, 2)).status == "queued"
    assert as_of(alive, after(noon, 2)) == alive
    again = claimed(jobs, "cat", after(noon, 2))
    assert (again.id, again.attempts) == (dead.id, 2)

    jobs.worker_died("ann", after(noon, 3))
    assert jobs.read(dead.id) == again, "its job is another's now"
    jobs.worker_died("cat", after(noon, 4))
    assert jobs.claim("dan", after(noon, 5), LEASE_S) is None
    assert (jobs.read(dead.id).status, jobs.read(dead.id).finished_at) == ("interrupted", after(noon, 4))


def test_a_released_job_waits_as_before(jobs: Jobs, noon: datetime) -> None:
    queued = jobs.enqueue("discovery", "a", {}, noon)
    for n in range(3):
        claimed(jobs, "ann", after(noon, n))
        jobs.beat(queued.id, "ann", "Counting pairs", 0.4, after(noon, n), LEASE_S)
        jobs.release(queued.id, "ann")
    released = jobs.read(queued.id)
    assert (released.status, released.attempts, released.stage, released.worker) == ("queued", 0, "", None)
    assert claimed(jobs, "bob", after(noon, 4)).attempts == 1


def test_a_queued_job_is_cancelled_at_once(jobs: Jobs, noon: datetime) -> None:
    job = jobs.enqueue("discovery", "a", {}, noon)
    cancelled = jobs.request_cancel(job.id, after(noon, 3))
    assert (cancelled.status, cancelled.finished_at) == ("cancelled", after(noon, 3))
    assert jobs.claim("ann", after(noon, 4), LEASE_S) is None


def test_a_running_job_hears_of_the_cancel_with_its_next_beat(jobs: Jobs, noon: datetime) -> None:
    jobs.enqueue("discovery", "a", {}, noon)
    job = claimed(jobs, "ann", noon)
    assert jobs.request_cancel(job.id, after(noon, 1)).status == "running"
    assert jobs.beat(job.id, "ann", "", 0.1, after(noon, 2), LEASE_S) is True
    jobs.cancelled(job.id, "ann", after(noon, 3))
    assert (jobs.read(job.id).status, jobs.read(job.id).finished_at) == ("cancelled", after(noon, 3))


def test_a_cancelled_job_whose_worker_died_is_not_run_again(jobs: Jobs, noon: datetime) -> None:
    jobs.enqueue("discovery", "a", {}, noon)
    job = claimed(jobs, "ann", noon)
    jobs.request_cancel(job.id, after(noon, 1))
    assert jobs.claim("bob", after(noon, 40), LEASE_S) is None
    assert jobs.read(job.id).status == "cancelled"


@pytest.mark.parametrize("status", ENDINGS)
def test_an_ended_job_takes_no_further_change(jobs: Jobs, noon: datetime, status: str) -> None:
    jobs.enqueue("discovery", "a", {}, noon)
    job = claimed(jobs, "ann", noon)
    ENDINGS[status](jobs, job.id, after(noon, 5))
    ended = jobs.read(job.id)
    assert (ended.status, ended.finished_at, ended.lease_until) == (status, after(noon, 5), None)
    assert (ended.result is not None) == (status == "done")
    assert (ended.error is not None) == (status == "failed")
    for end in ENDINGS.values():
        with pytest.raises(LeaseLost, match=status):
            end(jobs, job.id, after(noon, 6))
    with pytest.raises(LeaseLost, match=status):
        jobs.beat(job.id, "ann", "", 0.1, after(noon, 6), LEASE_S)
    with pytest.raises(LeaseLost, match=status):
        jobs.release(job.id, "ann")
    assert jobs.request_cancel(job.id, after(noon, 7)) == ended
    assert jobs.claim("bob", after(noon, 1000), LEASE_S) is None
    assert jobs.read(job.id) == ended


def test_a_result_that_is_not_json_leaves_the_job_running(jobs: Jobs, noon: datetime) -> None:
    jobs.enqueue("discovery", "a", {}, noon)
    job = claimed(jobs, "ann", noon)
    with pytest.raises(InputError, match=r"result\.lift"):
        jobs.finish(job.id, "ann", {"lift": float("nan")}, noon)
    assert jobs.read(job.id) == job


@pytest.mark.parametrize("is_cancelled", [False, True])
@pytest.mark.parametrize("attempts", [1, 2])
def test_a_dead_job_reads_as_the_next_worker_leaves_it(
    jobs: Jobs, noon: datetime, attempts: int, is_cancelled: bool
) -> None:
    job = jobs.enqueue("discovery", "a", {}, noon)
    for n in range(attempts):
        claimed(jobs, f"worker {n}", after(noon, n * (LEASE_S + 1)))
    if is_cancelled:
        jobs.request_cancel(job.id, noon)
    running = jobs.read(job.id)
    dead_at = after(noon, attempts * (LEASE_S + 1))
    assert as_of(running, after(dead_at, -1)) == running, "its lease still holds"

    seen = as_of(running, dead_at)
    taken = jobs.claim("next", dead_at, LEASE_S)
    if taken is None:
        assert seen == jobs.read(job.id)
        assert seen.status == ("cancelled" if is_cancelled else "interrupted")
    else:
        assert (seen.status, seen.progress, seen.lease_until, seen.attempts) == ("queued", 0.0, None, 1)
        assert (taken.id, taken.attempts) == (job.id, 2)


def test_who_asks_again_after_a_job_has_died_gets_a_fresh_one(jobs: Jobs, noon: datetime) -> None:
    first = jobs.enqueue("discovery", "a", {}, noon)
    for n in range(2):
        claimed(jobs, f"worker {n}", after(noon, n * (LEASE_S + 1)))
    dead_at = after(noon, 2 * (LEASE_S + 1))
    assert jobs.enqueue("discovery", "a", {}, after(dead_at, -2)).id == first.id, "its lease still holds"
    assert jobs.enqueue("discovery", "a", {}, dead_at).id != first.id
    assert jobs.read(first.id).status == "interrupted"
