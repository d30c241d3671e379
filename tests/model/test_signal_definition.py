"""Signal definitions: their clock, their identity, their files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from beton.errors import InputError
from beton.model.conditions import MAX_TEXT, EventCondition, Group, PropertyCondition
from beton.model.outcome import Outcome
from beton.model.signal import MAX_NAME, MAX_SQL_BYTES, Rollup, SignalDefinition, content_hash, from_dict
from beton.model.signal_file import MAX_FILE_BYTES, load


def signal(when: Any, **more: Any) -> SignalDefinition:
    return from_dict({"name": "S", "when": when, **more})


def event(name: str = "a", days: float | None = None) -> dict[str, Any]:
    return {"event": name} | ({} if days is None else {"within_days": days})


PLAN = {"property": "plan", "value": "pro"}


@pytest.mark.parametrize(
    ("when", "landmark_days"),
    [
        (event(days=3), 3),
        ({"all": [event(days=3), event(days=7)]}, 7),
        ({"all": [event(days=3), PLAN]}, 3),
        ({"all": [event(days=3), {"not": event(days=21)}]}, 21),
        (event(days=0.5), 0.5),
        (event(), 14),
        ({"all": [event(days=3), event()]}, 14),
        ({"all": [event(days=30), {"any": [PLAN, event()]}]}, 30),
        (PLAN, 14),
    ],
)
def test_the_landmark_is_the_signals_own_horizon(when: Any, landmark_days: float) -> None:
    assert signal(when).landmark_days == landmark_days


def test_a_landmark_can_be_set() -> None:
    assert signal(event(days=3), landmark_days=10).landmark_days == 10
    assert signal(event(), landmark_days=5).landmark_days == 5
    assert signal(event(days=3), landmark_days=3).landmark_days == 3


def test_a_landmark_may_not_cut_a_window_short() -> None:
    with pytest.raises(InputError) as refusal:
        signal({"all": [event(days=3), event("b", days=7)]}, landmark_days=5)

    assert refusal.value.fields == {"landmark_days": "shorter than the 7 days of b; raise it"}


def test_a_signal_at_any_time_needs_windows() -> None:
    assert signal(event(days=7), timing="any time").timing == "any time"
    with pytest.raises(InputError) as refusal:
        signal({"all": [event(days=7), {"any": [event("b"), PLAN]}]}, timing="any time")

    assert refusal.value.fields == {"when": "a signal at any time needs within_days on every event; add it to b"}


def test_events_and_properties_leave_out_the_filters_of_events() -> None:
    tree = {"all": [{**event(), "where": [{"property": "page", "value": "/"}]}, {"not": PLAN}]}

    assert [e.event for e in signal(tree).events] == ["a"]
    assert [p.property for p in signal(tree).properties] == ["plan"]


BASE = SignalDefinition(
    name="Onboarded",
    when=Group("all", (EventCondition("onboarding_completed", within_days=3),)),
    unit="account",
    rollup=Rollup("count", 2.0),
)
CHANGES: dict[str, Any] = {
    "when": Group("all", (EventCondition("onboarding_completed", within_days=4),)),
    "unit": "user",
    "rollup": Rollup("count", 3.0),
    "timing": "any time",
    "landmark_override_days": 7,
    "outcome": Outcome("deal created"),
}


def test_words_about_a_signal_do_not_change_its_meaning() -> None:
    renamed = replace(BASE, name="B", description="C", source="D")

    assert renamed.meaning_hash() == BASE.meaning_hash()


@pytest.mark.parametrize("field", CHANGES)
def test_everything_else_changes_its_meaning(field: str) -> None:
    changed = replace(BASE, **{field: CHANGES[field]})

    assert changed.meaning_hash() != BASE.meaning_hash()


def test_the_same_number_written_differently_is_the_same_meaning() -> None:
    ways: list[dict[str, Any]] = [{"seats": 5, "days": 3, "mark": 7}, {"seats": 5.0, "days": 3.0, "mark": 7.0}]
    hashes = {
        signal(
            {"all": [event(days=way["days"]), {"property": "seats", "value": way["seats"]}]}, landmark_days=way["mark"]
        ).meaning_hash()
        for way in ways
    }

    assert len(hashes) == 1


def test_a_rollup_of_any_user_has_one_meaning() -> None:
    written = {"name": "S", "unit": "account", "when": event()}

    assert from_dict(written) == from_dict({**written, "rollup": {"kind": "any", "value": 7}})


def test_content_hash_ignores_the_order_of_keys_and_nothing_else() -> None:
    assert content_hash({"a": 1, "b": [1, 2]}) == content_hash({"b": [1, 2], "a": 1})
    assert content_hash([1, 2]) != content_hash([2, 1])
    assert len(content_hash("ä")) == 16


FULL: dict[str, Any] = {
    "name": "Équipe: prête? #1",
    "description": "Two\nlines, a 'quote' and = signs",
    "source": "hypothesis",
    "unit": "account",
    "rollup": {"kind": "share", "value": 0.5},
    "landmark_days": 21,
    "outcome": {"source": "event", "belongs_to": "user", "event": "paid", "horizon_days": 60},
    "when": {
        "all": [
            {"event": "=1+1", "op": "count >=", "value": 2, "within_days": 2.5, "where": [PLAN | {"op": "="}]},
            {"any": [{"property": "country", "op": "in list", "value": ["NO", "yes", "1"]}, {"not": event("b")}]},
            {"property": "seats", "op": "between", "value": [0.1, 10]},
        ]
    },
}


def test_a_file_holds_the_whole_definition(tmp_path: Path) -> None:
    definition = from_dict(FULL)
    path = tmp_path / "signal.yaml"
    path.write_text(definition.to_yaml(), encoding="utf-8")

    assert load(path) == definition
    assert from_dict(definition.to_dict()) == definition
    assert load(path).meaning_hash() == definition.meaning_hash()


def test_json_is_read_as_well_and_a_byte_order_mark_does_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "signal.json"
    path.write_text('\ufeff{"name": "S", "when": {"event": "a", "within_days": 3}}', encoding="utf-8")

    assert load(path) == signal(event(days=3))


ANCHORS = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{n}: &{n} [{f'*{m},' * 9}]\n" for m, n in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\xff\xfen\x00", "is not UTF-8 text; save it as UTF-8"),
        (b"name: [", "is not valid YAML at line 1; check indentation"),
        (b"name: S\nwhen:\n  property: seats\n  op: >=\n  value: 3", 'write operators in quotes: op: ">="'),
        (b"name: S\nwhen: {property: plan, op: =, value: pro}", 'write operators in quotes: op: ">="'),
        (b"a: 1\n---\nb: 2", "is not valid YAML at line 2"),
        (b"name: !!python/object/apply:os.getcwd []", "is not valid YAML"),
        (b"name: " + b"1" * 5000, "a date, number or nesting that cannot be read"),
        (b"name: 2024-13-45", "a date, number or nesting that cannot be read"),
        (b"[" * 50_000, "a date, number or nesting that cannot be read"),
        (b"name: " + b"x" * MAX_FILE_BYTES, "is larger than 100,000 bytes"),
        (b"", "a signal is a mapping"),
        (b"- 1", "a signal is a mapping"),
        (b"name: 5\nwhen: {event: a}", "name: give the signal a name"),
        (b"name: S\nwhen: {event: a}\n? 0x" + b"f" * 5000 + b"\n: 1", "int: unknown key of type int"),
        ((ANCHORS + "name: S\nwhen: {event: a, op: *i}").encode(), "unknown key 'a'"),
        ((ANCHORS + "name: S\ndescription: *i\nwhen: {all: *i}").encode(), "unknown key 'a'"),
    ],
)
def test_an_unusable_file_is_refused_in_one_line(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "signal.yaml"
    path.write_bytes(content)

    with pytest.raises(InputError) as refusal:
        load(path)

    assert message in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_a_file_that_cannot_be_opened_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "nowhere.yaml"):
        with pytest.raises(InputError, match="check the file name"):
            load(path)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": None}, "name"),
        ({"name": "  "}, "name"),
        ({"name": "x" * (MAX_NAME + 1)}, "name"),
        ({"name": "a\nb"}, "name"),
        ({"name": "\ud800"}, "name"),
        ({"description": 5}, "description"),
        ({"description": "x" * (MAX_TEXT + 1)}, "description"),
        ({"description": "\x1b[31m"}, "description"),
        ({"source": "x" * (MAX_NAME + 1)}, "source"),
        ({"unit": "team"}, "unit"),
        ({"unit": None}, "unit"),
        ({"timing": "always"}, "timing"),
        ({"landmark_days": 0}, "landmark_days"),
        ({"landmark_days": True}, "landmark_days"),
        ({"landmark_days": float("nan")}, "landmark_days"),
        ({"landmark_days": 731}, "landmark_days"),
        ({"landmark_days": "14"}, "landmark_days"),
        ({"rollup": "any"}, "rollup"),
        ({"rollup": {"kind": "most"}}, "rollup"),
        ({"rollup": {"kind": "count", "value": 2, "of": 3}}, "rollup"),
        ({"rollup": {"kind": "count", "value": 0}}, "rollup.value"),
        ({"rollup": {"kind": "count", "value": 1.5}}, "rollup.value"),
        ({"rollup": {"kind": "count", "value": True}}, "rollup.value"),
        ({"rollup": {"kind": "count", "value": "2"}}, "rollup.value"),
        ({"rollup": {"kind": "share", "value": 1.5}}, "rollup.value"),
        ({"rollup": {"kind": "share", "value": float("nan")}}, "rollup.value"),
        ({"outcome": "deal won"}, "outcome"),
        ({"outcome": {"source": "x"}}, "outcome.source"),
        ({"when": None}, "when"),
        ({"when": {"event": ""}}, "when.event"),
        ({"whens": 1}, "whens"),
    ],
)
def test_every_refusal_names_its_field(change: dict[str, Any], field: str) -> None:
    with pytest.raises(InputError) as refusal:
        from_dict({"name": "S", "unit": "account", "when": {"event": "a"}, **change})

    assert list(refusal.value.fields) == [field]


def test_all_problems_are_reported_at_once() -> None:
    with pytest.raises(InputError) as refusal:
        from_dict({"unit": "x", "when": {"event": ""}, "outcome": {"source": "x"}, "landmark_days": -1, "extra": 1})

    assert set(refusal.value.fields) == {"name", "unit", "when.event", "outcome.source", "landmark_days", "extra"}


def test_a_rollup_of_single_users_is_refused() -> None:
    with pytest.raises(InputError) as refusal:
        signal(event(), rollup={"kind": "count", "value": 2})

    assert refusal.value.fields == {
        "rollup": "a rollup says how users make up an account; set unit: account or remove it"
    }


@pytest.mark.parametrize("raw", [None, 5, "name", [], b"x"])
def test_what_is_no_mapping_is_refused(raw: object) -> None:
    with pytest.raises(InputError, match="a signal is a mapping"):
        from_dict(raw)


QUERY = "SELECT user_id FROM events"


def query(**more: Any) -> SignalDefinition:
    return from_dict({"name": "S", "sql": QUERY} | more)


@pytest.mark.parametrize("more", [{}, {"unit": "account"}, {"landmark_days": 3, "outcome": {"source": "deal created"}}])
def test_a_query_stands_in_the_place_of_conditions(more: dict[str, Any]) -> None:
    definition = query(**more)

    assert definition.sql == QUERY
    assert definition.events == definition.properties == ()
    assert definition.landmark_days == more.get("landmark_days", 14)
    assert not {"when", "rollup"} & set(definition.to_dict())
    assert from_dict(definition.to_dict()) == definition


def test_how_a_query_ends_its_lines_is_no_meaning_and_everything_else_is() -> None:
    lines = "SELECT user_id\n  FROM events"
    same = [query(sql=text).meaning_hash() for text in (lines, f"\n\n{lines} \n\n", lines.replace("\n", "\t\r\n"))]

    assert len(set(same)) == 1
    assert query(sql=lines).sql == lines
    assert query(sql=lines.replace("  ", " ")).meaning_hash() != same[0]
    assert query(sql=lines, unit="account").meaning_hash() != same[0]


def test_a_query_is_written_as_the_lines_that_it_is() -> None:
    assert "sql: |-\n  SELECT user_id\n    FROM events\n" in query(sql="SELECT user_id\n  FROM events").to_yaml()


@pytest.mark.parametrize(
    ("change", "fields"),
    [
        ({"sql": ""}, ["sql"]),
        ({"sql": " \n\t"}, ["sql"]),
        ({"sql": None}, ["sql"]),
        ({"sql": 5}, ["sql"]),
        ({"sql": "SELECT 1\x00"}, ["sql"]),
        ({"sql": "SELECT '\ud800'"}, ["sql"]),
        ({"sql": "é" * (MAX_SQL_BYTES // 2 + 1)}, ["sql"]),
        ({"when": {"event": "a"}}, ["when"]),
        ({"unit": "account", "rollup": {"kind": "count", "value": 2}}, ["rollup"]),
        ({"timing": "any time"}, ["timing"]),
    ],
)
def test_what_a_query_cannot_go_with_is_refused(change: dict[str, Any], fields: list[str]) -> None:
    with pytest.raises(InputError) as refusal:
        query(**change)

    assert list(refusal.value.fields) == fields
    assert "\n" not in str(refusal.value)


def test_a_property_only_signal_is_read() -> None:
    assert signal(PLAN).when == Group("all", (PropertyCondition("plan", "=", "pro"),))
