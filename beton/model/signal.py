"""A signal definition: a named condition tree or SQL query, for whom, and on which clock."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from beton.errors import InputError
from beton.model import conditions
from beton.model.conditions import EventCondition, Group, PropertyCondition, label, shown, text_problem
from beton.model.outcome import Outcome, Unit

DEFAULT_LANDMARK_DAYS: Final = 14
DAY_S: Final = 86_400
MAX_NAME: Final = 120
MAX_SQL_BYTES: Final = 20_000

NO_CONDITIONS: Final = Group("all", ())

Timing = Literal["after signup", "any time"]
RollupKind = Literal["any", "count", "share"]


@dataclass(frozen=True)
class Rollup:
    """How the users of an account make the account carry the signal.

    ``any``: at least one user; ``count``: at least ``value`` users; ``share``: at least ``value`` (0-1) of the
    users seen by the landmark.
    """

    kind: RollupKind = "any"
    value: float = 1.0


@dataclass(frozen=True)
class SignalDefinition:
    """What is tested, saved and watched.

    ``timing`` is ``after signup`` (one landmark per unit) or ``any time`` (weekly landmarks, windows look back).
    ``sql`` is the query of a signal written in SQL, whose ``when`` has no items; empty for all others.
    """

    name: str
    when: Group = NO_CONDITIONS
    description: str = ""
    source: str = ""
    unit: Unit = "user"
    rollup: Rollup = field(default_factory=Rollup)
    timing: Timing = "after signup"
    landmark_override_days: float | None = None
    outcome: Outcome | None = None
    sql: str = ""

    @property
    def landmark_days(self) -> float:
        """L: the signal's own horizon; 14 days where a condition names none (definitions, section 2)."""
        events = self.events
        windows = [e.within_days for e in events if e.within_days is not None]
        longest = max(windows, default=0.0)
        open_ended = not events or len(windows) < len(events)
        if self.landmark_override_days is not None:
            return self.landmark_override_days
        return max(DEFAULT_LANDMARK_DAYS, longest) if open_ended else longest

    @property
    def events(self) -> tuple[EventCondition, ...]:
        """The event conditions, left to right."""
        return tuple(c for c in conditions.leaves(self.when) if isinstance(c, EventCondition))

    @property
    def properties(self) -> tuple[PropertyCondition, ...]:
        """The user and account property conditions (event filters are not among them)."""
        return tuple(c for c in conditions.leaves(self.when) if isinstance(c, PropertyCondition))

    def to_dict(self) -> dict[str, Any]:
        """Return the plain form for YAML, JSON and the app database; defaults are left out."""
        plain: dict[str, Any] = {"name": self.name}
        if self.description:
            plain["description"] = self.description
        if self.source:
            plain["source"] = self.source
        return plain | self._meaning()

    def _meaning(self) -> dict[str, Any]:
        plain: dict[str, Any] = {"unit": self.unit}
        if self.unit == "account" and not self.sql:
            plain["rollup"] = {"kind": self.rollup.kind, "value": self.rollup.value}
        if self.timing != "after signup":
            plain["timing"] = self.timing
        if self.landmark_override_days is not None:
            plain["landmark_days"] = self.landmark_override_days
        if self.outcome is not None:
            plain["outcome"] = self.outcome.to_dict()
        if self.sql:
            return plain | {"sql": self.sql}
        return plain | {"when": conditions.to_dict(self.when)}

    def meaning_hash(self) -> str:
        """Hash of what the definition means; name, description and source do not change it."""
        return content_hash(self._meaning())

    def to_yaml(self) -> str:
        """Return the definition as a YAML document a person can edit."""
        import yaml

        class Dumper(yaml.SafeDumper):
            """Writes a query as the block of lines that it is."""

        Dumper.add_representer(str, _as_block)
        return yaml.dump(self.to_dict(), Dumper=Dumper, sort_keys=False, allow_unicode=True)


def _as_block(dumper: Any, value: str) -> Any:
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if "\n" in value else None)


