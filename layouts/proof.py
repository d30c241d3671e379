"""The proof of one signal: what the examination found, card by card, in words a reader of revenue reports knows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from dash import html

from beton.model.discovery import Estimate
from beton.model.examination import CannotExamine, Doubt, Examination, Overlap, Severity
from beton.model.ladder import LABELS, Rung
from layouts import estimates, format, ids
from layouts.parts.attributes import aria, data
from layouts.parts.cards import card, metric, metrics
from layouts.parts.figures import graph
from layouts.parts.icons import IconName, icon
from layouts.parts.notices import Status, badge, error_notice, info
from layouts.parts.tables import table
from layouts.proof_figures import OVERLAP_HEADER, curve_rows, curves_figure, forest, heat_map, last_share, overlap_rows
from layouts.result_figures import lift_limits

# The places that a page leaves for the proof, in the order in which ``slots`` fills them.
SLOTS: Final = (ids.PROOF_BADGE, ids.PROOF_LADDER, ids.PROOF_FIGURES, ids.PROOF_DOUBTS, ids.PROOF_STATISTICS)

STEPS: Final = (
    "Too few people to say",
    "Chance alone does not explain it",
    "Held up among later signups",
    "Activity, time of signup and account size do not explain it",
    "Shown by an experiment",
)
NEXT: Final = (
    "a difference that chance alone would hardly show, counting everything that was tested",
    "the same direction among people who signed up later and were kept out of the search",
    "a lift that remains between people alike in activity, time of signup and account size",
    "an experiment, that is a playbook which leaves out a random part of the people to compare them",
)
NEEDS_RUN: Final = "Needs a discovery run, which compares many candidates"
MOST_OVERLAPS: Final = 10

_MARKS: Final[dict[Severity, tuple[IconName, str]]] = {
    "clear": ("check", "No concern"),
    "warning": ("alert", "Warning"),
    "unknown": ("info", "Cannot tell"),
}


def slots(found: Examination | CannotExamine, overlaps: Sequence[Overlap]) -> tuple[Any, ...]:
    """Return the children of every one of ``SLOTS``."""
    if isinstance(found, CannotExamine):
        notice = info(found.reason, "There is no further proof of this signal")
        return [], notice, [], [], _fact("Confidence", "", f"{estimates.CANNOT_TELL}: {found.reason}")
    figures = [key_figures(found), forest_card(found), *curves_card(found), *heat_card(found), overlap_card(overlaps)]
    return evidence_badge(found), ladder_card(found), figures, doubts_card(found.doubts), small_print(found)


def failed() -> tuple[Any, ...]:
    """Return the children of ``SLOTS`` when the examination broke."""
    words = "The backtest on this page holds without it. The server's log has the cause; trying again may help."
    return [], error_notice(words, "The proof could not be worked out"), [], [], []


def waiting() -> dict[str, Any]:
    """Return what stands in every one of ``SLOTS`` until the proof arrives."""
    bones = [html.Div(className="bone proof-bone", **data(size=size)) for size in ("small", "large", "large")]
    figures = html.Div(bones, className="stack", role="status", **aria(label="Working out the proof"))
    return {
        ids.PROOF_BADGE: [],
        ids.PROOF_LADDER: html.Div(className="bone proof-bone", **data(size="small")),
        ids.PROOF_FIGURES: figures,
        ids.PROOF_DOUBTS: html.Div(className="bone proof-bone", **data(size="small")),
        ids.PROOF_STATISTICS: html.Div(className="bone bone-line"),
    }


# ---- evidence ladder ------------------------------------------------------------------------------------------


def evidence_badge(found: Examination) -> list[Any]:
    """Return the pills of the header: level, and whether the signal harms."""
    rung = found.rung
    look: Status = "healthy" if rung.level >= 2 else "watch" if rung.level == 1 else "neutral"
    shown = [badge(f"Evidence {rung.level}/4: {rung.label}", look)]
    return [*shown, badge("Harmful", "rejected")] if is_harmful(found) else shown


def is_harmful(found: Examination) -> bool:
    """Whether clearly fewer convert with the signal, in the earlier period."""
    value = found.train.ratio
    return value is not None and value < 1 and found.rung.level >= 1


def ladder_card(found: Examination) -> html.Section:
    """Return the level, why it is this one, the five steps, and what would lift it one higher."""
    rung = found.rung
    title = [html.Span(f"Level {rung.level} of 4", className="eyebrow"), html.Div(rung.label, className="ladder-label")]
    steps = html.Ol([_step(level, rung) for level in range(len(LABELS))], className="ladder")
    inside: list[Any] = [html.Div(title), html.P(f"{rung.reason}.", className="ladder-reason")]
    if is_harmful(found):
        sentence = f"Harmful: people with this signal convert less often than the others: {_estimate(found.train)}."
        inside.append(html.P(sentence, className="bad-words"))
    inside.append(steps)
    if rung.level < len(NEXT):
        climb = f"To reach level {rung.level + 1} ({LABELS[rung.level + 1]}) it needs {NEXT[rung.level]}."
        inside.append(html.P(climb, className="muted"))
    return card("Evidence", inside, note="How much the history proves. Only an experiment can prove a cause.")


def _step(level: int, rung: Rung) -> html.Li:
    state = "done" if level < rung.level else "here" if level == rung.level else "ahead"
    current = aria(current="step") if state == "here" else {}
    label, about = (rung.label, STEPS[0]) if level == rung.level == 0 else (LABELS[level], STEPS[level])
    words = [html.Span(label, className="step-label"), html.Span(about, className="proof-note")]
    dot = html.Span(str(level), className="rung")
    return html.Li([dot, html.Div(words, className="step-words")], **data(state=state), **current)


# ---- figures --------------------------------------------------------------------------------------------------


def key_figures(found: Examination) -> html.Div:
    """Return the figures that say most: lift on new data, among comparable people, with luck taken out, confidence."""
    shrunk = NEEDS_RUN if found.shrunk_interval is None else f"95% {lift_limits(found.shrunk_interval)}"
    confidence = NEEDS_RUN if found.confidence is None else "that the direction is right"
    return metrics(
        metric("Held-out lift", estimates.lift_words(found.held_out), _limits(found.held_out)),
        metric("Adjusted lift", estimates.lift_words(found.adjusted), _limits(found.adjusted)),
        metric("Cautious lift", _or_unknown(found.shrunk_lift, format.lift), shrunk),
        metric("Confidence", _or_unknown(found.confidence, format.confidence), confidence),
    )


def _limits(each: Estimate | None) -> str:
    words = estimates.limits_words(each)
    return words if each is None or each.ratio is None else f"95% {words}"


def _or_unknown(value: float | None, write: Any) -> str:
    return estimates.CANNOT_TELL if value is None else str(write(value))


def forest_card(found: Examination) -> html.Section:
    """Return the forest plot."""
    if not found.comparisons:
        return card("Does it hold everywhere?", html.P("There are too few people to compare.", className="muted"))
    note = (
        "A signal to rely on stays on the same side of 1x in every row: right of the line more convert with it, left "
        "of it fewer. Larger squares are more people, the line through a square is its 95% range, and grey ones may be "
        "chance."
    )
    return card("Does it hold everywhere?", forest(found), note=note)


def curves_card(found: Examination) -> list[html.Section]:
    """Return the curves of cumulative conversion; nothing where an arm has no curve."""
    with_signal, without = found.with_signal, found.without_signal
    if with_signal is None or without is None or not with_signal.days or not without.days:
        why = "Without people on both sides there are no curves to compare."
        return [card("When do they convert?", html.P(why, className="muted"))]
    start = format.decimal(with_signal.days[0]).removesuffix(".0")
    reached = (
        f"{format.percent(last_share(with_signal))} with the signal and {format.percent(last_share(without))} without"
    )
    words = f"By day {max(with_signal.days[-1], without.days[-1]):.0f}, {reached} have converted."
    drawn = graph(
        ids.PROOF_CURVES,
        curves_figure(with_signal, without),
        f"Cumulative conversion with and without the signal by days since signup. {words}",
        height_px=320,
        as_table=table(
            "Converted so far, with 95% range", ["", "With signal", "Without"], curve_rows(with_signal, without)
        ),
    )
    note = (
        f"{words} The clock starts on day {start}, when everybody has had the same time to show the signal; people who "
        "signed up lately count until the end of the data. Shaded: 95% range."
    )
    return [card("When do they convert?", drawn, note=note)]


def heat_card(found: Examination) -> list[html.Section]:
    """Return the heat map; nothing for a signal that counts no event."""
    heat = found.heat_map
    if heat is None or not heat.counts:
        return []
    note = (
        "Lift among later signups if the signal asked for more or fewer times, in more or fewer days; n counts those "
        "with it. Green: more convert, red: fewer. Outlined: this signal. Grey figures: the 95% range includes 1x, so "
        "it may be chance."
    )
    return [card("How often, how soon?", heat_map(heat), note=note)]


def overlap_card(overlaps: Sequence[Overlap]) -> html.Section:
    """Return how far other saved signals fire for the same people, the most alike first."""
    title = "Overlap with other signals"
    if not overlaps:
        return card(title, html.P("There is no other signal that could be compared.", className="muted"))
    ranked = sorted(overlaps, key=lambda each: each.jaccard, reverse=True)
    head = html.Thead(html.Tr([html.Th(name, scope="col") for name in OVERLAP_HEADER]))
    caption = html.Caption("People who carry this signal, another one, or both", className="visually-hidden")
    rows = html.Tbody(list(overlap_rows(ranked[:MOST_OVERLAPS])))
    whole = html.Table([caption, head, rows], className="proof-table overlap-table")
    note = [
        "Two signals that share most of their people say the same thing twice. Shared: people with both, of those with "
        "either",
        html.Span(
            ", as the strongest part of the strip; left of it only this signal, right of it only the other",
            className="wide-only",
        ),
        ".",
    ]
    left_out = len(ranked) - MOST_OVERLAPS
    more = [html.P(f"{format.plural(left_out, 'signal')} with less overlap not shown.", className="proof-note")]
    return card(title, [html.Div(whole, className="overlap-scroll"), *(more if left_out > 0 else [])], note=note)


# ---- doubts and small print -----------------------------------------------------------------------------------


def doubts_card(doubts: Sequence[Doubt]) -> html.Section:
    """Return every reason why the signal may be wrong, warnings first."""
    order: tuple[Severity, ...] = ("warning", "unknown", "clear")
    ranked = sorted(doubts, key=lambda each: order.index(each.severity))
    inside = html.Ul([_doubt(each) for each in ranked], className="doubts")
    return card(
        "Why it may be wrong", inside, note="What usually makes a signal look better than it is, checked on your data."
    )


def _doubt(each: Doubt) -> html.Li:
    mark, words = _MARKS[each.severity]
    title = html.Strong([each.title, html.Span(f" ({words})", className="visually-hidden")])
    inside = [html.Span(icon(mark), className="doubt-mark"), html.Div([title, html.P(each.sentence)])]
    return html.Li(inside, **data(severity=each.severity))


def small_print(found: Examination) -> html.Div:
    """Return every remaining statistic, each with what it means."""
    train, later = found.train_period, found.held_out_period
    rows = [
        _fact(
            "Discovery lift", f"{estimates.period_words(train)}. {estimates.table_words(found.train.table)}",
            _estimate(found.train),
        ),
        _fact(
            "Held-out lift", f"{estimates.period_words(later)}. {estimates.table_words(found.held_out.table)}",
            f"{_estimate(found.held_out)}, p {format.p_value(found.held_out_p)}",
        ),
        _fact("Between the periods", "Left out, so that no outcome counts on both sides", format.count(found.purged)),
        _fact("q-value", f"Expected share of false finds at this strength, over {found.family}", _q(found.q_value)),
        _fact("Confidence", "Chance that the direction is right, given all candidates", _confidence(found)),
        _fact("Cautious lift", "Pulled towards 1x as far as luck explains; used for ranking", _shrunk(found)),
        _fact("Adjusted lift", "Between people alike in activity, time of signup and account size", _adjusted(found)),
        _fact("E-value", "How strong a hidden cause must be, on both sides, to explain it away", _e_value(found)),
        _fact("Same in every stratum", "Breslow-Day test over the strata of the adjustment", _homogeneity(found)),
    ]  # fmt: skip
    notes = html.Ul([html.Li(note.text) for note in found.notes], className="cautions")
    return html.Div([html.Dl(rows, className="facts"), notes])


def _fact(name: str, about: str, value: str) -> html.Div:
    explained: list[Any] = [name, html.Span(about, className="proof-note")] if about else [name]
    return html.Div([html.Dt(explained), html.Dd(value)], className="fact")


def _estimate(each: Estimate) -> str:
    return f"{estimates.lift_words(each)} ({_limits(each)})"


def _q(value: float) -> str:
    return format.p_value(value)


def _confidence(found: Examination) -> str:
    return NEEDS_RUN if found.confidence is None else format.confidence(found.confidence)


def _shrunk(found: Examination) -> str:
    if found.shrunk_lift is None or found.shrunk_interval is None:
        return NEEDS_RUN
    return f"{format.lift(found.shrunk_lift)} (95% {lift_limits(found.shrunk_interval)})"


def _adjusted(found: Examination) -> str:
    if found.adjusted is None:
        return f"{estimates.CANNOT_TELL}: too few comparable people"
    return _estimate(found.adjusted)


def _e_value(found: Examination) -> str:
    if found.e_value is None:
        return f"{estimates.CANNOT_TELL}: there is no adjusted lift"
    point, limit = (format.decimal(value, 1) for value in found.e_value)
    return f"{point}x; {limit}x for the nearer end of the range"


def _homogeneity(found: Examination) -> str:
    p = found.homogeneity_p
    if p is None:
        return f"{estimates.CANNOT_TELL}: fewer than two strata"
    meaning = "the lift differs between strata" if p < 0.05 else "no sign that the lift differs"
    return f"{meaning} (p {format.p_value(p)})"
