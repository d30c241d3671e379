"""Every callback of the server is sent everything: it answers, and what it logs is no fault of its own."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from journeys import Journeys
from shell_fakes import FakeSettings

from app import create_app
from beton.bootstrap import build_services
from beton.config import Settings
from beton.model.signal import from_dict

ANYTHING: list[Any] = [
    None, True, -1, 10**30, 3.5, "", "x" * 5_000, "../../etc/passwd", "' OR 1=1 --", "\x00", "\ud800", "/signals",
    [], [[]], [None], {}, {"id": 1}, {"id": "x"}, {"id": "x", "definition": {"a": 1}}, {"v": 1, "state": []},
    {"startRow": 0, "endRow": 100, "sortModel": [{"colId": "1; DROP TABLE users", "sort": "asc"}]},
    [{"slice": "draft", "intent": 1, "key": [], "at": {}}],
]  # fmt: skip


def test_every_callback_answers_anything(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    people = Journeys(tmp_path, data_end="2024-12-01")
    people.user("ann", signed_up="2024-01-02")
    people.did("onboarding_completed", after_days=2)
    people.publish()
    services = build_services(Settings(data_dir=tmp_path))
    services.signals.save(from_dict({"name": "Onboarded", "when": {"event": "onboarding_completed"}}))
    client = create_app(services, FakeSettings()).server.test_client()
    asked = [each for each in client.get("/_dash-dependencies").json if not each["clientside_function"]]
    assert len(asked) > 10

    failed = []
    for callback in asked:
        for value in ANYTHING:
            caplog.clear()
            with caplog.at_level(logging.INFO, "beton.web"):
                answer = client.post("/_dash-update-component", json=forged(callback, value))
            faults = [record for record in caplog.records if record.levelno >= logging.WARNING]
            if answer.status_code not in (200, 204) or faults:
                failed.append(f"{callback['inputs'][0]['id']} {value!r:.60}: {answer.status_code} {faults}")
    assert failed == []
    assert len(services.signals.all()) == 1


def forged(callback: Mapping[str, Any], value: Any) -> dict[str, Any]:
    """Return the post that Dash's renderer would send, had every input and state this value."""
    first = callback["inputs"][0]
    return {
        "output": callback["output"],
        "outputs": outputs(callback["output"]),
        "inputs": [wire(each["id"], each["property"], value) for each in callback["inputs"]],
        "state": [wire(each["id"], each["property"], value) for each in callback["state"]],
        "changedPropIds": [f"{one(first['id'])}.{first['property']}"],
    }


def one(name: str) -> str:
    """Return the id of one component that a pattern matches, or the id itself."""
    if not name.startswith("{"):
        return name
    keys = {key: value if isinstance(value, str) else "x" for key, value in json.loads(name).items()}
    return json.dumps(keys, sort_keys=True, separators=(",", ":"))


def wire(name: str, prop: str, value: Any) -> Any:
    is_pattern = name.startswith("{")
    sent = {"id": json.loads(one(name)) if is_pattern else name, "property": prop, "value": value}
    return [sent] if is_pattern else sent


def outputs(names: str) -> Any:
    if not names.startswith(".."):
        owner, _, prop = names.rpartition(".")
        return {"id": owner, "property": prop} if owner else []
    found = []
    for each in names.strip(".").split("..."):
        owner, _, prop = each.rpartition(".")
        is_pattern = owner.startswith("{")
        made = {"id": json.loads(one(owner)) if is_pattern else owner, "property": prop}
        found.append([made] if is_pattern else made)
    return found
