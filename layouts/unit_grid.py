"""Who carries a signal: a grid that asks for its rows as it is scrolled, and opens the page of each user."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from dash import dcc, html

from beton.model.outcome import Unit
from beton.model.unit_facts import MOST_ID, MOST_TEXT, Carrier, CarrierPage
from layouts import format, ids
from layouts.parts.attributes import aria
from layouts.parts.cards import card
from layouts.parts.forms import select, text_input
from layouts.parts.grids import OPENS, column, endless_grid
from layouts.routes import Page, Route, href

HEIGHT_PX: Final = 484  # ten rows and the header
OUTCOMES: Final = [("all", "Everyone"), ("yes", "Converted"), ("open", "Not yet"), ("no", "Did not")]
FITS: Final = {"modelUpdated": ["fitCarriers(params)"], "gridSizeChanged": ["fitCarriers(params)"]}
NOTE: Final = (
    "Everyone who carries the signal, newest match first; internal accounts are left out. “Not yet” means that the "
    "outcome window is still open, and such people do not count in the proof yet. “Day” "
    "counts from the signup. A row opens the person's page."
)
NOTE_OF_ACCOUNTS: Final = (
    "Every account that carries the signal, newest match first; internal accounts are left out. “Not yet” means that "
    "the outcome window is still open, and such accounts do not count in the proof yet. “Day” counts from "
    "the account's first signup. A row opens the account's page."
)


def who_has_it(signal_id: str, unit: Unit = "user", traits: Sequence[str] = ()) -> html.Section:
    """Return the card; its rows arrive through the grid's own requests. ``traits`` are those the data have."""
    filters = html.Div(
        [
            text_input(ids.CARRIERS_SEARCH, "Search", placeholder=_PLACEHOLDER[unit], max_length=MOST_TEXT),
            select(ids.CARRIERS_CONVERTED, "Converted", OUTCOMES, "all"),
        ],
        className="carrier-filters",
        role="search",
        **aria(label="Filter who has it"),
    )
    rows = endless_grid(
        ids.CARRIERS_GRID,
        "Who carries the signal",
        _columns(unit, traits),
        listeners={**OPENS, **FITS},
        height_px=HEIGHT_PX,
    )
    summary = html.P(id=ids.CARRIERS_SUMMARY, className="summary", role="status")
    inside = [filters, summary, rows, dcc.Store(id=ids.CARRIERS_OF, data=signal_id)]
    return card("Who has it", inside, note=NOTE if unit == "user" else NOTE_OF_ACCOUNTS)


_PLACEHOLDER: Final[dict[Unit, str]] = {"user": "Id, e-mail or company", "account": "Id or name"}


def _columns(unit: Unit, traits: Sequence[str]) -> list[dict[str, Any]]:
    is_user = unit == "user"
    shown = " · ".join(name.capitalize() for name in traits)
    return [
        column(
            "who",
            "User" if is_user else "Account",
            "link",
            minWidth=190,
            flex=3,
            tooltipField="who",
        ),
        column("company", "Company" if is_user else "Name", minWidth=120, flex=2, tooltipField="company"),
        *([column(traits[0], shown, minWidth=120, tooltipField=traits[0])] if is_user and traits else []),
        column("matched_at", "First matched", minWidth=146, maxWidth=150, sort="desc", sortingOrder=["desc", "asc"]),
        column("day", "Day", minWidth=66, maxWidth=80, type="rightAligned"),
        column("outcome", "Converted", minWidth=104, maxWidth=116),
        column("standing", "In the proof", minWidth=130, flex=2, tooltipField="standing"),
    ]


def summary_words(page: CarrierPage) -> str:
    """Return how many there are, and how many of them the filters leave."""
    total = format.plural(page.total, page.unit)
    if page.total == 0:
        return "Nobody carries this signal in the current data."
    carry = "carries" if page.total == 1 else "carry"
    fits = "matches" if page.matching == 1 else "match"
    shown = "" if page.matching == page.total else f" · {format.count(page.matching)} {fits} the filters"
    return f"{total} {carry} this signal{shown}"


def grid_row(each: Carrier, unit: Unit) -> dict[str, Any]:
    """Return one row, as it is read: the server sorts."""
    row: dict[str, Any] = {
        "id": each.unit_id,
        "who": each.email or each.unit_id,
        "company": each.company,
        "matched_at": f"{each.matched_at:%Y-%m-%d}",
        "day": format.decimal(each.matched_after_days),
        "outcome": f"{each.outcome_at:%Y-%m-%d}" if each.outcome_at else "Not yet" if each.is_open else "No",
        "standing": each.standing.capitalize(),
    }
    if each.traits:
        row[next(iter(each.traits))] = " · ".join(value for value in each.traits.values() if value)
    if len(each.unit_id) <= MOST_ID:
        row["href"] = href(Route(Page.USER if unit == "user" else Page.ACCOUNT, unit_id=each.unit_id))
    return row
