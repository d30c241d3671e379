"""Every callback of the pages is called with what no browser of ours would send."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import pytest
from flask.testing import FlaskClient
from journeys import company_of_24
from shell_fakes import FakeSettings

from app import create_app
from beton.bootstrap import build_services
from beton.config import Settings
from beton.model.signal import from_dict
from beton.services import Services
from layouts import ids
from layouts.result_view import LEAVES
from layouts.settings import FIELDS
from store import SLICES
from store.codec import decode
from store.draft import Draft

RUN_ID = "a" * 32
SOUND = {"name": "Onboarded", "unit": "user", "when": {"event": "onboarding_completed", "within_days": 3}}
WRONG_TYPES: list[Any] = [None, "x", -1, 1e308, True, [], {}, [[]], {"v": 1}, {"v": 1, "state": {"root": "x"}}, "\x00"]


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Services:
    folder = tmp_path_factory.mktemp("forged")
    company_of_24(folder).publish()
    return build_services(Settings(data_dir=folder))


@pytest.fixture
def client(services: Services) -> FlaskClient:
    return create_app(services, FakeSettings()).server.test_client()


Answer = dict[str, Any]


class Wire:
    """Sends one callback as Dash's renderer would, with any values."""

    def __init__(self, client: FlaskClient, marker: str) -> None:
        self._client = client
        self._callback = next(each for each in client.get("/_dash-dependencies").json if self._marks(each, marker))

    @staticmethod
    def _marks(callback: Mapping[str, Any], marker: str) -> bool:
        return any(f"{wire['id']}.{wire['property']}" == marker for wire in callback["inputs"])

    def send(self, values: Mapping[str, Any], changed: str, outputs: Any = None) -> Answer:
        """Post; ``values`` are by ``id.property``, patterns by their list of ``{id, value}``. Fails on a bare error."""
        body = {
            "output": self._callback["output"],
            "outputs": outputs,
            "inputs": [self._wire(each, values) for each in self._callback["inputs"]],
            "state": [self._wire(each, values) for each in self._callback["state"]],
            "changedPropIds": [changed],
        }
        answer = self._client.post("/_dash-update-component", json=body)
        assert answer.status_code in (200, 204), answer.text
        assert "Traceback" not in answer.text
        return json.loads(answer.text) if answer.text else {}

    @staticmethod
    def _wire(wire: Mapping[str, Any], values: Mapping[str, Any]) -> Any:
        value = values.get(f"{wire['id']}.{wire['property']}")
        if not wire["id"].startswith("{"):
            return {"id": wire["id"], "property": wire["property"], "value": value}
        return [{"id": each["id"], "property": wire["property"], "value": each["value"]} for each in value or []]


def toasted(answer: Answer) -> str:
    """Return title and text of the toast an answer shows, or nothing."""
    told = answer.get("sideUpdate", {}).get(ids.TOAST, {}).get("data")
    return f"{told['title']}: {told['text']}" if told else ""


def runs(services: Services) -> list[tuple[str, str]]:
    return [(each.id, each.status) for each in services.backtests._runs.history(100)]


# ---- the draft


class Form:
    """The builder of a fresh draft: one event row, with its buttons."""

    def __init__(self, client: FlaskClient) -> None:
        self._wire = Wire(client, f"{ids.BACKTEST_NAME}.value")
        self.fields = {(name, "r1"): "" for name in ("subject", "op", "value", "within")} | {("match", "root"): "all"}
        self.fields["op", "r1"] = "completed"
        self.presses: list[tuple[str, str, Any]] = [("add-event", "root", None), ("remove", "r1", None)]
        self.name: Any = ""
        self.unit: Any = "user"
        self.run: Any = None
        self.store: Any = None
        self.last_run: Any = None
        self.search: Any = ""

    def send(self, changed: str = f"{ids.BACKTEST_NAME}.value") -> Answer:
        fields = [(ids.field(name, key), value) for (name, key), value in self.fields.items()]
        buttons = [(ids.event("draft", intent, key), count) for intent, key, count in self.presses]
        pattern = self._wire._callback
        names = {json.loads(each["id"])["slice"]: each["id"] for each in pattern["inputs"] if each["id"][0] == "{"}
        values = {
            f"{names['draft']}.n_clicks": [{"id": id, "value": count} for id, count in buttons],
            f"{names['draft']}.id": [{"id": id, "value": id} for id, _ in buttons],
            f"{names['field']}.value": [{"id": id, "value": value} for id, value in fields],
            f"{names['field']}.id": [{"id": id, "value": id} for id, _ in fields],
            f"{ids.BACKTEST_NAME}.value": self.name,
            f"{ids.BACKTEST_UNIT}.value": self.unit,
            f"{ids.BACKTEST_RUN}.n_clicks": self.run,
            f"{ids.store('draft')}.data": self.store,
            f"{ids.RUN}.data": self.last_run,
            f"{ids.URL}.pathname": "/backtest",
            f"{ids.URL}.search": self.search,
        }
        outputs = [
            {"id": ids.store("draft"), "property": "data"},
            {"id": ids.BACKTEST_BUILDER, "property": "children"},
            {"id": ids.BACKTEST_NAME, "property": "value"},
            {"id": ids.BACKTEST_UNIT, "property": "value"},
            {"id": ids.RUN, "property": "data"},
        ]
        return self._wire.send(values, changed, outputs)


