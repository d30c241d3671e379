"""The page of one discovery run: what was tested, how it was narrowed down, what was found, and what has changed."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any, Final

from dash import html

from beton.model.discovery import (
    SETTING_WORDS,
    DiscoveryResult,
    DiscoverySettings,
    LandmarkCohort,
    Mixture,
    Period,
    VolcanoPoint,
)
from beton.model.manifest import Manifest
from beton.model.outcome import SOURCES, Outcome
from layouts import estimates, format, ids
from layouts.parts.attributes import aria
from layouts.parts.buttons import button_row
from layouts.parts.cards import card, columns, facts, metric, metrics, page
from layouts.parts.figures import graph
from layouts.parts.icons import icon
from layouts.parts.notices import badge, info
from layouts.parts.still import still
from layouts.parts.tables import table
from layouts.routes import Page, Route, href, run_table_href
from layouts.run_compare import comparison_card
from layouts.run_figures import (
    beyond_edge,
    depth_name,
    funnel_bars,
    prior_figure,
    thinned,
    timing_bars,
    volcano_figure,
)
from layouts.run_findings import findings_card
from layouts.shuffle_card import shuffle_card

if TYPE_CHECKING:
    from beton.records.rows import JobRecord
    from beton.services.discovery import DiscoveryRun
    from beton.services.discovery_runs import RunView

MOST_IN_TABLE: Final = 50  # of the volcano's text alternative
NOTABLE_LIFT: Final = 1.5
FUNNEL_NOTE = (
    "Each step with the number that remains and why the others left. The bars are logarithmic: one half as long stands "
    "for far fewer than half."
)
VOLCANO_NOTE = (
    "Each dot is a single condition. Further right: more convert with it; left: fewer. Higher: harder to explain by "
    "chance. Above the dotted line, at most {fdr} of the differences are expected to be chance."
)
PRIOR_NOTE = (
    "Before it judges any one signal, the run learns how far the true lifts of all its candidates spread. Every lift "
    "is then drawn towards that spread, the more the fewer people it rests on: the column “Shrunk”."
)


def run_page(view: RunView, manifest: Manifest | None, shuffle: JobRecord | None = None) -> html.Div:
    """Return the page of a run; ``shuffle`` is the job of the shuffle test of the same question, if there is one."""
    run, result = view.run, view.run.result
    is_current = manifest is not None and manifest.version == result.snapshot_version
    hrefs = {
        each.name: href(Route(Page.SIGNAL, signal_id=view.saved[each.definition_hash]))
        for each in result.findings
        if each.definition_hash in view.saved
    }
    return page(
        f"Discovery of {format.date_time(run.created_at)}",
        *([] if is_current else [_earlier_data(result, manifest)]),
        still(_headline(result)),
        still(columns(_tested(run), _timings(run))),
        still(card("From the grid to the signals", funnel_bars(result.funnel), note=FUNNEL_NOTE)),
        still(findings_card(result.findings, hrefs)),
        _volcano(result, hrefs),
        still(comparison_card(view, hrefs)),
        *map(still, _cautions(result)),
        columns(_prior(result), shuffle_card(run.id, shuffle, is_current=is_current)),
        still(_downloads(view)),
        subtitle=html.Span(_badges(result, is_current), className="badges"),
        back=("Discovery runs", href(Route(Page.RUNS))),
    )


def _badges(result: DiscoveryResult, is_current: bool) -> list[Any]:
    shown = [badge("Current data", "healthy") if is_current else badge("Earlier data", "disabled")]
    return [*shown, badge("DEMO", "demo")] if result.demo else shown


def _earlier_data(result: DiscoveryResult, manifest: Manifest | None) -> html.Div:
    now = "no data is imported now" if manifest is None else f"the current data is snapshot {manifest.version}"
    text = f"These figures are of snapshot {result.snapshot_version}; {now}. A new run answers for the current data."
    return info(text, "This run saw other data")


def _headline(result: DiscoveryResult) -> html.Div:
    confirmed = sum(each.rung.level >= 2 for each in result.findings)
    adjusted = sum(each.rung.level >= 3 for each in result.findings)
    of = f"of {format.plural(len(result.findings), 'signal')}"
    return metrics(
        metric("Candidates tested", format.count(result.family.get("all")), _family(result)),
        metric("Signals found", format.count(len(result.findings)), "each different from the others"),
        metric("Confirmed later", format.count(confirmed), f"{of}, in later cohorts"),
        metric("Survive adjustment", format.count(adjusted), f"{of}, among people alike"),
    )


def _family(result: DiscoveryResult) -> str:
    return " · ".join(_sized(key, result.family[key]) for key in ("1", "2") if key in result.family)


def _candidates(result: DiscoveryResult) -> Any:
    triples = result.family.get("3", 0)
    beside = f"and {_sized('3', triples)} to choose from, judged apart" if triples else ""
    return [html.Div(_family(result)), html.Div(beside, className="muted")]


def _sized(key: str, size: int) -> str:
    return f"{format.count(size)} {depth_name(key).lower()}"


# ---- what was tested ------------------------------------------------------------------------------------------


def _tested(run: DiscoveryRun) -> html.Section:
    result = run.result
    rows: list[tuple[str, Any]] = [
        ("Outcome", result.outcome.words()),
        ("Outcome window", f"{format.days(result.horizon_days)}, after a gap of {format.days(result.gap_days)}"),
        ("Unit", result.unit),
    ]
    if result.cohorts:
        first = result.cohorts[0]
        rows += [
            ("Learnt from", _period(first.train)),
            ("Held out", _period(first.holdout)),
        ]
        if first.purged:
            between = f"{format.count(first.purged)} {result.unit}s, so that no outcome lies in both"
            rows.append(("Left out between", between))
    rows += [
        ("Candidates", _candidates(result)),
        *_second_opinion(result),
        ("Snapshot", html.Code(result.snapshot_version)),
        ("Run", html.Code(run.id[:12])),
    ]
    return card("What was tested", [facts(rows), *_cohorts(result), _settings(result.settings)])


def _second_opinion(result: DiscoveryResult) -> list[tuple[str, Any]]:
    made = result.permutation
    if made is None:
        return []
    words = f"{format.count(made.rounds)} rounds with outcomes dealt out anew, seed {result.settings.seed}"
    return [("Second opinion", [html.Div("Westfall-Young"), html.Div(words, className="muted")])]


def _period(period: Period) -> Any:
    return [
        html.Div(estimates.period_words(period)),
        html.Div(f"{format.count(period.units)} people, {format.count(period.converted)} converted", className="muted"),
    ]


def _cohorts(result: DiscoveryResult) -> list[Any]:
    if not result.cohorts:
        return []
    header = ("Longest window", "Candidates", "Learnt from", "Converted", "Left out", "Held out", "Converted")
    numbers = table("Cohorts by the longest window of a condition", header, [_cohort(each) for each in result.cohorts])
    words = (
        "A condition that looks at the first 14 days can only be tested on people who had not converted by then, so "
        "each window has a cohort of its own. The figures above are those of the shortest."
    )
    inside = [html.Summary("Cohort of each window"), html.P(words, className="muted"), numbers]
    return [html.Details(inside, className="as-table")]


def _cohort(each: LandmarkCohort) -> list[str]:
    numbers = (each.features, each.train.units, each.train.converted, each.purged)
    held = (each.holdout.units, each.holdout.converted)
    return [format.days(each.landmark_days), *map(format.count, numbers), *map(format.count, held)]


def _settings(settings: DiscoverySettings) -> html.Details:
    rows = [
        (SETTING_WORDS.get(each.name, each.name), _plain(getattr(settings, each.name))) for each in fields(settings)
    ]
    return html.Details([html.Summary("Settings of the run"), facts(rows)], className="as-table")


def _plain(value: Any) -> str:
    if isinstance(value, tuple):
        return ", ".join(map(_plain, value))
    return format.MISSING if value is None or value == "" else f"{value:,}" if isinstance(value, int) else str(value)


def _timings(run: DiscoveryRun) -> html.Section:
    return card(
        "How long it took",
        [timing_bars(run.result.timings_s), *_repeat(run.result)],
        note=f"{run.seconds:.1f} seconds in all, with reading the data and keeping the result.",
    )


def _repeat(result: DiscoveryResult) -> list[Any]:
    command = repeat_command(result)
    if command is None:
        return [html.P("This run had settings of its own: it is repeated from Python, with the settings shown here.")]
    same = "On the same data it gives the same result, digit by digit; only the seconds differ."
    return [
        html.Div([html.H3("Run it again", className="arm-title"), html.Pre(html.Code(command), className="command")]),
        html.P(same, className="muted"),
    ]


def repeat_command(result: DiscoveryResult) -> str | None:
    """Return the command that asks the same again; None where the command line cannot ask it."""
    outcome = result.outcome
    asked = Outcome("event", event=outcome.event) if outcome.event else Outcome(outcome.source)
    since = result.settings.holdout_from
    if result.settings != DiscoverySettings(holdout_from=since) or outcome != asked or outcome.event in SOURCES:
        return None
    words = ["beton", "discover", "--outcome", outcome.event or outcome.source]
    return shlex.join([*words, "--holdout-from", since] if since else words)


# ---- figures --------------------------------------------------------------------------------------------------


def _volcano(result: DiscoveryResult, hrefs: dict[str, str]) -> html.Section:
    points = result.volcano
    drawn = thinned(points)
    figure = volcano_figure(points, result.cutoff_p, hrefs)
    label = f"Lift and p-value of {format.count(len(drawn))} single conditions, coloured by how far each came"
    caption = _drawn_words(result, drawn)
    note = VOLCANO_NOTE.format(fdr=format.percent(result.settings.fdr, 0))
    shown = graph(
        ids.DISCOVERY_VOLCANO,
        figure,
        label,
        height_px=420,
        caption=caption,
        as_table=still(_volcano_table(points, hrefs)),
    )
    return card("Every single condition", shown, note=note, class_name="volcano")


def _drawn_words(result: DiscoveryResult, drawn: Sequence[VolcanoPoint]) -> str:
    tested = result.family.get("1", len(result.volcano))
    undrawn = tested - len(result.volcano)
    parts = [f"{format.count(len(drawn))} of {format.count(tested)} single conditions are drawn"]
    if undrawn > 0:
        parts.append(f"{format.count(undrawn)} have no lift to draw, since nobody converted on one side")
    if len(drawn) < len(result.volcano):
        parts.append("of those that chance may explain, only some, evenly by p")
    if edge := beyond_edge(drawn):
        parts.append(f"{format.count(edge)} beyond the edge stand on it as triangles")
    cutoff = [] if result.cutoff_p is None else [f"Dotted line: p = {format.p_value(result.cutoff_p)}."]
    return " ".join([f"{'; '.join(parts)}.", *cutoff, "A click on a green diamond opens its signal."])


def _volcano_table(points: Sequence[VolcanoPoint], hrefs: dict[str, str]) -> html.Div:
    best = sorted(points, key=lambda point: (point.log10_p, point.name))[:MOST_IN_TABLE]
    rows = [
        [
            html.A(point.name, href=hrefs[point.name]) if point.name in hrefs else point.name,
            format.lift(point.lift),
            format.p_value(10**point.log10_p),
            format.count(point.units_with),
            {"kept": "signal", "listed": "beyond chance, not kept"}.get(point.fate, "chance may explain it"),
        ]
        for point in best
    ]
    caption = f"The {len(rows)} single conditions with the smallest p-values; all of them are in the table to download"
    return table(caption, ("Condition", "Lift", "p", "With it", "What became of it"), rows, show_caption=True)


def _prior(result: DiscoveryResult) -> html.Section:
    header = ("Candidates", "Learnt from", "No difference", f"True lift {NOTABLE_LIFT:g}x or more")
    numbers = table("How true lifts spread", header, [_prior_row(*each) for each in sorted(result.priors.items())])
    words = [html.Div(_prior_words(*each)) for each in sorted(result.priors.items())]
    drawn = graph(
        ids.DISCOVERY_PRIOR,
        prior_figure(result.priors),
        "How the true lifts of the candidates spread around 1x",
        height_px=200,
        caption=words,
        as_table=still(numbers),
    )
    return card("How far true lifts spread", drawn, note=PRIOR_NOTE)


def _prior_row(key: str, prior: Mixture) -> list[str]:
    shares = (prior.null_share, prior.share_beyond(NOTABLE_LIFT))
    return [depth_name(key), format.count(prior.candidates), *(format.percent(share, 0) for share in shares)]


def _prior_words(key: str, prior: Mixture) -> str:
    none, notable = format.percent(prior.null_share, 0), format.percent(prior.share_beyond(NOTABLE_LIFT), 0)
    return (
        f"{depth_name(key)}: about {none} make no difference at all; {notable} have a true lift of at least "
        f"{NOTABLE_LIFT:g}x, or as much the other way (from {format.count(prior.candidates)} candidates)."
    )


# ---- cautions and files ---------------------------------------------------------------------------------------


def _cautions(result: DiscoveryResult) -> list[Any]:
    near = [html.Li([html.Strong(each.event), f": {each.sentence}."]) for each in result.near_outcome]
    notes = [html.Li(f"{note.text}.") for note in result.notes]
    cards = []
    if near:
        note = "These events happen together with the outcome. They would foretell it perfectly, and too late to act."
        cards.append(card("Why not a signal?", html.Ul(near, className="cautions"), note=note, class_name="run-card"))
    if notes:
        cards.append(card("What this run does not tell", html.Ul(notes, className="cautions"), class_name="run-card"))
    return [columns(*cards)] if cards else []


def _downloads(view: RunView) -> html.Section:
    if not view.tables:
        text = "The tables of this run are no longer kept. A new run writes them again."
        return card("Tables to download", html.P(text, className="muted"))
    rows = [_download(view.run.id, name) for name in view.tables]
    note = (
        "Every single condition, and every combination that passed the first threshold: conditions as JSON, counts of "
        "both periods, natural logarithm of p, q-values."
    )
    return card("Tables to download", rows, note=note)


def _download(run_id: str, name: str) -> html.Div:
    links = [
        html.A(
            [icon("download"), html.Span(words)],
            href=run_table_href(run_id, name, extension),
            download=f"beton-run-{run_id[:12]}-{name}.{extension}",
            className="btn btn-secondary",
            **aria(label=f"{name.capitalize()} as {words}"),
        )
        for extension, words in (("csv", "CSV"), ("parquet", "Parquet"))
    ]
    return html.Div([html.Span(name.capitalize()), button_row(*links)], className="download-row")
