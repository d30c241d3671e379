"""The playbook form (PRD 5.6): which signals make a match, and what is to happen then."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import dash_bootstrap_components as dbc
from dash import html

from beton.model.manifest import Manifest
from beton.model.playbook import PlaybookReach
from layouts import format, ids
from layouts.parts.attributes import aria
from layouts.parts.buttons import button, button_row, icon_button, link_button
from layouts.parts.cards import card, page
from layouts.parts.forms import select, text_input
from layouts.parts.notices import badge, empty_state
from layouts.routes import Page, Route, href
from layouts.upcoming import no_data
from store.playbook import MOST_ALTERNATIVES, MOST_SIGNALS, Alternative, Pick, PlaybookDraft

TITLE: Final = "New playbook"
SUBTITLE: Final = "Say which signals make a match, and what should happen to the people who match."
NOTHING_CHOSEN: Final = "Choose a signal to see how many people match."
WHY_NOT_SAVED: Final = (
    "Saving and delivering playbooks arrives with deliveries. Until then, this browser keeps the draft and nothing is "
    "sent anywhere."
)
CONDITION_NOTE: Final = "A match carries every signal of a group. With several groups, one of them is enough."
ACTION_NOTE: Final = "Noted in the draft. None of these can deliver yet, because no destination is connected."
HTTPS: Final = "https://"


def playbook(
    manifest: Manifest | None, draft: PlaybookDraft, names: Mapping[str, str], reach: PlaybookReach | str | None
) -> html.Div:
    """Return the form; ``names`` are the saved signals by id, ``reach`` who matches now or why that is unknown."""
    back = ("Playbooks", href(Route(Page.PLAYBOOKS)))
    if manifest is None:
        return page(TITLE, no_data(), subtitle=SUBTITLE, back=back)
    if not names:
        test = link_button("Test a hypothesis", href(Route(Page.BACKTEST)), "primary", icon_name="backtest")
        empty = empty_state("No signals yet", "A playbook is made of saved signals: find or test some first.", test)
        return page(TITLE, empty, subtitle=SUBTITLE, back=back)
    demo = [badge("DEMO: counts are of simulated people", "demo")] if manifest.demo else []
    words = html.P(sentence(draft, names), id=ids.PLAYBOOK_SENTENCE, className="sentence", **aria(live="polite"))
    count = html.P(reach_words(reach), id=ids.PLAYBOOK_COUNT, className="playbook-count", **aria(live="polite"))
    return page(
        TITLE,
        card(
            "When these conditions are met",
            [
                text_input(ids.playbook_field("name"), "Name", draft.name, placeholder="High-intent accounts"),
                html.Div(rows(draft, names), id=ids.PLAYBOOK_ROWS),
                words,
                html.Div([count, *demo], className="playbook-reach"),
            ],
            note=CONDITION_NOTE,
        ),
        card("Perform these actions", _actions(draft), note=ACTION_NOTE),
        _save(),
        subtitle=SUBTITLE,
        back=back,
    )


def rows(draft: PlaybookDraft, names: Mapping[str, str]) -> html.Div:
    """Return the groups of signals with their buttons."""
    options = sorted(names.items(), key=lambda each: each[1].casefold())
    drawn: list[Any] = []
    for position, each in enumerate(draft.alternatives):
        if position:
            drawn.append(html.Div("or", className="playbook-or"))
        drawn.append(_group(each, position + 1, options))
    is_full = len(draft.alternatives) == MOST_ALTERNATIVES
    more = button(
        ids.event("playbook", "add-alternative", ""), "Or another group", "ghost", icon_name="plus", disabled=is_full
    )
    return html.Div([*drawn, html.Div(more)], className="builder")


def _group(each: Alternative, number: int, options: Sequence[tuple[str, str]]) -> html.Div:
    lines = [_row(row, position, options) for position, row in enumerate(each.picks)]
    more = button(
        ids.event("playbook", "add-signal", each.key),
        "And another signal",
        "ghost",
        icon_name="plus",
        label=f"And another signal in group {number}",
        disabled=len(each.picks) == MOST_SIGNALS,
    )
    return html.Div([*lines, html.Div(more)], className="builder-row playbook-group")


def _row(row: Pick, position: int, options: Sequence[tuple[str, str]]) -> html.Div:
    known = row.signal_id if row.signal_id in dict(options) else ""
    chosen = dict(options).get(known, "this row")
    return html.Div(
        [
            html.Span("and" if position else "Carries", className="builder-word playbook-word"),
            html.Div(
                select(
                    ids.playbook_field("signal", row.key),
                    "Signal",
                    [("", "Choose a signal"), *options],
                    known,
                    placeholder="Choose a signal",
                    compact=True,
                ),
                className="f-subject",
            ),
            icon_button(ids.event("playbook", "remove", row.key), "close", f"Remove {chosen}"),
        ],
        className="builder-controls",
    )


def _actions(draft: PlaybookDraft) -> html.Div:
    channel = _detail("slack_channel", "Slack channel", draft.slack_channel, "#sales-alerts")
    address = _detail("webhook_url", "Webhook address", draft.webhook_url, f"{HTTPS}hooks.example.com/…")
    lines = (
        (_check("slack", "Send a Slack alert to", draft.slack), channel),
        (_check("attio", "Update the fields in Attio", draft.attio), None),
        (_check("email", "Trigger an e-mail sequence", draft.email), None),
        (_check("webhook", "Send a webhook to", draft.webhook), address),
    )
    drawn = [
        html.Div([check] if field is None else [check, field], className="playbook-action") for check, field in lines
    ]
    return html.Div(drawn, className="playbook-actions")


def _check(name: str, words: str, value: bool) -> dbc.Checkbox:
    return dbc.Checkbox(id=ids.playbook_field(name), label=words, value=value)


def _detail(name: str, label: str, value: str, placeholder: str) -> html.Div:
    return text_input(ids.playbook_field(name), label, value, placeholder=placeholder, max_length=500, compact=True)


def _save() -> html.Div:
    why = html.P(WHY_NOT_SAVED, id=ids.part(ids.PLAYBOOK_SAVE, "why"), className="muted playbook-why")
    save: Any = button(ids.PLAYBOOK_SAVE, "Save playbook", "primary", disabled=True)
    setattr(save, "aria-describedby", ids.part(ids.PLAYBOOK_SAVE, "why"))
    cancel = link_button("Back to Playbooks", href(Route(Page.PLAYBOOKS)), "ghost")
    return html.Div([button_row(save, cancel), why], className="playbook-save")


def sentence(draft: PlaybookDraft, names: Mapping[str, str]) -> str:
    """Return the condition in words; brackets stand wherever the meaning needs them."""
    groups = draft.groups(names)
    if not groups:
        return ""
    said = [" and ".join(f"“{names[each]}”" for each in group) for group in groups]
    if len(groups) > 1:
        said = [f"({words})" if len(group) > 1 else words for words, group in zip(said, groups, strict=True)]
    return f"People who carry {' or '.join(said)}."


def reach_words(reach: PlaybookReach | str | None) -> str:
    """Return how many match now; a text is the reason why that cannot be told."""
    if reach is None:
        return NOTHING_CHOSEN
    if isinstance(reach, str):
        return f"Cannot tell how many match: {reach}"
    if not reach.users:
        return f"Nobody matches in the data until {format.date(reach.data_end)}."
    people, accounts = _people(reach.users), format.plural(reach.accounts, "account")
    not_yet = f"{_people(reach.open_users)} at {format.plural(reach.open_accounts, 'account')}"
    return (
        f"{people} at {accounts} {'matches' if reach.users == 1 else 'match'} now, in the data until "
        f"{format.date(reach.data_end)}. Not yet converted: {not_yet}. First matched in the last {reach.recent_days} "
        f"days of the data: {_people(reach.recent_users)}."
    )


def _people(number: int) -> str:
    return "1 person" if number == 1 else f"{format.count(number)} people"


def field_errors(draft: PlaybookDraft) -> dict[str, str]:
    """Return one sentence for every field of the form that could not be used as it is."""
    address = draft.webhook_url.strip()
    if address and not address.startswith(HTTPS):
        return {"webhook_url": f"Begin with {HTTPS}: a webhook is never sent unencrypted."}
    return {}
