"""How often, and how soon: the held-out lift of "at least k times in d days" over a grid of both."""

from __future__ import annotations

import contextlib
from typing import Final

import numpy as np

from beton.discovery.cube import HELD_OUT, counts_of, spans_of, windows_of
from beton.discovery.findings import estimates
from beton.discovery.subject import Study
from beton.errors import InputError
from beton.model.conditions import ANY_EVENT, EventCondition, Group
from beton.model.examination import HeatMap
from beton.model.signal import SignalDefinition
from beton.model.words import property_phrase
from beton.stats.proportions import TwoByTwo
from beton.warehouse.compile import seconds

COUNTS: Final = (1, 2, 3, 5, 8, 10)
WINDOWS_DAYS: Final = (1, 3, 7, 14)


def counted(signal: SignalDefinition) -> EventCondition | None:
    """Return the one condition of a signal that asks for an event at least so many times, None for other signals."""
    node: object = signal.when
    while isinstance(node, Group) and len(node.items) == 1 and node.match != "none":
        node = node.items[0]
    is_count = isinstance(node, EventCondition) and node.op in ("completed", "count >=") and node.event != ANY_EVENT
    return node if is_count and isinstance(node, EventCondition) else None


def heat_map(study: Study, signal: SignalDefinition) -> HeatMap | None:
    """Return the held-out lifts around a count signal, each on the cohort of its own landmark; None for others."""
    condition = counted(signal)
    if condition is None:
        return None
    own_count = condition.value if condition.op == "count >=" and condition.value else 1
    own_days = signal.landmark_days if condition.within_days is None else condition.within_days
    counts = tuple(sorted({*COUNTS, own_count}))
    windows = tuple(sorted({*WINDOWS_DAYS, own_days}))
    tables = _tables(study, condition, counts, windows)
    known = {at: table for at, table in tables.items() if table.units_with and table.units_without}
    shown = dict(zip(known, estimates(list(known.values())), strict=True))
    rows = [
        i for i, count in enumerate(counts) if count == own_count or any((i, j) in shown for j in range(len(windows)))
    ]
    where = " and ".join(property_phrase(each) for each in condition.where)
    return HeatMap(
        event=f"{condition.event} ({where})" if where else condition.event,
        counts=tuple(counts[i] for i in rows),
        windows_days=windows,
        cells=tuple(tuple(shown.get((i, j)) for j in range(len(windows))) for i in rows),
        chosen=(rows.index(counts.index(own_count)), windows.index(own_days))
        if own_days == signal.landmark_days
        else None,
    )


def _tables(
    study: Study, condition: EventCondition, counts: tuple[int, ...], windows: tuple[float, ...]
) -> dict[tuple[int, int], TwoByTwo]:
    """Held-out tables by (place in counts, place in windows); a window without enough conversions has none."""
    cohorts = {}
    for j, days in enumerate(windows):
        with contextlib.suppress(InputError):
            cohorts[j] = study.cohort_of(days)
    if not cohorts:
        return {}
    core, places = study.core, list(cohorts)
    ends_s = [seconds(windows[j]) for j in places]
    side_by_side = windows_of(list(cohorts.values()), ends_s, core.users.t0_s.size)
    spans = spans_of(core, core.event_names.index(condition.event), condition.where)
    with_it = counts_of(spans, side_by_side, counts)[:, :, HELD_OUT]
    without = side_by_side.sizes[:, HELD_OUT] - with_it
    tables = {}
    for i, at in np.ndindex(with_it.shape[:2]):
        (a, b), (c, d) = with_it[i, at], without[i, at]
        tables[i, places[at]] = TwoByTwo(a, a + b, c, c + d)
    return tables
