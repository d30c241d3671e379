"""Every event of the demo at least 1 to 50 times within 1 to 14 days: the count cube against one query or test each.

Each window has its own cohort. The cube counts all candidates in both periods and tests those that a run would test;
the peers count, or test, some of them one by one.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from benchmarks import relevance
from benchmarks.demo_discovery import Asked, cohorts_of, group_bys, question
from benchmarks.rates import Rate, best_of, compared
from beton.discovery.cohorts import Cohort
from beton.discovery.cube import counts_of, spans_of, windows_of
from beton.model.conditions import EventCondition, Group
from beton.model.discovery import DiscoverySettings
from beton.model.signal import DAY_S, SignalDefinition
from beton.stats.proportions import log_mid_p
from beton.warehouse.core.arrays import Core
from beton.warehouse.core.match import match_s

SETTINGS: Final = DiscoverySettings(windows_days=tuple(range(1, 15)), activity_days=14, counts=tuple(range(1, 51)))
TASK: Final = "thresholds of the demo"
RUNS: Final = 20
GROUP_BY_RUNS: Final = 3
GROUP_BYS: Final = 60
PEERS: Final = {"GROUP BY per candidate": "cube: GROUP BY per candidate", "tsfresh": "cube: tsfresh"}

Counts = NDArray[np.int64]


def rates(workspace: Path, environments: Path | None, threads: int) -> list[Rate]:
    """Time cube and p-values, and the peers, cohorts being ready."""
    asked = question(workspace, SETTINGS)
    core, cohorts = asked.core, cohorts_of(asked)
    counts = _engine(core, cohorts, threads)
    shape = counts.shape[:3]
    chosen = [np.unravel_index(at, shape) for at in np.linspace(0, np.prod(shape) - 1, GROUP_BYS).astype(int)]
    queries = [
        Asked(core.event_names[event], SETTINGS.counts[k], SETTINGS.windows_days[d], counts[event, k, d].tolist())
        for event, k, d in chosen
    ]
    taken = best_of(
        {
            "cube and p-values": (lambda: _engine(core, cohorts, threads), int(np.prod(shape)), RUNS),
            "cube and p-values, 1 thread": (lambda: _engine(core, cohorts, 1), int(np.prod(shape)), RUNS),
            "GROUP BY per candidate": (group_bys(workspace, cohorts, queries), GROUP_BYS, GROUP_BY_RUNS),
        },
        TASK,
    )
    columns = _columns(core, cohorts[-1], counts[:, :, -1])
    taken += relevance.rates(TASK, columns, cohorts[-1].frame.converted[cohorts[-1].train], environments, threads)
    return compared(taken, taken[0], PEERS)


def _engine(core: Core, cohorts: list[Cohort], threads: int) -> Counts:
    """Return the counts (events, counts, windows, 4), the training tables having been tested."""
    windows = windows_of(cohorts, [each.landmark_days * DAY_S for each in cohorts], core.users.t0_s.size)
    found = np.empty((len(core.event_names), len(SETTINGS.counts), *windows.sizes.shape), dtype=np.int64)

    def one(event: int) -> None:
        found[event] = counts_of(spans_of(core, event), windows, SETTINGS.counts)

    rows = np.diff(core.pair_start[core.event_pairs])
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(one, np.argsort(-rows).tolist()))
    a, units = found[..., 0], found[..., 0] + found[..., 1]
    converted, others = windows.sizes[:, 0], windows.sizes[:, 1]
    tested = _tested(units, converted + others)
    log_mid_p(*(each[tested] for each in (a, units, converted - a, converted + others - units)))
    return found


def _tested(carriers: Counts, units: Counts) -> NDArray[np.bool_]:
    return (carriers >= SETTINGS.min_units) & (carriers <= units - SETTINGS.min_units)


def _columns(core: Core, cohort: Cohort, counts: Counts) -> NDArray[np.bool_]:
    """Return columns (candidates, training units) of the longest window, made one by one; they add up to ``counts``.

    ``counts`` (events, counts, 4) are those of the cube for that window.
    """
    users, before_s = cohort.frame.unit[cohort.train], cohort.landmark_days * DAY_S
    converted = cohort.frame.converted[cohort.train]
    events, times = np.nonzero(_tested(counts[..., :2].sum(axis=-1), np.array(users.size)))
    columns = []
    for at in np.unique(np.linspace(0, events.size - 1, relevance.COLUMNS).astype(int)):
        event, k = int(events[at]), int(times[at])
        condition = EventCondition(core.event_names[event], "count >=", SETTINGS.counts[k], cohort.landmark_days)
        column = match_s(core, SignalDefinition("one", Group("all", (condition,))), before_s)[users] < before_s
        assert [int((column & of).sum()) for of in (converted, ~converted)] == counts[event, k, :2].tolist()
        columns.append(column)
    return np.array(columns)
