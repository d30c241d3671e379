"""A backtest's result, drawn once; a new result replaces only its leaves, which is what makes it appear at once.

``leaves`` turns a report into the value of every leaf; ``result_view`` places the leaves. The page and the callback
that updates it both use ``leaves``, so they cannot differ.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

from dash import html

from beton.model.evidence import Evidence, Measured, NotMeasurable
from layouts import format, ids
from layouts.parts.attributes import data
from layouts.parts.cards import card, columns, metric, metrics
from layouts.parts.figures import empty_figure, graph
from layouts.parts.notices import Status
from layouts.parts.tables import table
from layouts.result_figures import funnel_figure, lift_figure, lift_limits, month_figure
from layouts.working import explanation, numbered, show_working

if TYPE_CHECKING:
    from beton.model.ledger import Standing
    from beton.services.backtests import Report
    from beton.services.explaining import Explanation
    from beton.services.reading import Reading

# name of the leaf -> the property that carries its value
LEAVES: Final[dict[str, str]] = {
    "run-id": "children",
    "title": "children",
    "words": "children",
    "clock": "children",
    "verdict": "children",
    "verdict-box": "data-verdict",
    "explanation": "children",
    "reason": "children",
    "working": "children",
    "numbers": "hidden",
    "lift": "children",
    "lift-sub": "children",
    "p": "children",
    "p-sub": "children",
    "points": "children",
    "points-sub": "children",
    "lead": "children",
    "lead-sub": "children",
    "unit": "children",
    "users-with": "children",
    "users-without": "children",
    "converted-with": "children",
    "converted-without": "children",
    "rate-with": "children",
    "rate-without": "children",
    "arr": "children",
    "arr-range": "children",
    "matches": "children",
    "expected": "children",
    "difference": "children",
    "acv": "children",
    "precision": "children",
    "coverage": "children",
    "detectable": "children",
    "accounts": "children",
    "accuracy": "children",
    "tested": "children",
    "notes": "children",
    "lift-figure": "figure",
    "months-figure": "figure",
    "funnel-figure": "figure",
    "months-table": "children",
    "funnel-table": "children",
}
CONFIDENCE: Final = "comes with discovery, which compares many candidates"
VERDICT_STATUS: Final[dict[str, Status]] = {
    "Enable": "healthy",
    "Watch": "watch",
    "Reject": "rejected",
    "Not enough data": "neutral",
    "Cannot tell": "neutral",
}


def leaves(report: Report, min_lift: float, explained: Explanation) -> dict[str, Any]:
    """Return the value of every leaf in ``LEAVES``."""
    evidence, reading = report.evidence, report.reading
    values = dict.fromkeys(LEAVES) | {"run-id": report.run_id, "tested": standing_words(report.standing)}
    values |= {"explanation": explained.paragraph, "working": numbered(explained.working)}
    values |= _about(evidence, reading) | _figures(evidence, min_lift)
    if isinstance(evidence.result, NotMeasurable):
        return values | {"numbers": True}
    return values | _statistics(evidence.result) | _revenue(evidence, reading) | {"numbers": False}


def _about(evidence: Evidence, reading: Reading) -> dict[str, Any]:
    cohort, passport = evidence.cohort, evidence.passport
    verdict = reading.verdict
    period = format.date_range(*evidence.period) if evidence.period else "no eligible units"
    label = "landmarks" if cohort.timing == "any time" else "signed up"
    clock = (
        f"{period} ({label}) · signal within {format.days(cohort.landmark_days)}, gap {format.days(cohort.gap_days)}, "
        f"outcome ({passport.outcome.words()}) within {format.days(cohort.horizon_days)}: {cohort.horizon_source} · "
        f"snapshot {passport.snapshot_version}"
    )
    return {
        "title": passport.definition["name"],
        "words": passport.words,
        "clock": clock,
        "unit": unit_word(evidence),
        "verdict": verdict.label,
        "verdict-box": VERDICT_STATUS[verdict.label],
        "reason": verdict.reason,
        "notes": [html.Li(note.text) for note in evidence.notes],
    }


def standing_words(standing: Standing | None) -> str:
    """Say the place of a test among all that people asked."""
    if standing is None:
        return "not asked by a person, so not among the tests"
    limit, p = standing.written
    holds = "holds" if standing.holds else "does not hold"
    return f"your {format.ordinal(standing.number)} of {standing.tested:,}: {holds} (p {p}, at most {limit} allowed)"


def unit_word(evidence: Evidence) -> str:
    """Return what was counted."""
    if evidence.cohort.timing == "any time":
        return "User-weeks"
    return "Accounts" if evidence.cohort.unit == "account" else "Users"


def missing_words(reading: Reading) -> str:
    """Say how many more mature units would settle it, and about how long that takes."""
    verdict = reading.verdict
    if not verdict.units_missing:
        return ""
    weeks = verdict.weeks_missing
    wait = "" if weeks is None else f", about {format.plural(math.ceil(weeks), 'week')} at the present pace"
    return f". Needs about {format.count(verdict.units_missing)} more mature units{wait}."


def _statistics(result: Measured) -> dict[str, Any]:
    t = result.table
    points = result.extra_points_interval
    upper = 1.0 if points.upper is None else points.upper
    significant = result.p_value < 0.05
    effect = result.design_effect
    return {
        "lift": format.lift(math.inf if result.lift is None else result.lift),
        "lift-sub": f"95% CI {lift_limits(result.lift_interval)}",
        "p": "Significant" if significant else "Not significant",
        "p-sub": f"p {_p(result.p_value)} · {result.p_value_method}",
        "points": format.points(result.extra_points),
        "points-sub": f"95% CI {format.interval(format.points(points.lower), format.points(upper))}",
        "lead": format.days(None if result.lead_time_median_days is None else round(result.lead_time_median_days, 1)),
        "lead-sub": "median, from signal to outcome",
        "users-with": format.count(t.units_with),
        "users-without": format.count(t.units_without),
        "converted-with": format.count(t.converted_with),
        "converted-without": format.count(t.converted_without),
        "rate-with": format.percent(t.rate_with),
        "rate-without": format.percent(t.rate_without),
        "precision": f"{format.percent(result.precision)} of those with the signal convert",
        "coverage": f"{format.percent(result.coverage)} of conversions carried the signal",
        "detectable": f"{format.lift(result.minimum_detectable_lift)} at 80% power",
        "accounts": format.count(result.clusters) + ("" if effect is None else f" (design effect {effect:.2f})"),
    }


def _p(value: float) -> str:
    text = format.p_value(value)
    return text if text.startswith("<") else f"= {text}"


def _revenue(evidence: Evidence, reading: Reading) -> dict[str, Any]:
    projection, expected, currency = reading.projection, reading.expected, reading.acv.currency
    found = {
        "acv": f"{format.money(reading.acv.amount, currency)} · {reading.acv.source}",
        "accuracy": _accuracy_words(reading),
    }
    if projection is None or expected is None:
        return found | {"arr": format.MISSING, "arr-range": "no full calendar month in the data yet"}
    low, high = (format.money_short(x, currency) for x in (projection.annual_arr_lower, projection.annual_arr_upper))
    used = ", ".join(format.month(month) for month in evidence.leads.months_used)
    with_signal, at_baseline = (format.decimal(n) for n in (expected.with_signal, expected.at_baseline))
    return found | {
        "arr": f"{format.money(projection.annual_arr, currency, signed=True)} / year",
        "arr-range": f"95% {format.interval(low, high)}, if acted upon",
        "matches": f"{format.decimal(projection.leads_per_month)} / month · mean of {used}",
        "expected": f"{with_signal} / month (vs {at_baseline} at baseline)",
        "difference": f"{format.points(projection.rate_difference)} · {projection.rate_difference_source}",
    }


def _accuracy_words(reading: Reading) -> str:
    accuracy = reading.accuracy
    if accuracy is None:
        return format.MISSING
    never = format.percent(accuracy.accuracy_of_never)
    return f"{format.percent(accuracy.accuracy)} (predicting nobody converts: {never})"


def _figures(evidence: Evidence, min_lift: float) -> dict[str, Any]:
    return {
        "lift-figure": lift_figure(evidence, min_lift),
        "months-figure": month_figure(evidence.months),
        "funnel-figure": funnel_figure(evidence.funnel),
        "months-table": format.aligned(_month_rows(evidence), indent=""),
        "funnel-table": format.aligned(_funnel_rows(evidence), indent=""),
    }


def _month_rows(evidence: Evidence) -> list[list[str]]:
    header = ["Month", "With", "Without", "Lift", "95% CI"]
    return [header] + [
        [
            format.month(row.month),
            f"{row.table.converted_with:,}/{row.table.units_with:,}",
            f"{row.table.converted_without:,}/{row.table.units_without:,}",
            format.lift(row.lift),
            format.MISSING if row.lift_interval is None else lift_limits(row.lift_interval),
        ]
        for row in evidence.months
    ]


def _funnel_rows(evidence: Evidence) -> list[list[str]]:
    return [[step.label, format.count(step.units), step.dropped_because] for step in evidence.funnel]


class Placed:
    """Puts leaves into a layout: each with its id and, if there is a result, its value."""

    def __init__(self, values: dict[str, Any] | None) -> None:
        self.values = values or {}

    def text(self, name: str, class_name: str = "") -> html.Span:
        """Return a leaf of text."""
        return html.Span(self.values.get(name), id=ids.result(name), className=class_name)

    def fact(self, label: str, name: str) -> html.Div:
        """Return a named value whose value is a leaf."""
        return html.Div([html.Dt(label), html.Dd(self.values.get(name), id=ids.result(name))], className="fact")

    def metric(self, label: str, name: str) -> html.Div:
        """Return a large figure with the line below it; both are leaves."""
        return metric(label, self.values.get(name), self.values.get(f"{name}-sub"), id=ids.result(name))

    def graph(self, name: str, label: str, height_px: int, as_table: Any = None) -> html.Figure:
        """Return a chart that is a leaf."""
        figure = self.values.get(f"{name}-figure") or empty_figure()
        return graph(ids.result(f"{name}-figure"), figure, label, height_px=height_px, as_table=as_table)

    def rows(self, name: str) -> html.Pre:
        """Return numbers in columns as one leaf of text: a table of components would take longer than the backtest."""
        return html.Pre(self.values.get(name), id=ids.result(name), className="numbers")


def result_view(values: dict[str, Any] | None) -> html.Div:
    """Return the result of a backtest as PRD 5.5 lays it out, empty when ``values`` is None."""
    at = Placed(values)
    return html.Div(
        [
            _verdict(at),
            html.Div(
                [
                    metrics(
                        at.metric("Lift", "lift"),
                        at.metric("Significance", "p"),
                        at.metric("Extra points", "points"),
                        at.metric("Lead time", "lead"),
                    ),
                    columns(comparison(at), revenue(at)),
                    columns(lift_card(at), months_card(at)),
                ],
                id=ids.result("numbers"),
                hidden=at.values.get("numbers", False),
                className="stack",
            ),
            columns(funnel_card(at), statistics(at)),
        ],
        className="stack",
    )


def _verdict(at: Placed) -> html.Section:
    return html.Section(
        [
            html.Div([html.Span("Recommendation", className="eyebrow"), at.text("verdict", "verdict-label")]),
            html.Div(
                [html.Div(at.text("words"), className="verdict-words"), explanation(at)], className="verdict-said"
            ),
            show_working(at),
        ],
        id=ids.result("verdict-box"),
        className="b-card verdict",
        **data(verdict=at.values.get("verdict-box", "neutral")),
    )


def comparison(at: Placed) -> html.Section:
    """Return the two arms side by side."""
    rows = [
        [label, at.text(f"{name}-with"), at.text(f"{name}-without")]
        for label, name in ((at.text("unit"), "users"), ("Converted", "converted"), ("Conversion rate", "rate"))
    ]
    return card("Comparison", table("Conversion with and without the signal", ["", "With signal", "Without"], rows))


def revenue(at: Placed) -> html.Section:
    """Return the projection with every factor of the product, in the words of PRD 5.5."""
    factors = [
        at.fact("Monthly matches", "matches"),
        at.fact("Expected conversions", "expected"),
        at.fact("Rate difference", "difference"),
        at.fact("ACV", "acv"),
    ]
    return revenue_card(at, factors, "Incremental ARR")


def revenue_card(at: Placed, factors: list[html.Div], total_name: str) -> html.Section:
    """Return the factors of a projection above their product."""
    name = html.Span(total_name, className="total-name")
    total = html.Div([name, at.text("arr", "total-value"), at.text("arr-range", "total-note")], className="total")
    return card("Revenue projection", [html.Dl(factors, className="facts"), total])


def lift_card(at: Placed) -> html.Section:
    """Return the interval plot."""
    note = "Overall and by month, 95% intervals. Solid line: no difference. Dotted: your minimum lift."
    return card("Lift", at.graph("lift", "Lift with its 95% interval, overall and by month", 340), note=note)


def months_card(at: Placed) -> html.Section:
    """Return conversion by signup month, with the numbers as a table."""
    label = "Conversion rate with and without the signal by month"
    drawn = at.graph("months", label, 300, at.rows("months-table"))
    return card("Conversion by month", drawn, note="Mature units, by month of time zero.")


def funnel_card(at: Placed) -> html.Section:
    """Return the eligibility funnel."""
    drawn = at.graph("funnel", "Units left after each rule of eligibility", 260, at.rows("funnel-table"))
    return card("Who was counted", drawn, note=at.text("clock"))


def statistics(at: Placed) -> html.Section:
    """Return the remaining statistics and the cautions."""
    confidence = html.Div([html.Dt("Confidence"), html.Dd(CONFIDENCE)], className="fact")
    facts = [*statistics_facts(at), at.fact("Among all tests", "tested"), confidence]
    return card("Statistics", [html.Dl(facts, className="facts"), cautions(at)])


def statistics_facts(at: Placed) -> list[html.Div]:
    """Return the statistics that follow from the backtest alone."""
    return [
        at.fact("Precision", "precision"),
        at.fact("Coverage", "coverage"),
        at.fact("Smallest detectable lift", "detectable"),
        at.fact("Independent accounts", "accounts"),
        at.fact("Accuracy", "accuracy"),
    ]


def cautions(at: Placed) -> html.Ul:
    """Return what to keep in mind about the result."""
    return html.Ul(at.values.get("notes"), id=ids.result("notes"), className="cautions")
