"""Data written by an enemy, and hands faster than answers."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable
from typing import Any

import pytest
from journeys import Journeys
from playwright.sync_api import Browser, Page, Route, expect
from shell_fakes import FakeSettings
from test_backtest_flow import choose, open_backtest, row, run

from app import create_app
from beton.bootstrap import build_services
from beton.config import Settings
from beton.model.signal import from_dict
from beton.services import Services

Serve = Callable[[Any], str]
IMG = "<img src=x onerror=\"document.title='broken'\">"
FORMULA = "=cmd|' /C calc'!A0"
LONG = "very_long_" * 40
RTL = "\u0645\u0633\u062a\u062e\u062f\u0645 \U0001f600\U0001f680"
QUOTES = """it's "quoted" \\ `back` & <b>bold</b> {x} %{y}"""
NAMES = (IMG, FORMULA, LONG, RTL, QUOTES)
PHONE = {"width": 390, "height": 844}


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Services:
    folder = tmp_path_factory.mktemp("hostile")
    people = Journeys(folder, data_end="2024-12-31", name=IMG)
    for number in range(120):
        name = NAMES[number % len(NAMES)]
        people.company(f"c{number}", size=number + 1, name=name, industry=name)
        people.user(f"{FORMULA}{number}", signed_up=f"2024-0{1 + number % 6}-03", company=f"c{number}", plan=name)
        people.did("pageview", after_days=1, page_path=name)
        if number % 2:
            for event in NAMES:
                people.did(event, after_days=2, page_path=IMG)
        if number % 6 == 0 or number % 4 == 1:
            people.won(after_days=30, amount=1000)
    people.publish()
    services = build_services(Settings(data_dir=folder))
    for name in NAMES:
        where = [{"property": "page_path", "op": "=", "value": IMG}]
        about = {"description": f"{name[:80]} {IMG}", "source": IMG}
        when = {"event": name, "within_days": 3, "where": where}
        services.signals.save(from_dict({"name": name[:110], "when": when, **about}))
    services.backtests.warm()
    return services


@pytest.fixture(scope="module")
def hostile_url(serve: Serve, hostile: Services) -> str:
    return serve(create_app(hostile, FakeSettings()).server)


# The elements that make the page wider than the window, for the message of a failure.
_STICKING_OUT = """() => {
  const wide = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth <= wide) return [];
  const out = [...document.querySelectorAll("body *")].filter((each) => each.getBoundingClientRect().right > wide + 1);
  return ["too wide", ...out.map((each) => `${each.tagName}.${each.className} ${getComputedStyle(each).position}`)];
}"""


def unharmed(page: Page) -> None:
    """Nothing of the data became an element, and nothing sticks out of the window."""
    assert "broken" not in page.title().replace(IMG, "").replace(IMG[:110], "")
    assert page.locator("img[src='x'], .page b, svg image").count() == 0
    assert "; ".join(page.evaluate(_STICKING_OUT)) == ""


@pytest.mark.parametrize("width", [1280, 390])
def test_lists_and_pages_show_hostile_names_as_text(
    page: Page, hostile_url: str, hostile: Services, width: int
) -> None:
    page.set_viewport_size({"width": width, "height": 844})
    page.goto(f"{hostile_url}/signals")
    expect(page.locator(".ag-row")).to_have_count(len(NAMES))
    expect(page.locator(".grid-link", has_text="onerror").first).to_be_visible()
    unharmed(page)
    for signal in hostile.signals.all():
        page.goto(f"{hostile_url}/signals/{signal.id}")
        expect(page.locator("h1")).to_have_text(signal.definition.name)
        expect(page.locator(".js-plotly-plot").first).to_be_visible()
        page.locator("summary", has_text="YAML").click()
        unharmed(page)


def test_the_builder_offers_and_runs_hostile_names(page: Page, hostile_url: str) -> None:
    page.set_viewport_size(PHONE)  # type: ignore[arg-type]
    open_backtest(page, hostile_url)
    page.get_by_label("Signal Name").fill(IMG)
    choose(page, 0, IMG, within="3")
    row(page, 0).get_by_role("button", name="Filter by a property of the event").click()
    page.locator(".builder-filter .f-subject select").select_option("page_path")
    page.locator(".builder-filter .f-value input").fill(IMG)
    page.get_by_role("button", name="Add property").click()
    expect(page.locator(".builder-row")).to_have_count(2)
    choose(page, 1, "company_size", "between", value="1", value2="500")
    expect(page.locator("#backtest-sentence")).to_contain_text(IMG)
    unharmed(page)
    run(page)
    expect(page.locator("#result-title")).to_have_text(IMG)
    expect(page.locator("#result-words")).to_contain_text("onerror")
    unharmed(page)
    page.locator("#result-months-figure .drag").first.hover()
    unharmed(page)
    page.get_by_role("button", name="Save Signal").click()
    expect(page.locator("h1")).to_have_text(IMG)


