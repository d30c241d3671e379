"""The rows of the Signals page: which signals the filter leaves, and each as raw numbers with its reasons."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from beton.model.discovery import Estimate
from beton.model.examination import Brief
from beton.model.words import sentence
from layouts import estimates, format
from layouts.parts.grids import column
from layouts.result_figures import lift_limits
from layouts.routes import HARMFUL, Page, Route, SignalFilter, href
from layouts.signals_figures import ForestRow

if TYPE_CHECKING:
    from beton.services.listing import Listed
    from beton.services.signals import SignalReport

NO_SOURCE: Final = "Imported files"  # what a definition that names no source was measured on

COLUMNS: Final = [
    column("name", "Signal", "link", minWidth=110, flex=3, wrapText=True, autoHeight=True),
    column("lift", "Lift", "lift", minWidth=92, maxWidth=112),
    column("confidence", "Conf", "percent", minWidth=76, maxWidth=84),
    column("evidence", "Evidence", "rung", minWidth=118, maxWidth=150),
    column("held_out", "Held-out lift", "lift", minWidth=104, maxWidth=116),
    column("units", "Users", "integer", minWidth=68, maxWidth=80),
    column("leads", "Leads/mo", "decimal", minWidth=90, maxWidth=96),
    column("arr", "Est ARR", "money", minWidth=78, maxWidth=92),
    column("status", "Status", "status", minWidth=106, maxWidth=116),
]


def listed(signals: Sequence[Listed], chosen: SignalFilter) -> list[Listed]:
    """Return the signals that ``chosen`` leaves, in their order; a source that no signal has is ignored."""
    source = chosen.source if chosen.source in map(source_of, signals) else ""
    return [each for each in signals if _is_within(each, chosen) and _is_wanted(each, chosen, source)]


def hidden(signals: Sequence[Listed], chosen: SignalFilter) -> list[Listed]:
    """Return the signals that only the company's thresholds keep out of the list."""
    source = chosen.source if chosen.source in map(source_of, signals) else ""
    return [each for each in signals if not _is_within(each, chosen) and _is_wanted(each, chosen, source)]


def _is_within(each: Listed, chosen: SignalFilter) -> bool:
    """Whether the choice about thresholds leaves the signal."""
    if chosen.thresholds == "missed":
        return bool(each.misses)
    return chosen.thresholds == "any" or not each.misses


def _is_wanted(each: Listed, chosen: SignalFilter, source: str) -> bool:
    return (
        chosen.status in ("", status_of(each))
        and source in ("", source_of(each))
        and _has_evidence(each, chosen.evidence)
        and _has_lift(each.report.lift, chosen.lift)
        and _has_words(each.report, chosen.q)
    )


def _has_evidence(each: Listed, wanted: str) -> bool:
    level = 0 if each.known is None else each.known.rung.level
    return wanted == "" or (level == 0 if wanted == "0" else level >= int(wanted))


def _has_lift(lift: float | None, wanted: str) -> bool:
    if not wanted:
        return True
    if lift is None:
        return False
    return lift < 1 if wanted == HARMFUL else lift >= float(wanted)


def _has_words(each: SignalReport, words: str) -> bool:
    definition = each.signal.definition
    text = " ".join((definition.name, definition.description or "", sentence(definition))).casefold()
    return all(word in text for word in words.casefold().split())


def source_of(each: Listed) -> str:
    """Return where the signal's events come from."""
    return each.report.signal.definition.source or NO_SOURCE


def status_of(each: Listed) -> str:
    """Return the status as addresses and the grid write it."""
    return "enabled" if each.report.signal.enabled else "disabled"


def evidence_words(each: Listed) -> str:
    """Return the level of evidence with its name."""
    return estimates.CANNOT_TELL if each.known is None else f"{each.known.rung.level} {each.known.rung.label}"


def address_of(each: Listed) -> str:
    """Return the address of the signal's page."""
    return href(Route(Page.SIGNAL, signal_id=each.report.signal.id))


def forest_row(each: Listed) -> ForestRow | None:
    """Return one row of the forest plot; None for a signal whose lift the data cannot tell."""
    measured, lift = each.report.measured, each.report.lift
    if measured is None or lift is None:
        return None
    name = each.report.signal.definition.name
    return ForestRow(name, address_of(each), lift, measured.lift_interval, measured.table.units_with)


def grid_row(each: Listed) -> dict[str, Any]:
    """Return one row: raw numbers, formatted by the grid, with smaller lines below and reasons behind them."""
    signal = each.report.signal
    return {
        "id": signal.id,
        "name": signal.definition.name,
        "href": address_of(each),
        "status": status_of(each),
        **_backtest_cells(each),
        **_examined_cells(each),
    }


def _backtest_cells(each: Listed) -> dict[str, Any]:
    report, measured, lift = each.report.report, each.report.measured, each.report.lift
    if report is None or measured is None:
        problem = each.report.problem if report is None else report.reading.verdict.reason
        return {f"{name}_why": problem or estimates.CANNOT_TELL for name in ("lift", "units", "leads", "arr")}
    projection = report.reading.projection
    table = measured.table
    whole = f"{estimates.table_words(table)}. {_shrunk_words(each.known)}".strip()
    no_limit = "Nobody without the signal converted, so the lift has no upper end. "
    return {
        "lift": measured.lift,
        "lift_line": lift_limits(measured.lift_interval),
        "lift_why": no_limit + whole if lift == math.inf else whole,
        "units": table.units_with,
        "leads": report.evidence.leads.per_month,
        "arr": None if projection is None else projection.annual_arr,
        "arr_why": "No lift to project" if projection is None else "",
    }


def _shrunk_words(known: Brief | None) -> str:
    if known is None or known.shrunk_lift is None or known.shrunk_interval is None:
        return ""
    limits = lift_limits(known.shrunk_interval)
    return f"Allowing for having been picked from many: {format.lift(known.shrunk_lift)} ({limits})."


def _examined_cells(each: Listed) -> dict[str, Any]:
    known = each.known
    if known is None:
        reason = getattr(each.brief, "reason", estimates.CANNOT_TELL)
        return {f"{name}_why": reason for name in ("confidence", "evidence", "held_out")}
    why = "" if known.confidence is not None else "Known for signals that a discovery run on this data tested"
    return {
        "confidence": None if known.confidence is None else format.below_certain(known.confidence),
        "confidence_why": why,
        "evidence": known.rung.level,
        "evidence_line": known.rung.label,
        "evidence_why": f"{known.rung.reason}. q {format.p_value(known.q_value)} over {known.family}",
        **_held_out_cells(known.held_out),
    }


def _held_out_cells(each: Estimate) -> dict[str, Any]:
    if each.ratio is None:
        return {"held_out_why": f"Later cohorts cannot tell: {estimates.reason(each)}"}
    return {
        "held_out": each.lift,
        "held_out_line": lift_limits(each.interval),
        "held_out_why": f"Later cohorts: {estimates.table_words(each.table)}",
    }
