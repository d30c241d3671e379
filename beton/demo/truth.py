"""What a perfect analyst would find: ratios computed from the model's own probabilities.

For a unit i of an account with users j, landmark a and end of the outcome window b (both absolute times), and no
win of the account before a:

    P_i = 1 - prod over j of (1 - p_j F(b - T0_j)) / (1 - p_j F(a - T0_j)),   p_j = 1 - exp(-hazard_j)

with F of ``model.win_cdf``. An intervention on user i replaces the factors in ``hazard_i`` that the signal moves.
Only documentation and tests read the result.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from beton.demo import model
from beton.demo.adoption import NULL_FEATURES, Adoption
from beton.demo.behaviour import EVENTS, PAGES, Events
from beton.demo.deals import NEVER_S, Deals, Wins
from beton.demo.model import DAY_S, END_S, Flags, Floats, Ints
from beton.demo.people import People
from beton.demo.signals import PLANTED, SIGNALS, Node, Signal

WEEK_S = 7 * DAY_S


@dataclass(frozen=True)
class World:
    """Everything that was generated."""

    people: People
    adoption: Adoption
    wins: Wins
    deals: Deals
    events: Events

    def first_win_s(self) -> Ints:
        """Per user: epoch seconds of the account's first won deal, ``deals.NEVER_S`` for none."""
        per_company = self.deals.first_win_s(len(self.people.companies.size))
        won_s: Ints = np.append(per_company, NEVER_S)[self.people.users.company]
        return won_s


def outcome_days(world: World) -> int:
    """Length of the outcome window: 80th percentile of days to the first win, at least 45, rounded up."""
    won_s, t0_s = world.first_win_s(), world.people.users.t0_s
    after = (won_s > t0_s) & (won_s < END_S)
    if not after.any():
        return model.MIN_OUTCOME_DAYS
    days = (won_s[after] - t0_s[after]) / DAY_S
    return max(model.MIN_OUTCOME_DAYS, int(np.ceil(np.percentile(days, 80))))


def landmark_days(node: Node) -> int:
    """The signal's own horizon, 14 days where it has none."""
    horizons = [leaf["within_days"] for leaf in _leaves(node) if "within_days" in leaf]
    return max(horizons, default=model.DEFAULT_LANDMARK_DAYS)


def describe(world: World, seed: int) -> dict[str, Any]:
    """The whole truth document."""
    window_days = outcome_days(world)
    users = world.people.users
    return {
        "seed": seed,
        "outcome_window_days": window_days,
        "gap_days": model.GAP_DAYS,
        "signals": {s.name: _signal_truth(world, s, window_days) for s in (*SIGNALS, *PLANTED)},
        "null_features": list(NULL_FEATURES),
        "sizes": {
            "users": len(users.t0_s),
            "internal_or_test": int((users.is_internal | users.is_test).sum()),
            "matched_users": int(users.is_matched.sum()),
            "companies": len(world.people.companies.size),
            "product_led_wins": int((world.wins.account_s < END_S).sum()),
            "events": {name: int((world.events.event == code).sum()) for code, name in enumerate(EVENTS)},
        },
        "notes": [
            "causal_ratio: mean model probability of a win in the outcome window if every eligible unit had the "
            "signal, divided by the same if none had it; nothing else is changed.",
            "expected_crude_ratio: mean model probability of eligible units with the realised signal, divided by "
            "that of those without: what a crude table estimates.",
            "null_features: feature_used with this feature within 14 days has no effect and no confounder.",
        ],
    }


def holds(world: World, node: Node) -> Flags:
    """Which users satisfy a condition of ``signals.py``."""
    if "all" in node:
        every: Flags = np.all([holds(world, child) for child in node["all"]], axis=0)
        return every
    if "property" in node:
        size = world.people.company_size()
        value = node["value"]
        low, high = {"between": value, ">=": (value, np.inf), "<=": (1, value)}[node["op"]]
        inside: Flags = (size >= low) & (size <= high)
        return inside
    enough: Flags = _event_count(world, node) >= node.get("value", 1)
    return enough


