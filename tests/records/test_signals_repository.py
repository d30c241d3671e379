from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from threading import Barrier

import pytest

from beton.errors import InputError
from beton.records.audit import AuditRepository
from beton.records.database import Database
from beton.records.runs import RunRepository
from beton.records.signals import LONGEST_NAME, SignalRepository

DEFINITION = {"when": {"all": [{"event": "onboarding_completed", "within_days": 3}]}, "rate": 0.1}
OTHER = {"when": {"any": []}}


@pytest.fixture
def signals(database: Database) -> SignalRepository:
    return SignalRepository(database)


@pytest.fixture
def actions(database: Database):
    return lambda: [(row.action, row.object) for row in reversed(AuditRepository(database).recent(100))]


def test_a_new_signal_is_enabled_and_at_its_first_version(signals: SignalRepository, noon: datetime) -> None:
    made = signals.save("  Onboarded early ", DEFINITION, "h1", at=noon)
    assert (made.id, made.name, made.enabled, made.demo, made.version) == (
        "sig_001",
        "Onboarded early",
        True,
        False,
        1,
    )
    assert (made.definition, made.definition_hash) == (DEFINITION, "h1")
    assert made.created_at == made.updated_at == noon
    assert signals.read("sig_001") == made


def test_a_further_version_keeps_the_ones_before(signals: SignalRepository, noon: datetime, later: datetime) -> None:
    signals.save("one", DEFINITION, "h1", at=noon)
    changed = signals.add_version("sig_001", ("one", OTHER, "h2"), expected_version=1, at=later)
    assert (changed.version, changed.definition, changed.definition_hash) == (2, OTHER, "h2")
    assert (changed.created_at, changed.updated_at) == (noon, later)
    kept = signals.versions("sig_001")
    assert [(v.version, v.definition, v.definition_hash, v.created_at) for v in kept] == [
        (1, DEFINITION, "h1", noon),
        (2, OTHER, "h2", later),
    ]


def test_a_version_built_on_an_old_one_is_refused(signals: SignalRepository, noon: datetime, later: datetime) -> None:
    signals.save("one", DEFINITION, "h1", at=noon)
    changed = signals.add_version("sig_001", ("one", OTHER, "h2"), expected_version=1, at=later)
    with pytest.raises(InputError, match="changed elsewhere"):
        signals.add_version("sig_001", ("one", DEFINITION, "h3"), expected_version=1, at=later)
    assert signals.read("sig_001") == changed
    assert len(signals.versions("sig_001")) == 2


def test_a_version_names_the_signal(signals: SignalRepository, noon: datetime, later: datetime) -> None:
    signals.save("one", DEFINITION, "h1", at=noon)
    assert signals.add_version("sig_001", (" two ", OTHER, "h2"), expected_version=1, at=later).name == "two"
    with pytest.raises(InputError) as caught:
        signals.add_version("sig_001", ("", DEFINITION, "h3"), expected_version=2, at=later)
    assert set(caught.value.fields) == {"name"}
    assert (signals.read("sig_001").name, signals.read("sig_001").version) == ("two", 2)


@pytest.mark.parametrize(("definition_hash", "run_id"), [("h1", "run 1"), ("h2", None)])
def test_a_version_of_what_discovery_found_belongs_to_a_person(
    signals: SignalRepository, noon: datetime, later: datetime, definition_hash: str, run_id: str | None
) -> None:
    signals.keep_found([("found", DEFINITION, "h1")], "run 1", at=noon)
    changed = signals.add_version("sig_001", ("mine", OTHER, definition_hash), expected_version=1, at=later)
    assert (changed.enabled, changed.origin, changed.run_id) == (True, "person", run_id)
    signals.set_enabled("sig_001", False, at=later)
    signals.keep_found([], "run 2", at=later)
    assert [each.id for each in signals.list()] == ["sig_001"]


def finish(database: Database, run_id: str, definition_hash: str, at: datetime, done: bool = True) -> None:
    runs = RunRepository(database)
    runs.start(run_id, {}, definition_hash=definition_hash, request_hash=run_id, snapshot_version="a", at=at)
    if done:
        runs.finish(run_id, {"result": {}}, at=at)


def test_what_was_measured_is_the_newest_finished_run_of_each_definition_it_has_had(
    signals: SignalRepository, database: Database, noon: datetime, later: datetime
) -> None:
    signals.save("one", DEFINITION, "h1", at=noon)
    signals.add_version("sig_001", ("one", OTHER, "h2"), expected_version=1, at=noon)
    for run_id, definition_hash, at in (("a", "h1", later), ("b", "h1", noon), ("c", "other", later)):
        finish(database, run_id, definition_hash, at)
    finish(database, "d", "h1", later, done=False)
    finish(database, "e", "h2", later, done=False)

    found = signals.measured("sig_001")
    assert {key: (each.run_id, each.finished_at) for key, each in found.items()} == {"h1": ("a", later)}
    assert signals.measured("sig_404") == {}


