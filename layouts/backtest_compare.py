"""Two or three backtests side by side: what was asked, of whom, what came out, and whether they can be compared."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

from dash import dcc, html

from beton.model.comparison import SQL, Part
from beton.model.evidence import Measured
from layouts import format, ids
from layouts.history import verdict_of
from layouts.parts.buttons import button_row, link_button
from layouts.parts.cards import card, page
from layouts.parts.figures import graph
from layouts.parts.notices import badge, empty_state, error_notice, info, warning
from layouts.parts.still import still
from layouts.result_figures import lift_limits
from layouts.result_view import missing_words
from layouts.routes import Page, Route, href
from layouts.signals_figures import ForestRow, forest_figure, forest_height_px

if TYPE_CHECKING:
    from beton.services.history import Comparison, Side

TITLE: Final = "Compare backtests"
SUBTITLE: Final = "The same figures beside each other, and why they may not be comparable."
FOREST_NOTE: Final = (
    "95% intervals on a logarithmic axis. Solid line: no difference. Dotted: your minimum lift. Intervals that overlap "
    "do not show that two lifts are equal."
)
BACK: Final = "Run history"


def backtest_compare(inside: Any, run_ids: Sequence[str]) -> html.Div:
    """Return the page round ``inside``, which is replaced when the address names other runs."""
    return page(
        TITLE,
        html.Div(inside, id=ids.COMPARED, className="stack"),
        dcc.Store(id=ids.COMPARED_RUNS, data=list(run_ids)),
        subtitle=SUBTITLE,
        back=(BACK, href(Route(Page.HISTORY))),
    )


def too_few() -> html.Div:
    """Return what stands where the address names fewer than two runs."""
    text = "Choose two or three runs in the history; the address of their comparison can be kept and sent on."
    return empty_state(
        "Nothing to compare", text, link_button("Open the history", href(Route(Page.HISTORY)), "primary")
    )


def cannot_compare(problem: str) -> html.Div:
    """Return what stands where one of the runs is unknown or cannot be read."""
    way = link_button("Open the history", href(Route(Page.HISTORY)), "primary")
    return html.Div([error_notice(problem, "These runs cannot be compared"), button_row(way)], className="stack")


def compared(found: Comparison, min_lift: float) -> list[Any]:
    """Return everything below the heading."""
    sides = found.sides
    drawn = [*_forest(sides, min_lift), card("Side by side", _table(sides), class_name="compared")]
    return [_comparable(found), *still(drawn)]


def _comparable(found: Comparison) -> html.Div:
    if found.cautions:
        reasons = html.Ul([html.Li(each) for each in found.cautions], className="cautions")
        return warning(reasons, "Not directly comparable")
    if sum(side.report is not None for side in found.sides) < 2:
        return warning("Fewer than two of these runs have a result.", "Nothing to compare yet")
    return info("The same people, the same outcome and the same data: the lifts can be read beside each other.")


def _forest(sides: Sequence[Side], min_lift: float) -> list[html.Section]:
    rows = [
        ForestRow(side.row.name, _address(side), side.row.lift, side.row.interval, side.row.units or 0)
        for side in sides
        if side.row.lift is not None and side.row.interval is not None
    ]
    if not rows:
        return []
    drawn = graph(
        f"{ids.COMPARED}-forest",
        forest_figure(rows, min_lift),
        "Lift of the compared backtests with 95% intervals",
        height_px=forest_height_px(len(rows)),
    )
    return [card("Lift", drawn, note=FOREST_NOTE)]


def _address(side: Side) -> str:
    return href(Route(Page.BACKTEST, run_id=side.row.id))


def _table(sides: Sequence[Side]) -> html.Div:
    """One row per heading, one column per run; headings that nobody has anything to say under are left out."""
    groups = (
        ("What was asked", _asked(sides)),
        ("What came out", _figures(sides)),
        ("Who was counted", _funnel(sides)),
    )
    head = html.Thead(html.Tr([html.Td(className="compared-corner"), *(_head(side, sides) for side in sides)]))
    bodies = [
        html.Tbody(
            [
                html.Tr(html.Th(title, colSpan=len(sides) + 1, scope="rowgroup"), className="compared-group"),
                *(html.Tr([html.Th(name, scope="row"), *cells], **_marked(is_other)) for name, cells, is_other in rows),
            ]
        )
        for title, rows in groups
        if rows
    ]
    caption = html.Caption("The compared backtests", className="visually-hidden")
    return html.Div(html.Table([caption, head, *bodies], className="compared-table"), className="table-scroll")


def _marked(is_other: bool) -> dict[str, Any]:
    return {"className": "is-different"} if is_other else {}


Row = tuple[str, list[html.Td], bool]


def _head(side: Side, sides: Sequence[Side]) -> html.Th:
    row = side.row
    word, look = verdict_of(row)
    links: list[Any] = [
        html.A("Open", href=_address(side)),
        html.A("Duplicate & edit", href=href(Route(Page.BACKTEST, copy_id=row.id))),
    ]
    if len(sides) > 2:
        others = tuple(each.row.id for each in sides if each is not side)
        links.append(html.A("Leave out", href=href(Route(Page.BACKTEST_COMPARE, run_ids=others))))
    inside = [
        html.Div(row.name, className="compared-name"),
        badge(word, look),
        html.Div(links, className="compared-links"),
    ]
    return html.Th(inside, scope="col")


def _asked(sides: Sequence[Side]) -> list[Row]:
    rows: list[Row] = []
    for parts in zip(*(side.parts for side in sides), strict=True):
        differs = len({part.text for part in parts}) > 1
        rows.append((parts[0].heading, [html.Td(_part(part)) for part in parts], differs))
    return [
        *rows,
        _row("Data", sides, lambda side: _data(side), lambda side: side.row.snapshot_version),
        _row("When", sides, lambda side: format.date_time(side.row.created_at), lambda side: ""),
        _row("By", sides, _by, lambda side: ""),
    ]


def _part(part: Part) -> Any:
    if not part.lines:
        return format.MISSING
    if part.heading == SQL:
        lines = [_line(f"{line.text}\n", line.differs) for line in part.lines]
        return html.Pre(html.Code(lines), className="compared-sql")
    return [html.Div(_line(line.text, line.differs)) for line in part.lines]


def _line(text: str, differs: bool) -> Any:
    return html.Mark(text) if differs else html.Span(text)


def _data(side: Side) -> str:
    return f"{side.row.snapshot_version} ({'current' if side.row.is_current else 'earlier'} data)"


def _by(side: Side) -> str:
    took = "" if side.row.seconds is None else f", {format.duration(side.row.seconds)}"
    return f"{side.row.actor}{'' if side.row.asked else ', measured by a page'}{took}"


def _row(
    name: str, sides: Sequence[Side], write: Callable[[Side], Any], compare: Callable[[Side], Any] | None = None
) -> Row:
    """Return a row of the table; it is marked where ``compare`` (else what is written) differs between runs."""
    values = [(compare or write)(side) for side in sides]
    return name, [html.Td(write(side)) for side in sides], len(set(values)) > 1


def _measured(write: Callable[[Measured], str]) -> Callable[[Side], str]:
    def of(side: Side) -> str:
        result = None if side.report is None else side.report.evidence.result
        return write(result) if isinstance(result, Measured) else format.MISSING

    return of


def _figures(sides: Sequence[Side]) -> list[Row]:
    rows: tuple[tuple[str, Callable[[Side], str]], ...] = (
        ("Recommendation", _reason),
        ("Among all tests", _standing),
        ("Lift", _measured(lambda r: format.lift(float("inf") if r.lift is None else r.lift))),
        ("95% interval", _measured(lambda r: lift_limits(r.lift_interval))),
        ("p-value", _measured(lambda r: format.p_value(r.p_value))),
        ("With signal", _measured(lambda r: _arm(r.table.converted_with, r.table.units_with, r.table.rate_with))),
        (
            "Without",
            _measured(lambda r: _arm(r.table.converted_without, r.table.units_without, r.table.rate_without)),
        ),
        ("Extra points", _measured(lambda r: format.points(r.extra_points))),
        ("Coverage", _measured(lambda r: format.percent(r.coverage))),
        ("Lead time", _measured(lambda r: format.days(_rounded(r.lead_time_median_days)))),
        ("Incremental ARR", _revenue),
    )
    return [_plain(name, sides, write) for name, write in rows]


def _plain(name: str, sides: Sequence[Side], write: Callable[[Side], Any]) -> Row:
    """Return a row of figures: they always differ, so none is marked."""
    return name, [html.Td(write(side)) for side in sides], False


def _rounded(days: float | None) -> float | None:
    return None if days is None else round(days, 1)


def _arm(converted: int, units: int, rate: float | None) -> str:
    return f"{format.percent(rate)} ({format.count(converted)} of {format.count(units)})"


def _reason(side: Side) -> str:
    row = side.row
    if row.verdict is None:
        return row.problem or "It has not finished yet"
    return row.verdict.reason + ("" if side.report is None else missing_words(side.report.reading))


def _standing(side: Side) -> str:
    standing = side.row.standing
    if standing is None:
        return "Not asked as a test" if not side.row.asked else format.MISSING
    limit, p = standing.written
    holds = "holds" if standing.holds else "does not hold"
    return f"{format.ordinal(standing.number)} test {holds}: p {p}, at most {limit}"


def _revenue(side: Side) -> str:
    reading = None if side.report is None else side.report.reading
    if reading is None or reading.projection is None:
        return format.MISSING
    projection, currency = reading.projection, reading.acv.currency
    limits = (projection.annual_arr_lower, projection.annual_arr_upper)
    low, high = (format.money_short(each, currency) for each in limits)
    return f"{format.money_short(projection.annual_arr, currency, signed=True)} a year ({format.interval(low, high)})"


def _funnel(sides: Sequence[Side]) -> list[Row]:
    counts = [
        {} if side.report is None else {step.label: step.units for step in side.report.evidence.funnel}
        for side in sides
    ]
    labels = dict.fromkeys(label for each in counts for label in each)
    return [
        (
            label,
            [html.Td(format.count(each.get(label))) for each in counts],
            len({each.get(label) for each in counts if each}) > 1,
        )
        for label in labels
    ]
