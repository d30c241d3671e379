"""Single candidates: every condition of the grid, enumerated and evaluated without looking at any outcome.

A candidate is dropped only by counts of carriers, or because the very same units carry an earlier one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import repeat
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from beton.discovery.matrix import Columns
from beton.discovery.occurrences import Places, Spans, events_by_day, kth_window, kth_window_by_value, rows_by_value
from beton.discovery.sweep import in_threads
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


# Candidates with the units that carry them; of those that are known to be too rare, neither is worked out.
_Part: TypeAlias = Iterator[tuple[Feature, Bools] | None]


@dataclass(frozen=True)
class Candidates:
    """Features that survived counting, with the ``columns`` of the units that carry them.

    They are ordered by window; ``enumerated`` counts the grid, ``rare`` and ``twins`` those that were dropped.
    """

    features: tuple[Feature, ...]
    columns: Columns
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

    @property
    def windows_days(self) -> list[int]:
        """The windows of the grid, ascending."""
        return sorted(set(self.settings.windows_days))


def candidates(
    core: Core, units: NDArray[np.int32], manifest: Manifest, settings: DiscoverySettings, threads: int = 1
) -> Candidates:
    """Enumerate and evaluate the grid for the users ``units`` (keys, ascending)."""
    position = np.full(core.users.t0_s.size, -1, dtype=np.int64)
    position[units] = np.arange(units.size)
    scope = _Scope(core, position, units, settings)
    kept: dict[bytes, Feature] = {}
    enumerated = rare = twins = 0
    for part in in_threads(_grid(scope, manifest), lambda one: _evaluated(one(), settings.min_units), threads):
        enumerated += len(part)
        rare += part.count(None)
        for each in part:
            if each is not None:
                feature, bits = each
                twins += bits in kept
                kept.setdefault(bits, feature)
    ordered = sorted(kept, key=lambda key: kept[key].window_days)
    packed = np.frombuffer(b"".join(ordered), dtype=np.uint8).reshape(len(ordered), -(-units.size // 8))
    columns, features = Columns(packed, units.size), tuple(kept[key] for key in ordered)
    return Candidates(features, columns, enumerated, rare, twins, _excluded_properties(manifest))


def _evaluated(part: _Part, min_units: int) -> list[tuple[Feature, bytes] | None]:
    """Return the features of a part of the grid with the bits of their carriers, None where too few or too many."""
    found: list[tuple[Feature, bytes] | None] = []
    for each in part:
        if each is not None and min_units <= np.count_nonzero(each[1]) <= each[1].size - min_units:
            found.append((each[0], Columns.of(each[1][None]).packed.tobytes()))
        else:
            found.append(None)
    return found


def _grid(scope: _Scope, manifest: Manifest) -> list[Callable[[], _Part]]:
    """Return the parts of the grid in their order: each event, activity, each trait."""
    parts: list[Callable[[], _Part]] = [partial(_event, scope, code) for code in range(len(scope.core.event_names))]
    parts.append(partial(_activity, scope))
    for info in manifest.properties:
        column = scope.core.users.columns.get(info.name)
        if info.scope != "event" and column is not None and column.set_s is None:
            parts.append(partial(_traits, scope, info.name, column))
    return parts


def _event(scope: _Scope, code: int) -> _Part:
    core, event, ends_s = scope.core, scope.core.event_names[code], np.array(scope.windows_days, dtype=np.int64) * DAY_S
    spans = _of_event(core, code, scope.position)
    reached = kth_window(spans, (1, *scope.settings.counts), ends_s, scope.units.size)
    yield from _counts(scope, event, (), reached[1:])
    yield from _absences(scope, event, reached[0])
    for name, column in core.event_columns.items():
        if column.kind == "text":
            yield from _filtered(scope, event, spans, ends_s, (name, column))


def _of_event(core: Core, code: int, position: NDArray[np.int64]) -> Spans:
    pairs = slice(int(core.event_pairs[code]), int(core.event_pairs[code + 1]))
    at = position[core.pair_user[pairs]]
    known = at >= 0
    first, end = core.pair_zero[pairs][known], core.pair_start[pairs.start + 1 : pairs.stop + 1][known]
    return Spans(at[known], first, end, core.rel_s)


def _counts(scope: _Scope, event: str, where: Sequence[dict[str, Any]], reached: Places) -> _Part:
    """``reached`` (counts, units): the window in which each unit had done it as often."""
    said = " and ".join(f"{each['property']} {each['value']}" for each in where)
    group = event if not where else f"{event} · {where[0]['property']} = {where[0]['value']}"
    place = {window: at for at, window in enumerate(scope.windows_days)}
    for count, window_reached in zip(scope.settings.counts, reached, strict=True):
        if np.count_nonzero(window_reached < len(place)) < scope.settings.min_units:
            yield from repeat(None, len(scope.settings.windows_days))
            continue
        for window in scope.settings.windows_days:
            condition: dict[str, Any] = {"event": event}
            condition |= {"op": "completed"} if count == 1 else {"op": "count >=", "value": count}
            condition["within_days"] = window
            if where:
                condition["where"] = list(where)
            name = f"{event}{f' ({said})' if said else ''} {times(count) if count == 1 else f'{count}+ times'}"
            feature = Feature(condition, window, group, "behaviour", f"{name} in {_days(window)}")
            yield feature, window_reached <= place[window]


def _absences(scope: _Scope, event: str, first: Places) -> _Part:
    for window in scope.settings.windows_days:
        condition = {"event": event, "op": "not completed", "within_days": window}
        feature = Feature(condition, window, event, "behaviour", f"No {event} in {_days(window)}")
        yield feature, first > scope.windows_days.index(window)


def _filtered(scope: _Scope, event: str, spans: Spans, ends_s: NDArray[np.int64], named: tuple[str, Column]) -> _Part:
    """Event where property = value, for the values seen most often in that event."""
    settings, (name, column) = scope.settings, named
    seen = rows_by_value(spans, column.values, len(column.words))
    common = np.argsort(-seen, kind="stable")[: settings.max_values]
    common = common[seen[common] >= settings.min_units]
    if not common.size:
        return
    reached = kth_window_by_value(spans, column.values, common, settings.counts, ends_s, scope.units.size)
    for value, by_count in zip(common.tolist(), reached, strict=True):
        where = [{"property": name, "op": "=", "value": column.words[value]}]
        yield from _counts(scope, event, where, by_count)


def _activity(scope: _Scope) -> _Part:
    """Distinct days, and distinct weeks, with any event at all."""
    settings, units = scope.settings, scope.units.size
    active = events_by_day(scope.core, scope.position, units, settings.activity_days * DAY_S) > 0
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


def _traits(scope: _Scope, name: str, column: Column) -> _Part:
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
