"""The page of one user: what the data hold on a person, and when each signal first matched."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from dash import html

from beton.model.unit_facts import EventRow, UnitFacts
from layouts import format, ids
from layouts.parts.attributes import aria
from layouts.parts.cards import card, columns, facts, metric, metrics, page
from layouts.parts.figures import graph
from layouts.parts.tables import table
from layouts.routes import Page, Route, href
from layouts.unit_figures import drawn_events, is_drawn, last_day, timeline_figure, timeline_height_px
from layouts.unit_parts import AS_IMPORTED, badges, day, deals_card, notices, signals_card, trait_rows

INTERNAL: Final = (
    "This is one of your own or a test account. It is left out of every backtest, discovery run and list, and so it "
    "carries no signal."
)
UNIDENTIFIED: Final = (
    "No contact in the CRM has this e-mail. Whether this person converted cannot be known for sure, so no backtest "
    "counts them and they carry no signal of their own."
)


def unit_page(unit: UnitFacts) -> html.Div:
    """Return the page of one user."""
    signals = signals_card(unit.carried, unit.unmeasured, "Carries none of the saved signals.")
    deals = deals_card(unit.deals, unit.outcome_words)
    return page(
        unit.email or unit.user_id,
        *notices(unit, INTERNAL, UNIDENTIFIED),
        _figures(unit),
        _timeline(unit),
        columns(_profile(unit), html.Div([signals, deals], className="stack")),
        _events(unit),
        subtitle=badges(unit, "DEMO: simulated person"),
        back=("Signals", href(Route(Page.SIGNALS))),
    )


def _figures(unit: UnitFacts) -> html.Div:
    first = unit.carried[0] if unit.carried else None
    last = unit.recent[0] if unit.recent else None
    converted = format.date(unit.outcome_at) if unit.outcome_at else "Not yet"
    when = day(unit.after_days(unit.outcome_at)) if unit.outcome_at else f"as of {format.date(unit.data_end)}"
    return metrics(
        metric("Signed up", format.date(unit.signed_up_at), f"{_elapsed(unit)} before the data end"),
        metric("Converted", converted, when),
        metric("Signals", str(len(unit.carried)), f"first on {day(first.matched_after_days)}" if first else None),
        metric("Events", format.count(unit.event_count), f"last on {format.date(last.at)}" if last else None),
    )


def _elapsed(unit: UnitFacts) -> str:
    return format.days(max(0, int(unit.after_days(unit.data_end))))


def _timeline(unit: UnitFacts) -> html.Section:
    events = drawn_events(unit)
    if not events:
        words = "No event is recorded in the first days after the signup, so there is nothing to draw."
        return card("Timeline", html.P(words, className="muted"))
    drawn = graph(
        ids.UNIT_TIMELINE,
        timeline_figure(unit),
        "What this person did on each day since the signup, with the moments at which signals first matched",
        height_px=timeline_height_px(unit),
        caption=_caption(unit, events),
        as_table=table("Events of the timeline", ["Event", "Times", "On days", "First", "Last"], _by_event(unit)),
    )
    note = (
        "A dot is one kind of event on one day, larger the more often it happened. Diamonds and dotted lines: a saved "
        "signal first matched. Green line: the first outcome."
    )
    return card("Timeline", drawn, note=note)


def _caption(unit: UnitFacts, events: Sequence[str]) -> str:
    end = last_day(unit)
    parts = [f"The first {format.days(end)} after the signup."]
    outside = [each for each in unit.carried if not is_drawn(each.matched_after_days, end)]
    if unit.outcome_at is not None and not is_drawn(unit.after_days(unit.outcome_at), end):
        parts.append(f"The outcome lies outside, on {day(unit.after_days(unit.outcome_at))}.")
    if outside:
        parts.append(f"{format.plural(len(outside), 'signal')} first matched outside of it.")
    hidden = len({each.event for each in unit.days}) - len(events)
    if hidden:
        parts.append(f"{format.plural(hidden, 'rarer kind')} of event {'is' if hidden == 1 else 'are'} not drawn.")
    if unit.before_signup:
        parts.append(f"{format.plural(unit.before_signup, 'event')} before the signup not drawn.")
    return " ".join(parts)


def _by_event(unit: UnitFacts) -> list[list[str]]:
    rows = []
    for event in dict.fromkeys(each.event for each in unit.days):
        days = [each for each in unit.days if each.event == event]
        times = format.count(sum(each.times for each in days))
        rows.append([event, times, format.count(len(days)), f"day {days[0].day}", f"day {days[-1].day}"])
    return rows


def _profile(unit: UnitFacts) -> html.Section:
    rows: list[tuple[str, Any]] = [
        ("User id", html.Code(unit.user_id)),
        ("E-mail", unit.email or "Not in the data"),
        ("Company", _company(unit)),
        ("CRM contact", _contact(unit)),
    ]
    known = [each for each in unit.traits if each.name != "company_name"]
    rows += trait_rows(known)
    return card("Profile", facts(rows), note=AS_IMPORTED)


def _company(unit: UnitFacts) -> Any:
    if unit.company_id is None:
        return "None"
    return html.A(unit.company or unit.company_id, href=href(Route(Page.ACCOUNT, unit_id=unit.company_id)))


def _contact(unit: UnitFacts) -> Any:
    if unit.contact_id is not None:
        return html.Code(unit.contact_id)
    return "Contacts were not imported" if unit.is_identified else "None with this e-mail"


def _events(unit: UnitFacts) -> html.Section:
    if not unit.recent:
        return card("Events", html.P("No event of this person is in the data.", className="muted"))
    rows = [
        [f"{each.at:%Y-%m-%d %H:%M}", format.decimal(each.after_days), [each.event, _details(each)]]
        for each in unit.recent
    ]
    listed = table("Last events, newest first", ["Time (UTC)", "Day", "Event"], rows)
    part = "All" if len(rows) == unit.event_count else f"The last {len(rows)} of"
    shown = f"{part} {format.plural(unit.event_count, 'event')}, newest first."
    inside = html.Div(listed, className="event-list", tabIndex=0, role="region", **aria(label="Last events"))
    return card("Events", inside, note=shown)


def _details(each: EventRow) -> html.Span:
    words = " · ".join(f"{name} {value}" for name, value in each.details.items())
    return html.Span(f" {words}" if words else "", className="muted")
