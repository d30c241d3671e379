"""What the pages of a user and of an account share: properties, signals, deals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from dash import html

from beton.model.unit_facts import AccountFacts, Carried, Deal, Trait, UnitFacts
from layouts import format
from layouts.parts.cards import card
from layouts.parts.notices import badge, info
from layouts.parts.tables import table
from layouts.routes import Page, Route, href

AS_IMPORTED: Final = (
    "“As imported” is what the data said at the import: nobody can tell since when, so a signal on such a property "
    "may know what only became true later."
)


def notices(unit: UnitFacts | AccountFacts, internal: str, unidentified: str) -> list[html.Div]:
    """Return why the unit is in no cohort, in the words given, if it is in none."""
    if unit.is_internal:
        return [info(internal, "Left out of all numbers")]
    return [] if unit.is_identified else [info(unidentified, "Not matched to the CRM")]


def badges(unit: UnitFacts | AccountFacts, demo: str) -> html.Div:
    """Return whether the unit converted and counts; ``demo`` labels a simulated one."""
    shown = [badge("Converted", "healthy") if unit.outcome_at else badge("Not converted", "disabled")]
    if unit.is_internal:
        shown.append(badge("Internal: left out", "watch"))
    if unit.is_demo:
        shown.append(badge(demo, "demo"))
    return html.Div(shown, className="badges")


def day(after_days: float) -> str:
    """Return a moment in days since the signup."""
    return f"day {format.decimal(after_days)}"


def trait_rows(traits: Sequence[Trait]) -> list[tuple[str, Any]]:
    """Return the properties that have a value, each with the moment since when it is known to hold."""
    return [(each.name, _value(each)) for each in traits if each.value is not None]


def _value(trait: Trait) -> list[Any]:
    value = str(trait.value).lower() if isinstance(trait.value, bool) else str(trait.value)
    since = "as imported" if trait.set_at is None else f"since {format.date(trait.set_at)}"
    return [value, html.Span(f" {since}", className="muted")]


def signals_card(carried: Sequence[Carried], unmeasured: Sequence[str], nothing: str) -> html.Section:
    """Return the signals that a unit carries; ``nothing`` is said when there are none."""
    notes = []
    if unmeasured:
        names = ", ".join(unmeasured)
        notes.append(html.P(f"Cannot tell, because the data lack what they ask for: {names}.", className="muted"))
    if not carried:
        return card("Signals", [html.P(nothing, className="muted"), *notes])
    rows = [[_signal(each), format.date(each.matched_at), format.decimal(each.matched_after_days)] for each in carried]
    listed = table("Signals carried", ["Signal", "First matched", "Day"], rows)
    return card("Signals", [listed, *notes], note="When each first held, and on which day after the signup.")


def _signal(each: Carried) -> html.A:
    name = each.name if each.is_enabled else f"{each.name} (disabled)"
    return html.A(name, href=href(Route(Page.SIGNAL, signal_id=each.signal_id)))


def deals_card(deals: Sequence[Deal], outcome_words: str) -> html.Section:
    """Return the deals, with what counts as a conversion."""
    counts = f"A conversion is {outcome_words}."
    if not deals:
        return card("Deals", html.P("No deal is in the data.", className="muted"), note=counts)
    rows = [
        [
            [each.deal_id, html.Div(_standing(each), className="muted")],
            _amount(each),
            format.date(each.created_at),
            format.date(each.closed_at) if each.closed_at else "Open",
        ]
        for each in deals
    ]
    header = ["Deal", "Amount", "Created", "Closed"]
    return card("Deals", table("Deals", header, rows), note=counts)


def _standing(deal: Deal) -> str:
    stage = deal.stage or ("Won" if deal.is_won else "")
    return " · ".join(each for each in (stage, "own" if deal.is_own else "of the account") if each)


def _amount(deal: Deal) -> str:
    if deal.amount is None:
        return format.MISSING
    return format.money(deal.amount, deal.currency) if deal.currency else format.count(deal.amount)
