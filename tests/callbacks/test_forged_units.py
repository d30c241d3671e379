"""The list of who has a signal and the playbook form, called with what no browser of ours would send."""

from __future__ import annotations

import json
from typing import Any

import pytest
from flask.testing import FlaskClient
from journeys import Journeys
from shell_fakes import FakeSettings
from test_forged_requests import WRONG_TYPES, Wire

from app import create_app
from beton.bootstrap import build_services
from beton.config import Settings
from beton.model.signal import from_dict
from beton.services import Services
from layouts import ids
from store import SLICES
from store.codec import decode
from store.playbook import PlaybookDraft

ASKED = {"startRow": 0, "endRow": 100, "sortModel": [], "filterModel": {}}
STORE = ids.store("playbook")


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Services:
    folder = tmp_path_factory.mktemp("forged")
    people = Journeys(folder, data_end="2024-06-01")
    people.user("ann", company="acme").did("x", after_days=1).did("y", after_days=1)
    people.user("bob", signed_up="2024-01-05").did("x", after_days=1).user("cy").did("y", after_days=1).publish()
    made = build_services(Settings(data_dir=folder))
    for name in ("x", "y"):
        made.signals.save(from_dict({"name": f"Did {name}", "when": {"event": name, "within_days": 3}}))
    return made


@pytest.fixture
def client(services: Services) -> FlaskClient:
    return create_app(services, FakeSettings()).server.test_client()


# ---- who has it


def listed(client: FlaskClient, asked: Any, signal_id: Any = "sig_001") -> dict[str, Any]:
    marker = f"{ids.CARRIERS_GRID}.getRowsRequest"
    values = {marker: asked, f"{ids.CARRIERS_OF}.data": signal_id}
    outputs = [
        {"id": ids.CARRIERS_GRID, "property": "getRowsResponse"},
        {"id": ids.CARRIERS_SUMMARY, "property": "children"},
    ]
    return Wire(client, marker).send(values, marker, outputs)


def test_a_block_of_rows_is_answered_with_its_counts(client: FlaskClient) -> None:
    answer = listed(client, ASKED)["response"]
    block = answer[ids.CARRIERS_GRID]["getRowsResponse"]
    assert [(row["id"], row["href"]) for row in block["rowData"]] == [("bob", "/users/bob"), ("ann", "/users/ann")]
    assert block["rowCount"] == 2
    assert answer[ids.CARRIERS_SUMMARY]["children"] == "2 users carry this signal"


def test_sorting_filters_and_parts_are_the_servers(client: FlaskClient) -> None:
    asked = {
        "startRow": 0,
        "endRow": 1,
        "sortModel": [{"colId": "who", "sort": "asc"}],
        "filterModel": {"who": {"filterType": "text", "type": "contains", "filter": "ACME"}},
    }
    answer = listed(client, asked)["response"]
    assert [row["id"] for row in answer[ids.CARRIERS_GRID]["getRowsResponse"]["rowData"]] == ["ann"]
    assert answer[ids.CARRIERS_SUMMARY]["children"] == "2 users carry this signal · 1 matches the filters"


@pytest.mark.parametrize(
    "asked",
    [
        *[each for each in WRONG_TYPES if each],
        {**ASKED, "startRow": -1},
        {**ASKED, "endRow": 10**9},
        {**ASKED, "endRow": 0},
        {**ASKED, "startRow": "1; DROP TABLE users"},
        {**ASKED, "startRow": 1e400},
        {**ASKED, "sortModel": [{"colId": "1; DROP TABLE users", "sort": "asc"}]},
        {**ASKED, "sortModel": [{"colId": ["who"], "sort": {}}]},
        {**ASKED, "sortModel": "who"},
        {**ASKED, "filterModel": {"who": "x"}},
        {**ASKED, "filterModel": {"who": {"filter": "x" * 201}}},
        {**ASKED, "filterModel": {"outcome": {"filter": "perhaps"}}},
        {**ASKED, "filterModel": [1]},
    ],
    ids=lambda value: repr(value)[:60],
)
def test_a_forged_request_is_answered_with_no_rows_and_the_reason(client: FlaskClient, asked: Any) -> None:
    assert "reload the page" in refused(listed(client, asked))


