"""Who buys and when, and the deals the CRM holds about it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from beton.demo.adoption import Adoption
from beton.demo.model import DAY_S, END_S, START_S, Drivers, Flags, Floats, Ints, Rng, draw_win_days, hazards
from beton.demo.people import NO_COMPANY, People
from beton.demo.sizes import CompanySize

STAGES = ("Qualified", "Proposal", "Negotiation", "Closed Lost", "Closed Won")
LOST, WON = STAGES.index("Closed Lost"), STAGES.index("Closed Won")
MEAN_WON_USD = 27_000
AMOUNT_SIZE_POWER, AMOUNT_LOG_SD, MIN_AMOUNT_USD = 0.22, 0.55, 900
NEVER_S = 2**62
NO_USER = -1


@dataclass(frozen=True)
class Wins:
    """First wins that the product led to."""

    hazard: Floats
    """Per user; 0 for users outside the CRM, whom sales never meets."""
    account_s: Ints
    """Per company: epoch seconds of the first win, whether or not the data reach it; ``NEVER_S`` for none."""
    champion: Ints
    """Per company: the user who bought, -1 for none."""


@dataclass(frozen=True)
class Deals:
    """One entry per deal, in order of creation. ``closed_s`` is -1 for open ones."""

    company: Ints
    user: Ints
    amount_usd: Ints
    stage: Ints
    created_s: Ints
    closed_s: Ints

    def first_win_s(self, companies: int) -> Ints:
        """Per company: epoch seconds of its first won deal, ``NEVER_S`` for none."""
        first = np.full(companies, NEVER_S)
        won = self.stage == WON
        np.minimum.at(first, self.company[won], self.closed_s[won])
        return first


def draw_wins(rng: Rng, people: People, adoption: Adoption) -> Wins:
    """Let every CRM user buy with probability ``1 - exp(-hazard)``; the earliest buyer wins the account."""
    users = people.users
    drivers = Drivers(
        t0_s=users.t0_s,
        activity=users.activity,
        intent=users.intent,
        company_size=people.company_size(),
        onboarded=adoption.fast_onboarding,
        invited=adoption.two_invites,
        api_key=adoption.api_key,
        pricing=adoption.two_pricing,
        tickets=adoption.three_tickets,
    )
    hazard = np.where(users.is_matched, hazards(drivers), 0.0)
    buys = rng.random(len(hazard)) < -np.expm1(-hazard)
    win_s = users.t0_s + np.rint(draw_win_days(rng, len(hazard)) * DAY_S).astype(np.int64)
    companies = len(people.companies.size)
    account_s, champion = np.full(companies, NEVER_S), np.full(companies, NO_USER)
    buyers = np.flatnonzero(buys)
    buyers = buyers[np.argsort(-win_s[buyers], kind="stable")]
    account_s[users.company[buyers]] = win_s[buyers]  # the earliest is written last
    champion[users.company[buyers]] = buyers
    return Wins(hazard, account_s, champion)


def make_deals(rng: Rng, people: People, wins: Wins, size: CompanySize) -> Deals:
    """Exactly ``size.won_deals`` won deals: product-led, sales-led and expansions; plus lost and open ones."""
    product_led = np.flatnonzero(wins.account_s < END_S)
    product_s = wins.account_s[product_led]
    grown, grown_s = _expansions(rng, product_led, product_s, size.expansion_deals)
    n_sales_led = size.won_deals - len(product_led) - len(grown)
    sold, sold_s = _sales_led(rng, people, n_sales_led)
    won = np.concatenate([product_led, grown, sold])
    closed = np.concatenate([product_s, grown_s, sold_s])
    created = closed - _days(rng, 5, 14, len(won))
    user = np.concatenate([wins.champion[product_led], np.full(len(grown) + len(sold), NO_USER)])
    parts = [
        (won, user, np.full(len(won), WON), created, closed),
        _pipeline(rng, wins),
        _lost(rng, people, wins, size.lost_deals),
    ]
    company, user, stage, created, closed = (np.concatenate(column) for column in zip(*parts, strict=True))
    amount = _amounts(rng, people.companies.size[company], stage == WON)
    order = np.lexsort((company, created))
    return Deals(company[order], user[order], amount[order], stage[order], created[order], closed[order])


def _days(rng: Rng, low: float, high: float, n: int) -> Ints:
    return np.rint(rng.uniform(low * DAY_S, high * DAY_S, n)).astype(np.int64)


def _expansions(rng: Rng, accounts: Ints, won_s: Ints, n: int) -> tuple[Ints, Ints]:
    second_s = won_s + _days(rng, 60, 180, len(won_s))
    possible = rng.permutation(np.flatnonzero(second_s < END_S))[:n]
    return accounts[possible], second_s[possible]


def _sales_led(rng: Rng, people: People, n: int) -> tuple[Ints, Ints]:
    """Companies that bought without the product: some send users afterwards, most of them none at all."""
    companies = people.companies
    seats = companies.first_seat + np.arange(min(companies.with_seats, n))
    first_user_s = np.full(len(companies.size), NEVER_S)
    employed = people.users.company != NO_COMPANY
    np.minimum.at(first_user_s, people.users.company[employed], people.users.t0_s[employed])
    before_users = first_user_s[seats] - _days(rng, 2, 40, len(seats))
    silent = companies.first_crm_only + rng.choice(companies.crm_only, n - len(seats), replace=False)
    any_time = START_S + _days(rng, 20, 365, len(silent))
    return np.concatenate([seats, silent]), np.concatenate([before_users, any_time])


def _pipeline(rng: Rng, wins: Wins) -> tuple[Ints, Ints, Ints, Ints, Ints]:
    """Open deals of accounts that will buy after the data end."""
    account = np.flatnonzero((wins.account_s >= END_S) & (wins.account_s < NEVER_S))
    created = wins.account_s[account] - _days(rng, 5, 14, len(account))
    visible = created < END_S
    account, created = account[visible], created[visible]
    stage = rng.integers(0, LOST, len(account))
    return account, wins.champion[account], stage, created, np.full(len(account), -1)


def _lost(rng: Rng, people: People, wins: Wins, n: int) -> tuple[Ints, Ints, Ints, Ints, Ints]:
    """Deals of accounts that never buy: closed as lost, or still open at the end of the data."""
    founders = np.flatnonzero(people.users.is_matched)
    founders = founders[wins.account_s[people.users.company[founders]] == NEVER_S]
    user = rng.permutation(founders)[:n]
    created = people.users.t0_s[user] + _days(rng, 4, 45, len(user))
    user, created = user[created < END_S], created[created < END_S]
    closed = created + _days(rng, 7, 70, len(user))
    is_open = closed >= END_S
    stage = np.where(is_open, rng.integers(0, LOST, len(user)), LOST)
    return people.users.company[user], user, stage, created, np.where(is_open, -1, closed)


def _amounts(rng: Rng, company_size: Floats, is_won: Flags) -> Ints:
    """Log-normal in hundreds of dollars, larger for larger companies, scaled to the mean of won deals."""
    raw = company_size**AMOUNT_SIZE_POWER * np.exp(AMOUNT_LOG_SD * rng.standard_normal(len(company_size)))
    usd = raw * (MEAN_WON_USD / raw[is_won].mean())
    rounded: Ints = np.maximum(np.rint(usd / 100) * 100, MIN_AMOUNT_USD).astype(np.int64)
    return rounded
