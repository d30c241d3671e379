"""From counts to evidence: one time-safe backtest, measured or refused with a reason."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

import numpy as np
from numpy.typing import NDArray

from beton.errors import InputError
from beton.model.conditions import shown
from beton.model.evidence import (
    Cohort,
    Evidence,
    FunnelStep,
    Interval,
    Leads,
    Measured,
    MonthRow,
    Note,
    NotMeasurable,
    Passport,
    Table,
)
from beton.model.manifest import Manifest
from beton.model.outcome import Outcome
from beton.model.signal import DAY_S, SignalDefinition
from beton.model.words import days, sentence
from beton.stats.clustered import clustered_difference, clustered_ratio
from beton.stats.power import minimum_detectable_lift
from beton.stats.proportions import TwoByTwo, p_value, risk_difference_interval, risk_ratio_interval
from beton.warehouse.compile import seconds
from beton.warehouse.counts import CohortCounts
from beton.warehouse.landmark import (
    ELIGIBLE,
    IMMATURE,
    INTERNAL,
    NOT_AT_RISK,
    UNMATCHED,
    UNRECORDED,
    Clock,
)

ENGINE: Final = "sql-1"
CORE_ENGINE: Final = "core-1"
SANDBOX_ENGINE: Final = "sandbox-1"
GAP_DAYS: Final = 1.0
HORIZON_QUANTILE: Final = 0.8
LEAD_MONTHS: Final = 3
FEW_CLUSTERS: Final = 30
NO_DEALS: Final = "No deals were imported, so nothing says who converted: import deals, then run again."


def outcome_of(signal: SignalDefinition, manifest: Manifest) -> Outcome:
    """The outcome the signal names, else the workspace's, else a won deal of the user or the account."""
    outcome = signal.outcome or manifest.conversion or Outcome()
    check_event(outcome, manifest)
    return outcome


def check_event(outcome: Outcome, manifest: Manifest) -> None:
    """Raise InputError if the outcome is an event that the data do not have."""
    if outcome.source == "event" and outcome.event not in {event.name for event in manifest.events}:
        raise InputError(
            f"the outcome's event {shown(outcome.event)} is not in the data; `beton info` lists the events"
        )


def lacks_deals(outcome: Outcome, manifest: Manifest) -> bool:
    """Whether the outcome is about deals, of which the data have none."""
    return outcome.source != "event" and manifest.outcomes_since is None


def cohort_of(
    signal: SignalDefinition, outcome: Outcome, time_to_outcome_s: NDArray[np.int64], sales_cycle_days: int
) -> Cohort:
    """Fix L, gap and H: H is the larger of the sales cycle and the 80th percentile of observed time to outcome."""
    horizon, source = horizon_of(outcome, time_to_outcome_s, sales_cycle_days)
    return Cohort(signal.unit, signal.timing, signal.landmark_days, GAP_DAYS, horizon, source)


def horizon_of(outcome: Outcome, time_to_outcome_s: NDArray[np.int64], sales_cycle_days: int) -> tuple[float, str]:
    """Return the length of the outcome window in days, and where it comes from."""
    observed = (
        math.ceil(float(np.quantile(time_to_outcome_s, HORIZON_QUANTILE)) / DAY_S) if time_to_outcome_s.size else 0
    )
    if outcome.horizon_days is not None:
        return outcome.horizon_days, "set with the outcome"
    if observed > sales_cycle_days:
        return observed, f"80th percentile of {time_to_outcome_s.size:,} observed times to outcome"
    return sales_cycle_days, "the sales cycle in Settings"


def clock_of(cohort: Cohort, outcome: Outcome, manifest: Manifest) -> Clock:
    """The cohort's clock in seconds, with the span in which outcomes were recorded."""
    since = manifest.range.start if outcome.source == "event" else manifest.outcomes_since
    return Clock(
        landmark_s=seconds(cohort.landmark_days),
        gap_s=seconds(cohort.gap_days),
        horizon_s=seconds(cohort.horizon_days),
        data_end_s=int(manifest.data_end.timestamp()),
        outcomes_since_s=int((since or manifest.data_end).timestamp()),
    )


@dataclass(frozen=True)
class Question:
    """What was asked of which data; everything evidence needs besides the counts."""

    signal: SignalDefinition
    outcome: Outcome
    cohort: Cohort
    manifest: Manifest
    sql: str
    engine: str = ENGINE


def evidence_of(question: Question, counts: CohortCounts) -> Evidence:
    """Turn the counts of one cohort into its evidence."""
    signal, manifest = question.signal, question.manifest
    clustered = question.outcome.belongs_to == "account" or signal.timing == "any time"
    result = _refusal(question, counts) or _measure(counts, clustered)
    return Evidence(
        passport=Passport(
            definition=signal.to_dict(),
            definition_hash=signal.meaning_hash(),
            words=sentence(signal),
            snapshot_version=manifest.version,
            workspace=manifest.name,
            demo=manifest.demo,
            engine=question.engine,
            outcome=question.outcome,
            sql=question.sql,
        ),
        cohort=question.cohort,
        period=_period(counts),
        funnel=_funnel(question, counts),
        result=result,
        months=_months(counts),
        leads=_leads(counts, manifest),
        notes=(*_notes(question), *_cluster_notes(result, clustered)),
    )