def test_changes_are_applied_together(signals: SignalRepository, noon: datetime, later: datetime, actions) -> None:
    for name in ("one", "two", "three"):
        signals.save(name, DEFINITION, f"h {name}", at=noon)
    before = len(actions())
    signals.apply([("four", OTHER, "h4")], [("sig_001", 1, ("uno", OTHER, "h1b"))], ["sig_002"], at=later)
    assert [(each.name, each.version, each.enabled) for each in signals.list()] == [
        ("uno", 2, True),
        ("two", 1, False),
        ("three", 1, True),
        ("four", 1, True),
    ]
    assert actions()[before:] == [
        ("signal.redefined", "sig_001"),
        ("signal.created", "sig_004"),
        ("signal.disabled", "sig_002"),
    ]


@pytest.mark.parametrize(
    ("created", "redefined", "disabled", "message"),
    [
        ([("", OTHER, "h")], [], [], "Give the signal a name"),
        ([("x", {"rate": float("inf")}, "h")], [], [], "cannot be stored"),
        ([], [("sig_002", 7, ("two", OTHER, "h"))], [], "changed elsewhere"),
        ([], [], ["sig_404"], "no signal 'sig_404'"),
        ([("two", OTHER, "h")], [], [], "Another signal is called 'two'"),
        ([("x", OTHER, "h"), ("x", OTHER, "h")], [], [], "Another signal is called 'x'"),
        ([], [("sig_002", 1, ("one", OTHER, "h"))], [], "Another signal is called 'one'"),
    ],
)
def test_changes_are_applied_whole_or_not_at_all(
    signals: SignalRepository, noon: datetime, actions, created, redefined, disabled, message: str
) -> None:
    signals.save("one", DEFINITION, "h1", at=noon)
    signals.save("two", DEFINITION, "h2", at=noon)
    before, done = signals.list(), actions()
    with pytest.raises(InputError, match=message):
        signals.apply(
            [("new", OTHER, "h9"), *created],
            [("sig_001", 1, ("one", OTHER, "h8")), *redefined],
            ["sig_001", *disabled],
            at=noon,
        )
    assert (signals.list(), actions()) == (before, done)


def test_signals_that_swap_their_names_are_no_namesakes(signals: SignalRepository, noon: datetime) -> None:
    signals.save("one", DEFINITION, "h1", at=noon)
    signals.save("two", DEFINITION, "h2", at=noon)
    signals.apply([], [("sig_001", 1, ("two", OTHER, "h1")), ("sig_002", 1, ("one", OTHER, "h2"))], [], at=noon)
    assert [each.name for each in signals.list()] == ["two", "one"]


def test_ids_count_up_and_list_in_that_order_past_a_thousand(
    signals: SignalRepository, database: Database, noon: datetime
) -> None:
    with database.write() as connection:
        connection.exec_driver_sql("UPDATE numbering SET last = 998")
    made = [signals.save(f"s{n}", DEFINITION, f"h{n}", at=noon).id for n in range(3)]
    assert made == ["sig_999", "sig_1000", "sig_1001"]
    assert [signal.id for signal in signals.list()] == made


def test_an_id_is_never_given_twice(signals: SignalRepository, noon: datetime) -> None:
    mine = signals.save("mine", DEFINITION, "h1", at=noon)
    signals.save("theirs", DEFINITION, "h2", at=noon, demo=True)
    assert signals.delete_demo(at=noon) == 1
    assert signals.list() == [mine]
    assert signals.save("next", DEFINITION, "h3", at=noon).id == "sig_003"


def test_a_meaning_is_saved_once_and_only_current_definitions_count(
    signals: SignalRepository, noon: datetime, later: datetime
) -> None:
    first = signals.save("one", DEFINITION, "h1", at=noon)
    assert signals.save("two", DEFINITION, "h1", at=later) == first
    signals.add_version("sig_001", ("one", OTHER, "h2"), expected_version=1, at=noon)
    assert signals.save("two", DEFINITION, "h1", at=later).id == "sig_002"


def test_people_who_save_one_meaning_at_once_get_one_signal(signals: SignalRepository, noon: datetime) -> None:
    gate = Barrier(4)

    def save(n: int) -> str:
        gate.wait(timeout=30)
        return signals.save(f"s{n}", DEFINITION, "h1", at=noon).id

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(save, range(4))) == {"sig_001"}
    assert len(signals.list()) == 1


