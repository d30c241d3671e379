"""Condition tree -> SQL: who matched, and how many seconds after time zero.

Each tree becomes one expression over ``match_s``: the second at which the condition first held, or ``NEVER``. With that
encoding ``all`` is GREATEST, ``any`` is LEAST and no engine's opinion on NULL matters. Text is written in the portable
subset (joins with ON, explicit GROUP BY, seconds instead of date functions), parsed by SQLGlot and generated for the
dialect of the engine that answers. Values enter as SQLGlot literals, names only after they were found in the catalogue.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from sqlglot import exp, parse_one

from beton.errors import InputError
from beton.model.conditions import (
    ACTIVITY_OPS,
    ANY_EVENT,
    ORDER_OPS,
    Condition,
    EventCondition,
    Group,
    PropertyCondition,
    Scalar,
    leaves,
)
from beton.model.manifest import Manifest, PropertyFacts
from beton.model.signal import DAY_S, SignalDefinition
from beton.warehouse.views import SET_S

NEVER: Final = 4_000_000_000_000  # above any epoch second; no condition ever matches then
WEEK_S: Final = 7 * DAY_S
MONDAY_S: Final = 4 * DAY_S  # 1970-01-05, the first Monday of the epoch
JSON_PREFIX: Final = "properties."
DIALECTS: Final = ("duckdb", "spark", "clickhouse")


@dataclass(frozen=True)
class Catalogue:
    """Names a definition may use, read from the snapshot's manifest."""

    events: frozenset[str]
    unit_properties: dict[str, PropertyFacts]
    event_properties: dict[str, PropertyFacts]

    @classmethod
    def of(cls, manifest: Manifest) -> Catalogue:
        """Collect the names from a manifest."""
        of_events = {p.name: p for p in manifest.properties if p.scope == "event"}
        of_units = {p.name: p for p in manifest.properties if p.scope != "event"}
        return cls(frozenset(e.name for e in manifest.events), of_units, of_events)

    def check(self, signal: SignalDefinition) -> None:
        """Raise InputError that names every unknown event or property and the nearest known one."""
        errors: dict[str, str] = {}
        for path, leaf in _paths(signal.when, "when"):
            for at, problem in self._problems(path, leaf):
                errors[at] = problem
        if errors:
            raise InputError(next(iter(errors.values())), errors)

    def _problems(self, path: str, leaf: EventCondition | PropertyCondition) -> Iterable[tuple[str, str]]:
        if isinstance(leaf, PropertyCondition):
            yield from self._property_problem(path, leaf, of_event=False)
            return
        if leaf.event != ANY_EVENT and leaf.event not in self.events:
            yield f"{path}.event", f"no event is called {leaf.event!r}{_nearest(leaf.event, self.events)}"
        for i, item in enumerate(leaf.where):
            if not item.property.startswith(JSON_PREFIX):
                yield from self._property_problem(f"{path}.where.{i}", item, of_event=True)

    def _property_problem(self, path: str, leaf: PropertyCondition, of_event: bool) -> Iterable[tuple[str, str]]:
        known, other = self.unit_properties, self.event_properties
        place = "the filter (where) of an event"
        if of_event:
            known, other, place = other, known, "a condition of its own, not a filter"
        info = known.get(leaf.property)
        if info is None:
            fix = f"; it belongs in {place}" if leaf.property in other else _nearest(leaf.property, known)
            yield f"{path}.property", f"no such property here: {leaf.property!r}{fix}"
            return
        problem = _type_problem(info, leaf)
        if problem:
            yield f"{path}.value", problem


def _paths(node: Condition, path: str) -> Iterable[tuple[str, EventCondition | PropertyCondition]]:
    if not isinstance(node, Group):
        yield path, node
        return
    single = node.match == "none" and len(node.items) == 1
    for i, item in enumerate(node.items):
        yield from _paths(item, f"{path}.not" if single else f"{path}.{node.match}.{i}")