def _period(counts: CohortCounts) -> tuple[str, str] | None:
    if counts.period_s is None:
        return None
    first, last = (datetime.fromtimestamp(at, UTC).date().isoformat() for at in counts.period_s)
    return first, last


def _funnel(question: Question, counts: CohortCounts) -> tuple[FunnelStep, ...]:
    cohort = question.cohort
    unit = "users" if cohort.unit == "user" else "accounts"
    gap = f"{days(cohort.gap_days)} gap"
    start = f"the landmark + {gap}" if cohort.timing == "any time" else f"{days(cohort.landmark_days)} + {gap}"
    stages: tuple[tuple[int | None, str, str, str], ...] = (
        (None, "all", f"All {unit}", ""),
        (INTERNAL, "external", "Not internal or test", "internal or test account"),
        (UNMATCHED, "matched", "Matched identity", "no CRM contact with the same e-mail"),
        (UNRECORDED, "recorded", "Outcomes recorded", "began before the CRM recorded outcomes"),
        (NOT_AT_RISK, "at_risk", "At risk", f"already converted before the outcome window ({start})"),
        (IMMATURE, "mature", "Mature", f"outcome window of {days(cohort.horizon_days)} not over at the data's end"),
    )
    if cohort.timing == "any time":  # weeks exist only for identified users whose whole look-back was observed
        stages = ((None, "all", "User-weeks with a full window", ""), *stages[-2:])
    left = sum(counts.status_units.values())
    steps = []
    for status, key, label, why in stages:
        left -= counts.status_units.get(status, 0) if status is not None else 0
        steps.append(FunnelStep(key, label, left, why))
    return tuple(steps)


def _refusal(question: Question, counts: CohortCounts) -> NotMeasurable | None:
    table, plain = counts.table, as_table(counts.table)
    unit = "users" if question.cohort.unit == "user" else "accounts"
    if lacks_deals(question.outcome, question.manifest):
        return NotMeasurable("no_outcomes_recorded", NO_DEALS)
    if not counts.status_units.get(ELIGIBLE):
        return NotMeasurable("no_eligible_units", f"No {unit} are eligible: the funnel shows where they were lost.")
    if table.units_with == 0:
        return NotMeasurable(
            "no_units_with_signal", f"No eligible {unit} carry this signal. Loosen a condition and run again.", plain
        )
    if table.units_without == 0:
        return NotMeasurable(
            "no_units_without_signal",
            f"All eligible {unit} carry this signal, so there is nobody to compare with.",
            plain,
        )
    if table.converted == 0:
        return NotMeasurable(
            "no_conversions",
            f"None of the {table.units:,} eligible {unit} converted within {days(question.cohort.horizon_days)}.",
            plain,
        )
    return None


def as_table(table: TwoByTwo) -> Table:
    """The plain record of a table."""
    return Table(table.converted_with, table.units_with, table.converted_without, table.units_without)


def two_by_two(table: Table) -> TwoByTwo:
    """The table with its arithmetic."""
    return TwoByTwo(table.converted_with, table.units_with, table.converted_without, table.units_without)


def score_intervals(tables: Sequence[TwoByTwo]) -> list[Interval]:
    """Miettinen-Nurminen intervals of the lifts of several tables, all at once."""
    cells = np.array([(t.converted_with, t.units_with, t.converted_without, t.units_without) for t in tables])
    lower, upper = risk_ratio_interval(*cells.reshape(-1, 4).T)
    method = "Miettinen-Nurminen score"
    return [Interval(float(low), _finite(float(high)), method) for low, high in zip(lower, upper, strict=True)]


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def measure(table: TwoByTwo) -> Measured:
    """Statistics of a table of independent units; what ``beton compare`` prints."""
    lower, upper = risk_difference_interval(
        table.converted_with, table.units_with, table.converted_without, table.units_without
    )
    tested = p_value(table)
    base = table.rate_without or table.base_rate or 0.0
    return Measured(
        table=as_table(table),
        lift=_finite(table.lift) if table.lift is not None else None,
        lift_interval=score_intervals([table])[0],
        extra_points=table.extra_points or 0.0,
        extra_points_interval=Interval(float(lower), float(upper), "Newcombe hybrid score"),
        p_value=1.0 if tested.value is None else tested.value,
        p_value_method=tested.method,
        precision=table.precision or 0.0,
        coverage=table.coverage or 0.0,
        lead_time_median_days=None,
        minimum_detectable_lift=minimum_detectable_lift(table.units_with, table.units_without, base),
        clusters=table.units,
        design_effect=None,
    )


