"""Backtests: run a definition on the current snapshot, keep its evidence, read it under today's settings."""

from __future__ import annotations

import contextlib
import re
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from beton import clock
from beton.errors import BetonError, InputError, NoDataError, WarehouseError
from beton.model.conditions import shown
from beton.model.evidence import Evidence
from beton.model.ledger import Standing
from beton.model.outcome import Outcome, Unit
from beton.model.settings import CompanySettings
from beton.model.signal import SignalDefinition, content_hash
from beton.records.rows import LOCAL_ACTOR
from beton.services import measurement
from beton.services.ledger import Ledger, corrected
from beton.services.measurement import Question
from beton.services.reading import Acv, Reading, read
from beton.stats.proportions import TwoByTwo
from beton.warehouse.compile import DIALECTS, Catalogue
from beton.warehouse.core.count import count_core, count_matches
from beton.warehouse.core.frame import Frame, frame
from beton.warehouse.core.match import warm, why_not
from beton.warehouse.counts import EVALUATING, CohortCounts, count_cohort, excluded_units, time_to_outcome_s
from beton.warehouse.deal_amounts import won_amounts
from beton.warehouse.landmark import Clock, cohort_sql, excluded_sql, time_to_outcome_sql
from beton.warehouse.members import members

if TYPE_CHECKING:
    import duckdb
    import numpy as np
    from numpy.typing import NDArray

    from beton.records.rows import RunRecord
    from beton.records.runs import RunRepository
    from beton.records.settings import SettingsRepository
    from beton.services.queries import Queries
    from beton.warehouse.core.arrays import Core
    from beton.warehouse.reader import Warehouse

SILENCE: Final = timedelta(minutes=5)  # no query of a backtest is allowed to be quiet for longer
RUN_ID: Final = re.compile(r"[0-9a-f]{32}")
BEAT_S: Final = 0.2
KEPT_FRAMES: Final = 8


@dataclass(frozen=True)
class Report:
    """A finished run as it is shown; ``stale_because`` says why its clock or data is no longer the current one.

    ``standing`` is its place among all hypotheses that people asked, by which the verdict is corrected; None for one
    that nobody asked.
    """

    run_id: str
    evidence: Evidence
    reading: Reading
    stale_because: str | None
    standing: Standing | None = None


