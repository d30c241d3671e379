"""Condition trees: what a unit must have done, or be, to carry a signal.

A tree is made of two leaves and one kind of node::

    EventCondition      did something, so often, within so many days (optionally only rows with certain properties)
    PropertyCondition   a trait of the user or the account
    Group               all | any | none of its items; groups nest

Windows are measured in days of 86,400 seconds from the unit's time zero (or back from a weekly landmark).
"""

from __future__ import annotations

import csv
import math
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias, get_args

from beton.errors import InputError

EventOp = Literal["completed", "not completed", "count >=", "count <=", "active days >=", "active weeks >="]
PropertyOp = Literal["=", "!=", ">", ">=", "<", "<=", "contains", "in list", "between"]
Match = Literal["all", "any", "none"]
Scalar: TypeAlias = str | float | int | bool
Value: TypeAlias = Scalar | tuple[Scalar, ...]

EVENT_OPS: Final[tuple[str, ...]] = get_args(EventOp)
PROPERTY_OPS: Final[tuple[str, ...]] = get_args(PropertyOp)
COUNTED_OPS: Final = ("count >=", "count <=", "active days >=", "active weeks >=")
ACTIVITY_OPS: Final = ("active days >=", "active weeks >=")
ORDER_OPS: Final = (">", ">=", "<", "<=")
ANY_EVENT: Final = "*"

MAX_DEPTH: Final = 6
MAX_LEAVES: Final = 40
MAX_TEXT: Final = 500
MAX_LIST: Final = 200
MAX_DAYS: Final = 730
MAX_COUNT: Final = 1_000_000
MAX_NODES: Final = 1_000  # read at most: aliases of a YAML file can unfold to billions
MAX_WHOLE: Final = 2**63 - 1
MAX_EXACT: Final = 2**53  # above it a whole float is not the number that was meant

# Commas only where thousands are grouped: "3,4" is a decimal comma to half of the world, and 34 to nobody.
_GROUPED: Final = re.compile(r"[+-]?\d{1,3}(,\d{3})+(\.\d+)?", re.ASCII)


@dataclass(frozen=True)
class PropertyCondition:
    """``property op value``; ``in list`` and ``between`` take a tuple. An unknown (null) value never matches."""

    property: str
    op: PropertyOp
    value: Value


@dataclass(frozen=True)
class EventCondition:
    """An event done (or not) within ``within_days`` of time zero; ``None`` means up to the landmark."""

    event: str
    op: EventOp = "completed"
    value: int | None = None
    within_days: float | None = None
    where: tuple[PropertyCondition, ...] = ()


@dataclass(frozen=True)
class Group:
    """``all``, ``any`` or ``none`` of the items hold."""

    match: Match
    items: tuple[Condition, ...]


Condition: TypeAlias = EventCondition | PropertyCondition | Group


def leaves(condition: Condition) -> Iterator[EventCondition | PropertyCondition]:
    """Yield the leaves from left to right."""
    if isinstance(condition, Group):
        for item in condition.items:
            yield from leaves(item)
    else:
        yield condition


def to_dict(condition: Condition) -> dict[str, Any]:
    """Return the plain form written to YAML and JSON; ``parse`` reads it back."""
    if isinstance(condition, Group):
        if condition.match == "none" and len(condition.items) == 1:
            return {"not": to_dict(condition.items[0])}
        return {condition.match: [to_dict(item) for item in condition.items]}
    if isinstance(condition, PropertyCondition):
        value = list(condition.value) if isinstance(condition.value, tuple) else condition.value
        return {"property": condition.property, "op": condition.op, "value": value}
    plain: dict[str, Any] = {"event": condition.event, "op": condition.op}
    if condition.value is not None:
        plain["value"] = condition.value
    if condition.within_days is not None:
        plain["within_days"] = condition.within_days
    if condition.where:
        plain["where"] = [to_dict(item) for item in condition.where]
    return plain


def parse(node: object, path: str = "when") -> Group:
    """Return the tree that ``node`` (from YAML, JSON or a form) describes.

    Raises:
        InputError: with every problem at once; ``fields`` is keyed by path, e.g. ``when.all.0.value``.
    """
    parser = _Parser()
    tree = parser.condition(node, path, depth=1)
    if tree is not None and sum(1 for _ in leaves(tree)) > MAX_LEAVES:
        parser.errors[path] = f"more than {MAX_LEAVES} conditions; split the signal"
    if parser.errors:
        where, what = next(iter(parser.errors.items()))
        more = f" (and {len(parser.errors) - 1} more)" if len(parser.errors) > 1 else ""
        raise InputError(f"{where}: {what}{more}", parser.errors)
    assert tree is not None
    return tree if isinstance(tree, Group) else Group("all", (tree,))


