"""The proof of a signal over the wire: it fills the page's slots, and every way in which it can fail is said."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import pytest
from flask.testing import FlaskClient
from journeys import Journeys
from shell_fakes import FakeSettings

from app import create_app
from beton.bootstrap import build_services
from beton.config import Settings
from beton.errors import NoDataError
from beton.model.examination import Overlap
from beton.model.signal import from_dict
from beton.model.signal_file import load
from beton.services import Services
from layouts import ids
from layouts.proof import SLOTS

OUTPUTS = [*((slot, "children") for slot in SLOTS), (ids.part(ids.PROOF_AGAIN, "box"), "hidden")]


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Services:
    folder = tmp_path_factory.mktemp("proof")
    people = Journeys(folder, data_end="2024-12-31")
    for number in range(400):
        people.user(f"u{number}", signed_up=f"2024-{1 + number % 9:02d}-{1 + number % 28:02d}", company=f"c{number}")
        if number % 2:
            people.did("onboarded", after_days=2)
        if (number % 2 and number % 3) or not number % 20:
            people.won(after_days=30, amount=1000)
    people.publish()
    found = build_services(Settings(data_dir=folder))
    found.signals.save(from_dict({"name": "Onboarded", "when": {"event": "onboarded", "within_days": 3}}))
    return found


class Broken:
    """Examinations that fail as told."""

    def __init__(self, problem: Exception) -> None:
        self._problem = problem

    def of(self, _signal: Any) -> NoReturn:
        raise self._problem

    def overlaps(self, _signal_id: str) -> tuple[Overlap, ...]:
        return ()


def asked(services: Services, signal_id: Any) -> Any:
    client: FlaskClient = create_app(services, FakeSettings()).server.test_client()
    body = {
        "output": f"..{'...'.join(f'{owner}.{prop}' for owner, prop in OUTPUTS)}..",
        "outputs": [{"id": owner, "property": prop} for owner, prop in OUTPUTS],
        "inputs": [
            {"id": ids.PROOF_OF, "property": "data", "value": signal_id},
            {"id": ids.PROOF_AGAIN, "property": "n_clicks", "value": None},
        ],
        "changedPropIds": [f"{ids.PROOF_OF}.data"],
    }
    return client.post("/_dash-update-component", json=body)


def filled(services: Services, signal_id: Any) -> dict[str, str]:
    answer = asked(services, signal_id).json["response"]
    assert set(answer) == {owner for owner, _ in OUTPUTS}
    return {owner: json.dumps(values, ensure_ascii=False) for owner, values in answer.items()}


AGAIN = str(ids.part(ids.PROOF_AGAIN, "box"))


def test_the_slots_are_filled_with_the_signals_own_numbers(services: Services) -> None:
    shown = filled(services, services.signals.all()[0].id)

    assert "Level " in shown[ids.PROOF_LADDER]
    assert "Held-out lift" in shown[ids.PROOF_FIGURES]
    assert "forest-track" in shown[ids.PROOF_FIGURES]
    assert "onboarded" in shown[ids.PROOF_FIGURES]
    assert "true" in shown[AGAIN]


def test_an_unknown_signal_and_missing_data_are_said_in_place(services: Services) -> None:
    assert "There is no further proof" in filled(services, "sig_none")[ids.PROOF_LADDER]
    gone = replace(services, examinations=Broken(NoDataError("nothing has been imported")))  # type: ignore[arg-type]
    assert "nothing has been imported" in filled(gone, services.signals.all()[0].id)[ids.PROOF_LADDER]


def test_a_failure_offers_another_try_and_gives_no_inner_detail_away(
    services: Services, caplog: pytest.LogCaptureFixture
) -> None:
    broken = replace(services, examinations=Broken(ZeroDivisionError("a secret")))  # type: ignore[arg-type]
    shown = filled(broken, services.signals.all()[0].id)

    assert "could not be worked out" in shown[ids.PROOF_LADDER]
    assert "false" in shown[AGAIN]
    assert "a secret" not in json.dumps(shown)
    assert "a secret" in caplog.text


@pytest.mark.parametrize("forged", [None, 1, {"a": 1}, ["sig_001"], True])
def test_what_is_no_id_is_not_answered(services: Services, forged: Any) -> None:
    assert asked(services, forged).status_code == 204


def test_the_definition_downloads_as_yaml_that_reads_back(services: Services, tmp_path: Path) -> None:
    saved = services.signals.all()[0]
    client = create_app(services, FakeSettings()).server.test_client()
    button = ids.event("signal", "yaml", saved.id)
    clicked = {"id": button, "property": "n_clicks", "value": 1}
    body = {
        "output": f"{ids.DETAIL_DOWNLOAD}.data",
        "outputs": {"id": ids.DETAIL_DOWNLOAD, "property": "data"},
        "inputs": [[], [clicked]],
        "changedPropIds": [f"{ids.dom(button)}.n_clicks"],
    }
    file = client.post("/_dash-update-component", json=body).json["response"][ids.DETAIL_DOWNLOAD]["data"]

    assert file["filename"] == f"beton-{saved.id}.yaml"
    (tmp_path / "kept.yaml").write_text(file["content"], encoding="utf-8")
    assert load(tmp_path / "kept.yaml") == saved.definition