class Backtests:
    """Runs and reads backtests."""

    def __init__(
        self,
        warehouse: Warehouse,
        runs: RunRepository,
        settings: SettingsRepository,
        queries: Queries,
        ledger: Ledger,
    ) -> None:
        self._warehouse = warehouse
        self._runs = runs
        self._ledger = ledger
        self._queries = queries
        self._settings = settings
        self._answers: dict[tuple[str, str], Any] = {}
        self._frames: dict[tuple[str, Unit, Outcome, Clock], Frame] = {}

    def warm(self) -> None:
        """Do what only the first backtest of a process pays for: import the statistics, open the snapshot."""
        measurement.measure(TwoByTwo(1, 10, 1, 10))
        with contextlib.suppress(NoDataError):
            manifest = self._warehouse.manifest()
            self._time_to_outcome_s(manifest.version, "user", manifest.conversion or Outcome())
            warm(self._warehouse.core())
            self._queries.warm()

    def run(
        self,
        signal: SignalDefinition,
        run_id: str | None = None,
        *,
        person: str = LOCAL_ACTOR,
        asked_by: str | None = LOCAL_ACTOR,
    ) -> Report:
        """Measure ``signal`` now and store the evidence under ``run_id`` (32 hex digits; made when not given).

        ``person`` says whose turn a query takes in the sandbox, ``asked_by`` who wants to know: their question enters
        the ledger of hypotheses. None is for a page that only wants its evidence.

        Raises:
            InputError: the definition names something the data does not have; no run is stored then.
            SqlError: its query may not or cannot be run.
            NoDataError: nothing has been imported.
        """
        run_id = run_id or uuid.uuid4().hex
        if not RUN_ID.fullmatch(run_id):
            raise InputError("A run's id is 32 hex digits; leave it out to have one made.")
        settings = self._settings.read()
        question, request_hash = self._ask(signal, settings)
        self._runs.start(
            run_id,
            signal.to_dict(),
            definition_hash=signal.meaning_hash(),
            request_hash=request_hash,
            snapshot_version=question.manifest.version,
            at=clock.now(),
            asked_by=asked_by,
        )
        try:
            evidence = self._measure(question, run_id, person)
        except Exception as problem:
            self._runs.fail(run_id, _sentence(problem), at=clock.now())
            raise
        self._runs.finish(run_id, evidence.to_json(), at=clock.now())
        return self._report(run_id, evidence, settings)

    def check(self, signal: SignalDefinition) -> None:
        """Raise InputError, with the path of each fault, if the current data lacks what ``signal`` names.

        A query is only read here: what it names is found out when it runs.
        """
        self._queries.check(signal)
        Catalogue.of(self._warehouse.manifest()).check(signal)

    def get_or_run(self, signal: SignalDefinition) -> Report:
        """Return the stored evidence of the same question on the same data, or measure it now."""
        settings = self._settings.read()
        _, request_hash = self._ask(signal, settings)
        stored = self._runs.latest_for(request_hash)
        if stored is None or stored.status != "done" or stored.evidence is None:
            return self.run(signal, asked_by=None)
        return self._report(stored.id, Evidence.from_json(dict(stored.evidence)), settings)

    def status(self, run_id: str) -> RunRecord:
        """Return the run as recorded; one that has been silent too long is marked interrupted first."""
        record, silent_since = self._runs.read(run_id), clock.now() - SILENCE
        if record.finished_at is None and record.heartbeat_at < silent_since:
            self._runs.mark_interrupted(silent_since)
            record = self._runs.read(run_id)
        return record

    def report(self, run_id: str) -> Report:
        """Return a finished run.

        Raises:
            InputError: there is no such run, or it did not finish; the text says what to do.
        """
        record = self.status(run_id)
        if record.status == "failed":
            raise InputError(record.error or "The backtest failed; run it again.")
        if record.evidence is None:
            raise InputError(f"This backtest is {record.status}, so there is no result yet; run it again.")
        return self._report(run_id, Evidence.from_json(dict(record.evidence)), self._settings.read())

    def sql(self, signal: SignalDefinition, dialect: str = "duckdb") -> str:
        """Return the SQL that evaluates ``signal``, written for another engine's dialect if asked."""
        if dialect not in DIALECTS:
            raise InputError(f"no SQL for {shown(dialect)}; use one of {', '.join(DIALECTS)}")
        question, _ = self._ask(signal, self._settings.read())
        if dialect == "duckdb":
            return question.sql
        if signal.sql:
            raise InputError(f"{signal.name} is written in DuckDB's SQL; no other dialect can be made of it")
        manifest = question.manifest
        cut = measurement.clock_of(question.cohort, question.outcome, manifest)
        return cohort_sql(signal, question.outcome, cut, Catalogue.of(manifest), dialect)

    def members(self, signal: SignalDefinition) -> tuple[tuple[str, ...], list[tuple[object, ...]]]:
        """Return header and rows of everyone who carries ``signal``, eligible or not, internal accounts left out."""
        data_end_s = int(self._warehouse.manifest().data_end.timestamp())
        with self._warehouse.connection() as connection:
            return members(connection, self.cohort_on(connection, signal), signal.unit, data_end_s)

    def cohort_on(self, connection: duckdb.DuckDBPyConnection, signal: SignalDefinition) -> str:
        """Return the SELECT of the signal's cohort, and give ``connection`` the answer if the signal is in SQL.

        Raises:
            InputError: the current data lacks what the signal names, or its query cannot be run.
        """
        question, _ = self._ask(signal, self._settings.read())
        if not signal.sql:
            return question.sql
        cut = measurement.clock_of(question.cohort, question.outcome, question.manifest)
        self._queries.lay_down(connection, signal, cut.landmark_s)
        return cohort_sql(signal, question.outcome, cut, Catalogue.of(question.manifest))

    def _ask(self, signal: SignalDefinition, settings: CompanySettings) -> tuple[Question, str]:
        manifest = self._warehouse.manifest()
        catalogue = Catalogue.of(manifest)
        catalogue.check(signal)
        outcome = measurement.outcome_of(signal, manifest)
        waits = self._time_to_outcome_s(manifest.version, signal.unit, outcome)
        cohort = measurement.cohort_of(signal, outcome, waits, settings.sales_cycle_days)
        sql = signal.sql or cohort_sql(signal, outcome, measurement.clock_of(cohort, outcome, manifest), catalogue)
        engine = self._engine(signal, outcome)
        return Question(signal, outcome, cohort, manifest, sql, engine), content_hash(
            [signal.meaning_hash(), outcome.to_dict(), cohort.horizon_days, manifest.version, engine]
        )

    def _engine(self, signal: SignalDefinition, outcome: Outcome) -> str:
        if signal.sql:
            return measurement.SANDBOX_ENGINE
        refused = why_not(self._warehouse.core(), signal, outcome)
        return measurement.ENGINE if refused else measurement.CORE_ENGINE

    def _time_to_outcome_s(self, version: str, unit: Unit, outcome: Outcome) -> NDArray[np.int64]:
        sql = time_to_outcome_sql(unit, outcome)
        waits: NDArray[np.int64] = self._once(version, sql, time_to_outcome_s)
        return waits

    def _excluded(self, question: Question) -> dict[int, int]:
        """Weeks exist only for units that are in a cohort, so nothing is left out of them."""
        if question.cohort.timing == "any time":
            return {}
        sql = excluded_sql(question.cohort.unit)
        units: dict[int, int] = self._once(question.manifest.version, sql, excluded_units)
        return units

    def _once(self, version: str, sql: str, ask: Callable[[Any, str], Any]) -> Any:
        """Ask what depends on the snapshot alone, and keep the answer as long as the snapshot is current."""
        key = (version, sql)
        if key not in (kept := self._answers):
            with self._warehouse.connection() as connection:
                answer = ask(connection, sql)
            # A new dict, never a changed one: other threads may be reading the one at hand.
            kept = {k: v for k, v in self._answers.items() if k[0] == version} | {key: answer}
            self._answers = kept
        return kept[key]

    def _measure(self, question: Question, run_id: str, person: str) -> Evidence:
        spoke_at = time.monotonic()

        def on_step(stage: str, progress: float) -> None:
            nonlocal spoke_at
            if progress == 0.0 or time.monotonic() - spoke_at > BEAT_S:
                self._runs.beat(run_id, stage, progress, at=clock.now())
                spoke_at = time.monotonic()

        counts = self._count(question, on_step, person)
        on_step("Working out the statistics", 0.95)
        return measurement.evidence_of(question, counts)

    def _count(self, question: Question, on_step: Callable[[str, float], None], person: str) -> CohortCounts:
        with self._warehouse.connection() as connection:
            core = self._warehouse.core()
            if self._warehouse.version() != question.manifest.version:
                raise WarehouseError("The data was replaced while this backtest started; run it again.")
            excluded = self._excluded(question)
            if question.engine == measurement.ENGINE:
                return count_cohort(connection, question.sql, excluded, on_step)
        signal, cut = question.signal, measurement.clock_of(question.cohort, question.outcome, question.manifest)
        if question.engine == measurement.CORE_ENGINE:
            return count_core(core, signal, self._frame(core, question, cut), cut.landmark_s, excluded, on_step)
        on_step(EVALUATING, 0.0)
        matched_s = self._queries.matched_s(signal, cut.landmark_s, person)
        return count_matches(matched_s, self._frame(core, question, cut), excluded, on_step)

    def _frame(self, core: Core, question: Question, cut: Clock) -> Frame:
        """The cohort without its signal; the last few are kept, because signals of one landmark share theirs."""
        key = (question.manifest.version, question.cohort.unit, question.outcome, cut)
        found = self._frames.get(key)
        if found is None:
            found = frame(core, question.cohort.unit, question.outcome, cut)
            kept = {k: v for k, v in self._frames.items() if k[0] == key[0]}
            self._frames = dict([*kept.items()][1 - KEPT_FRAMES :]) | {key: found}
        return found

    def _report(self, run_id: str, evidence: Evidence, settings: CompanySettings) -> Report:
        reading, standing = read(evidence, settings, self.acv(settings)), self._ledger.standing(run_id)
        reading = replace(reading, verdict=corrected(reading.verdict, standing))
        return Report(run_id, evidence, reading, self._stale(evidence), standing)

    def acv(self, settings: CompanySettings) -> Acv:
        """The contract value of projections: from Settings, or from won deals in the workspace's currency."""
        if settings.acv_source == "settings":
            return Acv(settings.acv, settings.currency, "Settings")
        with self._warehouse.connection() as connection:
            amounts = won_amounts(connection, settings.currency)
        value = amounts.mean if settings.acv_source == "mean" else amounts.median
        if value is None:
            why = f"Settings (no won deal has an amount in {settings.currency})"
            return Acv(settings.acv, settings.currency, why)
        return Acv(value, settings.currency, f"{settings.acv_source} of {amounts.deals:,} won deals")

    def _stale(self, evidence: Evidence) -> str | None:
        current = self._warehouse.version()
        if current != evidence.passport.snapshot_version:
            return f"measured on snapshot {evidence.passport.snapshot_version}; the data is now {current}"
        return None


def _sentence(problem: Exception) -> str:
    if isinstance(problem, BetonError):
        return str(problem)
    return f"The engine stopped with {type(problem).__name__}; see the server log, then run again."
