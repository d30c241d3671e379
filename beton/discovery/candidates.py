"""Single candidates: every condition of the grid, enumerated and evaluated without looking at any outcome.

A candidate is dropped only by counts of carriers, or because the very same units carry an earlier one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from beton.discovery.occurrences import Seconds, Spans, active_days, kth_s, kth_s_by_value, rows_by_value
from beton.model import conditions
from beton.model.discovery import DiscoverySettings, Kind
from beton.model.evidence import Note
from beton.model.manifest import Manifest
from beton.model.signal import DAY_S
from beton.model.words import property_phrase, times
from beton.warehouse.core.arrays import Column, Core

Bools = NDArray[np.bool_]

ACTIVITY: Final = "activity"
TRAIT_WINDOW: Final = 0
WEEK_DAYS: Final = 7
_TRAIT_QUANTILES: Final = (0.05, 0.95)
_STEPS: Final = (1, 2, 5)


@dataclass(frozen=True)
class Feature:
    """One single condition in its plain form; ``group`` is the event or property that it is about.

    ``window_days`` is its horizon, 0 for a trait, which is known from the start.
    """

    condition: dict[str, Any]
    window_days: int
    group: str
    kind: Kind
    name: str


@dataclass(frozen=True)
class Candidates:
    """Features that survived counting with the units that carry them, ``columns`` of shape (features, units).

    They are ordered by window; ``enumerated`` counts the grid, ``rare`` and ``twins`` those that were dropped.
    """

    features: tuple[Feature, ...]
    columns: Bools
    enumerated: int
    rare: int
    twins: int
    notes: tuple[Note, ...]


@dataclass(frozen=True)
class _Scope:
    """The data, each user's place among the units (-1 for none), the keys of the units, and the grid's settings."""

    core: Core
    position: NDArray[np.int64]
    units: NDArray[np.int32]
    settings: DiscoverySettings


def candidates(core: Core, units: NDArray[np.int32], manifest: Manifest, settings: DiscoverySettings) -> Candidates:
    """Enumerate and evaluate the grid for the users ``units`` (keys, ascending)."""
    position = np.full(core.users.t0_s.size, -1, dtype=np.int64)
    position[units] = np.arange(units.size)
    kept: dict[bytes, tuple[Feature, Bools]] = {}
    enumerated = rare = twins = 0
    for feature, column in _grid(_Scope(core, position, units, settings), manifest):
        enumerated += 1
        carriers = int(np.count_nonzero(column))
        if min(carriers, column.size - carriers) < settings.min_units:
            rare += 1
            continue
        key = np.packbits(column).tobytes()
        twins += key in kept
        kept.setdefault(key, (feature, column))
    ordered = sorted(kept.values(), key=lambda pair: pair[0].window_days)
    columns = np.array([column for _, column in ordered], dtype=bool).reshape(len(ordered), units.size)
    return Candidates(tuple(f for f, _ in ordered), columns, enumerated, rare, twins, _excluded_properties(manifest))


def _grid(scope: _Scope, manifest: Manifest) -> Iterator[tuple[Feature, Bools]]:
    core = scope.core
    for code, event in enumerate(core.event_names):
        spans = _of_event(core, code, scope.position)
        reached_s = kth_s(spans, (1, *scope.settings.counts), scope.units.size)
        yield from _counts(scope, event, (), reached_s[1:])
        yield from _absences(scope, event, reached_s[0])
        for name, column in core.event_columns.items():
            yield from _filtered(scope, event, spans, name, column)
    yield from _activity(scope)
    for info in manifest.properties:
        column_of = core.users.columns.get(info.name)
        if info.scope != "event" and column_of is not None and column_of.set_s is None:
            yield from _traits(scope, info.name, column_of)


def _of_event(core: Core, code: int, position: NDArray[np.int64]) -> Spans:
    pairs = slice(int(core.event_pairs[code]), int(core.event_pairs[code + 1]))
    at = position[core.pair_user[pairs]]
    known = at >= 0
    first, end = core.pair_zero[pairs][known], core.pair_start[pairs.start + 1 : pairs.stop + 1][known]
    return Spans(at[known], first, end, core.rel_s)


def _counts(
    scope: _Scope, event: str, where: Sequence[dict[str, Any]], reached_s: Seconds
) -> Iterator[tuple[Feature, Bools]]:
    """``reached_s`` (counts, units): when each unit did it as often."""
    said = " and ".join(f"{each['property']} {each['value']}" for each in where)
    group = event if not where else f"{event} · {where[0]['property']} = {where[0]['value']}"
    for count, at_s in zip(scope.settings.counts, reached_s, strict=True):
        for window in scope.settings.windows_days:
            condition: dict[str, Any] = {"event": event}
            condition |= {"op": "completed"} if count == 1 else {"op": "count >=", "value": count}
            condition["within_days"] = window
            if where:
                condition["where"] = list(where)
            name = f"{event}{f' ({said})' if said else ''} {times(count) if count == 1 else f'{count}+ times'}"
            yield Feature(condition, window, group, "behaviour", f"{name} in {_days(window)}"), at_s < window * DAY_S


def _absences(scope: _Scope, event: str, first_s: Seconds) -> Iterator[tuple[Feature, Bools]]:
    for window in scope.settings.windows_days:
        condition = {"event": event, "op": "not completed", "within_days": window}
        feature = Feature(condition, window, event, "behaviour", f"No {event} in {_days(window)}")
        yield feature, first_s >= window * DAY_S


def _filtered(scope: _Scope, event: str, spans: Spans, name: str, column: Column) -> Iterator[tuple[Feature, Bools]]:
    """Event where property = value, for the values seen most often in that event."""
    if column.kind != "text":
        return
    settings = scope.settings
    seen = rows_by_value(spans, column.values, len(column.words))
    common = np.argsort(-seen, kind="stable")[: settings.max_values]
    common = common[seen[common] >= settings.min_units]
    if not common.size:
        return
    before_s = max(settings.windows_days, default=0) * DAY_S
    reached_s = kth_s_by_value(spans, column.values, common, settings.counts, before_s, scope.units.size)
    for value, by_count in zip(common.tolist(), reached_s, strict=True):
        where = [{"property": name, "op": "=", "value": column.words[value]}]
        yield from _counts(scope, event, where, by_count)


def _activity(scope: _Scope) -> Iterator[tuple[Feature, Bools]]:
    """Distinct days, and distinct weeks, with any event at all."""
    settings, units = scope.settings, scope.units.size
    active = active_days(scope.core, scope.position, units, settings.activity_days)
    for window in (*settings.windows_days, settings.activity_days):
        days = active[:, :window].sum(axis=1)
        for least in (k for k in (*range(2, 11), 15, 20) if k <= window):
            condition = {"event": "*", "op": "active days >=", "value": least, "within_days": window}
            name = f"Active on {least}+ days of the first {_days(window)}"
            yield Feature(condition, window, ACTIVITY, "behaviour", name), days >= least
        if window % WEEK_DAYS:
            continue
        weeks = active[:, :window].reshape(units, -1, WEEK_DAYS).any(axis=2).sum(axis=1)
        for least in range(2, window // WEEK_DAYS + 1):
            condition = {"event": "*", "op": "active weeks >=", "value": least, "within_days": window}
            name = f"Active in {least}+ weeks of the first {window // WEEK_DAYS}"
            yield Feature(condition, window, ACTIVITY, "behaviour", name), weeks >= least


def _traits(scope: _Scope, name: str, column: Column) -> Iterator[tuple[Feature, Bools]]:
    values = column.values[scope.units]
    if column.kind == "number":
        for low, high in _ranges(values):
            condition = {"property": name, "op": "between", "value": [low, high]}
            yield _trait(name, condition), (values >= low) & (values <= high)
        return
    words: Sequence[Any] = column.words if column.kind == "text" else (False, True)
    seen = np.bincount(values[values >= 0], minlength=len(words))
    for code in np.argsort(-seen, kind="stable")[: scope.settings.max_values].tolist():
        yield _trait(name, {"property": name, "op": "=", "value": words[code]}), values == code


def _trait(name: str, condition: dict[str, Any]) -> Feature:
    leaf = next(conditions.leaves(conditions.parse(condition)))
    assert isinstance(leaf, conditions.PropertyCondition)
    return Feature(condition, TRAIT_WINDOW, name, "fit", property_phrase(leaf))


def _ranges(values: NDArray[Any]) -> list[tuple[float, float]]:
    """Return every range between round numbers (1, 2, 5, 10, ...) that cover the bulk of the values."""
    known = values[np.isfinite(values)]
    if not known.size:
        return []
    low, high = np.quantile(known, _TRAIT_QUANTILES)
    edges = [step * 10**power for power in range(9) for step in _STEPS if low <= step * 10**power <= high]
    return [(a, b) for i, a in enumerate(edges) for b in edges[i + 1 :]]


def _excluded_properties(manifest: Manifest) -> tuple[Note, ...]:
    dated = [p.name for p in manifest.properties if p.scope != "event" and p.set_at]
    if not dated:
        return ()
    text = f"{', '.join(dated)}: no candidate, since what a value replaced is unknown and may give the outcome away"
    return (Note("dated_property", text),)


def _days(number: int) -> str:
    return f"{number} day{'' if number == 1 else 's'}"
