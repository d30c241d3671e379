"""Discovery: find the signals of the current snapshot, keep the run whole, and list what it found among the signals."""

from __future__ import annotations

import shutil
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

from beton import clock
from beton.errors import BetonError, InputError, NoDataError, WarehouseError
from beton.model.discovery import DiscoveryResult, DiscoverySettings, ShuffleTest
from beton.model.outcome import Outcome
from beton.model.signal import content_hash
from beton.services import measurement
from beton.services.clocks import clocks
from beton.warehouse.landmark import Clock

if TYPE_CHECKING:
    from beton.discovery.run import Question
    from beton.jobs.queue import Jobs
    from beton.jobs.worker import Progress
    from beton.model.manifest import Manifest
    from beton.records.discoveries import DiscoveryRepository
    from beton.records.rows import DiscoveryRecord, JobRecord
    from beton.records.settings import SettingsRepository
    from beton.services.signals import Signals
    from beton.warehouse.reader import Warehouse

ENGINE: Final = "discovery-2"
JOB: Final = "discovery"
SHUFFLE_JOB: Final = "shuffle test"
SHUFFLE_ROUNDS: Final = 20
MOST_OPEN: Final = 5  # jobs among which one that runs is looked for
# Asks every kernel and every statistic for a little.
SMALLEST: Final = DiscoverySettings(
    windows_days=(14,), activity_days=14, counts=(1,), max_values=1, min_units=1, permutations=2
)
OnStep = Callable[[str, float], None]


@dataclass(frozen=True)
class DiscoveryRun:
    """A finished run with the folder of its tables."""

    id: str
    created_at: datetime
    seconds: float
    result: DiscoveryResult
    folder: Path


@dataclass(frozen=True)
class Standing:
    """How the newest job stands at one moment.

    ``silent_s``: seconds since the worker of a running job last gave a sign of life; ``lease_s``: after how many
    another worker may take it over. ``is_next``: the job waits because another discovery is running.
    """

    at: datetime
    job: JobRecord | None
    silent_s: float = 0.0
    lease_s: float = 0.0
    is_next: bool = False


