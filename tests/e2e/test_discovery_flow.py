"""Run Discovery in the browser, with real workers: found, cancelled, watched by two people, and killed in mid-run."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect
from shell_fakes import FakeSettings
from sqlalchemy import update

from app import create_app
from beton.bootstrap import build_services
from beton.clock import now
from beton.config import Settings
from beton.demo.company import write
from beton.demo.sizes import CompanySize
from beton.jobs.queue import Jobs
from beton.jobs.worker import Progress, Worker
from beton.records.database import open_database, sqlite_url
from beton.records.rows import JobRecord
from beton.records.tables import jobs as table
from beton.services import Services
from beton.services.discovery import JOB

Serve = Callable[[Any], str]
RUN_MS = 120_000  # of a whole run, its worker's start included, on a busy machine
STATE_MS = 20_000
LONGEST_WAIT_S = 60


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The warehouse of a company without any signal."""
    folder = tmp_path_factory.mktemp("discovery")
    write(folder / "files", size=CompanySize().scaled(0.4))
    build_services(Settings(data_dir=folder)).workspace.import_files(folder / "files" / "mapping.yaml")
    return folder / "warehouse"


@dataclass
class Office:
    """A server over a company of its own, and the worker processes that it is given."""

    url: str
    folder: Path
    services: Services
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def database(self) -> str:
        """The address of the app database."""
        return sqlite_url(self.folder / "app.sqlite3")

    def hire(self) -> subprocess.Popen[bytes]:
        """Start a worker process."""
        environment = os.environ | {"BETON_DATA_DIR": str(self.folder), "BETON_DATABASE_URL": ""}
        worker = subprocess.Popen([sys.executable, "-m", "beton", "worker"], env=environment)
        self.workers.append(worker)
        return worker

    def hire_and_freeze(self) -> subprocess.Popen[bytes]:
        """Start a worker, and stop its process in the middle of the job that waits."""
        worker = self.hire()
        self.until("running")
        worker.send_signal(signal.SIGSTOP)
        while self.is_locked():  # stopped in the middle of a sign of life, nobody else could write
            worker.send_signal(signal.SIGCONT)
            worker.send_signal(signal.SIGSTOP)
        return worker

    def is_locked(self) -> bool:
        """Whether somebody holds the database for writing."""
        with closing(sqlite3.connect(self.folder / "app.sqlite3", timeout=0.1)) as connection:
            try:
                connection.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError:
                return True
            return False

    def jobs(self) -> list[JobRecord]:
        """Every discovery job as it is written down, newest first."""
        with closing(open_database(self.database)) as database:
            return Jobs(database).recent(JOB, 10)

    def until(self, status: str) -> None:
        """Wait until the newest job is in this state."""
        pause = threading.Event()
        for _ in range(100 * LONGEST_WAIT_S):
            job = self.services.discovery.job()
            if job is not None and job.status == status:
                return
            pause.wait(0.01)
        raise AssertionError(f"the job never was {status}: {job}")

    def let_the_lease_run_out(self) -> None:
        """Half a minute later, without waiting for it."""
        past = now() - timedelta(seconds=1)
        with closing(open_database(self.database)) as database, database.write() as connection:
            connection.execute(update(table).where(table.c.status == "running").values(lease_until=past))


@pytest.fixture
def office(serve: Serve, snapshot: Path, tmp_path: Path) -> Iterator[Office]:
    shutil.copytree(snapshot, tmp_path / "warehouse")
    services = build_services(Settings(data_dir=tmp_path))
    made = Office(serve(create_app(services, FakeSettings()).server), tmp_path, services)
    yield made
    for worker in made.workers:
        worker.kill()
        worker.wait()


def headline(page: Page) -> Any:
    return expect(page.locator("#discovery-headline"))


def run(page: Page) -> None:
    page.get_by_role("button", name="Run Discovery").click()
    headline(page).to_have_text("Queued", timeout=STATE_MS)


