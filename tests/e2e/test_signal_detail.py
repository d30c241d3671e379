"""Signal Detail in the browser: opened from the list, the proof arrives, its actions work, it fits a phone."""

from __future__ import annotations

import re
from pathlib import Path

from playwright.sync_api import Page, expect

from beton.services import Services

SECTIONS = (
    "Definition",
    "Evidence",
    "Backtest results",
    "Does it hold everywhere?",
    "When do they convert?",
    "How often, how soon?",
    "Overlap with other signals",
    "Who has it",
    "Why it may be wrong",
    "Revenue projection",
    "Historical accuracy",
    "Statistics and small print",
)


COLD_MS = 30_000  # the first proof of a server on a busy machine


def opened(page: Page, address: str) -> None:
    page.goto(address)
    proof_is_there(page)


def proof_is_there(page: Page) -> None:
    expect(page.locator(".ladder [aria-current=step]")).to_have_count(1, timeout=COLD_MS)


def test_the_list_opens_the_whole_story(page: Page, demo_url: str) -> None:
    page.goto(f"{demo_url}/signals")
    page.locator(".signal-list a.grid-link", has_text="Onboarding completed").first.click()
    expect(page).to_have_url(re.compile(r"/signals/sig_\w+$"))

    proof_is_there(page)
    for title in SECTIONS:
        expect(page.get_by_role("heading", name=title, exact=True)).to_be_visible()
    expect(page.locator(".forest-table tbody tr:has(.forest-track)").first).to_contain_text("of")
    expect(page.locator("#proof-curves .scatterlayer .trace")).to_have_count(6)
    expect(page.locator(".heat-table td[data-chosen]")).to_have_count(1)
    expect(page.locator("#proof-badge .pill").first).to_contain_text("Evidence")
    expect(page.get_by_role("button", name="Work out the proof again")).to_be_hidden()


def test_the_link_and_the_definition_are_copied(page: Page, demo_url: str, demo: Services) -> None:
    signal = demo.signals.all()[0]
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    opened(page, f"{demo_url}/signals/{signal.id}?from=mail")

    page.get_by_role("button", name="Copy link").click()
    expect(page.locator(".b-toast")).to_have_count(1)
    expect(page.locator(".b-toast").last).to_contain_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()") == f"{demo_url}/signals/{signal.id}"
    page.get_by_role("button", name="Copy link").click()
    expect(page.locator(".b-toast")).to_have_count(2)

    page.get_by_text("Definition as YAML").click()
    page.get_by_role("button", name="Copy", exact=True).click()
    expect(page.locator(".b-toast")).to_have_count(3)
    assert page.evaluate("navigator.clipboard.readText()") == signal.definition.to_yaml()
    with page.expect_download() as download:
        page.get_by_role("button", name="Download as YAML").click()
    assert Path(download.value.path()).read_text(encoding="utf-8") == signal.definition.to_yaml()


def test_without_a_clipboard_the_link_is_copied_all_the_same(page: Page, demo_url: str, demo: Services) -> None:
    page.add_init_script("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
    opened(page, f"{demo_url}/signals/{demo.signals.all()[0].id}")
    button = page.get_by_role("button", name="Copy link")
    button.click()
    expect(page.locator(".b-toast")).to_contain_text("Copied")
    expect(button).to_be_focused()


def test_the_page_fits_a_phone_and_its_actions_stay_in_reach(page: Page, demo_url: str, demo: Services) -> None:
    page.set_viewport_size({"width": 390, "height": 800})
    opened(page, f"{demo_url}/signals/{demo.signals.all()[0].id}")

    expect(page.locator(".forest-plot")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    row = page.locator(".forest-table tbody tr:has(.forest-track)").first
    tops = [row.locator(part).bounding_box() for part in ("th", ".forest-track", ".forest-arm >> nth=0")]
    assert [box["y"] for box in tops if box] == sorted(box["y"] for box in tops if box)
    actions = page.locator(".detail-actions").locator("button, a")
    expect(actions).to_have_text(["Disable", "Edit", "Add to Rule", "Export Users", "Copy link"])
    for action in actions.all():
        expect(action).to_be_in_viewport(ratio=1)


def test_the_rule_form_opens_with_the_signal(page: Page, demo_url: str, demo: Services) -> None:
    signal = demo.signals.all()[0]
    opened(page, f"{demo_url}/signals/{signal.id}")
    page.get_by_role("link", name="Add to Rule").click()
    expect(page).to_have_url(f"{demo_url}/playbooks/new?signal={signal.id}")
