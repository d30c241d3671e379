"""Who takes up what in the first two weeks: drawn independently of activity, intent and company size.

The exception is looking at SSO settings, which depends on company size and on nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from beton.demo.model import MID_SIZE_RANGE, Flags, Floats, Rng
from beton.demo.people import People

FAST_ONBOARDING = 0.1215

# Share of users: (in the CRM, others). Users that reach the CRM are the more engaged ones.
_TWO_INVITES = (0.058, 0.014)
_ONE_INVITE = (0.050, 0.016)
_API_KEY = (0.068, 0.026)
_TWO_PRICING = (0.090, 0.050)
_ONE_PRICING = (0.120, 0.100)
_THREE_TICKETS = (0.085, 0.010)
_FEW_TICKETS = (0.090, 0.020)
_SSO_BELOW, _SSO_MID, _SSO_ABOVE = 0.010, 0.42, 0.50

CORE_FEATURES = ("search", "chart_editor", "filters")
NULL_FEATURES: Mapping[str, float] = MappingProxyType(
    {
        "csv_export": 0.22,
        "dark_mode": 0.18,
        "keyboard_shortcuts": 0.12,
        "saved_view": 0.26,
        "comment": 0.20,
        "share_link": 0.24,
        "pivot_table": 0.16,
        "annotations": 0.10,
        "alerts": 0.14,
        "scheduled_email": 0.10,
        "color_palette": 0.15,
        "map_view": 0.08,
        "funnel_view": 0.17,
        "cohort_view": 0.11,
        "formula_field": 0.13,
        "sql_console": 0.12,
        "bulk_edit": 0.07,
        "templates": 0.25,
        "mobile_app": 0.09,
        "pdf_export": 0.12,
    }
)
"""Features without any effect: name and share of users who try it within 14 days."""

NULL_EVENTS: Mapping[str, float] = MappingProxyType(
    {"avatar_uploaded": 0.07, "theme_changed": 0.06, "newsletter_opened": 0.08, "integration_connected": 0.045}
)


@dataclass(frozen=True)
class Adoption:
    """One flag per user; all but ``fast_onboarding`` (3 days) are about the first 14 days."""

    fast_onboarding: Flags
    two_invites: Flags
    one_invite: Flags
    api_key: Flags
    two_pricing: Flags
    one_pricing: Flags
    three_tickets: Flags
    few_tickets: Flags
    sso: Flags
    features: Flags
    """users x null features"""
    null_events: Flags
    """users x null events"""


def draw_adoption(rng: Rng, people: People) -> Adoption:
    """Draw every flag; "one" and "few" never hold together with "two" and "three"."""
    matched = people.users.is_matched
    n = len(matched)

    def flags(shares: tuple[float, float]) -> Flags:
        return rng.random(n) < np.where(matched, *shares)

    two_invites, two_pricing, three_tickets = flags(_TWO_INVITES), flags(_TWO_PRICING), flags(_THREE_TICKETS)
    return Adoption(
        fast_onboarding=rng.random(n) < FAST_ONBOARDING,
        two_invites=two_invites,
        one_invite=flags(_ONE_INVITE) & ~two_invites,
        api_key=flags(_API_KEY),
        two_pricing=two_pricing,
        one_pricing=flags(_ONE_PRICING) & ~two_pricing,
        three_tickets=three_tickets,
        few_tickets=flags(_FEW_TICKETS) & ~three_tickets,
        sso=rng.random(n) < _sso_share(people.company_size()),
        features=rng.random((n, len(NULL_FEATURES))) < np.array(list(NULL_FEATURES.values())),
        null_events=rng.random((n, len(NULL_EVENTS))) < np.array(list(NULL_EVENTS.values())),
    )


def _sso_share(company_size: Floats) -> Floats:
    low, high = MID_SIZE_RANGE
    return np.where(company_size > high, _SSO_ABOVE, np.where(company_size >= low, _SSO_MID, _SSO_BELOW))
