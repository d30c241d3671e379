"""The history of backtests: every run with what it means today, and several of them side by side."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final, Literal

from beton import clock
from beton.errors import BetonError, InputError, NoDataError
from beton.model.comparison import Part, cautions, parts_of
from beton.model.evidence import Evidence, Interval, Measured
from beton.model.ledger import Standing
from beton.model.outcome import Unit
from beton.model.signal import from_dict
from beton.model.words import sentence
from beton.services.backtests import SILENCE, Report
from beton.services.ledger import Ledger, corrected
from beton.services.reading import Verdict, verdict

if TYPE_CHECKING:
    from beton.model.settings import CompanySettings
    from beton.records.rows import RunRecord, RunStatus
    from beton.records.runs import RunRepository
    from beton.records.settings import SettingsRepository
    from beton.records.signals import SignalRepository
    from beton.services.backtests import Backtests
    from beton.warehouse.reader import Warehouse

PAGE: Final = 200
MOST_COMPARED: Final = 3
INTERRUPTED: Final = "It was interrupted before it had a result; run it again."

Kind = Literal["builder", "SQL"]


@dataclass(frozen=True)
class SavedAs:
    """The signal that has a run's definition; ``is_current`` unless the signal has been changed since."""

    signal_id: str
    version: int
    is_current: bool


@dataclass(frozen=True)
class HistoryRow:
    """One run as the history shows it.

    ``verdict`` is that of today's settings, after the ledger's correction; it and the figures are None without a
    result, and ``problem`` says then why there is none. ``lift`` is infinite where nobody without the signal converted;
    ``units`` counts those with the signal. ``seconds`` is None while the run is open.
    """

    id: str
    name: str
    words: str
    kind: Kind
    unit: Unit
    snapshot_version: str
    is_current: bool
    status: RunStatus
    problem: str | None
    verdict: Verdict | None
    lift: float | None
    interval: Interval | None
    units: int | None
    standing: Standing | None
    asked: bool
    actor: str
    created_at: datetime
    seconds: float | None
    definition_hash: str
    saved: SavedAs | None


@dataclass(frozen=True)
class Side:
    """One of the runs that are compared; ``report`` is None where there is no result."""

    row: HistoryRow
    parts: tuple[Part, ...]
    report: Report | None


@dataclass(frozen=True)
class Comparison:
    """Runs side by side; ``cautions`` say why their lifts are not of the same people, outcome and data."""

    sides: tuple[Side, ...]
    cautions: tuple[str, ...]


@dataclass(frozen=True)
class _Around:
    """What every row of one answer is read against."""

    settings: CompanySettings
    current: str | None
    standings: Mapping[str, Standing]
    saved: Mapping[str, SavedAs]


