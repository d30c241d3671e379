"""Pages that say what they will do, show the facts that are known today, and lead to what works now."""

from __future__ import annotations

from typing import Any

from dash import html

from beton.model.manifest import Manifest
from layouts import format
from layouts.parts.buttons import link_button
from layouts.parts.cards import card, columns, facts, metric, metrics, page
from layouts.parts.icons import IconName, icon
from layouts.parts.notices import badge, empty_state
from layouts.parts.tables import table
from layouts.routes import Page, Route, href

_WORKS_NOW: tuple[tuple[Page, IconName, str, str], ...] = (
    (Page.BACKTEST, "backtest", "Backtest", "Test any hypothesis against your history."),
    (Page.SIGNALS, "signals", "Signals", "Open saved signals and their proof."),
    (Page.SETTINGS, "settings", "Settings", "Contract value and thresholds behind every projection."),
)


def dashboard(manifest: Manifest | None) -> html.Div:
    """Return the dashboard: the facts of the imported snapshot, and what will stand here."""
    will = "Leads, conversion, pipeline and signal accuracy will be followed here month by month."
    if manifest is None:
        return page("Dashboard", no_data(), works_now(), subtitle=will)
    rows = manifest.tables
    figures = [
        metric(name, format.count(rows.get(key)), sub)
        for key, name, sub in (
            ("users", "Users", f"{format.plural(manifest.internal_users, 'internal account')} left out"),
            ("events", "Events", f"{format.plural(len(manifest.events), 'kind')} of behaviour"),
            ("companies", "Companies", None),
            ("deals", "Deals", _recorded(manifest)),
        )
        if rows.get(key)
    ]
    return page(
        "Dashboard",
        metrics(*figures),
        columns(card("Snapshot", _snapshot_facts(manifest)), card("Most frequent events", _event_table(manifest))),
        works_now(),
        subtitle=will,
    )


def sources(manifest: Manifest | None) -> html.Div:
    """Return the sources: imported files with their row and reject counts."""
    will = "PostHog, Attio, Stripe and Intercom will connect here. Today data comes from files."
    if manifest is None:
        return page("Data sources", no_data(), subtitle=will)
    kinds = columns(card("Data quality", _quality_facts(manifest)), card("Bring in more", _how_to_import()))
    return page("Data sources", card("Imported files", _file_table(manifest)), kinds, subtitle=will)


def playbooks() -> html.Div:
    """Return the page that will hold playbooks."""
    will = "Playbooks will combine signals into rules and act on the accounts that match."
    new = link_button("New playbook", href(Route(Page.PLAYBOOK)), "primary", icon_name="plus")
    return page("Playbooks", works_now(), subtitle=will, actions=new)


def destinations() -> html.Div:
    """Return the page that will hold destinations."""
    return soon("Destinations", "Destinations will write scores and signals to Attio, Slack and webhooks.")


def no_data() -> html.Div:
    """Return the state before the first import: which commands bring data in."""
    return empty_state(
        "No data yet",
        "Build the simulated company to look around, or import your own files through a mapping file.",
        command="beton demo\nbeton import mapping.yaml",
    )


def works_now() -> html.Section:
    """Return links to the pages that work today."""
    links = [
        html.A(
            [
                html.Span(icon(icon_name), className="way-icon"),
                html.Span([html.Strong(name), html.Span(does)], className="way-words"),
                icon("forward"),
            ],
            href=href(Route(target)),
            className="way",
        )
        for target, icon_name, name, does in _WORKS_NOW
    ]
    return html.Section([html.H2("What works now", className="section-title"), html.Div(links, className="ways")])


def soon(title: str, will: str) -> html.Div:
    """Return a page that says in one line what it will do."""
    return page(title, works_now(), subtitle=will)


def _snapshot_facts(manifest: Manifest) -> html.Dl:
    rows: list[tuple[str, Any]] = [
        ("Workspace", [manifest.name, " ", badge("DEMO", "demo")] if manifest.demo else manifest.name),
        ("Events from", format.date_range(manifest.range.start, manifest.range.end)),
        ("Outcomes known until", format.date(manifest.data_end)),
    ]
    if manifest.contacts is not None:
        rows.append(("Contacts matched to users", _share(manifest.contacts.matched, manifest.contacts.total)))
    return facts(
        [
            *rows,
            ("Imported", format.date_time(manifest.built_at)),
            ("Version", html.Code(manifest.version)),
        ]
    )


def _event_table(manifest: Manifest) -> html.Div:
    top = sorted(manifest.events, key=lambda event: -event.rows)[:7]
    rows = [[event.name, format.count(event.rows), format.count(event.users)] for event in top]
    return table("Most frequent events", ["Event", "Rows", "Users"], rows)


def _file_table(manifest: Manifest) -> html.Div:
    """A table may come from several files; rows are rejected per table."""
    rows = []
    for name in dict.fromkeys(source.table for source in manifest.sources):
        read = [source for source in manifest.sources if source.table == name]
        files = ", ".join(source.file for source in read)
        rejected = sum(manifest.rejects.get(name, {}).values())
        words = [files, html.Span(f" as {name}", className="muted")]
        rows.append([words, format.count(sum(source.rows for source in read)), format.count(rejected)])
    return table("Imported files", ["File", "Rows", "Rejected"], rows)


def _quality_facts(manifest: Manifest) -> html.Dl:
    rows: list[tuple[str, Any]] = [("Rows rejected", _reject_words(manifest))]
    if manifest.contacts is not None:
        rows.append(("Contacts matched to users", _share(manifest.contacts.matched, manifest.contacts.total)))
    rows.append(("Internal users left out", format.count(manifest.internal_users)))
    rows.append(("Outcomes recorded", _recorded(manifest) or "No deals imported"))
    return facts(rows)


def _reject_words(manifest: Manifest) -> Any:
    reasons = [
        f"{name}: {format.plural(number, 'row')}, {reason.replace('_', ' ')}"
        for name, found in manifest.rejects.items()
        for reason, number in found.items()
        if number
    ]
    return [html.Div(line) for line in reasons] or "None"


def _how_to_import() -> list[Any]:
    return [
        html.P("A mapping file says which column means what. Preview it first, then import."),
        html.Pre(html.Code("beton import mapping.yaml --dry-run\nbeton import mapping.yaml"), className="command"),
        link_button("Test a hypothesis", href(Route(Page.BACKTEST)), icon_name="backtest"),
    ]


def _recorded(manifest: Manifest) -> str | None:
    if manifest.outcomes_since is None:
        return None
    return f"since {format.date(manifest.outcomes_since)}"


def _share(part: int, whole: int) -> str:
    rate = part / whole if whole else None
    return f"{format.count(part)} of {format.count(whole)} ({format.percent(rate)})"
