"""What a playbook would reach today."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class PlaybookReach:
    """Whom a condition matches in the current data: identified users, internal ones left out.

    ``accounts`` are distinct; users without one count in ``users`` only. ``open_users`` and ``open_accounts`` have not
    converted; ``recent_users`` first matched in the last ``recent_days`` days before ``data_end``.
    """

    users: int
    accounts: int
    open_users: int
    open_accounts: int
    recent_users: int
    recent_days: int
    data_end: datetime
