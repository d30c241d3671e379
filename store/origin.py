"""What a draft was made from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Origin:
    """A saved signal or a backtest run, with the name (and version of the signal) that it had when it was opened."""

    kind: Literal["signal", "run"]
    id: str
    name: str = ""
    version: int = 0

    def is_same(self, other: Origin | None) -> bool:
        """Whether both are the same signal or run, whatever its name was."""
        return other is not None and (self.kind, self.id) == (other.kind, other.id)