def draft_of(answer: Answer) -> Any:
    return decode(SLICES["draft"], answer["response"][ids.store("draft")]["data"]).state


@pytest.fixture
def form(client: FlaskClient) -> Form:
    return Form(client)


def test_what_was_typed_is_kept_and_rows_stay(form: Form) -> None:
    form.name, form.fields["subject", "r1"] = "Kept", "pageview"
    answer = form.send()
    draft = draft_of(answer)
    assert (draft.name, draft.root.items[0].subject) == ("Kept", "pageview")
    assert set(answer["response"]) == {ids.store("draft")}


def test_a_press_whose_answer_was_dropped_is_applied_once_with_the_next(form: Form) -> None:
    form.name = "typed afterwards"
    form.presses[0] = ("add-event", "root", 1)
    answer = form.send()
    assert [each.key for each in draft_of(answer).root.items] == ["r1", "r2"]
    assert ids.BACKTEST_BUILDER in answer["response"]

    form.store = answer["response"][ids.store("draft")]["data"]
    form.presses[0] = ("add-event", "root", None)  # drawn anew
    form.name = "more"
    assert [each.key for each in draft_of(form.send()).root.items] == ["r1", "r2"]


def test_two_presses_in_flight_are_two_rows_but_remove_only_once(form: Form) -> None:
    form.presses = [("add-event", "root", 2), ("remove", "r1", 2)]
    assert [each.key for each in draft_of(form.send()).root.items] == ["r2", "r3"]


@pytest.mark.parametrize("count", [10**9, 1e18, -5, "9" * 1000, [1], {}, 1.5, True])
def test_a_forged_count_of_clicks_neither_hangs_nor_fills_the_draft(form: Form, count: Any) -> None:
    form.presses = [("add-event", "root", count)]
    answer = form.send()
    rows = draft_of(answer).root.items if answer.get("response") else ()
    assert len(rows) <= 21


@pytest.mark.parametrize("intent", ["drop-table", "__class__", "", "add-everything"])
def test_an_unknown_intent_changes_nothing(form: Form, intent: str) -> None:
    form.presses = [(intent, "root", 1)]
    answer = form.send()
    assert toasted(answer).startswith("Something went wrong")
    assert not answer.get("response")


def test_a_signal_of_the_address_is_the_draft_that_is_edited(form: Form, services: Services) -> None:
    saved = services.signals.save(from_dict({**SOUND, "name": "To edit"}))
    form.search, form.name = f"?signal={saved.id}", "Edited"
    form.fields = {("subject", "r2"): "pageview", ("op", "r2"): "completed", ("match", "root"): "all"}
    answer = form.send()
    draft = draft_of(answer)
    assert (draft.name, draft.root.items[0].subject, draft.origin.id) == ("Edited", "pageview", saved.id)

    form.store = answer["response"][ids.store("draft")]["data"]
    form.presses = [("new", "root", 1)]
    answer = form.send()
    assert draft_of(answer) == Draft()
    assert answer["response"][ids.BACKTEST_NAME]["value"] == ""
    assert answer["sideUpdate"][ids.URL] == {"search": ""}


def test_an_unknown_key_adds_no_row(form: Form) -> None:
    form.presses = [("add-event", "nowhere", 1), ("wrap", "root", 1), ("remove", "root", 1)]
    answer = form.send()
    assert "Something went wrong" in toasted(answer) or len(draft_of(answer).root.items) == 1


