"""What the command line prints: reports as plain text for people, and plain JSON values for machines."""

from __future__ import annotations

import dataclasses
import textwrap
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from beton.model import text
from beton.model.evidence import Evidence, Interval, Measured, NotMeasurable

if TYPE_CHECKING:
    from beton.model.discovery import Estimate
    from beton.model.examination import CannotExamine, Examination
    from beton.model.manifest import Manifest
    from beton.services.backtests import Report
    from beton.services.reading import Reading
    from beton.warehouse.imports import ImportPreview, ImportReport


def plain(value: Any) -> Any:
    """Turn dataclasses, mappings and times into JSON values; what JSON cannot hold (infinity) becomes null."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, float) and (value != value or abs(value) == float("inf")):
        return None
    return value if value is None or isinstance(value, str | int | float | bool) else str(value)


def manifest_text(manifest: Manifest) -> str:
    """Describe a snapshot."""
    demo = " (DEMO: a simulated company)" if manifest.demo else ""
    facts = [
        ("Snapshot", manifest.version),
        ("Built", text.date_time(manifest.built_at)),
        ("Events", text.date_range(manifest.range.start, manifest.range.end)),
        ("Outcomes", f"{text.date(manifest.outcomes_since)} to {text.date(manifest.data_end)}"),
    ]
    if manifest.contacts:
        share = manifest.contacts.matched / manifest.contacts.total if manifest.contacts.total else None
        facts.append(("Contacts matched", f"{text.percent(share, 0)} of {text.count(manifest.contacts.total)}"))
    rows = [(name, text.count(rows)) for name, rows in manifest.tables.items()]
    events = [(event.name, text.count(event.rows), text.count(event.users)) for event in manifest.events[:20]]
    properties = ", ".join(f"{item.name} ({item.scope}, {item.type})" for item in manifest.properties)
    return "\n".join(
        [
            f"{manifest.name}{demo}",
            *(f"  {label:<17} {value}" for label, value in facts),
            "\nTables",
            text.aligned(rows),
            *_rejects(manifest.rejects),
            "\nEvents (rows, users)",
            text.aligned(events),
            f"\nProperties\n  {properties}",
        ]
    )


def _rejects(rejects: Mapping[str, Mapping[str, int]]) -> list[str]:
    lines = [
        (f"{table}: {reason}", text.count(rows)) for table, found in rejects.items() for reason, rows in found.items()
    ]
    return ["\nRejected rows (kept in rejects.parquet of the snapshot)", text.aligned(lines)] if lines else []


def import_text(report: ImportReport) -> str:
    """Say what an import did."""
    manifest = report.manifest
    if report.status == "unchanged":
        return f"Nothing to do: these files are already imported as snapshot {manifest.version} ({manifest.name})."
    rows = ", ".join(f"{text.count(count)} {name}" for name, count in manifest.tables.items())
    return "\n".join([f"Imported {manifest.name} as snapshot {manifest.version}: {rows}.", *_rejects(manifest.rejects)])


def import_json(report: ImportReport) -> dict[str, Any]:
    """The same for machines."""
    return {"status": report.status, "manifest": plain(report.manifest)}


def preview_text(preview: ImportPreview) -> str:
    """Show what an import would read, table by table."""
    parts = [f"{preview.name}: dry run, nothing was changed"]
    for table in preview.tables:
        left_out = table.rows_read - table.rows_kept
        parts.append(f"\n{table.name}  {text.count(table.rows_kept)} rows, {text.count(left_out)} rejected")
        parts.append(text.aligned((c.field, f"<- {c.source}", f"{c.source_type} -> {c.type}") for c in table.columns))
        for reject in table.rejects:
            where = f"{reject.example_file} row {reject.example_row}"
            parts.append(
                f"  {text.count(reject.rows)} x {reject.reason}: {reject.sentence} First: {where}: {reject.example}"
            )
        parts.extend(f"  {', '.join(f'{k}={v}' for k, v in row.items())}" for row in table.sample)
    parts.append(f"\nIt would be refused: {preview.problem}" if preview.problem else "\nIt would be imported.")
    return "\n".join(parts)


def limits(interval: Interval, write: Any) -> str:
    """Write an interval; unbounded above is infinity."""
    return text.interval(write(interval.lower), write(float("inf") if interval.upper is None else interval.upper))


def measured_text(result: Measured) -> str:
    """The statistics of a table, with n and method of each."""
    t = result.table
    arms = [
        ("", "with signal", "without"),
        ("units", text.count(t.units_with), text.count(t.units_without)),
        ("converted", text.count(t.converted_with), text.count(t.converted_without)),
        ("rate", text.percent(t.converted_with / t.units_with), text.percent(t.converted_without / t.units_without)),
    ]
    lift = text.lift(float("inf") if result.lift is None else result.lift)
    points = limits(result.extra_points_interval, text.points)
    facts = [
        ("Lift", f"{lift}  (95% {limits(result.lift_interval, text.lift)}, {result.lift_interval.method})"),
        ("Extra points", f"{text.points(result.extra_points)}  (95% {points}, {result.extra_points_interval.method})"),
        ("p-value", f"{text.p_value(result.p_value)}  ({result.p_value_method})"),
        ("Precision", f"{text.percent(result.precision)} of those with the signal converted"),
        ("Coverage", f"{text.percent(result.coverage)} of conversions carried the signal"),
        ("Detectable lift", f"{text.lift(result.minimum_detectable_lift)} at 80% power"),
    ]
    if result.lead_time_median_days is not None:
        facts.append(("Lead time", f"{text.days(round(result.lead_time_median_days, 1))} (median, signal to outcome)"))
    if result.design_effect is not None:
        facts.append(("Accounts", f"{text.count(result.clusters)} (design effect {result.design_effect:.2f})"))
    return text.aligned(arms) + "\n\n" + "\n".join(f"  {label:<15} {value}" for label, value in facts)


def report_text(report: Report) -> str:
    """One backtest as a page of text."""
    from beton.services.explaining import paragraph

    evidence, reading = report.evidence, report.reading
    passport, cohort = evidence.passport, evidence.cohort
    demo = "  DEMO" if passport.demo else ""
    clock = (
        f"signal within {text.days(cohort.landmark_days)}, gap {text.days(cohort.gap_days)}, "
        f"outcome within {text.days(cohort.horizon_days)} ({cohort.horizon_source})"
    )
    period = f"{text.date_range(*evidence.period)}" if evidence.period else "no eligible units"
    funnel = text.aligned((step.label, text.count(step.units), step.dropped_because) for step in evidence.funnel)
    parts = [
        f"{passport.definition['name']}{demo}",
        f"  {passport.words}",
        f"  Outcome: {passport.outcome.words()}; {clock}",
        f"  Cohort: {period}; snapshot {passport.snapshot_version} ({passport.workspace})",
        "\nEligible",
        funnel,
        f"\nVerdict: {reading.verdict.label.upper()}",
        textwrap.fill(paragraph(evidence, reading, report.standing), 100, initial_indent="  ", subsequent_indent="  "),
    ]
    if isinstance(evidence.result, NotMeasurable):
        parts.append(f"  Not measurable ({evidence.result.reason}).")
    else:
        parts += [
            f"  {reading.verdict.reason}",
            "",
            measured_text(evidence.result),
            *_projection_text(evidence, reading),
            *_months_text(evidence),
        ]
    parts += [f"\nNote: {note.text}" for note in evidence.notes]
    return "\n".join(parts)


def _projection_text(evidence: Evidence, reading: Reading) -> list[str]:
    projection = reading.projection
    if projection is None:
        return ["\nRevenue: no full calendar month in the data yet, so no projection."]
    currency = reading.acv.currency
    span = text.interval(
        text.money(projection.annual_arr_lower, currency), text.money(projection.annual_arr_upper, currency)
    )
    factors = (
        f"{text.decimal(projection.leads_per_month)} leads a month ({', '.join(evidence.leads.months_used)}) x "
        f"{text.points(projection.rate_difference)} ({projection.rate_difference_source}) x 12 x "
        f"{text.money(reading.acv.amount, currency)} ACV ({reading.acv.source})"
    )
    return [
        f"\nRevenue, if acted upon: {text.money(projection.annual_arr, currency)} a year  (95% {span})",
        f"  = {factors}",
    ]


def _months_text(evidence: Evidence) -> list[str]:
    rows = [("Month", "with", "without", "lift", "95%")]
    for row in evidence.months:
        t = row.table
        interval = limits(row.lift_interval, text.lift) if row.lift_interval else "–"
        with_, without = (f"{t.converted_with}/{t.units_with}", f"{t.converted_without}/{t.units_without}")
        rows.append((text.month(row.month), with_, without, text.lift(row.lift), interval))
    return ["\nBy signup month (converted/units)", text.aligned(rows)]


def report_json(report: Report) -> dict[str, Any]:
    """One backtest for machines: the evidence and what it means today."""
    from beton.services.explaining import paragraph

    return {
        "run_id": report.run_id,
        "evidence": plain(report.evidence.to_json()),
        "reading": plain(report.reading),
        "explanation": paragraph(report.evidence, report.reading, report.standing),
        "stale_because": report.stale_because,
    }


def examination_text(found: Examination | CannotExamine) -> str:
    """What speaks for and against a signal beyond its backtest, as a page of text."""
    from beton.model.examination import Examination

    if not isinstance(found, Examination):
        return f"\nEvidence: cannot tell. {found.reason}"
    periods = [text.date_range(each.start, each.end) for each in (found.train_period, found.held_out_period)]
    level = f"level {found.rung.level} of 4, {found.rung.label}. {found.rung.reason}"
    rows = [("", "lift", "95%", "with", "without", "signed up")]
    for label, estimate, period in (
        ("Earlier cohorts", found.train, periods[0]),
        ("Held out", found.held_out, periods[1]),
        ("Adjusted", found.adjusted, "all eligible, with those alike"),
    ):
        if estimate is not None:
            rows.append((label, *_estimate_cells(estimate), period))
    facts = [f"  q {text.p_value(found.q_value)} ({found.family})"]
    if found.shrunk_lift is not None and found.shrunk_interval is not None:
        limits_ = limits(found.shrunk_interval, text.lift)
        certain = text.confidence(found.confidence)
        facts.append(f"  Shrunk lift {text.lift(found.shrunk_lift)} ({limits_}), confidence {certain}")
    if found.e_value is not None:
        facts.append(
            f"  E-value {found.e_value[0]:.1f} ({found.e_value[1]:.1f} at the limit): how many times more often a "
            "hidden cause would have to go with both signal and conversion to explain the adjusted lift"
        )
    marks = {"clear": "ok", "warning": "!!", "unknown": "??"}
    doubts = [f"  {marks[each.severity]}  {each.title} {each.sentence}" for each in found.doubts]
    notes = [f"\nNote: {note.text}" for note in found.notes]
    return "\n".join([f"\nEvidence: {level}", text.aligned(rows), *facts, "\nWhy it may be wrong", *doubts, *notes])


def _estimate_cells(estimate: Estimate) -> tuple[str, str, str, str]:
    table = estimate.table
    return (
        text.lift(float("inf") if estimate.lift is None else estimate.lift),
        limits(estimate.interval, text.lift),
        f"{table.converted_with}/{table.units_with}",
        f"{table.converted_without}/{table.units_without}",
    )
