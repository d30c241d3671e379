"""The signal being written in the visual builder: a tree of rows as typed, valid or not, and its transitions.

Rows keep what was typed, as text; ``check`` turns the tree into a definition or into one sentence per faulty field.
Keys are stable names of rows and groups, so an error or an edit finds its row after others were removed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal, TypeAlias

from beton.errors import InputError
from beton.model.conditions import (
    COUNTED_OPS,
    Condition,
    EventCondition,
    Group,
    Match,
    PropertyCondition,
    join_list,
)
from beton.model.signal import SignalDefinition, from_dict
from store.origin import Origin

WITHIN: Final = "within X days"  # the PRD's fifth operator: completed, with a window that must be given
FIELDS: Final = ("subject", "op", "value", "value2", "within")
MAX_NESTING: Final = 50  # far beyond what a definition may have; the browser's copy may hold anything
MAX_KEY: Final = 10**9

_NUMBERED: Final = re.compile(r"[rg](\d{1,9})", re.ASCII)

Kind = Literal["event", "property"]


@dataclass(frozen=True)
class Row:
    """One condition as typed. ``filters`` are property rows that narrow an event row."""

    key: str
    kind: Kind
    subject: str = ""
    op: str = ""
    value: str = ""
    value2: str = ""
    within: str = ""
    filters: tuple[Row, ...] = ()


@dataclass(frozen=True)
class Box:
    """A group of rows and groups of which all, any or none must hold."""

    key: str
    match: Match = "all"
    items: tuple[Row | Box, ...] = ()


Node: TypeAlias = Row | Box


@dataclass(frozen=True)
class Draft:
    """The builder's state; ``next_key`` numbers rows and never goes back.

    ``rest`` is the part of an opened definition that the builder has no fields for (outcome, timing, rollup ...): it
    goes through unchanged, so that editing a row never changes what else a signal means.

    Raises:
        ValueError: two nodes with one key, a group without rows, a filter that is no property row, nesting without
            end, or a ``next_key`` that is taken: nothing the builder makes, but a browser may send it.
    """

    name: str = ""
    unit: str = "user"
    root: Box = field(default_factory=lambda: Box("root", "all", (Row("r1", "event", op="completed"),)))
    next_key: int = 2
    attempted: bool = False
    rest: Mapping[str, Any] = field(default_factory=dict)
    origin: Origin | None = None

    def __post_init__(self) -> None:
        _check_shape(self.root, 1)
        keys = [node.key for node in nodes(self.root)]
        taken = [int(found[1]) for key in keys if (found := _NUMBERED.fullmatch(key))]
        if len(set(keys)) < len(keys) or not max(taken, default=0) < self.next_key <= MAX_KEY:
            raise ValueError("the keys of a draft are unique, and the next one is free")


def _check_shape(node: Node, depth: int) -> None:
    if depth > MAX_NESTING:
        raise ValueError(f"groups nest deeper than {MAX_NESTING} levels")
    if isinstance(node, Row):
        if any(item.kind != "property" or item.filters for item in node.filters):
            raise ValueError("a filter is a property row")
        return
    if not node.items:
        raise ValueError("a group has at least one row")
    for item in node.items:
        _check_shape(item, depth + 1)


def nodes(node: Node) -> Iterator[Node]:
    """Yield a node, its filters and everything below it."""
    yield node
    for item in node.items if isinstance(node, Box) else node.filters:
        yield from nodes(item)


def _edit(node: Node, key: str, change: Any) -> Node | None:
    """Rebuild the tree with ``change(node)`` in place of the node named ``key``; None removes it."""
    if node.key == key:
        changed: Node | None = change(node)
        return changed
    if isinstance(node, Box):
        items = (_edit(item, key, change) for item in node.items)
        return replace(node, items=tuple(item for item in items if item is not None))
    # A filter is a row; what would make it a group is not for it.
    filters = ((item, _edit(item, key, change)) for item in node.filters)
    kept = (old if isinstance(new, Box) else new for old, new in filters)
    return replace(node, filters=tuple(row for row in kept if row is not None))


def _with(draft: Draft, key: str, change: Any, used_keys: int = 0) -> Draft:
    root = _edit(draft.root, key, change)
    return replace(draft, root=root if isinstance(root, Box) else draft.root, next_key=draft.next_key + used_keys)


def add_event(draft: Draft, key: str) -> Draft:
    """Add an event row at the end of group ``key``."""
    return _append(draft, key, Row(f"r{draft.next_key}", "event", op="completed"))


def add_property(draft: Draft, key: str) -> Draft:
    """Add a property row at the end of group ``key``."""
    return _append(draft, key, Row(f"r{draft.next_key}", "property", op="="))


def add_group(draft: Draft, key: str) -> Draft:
    """Add a group with one empty event row at the end of group ``key``."""
    row = Row(f"r{draft.next_key + 1}", "event", op="completed")
    return _append(draft, key, Box(f"g{draft.next_key}", "any", (row,)), used_keys=2)


def _append(draft: Draft, key: str, node: Node, used_keys: int = 1) -> Draft:
    def change(box: Node) -> Node:
        return replace(box, items=(*box.items, node)) if isinstance(box, Box) else box

    return _with(draft, key, change, used_keys)


def add_filter(draft: Draft, key: str) -> Draft:
    """Narrow event row ``key`` by one more property of the event."""
    row = Row(f"r{draft.next_key}", "property", op="=")

    def change(node: Node) -> Node:
        if isinstance(node, Box) or node.kind != "event":
            return node
        return replace(node, filters=(*node.filters, row))

    return _with(draft, key, change, used_keys=1)


def wrap(draft: Draft, key: str) -> Draft:
    """Put row ``key`` into a group of its own, so that alternatives can be added beside it."""
    if key == draft.root.key:
        return draft
    return _with(draft, key, lambda node: Box(f"g{draft.next_key}", "any", (node,)), used_keys=1)


def remove(draft: Draft, key: str) -> Draft:
    """Remove a row, filter or group; groups left empty go too, and the root always keeps a row."""
    without = _edit(draft.root, key, lambda node: None)
    if not isinstance(without, Box):
        return draft
    root = _pruned(without)
    if root is not None:
        return replace(draft, root=root)
    row = Row(f"r{draft.next_key}", "event", op="completed")
    return replace(draft, root=replace(draft.root, items=(row,)), next_key=draft.next_key + 1)


def _pruned(box: Box) -> Box | None:
    items = tuple(item for item in (_pruned(i) if isinstance(i, Box) else i for i in box.items) if item is not None)
    return replace(box, items=items) if items else None


def begin_anew(draft: Draft, key: str) -> Draft:
    """Leave everything from the root on behind and return an empty draft."""
    return Draft() if key == draft.root.key else draft


TRANSITIONS: Final = {
    "add-event": add_event,
    "add-property": add_property,
    "add-group": add_group,
    "add-filter": add_filter,
    "wrap": wrap,
    "remove": remove,
    "new": begin_anew,
}


def reduce(draft: Draft, intent: str, key: str) -> Draft:
    """Apply a button of the builder; an unknown intent fails loudly."""
    return TRANSITIONS[intent](draft, key)


def with_values(draft: Draft, values: Mapping[tuple[str, str], object]) -> Draft:
    """Take over what the fields hold; ``values`` maps (key, field) to the value of the input."""

    def filled(node: Node) -> Node:
        if isinstance(node, Box):
            match = values.get((node.key, "match"), node.match)
            items = tuple(filled(item) for item in node.items)
            return Box(node.key, match if match in ("all", "any", "none") else node.match, items)
        typed = {name: _text(values.get((node.key, name), getattr(node, name))) for name in FIELDS}
        filters = tuple(row for row in (filled(item) for item in node.filters) if isinstance(row, Row))
        return Row(node.key, node.kind, **typed, filters=filters)

    root = filled(draft.root)
    assert isinstance(root, Box)
    return replace(draft, root=root)


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


@dataclass(frozen=True)
class Check:
    """The definition the draft stands for, or what is wrong: (key, field) -> sentence; the form's own under ``""``."""

    definition: SignalDefinition | None
    errors: dict[tuple[str, str], str]


