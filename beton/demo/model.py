"""The structural model: what makes a user buy, how strongly, and when.

A user's propensity is a product of factors (``hazards``); he buys with probability ``1 - exp(-hazard)`` and then
at ``T0 + win_days``. An account's first win is the earliest of its users', so its probability is
``1 - prod(1 - p_user) = 1 - exp(-sum of hazards)``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Rng = np.random.Generator

DAY_S = 86_400
START_S = 1_704_067_200  # 2024-01-01T00:00Z
END_S = 1_735_689_600  # 2025-01-01T00:00Z
GAP_DAYS = 1
MIN_OUTCOME_DAYS = 45
DEFAULT_LANDMARK_DAYS = 14

BASE_HAZARD = 0.0112
ACTIVITY_SLOPE = 0.75
INTENT_SLOPE = 0.30

# Ratios of hazards. Ratios of probabilities are a little nearer to 1; truth.json holds those.
ONBOARDED = 7.3
INVITED = 5.6
API_KEY = 3.9
TICKETS = 0.27
PRICING_EARLY, PRICING_LATE = 7.6, 1.0
PRICING_FADE_DAY, PRICING_FADE_WIDTH_DAYS = 228.0, 16.0
MID_SIZE, LARGE_SIZE = 2.25, 1.6
MID_SIZE_RANGE = (50, 500)
MONTH_FACTORS = np.array([1.10, 1.05, 1.0, 1.0, 0.95, 0.95, 0.95, 0.9, 1.05, 1.05, 1.0, 0.95])

# A trial of 14 days plus five days for the contract: nobody wins earlier.
FIRST_WIN_DAY = 19.0
WIN_SCALE_DAYS, WIN_SHAPE = 23.0, 1.1


@dataclass(frozen=True)
class Drivers:
    """Everything the propensity depends on, one entry per user, all known before the landmark."""

    t0_s: Ints
    activity: Floats
    intent: Floats
    company_size: Floats
    onboarded: Flags
    invited: Flags
    api_key: Flags
    pricing: Flags
    tickets: Flags


def month_of(epoch_s: Ints) -> Ints:
    """Calendar month 0..11 of times in 2024 (epoch seconds)."""
    moments = epoch_s.astype("datetime64[s]").astype("datetime64[M]")
    return (moments - np.datetime64("2024-01", "M")).astype(np.int64)


def size_factor(company_size: Floats) -> Floats:
    """Hazard factor of the number of employees: a sweet spot of 50-500, less above, 1 below or unknown."""
    low, high = MID_SIZE_RANGE
    mid = (company_size >= low) & (company_size <= high)
    return np.where(mid, MID_SIZE, np.where(company_size > high, LARGE_SIZE, 1.0))


def pricing_factor(t0_s: Ints) -> Floats:
    """Hazard factor of two pricing views for a user who signed up at ``t0_s``: a logistic fall over 2024."""
    day = (t0_s - START_S) / DAY_S
    left = 1.0 / (1.0 + np.exp((day - PRICING_FADE_DAY) / PRICING_FADE_WIDTH_DAYS))
    return PRICING_LATE + (PRICING_EARLY - PRICING_LATE) * left


def hazards(drivers: Drivers) -> Floats:
    """Cumulative hazard of ever buying, per user.

    Activity and intent enter as ``exp(slope * z - slope^2 / 2)``, whose mean over a standard normal is 1.
    """
    latent = ACTIVITY_SLOPE * drivers.activity - ACTIVITY_SLOPE**2 / 2
    latent = latent + INTENT_SLOPE * drivers.intent - INTENT_SLOPE**2 / 2
    factors: Floats = BASE_HAZARD * np.exp(latent) * MONTH_FACTORS[month_of(drivers.t0_s)]
    factors = factors * size_factor(drivers.company_size)
    factors = factors * np.where(drivers.onboarded, ONBOARDED, 1.0) * np.where(drivers.invited, INVITED, 1.0)
    factors = factors * np.where(drivers.api_key, API_KEY, 1.0) * np.where(drivers.tickets, TICKETS, 1.0)
    return factors * np.where(drivers.pricing, pricing_factor(drivers.t0_s), 1.0)


def win_cdf(days: Floats) -> Floats:
    """Share of a buyer's wins that come before ``days`` after signup: a Weibull law from day 19 on."""
    waited = np.maximum(days - FIRST_WIN_DAY, 0.0)
    return -np.expm1(-((waited / WIN_SCALE_DAYS) ** WIN_SHAPE))


def draw_win_days(rng: Rng, n: int) -> Floats:
    """Days from signup to win of ``n`` buyers, drawn from ``win_cdf``."""
    return FIRST_WIN_DAY + WIN_SCALE_DAYS * rng.weibull(WIN_SHAPE, n)
