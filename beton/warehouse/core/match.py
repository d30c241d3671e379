"""When a condition tree first held, from arrays; the rules are those of ``compile`` and ``landmark``."""

from __future__ import annotations

import math
from bisect import bisect_left
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
from beton.warehouse.core.kernels import Cohort, Rows, begin, drop, look_up, products, put_off, sift, tally
from beton.warehouse.core.predicates import holds, matching_words

_NO_CODES: Final = np.empty(0, dtype=np.int8)
_NO_CODES.flags.writeable = False  # as those of a snapshot, for which kernels are compiled
_KEEPS_ALL: Final = np.empty(0, dtype=bool)
_RARE: Final = 4  # a word is worth looking up when at most one in so many rows has it


def why_not(core: Core, signal: SignalDefinition, outcome: Outcome) -> str:
    """Return why SQL has to answer, or '' when the core gives the same answer."""
    if signal.sql:
        return "written in SQL"
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
    held_s = _first_s(core, signal, units)
    _Tree(core, signal, landmark_s).apply(signal.when, held_s)
    return _rolled_up(core, signal, landmark_s, held_s) if signal.unit == "account" else held_s


def warm(core: Core) -> None:
    """Load every kernel, or compile it where this machine has not yet, before the first question has to wait for it."""
    event = core.event_names[0]
    each = [EventCondition(event), EventCondition(ANY_EVENT, "active days >=", 1)]
    for name, column in core.event_columns.items():
        other = PropertyCondition(name, "!=", True if column.kind == "boolean" else 0)
        each.append(EventCondition(event, where=(other,)))
    nobody, never = np.empty(0, dtype=np.int32), np.empty(0, dtype=np.int64)
    held_s = match_s(core, SignalDefinition("warm", Group("none", tuple(each))), 0, nobody)
    offset_s, none = core.users.account_offset_s, core.user_rows[:0]
    rows = Rows(core.pair_user[:0], core.pair_zero[:0], core.pair_start[:0], none, core.rel_s, offset_s)
    look_up(held_s, rows, none)
    cohort = Cohort(nobody, nobody, never, never, never, np.empty(0, dtype=np.int8), np.empty(0, dtype=bool))
    products(tally(held_s, cohort, 0, 0)[1])


