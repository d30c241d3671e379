"""Backtest runs: queued, running, and then done, failed or interrupted for good."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, and_, func, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from beton.errors import InputError
from beton.records.columns import storable
from beton.records.database import Database
from beton.records.rows import LOCAL_ACTOR, AskedRun, RunRecord
from beton.records.tables import ASKED_TESTS
from beton.records.tables import backtest_runs as runs

_OPEN: Final = ("queued", "running")
_NEWEST_FIRST: Final = (runs.c.created_at.desc(), runs.c.id)


class RunRepository:
    """Keeps runs and their evidence. Unknown ids raise ``InputError``.

    A run that has ended takes no further change: a process that was given up on cannot write over the verdict.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def start(
        self,
        run_id: str,
        definition: Mapping[str, Any],
        *,
        definition_hash: str,
        request_hash: str,
        snapshot_version: str,
        at: datetime,
        asked_by: str | None = None,
    ) -> RunRecord:
        """Queue a run under the id that the caller made (32 hex digits of a random UUID).

        ``asked_by`` names the person who asked it as a hypothesis, which the ledger then counts; None for evidence that
        a page wanted by itself.

        Raises:
            InputError: the id is taken, or the definition is not JSON.
        """
        values = {
            "id": run_id,
            "definition": storable(dict(definition), "definition"),
            "definition_hash": definition_hash,
            "request_hash": request_hash,
            "snapshot_version": snapshot_version,
            "created_at": at,
            "heartbeat_at": at,
            "actor": asked_by or LOCAL_ACTOR,
            "asked": asked_by is not None,
        }
        try:
            with self._database.write() as connection:
                connection.execute(insert(runs).values(status="queued", stage="", progress=0.0, **values))
        except IntegrityError as error:
            raise InputError(f"There is already a run {run_id}: start this one under a new id.") from error
        return self.read(run_id)

    def beat(self, run_id: str, stage: str, progress: float, *, at: datetime) -> None:
        """Say that the run is alive, what it does (in words) and how far it is (share 0..1)."""
        if not 0 <= progress <= 1:
            raise InputError(f"The progress of run {run_id} is {progress}: give a share from 0 to 1.")
        self._change(run_id, {"status": "running", "stage": stage, "progress": progress, "heartbeat_at": at})

    def finish(self, run_id: str, evidence: Mapping[str, Any], *, at: datetime) -> None:
        """Store the evidence and end the run. Raises ``InputError`` where the evidence is not JSON."""
        stored = storable(dict(evidence), "evidence")
        done = {"status": "done", "progress": 1.0, "evidence": stored, "p_value": _p_value(stored)}
        self._end(run_id, done, at)

    def fail(self, run_id: str, error: str, *, at: datetime) -> None:
        """End the run with the sentence that says why."""
        self._end(run_id, {"status": "failed", "error": error}, at)

    def read(self, run_id: str) -> RunRecord:
        """Return one run."""
        with self._database.read() as connection:
            return _read(connection, run_id)

    def latest_for(self, request_hash: str) -> RunRecord | None:
        """Return the newest run of this request, whatever its status."""
        query = select(runs).where(runs.c.request_hash == request_hash).order_by(*_NEWEST_FIRST).limit(1)
        with self._database.read() as connection:
            row = connection.execute(query).mappings().first()
            return RunRecord(**row) if row else None

    def history(self, limit: int, before: str | None = None) -> list[RunRecord]:
        """Return the last ``limit`` runs, newest first; given the id ``before`` of a run, those that come after it."""
        query = select(runs).order_by(*_NEWEST_FIRST).limit(limit)
        with self._database.read() as connection:
            if before is not None:
                at = _read(connection, before).created_at
                older = or_(runs.c.created_at < at, and_(runs.c.created_at == at, runs.c.id > before))
                query = query.where(older)
            return [RunRecord(**row) for row in connection.execute(query).mappings()]

    def count(self) -> int:
        """Return how many runs there are, whatever their status."""
        with self._database.read() as connection:
            return connection.execute(select(func.count()).select_from(runs)).scalar_one()

    def several(self, run_ids: Sequence[str]) -> list[RunRecord]:
        """Return the runs of these ids, in their order; InputError names the first id without one."""
        with self._database.read() as connection:
            return [_read(connection, run_id) for run_id in run_ids]

    def asked_runs(self) -> list[AskedRun]:
        """Return the runs that somebody asked and that measured a p-value, in the order in which they finished."""
        wanted = (runs.c.id, runs.c.request_hash, runs.c.definition_hash, runs.c.p_value)
        query = select(*wanted).where(ASKED_TESTS).order_by(runs.c.finished_at, runs.c.id)
        with self._database.read() as connection:
            return [AskedRun._make(row) for row in connection.execute(query)]

    def names(self, run_ids: Sequence[str]) -> dict[str, str]:
        """Return the name that each of these runs was asked under."""
        query = select(runs.c.id, runs.c.definition["name"].as_string()).where(runs.c.id.in_(run_ids))
        with self._database.read() as connection:
            return dict(connection.execute(query).all())

    def mark_interrupted(self, before: datetime) -> int:
        """End every open run without a sign of life since ``before``, and return how many there were."""
        silent = update(runs).where(runs.c.status.in_(_OPEN), runs.c.heartbeat_at < before)
        with self._database.write() as connection:
            return connection.execute(silent.values(status="interrupted", finished_at=runs.c.heartbeat_at)).rowcount

    def _end(self, run_id: str, values: dict[str, object], at: datetime) -> None:
        self._change(run_id, values | {"finished_at": at, "heartbeat_at": at})

    def _change(self, run_id: str, values: dict[str, object]) -> None:
        change = update(runs).where(runs.c.id == run_id, runs.c.status.in_(_OPEN)).values(values)
        with self._database.write() as connection:
            if connection.execute(change).rowcount == 0:
                status = _read(connection, run_id).status
                raise InputError(f"Run {run_id} has already ended ({status}): start a new one.")


def _read(connection: Connection, run_id: str) -> RunRecord:
    row = connection.execute(select(runs).where(runs.c.id == run_id)).mappings().one_or_none()
    if row is None:
        raise InputError(f"There is no run {run_id!r}: start a new one, or check the link.")
    return RunRecord(**row)


def _p_value(evidence: Mapping[str, Any]) -> float | None:
    result = evidence.get("result")
    return result.get("p_value") if isinstance(result, Mapping) else None