@pytest.mark.parametrize("value", WRONG_TYPES, ids=repr)
def test_wrong_types_are_answered(form: Form, value: Any, services: Services) -> None:
    before = runs(services)
    for attribute in ("name", "unit", "run", "store", "last_run", "search"):
        kept = getattr(form, attribute)
        setattr(form, attribute, value)
        form.send()
        setattr(form, attribute, kept)
    for place in list(form.fields):
        form.fields[place] = value
    form.send()
    assert runs(services) == before


def test_a_draft_larger_than_its_budget_says_what_to_do(form: Form) -> None:
    form.fields["value", "r1"] = "x" * 50_000
    assert "too large" in toasted(form.send())


def test_run_orders_a_sound_draft_once(form: Form) -> None:
    form.name, form.fields["subject", "r1"], form.run = "Sound", "pageview", 1
    order = form.send()["response"][ids.RUN]["data"]
    assert order["definition"]["name"] == "Sound"
    assert order["clicks"] == 1

    form.last_run, form.name = order, "Renamed"
    assert ids.RUN not in form.send()["response"]


def test_run_of_a_faulty_draft_is_a_toast_and_no_order(form: Form) -> None:
    form.fields["subject", "r1"], form.run = "'; DROP TABLE users; --", 1
    answer = form.send()
    assert toasted(answer).startswith("Not run")
    assert answer["response"][ids.RUN]["data"] == {"clicks": 1}


# ---- the run


@pytest.fixture
def show(client: FlaskClient) -> Any:
    wire = Wire(client, f"{ids.RUN}.data")
    outputs = [
        {"id": ids.BACKTEST_RESULTS, "property": "hidden"},
        {"id": ids.BACKTEST_SAVE, "property": "children"},
        {"id": ids.BACKTEST_SAVE_VERSION, "property": "children"},
        {"id": ids.BACKTEST_SAVE_VERSION, "property": "hidden"},
        {"id": ids.BACKTEST_MADE_FROM, "property": "data"},
    ]
    outputs += [{"id": ids.result(name), "property": prop} for name, prop in LEAVES.items()]

    def send(asked: Any = None, search: Any = "", shown: Any = None, pathname: Any = "/backtest") -> Answer:
        changed = f"{ids.BACKTEST_SEARCH}.data" if asked is None else f"{ids.RUN}.data"
        values = {
            f"{ids.RUN}.data": asked,
            f"{ids.BACKTEST_SEARCH}.data": search,
            f"{ids.URL}.pathname": pathname,
            f"{ids.result('run-id')}.children": shown,
        }
        return wire.send(values, changed, outputs)

    return send


def leaf(answer: Answer, name: str) -> Any:
    return answer["response"][ids.result(name)][LEAVES[name]]


def test_a_run_shows_its_numbers_and_is_not_drawn_twice(show: Any, services: Services) -> None:
    answer = show({"id": RUN_ID, "definition": SOUND, "clicks": 1})
    assert leaf(answer, "title") == "Onboarded"
    assert leaf(answer, "run-id") == RUN_ID
    assert dict(runs(services))[RUN_ID] == "done"

    assert show(search=f"?run={RUN_ID}", shown=leaf(answer, "run-id")) == {}
    assert leaf(show(search=f"?run={RUN_ID}"), "users-with") == leaf(answer, "users-with")
    gone = show(search="", shown=RUN_ID)
    assert gone["response"][ids.BACKTEST_RESULTS]["hidden"] is True
    assert leaf(gone, "run-id") is None


def test_an_id_that_is_taken_leaves_the_run_as_it_was(show: Any, services: Services) -> None:
    show({"id": "b" * 32, "definition": SOUND})
    before = services.backtests.report("b" * 32).evidence
    answer = show({"id": "b" * 32, "definition": {**SOUND, "name": "Usurper"}})
    assert "already a run" in toasted(answer)
    assert services.backtests.report("b" * 32).evidence == before


