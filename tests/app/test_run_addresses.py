"""The pages of discovery runs through the real router, and their tables through the real routes."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from flask.testing import FlaskClient
from made_runs import finding, keep, keep_tables, result
from shell_fakes import FakeSettings, services
from test_wiring import drawn

from app import create_app
from beton.model.discovery import DiscoverySettings
from beton.model.outcome import Outcome
from layouts import ids
from layouts.routes import BASE_PATH

RUN_ID = "e08d0914860649a6886ea0a20d09cf2f"


@pytest.fixture
def runs_client(tmp_path: Path) -> Iterator[FlaskClient]:
    made = services(tmp_path)
    keep(tmp_path, "first", result(finding("shared")))
    keep(tmp_path, RUN_ID, result(finding("invited")), 1)
    keep(tmp_path, "foreign", result(), 2, version=0)
    keep_tables(tmp_path, RUN_ID)
    token = BASE_PATH.set("/")  # requests set it in this very context
    yield create_app(made, FakeSettings(base_path="/apps/beton/")).server.test_client()
    BASE_PATH.reset(token)


def title(client: FlaskClient, path: str) -> str:
    shown: str = drawn(client, f"/apps/beton{path}")[ids.PAGE]["children"]["props"]["data-title"]
    return shown


def test_every_address_of_a_run_draws_its_page(runs_client: FlaskClient) -> None:
    assert title(runs_client, "/runs") == "Discovery runs"
    assert title(runs_client, f"/runs/{RUN_ID}") == "Discovery of 23 Nov 2026, 13:01 UTC"
    assert title(runs_client, "/runs/unknown") == "Run not found"
    assert title(runs_client, "/runs/foreign") == "Discovery run"
    assert title(runs_client, "/runs/%3Cb%3E") == "Page not found"


def test_a_shuffle_test_that_waits_is_on_the_page_of_the_run_that_asked_for_it(
    runs_client: FlaskClient, tmp_path: Path
) -> None:
    services(tmp_path).discovery.request_shuffle(DiscoverySettings(), Outcome())
    assert "Queued. If this stays" in json.dumps(drawn(runs_client, f"/apps/beton/runs/{RUN_ID}"))
    services(tmp_path).discovery.request_shuffle(DiscoverySettings(), Outcome("deal created"))
    assert "Not run yet for this question" in json.dumps(drawn(runs_client, f"/apps/beton/runs/{RUN_ID}"))


def test_links_carry_the_prefix(runs_client: FlaskClient) -> None:
    page = json.dumps(drawn(runs_client, f"/apps/beton/runs/{RUN_ID}"))
    for address in (f"/apps/beton/download/runs/{RUN_ID}/singles.csv", "/apps/beton/runs/first"):
        assert f'"{address}"' in page, address


def test_a_table_is_sent_as_csv_and_as_parquet(runs_client: FlaskClient) -> None:
    text = runs_client.get(f"/apps/beton/download/runs/{RUN_ID}/singles.csv")
    assert (text.status_code, text.mimetype) == (200, "text/csv")
    assert text.text.splitlines()[0] == '"condition_1","log_p"'
    with runs_client.get(f"/download/runs/{RUN_ID}/singles.parquet") as whole:
        assert pq.read_table(io.BytesIO(whole.data)).num_rows == 3
        assert whole.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    "path",
    [
        f"{RUN_ID}/pairs.csv",
        f"{RUN_ID}/singles.exe",
        "unknown/singles.csv",
        "first/singles.parquet",
        f"{RUN_ID}/..%2Fsingles.parquet",
        f"..%2F{RUN_ID}/singles.csv",
        f"{RUN_ID}/../../../app.sqlite3",
    ],
)
def test_nothing_but_the_tables_of_a_run_is_sent(runs_client: FlaskClient, path: str) -> None:
    answer = runs_client.get(f"/download/runs/{path}")
    assert answer.status_code == 404 or answer.mimetype == "text/html"
    assert b"condition_1" not in answer.data
    assert b"SQLite" not in answer.data
