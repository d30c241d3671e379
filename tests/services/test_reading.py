"""What evidence means under the settings of today: verdicts, and revenue with every factor."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from beton.model.discovery import Estimate
from beton.model.evidence import Cohort, Evidence, Interval, Leads, Measured, MonthRow, NotMeasurable, Passport, Table
from beton.model.outcome import Outcome
from beton.model.settings import CompanySettings
from beton.services.measurement import measure
from beton.services.reading import MIN_EXPECTED_CONVERSIONS, Acv, Reading, Verdict, read, verdict, with_adjusted
from beton.stats.power import minimum_detectable_lift
from beton.stats.proportions import TwoByTwo

FLAGSHIP = TwoByTwo(177, 1_247, 304, 8_934)
SETTINGS = CompanySettings(min_lift=1.5, min_sample=30)
ACV = Acv(27_000.0, "USD", "Settings")
WEEKS_PER_MONTH = 365.25 / 12 / 7


def evidence(result: TwoByTwo | Measured | NotMeasurable, leads: float | None = 40.0, months: int = 10) -> Evidence:
    shown = measure(result) if isinstance(result, TwoByTwo) else result
    row = MonthRow("2024-01", Table(2, 10, 1, 10), 2.0, None)
    return Evidence(
        passport=Passport({}, "", "", "v", "Northwind", False, "sql-1", Outcome(), ""),
        cohort=Cohort("user", "after signup", 3, 1, 45, "the sales cycle in Settings"),
        period=None,
        funnel=(),
        result=shown,
        months=(row,) * months,
        leads=Leads(leads, (), ()),
    )


def judged(
    result: TwoByTwo | Measured | NotMeasurable, company: CompanySettings = SETTINGS, months: int = 10
) -> Verdict:
    return verdict(evidence(result, months=months), company)


# --- verdicts


def test_the_flagship_is_enabled() -> None:
    found = judged(FLAGSHIP)

    assert found == Verdict("Enable", "Lift 4.2x with 95% interval 3.50x to 4.97x, p < 0.001")


VERDICTS: list[tuple[TwoByTwo, str, str]] = [
    (TwoByTwo(140, 1_000, 304, 8_934), "Enable", "Lift 4.1x"),
    (TwoByTwo(12, 100, 40, 900), "Enable", "p = 0.005"),
    (TwoByTwo(60, 100, 0, 900), "Enable", "Lift ∞ with 95% interval"),
    (TwoByTwo(1_300, 10_000, 1_000, 10_000), "Reject", "stays below the minimum lift of 1.5x"),
    (TwoByTwo(450, 3_000, 330, 3_000), "Watch", "A real difference"),
    (TwoByTwo(1_010, 10_000, 1_000, 10_000), "Reject", "stays below the minimum lift"),
    (TwoByTwo(20, 1_000, 500, 9_000), "Reject", "convert less: 95% interval 0.2"),
    (TwoByTwo(0, 1_000, 500, 9_000), "Reject", "convert less"),
    (TwoByTwo(10, 20, 100, 1_000), "Not enough data", "20 with the signal; Settings asks for at least 30"),
    (TwoByTwo(3, 100, 16, 900), "Not enough data", "1.9 conversions expected with the signal; at least 5 are needed"),
    (TwoByTwo(9, 100, 10, 900), "Enable", "Lift 8.1x"),
    (TwoByTwo(13, 200, 60, 1_000), "Not enough data", "this cohort can only show a lift of 1.9"),
    (TwoByTwo(40, 40, 50, 50), "Reject", "stays below the minimum lift"),
]  # fmt: skip


@pytest.mark.parametrize(("table", "label", "reason"), VERDICTS)
def test_a_table_has_one_verdict_with_its_reason(table: TwoByTwo, label: str, reason: str) -> None:
    found = judged(table)

    assert found.label == label
    assert reason in found.reason


def wide(lift: float, detectable: float | None) -> Measured:
    """A result that is neither significant nor clearly below the minimum lift."""
    table = Table(60, 1_000, 500, 9_000)
    plain = measure(TwoByTwo(60, 1_000, 500, 9_000))
    return replace(
        plain,
        table=table,
        lift=lift,
        lift_interval=Interval(0.8, 1.6, "x"),
        p_value=0.3,
        minimum_detectable_lift=detectable,
    )


def test_a_cohort_with_power_that_shows_nothing_is_watched_or_rejected() -> None:
    assert judged(wide(1.1, 1.45)).label == "Watch"
    assert judged(wide(1.1, 1.45)).reason == "95% interval 0.80x to 1.60x includes 1: no difference shown yet"
    assert judged(wide(0.95, 1.45)).label == "Reject"
    assert judged(wide(0.95, 1.45)).reason.startswith("Lift 0.95x is below 1")


def test_a_cohort_without_power_is_never_judged() -> None:
    for lift in (0.95, 1.1):
        assert judged(wide(lift, 1.55)).label == "Not enough data"
        assert "can only show a lift of 1.55x or more" in judged(wide(lift, 1.55)).reason
        assert "can only show no lift at all" in judged(wide(lift, None)).reason


def test_an_interval_above_one_needs_a_p_value_too() -> None:
    doubtful = replace(wide(1.6, 1.4), lift_interval=Interval(1.01, 2.0, "x"), p_value=0.06)

    assert judged(doubtful).label == "Watch"
    assert judged(replace(doubtful, p_value=0.04)).label == "Enable"


def test_what_could_not_be_measured_is_not_judged() -> None:
    refusal = NotMeasurable("no_conversions", "None of the 9 eligible users converted within 45 days.")
    found = read(evidence(refusal), SETTINGS, ACV)

    assert found == Reading(Verdict("Cannot tell", refusal.sentence), ACV, None, None, None)


# --- what would settle it


def test_missing_units_reach_the_minimum_sample() -> None:
    table = TwoByTwo(100, 200, 100, 1_800)
    found = judged(table, CompanySettings(min_sample=300, min_lift=5.0), months=4)

    assert found.label == "Not enough data"
    assert found.units_missing == 1_000
    assert found.weeks_missing == pytest.approx(1_000 / (2_000 / 4) * WEEKS_PER_MONTH)


def test_missing_units_reach_the_expected_conversions() -> None:
    table = TwoByTwo(1, 100, 9, 900)
    found = judged(table, CompanySettings(min_sample=1, min_lift=100))

    assert found.label == "Not enough data"
    assert found.units_missing == 4_000


def test_missing_units_reach_the_power_for_the_minimum_lift() -> None:
    table = TwoByTwo(13, 200, 60, 1_000)
    found = judged(table)

    assert found.units_missing is not None
    total = table.units + found.units_missing
    share = table.units_with / table.units
    needed = minimum_detectable_lift(total * share, total * (1 - share), 0.06)
    assert needed == pytest.approx(1.5, rel=0.001)


def test_clustered_units_are_worth_less_so_more_are_missing() -> None:
    plain = measure(TwoByTwo(13, 200, 60, 1_000))
    independent = judged(plain).units_missing
    clustered = judged(replace(plain, design_effect=3.0)).units_missing

    assert independent is not None
    assert clustered is not None
    assert clustered + 1_200 == pytest.approx(3 * (independent + 1_200), abs=3)


def test_accounts_that_differ_more_than_chance_do_not_make_units_worth_more() -> None:
    plain = measure(TwoByTwo(13, 200, 60, 1_000))

    assert judged(replace(plain, design_effect=0.4)) == judged(plain)


def test_without_months_the_weeks_are_counted_from_one() -> None:
    table = TwoByTwo(13, 200, 60, 1_000)
    none, one = judged(table, months=0), judged(table, months=1)

    assert none == one


def test_a_lift_that_no_rate_can_carry_promises_nothing() -> None:
    found = judged(wide(1.1, None), CompanySettings(min_lift=30.0, min_sample=1))

    assert found.label in ("Reject", "Not enough data")
    assert (found.units_missing, found.weeks_missing) == (None, None)


@st.composite
def tables(draw: st.DrawFn) -> TwoByTwo:
    n1, n0 = draw(st.integers(1, 3_000)), draw(st.integers(1, 30_000))
    a, c = draw(st.integers(0, n1)), draw(st.integers(0, min(n0, 2_000)))
    return TwoByTwo(a or 1 - min(c, 1), n1, c, n0)


@settings(max_examples=150, deadline=None)
@given(tables().filter(lambda t: t.units > 300), st.sampled_from([0.0, 1.0, 1.5, 4.0]), st.sampled_from([1, 30, 5_000]))
def test_every_table_has_a_verdict_and_never_a_negative_need(table: TwoByTwo, min_lift: float, min_sample: int) -> None:
    company = CompanySettings(min_lift=min_lift, min_sample=min_sample)
    found = read(evidence(table), company, ACV)

    assert found.verdict.reason
    assert found.projection is not None
    assert (found.verdict.units_missing is None) == (found.verdict.weeks_missing is None)
    if found.verdict.units_missing is not None:
        assert found.verdict.label == "Not enough data"
        assert found.verdict.units_missing > 0
        assert found.verdict.weeks_missing is not None
        assert found.verdict.weeks_missing > 0
    assert table.units_with >= min_sample or found.verdict.label == "Not enough data"
    few_expected = table.units_with * table.converted / table.units < MIN_EXPECTED_CONVERSIONS
    if few_expected and found.verdict.label != "Not enough data":
        assert measure(table).lift_interval.lower > 1
        assert measure(table).p_value < 0.05


# --- revenue and accuracy


def reading(result: TwoByTwo | Measured = FLAGSHIP, leads: float | None = 40.0, acv: Acv = ACV) -> Reading:
    return read(evidence(result, leads), SETTINGS, acv)


def test_the_factors_of_the_projection_multiply_out() -> None:
    shown = reading().projection

    assert shown is not None
    assert shown.rate_difference == pytest.approx(177 / 1_247 - 304 / 8_934)
    assert shown.extra_conversions_per_month == pytest.approx(shown.leads_per_month * shown.rate_difference)
    assert shown.annual_arr == pytest.approx(shown.leads_per_month * shown.rate_difference * 12 * shown.acv)
    assert shown.annual_arr == pytest.approx(40 * 0.107914 * 12 * 27_000, rel=1e-4)
    assert (shown.leads_per_month, shown.acv, shown.rate_difference_source) == (40, 27_000, "crude")


def test_the_range_of_the_projection_is_that_of_the_difference() -> None:
    shown = reading().projection
    interval = measure(FLAGSHIP).extra_points_interval

    assert shown is not None
    assert interval.upper is not None
    assert shown.annual_arr_lower == pytest.approx(40 * interval.lower * 12 * 27_000)
    assert shown.annual_arr_upper == pytest.approx(40 * interval.upper * 12 * 27_000)
    assert shown.annual_arr_lower < shown.annual_arr < shown.annual_arr_upper


def adjusted(lift: float | None, lower: float, upper: float | None) -> Estimate:
    return Estimate(lift, Interval(lower, upper, "Mantel-Haenszel"), Table(*FLAGSHIP.cells))


def test_revenue_comes_from_users_alike_where_that_is_known() -> None:
    shown = with_adjusted(reading(), evidence(FLAGSHIP, 40.0), adjusted(2.0, 1.25, 4.0))
    rate = 177 / 1_247

    assert shown.projection is not None
    assert shown.expected is not None
    assert shown.projection.rate_difference_source == "Mantel-Haenszel"
    assert shown.projection.rate_difference == pytest.approx(rate / 2)
    assert shown.projection.rate_difference_lower == pytest.approx(rate / 5)
    assert shown.projection.rate_difference_upper == pytest.approx(rate * 3 / 4)
    assert shown.projection.annual_arr == pytest.approx(40 * rate / 2 * 12 * 27_000)
    assert shown.expected.with_signal == pytest.approx(40 * rate)
    assert shown.expected.at_baseline == pytest.approx(40 * rate / 2)


def test_without_a_lift_among_users_alike_revenue_stays_crude() -> None:
    for unknown in (None, adjusted(None, 0.0, None)):
        assert with_adjusted(reading(), evidence(FLAGSHIP, 40.0), unknown) == reading()
    nothing = reading(leads=None)
    assert with_adjusted(nothing, evidence(FLAGSHIP, None), adjusted(2.0, 1.25, 4.0)) == nothing


def test_a_harmful_signal_costs_money() -> None:
    shown = reading(TwoByTwo(20, 1_000, 500, 9_000)).projection

    assert shown is not None
    assert shown.annual_arr_lower < shown.annual_arr < shown.annual_arr_upper < 0


def test_an_interval_without_upper_limit_ends_at_certain_conversion() -> None:
    open_ended = replace(measure(FLAGSHIP), extra_points_interval=Interval(0.05, None, "x"))
    shown = reading(open_ended).projection

    assert shown is not None
    assert shown.rate_difference_upper == 1


def test_expected_conversions_are_leads_times_rates() -> None:
    shown = reading().expected

    assert shown is not None
    assert shown.with_signal == pytest.approx(40 * 177 / 1_247)
    assert shown.at_baseline == pytest.approx(40 * 304 / 8_934)


def test_without_a_full_month_of_leads_nothing_is_projected() -> None:
    shown = reading(leads=None)

    assert (shown.projection, shown.expected) == (None, None)
    assert shown.verdict.label == "Enable"
    assert shown.accuracy is not None


def test_accuracy_is_that_of_the_flagship_table() -> None:
    shown = reading().accuracy

    assert shown is not None
    assert shown.accuracy == pytest.approx((177 + 8_934 - 304) / 10_181)
    assert shown.accuracy == pytest.approx(0.865, abs=0.0005)
    assert shown.accuracy_of_never == pytest.approx(1 - 481 / 10_181)


def test_accuracy_of_a_month_is_of_its_own_table() -> None:
    (month, accuracy), *_ = reading().accuracy_by_month

    assert month == "2024-01"
    assert accuracy.accuracy == pytest.approx((2 + 10 - 1) / 20)


# --- settings move what is shown, evidence stays


@pytest.mark.parametrize(
    ("company", "label"),
    [
        (CompanySettings(min_lift=1.5), "Enable"),
        (CompanySettings(min_lift=4.5), "Watch"),
        (CompanySettings(min_lift=6.0), "Reject"),
        (CompanySettings(min_sample=2_000), "Not enough data"),
    ],
)
def test_a_changed_threshold_changes_the_verdict(company: CompanySettings, label: str) -> None:
    stored: dict[str, Any] = evidence(FLAGSHIP).to_json()

    assert read(Evidence.from_json(stored), company, ACV).verdict.label == label


def test_a_changed_contract_value_scales_the_projection() -> None:
    one, two = reading().projection, reading(acv=Acv(54_000.0, "EUR", "Settings")).projection

    assert one is not None
    assert two is not None
    assert two.annual_arr == pytest.approx(2 * one.annual_arr)
    assert reading(acv=Acv(54_000.0, "EUR", "Settings")).acv.currency == "EUR"