def _event_count(world: World, node: Node) -> Ints:
    events, n = world.events, len(world.people.users.t0_s)
    rows = events.rel_s < node["within_days"] * DAY_S
    if node["event"] != "*":
        rows &= events.event == EVENTS.index(node["event"])
    for clause in node.get("where", []):
        text = clause["value"]
        exact = clause["op"] == "="
        pages = [i for i, page in enumerate(PAGES) if (page == text if exact else text in page)]
        rows &= np.isin(events.page, pages)
    user, rel_s = events.user[rows], events.rel_s[rows]
    if node["op"] == "active weeks >=":
        seen = np.zeros((n, -(-node["within_days"] * DAY_S // WEEK_S)), bool)
        seen[user, rel_s // WEEK_S] = True
        weeks: Ints = seen.sum(axis=1)
        return weeks
    return np.bincount(user, minlength=n)


def _leaves(node: Node) -> list[Node]:
    return [leaf for child in node["all"] for leaf in _leaves(child)] if "all" in node else [node]


def eligible(world: World, landmark: int, window_days: int) -> Flags:
    """Users outside the company, in the CRM, not yet won at the landmark, with a complete outcome window."""
    users = world.people.users
    start_s = users.t0_s + (landmark + model.GAP_DAYS) * DAY_S
    at_risk = world.first_win_s() >= start_s
    mature = start_s + window_days * DAY_S <= END_S
    return users.is_matched & at_risk & mature & ~users.is_internal & ~users.is_test


class WinProbabilities:
    """Win probabilities in the outcome window of the given units, as a function of their own hazard."""

    def __init__(self, world: World, units: Ints, landmark: int, window_days: int) -> None:
        t0_s = world.people.users.t0_s
        self._start_s = t0_s[units] + (landmark + model.GAP_DAYS) * DAY_S
        self._end_s = self._start_s + window_days * DAY_S
        self._own_t0_s = t0_s[units]
        self._position, mate = _mates(world, units)
        self._mate_t0_s, self._mate_hazard = t0_s[mate], world.wins.hazard[mate]

    @staticmethod
    def _log_survival(hazard: Floats, start_s: Ints, end_s: Ints, t0_s: Ints) -> Floats:
        buys = -np.expm1(-hazard)
        before, until = (model.win_cdf((moment - t0_s) / DAY_S) for moment in (start_s, end_s))
        return np.log1p(-buys * until) - np.log1p(-buys * before)

    def given(self, hazard: Floats, account: Floats | None = None) -> Floats:
        """Probabilities at the units' hazards; ``account`` multiplies those of each unit's colleagues."""
        at = self._position
        mate_hazard = self._mate_hazard if account is None else self._mate_hazard * account[at]
        mates = self._log_survival(mate_hazard, self._start_s[at], self._end_s[at], self._mate_t0_s)
        own = self._log_survival(hazard, self._start_s, self._end_s, self._own_t0_s)
        return -np.expm1(own + np.bincount(at, weights=mates, minlength=len(own)))


def _mates(world: World, units: Ints) -> tuple[Ints, Ints]:
    """Pairs (position in ``units``, other CRM user of the same account)."""
    users = world.people.users
    members = np.flatnonzero(users.is_matched)
    members = members[np.argsort(users.company[members], kind="stable")]
    accounts = users.company[members]
    first = np.searchsorted(accounts, users.company[units], side="left")
    count = np.searchsorted(accounts, users.company[units], side="right") - first
    position = np.repeat(np.arange(len(units)), count)
    step = np.arange(len(position)) - np.repeat(np.cumsum(count) - count, count)
    mate = members[first[position] + step]
    others = mate != units[position]
    return position[others], mate[others]


@dataclass(frozen=True)
class _Factors:
    """Hazard factors that a signal moves, as realised by each unit: its own, and its account's (company size)."""

    own: Floats
    account: Floats


def _factors(world: World, effects: tuple[str, ...], units: Ints) -> _Factors:
    adoption = world.adoption
    flags: dict[str, tuple[Flags, Floats | float]] = {
        "onboarded": (adoption.fast_onboarding, model.ONBOARDED),
        "invited": (adoption.two_invites, model.INVITED),
        "api_key": (adoption.api_key, model.API_KEY),
        "tickets": (adoption.three_tickets, model.TICKETS),
        "pricing": (adoption.two_pricing, model.pricing_factor(world.people.users.t0_s)),
    }
    own = np.ones(len(adoption.api_key))
    for flag, factor in (flags[effect] for effect in effects if effect in flags):
        own = own * np.where(flag, factor, 1.0)
    account = model.size_factor(world.people.company_size()) if "size" in effects else np.ones(len(own))
    return _Factors(own[units], account[units])


def _signal_truth(world: World, signal: Signal, window_days: int) -> dict[str, Any]:
    landmark = landmark_days(signal.when)
    units = np.flatnonzero(eligible(world, landmark, window_days))
    t0_s, hazard = world.people.users.t0_s[units], world.wins.hazard[units]
    with_signal = holds(world, signal.when)[units]
    probabilities = WinProbabilities(world, units, landmark, window_days)
    factors = _factors(world, signal.effects, units)
    if signal.kind == "degrading":
        bare = hazard / factors.own
        arms = [probabilities.given(bare * model.pricing_factor(t0_s)), probabilities.given(bare)]
    else:
        arms = [_standardised(probabilities, hazard, factors, arm) for arm in (with_signal, ~with_signal)]
    crude = probabilities.given(hazard)
    truth: dict[str, Any] = {
        "kind": signal.kind,
        "causal_ratio": _ratio(*arms) if signal.effects else 1.0,
        "expected_crude_ratio": _ratio(crude[with_signal], crude[~with_signal]),
        "landmark_days": landmark,
        "eligible": len(units),
        "with_signal": int(with_signal.sum()),
    }
    if signal.kind == "degrading":
        months = model.month_of(t0_s)
        truth["causal_ratio_by_month"] = {
            f"2024-{month + 1:02d}": _ratio(*(arm[months == month] for arm in arms))
            for month in np.unique(months).tolist()
        }
    return truth


def _standardised(probabilities: WinProbabilities, hazard: Floats, factors: _Factors, arm: Flags) -> Floats:
    """Probabilities if every unit drew its factors from those of one arm, independently of all else."""
    drawn, counts = np.unique(np.stack([factors.own[arm], factors.account[arm]]), axis=1, return_counts=True)
    total = np.zeros(len(hazard))
    for own, account, count in zip(*drawn, counts, strict=True):
        of_account = account / factors.account
        total += count / counts.sum() * probabilities.given(hazard * own / factors.own * of_account, of_account)
    return total


def _ratio(above: Floats, below: Floats) -> float | None:
    """Ratio of the means, or None where an arm is empty."""
    if len(above) == 0 or len(below) == 0:
        return None
    return round(float(above.mean() / below.mean()), 4)
