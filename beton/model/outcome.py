"""What counts as a conversion, and for whom."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

from beton.errors import InputError
from beton.model.conditions import MAX_TEXT, label, text_problem

Unit = Literal["user", "account"]
OutcomeSource = Literal["deal won", "deal created", "first payment", "event"]
SOURCES: Final[tuple[str, ...]] = get_args(OutcomeSource)
MAX_HORIZON_DAYS: Final = 1_095


@dataclass(frozen=True)
class Outcome:
    """An outcome: its source, whose it is, and how long one waits for it.

    ``belongs_to`` is ``account`` when a deal counts for every user of the account (then intervals are clustered by
    account) and ``user`` when only the user's own counts. ``horizon_days`` overrides the default window length.
    """

    source: OutcomeSource = "deal won"
    belongs_to: Unit = "account"
    event: str | None = None
    horizon_days: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the plain form without the parts that are not set."""
        plain: dict[str, Any] = {"source": self.source, "belongs_to": self.belongs_to}
        if self.event is not None:
            plain["event"] = self.event
        if self.horizon_days is not None:
            plain["horizon_days"] = self.horizon_days
        return plain

    @classmethod
    def from_dict(cls, raw: object) -> Outcome:
        """Read the plain form; InputError names the key that is wrong."""
        if not isinstance(raw, Mapping):
            raise InputError("outcome: write {source: deal won}", {"outcome": "write {source: deal won}"})
        errors = {
            f"outcome.{label(key)}": "unknown key; use source, belongs_to, event, horizon_days"
            for key in raw
            if key not in ("source", "belongs_to", "event", "horizon_days")
        }
        source = raw.get("source", "deal won")
        if source not in SOURCES:
            errors["outcome.source"] = f"use one of {', '.join(SOURCES)}"
        belongs_to = raw.get("belongs_to", "account")
        if belongs_to not in ("user", "account"):
            errors["outcome.belongs_to"] = "use user or account"
        event = raw.get("event")
        named = event.strip() if isinstance(event, str) else ""
        if (source == "event") != bool(named) or (event is not None and not named):
            errors["outcome.event"] = "name the event if, and only if, the source is event"
        elif problem := text_problem(named, MAX_TEXT):
            errors["outcome.event"] = problem
        horizon = raw.get("horizon_days")
        is_whole = isinstance(horizon, int) and not isinstance(horizon, bool)
        if horizon is not None and not (is_whole and 0 < horizon <= MAX_HORIZON_DAYS):
            errors["outcome.horizon_days"] = f"a whole number of days up to {MAX_HORIZON_DAYS:,}"
        if errors:
            path, what = next(iter(errors.items()))
            raise InputError(f"{path}: {what}", errors)
        return cls(source, belongs_to, named or None, horizon)

    def words(self) -> str:
        """Say the outcome in a few words: ``a won deal of the user or of the user's account``."""
        named = {"deal won": "a won deal", "deal created": "a new deal", "first payment": "a first payment"}
        account = "anyone in the user's account" if self.source == "event" else "the user's account"
        what = named.get(self.source, f"the event {self.event}")
        return f"{what} of the user{f' or of {account}' if self.belongs_to == 'account' else ''}"
