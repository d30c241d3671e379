"""Power and detectable lift against statsmodels, the design table and simulation."""

from __future__ import annotations

import numpy as np
import pytest
from statsmodels.stats.proportion import power_proportions_2indep

from beton.errors import InputError
from beton.stats.power import minimum_detectable_lift, power, units_needed
from beton.stats.proportions import mid_p


def test_power_equals_statsmodels_on_1000_designs():
    rng = np.random.default_rng(1)
    n1, n0 = rng.integers(20, 5000, (2, 1000))
    p0 = rng.uniform(0.005, 0.5, 1000)
    lift = rng.uniform(1.05, np.minimum(1 / p0, 6))
    theirs = [
        # both count only detections in the true direction
        power_proportions_2indep(p * r - p, p, n, m / n, alpha=0.025, alternative="larger", return_results=False)
        for n, m, p, r in zip(n1, n0, p0, lift, strict=True)
    ]
    np.testing.assert_allclose(power(n1, n0, p0, lift), theirs, atol=1e-9)


def test_power_of_a_published_design():
    assert power(300, 8934, 0.034, 1.5) == pytest.approx(0.377, abs=0.0005)


@pytest.mark.slow
@pytest.mark.parametrize(("n1", "lift"), [(30, 4.56), (100, 2.79), (300, 1.5), (300, 1.98), (1247, 1.49)])
def test_power_is_what_the_z_test_delivers_and_mid_p_a_little_less(n1, lift):
    rng, draws = np.random.default_rng(2), 100_000
    a, c = rng.binomial(n1, 0.034 * lift, draws), rng.binomial(8934, 0.034, draws)
    pooled, upward = (a + c) / (n1 + 8934), a / n1 > c / 8934
    z = (a / n1 - c / 8934) / np.sqrt(pooled * (1 - pooled) * (1 / n1 + 1 / 8934))
    approximation = power(n1, 8934, 0.034, lift)
    # Monte Carlo adds at most 0.6 points to the error of the approximation
    assert (z > 1.959964).mean() == pytest.approx(approximation, abs=0.02)
    by_mid_p = ((mid_p(a, n1, c, 8934) < 0.05) & upward).mean()
    assert approximation - 0.10 < by_mid_p < approximation


def test_a_harmful_signal_is_found_as_well():
    assert power(3000, 9000, 0.10, 0.7) > 0.99
    assert power(3000, 9000, 0.10, 1.0) == pytest.approx(0.025)


def test_what_cannot_be_is_nan():
    assert np.isnan(power([0, 100, 100], 900, [0.1, 0.5, 0.0], [2, 3, 2])).all()


@pytest.mark.parametrize(
    ("units_with", "alpha", "lift"),
    [
        (30, 0.05, 4.6),
        (100, 0.05, 2.8),
        (300, 0.05, 2.0),
        (1247, 0.05, 1.5),
        (30, 1e-5, 7.3),
        (100, 1e-5, 4.3),
        (1247, 1e-5, 1.9),
    ],
)
def test_minimum_detectable_lift_of_the_flagship_cohort(units_with, alpha, lift):
    assert minimum_detectable_lift(units_with, 8934, 0.034, alpha) == pytest.approx(lift, abs=0.05)


def test_minimum_detectable_lift_has_exactly_the_power_asked_for():
    for n1, p0, wanted in ((30, 0.034, 0.8), (1000, 0.3, 0.9), (50, 0.6, 0.8)):
        lift = minimum_detectable_lift(n1, 5000, p0, power=wanted)
        assert power(n1, 5000, p0, lift) == pytest.approx(wanted, abs=1e-9)


@pytest.mark.parametrize(
    "design", [(2, 50, 0.5), (40, 2, 0.5), (0, 900, 0.1), (900, 0, 0.1), (900, 900, 0.0), (900, 900, 1.0)]
)
def test_nothing_is_detectable(design):
    assert minimum_detectable_lift(*design) is None


@pytest.mark.parametrize(("holdout", "leads"), [(0.1, 10_200), (0.2, 5_700), (0.5, 3_600)])
def test_units_needed_for_published_experiments(holdout, leads):
    assert units_needed(1.3, 1 - holdout, 0.10) == pytest.approx(leads, rel=0.015)


@pytest.mark.parametrize(("lift", "share", "base_rate"), [(1.5, 0.12, 0.034), (0.6, 0.3, 0.2), (3, 0.01, 0.01)])
def test_units_needed_are_enough_and_one_less_is_not(lift, share, base_rate):
    units = units_needed(lift, share, base_rate)
    assert units is not None

    def reached(n: int) -> float:
        return float(power(n * share, n * (1 - share), base_rate, lift))

    assert reached(units) >= 0.8 > reached(units - 1)


def test_units_needed_is_none_where_no_number_suffices():
    assert units_needed(1.0, 0.3, 0.1) is None
    assert units_needed(3.0, 0.3, 0.5) is None


def test_bad_arguments_are_refused():
    with pytest.raises(InputError, match="alpha is 5; give"):
        power(300, 900, 0.1, 2, alpha=5)
    with pytest.raises(InputError, match="power is 80; give"):
        minimum_detectable_lift(300, 900, 0.1, power=80)
    with pytest.raises(InputError, match="share_with is 0; give"):
        units_needed(2, 0, 0.1)
