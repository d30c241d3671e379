"""The shuffle test over the wire: asked for what the run asked, followed to its end, and never anybody else's."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from made_runs import finding, keep, result
from shell_fakes import FakeSettings, services

from app import create_app
from beton.jobs.queue import Jobs
from beton.jobs.worker import Worker
from beton.model.discovery import DiscoverySettings, ShuffleTest
from beton.records.database import open_database, sqlite_url
from beton.services.discovery import SHUFFLE_JOB
from layouts import ids
from layouts.shuffle_card import LEAVES, OTHER_DATA

INPUTS = ((ids.SHUFFLE_RUN, "n_clicks"), (ids.SHUFFLE_CANCEL, "n_clicks"), (ids.SHUFFLE_TICK, "n_intervals"))
OWN = DiscoverySettings(min_units=50)


@dataclass(frozen=True)
class Page:
    """A browser that has the page of a run open, and the worker's side of the same database."""

    client: FlaskClient
    jobs: Jobs

    def send(self, changed: str, run_id: Any = "own", value: Any = 1) -> Any:
        body = {
            "output": f"..{'...'.join(f'{owner}.{prop}' for owner, prop in LEAVES)}..",
            "outputs": [{"id": owner, "property": prop} for owner, prop in LEAVES],
            "inputs": [
                {"id": owner, "property": prop, "value": value if owner == changed else None} for owner, prop in INPUTS
            ],
            "state": [{"id": ids.SHUFFLE_OF, "property": "data", "value": run_id}],
            "changedPropIds": [f"{owner}.{prop}" for owner, prop in INPUTS if owner == changed],
        }
        return self.client.post("/_dash-update-component", json=body)

    def seen(self, changed: str, run_id: str = "own") -> dict[str, dict[str, Any]]:
        answer = self.send(changed, run_id)
        assert answer.status_code == 200, answer.text
        response: dict[str, dict[str, Any]] = answer.json["response"]
        return response

    def words(self, changed: str, run_id: str = "own") -> str:
        said: str = self.seen(changed, run_id)[ids.SHUFFLE_WORDS]["children"]
        return said

    def work(self, handler: Any) -> None:
        assert Worker(self.jobs, {SHUFFLE_JOB: handler}).run_once(threading.Event())


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Page]:
    made = services(tmp_path)
    keep(tmp_path, "own", result(finding("invited"), settings=OWN))
    keep(tmp_path, "other", result(), 1)
    keep(tmp_path, "elder", result(snapshot_version="0123456789ab"), 2)
    database = open_database(sqlite_url(tmp_path / "app.sqlite3"))
    yield Page(create_app(made, FakeSettings()).server.test_client(), Jobs(database))
    database.close()


def test_a_press_asks_what_the_run_asked_once_whoever_presses(opened: Page) -> None:
    first = opened.seen(ids.SHUFFLE_RUN)
    opened.seen(ids.SHUFFLE_RUN)
    (job,) = opened.jobs.recent(SHUFFLE_JOB, 10)

    assert job.payload["settings"]["min_units"] == 50
    assert (first[ids.SHUFFLE_RUN]["disabled"], first[ids.SHUFFLE_TICK]["disabled"]) == (True, False)
    assert first[ids.SHUFFLE_WORDS]["children"].startswith("Queued.")
    assert not first[ids.SHUFFLE_CANCEL]["hidden"]


def test_the_result_stands_as_words_and_as_a_histogram_and_the_ticks_end(opened: Page) -> None:
    opened.seen(ids.SHUFFLE_RUN)
    opened.work(lambda payload, progress: ShuffleTest(20, 0, (0,) * 18 + (2, 2)).to_json())
    seen = opened.seen(ids.SHUFFLE_TICK)

    assert seen[ids.SHUFFLE_WORDS]["children"].startswith("2 of 20 shuffled worlds listed anything;")
    rows = json.dumps(seen[ids.SHUFFLE_COUNTS]["children"])
    for text in ("0 signals listed", "18 worlds", "1 signal listed", "0 worlds", "2 signals listed", "2 worlds"):
        assert text in rows, text
    assert (seen[ids.SHUFFLE_TICK]["disabled"], seen[ids.SHUFFLE_RUN]["disabled"]) == (True, False)
    assert seen[ids.SHUFFLE_BAR]["style"] == {"display": "none"}


def test_a_cancelled_test_says_so_and_can_be_run_again(opened: Page) -> None:
    opened.seen(ids.SHUFFLE_RUN)
    seen = opened.seen(ids.SHUFFLE_CANCEL)

    assert seen[ids.SHUFFLE_WORDS]["children"] == "The test was cancelled."
    assert not seen[ids.SHUFFLE_RUN]["disabled"]


def test_the_test_of_another_question_is_not_shown(opened: Page) -> None:
    opened.seen(ids.SHUFFLE_RUN)
    assert opened.words(ids.SHUFFLE_TICK, "other").startswith("Not run yet")


def test_a_run_on_other_data_starts_nothing(opened: Page) -> None:
    seen = opened.seen(ids.SHUFFLE_RUN, "elder")

    assert seen[ids.SHUFFLE_WORDS]["children"] == OTHER_DATA
    assert seen[ids.SHUFFLE_RUN]["disabled"]
    assert opened.jobs.recent(SHUFFLE_JOB, 10) == []


@pytest.mark.parametrize("run_id", ["unknown", None, {"a": 1}, "../own"])
def test_a_forged_run_starts_nothing(opened: Page, run_id: Any) -> None:
    opened.send(ids.SHUFFLE_RUN, run_id)
    assert opened.jobs.recent(SHUFFLE_JOB, 10) == []


def test_a_page_that_has_just_been_drawn_starts_nothing(opened: Page) -> None:
    assert opened.send(ids.SHUFFLE_RUN, value=None).status_code == 204
    assert opened.jobs.recent(SHUFFLE_JOB, 10) == []
