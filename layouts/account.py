"""The page of one account: its people, its deals, and which signals on accounts it carries."""

from __future__ import annotations

from typing import Any, Final

from dash import html

from beton.model.unit_facts import AccountFacts, Person
from layouts import format
from layouts.parts.attributes import aria
from layouts.parts.cards import card, columns, facts, metric, metrics, page
from layouts.parts.tables import table
from layouts.routes import Page, Route, href
from layouts.unit_parts import AS_IMPORTED, badges, day, deals_card, notices, signals_card, trait_rows

INTERNAL: Final = (
    "Everybody here is internal or a test. The account is left out of every backtest, discovery run and list."
)
UNIDENTIFIED: Final = (
    "Nobody of this account is a contact in the CRM. Whether it converted cannot be known for sure, so no backtest "
    "counts it."
)
NO_SIGNAL: Final = "Carries no signal on accounts. Signals on people are on the pages of its people."


def account_page(account: AccountFacts) -> html.Div:
    """Return the page."""
    signals = signals_card(account.carried, account.unmeasured, NO_SIGNAL)
    deals = deals_card(account.deals, account.outcome_words)
    return page(
        account.name or account.account_id,
        *notices(account, INTERNAL, UNIDENTIFIED),
        _figures(account),
        columns(_profile(account), html.Div([signals, deals], className="stack")),
        _people(account),
        subtitle=badges(account, "DEMO: simulated account"),
        back=("Signals", href(Route(Page.SIGNALS))),
    )


def _figures(account: AccountFacts) -> html.Div:
    converted = format.date(account.outcome_at) if account.outcome_at else "Not yet"
    when = f"as of {format.date(account.data_end)}"
    if account.outcome_at and account.first_seen_at:
        when = day((account.outcome_at - account.first_seen_at).total_seconds() / 86_400)
    first = account.carried[0] if account.carried else None
    return metrics(
        metric("First signup", format.date(account.first_seen_at), None if account.first_seen_at else "no user yet"),
        metric("Converted", converted, when),
        metric("Signals", str(len(account.carried)), f"first on {day(first.matched_after_days)}" if first else None),
        metric("People", format.count(account.people_count)),
    )


def _profile(account: AccountFacts) -> html.Section:
    known = [each for each in account.traits if each.name != "company_name"]
    rows: list[tuple[str, Any]] = [("Account id", html.Code(account.account_id)), *trait_rows(known)]
    return card("Profile", facts(rows), note=AS_IMPORTED)


def _people(account: AccountFacts) -> html.Section:
    if not account.people:
        return card("People", html.P("No user of this account is in the data.", className="muted"))
    rows = [[_name(each), format.date(each.signed_up_at)] for each in account.people]
    listed = table("People of the account", ["User", "Signed up"], rows)
    part = "All" if len(rows) == account.people_count else f"The first {len(rows)} of"
    inside = html.Div(listed, className="people-list", tabIndex=0, role="region", **aria(label="People"))
    return card("People", inside, note=f"{part} {format.plural(account.people_count, 'user')}, by signup.")


def _name(person: Person) -> list[Any]:
    link = html.A(person.email or person.user_id, href=href(Route(Page.USER, unit_id=person.user_id)))
    return [link, html.Span(" internal", className="muted")] if person.is_internal else [link]
