"""Every event: what was adopted, planted at its time, and the rest spread over sessions to the exact counts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from beton.demo.adoption import CORE_FEATURES, NULL_EVENTS, NULL_FEATURES, Adoption
from beton.demo.deals import NO_USER, Wins
from beton.demo.model import DAY_S, DEFAULT_LANDMARK_DAYS, END_S, Floats, Ints, Rng
from beton.demo.people import People
from beton.demo.sessions import Sessions
from beton.demo.sizes import CompanySize

EVENTS = (
    "user_signed_up",
    "onboarding_started",
    "onboarding_completed",
    "pageview",
    "feature_used",
    "dashboard_created",
    "api_key_created",
    "teammate_invited",
    "support_ticket_opened",
    "contract_viewed",
    "sso_settings_viewed",
    "report_exported",
    *NULL_EVENTS,
)
FEATURES = (*CORE_FEATURES, *NULL_FEATURES)
_SESSION_PAGES = {
    "/app/home": 0.20,
    "/app/dashboards": 0.18,
    "/app/explore": 0.15,
    "/app/reports": 0.08,
    "/app/settings": 0.05,
    "/app/settings/team": 0.03,
    "/": 0.06,
    "/blog": 0.04,
    "/changelog": 0.03,
    "/customers": 0.02,
    "/billing": 0.02,
    "/docs/getting-started": 0.035,
    "/docs/dashboards": 0.02,
    "/docs/integrations": 0.015,
    "/docs/sql": 0.01,
    "/docs/api": 0.02,
}
PAGES = (*_SESSION_PAGES, "/signup", "/pricing", "/billing/contract")
NONE = -1

FAST_ONBOARDING_S = 3 * DAY_S
SLOW_ONBOARDING_MEAN_DAYS = 14.0
CORE_FEATURE_SHARE = 0.35
LATE_PRICING_SHARE = 0.008
CONTRACT_SHARE, CONTRACT_LEAD_DAYS = 0.88, 4.0
CONTRACT_BYSTANDERS = 0.006
REPORTS_PER_USER = 0.05
DASHBOARD_SLOPE = 0.9
EARLY_S = DEFAULT_LANDMARK_DAYS * DAY_S

Codes = npt.NDArray[np.int8]


@dataclass(frozen=True)
class Events:
    """One entry per event in order of time; codes index ``EVENTS``, ``PAGES`` and ``FEATURES`` (-1: none)."""

    event: Codes
    user: npt.NDArray[np.int32]
    rel_s: npt.NDArray[np.int32]
    page: Codes
    feature: Codes
    at_s: Ints

    @classmethod
    def none(cls) -> Events:
        """No events at all."""
        code, user, rel_s = np.empty(0, np.int8), np.empty(0, np.int32), np.empty(0, np.int32)
        return cls(code, user, rel_s, code, code, np.empty(0, np.int64))


class _Log:
    """Events as they are planted, before they are put in order."""

    def __init__(self) -> None:
        self._parts: list[tuple[Ints, Ints, int, Ints | int, Ints | int]] = []

    def add(self, event: str, user: Ints, rel_s: Ints, page: Ints | int = NONE, feature: Ints | int = NONE) -> None:
        self._parts.append((user, rel_s, EVENTS.index(event), page, feature))

    def rows(self, event: str) -> int:
        code = EVENTS.index(event)
        return sum(len(user) for user, _, kind, _, _ in self._parts if kind == code)

    def in_order(self, t0_s: Ints) -> Events:
        """All events sorted by time."""
        user = np.concatenate([part[0] for part in self._parts])
        rel_s = np.concatenate([part[1] for part in self._parts])
        at_s = t0_s[user] + rel_s
        order = np.argsort(at_s, kind="stable")

        def codes(column: int) -> Codes:
            full = [np.broadcast_to(part[column], part[0].shape).astype(np.int8) for part in self._parts]
            return np.concatenate(full)[order]

        return Events(
            event=codes(2),
            user=user[order].astype(np.int32),
            rel_s=rel_s[order].astype(np.int32),
            page=codes(3),
            feature=codes(4),
            at_s=at_s[order],
        )


@dataclass(frozen=True)
class _Scene:
    """What the planting steps share."""

    rng: Rng
    people: People
    adoption: Adoption
    wins: Wins
    sessions: Sessions
    size: CompanySize
    log: _Log


Step = Callable[[_Scene], None]


def draw_events(
    rng: Rng, people: People, adoption: Adoption, wins: Wins, sessions: Sessions, size: CompanySize
) -> Events:
    """All events of the year."""
    scene = _Scene(rng, people, adoption, wins, sessions, size, _Log())
    steps: tuple[Step, ...] = (_signups, _onboarding, _team, _pricing, _support, _contract, _minor, _features)
    for step in (*steps, _pageviews, _dashboards):
        step(scene)
    return scene.log.in_order(people.users.t0_s)


def _plant_early(scene: _Scene, event: str, users: Ints, times: Ints | int = 1, page: int = NONE) -> None:
    """Put ``times`` events of each user into sessions of the first 14 days."""
    repeated = np.repeat(users, times)
    scene.log.add(event, repeated, scene.sessions.early_times(scene.rng, repeated), page)


def _fill_late(scene: _Scene, event: str) -> None:
    """Top an event up to its exact count, after everybody's first 14 days."""
    missing = scene.size.events[event] - scene.log.rows(event)
    scene.log.add(event, *scene.sessions.moments(scene.rng, missing, _is_late(scene)))


