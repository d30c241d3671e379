from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import plotly.io as pio
import pytest
from playwright.sync_api import Frame, Page, expect
from shell_fakes import FakeSettings, FakeWorkspace, services

from app import create_app
from layouts import format
from layouts.parts.buttons import button
from layouts.parts.cards import page as page_of
from layouts.parts.figures import base_figure, graph
from layouts.parts.grids import column, grid

Serve = Callable[[Any], str]

PAGES = {
    "/": "Dashboard",
    "/sources": "Data sources",
    "/signals": "Signals",
    "/signals/none": "Signal not found",
    "/backtest": "Backtest",
    "/playbooks": "Playbooks",
    "/destinations": "Destinations",
    "/settings": "Settings",
    "/nope/x": "Page not found",
}
DESKTOP = {"width": 1280, "height": 860}
PHONE = {"width": 390, "height": 844}
DEMO = "DEMO data: simulated company"
HOSTILE = "<img src=x onerror=document.title='broken'>"


def arrived(page: Page | Frame, heading: str) -> None:
    expect(page.locator(".page h1")).to_have_text(re.compile(re.escape(heading), re.IGNORECASE))


def show(page: Page, *parts: Any) -> None:
    """Put parts into the page as the router would."""
    page.evaluate("page => dash_clientside.set_props('page', {children: page})", as_json(page_of("Parts", *parts)))
    arrived(page, "Parts")


def as_json(component: Any) -> Any:
    return json.loads(pio.json.to_json_plotly(component))


def tell(page: Page, **message: str) -> None:
    page.evaluate("message => dash_clientside.set_props('store-toast', {data: message})", message)


@pytest.mark.parametrize(("size", "theme"), [(DESKTOP, "light"), (PHONE, "dark")], ids=["desktop", "phone"])
def test_every_address_opens_and_fits(page: Page, shell_url: str, size: Any, theme: Any) -> None:
    page.emulate_media(color_scheme=theme)
    page.set_viewport_size(size)
    for path, heading in PAGES.items():
        page.goto(shell_url + path)
        arrived(page, heading)
        expect(page).to_have_title(f"{page.locator('.page h1').inner_text()} · Beton")
        expect(page.get_by_text(DEMO)).to_be_visible()
        expect(page.locator("html")).to_have_attribute("data-bs-theme", theme)
        assert page.evaluate("document.documentElement.scrollWidth") <= size["width"], path


def test_the_open_page_is_marked(page: Page, shell_url: str) -> None:
    marked = page.locator('nav [aria-current="page"]')
    for path, name in (("/", "Dashboard"), ("/signals/none", "Signals"), ("/settings", "Settings")):
        page.goto(shell_url + path)
        expect(marked).to_have_text([name])
    page.goto(shell_url + "/nope")
    expect(marked).to_have_count(0)


def test_links_navigate_in_place_and_back_and_forward_work(page: Page, shell_url: str) -> None:
    page.goto(shell_url + "/sources")
    arrived(page, "Data sources")
    page.evaluate("window.sameDocument = true")
    page.get_by_role("link", name="Playbooks").click()
    arrived(page, "Playbooks")
    expect(page).to_have_url(shell_url + "/playbooks")
    page.locator(".ways").get_by_role("link", name="Settings").click()
    arrived(page, "Settings")
    page.go_back()
    arrived(page, "Playbooks")
    page.go_back()
    arrived(page, "Data sources")
    page.go_forward()
    arrived(page, "Playbooks")
    expect(page).to_have_title("Playbooks · Beton")
    assert page.evaluate("window.sameDocument") is True
    page.reload()
    arrived(page, "Playbooks")


def test_leaving_a_page_clears_its_query(page: Page, shell_url: str) -> None:
    page.goto(shell_url + "/settings?utm_source=mail")
    arrived(page, "Settings")
    page.get_by_role("link", name="Sources").click()
    expect(page).to_have_url(shell_url + "/sources")