def check(draft: Draft) -> Check:
    """Read the draft as a definition."""
    places: dict[str, tuple[str, str]] = {}
    when = _written(draft.root, "when", places)
    errors = dict(_missing_windows(draft.root))
    definition: SignalDefinition | None = None
    try:
        definition = from_dict({**_rest(draft), "name": draft.name, "unit": draft.unit, "when": when})
    except InputError as problem:
        errors |= located(problem.fields, places)
    return Check(None if errors else definition, errors)


def _rest(draft: Draft) -> dict[str, Any]:
    """What goes through unchanged; a rollup has no meaning once the unit is the user."""
    return {key: value for key, value in draft.rest.items() if key != "rollup" or draft.unit == "account"}


def places_of(draft: Draft) -> dict[str, tuple[str, str]]:
    """Map definition paths (``when.all.0.value``) to the (key, field) of the draft that they come from."""
    places: dict[str, tuple[str, str]] = {}
    _written(draft.root, "when", places)
    return places


def located(fields: Mapping[str, str], places: Mapping[str, tuple[str, str]]) -> dict[tuple[str, str], str]:
    """Move errors from definition paths to the fields of the draft; what has no place belongs to the form."""
    found: dict[tuple[str, str], str] = {}
    for path, sentence in fields.items():
        at = places.get(path) or places.get(path.rsplit(".", 1)[0]) or ("", path)
        found.setdefault(at, sentence)
    return found