def _measure(counts: CohortCounts, clustered: bool) -> Measured:
    """``measure``, with clustered errors where units of one account repeat and the table allows them."""
    table = counts.table
    plain = measure(table)
    lead = float(np.median(counts.lead_s)) / DAY_S if counts.lead_s.size else None
    plain = replace(plain, lead_time_median_days=lead, clusters=counts.moments.clusters)
    if not clustered or counts.moments.clusters == table.units:
        return plain
    ratio, difference = clustered_ratio(table, counts.moments), clustered_difference(table, counts.moments)
    if ratio is None or difference is None:
        return plain
    effect = max(ratio.design_effect, 1.0)
    base = table.rate_without or table.base_rate or 0.0
    return replace(
        plain,
        lift_interval=Interval(ratio.lower, ratio.upper, "account-clustered sandwich"),
        extra_points_interval=Interval(difference.lower, difference.upper, "account-clustered sandwich"),
        p_value=ratio.p_value,
        p_value_method="account-clustered Wald",
        minimum_detectable_lift=minimum_detectable_lift(table.units_with / effect, table.units_without / effect, base),
        design_effect=ratio.design_effect,
    )


def _months(counts: CohortCounts) -> tuple[MonthRow, ...]:
    comparable = [t for t in counts.months.values() if t.units_with and t.units_without and t.converted]
    intervals = dict(zip(map(id, comparable), score_intervals(comparable), strict=True))
    return tuple(
        MonthRow(
            month=f"{month // 100:04d}-{month % 100:02d}",
            table=as_table(table),
            lift=_finite(table.lift) if id(table) in intervals and table.lift is not None else None,
            lift_interval=intervals.get(id(table)),
        )
        for month, table in sorted(counts.months.items())
    )


def _leads(counts: CohortCounts, manifest: Manifest) -> Leads:
    """Units that first matched, per calendar month; the mean is over the last three full months of the data."""
    by_month = dict.fromkeys(_calendar(manifest), 0)
    for day, units in counts.first_matches.items():
        month = datetime.fromtimestamp(day * DAY_S, UTC).strftime("%Y-%m")
        if month in by_month:
            by_month[month] += units
    full = [month for month in by_month if _is_full(month, manifest)][-LEAD_MONTHS:]
    mean = sum(by_month[month] for month in full) / len(full) if full else None
    return Leads(mean, tuple(full), tuple(by_month.items()))


def _calendar(manifest: Manifest) -> list[str]:
    at, months = manifest.range.start, []
    year, month = at.year, at.month
    while datetime(year, month, 1, tzinfo=UTC) < manifest.data_end:
        months.append(f"{year:04d}-{month:02d}")
        year, month = (year + 1, 1) if month == 12 else (year, month + 1)
    return months


def _is_full(month: str, manifest: Manifest) -> bool:
    """A month counts as full when events were recorded on its first day and on its last."""
    year, number = (int(part) for part in month.split("-"))
    first = datetime(year, number, 1, tzinfo=UTC)
    after = datetime(year + number // 12, number % 12 + 1, 1, tzinfo=UTC)
    starts_in_time = (manifest.range.start - first).total_seconds() <= DAY_S
    ends_in_time = (after - manifest.data_end).total_seconds() <= DAY_S
    return starts_in_time and ends_in_time


def _notes(question: Question) -> list[Note]:
    notes = []
    dated = {p.name for p in question.manifest.properties if p.set_at}
    used = {leaf.property for leaf in question.signal.properties}
    current = sorted(used - dated)
    if current:
        text = f"{', '.join(current)}: known as of now, not as of the landmark, so it may leak the outcome"
        notes.append(Note("may_leak", text))
    if used & dated:
        text = (
            f"{', '.join(sorted(used & dated))}: values set after the landmark are not used, but what they replaced is "
            "unknown, and that somebody changed later may itself leak the outcome"
        )
        notes.append(Note("may_leak", text))
    if question.signal.properties and not question.signal.events:
        notes.append(Note("fit", "This is a trait (fit), not a behaviour: it says who they are, not what they did"))
    if question.signal.timing == "any time":
        notes.append(Note("weekly", "Weekly landmarks, pooled: one unit counts once for every Monday it was at risk"))
    if question.manifest.contacts is None:
        notes.append(Note("no_contacts", "No CRM contacts were imported, so every user counts as matched"))
    return notes


def _cluster_notes(result: Measured | NotMeasurable, clustered: bool) -> list[Note]:
    """Where units of one account repeat: too few accounts for their interval, or a table that has none."""
    if isinstance(result, NotMeasurable) or not clustered:
        return []
    units = result.table.units_with + result.table.units_without
    if result.design_effect is None:
        text = (
            f"A cell of the table is empty, so the {units:,} units of {result.clusters:,} accounts count as independent"
        )
        return [Note("not_clustered", text)] if result.clusters < units else []
    if result.clusters >= FEW_CLUSTERS:
        return []
    text = f"Only {result.clusters} accounts: clustered intervals are too narrow below {FEW_CLUSTERS}"
    return [Note("few_clusters", text)]
