"""Playbooks: whom a combination of saved signals reaches today."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from beton.errors import InputError
from beton.model.outcome import Outcome
from beton.model.playbook import PlaybookReach
from beton.warehouse.reach import reach

if TYPE_CHECKING:
    from beton.services.backtests import Backtests
    from beton.services.signals import Signals
    from beton.warehouse.reader import Warehouse

MOST_SIGNALS: Final = 48


class Playbooks:
    """Use cases on playbooks."""

    def __init__(self, warehouse: Warehouse, backtests: Backtests, signals: Signals) -> None:
        self._warehouse = warehouse
        self._backtests = backtests
        self._signals = signals

    def reach(self, alternatives: Sequence[Sequence[str]]) -> PlaybookReach:
        """Count who carries every signal of at least one alternative; signals are named by id.

        Raises:
            InputError: nothing is named, an unknown signal, or one that the data cannot answer.
            NoDataError: nothing has been imported.
        """
        named = [each for alternative in alternatives for each in alternative]
        if not named or not all(alternatives) or len(named) > MOST_SIGNALS:
            raise InputError(f"Choose between one and {MOST_SIGNALS} signals.")
        manifest = self._warehouse.manifest()
        definitions = {each: self._signals.read(each).definition for each in dict.fromkeys(named)}
        with self._warehouse.connection() as connection:
            compiled = {
                each: (self._backtests.cohort_on(connection, about), about.unit) for each, about in definitions.items()
            }
            return reach(
                connection,
                [[compiled[each] for each in alternative] for alternative in alternatives],
                manifest.conversion or Outcome(),
                int(manifest.data_end.timestamp()),
            )
