from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from flask.testing import FlaskClient

from layouts import ids
from layouts.routes import PATHS
from store import SLICES


def dependencies(client: FlaskClient) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = client.get("/_dash-dependencies").json
    return found


def outputs(client: FlaskClient) -> Iterator[tuple[str, str]]:
    """Yield (id, property) of every output of every callback."""
    for each in dependencies(client):
        text = each["output"]
        if "." not in text:
            continue  # a callback without outputs has a hash in their place
        for single in text.removeprefix("..").removesuffix("..").split("..."):
            owner, _, prop = single.rpartition(".")
            yield owner, prop


def static_ids(client: FlaskClient) -> set[str]:
    wires = [wire["id"] for each in dependencies(client) for wire in [*each["inputs"], *each["state"]]]
    return {owner for owner in [*wires, *(owner for owner, _ in outputs(client))] if not owner.startswith("{")}


def test_every_property_has_one_writer(client: FlaskClient) -> None:
    writers = Counter(outputs(client))
    assert (ids.PAGE, "children") in writers
    assert {output: number for output, number in writers.items() if number > 1} == {}
    assert not [prop for _, prop in writers if "@" in prop], "allow_duplicate is in use"


def test_every_slice_has_one_writer(client: FlaskClient) -> None:
    writers = Counter(owner for owner, prop in outputs(client) if prop == "data")
    assert {name: writers[ids.store(name)] for name in SLICES} == dict.fromkeys(SLICES, 1)


def test_callbacks_use_ids_of_the_ids_module_only(client: FlaskClient) -> None:
    constants = {value for name, value in vars(ids).items() if name.isupper() and isinstance(value, str)}
    known = constants | {ids.store(name) for name in SLICES}
    families = (ids.result(""), ids.setting(""), *(f"{each}-" for each in known))
    assert {owner for owner in static_ids(client) if owner not in known and not owner.startswith(families)} == set()


def test_pattern_ids_have_the_four_keys(client: FlaskClient) -> None:
    wires = [wire["id"] for each in dependencies(client) for wire in [*each["inputs"], *each["state"]]]
    patterns = [json.loads(owner) for owner in wires if owner.startswith("{")]
    assert patterns
    assert {tuple(sorted(pattern)) for pattern in patterns} == {("at", "intent", "key", "slice")}


def all_ids(tree: Any) -> Iterator[str]:
    if isinstance(tree, list):
        for each in tree:
            yield from all_ids(each)
    elif isinstance(tree, dict):
        if isinstance(tree.get("props"), dict) and isinstance(tree["props"].get("id"), str):
            yield tree["props"]["id"]
        for each in tree.values():
            yield from all_ids(each)


def drawn(client: FlaskClient, pathname: str, search: str = "") -> dict[str, Any]:
    """Return the router's answer for an address, through the real endpoint."""
    state = [{"id": ids.URL, "property": "search", "value": search}]
    state += [{"id": ids.store(name), "property": "data", "value": None} for name in SLICES]
    body = {
        "output": f"..{ids.PAGE}.children...{ids.WORKSPACE}.children..",
        "outputs": [{"id": owner, "property": "children"} for owner in (ids.PAGE, ids.WORKSPACE)],
        "inputs": [{"id": ids.URL, "property": "pathname", "value": pathname}],
        "state": state,
        "changedPropIds": [f"{ids.URL}.pathname"],
    }
    answer = client.post("/_dash-update-component", json=body)
    assert answer.status_code == 200, answer.text
    response: dict[str, Any] = answer.json["response"]
    return response


@pytest.mark.parametrize(
    "path",
    [*(f"/{name}" for name in PATHS), "/signals/none", "/users/none", "/accounts/none", "/nope", "/%3Cscript%3E"],
)
def test_the_router_draws_every_address_complete(client: FlaskClient, path: str) -> None:
    answer = drawn(client, path)
    page = answer[ids.PAGE]["children"]["props"]
    assert page["data-title"]
    assert "DEMO data: simulated company" in json.dumps(answer[ids.WORKSPACE])
    found = Counter(all_ids(answer))
    assert {owner: number for owner, number in found.items() if number > 1} == {}


def test_page_links_carry_the_prefix(prefixed: FlaskClient) -> None:
    assert '"/apps/beton/backtest"' in json.dumps(drawn(prefixed, "/apps/beton/playbooks"))
    assert drawn(prefixed, "/playbooks")[ids.PAGE]["children"]["props"]["data-title"] == "Page not found"


def test_the_layout_that_anyone_can_fetch_holds_no_data(client: FlaskClient) -> None:
    layout = client.get("/_dash-layout").text
    assert "Northwind" not in layout
    assert "34,521" not in layout
    assert "tests sign with this" not in layout + client.get("/").text
