from __future__ import annotations

from datetime import datetime

import pytest

from beton.errors import InputError
from beton.records.audit import AuditRepository
from beton.records.database import Database
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
    made = signals.create("  Onboarded early ", DEFINITION, "h1", at=noon)
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
    signals.create("one", DEFINITION, "h1", at=noon)
    changed = signals.add_version("sig_001", OTHER, "h2", expected_version=1, at=later)
    assert (changed.version, changed.definition, changed.definition_hash) == (2, OTHER, "h2")
    assert (changed.created_at, changed.updated_at) == (noon, later)
    kept = signals.versions("sig_001")
    assert [(v.version, v.definition, v.definition_hash, v.created_at) for v in kept] == [
        (1, DEFINITION, "h1", noon),
        (2, OTHER, "h2", later),
    ]


def test_a_version_built_on_an_old_one_is_refused(signals: SignalRepository, noon: datetime, later: datetime) -> None:
    signals.create("one", DEFINITION, "h1", at=noon)
    changed = signals.add_version("sig_001", OTHER, "h2", expected_version=1, at=later)
    with pytest.raises(InputError, match="changed elsewhere"):
        signals.add_version("sig_001", DEFINITION, "h3", expected_version=1, at=later)
    assert signals.read("sig_001") == changed
    assert len(signals.versions("sig_001")) == 2


def test_ids_count_up_and_list_in_that_order_past_a_thousand(
    signals: SignalRepository, database: Database, noon: datetime
) -> None:
    with database.write() as connection:
        connection.exec_driver_sql("UPDATE numbering SET last = 998")
    made = [signals.create(f"s{n}", DEFINITION, f"h{n}", at=noon).id for n in range(3)]
    assert made == ["sig_999", "sig_1000", "sig_1001"]
    assert [signal.id for signal in signals.list()] == made


def test_an_id_is_never_given_twice(signals: SignalRepository, noon: datetime) -> None:
    mine = signals.create("mine", DEFINITION, "h1", at=noon)
    signals.create("theirs", DEFINITION, "h2", at=noon, demo=True)
    assert signals.delete_demo(at=noon) == 1
    assert signals.list() == [mine]
    assert signals.create("next", DEFINITION, "h3", at=noon).id == "sig_003"


def test_only_the_current_definition_is_found_by_its_hash(signals: SignalRepository, noon: datetime) -> None:
    signals.create("one", DEFINITION, "h1", at=noon)
    signals.create("two", DEFINITION, "h1", at=noon)
    found = signals.find_by_hash("h1")
    assert found is not None
    assert found.id == "sig_001"
    signals.add_version("sig_001", OTHER, "h2", expected_version=1, at=noon)
    found = signals.find_by_hash("h1")
    assert found is not None
    assert found.id == "sig_002"
    assert signals.find_by_hash("h9") is None


def test_every_change_is_in_the_audit_and_nothing_else_is(
    signals: SignalRepository, noon: datetime, later: datetime, actions
) -> None:
    signals.create("one", DEFINITION, "h1", at=noon, demo=True)
    assert not signals.set_enabled("sig_001", False, at=later).enabled
    assert signals.set_enabled("sig_001", False, at=later).updated_at == later
    assert signals.set_enabled("sig_001", True, at=later).enabled
    signals.add_version("sig_001", OTHER, "h2", expected_version=1, at=later)
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
        signals.create(name, DEFINITION, "h1", at=noon)
    assert set(caught.value.fields) == {"name"}
    assert actions() == []


def test_a_definition_that_json_cannot_hold_is_refused_and_costs_no_id(
    signals: SignalRepository, noon: datetime, actions
) -> None:
    with pytest.raises(InputError, match=r"definition\.rate cannot be stored"):
        signals.create("one", DEFINITION | {"rate": float("nan")}, "h1", at=noon)
    assert actions() == []
    assert signals.create("one", DEFINITION, "h1", at=noon).id == "sig_001"


def test_an_unknown_id_is_named_by_every_method(signals: SignalRepository, noon: datetime, actions) -> None:
    for use in (
        lambda: signals.read("sig_404"),
        lambda: signals.versions("sig_404"),
        lambda: signals.set_enabled("sig_404", True, at=noon),
        lambda: signals.add_version("sig_404", OTHER, "h", expected_version=1, at=noon),
    ):
        with pytest.raises(InputError, match="no signal 'sig_404'"):
            use()
    assert actions() == []
