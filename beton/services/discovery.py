"""Discovery: find the signals of the current snapshot, keep the run whole, and list what it found among the signals."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from beton import clock
from beton.model.discovery import DiscoveryResult, DiscoverySettings
from beton.model.evidence import Cohort
from beton.model.outcome import Outcome
from beton.model.signal import content_hash
from beton.services import measurement
from beton.warehouse.counts import time_to_outcome_s
from beton.warehouse.landmark import Clock, time_to_outcome_sql

if TYPE_CHECKING:
    from beton.jobs.queue import Jobs
    from beton.jobs.worker import Progress
    from beton.model.manifest import Manifest
    from beton.records.discoveries import DiscoveryRepository
    from beton.records.rows import DiscoveryRecord, JobRecord
    from beton.records.settings import SettingsRepository
    from beton.services.signals import Signals
    from beton.warehouse.reader import Warehouse

ENGINE: Final = "discovery-1"
JOB: Final = "discovery"
OnStep = Callable[[str, float], None]


@dataclass(frozen=True)
class DiscoveryRun:
    """A finished run with the folder of its tables."""

    id: str
    created_at: datetime
    seconds: float
    result: DiscoveryResult
    folder: Path


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
            InputError: the history is too short to learn from and to hold a period back.
            WarehouseError: the snapshot is broken or of another version.
        """
        from beton.discovery import tables
        from beton.discovery.run import Question, run

        since, at = time.perf_counter(), clock.now()
        manifest, core = self._warehouse.manifest(), self._warehouse.core()
        outcome = outcome or manifest.conversion or Outcome()
        clock_of = self._clock_of(manifest, outcome)
        answer = run(Question(core, manifest, outcome, clock_of, settings), on_step, should_stop)
        run_id = uuid.uuid4().hex
        tables.write(self._folder(run_id), answer.candidates, answer.search)
        record = self._runs.add(
            run_id,
            answer.result.to_json(),
            settings=settings.to_dict(),
            request_hash=content_hash([settings.to_dict(), outcome.to_dict(), manifest.version, ENGINE]),
            snapshot_version=manifest.version,
            at=at,
            seconds=time.perf_counter() - since,
        )
        self._signals.save_found([each.definition for each in answer.result.findings], run_id)
        return self._run(record)

    def request(self, settings: DiscoverySettings, outcome: Outcome | None = None) -> JobRecord:
        """Queue a run for the worker; whoever asks the same while one waits or runs gets that one."""
        payload = {"settings": settings.to_dict(), "outcome": outcome.to_dict() if outcome else None}
        return self._jobs.enqueue(JOB, f"{JOB}:{content_hash(payload)}", payload, clock.now())

    def job(self) -> JobRecord | None:
        """Return the newest job, whatever its state."""
        return next(iter(self._jobs.recent(JOB, 1)), None)

    def cancel(self) -> JobRecord | None:
        """Ask the newest job to stop; None when it has ended, or there is none."""
        job = self.job()
        return self._jobs.request_cancel(job.id, clock.now()) if job is not None and job.is_open else None

    def work(self, payload: Mapping[str, Any], progress: Progress) -> dict[str, Any]:
        """Run a queued job: what the worker calls."""
        outcome = Outcome.from_dict(payload["outcome"]) if payload["outcome"] else None
        settings = DiscoverySettings.from_dict(dict(payload["settings"]))
        found = self.run(settings, outcome, on_step=progress, should_stop=progress.should_stop)
        return {"run_id": found.id, "signals": len(found.result.findings)}

    def recent(self, limit: int = 20) -> list[DiscoveryRun]:
        """Return the last runs, newest first."""
        return [self._run(record) for record in self._runs.recent(limit)]

    def read(self, run_id: str) -> DiscoveryRun:
        """Return one run; InputError when there is none of that id."""
        return self._run(self._runs.read(run_id))

    def _run(self, record: DiscoveryRecord) -> DiscoveryRun:
        result = DiscoveryResult.from_json(dict(record.result))
        return DiscoveryRun(record.id, record.created_at, record.seconds, result, self._folder(record.id))

    def _folder(self, run_id: str) -> Path:
        return self._data_dir / "runs" / run_id

    def _clock_of(self, manifest: Manifest, outcome: Outcome) -> Callable[[float], Clock]:
        """Clocks that differ in the landmark alone: the outcome window is that of a backtest."""
        with self._warehouse.connection() as connection:
            waits = time_to_outcome_s(connection, time_to_outcome_sql("user", outcome))
        horizon, source = measurement.horizon_of(outcome, waits, self._settings.read().sales_cycle_days)

        def made(landmark_days: float) -> Clock:
            of = Cohort("user", "after signup", landmark_days, measurement.GAP_DAYS, horizon, source)
            return measurement.clock_of(of, outcome, manifest)

        return made