def test_the_theme_is_kept_and_follows_the_device_by_default(page: Page, shell_url: str) -> None:
    html = page.locator("html")
    page.goto(shell_url)
    arrived(page, "Dashboard")
    expect(html).to_have_attribute("data-bs-theme", "light")
    expect(page.get_by_role("button", name="Theme of this device")).to_have_attribute("aria-pressed", "true")
    page.emulate_media(color_scheme="dark")
    expect(html).to_have_attribute("data-bs-theme", "dark")
    page.get_by_role("button", name="Light theme").click()
    expect(html).to_have_attribute("data-bs-theme", "light")
    page.add_init_script("addEventListener('DOMContentLoaded', () => window.atStart = betonTheme.choice())")
    page.reload()
    arrived(page, "Dashboard")
    assert page.evaluate("window.atStart") == "light"
    expect(html).to_have_attribute("data-bs-theme", "light")
    expect(page.get_by_role("button", name="Light theme")).to_have_attribute("aria-pressed", "true")


def test_the_theme_stands_before_the_first_paint(page: Page, shell_url: str, quiet_browser: list[str]) -> None:
    page.emulate_media(color_scheme="dark")
    page.route("**/*dash*", lambda route: route.abort())  # only what the bare page brings may paint
    page.goto(shell_url)
    expect(page.locator(".boot .skeleton")).to_be_visible()
    expect(page.locator("html")).to_have_attribute("data-bs-theme", "dark")
    expect(page.locator("body")).to_have_css("background-color", "rgb(0, 0, 0)")
    quiet_browser.clear()  # the scripts that were kept away


def test_the_menu_of_narrow_screens(page: Page, shell_url: str) -> None:
    page.set_viewport_size(PHONE)  # type: ignore[arg-type]
    page.goto(shell_url)
    arrived(page, "Dashboard")
    menu, links = page.get_by_role("button", name="Menu"), page.get_by_role("navigation", name="Pages")
    expect(links).to_be_hidden()
    menu.click()
    expect(links).to_be_visible()
    expect(menu).to_have_attribute("aria-expanded", "true")
    page.keyboard.press("Escape")
    expect(links).to_be_hidden()
    expect(menu).to_be_focused()
    page.keyboard.press("Enter")
    links.get_by_role("link", name="Sources").click()
    arrived(page, "Data sources")
    expect(links).to_be_hidden()
    expect(menu).to_have_attribute("aria-expanded", "false")


def test_the_keyboard_reaches_everything(page: Page, shell_url: str) -> None:
    page.goto(shell_url)
    arrived(page, "Dashboard")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    expect(page.get_by_role("link", name="Skip to content")).to_be_in_viewport()
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Dashboard")).to_be_focused()
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    arrived(page, "Data sources")
    expect(page.locator(".page h1")).to_be_focused()
    page.reload()
    arrived(page, "Data sources")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("#main")).to_be_focused()
    arrived(page, "Data sources")


def test_a_resting_form_gives_the_focus_back(page: Page, shell_url: str) -> None:
    page.goto(shell_url + "/playbooks")
    arrived(page, "Playbooks")
    show(page, button("parts-run", "Run"))
    run = page.get_by_role("button", name="Run", exact=True)
    run.focus()
    page.evaluate("dash_clientside.set_props('page-form', {disabled: true})")
    expect(run).to_be_disabled()
    page.evaluate("dash_clientside.set_props('page-form', {disabled: false})")
    expect(run).to_be_focused()


