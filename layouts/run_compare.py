"""What a run found that the run before it did not, and the other way round."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from dash import html

from beton.model.discovery import Finding
from layouts import estimates, format
from layouts.parts.cards import card
from layouts.parts.notices import Status, badge
from layouts.parts.tables import table
from layouts.routes import Page, Route, href

if TYPE_CHECKING:
    from beton.discovery.compare import Comparison, Pair
    from beton.services.discovery_runs import RunView

TITLE: Final = "Compared with the run before"
HEADER: Final = ("Signal", "Before", "Now")
NO_REASON: Final = {
    "new": "Not listed before",
    "gone": "No longer listed: it did not pass, or others explain it",
}
_LOOK: dict[str, Status] = {"new": "healthy", "gone": "disabled", "changed": "watch"}


def comparison_card(view: RunView, hrefs: Mapping[str, str]) -> html.Section:
    """Return what changed since the latest earlier run of the same outcome."""
    before, comparison = view.before, view.comparison
    if before is None or comparison is None:
        text = "There is no earlier run of this outcome that can be read. The next run will be compared with this one."
        return card(TITLE, html.P(text, className="muted"))
    link = html.A(format.date_time(before.created_at), href=href(Route(Page.RUN, run_id=before.id)))
    inside: list[Any] = [html.P([f"{_counts(comparison)}, since the run of ", link, "."], className="sentence")]
    inside.append(_causes(comparison))
    moved = [pair for pair in comparison.pairs if pair.fate != "same"]
    if moved:
        rows = [_row(pair, hrefs.get(pair.newest.name)) for pair in moved]
        inside.append(table("Signals that are new, gone or changed", HEADER, rows))
    if same := comparison.of("same"):
        inside.append(_same(same, hrefs))
    return card(TITLE, inside, class_name="run-card")


def _counts(comparison: Comparison) -> str:
    return ", ".join(f"{len(comparison.of(fate))} {fate}" for fate in ("new", "gone", "changed", "same"))


def _causes(comparison: Comparison) -> Any:
    if comparison.identical:
        return html.P("Same data, same settings, and the same result digit by digit.", className="muted")
    if not comparison.causes:
        text = "Same data and settings: what differs comes from another version of Beton."
        return html.P(text, className="muted")
    return html.Ul([html.Li(cause) for cause in comparison.causes], className="cautions")


def _row(pair: Pair, address: str | None) -> list[Any]:
    reasons = pair.reasons or (NO_REASON.get(pair.fate, ""),)
    name = pair.newest.name
    words: list[Any] = [
        html.Div(name) if address is None else html.A(name, href=address),
        badge(pair.fate.capitalize(), _LOOK[pair.fate]),
        *[html.Div(f"{reason}.", className="muted") for reason in reasons],
    ]
    return [html.Div(words, className="finding-name"), _side(pair.before), _side(pair.after)]


def _side(each: Finding | None) -> Any:
    if each is None:
        return format.MISSING
    words = [html.Div(estimates.lift_words(each.train)), html.Div(each.rung.label, className="muted estimate-reason")]
    return html.Div(words, className="estimate")


def _same(same: Sequence[Pair], hrefs: Mapping[str, str]) -> html.Details:
    names = [html.Li(_linked(pair.newest.name, hrefs)) for pair in same]
    title = f"{format.plural(len(same), 'signal')} with the same evidence"
    return html.Details([html.Summary(title), html.Ul(names, className="cautions")], className="as-table")


def _linked(name: str, hrefs: Mapping[str, str]) -> Any:
    return html.A(name, href=hrefs[name]) if name in hrefs else name
