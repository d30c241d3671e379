"""The list of signals: filtered by controls, kept in the address, exported, opened by row."""

from __future__ import annotations

import csv
import re
from pathlib import Path

from playwright.sync_api import Page, expect

from beton.model.signal import from_dict
from beton.services import Services

SUMMARY = "#signals-summary"


def test_filter_reload_clear_export_and_open(page: Page, demo_url: str, demo: Services) -> None:
    made = demo.signals.save(from_dict({"name": "Docs read", "source": "Docs", "when": {"event": "pageview"}}))
    demo.signals.set_enabled(made.id, False)
    total = len(demo.signals.all())
    page.goto(f"{demo_url}/signals")
    names = page.locator(".signal-list a.grid-link")
    expect(names).to_have_count(total)
    page.evaluate("window.sameDocument = document.querySelector('.page')")

    page.get_by_label("Status").select_option("disabled")
    expect(page).to_have_url(f"{demo_url}/signals?status=disabled")
    expect(names).to_have_text(["Docs read"])
    page.get_by_label("Search").press_sequentially("docs re", delay=30)
    expect(page).to_have_url(f"{demo_url}/signals?status=disabled&q=docs+re")
    expect(page.get_by_label("Search")).to_have_value("docs re")
    expect(page.locator(SUMMARY)).to_have_text(f"{total} signals · {total - 1} enabled · 1 shown")
    assert page.evaluate("window.sameDocument === document.querySelector('.page')")

    with page.expect_download() as download:
        page.get_by_role("button", name="Export CSV").click()
    text = Path(download.value.path()).read_text(encoding="utf-8-sig")
    assert [row["name"] for row in csv.DictReader(text.splitlines())] == ["Docs read"]

    page.reload()
    expect(names).to_have_text(["Docs read"])
    expect(page.get_by_label("Status")).to_have_value("disabled")
    expect(page.get_by_label("Search")).to_have_value("docs re")

    page.get_by_label("Search").fill("no such signal")
    expect(page.get_by_text("No signal matches these filters")).to_be_visible()
    page.locator("#signals-empty").get_by_role("button", name="Clear filters").click()
    expect(page).to_have_url(f"{demo_url}/signals")
    expect(names).to_have_count(total)
    expect(page.get_by_label("Search")).to_be_focused()
    expect(page.get_by_label("Search")).to_have_value("")

    page.go_back()
    expect(page.get_by_label("Status")).to_have_value("disabled")
    expect(page.get_by_label("Search")).to_have_value("no such signal")
    page.goto(f"{demo_url}/signals?status=disabled")
    cell = page.locator(".signal-list .ag-cell[col-id=status]")
    with page.context.expect_page() as tab:
        cell.click(modifiers=["Control"])
    expect(tab.value).to_have_url(f"{demo_url}/signals/{made.id}")
    tab.value.close()
    cell.click()
    expect(page).to_have_url(f"{demo_url}/signals/{made.id}")


def test_every_choice_has_its_own_place_in_the_address(page: Page, demo_url: str) -> None:
    page.goto(f"{demo_url}/signals")
    query = ""
    for label, value in (("Lift", "1.5"), ("Source", "PostHog"), ("Evidence", "1"), ("Thresholds", "any")):
        page.get_by_label(label, exact=True).select_option(value)
        query += f"{'&' if query else '?'}{label.lower()}={value}"
        expect(page).to_have_url(f"{demo_url}/signals{query}")
    page.reload()
    for label, value in (("Evidence", "1"), ("Thresholds", "any")):
        expect(page.get_by_label(label, exact=True)).to_have_value(value)


def test_back_from_a_signal_leads_to_the_list_as_it_was(page: Page, demo_url: str) -> None:
    page.goto(f"{demo_url}/signals?status=enabled")
    page.locator(".signal-list a.grid-link").first.click()
    expect(page).to_have_url(re.compile(r"/signals/sig_\w+$"))
    expect(page.locator("#result-lift")).to_be_visible()
    page.go_back()
    expect(page.get_by_label("Status")).to_have_value("enabled")
    expect(page.locator(".signal-list a.grid-link").first).to_be_visible()


def test_the_chart_follows_the_filter_and_opens_signals(page: Page, demo_url: str) -> None:
    page.goto(f"{demo_url}/signals?q=onboarding&source=PostHog")
    names = page.locator(".signal-list a.grid-link")
    expect(page.locator("#signals-forest .point")).to_have_count(1)
    expect(page.locator("#signals-forest .annotation").first).to_have_text(re.compile("Onboarding"))
    expect(names).to_have_count(1)
    address = names.get_attribute("href")
    page.locator("#signals-forest .annotation").first.click()
    expect(page).to_have_url(f"{demo_url}{address}")
    page.goto(f"{demo_url}/signals?q=onboarding&source=PostHog")
    page.locator("#signals-forest .point").click(force=True)
    expect(page).to_have_url(f"{demo_url}{address}")
