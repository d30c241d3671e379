"""What repositories return: frozen copies of rows, with aware UTC times. Standard library only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal, NamedTuple

from beton.model.settings import CompanySettings

RunStatus = Literal["queued", "running", "done", "failed", "interrupted"]
JobStatus = Literal["queued", "running", "done", "failed", "cancelled", "interrupted"]

LOCAL_ACTOR: Final = "local"
"""Who acts while Beton has no sign-in: whoever can reach this process."""


@dataclass(frozen=True, slots=True)
class SettingsRecord:
    """The settings as saved; version 0 and no time mean that nobody has saved any yet."""

    settings: CompanySettings
    version: int
    updated_at: datetime | None


@dataclass(frozen=True, slots=True)
class SignalRecord:
    """A saved signal with its current definition.

    ``origin`` says who made it (``person``, ``demo``, ``discovery``), ``run_id`` the discovery run it came from.
    """

    id: str
    name: str
    enabled: bool
    demo: bool
    version: int
    definition: Mapping[str, Any]
    definition_hash: str
    created_at: datetime
    updated_at: datetime
    origin: str
    run_id: str | None


@dataclass(frozen=True, slots=True)
class SignalVersion:
    """One definition that a signal has had."""

    signal_id: str
    version: int
    definition: Mapping[str, Any]
    definition_hash: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class MeasuredDefinition:
    """The newest finished backtest run of a definition."""

    definition_hash: str
    run_id: str
    finished_at: datetime


@dataclass(frozen=True, slots=True)
class RunRecord:
    """One backtest run; ``progress`` is a share 0..1, ``evidence`` is there once it is done.

    ``request_hash`` covers definition, settings and snapshot: equal hashes have equal evidence.
    An interrupted run finished when it last gave a sign of life. ``actor`` started it; ``asked`` says that a person
    asked it as a hypothesis, rather than a page that wanted the evidence of a saved signal. ``p_value`` is that of the
    evidence, None where nothing could be measured.
    """

    id: str
    definition: Mapping[str, Any]
    definition_hash: str
    request_hash: str
    snapshot_version: str
    status: RunStatus
    stage: str
    progress: float
    evidence: Mapping[str, Any] | None
    error: str | None
    created_at: datetime
    finished_at: datetime | None
    heartbeat_at: datetime
    actor: str
    asked: bool
    p_value: float | None


class AskedRun(NamedTuple):
    """What the ledger of hypotheses needs of a run that somebody asked and that measured a p-value."""

    id: str
    request_hash: str
    definition_hash: str
    p_value: float


@dataclass(frozen=True, slots=True)
class JobRecord:
    """One long job; ``progress`` is a share 0..1, ``result`` is there once it is done.

    ``key`` says what the job is about: only one open job per key exists. ``attempts`` counts the workers that took it;
    the one named ``worker`` has it to itself until ``lease_until``, and longer while it gives signs of life.
    An interrupted job finished when its last lease ran out.
    """

    id: str
    kind: str
    key: str
    payload: Mapping[str, Any]
    status: JobStatus
    stage: str
    progress: float
    result: Mapping[str, Any] | None
    error: str | None
    cancel_requested: bool
    attempts: int
    worker: str | None
    lease_until: datetime | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None

    @property
    def is_open(self) -> bool:
        """Whether the job waits or runs."""
        return self.status in ("queued", "running")


@dataclass(frozen=True, slots=True)
class DiscoveryRecord:
    """One finished discovery run; equal ``request_hash`` means the same question on the same data."""

    id: str
    request_hash: str
    snapshot_version: str
    settings: Mapping[str, Any]
    result: Mapping[str, Any]
    created_at: datetime
    seconds: float


@dataclass(frozen=True, slots=True)
class DiscoverySummary:
    """What a list shows of a discovery run, without its result; None where another version stored no such thing."""

    id: str
    snapshot_version: str
    created_at: datetime
    seconds: float
    version: int | None
    outcome: Mapping[str, Any] | None
    demo: bool | None
    tested: int | None
    signals: int | None


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """One thing that somebody did, as it was written down in the same transaction."""

    at: datetime
    actor: str
    action: str
    object: str
    detail: Mapping[str, Any]
