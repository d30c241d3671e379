"""The cohort of a unit, an outcome and a clock, without any signal: everything signals are compared on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from beton.model.outcome import Outcome, Unit
from beton.warehouse.compile import NEVER
from beton.warehouse.core.arrays import Core, Units
from beton.warehouse.landmark import ELIGIBLE, IMMATURE, NOT_AT_RISK, UNRECORDED, Clock


@dataclass(frozen=True)
class Frame:
    """One entry per identified unit that is not internal, by key; times are epoch seconds.

    ``unit`` is the key of the user or company, ``cluster`` numbers the accounts (or units) whose outcome is one,
    ``status`` is that of ``landmark``.
    """

    unit: NDArray[np.int32]
    cluster: NDArray[np.int32]
    month: NDArray[np.int32]
    t0_s: NDArray[np.int64]
    outcome_at_s: NDArray[np.int64]
    status: NDArray[np.int8]
    converted: NDArray[np.bool_]

    @cached_property
    def eligible(self) -> NDArray[np.bool_]:
        """Whether each unit counts in the table."""
        eligible: NDArray[np.bool_] = self.status == ELIGIBLE
        return eligible

    @cached_property
    def months(self) -> NDArray[np.int32]:
        """Months in which eligible units began, ascending."""
        return np.unique(self.month[self.eligible])

    @cached_property
    def month_row(self) -> NDArray[np.int64]:
        """Place of each eligible unit's month among ``months``."""
        return np.searchsorted(self.months, self.month)

    @cached_property
    def clusters(self) -> int:
        """How many clusters there are, eligible or not."""
        return int(self.cluster.max(initial=-1)) + 1

    @cached_property
    def status_units(self) -> dict[int, int]:
        """Units by status."""
        units = np.bincount(self.status)
        return {status: int(units[status]) for status in np.flatnonzero(units).tolist()}

    @cached_property
    def period_s(self) -> tuple[int, int] | None:
        """First and last time zero of the eligible, or None."""
        t0_s = self.t0_s[self.eligible]
        return (int(t0_s.min()), int(t0_s.max())) if t0_s.size else None


def frame(core: Core, unit: Unit, outcome: Outcome, clock: Clock) -> Frame:
    """Return the cohort after signup; ``match.why_not`` says which outcomes the core knows."""
    units = core.users if unit == "user" else core.companies
    shared = unit == "account" or outcome.belongs_to == "account"
    known = np.flatnonzero(units.is_matched & ~units.is_internal)
    company = units.company_key[known].astype(np.int64)
    owner = np.where(company >= 0, company, -1 - known) if shared else known
    _, cluster = np.unique(owner, return_inverse=True)
    t0_s, outcome_at_s = units.t0_s[known], _outcome_at_s(core, units, outcome, shared)[known]
    return Frame(
        known.astype(np.int32),
        cluster.astype(np.int32),
        units.month[known],
        t0_s,
        outcome_at_s,
        *_judged(t0_s, outcome_at_s, clock),
    )


def with_outcomes(rows: Frame, outcome_at_s: NDArray[np.int64], clock: Clock) -> Frame:
    """Return the cohort as it would be with other outcomes; ``clock`` is the one it was made with."""
    status, converted = _judged(rows.t0_s, outcome_at_s, clock)
    return replace(rows, outcome_at_s=outcome_at_s, status=status, converted=converted)


def _judged(
    t0_s: NDArray[np.int64], outcome_at_s: NDArray[np.int64], clock: Clock
) -> tuple[NDArray[np.int8], NDArray[np.bool_]]:
    opens = t0_s + clock.landmark_s + clock.gap_s
    closes = opens + clock.horizon_s
    status = np.select(
        [t0_s < clock.outcomes_since_s, outcome_at_s < opens, closes > clock.data_end_s],
        [UNRECORDED, NOT_AT_RISK, IMMATURE],
        ELIGIBLE,
    )
    return status.astype(np.int8), (outcome_at_s >= opens) & (outcome_at_s < closes)


def _outcome_at_s(core: Core, units: Units, outcome: Outcome, shared: bool) -> NDArray[np.int64]:
    if outcome.source == "deal won":
        return units.won_account_s if shared else units.won_own_s
    if outcome.source == "deal created":
        return units.created_account_s if shared else units.created_own_s
    users = core.users
    by_user = np.full(users.t0_s.size, NEVER, dtype=np.int64)
    if outcome.event in core.event_names:
        event = core.event_names.index(outcome.event)
        pairs = slice(*core.event_pairs[event : event + 2].tolist())
        user = core.pair_user[pairs]
        by_user[user] = users.t0_s[user] + core.rel_s[core.pair_start[pairs]]
    if not shared:
        return by_user
    has_company = users.company_key >= 0
    by_company = np.full(core.companies.t0_s.size, NEVER, dtype=np.int64)
    company = users.company_key[has_company]
    np.minimum.at(by_company, company, by_user[has_company])
    if units is core.companies:
        return by_company
    by_user[has_company] = by_company[company]
    return by_user
