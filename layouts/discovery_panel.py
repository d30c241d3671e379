"""How discovery stands: the button's run as it waits, works, ends or fails, and the line about the last one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Literal

import dash_bootstrap_components as dbc
from dash import dcc, html

from layouts import format, ids
from layouts.parts.attributes import aria, data
from layouts.parts.buttons import button
from layouts.routes import Page, Route, href

if TYPE_CHECKING:
    from beton.records.rows import JobRecord
    from beton.services.discovery import Standing
    from beton.services.discovery_runs import RunSummary

State = Literal["none", "queued", "waiting", "running", "done", "failed", "cancelled", "interrupted"]

RUN_WORDS: Final = "Run Discovery"
TICK_MS: Final = 1000
PATIENCE_S: Final = 5.0  # a worker that lives takes a job in half a second, and gives a sign of life five times in one

# What follows the job: every leaf with the property that changes.
LEAVES: Final[tuple[tuple[str, str], ...]] = (
    (ids.DISCOVERY, "data-state"),
    (ids.DISCOVERY_HEADLINE, "children"),
    (ids.DISCOVERY_DETAIL, "children"),
    (ids.DISCOVERY_PROGRESS, "hidden"),
    (ids.DISCOVERY_BAR, "value"),
    (ids.DISCOVERY_ELAPSED, "children"),
    (ids.DISCOVERY_CANCEL, "hidden"),
    (ids.DISCOVERY_CANCEL, "disabled"),
    (ids.DISCOVERY_RESULT, "href"),
    (ids.DISCOVERY_RESULT, "hidden"),
    (ids.DISCOVERY_LAST, "children"),
    (ids.DISCOVERY_LAST_LINK, "href"),
    (ids.DISCOVERY_LAST_LINK, "hidden"),
    (ids.DISCOVERY_RUN, "disabled"),
    (ids.DISCOVERY_RUN_EMPTY, "disabled"),
    (ids.DISCOVERY_TICK, "disabled"),
)
Values = dict[tuple[str, str], Any]

NO_WORKER: Final = (
    "If this stays, no worker is running: start one with the command beton worker, or start the server with "
    "BETON_WORKER=auto."
)
DIED_TWICE: Final = (
    "The worker stopped twice in the middle of it, most likely for want of memory. The server's log says more; "
    "nothing of it was saved. Run Discovery again."
)


@dataclass(frozen=True)
class Said:
    """The state of the newest job in words."""

    state: State
    headline: str
    detail: str


def said(now: Standing, run: RunSummary | None) -> Said:
    """Say how the newest job stands; a ``run`` from the command line since then takes the place of an ended one."""
    job = now.job
    if job is not None and job.status == "queued":
        return _queued(now, job)
    if job is not None and job.status == "running":
        return _running(now, job)
    if run is not None and (job is None or job.status == "done" or _is_older(job, run)):
        return Said("done", found_words(run), "")
    if job is None or job.status == "done":
        return Said("none", "", "")
    return _ended(job)


def _queued(now: Standing, job: JobRecord) -> Said:
    if job.started_at is not None:
        again = "The worker stopped in the middle of this run. The next one starts it again from the beginning."
        return Said("waiting", "Interrupted, to be tried again", f"{again} {NO_WORKER}")
    if now.is_next:
        return Said("queued", "Queued", "Another discovery is running; this one is next.")
    if (now.at - job.created_at).total_seconds() < PATIENCE_S:
        return Said("queued", "Queued", "A worker takes it in a moment.")
    return Said("waiting", "Waiting for the worker", f"Nothing has taken this run yet. {NO_WORKER}")


def _running(now: Standing, job: JobRecord) -> Said:
    if now.silent_s >= PATIENCE_S:
        then = "counts as cancelled" if job.cancel_requested else "is tried once more, or shown as interrupted"
        detail = f"If it has stopped, the run {then} {format.duration(now.lease_s)} after the last sign."
        return Said("waiting", "No sign of life from the worker", detail)
    if job.cancel_requested:
        return Said("running", "Cancelling", "The run stops at its next step.")
    again = " (second attempt: the first worker stopped in the middle)" if job.attempts > 1 else ""
    return Said("running", "Discovery is running", f"{job.stage or 'Starting'}{again}")


def _ended(job: JobRecord) -> Said:
    if job.status == "cancelled":
        return Said("cancelled", "Discovery was cancelled", "The list shows what was there before.")
    if job.status == "interrupted":
        return Said("interrupted", "Discovery was interrupted", DIED_TWICE)
    return Said("failed", "Discovery did not finish", job.error or "The server's log says why. Run Discovery again.")


def _is_older(job: JobRecord, run: RunSummary) -> bool:
    return job.finished_at is not None and job.finished_at <= run.created_at


def found_words(run: RunSummary) -> str:
    """Return what a finished run found, of how many, and how fast."""
    if run.signals is None:
        return "The last run is one of another version of Beton: Run Discovery again to see its signals."
    tested, found = format.count(run.tested), format.plural(run.signals, "signal")
    return f"{found} found of {tested} tested in {format.duration(run.seconds)}"


def last_words(run: RunSummary | None, version: str, now: datetime) -> str:
    """Return when discovery last ran, on which data, and whether snapshot ``version`` is other data."""
    if run is None:
        return "Discovery has not run yet."
    when = f"{format.ago(run.created_at, now)} ({format.date_time(run.created_at)})"
    parts = [f"Last discovery: {when}", f"snapshot {run.snapshot_version}"]
    if run.signals is not None:
        parts.append(format.plural(run.signals, "signal"))
    if run.snapshot_version != version:
        parts.append("the data has changed since")
    return " · ".join(parts)


def clock(since: datetime, now: datetime) -> str:
    """Return the time between as a clock that runs: ``0:04``, ``12:30``."""
    seconds = max(int((now - since).total_seconds()), 0)
    return f"{seconds // 60}:{seconds % 60:02d}"


def leaves(now: Standing, run: RunSummary | None, version: str) -> Values:
    """Return the value of every one of ``LEAVES``; ``run`` is the last one, ``version`` that of the snapshot."""
    say, job = said(now, run), now.job
    is_open = job is not None and job.is_open
    address = "" if run is None else href(Route(Page.RUN, run_id=run.id))
    values = (
        say.state,
        say.headline,
        say.detail,
        not is_open,
        0.0 if job is None else job.progress,
        _elapsed(now),
        not is_open,
        job is not None and job.cancel_requested,
        address,
        say.state != "done",
        last_words(run, version, now.at),
        address,
        run is None,
        is_open,
        is_open,
        not is_open,
    )
    return dict(zip(LEAVES, values, strict=True))


def _elapsed(now: Standing) -> str:
    job = now.job
    if job is None or not job.is_open:
        return ""
    if job.status == "queued" or job.started_at is None:
        return f"Asked for {clock(job.created_at, now.at)} ago"
    if now.silent_s >= PATIENCE_S:
        return f"Last sign {clock(now.at - timedelta(seconds=now.silent_s), now.at)} ago"
    return f"{job.progress:.0%} · {clock(job.started_at, now.at)} elapsed"


def discovery_panel(at: Values, run: RunSummary | None) -> html.Section:
    """Return the panel with the values of ``leaves``; it takes no room before anything has run."""
    words = html.Div(
        [
            _words(at, ids.DISCOVERY_HEADLINE, "discovery-headline"),
            _words(at, ids.DISCOVERY_DETAIL, "discovery-detail"),
        ],
        role="status",
    )
    cancel = button(
        ids.DISCOVERY_CANCEL,
        "Cancel",
        label="Cancel discovery",
        hidden=at[ids.DISCOVERY_CANCEL, "hidden"],
        disabled=at[ids.DISCOVERY_CANCEL, "disabled"],
    )
    actions = html.Div([_link(at, ids.DISCOVERY_RESULT, "See what was tested"), cancel], className="discovery-actions")
    progress = html.Div(
        [
            dbc.Progress(id=ids.DISCOVERY_BAR, value=at[ids.DISCOVERY_BAR, "value"], max=1, className="run-bar"),
            html.Span(at[ids.DISCOVERY_ELAPSED, "children"], id=ids.DISCOVERY_ELAPSED, className="run-text"),
        ],
        id=ids.DISCOVERY_PROGRESS,
        hidden=at[ids.DISCOVERY_PROGRESS, "hidden"],
        className="discovery-progress",
    )
    return html.Section(
        [
            html.Div([words, actions], className="discovery-head"),
            progress,
            dcc.Interval(id=ids.DISCOVERY_TICK, interval=TICK_MS, disabled=at[ids.DISCOVERY_TICK, "disabled"]),
            dcc.Store(id=ids.DISCOVERY_NEWEST, data=None if run is None else run.id),
        ],
        id=ids.DISCOVERY,
        className="b-card discovery",
        **aria(label="Discovery"),
        **data(state=at[ids.DISCOVERY, "data-state"]),
    )


def last_line(at: Values) -> html.Span:
    """Return the line under the page's title: when discovery last ran, with the way to that run."""
    words = html.Span(at[ids.DISCOVERY_LAST, "children"], id=ids.DISCOVERY_LAST)
    return html.Span([words, " ", _link(at, ids.DISCOVERY_LAST_LINK, "See the run")])


def run_button(at: Values, id: str = ids.DISCOVERY_RUN, *, hidden: bool = False) -> html.Button:
    """Return the button that starts discovery; it rests while a run is open."""
    return button(id, RUN_WORDS, "primary", icon_name="play", disabled=at[id, "disabled"], hidden=hidden)


def _words(at: Values, id: str, look: str) -> html.P:
    return html.P(at[id, "children"], id=id, className=look)


def _link(at: Values, id: str, words: str) -> html.A:
    return html.A(words, id=id, href=at[id, "href"], hidden=at[id, "hidden"], className="discovery-link")
