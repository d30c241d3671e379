"""The shuffle test of a run: does the same search find anything where there is nothing to find?"""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

import dash_bootstrap_components as dbc
from dash import dcc, html

from beton.model.discovery import ShuffleTest
from layouts import format, ids
from layouts.discovery_panel import NO_WORKER, TICK_MS
from layouts.parts.buttons import button, button_row
from layouts.parts.cards import card
from layouts.parts.still import still
from layouts.run_figures import bars

if TYPE_CHECKING:
    from beton.records.rows import JobRecord

SHARE: Final = 0.05  # of the worlds in which luck may list something
NOTE: Final = (
    "Conversions are dealt out anew among people who signed up in the same month, and the whole search is repeated. "
    "Whatever it lists then is luck: that should happen in at most about 1 of 20 such worlds."
)
OTHER_DATA: Final = "This run saw other data, and the test searches the current one. Run Discovery first."

# What follows the job: every leaf with the property that changes.
LEAVES: Final[tuple[tuple[str, str], ...]] = (
    (ids.SHUFFLE_WORDS, "children"),
    (ids.SHUFFLE_COUNTS, "children"),
    (ids.SHUFFLE_BAR, "value"),
    (ids.SHUFFLE_BAR, "style"),
    (ids.SHUFFLE_RUN, "disabled"),
    (ids.SHUFFLE_CANCEL, "disabled"),
    (ids.SHUFFLE_CANCEL, "hidden"),
    (ids.SHUFFLE_TICK, "disabled"),
)
Values = dict[tuple[str, str], Any]


def shuffle_card(run_id: str, job: JobRecord | None, *, is_current: bool) -> html.Section:
    """Return the card with how ``job``, the test of this run's question, stands; None if nobody has asked for it."""
    at = leaves(job, is_current=is_current)
    cancel = button(
        ids.SHUFFLE_CANCEL,
        "Cancel",
        label="Cancel the shuffle test",
        disabled=at[ids.SHUFFLE_CANCEL, "disabled"],
        hidden=at[ids.SHUFFLE_CANCEL, "hidden"],
    )
    start = button(ids.SHUFFLE_RUN, "Run the shuffle test", icon_name="play", disabled=at[ids.SHUFFLE_RUN, "disabled"])
    progress = dbc.Progress(
        id=ids.SHUFFLE_BAR,
        value=at[ids.SHUFFLE_BAR, "value"],
        max=1,
        style=at[ids.SHUFFLE_BAR, "style"],
        className="shuffle-bar",
    )
    inside = [
        html.P(at[ids.SHUFFLE_WORDS, "children"], id=ids.SHUFFLE_WORDS, role="status", className="shuffle-words"),
        progress,
        html.Div(at[ids.SHUFFLE_COUNTS, "children"], id=ids.SHUFFLE_COUNTS),
        button_row(start, cancel),
        dcc.Interval(id=ids.SHUFFLE_TICK, interval=TICK_MS, disabled=at[ids.SHUFFLE_TICK, "disabled"]),
        dcc.Store(id=ids.SHUFFLE_OF, data=run_id),
    ]
    return card("Shuffle test", inside, note=NOTE)


def leaves(job: JobRecord | None, *, is_current: bool) -> Values:
    """Return the value of every one of ``LEAVES``."""
    tested = None if job is None or job.result is None else ShuffleTest.from_json(job.result)
    is_open = job is not None and job.is_open
    values = (
        words(job) if is_current else OTHER_DATA,
        None if tested is None or not is_current else still(bars(_counts(tested))),
        job.progress if job is not None else 0.0,
        {} if is_open else {"display": "none"},
        is_open or not is_current,
        job is not None and job.cancel_requested,
        not is_open,
        not is_open,
    )
    return dict(zip(LEAVES, values, strict=True))


def words(job: JobRecord | None) -> str:
    """Say how the test stands, or what it showed."""
    if job is None:
        return "Not run yet for this question on this data."
    if job.status == "done" and job.result is not None:
        return verdict(ShuffleTest.from_json(job.result))
    if job.cancel_requested and job.is_open:
        return "Cancelling: it stops at its next step."
    return {
        "queued": f"Queued. {NO_WORKER}",
        "running": f"{job.stage or 'Starting'} ({job.progress:.0%})",
        "cancelled": "The test was cancelled.",
        "interrupted": "The worker stopped in the middle of the test. Run it again.",
    }.get(job.status, f"The test did not finish: {job.error or 'the server’s log says why'}")


def verdict(tested: ShuffleTest) -> str:
    """Return the result with what it means; luck explains it unless so many worlds have a chance below 5%."""
    luck = f"luck alone may do so in about {SHARE * tested.rounds:.2g}"
    if _chance(tested.worlds, tested.rounds) < SHARE:
        return f"{tested.sentence}; {luck}. That is too many: take the list of this run with caution."
    return f"{tested.sentence}; {luck}. The search does not find what is not there."


def _chance(worlds: int, rounds: int) -> float:
    """Probability of so many worlds or more if each lists something with probability ``SHARE`` (binomial)."""
    fewer = (math.comb(rounds, k) * SHARE**k * (1 - SHARE) ** (rounds - k) for k in range(worlds))
    return 1 - sum(fewer)


def _counts(tested: ShuffleTest) -> list[tuple[str, str, float, str]]:
    """Return the histogram: how many worlds listed so many signals, as rows of bars."""
    numbers = Counter(tested.listed)
    most = max(numbers.values(), default=1)
    return [
        (
            f"{format.plural(listed, 'signal')} listed",
            format.plural(numbers[listed], "world"),
            numbers[listed] / most,
            "",
        )
        for listed in range(max(numbers, default=0) + 1)
    ]