def refused(answer: dict[str, Any]) -> str:
    """Return what stands above an empty list. A grid that got no answer would never ask again."""
    assert answer["response"][ids.CARRIERS_GRID]["getRowsResponse"] == {"rowData": [], "rowCount": 0}
    return str(answer["response"][ids.CARRIERS_SUMMARY]["children"])


@pytest.mark.parametrize("signal_id", ["sig_999", "", None, 7, ["sig_001"], "' OR 1=1 --", "x" * 10_000])
def test_an_unknown_signal_has_no_rows(client: FlaskClient, signal_id: Any) -> None:
    assert "There is no signal" in refused(listed(client, ASKED, signal_id))


def test_a_search_for_anything_is_answered(client: FlaskClient) -> None:
    for text in ("%", "_", "'", "\x00", "\\", "\u202e", "x" * 200):
        answer = listed(client, {**ASKED, "filterModel": {"who": {"filter": text}}})
        assert answer["response"][ids.CARRIERS_GRID]["getRowsResponse"] == {"rowData": [], "rowCount": 0}


# ---- the playbook form


class Form:
    """The form of a fresh draft: one empty row."""

    def __init__(self, client: FlaskClient) -> None:
        self._wires = client.get("/_dash-dependencies").json
        self._client = client
        self.fields: dict[tuple[str, str], Any] = {("signal", "p2"): "", ("name", ""): "", ("slack", ""): False}
        self.presses: list[tuple[str, str, Any]] = [("add-signal", "a1", None), ("remove", "p2", None)]
        self.store: Any = None
        self.address: tuple[Any, Any] = ("/playbooks/new", "")

    def send(self) -> dict[str, Any]:
        callback = next(each for each in self._wires if f"{STORE}.data" in each["output"])
        marks = {json.loads(each["id"])["slice"]: each["id"] for each in callback["inputs"]}
        fields = [(ids.playbook_field(name, key), value) for (name, key), value in self.fields.items()]
        buttons = [(ids.event("playbook", intent, key), count) for intent, key, count in self.presses]
        values = {
            f"{marks['playbook']}.n_clicks": [{"id": id, "value": count} for id, count in buttons],
            f"{marks['playbook-field']}.value": [{"id": id, "value": value} for id, value in fields],
            f"{marks['playbook-field']}.id": [{"id": id, "value": id} for id, _ in fields],
            f"{marks['playbook']}.id": [{"id": id, "value": id} for id, _ in buttons],
            f"{STORE}.data": self.store,
            f"{ids.URL}.pathname": self.address[0],
            f"{ids.URL}.search": self.address[1],
        }
        outputs = [{"id": STORE, "property": "data"}, {"id": ids.PLAYBOOK_ROWS, "property": "children"}]
        changed = f"{json.dumps(ids.playbook_field('name'), separators=(',', ':'), sort_keys=True)}.value"
        wire = Wire(self._client, f"{marks['playbook']}.n_clicks")
        return wire.send(values, changed, outputs)

    def draft(self) -> PlaybookDraft:
        answer = self.send().get("response", {})
        kept: PlaybookDraft = decode(SLICES["playbook"], answer.get(STORE, {}).get("data")).state
        return kept


@pytest.fixture
def form(client: FlaskClient) -> Form:
    return Form(client)


def chosen(draft: PlaybookDraft) -> list[list[str]]:
    return [[row.signal_id for row in each.picks] for each in draft.alternatives]


