"""When a condition tree first held, from arrays; the rules are those of ``compile`` and ``landmark``."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any, Final

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
from beton.warehouse.core.predicates import holds, matching_words

_NO_CODES: Final = np.empty(0, dtype=np.int32)
_KEEPS_ALL: Final = np.empty(0, dtype=bool)
_KEPT: Final = np.array([False, True])


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


def match_s(
    core: Core, signal: SignalDefinition, landmark_s: int, units: NDArray[np.integer[Any]] | None = None
) -> NDArray[np.int64]:
    """Return for every user (or account) the second at which the tree first held, ``NEVER`` where it did not.

    Only for signals to which ``why_not`` has no objection. With ``units`` (keys) only their entries have a meaning,
    which saves looking at the events of the others.
    """
    held = _Tree(core, signal, landmark_s, units).held(signal.when)
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

    def __init__(
        self, core: Core, signal: SignalDefinition, landmark_s: int, units: NDArray[np.integer[Any]] | None
    ) -> None:
        self.core = core
        self.landmark_s = landmark_s
        self.wanted = _users_of(core, signal, units)
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
            code, kept = self._kept(node, slice(None))
            return Rows(
                core.user_start[:-1], core.user_start[1:], users, core.rel_s, core.user_rows, code, kept, self.wanted
            )
        event = core.event_names.index(node.event)
        first, last = (int(pair) for pair in core.event_pairs[event : event + 2])
        start, end = (int(core.pair_start[pair]) for pair in (first, last))
        code, kept = self._kept(node, slice(start, end))
        return Rows(
            core.pair_zero[first:last] - start,
            core.pair_start[first + 1 : last + 1] - start,
            core.pair_user[first:last],
            core.rel_s[start:end],
            core.user_rows[:0],
            code,
            kept,
            self.wanted,
        )

    def _kept(self, node: EventCondition, rows: slice) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """Return a code per row and which codes are kept. One filter on text needs no pass over the rows."""
        columns = self.core.event_columns
        if not node.where:
            return _NO_CODES, _KEEPS_ALL
        if len(node.where) == 1 and (column := columns[node.where[0].property]).kind == "text":
            return column.values[rows], matching_words(column, node.where[0])
        tests = (holds(columns[item.property], item, rows) for item in node.where)
        return np.logical_and.reduce(list(tests)).view(np.int8), _KEPT


def _users_of(core: Core, signal: SignalDefinition, units: NDArray[np.integer[Any]] | None) -> NDArray[np.bool_]:
    """Return whose events count: the users that are among ``units``, or that belong to one of them."""
    if units is None:
        return np.ones(core.users.t0_s.size, dtype=bool)
    of = core.users if signal.unit == "user" else core.companies
    wanted = np.zeros(of.t0_s.size + 1, dtype=bool)  # the last is that of no company
    wanted[units] = True
    return wanted[:-1] if signal.unit == "user" else wanted[core.users.company_key]


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
