"""When users are at the product: sessions, more of them for active users and far more for customers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from beton.demo.deals import Wins
from beton.demo.model import DAY_S, DEFAULT_LANDMARK_DAYS, END_S, Floats, Ints, Rng
from beton.demo.people import People

LOG_SESSIONS, SESSIONS_SLOPE = 0.75, 1.0
STAY_DAYS, STAY_SLOPE = 7.0, 0.6
CUSTOMER_BOOST = 5.0
MAX_USUAL_SESSIONS = 15.0
USUAL_SPAN_DAYS = 45.0  # a user's early sessions per this many days is the rate that customers multiply
LAST_START_S = 2 * 3600  # no session starts in the last two hours of the data
EARLY_END_S = DEFAULT_LANDMARK_DAYS * DAY_S - 2 * 3600
SESSION_MEAN_S, SESSION_MAX_S = 600.0, 3_600


@dataclass(frozen=True)
class Sessions:
    """Sorted by user and start; every user's first session starts with the signup."""

    user: Ints
    rel_s: Ints
    first: Ints
    """Per user: index of the first session."""
    early: Ints
    """Per user: number of sessions that end within the first 14 days (at least 1)."""

    def early_times(self, rng: Rng, users: Ints) -> Ints:
        """A moment in a random early session of each of ``users``, in seconds since signup."""
        pick = self.first[users] + (rng.random(len(users)) * self.early[users]).astype(np.int64)
        return self.rel_s[pick] + within_session(rng, len(users))

    def moments(self, rng: Rng, n: int, weights: Floats | None = None) -> tuple[Ints, Ints]:
        """``n`` users and moments (seconds since signup) in random sessions, equally likely or by weight."""
        if weights is None:
            pick = rng.integers(0, len(self.user), n)
        else:
            reached = np.cumsum(weights)
            pick = np.searchsorted(reached, rng.random(n) * reached[-1], side="right")
        return self.user[pick], self.rel_s[pick] + within_session(rng, n)


def within_session(rng: Rng, n: int) -> Ints:
    """Seconds from the start of a session to a moment in it."""
    return rng.exponential(SESSION_MEAN_S, n).clip(1, SESSION_MAX_S).astype(np.int64)


def draw_sessions(rng: Rng, people: People, wins: Wins, has_won_s: Ints) -> Sessions:
    """Sessions of all users. ``has_won_s``: per company, when it became a customer (epoch seconds)."""
    users = people.users
    n = len(users.t0_s)
    seen_s = END_S - LAST_START_S - users.t0_s
    expected = np.exp(LOG_SESSIONS + SESSIONS_SLOPE * users.activity)
    stay_s = STAY_DAYS * DAY_S * np.exp(STAY_SLOPE * users.activity)
    seen_share = -np.expm1(-seen_s / stay_s)
    counts = rng.poisson(expected * seen_share)
    user = np.repeat(np.arange(n), counts)
    # Inverse of an exponential law cut off at the end of the data.
    rel_s = -stay_s[user] * np.log1p(-rng.random(len(user)) * seen_share[user])
    customer, customer_rel_s = _customer_sessions(rng, people, expected, has_won_s)
    user = np.concatenate([np.arange(n), user, customer])
    start = np.concatenate([np.full(n, 0), rel_s.astype(np.int64), customer_rel_s])
    order = np.lexsort((start, user))
    user, start = user[order], start[order]
    first = np.searchsorted(user, np.arange(n))
    early = np.bincount(user[start < EARLY_END_S], minlength=n)
    return Sessions(user, start, first, early)


def _customer_sessions(rng: Rng, people: People, expected: Floats, has_won_s: Ints) -> tuple[Ints, Ints]:
    users = people.users
    member = np.flatnonzero(users.company >= 0)
    from_s = np.maximum(has_won_s[users.company[member]] - users.t0_s[member], 0)
    span_s = END_S - LAST_START_S - users.t0_s[member] - from_s
    member, from_s, span_s = (column[span_s > 0] for column in (member, from_s, span_s))
    rate = CUSTOMER_BOOST * np.minimum(expected[member], MAX_USUAL_SESSIONS) / (USUAL_SPAN_DAYS * DAY_S)
    counts = rng.poisson(rate * span_s)
    pick = np.repeat(np.arange(len(member)), counts)
    rel_s = from_s[pick] + (rng.random(len(pick)) * span_s[pick]).astype(np.int64)
    return member[pick], rel_s
