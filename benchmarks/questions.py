"""The two three-condition signals that are timed, and the clock they are asked on.

Every contender answers the same ``Question``: the engine from its ``definition``, pandas and the naive import by code
written for it by hand, as a person without Beton would.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from beton.model.manifest import Manifest
from beton.model.outcome import Outcome
from beton.model.signal import SignalDefinition, from_dict
from beton.services.measurement import GAP_DAYS
from beton.warehouse.compile import seconds
from beton.warehouse.landmark import Clock

HORIZON_DAYS: Final = 60
OUTCOME: Final = Outcome(horizon_days=HORIZON_DAYS)


@dataclass(frozen=True)
class Question:
    """One signal; ``key`` is how contenders find their hand-written answer."""

    key: str
    title: str
    when: dict[str, Any]

    @cached_property
    def definition(self) -> SignalDefinition:
        return from_dict({"name": self.title, "when": self.when})

    def clock(self, manifest: Manifest) -> Clock:
        """Return the landmark, gap and outcome window in seconds."""
        assert manifest.outcomes_since is not None
        return Clock(
            landmark_s=seconds(self.definition.landmark_days),
            gap_s=seconds(GAP_DAYS),
            horizon_s=seconds(HORIZON_DAYS),
            data_end_s=int(manifest.data_end.timestamp()),
            outcomes_since_s=int(manifest.outcomes_since.timestamp()),
        )


ONBOARDED_MID_SIZE: Final = Question(
    "onboarded",
    "onboarding_completed within 7 days, company_size >= 50, company_size <= 500",
    {
        "all": [
            {"event": "onboarding_completed", "op": "completed", "within_days": 7},
            {"property": "company_size", "op": ">=", "value": 50},
            {"property": "company_size", "op": "<=", "value": 500},
        ]
    },
)
TEAM_LOOKS_AT_PRICES: Final = Question(
    "pricing",
    "2+ teammate_invited within 7 days, 2+ views of /pricing within 14, no support ticket within 14",
    {
        "all": [
            {"event": "teammate_invited", "op": "count >=", "value": 2, "within_days": 7},
            {
                "event": "pageview",
                "op": "count >=",
                "value": 2,
                "within_days": 14,
                "where": [{"property": "page_path", "op": "=", "value": "/pricing"}],
            },
            {"not": {"event": "support_ticket_opened", "op": "completed", "within_days": 14}},
        ]
    },
)
QUESTIONS: Final = (ONBOARDED_MID_SIZE, TEAM_LOOKS_AT_PRICES)
