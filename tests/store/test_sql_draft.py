from __future__ import annotations

from dataclasses import replace

import pytest
from shell_fakes import DEMO

from beton.model.manifest import EventFacts
from beton.model.signal import MAX_SQL_BYTES, from_dict
from store import SLICES
from store.codec import decode, encode
from store.origin import Origin
from store.sql_draft import (
    START_SQL,
    SqlDraft,
    check,
    from_definition,
    question,
    typed,
    visible_errors,
    with_example,
)
from store.sql_examples import examples

SQL = "SELECT user_id FROM events"
SOUND = SqlDraft("Active", sql=SQL)


def test_a_fresh_draft_starts_with_a_query_and_lacks_only_a_name() -> None:
    fresh = SqlDraft()
    assert fresh.sql == START_SQL
    found = check(fresh)
    assert found.definition is None
    assert set(found.errors) == {"name"}
    assert visible_errors(fresh, found) == {}
    assert set(visible_errors(replace(fresh, attempted=True), found)) == {"name"}
    asked = question(fresh)
    assert asked is not None
    assert asked.sql == START_SQL.strip()


def test_a_sound_draft_is_the_definition_that_its_yaml_would_be() -> None:
    assert check(SOUND).definition == from_dict({"name": "Active", "sql": SQL})
    assert check(replace(SOUND, landmark_days=" 30 ")).definition == from_dict(
        {"name": "Active", "sql": SQL, "landmark_days": 30}
    )
    account = check(replace(SOUND, unit="account", landmark_days="7,5")).definition
    assert account == from_dict({"name": "Active", "unit": "account", "sql": SQL, "landmark_days": 7.5})


@pytest.mark.parametrize("days", ["", "0", "0.5", "731", "-3", "1e2", "fourteen", "٣", "nan", "14 days", "9" * 400])
def test_days_that_are_no_number_from_1_to_730_are_marked(days: str) -> None:
    found = check(replace(SOUND, landmark_days=days))
    assert found.definition is None
    assert "1 to 730" in found.errors["landmark_days"]


@pytest.mark.parametrize("sql", ["", " \n\t", "x" * (MAX_SQL_BYTES + 1), "select '\x00'", "select '\ud800'"])
def test_a_query_that_no_signal_may_hold_is_marked(sql: str) -> None:
    found = check(replace(SOUND, sql=sql))
    assert found.definition is None
    assert set(found.errors) == {"sql"}
    assert question(replace(SOUND, sql=sql)) is None


def test_what_was_typed_is_taken_over_and_what_is_no_text_is_not() -> None:
    assert typed(SOUND, "New", "account", "3", "select 1") == SqlDraft("New", "account", "3", "select 1")
    for value in (None, 7, [], {"a": 1}, True):
        assert typed(SOUND, value, value, value, value) == SOUND
    assert typed(SOUND, "n", "both", "14", SQL).unit == "user"
    assert len(typed(SOUND, "x" * 10_000, "user", "9" * 10_000, SQL).name) == 500


def test_an_example_replaces_the_query_and_whom_it_returns_only() -> None:
    draft = replace(SOUND, landmark_days="30")
    assert with_example(draft, "account", "select 2") == replace(draft, unit="account", sql="select 2")


@pytest.mark.parametrize(
    "raw",
    [
        {"name": "One", "sql": SQL},
        {"name": "Two", "unit": "account", "sql": "SELECT company_id FROM deals", "landmark_days": 45},
        {"name": "Three", "description": "d", "source": "s", "sql": SQL, "outcome": {"source": "deal created"}},
    ],
)
def test_an_opened_definition_comes_back_unchanged(raw: dict[str, object]) -> None:
    definition = from_dict(raw)
    origin = Origin("signal", "sig_001", definition.name, 3)
    draft = from_definition(definition, origin)
    assert check(draft).definition == definition
    assert decode(SLICES["sql"], encode(SLICES["sql"], draft)).state == draft


def test_a_query_as_long_as_a_signal_may_have_fits_the_store() -> None:
    for letter in ('"', "é", "\n", "😀"):
        longest = letter * (MAX_SQL_BYTES // len(letter.encode()))
        draft = replace(SOUND, sql=longest)
        assert decode(SLICES["sql"], encode(SLICES["sql"], draft)).state == draft


def test_a_text_without_end_is_dropped() -> None:
    kept = encode(SLICES["sql"], SOUND)
    kept["state"]["name"] = "x" * 501
    assert decode(SLICES["sql"], kept).state == SqlDraft()


def test_examples_name_events_of_the_data_and_quote_them() -> None:
    offered = examples(replace(DEMO, events=(EventFacts("it's", 5, 5),)))
    assert len({each.key for each in offered}) == len(offered) == 6
    assert any("min(" in each.sql for each in offered)
    assert [each.key for each in offered if each.unit == "account"] == ["accounts"]
    assert all("event = 'it''s'" in each.sql for each in offered if "event =" in each.sql)
    assert all(check(SqlDraft("x", each.unit, sql=each.sql)).definition for each in offered)
    known = examples(replace(DEMO, events=(*DEMO.events, EventFacts("onboarding_completed", 9, 9))))
    assert "event = 'onboarding_completed'" in known[0].sql
