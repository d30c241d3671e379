"""Pruning on simulated cohorts: what is listed twice, explained, or no better than its parts does not stay."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from beton.discovery.cohorts import Cohort, activity_band
from beton.discovery.findings import adjusted_lift
from beton.discovery.shortlist import Bools, Entry, Pruned, prune
from beton.model.discovery import DiscoverySettings
from beton.stats.proportions import TwoByTwo, log_mid_p
from beton.warehouse.core.frame import Frame

UNITS = 12_000
CUTOFF_P = 0.01


class Made:
    """Units with an activity that moves the outcome, besides whatever a test plants."""

    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)
        self.activity = self.random.normal(size=UNITS)
        self.events = self.random.poisson(20 * np.exp(self.activity))
        self.train = np.arange(UNITS) < 7_000
        self.holdout = np.arange(UNITS) >= 7_500
        self.chance = 0.04 * np.exp(0.6 * self.activity)

    def coin(self, share: float) -> Bools:
        """A behaviour that has nothing to do with activity."""
        return self.random.random(UNITS) < share

    def cohort(self) -> Cohort:
        """Draw the outcomes, each unit an account of its own."""
        converted = self.random.random(UNITS) < np.minimum(self.chance, 1)
        keys, zero = np.arange(UNITS, dtype=np.int32), np.zeros(UNITS, dtype=np.int64)
        frame = Frame(keys, keys, keys, zero, zero, zero.astype(np.int8), converted)
        frame.__dict__["eligible"] = np.ones(UNITS, dtype=bool)
        return Cohort(14, frame, self.train, self.holdout, self.events, activity_band(self.events))


def entry(cohort: Cohort, features: tuple[int, ...], *parts: Bools) -> Entry:
    units = np.logical_and.reduce(parts)
    tables = []
    for member in (cohort.train, cohort.holdout):
        cells = [(member & side & cohort.frame.converted, member & side) for side in (units, ~units)]
        tables.append(TwoByTwo(*(int(mask.sum()) for pair in cells for mask in pair)))
    train = tables[0]
    log_p = float(log_mid_p(*train.cells))
    return Entry(features, cohort, units, *tables, log_p, math.exp(log_p), math.exp(log_p), parts if parts[1:] else ())


def pruned(*listed: Entry) -> Pruned:
    return prune(listed, CUTOFF_P, DiscoverySettings())


def names(answer: Pruned) -> list[tuple[int, ...]]:
    return [each.entry.features for each in answer.kept]


@pytest.mark.parametrize("seed", range(5))
def test_another_measure_of_what_is_kept_is_explained(seed: int) -> None:
    made = Made(seed)
    cause, other = made.coin(0.15), made.coin(0.15)
    echo = np.where(made.coin(0.5), cause, made.coin(0.15))
    made.chance = made.chance * np.where(cause, 4.0, 1.0) * np.where(other, 3.0, 1.0)
    cohort = made.cohort()

    answer = pruned(entry(cohort, (0,), cause), entry(cohort, (1,), other), entry(cohort, (2,), echo))

    assert names(answer) == [(0,), (1,)]
    assert answer.explained == 1


def test_a_near_copy_is_named_by_the_one_that_stands_for_it() -> None:
    made = Made(1)
    cause = made.coin(0.2)
    copy = cause & made.coin(0.9)
    made.chance = made.chance * np.where(cause, 4.0, 1.0)
    cohort = made.cohort()

    answer = pruned(entry(cohort, (0,), cause), entry(cohort, (1,), copy))

    assert [each.stands_for for each in answer.kept] == [((1,),)]
    assert answer.copies == 1


def test_too_few_expected_conversions_are_no_signal() -> None:
    made = Made(1)
    rare = made.coin(0.008)
    made.chance = made.chance * np.where(rare, 15.0, 1.0)

    answer = pruned(entry(made.cohort(), (0,), rare))

    assert not answer.kept
    assert answer.few == 1


def test_a_combination_has_to_add_to_each_of_its_parts() -> None:
    made = Made(2)
    one, two = made.coin(0.25), made.coin(0.25)
    for together, kept in ((3.0, [(0,), (1,), (0, 1)]), (0.5, [(0,), (1,)])):
        made.chance = 0.03 * np.where(one, 2.0, 1.0) * np.where(two, 2.0, 1.0) * np.where(one & two, together, 1.0)
        cohort = made.cohort()

        answer = pruned(entry(cohort, (0,), one), entry(cohort, (1,), two), entry(cohort, (0, 1), one, two))

        assert names(answer) == kept


def test_later_cohorts_have_no_say_in_what_is_listed() -> None:
    made = Made(2)
    one, two, copy = made.coin(0.25), made.coin(0.25), made.coin(0.9)
    made.chance = 0.03 * np.where(one, 2.0, 1.0) * np.where(two, 2.0, 1.0) * np.where(one & two, 3.0, 1.0)
    true = made.cohort()
    turned = np.where(made.train, true.frame.converted, ~(one | two) & made.coin(0.2))

    answers = []
    for converted in (true.frame.converted, turned):
        cohort = replace(true, frame=replace(true.frame, converted=converted))
        cohort.frame.__dict__["eligible"] = true.frame.eligible
        singles = (entry(cohort, (at,), part) for at, part in enumerate((one, two, one & copy)))
        answers.append(pruned(*singles, entry(cohort, (0, 1), one, two)))

    assert names(answers[0]) == [(0,), (1,), (0, 1)]
    assert names(answers[1]) == names(answers[0])
    assert answers[1].kept[2].entry.holdout.lift == 0.0


def test_a_signal_that_all_converters_carry_explains_its_echo() -> None:
    made = Made(1)
    gate = made.coin(0.4)
    echo = np.where(made.coin(0.5), gate, made.coin(0.3))
    made.chance = made.chance * np.where(gate, 2.0, 0.0)
    cohort = made.cohort()

    answer = pruned(entry(cohort, (0,), gate), entry(cohort, (1,), echo))

    assert answer.kept[0].entry.train.lift is None
    assert names(answer) == [(0,)]
    assert answer.explained == 1


def test_a_combination_with_activity_has_to_add_to_activity() -> None:
    made = Made(3)
    cause = made.coin(0.25)
    active = made.random.poisson(6 * np.exp(made.activity)) >= 8
    made.chance = made.chance * np.where(cause, 3.0, 1.0)
    cohort = made.cohort()
    single, double = entry(cohort, (0,), cause), entry(cohort, (0, 1), cause, active)

    assert double.train.lift is not None
    assert single.train.lift is not None
    assert double.train.lift > 1.3 * single.train.lift
    assert names(pruned(single, double)) == [(0,)]


def test_a_combination_of_what_was_dropped_goes_too() -> None:
    made = Made(4)
    cause, other = made.coin(0.3), made.coin(0.3)
    copy = cause & made.coin(0.9)
    made.chance = made.chance * np.where(cause, 2.5, 1.0) * np.where(other, 2.5, 1.0)
    cohort = made.cohort()
    singles = entry(cohort, (0,), cause), entry(cohort, (1,), other), entry(cohort, (2,), copy)

    assert (0, 1) in names(pruned(*singles, entry(cohort, (0, 1), cause, other)))
    assert names(pruned(*singles, entry(cohort, (1, 2), other, copy))) == [(0,), (1,)]


def test_nobody_in_a_band_of_activity_is_much_more_active_than_another() -> None:
    events = np.arange(5_000)
    band = activity_band(events)

    assert np.all(np.diff(band) >= 0)
    assert (band == band[0]).sum() == 1
    for each in np.unique(band[1:]):
        inside = events[band == each]
        assert inside.max() / inside.min() <= 1.25


def test_the_upper_end_of_activity_is_not_taken_for_an_effect() -> None:
    """Being among the most active is all there is to it; nobody below is comparable, or the lift is gone."""
    for seed in range(5):
        made = Made(seed)
        views = made.random.binomial(made.events, 0.5)
        cohort = made.cohort()
        heavy = entry(cohort, (0,), views >= 60)

        assert heavy.train.lift is not None
        assert heavy.train.lift > 2
        adjusted = adjusted_lift(heavy)
        assert adjusted is None or adjusted.interval.lower < 1
