"""Curves by hand, and doubts that arise on data made to raise them and stay away elsewhere."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from beton.discovery.cohorts import Cohort
from beton.discovery.comparisons import size_labels
from beton.discovery.curves import MAX_POINTS, curves, thinned
from beton.discovery.doubts import doubts, e_values, nearer_limit
from beton.discovery.findings import estimates, of_periods
from beton.discovery.heat_map import counted
from beton.discovery.shortlist import Entry
from beton.discovery.subject import Study, Subject, brief, table_of
from beton.model.discovery import Estimate, NearOutcome, Period
from beton.model.evidence import Interval, Table
from beton.model.examination import Curve, Doubt
from beton.model.signal import DAY_S, from_dict
from beton.stats.proportions import TwoByTwo, mid_p
from beton.stats.survival import Incidence
from beton.warehouse.compile import NEVER
from beton.warehouse.core.frame import Frame
from beton.warehouse.landmark import ELIGIBLE, IMMATURE, NOT_AT_RISK, UNRECORDED, Clock

CLOCK = Clock(3 * DAY_S, DAY_S, 10 * DAY_S, 100 * DAY_S, 0)


def framed(t0_days: list[float], outcome_days: list[float | None], status: list[int]) -> Frame:
    """Users with these signups, outcomes so many days after them (None: never), and standings."""
    t0_s = (np.array(t0_days) * DAY_S).astype(np.int64)
    waits = np.array([NEVER if day is None else int(day * DAY_S) for day in outcome_days], dtype=np.int64)
    outcome_at_s = np.where(waits == NEVER, NEVER, t0_s + np.where(waits == NEVER, 0, waits))
    opens_s = t0_s + CLOCK.landmark_s + CLOCK.gap_s
    keys = np.arange(t0_s.size, dtype=np.int32)
    return Frame(
        keys,
        keys,
        np.full(t0_s.size, 202401, dtype=np.int32),
        t0_s,
        outcome_at_s,
        np.array(status, dtype=np.int8),
        (outcome_at_s >= opens_s) & (outcome_at_s < opens_s + CLOCK.horizon_s),
    )


def cohort_of(rows: Frame, train: NDArray[np.bool_], stratum: NDArray[np.int64]) -> Cohort:
    zeros = np.zeros(rows.unit.size, dtype=np.int64)
    return Cohort(3, rows, train & rows.eligible, ~train & rows.eligible, zeros, stratum)


def test_a_curve_is_the_product_limit_worked_out_by_hand() -> None:
    # Watched for 5, 6, 6, 8, 9 and 14 days: conversions on days 5, 6 and 9; two leave unconverted on days 6 and 8.
    rows = framed(
        [0, 94, 0, 92, 0, 0, 0, 0, 99],
        [5, None, 6, None, 9, 20, 2, 5, None],
        [ELIGIBLE, IMMATURE, ELIGIBLE, IMMATURE, ELIGIBLE, ELIGIBLE, NOT_AT_RISK, UNRECORDED, IMMATURE],
    )
    everybody = np.ones(9, dtype=bool)

    curve, nobody = curves(cohort_of(rows, everybody, np.zeros(9, dtype=np.int64)), everybody, CLOCK)

    assert nobody is None
    assert curve is not None
    assert curve.days == (4, 5, 6, 9, 14)
    survived = (1, 5 / 6, 5 / 6 * 4 / 5, 5 / 6 * 4 / 5 * 1 / 2)
    assert curve.share == pytest.approx([*(1 - each for each in survived), 1 - survived[-1]])
    assert (curve.units, curve.converted) == (6, 3)
    spread = math.sqrt(1 / (6 * 5) + 1 / (5 * 4) + 1 / (2 * 1)) / -math.log(survived[-1])
    limits = [1 - survived[-1] ** math.exp(sign * 1.959964 * spread) for sign in (-1, 1)]
    assert (curve.lower[-1], curve.upper[-1]) == pytest.approx(limits, abs=1e-6)


def test_a_curve_of_mature_users_ends_at_their_rate() -> None:
    random = np.random.default_rng(1)
    waits = [float(day) if day < 14 else None for day in random.uniform(4, 40, 300)]
    rows, signal = framed([0.0] * 300, waits, [ELIGIBLE] * 300), random.random(300) < 0.4

    made = curves(cohort_of(rows, signal, np.zeros(300, dtype=np.int64)), signal, CLOCK)

    for curve, arm in zip(made, (signal, ~signal), strict=True):
        assert curve is not None
        assert curve.share[-1] == pytest.approx(rows.converted[arm].mean())
        assert curve.converted == rows.converted[arm].sum()


def test_everybody_converted_leaves_limits_that_can_be_drawn() -> None:
    rows = framed([0, 0, 0], [5, 6, 7], [ELIGIBLE] * 3)
    everybody = np.ones(3, dtype=bool)

    curve, _ = curves(cohort_of(rows, everybody, np.zeros(3, dtype=np.int64)), everybody, CLOCK)

    assert isinstance(curve, Curve)
    assert curve.share[-1] == 1
    assert all(math.isfinite(each) for each in (*curve.lower, *curve.upper))
    assert curve.lower[-1] == curve.lower[2] > 0
    assert curve.upper[-1] == 1


def test_thinning_keeps_steps_as_they_were_and_the_last() -> None:
    steps = Incidence(*(np.linspace(0, end, 1_001) for end in (100, 0.5, 0.4, 0.6)))

    kept = thinned(steps, MAX_POINTS)

    assert kept.time.size == MAX_POINTS
    places = np.searchsorted(steps.time, kept.time)
    assert all((part[places] == left).all() for part, left in zip(steps, kept, strict=True))
    assert kept.time[-1] == 100
    assert thinned(kept, MAX_POINTS) is kept


Arm = NDArray[np.bool_]


class Made:
    """Eligible users, 2,000 in train and 2,000 later; conversion 10% without the signal, carried by every second."""

    def __init__(self, **more: Any) -> None:
        n = 4_000
        self.signal = np.arange(n) % 2 == 0
        self.train = np.arange(n) < n // 2
        self.month = np.where(np.arange(n) // 4 % 2 == 0, 202401, 202402).astype(np.int32)
        self.stratum = np.arange(n) // 8 % 5
        self.cluster = np.arange(n)
        self.rate = np.where(self.signal, 0.3, 0.1)
        self.near: tuple[NearOutcome, ...] = ()
        self.when: dict[str, Any] = {"event": "x", "within_days": 3}
        for name, value in more.items():
            setattr(self, name, value)

    def about(self) -> Subject:
        random = np.random.default_rng(7).random(self.signal.size)
        converted = getattr(self, "converted", random < self.rate)
        rows = Frame(
            np.arange(self.signal.size, dtype=np.int32),
            np.asarray(self.cluster, dtype=np.int32),
            self.month,
            np.zeros(self.signal.size, dtype=np.int64),
            np.where(converted, 5 * DAY_S, NEVER),
            np.full(self.signal.size, ELIGIBLE, dtype=np.int8),
            converted,
        )
        cohort = cohort_of(rows, self.train, np.asarray(self.stratum, dtype=np.int64))
        train, later = (table_of(cohort, self.signal, each) for each in (cohort.train, cohort.holdout))
        p = float(mid_p(*train.cells))
        entry = Entry((), cohort, self.signal, train, later, math.log(max(p, 1e-300)), p, p)
        return Subject(from_dict({"name": "Made", "when": self.when}), entry, of_periods(entry), None, self.near)

    def doubt(self, key: str) -> Doubt:
        about = self.about()
        manifest: Any = type("Facts", (), {"properties": (), "version": "0"})()
        study = Study(None, manifest, None, *(3 * [lambda *asked: ()]))  # type: ignore[arg-type,list-item]
        period = Period("2024-06-01", "2024-09-01", 2_000, 100)
        made = {each.key: each for each in doubts(study, about, brief(study, about), period)}
        return made[key]


def severities(made: Made) -> dict[str, str]:
    keys = ("size", "leak", "traits", "replication", "activity", "calendar", "accounts")
    return {key: made.doubt(key).severity for key in keys}


def test_no_doubt_without_a_reason() -> None:
    assert set(severities(Made()).values()) == {"clear"}


def only(key: str, made: Made) -> Doubt:
    """The doubt that was raised on purpose, after a look that it was not there before."""
    assert Made().doubt(key).severity == "clear"
    return made.doubt(key)


def test_activity_that_makes_the_lift_is_named() -> None:
    active = np.arange(4_000) % 4 < 2
    random = np.random.default_rng(3).random(4_000)
    signal = random < np.where(active, 0.8, 0.2)
    confounded = Made(signal=signal, rate=np.where(active, 0.4, 0.05), stratum=active.astype(int))

    found = only("activity", confounded)

    assert found.severity == "warning"
    assert "could be no difference" in found.sentence
    assert Made().doubt("activity").sentence.count("goes away") == 1


def test_strata_that_compare_nobody_leave_activity_unknown() -> None:
    signal = np.arange(4_000) % 2 == 0
    assert Made(stratum=signal.astype(int)).doubt("activity").severity == "unknown"


def test_a_lift_of_one_month_is_named() -> None:
    first = Made().month == 202401
    seasonal = Made(rate=np.where(Made().signal & first, 0.5, 0.1))

    found = only("calendar", seasonal)

    assert found.severity == "warning"
    assert "Jan 2024" in found.sentence
    assert "Feb 2024" in found.sentence
    assert Made(month=np.full(4_000, 202401, dtype=np.int32)).doubt("calendar").severity == "unknown"


def test_conversions_of_few_accounts_are_named() -> None:
    cluster = np.arange(4_000) // 400
    one_account = np.where((cluster == 3) & Made().signal, 0.9, 0.05)

    found = only("accounts", Made(cluster=cluster, rate=one_account))

    assert found.severity == "warning"
    assert "10 accounts" in found.sentence


def test_accounts_of_two_users_are_no_doubt() -> None:
    assert Made(cluster=np.arange(4_000) // 2).doubt("accounts").severity == "clear"


def test_a_direction_that_turns_is_named_and_a_weak_confirmation_is_no_proof() -> None:
    base = Made()
    turned = Made(rate=np.where(base.signal, np.where(base.train, 0.3, 0.05), 0.1))
    weak = Made(rate=np.where(base.signal & base.train, 0.3, 0.1))

    few = Made(signal=np.where(base.train, base.signal, np.arange(4_000) % 100 == 0))

    assert "the direction turned" in only("replication", turned).sentence
    assert turned.doubt("replication").severity == "warning"
    assert weak.doubt("replication").severity != "clear"
    assert few.doubt("replication").severity == "unknown"
    assert "too few" in few.doubt("replication").sentence


def test_a_signal_that_all_converters_carry_is_confirmed_too() -> None:
    gate = Made(rate=np.where(Made().signal, 0.3, 0.0))
    study: Any = type("Study", (), {"listing": None})()
    found = gate.doubt("replication")

    assert found.severity == "clear"
    assert found.sentence.startswith("∞ (95%")
    assert brief(study, gate.about()).rung.level == 2


def test_nobody_is_told_on_whom_a_signal_of_their_own_was_chosen() -> None:
    assert "had no part in choosing it" not in Made().doubt("replication").sentence


def test_near_certain_conversion_and_events_near_the_outcome_are_leaks() -> None:
    base = Made()
    near = NearOutcome("x", 20, 18, "18 of 20 converters did x in the 7 days before")

    assert only("leak", Made(rate=np.where(base.signal, 0.99, 0.1))).severity == "warning"
    assert only("leak", Made(near=(near,))).sentence == f"{near.sentence}."


def test_few_carriers_are_too_few() -> None:
    assert only("size", Made(signal=np.arange(4_000) % 400 == 0)).severity == "warning"


def test_a_trait_is_known_as_of_now() -> None:
    assert only("traits", Made(when={"property": "role", "op": "=", "value": "x"})).severity == "warning"


def test_a_single_test_by_chance_is_named_and_a_strong_one_is_not_cleared() -> None:
    assert Made(rate=np.full(4_000, 0.1)).doubt("multiplicity").severity == "warning"
    assert Made().doubt("multiplicity").severity == "unknown"


@pytest.mark.parametrize(
    ("lift", "lower", "upper", "limit"),
    [(2.0, 1.5, 2.5, 1.5), (0.5, 0.3, 0.8, 0.8), (1.5, 0.9, 2.0, 1.0), (2.0, 1.2, None, 1.2), (0.9, 0.1, None, 1.0)],
)
def test_e_values_are_of_the_lift_and_its_nearer_limit(
    lift: float, lower: float, upper: float | None, limit: float
) -> None:
    of = Estimate(lift, Interval(lower, upper, ""), Table(1, 2, 1, 2))
    found = e_values(of)

    assert nearer_limit(of) == limit
    assert found is not None
    away = [max(each, 1 / each) for each in (lift, limit)]
    assert found == pytest.approx([each + math.sqrt(each * (each - 1)) for each in away])
    assert e_values(None) is None
    assert e_values(replace(of, lift=None)) is None


def test_estimates_of_many_tables_are_those_of_each() -> None:
    tables = [TwoByTwo(5, 50, 3, 80), TwoByTwo(0, 10, 0, 20), TwoByTwo(4, 9, 0, 30), TwoByTwo(0, 0, 3, 9)]

    made = estimates(tables)

    assert made == [estimates([table])[0] for table in tables]
    assert [each.interval.upper is None for each in made] == [False, True, True, True]
    assert [each.lift is None for each in made] == [False, True, True, True]
    assert estimates([]) == []


@pytest.mark.parametrize(
    ("when", "is_count"),
    [
        ({"event": "x"}, True),
        ({"event": "x", "op": "count >=", "value": 3, "within_days": 2}, True),
        ({"any": [{"all": [{"event": "x"}]}]}, True),
        ({"not": {"event": "x"}}, False),
        ({"event": "x", "op": "count <=", "value": 3}, False),
        ({"event": "*", "op": "active days >=", "value": 3}, False),
        ({"all": [{"event": "x"}, {"event": "y"}]}, False),
        ({"property": "x", "op": "=", "value": "y"}, False),
    ],
)
def test_a_count_of_one_event_is_recognised(when: dict[str, Any], is_count: bool) -> None:
    assert (counted(from_dict({"name": "x", "when": when})) is not None) == is_count


def test_bands_of_account_size_have_no_gaps() -> None:
    labels = size_labels()

    assert labels[0] == "up to 10"
    assert labels[1] == "11–50"
    assert labels[-1] == "1,001 or more"
    assert len(labels) == 6
