"""Slices to JSON and back: versioned, validated, bounded. What a browser sends is user input."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Generic, Literal, TypeVar

from pydantic import TypeAdapter, ValidationError

State = TypeVar("State")
Storage = Literal["memory", "session", "local"]

STALE = "Saved choices of an older version of Beton were dropped; this page starts fresh."
UNREADABLE = "Saved choices could not be read and were dropped; this page starts fresh."


@dataclass(frozen=True)
class Slice(Generic[State]):
    """How one piece of client state is kept.

    Attributes:
        state_class: A frozen dataclass whose fields all have defaults.
        storage: ``memory`` (this page load), ``session`` (this tab) or ``local`` (this browser).
        version: Raise it when the fields change meaning; older states are then dropped.
        max_bytes: Budget of the JSON text, because a slice travels with every callback that reads it.
    """

    state_class: type[State]
    storage: Storage = "memory"
    version: int = 1
    max_bytes: int = 20_000

    @cached_property
    def adapter(self) -> TypeAdapter[State]:
        """The validator of the state class; building it is slow, so it is kept."""
        return TypeAdapter(self.state_class)


@dataclass(frozen=True)
class Decoded(Generic[State]):
    """A state, and what to tell the reader when it is not the one that was kept."""

    state: State
    notice: str | None = None


def encode(kept: Slice[State], state: State) -> dict[str, Any]:
    """Return what goes into the store.

    Raises:
        ValueError: the state holds NaN or infinity, or is larger than the slice's budget.
    """
    plain = kept.adapter.dump_python(state, mode="json")
    taken = len(json.dumps(plain, allow_nan=False).encode())
    if taken > kept.max_bytes:
        raise ValueError(f"{kept.state_class.__name__} takes {taken} bytes; its budget is {kept.max_bytes}")
    return {"v": kept.version, "state": plain}


def decode(kept: Slice[State], raw: object) -> Decoded[State]:
    """Return the state a store holds; defaults and a notice when it holds something else. Never raises."""
    if raw is None:
        return Decoded(kept.state_class())
    if not isinstance(raw, dict) or "v" not in raw:
        return Decoded(kept.state_class(), UNREADABLE)
    if raw["v"] != kept.version:
        return Decoded(kept.state_class(), STALE)
    try:
        text = json.dumps(raw.get("state"), allow_nan=False)
        if len(text.encode()) > kept.max_bytes:
            return Decoded(kept.state_class(), UNREADABLE)
        return Decoded(kept.adapter.validate_json(text))
    except (ValidationError, ValueError):
        return Decoded(kept.state_class(), UNREADABLE)