def _missing_windows(root: Box) -> Iterator[tuple[tuple[str, str], str]]:
    for node in nodes(root):
        if isinstance(node, Row) and node.kind == "event" and node.op == WITHIN and not node.within.strip():
            yield (node.key, "within"), "give the number of days"


def _written(node: Node, path: str, places: dict[str, tuple[str, str]]) -> dict[str, Any]:
    """Write a node as a definition and note which field each path of it came from."""
    if isinstance(node, Box):
        single = node.match == "none" and len(node.items) == 1
        places[path] = (node.key, "match")
        if single:
            return {"not": _written(node.items[0], f"{path}.not", places)}
        items = [_written(item, f"{path}.{node.match}.{i}", places) for i, item in enumerate(node.items)]
        return {node.match: items}
    places |= {path: (node.key, "subject"), f"{path}.{node.kind}": (node.key, "subject")}
    places |= {f"{path}.op": (node.key, "op"), f"{path}.value": (node.key, "value")}
    places[f"{path}.within_days"] = (node.key, "within")
    return _event(node, path, places) if node.kind == "event" else _property(node)


def _event(row: Row, path: str, places: dict[str, tuple[str, str]]) -> dict[str, Any]:
    written: dict[str, Any] = {"event": row.subject, "op": "completed" if row.op == WITHIN else row.op}
    if row.op in COUNTED_OPS:
        written["value"] = row.value
    if row.within.strip():
        written["within_days"] = row.within
    if row.filters:
        written["where"] = [_written(item, f"{path}.where.{i}", places) for i, item in enumerate(row.filters)]
    return written


def _property(row: Row) -> dict[str, Any]:
    value: Any = [row.value, row.value2] if row.op == "between" else row.value
    return {"property": row.subject, "op": row.op, "value": value}


def from_definition(definition: SignalDefinition, origin: Origin | None = None) -> Draft:
    """Return the draft that stands for a saved definition, to edit or run again."""
    counter = iter(range(1, 10_000))
    root = _opened(definition.when, counter)
    assert isinstance(root, Box)
    rest = {key: value for key, value in definition.to_dict().items() if key not in ("name", "unit", "when")}
    return Draft(definition.name, definition.unit, replace(root, key="root"), next(counter), rest=rest, origin=origin)


def _opened(condition: Condition, counter: Iterator[int]) -> Node:
    if isinstance(condition, Group):
        key = f"g{next(counter)}"
        return Box(key, condition.match, tuple(_opened(item, counter) for item in condition.items))
    key = f"r{next(counter)}"
    if isinstance(condition, PropertyCondition):
        value = condition.value
        if isinstance(value, tuple) and condition.op == "between":
            return Row(key, "property", condition.property, condition.op, _text(value[0]), _text(value[1]))
        shown = join_list(_text(item) for item in value) if isinstance(value, tuple) else _text(value)
        return Row(key, "property", condition.property, condition.op, shown)
    return _opened_event(condition, key, counter)


def _opened_event(condition: EventCondition, key: str, counter: Iterator[int]) -> Row:
    opened = (_opened(item, counter) for item in condition.where)
    filters = tuple(row for row in opened if isinstance(row, Row))
    value, within = _text(condition.value), _text(condition.within_days)
    return Row(key, "event", condition.event, condition.op, value, "", within, filters)


def visible_errors(draft: Draft, found: Check) -> dict[tuple[str, str], str]:
    """Return the errors to show: fields left empty are not held against a draft that nobody tried to run yet."""
    if draft.attempted:
        return found.errors
    held = {
        (node.key, name)
        for node in nodes(draft.root)
        if isinstance(node, Row)
        for name in FIELDS
        if getattr(node, name)
    }
    return {at: sentence for at, sentence in found.errors.items() if at in held}
