"""The signals that a run found, with every estimate beside its interval."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from dash import html

from beton.model.discovery import Estimate, Finding
from beton.model.ladder import Rung
from layouts import estimates, format
from layouts.parts.attributes import data
from layouts.parts.cards import card
from layouts.parts.notices import Status
from layouts.parts.tables import table
from layouts.result_figures import lift_limits

HEADER: Final = (
    "Signal",
    "Learnt",
    "Later cohorts",
    "Adjusted",
    "Shrunk",
    "Confidence",
    "q",
    "With it",
)
NOTE: Final = (
    "Lifts with their 95% intervals. Learnt: in the period of discovery. Later cohorts: people whose outcomes had no "
    "part in choosing what is listed. "
    "Adjusted: among people alike in activity, signup quarter and account size. Shrunk: what is left after the luck of "
    "being picked; confidence is that its direction is right. q: the share of false discoveries up to this one; below "
    "it, the chance that luck alone would show as much anywhere in the run (Westfall-Young)."
)


def findings_card(findings: Sequence[Finding], hrefs: Mapping[str, str]) -> html.Section:
    """Return the signals as a table; ``hrefs`` are the addresses of those that are still saved, by name."""
    if not findings:
        text = "No condition passed every step: the funnel above says where the last ones left."
        return card("Signals found", html.P(text, className="sentence"))
    listed = table("Signals found, strongest first", HEADER, [_row(each, hrefs.get(each.name)) for each in findings])
    forgotten = [html.P(_forgotten(findings, hrefs), className="muted")] if len(hrefs) < len(findings) else []
    return card("Signals found", [listed, *forgotten], note=NOTE, class_name="findings")


def _forgotten(findings: Sequence[Finding], hrefs: Mapping[str, str]) -> str:
    gone = len(findings) - len(hrefs)
    verb = "is" if gone == 1 else "are"
    return f"{format.plural(gone, 'signal')} without a link {verb} no longer saved: a later run did not list it."


def _row(each: Finding, address: str | None) -> list[Any]:
    units = each.train.table.units_with + each.held_out.table.units_with
    return [
        _name(each, address),
        _estimate(each.train),
        _estimate(each.held_out),
        _estimate(each.adjusted),
        _two_lines(format.lift(each.shrunk_lift), lift_limits(each.shrunk_interval)),
        format.confidence(each.confidence),
        _two_lines(format.p_value(each.q_value), "" if each.fwer_p is None else format.p_value(each.fwer_p)),
        format.count(units),
    ]


def _name(each: Finding, address: str | None) -> html.Div:
    """Return the name, as a link where the signal is saved, its rung, and the near-copies that it stands for."""
    link = html.Div(each.name) if address is None else html.A(each.name, href=address)
    named: list[Any] = [link, _rung(each.rung)]
    if each.stands_for:
        copies = html.Ul([html.Li(name) for name in each.stands_for])
        title = f"stands for {len(each.stands_for)} near-{'copy' if len(each.stands_for) == 1 else 'copies'}"
        named.append(html.Details([html.Summary(title), copies], className="copies"))
    return html.Div(named, className="finding-name")


def _rung(rung: Rung) -> html.Span:
    """Return the level of evidence; its reason shows on hover, and on the signal's own page."""
    look: Status = "healthy" if rung.level >= 2 else "watch" if rung.level == 1 else "neutral"
    return html.Span(f"{rung.level} · {rung.label}", className="pill", title=rung.reason, **data(status=look))


def _estimate(each: Estimate | None) -> html.Div:
    """Return a lift above its interval, or that the data cannot tell, above the reason."""
    is_known = each is not None and each.ratio is not None
    return _two_lines(estimates.lift_words(each), estimates.limits_words(each), "" if is_known else "estimate-reason")


def _two_lines(strong: str, small: str, look: str = "") -> html.Div:
    return html.Div([html.Div(strong), html.Div(small, className=f"muted {look}".strip())], className="estimate")
