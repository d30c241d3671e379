"""The history and the comparison over the wire: the router, older runs, other runs in the address, forged requests."""

from __future__ import annotations

import json
from typing import Any

import pytest
from flask.testing import FlaskClient
from journeys import Journeys
from made_backtests import keep, signal
from shell_fakes import FakeSettings
from test_forged_requests import WRONG_TYPES, Wire

from app import create_app
from beton.bootstrap import build_services
from beton.config import Settings
from beton.records.database import open_database, sqlite_url
from beton.records.runs import RunRepository
from beton.services.history import PAGE
from layouts import ids
from store import SLICES

OLDER = [
    {"id": ids.HISTORY_GRID, "property": "rowTransaction"},
    {"id": ids.HISTORY_LAST, "property": "data"},
    {"id": ids.HISTORY_OLDER, "property": "hidden"},
]
COMPARED = [{"id": ids.COMPARED, "property": "children"}, {"id": ids.COMPARED_RUNS, "property": "data"}]


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> FlaskClient:
    """The newest run is r204, and the page shows the last 200. Nothing here changes anything."""
    folder = tmp_path_factory.mktemp("history")
    Journeys(folder, data_end="2024-12-01").user("ann").did("x", after_days=1).publish()
    database = open_database(sqlite_url(folder / "app.sqlite3"))
    for number in range(PAGE + 5):
        definition = signal(f"<b>Run {number}</b>", when={"event": "x", "within_days": 1 + number % 3})
        asked_by = "local" if number < 3 else None
        keep(RunRepository(database), f"r{number:03d}", definition=definition, asked_by=asked_by, minute=number)
    database.close()
    return create_app(build_services(Settings(data_dir=folder)), FakeSettings()).server.test_client()


def writer(client: FlaskClient, output: str) -> Wire:
    """The callback that writes ``output``: several listen to the address."""
    wire = Wire(client, f"{ids.URL}.search")
    wire._callback = next(each for each in client.get("/_dash-dependencies").json if output in each["output"])
    return wire


def page(client: FlaskClient, pathname: str, search: str = "") -> str:
    marker = f"{ids.URL}.pathname"
    values: dict[str, Any] = {marker: pathname, f"{ids.URL}.search": search}
    values |= {f"{ids.store(name)}.data": None for name in SLICES}
    outputs = [{"id": ids.PAGE, "property": "children"}, {"id": ids.WORKSPACE, "property": "children"}]
    answer = writer(client, f"{ids.PAGE}.children").send(values, marker, outputs)
    return json.dumps(answer["response"][ids.PAGE]["children"])


def older(client: FlaskClient, last: Any, clicks: Any = 1) -> dict[str, Any]:
    marker = f"{ids.HISTORY_OLDER}.n_clicks"
    return Wire(client, marker).send({marker: clicks, f"{ids.HISTORY_LAST}.data": last}, marker, OLDER)


def follow(client: FlaskClient, search: Any, shown: Any, pathname: Any = "/backtest/compare") -> dict[str, Any]:
    marker = f"{ids.URL}.search"
    values = {marker: search, f"{ids.URL}.pathname": pathname, f"{ids.COMPARED_RUNS}.data": shown}
    return writer(client, f"{ids.COMPARED}.children").send(values, marker, COMPARED)


def test_the_page_holds_the_newest_runs_and_the_ledger(client: FlaskClient) -> None:
    drawn = page(client, "/backtest/history")
    assert '"id": "r204"' in drawn
    assert '"id": "r005"' in drawn
    assert '"id": "r004"' not in drawn
    assert "You have asked 3 questions of your data" in drawn


def test_older_runs_are_added_and_nothing_is_sent_again(client: FlaskClient) -> None:
    answer = older(client, "r005")["response"]
    added = answer[ids.HISTORY_GRID]["rowTransaction"]["add"]
    assert [row["id"] for row in added] == ["r004", "r003", "r002", "r001", "r000"]
    assert (added[2]["test"], added[2]["asked"]) == (3, "asked")
    assert answer[ids.HISTORY_LAST]["data"] == "r000"
    assert answer[ids.HISTORY_OLDER]["hidden"] is True


def test_after_the_oldest_there_is_nothing(client: FlaskClient) -> None:
    answer = older(client, "r000")["response"]
    assert answer[ids.HISTORY_GRID]["rowTransaction"]["add"] == []
    assert answer[ids.HISTORY_LAST]["data"] == "r000"


def test_more_than_a_page_of_older_runs_leaves_the_button(client: FlaskClient) -> None:
    answer = older(client, "r204")["response"]
    assert len(answer[ids.HISTORY_GRID]["rowTransaction"]["add"]) == PAGE
    assert answer[ids.HISTORY_OLDER]["hidden"] is False


@pytest.mark.parametrize(
    "last", [*WRONG_TYPES, "nope", "' OR 1=1 --", "x" * 10_000], ids=lambda value: repr(value)[:40]
)
def test_a_forged_place_in_the_history_is_a_toast_and_no_rows(client: FlaskClient, last: Any) -> None:
    answer = older(client, last)
    assert "There is no run" in json.dumps(answer["sideUpdate"])
    assert "response" not in answer or not answer["response"]


@pytest.mark.parametrize("clicks", [None, 0])
def test_nobody_clicked_is_no_answer(client: FlaskClient, clicks: Any) -> None:
    assert older(client, "r005", clicks) == {}


def test_the_address_names_what_is_compared(client: FlaskClient) -> None:
    drawn = page(client, "/backtest/compare", "?run=r204&run=r203")
    assert "Not directly comparable" in drawn
    assert "<b>Run 204</b>" in drawn
    assert "There is no run 'zzz'" in page(client, "/backtest/compare", "?run=r204&run=zzz")
    assert "Nothing to compare" in page(client, "/backtest/compare", "?run=r204")
    assert "Nothing to compare" in page(client, "/backtest/compare")


def test_other_runs_in_the_address_replace_what_is_compared(client: FlaskClient) -> None:
    answer = follow(client, "?run=r203&run=r200", ["r204", "r203"])["response"]
    assert answer[ids.COMPARED_RUNS]["data"] == ["r203", "r200"]
    assert "Run 200" in json.dumps(answer[ids.COMPARED]["children"])


@pytest.mark.parametrize(
    ("search", "pathname"),
    [("?run=r204&run=r203", "/backtest/compare"), ("?run=r204", "/backtest"), ("", "/backtest/history")],
)
def test_the_same_runs_and_other_pages_change_nothing(client: FlaskClient, search: str, pathname: str) -> None:
    assert follow(client, search, ["r204", "r203"], pathname) == {}


@pytest.mark.parametrize("value", WRONG_TYPES, ids=repr)
def test_forged_addresses_and_stores_are_answered(client: FlaskClient, value: Any) -> None:
    for answer in (follow(client, value, value), follow(client, "?run=r204&run=r203", value, "/backtest/compare")):
        assert "Something went wrong" not in json.dumps(answer)