class _Tree:
    """One tree on one clock. Its parts put off ``held_s``, when everything so far held for each user, in place."""

    def __init__(self, core: Core, signal: SignalDefinition, landmark_s: int) -> None:
        self.core = core
        self.landmark_s = landmark_s
        offset_s = core.users.account_offset_s
        self.offset_s = offset_s if signal.unit == "account" else np.zeros_like(offset_s)
        self.offset_s.flags.writeable = False  # as those of a snapshot, for which kernels are compiled

    def apply(self, node: Condition, held_s: NDArray[np.int64]) -> None:
        if isinstance(node, PropertyCondition):
            drop(held_s, self._property(node))
        elif isinstance(node, EventCondition):
            self._event(node, held_s)
        elif node.match == "all":
            # What few rows decide comes first: the rows of users that it rules out are never read.
            for item in sorted(node.items, key=self._rows_of):
                self.apply(item, held_s)
        else:
            either_s = self._either(node, held_s)
            if node.match == "none":
                windows = [self._window_s(leaf) for leaf in leaves(node) if isinstance(leaf, EventCondition)]
                np.maximum(held_s, max(windows, default=0), out=held_s)
                drop(held_s, either_s == NEVER)
            else:
                held_s[:] = either_s

    def _either(self, node: Group, held_s: NDArray[np.int64]) -> NDArray[np.int64]:
        """When the first of the items held too."""
        either_s = held_s.copy()
        self.apply(node.items[0], either_s)
        for item in node.items[1:]:
            other_s = held_s.copy()
            self.apply(item, other_s)
            np.minimum(either_s, other_s, out=either_s)
        return either_s

    def _rows_of(self, node: Condition) -> int:
        """How many rows of events a condition may have to look at."""
        if isinstance(node, PropertyCondition):
            return 0
        if isinstance(node, Group):
            return sum(map(self._rows_of, node.items))
        if node.event == ANY_EVENT:
            return self.core.rel_s.size
        pairs = self._pairs(node)
        if node.where or node.op in ACTIVITY_OPS:
            return int(self.core.pair_start[pairs.stop] - self.core.pair_start[pairs.start])
        return int(pairs.stop - pairs.start)

    def _pairs(self, node: EventCondition) -> slice:
        event = self.core.event_names.index(node.event)
        return slice(*self.core.event_pairs[event : event + 2].tolist())

    def _property(self, node: PropertyCondition) -> NDArray[np.bool_]:
        column = self.core.users.columns[node.property]
        test = holds(column, node)
        if column.set_s is not None:
            test &= column.set_s < self.core.users.t0_s - self.offset_s + self.landmark_s
        return test

    def _window_s(self, node: EventCondition) -> int:
        return self.landmark_s if node.within_days is None else min(seconds(node.within_days), self.landmark_s)

    def _event(self, node: EventCondition, held_s: NDArray[np.int64]) -> None:
        window_s = self._window_s(node)
        rows = self._kept(node, held_s, window_s) if node.where else self._rows(node)
        period_s = {"active days >=": DAY_S, "active weeks >=": WEEK_S}.get(node.op, 0)
        put_off(held_s, rows, threshold(node), period_s, window_s, node.op in ("not completed", "count <="))

    def _rows(self, node: EventCondition) -> Rows:
        """All rows of the event, each user's from the signup on."""
        core, clock = self.core, (self.core.rel_s, self.offset_s)
        if node.event == ANY_EVENT:
            return Rows(core.pair_user[:0], core.user_start[:-1], core.user_start[1:], core.user_rows, *clock)
        pairs = self._pairs(node)
        end = core.pair_start[pairs.start + 1 : pairs.stop + 1]
        return Rows(core.pair_user[pairs], core.pair_zero[pairs], end, core.user_rows[:0], *clock)

    def _kept(self, node: EventCondition, held_s: NDArray[np.int64], window_s: int) -> Rows:
        """The rows that pass every filter: that on a text is looked up or checked on the way, the others afterwards."""
        columns, others, rows = self.core.event_columns, list(node.where), self._rows(node)
        code, kept_codes, listed = _NO_CODES, _KEEPS_ALL, None
        text = next((item for item in others if columns[item.property].kind == "text"), None)
        if text is not None:
            others.remove(text)
            column = columns[text.property]
            code, kept_codes = column.values, matching_words(column, text)
            listed = self._listed(node, column, kept_codes)
        if listed is None:
            user, first, end, order = sift(held_s, rows, window_s, code, kept_codes)
        else:
            user, first, end, order = *look_up(held_s, rows, listed), listed
        for item in others:
            test = holds(columns[item.property], item, order)
            kept_before = np.concatenate(([0], np.cumsum(test)))
            first, end, order = kept_before[first], kept_before[end], order[test]
        for array in (user, first, end, order):
            array.flags.writeable = False  # as those of a snapshot, for which kernels are compiled
        return Rows(user, first, end, order, rows.rel_s, rows.offset_s)

    def _listed(
        self, node: EventCondition, column: Column, kept_codes: NDArray[np.bool_]
    ) -> NDArray[np.integer[Any]] | None:
        """The event's rows with the one word that is kept, or None where it takes as long to read all rows."""
        words = np.flatnonzero(kept_codes[:-1]).tolist()
        if node.event == ANY_EVENT or column.by_word is None or len(words) != 1:
            return None
        pairs = self._pairs(node)
        rows = column.by_word[slice(*self.core.pair_start[[pairs.start, pairs.stop]].tolist())]
        first, end = (bisect_left(rows, code, key=column.values.__getitem__) for code in (words[0], words[0] + 1))
        return rows[first:end] if (end - first) * _RARE < rows.size else None


def _first_s(core: Core, signal: SignalDefinition, units: NDArray[np.integer[Any]] | None) -> NDArray[np.int64]:
    """Return 0 for each user who counts, being or belonging to one of ``units``, and ``NEVER`` for the others."""
    if units is None:
        return np.zeros(core.users.t0_s.size, dtype=np.int64)
    of = core.users if signal.unit == "user" else core.companies
    first_s = np.empty(of.t0_s.size + 1, dtype=np.int64)  # the last is that of no company
    begin(first_s, units)
    return first_s[:-1] if signal.unit == "user" else first_s[core.users.company_key]


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
