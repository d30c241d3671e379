"""Say a definition in plain words; the builder, the detail page and the command line print the same sentence."""

from __future__ import annotations

from beton.model.conditions import ACTIVITY_OPS, ANY_EVENT, Condition, EventCondition, Group, PropertyCondition
from beton.model.signal import SignalDefinition

_COMPARE = {
    "=": "is",
    "!=": "is not",
    ">": "is more than",
    ">=": "is at least",
    "<": "is less than",
    "<=": "is at most",
    "contains": "contains",
}
_JOIN = {"all": " and ", "any": " or ", "none": " or "}


def sentence(signal: SignalDefinition) -> str:
    """Return one sentence that says who carries the signal."""
    clock = "of the landmark" if signal.timing == "any time" else "of signup"
    who = "Users who" if signal.unit == "user" else _accounts(signal)
    text = f"{who} {phrase(signal.when, clock)}"
    if signal.timing == "any time":
        text += ", checked every Monday"
    return text + "."


def phrase(condition: Condition, clock: str = "of signup") -> str:
    """Return the clause that describes one condition or group."""
    if isinstance(condition, EventCondition):
        return _event(condition, clock)
    if isinstance(condition, PropertyCondition):
        return f"have {property_phrase(condition)}"
    parts = [_nested(item, clock, condition) for item in condition.items]
    joined = _JOIN[condition.match].join(parts)
    if condition.match != "none":
        return joined
    return f"do not match ({joined})"


def _nested(item: Condition, clock: str, parent: Group) -> str:
    text = phrase(item, clock)
    wrap = isinstance(item, Group) and len(item.items) > 1 and item.match != parent.match and item.match != "none"
    return f"({text})" if wrap else text


def _accounts(signal: SignalDefinition) -> str:
    rollup = signal.rollup
    if rollup.kind == "count":
        return f"Accounts with at least {rollup.value:g} users who"
    if rollup.kind == "share":
        return f"Accounts where at least {rollup.value:.0%} of users"
    return "Accounts with at least one user who"


def _event(condition: EventCondition, clock: str) -> str:
    span = "" if condition.within_days is None else f" within {days(condition.within_days)} {clock}"
    where = " and ".join(property_phrase(item) for item in condition.where)
    name = condition.event + (f" (where {where})" if where else "")
    if condition.op in ACTIVITY_OPS:
        period = "day" if condition.op == "active days >=" else "week"
        count = f"{condition.value} different {period}{'' if condition.value == 1 else 's'}"
        what = "were active" if condition.event == ANY_EVENT else f"did {name}"
        return f"{what} on at least {count}{span}" if period == "day" else f"{what} in at least {count}{span}"
    if condition.op == "completed":
        return f"did {name}{span}"
    if condition.op == "not completed":
        return f"did not do {name}{span}"
    limit = "at least" if condition.op == "count >=" else "at most"
    return f"did {name} {limit} {times(condition.value or 0)}{span}"


def property_phrase(condition: PropertyCondition) -> str:
    """Return ``company_size is between 50 and 500`` and the like."""
    value = condition.value
    if isinstance(value, tuple):
        if condition.op == "between":
            return f"{condition.property} between {value[0]} and {value[1]}"
        return f"{condition.property} in {', '.join(str(item) for item in value)}"
    return f"{condition.property} {_COMPARE[condition.op]} {value}"


def days(number: float) -> str:
    """Return ``1 day``, ``3 days``, ``2.5 days``."""
    return f"{number:g} day{'' if number == 1 else 's'}"


def times(number: int) -> str:
    """Return ``once``, ``twice``, ``5 times``."""
    return {1: "once", 2: "twice"}.get(number, f"{number:,} times")
