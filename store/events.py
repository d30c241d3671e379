"""A click with a meaning: what the pure transitions of a slice receive."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Event:
    """Someone meant ``intent`` for ``key`` in a slice; ``at`` tells twin controls apart."""

    slice: str
    intent: str
    key: str
    at: str = ""
