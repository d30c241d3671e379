"""Define, run and save without a mouse."""

from __future__ import annotations

import re
from typing import Any

from playwright.sync_api import Page, expect
from test_backtest_flow import open_backtest, row

from beton.services import Services


def focused(page: Page) -> Any:
    return page.locator(":focus")


def tab_to(page: Page, name: str, most: int = 40) -> None:
    """Press Tab until the control of that accessible name has the focus."""
    for _ in range(most):
        page.keyboard.press("Tab")
        if page.evaluate(_NAME) == name:
            return
    raise AssertionError(f"Tab does not reach {name!r}")


_NAME = """() => {
  const at = document.activeElement;
  return at.getAttribute("aria-label") || (at.labels && at.labels[0] && at.labels[0].textContent) || at.textContent;
}"""


def walk(page: Page, steps: int) -> list[str]:
    """Return the names of the next controls in the tab order."""
    names = []
    for _ in range(steps):
        page.keyboard.press("Tab")
        names.append(page.evaluate(_NAME))
    return names


def test_define_run_and_save_with_the_keyboard(page: Page, demo_url: str, demo: Services) -> None:
    open_backtest(page, demo_url)
    page.locator("h1").focus()
    tab_to(page, "Signal Name")
    page.keyboard.type("By keyboard")
    tab_to(page, "Event")
    page.keyboard.type("api_key_created")
    expect(row(page, 0).locator(".f-subject select")).to_have_value("api_key_created")
    tab_to(page, "Days")
    page.keyboard.type("9")
    tab_to(page, "Run Backtest")
    page.keyboard.press("Enter")

    expect(page.locator("#result-title")).to_have_text("By keyboard")
    expect(page.get_by_role("button", name="Run Backtest")).to_be_focused()
    tab_to(page, "Save Signal")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"/signals/sig_\d+$"))
    expect(page.locator("h1")).to_be_focused()
    assert "By keyboard" in [each.definition.name for each in demo.signals.all()]


def test_the_order_follows_the_page_and_hidden_fields_are_skipped(page: Page, demo_url: str) -> None:
    open_backtest(page, demo_url)
    page.get_by_label("Signal Name").focus()
    assert walk(page, 11) == [
        "Who",
        "Group rule",
        "Event",
        "Operator",
        "Days",
        "Filter by a property of the event",
        "Put into a group",
        "Remove this condition",
        "Add event",
        "Add property",
        "Add group",
    ]
    assert walk(page, 1) == ["Run Backtest"]


def test_the_focus_is_seen_on_every_control(page: Page, demo_url: str) -> None:
    open_backtest(page, demo_url)
    page.get_by_label("Signal Name").focus()
    for _ in range(12):
        page.keyboard.press("Tab")
        look = page.evaluate(
            "() => { const s = getComputedStyle(document.activeElement);"
            " return [s.outlineStyle, s.outlineWidth, s.boxShadow]; }"
        )
        assert (look[0] != "none" and look[1] != "0px") or look[2] != "none", page.evaluate(_NAME)


def test_the_focus_stays_in_the_builder_when_rows_come_and_go(page: Page, demo_url: str) -> None:
    open_backtest(page, demo_url)
    page.get_by_role("button", name="Add event").focus()
    page.keyboard.press("Enter")
    expect(row(page, 1).locator(".f-subject select")).to_be_focused()

    page.get_by_role("button", name="Add property").focus()
    page.keyboard.press("Space")
    expect(row(page, 2).locator(".f-subject select")).to_be_focused()

    row(page, 0).get_by_role("button", name="Filter by a property of the event").focus()
    page.keyboard.press("Enter")
    expect(page.locator(".builder-filter .f-subject select")).to_be_focused()

    page.locator(".builder-filter").get_by_role("button", name="Remove this condition").focus()
    page.keyboard.press("Enter")
    expect(page.locator(".builder-filter")).to_have_count(0)
    expect(row(page, 1).locator(".f-subject select")).to_be_focused()

    row(page, 1).get_by_role("button", name="Put into a group").focus()
    page.keyboard.press("Enter")
    expect(page.locator(".builder-group .builder-group").get_by_label("Group rule")).to_be_focused()

    page.get_by_role("button", name="Remove the group").focus()
    page.keyboard.press("Enter")
    expect(page.locator(".builder-group .builder-group")).to_have_count(0)
    expect(row(page, 1).locator(".f-subject select")).to_be_focused()

    row(page, 1).get_by_role("button", name="Remove this condition").focus()
    page.keyboard.press("Enter")
    expect(page.locator(".builder-row")).to_have_count(1)
    expect(page.locator(".builder-row :focus")).to_have_count(1)


def test_who_moved_on_before_the_rows_arrived_keeps_the_place(page: Page, demo_url: str) -> None:
    open_backtest(page, demo_url)
    page.get_by_role("button", name="Add event").click()
    page.get_by_label("Signal Name").focus()
    expect(page.locator(".builder-row")).to_have_count(2)
    expect(page.get_by_label("Signal Name")).to_be_focused()