def test_what_discovery_finds_is_listed_without_a_reload_and_opens(page: Page, office: Office) -> None:
    page.goto(f"{office.url}/signals")
    expect(page.get_by_text("No signals yet")).to_be_visible()
    run(page)
    headline(page).to_have_text("Waiting for the worker", timeout=STATE_MS)
    expect(page.get_by_text("start one with the command beton worker")).to_be_visible()

    page.evaluate("window.sameDocument = document.querySelector('.page')")
    office.hire()
    expect(page.locator("#discovery")).to_have_attribute("data-state", "done", timeout=RUN_MS)
    found = office.services.discovery_runs.newest()
    assert found is not None
    assert found.signals
    headline(page).to_contain_text(f"found of {found.tested:,} tested in")
    expect(page.locator("#discovery-last")).to_contain_text(f"snapshot {found.snapshot_version}")

    names = page.locator("#signals-grid .grid-link")
    expect(names.first).to_be_visible(timeout=STATE_MS)
    expect(page.get_by_text("No signals yet")).to_be_hidden()
    expect(page.locator("#signals-grid .rung").first).to_be_visible()
    expect(page.get_by_role("button", name="Cancel discovery")).to_be_hidden()
    expect(page.get_by_role("button", name="Run Discovery")).to_be_enabled()
    assert page.evaluate("window.sameDocument === document.querySelector('.page')")

    page.reload()
    expect(page.locator("#discovery")).to_have_attribute("data-state", "done")
    address = names.first.get_attribute("href")
    page.locator("#signals-grid .ag-cell[col-id=lift]").first.click()
    expect(page).to_have_url(f"{office.url}{address}")
    expect(page.locator(".page h1")).to_be_visible()


def test_everybody_sees_the_same_run_and_anybody_can_cancel_it(page: Page, browser: Browser, office: Office) -> None:
    page.goto(f"{office.url}/signals")
    run(page)
    database = open_database(office.database)

    def works_until_told(_payload: Any, progress: Progress) -> dict[str, Any]:
        pause = threading.Event()
        while True:
            progress("Packing bits", 0.35)
            pause.wait(0.01)

    worker = threading.Thread(target=Worker(Jobs(database), {JOB: works_until_told}).run_once)
    worker.start()
    headline(page).to_have_text("Discovery is running", timeout=STATE_MS)

    page.reload()
    headline(page).to_have_text("Discovery is running")
    expect(page.locator("#discovery-detail")).to_have_text("Packing bits", timeout=STATE_MS)
    expect(page.locator("#discovery-elapsed")).to_contain_text("35% · ")
    expect(page.get_by_role("button", name="Run Discovery").first).to_be_disabled()
    with closing(browser.new_context()) as other:
        colleague = other.new_page()
        colleague.goto(f"{office.url}/signals")
        headline(colleague).to_have_text("Discovery is running")
        colleague.get_by_role("button", name="Cancel discovery").click()
        headline(colleague).to_have_text("Discovery was cancelled", timeout=STATE_MS)
    headline(page).to_have_text("Discovery was cancelled", timeout=STATE_MS)
    worker.join()
    database.close()
    expect(page.get_by_role("button", name="Run Discovery").first).to_be_enabled()


def test_a_worker_process_stops_when_told(page: Page, office: Office) -> None:
    page.goto(f"{office.url}/signals")
    run(page)
    worker = office.hire_and_freeze()
    page.get_by_role("button", name="Cancel discovery").click()
    expect(page.get_by_role("button", name="Cancel discovery")).to_be_disabled()
    worker.send_signal(signal.SIGCONT)
    headline(page).to_have_text("Discovery was cancelled", timeout=STATE_MS)
    assert office.services.discovery_runs.newest() is None
    expect(page.get_by_text("No signals yet")).to_be_visible()


def test_a_killed_worker_is_never_shown_as_running_or_as_a_success(page: Page, office: Office) -> None:
    page.goto(f"{office.url}/signals")
    run(page)
    office.hire_and_freeze().kill()
    headline(page).to_have_text("No sign of life from the worker", timeout=STATE_MS)

    office.let_the_lease_run_out()
    headline(page).to_have_text("Interrupted, to be tried again", timeout=STATE_MS)
    page.reload()
    headline(page).to_have_text("Interrupted, to be tried again")

    second = office.hire_and_freeze()
    second.kill()
    office.let_the_lease_run_out()
    headline(page).to_have_text("Discovery was interrupted", timeout=STATE_MS)
    expect(page.locator("#discovery")).to_have_attribute("data-state", "interrupted")
    assert office.services.discovery_runs.newest() is None

    run(page)
    assert [each.status for each in office.jobs()] == ["queued", "interrupted"]