class Discovery:
    """Use cases on discovery runs."""

    def __init__(
        self,
        data_dir: Path,
        warehouse: Warehouse,
        runs: DiscoveryRepository,
        settings: SettingsRepository,
        signals: Signals,
        jobs: Jobs,
    ) -> None:
        self._data_dir = data_dir
        self._warehouse = warehouse
        self._runs = runs
        self._settings = settings
        self._signals = signals
        self._jobs = jobs

    def run(
        self,
        settings: DiscoverySettings,
        outcome: Outcome | None = None,
        *,
        on_step: OnStep,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> DiscoveryRun:
        """Run discovery on the current snapshot; what it finds is saved, switched off, as discovered signals.

        Raises:
            NoDataError: nothing has been imported.
            InputError: the data lack what is asked for, or the history is too short to learn from and to hold a
                period back.
            WarehouseError: the snapshot is broken or of another version.
            BetonError: the run cannot be kept; nothing of it is.
        """
        from beton.discovery import tables
        from beton.discovery.run import run

        since, at, question = time.perf_counter(), clock.now(), self._question(settings, outcome)
        answer = run(question, on_step, should_stop)
        run_id = uuid.uuid4().hex
        with _gone_unless_kept(self._folder(run_id)) as folder:
            tables.write(folder, answer.candidates, answer.search, answer.result.priors)
            on_step("Keeping the run", 0.99)
            record = self._keep(run_id, question, answer.result, at, time.perf_counter() - since)
        self._signals.save_found([each.definition for each in answer.result.findings], run_id)
        return self._run(record)

    def _keep(
        self, run_id: str, question: Question, result: DiscoveryResult, at: datetime, seconds: float
    ) -> DiscoveryRecord:
        settings, version = question.settings.to_dict(), question.manifest.version
        return self._runs.add(
            run_id,
            result.to_json(),
            settings=settings,
            request_hash=content_hash([settings, question.outcome.to_dict(), version, ENGINE]),
            snapshot_version=version,
            at=at,
            seconds=seconds,
        )

    def check(self, settings: DiscoverySettings, outcome: Outcome | None = None) -> None:
        """Raise what ``run`` would raise before its search, for whoever queues it and does not wait for its end."""
        self._question(settings, outcome)

    def warm(self, should_stop: Callable[[], bool]) -> bool:
        """Do what only the first run of a process pays for, by a run so small that it finds nothing; nothing is saved.

        False where there is no data yet.
        """
        from beton.discovery import tables
        from beton.discovery.run import run

        try:
            answer = run(self._question(SMALLEST, None), lambda stage, share: None, should_stop)
        except NoDataError:
            return False
        except BetonError:  # data that cannot be searched; whoever asks for a run is told so
            return True
        with TemporaryDirectory() as folder:
            tables.write(Path(folder), answer.candidates, answer.search, answer.result.priors)
        return True

    def shuffle_test(
        self,
        settings: DiscoverySettings,
        outcome: Outcome | None = None,
        rounds: int = SHUFFLE_ROUNDS,
        *,
        on_step: OnStep,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> ShuffleTest:
        """Search the current snapshot with outcomes dealt out anew, ``rounds`` times; hardly anything should be listed.

        Nothing is saved. Raises as ``run`` does, and InputError for less than one round.
        """
        from beton.discovery.shuffle import shuffle_test

        _check_rounds(rounds)
        return shuffle_test(self._question(settings, outcome), rounds, on_step, should_stop)

    def request_shuffle(
        self, settings: DiscoverySettings, outcome: Outcome | None = None, rounds: int = SHUFFLE_ROUNDS
    ) -> JobRecord:
        """Queue a shuffle test for the worker; whoever asks the same while one waits or runs gets that one.

        The job's result is the plain form of ``ShuffleTest``. InputError: less than one round.
        """
        _check_rounds(rounds)
        payload = _payload(settings, outcome) | {"rounds": rounds}
        return self._jobs.enqueue(SHUFFLE_JOB, f"{SHUFFLE_JOB}:{content_hash(payload)}", payload, clock.now())

    def shuffle_job(self) -> JobRecord | None:
        """Return the newest shuffle test as it is now; its result, once done, is for ``ShuffleTest.from_json``."""
        newest = next(iter(self._jobs.recent(SHUFFLE_JOB, 1)), None)
        return None if newest is None else self._as_of_now(newest)

    def cancel_shuffle(self) -> JobRecord | None:
        """Ask the newest shuffle test to stop; None when it has ended, or there is none."""
        return self._cancelled(self.shuffle_job())

    def request(self, settings: DiscoverySettings, outcome: Outcome | None = None) -> JobRecord:
        """Queue a run for the worker; whoever asks the same while one waits or runs gets that one."""
        payload = _payload(settings, outcome)
        return self._jobs.enqueue(JOB, f"{JOB}:{content_hash(payload)}", payload, clock.now())

    def job(self) -> JobRecord | None:
        """Return the newest job as it is now; one whose worker has died never reads as running."""
        newest = next(iter(self._jobs.recent(JOB, 1)), None)
        return None if newest is None else self._as_of_now(newest)

    def cancel(self) -> JobRecord | None:
        """Ask the newest job to stop; None when it has ended, or there is none."""
        return self._cancelled(self.job())

    def _cancelled(self, job: JobRecord | None) -> JobRecord | None:
        if job is None or not job.is_open:
            return None
        return self._as_of_now(self._jobs.request_cancel(job.id, clock.now()))

    def standing(self) -> Standing:
        """Return how the newest job stands now."""
        from beton.jobs.worker import LEASE_S

        newest, at = [self._as_of_now(each) for each in self._jobs.recent(JOB, MOST_OPEN)], clock.now()
        job = next(iter(newest), None)
        if job is None or job.status != "running" or job.lease_until is None:
            return Standing(at, job, is_next=job is not None and any(each.status == "running" for each in newest))
        silent_s = (at - job.lease_until).total_seconds() + LEASE_S
        return Standing(at, job, max(silent_s, 0.0), LEASE_S)

    def _as_of_now(self, job: JobRecord) -> JobRecord:
        from beton.jobs.queue import as_of

        return as_of(job, clock.now())

    def work(self, payload: Mapping[str, Any], progress: Progress) -> dict[str, Any]:
        """Run a queued job: what the worker calls."""
        settings, outcome = _asked(payload)
        found = self.run(settings, outcome, on_step=progress, should_stop=progress.should_stop)
        return {"run_id": found.id, "signals": len(found.result.findings)}

    def work_shuffle(self, payload: Mapping[str, Any], progress: Progress) -> dict[str, Any]:
        """Run a queued shuffle test: what the worker calls."""
        settings, outcome = _asked(payload)
        rounds = int(payload["rounds"])
        tested = self.shuffle_test(settings, outcome, rounds, on_step=progress, should_stop=progress.should_stop)
        return tested.to_json()

    def _question(self, settings: DiscoverySettings, outcome: Outcome | None) -> Question:
        """Gather what is asked of the current snapshot, or say what it lacks."""
        from beton.discovery.run import Question

        manifest, core = self._warehouse.manifest(), self._warehouse.core()
        outcome = outcome or manifest.conversion or Outcome()
        measurement.check_event(outcome, manifest)
        if measurement.lacks_deals(outcome, manifest):
            raise InputError(measurement.NO_DEALS)
        question = Question(core, manifest, outcome, self._clock_of(manifest, outcome), settings)
        if settings.holdout_from:
            _check_holdout(question)
        if self._warehouse.version() != manifest.version:
            raise WarehouseError("The data was replaced in this moment; try again.")
        return question

    def _run(self, record: DiscoveryRecord) -> DiscoveryRun:
        result = DiscoveryResult.from_json(dict(record.result))
        return DiscoveryRun(record.id, record.created_at, record.seconds, result, self._folder(record.id))

    def _folder(self, run_id: str) -> Path:
        return self._data_dir / "runs" / run_id

    def _clock_of(self, manifest: Manifest, outcome: Outcome) -> Callable[[float], Clock]:
        return clocks(self._warehouse, manifest, outcome, self._settings.read().sales_cycle_days)


@contextmanager
def _gone_unless_kept(folder: Path) -> Iterator[Path]:
    """Yield the folder of a run, and leave nothing of it behind when the block raises."""
    try:
        yield folder
    except BaseException as problem:
        shutil.rmtree(folder, ignore_errors=True)
        if isinstance(problem, OSError):
            why = f"The tables of the run cannot be written to {folder.parent} ({problem.strerror or problem})"
            raise BetonError(f"{why}: make room there, then run the discovery again.") from problem
        raise


def _payload(settings: DiscoverySettings, outcome: Outcome | None) -> dict[str, Any]:
    return {"settings": settings.to_dict(), "outcome": outcome.to_dict() if outcome else None}


def _check_rounds(rounds: int) -> None:
    if rounds < 1:
        raise InputError(f"{rounds} rounds show nothing; ask for one or more, such as {SHUFFLE_ROUNDS}")


def _check_holdout(question: Question) -> None:
    """Raise InputError unless there can be users to learn from, and later ones whose outcomes are known."""
    from beton.discovery.cohorts import split_at_s

    settings = question.settings
    split_s = split_at_s(question.core, question.outcome, question.clock_of, settings)
    longest = question.clock_of(max(*settings.windows_days, settings.activity_days))
    first_s = longest.outcomes_since_s
    last_s = longest.data_end_s - longest.landmark_s - longest.gap_s - longest.horizon_s
    if not first_s < split_s <= last_s:
        first, last = (datetime.fromtimestamp(each, UTC).date().isoformat() for each in (first_s, last_s))
        raise InputError(
            f"Later cohorts cannot begin on {settings.holdout_from}: users with a known outcome signed up from {first} "
            f"to {last}; choose a day between."
        )


def _asked(payload: Mapping[str, Any]) -> tuple[DiscoverySettings, Outcome | None]:
    outcome = Outcome.from_dict(payload["outcome"]) if payload["outcome"] else None
    return DiscoverySettings.from_dict(dict(payload["settings"])), outcome
