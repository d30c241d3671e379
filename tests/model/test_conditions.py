"""Condition trees: what is written is what is read, and what cannot be meant is refused with its place."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from beton.errors import InputError
from beton.model.conditions import (
    ACTIVITY_OPS,
    ANY_EVENT,
    COUNTED_OPS,
    EVENT_OPS,
    MAX_DEPTH,
    MAX_LEAVES,
    MAX_LIST,
    MAX_TEXT,
    ORDER_OPS,
    PROPERTY_OPS,
    EventCondition,
    Group,
    PropertyCondition,
    join_list,
    leaves,
    parse,
    split_list,
    to_dict,
)

printable = st.text(st.characters(exclude_categories=("Cc", "Cs")), max_size=30).map(str.strip)
names = printable.filter(bool)
numbers = st.one_of(st.integers(-(2**63) + 1, 2**63 - 1), st.floats(allow_nan=False, allow_infinity=False))
scalars = st.one_of(names, st.booleans(), numbers)


@st.composite
def property_conditions(draw: st.DrawFn) -> PropertyCondition:
    op = draw(st.sampled_from(PROPERTY_OPS))
    value: Any
    if op == "between":
        value = tuple(sorted(draw(st.tuples(numbers, numbers))))
    elif op == "in list":
        value = tuple(draw(st.lists(scalars, min_size=1, max_size=5)))
    else:
        value = draw(numbers if op in ORDER_OPS else scalars)
    return PropertyCondition(draw(names), op, value)


@st.composite
def event_conditions(draw: st.DrawFn) -> EventCondition:
    op = draw(st.sampled_from(EVENT_OPS))
    event = draw(names.filter(lambda name: name != ANY_EVENT))
    if op in ACTIVITY_OPS:
        event = draw(st.sampled_from([ANY_EVENT, event]))
    value = draw(st.integers(0 if op == "count <=" else 1, 1_000_000)) if op in COUNTED_OPS else None
    days = draw(st.none() | st.integers(1, 730) | st.floats(0.01, 730))
    return EventCondition(event, op, value, days, tuple(draw(st.lists(property_conditions(), max_size=2))))


def groups(depth: int = MAX_DEPTH - 1) -> st.SearchStrategy[Group]:
    leaf = event_conditions() | property_conditions()
    items = leaf if depth == 1 else leaf | groups(depth - 1)
    match = st.sampled_from(["all", "any", "none"])
    return st.builds(Group, match, st.lists(items, min_size=1, max_size=3).map(tuple))


trees = groups().filter(lambda tree: sum(1 for _ in leaves(tree)) <= MAX_LEAVES)


@settings(deadline=None)
@given(trees)
def test_reading_what_was_written_gives_the_same_tree(tree: Group) -> None:
    assert parse(to_dict(tree)) == tree


def test_leaves_come_from_left_to_right() -> None:
    tree = parse({"all": [{"event": "a"}, {"any": [{"event": "b"}, {"property": "c", "value": 1}]}, {"event": "d"}]})

    assert [getattr(leaf, "event", None) or leaf.property for leaf in leaves(tree)] == ["a", "b", "c", "d"]


def test_a_lone_condition_becomes_a_group_of_one() -> None:
    assert parse({"event": "a"}) == Group("all", (EventCondition("a"),))


def test_not_is_none_of_one() -> None:
    one = Group("none", (EventCondition("a"),))

    assert parse({"not": {"event": "a"}}) == parse({"none": [{"event": "a"}]}) == one
    assert to_dict(one) == {"not": {"event": "a", "op": "completed"}}
    assert "none" in to_dict(Group("none", (EventCondition("a"), EventCondition("b"))))


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        ("3", 3),
        (" 3 ", 3),
        ("1,234", 1234),
        ("1,234.5", 1234.5),
        ("-2.50", -2.5),
        (7.0, 7),
        ("9007199254740993", 9007199254740993),
        (1e300, 1e300),
    ],
)
def test_numbers_are_read_from_text(typed: object, read: float) -> None:
    leaf = parse({"property": "seats", "op": ">", "value": typed}).items[0]

    assert leaf == PropertyCondition("seats", ">", read)
    assert type(leaf.value) is type(read)


@pytest.mark.parametrize(
    "typed", ["3,4", "1,2,3", "1_000", "", " ", "x", "nan", "inf", "1e999", "9" * 600, True, None, [], math.nan, 2**63]
)
def test_what_is_no_number_is_refused(typed: object) -> None:
    with pytest.raises(InputError) as refusal:
        parse({"property": "seats", "op": ">", "value": typed})

    assert refusal.value.fields == {"when.value": "> needs a number"}


def test_values_are_trimmed_and_empty_ones_left_out_of_lists() -> None:
    written = {"property": "plan", "op": "in list", "value": ["  pro ", "", "  ", 5.0, False]}

    assert parse(written).items[0] == PropertyCondition("plan", "in list", ("pro", 5, False))
    assert parse({"property": "plan", "value": " pro "}).items[0] == PropertyCondition("plan", "=", "pro")


@given(st.lists(names, min_size=1, max_size=8))
def test_a_typed_list_can_hold_commas_and_quotes(values: list[str]) -> None:
    assert split_list(join_list(values)) == values


def test_a_list_is_typed_with_commas() -> None:
    written = {"property": "company", "op": "in list", "value": 'Acme, "Smith, Jones & Co", 5" Pipes'}

    assert parse(written).items[0].value == ("Acme", "Smith, Jones & Co", '5" Pipes')


def _deep(levels: int) -> dict[str, Any]:
    tree: dict[str, Any] = {"event": "a"}
    for _ in range(levels):
        tree = {"all": [tree]}
    return tree


REFUSED: list[tuple[object, dict[str, str]]] = [
    (None, {"when": "write a condition"}),
    ([{"event": "a"}], {"when": "write a condition"}),
    ({}, {"when": "exactly one of event, property"}),
    ({"event": "a", "property": "b"}, {"when": "exactly one of event, property"}),
    ({"all": []}, {"when": "the group is empty"}),
    ({"any": "a"}, {"when": "the group is empty"}),
    ({"all": [{"event": "a"}], "unit": "user"}, {"when.unit": "unknown key 'unit'; use all"}),
    ({"all": [{"event": "a"}, 5]}, {"when.all.1": "write a condition"}),
    ({"not": {"any": [{"event": ""}]}}, {"when.not.any.0.event": "choose an event"}),
    ({"event": 5}, {"when.event": "choose an event"}),
    ({"event": "a\x1b[31mb"}, {"when.event": "contains control characters"}),
    ({"event": "\ud800"}, {"when.event": "contains control characters"}),
    ({"event": "x" * (MAX_TEXT + 1)}, {"when.event": "longer than 500 characters"}),
    ({"event": "a", "op": "did"}, {"when.op": "unknown operator 'did'; use one of completed"}),
    ({"event": "a", "op": ["completed"]}, {"when.op": "unknown operator of type list"}),
    ({"event": "a", "opp": "completed"}, {"when.opp": "unknown key 'opp'; use event, op"}),
    ({"event": "*"}, {"when.event": "any event (*) goes with active days"}),
    ({"event": "a", "op": "count >="}, {"when.value": "give a whole number of at least 1"}),
    ({"event": "a", "op": "count >=", "value": 0}, {"when.value": "give a whole number of at least 1"}),
    ({"event": "a", "op": "count >=", "value": 2.5}, {"when.value": "give a whole number"}),
    ({"event": "a", "op": "count >=", "value": True}, {"when.value": "give a whole number"}),
    ({"event": "a", "op": "count >=", "value": 1_000_001}, {"when.value": "give a whole number"}),
    ({"event": "a", "op": "count <=", "value": -1}, {"when.value": "give a whole number of at least 0"}),
    ({"event": "a", "within_days": 0}, {"when.within_days": "give a number of days between 0 and 730"}),
    ({"event": "a", "within_days": 731}, {"when.within_days": "give a number of days"}),
    ({"event": "a", "within_days": math.nan}, {"when.within_days": "give a number of days"}),
    ({"event": "a", "within_days": "soon"}, {"when.within_days": "give a number of days"}),
    ({"event": "a", "where": {"property": "b"}}, {"when.where": "write a list of property conditions"}),
    ({"event": "a", "where": [{"event": "b"}]}, {"when.where.0": "write a property condition"}),
    ({"event": "a", "where": [{"property": "b", "value": 1}, 5]}, {"when.where.1": "write a property condition"}),
    ({"event": "a", "where": [{"property": "b", "value": 1}] * (MAX_LEAVES + 1)}, {"when.where": "write a list"}),
    ({"event": "a", "where": [{"property": "b"}]}, {"when.where.0.value": "give a value"}),
    ({"property": "b"}, {"when.value": "give a value"}),
    ({"property": "b", "value": "  "}, {"when.value": "give a value"}),
    ({"property": "b", "op": "contains", "value": " "}, {"when.value": "give a value"}),
    ({"property": "b", "value": math.inf}, {"when.value": "give a value"}),
    ({"property": "b", "value": 10**5000}, {"when.value": "give a value"}),
    ({"property": "b", "value": {"x": 1}}, {"when.value": "give a value"}),
    ({"property": "b", "value": "\x00"}, {"when.value": "contains control characters"}),
    ({"property": "b", "op": "like", "value": 1}, {"when.op": "unknown operator 'like'"}),
    ({"property": "b", "op": "between", "value": 3}, {"when.value": "between needs two numbers"}),
    ({"property": "b", "op": "between", "value": [1]}, {"when.value": "between needs two numbers"}),
    ({"property": "b", "op": "between", "value": [1, None]}, {"when.value": "between needs two numbers"}),
    ({"property": "b", "op": "between", "value": [True, 2]}, {"when.value": "between needs two numbers"}),
    ({"property": "b", "op": "between", "value": [2, 1]}, {"when.value": "the lower end comes first"}),
    ({"property": "b", "op": "in list", "value": []}, {"when.value": "give at least one value"}),
    ({"property": "b", "op": "in list", "value": " , "}, {"when.value": "give at least one value"}),
    ({"property": "b", "op": "in list", "value": '"a'}, {"when.value": "give at least one value"}),
    ({"property": "b", "op": "in list", "value": "a\nb"}, {"when.value": "give at least one value"}),
    ({"property": "b", "op": "in list", "value": [[1]]}, {"when.value": "give a value"}),
    ({"property": "b", "op": "in list", "value": ["x"] * (MAX_LIST + 1)}, {"when.value": "give at most 200 values"}),
    ({"any": [{"event": "a"}] * (MAX_LEAVES + 1)}, {"when": "more than 40 conditions"}),
    ({"any": [{"event": "a"}] * 100_000}, {"when": "more than 40 conditions"}),
    (_deep(MAX_DEPTH), {"when" + ".all.0" * MAX_DEPTH: "groups nest deeper than 6 levels"}),
    (_deep(100_000), {"when" + ".all.0" * MAX_DEPTH: "groups nest deeper than 6 levels"}),
    ({"event": "a", 10**5000: 1}, {"when.int": "unknown key of type int"}),
]


@pytest.mark.parametrize(("node", "fields"), REFUSED, ids=range(len(REFUSED)))
def test_every_refusal_names_its_place(node: object, fields: dict[str, str]) -> None:
    with pytest.raises(InputError) as refusal:
        parse(node)

    assert refusal.value.fields.keys() == fields.keys()
    for path, sentence in fields.items():
        assert refusal.value.fields[path].startswith(sentence)
    assert str(refusal.value).startswith(next(iter(fields)))
    assert "\n" not in str(refusal.value)


def test_all_problems_are_reported_at_once() -> None:
    with pytest.raises(InputError) as refusal:
        parse(
            {
                "all": [
                    {"event": "", "op": "count >=", "value": "many", "within_days": -1},
                    {"any": [{"property": "", "op": ">", "value": "x"}, {"none": []}]},
                    {"event": "a", "where": [{"property": "p", "op": "?"}]},
                ]
            }
        )

    assert set(refusal.value.fields) == {
        "when.all.0.event",
        "when.all.0.value",
        "when.all.0.within_days",
        "when.all.1.any.0.property",
        "when.all.1.any.0.value",
        "when.all.1.any.1",
        "when.all.2.where.0.op",
    }
    assert str(refusal.value) == "when.all.0.event: choose an event (and 6 more)"


def test_the_deepest_allowed_tree_is_read() -> None:
    assert sum(1 for _ in leaves(parse(_deep(MAX_DEPTH - 1)))) == 1


def test_aliases_that_unfold_to_billions_are_refused_at_once() -> None:
    node: Any = {"event": "a"}
    for _ in range(MAX_DEPTH - 1):
        node = {"any": [node] * 100}

    with pytest.raises(InputError) as refusal:
        parse(node)

    assert set(refusal.value.fields.values()) == {"more than 40 conditions; split the signal"}


def test_a_node_inside_itself_is_refused() -> None:
    node: dict[str, Any] = {"all": []}
    node["all"].append(node)

    with pytest.raises(InputError, match="nest deeper"):
        parse(node)


hostile = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.just(5000).map(lambda digits: 10**digits),
        st.floats(),
        st.text(),
        st.binary(max_size=5),
        st.sampled_from([*EVENT_OPS, *PROPERTY_OPS, "*", "\ud800", "x" * 1000]),
    ),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["event", "property", "all", "any", "none", "not", "op", "value", "within_days", "where"])
            | st.text(max_size=3)
            | st.integers(),
            inner,
            max_size=5,
        )
    ),
    max_leaves=12,
)


@settings(max_examples=400, deadline=None)
@given(hostile)
def test_hostile_input_is_read_or_refused_in_printable_words(node: object) -> None:
    fields: dict[str, str] = {}
    tree = None
    try:
        tree = parse(node)
    except InputError as refusal:
        fields = refusal.fields | {"": str(refusal)}

    "".join(fields | dict.fromkeys(fields.values(), "")).encode()
    assert (tree is None) == bool(fields)
    assert tree is None or parse(to_dict(tree)) == tree
