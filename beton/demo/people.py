"""Who signs up, who is in the CRM, and which company everybody belongs to."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from beton.demo.model import DAY_S, END_S, START_S, Flags, Floats, Ints, Rng
from beton.demo.sizes import CompanySize

YEAR_DAYS = (END_S - START_S) // DAY_S
YEARLY_GROWTH = 1.9  # signups per day at the end of the year, relative to its start
WEEKEND_SHARE = 0.45
LAST_SIGNUP_SECOND = 21 * 3600  # leaves the last day's users three hours of data

# Sales adds a contact some weeks after the signup, sooner or later by how active the user is.
CRM_LAG_DAYS, CRM_RAMP_DAYS, CRM_FLOOR = 13.0, 45.0, 0.02
CRM_ACTIVITY_SLOPE = 0.35
COLLEAGUE_LAG_DAYS = 25.0

MEDIAN_SIZE, SIZE_LOG_SD, MAX_SIZE = 25.0, 1.6, 5_000
NO_COMPANY = -1


@dataclass(frozen=True)
class Users:
    """One entry per user, in order of signup."""

    t0_s: Ints
    activity: Floats
    intent: Floats
    is_internal: Flags
    is_test: Flags
    is_matched: Flags
    company: Ints
    """Index into the companies, -1 for none."""


@dataclass(frozen=True)
class Companies:
    """Four blocks in this order: with CRM users, with other users only, bought before its users came, no users."""

    size: Floats
    with_matched_users: int
    with_other_users: int
    with_seats: int
    crm_only: int

    @property
    def first_seat(self) -> int:
        return self.with_matched_users + self.with_other_users

    @property
    def first_crm_only(self) -> int:
        return self.first_seat + self.with_seats


@dataclass(frozen=True)
class People:
    users: Users
    companies: Companies

    def company_size(self) -> Floats:
        """Employees of each user's company, 0 where the user has none."""
        sizes: Floats = np.append(self.companies.size, 0.0)[self.users.company]
        return sizes


def make_people(rng: Rng, size: CompanySize) -> People:
    """Draw users, their latent traits, their CRM match and their companies."""
    t0_s = _signup_times(rng, size.users)
    activity, intent = rng.standard_normal(size.users), rng.standard_normal(size.users)
    staff = rng.choice(size.users, size.internal_users + size.test_users, replace=False)
    is_internal, is_test = np.zeros(size.users, bool), np.zeros(size.users, bool)
    is_internal[staff[: size.internal_users]] = True
    is_test[staff[size.internal_users :]] = True
    is_matched = _in_crm(rng, t0_s, activity, is_internal | is_test, size.matched_users)
    company, companies = _companies(rng, t0_s, is_matched, is_internal | is_test, size)
    return People(Users(t0_s, activity, intent, is_internal, is_test, is_matched, company), companies)


def _signup_times(rng: Rng, n: int) -> Ints:
    days = np.arange(YEAR_DAYS)
    weekday = days % 7  # 2024-01-01 is a Monday
    weights = YEARLY_GROWTH ** (days / YEAR_DAYS) * np.where(weekday >= 5, WEEKEND_SHARE, 1.0)
    day = rng.choice(days, size=n, p=weights / weights.sum())
    second = rng.normal(13.5 * 3600, 3.5 * 3600, n).clip(0, LAST_SIGNUP_SECOND).astype(np.int64)
    return np.sort(START_S + day * DAY_S + second)


def _in_crm(rng: Rng, t0_s: Ints, activity: Floats, excluded: Flags, n: int) -> Flags:
    """Choose exactly ``n`` users, with odds that rise with activity and with the time since signup."""
    age_days = (END_S - t0_s) / DAY_S
    ramp = ((age_days - CRM_LAG_DAYS) / CRM_RAMP_DAYS).clip(CRM_FLOOR, 1.0)
    weights = np.where(excluded, 0.0, ramp * np.exp(CRM_ACTIVITY_SLOPE * activity))
    # Efraimidis-Spirakis: the n smallest exponential clocks are a weighted sample without replacement.
    with np.errstate(divide="ignore"):
        clocks = rng.standard_exponential(len(t0_s)) / weights
    chosen = np.zeros(len(t0_s), bool)
    chosen[np.argpartition(clocks, n)[:n]] = True
    return chosen


def _companies(rng: Rng, t0_s: Ints, is_matched: Flags, is_staff: Flags, size: CompanySize) -> tuple[Ints, Companies]:
    matched = np.flatnonzero(is_matched)
    colleagues = np.sort(rng.choice(matched[1:], size.matched_colleagues, replace=False))
    founders = np.setdiff1d(matched, colleagues)
    company = np.full(len(t0_s), NO_COMPANY, dtype=np.int64)
    company[founders] = np.arange(len(founders))
    others = rng.permutation(np.flatnonzero(~is_matched & ~is_staff))
    # Customers who bought before anybody signed up need a signup late enough for a deal in 2024 before it.
    late = others[t0_s[others] > START_S + 60 * DAY_S]
    seats, others = late[: size.seat_users], np.setdiff1d(others, late[: size.seat_users])
    others = rng.permutation(others)
    joining = others[: size.unmatched_colleagues]
    alone = others[size.unmatched_colleagues :][: size.unmatched_own_company]
    for group in (colleagues, joining):
        company[group] = _employers(rng, t0_s[group], t0_s[founders])
    n_seats = min(size.seat_companies, len(seats))
    first_seat = len(founders) + len(alone)
    company[alone] = len(founders) + np.arange(len(alone))
    company[seats] = first_seat + np.arange(len(seats)) % n_seats
    total = first_seat + n_seats + size.crm_only_companies
    employees = _employees(rng, total, np.bincount(company[company >= 0], minlength=total))
    return company, Companies(employees, len(founders), len(alone), n_seats, size.crm_only_companies)


def _employers(rng: Rng, t0_s: Ints, founded_s: Ints) -> Ints:
    """Company of each colleague: one whose first user signed up about ``COLLEAGUE_LAG_DAYS`` before."""
    lag_s = rng.exponential(COLLEAGUE_LAG_DAYS * DAY_S, len(t0_s))
    # Before the first signup there is nobody to join: the lag is reflected there.
    target_s = np.minimum(START_S + np.abs(t0_s - lag_s - START_S), t0_s)
    found: Ints = np.maximum(np.searchsorted(founded_s, target_s, side="right") - 1, 0)
    return found


def _employees(rng: Rng, n: int, users: Ints) -> Floats:
    sizes = np.exp(np.log(MEDIAN_SIZE) + SIZE_LOG_SD * rng.standard_normal(n))
    employees: Floats = np.maximum(np.rint(sizes).clip(1, MAX_SIZE), users)
    return employees
