"""The history of backtests: the ledger of all hypotheses on top, then every run, to filter, open, copy and compare."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from dash import dcc, html

from beton.model.ledger import LedgerSheet
from beton.model.manifest import Manifest
from layouts import format, ids
from layouts.history_figures import ledger_figure
from layouts.parts.attributes import aria, data
from layouts.parts.buttons import button, button_row, link_button
from layouts.parts.cards import card, page
from layouts.parts.figures import graph
from layouts.parts.forms import select, text_input
from layouts.parts.grids import column, grid
from layouts.parts.notices import Status, empty_state
from layouts.parts.still import still
from layouts.parts.tables import table
from layouts.result_figures import lift_limits
from layouts.result_view import VERDICT_STATUS
from layouts.routes import MOST_CHARACTERS, Page, Route, href
from layouts.upcoming import no_data

if TYPE_CHECKING:
    from beton.services.history import HistoryRow

TITLE: Final = "Run history"
SUBTITLE: Final = "Every backtest is kept: what was asked, of which data, and what came out."
LEDGER_NOTE: Final = (
    "A point is a test, in the order in which they were asked; it holds if it lies on or below the orange threshold. "
    "Dotted: the 0.05 that a test would have to meet if it were the only one. Of the tests that hold, about one in "
    "twenty at most should be luck (LORD++). The same question of the same data counts once."
)
LEDGER_HEADER: Final = ("Test", "Signal", "p-value", "At most", "Result")
MOST_IN_TABLE: Final = 50
MOST_UNSCROLLED: Final = 12  # beyond it the grid scrolls, and draws only what is seen
HEIGHT_PX: Final = 720

ALL: Final = "all"  # a choice that leaves everything
VERDICTS: Final = ("Enable", "Watch", "Reject", "Not enough data", "Cannot tell", "Failed", "Interrupted", "Running")
_LOOK_OF_STATUS: Final[dict[str, Status]] = {"failed": "rejected", "interrupted": "disabled"}
_WORD_OF_STATUS: Final = {"failed": "Failed", "interrupted": "Interrupted", "done": "Cannot tell"}

COLUMNS: Final = [
    column("name", "Backtest", cellRenderer="RunName", minWidth=130, flex=3, wrapText=True, autoHeight=True),
    column("verdict", "Verdict", cellRenderer="RunVerdict", minWidth=138, maxWidth=146),
    column("lift", "Lift", "lift", minWidth=104, maxWidth=116),
    column("units", "n", "integer", minWidth=68, maxWidth=80, headerTooltip="Users or accounts with the signal"),
    column("test", "Test", "integer", minWidth=94, maxWidth=100),
    column("when", "When", cellRenderer="RunWhen", minWidth=148, maxWidth=152, sort="desc"),
    column("saved", "Saved as", cellRenderer="RunSaved", minWidth=80, maxWidth=92, sortable=False),
    column("copy", "", cellRenderer="RunCopy", minWidth=88, maxWidth=96, sortable=False),
]
LISTENERS: Final = {
    "cellKeyDown": ["openRun(params)"],
    "rowClicked": ["openRun(params)"],
    "gridSizeChanged": ["fitRuns(params)"],
    "modelUpdated": ["countRuns(params)"],
}


def history(manifest: Manifest | None, rows: Sequence[HistoryRow], sheet: LedgerSheet, *, is_all: bool) -> html.Div:
    """Return the page; ``is_all`` says that ``rows`` are all there are."""
    back = ("Backtest", href(Route(Page.BACKTEST)))
    if not rows:
        return page(TITLE, no_data() if manifest is None else _nothing(), subtitle=SUBTITLE, back=back)
    asked = "asked" if any(row.asked for row in rows) else ALL
    inside = [ledger_card(sheet), html.Div([_filters(asked), *_list(rows, is_all)], className="stack")]
    return page(TITLE, *inside, subtitle=SUBTITLE, back=back)


def _nothing() -> html.Div:
    way = link_button("Run a backtest", href(Route(Page.BACKTEST)), "primary", icon_name="backtest")
    text = "Every backtest will be kept here, with its verdict, so that nobody has to ask the same thing twice."
    return empty_state("No backtest has run yet", text, action=way, command="beton backtest signal.yaml")


def ledger_card(sheet: LedgerSheet) -> html.Section:
    """Return all hypotheses in one picture, and what they mean together in one sentence."""
    said = html.P(sheet.sentence, className="sentence")
    if not sheet.hypotheses:
        return card("All tests together", said)
    newest = sheet.hypotheses[: -MOST_IN_TABLE - 1 : -1]
    numbers = table(
        f"The last {format.plural(len(newest), 'test')}", LEDGER_HEADER, [_test_row(each) for each in newest]
    )
    drawn = graph(
        ids.HISTORY_LEDGER,
        ledger_figure(sheet),
        f"p-values of {format.plural(len(sheet.hypotheses), 'test')} in their order, with the threshold of each",
        height_px=260,
        as_table=still(numbers),
    )
    return card("All tests together", [said, drawn], note=LEDGER_NOTE, class_name="ledger")


def _test_row(each: Any) -> list[Any]:
    at = each.standing
    limit, p = at.written
    link = html.A(each.name, href=href(Route(Page.BACKTEST, run_id=each.run_id)))
    return [format.count(at.number), link, p, limit, "Holds" if at.holds else "Does not hold"]


def _filters(asked: str) -> html.Div:
    kinds = [(ALL, "All"), ("builder", "Visual builder"), ("SQL", "SQL")]
    who = [(ALL, "Everything"), ("asked", "Asked by people"), ("page", "Measured by pages")]
    fields = [
        text_input(ids.HISTORY_SEARCH, "Search", placeholder="Name, condition or id", max_length=MOST_CHARACTERS),
        select(ids.HISTORY_VERDICT, "Verdict", [(ALL, "All"), *((each, each) for each in VERDICTS)], ALL),
        select(ids.HISTORY_KIND, "Written in", kinds, ALL),
        select(ids.HISTORY_ASKED, "Asked", who, asked),
    ]
    return html.Div(fields, className="history-filters", role="search", **aria(label="Filter runs"))


def _list(rows: Sequence[HistoryRow], is_all: bool) -> list[Any]:
    compare = html.A(
        "Compare: choose two or three",
        id=ids.HISTORY_COMPARE,
        className="btn btn-primary",
        **aria(disabled="true"),
        **data(to=href(Route(Page.BACKTEST_COMPARE))),
    )
    clear = button(ids.HISTORY_CLEAR, "Clear filters", "ghost", hidden=True)
    summary = html.P(id=ids.HISTORY_SUMMARY, className="summary", role="status")
    region: Any = grid(
        ids.HISTORY_GRID,
        "Backtests",
        COLUMNS,
        [grid_row(row) for row in rows],
        listeners=LISTENERS,
        height_px=HEIGHT_PX if len(rows) > MOST_UNSCROLLED else None,
    )
    drawn = region.children
    drawn.dashGridOptions |= {
        "rowSelection": {"mode": "multiRow", "headerCheckbox": False, "enableClickSelection": False},
        "isExternalFilterPresent": {"function": "true"},
        "doesExternalFilterPass": {"function": "isWantedRun(params)"},
        "selectionColumnDef": {"width": 44, "minWidth": 44, "maxWidth": 44, "pinned": None},
    }
    return [
        html.Div([summary, button_row(clear, compare)], className="list-head"),
        region,
        button_row(button(ids.HISTORY_OLDER, "Show older runs", hidden=is_all)),
        dcc.Store(id=ids.HISTORY_LAST, data=rows[-1].id),
    ]


def grid_row(row: HistoryRow) -> dict[str, Any]:
    """Return one row: raw numbers and texts, which the grid formats and never takes for markup."""
    word, look = verdict_of(row)
    return {
        "id": row.id,
        "href": href(Route(Page.BACKTEST, run_id=row.id)),
        "name": row.name,
        "name_line": row.problem or row.words,
        "name_tag": "SQL" if row.kind == "SQL" else "",
        "copy": href(Route(Page.BACKTEST, copy_id=row.id)),
        "verdict": word,
        "verdict_look": look,
        "verdict_why": row.problem or (row.verdict.reason if row.verdict else "It has not finished yet"),
        "when": f"{row.created_at:%Y-%m-%d %H:%M}",
        "kind": row.kind,
        "asked": "asked" if row.asked else "page",
        "find": " ".join((row.name, row.words, row.problem or "", row.id)),
        **_figures(row),
        **_when(row),
        **_saved(row),
    }


def verdict_of(row: HistoryRow) -> tuple[str, Status]:
    """Return the verdict of a run in a word, or how it ended without one, and its look."""
    if row.verdict is not None:
        return row.verdict.label, VERDICT_STATUS[row.verdict.label]
    return _WORD_OF_STATUS.get(row.status, "Running"), _LOOK_OF_STATUS.get(row.status, "neutral")


def _figures(row: HistoryRow) -> dict[str, Any]:
    cells: dict[str, Any] = {"units": row.units}
    if row.lift is not None and row.interval is not None:
        # JSON has no infinity: the interval says that there is no upper end.
        is_finite = row.lift != float("inf")
        cells |= {"lift": row.lift if is_finite else None, "lift_line": lift_limits(row.interval)}
        cells["verdict_line"] = f"{format.lift(row.lift)} ({lift_limits(row.interval)})"
        cells["lift_why"] = "" if is_finite else "Nobody without the signal converted, so the lift has no upper end"
    if row.standing is not None:
        holds = "holds" if row.standing.holds else "does not hold"
        cells |= {"test": row.standing.number, "test_line": holds, "test_why": f"{row.standing.sentence}."}
    else:
        cells["test_why"] = "Asked by nobody, so it is not among the tests" if not row.asked else "It has no p-value"
    return cells


def _when(row: HistoryRow) -> dict[str, Any]:
    took = "" if row.seconds is None else f", took {format.duration(row.seconds)}"
    data = "current data" if row.is_current else "earlier data"
    return {
        "when_line": f"{data} · {row.actor}" if row.asked else data,
        "when_why": f"Snapshot {row.snapshot_version}, started by {row.actor}{took}",
    }


def _saved(row: HistoryRow) -> dict[str, Any]:
    if row.saved is None:
        return {}
    older = "" if row.saved.is_current else f"version {row.saved.version}"
    return {
        "saved": row.saved.signal_id,
        "saved_line": older,
        "saved_href": href(Route(Page.SIGNAL, signal_id=row.saved.signal_id)),
    }
