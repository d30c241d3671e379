"""The definitions that a saved signal has had, what changed from one to the next, and the evidence of each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from dash import html

from beton.model import conditions
from beton.model.evidence import Measured
from beton.model.signal import SignalDefinition
from beton.model.signal_file import difference
from beton.model.words import phrase
from layouts import format
from layouts.parts.cards import card
from layouts.parts.notices import badge, warning
from layouts.result_view import VERDICT_STATUS
from layouts.routes import Page, Route, href

if TYPE_CHECKING:
    from beton.services.signals import Version


def only_version(versions: Sequence[Version]) -> list[Any]:
    """Return a quiet line where there is a single version, else nothing."""
    if len(versions) != 1:
        return []
    return [html.P(f"Version {versions[0].version}, {format.date(versions[0].created_at)}", className="card-note")]


def changed_notice(versions: Sequence[Version], snapshot_version: str) -> list[Any]:
    """Return a warning where an earlier meaning was measured on this data: its numbers are not those below."""
    changes = [each for each in versions if each.has_new_meaning]
    if not changes:
        return []
    last = changes[-1]
    before = [each for each in versions if each.version < last.version and _is_measured_on(each, snapshot_version)]
    if not before:
        return []
    when, whose = f"{format.date(last.created_at)} (version {last.version})", f"version {before[-1].version}"
    return [warning(f"The definition changed on {when}: numbers measured before belong to {whose}.")]


def _is_measured_on(version: Version, snapshot_version: str) -> bool:
    evidence = version.evidence
    return evidence is not None and evidence.report.evidence.passport.snapshot_version == snapshot_version


def versions_card(versions: Sequence[Version]) -> list[Any]:
    """Return the card of all versions, given oldest first, drawn newest first; nothing where there is only one."""
    if len(versions) < 2:
        return []
    shown = [_version(versions[0], None), *(_version(each, before) for before, each in pairwise(versions))]
    note = "Evidence belongs to a meaning: versions that differ in words alone share theirs."
    return [card("Versions", shown[::-1], note=note)]


def _version(each: Version, before: Version | None) -> html.Div:
    title = html.H3(f"Version {each.version}, {format.date_time(each.created_at)}", className="section-title")
    if before is None:
        return html.Div([title, html.P(_evidence(each))])
    said = html.Ul([html.Li(sentence) for sentence in changes(before.definition, each.definition)])
    return html.Div([title, said, html.P(_evidence(each)), _line_by_line(before, each)])


def _evidence(each: Version) -> list[Any]:
    if each.evidence is None:
        return ["Not measured."]
    evidence, verdict = each.evidence.report.evidence, each.evidence.report.reading.verdict
    where = f"on snapshot {evidence.passport.snapshot_version}, {format.date(each.evidence.measured_at)}. "
    run = html.A("Open the run", href=href(Route(Page.BACKTEST, run_id=each.evidence.report.run_id)))
    shown = badge(verdict.label, VERDICT_STATUS[verdict.label])
    if not isinstance(evidence.result, Measured):
        return [shown, f" {evidence.result.sentence} Measured {where}", run]
    lift = format.lift(float("inf") if evidence.result.lift is None else evidence.result.lift)
    limits = evidence.result.lift_interval
    upper = format.INFINITY if limits.upper is None else format.lift(limits.upper)
    interval = format.interval(format.lift(limits.lower), upper)
    return [shown, f" Lift {lift} (95% {interval}), measured {where}", run]


def _line_by_line(before: Version, each: Version) -> html.Details:
    names = (f"version {before.version}", f"version {each.version}")
    lines = html.Pre(html.Code(difference(before.definition, each.definition, names)), className="command")
    return html.Details([html.Summary("Line by line"), lines], className="as-table")


def changes(before: SignalDefinition, after: SignalDefinition) -> list[str]:
    """Say what is different between two definitions that are not the same, a sentence each."""
    said = [*_condition_changes(before, after)]
    for what, old, new in (
        ("Name", before.name, after.name),
        ("Unit", before.unit, after.unit),
        ("Timing", before.timing, after.timing),
        ("Landmark", format.days(before.landmark_days), format.days(after.landmark_days)),
        ("Users of an account", _rollup(before), _rollup(after)),
        ("Outcome", _outcome(before), _outcome(after)),
        ("Source", before.source, after.source),
    ):
        if old != new:
            said.append(f"{what}: {new or 'none'}, was {old or 'none'}.")
    if before.description != after.description:
        said.append("Another description.")
    return said or ["Written in another way."]


def _condition_changes(before: SignalDefinition, after: SignalDefinition) -> Iterator[str]:
    if before.sql != after.sql:
        yield "Another query." if before.sql and after.sql else f"Written {'in SQL' if after.sql else 'as conditions'}."
    if before.when == after.when:
        return
    # In the words of one clock for both: an event without a window of its own counts up to the landmark.
    landmark = None if after.timing == "any time" else after.landmark_days
    old, new = ([phrase(leaf, landmark) for leaf in conditions.leaves(each.when)] for each in (before, after))
    yield from (f"Added: {clause}." for clause in new if clause not in old)
    yield from (f"Removed: {clause}." for clause in old if clause not in new)
    if set(old) == set(new):
        yield "The same conditions, combined in another way."


def _rollup(definition: SignalDefinition) -> str:
    rollup = definition.rollup
    if definition.unit == "user" or definition.sql:
        return ""
    return {
        "any": "any",
        "count": f"at least {rollup.value:g}",
        "share": f"at least {format.percent(rollup.value)}",
    }[rollup.kind]


def _outcome(definition: SignalDefinition) -> str:
    outcome = definition.outcome
    if outcome is None:
        return "the workspace's"
    waits = "" if outcome.horizon_days is None else f" within {format.days(outcome.horizon_days)}"
    return f"{outcome.words()}{waits}"
