"""Use cases: the only seam that the web, the command line and a notebook call."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from beton.services.backtests import Backtests
    from beton.services.discovery import Discovery
    from beton.services.discovery_runs import DiscoveryRuns
    from beton.services.examinations import Examinations
    from beton.services.history import History
    from beton.services.ledger import Ledger
    from beton.services.playbooks import Playbooks
    from beton.services.queries import Queries
    from beton.services.settings import SettingsService
    from beton.services.signals import Signals
    from beton.services.units import Units
    from beton.services.workspace import Workspace


@dataclass(frozen=True)
class Services:
    """Everything a client of the engine can ask for."""

    workspace: Workspace
    settings: SettingsService
    backtests: Backtests
    signals: Signals
    discovery: Discovery
    discovery_runs: DiscoveryRuns
    examinations: Examinations
    units: Units
    playbooks: Playbooks
    queries: Queries
    ledger: Ledger
    history: History
