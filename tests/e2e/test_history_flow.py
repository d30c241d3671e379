"""The history in the browser: find a run, open it, copy it, compare some, and load older ones."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from journeys import Journeys
from made_backtests import NOTHING, START, evidence, keep, signal
from playwright.sync_api import Locator, Page, expect
from shell_fakes import FakeSettings

from app import create_app
from beton.bootstrap import build_services
from beton.config import Settings
from beton.records.database import open_database, sqlite_url
from beton.records.runs import RunRepository
from beton.services.history import PAGE

QUERY = "SELECT user_id\nFROM events\nGROUP BY user_id\nHAVING count(*) >= 5"
HOSTILE = "<img src=x onerror=alert(1)> <b>bold</b>"
OLDER = 3


@pytest.fixture(scope="module")
def history_url(serve, tmp_path_factory: pytest.TempPathFactory) -> str:  # type: ignore[no-untyped-def]
    """Four runs that a person asked, and more than a page of those that pages wanted."""
    folder: Path = tmp_path_factory.mktemp("history")
    people = Journeys(folder, data_end="2024-12-01")
    for number in range(40):
        people.user(f"u{number}", signed_up="2024-01-02").did("x" if number % 2 else "y", after_days=2)
        if number % 4 == 1:
            people.won(after_days=20, amount=1_000)
    people.build()
    services = build_services(Settings(data_dir=folder))
    database = open_database(sqlite_url(folder / "app.sqlite3"))
    runs = RunRepository(database)
    for number in range(PAGE + OLDER - 4):
        keep(runs, f"page{number:03d}", definition=signal(f"Refreshed {number}"), asked_by=None, minute=number)
    now = 10_000
    keep(runs, "sqlrun", NOTHING, definition=signal("As a query", sql=QUERY), minute=now)
    keep(runs, "hostile", definition=signal(HOSTILE, when={"event": "x", "within_days": 7}), minute=now + 1)
    keep(runs, "plain", minute=now + 2)
    at = START.replace(year=2025)
    broken = {"definition_hash": "h", "request_hash": "r", "snapshot_version": "snap-1"}
    runs.start("broken", signal("Broken").to_dict(), at=at, asked_by="local", **broken)
    runs.fail("broken", "The query took longer than 10 s.", at=at)
    database.close()
    assert evidence(signal(), None).period
    address: str = serve(create_app(services, FakeSettings()).server)
    return address


def rows(page: Page) -> Locator:
    return page.locator("#history-grid .ag-center-cols-container .ag-row")


def names(page: Page) -> Locator:
    return page.locator("#history-grid [col-id=name] .grid-link")


def test_the_page_begins_with_what_was_asked_and_filters_without_the_server(page: Page, history_url: str) -> None:
    page.goto(f"{history_url}/backtest/history")
    expect(names(page)).to_have_text(["Broken", "Did x", HOSTILE, "As a query"])
    expect(page.locator("#history-summary")).to_have_text(f"4 of {PAGE} runs")
    expect(page.get_by_text("You have asked 3 questions of your data")).to_be_visible()
    expect(page.locator("#history-ledger .point")).to_have_count(3)
    expect(page.locator("nav a[aria-current=page]")).to_have_text("Backtest")

    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url) if "_dash-update" in request.url else None)
    page.get_by_label("Search").fill("query RETURNED")
    expect(names(page)).to_have_text(["As a query"])
    page.get_by_label("Search").fill("")
    page.get_by_label("Verdict").select_option("Failed")
    expect(names(page)).to_have_text(["Broken"])
    expect(page.get_by_text("The query took longer than 10 s.")).to_be_visible()
    page.get_by_role("button", name="Clear filters").click()
    expect(page.locator("#history-summary")).to_have_text(f"{PAGE} runs")
    expect(page.get_by_label("Search")).to_be_focused()
    assert sent == []


def test_older_runs_are_added_below(page: Page, history_url: str) -> None:
    page.goto(f"{history_url}/backtest/history")
    page.get_by_label("Asked").select_option("all")
    expect(page.locator("#history-summary")).to_have_text(f"{PAGE} runs")
    page.get_by_role("button", name="Show older runs").click()
    expect(page.locator("#history-summary")).to_have_text(f"{PAGE + OLDER} runs")
    expect(page.get_by_role("button", name="Show older runs")).to_be_hidden()


def test_names_and_queries_stay_text(page: Page, history_url: str) -> None:
    page.goto(f"{history_url}/backtest/compare?run=hostile&run=sqlrun")
    expect(page.get_by_role("columnheader", name=HOSTILE)).to_be_visible()
    expect(page.locator("main img[src=x]")).to_have_count(0)
    expect(page.locator(".compared-sql mark")).to_have_count(4)
    expect(page.locator(".compared-sql")).to_contain_text("HAVING count(*) >= 5")


def test_two_or_three_runs_are_chosen_and_compared_and_the_address_is_theirs(page: Page, history_url: str) -> None:
    page.goto(f"{history_url}/backtest/history")
    compare = page.locator("#history-compare")
    expect(compare).to_have_text("Compare: choose two or three")
    boxes = page.locator("#history-grid .ag-row .ag-checkbox-input")
    expect(boxes).to_have_count(4)
    for number in range(4):
        boxes.nth(number).check()
    expect(compare).to_have_text("Compare: 4 chosen, three at most")
    expect(compare).not_to_have_attribute("href", re.compile("run="))
    boxes.nth(3).uncheck()
    compare.click()
    expect(page).to_have_url(re.compile(r"/backtest/compare\?run=\w+&run=\w+&run=\w+$"))
    expect(page.get_by_text("Not directly comparable")).to_be_visible()
    expect(page.get_by_text("3 days against 7 days")).to_be_visible()
    expect(page.locator("#compared-forest .point")).to_have_count(2)

    page.get_by_role("link", name="Leave out").last.click()
    expect(page).to_have_url(re.compile(r"/backtest/compare\?run=\w+&run=\w+$"))
    expect(page.locator(".compared-table thead th")).to_have_count(2)
    page.go_back()
    expect(page.locator(".compared-table thead th")).to_have_count(3)
    page.reload()
    expect(page.locator(".compared-table thead th")).to_have_count(3)
    page.get_by_role("link", name="Run history").click()
    expect(names(page)).to_have_count(4)


def test_a_row_opens_its_run_and_its_copy_also_from_the_keyboard(page: Page, history_url: str) -> None:
    page.goto(f"{history_url}/backtest/history")
    rows(page).nth(1).locator("[col-id=verdict]").click()
    expect(page).to_have_url(f"{history_url}/backtest?run=plain")
    page.go_back()
    cell = rows(page).nth(1).locator("[col-id=lift]")
    cell.focus()
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{history_url}/backtest?run=plain")
    page.go_back()
    rows(page).nth(1).locator("[col-id=copy]").focus()
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"/backtest\?copy=plain$"))


def test_a_point_of_the_ledger_opens_its_run(page: Page, history_url: str) -> None:
    page.goto(f"{history_url}/backtest/history")
    page.locator("#history-ledger .point").first.click(force=True)
    expect(page).to_have_url(re.compile(r"/backtest\?run=(sqlrun|hostile|plain)$"))


def test_a_phone_shows_names_verdicts_and_lifts(page: Page, history_url: str) -> None:
    page.set_viewport_size({"width": 390, "height": 860})
    page.goto(f"{history_url}/backtest/history")
    expect(page.locator("#history-grid .ag-header-cell-text:visible")).to_have_text(["Backtest", "Verdict"])
    expect(rows(page).nth(1).locator(".run-verdict small")).to_contain_text("4.2x (3.5x – 5.0x)")
    overflow = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert overflow == 0


def test_what_cannot_be_compared_leads_back(page: Page, history_url: str) -> None:
    page.goto(f"{history_url}/backtest/compare?run=plain&run=nothere")
    expect(page.get_by_role("alert")).to_contain_text("There is no run 'nothere'")
    page.get_by_role("link", name="Open the history").click()
    expect(page).to_have_url(f"{history_url}/backtest/history")


def test_without_runs_the_page_leads_to_the_first(page: Page, shell_url: str) -> None:
    page.goto(f"{shell_url}/backtest/history")
    expect(page.get_by_role("heading", name="No backtest has run yet")).to_be_visible()
    page.get_by_role("link", name="Run a backtest").click()
    expect(page).to_have_url(f"{shell_url}/backtest")
