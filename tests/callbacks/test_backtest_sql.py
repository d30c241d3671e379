"""The SQL tab's callbacks over a real server, a real snapshot and a real sandbox."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from flask.testing import FlaskClient
from journeys import company_of_24
from shell_fakes import FakeSettings
from test_forged_requests import WRONG_TYPES, Wire, toasted

from app import create_app
from beton.bootstrap import build_services
from beton.config import Settings
from beton.errors import NoDataError
from beton.model.signal import SignalDefinition, from_dict
from beton.model.table_facts import Preview
from beton.services import Services
from callbacks.guards import BROWSER_COOKIE, NO_BROWSER
from layouts import ids
from layouts.result_view import LEAVES
from store import SLICES
from store.codec import decode, encode
from store.sql_draft import START_SQL, SqlDraft, check
from store.sql_examples import examples

SQL = "SELECT DISTINCT user_id FROM events WHERE event = 'onboarding_completed'"
STORE = ids.store("sql")
OUTPUTS = [
    {"id": owner, "property": prop}
    for owner, prop in (
        (STORE, "data"),
        (ids.SQL_ORDER, "data"),
        (ids.SQL_NAME, "value"),
        (ids.SQL_UNIT, "value"),
        (ids.SQL_DAYS, "value"),
        (ids.SQL_EDITOR, "value"),
        (ids.SQL_ORIGIN, "children"),
    )
]
PREVIEW = f"{ids.SQL_PREVIEW}.n_clicks"
EDITOR = f"{ids.SQL_EDITOR}.value"


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    folder = tmp_path_factory.mktemp("sql")
    company_of_24(folder).publish()
    made = build_services(Settings(data_dir=folder))
    yield made
    made.queries.close()


@pytest.fixture
def client(services: Services) -> FlaskClient:
    return create_app(services, FakeSettings()).server.test_client()


class SqlForm:
    """The form of the tab as it is drawn first."""

    def __init__(self, client: FlaskClient) -> None:
        self._wire = Wire(client, f"{ids.SQL_EDITOR}.n_submit")
        self.values: dict[str, Any] = {
            f"{ids.SQL_NAME}.value": "",
            f"{ids.SQL_UNIT}.value": "user",
            f"{ids.SQL_DAYS}.value": "14",
            EDITOR: START_SQL,
            f"{ids.SQL_EDITOR}.n_submit": 0,
            f"{STORE}.data": None,
            f"{ids.SQL_ORDER}.data": None,
            f"{ids.URL}.pathname": "/backtest",
            f"{ids.URL}.search": "",
        }

    def send(self, changed: str = EDITOR, **more: Any) -> dict[str, Any]:
        return self._wire.send(self.values | more, changed, OUTPUTS)

    def submit(self) -> dict[str, Any]:
        self.values[f"{ids.SQL_EDITOR}.n_submit"] += 1
        return self.send(f"{ids.SQL_EDITOR}.n_submit")

    def press(self, intent: str, key: str) -> dict[str, Any]:
        owner = ids.event("sql", intent, key)
        pattern = next(each["id"] for each in self._wire._callback["inputs"] if each["id"].startswith("{"))
        changed = f"{json.dumps(owner, sort_keys=True, separators=(',', ':'))}.n_clicks"
        return self.send(changed, **{f"{pattern}.n_clicks": [{"id": owner, "value": 1}]})


@pytest.fixture
def form(client: FlaskClient) -> SqlForm:
    return SqlForm(client)


def draft_of(answer: dict[str, Any]) -> SqlDraft:
    kept: SqlDraft = decode(SLICES["sql"], answer["response"][STORE]["data"]).state
    return kept


def write(form: SqlForm, name: str = "Onboarded", sql: str = SQL) -> None:
    form.values |= {f"{ids.SQL_NAME}.value": name, EDITOR: sql}


# ---- the draft


def test_what_is_typed_is_kept_and_the_fields_are_left_alone(form: SqlForm) -> None:
    write(form)
    answer = form.send()
    assert draft_of(answer) == SqlDraft("Onboarded", sql=SQL)
    assert set(answer["response"]) == {STORE}

    form.values[f"{STORE}.data"] = answer["response"][STORE]["data"]
    assert form.send() == {}


def test_an_example_fills_the_form_and_starts_nothing(form: SqlForm, services: Services) -> None:
    write(form)
    found = next(each for each in examples(services.workspace.manifest()) if each.unit == "account")
    answer = form.press("example", found.key)["response"]
    assert answer[ids.SQL_EDITOR]["value"] == found.sql
    assert answer[ids.SQL_UNIT]["value"] == "account"
    assert answer[ids.SQL_NAME]["value"] == "Onboarded"
    assert ids.SQL_ORDER not in answer


@pytest.mark.parametrize(("intent", "key"), [("example", "none"), ("drop", "early"), ("", "")])
def test_an_unknown_button_changes_nothing(form: SqlForm, intent: str, key: str) -> None:
    answer = form.press(intent, key)
    assert toasted(answer).startswith("That did not work")
    assert not answer.get("response")


def test_a_form_that_is_drawn_with_its_buttons_is_no_click(form: SqlForm, services: Services) -> None:
    saved = services.signals.save(from_dict({"name": "Kept", "sql": SQL}))
    form.values |= {f"{ids.URL}.search": f"?signal={saved.id}", f"{ids.SQL_NAME}.value": "Kept", EDITOR: SQL}
    pattern = next(each["id"] for each in form._wire._callback["inputs"] if each["id"].startswith("{"))
    new = {"id": ids.event("sql", "new", "root"), "value": None}
    answer = form.send(**{f"{pattern}.n_clicks": [new]})
    kept = draft_of(answer)
    assert (kept.name, kept.sql) == ("Kept", SQL)
    assert kept.origin is not None
    assert (kept.origin.id, kept.origin.version) == (saved.id, saved.version)


def test_start_empty_forgets_the_signal_and_the_address(form: SqlForm, services: Services) -> None:
    saved = services.signals.save(from_dict({"name": "Left", "sql": f"{SQL} -- left"}))
    form.values |= {f"{ids.URL}.search": f"?signal={saved.id}"}
    answer = form.press("new", "root")
    assert answer["sideUpdate"][ids.URL] == {"search": ""}
    assert answer["response"][ids.SQL_EDITOR]["value"] == START_SQL
    assert answer["response"][ids.SQL_ORIGIN]["children"] == []


@pytest.mark.parametrize("value", WRONG_TYPES, ids=repr)
def test_wrong_types_are_answered_and_start_nothing(form: SqlForm, value: Any) -> None:
    for name in list(form.values):
        answer = form.send(**{name: value})
        assert ids.SQL_ORDER not in answer.get("response", {}) or name.endswith("n_submit")


def test_a_query_larger_than_the_store_says_so(form: SqlForm) -> None:
    write(form, sql="x" * 100_000)
    assert "too large" in toasted(form.send())


def test_submitting_orders_the_run_once(form: SqlForm) -> None:
    write(form)
    order = form.submit()["response"][ids.SQL_ORDER]["data"]
    assert from_dict(order["definition"]) == from_dict({"name": "Onboarded", "sql": SQL})
    form.values |= {f"{ids.SQL_ORDER}.data": order, f"{ids.SQL_NAME}.value": "Renamed"}
    assert ids.SQL_ORDER not in form.send()["response"]
    assert form.submit()["response"][ids.SQL_ORDER]["data"]["id"] != order["id"]


def test_submitting_without_a_name_marks_it_and_orders_nothing(form: SqlForm, client: FlaskClient) -> None:
    answer = form.submit()
    assert toasted(answer).startswith("Not run")
    assert answer["response"][ids.SQL_ORDER]["data"] == {"submits": 1}
    said = say(client, answer["response"][STORE]["data"])
    assert "name" in said[ids.error(ids.SQL_NAME)]["children"]


# ---- what is wrong


def say(client: FlaskClient, raw: Any, problem: Any = None) -> dict[str, Any]:
    outputs = [
        {"id": ids.SQL_SENTENCE, "property": "children"},
        *[{"id": ids.error(owner), "property": "children"} for owner in (ids.SQL_NAME, ids.SQL_DAYS, ids.SQL_EDITOR)],
        {"id": ids.SQL_EDITOR, "property": "error"},
    ]
    values = {f"{STORE}.data": raw, f"{ids.SQL_PROBLEM}.data": problem}
    answer: dict[str, Any] = Wire(client, f"{ids.SQL_PROBLEM}.data").send(values, f"{STORE}.data", outputs)["response"]
    return answer


def kept(**fields: Any) -> dict[str, Any]:
    return encode(SLICES["sql"], replace(SqlDraft("Named", sql=SQL), **fields))


def preview(client: FlaskClient, sql: Any, unit: Any = "user", days: Any = "14") -> dict[str, Any]:
    values = {PREVIEW: 1, f"{ids.SQL_UNIT}.value": unit, f"{ids.SQL_DAYS}.value": days, EDITOR: sql}
    return Wire(client, PREVIEW).send(values, PREVIEW, {"id": ids.SQL_PREVIEW_ROWS, "property": "children"})


def test_an_error_is_shown_at_its_line_as_long_as_the_query_is_that_one(client: FlaskClient) -> None:
    wrong = "SELECT user_id\nFROM events\nWHERE nope = 1"
    problem = preview(client, wrong)["sideUpdate"][ids.SQL_PROBLEM]["data"]
    assert problem["line"] == 3
    said = say(client, kept(sql=wrong), problem)
    assert said[ids.SQL_EDITOR]["error"]["line"] == 3
    assert said[ids.error(ids.SQL_EDITOR)]["children"].startswith("Line 3: ")
    assert "nope" in said[ids.error(ids.SQL_EDITOR)]["children"]
    assert say(client, kept(sql=wrong, name="Another name"), problem)[ids.SQL_EDITOR]["error"]

    for changed in (kept(sql=wrong + "0"), kept(sql=wrong, unit="account"), kept(sql=wrong, landmark_days="30")):
        after = say(client, changed, problem)
        assert after[ids.SQL_EDITOR]["error"] is None
        assert after[ids.error(ids.SQL_EDITOR)]["children"] == ""


@pytest.mark.parametrize("value", WRONG_TYPES, ids=repr)
def test_a_forged_problem_marks_nothing(client: FlaskClient, value: Any) -> None:
    assert say(client, kept(), value)[ids.SQL_EDITOR]["error"] is None


@pytest.mark.parametrize(
    "sql",
    [
        "DROP TABLE users",
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT",
        "SELECT user_id FROM events; SELECT 1",
        "SELECT '<img src=x onerror=alert(1)>' AS user_id FROM nowhere",
    ],
)
def test_a_query_that_may_not_run_is_a_problem_and_no_crash(client: FlaskClient, sql: str) -> None:
    answer = preview(client, sql)
    assert answer["sideUpdate"][ids.SQL_PROBLEM]["data"]["message"]
    assert not toasted(answer)


# ---- preview and run


def test_a_preview_shows_the_rows(client: FlaskClient) -> None:
    drawn = json.dumps(preview(client, SQL)["response"])
    assert "12 rows in all" in drawn
    assert '"u1"' in drawn


@pytest.mark.parametrize(("sql", "days"), [("", "14"), (SQL, "0"), (None, "14"), ({}, []), (SQL, None)])
def test_a_preview_of_a_faulty_form_asks_for_corrections_or_runs(client: FlaskClient, sql: Any, days: Any) -> None:
    answer = preview(client, sql, days=days)
    assert answer["response"] or answer["sideUpdate"]


class Asked:
    """Stands in for the queries and remembers who asked."""

    def __init__(self) -> None:
        self.people: list[str] = []

    def preview(self, _definition: SignalDefinition, person: str) -> Preview:
        self.people.append(person)
        return Preview((("user_id", "VARCHAR"),), (), 0, 0.0, 0)

    def tables(self) -> tuple[()]:
        raise NoDataError("Nothing has been imported.")


def test_a_browser_waits_in_its_own_place_of_the_queue(services: Services) -> None:
    asked = Asked()
    server = create_app(replace(services, queries=asked), FakeSettings()).server  # type: ignore[arg-type]
    first, second, none = (server.test_client() for _ in range(3))
    for client in (first, second):
        client.get("/backtest")
    for client in (first, first, second, none):
        preview(client, SQL)
    none.set_cookie(BROWSER_COOKIE, "'; DROP TABLE queue --")
    preview(none, SQL)
    assert asked.people[0] == asked.people[1] != asked.people[2]
    assert asked.people[3:] == [NO_BROWSER] * 2


def run(client: FlaskClient, definition: Any, run_id: str) -> dict[str, Any]:
    marker = f"{ids.SQL_ORDER}.data"
    outputs = [
        {"id": ids.BACKTEST_RESULTS, "property": "hidden"},
        {"id": ids.BACKTEST_SAVE, "property": "children"},
        {"id": ids.BACKTEST_SAVE_VERSION, "property": "children"},
        {"id": ids.BACKTEST_SAVE_VERSION, "property": "hidden"},
        {"id": ids.BACKTEST_MADE_FROM, "property": "data"},
        *[{"id": ids.result(name), "property": prop} for name, prop in LEAVES.items()],
    ]
    values = {marker: {"id": run_id, "definition": definition}, f"{ids.URL}.pathname": "/backtest"}
    return Wire(client, marker).send(values, marker, outputs)


def test_a_query_runs_to_its_result(client: FlaskClient, services: Services) -> None:
    answer = run(client, {"name": "By query", "sql": SQL}, "c" * 32)["response"]
    assert answer[ids.result("title")]["children"] == "By query"
    assert answer[ids.BACKTEST_SAVE]["children"] == "Save Signal"
    assert services.backtests.report("c" * 32).evidence.passport.definition["sql"] == SQL


@pytest.mark.parametrize(
    "sql", ["SELECT user_id FROM event", "SELECT name FROM companies", "SELECT user_id FRM events"]
)
def test_a_run_that_fails_on_its_query_says_why_and_leaves_the_page(client: FlaskClient, sql: str) -> None:
    answer = run(client, {"name": "Wrong", "sql": sql}, uuid.uuid4().hex)
    assert answer["sideUpdate"][ids.SQL_PROBLEM]["data"]["message"]
    assert not answer.get("response")
    assert not toasted(answer)


# ---- opening, saving


def opened(client: FlaskClient, search: str, **states: Any) -> dict[str, Any]:
    wire = Wire(client, f"{ids.URL}.pathname")
    outputs = [{"id": ids.PAGE, "property": "children"}, {"id": ids.WORKSPACE, "property": "children"}]
    values = {f"{ids.URL}.pathname": "/backtest", f"{ids.URL}.search": search}
    values |= {f"{ids.store(name)}.data": encode(SLICES[name], state) for name, state in states.items()}
    page = wire.send(values, f"{ids.URL}.pathname", outputs)["response"][ids.PAGE]["children"]
    return {each["props"]["id"]: each["props"] for each in parts(page) if isinstance(each["props"].get("id"), str)}


def parts(tree: Any) -> Iterator[dict[str, Any]]:
    for each in tree if isinstance(tree, list) else tree.values() if isinstance(tree, dict) else ():
        yield from parts(each)
    if isinstance(tree, dict) and isinstance(tree.get("props"), dict):
        yield tree


def test_a_saved_signal_opens_in_the_tab_that_it_was_written_in(client: FlaskClient, services: Services) -> None:
    sql = services.signals.save(from_dict({"name": "In SQL", "sql": f"{SQL} -- opened", "landmark_days": 30}))
    page = opened(client, f"?signal={sql.id}")
    assert page[ids.BACKTEST_TABS]["active_tab"] == "sql"
    assert page[ids.SQL_EDITOR]["value"] == f"{SQL} -- opened"
    assert page[ids.SQL_DAYS]["value"] == "30"

    built = services.signals.save(from_dict({"name": "Built", "when": {"event": "pageview", "within_days": 3}}))
    page = opened(client, f"?signal={built.id}")
    assert page[ids.BACKTEST_TABS]["active_tab"] == "visual"
    assert page[ids.BACKTEST_NAME]["value"] == "Built"


def test_a_run_is_copied_and_its_link_fills_an_untouched_form_only(client: FlaskClient, services: Services) -> None:
    services.backtests.run(from_dict({"name": "Copied", "sql": f"{SQL} -- copied"}), "e" * 32)
    mine = SqlDraft("Mine", sql="select 1")
    for search, draft, name in (
        (f"?copy={'e' * 32}", mine, "Copied"),
        (f"?run={'e' * 32}", SqlDraft(), "Copied"),
        (f"?run={'e' * 32}", mine, "Mine"),
    ):
        page = opened(client, search, sql=draft)
        assert page[ids.BACKTEST_TABS]["active_tab"] == "sql"
        assert page[ids.SQL_NAME]["value"] == name


@pytest.mark.parametrize("search", [f"?signal={'x' * 9}", f"?copy={'0' * 32}", "?copy=sig_001"])
def test_what_is_not_there_is_said_and_the_draft_stays(client: FlaskClient, search: str) -> None:
    page = opened(client, search, sql=SqlDraft("Mine"))
    assert page[ids.BACKTEST_NAME]["value"] == ""


def act(client: FlaskClient, button: str, run_id: Any, made_from: Any = None) -> dict[str, Any]:
    marker = f"{button}.n_clicks"
    values = {marker: 1, f"{ids.result('run-id')}.children": run_id, f"{ids.BACKTEST_MADE_FROM}.data": made_from}
    return Wire(client, marker).send(values, marker)


def test_a_run_becomes_the_next_version_unless_somebody_was_faster(client: FlaskClient, services: Services) -> None:
    saved = services.signals.save(from_dict({"name": "First", "sql": f"{SQL} -- first"}))
    services.backtests.run(from_dict({"name": "Second", "sql": f"{SQL} -- second"}), "f" * 32)
    target = {"kind": "signal", "id": saved.id, "name": "First", "version": saved.version}
    answer = act(client, ids.BACKTEST_SAVE_VERSION, "f" * 32, target)
    assert answer["sideUpdate"][ids.URL]["pathname"] == f"/signals/{saved.id}"
    assert services.signals.read(saved.id).definition.name == "Second"

    services.backtests.run(from_dict({"name": "Late", "sql": f"{SQL} -- late"}), "1" * 32)
    assert toasted(act(client, ids.BACKTEST_SAVE_VERSION, "1" * 32, target)).startswith("That did not work")
    assert services.signals.read(saved.id).definition.name == "Second"


@pytest.mark.parametrize(
    "target",
    [*WRONG_TYPES, {"kind": "signal", "id": "sig_001", "version": True}, {"kind": "run", "id": "x", "version": 1}],
)
def test_a_forged_target_gets_no_version(client: FlaskClient, services: Services, target: Any) -> None:
    before = services.signals.all()
    assert toasted(act(client, ids.BACKTEST_SAVE_VERSION, "c" * 32, target))
    assert services.signals.all() == before


def test_add_to_rule_saves_the_signal_once_and_opens_the_playbook(client: FlaskClient, services: Services) -> None:
    services.backtests.run(from_dict({"name": "For a rule", "sql": f"{SQL} -- rule"}), "2" * 32)
    addresses = [act(client, ids.BACKTEST_RULE, "2" * 32)["sideUpdate"][ids.URL] for _ in range(2)]
    (saved,) = (each for each in services.signals.all() if each.definition.name == "For a rule")
    assert addresses == [{"pathname": "/playbooks/new", "search": f"?signal={saved.id}"}] * 2


def test_the_tab_is_remembered_and_drawn_when_it_is_opened(client: FlaskClient) -> None:
    marker = f"{ids.BACKTEST_TABS}.active_tab"
    outputs = [{"id": ids.store("tab"), "property": "data"}, {"id": ids.SQL_PANE, "property": "children"}]
    wire = Wire(client, marker)
    first = wire.send({marker: "sql", f"{ids.URL}.pathname": "/backtest"}, marker, outputs)["response"]
    assert decode(SLICES["tab"], first[ids.store("tab")]["data"]).state.active == "sql"
    assert ids.SQL_EDITOR in json.dumps(first[ids.SQL_PANE])
    again = wire.send({marker: "sql", f"{ids.SQL_EDITOR}.id": ids.SQL_EDITOR}, marker, outputs)["response"]
    assert set(again) == {ids.store("tab")}
    for forged in WRONG_TYPES:
        assert wire.send({marker: forged}, marker, outputs)["response"][ids.store("tab")]


def test_the_query_to_begin_with_and_every_example_run_as_they_stand(services: Services) -> None:
    offered = [("user", START_SQL), *((each.unit, each.sql) for each in examples(services.workspace.manifest()))]
    for unit, sql in offered:
        definition = check(SqlDraft("Example", unit, sql=sql)).definition
        assert definition is not None
        assert services.backtests.run(definition).evidence.passport.definition["sql"] == sql.strip()
