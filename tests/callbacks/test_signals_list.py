"""The list of signals over the wire: what the address filters is what is drawn and what is exported."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from journeys import Journeys
from shell_fakes import FakeSettings

from app import create_app
from beton.bootstrap import build_services
from beton.config import Settings
from beton.model.signal import from_dict
from layouts import ids
from layouts.signals import LEAVES


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> FlaskClient:
    folder: Path = tmp_path_factory.mktemp("data")
    people = Journeys(folder, data_end="2024-12-31")
    people.user("ann").did("pricing_viewed", after_days=1).won(after_days=20)
    people.user("bob").did("docs_visited", after_days=2).user("cem").did("docs_visited", after_days=1)
    people.build()
    services = build_services(Settings(data_dir=folder))
    for name, source, event in (("Pricing", "PostHog", "pricing_viewed"), ("+Docs", "Segment", "docs_visited")):
        saved = services.signals.save(from_dict({"name": name, "source": source, "when": {"event": event}}))
    services.signals.set_enabled(saved.id, False)
    return create_app(services, FakeSettings()).server.test_client()


def asked(client: FlaskClient, outputs: list[tuple[str, str]], changed: str, **values: Any) -> Any:
    """Call the callback with these outputs whose first input is ``changed``; ``values`` are the address's."""
    wires = [f"{owner}.{prop}" for owner, prop in outputs]
    owner, prop = changed.split(".")
    search, pathname = ({"id": ids.URL, "property": each, "value": values[each]} for each in ("search", "pathname"))
    newest = {"id": ids.DISCOVERY_NEWEST, "property": "data", "value": values.get("newest")}
    is_click = prop == "n_clicks"
    click = {"id": owner, "property": prop, "value": values.get("clicks")}
    body = {
        "output": f"..{'...'.join(wires)}.." if len(wires) > 1 else wires[0],
        "outputs": [{"id": each, "property": of} for each, of in outputs]
        if len(wires) > 1
        else {"id": outputs[0][0], "property": outputs[0][1]},
        "inputs": [click] if is_click else [search, newest],
        "state": [search, pathname] if is_click else [pathname],
        "changedPropIds": [changed],
    }
    return client.post("/_dash-update-component", json=body)


def filtered(client: FlaskClient, search: str, pathname: str = "/signals") -> Any:
    return asked(client, list(LEAVES), f"{ids.URL}.search", search=search, pathname=pathname)


def test_a_discovery_that_ended_updates_the_list_within_the_filters_of_the_address(client: FlaskClient) -> None:
    at = {"search": "?status=disabled", "pathname": "/signals", "newest": "r" * 32}
    answer = asked(client, list(LEAVES), f"{ids.DISCOVERY_NEWEST}.data", **at).json["response"]
    assert [row["name"] for row in answer[ids.SIGNALS_GRID]["rowData"]] == ["+Docs"]
    assert ids.PAGE not in answer


def exported(client: FlaskClient, search: str, clicks: int | None = 1) -> Any:
    wires = [(ids.SIGNALS_DOWNLOAD, "data")]
    return asked(client, wires, f"{ids.SIGNALS_EXPORT}.n_clicks", search=search, pathname="/signals", clicks=clicks)


def test_a_changed_query_updates_the_leaves_and_mounts_nothing(client: FlaskClient) -> None:
    answer = filtered(client, "?status=enabled&unknown=1").json["response"]
    assert ids.PAGE not in answer
    assert [row["name"] for row in answer[ids.SIGNALS_GRID]["rowData"]] == ["Pricing"]
    assert answer[ids.SIGNALS_SUMMARY]["children"] == "2 signals · 1 enabled · 1 shown"
    assert answer[ids.SIGNALS_EMPTY]["hidden"]

    answer = filtered(client, "?q=nothing").json["response"]
    assert answer[ids.SIGNALS_GRID]["rowData"] == []
    assert not answer[ids.SIGNALS_EMPTY]["hidden"]


def test_the_address_of_another_page_filters_nothing(client: FlaskClient) -> None:
    assert filtered(client, "?status=enabled", "/backtest").status_code == 204


def test_the_export_holds_what_is_listed(client: FlaskClient) -> None:
    file = exported(client, "?source=Segment").json["response"][ids.SIGNALS_DOWNLOAD]["data"]
    assert file["filename"] == "beton-signals.csv"
    assert file["content"].startswith("\ufeff")
    rows = list(csv.DictReader(io.StringIO(file["content"].removeprefix("\ufeff"))))
    assert [(row["name"], row["status"]) for row in rows] == [("'+Docs", "disabled")]


def test_nothing_is_exported_without_a_click(client: FlaskClient) -> None:
    assert exported(client, "", clicks=None).status_code == 204
