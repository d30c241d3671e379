"""Run Discovery over the wire: one job whoever presses, its truth on every answer, and a list that hears of its end."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from made_runs import finding, result
from shell_fakes import DEMO, FakeSettings, services

from app import create_app
from beton.clock import now
from beton.jobs.queue import Jobs
from beton.jobs.worker import LEASE_S, Progress, Worker
from beton.records.database import open_database, sqlite_url
from beton.records.discoveries import DiscoveryRepository
from beton.services import Services
from beton.services.discovery import JOB
from layouts import ids
from layouts.discovery_panel import LEAVES

INPUTS = (
    (ids.DISCOVERY_RUN, "n_clicks"),
    (ids.DISCOVERY_RUN_EMPTY, "n_clicks"),
    (ids.DISCOVERY_CANCEL, "n_clicks"),
    (ids.DISCOVERY_TICK, "n_intervals"),
)
OUTPUTS = ((ids.DISCOVERY_NEWEST, "data"), *LEAVES)


@dataclass(frozen=True)
class Page:
    """A browser that has the Signals page open, and the worker's side of the same database."""

    client: FlaskClient
    services: Services
    jobs: Jobs
    runs: DiscoveryRepository

    def send(self, *changed: str, value: Any = 1, newest: str | None = None) -> Any:
        """Answer to inputs that changed together; the others hold what they held."""
        wires = [f"{owner}.{prop}" for owner, prop in OUTPUTS]
        body = {
            "output": f"..{'...'.join(wires)}..",
            "outputs": [{"id": owner, "property": prop} for owner, prop in OUTPUTS],
            "inputs": [
                {"id": owner, "property": prop, "value": value if owner in changed else None} for owner, prop in INPUTS
            ],
            "state": [{"id": ids.DISCOVERY_NEWEST, "property": "data", "value": newest}],
            "changedPropIds": [f"{owner}.{prop}" for owner, prop in INPUTS if owner in changed],
        }
        return self.client.post("/_dash-update-component", json=body)

    def seen(self, *changed: str, newest: str | None = None) -> dict[str, dict[str, Any]]:
        """The properties by component that an answer sets."""
        answer = self.send(*changed, newest=newest)
        assert answer.status_code == 200, answer.text
        response: dict[str, dict[str, Any]] = answer.json["response"]
        return response

    def state(self, *changed: str) -> str:
        shown: str = self.seen(*changed)[ids.DISCOVERY]["data-state"]
        return shown

    def work(self, handler: Any) -> None:
        assert Worker(self.jobs, {JOB: handler}).run_once(threading.Event())

    def keep_run(self, run_id: str) -> None:
        found = result(finding("invited"), finding("priced"))
        self.runs.add(
            run_id,
            found.to_json(),
            settings=found.settings.to_dict(),
            request_hash="h",
            snapshot_version=DEMO.version,
            at=now(),
            seconds=2.94,
        )


@pytest.fixture
def page(tmp_path: Path) -> Iterator[Page]:
    made = services(tmp_path)
    database = open_database(sqlite_url(tmp_path / "app.sqlite3"))
    client = create_app(made, FakeSettings()).server.test_client()
    yield Page(client, made, Jobs(database), DiscoveryRepository(database))
    database.close()


@pytest.mark.parametrize("button", [ids.DISCOVERY_RUN, ids.DISCOVERY_RUN_EMPTY])
def test_two_people_who_press_get_one_job(page: Page, button: str) -> None:
    first = page.seen(button)
    assert (first[ids.DISCOVERY]["data-state"], first[ids.DISCOVERY_TICK]["disabled"]) == ("queued", False)
    assert page.state(ids.DISCOVERY_RUN) == "queued"
    assert len(page.jobs.recent(JOB, 10)) == 1


def test_a_tick_and_a_page_that_has_just_been_drawn_start_nothing(page: Page) -> None:
    assert page.state(ids.DISCOVERY_TICK) == "none"
    assert page.send(ids.DISCOVERY_RUN, value=None).status_code == 204
    assert page.jobs.recent(JOB, 10) == []


