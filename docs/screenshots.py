"""Take the pictures of README and docs from a running app: ``beton serve``, then ``make screenshots``."""

from __future__ import annotations

import os
from pathlib import Path

from playwright.sync_api import Page, expect, sync_playwright

IMAGES = Path(__file__).parent / "img"
ADDRESS = os.environ.get("BETON_URL", "http://127.0.0.1:8050")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking", "--disable-sync"]


def backtest(page: Page) -> None:
    """Define and run the PRD's example."""
    page.goto(f"{ADDRESS}/backtest")
    page.locator("#backtest-name").fill("High-intent enterprise accounts")
    row = page.locator(".builder-row").first
    row.locator(".f-subject select").select_option("onboarding_completed")
    row.locator(".f-within input").fill("7")
    expect(page.locator("#backtest-sentence")).to_contain_text("within 7 days")
    page.get_by_role("button", name="Add property").first.click()
    row = page.locator(".builder-row").nth(1)
    row.locator(".f-subject select").select_option("company_size")
    row.locator(".f-op select").select_option("between")
    row.locator(".f-value input").fill("50")
    row.locator(".f-value2 input").fill("500")
    expect(page.locator("#backtest-sentence")).to_contain_text("between 50 and 500")
    page.get_by_role("button", name="Run Backtest").click()
    expect(page.locator("#result-lift")).to_contain_text("x")
    expect(page.locator(".results .js-plotly-plot")).to_have_count(3)
    page.wait_for_timeout(500)


def query(page: Page) -> None:
    """Open the SQL tab with the PRD's query, the tables beside it and its first rows."""
    page.goto(f"{ADDRESS}/backtest")
    page.locator(".nav-link", has_text="SQL Query").click()
    expect(page.locator(".sql-editor[data-state=ready]")).to_be_visible()
    page.locator("#sql-name").fill("Onboarded fast, mid-size company")
    page.get_by_role("button", name="Preview").click()
    expect(page.locator("#sql-preview-rows")).to_contain_text("rows in all")
    page.get_by_text("Show Schema").click()
    page.get_by_text("users", exact=True).first.click()
    page.wait_for_timeout(500)


def main() -> None:
    """Write every picture, light and dark."""
    IMAGES.mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=os.environ.get("CHROMIUM_PATH", "/usr/bin/chromium"), args=FLAGS
        )
        for scheme in ("light", "dark"):
            page = browser.new_page(viewport={"width": 1280, "height": 860}, color_scheme=scheme)
            backtest(page)
            page.screenshot(path=IMAGES / f"backtest-{scheme}.png", full_page=True)
            query(page)
            page.screenshot(path=IMAGES / f"query-{scheme}.png", full_page=True)
            page.goto(f"{ADDRESS}/signals/sig_001")
            expect(page.locator(".ladder")).to_be_visible()
            expect(page.locator(".js-plotly-plot")).to_have_count(4)
            height = page.evaluate("document.documentElement.scrollHeight")
            page.set_viewport_size({"width": 1280, "height": height})  # a grid draws the rows that are seen
            expect(page.locator("#carriers-grid .ag-row").first).to_be_visible()
            page.add_style_tag(content=".detail-actions { position: static }")  # it would cover cards
            page.wait_for_timeout(500)
            page.screenshot(path=IMAGES / f"signal-{scheme}.png", full_page=True)
            page.close()
        browser.close()


if __name__ == "__main__":
    main()
