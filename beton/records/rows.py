"""What repositories return: frozen copies of rows, with aware UTC times. Standard library only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

from beton.model.settings import CompanySettings

RunStatus = Literal["queued", "running", "done", "failed", "interrupted"]

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
    """A saved signal with its current definition."""

    id: str
    name: str
    enabled: bool
    demo: bool
    version: int
    definition: Mapping[str, Any]
    definition_hash: str
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class SignalVersion:
    """One definition that a signal has had."""

    signal_id: str
    version: int
    definition: Mapping[str, Any]
    definition_hash: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class RunRecord:
    """One backtest run; ``progress`` is a share 0..1, ``evidence`` is there once it is done.

    ``request_hash`` covers definition, settings and snapshot: equal hashes have equal evidence.
    An interrupted run finished when it last gave a sign of life.
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


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """One thing that somebody did, as it was written down in the same transaction."""

    at: datetime
    actor: str
    action: str
    object: str
    detail: Mapping[str, Any]
