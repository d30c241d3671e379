"""A signal in SQL: write, complete, try, run, correct, save; with the keyboard alone; with data written by an enemy."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from journeys import Journeys
from playwright.sync_api import Browser, Locator, Page, Route, expect
from shell_fakes import FakeSettings
from test_hostile import IMG, NAMES, unharmed
from test_keyboard import tab_to

from app import create_app
from beton.bootstrap import build_services
from beton.config import Settings
from beton.model.signal import from_dict
from beton.services import Services

Serve = Callable[[Any], str]
SCRIPT = "'><script>document.title='broken'</script>"


def editor(page: Page) -> Locator:
    return page.get_by_role("textbox", name="SQL Query")


def open_tab(page: Page, url: str) -> None:
    page.goto(f"{url}/backtest")
    page.locator(".nav-link", has_text="SQL Query").click()
    expect(page.locator(".sql-editor[data-state=ready]")).to_be_visible()


def write(page: Page, sql: str) -> None:
    """Type a query in place of the one that is there; nothing is completed or closed on the way."""
    editor(page).focus()
    page.keyboard.press("Control+a")
    page.keyboard.insert_text(sql)


def lines(page: Page) -> str:
    return "\n".join(page.locator(".cm-line").all_inner_texts()).strip()


def take_completion(page: Page) -> None:
    for _ in range(20):  # a list that has only just opened takes no key
        page.keyboard.press("Tab")
        if page.locator(".cm-tooltip-autocomplete").count() == 0:
            return


def test_write_run_review_save(page: Page, demo_url: str, demo: Services) -> None:
    open_tab(page, demo_url)
    expect(editor(page)).to_contain_text("SELECT DISTINCT user_id")
    page.locator("#sql-name").fill("Invited in SQL")
    write(page, "SELECT user_id, min(timestamp) AS at\nFROM events\nWHERE event = 'teammate_invited'\nGROUP BY user_id")
    page.locator("#sql-days").fill("10")
    expect(page.locator("#sql-sentence")).to_contain_text("within 10 days of signup")
    page.get_by_role("button", name="Run Backtest").click()

    expect(page).to_have_url(re.compile(r"/backtest\?run=[0-9a-f]{32}$"))
    expect(page.locator("#result-title")).to_have_text("Invited in SQL")
    run_id = page.url.rpartition("=")[2]
    found = demo.backtests.report(run_id).evidence
    assert found.passport.definition["landmark_days"] == 10
    table = found.result.table  # type: ignore[union-attr]
    assert table is not None
    assert table.units_with > 0
    expect(page.locator("#result-users-with")).to_have_text(f"{table.units_with:,}")

    page.get_by_role("button", name="Save Signal").click()
    expect(page).to_have_url(re.compile(r"/signals/sig_\d+$"))
    expect(page.locator("h1")).to_have_text("Invited in SQL")


def test_write_complete_correct_run_save_and_find_it_again(page: Page, demo_url: str) -> None:
    open_tab(page, demo_url)
    page.locator("#sql-name").fill("Whole way in SQL")
    write(page, "")
    page.keyboard.type("SELECT us")
    expect(page.locator(".cm-tooltip-autocomplete li[aria-selected=true]")).to_contain_text("user_id")
    take_completion(page)
    page.keyboard.insert_text(" FROM evnts WHERE event = 'teammate_invited'")
    page.keyboard.press("Control+Enter")
    expect(page.locator("#sql-editor-error")).to_contain_text("events")

    write(page, "SELECT user_id FROM events WHERE event = 'teammate_invited'")
    page.keyboard.press("Control+Enter")
    expect(page).to_have_url(re.compile(r"/backtest\?run=[0-9a-f]{32}$"))
    expect(page.locator("#result-title")).to_have_text("Whole way in SQL")
    page.get_by_role("button", name="Save Signal").click()
    expect(page).to_have_url(re.compile(r"/signals/sig_\d+$"))
    signal_id = page.url.rpartition("/")[2]

    page.goto(f"{demo_url}/backtest")
    page.get_by_role("link", name="Run history").click()
    row = page.locator("#history-grid .ag-row", has_text="Whole way in SQL").first
    expect(row).to_contain_text("SQL")
    expect(row).to_contain_text(signal_id)


def test_what_can_be_written_is_offered(page: Page, demo_url: str) -> None:
    open_tab(page, demo_url)
    write(page, "")
    offered = page.locator(".cm-tooltip-autocomplete li")
    for typed, chosen, after in (
        ("SELECT us", "user_id", "SELECT user_id"),
        (" FROM ev", "events", "SELECT user_id FROM events"),
        (" AS e WHERE e.page", "page_path", "SELECT user_id FROM events AS e WHERE e.page_path"),
        (" IS NOT NULL AND event = 'onboarding_c", "onboarding_completed", "event = 'onboarding_completed'"),
    ):
        page.keyboard.type(typed)
        choice = offered.filter(has_text=re.compile(f"^{chosen}")).first
        expect(choice).to_have_attribute("aria-selected", "true")
        expect(choice).to_be_visible()
        take_completion(page)
        expect(editor(page)).to_contain_text(after)
    expect(page.locator(".cm-error-line")).to_have_count(0)


def test_an_error_is_marked_at_its_line_until_it_is_corrected(page: Page, demo_url: str) -> None:
    open_tab(page, demo_url)
    page.locator("#sql-name").fill("Corrected")
    write(page, "SELECT DISTINCT user_id\nFROM events\nWHERE evnt = 'api_key_created'")
    page.keyboard.press("Control+Enter")
    marked = page.locator(".cm-error-line")
    expect(marked).to_have_text("WHERE evnt = 'api_key_created'")
    said = page.locator("#sql-editor-error")
    expect(said).to_have_text(re.compile(r"^Line 3: .*evnt"))
    expect(page.locator(".cm-lint-marker-error")).to_have_count(1)
    assert "run=" not in page.url
    assert "evnt" in lines(page)

    write(page, "SELECT DISTINCT user_id\nFROM events\nWHERE event = 'api_key_created'")
    expect(marked).to_have_count(0)
    expect(said).to_have_text("")
    page.keyboard.press("Control+Enter")
    expect(page.locator("#result-title")).to_have_text("Corrected")
    expect(page).to_have_url(re.compile(r"run="))


def test_the_query_rests_while_it_runs(page: Page, demo_url: str) -> None:
    held: list[Route] = []

    def hold(route: Route) -> None:
        if '"changedPropIds":["store-sql-order.data"]' in (route.request.post_data or ""):
            held.append(route)
        else:
            route.continue_()

    open_tab(page, demo_url)
    page.locator("#sql-name").fill("Resting")
    page.route("**/_dash-update-component*", hold)
    editor(page).focus()
    page.keyboard.press("Control+Enter")
    expect(editor(page)).to_have_attribute("aria-readonly", "true")
    page.keyboard.type("not written")
    page.keyboard.press("Control+Enter")
    expect(page.locator("#backtest-results[data-dash-is-loading=true]")).to_have_count(1)
    assert len(held) == 1
    assert "not written" not in lines(page)
    held[0].continue_()
    expect(page.locator("#result-title")).to_have_text("Resting")
    expect(editor(page)).to_have_attribute("aria-readonly", "false")
    expect(editor(page)).to_be_focused()


def test_a_statement_that_is_not_allowed_is_refused_in_words(page: Page, demo_url: str) -> None:
    open_tab(page, demo_url)
    page.locator("#sql-name").fill("Refused")
    for sql in ("DROP TABLE events", "SELECT * FROM read_csv('/etc/passwd')", "COPY events TO 'x'"):
        write(page, sql)
        page.keyboard.press("Control+Enter")
        expect(page.locator("#sql-editor-error")).not_to_have_text("")
        expect(page.locator(".cm-error-line")).to_have_count(1)
    assert "run=" not in page.url


def test_with_the_keyboard_alone(page: Page, demo_url: str) -> None:
    page.goto(f"{demo_url}/backtest")
    tab_to(page, "Visual Builder")
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("tab", name="SQL Query")).to_be_focused()
    expect(page.get_by_role("tab", name="SQL Query", selected=True)).to_be_visible()
    expect(page.locator(".sql-editor[data-state=ready]")).to_be_visible()
    tab_to(page, "Signal Name")
    page.keyboard.type("By keyboard")
    tab_to(page, "SQL Query")
    expect(editor(page)).to_be_focused()
    page.keyboard.press("Control+End")
    page.keyboard.press("Tab")
    expect(editor(page)).to_be_focused()  # it indents
    page.keyboard.press("Escape")
    page.keyboard.press("Tab")
    expect(editor(page)).not_to_be_focused()
    expect(page.locator("#sql-preview")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator(".preview-words")).to_contain_text("in all")
    expect(page.locator("#sql-preview")).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator(".schema-columns").first).to_be_visible()
    tab_to(page, "Run Backtest")
    page.keyboard.press("Enter")
    expect(page.locator("#result-title")).to_have_text("By keyboard")


def test_an_example_replaces_the_query_and_can_be_taken_back(page: Page, demo_url: str) -> None:
    open_tab(page, demo_url)
    page.get_by_text("Examples", exact=True).click()
    page.locator(".menu-item", has_text="Accounts with several people").click()
    expect(page.locator("#sql-unit")).to_have_value("account")
    expect(editor(page)).to_contain_text("SELECT company_id")
    expect(editor(page)).to_be_focused()
    page.keyboard.press("Control+z")
    expect(editor(page)).to_contain_text("SELECT DISTINCT user_id")


def test_tab_and_query_survive_a_reload_and_another_run(page: Page, demo_url: str) -> None:
    open_tab(page, demo_url)
    page.locator("#sql-name").fill("Kept")
    write(page, "SELECT user_id FROM events WHERE event = 'api_key_created' -- kept")
    page.keyboard.press("Control+Enter")
    expect(page.locator("#result-title")).to_have_text("Kept")
    expect(page).to_have_url(re.compile(r"run="))
    page.get_by_role("button", name="Run Another").click()
    expect(page.locator("#backtest-results")).to_be_hidden()
    expect(editor(page)).to_contain_text("-- kept")
    page.reload()
    expect(editor(page)).to_contain_text("-- kept")
    expect(page.locator("#sql-name")).to_have_value("Kept")


def test_a_colleague_sees_the_query_of_a_link(page: Page, browser: Browser, demo_url: str) -> None:
    open_tab(page, demo_url)
    page.locator("#sql-name").fill("Shared")
    write(page, "SELECT user_id FROM events WHERE event = 'report_exported' -- shared")
    page.keyboard.press("Control+Enter")
    expect(page).to_have_url(re.compile(r"run="))
    with browser.new_context() as other:
        colleague = other.new_page()
        colleague.goto(page.url)
        expect(editor(colleague)).to_contain_text("-- shared")
        expect(colleague.locator("#result-title")).to_have_text("Shared")


def test_a_saved_signal_is_edited_into_a_new_version(page: Page, demo_url: str, demo: Services) -> None:
    sql = "SELECT user_id FROM events WHERE event = 'integration_connected'"
    saved = demo.signals.save(from_dict({"name": "To be edited", "sql": sql}))
    page.goto(f"{demo_url}/backtest?signal={saved.id}")
    expect(page.locator(".made-from")).to_contain_text("Made from the signal To be edited")
    expect(editor(page)).to_contain_text("integration_connected")
    editor(page).focus()
    page.keyboard.press("Control+End")
    page.keyboard.insert_text("\n  AND days_since_signup <= 7")
    page.keyboard.press("Control+Enter")
    expect(page.get_by_role("button", name="Save as a new signal")).to_be_visible()
    page.get_by_role("button", name="Save as a new version of To be edited").click()
    expect(page).to_have_url(re.compile(f"/signals/{saved.id}$"))
    after = demo.signals.read(saved.id)
    assert after.version == saved.version + 1
    assert after.definition.sql.endswith("AND days_since_signup <= 7")


def test_add_to_rule_opens_the_playbook_with_the_signal(page: Page, demo_url: str, demo: Services) -> None:
    open_tab(page, demo_url)
    page.locator("#sql-name").fill("For a rule")
    write(page, "SELECT user_id FROM events WHERE event = 'contract_viewed'")
    page.keyboard.press("Control+Enter")
    expect(page.locator("#result-title")).to_have_text("For a rule")
    page.get_by_role("button", name="Add to Rule").click()
    expect(page).to_have_url(re.compile(r"/playbooks/new\?signal=sig_\d+$"))
    saved = next(each for each in demo.signals.all() if each.definition.name == "For a rule")
    expect(page.locator("#playbook-rows select").first).to_have_value(saved.id)


def test_without_its_bundle_the_editor_is_a_plain_field(page: Page, demo_url: str, quiet_browser: list[str]) -> None:
    def refuse(route: Route) -> None:
        route.abort()

    page.route("**/cm6.min.js*", refuse)
    page.goto(f"{demo_url}/backtest")
    page.locator(".nav-link", has_text="SQL Query").click()
    expect(page.locator(".sql-editor[data-state=plain]")).to_be_visible()
    page.locator("#sql-name").fill("Plain")
    editor(page).fill("SELECT user_id FROM events WHERE event = 'theme_changed'")
    editor(page).press("Control+Enter")
    expect(page.locator("#result-title")).to_have_text("Plain")
    assert all("cm6.min.js" in line for line in quiet_browser)
    quiet_browser.clear()


# ---- data written by an enemy


@pytest.fixture(scope="module")
def enemy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    folder = tmp_path_factory.mktemp("enemy")
    people = Journeys(folder, data_end="2024-12-31", name=IMG)
    for number in range(60):
        name = (*NAMES, SCRIPT)[number % 6]
        people.company(f"c{number}", size=number + 1, name=name, industry=name)
        people.user(f"{IMG}{number}", signed_up="2024-01-03", company=f"c{number}", plan=name)
        people.did(name, after_days=1, page_path=name, browser=name)
        if number % 3 == 0:
            people.won(after_days=30, amount=1000)
    people.publish()
    services = build_services(Settings(data_dir=folder))
    yield services
    services.queries.close()


@pytest.mark.parametrize("width", [1280, 390])
def test_names_values_queries_and_errors_stay_text(page: Page, serve: Serve, enemy: Services, width: int) -> None:
    page.on("dialog", lambda dialog: pytest.fail(f"a dialog opened: {dialog.message}"))
    page.set_viewport_size({"width": width, "height": 844})
    open_tab(page, serve(create_app(enemy, FakeSettings()).server))
    page.get_by_text("Show Schema").click()
    for table in page.locator(".schema-tables > details > summary").all():
        table.click()
    expect(page.locator(".schema-columns").nth(1)).to_contain_text("onerror")
    unharmed(page)

    page.locator("#sql-name").fill(IMG)
    quoted = IMG.replace("'", "''")
    write(page, f"SELECT user_id, '{quoted}' AS \"{SCRIPT.replace(chr(34), '')}\" FROM events")
    page.get_by_role("button", name="Preview the first rows").click()
    expect(page.locator(".preview-table td").first).to_contain_text("<img")
    unharmed(page)

    write(page, f'SELECT user_id FROM events WHERE "{SCRIPT}" = 1 AND "{IMG.replace(chr(34), chr(39))}" = 2')
    page.keyboard.press("Control+Enter")
    expect(page.locator("#sql-editor-error")).not_to_have_text("")
    page.locator(".cm-lint-marker-error").first.hover()
    expect(page.locator(".cm-tooltip-lint")).to_be_visible()
    unharmed(page)

    write(page, "SELECT user_id FROM events WHERE event = '")
    page.keyboard.press("Control+Space")
    expect(page.locator(".cm-tooltip-autocomplete li", has_text="onerror").first).to_be_visible()
    unharmed(page)

    write(page, f"SELECT user_id FROM events WHERE event = '{quoted}'")
    page.keyboard.press("Control+Enter")
    expect(page.locator("#result-title")).to_have_text(IMG)
    unharmed(page)