def ids_by_hash(signals: SignalRepository) -> dict[str, str]:
    return {each.definition_hash: each.id for each in signals.list()}


def test_a_run_replaces_what_the_last_one_found_and_keeps_what_people_made(
    signals: SignalRepository, noon: datetime, later: datetime, actions
) -> None:
    signals.save("mine", DEFINITION, "mine", at=noon)
    signals.set_enabled("sig_001", False, at=noon)
    signals.keep_found([(each, DEFINITION, each) for each in ("lost", "on", "again")], "run 1", at=noon)
    before = ids_by_hash(signals)
    assert [(each.enabled, each.origin, each.run_id) for each in signals.list()[1:]] == [
        (False, "discovery", "run 1")
    ] * 3
    signals.set_enabled(before["on"], True, at=noon)

    signals.keep_found([(each, DEFINITION, each) for each in ("again", "new", "mine")], "run 2", at=later)
    kept = {each.definition_hash: each for each in signals.list()}
    assert set(kept) == {"mine", "on", "again", "new"}
    assert all(kept[each].id == before[each] for each in ("mine", "on", "again"))
    assert {each: kept[each].run_id for each in kept} == {
        "mine": "run 2",
        "on": "run 1",
        "again": "run 2",
        "new": "run 2",
    }
    assert kept["mine"].origin == "person"
    assert actions()[-2:] == [("signal.created", kept["new"].id), ("signal.deleted", before["lost"])]


def test_what_a_run_found_is_kept_whole_or_not_at_all(signals: SignalRepository, noon: datetime, actions) -> None:
    signals.keep_found([("one", DEFINITION, "h1")], "run 1", at=noon)
    before, done = signals.list(), actions()
    with pytest.raises(InputError):
        signals.keep_found([("two", DEFINITION, "h2"), ("", DEFINITION, "h3")], "run 2", at=noon)
    assert (signals.list(), actions()) == (before, done)


def test_a_signal_that_a_person_saves_after_discovery_found_it_stays(
    signals: SignalRepository, noon: datetime, later: datetime
) -> None:
    signals.keep_found([("found", DEFINITION, "h1")], "run 1", at=noon)
    saved = signals.save("mine", DEFINITION, "h1", at=later)
    assert (saved.enabled, saved.name, saved.run_id) == (True, "found", "run 1")
    signals.keep_found([], "run 2", at=later)
    assert signals.list() == [saved]


def test_every_change_is_in_the_audit_and_nothing_else_is(
    signals: SignalRepository, noon: datetime, later: datetime, actions
) -> None:
    signals.save("one", DEFINITION, "h1", at=noon, demo=True)
    assert not signals.set_enabled("sig_001", False, at=later).enabled
    assert signals.set_enabled("sig_001", False, at=later).updated_at == later
    assert signals.set_enabled("sig_001", True, at=later).enabled
    signals.add_version("sig_001", ("one", OTHER, "h2"), expected_version=1, at=later)
    signals.delete_demo(at=later)
    assert actions() == [
        ("signal.created", "sig_001"),
        ("signal.disabled", "sig_001"),
        ("signal.enabled", "sig_001"),
        ("signal.redefined", "sig_001"),
        ("signal.deleted", "sig_001"),
    ]


@pytest.mark.parametrize("name", ["", "   ", "x" * (LONGEST_NAME + 1), "two\nlines", "nul\x00", "half \ud800"])
def test_a_name_nobody_could_read_is_refused(signals: SignalRepository, noon: datetime, name: str, actions) -> None:
    with pytest.raises(InputError) as caught:
        signals.save(name, DEFINITION, "h1", at=noon)
    assert set(caught.value.fields) == {"name"}
    assert actions() == []


def test_a_definition_that_json_cannot_hold_is_refused_and_costs_no_id(
    signals: SignalRepository, noon: datetime, actions
) -> None:
    with pytest.raises(InputError, match=r"definition\.rate cannot be stored"):
        signals.save("one", DEFINITION | {"rate": float("nan")}, "h1", at=noon)
    assert actions() == []
    assert signals.save("one", DEFINITION, "h1", at=noon).id == "sig_001"


def test_an_unknown_id_is_named_by_every_method(signals: SignalRepository, noon: datetime, actions) -> None:
    for use in (
        lambda: signals.read("sig_404"),
        lambda: signals.versions("sig_404"),
        lambda: signals.apply([], [("sig_404", 1, ("one", OTHER, "h"))], [], at=noon),
        lambda: signals.set_enabled("sig_404", True, at=noon),
        lambda: signals.add_version("sig_404", ("one", OTHER, "h"), expected_version=1, at=noon),
    ):
        with pytest.raises(InputError, match="no signal 'sig_404'"):
            use()
    assert actions() == []
