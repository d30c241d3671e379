"""The Signal Detail page (PRD 5.4): one saved signal with its full proof."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from dash import dcc, html

from beton.model.evidence import Measured
from beton.model.signal import SignalDefinition
from layouts import format, ids
from layouts.parts.attributes import data
from layouts.parts.buttons import button, button_row, link_button
from layouts.parts.cards import card, columns, facts, metric, metrics, page
from layouts.parts.figures import graph
from layouts.parts.icons import icon
from layouts.parts.notices import badge, error_notice, warning
from layouts.parts.tables import table
from layouts.proof import waiting
from layouts.result_figures import accuracy_figure
from layouts.result_view import (
    VERDICT_STATUS,
    Placed,
    cautions,
    funnel_card,
    leaves,
    months_card,
    revenue_card,
    statistics,
    statistics_facts,
)
from layouts.routes import Page, Route, href
from layouts.signal_versions import changed_notice, only_version, versions_card
from layouts.unit_grid import who_has_it
from layouts.working import explanation, show_working

if TYPE_CHECKING:
    from beton.services.backtests import Report
    from beton.services.explaining import Explanation
    from beton.services.signals import SavedSignal, SignalReport, Version


def signal_detail(
    each: SignalReport,
    min_lift: float,
    explained: Explanation | None,
    traits: Sequence[str] = (),
    versions: Sequence[Version] = (),
) -> html.Div:
    """Return the page of one saved signal; ``traits`` are properties to show of everyone who has it.

    ``explained`` is its verdict in words, None where there is no report; ``versions`` are the definitions it has had,
    oldest first.
    """
    signal, report = each.signal, each.report
    data_now = "" if report is None else report.evidence.passport.snapshot_version
    body: list[Any] = [*changed_notice(versions, data_now), _definition(signal, report, versions)]
    if report is None or explained is None:
        body.append(error_notice(each.problem or "", "This signal cannot be measured on the current data"))
    else:
        who = who_has_it(signal.id, signal.definition.unit, traits)
        body += _proof(signal.id, report, leaves(report, min_lift, explained), who)
    return page(
        signal.definition.name,
        *body,
        *versions_card(versions),
        _actions(signal),
        dcc.Download(id=ids.DETAIL_DOWNLOAD),
        subtitle=html.Div(_badges(signal, report), className="badges"),
        back=("Back to Signals", href(Route(Page.SIGNALS))),
    )


def _badges(signal: SavedSignal, report: Report | None) -> list[Any]:
    shown: list[Any] = [status_badge(signal.enabled)]
    if report is not None:
        verdict = report.reading.verdict
        shown.append(badge(f"Verdict: {verdict.label}", VERDICT_STATUS[verdict.label]))
        shown.append(_slot(ids.PROOF_BADGE))
    if signal.demo:
        shown.append(badge("DEMO", "demo"))
    return shown


def status_badge(enabled: bool) -> html.Span:
    """Return whether the signal is switched on."""
    return badge("Enabled" if enabled else "Disabled", "healthy" if enabled else "disabled", id=ids.DETAIL_STATUS)


def enable_words(enabled: bool) -> str:
    """Return what the switch would do."""
    return "Disable" if enabled else "Enable"


def _definition(signal: SavedSignal, report: Report | None, versions: Sequence[Version]) -> html.Section:
    definition = signal.definition
    words = definition.description or (report.evidence.passport.words if report else "")
    named = [("Source", definition.source or "Imported files"), *_names(definition)]
    if report is not None and (definition.description or not definition.sql):
        named.append(("Condition", report.evidence.passport.words))
    query = [html.Pre(html.Code(definition.sql), className="command")] if definition.sql else []
    inside = [html.P(words, className="sentence"), facts(named), *query, _as_yaml(signal), *only_version(versions)]
    return card("Definition", inside)


def _as_yaml(signal: SavedSignal) -> html.Details:
    code = html.Pre(html.Code(signal.definition.to_yaml(), id=ids.DETAIL_YAML), className="command")
    tools = button_row(
        _copy_button("Copy", ids.DETAIL_YAML, "The definition is on the clipboard."),
        button(ids.event("signal", "yaml", signal.id), "Download", icon_name="download", label="Download as YAML"),
    )
    inside = html.Div([code, html.Div(tools, className="definition-tools")])
    return html.Details([html.Summary("Definition as YAML"), inside], className="as-table")


def _copy_button(text: str, what: str, said: str) -> html.Button:
    """Return a button that ``assets/25-copy.js`` gives life: ``what`` is the id of a text, or ``link``."""
    return html.Button(
        [icon("copy"), html.Span(text)],
        type="button",
        className="btn btn-secondary",
        **data(copy=what, copied=said),
    )


def _slot(name: str) -> html.Div:
    """Return the place of one part of the proof, with what stands there until it arrives."""
    return html.Div(waiting()[name], id=name, className="proof-slot")


def _names(definition: SignalDefinition) -> list[tuple[str, str]]:
    events = ", ".join(dict.fromkeys(event.event for event in definition.events))
    properties = ", ".join(dict.fromkeys(item.property for item in definition.properties))
    listed = (("Event", events), ("Property", properties))
    return [(name, value) for name, value in listed if value]


def _proof(signal_id: str, report: Report, values: dict[str, Any], who: html.Section) -> list[Any]:
    at = Placed(values)
    reason = html.Div([html.Strong(report.reading.verdict.label), explanation(at), show_working(at)])
    stale = [warning(report.stale_because)] if report.stale_because else []
    if not isinstance(report.evidence.result, Measured):
        return [*stale, card("Backtest results", reason), who, columns(funnel_card(at), statistics(at))]
    again = button(ids.PROOF_AGAIN, "Work out the proof again")
    return [
        *stale,
        dcc.Store(id=ids.PROOF_OF, data=signal_id),
        _slot(ids.PROOF_LADDER),
        html.Div(again, id=ids.part(ids.PROOF_AGAIN, "box"), hidden=True),
        card("Backtest results", [_arms(at), reason]),
        metrics(
            at.metric("Lift", "lift"),
            at.metric("p-value", "p"),
            at.metric("Extra points", "points"),
            at.metric("Lead time", "lead"),
        ),
        _slot(ids.PROOF_FIGURES),
        who,
        _slot(ids.PROOF_DOUBTS),
        columns(_revenue(at, report), funnel_card(at)),
        columns(_history(report), months_card(at)),
        _small_print(at),
    ]


def _small_print(at: Placed) -> html.Section:
    facts_of_backtest = html.Dl(statistics_facts(at), className="facts")
    return card("Statistics and small print", [facts_of_backtest, _slot(ids.PROOF_STATISTICS), cautions(at)])


def _arms(at: Placed) -> html.Div:
    def arm(title: str, name: str) -> html.Div:
        shown = ((at.values.get("unit", "Users"), "users"), ("Converted", "converted"), ("Rate", "rate"))
        rows = [at.fact(label, f"{leaf}-{name}") for label, leaf in shown]
        return html.Div([html.H3(title, className="arm-title"), html.Dl(rows, className="facts")], className="arm")

    return html.Div([arm("With signal", "with"), arm("Without signal", "without")], className="arms")


def _revenue(at: Placed, report: Report) -> html.Section:
    """Return the projection in the words of PRD 5.4; its conversions are those that the others would not have made."""
    projection = report.reading.projection
    extra = None if projection is None else projection.extra_conversions_per_month
    more = format.MISSING if extra is None else f"{format.decimal(extra)} / month"
    who = "Accounts" if report.evidence.cohort.unit == "account" else "Users"
    factors = [
        at.fact(f"{who} matching this signal", "matches"),
        at.fact("Expected conversions", "expected"),
        at.fact("Rate difference", "difference"),
        html.Div([html.Dt("Expected additional conversions"), html.Dd(more)], className="fact"),
        at.fact("Your average ACV", "acv"),
    ]
    return revenue_card(at, factors, "Projected annual impact")


def _history(report: Report) -> html.Section:
    months = report.reading.accuracy_by_month
    shares = [accuracy.accuracy for _, accuracy in months if accuracy.accuracy is not None]
    last_six = shares[-6:]
    figures = metrics(
        metric("Current accuracy", format.percent(shares[-1] if shares else None), "latest mature month"),
        metric("6-month average", format.percent(sum(last_six) / len(last_six) if last_six else None), "mature months"),
    )
    rows = [
        [
            format.month(month),
            format.percent(a.accuracy),
            format.percent(a.accuracy_of_never),
            format.percent(a.precision),
            format.percent(a.recall),
        ]
        for month, a in months
    ]
    header = ["Month", "Accuracy", "Nobody converts", "Precision", "Recall"]
    drawn = graph(
        ids.result("accuracy-figure"),
        accuracy_figure(months),
        "Accuracy of the signal as a forecast by month, beside predicting that nobody converts",
        height_px=260,
        as_table=table("Accuracy by month", header, rows),
    )
    note = "Accuracy hardly moves when a signal dies; read it beside the lift by month."
    return card("Historical accuracy", [figures, drawn], note=note)


def _actions(signal: SavedSignal) -> html.Div:
    buttons = button_row(
        html.Button(
            html.Span(enable_words(signal.enabled), id=ids.DETAIL_TOGGLE_TEXT),
            id=ids.event("signal", "toggle", signal.id),
            type="button",
            className="btn btn-primary",
        ),
        link_button("Edit", href(Route(Page.BACKTEST, signal_id=signal.id))),
        link_button("Add to Rule", href(Route(Page.PLAYBOOK, signal_id=signal.id))),
        button(ids.event("signal", "export", signal.id), "Export Users", icon_name="download"),
        _copy_button("Copy link", "link", "The address of this page is on the clipboard."),
    )
    return html.Div(buttons, className="detail-actions")