def _is_late(scene: _Scene) -> Floats:
    """Weight 1 for the sessions after a user's first 14 days, 0 for the others."""
    return (scene.sessions.rel_s > EARLY_S).astype(np.float64)


def _signups(scene: _Scene) -> None:
    everybody = np.arange(scene.size.users)
    scene.log.add("user_signed_up", everybody, np.zeros_like(everybody))
    scene.log.add("pageview", everybody, np.ones_like(everybody), PAGES.index("/signup"))


def _onboarding(scene: _Scene) -> None:
    """Fast completions are the adoption flag; slow ones are a random choice of the others, to the count."""
    rng, n = scene.rng, scene.size.users
    left_s = END_S - 3_600 - scene.people.users.t0_s
    fast_s = (rng.beta(1.0, 1.6, n) * (FAST_ONBOARDING_S - 1_200)).astype(np.int64) + 600
    slow_s = FAST_ONBOARDING_S + 60 + (rng.exponential(SLOW_ONBOARDING_MEAN_DAYS * DAY_S, n)).astype(np.int64)
    fast = np.flatnonzero(scene.adoption.fast_onboarding & (fast_s < left_s))
    others = rng.permutation(np.flatnonzero(~scene.adoption.fast_onboarding & (slow_s < left_s)))
    slow = others[: scene.size.events["onboarding_completed"] - len(fast)]
    done = np.concatenate([fast, slow])
    done_s = np.concatenate([fast_s[fast], slow_s[slow]])
    rest = rng.permutation(np.setdiff1d(np.arange(n), done))
    rest = rest[: scene.size.events["onboarding_started"] - len(done)]
    scene.log.add("onboarding_completed", done, done_s)
    started_s = (rng.beta(1.0, 6.0, len(done)) * np.minimum(done_s, DAY_S)).astype(np.int64) + 5
    scene.log.add("onboarding_started", done, started_s)
    scene.log.add("onboarding_started", rest, rng.integers(5, 3_000, len(rest)))


def _team(scene: _Scene) -> None:
    rng, adoption = scene.rng, scene.adoption
    several, one = np.flatnonzero(adoption.two_invites), np.flatnonzero(adoption.one_invite)
    _plant_early(scene, "teammate_invited", several, 2 + rng.poisson(0.7, len(several)))
    _plant_early(scene, "teammate_invited", one)
    _fill_late(scene, "teammate_invited")
    _plant_early(scene, "api_key_created", np.flatnonzero(adoption.api_key))
    _fill_late(scene, "api_key_created")