FORGED: dict[str, Any] = {
    "unknown event": {"event": "'; DROP TABLE users; --"},
    "unknown property": {"property": 'plan" OR 1=1 --', "op": "=", "value": "x"},
    "long name": {"event": "e" * 10_000},
    "long value": {"property": "company_size", "op": "=", "value": "9" * 10_000},
    "text for a number": {"property": "company_size", "op": ">", "value": "'; SELECT 1"},
    "not a number": {"event": "pageview", "op": "count >=", "value": math.nan},
    "infinite window": {"event": "pageview", "within_days": math.inf},
    "nested without end": json.loads("[" * 200 + "]" * 200),
    "many leaves": {"all": [{"event": "pageview"}] * 5_000},
    "no condition": None,
    "text": "SELECT * FROM users",
}


@pytest.mark.parametrize("when", FORGED.values(), ids=FORGED.keys())
def test_a_forged_definition_is_refused_and_leaves_no_run_open(show: Any, services: Services, when: Any) -> None:
    answer = show({"id": "c" * 32, "definition": {"name": "Forged", "when": when}})
    assert toasted(answer)
    assert not answer.get("response")
    assert "c" * 32 not in dict(runs(services))


@pytest.mark.parametrize(
    "asked", [[], {}, "id", 7, {"id": "d" * 32}, {"id": None, "definition": SOUND}, {"id": 3}, {"id": {}}]
)
def test_a_forged_order_leaves_no_run_open(show: Any, services: Services, asked: Any) -> None:
    show(asked)
    assert {status for _, status in runs(services)} <= {"done", "failed"}


@pytest.mark.parametrize("search", ["?run=" + "0" * 32, "?run=../../etc/passwd", "?run=%00", "?signal=x", None, 7, []])
def test_a_forged_address_is_answered(show: Any, search: Any) -> None:
    assert not show(search=search).get("response") or search is None


def test_progress_of_nothing_says_nothing(client: FlaskClient) -> None:
    wire = Wire(client, f"{ids.BACKTEST_TICK}.n_intervals")
    outputs = [
        {"id": ids.BACKTEST_PROGRESS, "property": "value"},
        {"id": ids.BACKTEST_PROGRESS_TEXT, "property": "children"},
    ]
    for asked in (None, {}, {"clicks": 2}, {"id": "f" * 32}):
        answer = wire.send({f"{ids.RUN}.data": asked}, f"{ids.BACKTEST_TICK}.n_intervals", outputs)
        assert answer == {}, "a tick before the run is written down is no error"


# ---- save, switch, export


@pytest.mark.parametrize("shown", [None, "", "0" * 32, "../x", 7, [], {}, "x" * 10_000])
def test_saving_an_unknown_run_saves_nothing(client: FlaskClient, services: Services, shown: Any) -> None:
    before = services.signals.all()
    values = {f"{ids.BACKTEST_SAVE}.n_clicks": 1, f"{ids.result('run-id')}.children": shown}
    answer = Wire(client, f"{ids.BACKTEST_SAVE}.n_clicks").send(values, f"{ids.BACKTEST_SAVE}.n_clicks")
    assert toasted(answer)
    assert services.signals.all() == before


def test_saving_twice_is_one_signal(client: FlaskClient, services: Services, show: Any) -> None:
    show({"id": "e" * 32, "definition": {**SOUND, "name": "Twice", "unit": "account"}})
    values = {f"{ids.BACKTEST_SAVE}.n_clicks": 1, f"{ids.result('run-id')}.children": "e" * 32}
    wire = Wire(client, f"{ids.BACKTEST_SAVE}.n_clicks")
    addresses = [
        wire.send(values, f"{ids.BACKTEST_SAVE}.n_clicks")["sideUpdate"][ids.URL]["pathname"] for _ in range(2)
    ]
    assert addresses[0] == addresses[1]
    assert [each.definition.name for each in services.signals.all()].count("Twice") == 1


def press(client: FlaskClient, intent: str, key: Any, outputs: Any) -> Answer:
    wired = [
        each["id"]
        for callback in client.get("/_dash-dependencies").json
        for each in callback["inputs"]
        if each["id"].startswith("{") and json.loads(each["id"])["intent"] == intent
    ]
    assert len(wired) == 1
    owner = {"slice": "signal", "intent": intent, "key": key, "at": ""}
    values = {f"{wired[0]}.n_clicks": [{"id": owner, "value": 1}]}
    changed = f"{json.dumps(owner, sort_keys=True, separators=(',', ':'))}.n_clicks"
    return Wire(client, f"{wired[0]}.n_clicks").send(values, changed, outputs)