def test_a_press_that_arrives_together_with_a_tick_counts(page: Page) -> None:
    assert page.state(ids.DISCOVERY_RUN, ids.DISCOVERY_TICK) == "queued"
    assert page.state(ids.DISCOVERY_CANCEL, ids.DISCOVERY_TICK) == "cancelled"


def test_the_bar_shows_what_the_worker_has_written_down(page: Page) -> None:
    page.seen(ids.DISCOVERY_RUN)
    job = page.jobs.claim("ann", now(), LEASE_S)
    assert job is not None
    page.jobs.beat(job.id, "ann", "Packing bits", 0.35, now(), LEASE_S)
    seen = page.seen(ids.DISCOVERY_TICK)
    assert (seen[ids.DISCOVERY]["data-state"], seen[ids.DISCOVERY_BAR]["value"]) == ("running", 0.35)
    assert seen[ids.DISCOVERY_DETAIL]["children"] == "Packing bits"


def test_a_running_job_is_asked_to_stop_and_says_so_until_it_has(page: Page) -> None:
    page.seen(ids.DISCOVERY_RUN)

    def stops(_payload: Any, progress: Progress) -> dict[str, Any]:
        seen = page.seen(ids.DISCOVERY_CANCEL)
        assert seen[ids.DISCOVERY_HEADLINE]["children"] == "Cancelling"
        assert (seen[ids.DISCOVERY_CANCEL]["disabled"], seen[ids.DISCOVERY_TICK]["disabled"]) == (True, False)
        asked = threading.Event()
        while not progress.should_stop():
            asked.wait(0.01)
        progress("Next", 0.9)
        return {}

    page.work(stops)
    assert page.state(ids.DISCOVERY_TICK) == "cancelled"


def test_the_list_hears_of_a_run_once_it_has_ended_and_not_before(page: Page) -> None:
    page.seen(ids.DISCOVERY_RUN)

    def finds(_payload: Any, _progress: Progress) -> dict[str, Any]:
        page.keep_run("r" * 32)
        seen = page.seen(ids.DISCOVERY_TICK)
        assert ids.DISCOVERY_NEWEST not in seen, "its signals are not saved yet"
        return {"run_id": "r" * 32, "signals": 2}

    page.work(finds)
    seen = page.seen(ids.DISCOVERY_TICK)
    assert seen[ids.DISCOVERY_NEWEST]["data"] == "r" * 32
    assert seen[ids.DISCOVERY_HEADLINE]["children"] == "2 signals found of 301,741 tested in 2.9 s"
    assert seen[ids.DISCOVERY_RESULT]["href"] == f"/runs/{'r' * 32}"
    assert seen[ids.DISCOVERY_TICK]["disabled"]
    assert ids.DISCOVERY_NEWEST not in page.seen(ids.DISCOVERY_TICK, newest="r" * 32)


def test_a_failure_is_shown_with_its_sentence_and_can_be_tried_again(page: Page) -> None:
    page.seen(ids.DISCOVERY_RUN)
    # The worker has no data to run on.
    page.work(lambda payload, progress: page.services.discovery.work(payload, progress))
    seen = page.seen(ids.DISCOVERY_TICK)
    assert seen[ids.DISCOVERY]["data-state"] == "failed"
    assert "beton demo" in seen[ids.DISCOVERY_DETAIL]["children"]
    assert page.state(ids.DISCOVERY_RUN) == "queued"
    assert len(page.jobs.recent(JOB, 10)) == 2


def test_without_data_nothing_is_started(tmp_path: Path) -> None:
    client = create_app(services(tmp_path, facts=None), FakeSettings()).server.test_client()
    database = open_database(sqlite_url(tmp_path / "app.sqlite3"))
    page = Page(client, services(tmp_path), Jobs(database), DiscoveryRepository(database))
    answer = page.send(ids.DISCOVERY_RUN).json
    assert (answer["response"], page.jobs.recent(JOB, 1)) == ({}, [])
    assert "beton demo" in answer["sideUpdate"][ids.TOAST]["data"]["text"]
    database.close()
