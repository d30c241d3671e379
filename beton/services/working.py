"""The working behind a recommendation: every figure with its formula, the numbers put in, and where the method is from.

Formulas hold the counts of the table, so that anyone can work them out again; docs/statistics.md says what they assume.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from beton.model import text
from beton.model.evidence import Cohort, Evidence, Interval, Measured, NotMeasurable, Table
from beton.model.ledger import Standing
from beton.model.settings import CompanySettings
from beton.services.measurement import two_by_two
from beton.services.reading import MIN_EXPECTED_CONVERSIONS, SIGNIFICANCE, Label, Reading
from beton.stats.proportions import normal_quantile, p_value, wilson_interval
from beton.stats.revenue import Projection

State = Literal["passed", "failed", "not reached"]

_SOURCES: Final = {
    "Miettinen-Nurminen score": "Miettinen & Nurminen (1985), Stat Med 4:213",
    "Newcombe hybrid score": "Newcombe (1998), Stat Med 17:873, method 10, from Wilson's limits of both rates",
    "Boschloo": "Boschloo (1970), Stat Neerl 24:1",
    "Fisher mid-P": "Lancaster (1961), JASA 56:223",
    "account-clustered Wald": "two-sided normal",
}
_CLUSTERED: Final = "account-clustered sandwich"
_CLUSTERED_RATIO: Final = "Zou & Donner (2013), Stat Methods Med Res 22:661"
_CLUSTERED_DIFFERENCE: Final = "Liang & Zeger (1986), Biometrika 73:13"


@dataclass(frozen=True)
class WorkingStep:
    """One step: ``formula`` is plain text with the numbers put in, a line for each part; ``source`` may be empty."""

    title: str
    formula: str
    result: str
    source: str = ""


@dataclass(frozen=True)
class Rule:
    """One question of the verdict and how it was answered; ``decides`` is the verdict if it ended there."""

    words: str
    state: State
    decides: Label | None = None


def working(
    evidence: Evidence, reading: Reading, settings: CompanySettings, standing: Standing | None = None
) -> tuple[WorkingStep, ...]:
    """Return the steps in the order in which one follows from the other."""
    result = evidence.result
    if isinstance(result, NotMeasurable):
        rates = () if result.table is None else _rates(result.table)
        said = WorkingStep("Verdict", result.reason, reading.verdict.label)
        return (_clock(evidence), *_funnel(evidence), *rates, said, _passport(evidence))
    return (
        _clock(evidence),
        *_funnel(evidence),
        *_rates(result.table),
        *_lift(result),
        *_difference(result),
        _test(result),
        *_sample(result),
        *_ledger(standing),
        _verdict(reading, rules(evidence, result, settings, standing)),
        *_revenue(evidence, reading),
        _passport(evidence),
    )


def _exact(number: float) -> str:
    """Write a number with enough figures to work on with."""
    if math.isinf(number):
        return text.INFINITY
    shown = f"{number:,.2f}".removesuffix(".00") if abs(number) >= 100_000 else f"{number:,.6g}"
    return shown.replace("-", text.MINUS)


def _clock(evidence: Evidence) -> WorkingStep:
    cohort = evidence.cohort
    opens = cohort.gap_days if cohort.timing == "any time" else cohort.landmark_days + cohort.gap_days
    lines = (
        f"T0 = {_time_zero(cohort)}",
        f"signal: {_signal_span(cohort)}",
        f"gap: {text.days(cohort.gap_days)}",
        f"outcome ({evidence.passport.outcome.words()}): from T0 + {text.days(opens)} to before T0 + "
        f"{text.days(opens + cohort.horizon_days)}",
    )
    found = f"L {text.days(cohort.landmark_days)}, H {text.days(cohort.horizon_days)}"
    return WorkingStep("Clock", "\n".join(lines), found, f"H: {cohort.horizon_source}")


def _time_zero(cohort: Cohort) -> str:
    if cohort.timing == "any time":
        return "every Monday on which the unit was at risk"
    return "signup" if cohort.unit == "user" else "the account's first user seen"


def _signal_span(cohort: Cohort) -> str:
    length = text.days(cohort.landmark_days)
    return f"the {length} before T0" if cohort.timing == "any time" else f"from T0 to before T0 + L = {length}"


def _funnel(evidence: Evidence) -> Iterator[WorkingStep]:
    if not evidence.funnel:
        return
    rows = ((step.label, text.count(step.units), step.dropped_because) for step in evidence.funnel)
    lines = (f"{label}: {units}{f' (left out: {why})' if why else ''}" for label, units, why in rows)
    yield WorkingStep("Who was counted", "\n".join(lines), f"{text.count(evidence.funnel[-1].units)} eligible")


def _arms(t: Table) -> tuple[str, str]:
    return (
        f"{text.count(t.converted_with)} / {text.count(t.units_with)}",
        f"{text.count(t.converted_without)} / {text.count(t.units_without)}",
    )


def _rates(t: Table) -> Iterator[WorkingStep]:
    with_it, without = _arms(t)
    yield WorkingStep("Rate with the signal, p1", with_it, text.percent(t.rate_with))
    yield WorkingStep("Rate without, p0", without, text.percent(t.rate_without))


def _lift(result: Measured) -> Iterator[WorkingStep]:
    with_it, without = _arms(result.table)
    lift = math.inf if result.lift is None else result.lift
    yield WorkingStep("Lift", f"({with_it}) / ({without})", text.lift(lift), "risk ratio, p1 / p0")
    interval = result.lift_interval
    if interval.method == _CLUSTERED:
        formula = f"exp(ln({_exact(lift)}) ± {_z()} × {_exact(_log_error(interval))})"
        source = f"{_CLUSTERED}: {_CLUSTERED_RATIO}; {_accounts(result)}"
    else:
        t = result.table
        formula = (
            "every ratio θ with |z(θ)| < 1.96, where z(θ) = (p1 − θ p0) / √((q1 (1 − q1) / n1 + θ² q0 (1 − q0) / n0) × "
            f"N / (N − 1)), q1 = θ q0 the likeliest rates under θ; n1 = {text.count(t.units_with)}, "
            f"n0 = {text.count(t.units_without)}, N = {text.count(t.units_with + t.units_without)}"
        )
        source = _sourced(interval.method)
    yield WorkingStep("95% interval of the lift", formula, _limits(interval), source)


def _log_error(interval: Interval) -> float:
    """The standard error of log lift, of which a clustered interval was made."""
    return math.log(_upper(interval) / interval.lower) / (2 * normal_quantile(0.95))


def _z() -> str:
    return f"{normal_quantile(0.95):.5f}"


def _accounts(result: Measured) -> str:
    effect = "" if result.design_effect is None else f", design effect {result.design_effect:.2f}"
    return f"{text.plural(result.clusters, 'account')}{effect}"


def _sourced(method: str) -> str:
    return f"{method}: {_SOURCES[method]}" if method in _SOURCES else method


def _limits(interval: Interval) -> str:
    return text.interval(text.lift(interval.lower), text.lift(_upper(interval)))


def _upper(interval: Interval) -> float:
    return math.inf if interval.upper is None else interval.upper


def _difference(result: Measured) -> Iterator[WorkingStep]:
    with_it, without = _arms(result.table)
    yield WorkingStep("Extra points, d", f"{with_it} − {without}", text.points(result.extra_points), "risk difference")
    interval = result.extra_points_interval
    lower, upper = interval.lower, 1.0 if interval.upper is None else interval.upper
    if interval.method == _CLUSTERED:
        error = (upper - lower) / (2 * normal_quantile(0.95))
        formula = f"{_exact(result.extra_points)} ± {_z()} × {_exact(error)}"
        source = f"{_CLUSTERED}: {_CLUSTERED_DIFFERENCE}"
    else:
        formula, source = _newcombe(result.table), _sourced(interval.method)
    found = text.interval(text.points(lower), text.points(upper))
    yield WorkingStep("95% interval of the extra points", formula, found, source)


def _newcombe(t: Table) -> str:
    (l1, u1), (l0, u0) = (
        tuple(_exact(float(limit)) for limit in wilson_interval(count, units))
        for count, units in ((t.converted_with, t.units_with), (t.converted_without, t.units_without))
    )
    return (
        f"d − √((p1 − {l1})² + ({u0} − p0)²) to d + √(({u1} − p1)² + (p0 − {l0})²), "
        f"with p1 from {l1} to {u1}, p0 from {l0} to {u0}"
    )


def _test(result: Measured) -> WorkingStep:
    t, interval = result.table, result.lift_interval
    converted, units = t.converted_with + t.converted_without, t.units_with + t.units_without
    margins = (
        f"{text.count(converted)} conversions among {text.count(units)}, "
        f"{text.count(t.units_with)} of them with the signal"
    )
    if result.p_value_method == "account-clustered Wald" and result.lift:
        formula = f"erfc(|z| / √2), z = ln({_exact(result.lift)}) / {_exact(_log_error(interval))}"
    elif result.p_value_method == "Fisher mid-P":
        a = text.count(t.converted_with)
        formula = f"2 × (P(beyond {a}) + P({a}) / 2), at most 1; {margins}"
    else:
        formula = f"twice the smaller one-sided Fisher p, at its largest over every common rate; {margins}"
    p = text.p_value(result.p_value)
    return WorkingStep(
        "Test of no difference", formula, f"p {p if p[0] == '<' else f'= {p}'}", _sourced(result.p_value_method)
    )


def _sample(result: Measured) -> Iterator[WorkingStep]:
    t = result.table
    converted, units = t.converted_with + t.converted_without, t.units_with + t.units_without
    formula = f"{text.count(t.units_with)} × {text.count(converted)} / {text.count(units)}"
    said = f"with the signal if it made no difference; {MIN_EXPECTED_CONVERSIONS} make a sample"
    yield WorkingStep("Expected conversions", formula, text.decimal(two_by_two(t).expected_with), said)
    effect = max(result.design_effect or 1.0, 1.0)
    base = (t.rate_without or 0.0) or converted / units
    sizes = ", ".join(
        f"{name} = {text.count(n)}{'' if effect == 1 else f' / {effect:.2f}'}"
        for name, n in (("n1", t.units_with), ("n0", t.units_without))
    )
    formula = f"smallest ratio found with 80% power at two-sided 5%; {sizes}, rate {_exact(base)}"
    found = text.lift(result.minimum_detectable_lift)
    yield WorkingStep("Smallest detectable lift", formula, found, "Fleiss, Levin & Paik (2003), chapter 4")


def _ledger(standing: Standing | None) -> Iterator[WorkingStep]:
    if standing is None:
        return
    lines = (
        f"p = {_exact(standing.p_value)} against level {_exact(standing.threshold)}",
        f"test {text.count(standing.number)} of {text.count(standing.tested)}; "
        f"discoveries so far: {text.count(standing.discoveries)}",
    )
    found = "holds" if standing.holds else "does not hold"
    yield WorkingStep(
        "Among all that was tested here", "\n".join(lines), found, "LORD++: Ramdas, Yang, Wainwright & Jordan (2017)"
    )


def rules(
    evidence: Evidence, result: Measured, settings: CompanySettings, standing: Standing | None = None
) -> tuple[Rule, ...]:
    """Return the questions of the verdict in their order, each passed, failed or not reached."""
    answers: list[Rule] = []
    at: int | None = 0
    for place, (words, is_met, met, unmet) in enumerate(_questions(evidence, result, settings, standing)):
        if place != at:
            answers.append(Rule(words, "not reached"))
            continue
        leads_to = met if is_met else unmet
        decides = leads_to if isinstance(leads_to, str) else None
        answers.append(Rule(words, "passed" if is_met else "failed", decides))
        at = leads_to if isinstance(leads_to, int) else None
    return tuple(answers)


_Question = tuple[str, bool, Label | int, Label | int]


def _questions(
    evidence: Evidence, result: Measured, settings: CompanySettings, standing: Standing | None
) -> tuple[_Question, ...]:
    """The rules of ``reading.verdict`` and of the ledger: words, answer, and the verdict or question that follows."""
    interval, least = result.lift_interval, settings.min_lift
    lift = math.inf if result.lift is None else result.lift
    upper, detectable = _upper(interval), result.minimum_detectable_lift
    is_clear = interval.lower > 1 and result.p_value < SIGNIFICANCE
    expected = two_by_two(result.table).expected_with
    is_enough = expected >= MIN_EXPECTED_CONVERSIONS or (is_clear and _exact_p(result) < SIGNIFICANCE)
    repeats = any(note.kind == "not_clustered" for note in evidence.notes)
    minimum, shown = f"minimum lift {least:g}", text.MISSING if detectable is None else _exact(detectable)
    return (
        (f"with the signal: {text.count(result.table.units_with)}, at least {text.count(settings.min_sample)}",
         result.table.units_with >= settings.min_sample, 1, "Not enough data"),
        (f"expected conversions: {_exact(expected)}, at least {MIN_EXPECTED_CONVERSIONS}, or a clear exact test",
         is_enough, 2, "Not enough data"),
        (f"upper limit: {_exact(upper)}, at least 1", upper >= 1, 3, "Reject"),
        (f"upper limit: {_exact(upper)}, at least the {minimum}", upper >= least, 4, "Reject"),
        (f"lower limit: {_exact(interval.lower)}, above 1, and p: {_exact(result.p_value)}, below {SIGNIFICANCE}",
         is_clear, 5, 7),
        ("accounts that repeat are allowed for", not repeats, 6, "Watch"),
        (f"lift: {_exact(lift)}, at least the {minimum}", lift >= least, 9 if standing else "Enable", "Watch"),
        (f"smallest detectable lift: {shown}, at most the {minimum}",
         detectable is not None and detectable <= least, 8, "Not enough data"),
        (f"lift: {_exact(lift)}, at least 1", lift >= 1, "Watch", "Reject"),
        *_corrections(standing),
    )  # fmt: skip


def _corrections(standing: Standing | None) -> Iterator[_Question]:
    """The question that only an idea of the ledger has to answer."""
    if standing is not None:
        words = f"p among all tests: {_exact(standing.p_value)}, at most {_exact(standing.threshold)}"
        yield words, standing.holds, "Enable", "Watch"


def _exact_p(result: Measured) -> float:
    """The exact p-value, which is the stored one wherever accounts were not allowed for."""
    if result.design_effect is None:
        return result.p_value
    exact = p_value(two_by_two(result.table)).value
    return 1.0 if exact is None else exact


def _verdict(reading: Reading, answers: tuple[Rule, ...]) -> WorkingStep:
    lines = (
        f"{place}. {rule.words}: {rule.state}{'' if rule.decides is None else f' → {rule.decides}'}"
        for place, rule in enumerate(answers, 1)
    )
    return WorkingStep("Verdict, rule by rule", "\n".join(lines), reading.verdict.label)


def _revenue(evidence: Evidence, reading: Reading) -> Iterator[WorkingStep]:
    projection = reading.projection
    if projection is None:
        return
    by_month, used = dict(evidence.leads.by_month), evidence.leads.months_used
    counted = [by_month[month] for month in used if month in by_month]
    if counted:
        formula = f"({' + '.join(text.count(n) for n in counted)}) / {len(counted)}"
        months = ", ".join(text.month(month) for month in used)
        yield WorkingStep("Leads a month", formula, text.decimal(projection.leads_per_month), f"mean of {months}")
    currency = reading.acv.currency
    yield WorkingStep(
        "Revenue a year, if acted upon",
        _product(projection, projection.rate_difference),
        text.money(projection.annual_arr, currency, signed=True),
        f"leads a month × difference ({projection.rate_difference_source}) × 12 × ACV ({reading.acv.source})",
    )
    ends = (projection.rate_difference_lower, projection.rate_difference_upper)
    low, high = (text.money(a, currency) for a in (projection.annual_arr_lower, projection.annual_arr_upper))
    formula = " to ".join(_product(projection, each) for each in ends)
    source = "the interval of the difference; leads and ACV count as known"
    yield WorkingStep("Its 95% interval", formula, text.interval(low, high), source)


def _product(projection: Projection, difference: float) -> str:
    return f"{_exact(projection.leads_per_month)} × {_exact(difference)} × 12 × {_exact(projection.acv)}"


def _passport(evidence: Evidence) -> WorkingStep:
    passport = evidence.passport
    lines = (
        f"snapshot {passport.snapshot_version} ({passport.workspace}{', demo' if passport.demo else ''})",
        f"engine {passport.engine}",
        f"definition {passport.definition_hash}",
    )
    return WorkingStep("To repeat it", "\n".join(lines), "same snapshot, same figures")
