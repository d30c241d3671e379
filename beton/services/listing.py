"""The list of signals: each with its backtest, its examination in brief, and the thresholds that it misses."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from beton.errors import BetonError
from beton.model.examination import Brief, CannotExamine
from beton.model.thresholds import missed
from beton.services.csv_text import csv_text
from beton.services.reading import with_adjusted
from beton.services.signals import SignalReport

if TYPE_CHECKING:
    from beton.model.discovery import Estimate
    from beton.model.settings import CompanySettings
    from beton.services import Services

COLUMNS: Final = (
    "name",
    "lift",
    "lower",
    "upper",
    "p_value",
    "units_with",
    "converted_with",
    "units_without",
    "converted_without",
    "leads_per_month",
    "annual_arr",
    "verdict",
    "evidence_level",
    "evidence",
    "evidence_reason",
    "confidence",
    "q_value",
    "shrunk_lift",
    "shrunk_lower",
    "shrunk_upper",
    "held_out_lift",
    "held_out_lower",
    "held_out_upper",
    "held_out_units_with",
    "held_out_converted_with",
    "adjusted_lift",
    "adjusted_lower",
    "adjusted_upper",
    "below_thresholds",
    "status",
    "definition_hash",
)


@dataclass(frozen=True)
class Listed:
    """One signal of the list. ``misses`` names the thresholds that it stays below and is not listed for: only a signal
    that discovery found and nobody has enabled misses any."""

    report: SignalReport
    brief: Brief | CannotExamine
    misses: tuple[str, ...] = ()

    @property
    def known(self) -> Brief | None:
        """The examination in brief, None where there is none."""
        return self.brief if isinstance(self.brief, Brief) else None

    @property
    def rank(self) -> tuple[int, float]:
        """What the list is ordered by: the level of evidence, then the shrunk lift, or the lift where no run gives one.

        -1 for what is unknown: a large lift that did not hold must not stand above a proven one.
        """
        shrunk = None if self.known is None else self.known.shrunk_lift
        lift = self.report.lift if shrunk is None else shrunk
        return -1 if self.known is None else self.known.rung.level, -1.0 if lift is None else lift


def listing(services: Services) -> list[Listed]:
    """Return every saved signal, the best proven first, among them the strongest."""
    settings = services.settings.read()
    made = []
    for report in services.signals.reports():
        brief = _brief(services, report)
        made.append(Listed(_projected(report, brief), brief, _misses(report, brief, settings)))
    return sorted(made, key=lambda one: one.rank, reverse=True)


def best_known(services: Services, report: SignalReport) -> SignalReport:
    """Return the report as the list shows it: with revenue from the lift among users alike, where that is known."""
    return _projected(report, _brief(services, report))


def _projected(report: SignalReport, brief: Brief | CannotExamine) -> SignalReport:
    if report.report is None or isinstance(brief, CannotExamine):
        return report
    reading = with_adjusted(report.report.reading, report.report.evidence, brief.adjusted)
    return replace(report, report=replace(report.report, reading=reading))


def _brief(services: Services, report: SignalReport) -> Brief | CannotExamine:
    try:
        return services.examinations.brief(report.signal)
    except BetonError as problem:  # one signal that breaks is one row, not the page
        return CannotExamine(str(problem))


def _misses(report: SignalReport, brief: Brief | CannotExamine, settings: CompanySettings) -> tuple[str, ...]:
    if report.signal.enabled or not report.signal.discovered:
        return ()
    found = brief if isinstance(brief, Brief) else None
    table = None if report.report is None else report.report.evidence.result.table
    shrunk = None if found is None else found.shrunk_lift
    return missed(
        settings,
        confidence=None if found is None else found.confidence,
        units=None if table is None else table.units_with,
        lift=report.lift if shrunk is None else shrunk,
    )


def listing_csv(listed: Sequence[Listed]) -> tuple[str, str]:
    """Return file name and CSV text of ``listed``, one row each: raw numbers, safe against formula injection.

    Without an upper limit a lift is ``inf``; what could not be measured is empty.
    """
    return "beton-signals.csv", csv_text(COLUMNS, [_row(each) for each in listed])


def _row(each: Listed) -> tuple[object, ...]:
    report, signal = each.report.report, each.report.signal
    projection = None if report is None else report.reading.projection
    return (
        signal.definition.name,
        *_backtest(each.report),
        None if report is None else report.evidence.leads.per_month,
        None if projection is None else projection.annual_arr,
        "Cannot tell" if report is None else report.reading.verdict.label,
        *_examination(each.brief),
        " ".join(each.misses),
        "enabled" if signal.enabled else "disabled",
        signal.definition.meaning_hash(),
    )


def _backtest(each: SignalReport) -> tuple[object, ...]:
    measured = each.measured
    table = None if each.report is None else each.report.evidence.result.table
    counts: tuple[object, ...] = (None,) * 4
    if table is not None:
        counts = (table.units_with, table.converted_with, table.units_without, table.converted_without)
    if measured is None:
        return (None,) * 4 + counts
    lower, upper = measured.lift_interval.lower, measured.lift_interval.upper
    return (each.lift, lower, math.inf if upper is None else upper, measured.p_value, *counts)


def _examination(brief: Brief | CannotExamine) -> tuple[object, ...]:
    if isinstance(brief, CannotExamine):
        return (None, "Cannot tell", brief.reason, *(None,) * 13)
    shrunk, held_out = brief.shrunk_interval, brief.held_out
    return (
        brief.rung.level,
        brief.rung.label,
        brief.rung.reason,
        brief.confidence,
        brief.q_value,
        brief.shrunk_lift,
        *((None, None) if shrunk is None else (shrunk.lower, shrunk.upper)),
        *_estimate(held_out),
        held_out.table.units_with,
        held_out.table.converted_with,
        *_estimate(brief.adjusted),
    )


def _estimate(each: Estimate | None) -> tuple[object, ...]:
    if each is None:
        return (None,) * 3
    return (each.lift, each.interval.lower, math.inf if each.interval.upper is None else each.interval.upper)
