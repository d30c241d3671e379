"""The list of discovery runs, and what the page of one shows when it cannot be read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from dash import html

from beton.model.manifest import Manifest
from layouts import format
from layouts.not_found import nothing_here
from layouts.parts.buttons import link_button
from layouts.parts.cards import card, page
from layouts.parts.notices import badge, empty_state, error_notice
from layouts.parts.still import still
from layouts.parts.tables import table
from layouts.routes import Page, Route, href
from layouts.upcoming import no_data

if TYPE_CHECKING:
    from beton.services.discovery_runs import RunSummary

TITLE = "Discovery runs"
SUBTITLE = "Every run is kept whole: what was tested, on which data, and what it found."
HEADER = ("Run", "Signals", "Tested", "Seconds", "Data", "Outcome")


def runs(manifest: Manifest | None, listed: Sequence[RunSummary]) -> html.Div:
    """Return the list of runs, newest first."""
    back = ("Signals", href(Route(Page.SIGNALS)))
    if not listed and manifest is None:
        return page(TITLE, no_data(), subtitle=SUBTITLE, back=back)
    if not listed:
        way = link_button("Signals", href(Route(Page.SIGNALS)), "primary")
        text = "A run looks for signals in the whole history. Start one on the Signals page, or from a terminal."
        nothing = empty_state("No discovery has run yet", text, action=way, command="beton discover")
        return page(TITLE, nothing, subtitle=SUBTITLE, back=back)
    current = manifest.version if manifest is not None else None
    rows = [_row(each, current) for each in listed]
    return page(
        TITLE, still(card(None, table("Discovery runs, newest first", HEADER, rows))), subtitle=SUBTITLE, back=back
    )


def _row(each: RunSummary, current: str | None) -> list[Any]:
    when = html.A(format.date_time(each.created_at), href=href(Route(Page.RUN, run_id=each.id)))
    named = html.Div([when, *([badge("DEMO", "demo")] if each.demo else [])], className="run-name")
    words = "Stored by another version" if each.outcome is None else each.outcome.words()
    data = [html.Code(each.snapshot_version), html.Div(_age(each.snapshot_version, current), className="muted")]
    return [
        named,
        format.count(each.signals),
        format.count(each.tested),
        f"{each.seconds:.1f}",
        html.Div(data),
        html.Div(words, className="wrap"),
    ]


def _age(version: str, current: str | None) -> str:
    return "current data" if version == current else "earlier data"


def run_not_found(run_id: str) -> html.Div:
    """Return the page of a run that does not exist."""
    sentence = nothing_here("No discovery run has the id ", html.Code(run_id), ".")
    return page("Run not found", sentence, back=(TITLE, href(Route(Page.RUNS))))


def run_unreadable(problem: str) -> html.Div:
    """Return the page of a run that another version of Beton stored."""
    sentence = f"{problem[:1].upper()}{problem[1:]}."
    notice = error_notice(
        [sentence, html.Pre(html.Code("beton discover"), className="command")], "Cannot show this run"
    )
    return page("Discovery run", notice, back=(TITLE, href(Route(Page.RUNS))))
