"""Revenue: the formula by hand, and every factor handed on."""

from __future__ import annotations

import pytest

from beton.errors import InputError
from beton.stats.proportions import TwoByTwo, risk_difference_interval
from beton.stats.revenue import attributable_difference, expected_conversions, project

FLAGSHIP = TwoByTwo(177, 1247, 304, 8934)


def test_flagship_projection_by_hand():
    lower, upper = map(float, risk_difference_interval(177, 1247, 304, 8934))
    result = project(127, FLAGSHIP.extra_points, lower, upper, 27_000, "crude")
    assert result.extra_conversions_per_month == pytest.approx(13.70, abs=0.005)
    assert result.annual_arr == pytest.approx(4_440_000, rel=0.001)
    assert result.annual_arr_lower == pytest.approx(127 * 0.0892 * 12 * 27_000, rel=0.001)
    assert result.annual_arr_upper == pytest.approx(127 * 0.1287 * 12 * 27_000, rel=0.001)


def test_the_factors_printed_multiply_to_the_figure_printed():
    result = project(47, 0.05, 0.01, 0.09, 27_000, "Mantel-Haenszel")
    assert result.rate_difference_source == "Mantel-Haenszel"
    assert (result.rate_difference, result.rate_difference_lower, result.rate_difference_upper) == (0.05, 0.01, 0.09)
    assert result.annual_arr == pytest.approx(result.leads_per_month * result.rate_difference * 12 * result.acv)
    assert result.annual_arr == pytest.approx(result.extra_conversions_per_month * 12 * result.acv)


def test_a_harmful_signal_projects_a_loss():
    result = project(100, -0.02, -0.03, -0.01, 1000, "crude")
    assert result.annual_arr_lower < result.annual_arr < result.annual_arr_upper < 0


def test_conversions_of_a_month_against_baseline():
    expected = expected_conversions(47, FLAGSHIP.rate_with, FLAGSHIP.rate_without)
    assert (round(expected.with_signal), round(expected.at_baseline)) == (7, 2)


@pytest.mark.parametrize(
    ("change", "field"), [({"leads_per_month": -1}, "leads_per_month"), ({"acv": float("nan")}, "acv")]
)
def test_impossible_factors_are_refused(change, field):
    factors = {"leads_per_month": 10, "acv": 1000} | change
    with pytest.raises(InputError, match=f"^{field} is .*; give ") as caught:
        project(difference=0.1, lower=0.0, upper=0.2, source="crude", **factors)
    assert list(caught.value.fields) == [field]


@pytest.mark.parametrize("interval", [(0.1, 0.2, 0.3), (10.8, 8.9, 12.9), (0.1, float("nan"), 0.3)])
def test_points_or_an_interval_beside_its_estimate_are_refused(interval):
    with pytest.raises(InputError, match="give fractions"):
        project(10, *interval, 1000, "crude")


@pytest.mark.parametrize(
    ("ratio", "expected"),
    [
        ((2.0, 1.25, 4.0), (0.05, 0.02, 0.075)),
        ((1.0, 0.5, 2.0), (0.0, -0.1, 0.05)),
        ((0.5, 0.25, 1.0), (-0.1, -0.3, 0.0)),
        ((2.0, 0.0, float("inf")), (0.05, -1.0, 0.1)),
        ((2.0, 0.05, float("inf")), (0.05, -1.0, 0.1)),
    ],
)
def test_what_carriers_do_beyond_those_alike(ratio: tuple[float, float, float], expected: tuple[float, float, float]):
    assert attributable_difference(0.1, *ratio) == pytest.approx(expected)
