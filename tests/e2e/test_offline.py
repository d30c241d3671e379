"""A server that goes away while a page is open, and comes back."""

from __future__ import annotations

from playwright.sync_api import Page, Route, expect

from beton.services import Services

CALLBACKS = "**/_dash-update-component*"


def go_away(page: Page) -> None:
    for address in (CALLBACKS, "**/healthz"):
        page.route(address, lambda route: route.abort())


def come_back(page: Page, heard: list[str]) -> None:
    assert heard
    assert all("Failed to load" in each or "did not respond" in each for each in heard), heard
    heard.clear()
    page.unroute_all()


def test_a_page_that_was_not_reached_is_drawn_once_the_server_is_back(
    page: Page, demo_url: str, quiet_browser: list[str]
) -> None:
    page.goto(demo_url + "/settings")
    expect(page.locator("h1")).to_have_text("Settings")
    banner = page.get_by_text("The server does not answer")

    go_away(page)
    page.get_by_role("link", name="Signals", exact=True).click()
    expect(banner).to_be_visible()
    expect(banner).to_have_attribute("role", "alert")
    come_back(page, quiet_browser)

    expect(page.locator("h1")).to_have_text("Discovered Signals")
    expect(banner).to_have_count(0)


def test_what_was_typed_is_still_there_when_the_server_is_back(
    page: Page, demo_url: str, demo: Services, quiet_browser: list[str]
) -> None:
    page.goto(demo_url + "/settings")
    field = page.get_by_label("Minimum sample")
    expect(field).to_be_visible()
    field.fill("77")

    go_away(page)
    page.get_by_role("button", name="Save").click()
    banner = page.get_by_text("The server does not answer")
    expect(banner).to_be_visible()
    come_back(page, quiet_browser)

    expect(banner).to_have_count(0)
    expect(field).to_have_value("77")
    assert demo.settings.read().min_sample != 77


def test_a_proxy_that_has_no_server_is_no_answer(page: Page, demo_url: str, quiet_browser: list[str]) -> None:
    page.goto(demo_url + "/settings")
    expect(page.locator("h1")).to_have_text("Settings")

    def refuse(route: Route) -> None:
        route.fulfill(status=502, body="Bad gateway")

    page.route(CALLBACKS, refuse)
    page.get_by_role("link", name="Signals", exact=True).click()
    expect(page.get_by_text("The server does not answer")).to_be_visible()
    page.close()
    quiet_browser.clear()
