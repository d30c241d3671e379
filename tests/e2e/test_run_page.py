"""Discovery runs in the browser: the list, the page of one, its dots, its tables, and what is not there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from app import create_app
from beton.bootstrap import build_services
from beton.config import Settings
from beton.demo.company import write
from beton.demo.sizes import CompanySize
from beton.model.discovery import DiscoverySettings
from beton.services import Services
from beton.services.discovery import DiscoveryRun

SMALL = DiscoverySettings(windows_days=(3, 14), activity_days=14, counts=(1, 2, 5))


@pytest.fixture(scope="module")
def discovered(tmp_path_factory: pytest.TempPathFactory) -> tuple[Services, DiscoveryRun]:
    """A part of the demo company with two runs, the second of other settings."""
    folder = tmp_path_factory.mktemp("runs")
    services = build_services(Settings(data_dir=folder / "data"))
    write(folder / "files", size=CompanySize().scaled(0.4))
    services.workspace.import_files(folder / "files" / "mapping.yaml")
    services.discovery.run(SMALL, on_step=lambda stage, share: None)
    other = DiscoverySettings(windows_days=(3, 14), activity_days=14, counts=(1, 2))
    return services, services.discovery.run(other, on_step=lambda stage, share: None)


@pytest.fixture(scope="module")
def runs_url(serve, discovered: tuple[Services, DiscoveryRun]) -> str:  # type: ignore[no-untyped-def]
    from shell_fakes import FakeSettings

    address: str = serve(create_app(discovered[0], FakeSettings()).server)
    return address


def test_from_the_list_to_a_run_to_a_signal(
    page: Page, runs_url: str, discovered: tuple[Services, DiscoveryRun]
) -> None:
    services, run = discovered
    best = run.result.findings[0]
    page.goto(f"{runs_url}/runs")
    links = page.locator(".b-table tbody a")
    expect(links).to_have_count(2)
    expect(page.locator("nav a[aria-current=page]")).to_have_text("Signals")
    links.first.focus()
    page.keyboard.press("Enter")

    expect(page).to_have_url(f"{runs_url}/runs/{run.id}")
    expect(page).to_have_title(re.compile("^Discovery of .* · Beton$"))
    expect(page.locator("nav a[aria-current=page]")).to_have_text("Signals")
    expect(page.get_by_text("Numbers of times: 1, 2, 5 before, 1, 2 now")).to_be_visible()
    expect(page.locator("#discovery-volcano .point")).to_have_count(len(run.result.volcano))
    expect(page.get_by_role("img", name=re.compile("Lift and p-value of"))).to_be_visible()

    saved = next(each for each in services.signals.all() if each.definition.meaning_hash() == best.definition_hash)
    page.get_by_role("link", name=best.name).first.click()
    expect(page).to_have_url(f"{runs_url}/signals/{saved.id}")
    page.go_back()
    expect(page.get_by_role("heading", name="Compared with the run before")).to_be_visible()


def test_a_click_on_a_kept_dot_opens_its_signal_and_on_another_does_not(
    page: Page, runs_url: str, discovered: tuple[Services, DiscoveryRun]
) -> None:
    address = f"{runs_url}/runs/{discovered[1].id}"
    page.goto(address)
    dots = page.locator("#discovery-volcano .trace.scatter")
    expect(dots).to_have_count(3)
    # Traces are drawn from the least to the most important: chance, listed, kept.
    dots.nth(0).locator(".point").last.click(force=True)
    expect(page.locator("#discovery-volcano .hovertext")).to_be_visible()
    expect(page).to_have_url(address)

    page.reload()
    expect(dots).to_have_count(3)
    dots.nth(2).locator(".point").last.click(force=True)
    expect(page).to_have_url(re.compile(r"/signals/[A-Za-z0-9_-]+$"))


def test_a_table_is_downloaded_and_details_open(
    page: Page, runs_url: str, discovered: tuple[Services, DiscoveryRun]
) -> None:
    run = discovered[1]
    page.goto(f"{runs_url}/runs/{run.id}")
    with page.expect_download() as download:
        page.get_by_role("link", name="Singles as CSV").click()
    assert download.value.suggested_filename == f"beton-run-{run.id[:12]}-singles.csv"
    lines = Path(download.value.path()).read_text().splitlines()
    assert len(lines) == run.result.family["1"] + 1

    page.get_by_text("Settings of the run").click()
    expect(page.get_by_text("Units needed with and without a condition", exact=True)).to_be_visible()


@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_is_wider_than_the_window(
    page: Page, runs_url: str, discovered: tuple[Services, DiscoveryRun], width: int
) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    for path in ("/runs", f"/runs/{discovered[1].id}"):
        page.goto(f"{runs_url}{path}")
        expect(page.locator(".page h1")).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        for table in page.locator(".table-scroll:visible").all():
            assert table.evaluate("scrolled => scrolled.scrollWidth <= scrolled.clientWidth"), table.inner_text()[:80]


def test_an_unknown_run_says_so(page: Page, runs_url: str) -> None:
    page.goto(f"{runs_url}/runs/nope")
    expect(page.get_by_role("heading", name="Run not found")).to_be_visible()
    page.get_by_role("link", name="Discovery runs").click()
    expect(page).to_have_url(f"{runs_url}/runs")
