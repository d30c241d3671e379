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
    interpreter now and then, so a native call longer than the lease has to release it (``nogil``). A new stage is
    written down at once: no stage begins for a job that was cancelled or that another worker has taken over meanwhile,
    so a handler that announces what cannot be undone as a stage of its own does it only while the job is its own.

    A handler that stops early raises; one that returns has done its work, and a cancel came too late for it.
    """

    def __init__(self, stop: threading.Event, beat: Callable[[str, float], bool]) -> None:
        self._stop = stop
        self._beat = beat
        self._latest: tuple[str, float] = ("", 0.0)
        self.is_cancelled = False
        self.is_lost = False

    def __call__(self, stage: str, share: float) -> None:
        """Say what the job does now (in words) and how far it is (0..1).

        Raises:
            JobCancelled: the job is to stop: let it pass through.
        """
        is_new = stage != self._latest[0]
        self._latest = (stage, min(max(share, 0.0), 1.0))
        if is_new:
            self.tell()
        if self.should_stop():
            raise JobCancelled

    def should_stop(self) -> bool:
        """Return whether work from here on is in vain."""
        return self.is_cancelled or self.is_lost or self._stop.is_set()

    def tell(self) -> None:
        """Write the latest word down, which keeps the lease, and hear whether to stop."""
        try:
            # Never set back: two threads tell, and the later answer may be the older one.
            if self._beat(*self._latest):
                self.is_cancelled = True
        except LeaseLost:
            self.is_lost = True
        except BetonError:
            log.exception("a job could not give a sign of life; trying again")


Handler = Callable[[Mapping[str, Any], Progress], Mapping[str, Any]]
Warm = Callable[[Callable[[], bool]], bool]


def _nothing_to_warm(should_stop: Callable[[], bool]) -> bool:
    return True


class Worker:
    """Takes jobs from the queue and gives each to the handler of its kind.

    ``name`` is its own in the queue. ``warm`` does what only the first job of a process would pay for, as soon as
    nothing else is to be done; until it returns True (it could not yet) it is tried again.
    """

    def __init__(
        self, jobs: Jobs, handlers: Mapping[str, Handler], *, warm: Warm = _nothing_to_warm, lease_s: float = LEASE_S
    ) -> None:
        self._jobs = jobs
        self._handlers = handlers
        self._warm = warm
        self._is_warm = False
        self._lease_s = lease_s
        self.name = uuid4().hex

    def succeed(self, dead: str) -> None:
        """Take up where the worker named ``dead``, whose process is known to be gone, left its job."""
        self._jobs.worker_died(dead, now())

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
        job = self._jobs.claim(self.name, now(), self._lease_s)
        if job is None:
            return False

        def beat(stage: str, share: float) -> bool:
            return self._jobs.beat(job.id, self.name, stage, share, now(), self._lease_s)

        progress = Progress(stop or threading.Event(), beat)
        ended = threading.Event()
        heart = threading.Thread(target=_keep_alive, args=(progress, ended), name=f"beat-{job.id}")
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

    def _attempt(self, job: JobRecord, progress: Progress) -> tuple[Mapping[str, Any] | None, str]:
        """Return the handler's result, or None and the sentence that says why there is none."""
        handler = self._handlers.get(job.kind)
        if handler is None:
            return None, f"This worker cannot run jobs of kind {job.kind!r}: start it from the version of the web app."
        try:
            return handler(job.payload, progress), ""
        except JobCancelled:
            return None, "The job stopped without being asked to: start it again."
        except BetonError as problem:
            if not progress.should_stop():
                log.exception("job %s (%s) failed", job.id, job.kind)
            return None, str(problem)
        except Exception as problem:
            log.exception("job %s (%s) failed", job.id, job.kind)
            return None, f"The job broke ({type(problem).__name__}): the worker's log says where."

    def _end(self, job: JobRecord, progress: Progress, result: Mapping[str, Any] | None, error: str) -> None:
        if progress.is_lost:
            log.warning("job %s (%s) is another worker's now; its result is thrown away", job.id, job.kind)
        elif result is not None:
            self._finish(job, result)
        elif progress.is_cancelled:
            self._jobs.cancelled(job.id, self.name, now())
        elif progress.should_stop():
            self._jobs.release(job.id, self.name)
        else:
            self._jobs.fail(job.id, self.name, error, now())

    def _finish(self, job: JobRecord, result: Mapping[str, Any]) -> None:
        try:
            self._jobs.finish(job.id, self.name, result, now())
        except InputError as problem:
            self._jobs.fail(job.id, self.name, str(problem), now())


def _keep_alive(progress: Progress, ended: threading.Event) -> None:
    while not (progress.is_lost or ended.wait(BEAT_S)):
        progress.tell()
