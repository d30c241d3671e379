from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from dash import html
from shell_fakes import CUSTOMER, DEMO

from beton.model.manifest import Manifest, SourceFile
from layouts import ids, not_found, shell, upcoming
from layouts.routes import Page


def text(component: Any) -> str:
    """Return all words of a component."""
    if component is None or isinstance(component, str | int | float):
        return str(component or "")
    if isinstance(component, list | tuple):
        return " ".join(text(each) for each in component)
    return text(getattr(component, "children", None))


def links(page: Any) -> set[str]:
    return {each.href for each in page._traverse() if isinstance(each, html.A)}


@pytest.mark.parametrize("manifest", [None, DEMO, CUSTOMER])
def test_pages_draw_with_and_without_data_and_lead_on(manifest: Manifest | None) -> None:
    pages = [upcoming.dashboard(manifest), upcoming.sources(manifest), upcoming.playbooks(), upcoming.destinations()]
    for page in pages:
        assert getattr(page, "data-title")
        assert sum(isinstance(each, html.H1) for each in page._traverse()) == 1
    assert {"/backtest", "/signals", "/settings"} <= links(upcoming.playbooks())


def test_before_the_first_import_the_commands_are_named() -> None:
    for page in (upcoming.dashboard(None), upcoming.sources(None)):
        assert "beton demo" in text(page)
        assert "beton import" in text(page)


def test_the_dashboard_shows_the_facts_of_the_snapshot() -> None:
    words = text(upcoming.dashboard(DEMO))
    for fact in ("34,521", "2,851,337", "1 Jan 2024 – 31 Dec 2024", "a3f09c21be77", "11,086 of 12,456 (89.0%)", "DEMO"):
        assert fact in words
    assert "DEMO" not in text(upcoming.dashboard(CUSTOMER))


def test_sources_count_rows_and_rejects_once_per_table() -> None:
    twice = replace(DEMO, sources=(*DEMO.sources, SourceFile("events", "late.csv", 1, "2" * 64)))
    table = next(each for each in upcoming.sources(twice)._traverse() if isinstance(each, html.Tbody))
    rows = [text(row).split() for row in table.children]
    assert [row[-2:] for row in rows] == [["34,521", "0"], ["10", "12"]]
    assert "events: 12 rows, unreadable timestamp" in text(upcoming.sources(DEMO))


def test_the_workspace_says_demo_only_for_demo_data() -> None:
    assert shell.DEMO_WORDS in text(shell.workspace(DEMO))
    assert shell.DEMO_WORDS not in text(shell.workspace(CUSTOMER))
    assert "Contoso" in text(shell.workspace(CUSTOMER))
    assert "No data yet" in text(shell.workspace(None))


def test_hostile_names_stay_text() -> None:
    hostile = replace(DEMO, name="<script>alert(1)</script>")
    for drawn in (*shell.workspace(hostile), upcoming.dashboard(hostile), not_found.not_found("/<img onerror=x>")):
        kinds = {type(each).__name__ for each in [drawn, *drawn._traverse()]}
        assert not kinds & {"Script", "Iframe", "Markdown", "DangerouslySetInnerHTML"}
    assert "<script>" in text(upcoming.dashboard(hostile))


def test_ids_in_the_shell_are_unique_and_every_page_has_its_link() -> None:
    layout = shell.shell()
    found = Counter(ids.dom(each.id) for each in [layout, *layout._traverse()] if getattr(each, "id", None))
    assert max(found.values()) == 1
    inside_another = {Page.NOT_FOUND, Page.SIGNAL, Page.RUNS, Page.RUN, Page.USER, Page.ACCOUNT, Page.PLAYBOOK}
    inside_another |= {Page.HISTORY, Page.BACKTEST_COMPARE}
    linked = {ids.dom(ids.event("shell", "nav", page)) for page in Page if page not in inside_another}
    assert linked <= set(found)
