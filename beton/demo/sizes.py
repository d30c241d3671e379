"""How big the company is: exact counts, and the same company at another scale for quick tests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

EXACT_EVENTS: Mapping[str, int] = MappingProxyType(
    {
        "user_signed_up": 34_521,
        "onboarding_started": 31_245,
        "onboarding_completed": 18_734,
        "pageview": 1_847_293,
        "feature_used": 892_341,
        "dashboard_created": 12_456,
        "api_key_created": 2_341,
        "teammate_invited": 4_532,
    }
)
"""Events whose number of rows is part of the specification."""


@dataclass(frozen=True)
class CompanySize:
    """Row counts of everything that is fixed in advance (the rest follows from the model)."""

    users: int = 34_521
    internal_users: int = 238
    test_users: int = 142
    contacts: int = 12_456
    matched_users: int = 11_086
    matched_colleagues: int = 1_050
    unmatched_colleagues: int = 1_900
    unmatched_own_company: int = 3_100
    seat_users: int = 150
    seat_companies: int = 110
    crm_only_companies: int = 900
    won_deals: int = 847
    expansion_deals: int = 80
    lost_deals: int = 1_320
    events: Mapping[str, int] = field(default_factory=lambda: EXACT_EVENTS)

    def scaled(self, fraction: float) -> CompanySize:
        """The company with every count multiplied by ``fraction`` (0 < fraction <= 1), rounded, at least 1."""
        counts = {name: max(1, round(value * fraction)) for name, value in vars(self).items() if name != "events"}
        events = {name: max(1, round(rows * fraction)) for name, rows in self.events.items()}
        events["user_signed_up"] = counts["users"]
        return CompanySize(**counts, events=events)