def test_errors_quote_hostile_values_as_text(page: Page, hostile_url: str) -> None:
    page.set_viewport_size(PHONE)  # type: ignore[arg-type]
    open_backtest(page, hostile_url)
    page.get_by_role("button", name="Add property").click()
    expect(page.locator(".builder-row")).to_have_count(2)
    choose(page, 1, "company_size", "=", value=IMG)
    page.get_by_label("Signal Name").fill("x" * 150)
    choose(page, 0, LONG)
    run(page)
    expect(page.get_by_text("longer than 120 characters")).to_be_visible()
    unharmed(page)
    page.get_by_label("Signal Name").fill("Named")
    expect(row(page, 1).locator(".field-error").filter(has_text=re.compile("."))).to_have_count(1)
    unharmed(page)
    page.goto(f"{hostile_url}/signals/{'x' * 64}")
    expect(page.get_by_text("No signal has the id")).to_be_visible()
    unharmed(page)
    page.goto(f"{hostile_url}/%3Cimg%20src=x%20onerror=alert(1)%3E{'y' * 300}")
    expect(page.get_by_text("There is no page at")).to_be_visible()
    unharmed(page)


def test_an_export_runs_nothing_in_a_spreadsheet(page: Page, hostile_url: str, hostile: Services) -> None:
    signal = next(each for each in hostile.signals.all() if each.definition.name == FORMULA)
    page.goto(f"{hostile_url}/signals/{signal.id}")
    with page.expect_download() as download:
        page.get_by_role("button", name="Export Users").click()
    assert download.value.suggested_filename == f"beton-{signal.id}.csv"
    table = list(csv.reader(io.StringIO(download.value.path().read_text(encoding="utf-8-sig"), newline="")))
    assert len(table) == 61
    assert all(line[0].startswith("'=cmd") for line in table[1:])
    assert not [cell for line in table for cell in line if re.match(r"[\s\"']*[=+\-@|]", cell) and cell[0] != "'"]


# ---- hands faster than answers


def held_back(page: Page, word: str) -> list[Route]:
    """Keep the requests of callbacks whose body holds ``word``; the test lets them go on."""
    kept: list[Route] = []

    def hold(request: Route) -> None:
        if word in (request.request.post_data or ""):
            kept.append(request)
        else:
            request.continue_()

    page.route(re.compile("_dash-update-component"), hold)
    return kept


def run_count(services: Services) -> int:
    return len(services.backtests._runs.history(1_000))


def test_typing_and_clicking_at_once_loses_nothing(page: Page, demo_url: str) -> None:
    open_backtest(page, demo_url)
    choose(page, 0, "api_key_created")
    page.get_by_label("Signal Name").press_sequentially("Typed in haste")
    page.get_by_role("button", name="Add event").click()
    row(page, 0).locator(".f-within input").press_sequentially("12")
    page.get_by_role("button", name="Add property").click()
    page.get_by_label("Signal Name").press("End")
    page.keyboard.type(" and finished")
    expect(page.locator(".builder-row")).to_have_count(3)
    expect(page.get_by_label("Signal Name")).to_have_value("Typed in haste and finished")
    expect(row(page, 0).locator(".f-within input")).to_have_value("12")
    expect(row(page, 0).locator(".f-subject select")).to_have_value("api_key_created")
    page.reload()
    expect(page.get_by_label("Signal Name")).to_have_value("Typed in haste and finished")
    expect(row(page, 0).locator(".f-within input")).to_have_value("12")
    expect(page.locator(".builder-row")).to_have_count(3)


def test_the_last_key_before_run_is_in_the_run(page: Page, demo_url: str) -> None:
    open_backtest(page, demo_url)
    choose(page, 0, "api_key_created")
    page.get_by_label("Signal Name").press_sequentially("Last key")
    row(page, 0).locator(".f-within input").press_sequentially("11")
    run(page)
    expect(page.locator("#result-title")).to_have_text("Last key")
    expect(page.locator("#result-words")).to_contain_text("within 11 days")