def _pricing(scene: _Scene) -> None:
    rng, page = scene.rng, PAGES.index("/pricing")
    several = np.flatnonzero(scene.adoption.two_pricing)
    _plant_early(scene, "pageview", several, 2 + rng.poisson(0.8, len(several)), page)
    _plant_early(scene, "pageview", np.flatnonzero(scene.adoption.one_pricing), page=page)
    n_late = int(LATE_PRICING_SHARE * len(scene.sessions.user))
    scene.log.add("pageview", *scene.sessions.moments(rng, n_late, _is_late(scene)), page)


def _support(scene: _Scene) -> None:
    rng = scene.rng
    many, few = np.flatnonzero(scene.adoption.three_tickets), np.flatnonzero(scene.adoption.few_tickets)
    _plant_early(scene, "support_ticket_opened", many, 3 + rng.poisson(0.5, len(many)))
    _plant_early(scene, "support_ticket_opened", few, rng.integers(1, 3, len(few)))


def _contract(scene: _Scene) -> None:
    """Buyers open the contract in the four days before the win; a few others do so at any time."""
    rng, users = scene.rng, scene.people.users
    champions = scene.wins.champion[scene.wins.champion != NO_USER]
    champions = champions[rng.random(len(champions)) < CONTRACT_SHARE]
    views = np.repeat(champions, 1 + rng.poisson(1.0, len(champions)))
    lead_s = rng.uniform(3_600, CONTRACT_LEAD_DAYS * DAY_S, len(views)).astype(np.int64)
    rel_s = scene.wins.account_s[users.company[views]] - lead_s - users.t0_s[views]
    seen = users.t0_s[views] + rel_s < END_S
    bystanders = scene.sessions.moments(rng, int(CONTRACT_BYSTANDERS * len(users.t0_s)))
    for user, moment in ((views[seen], rel_s[seen]), bystanders):
        scene.log.add("contract_viewed", user, moment)
        scene.log.add("pageview", user, moment, PAGES.index("/billing/contract"))


def _minor(scene: _Scene) -> None:
    _plant_early(scene, "sso_settings_viewed", np.flatnonzero(scene.adoption.sso))
    for column, event in enumerate(NULL_EVENTS):
        _plant_early(scene, event, np.flatnonzero(scene.adoption.null_events[:, column]))
    reports = int(REPORTS_PER_USER * scene.size.users)
    scene.log.add("report_exported", *scene.sessions.moments(scene.rng, reports))


def _features(scene: _Scene) -> None:
    """Each adopter uses a feature once in the first 14 days; all other uses fall into random sessions."""
    rng, adopted = scene.rng, scene.adoption.features
    user, feature = np.nonzero(adopted)
    scene.log.add("feature_used", user, scene.sessions.early_times(rng, user), feature=feature + len(CORE_FEATURES))
    n = scene.size.events["feature_used"] - len(user)
    visitor, rel_s = scene.sessions.moments(rng, n)
    tried = adopted.sum(axis=1)
    start = np.cumsum(tried) - tried
    own = start[visitor] + (rng.random(n) * tried[visitor]).astype(np.int64)
    core = rng.integers(0, len(CORE_FEATURES), n)
    is_core = (rng.random(n) < CORE_FEATURE_SHARE) | (tried[visitor] == 0)
    used = np.where(is_core, core, feature[np.where(is_core, 0, own)] + len(CORE_FEATURES))
    scene.log.add("feature_used", visitor, rel_s, feature=used)


def _pageviews(scene: _Scene) -> None:
    n = scene.size.events["pageview"] - scene.log.rows("pageview")
    user, rel_s = scene.sessions.moments(scene.rng, n)
    shares = np.cumsum(list(_SESSION_PAGES.values()))
    page = np.searchsorted(shares / shares[-1], scene.rng.random(n), side="right")
    scene.log.add("pageview", user, rel_s, page)


def _dashboards(scene: _Scene) -> None:
    """Any session may bring one, the more likely the more active the user is."""
    n = scene.size.events["dashboard_created"]
    weights = np.exp(DASHBOARD_SLOPE * scene.people.users.activity)[scene.sessions.user]
    scene.log.add("dashboard_created", *scene.sessions.moments(scene.rng, n, weights))
