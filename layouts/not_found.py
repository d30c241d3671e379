"""The page for addresses that lead nowhere."""

from __future__ import annotations

from dash import html

from layouts.parts.buttons import link_button
from layouts.parts.cards import page
from layouts.parts.notices import empty_state
from layouts.routes import Page, Route, href


def not_found(path: str) -> html.Div:
    """Return the page for an unknown address."""
    return page("Page not found", nothing_here("There is no page at ", html.Code(path), "."))


def signal_not_found(signal_id: str) -> html.Div:
    """Return the page for a signal that does not exist or was deleted."""
    return page(
        "Signal not found",
        nothing_here("No signal has the id ", html.Code(signal_id), "."),
        back=("Signals", href(Route(Page.SIGNALS))),
    )


def user_not_found(user_id: str) -> html.Div:
    """Return the page for a user that the current data do not hold."""
    return page(
        "User not found",
        nothing_here(
            "Nobody in the current data has the id ",
            html.Code(user_id),
            ". A newer import may have dropped them; the list of a signal shows who is there now.",
        ),
        back=("Signals", href(Route(Page.SIGNALS))),
    )


def account_not_found(account_id: str) -> html.Div:
    """Return the page for an account that the current data do not hold."""
    return page(
        "Account not found",
        nothing_here(
            "No account in the current data has the id ",
            html.Code(account_id),
            ". A newer import may have dropped it; the page of a user leads to the account.",
        ),
        back=("Signals", href(Route(Page.SIGNALS))),
    )


def nothing_here(*sentence: object) -> html.Div:
    """Return the body of both: what was asked for, and where to go from here."""
    ways_on = [
        link_button("Dashboard", href(Route(Page.DASHBOARD)), "primary"),
        link_button("Signals", href(Route(Page.SIGNALS))),
    ]
    return empty_state("Nothing here", list(sentence), ways_on)
