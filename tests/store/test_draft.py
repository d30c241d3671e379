"""The builder's state: its transitions, its way to a definition and back, and what a browser may send."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from beton.model.signal import from_dict
from store import SLICES
from store.codec import STALE, UNREADABLE, Decoded, Slice, decode, encode
from store.draft import (
    MAX_NESTING,
    TRANSITIONS,
    WITHIN,
    Box,
    Draft,
    Row,
    add_event,
    add_filter,
    add_group,
    add_property,
    check,
    from_definition,
    located,
    nodes,
    places_of,
    reduce,
    remove,
    visible_errors,
    with_values,
    wrap,
)
from store.origin import Origin


def draft(*items: Row | Box, **more: Any) -> Draft:
    return Draft("S", "user", Box("root", more.pop("match", "all"), items), **{"next_key": 100, **more})


def event(key: str = "e", subject: str = "a", **more: Any) -> Row:
    return Row(key, "event", subject, **{"op": "completed", **more})


def trait(key: str = "p", subject: str = "plan", **more: Any) -> Row:
    return Row(key, "property", subject, **{"op": "=", "value": "pro", **more})


def keys(given: Draft) -> list[str]:
    return [node.key for node in nodes(given.root)]


# --- transitions


def test_a_fresh_draft_has_one_event_row() -> None:
    assert keys(Draft()) == ["root", "r1"]
    assert Draft().root.items == (Row("r1", "event", op="completed"),)


def test_rows_are_added_at_the_end_of_their_group() -> None:
    one = add_property(add_event(Draft(), "root"), "root")

    assert one.root.items[1:] == (Row("r2", "event", op="completed"), Row("r3", "property", op="="))
    assert one.next_key == 4


def test_a_group_comes_with_a_row_and_rows_can_be_added_to_it() -> None:
    one = add_event(add_group(Draft(), "root"), "g2")

    assert one.root.items[1] == Box(
        "g2", "any", (Row("r3", "event", op="completed"), Row("r4", "event", op="completed"))
    )
    assert one.next_key == 5


def test_a_filter_narrows_an_event_and_nothing_else() -> None:
    assert add_filter(draft(event()), "e").root.items == (event(filters=(Row("r100", "property", op="="),)),)
    for other in (draft(trait()), draft(event(filters=(trait(),)))):
        assert add_filter(other, "p").root == other.root
    assert add_filter(draft(event()), "root").root == draft(event()).root


def test_a_row_is_wrapped_where_it_stands() -> None:
    assert wrap(draft(event(), trait()), "e").root.items == (Box("g100", "any", (event(),)), trait())


def test_what_is_no_row_of_a_group_is_not_wrapped() -> None:
    filtered = draft(event(filters=(trait(),)))

    assert wrap(filtered, "p").root == filtered.root
    assert wrap(filtered, "root").root == filtered.root


def test_removing_the_last_row_of_a_group_removes_the_group() -> None:
    nested = draft(event(), Box("g", "any", (Box("h", "none", (trait(),)),)))

    assert remove(nested, "p").root.items == (event(),)
    assert remove(nested, "h").root.items == (event(),)


def test_removing_a_filter_keeps_its_row() -> None:
    assert remove(draft(event(filters=(trait("p"), trait("q")))), "p").root.items == (event(filters=(trait("q"),)),)


def test_the_root_is_never_empty_and_keeps_its_match() -> None:
    last = remove(draft(event(), match="none"), "e")

    assert last.root == Box("root", "none", (Row("r100", "event", op="completed"),))
    assert remove(draft(Box("g", "any", (event(),))), "g").root.items == (Row("r100", "event", op="completed"),)
    assert remove(draft(event()), "root").root == draft(event()).root


@pytest.mark.parametrize("intent", sorted(TRANSITIONS))
def test_an_unknown_key_changes_nothing(intent: str) -> None:
    assert reduce(draft(event(), trait()), intent, "nowhere").root == draft(event(), trait()).root


def test_an_unknown_intent_fails_loudly() -> None:
    with pytest.raises(KeyError):
        reduce(Draft(), "explode", "root")


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from(sorted(TRANSITIONS)), st.integers(0, 30)), max_size=25))
def test_any_series_of_clicks_leaves_a_sound_tree(clicks: list[tuple[str, int]]) -> None:
    state = Draft()
    for intent, at in clicks:
        state = reduce(state, intent, keys(state)[at % len(keys(state))])

        assert len(set(keys(state))) == len(keys(state))
        assert all(node.items for node in nodes(state.root) if isinstance(node, Box))
        assert state.root.key == "root"
        assert all(int(key[1:]) < state.next_key for key in keys(state) if key != "root")
    assert decode(KEPT, json.loads(json.dumps(encode(KEPT, state)))) == Decoded(state)


# --- values of fields


def test_fields_are_taken_over_by_key() -> None:
    state = draft(event(filters=(trait(),)), Box("g", "any", (event("f"),)))
    filled = with_values(
        state,
        {
            ("e", "subject"): "signup",
            ("e", "within"): 3.0,
            ("p", "value"): None,
            ("f", "value"): 2.5,
            ("g", "match"): "none",
            ("root", "match"): "some",
            ("gone", "value"): "x",
        },
    )

    assert filled.root == Box(
        "root",
        "all",
        (
            event(subject="signup", within="3", filters=(trait(value=""),)),
            Box("g", "none", (event("f", value="2.5"),)),
        ),
    )


@pytest.mark.parametrize(
    ("typed", "text"),
    [(1234567.0, "1234567"), (1234567.5, "1234567.5"), (0.1, "0.1"), (7, "7"), (True, "true"), (None, "")],
)
def test_numbers_lose_no_digits(typed: object, text: str) -> None:
    assert with_values(draft(trait()), {("p", "value"): typed}).root.items[0] == trait(value=text)


# --- to a definition and back


DEFINITIONS: list[dict[str, Any]] = [
    {"when": {"event": "onboarding_completed", "within_days": 3}},
    {"when": {"all": [{"event": "a"}, {"any": [{"event": "b", "op": "not completed"}, {"none": [{"event": "c"}]}]}]}},
    {"when": {"none": [{"event": "a"}, {"event": "b", "op": "count >=", "value": 2, "within_days": 2.5}]}},
    {"when": {"not": {"any": [{"event": "a"}, {"not": {"event": "*", "op": "active days >=", "value": 3}}]}}},
    {"when": {"event": "a", "where": [{"property": "b", "value": "/"}, {"property": "c", "value": "1"}]}},
    {"when": {"property": "seats", "op": "between", "value": [1234567.5, 98765432]}},
    {"when": {"property": "plan", "op": "in list", "value": ["a, b", 'say "c"', "d"]}},
    {"when": {"property": "seats", "op": ">=", "value": 1234567}, "unit": "account"},
    {
        "when": {"event": "a", "within_days": 7},
        "description": "Why",
        "source": "Discovery",
        "outcome": {"source": "deal created", "horizon_days": 30},
        "timing": "any time",
        "landmark_days": 9,
    },
    {"when": {"event": "a"}, "unit": "account", "rollup": {"kind": "share", "value": 0.5}},
]  # fmt: skip


@pytest.mark.parametrize("plain", DEFINITIONS, ids=range(len(DEFINITIONS)))
def test_a_definition_can_be_opened_and_read_again(plain: dict[str, Any]) -> None:
    definition = from_dict({"name": "S", **plain})
    opened = from_definition(definition)

    assert check(opened).errors == {}
    assert check(opened).definition == definition
    assert decode(KEPT, json.loads(json.dumps(encode(KEPT, opened)))) == Decoded(opened)
    assert all(int(key[1:]) < opened.next_key for key in keys(opened) if key != "root")


def test_a_draft_can_be_saved_and_opened_again() -> None:
    state = draft(
        event("r1", within="3", filters=(trait("r2"),)),
        Box("g3", "none", (trait("r4", op="in list", value="a, b"), event("r5", op="count >=", value="2"))),
        match="any",
    )
    definition = check(state).definition

    assert definition is not None
    opened = from_definition(definition)
    unnamed = [
        replace(node, key="", **{"items" if isinstance(node, Box) else "filters": ()}) for node in nodes(state.root)
    ]
    assert unnamed == [
        replace(node, key="", **{"items" if isinstance(node, Box) else "filters": ()}) for node in nodes(opened.root)
    ]


def test_a_rollup_is_left_out_once_the_unit_is_the_user() -> None:
    plain = {"name": "S", "when": {"event": "a"}, "unit": "account", "rollup": {"kind": "count", "value": 2}}
    by_user = check(replace(from_definition(from_dict(plain)), unit="user"))

    assert by_user.errors == {}
    assert by_user.definition == from_dict({"name": "S", "when": {"event": "a"}})


def test_within_x_days_is_completed_with_a_window() -> None:
    definition = check(draft(event(op=WITHIN, within="3"))).definition

    assert definition is not None
    assert definition == from_dict({"name": "S", "when": {"event": "a", "within_days": 3}})


@pytest.mark.parametrize(
    ("row", "leaf"),
    [
        (event(value="5", value2="9"), {"event": "a"}),
        (event(op="not completed", value="many"), {"event": "a", "op": "not completed"}),
        (event(op="count >=", value="5", value2="x"), {"event": "a", "op": "count >=", "value": 5}),
        (trait(value="pro", value2="9", within="x"), {"property": "plan", "value": "pro"}),
        (trait(op="in list", value="pro", value2="9"), {"property": "plan", "op": "in list", "value": ["pro"]}),
        (trait(op="between", value="1", value2="9"), {"property": "plan", "op": "between", "value": [1, 9]}),
    ],
)
def test_what_another_operator_left_behind_is_ignored(row: Row, leaf: dict[str, Any]) -> None:
    assert check(draft(row)).definition == from_dict({"name": "S", "when": leaf})


# --- errors beside their fields


@pytest.mark.parametrize(
    ("row", "at", "sentence"),
    [
        (event(subject=""), ("e", "subject"), "choose an event"),
        (event(op=""), ("e", "op"), "unknown operator"),
        (event(op="count >="), ("e", "value"), "give a whole number"),
        (event(op="count >=", value="x"), ("e", "value"), "give a whole number"),
        (event(op=WITHIN), ("e", "within"), "give the number of days"),
        (event(op=WITHIN, within=" "), ("e", "within"), "give the number of days"),
        (event(op=WITHIN, within="-3"), ("e", "within"), "give a number of days"),
        (event(within="soon"), ("e", "within"), "give a number of days"),
        (event(subject="*"), ("e", "subject"), "any event (*) goes with"),
        (event(filters=(trait(value=""),)), ("p", "value"), "give a value"),
        (event(filters=(trait(subject=""),)), ("p", "subject"), "choose a property"),
        (trait(subject=""), ("p", "subject"), "choose a property"),
        (trait(op="~"), ("p", "op"), "unknown operator"),
        (trait(value=" "), ("p", "value"), "give a value"),
        (trait(op=">", value="much"), ("p", "value"), "> needs a number"),
        (trait(op="between", value="3"), ("p", "value"), "between needs two numbers"),
        (trait(op="between", value="3", value2="1"), ("p", "value"), "the lower end comes first"),
        (trait(op="in list", value=","), ("p", "value"), "give at least one value"),
    ],
)
@pytest.mark.parametrize("match", ["all", "any", "none"])
@pytest.mark.parametrize("is_nested", [False, True])
def test_an_error_lands_beside_its_field(
    row: Row, at: tuple[str, str], sentence: str, match: str, is_nested: bool
) -> None:
    inner = (event("ok"), Box("g", "none", (row,))) if is_nested else (row,)
    found = check(draft(*inner, match=match))

    assert found.definition is None
    assert list(found.errors) == [at]
    assert found.errors[at].startswith(sentence)


def test_all_errors_are_found_at_once() -> None:
    found = check(Draft("", "team", Box("root", "all", (event(op=WITHIN), trait(value="")))))

    assert set(found.errors) == {("", "name"), ("", "unit"), ("e", "within"), ("p", "value")}


def test_groups_that_nest_too_deep_are_said_at_the_row() -> None:
    state = Draft("S", root=Box("root", "all", (event(),)), next_key=1)
    for _ in range(8):
        state = wrap(state, "e")
    (at,) = check(state).errors

    assert at[0] in keys(state)


def test_too_many_rows_are_said_at_the_root() -> None:
    found = check(draft(*(event(f"e{i}") for i in range(41))))

    assert found.errors == {("root", "match"): "more than 40 conditions; split the signal"}


def test_refusals_of_the_engine_find_their_row() -> None:
    state = draft(event(), Box("g", "none", (event("f", filters=(trait(),)),)))
    places = places_of(state)

    assert located({"when.all.0.event": "x", "when.all.1.not.where.0.property": "y", "snapshot": "z"}, places) == {
        ("e", "subject"): "x",
        ("p", "subject"): "y",
        ("", "snapshot"): "z",
    }


# --- what a browser may send


KEPT: Slice[Draft] = SLICES["draft"]
STORED = draft(event(filters=(trait(),)), Box("g", "any", (event("f"),)))


def stored() -> dict[str, Any]:
    """What the browser holds for STORED, as it comes back from it."""
    plain: dict[str, Any] = json.loads(json.dumps(encode(KEPT, STORED)))
    return plain


def test_a_stored_draft_is_read() -> None:
    assert decode(KEPT, stored()) == Decoded(STORED)


def deep(levels: int) -> dict[str, Any]:
    node = stored()["state"]["root"]["items"][0]
    for level in range(levels):
        node = {"key": f"x{level}", "match": "all", "items": [node]}
    return node


def deep_filter(levels: int) -> dict[str, Any]:
    event_row = stored()["state"]["root"]["items"][0]
    row = event_row["filters"][0]
    for level in range(levels):
        row = {**row, "key": f"x{level}", "filters": [row]}
    return {**event_row, "filters": [row]}


BROKEN: list[tuple[tuple[str | int, ...], Any]] = [
    (("name",), None),
    (("name",), 5),
    (("unit",), ["user"]),
    (("next_key",), "many"),
    (("next_key",), None),
    (("next_key",), float("nan")),
    (("next_key",), float("inf")),
    (("next_key",), 10**30),
    (("rest",), []),
    (("rest",), None),
    (("root",), None),
    (("root",), "match"),
    (("root",), []),
    (("root",), {}),
    (("root",), deep(MAX_NESTING + 1)),
    (("root",), deep(150)),
    (("root", "key"), 7),
    (("root", "key"), "e"),
    (("root", "match"), "some"),
    (("root", "match"), {}),
    (("root", "items"), []),
    (("root", "items"), None),
    (("root", "items"), 5),
    (("root", "items"), "rows"),
    (("root", "items"), {"a": 1}),
    (("root", "items", 0), None),
    (("root", "items", 0), deep_filter(100)),
    (("root", "items", 0, "key"), "g"),
    (("root", "items", 0, "kind"), "group"),
    (("root", "items", 0, "subject"), 5),
    (("root", "items", 0, "op"), None),
    (("root", "items", 0, "value"), ["x"]),
    (("root", "items", 0, "filters"), None),
    (("root", "items", 0, "filters"), 5),
    (("root", "items", 0, "filters", 0), 5),
    (("root", "items", 0, "filters", 0, "kind"), "event"),
    (("root", "items", 0, "filters", 0), {"key": "y", "match": "all", "items": []}),
    (("root", "items", 1, "items", 0, "within"), 3),
    (("root", "items", 1, "items", 0, "key"), "p"),
]


@pytest.mark.parametrize(("path", "value"), BROKEN, ids=range(len(BROKEN)))
def test_what_the_builder_did_not_write_is_a_fresh_draft(path: tuple[str | int, ...], value: Any) -> None:
    raw = stored()
    at: Any = raw["state"]
    for step in path[:-1]:
        at = at[step]
    at[path[-1]] = value

    assert decode(KEPT, raw) == Decoded(Draft(), UNREADABLE)


@pytest.mark.parametrize("raw", [[], "x", 5, {}, {"v": 1}, {"v": 1, "state": None}, {"v": 1, "state": []}])
def test_something_else_altogether_is_a_fresh_draft(raw: object) -> None:
    assert decode(KEPT, raw) == Decoded(Draft(), UNREADABLE)


def test_nothing_stored_is_a_fresh_draft_without_a_notice() -> None:
    assert decode(KEPT, None) == Decoded(Draft())


def test_another_version_is_a_fresh_draft() -> None:
    assert decode(KEPT, stored() | {"v": 0}) == Decoded(Draft(), STALE)


def test_a_hostile_rest_is_an_error_and_not_a_crash() -> None:
    raw = stored()
    raw["state"]["rest"] = {"outcome": 5, "landmark_days": "x", "nothing": [], "name": "evil", "when": {}}

    assert set(check(decode(KEPT, raw).state).errors) == {("", "outcome"), ("", "landmark_days"), ("", "nothing")}


# --- which errors are shown


def test_empty_fields_are_not_held_against_a_draft_nobody_tried() -> None:
    state = draft(event(subject="", within="soon"), trait(value=""))

    assert set(visible_errors(state, check(state))) == {("e", "within")}
    tried = replace(state, attempted=True)
    assert visible_errors(tried, check(tried)) == check(tried).errors
    assert set(check(tried).errors) == {("e", "subject"), ("e", "within"), ("p", "value")}


def test_beginning_anew_leaves_nothing_behind() -> None:
    saved = from_dict({"name": "Saved", "unit": "account", "when": {"event": "x"}})
    opened = from_definition(saved, Origin("signal", "sig_001", "Saved", 4))
    assert decode(SLICES["draft"], encode(SLICES["draft"], opened)).state == opened
    assert reduce(opened, "new", "root") == Draft()


def test_what_a_draft_was_made_from_is_the_same_whatever_its_name_was() -> None:
    origin = Origin("signal", "sig_001", "Saved", 4)
    assert origin.is_same(Origin("signal", "sig_001"))
    assert not origin.is_same(Origin("run", "sig_001", "Saved", 4))
    assert not origin.is_same(None)