def test_what_was_chosen_is_kept_and_rows_stay(form: Form) -> None:
    form.fields |= {("signal", "p2"): "sig_002", ("name", ""): "Hot", ("slack", ""): True}
    answer = form.send()["response"]
    kept = decode(SLICES["playbook"], answer[STORE]["data"]).state
    assert (chosen(kept), kept.name, kept.slack) == ([["sig_002"]], "Hot", True)
    assert ids.PLAYBOOK_ROWS not in answer


def test_a_button_draws_the_rows_anew(form: Form) -> None:
    form.presses[0] = ("add-signal", "a1", 1)
    answer = form.send()["response"]
    assert chosen(decode(SLICES["playbook"], answer[STORE]["data"]).state) == [["", ""]]
    assert ids.PLAYBOOK_ROWS in answer


def test_the_signal_of_the_address_is_kept_with_the_first_answer(form: Form) -> None:
    form.address = ("/playbooks/new", "?signal=sig_001")
    form.fields["signal", "p2"] = "sig_001"  # as the form was drawn
    answer = form.send()
    assert chosen(decode(SLICES["playbook"], answer["response"][STORE]["data"]).state) == [["sig_001"]]
    assert ids.URL not in answer.get("sideUpdate", {})


def test_a_signal_that_was_taken_out_leaves_the_address(form: Form) -> None:
    form.address = ("/playbooks/new", "?signal=sig_001")
    form.fields["signal", "p2"] = "sig_002"
    answer = form.send()
    assert chosen(decode(SLICES["playbook"], answer["response"][STORE]["data"]).state) == [["sig_002"]]
    assert answer["sideUpdate"][ids.URL] == {"search": ""}


def test_nothing_new_is_no_answer(form: Form) -> None:
    assert form.send() == {}


@pytest.mark.parametrize("value", WRONG_TYPES, ids=repr)
def test_wrong_types_are_answered(form: Form, value: Any) -> None:
    form.fields = dict.fromkeys(form.fields, value)
    form.store = value
    form.address = (value, value) if isinstance(value, str | None) else form.address
    form.presses[0] = ("add-signal", "a1", value if isinstance(value, int | None) else None)
    assert len(form.draft().alternatives) == 1


@pytest.mark.parametrize("count", [10**9, 1e18])
def test_a_forged_count_of_clicks_fills_no_form(form: Form, count: Any) -> None:
    form.presses[0] = ("add-signal", "a1", count)
    assert len(form.draft().alternatives[0].picks) == 8


def said(client: FlaskClient, state: Any) -> dict[str, Any]:
    marker = f"{STORE}.data"
    errors = {"id": ids.error(ids.playbook_field("webhook_url")), "property": "children"}
    outputs = [
        {"id": ids.PLAYBOOK_SENTENCE, "property": "children"},
        {"id": ids.PLAYBOOK_COUNT, "property": "children"},
        [errors],
    ]
    answer = Wire(client, marker).send({marker: {"v": 1, "state": state}}, marker, outputs)
    found: dict[str, Any] = answer["response"]
    return found


def test_the_sentence_and_the_count_follow_the_draft(client: FlaskClient) -> None:
    rows = [{"key": "p2", "signal_id": "sig_001"}, {"key": "p3", "signal_id": "sig_002"}]
    answer = said(client, {"alternatives": [{"key": "a1", "picks": rows}], "next_key": 9, "webhook_url": "http://x"})
    assert answer[ids.PLAYBOOK_SENTENCE]["children"] == "People who carry “Did x” and “Did y”."
    assert answer[ids.PLAYBOOK_COUNT]["children"].startswith("1 person at 1 account matches now")
    assert "Begin with https://" in json.dumps(answer)


def test_a_draft_of_unknown_signals_counts_nobody(client: FlaskClient) -> None:
    rows = [{"key": "p2", "signal_id": "' OR 1=1 --"}]
    answer = said(client, {"alternatives": [{"key": "a1", "picks": rows}], "next_key": 9})
    assert answer[ids.PLAYBOOK_SENTENCE]["children"] == ""
    assert answer[ids.PLAYBOOK_COUNT]["children"] == "Choose a signal to see how many people match."
