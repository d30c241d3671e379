"""Examinations: one signal held against later cohorts, comparable users, segments, months and other signals."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final, TypeAlias, TypeVar

from beton.errors import InputError, WarehouseError
from beton.model.discovery import DiscoveryResult, DiscoverySettings
from beton.model.examination import Brief, CannotExamine, Examination, Overlap
from beton.model.outcome import Outcome
from beton.model.signal import DEFAULT_LANDMARK_DAYS, SignalDefinition
from beton.services import measurement
from beton.services.clocks import clocks
from beton.services.kept import Kept
from beton.services.signals import SavedSignal, Signals
from beton.warehouse.compile import NEVER, Catalogue, seconds
from beton.warehouse.core.match import match_s, why_not

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from beton.discovery.cohorts import Cohort
    from beton.discovery.subject import Listing, Study
    from beton.model.discovery import NearOutcome
    from beton.model.manifest import Manifest
    from beton.records.discoveries import DiscoveryRepository
    from beton.records.settings import SettingsRepository
    from beton.services.queries import Queries
    from beton.warehouse.core.arrays import Core
    from beton.warehouse.landmark import Clock
    from beton.warehouse.reader import Warehouse

KEPT_EXAMINATIONS: Final = 64
KEPT_COHORTS: Final = 6
KEPT_CARRIERS: Final = 64
KEPT_RUNS: Final = 8
KEPT_SMALL: Final = 32
RUNS_LOOKED_AT: Final = 20

Asked: TypeAlias = SavedSignal | SignalDefinition
_Answer = TypeVar("_Answer")


@dataclass(frozen=True)
class _Setup:
    """A study with the clocks of its cohorts; equal ``key`` means the same data, outcome, clock and run."""

    key: tuple[object, ...]
    study: Study
    clock_of: Callable[[float], Clock]


class Examinations:
    """Use cases on the examination of signals; safe to share between threads."""

    def __init__(
        self,
        warehouse: Warehouse,
        runs: DiscoveryRepository,
        settings: SettingsRepository,
        signals: Signals,
        queries: Queries,
    ) -> None:
        self._warehouse = warehouse
        self._queries = queries
        self._runs = runs
        self._settings = settings
        self._signals = signals
        self._examinations: Kept[object, Examination | CannotExamine] = Kept(KEPT_EXAMINATIONS)
        self._briefs: Kept[object, Brief | CannotExamine] = Kept(KEPT_EXAMINATIONS)
        self._cohorts: Kept[object, Cohort] = Kept(KEPT_COHORTS)
        self._carriers: Kept[object, NDArray[np.bool_]] = Kept(KEPT_CARRIERS)
        self._listings: Kept[str, tuple[Outcome, tuple[int, int], Listing] | None] = Kept(KEPT_RUNS)
        self._clocks: Kept[object, Callable[[float], Clock]] = Kept(KEPT_SMALL)
        self._splits: Kept[object, int] = Kept(KEPT_SMALL)
        self._near: Kept[object, tuple[NearOutcome, ...]] = Kept(KEPT_SMALL)

    def of(self, signal: Asked) -> Examination | CannotExamine:
        """Return the whole examination on the current snapshot.

        Raises:
            NoDataError: nothing has been imported.
        """
        from beton.discovery.examine import examine
        from beton.discovery.subject import subject

        definition = _definition(signal)

        def made(setup: _Setup) -> Examination:
            about = subject(setup.study, definition)
            return examine(setup.study, about, setup.clock_of(definition.landmark_days))

        return self._answer(definition, self._examinations, made)

    def brief(self, signal: Asked) -> Brief | CannotExamine:
        """Return what a list shows of it, without curves, heat map and comparisons; errors as in ``of``."""
        from beton.discovery.subject import brief, subject

        definition = _definition(signal)
        return self._answer(
            definition, self._briefs, lambda setup: brief(setup.study, subject(setup.study, definition))
        )

    def overlaps(self, signal_id: str) -> tuple[Overlap, ...]:
        """Return the overlap with every other saved signal that can be examined, the most alike first.

        Empty where the signal itself cannot be examined. InputError: there is none of that id.
        """
        from beton.discovery.examine import overlaps
        from beton.discovery.subject import subject

        definition = self._signals.read(signal_id).definition
        try:
            setup = self._setup(definition)
            about = subject(setup.study, definition)
        except InputError:
            return ()
        manifest = setup.study.manifest
        others = [(each.id, each.definition) for each in self._signals.all() if each.id != signal_id]
        return overlaps(setup.study, about, [each for each in others if not self._refusal(each[1], manifest)])

    def _answer(
        self,
        definition: SignalDefinition,
        kept: Kept[object, _Answer | CannotExamine],
        make: Callable[[_Setup], _Answer],
    ) -> _Answer | CannotExamine:
        try:
            setup = self._setup(definition)
            return kept.get((definition.meaning_hash(), setup.key), lambda: make(setup))
        except InputError as problem:
            return CannotExamine(str(problem))

    def _refusal(self, signal: SignalDefinition, manifest: Manifest) -> str:
        """Say why a signal cannot be examined on this data; '' where it can."""
        try:
            Catalogue.of(manifest).check(signal)
            outcome = measurement.outcome_of(signal, manifest)
        except InputError as problem:
            return str(problem)
        if signal.unit == "account":
            return "Signals of accounts are not examined yet; their backtest holds."
        if signal.timing == "any time":
            return "Signals at any time are compared week by week, and are not examined yet; their backtest holds."
        if measurement.lacks_deals(outcome, manifest):
            return measurement.NO_DEALS
        why = "" if signal.sql else why_not(self._warehouse.core(), signal, outcome)
        return f"It cannot be examined: {why}." if why else ""

    def _setup(self, signal: SignalDefinition) -> _Setup:
        """Gather what examinations of the signal's outcome share.

        Raises:
            InputError: the signal cannot be examined, or the history is too short; the text says why.
        """
        from beton.discovery.cohorts import cohort, split_at_s
        from beton.discovery.near_outcome import near_outcome
        from beton.discovery.subject import Study

        manifest, core = self._warehouse.manifest(), self._warehouse.core()
        if self._warehouse.version() != manifest.version:
            raise WarehouseError("The data was replaced in this moment; try again.")
        refusal = self._refusal(signal, manifest)
        if refusal:
            raise InputError(refusal)
        version, outcome = manifest.version, measurement.outcome_of(signal, manifest)
        cycle = self._settings.read().sales_cycle_days
        clock_of = self._clocks.get(
            (version, outcome, cycle), lambda: clocks(self._warehouse, manifest, outcome, cycle)
        )
        clock = clock_of(DEFAULT_LANDMARK_DAYS)
        listing = self._listing(version, outcome, clock)
        settings = DiscoverySettings() if listing is None else listing.settings
        same = (version, outcome, clock, settings.holdout_share, settings.holdout_from)
        split_s = self._splits.get(same, lambda: split_at_s(core, outcome, clock_of, settings))

        def cohort_of(days: float) -> Cohort:
            # Whole days before the landmark; a shorter one has at least the day that it lies in.
            whole, is_purged = max(1, int(days)), not settings.holdout_from
            return self._cohorts.get(
                (same, days), lambda: cohort(core, outcome, clock_of(days), whole, split_s, is_purged)
            )

        study = Study(
            core=core,
            manifest=manifest,
            listing=listing,
            cohort_of=cohort_of,
            carriers=lambda other: self._carried(core, version, other),
            near=lambda: self._near.get(
                same, lambda: near_outcome(core, cohort_of(DEFAULT_LANDMARK_DAYS).frame, split_s)
            ),
        )
        return _Setup((same, None if listing is None else listing.run_id), study, clock_of)

    def _carried(self, core: Core, version: str, signal: SignalDefinition) -> NDArray[np.bool_]:
        def made() -> NDArray[np.bool_]:
            landmark_s = seconds(signal.landmark_days)
            matched_s = self._queries.matched_s(signal, landmark_s) if signal.sql else match_s(core, signal, landmark_s)
            carried: NDArray[np.bool_] = matched_s < NEVER
            return carried

        return self._carriers.get((version, signal.meaning_hash()), made)

    def _listing(self, version: str, outcome: Outcome, clock: Clock) -> Listing | None:
        """The latest run that asked the same of the same data."""
        for run_id in self._runs.of_snapshot(version, RUNS_LOOKED_AT):
            asked = self._listings.get(run_id, partial(self._read, run_id))
            if asked is not None and asked[:2] == (outcome, (clock.gap_s, clock.horizon_s)):
                return asked[2]
        return None

    def _read(self, run_id: str) -> tuple[Outcome, tuple[int, int], Listing] | None:
        from beton.discovery.subject import Listing

        try:
            result = DiscoveryResult.from_json(dict(self._runs.read(run_id).result))
        except InputError:  # stored by another version
            return None
        window_s = (seconds(result.gap_days), seconds(result.horizon_days))
        return result.outcome, window_s, Listing.of(run_id, result)


def _definition(signal: Asked) -> SignalDefinition:
    return signal.definition if isinstance(signal, SavedSignal) else signal
