"""From a signal to the people who have it, to one person, and to a playbook with the signal in it."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import quote

import pytest
from journeys import Journeys
from playwright.sync_api import Page, expect
from shell_fakes import FakeSettings

from app import create_app
from beton.bootstrap import build_services
from beton.config import Settings
from beton.model.signal import from_dict
from beton.services import Services

GRID = "#carriers-grid"
HOSTILE_ID = "../a/b?c=1#d'; <img src=x onerror=alert(1)>%2F"


@pytest.fixture(scope="module")
def signal_id(demo: Services) -> str:
    return demo.signals.all()[0].id


def test_a_signal_leads_to_a_person_and_back(page: Page, demo_url: str, demo: Services, signal_id: str) -> None:
    total = len(demo.backtests.members(demo.signals.read(signal_id).definition)[1])
    page.goto(f"{demo_url}/signals/{signal_id}")
    page.locator(GRID).scroll_into_view_if_needed()
    expect(page.locator("#carriers-summary")).to_have_text(f"{total:,} users carry this signal")
    names = page.locator(f"{GRID} .ag-row a")
    top_row = page.locator(f"{GRID} .ag-row[row-index='0'] a")
    expect(top_row).to_have_text(re.compile("@"))
    assert names.count() < 100

    first = top_row.text_content() or ""
    with page.context.expect_page() as tab:
        page.locator(f"{GRID} .ag-row[row-index='0'] .ag-cell[col-id=matched_at]").click(modifiers=["Control"])
    expect(tab.value).to_have_url(re.compile(r"/users/"))
    tab.value.close()

    page.locator(f"{GRID} .ag-row[row-index='0'] .ag-cell[col-id=matched_at]").focus()
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"/users/"))
    expect(page.locator("h1")).to_have_text(first)
    expect(page.get_by_text("DEMO: simulated person")).to_be_visible()
    expect(page.locator("#unit-timeline .point").first).to_be_visible()
    expect(page.get_by_role("region", name="Last events")).to_contain_text("user_signed_up")
    name = demo.signals.read(signal_id).definition.name
    page.get_by_role("table", name="Signals carried").get_by_role("link", name=name, exact=True).click()
    expect(page).to_have_url(f"{demo_url}/signals/{signal_id}")
    expect(page.locator("h1")).to_have_text(name)
    page.go_back()
    expect(page.locator("h1")).to_have_text(first)


def test_the_list_is_searched_sorted_and_read_on_by_scrolling(page: Page, demo_url: str, signal_id: str) -> None:
    page.goto(f"{demo_url}/signals/{signal_id}")
    page.locator(GRID).scroll_into_view_if_needed()
    summary, names = page.locator("#carriers-summary"), page.locator(f"{GRID} .ag-row a")
    top_row = page.locator(f"{GRID} .ag-row[row-index='0'] a")
    expect(top_row).to_have_text(re.compile("@"))
    expect(summary).to_have_text(re.compile("carry this signal"))
    top, everyone = top_row.text_content() or "", summary.text_content() or ""
    last = int(re.sub(r"\D", "", everyone)) - 1

    page.locator(f"{GRID} .ag-body-viewport").evaluate("grid => { grid.scrollTop = grid.scrollHeight; }")
    expect(page.locator(f"{GRID} .ag-row[row-index='{last}'] a")).to_be_visible()
    page.locator(f"{GRID} .ag-header-cell[col-id=matched_at]").click()
    expect(top_row).not_to_have_text(top)
    page.locator(f"{GRID} .ag-body-viewport").evaluate("grid => { grid.scrollTop = grid.scrollHeight; }")
    expect(page.locator(f"{GRID} .ag-row[row-index='{last}'] a")).to_have_text(top)

    page.get_by_placeholder("Id, e-mail or company").press_sequentially(top, delay=20)
    expect(summary).to_have_text(f"{everyone} · 1 matches the filters")
    expect(names).to_have_text([top])
    page.get_by_placeholder("Id, e-mail or company").fill("nobody is called this")
    expect(summary).to_have_text(f"{everyone} · 0 match the filters")
    page.get_by_placeholder("Id, e-mail or company").fill("")
    expect(summary).to_have_text(everyone)
    page.locator("#carriers-converted").select_option("yes")
    expect(summary).to_have_text(re.compile("match(es)? the filters"))
    expect(page.locator(f"{GRID} .ag-row .ag-cell[col-id=outcome]").first).to_have_text(re.compile(r"\d{4}-\d\d-\d\d"))


def test_a_hostile_id_opens_its_own_page_and_nothing_else(page: Page, serve: object, tmp_path: Path) -> None:
    people = Journeys(tmp_path, data_end="2024-06-01")
    for each in (HOSTILE_ID, "..", "plain"):
        people.user(each, company="<b>acme</b>").did("<i>x</i>", after_days=1)
    people.publish()
    services = build_services(Settings(data_dir=tmp_path))
    saved = services.signals.save(from_dict({"name": "x", "when": {"event": "<i>x</i>", "within_days": 3}}))
    address = serve(create_app(services, FakeSettings()).server)  # type: ignore[operator]

    page.goto(f"{address}/signals/{saved.id}")
    page.locator(GRID).scroll_into_view_if_needed()
    for user_id, segment in ((HOSTILE_ID, quote(HOSTILE_ID, safe="")), ("..", "~..")):
        page.goto(f"{address}/signals/{saved.id}")
        page.locator(GRID).scroll_into_view_if_needed()
        page.locator(f"{GRID} .ag-row a", has_text=f"{user_id}@").first.click()
        expect(page).to_have_url(f"{address}/users/{segment}")
        expect(page.locator(".facts code").first).to_have_text(user_id)
        page.reload()
        expect(page.locator(".facts code").first).to_have_text(user_id)
    page.get_by_role("link", name="<b>acme</b>").click()
    expect(page).to_have_url(f"{address}/accounts/{quote('<b>acme</b>', safe='')}")
    expect(page.get_by_role("table", name="People of the account").get_by_role("link")).to_have_count(3)
    page.goto(f"{address}/accounts/nobody")
    expect(page.locator("h1")).to_have_text("Account not found")
    page.goto(f"{address}/users/nobody")
    expect(page.locator("h1")).to_have_text("User not found")
    expect(page.locator(".page img")).to_have_count(0)


def test_a_playbook_starts_with_the_signal_and_survives_a_reload(
    page: Page, demo_url: str, demo: Services, signal_id: str
) -> None:
    other = demo.signals.save(
        from_dict({"name": "Paid plan", "when": {"property": "plan", "op": "!=", "value": "trial"}})
    )
    name = demo.signals.read(signal_id).definition.name
    one, both = (demo.playbooks.reach(each).users for each in ([[signal_id]], [[signal_id, other.id]]))
    page.goto(f"{demo_url}/signals/{signal_id}")
    page.get_by_role("link", name="Add to Rule").first.click()
    expect(page).to_have_url(f"{demo_url}/playbooks/new?signal={signal_id}")
    signals, count = page.locator("#playbook-rows select"), page.locator("#playbook-count")
    expect(signals).to_have_value(signal_id)
    expect(count).to_contain_text(f"{one:,} people at")

    page.get_by_role("button", name="And another signal in group 1").click()
    expect(signals).to_have_count(2)
    expect(signals.nth(1)).to_be_focused()
    signals.nth(1).select_option(other.id)
    expect(page.locator("#playbook-sentence")).to_have_text(f"People who carry “{name}” and “Paid plan”.")
    expect(count).to_contain_text(f"{both:,} p")
    page.get_by_label("Name").fill("Hot")
    page.get_by_label("Send a Slack alert to").check()
    page.get_by_label("Webhook address").fill("http://x")
    expect(page.get_by_text("Begin with https://")).to_be_visible()

    page.reload()
    expect(signals).to_have_count(2)
    expect(signals.nth(1)).to_have_value(other.id)
    expect(page.get_by_label("Name")).to_have_value("Hot")
    expect(page.get_by_label("Send a Slack alert to")).to_be_checked()
    expect(page.get_by_role("button", name="Save playbook")).to_be_disabled()
    expect(page.get_by_text("Saving and delivering playbooks arrives with deliveries")).to_be_visible()

    page.get_by_role("button", name=f"Remove {name}").click()
    expect(signals).to_have_count(1)
    expect(page).to_have_url(f"{demo_url}/playbooks/new")
    page.get_by_role("link", name="Back to Playbooks").click()
    expect(page.get_by_role("link", name="New playbook")).to_be_visible()
    page.get_by_role("link", name="New playbook").click()
    expect(signals).to_have_value(other.id)
