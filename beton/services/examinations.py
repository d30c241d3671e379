"""Examinations: one signal held against later cohorts, comparable users, segments, months and other signals."""

from __future__ import annotations

from typing import TYPE_CHECKING

from beton.model.examination import Brief, CannotExamine, Examination, Overlap
from beton.model.signal import SignalDefinition
from beton.services.signals import SavedSignal, Signals

if TYPE_CHECKING:
    from beton.records.discoveries import DiscoveryRepository
    from beton.records.settings import SettingsRepository
    from beton.warehouse.reader import Warehouse


class Examinations:
    """Use cases on the examination of signals; safe to share between threads."""

    def __init__(
        self, warehouse: Warehouse, runs: DiscoveryRepository, settings: SettingsRepository, signals: Signals
    ) -> None:
        self._warehouse = warehouse
        self._runs = runs
        self._settings = settings
        self._signals = signals

    def of(self, signal: SavedSignal | SignalDefinition) -> Examination | CannotExamine:
        """Return the whole examination on the current snapshot."""
        return CannotExamine("Examinations are being written.")

    def brief(self, signal: SavedSignal | SignalDefinition) -> Brief | CannotExamine:
        """Return what a list shows of it, without curves, heat map and comparisons."""
        return CannotExamine("Examinations are being written.")

    def overlaps(self, signal_id: str) -> tuple[Overlap, ...]:
        """Return the overlap with every other saved signal, the most alike first; empty where it has no cohort."""
        return ()
