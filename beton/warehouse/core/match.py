"""When a condition tree first held, from arrays; the rules are those of ``compile`` and ``landmark``."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Final

import numpy as np
from numpy.typing import NDArray

from beton.model.conditions import (
    ACTIVITY_OPS,
    ANY_EVENT,
    MAX_EXACT,
    Condition,
    EventCondition,
    Group,
    PropertyCondition,
    leaves,
)
from beton.model.outcome import Outcome
from beton.model.signal import DAY_S, SignalDefinition
from beton.warehouse.compile import JSON_PREFIX, NEVER, WEEK_S, seconds, threshold
from beton.warehouse.core.arrays import Column, Core
from beton.warehouse.core.kernels import Rows, kth_period, kth_row
from beton.warehouse.core.predicates import holds

_KEEP_ALL: Final = np.empty(0, dtype=bool)


def why_not(core: Core, signal: SignalDefinition, outcome: Outcome) -> str:
    """Return why SQL has to answer, or '' when the core gives the same answer."""
    if signal.timing == "any time":
        return "weekly landmarks"
    if outcome.source == "first payment":
        return "no billing data"
    for leaf in leaves(signal.when):
        if isinstance(leaf, PropertyCondition):
            problem = _problem(core.users.columns, leaf)
        elif leaf.event not in (ANY_EVENT, *core.event_names):
            problem = f"no event {leaf.event!r}"
        else:
            problem = next(filter(None, (_problem(core.event_columns, item) for item in leaf.where)), "")
        if problem:
            return problem
    return ""


def _problem(columns: dict[str, Column], leaf: PropertyCondition) -> str:
    if leaf.property not in columns:
        is_json = leaf.property.startswith(JSON_PREFIX)
        return f"a filter on JSON ({leaf.property})" if is_json else f"no column {leaf.property!r}"
    if leaf.op == "contains" and not str(leaf.value).isascii():
        return "a part of text that is not ASCII"
    values = leaf.value if isinstance(leaf.value, tuple) else (leaf.value,)
    if any(isinstance(value, int) and abs(value) > MAX_EXACT for value in values):
        return "a whole number that no float64 holds"
    return ""


def match_s(core: Core, signal: SignalDefinition, landmark_s: int) -> NDArray[np.int64]:
    """Return for every user (or account) the second at which the tree first held, ``NEVER`` where it did not.

    Only for signals to which ``why_not`` has no objection.
    """
    held = _Tree(core, signal, landmark_s).held(signal.when)
    return _rolled_up(core, signal, landmark_s, held) if signal.unit == "account" else held


def warm(core: Core) -> None:
    """Load every kernel, or compile it where this machine has not yet: the first match of a process pays for that."""
    event = core.event_names[0]
    each = (
        EventCondition(event),
        EventCondition(event, "active days >=", 1),
        EventCondition(ANY_EVENT, "active days >=", 1),
    )
    match_s(core, SignalDefinition("warm", Group("any", each)), 0)


class _Tree:
    """One tree on one clock, evaluated for every user."""

    def __init__(self, core: Core, signal: SignalDefinition, landmark_s: int) -> None:
        self.core = core
        self.landmark_s = landmark_s
        offset_s = core.users.account_offset_s
        self.offset_s = offset_s if signal.unit == "account" else np.zeros_like(offset_s)

    def held(self, node: Condition) -> NDArray[np.int64]:
        if isinstance(node, Group):
            return self._group(node)
        return self._property(node) if isinstance(node, PropertyCondition) else self._event(node)

    def _group(self, node: Group) -> NDArray[np.int64]:
        held = self.held(node.items[0])
        for item in node.items[1:]:
            (np.maximum if node.match == "all" else np.minimum)(held, self.held(item), out=held)
        if node.match != "none":
            return held
        windows = [self._window_s(leaf) for leaf in leaves(node) if isinstance(leaf, EventCondition)]
        return np.where(held == NEVER, max(windows, default=0), NEVER)

    def _property(self, node: PropertyCondition) -> NDArray[np.int64]:
        column = self.core.users.columns[node.property]
        test = holds(column, node)
        if column.set_s is not None:
            test &= column.set_s < self.core.users.t0_s - self.offset_s + self.landmark_s
        return np.where(test, 0, NEVER)

    def _window_s(self, node: EventCondition) -> int:
        return self.landmark_s if node.within_days is None else min(seconds(node.within_days), self.landmark_s)

    def _event(self, node: EventCondition) -> NDArray[np.int64]:
        found = np.full(self.offset_s.size, NEVER, dtype=np.int64)
        rows, window_s, k = self._rows(node), self._window_s(node), threshold(node)
        if node.op in ACTIVITY_OPS:
            period_s = DAY_S if node.op == "active days >=" else WEEK_S
            kth_period(rows, self.offset_s, k, period_s, window_s, found)
        else:
            kth_row(rows, self.offset_s, k, window_s, found)
        if node.op in ("not completed", "count <="):
            return np.where(found == NEVER, window_s, NEVER)
        return found

    def _rows(self, node: EventCondition) -> Rows:
        """The rows of the event at or after the signup, with those that its filters drop marked."""
        core = self.core
        if node.event == ANY_EVENT:
            users = np.arange(self.offset_s.size, dtype=np.int32)
            keep = self._kept(node, slice(None))
            return Rows(core.user_start[:-1], core.user_start[1:], users, core.rel_s, core.user_rows, keep)
        event = core.event_names.index(node.event)
        first, last = (int(pair) for pair in core.event_pairs[event : event + 2])
        start, end = (int(core.pair_start[pair]) for pair in (first, last))
        return Rows(
            core.pair_zero[first:last] - start,
            core.pair_start[first + 1 : last + 1] - start,
            core.pair_user[first:last],
            core.rel_s[start:end],
            core.user_rows[:0],
            self._kept(node, slice(start, end)),
        )

    def _kept(self, node: EventCondition, rows: slice) -> NDArray[np.bool_]:
        keep = _KEEP_ALL
        for item in node.where:
            test = holds(self.core.event_columns[item.property], item, rows)
            keep = test if keep is _KEEP_ALL else keep & test
        return keep


def _rolled_up(core: Core, signal: SignalDefinition, landmark_s: int, held: NDArray[np.int64]) -> NDArray[np.int64]:
    """Accounts by the users that they were seen to have by their landmark."""
    users = core.users
    member = np.flatnonzero((users.company_key >= 0) & ~users.is_internal & (users.account_offset_s < landmark_s))
    company, member_s = users.company_key[member], held[member]
    found = np.full(core.companies.t0_s.size, NEVER, dtype=np.int64)
    kind, value = signal.rollup.kind, signal.rollup.value
    if kind == "any":
        np.minimum.at(found, company, member_s)
    elif kind == "share":
        seen = np.bincount(company, minlength=found.size)
        matched = np.bincount(company[member_s < NEVER], minlength=found.size)
        # The share is the decimal that was written, not the nearest binary fraction.
        needed = np.array([math.ceil(Fraction(repr(value)) * n) for n in range(int(seen.max(initial=0)) + 1)])
        found[(seen > 0) & (matched >= needed[seen])] = landmark_s
    else:
        order = np.lexsort((member_s, company))
        start = np.searchsorted(company[order], np.arange(found.size + 1))
        rank = start[:-1] + math.ceil(value) - 1
        has = rank < start[1:]
        found[has] = member_s[order][rank[has]]
    return found
