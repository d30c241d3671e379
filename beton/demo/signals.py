"""The signals written beside the data, and what the model knows about each of them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

Node = dict[str, Any]

MID_SIZE: Node = {"property": "company_size", "op": "between", "value": [50, 500]}


@dataclass(frozen=True)
class Signal:
    """One hypothesis. ``effects`` names the hazard factors that its conditions really move."""

    name: str
    description: str
    source: str
    when: Node
    kind: str
    effects: tuple[str, ...] = field(default=())

    def document(self) -> dict[str, Any]:
        """The signal as a user would write it; nothing in it hints at the truth."""
        return {
            "name": self.name,
            "description": self.description,
            "source": self.source,
            "unit": "user",
            "when": self.when,
        }

    def slug(self) -> str:
        """The name as part of a file name."""
        return re.sub(r"[^a-z0-9]+", "-", self.name.lower().replace("+", "-plus")).strip("-")


def _done(event: str, within_days: int) -> Node:
    return {"event": event, "op": "completed", "within_days": within_days}


def _at_least(event: str, count: int, within_days: int = 14, **extra: Any) -> Node:
    return {"event": event, "op": "count >=", "value": count, "within_days": within_days, **extra}


SIGNALS = (
    Signal(
        "Onboarding completed within 3 days",
        "Users who complete the onboarding checklist within 3 days of signup.",
        "PostHog",
        {"all": [_done("onboarding_completed", 3)]},
        "causal",
        ("onboarded",),
    ),
    Signal(
        "Invited 2+ teammates",
        "Users who invite at least two teammates in their first two weeks.",
        "PostHog",
        {"all": [_at_least("teammate_invited", 2)]},
        "causal",
        ("invited",),
    ),
    Signal(
        "Pricing page 2x+",
        "Users who open the pricing page at least twice in their first two weeks.",
        "PostHog",
        {"all": [_at_least("pageview", 2, where=[{"property": "page_path", "op": "=", "value": "/pricing"}])]},
        "degrading",
        ("pricing",),
    ),
    Signal(
        "API key created",
        "Users who create an API key in their first two weeks.",
        "PostHog",
        {"all": [_done("api_key_created", 14)]},
        "causal",
        ("api_key",),
    ),
    Signal(
        "Dashboard created",
        "Users who create a dashboard in their first two weeks.",
        "PostHog",
        {"all": [_done("dashboard_created", 14)]},
        "confounded by activity",
    ),
    Signal(
        "Weekly active 3+ weeks",
        "Users who are active in at least three of their first four weeks.",
        "PostHog",
        {"all": [{"event": "*", "op": "active weeks >=", "value": 3, "within_days": 28}]},
        "confounded by activity",
    ),
    Signal(
        "Company 50-500 employees",
        "Users whose company has between 50 and 500 employees.",
        "Attio",
        {"all": [MID_SIZE]},
        "fit",
        ("size",),
    ),
    Signal(
        "Docs visited 5+",
        "Users who open at least five documentation pages in their first two weeks.",
        "PostHog",
        {"all": [_at_least("pageview", 5, where=[{"property": "page_path", "op": "contains", "value": "/docs"}])]},
        "confounded by activity",
    ),
    Signal(
        "High-intent enterprise accounts",
        "Users of companies with 50 to 500 employees who complete onboarding within a week.",
        "PostHog",
        {
            "all": [
                _done("onboarding_completed", 7),
                {"property": "company_size", "op": ">=", "value": 50},
                {"property": "company_size", "op": "<=", "value": 500},
            ]
        },
        "mixed",
        ("onboarded", "size"),
    ),
    Signal(
        "Onboarded mid-size companies",
        "Users of companies with 50 to 500 employees who complete onboarding within 3 days.",
        "PostHog",
        {"all": [_done("onboarding_completed", 3), MID_SIZE]},
        "mixed",
        ("onboarded", "size"),
    ),
)

PLANTED = (
    Signal(
        "Contract viewed",
        "Users who open the contract in their first two weeks.",
        "PostHog",
        {"all": [_done("contract_viewed", 14)]},
        "closing",
    ),
    Signal(
        "Opened 3+ support tickets",
        "Users who open at least three support tickets in their first two weeks.",
        "PostHog",
        {"all": [_at_least("support_ticket_opened", 3)]},
        "harmful",
        ("tickets",),
    ),
    Signal(
        "SSO settings viewed",
        "Users who look at the single sign-on settings in their first two weeks.",
        "PostHog",
        {"all": [_done("sso_settings_viewed", 14)]},
        "confounded by company size",
    ),
    Signal(
        "Avatar uploaded",
        "Users who upload a picture of themselves in their first two weeks.",
        "PostHog",
        {"all": [_done("avatar_uploaded", 14)]},
        "null",
    ),
    Signal(
        "Newsletter opened",
        "Users who open the newsletter in their first two weeks.",
        "PostHog",
        {"all": [_done("newsletter_opened", 14)]},
        "null",
    ),
)