def test_toasts_are_announced_text_and_can_be_dismissed(page: Page, shell_url: str) -> None:
    page.emulate_media(reduced_motion="reduce")
    page.goto(shell_url)
    arrived(page, "Dashboard")
    region = page.locator("#shell-toasts")
    expect(region).to_have_attribute("aria-live", "polite")
    for _ in range(2):  # the same message twice is two toasts
        tell(page, title="Not saved", text=HOSTILE, kind="error")
    expect(region.locator(".b-toast")).to_have_count(2)
    expect(region).to_contain_text(HOSTILE)
    assert page.locator(".b-toast").first.evaluate("e => parseFloat(getComputedStyle(e).animationDuration)") < 0.001
    region.get_by_role("button", name="Dismiss").first.click()
    expect(region.locator(".b-toast")).to_have_count(1)
    expect(page).to_have_title("Dashboard · Beton")


def test_charts_take_the_theme_and_the_slim_bundle(page: Page, shell_url: str) -> None:
    page.goto(shell_url + "/playbooks")
    arrived(page, "Playbooks")
    figure = base_figure({"type": "scatter", "x": [1, 2, 3], "y": [1, 3, 2]})
    with page.expect_response(re.compile("plotly.min")) as loading:
        show(page, graph("parts-chart", figure, "One line"))
    assert loading.value.headers["content-encoding"] in ("br", "gzip")
    line = page.locator("#parts-chart .js-line")
    expect(line).to_have_css("stroke", "rgb(17, 17, 17)")
    expect(page.get_by_role("img", name="One line")).to_be_visible()
    page.get_by_role("button", name="Dark theme").click()
    expect(line).to_have_css("stroke", "rgb(237, 237, 237)")
    page.evaluate("figure => dash_clientside.set_props('parts-chart', {figure})", base_figure({"y": [3, 1]}))
    expect(line).to_have_css("stroke", "rgb(237, 237, 237)")
    expect(page.locator(".modebar-btn")).to_have_count(0)


def test_grids_format_open_rows_and_keep_names_as_text(page: Page, shell_url: str) -> None:
    page.goto(shell_url + "/playbooks")
    arrived(page, "Playbooks")
    rows = [{"id": "a", "href": "/signals/a", "name": HOSTILE, "lift": 4.17, "health": "watch"}]
    columns = [
        column("name", "Signal", "link"),
        column("lift", "Lift", "lift"),
        column("health", "Health", "status"),
    ]
    show(page, grid("parts-grid", "Signals", columns, rows))
    expect(page.get_by_role("link", name=HOSTILE)).to_have_attribute("href", "/signals/a")
    expect(page.get_by_role("gridcell", name="4.2x")).to_be_visible()
    expect(page.locator(".ag-cell .pill")).to_have_text("Watch")
    page.get_by_role("gridcell", name="4.2x").click()
    page.keyboard.press("Enter")
    expect(page).to_have_url(shell_url + "/signals/a")


RATES = [None, 0, 0.0001, 0.0005, 0.0123, 0.034, 0.142, 0.5, 0.84, 0.996, 0.99999, 1, 2.5, 4.17, 99.96, -0.02]
AMOUNTS = [12, 950, 999.4, 999.6, 1247, 5200, 9960, 378_000, 999_400, 999_600, 1_234_567, 3.4e9, -5200]
P_VALUES = [None, 0, 1e-300, 0.00099, 0.001, 0.0123, 0.04999, 0.0999999, 0.5, 1]
FORMATS = {
    "integer": (format.count, [*RATES, *AMOUNTS]),
    "decimal": (format.decimal, [*RATES, *AMOUNTS]),
    "percent": (format.percent, RATES),
    "points": (format.points, RATES),
    "lift": (format.lift, [*RATES, *AMOUNTS]),
    "money": (format.money_short, [*RATES, *AMOUNTS]),
    "p": (format.p_value, P_VALUES),
}


def test_grids_and_pages_write_numbers_alike(page: Page, shell_url: str) -> None:
    page.goto(shell_url + "/playbooks")
    arrived(page, "Playbooks")
    write = "([name, all]) => all.map(value => dashAgGridFunctions[name]({value}))"
    for name, (python, numbers) in FORMATS.items():
        assert page.evaluate(write, [name, numbers]) == [python(each) for each in numbers], name


