"""Say a definition in plain words; the builder, the detail page and the command line print the same sentence.

Every condition becomes a clause of its own (``who did ...``, ``whose plan is ...``), so that ``and`` and ``or`` join
clauses only; groups get brackets wherever the meaning needs them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from beton.model.conditions import (
    ACTIVITY_OPS,
    ANY_EVENT,
    Condition,
    EventCondition,
    EventOp,
    Group,
    PropertyCondition,
    Scalar,
)
from beton.model.signal import SignalDefinition

_COMPARE: Final = {
    "=": "is",
    "!=": "is not",
    ">": "is more than",
    ">=": "is at least",
    "<": "is less than",
    "<=": "is at most",
    "contains": "contains",
}
_OPPOSITE: Final[dict[str, EventOp]] = {"completed": "not completed", "not completed": "completed"}


def sentence(signal: SignalDefinition) -> str:
    """Return one sentence that says who carries the signal.

    An event without a window of its own is said with the landmark, up to which it counts.
    """
    if signal.sql:
        who = "Users" if signal.unit == "user" else "Accounts"
        return f"{who} returned by an SQL query over what was known within {days(signal.landmark_days)} of signup."
    is_weekly = signal.timing == "any time"
    what = phrase(signal.when, None if is_weekly else signal.landmark_days)
    return f"{_who(signal)} {what}{', checked every Monday' if is_weekly else ''}."


def phrase(condition: Condition, landmark_days: float | None) -> str:
    """Return the relative clause of a condition or group; without ``landmark_days``, windows look back."""
    condition = _plain(condition)
    if isinstance(condition, EventCondition):
        return f"who {_event(condition)}{_span(condition, landmark_days)}"
    if isinstance(condition, PropertyCondition):
        return f"whose {property_phrase(condition)}"
    if condition.match == "none":
        return _none(condition, landmark_days)
    return f" {'and' if condition.match == 'all' else 'or'} ".join(
        _nested(item, landmark_days, condition.match) for item in condition.items
    )


def _plain(condition: Condition) -> Condition:
    """Take a lone condition out of the groups around it."""
    while isinstance(condition, Group) and len(condition.items) == 1 and condition.match != "none":
        condition = condition.items[0]
    return condition


def _nested(item: Condition, landmark_days: float | None, parent: str) -> str:
    item = _plain(item)
    text = phrase(item, landmark_days)
    return f"({text})" if isinstance(item, Group) and item.match not in (parent, "none") else text


def _none(group: Group, landmark_days: float | None) -> str:
    only = _plain(Group("any", group.items))
    if isinstance(only, EventCondition) and only.op in _OPPOSITE:
        return phrase(replace(only, op=_OPPOSITE[only.op]), landmark_days)
    return f"who are not among those ({phrase(only, landmark_days)})"


def _who(signal: SignalDefinition) -> str:
    if signal.unit == "user":
        return "Users"
    rollup = signal.rollup
    if rollup.kind == "count":
        return f"Accounts with at least {rollup.value:g} user{'' if rollup.value == 1 else 's'}"
    if rollup.kind == "share":
        return f"Accounts where at least {100 * rollup.value:g}% of users are people"
    return "Accounts with at least one user"


def _event(condition: EventCondition) -> str:
    where = " and ".join(property_phrase(item) for item in condition.where)
    name = _quoted(condition.event) + (f" (where {where})" if where else "")
    value = condition.value or 0
    if condition.op in ACTIVITY_OPS:
        at, period = ("on", "day") if condition.op == "active days >=" else ("in", "week")
        active = f"were active{f' (where {where})' if where else ''}"
        what = active if condition.event == ANY_EVENT else f"did {name}"
        return f"{what} {at} at least {value:,} different {period}{'' if value == 1 else 's'}"
    if condition.op == "completed":
        return f"did {name}"
    if condition.op == "not completed" or (condition.op == "count <=" and value == 0):
        return f"did not do {name}"
    return f"did {name} at {'least' if condition.op == 'count >=' else 'most'} {times(value)}"


def _span(condition: EventCondition, landmark_days: float | None) -> str:
    window = landmark_days if condition.within_days is None else condition.within_days
    if window is None:
        return ""
    return f" in the last {days(window)}" if landmark_days is None else f" within {days(window)} of signup"


def property_phrase(condition: PropertyCondition) -> str:
    """Return ``company_size is between 50 and 500`` and the like."""
    value, name = condition.value, _quoted(condition.property)
    if not isinstance(value, tuple):
        return f"{name} {_COMPARE[condition.op]} {_quoted(value)}"
    if condition.op == "between":
        return f"{name} is between {value[0]} and {value[1]}"
    shown = [_quoted(item) for item in value]
    return f"{name} is {shown[0]}" if len(shown) == 1 else f"{name} is {', '.join(shown[:-1])} or {shown[-1]}"


def _quoted(value: Scalar) -> str:
    """Put quotation marks where a text would read as part of the sentence."""
    if isinstance(value, bool):
        return str(value).lower()
    plain = not isinstance(value, str) or all(character.isalnum() or character in "_-./:@%+*" for character in value)
    return str(value) if plain else f"“{value}”"


def days(number: float) -> str:
    """Return ``1 day``, ``3 days``, ``2.5 days``."""
    return f"{number:g} day{'' if number == 1 else 's'}"


def times(number: int) -> str:
    """Return ``once``, ``twice``, ``5 times``."""
    return {1: "once", 2: "twice"}.get(number, f"{number:,} times")
