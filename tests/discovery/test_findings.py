"""What is said of a kept signal: accounts as the unit of chance, and priors where there is little to learn from."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from made_runs import result

from beton.discovery.cohorts import Cohort
from beton.discovery.families import Counts
from beton.discovery.findings import CLUSTERED, SCORE, adjusted_lift, of_periods, prior_of, priors, table_log_p
from beton.discovery.shortlist import Entry, clustered
from beton.discovery.subject import table_of
from beton.warehouse.core.frame import Frame
from beton.warehouse.landmark import ELIGIBLE

ACCOUNTS, USERS = 300, 6
LEVEL = 0.05


def of_accounts(seed: int, share: float = 0.2, users: int = USERS) -> Entry:
    """Accounts whose users convert together, half of them later, and a trait of some that moves nothing."""
    random = np.random.default_rng(seed)
    account = np.repeat(np.arange(ACCOUNTS), users)
    keys, zeros = np.arange(account.size, dtype=np.int32), np.zeros(account.size, dtype=np.int64)
    converted, units = (random.random(ACCOUNTS)[account] < each for each in (share, 0.4))
    status = np.full(account.size, ELIGIBLE, dtype=np.int8)
    frame = Frame(keys, account.astype(np.int32), keys, zeros, zeros, status, converted)
    later = account >= ACCOUNTS // 2
    cohort = Cohort(14, frame, ~later, later, zeros, random.integers(0, 4, account.size))
    tables = (table_of(cohort, units, member) for member in (cohort.train, cohort.holdout))
    return Entry((0,), cohort, units, *tables, 0.0, 1.0, 1.0)


def test_later_cohorts_confirm_with_accounts_as_the_unit_of_chance() -> None:
    naive = confirmed = 0
    for seed in range(300):
        entry = of_accounts(seed)
        later = of_periods(entry)[1]
        naive += table_log_p(entry.holdout) < math.log(LEVEL)
        confirmed += later.log_p < math.log(LEVEL)
        assert later.estimate.interval.method == CLUSTERED
        assert later.estimate.lift == entry.holdout.lift

    assert naive > 80, "users of one account would not have misled"
    assert confirmed <= 27  # 5% of 300 and three standard errors


def test_users_of_their_own_accounts_have_score_intervals_and_mid_p() -> None:
    entry = of_accounts(1, users=1)

    for (estimate, log_p), table in zip(of_periods(entry), (entry.train, entry.holdout), strict=True):
        assert estimate.interval.method == SCORE
        assert log_p == table_log_p(table)


def test_the_adjusted_interval_is_as_much_wider_as_accounts_are_worth() -> None:
    shared, alone = of_accounts(2), of_accounts(2)
    alone.cohort.frame.cluster[:] = alone.cohort.frame.unit
    crude = clustered(shared, shared.cohort.frame.eligible)
    found = [adjusted_lift(each) for each in (shared, alone)]

    assert crude is not None
    assert crude.design_effect > 3
    widths = []
    for each in found:
        assert each is not None
        assert each.interval.upper is not None
        widths.append(math.log(each.interval.upper / each.interval.lower))
    assert widths[0] / widths[1] == pytest.approx(math.sqrt(crude.design_effect))


def test_a_run_without_pairs_or_without_failures_has_a_prior_of_no_effect() -> None:
    counts = np.array([[30, 70, 0, 0], [20, 80, 0, 0], [45, 55, 0, 0]])
    some = Counts(counts, np.broadcast_to([100, 900, 0, 0], counts.shape))
    none, everybody = some[np.zeros(0, np.int64)], Counts(counts * [1, 0, 0, 0], counts * 0 + [100, 0, 0, 0])
    found: Any = SimpleNamespace(singles=SimpleNamespace(counts=some), sample=none)
    certain: Any = SimpleNamespace(singles=SimpleNamespace(counts=everybody), sample=none)

    made = priors(found)

    assert (made["1"].candidates, made["2"].candidates) == (3, 0)
    assert made["1"].null_share < 1 == made["2"].null_share == priors(certain)["1"].null_share
    assert prior_of(made, 3) == prior_of(made, 2)
    assert float(prior_of(made, 2).posterior(1.0, 0.1).median) == 0.0


def test_a_triple_was_found_among_all_triples_too() -> None:
    made = result(family={"1": 10, "2": 45, "3": 120, "all": 55})

    assert [made.family_of(conditions) for conditions in (1, 2, 3)] == [55, 55, 175]
