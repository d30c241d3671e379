"""Which tab of the Backtest page is open."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

TabName = Literal["visual", "sql"]


@dataclass(frozen=True)
class Tab:
    """The tab that was opened last."""

    active: TabName = "visual"