class _Parser:
    """Recursive descent that gathers errors instead of stopping at the first."""

    def __init__(self) -> None:
        self.errors: dict[str, str] = {}
        self.nodes = 0

    def condition(self, node: object, path: str, depth: int) -> Condition | None:
        self.nodes += 1
        if not isinstance(node, Mapping):
            return self._fail(path, "write a condition: {event: ...}, {property: ...} or {all: [...]}")
        if depth > MAX_DEPTH:
            return self._fail(path, f"groups nest deeper than {MAX_DEPTH} levels; flatten them")
        kinds = [key for key in ("event", "property", "all", "any", "none", "not") if key in node]
        if len(kinds) != 1:
            return self._fail(path, "exactly one of event, property, all, any, none, not must be given")
        read: dict[str, Callable[[], Condition | None]] = {
            "event": lambda: self._event(node, path),
            "property": lambda: self._property(node, path),
        }
        return read.get(kinds[0], lambda: self._group(kinds[0], node, path, depth))()

    def _fail(self, path: str, why: str) -> None:
        self.errors[path] = why

    def _known(self, node: Mapping[Any, Any], path: str, allowed: tuple[str, ...]) -> None:
        for key in node:
            if key not in allowed:
                self._fail(f"{path}.{label(key)}", f"unknown key {shown(key)}; use {', '.join(allowed)}")

    def _group(self, kind: str, node: Mapping[Any, Any], path: str, depth: int) -> Group | None:
        self._known(node, path, (kind,))
        if kind == "not":
            item = self.condition(node["not"], f"{path}.not", depth + 1)
            return Group("none", (item,)) if item is not None else None
        raw = node[kind]
        if not isinstance(raw, list | tuple) or not raw:
            self._fail(path, "the group is empty; add a condition or remove it")
            return None
        if self.nodes + len(raw) > MAX_NODES:
            return self._fail(path, f"more than {MAX_LEAVES} conditions; split the signal")
        items = [self.condition(item, f"{path}.{kind}.{i}", depth + 1) for i, item in enumerate(raw)]
        match: Match = "all" if kind == "all" else "any" if kind == "any" else "none"
        kept = tuple(item for item in items if item is not None)
        return Group(match, kept) if len(kept) == len(items) else None

    def _text(self, node: Mapping[Any, Any], key: str, path: str, what: str) -> str | None:
        raw = node.get(key)
        if not isinstance(raw, str) or not raw.strip():
            self._fail(f"{path}.{key}", f"choose {what}")
            return None
        problem = text_problem(raw.strip(), MAX_TEXT)
        if problem:
            self._fail(f"{path}.{key}", problem)
            return None
        return raw.strip()

    def _op(self, node: Mapping[Any, Any], path: str, ops: tuple[str, ...], default: str) -> Any:
        op = node.get("op", default)
        if op not in ops:
            return self._fail(f"{path}.op", f"unknown operator {shown(op)}; use one of {', '.join(ops)}")
        return op

    def _event(self, node: Mapping[Any, Any], path: str) -> EventCondition | None:
        self._known(node, path, ("event", "op", "value", "within_days", "where"))
        name = self._text(node, "event", path, "an event")
        op = self._op(node, path, EVENT_OPS, "completed")
        if name == ANY_EVENT and op not in ACTIVITY_OPS:
            self._fail(f"{path}.event", "any event (*) goes with active days or active weeks only")
        value = self._count(node, path, op) if op in COUNTED_OPS else None
        days = self._days(node, path)
        where = self._where(node, path)
        if name is None or op is None:
            return None
        return EventCondition(name, op, value, days, where)

    def _count(self, node: Mapping[Any, Any], path: str, op: str) -> int | None:
        lowest = 0 if op == "count <=" else 1
        number = _number(node.get("value"))
        if number is None or number != int(number) or not lowest <= number <= MAX_COUNT:
            return self._fail(f"{path}.value", f"give a whole number of at least {lowest}")
        return int(number)

    def _days(self, node: Mapping[Any, Any], path: str) -> float | None:
        raw = node.get("within_days")
        if raw is None or raw == "":
            return None
        number = _number(raw)
        if number is None or not 0 < number <= MAX_DAYS:
            return self._fail(f"{path}.within_days", f"give a number of days between 0 and {MAX_DAYS}")
        return int(number) if number == int(number) else number

    def _where(self, node: Mapping[Any, Any], path: str) -> tuple[PropertyCondition, ...]:
        raw = node.get("where") or []
        if not isinstance(raw, list | tuple) or len(raw) > MAX_LEAVES:
            self._fail(f"{path}.where", "write a list of property conditions")
            return ()
        found = []
        for i, item in enumerate(raw):
            at = f"{path}.where.{i}"
            if not isinstance(item, Mapping) or "property" not in item:
                self._fail(at, "write a property condition: {property: ..., op: ..., value: ...}")
                continue
            found.append(self._property(item, at))
        return tuple(item for item in found if item is not None)

    def _property(self, node: Mapping[Any, Any], path: str) -> PropertyCondition | None:
        self._known(node, path, ("property", "op", "value"))
        name = self._text(node, "property", path, "a property")
        op = self._op(node, path, PROPERTY_OPS, "=")
        if op is None:
            return None
        value = self._value(node.get("value"), op, f"{path}.value")
        if name is None or value is None:
            return None
        return PropertyCondition(name, op, value)

    def _value(self, raw: object, op: str, path: str) -> Value | None:
        if op == "between":
            return self._pair(raw, path)
        if op == "in list":
            return self._list(raw, path)
        if op in ORDER_OPS:
            number = _number(raw)
            return number if number is not None else self._fail(path, f"{op} needs a number")
        value = self._scalar(raw, path)
        return self._fail(path, "give a value") if value == "" else value

    def _scalar(self, raw: object, path: str) -> Scalar | None:
        """Read one text, number or truth value; text is trimmed and may come back empty."""
        if isinstance(raw, str):
            problem = text_problem(raw.strip(), MAX_TEXT)
            return self._fail(path, problem) if problem else raw.strip()
        if isinstance(raw, bool):
            return raw
        number = _number(raw)
        return number if number is not None else self._fail(path, "give a value: a text, a number, true or false")

    def _pair(self, raw: object, path: str) -> Value | None:
        ends = [_number(item) for item in raw] if isinstance(raw, list | tuple) else []
        if len(ends) != 2 or ends[0] is None or ends[1] is None:
            return self._fail(path, "between needs two numbers, the lower first")
        if ends[0] > ends[1]:
            return self._fail(path, "the lower end comes first")
        return (ends[0], ends[1])

    def _list(self, raw: object, path: str) -> Value | None:
        cells = split_list(raw) if isinstance(raw, str) else raw
        if not isinstance(cells, list | tuple):
            return self._fail(path, "give at least one value, separated by commas")
        if len(cells) > MAX_LIST:
            return self._fail(path, f"give at most {MAX_LIST} values")
        items = [self._scalar(cell, path) for cell in cells]
        if path in self.errors:
            return None
        kept = tuple(item for item in items if item is not None and item != "")
        return kept or self._fail(path, "give at least one value, separated by commas")


