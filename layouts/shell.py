"""The frame round every page: navigation, workspace, theme, toasts, and the form that rests while work runs."""

from __future__ import annotations

from typing import Any

from dash import dcc, html

from beton.model.manifest import Manifest
from layouts import format, ids
from layouts.parts.attributes import aria, data
from layouts.parts.cards import skeleton
from layouts.parts.icons import IconName, icon
from layouts.parts.notices import badge
from layouts.routes import Page, Route, href
from store import SLICES

DEMO_WORDS = "DEMO data: simulated company"

NAV_ITEMS: tuple[tuple[Page, str, IconName], ...] = (
    (Page.DASHBOARD, "Dashboard", "dashboard"),
    (Page.SOURCES, "Sources", "sources"),
    (Page.SIGNALS, "Signals", "signals"),
    (Page.BACKTEST, "Backtest", "backtest"),
    (Page.PLAYBOOKS, "Playbooks", "playbooks"),
    (Page.DESTINATIONS, "Destinations", "destinations"),
    (Page.SETTINGS, "Settings", "settings"),
)
_THEMES: tuple[tuple[str, IconName, str], ...] = (
    ("light", "sun", "Light theme"),
    ("system", "system", "Theme of this device"),
    ("dark", "moon", "Dark theme"),
)


def shell() -> html.Div:
    """Return the layout of the app. It holds no data: anyone who reaches the server can ask for it."""
    return html.Div(
        [
            dcc.Location(id=ids.URL, refresh="callback-nav"),
            dcc.Store(id=ids.TOAST),
            *[dcc.Store(id=ids.store(name), storage_type=kept.storage) for name, kept in SLICES.items()],
            html.A("Skip to content", href=f"#{ids.MAIN}", className="skip-link"),
            _sidebar(),
            html.Main(_page_form(), id=ids.MAIN, tabIndex=-1, className="main"),
            html.Div(id=ids.TOASTS, className="toasts", role="status", **aria(live="polite")),
        ],
        id=ids.SHELL,
        className="shell",
        **data(menu="closed"),
    )


def workspace(manifest: Manifest | None) -> list[Any]:
    """Return the lines of the sidebar that say whose data this is, with the DEMO mark when it is nobody's."""
    if manifest is None:
        return [html.Div("No data yet", className="workspace-name")]
    lines: list[Any] = [
        html.Div(manifest.name, className="workspace-name"),
        html.Div(format.date_range(manifest.range.start, manifest.range.end), className="workspace-range"),
    ]
    if manifest.demo:
        lines.append(badge(DEMO_WORDS, "demo"))
    return lines


def _page_form() -> html.Fieldset:
    targets: Any = {ids.PAGE: "children"}
    loading = dcc.Loading(
        html.Div(skeleton(), id=ids.PAGE),
        delay_show=250,
        custom_spinner=skeleton(),
        target_components=targets,
        show_initially=False,
        parent_className="page-loading",
    )
    return html.Fieldset(loading, id=ids.PAGE_FORM, className="page-form")


def _sidebar() -> html.Header:
    home = html.A(
        [icon("logo"), html.Span("Beton")],
        href=href(Route(Page.DASHBOARD)),
        className="brand",
        **aria(label="Beton"),
    )
    menu = html.Button(
        [icon("menu"), html.Span("Menu", className="visually-hidden")],
        id=ids.NAV_TOGGLE,
        type="button",
        className="btn btn-ghost btn-icon nav-toggle",
        **aria(expanded="false", controls=ids.NAV),
    )
    inside = [
        home,
        html.Div(id=ids.WORKSPACE, className="workspace"),
        menu,
        html.Div([_nav(), _theme_switch()], id=ids.NAV, className="nav-panel"),
    ]
    return html.Header(inside, className="sidebar")


def _nav() -> html.Nav:
    links = [
        html.Li(
            html.A(
                [icon(icon_name), html.Span(words)],
                id=ids.event("shell", "nav", page),
                href=href(Route(page)),
                className="nav-item",
                **aria(current="false"),
            )
        )
        for page, words, icon_name in NAV_ITEMS
    ]
    return html.Nav(html.Ul(links), **aria(label="Pages"))


def _theme_switch() -> html.Div:
    """Return the theme buttons; ``assets/10-shell.js`` gives them life, before any callback runs."""
    buttons = [
        html.Button(icon(icon_name), type="button", title=words, **aria(label=words), **data(theme_choice=choice))
        for choice, icon_name, words in _THEMES
    ]
    return html.Div(buttons, className="theme-switch", role="group", **aria(label="Theme"))
