"""Saved signals: create, change, list, switch on and off, and export who carries them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from beton import clock
from beton.errors import BetonError
from beton.model.evidence import Measured
from beton.model.signal import SignalDefinition, from_dict
from beton.services.backtests import Backtests, Report
from beton.services.csv_text import csv_text

if TYPE_CHECKING:
    from beton.records.rows import MeasuredDefinition, SignalRecord
    from beton.records.signals import SignalRepository


@dataclass(frozen=True)
class SavedSignal:
    """A saved signal with its definition; ``demo`` marks those that came with the demo company.

    ``run_id`` is the latest discovery run that found it, None for one that no run has found; ``discovered`` marks
    those that a run made, rather than a person or the demo.
    """

    id: str
    enabled: bool
    demo: bool
    version: int
    definition: SignalDefinition
    run_id: str | None = None
    discovered: bool = False


@dataclass(frozen=True)
class SignalReport:
    """A saved signal and its backtest on the current data, or the sentence why there is none."""

    signal: SavedSignal
    report: Report | None
    problem: str | None

    @property
    def measured(self) -> Measured | None:
        """The numbers of the backtest; None where the data cannot tell."""
        result = None if self.report is None else self.report.evidence.result
        return result if isinstance(result, Measured) else None

    @property
    def lift(self) -> float | None:
        """The lift, infinite when nobody without the signal converted; None where the data cannot tell."""
        measured = self.measured
        if measured is None:
            return None
        return math.inf if measured.lift is None else measured.lift


@dataclass(frozen=True)
class VersionEvidence:
    """The newest finished backtest of a definition, read under today's settings, on whatever data it was measured."""

    report: Report
    measured_at: datetime


@dataclass(frozen=True)
class Version:
    """One definition that a saved signal has had.

    ``has_new_meaning`` says that it does not mean what the version before meant; a change of words alone leaves the
    evidence valid. ``evidence`` is found by meaning; None where that was never measured.
    """

    version: int
    definition: SignalDefinition
    created_at: datetime
    has_new_meaning: bool
    evidence: VersionEvidence | None


class Signals:
    """Use cases on saved signals."""

    def __init__(self, repository: SignalRepository, backtests: Backtests) -> None:
        self._repository = repository
        self._backtests = backtests

    def save(self, definition: SignalDefinition, demo: bool = False) -> SavedSignal:
        """Save a definition, enabled; the same meaning saved before is returned instead of a twin.

        One that only discovery had found is enabled now.
        """
        return _saved(self._repository.save(*_stored(definition), at=clock.now(), demo=demo))

    def save_found(self, definitions: Sequence[Mapping[str, Any]], run_id: str) -> None:
        """Save what a discovery run found, switched off, and forget what earlier runs found that nobody enabled."""
        found = [_stored(from_dict(dict(each))) for each in definitions]
        self._repository.keep_found(found, run_id, at=clock.now())

    def save_run(self, run_id: str) -> SavedSignal:
        """Save the definition that a run measured; InputError if it did not finish."""
        return self.save(self._measured_by(run_id))

    def save_version(self, signal_id: str, run_id: str, expected_version: int | None = None) -> SavedSignal:
        """Give the signal the definition that a run measured, name included, as its next version.

        Where text and meaning are those of the current version, that is returned and nothing is written.

        Raises:
            InputError: the run did not finish, or the signal is no longer at ``expected_version``.
        """
        definition = self._measured_by(run_id)
        current = self.read(signal_id)
        if is_same(current.definition, definition):
            return current
        built_on = current.version if expected_version is None else expected_version
        return _saved(
            self._repository.add_version(signal_id, _stored(definition), expected_version=built_on, at=clock.now())
        )

    def versions(self, signal_id: str) -> tuple[Version, ...]:
        """Return every definition that the signal has had, oldest first, each with its own evidence."""
        stored, measured = self._repository.versions(signal_id), self._repository.measured(signal_id)
        evidence = {key: self._evidence(each) for key, each in measured.items()}
        before = (None, *(each.definition_hash for each in stored))
        return tuple(
            Version(
                version=each.version,
                definition=from_dict(dict(each.definition)),
                created_at=each.created_at,
                has_new_meaning=last is not None and last != each.definition_hash,
                evidence=evidence.get(each.definition_hash),
            )
            for each, last in zip(stored, before, strict=False)
        )

    def apply(
        self,
        created: Sequence[SignalDefinition],
        changed: Sequence[tuple[SavedSignal, SignalDefinition]],
        disabled: Sequence[SavedSignal],
    ) -> None:
        """Create, change and switch off signals: all of it, or nothing.

        Raises:
            InputError: one of those to change is no longer at the version given, or a name is taken by now.
        """
        self._repository.apply(
            [_stored(each) for each in created],
            [(saved.id, saved.version, _stored(definition)) for saved, definition in changed],
            [saved.id for saved in disabled],
            at=clock.now(),
        )

    def read(self, signal_id: str) -> SavedSignal:
        """Return one saved signal; InputError when there is none of that id."""
        return _saved(self._repository.read(signal_id))

    def all(self) -> list[SavedSignal]:
        """Return all saved signals, oldest first."""
        return [_saved(record) for record in self._repository.list()]

    def set_enabled(self, signal_id: str, enabled: bool) -> SavedSignal:
        """Switch a signal on or off."""
        return _saved(self._repository.set_enabled(signal_id, enabled, at=clock.now()))

    def report(self, signal_id: str) -> SignalReport:
        """Return a saved signal with its evidence on the current snapshot, measured now if need be."""
        return self._with_evidence(self.read(signal_id))

    def reports(self) -> list[SignalReport]:
        """Return every saved signal with its evidence."""
        return [self._with_evidence(signal) for signal in self.all()]

    def forget_demo(self) -> int:
        """Remove the signals that came with the demo company and return how many there were."""
        return self._repository.delete_demo(at=clock.now())

    def export_csv(self, signal_id: str) -> tuple[str, str]:
        """Return file name and CSV text of everyone who carries the signal, safe against formula injection."""
        signal = self.read(signal_id)
        header, rows = self._backtests.members(signal.definition)
        return f"beton-{signal.id}.csv", csv_text(header, rows)

    def _measured_by(self, run_id: str) -> SignalDefinition:
        return from_dict(self._backtests.report(run_id).evidence.passport.definition)

    def _evidence(self, measured: MeasuredDefinition) -> VersionEvidence | None:
        try:
            return VersionEvidence(self._backtests.report(measured.run_id), measured.finished_at)
        except BetonError:  # stored by another version of Beton, or there is no data to read it by
            return None

    def _with_evidence(self, signal: SavedSignal) -> SignalReport:
        try:
            return SignalReport(signal, self._backtests.get_or_run(signal.definition), None)
        except BetonError as problem:  # the data may have lost an event that an older signal asks for
            return SignalReport(signal, None, str(problem))


def is_same(one: SignalDefinition, other: SignalDefinition) -> bool:
    """Whether two definitions are the same in meaning and in words."""
    words = [(each.name, each.description, each.source) for each in (one, other)]
    return one.meaning_hash() == other.meaning_hash() and words[0] == words[1]


def _stored(definition: SignalDefinition) -> tuple[str, dict[str, Any], str]:
    return definition.name, definition.to_dict(), definition.meaning_hash()


def _saved(record: SignalRecord) -> SavedSignal:
    definition = from_dict(dict(record.definition))
    return SavedSignal(
        id=record.id,
        enabled=record.enabled,
        demo=record.demo,
        version=record.version,
        definition=definition,
        run_id=record.run_id,
        discovered=record.origin == "discovery",
    )
