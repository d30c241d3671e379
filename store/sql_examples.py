"""Queries to start from, written for the events and properties that the data have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from beton.model.manifest import Manifest

_SIGNUP: Final = "user_signed_up"


@dataclass(frozen=True)
class Example:
    """A query with what it finds, in a few words; ``unit`` is whom it returns."""

    key: str
    title: str
    about: str
    sql: str
    unit: str = "user"


def examples(manifest: Manifest) -> tuple[Example, ...]:
    """Return queries over the events of ``manifest``; each runs as it stands."""
    frequent = [event.name for event in sorted(manifest.events, key=lambda event: -event.rows)]
    names = [name for name in frequent if name != _SIGNUP] or frequent
    done = _one_of(names, ("onboarding_completed",))
    made = _one_of(names, ("dashboard_created", "feature_used"))
    invited = _one_of(names, ("teammate_invited", "api_key_created"))
    then = _one_of([name for name in names if name != done] or names, ("api_key_created", "dashboard_created"))
    return (
        Example("early", "Did it early", "An event in the first days after signup", _early(done)),
        Example("often", "Did it often", "At least three times, counted per user", _often(made)),
        Example("moment", "With its moment", "A time column says when: it gives the lead time", _moment(invited)),
        Example("sequence", "One after the other", "A second event within a week of the first", _sequence(done, then)),
        Example("habit", "Came back", "Active on at least four different days", _HABIT),
        Example("accounts", "Accounts with several people", "company_id, for accounts", _ACCOUNTS, "account"),
    )


def _one_of(names: Sequence[str], wanted: Sequence[str]) -> str:
    found = next((name for name in wanted if name in names), names[0] if names else "")
    return found.replace("'", "''")


def _early(event: str) -> str:
    return f"""\
-- Users who did it within three days of signup
SELECT DISTINCT user_id
FROM events
WHERE event = '{event}'
  AND days_since_signup <= 3
"""


def _often(event: str) -> str:
    return f"""\
-- Users who did it at least three times
SELECT user_id
FROM events
WHERE event = '{event}'
GROUP BY user_id
HAVING count(*) >= 3
"""


def _moment(event: str) -> str:
    return f"""\
-- The second column says when the signal was there
SELECT user_id, min(timestamp) AS at
FROM events
WHERE event = '{event}'
GROUP BY user_id
"""


def _sequence(first: str, second: str) -> str:
    return f"""\
-- Users who did one thing and, within a week, the next
SELECT a.user_id, min(b.timestamp) AS at
FROM events AS a
JOIN events AS b ON b.user_id = a.user_id
WHERE a.event = '{first}'
  AND b.event = '{second}'
  AND b.timestamp > a.timestamp
  AND b.timestamp <= a.timestamp + INTERVAL 7 DAY
GROUP BY a.user_id
"""


_HABIT: Final = """\
-- Users who were active on at least four different days
SELECT user_id
FROM events
GROUP BY user_id
HAVING count(DISTINCT date_trunc('day', timestamp)) >= 4
"""

_ACCOUNTS: Final = """\
-- Accounts in which at least two people were active
SELECT company_id
FROM events
WHERE company_id IS NOT NULL
GROUP BY company_id
HAVING count(DISTINCT user_id) >= 2
"""