def content_hash(value: object) -> str:
    """Return 16 hex digits that identify a JSON-able value by content."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


_KEYS: Final = (
    "name", "description", "source", "unit", "rollup", "timing", "landmark_days", "outcome", "when", "sql",
)  # fmt: skip


def from_dict(raw: object) -> SignalDefinition:
    """Read a definition from its plain form.

    Raises:
        InputError: every problem at once, keyed by path in ``fields``.
    """
    if not isinstance(raw, Mapping):
        raise InputError("a signal is a mapping with name and when; see docs/guide/signals.md")
    errors = {label(k): f"unknown key {shown(k)}; use {', '.join(_KEYS)}" for k in raw if k not in _KEYS}
    when: Group | None = None
    outcome: Outcome | None = None
    sql = _sql(raw, errors)
    try:
        when = NO_CONDITIONS if "sql" in raw else conditions.parse(raw.get("when"))
    except InputError as problem:
        errors |= problem.fields
    try:
        outcome = Outcome.from_dict(raw["outcome"]) if raw.get("outcome") is not None else None
    except InputError as problem:
        errors |= problem.fields
    name = _name(raw.get("name"), errors)
    description = _prose(raw, "description", conditions.MAX_TEXT, errors)
    source = _prose(raw, "source", MAX_NAME, errors)
    unit = _choice(raw, "unit", ("user", "account"), "user", errors)
    timing = _choice(raw, "timing", ("after signup", "any time"), "after signup", errors)
    rollup = _rollup(raw.get("rollup"), unit, errors)
    landmark = _landmark(raw.get("landmark_days"), errors)
    if when is not None:
        _check_windows(when, timing, landmark, errors)
    if errors or when is None:
        path, what = next(iter(errors.items()))
        raise InputError(f"{path}: {what}", errors)
    return SignalDefinition(
        name=name,
        when=when,
        description=description,
        source=source,
        unit=unit,
        rollup=rollup,
        timing=timing,
        landmark_override_days=landmark,
        outcome=outcome,
        sql=sql,
    )


def _name(raw: object, errors: dict[str, str]) -> str:
    if not isinstance(raw, str) or not raw.strip():
        errors["name"] = "give the signal a name"
        return ""
    problem = text_problem(raw.strip(), MAX_NAME)
    if problem:
        errors["name"] = problem
    return raw.strip()


def _prose(raw: Mapping[Any, Any], key: str, longest: int, errors: dict[str, str]) -> str:
    value = raw.get(key)
    if value is None:
        return ""
    if not isinstance(value, str):
        errors[key] = "write text; put it in quotes"
        return ""
    problem = text_problem(value.strip().translate({10: " ", 13: " ", 9: " "}), longest)
    if problem:
        errors[key] = problem
    return value.strip()


def _sql(raw: Mapping[Any, Any], errors: dict[str, str]) -> str:
    """Read the query of a signal in SQL; what it means is for the sandbox to say."""
    if "sql" not in raw:
        return ""
    query = raw["sql"]
    if not isinstance(query, str) or not query.strip():
        errors["sql"] = "write a query that returns user_id, or company_id for accounts"
        return ""
    if len(query.encode("utf-8", "replace")) > MAX_SQL_BYTES:
        errors["sql"] = f"the query is longer than {MAX_SQL_BYTES:,} bytes; shorten it"
    elif problem := text_problem(query.translate({10: " ", 13: " ", 9: " "}), MAX_SQL_BYTES):
        errors["sql"] = problem
    for key, fix in (
        ("when", "give either when or sql"),
        ("rollup", "a query says itself which accounts carry the signal; remove rollup"),
    ):
        if raw.get(key) is not None:
            errors[key] = fix
    if raw.get("timing", "after signup") != "after signup":
        errors["timing"] = "a query is asked once per user, at the landmark; use timing: after signup"
    lines = query.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return "\n".join(line.rstrip() for line in lines).strip("\n")


def _choice(raw: Mapping[Any, Any], key: str, allowed: tuple[str, ...], default: str, errors: dict[str, str]) -> Any:
    value = raw.get(key, default)
    if value not in allowed:
        errors[key] = f"use one of {', '.join(allowed)}"
    return value


def _rollup(raw: object, unit: str, errors: dict[str, str]) -> Rollup:
    if raw is None:
        return Rollup()
    kind = raw.get("kind") if isinstance(raw, Mapping) and set(raw) <= {"kind", "value"} else None
    if not isinstance(raw, Mapping) or kind not in ("any", "count", "share"):
        errors["rollup"] = "use {kind: any}, {kind: count, value: 2} or {kind: share, value: 0.5}"
        return Rollup()
    if unit == "user":
        errors["rollup"] = "a rollup says how users make up an account; set unit: account or remove it"
    if kind == "any":
        return Rollup()
    value, top = raw.get("value", 1), 1 if kind == "share" else conditions.MAX_COUNT
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not 0 < value <= top or (kind == "count" and value != int(value)):
        errors["rollup.value"] = f"give a {'share' if kind == 'share' else 'whole number'} above 0 and up to {top:,}"
        return Rollup()
    return Rollup(kind, float(value))


def _landmark(raw: object, errors: dict[str, str]) -> float | None:
    if raw is None:
        return None
    if isinstance(raw, bool) or not isinstance(raw, int | float) or not 0 < raw <= conditions.MAX_DAYS:
        errors["landmark_days"] = f"give a number of days between 0 and {conditions.MAX_DAYS}"
        return None
    return int(raw) if raw == int(raw) else raw


def _check_windows(when: Group, timing: str, landmark: float | None, errors: dict[str, str]) -> None:
    """A window that looks back needs a length; a landmark may not cut a condition's own window short."""
    for leaf in conditions.leaves(when):
        if not isinstance(leaf, EventCondition):
            continue
        if timing == "any time" and leaf.within_days is None:
            errors["when"] = f"a signal at any time needs within_days on every event; add it to {leaf.event}"
        if landmark is not None and leaf.within_days is not None and leaf.within_days > landmark:
            errors["landmark_days"] = f"shorter than the {leaf.within_days:g} days of {leaf.event}; raise it"
