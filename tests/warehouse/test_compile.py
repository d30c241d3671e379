"""Every operator on people whose answer is known by hand: who carries a condition."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import reference
from journeys import Journeys
from reference import DAY, MONDAY, NEVER, Act, Person, Row, World, ask

from beton.errors import InputError
from beton.model.manifest import Manifest
from beton.model.signal import from_dict
from beton.warehouse.compile import Catalogue
from beton.warehouse.landmark import Clock
from beton.warehouse.reader import Warehouse

SECOND = 1 / DAY


@pytest.fixture(scope="module")
def doers(tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    """People named after what they did, all signed up on Monday 1 January 2024."""
    people = Journeys(tmp_path_factory.mktemp("doers"), data_end="2024-12-31")
    people.user("nothing").did("other", after_days=1)
    people.user("before").did("x", after_days=-SECOND).did("x", after_days=-3)
    people.user("at_signup").did("x", after_days=0)
    people.user("last_second").did("x", after_days=3 - SECOND)
    people.user("at_the_end").did("x", after_days=3)
    people.user("later").did("x", after_days=10)
    people.user("much_later").did("x", after_days=14)
    people.user("twice").did("x", after_days=0.5).did("x", after_days=2)
    people.user("twice_at_once").did("x", after_days=1, times=2)
    people.user("twice_once_early").did("x", after_days=-1).did("x", after_days=1)
    people.user("thrice_in_time_and_after").did("x", after_days=2).did("x", after_days=2.5).did("x", after_days=3)
    return people.build()


def names(warehouse: Warehouse, when: dict[str, Any], **more: Any) -> set[str]:
    return {unit for unit, row in rows(warehouse, when, **more).items() if row.signal}


def rows(warehouse: Warehouse, when: dict[str, Any], **more: Any) -> dict[Any, Row]:
    definition = {"name": "asked", "when": when, **more}
    landmark = round(from_dict(definition).landmark_days * DAY)
    end = int(datetime(2024, 12, 31, tzinfo=UTC).timestamp())
    return ask(warehouse, definition, Clock(landmark, DAY, 30 * DAY, end, MONDAY))


EVERYBODY = {
    "nothing", "before", "at_signup", "last_second", "at_the_end", "later", "much_later", "twice", "twice_at_once",
    "twice_once_early", "thrice_in_time_and_after",
}  # fmt: skip
ONCE = {"at_signup", "last_second", "twice", "twice_at_once", "twice_once_early", "thrice_in_time_and_after"}
TWICE = {"twice", "twice_at_once", "thrice_in_time_and_after"}


@pytest.mark.parametrize(
    ("leaf", "carriers"),
    [
        ({"within_days": 3}, ONCE),
        ({"op": "completed", "within_days": 10}, ONCE | {"at_the_end"}),
        ({"op": "completed"}, ONCE | {"at_the_end", "later"}),
        ({"within_days": 0.5}, {"at_signup"}),
        ({"within_days": 0.5 + SECOND}, {"at_signup", "twice"}),
        ({"op": "not completed", "within_days": 3}, EVERYBODY - ONCE),
        ({"op": "not completed"}, {"nothing", "before", "much_later"}),
        ({"op": "count >=", "value": 1, "within_days": 3}, ONCE),
        ({"op": "count >=", "value": 2, "within_days": 3}, TWICE),
        ({"op": "count >=", "value": 3, "within_days": 3}, set()),
        ({"op": "count >=", "value": 3, "within_days": 4}, {"thrice_in_time_and_after"}),
        ({"op": "count <=", "value": 0, "within_days": 3}, EVERYBODY - ONCE),
        ({"op": "count <=", "value": 1, "within_days": 3}, EVERYBODY - TWICE),
        ({"op": "count <=", "value": 2, "within_days": 3}, EVERYBODY),
        ({"op": "count <=", "value": 2, "within_days": 4}, EVERYBODY - {"thrice_in_time_and_after"}),
    ],
)
def test_an_event_condition_finds_exactly_those_who_did_it_in_time(
    doers: Warehouse, leaf: dict[str, Any], carriers: set[str]
) -> None:
    assert names(doers, {"event": "x", **leaf}) == carriers


@pytest.mark.parametrize(
    ("when", "matched_after_days"),
    [
        ({"event": "x", "within_days": 3}, 0.5),
        ({"event": "x", "op": "count >=", "value": 2, "within_days": 3}, 2),
        ({"event": "x", "op": "count >=", "value": 3, "within_days": 3}, None),
        ({"event": "x", "op": "count <=", "value": 2, "within_days": 3}, 3),
        ({"event": "other", "op": "not completed"}, 14),
        ({"event": "x", "op": "active days >=", "value": 2, "within_days": 7}, 2),
        ({"all": [{"event": "x", "within_days": 3}, {"event": "other", "op": "not completed", "within_days": 1}]}, 1),
        ({"any": [{"event": "x", "within_days": 3}, {"event": "other", "op": "not completed", "within_days": 1}]}, 0.5),
        ({"none": [{"event": "other", "within_days": 2}, {"event": "y_other", "within_days": 1}]}, 2),
    ],
)
def test_a_match_is_dated_when_it_became_certain(
    doers: Warehouse, when: dict[str, Any], matched_after_days: float | None
) -> None:
    if "y_other" in json.dumps(when):
        when = json.loads(json.dumps(when).replace("y_other", "other"))
    at = rows(doers, when)["twice"].matched_at
    assert at == (NEVER if matched_after_days is None else MONDAY + round(matched_after_days * DAY))


def test_groups_nest(doers: Warehouse) -> None:
    early, twice = {"event": "x", "within_days": 3}, {"event": "x", "op": "count >=", "value": 2, "within_days": 3}
    other = {"event": "other"}
    assert names(doers, {"all": [early, twice]}) == TWICE
    assert names(doers, {"any": [twice, other]}) == TWICE | {"nothing"}
    assert names(doers, {"none": [early, other]}) == EVERYBODY - ONCE - {"nothing"}
    assert names(doers, {"not": {"not": twice}}) == TWICE
    assert names(doers, {"all": [early, {"none": [twice, {"any": [other, {"not": early}]}]}]}) == ONCE - TWICE
    assert names(doers, {"all": [{"not": early}, {"any": [early, other]}]}) == {"nothing"}


# --- activity


@pytest.fixture(scope="module")
def actives(tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    """Signed up at noon: days and weeks count from there, not from midnight or Monday."""
    people = Journeys(tmp_path_factory.mktemp("actives"), data_end="2024-12-31")
    noon = "2024-01-03T12:00:00"
    people.user("one_day", signed_up=noon).did("x", after_days=0.1).did("y", after_days=0.9)
    people.user("across_midnight", signed_up=noon).did("x", after_days=0.4).did("x", after_days=0.6)
    people.user("two_days", signed_up=noon).did("x", after_days=1 - SECOND).did("y", after_days=1)
    people.user("two_x_days", signed_up=noon).did("x", after_days=0, times=3).did("x", after_days=5)
    people.user("two_weeks", signed_up=noon).did("x", after_days=6.9).did("x", after_days=7)
    people.user("three_weeks", signed_up=noon).did("x", after_days=0).did("y", after_days=13).did("x", after_days=20)
    people.user("too_early", signed_up=noon).did("x", after_days=-0.1).did("x", after_days=0.1)
    return people.build()


@pytest.mark.parametrize(
    ("leaf", "carriers"),
    [
        ({"event": "*", "op": "active days >=", "value": 2, "within_days": 7},
         {"two_days", "two_x_days"}),
        ({"event": "*", "op": "active days >=", "value": 2, "within_days": 5}, {"two_days"}),
        ({"event": "*", "op": "active days >=", "value": 2, "within_days": 8}, {"two_days", "two_x_days", "two_weeks"}),
        ({"event": "x", "op": "active days >=", "value": 2, "within_days": 7}, {"two_x_days"}),
        ({"event": "*", "op": "active days >=", "value": 1, "within_days": 0.2},
         {"one_day", "two_x_days", "three_weeks", "too_early"}),
        ({"event": "*", "op": "active weeks >=", "value": 2, "within_days": 14}, {"two_weeks", "three_weeks"}),
        ({"event": "*", "op": "active weeks >=", "value": 2, "within_days": 7}, set()),
        ({"event": "*", "op": "active weeks >=", "value": 3, "within_days": 21}, {"three_weeks"}),
        ({"event": "*", "op": "active weeks >=", "value": 3, "within_days": 20}, set()),
        ({"event": "x", "op": "active weeks >=", "value": 2, "within_days": 28}, {"two_weeks", "three_weeks"}),
    ],
)  # fmt: skip
def test_activity_counts_distinct_days_and_weeks_since_signup(
    actives: Warehouse, leaf: dict[str, Any], carriers: set[str]
) -> None:
    assert names(actives, leaf) == carriers


# --- properties


@pytest.fixture(scope="module")
def traits(tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    people = Journeys(tmp_path_factory.mktemp("traits"), data_end="2024-12-31")
    people.user("ann", company="small", company_size=50, plan="Pro Team", seats=5, score=0.1, beta=True, note="ΟΔΟΣ 1")
    people.user("bob", company="large", company_size=500, plan="free", seats=10, score=2.5, beta=False, note="it's")
    people.user("cyd", company="huge", company_size=501, plan="pro team", seats=9_007_199_254_740_991, note="100% x_y")
    people.user("dan", plan=None, score=-1.0).did("x", after_days=1)
    return people.build()


@pytest.mark.parametrize(
    ("test", "carriers"),
    [
        (("plan", "=", "free"), "bob"),
        (("plan", "=", "FREE"), ""),
        (("plan", "!=", "free"), "ann cyd"),
        (("plan", "contains", "TEAM"), "ann cyd"),
        (("plan", "contains", "ee"), "bob"),
        (("plan", "in list", ["free", "Pro Team", "none"]), "ann bob"),
        (("note", "contains", "οδοσ"), "ann"),
        (("note", "contains", "ΟΔΟΣ"), "ann"),
        (("note", "=", "it's"), "bob"),
        (("note", "contains", "'"), "bob"),
        (("note", "contains", "%"), "cyd"),
        (("note", "contains", "x_y"), "cyd"),
        (("note", "contains", "x-y"), ""),
        (("seats", "=", 5), "ann"),
        (("seats", "=", "5"), "ann"),
        (("seats", "!=", 5), "bob cyd"),
        (("seats", ">", 5), "bob cyd"),
        (("seats", ">=", 5), "ann bob cyd"),
        (("seats", "<", 10), "ann"),
        (("seats", "<=", 10), "ann bob"),
        (("seats", "between", [5, 10]), "ann bob"),
        (("seats", "between", [5.5, 9.5]), ""),
        (("seats", "in list", [10, 11]), "bob"),
        (("seats", "=", 9_007_199_254_740_991), "cyd"),
        (("seats", "=", 9_007_199_254_740_990), ""),
        (("score", "=", 0.1), "ann"),
        (("score", "<", 0), "dan"),
        (("score", ">=", -1), "ann bob dan"),
        (("score", "<", 1e300), "ann bob dan"),
        (("beta", "=", True), "ann"),
        (("beta", "=", "false"), "bob"),
        (("beta", "!=", True), "bob"),
        (("beta", "in list", [True, False]), "ann bob"),
        (("company_size", "between", [50, 500]), "ann bob"),
        (("company_size", ">", 500), "cyd"),
    ],
)
def test_a_property_condition_finds_those_values_and_never_a_missing_one(
    traits: Warehouse, test: tuple[str, str, Any], carriers: str
) -> None:
    name, op, value = test
    assert names(traits, {"property": name, "op": op, "value": value}) == set(carriers.split())


def test_a_trait_matches_from_time_zero(traits: Warehouse) -> None:
    assert rows(traits, {"property": "seats", "op": ">", "value": 1})["ann"].matched_at == MONDAY


@pytest.mark.parametrize(("after_days", "carries"), [(-5, True), (3 - SECOND, True), (3, False), (30, False)])
def test_a_value_set_after_the_landmark_is_not_used(tmp_path: Path, after_days: float, carries: bool) -> None:
    people = Journeys(tmp_path).user("u").became(after_days=after_days, role="admin").did("x", after_days=0)
    warehouse = people.user("v").became(after_days=0, role="reader").build()
    is_admin = {"all": [{"property": "role", "value": "admin"}, {"event": "x", "within_days": 3}]}
    assert names(warehouse, is_admin) == ({"u"} if carries else set())


@pytest.mark.parametrize(("after_days", "carries"), [(2, True), (3, False)])
def test_the_landmark_of_a_value_is_that_of_the_account(tmp_path: Path, after_days: float, carries: bool) -> None:
    people = Journeys(tmp_path).user("first", signed_up="2024-01-01", company="acme").did("x", after_days=0)
    people.user("second", signed_up="2024-01-02", company="acme").became(after_days=after_days - 1, role="admin")
    when = {"property": "role", "value": "admin"}
    assert names(people.build(), when, unit="account", landmark_days=3) == ({"acme"} if carries else set())


# --- filters on events

SHOP = [
    Act("ann", "view", MONDAY + DAY, "/pricing", 10.0, '{"plan": "pro", "seats": 5, "trial": true, "a.b": "dot"}'),
    Act("ann", "view", MONDAY + 2 * DAY, "/docs/API", None, '{"plan": "free", "seats": 5.0}'),
    Act("bob", "view", MONDAY + DAY, "/Pricing/old", 2.5, '{"plan": null, "seats": "5", "trial": false}'),
    Act("bob", "view", MONDAY + 9 * DAY, "/pricing", 99.0, '{"seats": 100}'),
    Act("cyd", "view", MONDAY + DAY, None, None, None),
]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    people = [Person(name, MONDAY, plan="free", seats=1, beta=True) for name in ("ann", "bob", "cyd")]
    return reference.build(World(people, acts=SHOP), tmp_path_factory.mktemp("shop"))


@pytest.mark.parametrize(
    ("where", "carriers"),
    [
        ([("page_path", "=", "/pricing")], "ann"),
        ([("page_path", "contains", "/PRICING")], "ann bob"),
        ([("page_path", "!=", "/pricing")], "ann bob"),
        ([("amount", ">=", 10)], "ann"),
        ([("amount", "<", 10)], "bob"),
        ([("page_path", "=", "/pricing"), ("amount", ">", 10)], ""),
        ([("properties.plan", "=", "pro")], "ann"),
        ([("properties.plan", "!=", "pro")], "ann"),
        ([("properties.plan", "contains", "RE")], "ann"),
        ([("properties.plan", "in list", ["pro", "x"])], "ann"),
        ([("properties.seats", "=", 5)], "ann bob"),
        ([("properties.seats", "=", "5")], "ann bob"),
        ([("properties.seats", "!=", 5)], ""),
        ([("properties.seats", "in list", [5, 7])], "ann bob"),
        ([("properties.seats", ">=", 6)], ""),
        ([("properties.seats", "between", [4.5, 5])], "ann bob"),
        ([("properties.trial", "=", True)], "ann"),
        ([("properties.trial", "=", "true")], "ann"),
        ([("properties.trial", "!=", True)], "bob"),
        ([("properties.a.b", "=", "dot")], "ann"),
        ([("properties.nowhere", "!=", "x")], ""),
        ([("properties.it's", "=", "x")], ""),
    ],
)
def test_a_filter_counts_only_rows_that_pass_it(
    shop: Warehouse, where: list[tuple[str, str, Any]], carriers: str
) -> None:
    filters = [{"property": name, "op": op, "value": value} for name, op, value in where]
    assert names(shop, {"event": "view", "within_days": 7, "where": filters}) == set(carriers.split())


def test_whole_json_numbers_are_found_however_they_were_written(shop: Warehouse) -> None:
    five = [{"property": "properties.seats", "value": 5}]
    assert names(shop, {"event": "view", "op": "count >=", "value": 2, "within_days": 7, "where": five}) == {"ann"}


def test_counts_and_activity_see_filtered_rows_only(shop: Warehouse) -> None:
    pricing = {"event": "view", "where": [{"property": "page_path", "op": "contains", "value": "pricing"}]}
    assert names(shop, {**pricing, "op": "count >=", "value": 2, "within_days": 14}) == {"bob"}
    assert (
        rows(shop, {**pricing, "op": "count >=", "value": 2, "within_days": 14})["bob"].matched_at == MONDAY + 9 * DAY
    )
    assert names(shop, {**pricing, "op": "count <=", "value": 1, "within_days": 14}) == {"ann", "cyd"}
    assert names(shop, {**pricing, "op": "count <=", "value": 0, "within_days": 14}) == {"cyd"}
    assert names(shop, {**pricing, "op": "active days >=", "value": 2, "within_days": 14}) == {"bob"}
    assert names(shop, {**pricing, "event": "*", "op": "active days >=", "value": 2, "within_days": 14}) == {"bob"}


# --- refusals


@pytest.fixture(scope="module")
def manifest(shop: Warehouse) -> Manifest:
    return shop.manifest()


@pytest.mark.parametrize(
    ("when", "field", "sentence"),
    [
        ({"event": "views"}, "when.event", "no event is called 'views'; did you mean 'view'?"),
        ({"event": "zzz"}, "when.event", "no event is called 'zzz'; `beton info` lists what there is"),
        ({"all": [{"event": "view"}, {"not": {"event": "vieww"}}]}, "when.all.1.not.event", "did you mean 'view'"),
        ({"any": [{"none": [{"event": "view"}, {"property": "plann", "value": 1}]}]},
         "when.any.0.none.1.property", "did you mean 'plan'"),
        ({"property": "page_path", "value": "/"}, "when.property", "it belongs in the filter (where) of an event"),
        ({"event": "view", "where": [{"property": "plan", "value": "x"}]}, "when.where.0.property",
         "it belongs in a condition of its own"),
        ({"property": "plan", "op": ">", "value": 3}, "when.value", "plan holds text; > needs a number property"),
        ({"property": "seats", "op": "contains", "value": "3"}, "when.value", "compare with ="),
        ({"property": "seats", "op": "=", "value": "many"}, "when.value", "give a number"),
        ({"property": "seats", "op": "in list", "value": [1, "many"]}, "when.value", "give a number"),
        ({"property": "beta", "op": "=", "value": "maybe"}, "when.value", "true or false"),
        ({"property": "beta", "op": "contains", "value": "true"}, "when.value", "true or false"),
    ],
)  # fmt: skip
def test_a_name_or_type_that_the_data_lacks_is_refused_with_the_way_out(
    manifest: Manifest, when: dict[str, Any], field: str, sentence: str
) -> None:
    with pytest.raises(InputError) as refusal:
        Catalogue.of(manifest).check(from_dict({"name": "x", "when": when}))
    [(path, problem)] = refusal.value.fields.items()
    assert path in (field, field.replace("when.", "when.all.0."))  # a lone condition is a group of one
    assert sentence in problem


def test_a_time_is_no_property_to_compare(tmp_path: Path) -> None:
    people = Journeys(tmp_path).company("acme", created_at=datetime(2020, 1, 1)).user("u", company="acme")
    manifest = people.did("x", after_days=0).build().manifest()
    with pytest.raises(InputError, match="within_days on an event"):
        Catalogue.of(manifest).check(
            from_dict({"name": "x", "when": {"property": "company_created_at", "value": "2020"}})
        )


def test_all_faults_are_named_at_once(manifest: Manifest) -> None:
    when = {"all": [{"event": "vieww"}, {"property": "planned", "value": 1}]}
    with pytest.raises(InputError) as refusal:
        Catalogue.of(manifest).check(from_dict({"name": "x", "when": when}))
    assert set(refusal.value.fields) == {"when.all.0.event", "when.all.1.property"}


@pytest.mark.parametrize("text", ["x'; DROP TABLE store.users; --", "a\\'b", "„“", "''", "{x}", "%s", "/* */", "$1"])
def test_texts_stay_texts(shop: Warehouse, text: str) -> None:
    assert names(shop, {"property": "plan", "value": text}) == set()
    assert names(shop, {"property": "plan", "op": "!=", "value": text}) == {"ann", "bob", "cyd"}
    where = [{"property": f"properties.{text}", "op": "contains", "value": text}]
    assert names(shop, {"event": "view", "where": where}) == set()


@pytest.mark.parametrize("name", ["it's", 'say "hi"', "a;b", "--", "ünïcode", "SELECT", "x\\"])
def test_any_event_name_can_be_asked_for(tmp_path: Path, name: str) -> None:
    warehouse = Journeys(tmp_path).user("u").did(name, after_days=1).user("v").did("other", after_days=1).build()
    assert names(warehouse, {"event": name}) == {"u"}