TOGGLE = [
    {"id": ids.DETAIL_STATUS, "property": "children"},
    {"id": ids.DETAIL_STATUS, "property": "data-status"},
    {"id": ids.DETAIL_TOGGLE_TEXT, "property": "children"},
]
DOWNLOAD = {"id": ids.DETAIL_DOWNLOAD, "property": "data"}


@pytest.mark.parametrize("key", ["sig_999", "", "' OR 1=1 --", "../../x", 7, None, {"a": 1}])
def test_an_unknown_signal_is_neither_switched_nor_exported(client: FlaskClient, services: Services, key: Any) -> None:
    before = services.signals.all()
    for answer in (press(client, "toggle", key, TOGGLE), press(client, "export", key, DOWNLOAD)):
        assert toasted(answer) or isinstance(key, dict)  # Dash itself drops an id that holds more than text
        assert not answer.get("response")
    assert services.signals.all() == before


def test_a_known_signal_is_switched_and_exported(client: FlaskClient, services: Services) -> None:
    saved = services.signals.save(from_dict({**SOUND, "name": "Switch"}))
    assert press(client, "toggle", saved.id, TOGGLE)["response"][ids.DETAIL_STATUS]["children"] == "Disabled"
    assert not services.signals.read(saved.id).enabled
    file = press(client, "export", saved.id, DOWNLOAD)["response"][ids.DETAIL_DOWNLOAD]["data"]
    assert file["filename"] == f"beton-{saved.id}.csv"
    assert file["content"].startswith('\ufeff"user_id"')


# ---- settings


def save_settings(client: FlaskClient, version: Any, values: Mapping[str, Any]) -> Answer:
    sent = {f"{ids.setting(name)}.value": values.get(name) for name in FIELDS}
    sent |= {f"{ids.SETTINGS_SAVE}.n_clicks": 1, f"{ids.SETTINGS_VERSION}.data": version}
    outputs = [{"id": ids.SETTINGS_VERSION, "property": "data"}]
    outputs += [{"id": ids.error(ids.setting(name)), "property": "children"} for name in FIELDS]
    return Wire(client, f"{ids.SETTINGS_SAVE}.n_clicks").send(sent, f"{ids.SETTINGS_SAVE}.n_clicks", outputs)


@pytest.mark.parametrize(
    "value", [*WRONG_TYPES, "NaN", "inf", "1e999", "9" * 5_000, "<img src=x>", "\u0663"], ids=ascii
)
def test_settings_of_the_wrong_kind_change_nothing(client: FlaskClient, services: Services, value: Any) -> None:
    before = services.settings.record()
    answer = save_settings(client, before.version, dict.fromkeys(FIELDS, value))
    assert toasted(answer)
    assert services.settings.record() == before


@pytest.mark.parametrize("version", [None, "x", -1, 10**30, [], {}, 1.5, "\u0663"], ids=ascii)
def test_a_forged_version_overwrites_nothing(client: FlaskClient, services: Services, version: Any) -> None:
    before = services.settings.record()
    values = before.settings.to_form() | {"acv": "1"}
    assert toasted(save_settings(client, version, values))
    assert services.settings.record() == before


def test_two_tabs_cannot_overwrite_each_other(client: FlaskClient, services: Services) -> None:
    old = services.settings.record()
    saved = save_settings(client, old.version, old.settings.to_form() | {"acv": "30,000"})
    assert saved["response"][ids.SETTINGS_VERSION]["data"] == old.version + 1
    assert toasted(save_settings(client, old.version, old.settings.to_form() | {"acv": "5"}))
    assert services.settings.read().acv == 30_000


# ---- the router


@pytest.mark.parametrize("raw", WRONG_TYPES, ids=repr)
def test_a_forged_draft_draws_a_fresh_page(client: FlaskClient, raw: Any) -> None:
    wire = Wire(client, f"{ids.URL}.pathname")
    outputs = [{"id": ids.PAGE, "property": "children"}, {"id": ids.WORKSPACE, "property": "children"}]
    values = {f"{ids.URL}.pathname": "/backtest", f"{ids.URL}.search": "", f"{ids.store('draft')}.data": raw}
    answer = wire.send(values, f"{ids.URL}.pathname", outputs)
    assert answer["response"][ids.PAGE]["children"]["props"]["data-title"] == "Backtest Your Signals"