def split_list(text: str) -> list[str] | None:
    """Split ``a, b, "c, d"`` at its commas; None where quotes do not close or the text is more than one line."""
    try:
        lines = list(csv.reader([text], skipinitialspace=True, strict=True))
    except csv.Error:
        return None
    return lines[0] if lines else []


def join_list(cells: Iterable[str]) -> str:
    """Write trimmed values so that ``split_list`` reads them back."""
    return ", ".join('"' + cell.replace('"', '""') + '"' if set(cell) & {",", '"'} else cell for cell in cells)


def text_problem(text: str, longest: int) -> str | None:
    """Say why a text cannot be kept, if so: too long, or characters that no screen, terminal or file shows."""
    if len(text) > longest:
        return f"longer than {longest} characters"
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in text):
        return "contains control characters; type it again"
    return None


def shown(raw: object) -> str:
    """Return a refused value for a message: short and printable whatever it is."""
    return repr(raw[:40]) if isinstance(raw, str) else f"of type {type(raw).__name__}"


def label(key: object) -> str:
    """Return a refused key as part of a path."""
    return shown(key).strip("'\"") if isinstance(key, str) else type(key).__name__


def _number(raw: object) -> float | int | None:
    """Read a finite number from a number or its text; whole ones come back as ``int`` where that is exact."""
    if isinstance(raw, bool) or not isinstance(raw, int | float | str):
        return None
    if isinstance(raw, int):
        return raw if abs(raw) <= MAX_WHOLE else None
    if isinstance(raw, str) and len(raw) <= MAX_TEXT:
        return _number_of_text(raw.strip())
    if isinstance(raw, str) or not math.isfinite(raw):
        return None
    return int(raw) if abs(raw) <= MAX_EXACT and raw == int(raw) else raw


def _number_of_text(text: str) -> float | int | None:
    plain = text.replace(",", "") if _GROUPED.fullmatch(text) else text
    if "_" in plain:
        return None
    for kind in (int, float):
        try:
            return _number(kind(plain))
        except ValueError:
            continue
    return None