def test_a_double_click_runs_and_saves_once(page: Page, demo_url: str, demo: Services) -> None:
    open_backtest(page, demo_url)
    choose(page, 0, "api_key_created", within="13")
    page.get_by_label("Signal Name").fill("Double")
    expect(page.locator("#backtest-sentence")).to_contain_text("within 13 days")
    before = run_count(demo)
    page.get_by_role("button", name="Run Backtest").dblclick(delay=400)  # slow enough for an answer in between
    expect(page.locator("#result-title")).to_have_text("Double")
    page.get_by_role("button", name="Save Signal").dblclick()
    expect(page).to_have_url(re.compile(r"/signals/sig_\d+$"))
    expect(page.locator("h1")).to_have_text("Double")
    assert [each.definition.name for each in demo.signals.all()].count("Double") == 1
    assert run_count(demo) <= before + 1
    expect(page.locator(".b-toast")).to_have_count(1)


def test_back_and_forward_walk_through_the_runs(page: Page, demo_url: str) -> None:
    open_backtest(page, demo_url)
    choose(page, 0, "api_key_created")
    for days in ("4", "6", "8"):
        page.get_by_label("Signal Name").fill(f"Within {days}")
        row(page, 0).locator(".f-within input").fill(days)
        run(page)
        expect(page.locator("#result-title")).to_have_text(f"Within {days}")
        expect(page).to_have_url(re.compile("run="))
    title = page.locator("#result-title")
    for step, days in ((page.go_back, "6"), (page.go_back, "4"), (page.go_forward, "6"), (page.go_forward, "8")):
        step()
        expect(title).to_have_text(f"Within {days}")
        expect(page.locator("#result-words")).to_contain_text(f"within {days} days")
    expect(page.locator(".b-toast[data-kind='error']")).to_have_count(0)


def test_what_is_shown_is_what_is_saved(page: Page, demo_url: str, demo: Services) -> None:
    open_backtest(page, demo_url)
    choose(page, 0, "api_key_created", within="17")
    page.get_by_label("Signal Name").fill("Shown")
    run(page)
    expect(page.locator("#result-title")).to_have_text("Shown")
    row(page, 0).locator(".f-within input").fill("18")
    page.get_by_label("Signal Name").fill("Edited since")
    page.get_by_role("button", name="Save Signal").click()
    expect(page.locator("h1")).to_have_text("Shown")
    saved = next(each for each in demo.signals.all() if each.definition.name == "Shown")
    assert saved.definition.landmark_days == 17


def test_a_reload_during_a_run_keeps_the_draft_and_leaves_no_run_open(
    page: Page, demo_url: str, demo: Services
) -> None:
    open_backtest(page, demo_url)
    choose(page, 0, "api_key_created", within="15")
    page.get_by_label("Signal Name").fill("Reloaded")
    expect(page.locator("#backtest-sentence")).to_contain_text("within 15 days")
    with page.expect_request(lambda request: "result-title" in (request.post_data or "")):
        run(page)
    page.reload()
    expect(page.get_by_label("Signal Name")).to_have_value("Reloaded")
    run(page)
    expect(page.locator("#result-title")).to_have_text("Reloaded")
    expect(page).to_have_url(re.compile("run="))
    assert demo.backtests.report(page.url.rpartition("=")[2]).evidence.passport.definition["name"] == "Reloaded"


def test_leaving_during_a_run_breaks_nothing(page: Page, demo_url: str) -> None:
    open_backtest(page, demo_url)
    choose(page, 0, "api_key_created", within="16")
    page.get_by_label("Signal Name").fill("Left")
    expect(page.locator("#backtest-sentence")).to_contain_text("within 16 days")
    kept = held_back(page, "result-title")
    with page.expect_request(lambda request: "result-title" in (request.post_data or "")):
        run(page)
    page.get_by_role("link", name="Settings").click()
    expect(page.locator("h1")).to_have_text("Settings")
    with page.expect_response(lambda response: "result-title" in (response.request.post_data or "")):
        kept[0].continue_()
    page.locator("#setting-acv").fill("none")  # the page still answers
    page.get_by_role("button", name="Save Settings").click()
    expect(page.locator("#setting-acv-error")).to_contain_text("Write an amount")
    assert page.url == f"{demo_url}/settings"
    expect(page.locator(".b-toast[data-kind='error']")).to_have_count(1)


def test_two_tabs_do_not_touch_each_other(browser: Browser, page: Page, demo_url: str) -> None:
    other = page.context.new_page()
    for tab, days in ((page, "19"), (other, "21")):
        open_backtest(tab, demo_url)
        choose(tab, 0, "api_key_created", within=days)
        tab.get_by_label("Signal Name").fill(f"Tab {days}")
        expect(tab.locator("#backtest-sentence")).to_contain_text(f"within {days} days")
    for tab in (page, other):
        run(tab)
    for tab, days in ((page, "19"), (other, "21")):
        expect(tab.locator("#result-title")).to_have_text(f"Tab {days}")
        expect(tab.locator("#result-words")).to_contain_text(f"within {days} days")
    other.close()
