"""Runs jobs one after the other, and keeps each one's lease alive while its handler works."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from typing import Any, Final
from uuid import uuid4

from beton.clock import now
from beton.errors import BetonError, InputError
from beton.jobs.queue import Jobs, LeaseLost
from beton.records.rows import JobRecord

log = logging.getLogger("beton.jobs")

LEASE_S: Final = 30.0
BEAT_S: Final = 0.2
IDLE_S: Final = 0.5


class JobCancelled(Exception):
    """The job is to stop here; the worker knows why."""


class Progress:
    """What a handler is given: it says how far the job is, and hears whether to stop.

    Cheap to call often: a thread of its own writes the latest word down every ``BEAT_S`` seconds. That thread needs the
    interpreter now and then, so a native call longer than the lease has to release it (``nogil``).
    """

    def __init__(self, stop: threading.Event) -> None:
        self._stop = stop
        self.latest: tuple[str, float] = ("", 0.0)
        self.is_cancelled = False
        self.is_lost = False

    def __call__(self, stage: str, share: float) -> None:
        """Say what the job does now (in words) and how far it is (0..1).

        Raises:
            JobCancelled: the job is to stop: let it pass through.
        """
        if self.should_stop():
            raise JobCancelled
        self.latest = (stage, min(max(share, 0.0), 1.0))

    def should_stop(self) -> bool:
        """Return whether work from here on is in vain; what the handler then returns is thrown away."""
        return self.is_cancelled or self.is_lost or self._stop.is_set()


Handler = Callable[[Mapping[str, Any], Progress], Mapping[str, Any]]
Warm = Callable[[Callable[[], bool]], bool]


def _nothing_to_warm(should_stop: Callable[[], bool]) -> bool:
    return True


class Worker:
    """Takes jobs from the queue and gives each to the handler of its kind.

    ``warm`` does what only the first job of a process would pay for, as soon as nothing else is to be done; until it
    returns True (it could not yet) it is tried again.
    """

    def __init__(
        self, jobs: Jobs, handlers: Mapping[str, Handler], *, warm: Warm = _nothing_to_warm, lease_s: float = LEASE_S
    ) -> None:
        self._jobs = jobs
        self._handlers = handlers
        self._warm = warm
        self._is_warm = False
        self._lease_s = lease_s
        self._name = uuid4().hex

    def run_forever(self, stop: threading.Event) -> None:
        """Run jobs until ``stop`` is set; a job that is under way then goes back to the queue."""
        while not stop.is_set():
            try:
                had_job = self.run_once(stop)
            except BetonError:
                log.exception("the queue of jobs cannot be used; trying again")
                had_job = False
            if not had_job:
                self._is_warm = self._is_warm or self._warmed(stop)
                stop.wait(IDLE_S)

    def _warmed(self, stop: threading.Event) -> bool:
        try:
            return self._warm(stop.is_set)
        except Exception:  # jobs only start more slowly
            log.exception("the first job will be slow: nothing could be prepared for it")
            return True

    def run_once(self, stop: threading.Event | None = None) -> bool:
        """Run one job to its end; False when none was waiting."""
        job = self._jobs.claim(self._name, now(), self._lease_s)
        if job is None:
            return False
        progress = Progress(stop or threading.Event())
        ended = threading.Event()
        heart = threading.Thread(target=self._keep_alive, args=(job, progress, ended), name=f"beat-{job.id}")
        heart.start()
        try:
            result, error = self._attempt(job, progress)
        finally:
            ended.set()
            heart.join()
        try:
            self._end(job, progress, result, error)
        except LeaseLost as problem:
            log.warning("%s", problem)
        return True

    def _attempt(self, job: JobRecord, progress: Progress) -> tuple[Mapping[str, Any], str]:
        """Return the handler's result, or the sentence that says why there is none."""
        handler = self._handlers.get(job.kind)
        if handler is None:
            return (
                {},
                f"This worker cannot run jobs of kind {job.kind!r}: start it from the version of the web app.",
            )
        try:
            return handler(job.payload, progress), ""
        except JobCancelled:
            return {}, "The job stopped without being asked to: start it again."
        except BetonError as problem:
            if not progress.should_stop():
                log.exception("job %s (%s) failed", job.id, job.kind)
            return {}, str(problem)
        except Exception as problem:
            log.exception("job %s (%s) failed", job.id, job.kind)
            return {}, f"The job broke ({type(problem).__name__}): the worker's log says where."

    def _end(self, job: JobRecord, progress: Progress, result: Mapping[str, Any], error: str) -> None:
        if progress.is_lost:
            log.warning("job %s (%s) is another worker's now; its result is thrown away", job.id, job.kind)
        elif progress.is_cancelled:
            self._jobs.cancelled(job.id, self._name, now())
        elif progress.should_stop():
            self._jobs.release(job.id, self._name)
        elif error:
            self._jobs.fail(job.id, self._name, error, now())
        else:
            try:
                self._jobs.finish(job.id, self._name, result, now())
            except InputError as problem:
                self._jobs.fail(job.id, self._name, str(problem), now())

    def _keep_alive(self, job: JobRecord, progress: Progress, ended: threading.Event) -> None:
        while not ended.wait(BEAT_S):
            stage, share = progress.latest
            try:
                progress.is_cancelled |= self._jobs.beat(job.id, self._name, stage, share, now(), self._lease_s)
            except LeaseLost:
                progress.is_lost = True
                return
            except BetonError:
                log.exception("job %s could not give a sign of life; trying again", job.id)
