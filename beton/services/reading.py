"""What evidence means under today's settings: verdict, revenue and accuracy. Nothing here is stored."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Final, Literal

from beton.model.discovery import Estimate
from beton.model.evidence import Evidence, Measured, NotMeasurable
from beton.model.settings import CompanySettings
from beton.services.measurement import two_by_two
from beton.stats.accuracy import Accuracy, accuracy_of
from beton.stats.power import units_needed
from beton.stats.proportions import TwoByTwo, p_value
from beton.stats.revenue import ExpectedConversions, Projection, attributable_difference, expected_conversions, project

Label = Literal["Enable", "Watch", "Reject", "Not enough data", "Cannot tell"]
MIN_EXPECTED_CONVERSIONS: Final = 5
SIGNIFICANCE: Final = 0.05
WEEKS_PER_MONTH: Final = 365.25 / 12 / 7


@dataclass(frozen=True)
class Verdict:
    """A recommendation, why, and what would settle it."""

    label: Label
    reason: str
    units_missing: int | None = None
    weeks_missing: float | None = None


@dataclass(frozen=True)
class Acv:
    """The contract value used, in the workspace's currency, and where it came from."""

    amount: float
    currency: str
    source: str


@dataclass(frozen=True)
class Reading:
    """Evidence as it is shown: with verdict, projection and accuracy."""

    verdict: Verdict
    acv: Acv
    projection: Projection | None
    expected: ExpectedConversions | None
    accuracy: Accuracy | None
    accuracy_by_month: tuple[tuple[str, Accuracy], ...] = ()


def read(evidence: Evidence, settings: CompanySettings, acv: Acv) -> Reading:
    """Work out verdict and revenue from stored evidence and the current settings."""
    result = evidence.result
    if isinstance(result, NotMeasurable):
        return Reading(Verdict("Cannot tell", result.sentence), acv, None, None, None)
    table = two_by_two(result.table)
    leads = evidence.leads.per_month
    projection = expected = None
    if leads is not None:
        interval = result.extra_points_interval
        upper = 1.0 if interval.upper is None else interval.upper
        projection = project(leads, result.extra_points, interval.lower, upper, acv.amount, "crude")
        expected = expected_conversions(leads, table.rate_with or 0.0, table.rate_without or 0.0)
    monthly = tuple((row.month, accuracy_of(two_by_two(row.table))) for row in evidence.months)
    return Reading(verdict(evidence, settings), acv, projection, expected, accuracy_of(table), monthly)


def with_adjusted(reading: Reading, evidence: Evidence, adjusted: Estimate | None) -> Reading:
    """Return the reading with revenue from the lift among users alike, where that is known: better than the crude."""
    result, crude = evidence.result, reading.projection
    if crude is None or adjusted is None or not adjusted.lift or isinstance(result, NotMeasurable):
        return reading
    rate_with = two_by_two(result.table).rate_with or 0.0
    upper = math.inf if adjusted.interval.upper is None else adjusted.interval.upper
    difference, low, high = attributable_difference(rate_with, adjusted.lift, adjusted.interval.lower, upper)
    leads = crude.leads_per_month
    projection = project(leads, difference, low, high, reading.acv.amount, "Mantel-Haenszel")
    expected = expected_conversions(leads, rate_with, rate_with - difference)
    return replace(reading, projection=projection, expected=expected)


def verdict(evidence: Evidence, settings: CompanySettings) -> Verdict:
    """Enable, Watch, Reject or Not enough data (definitions, section 3).

    Too few units or too few expected conversions come first: no other rule may speak on noise.
    """
    result = evidence.result
    if isinstance(result, NotMeasurable):
        return Verdict("Cannot tell", result.sentence)
    table = two_by_two(result.table)
    expected = table.expected_with
    if table.units_with < settings.min_sample:
        why = f"{table.units_with:,} with the signal; Settings asks for at least {settings.min_sample:,}"
        return _not_enough(evidence, result, settings, why)
    if expected < MIN_EXPECTED_CONVERSIONS and not _exceeds_chance(result, table):
        why = f"{expected:.1f} conversions expected with the signal; at least {MIN_EXPECTED_CONVERSIONS} are needed"
        return _not_enough(evidence, result, settings, why)
    return _decided(evidence, result, settings)


def _exceeds_chance(result: Measured, table: TwoByTwo) -> bool:
    """Whether interval and exact test agree: with few expected conversions the interval alone must not decide."""
    exact = p_value(table).value
    is_clear = result.lift_interval.lower > 1 and result.p_value < SIGNIFICANCE
    return is_clear and exact is not None and exact < SIGNIFICANCE


def _decided(evidence: Evidence, result: Measured, settings: CompanySettings) -> Verdict:
    lift = math.inf if result.lift is None else result.lift
    upper = math.inf if result.lift_interval.upper is None else result.lift_interval.upper
    lower, smallest = result.lift_interval.lower, settings.min_lift
    span = f"95% interval {_times(lower, 2)} to {_times(upper, 2)}"
    if upper < 1:
        return Verdict("Reject", f"Those with the signal convert less: {span}")
    if upper < smallest:
        return Verdict("Reject", f"{span} stays below the minimum lift of {smallest:g}x")
    significant = lower > 1 and result.p_value < SIGNIFICANCE
    if significant and any(note.kind == "not_clustered" for note in evidence.notes):
        return Verdict("Watch", f"{span}, but accounts repeat and an empty cell keeps them from being accounted for")
    if significant and lift >= smallest:
        return Verdict("Enable", f"Lift {_times(lift, 1)} with {span}, p {_p(result.p_value)}")
    if significant:
        return Verdict("Watch", f"A real difference ({span}), but below the minimum lift of {smallest:g}x")
    detectable = result.minimum_detectable_lift
    if detectable is None or detectable > smallest:
        shown = "no lift at all" if detectable is None else f"a lift of {_times(detectable, 2)} or more"
        return _not_enough(evidence, result, settings, f"{span}; this cohort can only show {shown}")
    if lift < 1:
        return Verdict("Reject", f"Lift {lift:.2f}x is below 1 and {span} shows no gain worth having")
    return Verdict("Watch", f"{span} includes 1: no difference shown yet")


def _times(lift: float, digits: int) -> str:
    return "∞" if math.isinf(lift) else f"{lift:.{digits}f}x"


def _p(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"= {value:.3f}"


def _not_enough(evidence: Evidence, result: Measured, settings: CompanySettings, why: str) -> Verdict:
    """Add how many more mature units, at this share of the signal, would satisfy every rule of the verdict."""
    table = two_by_two(result.table)
    missing = max(0, _units_for_verdict(table, result.design_effect, settings) - table.units)
    if not missing:
        return Verdict("Not enough data", why)
    monthly = table.units / max(1, len(evidence.months))
    return Verdict("Not enough data", why, missing, missing / monthly * WEEKS_PER_MONTH)


def _units_for_verdict(table: TwoByTwo, design_effect: float | None, settings: CompanySettings) -> int:
    """Units at which sample and expected conversions suffice and the minimum lift is found with 80% power."""
    base, rate_without = table.base_rate or 0.0, table.rate_without or 0.0
    growth = max(settings.min_sample, MIN_EXPECTED_CONVERSIONS / base) / table.units_with
    to_find = None
    if 0 < rate_without < 1 and settings.min_lift > 1:
        to_find = units_needed(settings.min_lift, table.units_with / table.units, rate_without)
    return math.ceil(max(table.units * growth, (to_find or 0) * max(design_effect or 1.0, 1.0)))