def test_a_failing_callback_says_so_and_gives_nothing_away(page: Page, serve: Serve, tmp_path: Path) -> None:
    class Broken(FakeWorkspace):
        def manifest_or_none(self) -> Any:
            raise RuntimeError("password=hunter2")

    broken = services(tmp_path)
    object.__setattr__(broken, "workspace", Broken(None))
    page.goto(serve(create_app(broken, FakeSettings()).server))
    expect(page.locator(".b-toast")).to_contain_text("Something went wrong")
    expect(page.locator("body")).not_to_contain_text("hunter2")


def test_before_the_first_import(page: Page, serve: Serve, tmp_path: Path) -> None:
    url = serve(create_app(services(tmp_path, None), FakeSettings()).server)
    for path in PAGES:
        page.goto(url + path)
        expect(page.locator(".page h1")).to_be_visible()
        expect(page.get_by_text(DEMO)).to_have_count(0)
    page.goto(url)
    expect(page.locator(".command")).to_contain_text("beton demo")


def test_below_a_prefix(page: Page, serve: Serve, tmp_path: Path) -> None:
    base = serve(create_app(services(tmp_path), FakeSettings(base_path="/apps/beton/")).server) + "/apps/beton"
    page.goto(base + "/signals/none")
    arrived(page, "Signal not found")
    expect(page.locator('nav [aria-current="page"]')).to_have_text(["Signals"])
    page.get_by_role("link", name="Playbooks").click()
    arrived(page, "Playbooks")
    expect(page).to_have_url(base + "/playbooks")
    page.reload()
    arrived(page, "Playbooks")
    page.go_back()
    arrived(page, "Signal not found")
    page.goto(base)
    arrived(page, "Dashboard")
    expect(page.locator('nav [aria-current="page"]')).to_have_text(["Dashboard"])


@pytest.mark.parametrize("storage", ["allowed", "blocked"])
def test_inside_a_portal_of_another_site(page: Page, serve: Serve, tmp_path: Path, storage: str) -> None:
    settings = FakeSettings(frame_ancestors="'self' http://localhost:*")
    app_url = serve(create_app(services(tmp_path), settings).server)
    portal = serve(portal_around(app_url + "/sources")).replace("127.0.0.1", "localhost")
    if storage == "blocked":
        page.add_init_script(BLOCK_STORAGE)
    page.goto(portal)
    app = page.frame_locator("iframe")
    expect(app.locator(".page h1")).to_have_text("Data sources")
    app.get_by_role("link", name="Playbooks").click()
    expect(app.locator(".page h1")).to_have_text("Playbooks")
    app.get_by_role("button", name="Dark theme").click()
    expect(app.locator("html")).to_have_attribute("data-bs-theme", "dark")
    page.evaluate("history.back()")
    expect(app.locator(".page h1")).to_have_text("Data sources")


BLOCK_STORAGE = """
for (const name of ["localStorage", "sessionStorage"]) {
  Object.defineProperty(window, name, {
    configurable: true, get() { throw new DOMException("denied", "SecurityError"); },
  });
}
"""


def portal_around(address: str) -> Any:
    """Return a WSGI app whose only page embeds ``address``."""
    body = f'<link rel="icon" href="data:,"><iframe src="{address}" width="1000" height="700"></iframe>'.encode()

    def portal(_environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [("Content-Type", "text/html")])
        return [body]

    return portal


def test_an_unlisted_portal_may_not_embed(page: Page, serve: Serve, shell_url: str, quiet_browser: list[str]) -> None:
    page.goto(serve(portal_around(shell_url)).replace("127.0.0.1", "localhost"))
    expect(page.frame_locator("iframe").locator(".shell")).to_have_count(0)
    assert quiet_browser
    assert all("frame-ancestors" in line for line in quiet_browser)
    quiet_browser.clear()
