"""Backtests side by side: where their definitions differ, and whether their lifts may be compared at all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from beton.model import text
from beton.model.conditions import Group
from beton.model.evidence import Evidence
from beton.model.signal import Rollup, SignalDefinition
from beton.model.words import days, phrase

SQL: Final = "SQL"


@dataclass(frozen=True)
class Line:
    """One line of a definition; ``differs`` where no other definition has it under the same heading."""

    text: str
    differs: bool


@dataclass(frozen=True)
class Part:
    """A heading of a definition with its lines, none where this definition has nothing to say under it."""

    heading: str
    lines: tuple[Line, ...]

    @property
    def text(self) -> str:
        """All lines as they were written."""
        return "\n".join(line.text for line in self.lines)


def parts_of(definitions: Sequence[SignalDefinition]) -> list[tuple[Part, ...]]:
    """Return each definition in parts: the same headings in the same order for all, differences marked."""
    written = [_written(each) for each in definitions]
    headings = [heading for heading in _HEADINGS if any(each[heading] for each in written)]
    return [
        tuple(
            Part(heading, _lines(each[heading], [one[heading] for one in written if one is not each]))
            for heading in headings
        )
        for each in written
    ]


def cautions(evidences: Sequence[Evidence]) -> tuple[str, ...]:
    """Return why the lifts are not those of the same people, outcome and data; empty where they are."""
    found = []
    for sentence, value in _SAME:
        values = list(dict.fromkeys(map(value, evidences)))
        if len(values) > 1:
            found.append(f"{sentence}: {' against '.join(values)}.")
    if not found and len({each.funnel[-1].units for each in evidences if each.funnel}) > 1:
        counts = " against ".join(text.count(each.funnel[-1].units) for each in evidences if each.funnel)
        found.append(f"Not the same people: {counts} were counted.")
    return tuple(found)


def _cohort(each: Evidence) -> str:
    cohort = each.cohort
    gap = "" if cohort.gap_days == 1 else f" and a gap of {days(cohort.gap_days)}"
    return f"{days(cohort.landmark_days)}{gap}"


_SAME: Final[tuple[tuple[str, Callable[[Evidence], str]], ...]] = (
    ("Not the same company's data", lambda each: each.passport.workspace),
    ("Not the same data", lambda each: f"snapshot {each.passport.snapshot_version}"),
    ("Not the same kind of unit", lambda each: f"{each.cohort.unit}s"),
    ("Not the same clock", lambda each: each.cohort.timing),
    ("Not the same people, because the signal is read after a different time", _cohort),
    ("Not the same outcome", lambda each: each.passport.outcome.words()),
    ("Not the same time to convert", lambda each: days(each.cohort.horizon_days)),
)


def _written(definition: SignalDefinition) -> dict[str, tuple[str, ...]]:
    landmark = None if definition.timing == "any time" else definition.landmark_days
    read_at = "every Monday" if landmark is None else f"{days(landmark)} after signup"
    return {
        "Who": (_who(definition),),
        "Condition": () if definition.sql else _clauses(definition.when, landmark),
        SQL: tuple(definition.sql.split("\n")) if definition.sql else (),
        "Read": (read_at,),
        "Outcome": ("the workspace's" if definition.outcome is None else definition.outcome.words(),),
    }


_HEADINGS: Final = ("Who", "Condition", SQL, "Read", "Outcome")


def _who(definition: SignalDefinition) -> str:
    if definition.unit == "user" or definition.sql:
        return "Users" if definition.unit == "user" else "Accounts"
    return f"Accounts by {_share(definition.rollup)} of their users"


def _share(rollup: Rollup) -> str:
    if rollup.kind == "any":
        return "any"
    return f"at least {rollup.value:g}" if rollup.kind == "count" else f"at least {100 * rollup.value:g}%"


def _clauses(when: Group, landmark_days: float | None) -> tuple[str, ...]:
    if when.match == "none" or len(when.items) == 1:
        return (phrase(when, landmark_days),)
    clauses = (phrase(item, landmark_days) for item in when.items)
    return (f"{when.match} of:", *clauses)


def _lines(own: Sequence[str], others: Sequence[Sequence[str]]) -> tuple[Line, ...]:
    elsewhere = {line.strip() for lines in others for line in lines}
    return tuple(Line(line, line.strip() not in elsewhere) for line in own)