def _nearest(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else "; `beton info` lists what there is"


def _type_problem(info: PropertyFacts, leaf: PropertyCondition) -> str | None:
    ordered = leaf.op in (*ORDER_OPS, "between")
    if ordered and info.type != "number":
        return f"{info.name} holds {info.type}; {leaf.op} needs a number property"
    if info.type == "number" and leaf.op == "contains":
        return f"{info.name} holds numbers; compare with =, >=, <= or between"
    if info.type == "time":
        return f"{info.name} is a time; conditions on times are written with within_days on an event"
    values = leaf.value if isinstance(leaf.value, tuple) else (leaf.value,)
    if info.type == "number" and any(_as_number(v) is None for v in values):
        return f"{info.name} holds numbers; give a number"
    if info.type == "boolean" and leaf.op == "contains":
        return f"{info.name} is true or false; compare with = or !="
    if info.type == "boolean" and any(str(v).lower() not in ("true", "false") for v in values):
        return f"{info.name} is true or false"
    return None


def _as_number(value: Scalar) -> float | None:
    try:
        number = float(value)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def text_literal(value: str) -> str:
    """Return a SQL string literal that cannot end early."""
    return exp.Literal.string(value).sql(dialect="duckdb")


def column(table: str, name: str) -> str:
    """Return a quoted column reference."""
    return exp.column(name, table=table, quoted=True).sql(dialect="duckdb")


def predicate(condition: PropertyCondition, reference: str, kind: str) -> str:
    """Return the boolean SQL of one property condition on ``reference``, a column of type ``kind``."""
    values = condition.value if isinstance(condition.value, tuple) else (condition.value,)
    literals = [_literal(value, kind) for value in values]
    if condition.op == "contains":
        # Both sides are lowered by the engine: languages differ in what the lower case of a letter is.
        return f"STRPOS(LOWER({reference}), LOWER({text_literal(str(values[0]))})) > 0"
    if condition.op == "in list":
        return f"{reference} IN ({', '.join(literals)})"
    if condition.op == "between":
        return f"{reference} BETWEEN {literals[0]} AND {literals[1]}"
    sign = {"!=": "<>"}.get(condition.op, condition.op)
    return f"{reference} {sign} {literals[0]}"


def json_predicate(condition: PropertyCondition, reference: str) -> str:
    """Return the boolean SQL of one condition on a JSON value, whose type may change from row to row.

    Equality compares numbers where both sides are one, so that 5 finds 5.0; else texts (``true`` for the truth value).
    """
    number, text = (f"TRY_CAST({reference} AS {kind})" for kind in ("DOUBLE", "VARCHAR"))
    if condition.op in (*ORDER_OPS, "between"):
        return predicate(condition, number, "number")
    if condition.op == "contains":
        return predicate(condition, text, "text")
    tests = []
    for value in condition.value if isinstance(condition.value, tuple) else (condition.value,):
        same = f"{text} = {_literal(value, 'text')}"
        plain = isinstance(value, bool) or _as_number(value) is None
        tests.append(same if plain else f"COALESCE({number} = {_literal(value, 'number')}, {same})")
    found = " OR ".join(tests)
    return f"NOT ({found})" if condition.op == "!=" else f"({found})"


def _literal(value: Scalar, kind: str) -> str:
    if kind == "number":
        return str(value) if isinstance(value, int) and not isinstance(value, bool) else repr(_as_number(value))
    if kind == "boolean":
        return str(value).upper()
    return text_literal(str(value).lower() if isinstance(value, bool) else str(value))


def seconds(days: float) -> int:
    """Return whole seconds of a number of days."""
    return round(days * DAY_S)


@dataclass
class Compiled:
    """The parts of a statement: one CTE per event condition and the expression that combines them."""

    ctes: list[tuple[str, str]] = field(default_factory=list)
    match: str = ""

    def joins(self, key: str, week: str | None = None) -> str:
        """Return the LEFT JOINs that bring the leaves to the unit's row."""
        lines = []
        for name, _ in self.ctes:
            extra = f" AND {name}.week = {week}" if week else ""
            lines.append(f"LEFT JOIN {name} ON {name}.user_key = {key}{extra}")
        return "\n".join(lines)


def compile_conditions(signal: SignalDefinition, catalogue: Catalogue, landmark_s: int) -> Compiled:
    """Compile the tree for units whose clock starts at time zero and stops at ``landmark_s``.

    In the resulting expression ``u`` is the row of ``store.users``, ``t0_s`` of the unit is ``u.t0_s`` less
    ``u.account_offset_s`` for accounts.
    """
    _refuse_query(signal)
    catalogue.check(signal)
    writer = _AfterSignup(signal, catalogue, landmark_s)
    writer.out.match = writer.expression(signal.when)
    return writer.out


def compile_weekly(signal: SignalDefinition, catalogue: Catalogue) -> Compiled:
    """Compile the tree for weekly landmarks: every leaf says for which ``week`` its look-back window matched."""
    _refuse_query(signal)
    catalogue.check(signal)
    writer = _Weekly(signal, catalogue)
    writer.out.match = writer.expression(signal.when)
    return writer.out


def _refuse_query(signal: SignalDefinition) -> None:
    """A query has no conditions, and no conditions would match everyone."""
    if signal.sql:
        raise InputError(f"{signal.name} is written in SQL, so there is nothing to compile; run its query as it is")


class _Writer:
    """What both clocks share: groups, property leaves and the naming of event leaves."""

    def __init__(self, signal: SignalDefinition, catalogue: Catalogue) -> None:
        self.signal = signal
        self.catalogue = catalogue
        self.out = Compiled()

    def expression(self, node: Condition) -> str:
        if isinstance(node, Group):
            return self._group(node)
        if isinstance(node, PropertyCondition):
            return self._property(node)
        name = f"leaf_{len(self.out.ctes)}"
        self.out.ctes.append((name, self.event_leaf(node)))
        found = f"COALESCE({name}.match_s, {NEVER})"
        if node.op in ("not completed", "count <="):
            return f"CASE WHEN {found} = {NEVER} THEN {self.window_s(node)} ELSE {NEVER} END"
        return found

    def _group(self, node: Group) -> str:
        items = [self.expression(item) for item in node.items]
        if node.match == "all":
            return items[0] if len(items) == 1 else f"GREATEST({', '.join(items)})"
        first = items[0] if len(items) == 1 else f"LEAST({', '.join(items)})"
        if node.match == "any":
            return first
        return f"CASE WHEN {first} = {NEVER} THEN {self.known_s(node)} ELSE {NEVER} END"

    def _property(self, node: PropertyCondition) -> str:
        info = self.catalogue.unit_properties[node.property]
        test = predicate(node, column("u", info.name), info.type)
        if info.set_at:
            test = f"{test} AND COALESCE({column('u', info.name + SET_S)}, 0) < {self.landmark_at()}"
        return f"CASE WHEN {test} THEN 0 ELSE {NEVER} END"

    def known_s(self, node: Condition) -> int:
        """When the absence of a condition is certain: the end of its longest window."""
        windows = [self.window_s(leaf) for leaf in leaves(node) if isinstance(leaf, EventCondition)]
        return max(windows, default=0)

    def rows(self, node: EventCondition) -> str:
        """The WHERE of one event leaf without its window: the event and its property filters."""
        tests = [] if node.event == ANY_EVENT else [f"e.event = {text_literal(node.event)}"]
        for item in node.where:
            tests.append(self._filter(item))
        return " AND ".join(tests) or "TRUE"

    def _filter(self, item: PropertyCondition) -> str:
        info = self.catalogue.event_properties.get(item.property)
        if info is not None:
            return predicate(item, column("e", info.name), info.type)
        return json_predicate(item, f"e.properties[{text_literal(item.property.removeprefix(JSON_PREFIX))}]")

    def event_leaf(self, node: EventCondition) -> str:
        raise NotImplementedError

    def window_s(self, node: EventCondition) -> int:
        raise NotImplementedError

    def landmark_at(self) -> str:
        raise NotImplementedError


class _AfterSignup(_Writer):
    """Windows run forward from time zero; ``n`` (the stored ordinal) answers "at least k" without grouping."""

    def __init__(self, signal: SignalDefinition, catalogue: Catalogue, landmark_s: int) -> None:
        super().__init__(signal, catalogue)
        self.landmark_s = landmark_s
        account = signal.unit == "account"
        self.clock = "(e.rel_s + o.account_offset_s)" if account else "e.rel_s"
        self.source = "store.events AS e" + (" JOIN store.users AS o ON o.user_key = e.user_key" if account else "")

    def window_s(self, node: EventCondition) -> int:
        days = node.within_days
        return self.landmark_s if days is None else min(seconds(days), self.landmark_s)

    def landmark_at(self) -> str:
        start = "(u.t0_s - u.account_offset_s)" if self.signal.unit == "account" else "u.t0_s"
        return f"{start} + {self.landmark_s}"

    def event_leaf(self, node: EventCondition) -> str:
        inside = f"{self.rows(node)} AND e.rel_s >= 0 AND {self.clock} < {self.window_s(node)}"
        if node.op in ACTIVITY_OPS:
            return self._distinct_periods(node, inside)
        at_least = threshold(node)
        if not node.where:
            return f"SELECT e.user_key, {self.clock} AS match_s FROM {self.source} WHERE {inside} AND e.n = {at_least}"
        if at_least == 1:
            return (
                f"SELECT e.user_key, MIN({self.clock}) AS match_s FROM {self.source} WHERE {inside} GROUP BY e.user_key"
            )
        ranked = (
            f"SELECT e.user_key AS user_key, {self.clock} AS match_s, "
            f"ROW_NUMBER() OVER (PARTITION BY e.user_key ORDER BY e.rel_s) AS k FROM {self.source} WHERE {inside}"
        )
        return f"SELECT r.user_key, r.match_s FROM ({ranked}) AS r WHERE r.k = {at_least}"

    def _distinct_periods(self, node: EventCondition, inside: str) -> str:
        size = DAY_S if node.op == "active days >=" else WEEK_S
        period = f"CAST(FLOOR({self.clock} / {size}) AS INT)"
        firsts = (
            f"SELECT e.user_key AS user_key, {period} AS period, MIN({self.clock}) AS first_s "
            f"FROM {self.source} WHERE {inside} GROUP BY e.user_key, {period}"
        )
        ranked = (
            f"SELECT f.user_key AS user_key, f.first_s AS match_s, "
            f"ROW_NUMBER() OVER (PARTITION BY f.user_key ORDER BY f.first_s) AS k FROM ({firsts}) AS f"
        )
        return f"SELECT r.user_key, r.match_s FROM ({ranked}) AS r WHERE r.k = {node.value}"


class _Weekly(_Writer):
    """Windows look back from Mondays 00:00 UTC; a leaf lists the weeks (counted from the epoch) where it holds."""

    def window_s(self, node: EventCondition) -> int:
        return 0  # known at the landmark itself, which is the match

    def landmark_at(self) -> str:
        return f"(w.week * {WEEK_S} + {MONDAY_S})"

    def event_leaf(self, node: EventCondition) -> str:
        assert node.within_days is not None
        window = seconds(node.within_days)
        at = "(o.t0_s + e.rel_s)"
        first = f"CAST(FLOOR(({at} - {MONDAY_S}) / {WEEK_S}) AS INT) + 1"
        landmark = f"(({first} + s.step) * {WEEK_S} + {MONDAY_S})"
        steps = ", ".join(f"({i})" for i in range(math.ceil(window / WEEK_S)))
        counted = "COUNT(*)"
        if node.op in ACTIVITY_OPS:
            size = DAY_S if node.op == "active days >=" else WEEK_S
            counted = f"COUNT(DISTINCT CAST(FLOOR(({landmark} - 1 - {at}) / {size}) AS INT))"
        return (
            f"SELECT e.user_key, {first} + s.step AS week, 0 AS match_s "
            f"FROM store.events AS e JOIN store.users AS o ON o.user_key = e.user_key "
            f"CROSS JOIN (VALUES {steps}) AS s(step) "
            f"WHERE {self.rows(node)} AND e.rel_s >= 0 AND {landmark} - {window} <= {at} "
            f"GROUP BY e.user_key, {first} + s.step HAVING {counted} >= {threshold(node)}"
        )


def threshold(node: EventCondition) -> int:
    """How many rows make the leaf true, or, for the negative operators, break it."""
    value = node.value or 0
    return {"count <=": value + 1, "completed": 1, "not completed": 1}.get(node.op, value)


def statement(ctes: Sequence[tuple[str, str]], select: str, dialect: str = "duckdb") -> str:
    """Write the CTEs and the final SELECT for ``dialect`` and put them together."""
    body = ",\n".join(f"{name} AS ({written(text, dialect)})" for name, text in ctes)
    final = written(select, dialect)
    return f"WITH {body}\n{final}" if ctes else final


@lru_cache(maxsize=1024)
def written(select: str, dialect: str) -> str:
    """Parse one SELECT and generate it for ``dialect``; most parts of a statement recur, so they are kept."""
    return parse_one(select, dialect="duckdb").sql(dialect=dialect)
