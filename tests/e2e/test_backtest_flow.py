"""Flow B of the PRD (define, run, review, save) and a setting that moves a projection, over a small demo company."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from beton.services import Services


def row(page: Page, number: int) -> Locator:
    return page.locator(".builder-row").nth(number)


def choose(page: Page, number: int, subject: str, op: str | None = None, **typed: str) -> None:
    at = row(page, number)
    at.locator(".f-subject select").select_option(subject)
    if op is not None:
        at.locator(".f-op select").select_option(op)
    for name, text in typed.items():
        at.locator(f".f-{name} input").fill(text)


def run(page: Page) -> None:
    page.get_by_role("button", name="Run Backtest").click()


def open_backtest(page: Page, url: str) -> None:
    page.goto(f"{url}/backtest")
    expect(row(page, 0)).to_be_visible()


def test_define_run_review_save(page: Page, demo_url: str, demo: Services) -> None:
    open_backtest(page, demo_url)
    page.get_by_label("Signal Name").fill("High-intent enterprise accounts")
    choose(page, 0, "onboarding_completed", within="7")
    page.get_by_role("button", name="Add property").first.click()
    expect(row(page, 1)).to_be_visible()
    choose(page, 1, "company_size", "between", value="50", value2="500")
    words = "Users who did onboarding_completed within 7 days of signup and whose company_size is between 50 and 500."
    expect(page.locator("#backtest-sentence")).to_have_text(words)

    run(page)

    expect(page).to_have_url(re.compile(r"/backtest\?run=[0-9a-f]{32}$"))
    expect(page.locator("#result-title")).to_have_text("High-intent enterprise accounts")
    run_id = page.url.rpartition("=")[2]
    table = demo.backtests.report(run_id).evidence.result.table  # type: ignore[union-attr]
    assert table is not None
    expect(page.locator("#result-users-with")).to_have_text(f"{table.units_with:,}")
    expect(page.locator("#result-converted-without")).to_have_text(f"{table.converted_without:,}")
    expect(page.locator("#result-lift-sub")).to_have_text(re.compile(r"95% CI \d.*x – .*x"))
    expect(page.locator(".results .js-plotly-plot")).to_have_count(3)

    page.get_by_role("button", name="Save Signal").click()

    expect(page).to_have_url(re.compile(r"/signals/sig_\d+$"))
    expect(page.locator("h1")).to_have_text("High-intent enterprise accounts")
    expect(page.get_by_text("Signal saved")).to_be_visible()
    assert any(s.definition.name == "High-intent enterprise accounts" for s in demo.signals.all())


def test_a_result_has_an_address_and_back_returns_to_the_one_before(page: Page, demo_url: str) -> None:
    open_backtest(page, demo_url)
    page.get_by_label("Signal Name").fill("First")
    choose(page, 0, "api_key_created", within="14")
    run(page)
    expect(page.locator("#result-title")).to_have_text("First")
    expect(page).to_have_url(re.compile(r"run="))  # the address follows the result
    first = page.url
    page.get_by_label("Signal Name").fill("Second")
    row(page, 0).locator(".f-within input").fill("5")
    run(page)
    expect(page.locator("#result-title")).to_have_text("Second")
    expect(page).not_to_have_url(first)
    page.go_back()
    expect(page).to_have_url(first)
    expect(page.locator("#result-title")).to_have_text("First")

    page.goto(first)
    expect(page.locator("#result-title")).to_have_text("First")
    page.get_by_role("button", name="Run Another").click()
    expect(page.locator("#backtest-results")).to_be_hidden()
    expect(page.get_by_label("Signal Name")).to_have_value("Second")


def test_a_faulty_row_is_marked_and_nothing_runs(page: Page, demo_url: str) -> None:
    open_backtest(page, demo_url)
    run(page)
    expect(page.get_by_text("give the signal a name")).to_be_visible()
    expect(page.get_by_text("choose an event", exact=True)).to_be_visible()
    expect(page.get_by_text("Not run")).to_be_visible()
    choose(page, 0, "teammate_invited", "count >=", value="many", within="7")
    expect(page.get_by_text("give a whole number of at least 1")).to_be_visible()
    row(page, 0).locator(".f-value input").fill("2")
    expect(page.get_by_text("give a whole number of at least 1")).to_have_count(0)
    assert "run=" not in page.url


def test_rows_are_added_grouped_filtered_and_removed(page: Page, demo_url: str) -> None:
    open_backtest(page, demo_url)
    choose(page, 0, "pageview", "count >=", value="2", within="7")
    row(page, 0).get_by_role("button", name="Filter by a property of the event").click()
    expect(page.locator(".builder-filter")).to_have_count(1)
    page.locator(".builder-filter .f-subject select").select_option("page_path")
    page.locator(".builder-filter .f-value input").fill("/pricing")
    page.get_by_label("Signal Name").fill("Pricing")
    row(page, 0).get_by_role("button", name="Put into a group").click()
    expect(page.locator(".builder-group .builder-group")).to_have_count(1)
    page.locator(".builder-group .builder-group").get_by_role("button", name="Add event").click()
    expect(page.locator(".builder-row")).to_have_count(2)
    choose(page, 1, "api_key_created")
    expect(page.locator("#backtest-sentence")).to_contain_text(
        re.compile(r"page_path is .*/pricing.* or .*api_key_created")
    )
    page.get_by_role("button", name="Remove the group").click()
    expect(page.locator(".builder-row")).to_have_count(1)


def test_a_draft_survives_a_reload(page: Page, demo_url: str) -> None:
    open_backtest(page, demo_url)
    page.get_by_label("Signal Name").fill("Kept")
    choose(page, 0, "api_key_created", within="9")
    expect(page.locator("#backtest-sentence")).to_contain_text("api_key_created within 9 days")
    page.reload()
    expect(page.get_by_label("Signal Name")).to_have_value("Kept")
    expect(row(page, 0).locator(".f-within input")).to_have_value("9")


def test_a_setting_moves_the_projection(page: Page, demo_url: str) -> None:
    page.goto(f"{demo_url}/signals/sig_001")
    arr = page.locator("#result-arr")
    expect(arr).to_contain_text("/ year")
    before = money(arr.inner_text())
    page.goto(f"{demo_url}/settings")
    page.locator("#setting-acv").fill("minus five")
    page.get_by_role("button", name="Save Settings").click()
    expect(page.get_by_text("Write an amount above 0")).to_have_count(2)  # beside the field and in the toast
    page.locator("#setting-acv").fill("54,000")
    page.get_by_role("button", name="Save Settings").click()
    expect(page.get_by_text("Settings saved")).to_be_visible()
    page.goto(f"{demo_url}/signals/sig_001")
    expect(arr).to_contain_text("/ year")
    assert money(arr.inner_text()) == pytest.approx(2 * before, abs=2)


def money(text: str) -> float:
    digits = re.search(r"[\d,]+", text)
    assert digits is not None
    return float(digits.group().replace(",", ""))


def test_a_signal_is_switched_off_and_its_users_exported(page: Page, demo_url: str, demo: Services) -> None:
    page.goto(f"{demo_url}/signals")
    page.get_by_role("link", name="Onboarding completed within 3 days").click()
    expect(page).to_have_url(re.compile("/signals/sig_001$"))
    page.get_by_role("button", name="Disable", exact=True).click()
    expect(page.locator("#detail-status")).to_have_text("Disabled")
    assert not demo.signals.read("sig_001").enabled
    page.get_by_role("button", name="Enable", exact=True).click()
    expect(page.locator("#detail-status")).to_have_text("Enabled")
    with page.expect_download() as download:
        page.get_by_role("button", name="Export Users").click()
    lines = download.value.path().read_text(encoding="utf-8-sig").splitlines()
    assert lines[0].startswith('"user_id","email"')
    carriers = demo.backtests.members(demo.signals.read("sig_001").definition)[1]
    assert len(lines) == len(carriers) + 1


def test_an_unknown_run_says_so(page: Page, demo_url: str) -> None:
    page.goto(f"{demo_url}/backtest?run={'0' * 32}")
    expect(page.get_by_text("This result cannot be shown")).to_be_visible()
