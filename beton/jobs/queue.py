"""The queue of jobs: a worker takes one by lease, and a job whose worker died is taken once more."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import uuid4

from sqlalchemy import Connection, func, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from beton.errors import BetonError, InputError
from beton.records.columns import storable
from beton.records.database import Database
from beton.records.rows import JobRecord
from beton.records.tables import jobs

MOST_ATTEMPTS: Final = 2

_OPEN: Final = ("queued", "running")
_DIED: Final = (
    "The process that ran this job ended twice before the job was done, most likely for want of memory: "
    "see the log, then start it again with less."
)


class LeaseLost(BetonError):
    """The job is no longer this worker's: it ended, or another worker has taken it over."""


class Jobs:
    """Keeps jobs and their results. Unknown ids raise ``InputError``.

    A job that has ended takes no further change, and a running one is changed by the worker that holds it only.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def enqueue(self, kind: str, key: str, payload: Mapping[str, Any], at: datetime) -> JobRecord:
        """Queue a job, or return the open job of the same key: two people who ask for one thing share it.

        A job that no worker will take again is no open job, whether or not a worker has looked since it died.

        Raises:
            InputError: the payload is not JSON.
        """
        stored = storable(dict(payload), "payload")
        try:
            with self._database.write() as connection:
                _close_expired(connection, at)
                return _open_for(connection, key) or _insert(connection, kind, key, stored, at)
        except IntegrityError:
            # PostgreSQL lets another process queue the same key between the two statements.
            if (found := self.open_for(key)) is None:
                raise
            return found

    def read(self, job_id: str) -> JobRecord:
        """Return one job."""
        with self._database.read() as connection:
            return _read(connection, job_id)

    def open_for(self, key: str) -> JobRecord | None:
        """Return the queued or running job of this key."""
        with self._database.read() as connection:
            return _open_for(connection, key)

    def recent(self, kind: str, limit: int) -> list[JobRecord]:
        """Return the last ``limit`` jobs of a kind, newest first."""
        query = select(jobs).where(jobs.c.kind == kind).order_by(jobs.c.created_at.desc(), jobs.c.id).limit(limit)
        with self._database.read() as connection:
            return [JobRecord(**row) for row in connection.execute(query).mappings()]

    def claim(self, worker: str, at: datetime, lease_s: float) -> JobRecord | None:
        """Take the oldest job that waits, or whose worker let its lease run out; None when there is none.

        ``worker`` must be a name that no other process has, or ever had.
        """
        waiting = or_(jobs.c.status == "queued", _expired(at))
        # Others skip a row that is being taken instead of waiting for it; SQLite has one writer at a time anyway.
        first = select(jobs.c.id).where(waiting).order_by(jobs.c.created_at, jobs.c.id).limit(1)
        with self._database.write() as connection:
            _close_expired(connection, at)
            job_id = connection.scalar(first.with_for_update(skip_locked=True))
            if job_id is None:
                return None
            taken = {
                "status": "running",
                "stage": "",
                "progress": 0.0,
                "attempts": jobs.c.attempts + 1,
                "worker": worker,
                "lease_until": at + timedelta(seconds=lease_s),
                "started_at": func.coalesce(jobs.c.started_at, at),
            }
            connection.execute(update(jobs).where(jobs.c.id == job_id).values(taken))
            return _read(connection, job_id)

    def beat(self, job_id: str, worker: str, stage: str, progress: float, at: datetime, lease_s: float) -> bool:
        """Say that the job is alive, what it does (in words) and how far it is (0..1); return whether to cancel it.

        Raises:
            LeaseLost: the job has ended or is another worker's now.
        """
        values = {"stage": stage, "progress": progress, "lease_until": at + timedelta(seconds=lease_s)}
        return self._change(job_id, worker, values).cancel_requested

    def request_cancel(self, job_id: str, at: datetime) -> JobRecord:
        """Cancel a queued job at once and ask the worker of a running one; an ended job stays as it is."""
        mine = update(jobs).where(jobs.c.id == job_id)
        with self._database.write() as connection:
            at_once = {"status": "cancelled", "cancel_requested": True, "finished_at": at}
            connection.execute(mine.where(jobs.c.status == "queued").values(at_once))
            connection.execute(mine.where(jobs.c.status == "running").values(cancel_requested=True))
            return _read(connection, job_id)

    def finish(self, job_id: str, worker: str, result: Mapping[str, Any], at: datetime) -> None:
        """Store the result and end the job.

        Raises:
            InputError: the result is not JSON.
            LeaseLost: the job has ended or is another worker's now.
        """
        stored = storable(dict(result), "result")
        self._end(job_id, worker, {"status": "done", "progress": 1.0, "result": stored}, at)

    def fail(self, job_id: str, worker: str, error: str, at: datetime) -> None:
        """End the job with the sentence that says why; raises ``LeaseLost`` like ``finish``."""
        self._end(job_id, worker, {"status": "failed", "error": error}, at)

    def cancelled(self, job_id: str, worker: str, at: datetime) -> None:
        """End the job because somebody asked for it; raises ``LeaseLost`` like ``finish``."""
        self._end(job_id, worker, {"status": "cancelled"}, at)

    def release(self, job_id: str, worker: str) -> None:
        """Put the job back for another worker, as if this one had never taken it; raises ``LeaseLost`` like ``finish``.

        A worker that is told to stop does so: restarts of the server are no deaths of the job.
        """
        back = {"status": "queued", "stage": "", "progress": 0.0, "worker": None, "lease_until": None}
        self._change(job_id, worker, back | {"attempts": jobs.c.attempts - 1})

    def worker_died(self, worker: str, at: datetime) -> None:
        """End the lease of the job that ``worker`` holds, if any: whoever calls knows that its process is gone.

        It counts as a death of the job, like a lease that runs out.
        """
        held = update(jobs).where(jobs.c.status == "running", jobs.c.worker == worker, jobs.c.lease_until > at)
        with self._database.write() as connection:
            connection.execute(held.values(lease_until=at))

    def _end(self, job_id: str, worker: str, values: dict[str, Any], at: datetime) -> None:
        self._change(job_id, worker, values | {"lease_until": None, "finished_at": at})

    def _change(self, job_id: str, worker: str, values: dict[str, Any]) -> JobRecord:
        held = update(jobs).where(jobs.c.id == job_id, jobs.c.status == "running", jobs.c.worker == worker)
        with self._database.write() as connection:
            if connection.execute(held.values(values)).rowcount:
                return _read(connection, job_id)
            job = _read(connection, job_id)
        raise LeaseLost(f"Job {job_id} is {job.status} and no longer this worker's: let it be, or start a new one.")


def as_of(job: JobRecord, at: datetime) -> JobRecord:
    """Return the job as the next worker to look will find it: nobody works on one whose lease has run out.

    A job with an attempt left then waits again: it reads as queued, with the attempts that it has had.
    """
    if job.status != "running" or job.lease_until is None or job.lease_until >= at:
        return job
    if job.cancel_requested:
        return replace(job, status="cancelled", finished_at=job.lease_until, lease_until=None)
    if job.attempts >= MOST_ATTEMPTS:
        return replace(job, status="interrupted", error=_DIED, finished_at=job.lease_until, lease_until=None)
    return replace(job, status="queued", stage="", progress=0.0, worker=None, lease_until=None)


def _expired(at: datetime) -> Any:
    return (jobs.c.status == "running") & (jobs.c.lease_until < at)


def _close_expired(connection: Connection, at: datetime) -> None:
    end = {"finished_at": jobs.c.lease_until, "lease_until": None}
    expired = update(jobs).where(_expired(at))
    connection.execute(expired.where(jobs.c.cancel_requested).values(end | {"status": "cancelled"}))
    died = {"status": "interrupted", "error": _DIED}
    connection.execute(expired.where(jobs.c.attempts >= MOST_ATTEMPTS).values(end | died))


def _open_for(connection: Connection, key: str) -> JobRecord | None:
    query = select(jobs).where(jobs.c.key == key, jobs.c.status.in_(_OPEN))
    row = connection.execute(query).mappings().one_or_none()
    return JobRecord(**row) if row else None


def _insert(connection: Connection, kind: str, key: str, payload: dict[str, Any], at: datetime) -> JobRecord:
    job_id = uuid4().hex
    fresh = {"status": "queued", "stage": "", "progress": 0.0, "cancel_requested": False, "attempts": 0}
    connection.execute(insert(jobs).values(id=job_id, kind=kind, key=key, payload=payload, created_at=at, **fresh))
    return _read(connection, job_id)


def _read(connection: Connection, job_id: str) -> JobRecord:
    row = connection.execute(select(jobs).where(jobs.c.id == job_id)).mappings().one_or_none()
    if row is None:
        raise InputError(f"There is no job {job_id!r}: start a new one, or check the link.")
    return JobRecord(**row)