class History:
    """Use cases on backtests that have been; none of them runs one."""

    def __init__(
        self,
        warehouse: Warehouse,
        runs: RunRepository,
        signals: SignalRepository,
        settings: SettingsRepository,
        backtests: Backtests,
        ledger: Ledger,
    ) -> None:
        self._warehouse = warehouse
        self._runs = runs
        self._signals = signals
        self._settings = settings
        self._backtests = backtests
        self._ledger = ledger

    def count(self) -> int:
        """Return how many runs there are."""
        return self._runs.count()

    def page(self, limit: int = PAGE, before: str | None = None) -> list[HistoryRow]:
        """Return the last runs, newest first; given the id ``before``, those that come after it.

        InputError: there is no run of the id ``before``.
        """
        records = self._runs.history(limit, before)
        if self._end_silent(records):
            records = self._runs.history(limit, before)
        around = self._around()
        return [_row(record, around) for record in records]

    def row(self, run_id: str) -> HistoryRow:
        """Return one run; InputError when there is none of that id."""
        return _row(self._runs.read(run_id), self._around())

    def find(self, beginning: str) -> str:
        """Return the whole id of a recent run from its beginning; InputError when several begin so."""
        ids = [each.id for each in self._runs.history(PAGE) if beginning and each.id.startswith(beginning)]
        if len(ids) > 1 and beginning not in ids:
            raise InputError(f"{len(ids)} backtests begin with {beginning!r}: write more of the id.")
        return ids[0] if len(ids) == 1 else beginning

    def compare(self, run_ids: Sequence[str]) -> Comparison:
        """Return two or three runs side by side, in the order given.

        InputError: there are fewer or more, one of them is unknown, or its definition cannot be read.
        """
        wanted = list(dict.fromkeys(run_ids))
        if not 2 <= len(wanted) <= MOST_COMPARED:
            raise InputError(f"Choose two or {MOST_COMPARED} different backtests to compare.")
        records = self._runs.several(wanted)
        if self._end_silent(records):
            records = self._runs.several(wanted)
        around = self._around()
        definitions = [from_dict(dict(record.definition)) for record in records]
        sides = tuple(
            Side(row, parts, self._report(row) if row.verdict else None)
            for row, parts in zip((_row(each, around) for each in records), parts_of(definitions), strict=True)
        )
        return Comparison(sides, cautions([side.report.evidence for side in sides if side.report is not None]))

    def _report(self, row: HistoryRow) -> Report | None:
        try:
            return self._backtests.report(row.id)
        except BetonError:  # the row says why
            return None

    def _end_silent(self, records: Sequence[RunRecord]) -> bool:
        silent_since = clock.now() - SILENCE
        if not any(each.finished_at is None and each.heartbeat_at < silent_since for each in records):
            return False
        return self._runs.mark_interrupted(silent_since) > 0

    def _around(self) -> _Around:
        try:
            current: str | None = self._warehouse.version()
        except NoDataError:
            current = None
        saved: dict[str, SavedAs] = {}
        for digest, signal_id, version, is_current in self._signals.every_version():
            # A signal that means this today names it better than one that once did.
            if digest not in saved or (is_current and not saved[digest].is_current):
                saved[digest] = SavedAs(signal_id, version, is_current)
        return _Around(self._settings.read(), current, self._ledger.standings(), saved)


def _row(record: RunRecord, around: _Around) -> HistoryRow:
    evidence, problem = _evidence(record)
    standing = around.standings.get(record.id)
    result = None if evidence is None else evidence.result
    measured = result if isinstance(result, Measured) else None
    table = None if result is None else result.table
    definition = record.definition
    read = None if evidence is None else corrected(verdict(evidence, around.settings), standing)
    return HistoryRow(
        id=record.id,
        name=str(definition.get("name", "")),
        words=_words(record) if evidence is None else evidence.passport.words,
        kind="SQL" if definition.get("sql") else "builder",
        unit="account" if definition.get("unit") == "account" else "user",
        snapshot_version=record.snapshot_version,
        is_current=record.snapshot_version == around.current,
        status=record.status,
        problem=problem,
        verdict=read,
        lift=None if measured is None else math.inf if measured.lift is None else measured.lift,
        interval=None if measured is None else measured.lift_interval,
        units=None if table is None else table.units_with,
        standing=standing,
        asked=record.asked,
        actor=record.actor,
        created_at=record.created_at,
        seconds=None if record.finished_at is None else (record.finished_at - record.created_at).total_seconds(),
        definition_hash=record.definition_hash,
        saved=around.saved.get(record.definition_hash),
    )


def _evidence(record: RunRecord) -> tuple[Evidence | None, str | None]:
    """Return the evidence, or the sentence that says why there is none; neither while the run is open."""
    if record.status == "failed":
        return None, record.error or "It failed; run it again."
    if record.status == "interrupted":
        return None, INTERRUPTED
    if record.evidence is None:
        return None, None
    try:
        return Evidence.from_json(dict(record.evidence)), None
    except InputError as problem:
        return None, str(problem)


def _words(record: RunRecord) -> str:
    try:
        return sentence(from_dict(dict(record.definition)))
    except InputError:  # written by another version
        return ""
