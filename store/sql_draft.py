"""The signal being written in SQL: what the fields hold, valid or not, and its transitions."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from beton.errors import InputError
from beton.model.conditions import MAX_DAYS
from beton.model.signal import DEFAULT_LANDMARK_DAYS, SignalDefinition, from_dict
from store.origin import Origin

MOST_TEXT: Final = 500  # of a name or a number as typed
NUMBER: Final = re.compile(r"\d{1,4}([.,]\d{1,4})?", re.ASCII)

START_SQL: Final = """\
-- Define users who match your signal
-- Return user_id for users who should be flagged

SELECT DISTINCT user_id
FROM events
WHERE event = 'onboarding_completed'
  AND days_since_signup <= 3
  AND user_id IN (
    SELECT user_id FROM users
    WHERE company_size BETWEEN 50 AND 500
  )
"""


@dataclass(frozen=True)
class SqlDraft:
    """The form of the SQL tab; ``landmark_days`` is as typed.

    ``rest`` is the part of an opened definition that the form has no fields for; it goes through unchanged.

    Raises:
        ValueError: a text without end: nothing the form makes, but a browser may send it.
    """

    name: str = ""
    unit: str = "user"
    landmark_days: str = str(DEFAULT_LANDMARK_DAYS)
    sql: str = START_SQL
    attempted: bool = False
    rest: Mapping[str, Any] = field(default_factory=dict)
    origin: Origin | None = None

    def __post_init__(self) -> None:
        if max(len(self.name), len(self.landmark_days)) > MOST_TEXT:
            raise ValueError("a text is too long")


def typed(draft: SqlDraft, name: object, unit: object, landmark_days: object, sql: object) -> SqlDraft:
    """Take over what the fields hold; what is no text stays as it was."""

    def text(value: object, before: str) -> str:
        return value if isinstance(value, str) else before

    return replace(
        draft,
        name=text(name, draft.name)[:MOST_TEXT],
        unit=unit if unit in ("user", "account") else draft.unit,
        landmark_days=text(landmark_days, draft.landmark_days)[:MOST_TEXT],
        sql=text(sql, draft.sql),
    )


def with_example(draft: SqlDraft, unit: str, sql: str) -> SqlDraft:
    """Replace the query; the name and the days are the person's own."""
    return replace(draft, unit=unit, sql=sql)


@dataclass(frozen=True)
class Check:
    """The definition that the draft stands for, or what is wrong by field: name, landmark_days, sql."""

    definition: SignalDefinition | None
    errors: Mapping[str, str]


def check(draft: SqlDraft) -> Check:
    """Read the draft as a definition; whether its query can be run is for the engine to say."""
    days = _days(draft.landmark_days)
    errors = {} if days else {"landmark_days": f"give a number of days from 1 to {MAX_DAYS}"}
    raw: dict[str, Any] = {**draft.rest, "name": draft.name, "unit": draft.unit, "sql": draft.sql}
    if days and days != DEFAULT_LANDMARK_DAYS:
        raw["landmark_days"] = days
    definition: SignalDefinition | None = None
    try:
        definition = from_dict(raw)
    except InputError as problem:
        errors |= {field if field in ("name", "sql") else "sql": text for field, text in problem.fields.items()}
    return Check(None if errors else definition, errors)


def question(draft: SqlDraft) -> SignalDefinition | None:
    """Return what the draft asks, whatever it is called; None where its fields are wrong."""
    return check(replace(draft, name="Preview")).definition


def _days(text: str) -> float | None:
    found = NUMBER.fullmatch(text.strip())
    if found is None:
        return None
    days = float(found[0].replace(",", "."))
    return days if math.isfinite(days) and 1 <= days <= MAX_DAYS else None


def visible_errors(draft: SqlDraft, found: Check) -> dict[str, str]:
    """Return the errors to show: a field left empty is not held against a draft that nobody tried to run yet."""
    held = {name for name in ("name", "landmark_days", "sql") if getattr(draft, name).strip()}
    return {name: text for name, text in found.errors.items() if draft.attempted or name in held}


def from_definition(definition: SignalDefinition, origin: Origin | None = None) -> SqlDraft:
    """Return the draft that stands for a definition in SQL, to edit or run again."""
    fields = ("name", "unit", "landmark_days", "sql", "rollup")
    rest = {key: value for key, value in definition.to_dict().items() if key not in fields}
    days = f"{definition.landmark_days:g}"
    return SqlDraft(definition.name, definition.unit, days, definition.sql, rest=rest, origin=origin)
