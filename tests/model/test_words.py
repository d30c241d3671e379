"""The sentence of a definition: plain, exact and never ambiguous."""

from __future__ import annotations

from typing import Any

import pytest

from beton.model.conditions import EventCondition, Group, PropertyCondition
from beton.model.signal import from_dict
from beton.model.words import days, phrase, sentence, times

A, B, C = ({"event": name, "within_days": 3} for name in "abc")
PRO = {"property": "plan", "value": "pro"}
IN_3 = "within 3 days of signup"

SENTENCES: list[tuple[dict[str, Any], str]] = [
    (
        {"event": "onboarding_completed", "within_days": 3},
        "Users who did onboarding_completed within 3 days of signup.",
    ),
    ({"event": "Report Shared", "within_days": 1}, "Users who did “Report Shared” within 1 day of signup."),
    ({"event": "a"}, "Users who did a within 14 days of signup."),
    ({"all": [A, {"event": "b"}]}, "Users who did a within 3 days of signup and who did b within 14 days of signup."),
    ({"event": "a", "op": "not completed", "within_days": 2.5}, "Users who did not do a within 2.5 days of signup."),
    ({**A, "op": "count >=", "value": 1}, f"Users who did a at least once {IN_3}."),
    ({**A, "op": "count >=", "value": 2}, f"Users who did a at least twice {IN_3}."),
    ({**A, "op": "count <=", "value": 1000}, f"Users who did a at most 1,000 times {IN_3}."),
    ({**A, "op": "count <=", "value": 0}, f"Users who did not do a {IN_3}."),
    ({**A, "op": "active days >=", "value": 1}, f"Users who did a on at least 1 different day {IN_3}."),
    (
        {"event": "*", "op": "active days >=", "value": 5},
        "Users who were active on at least 5 different days within 14 days of signup.",
    ),
    (
        {"event": "*", "op": "active weeks >=", "value": 2},
        "Users who were active in at least 2 different weeks within 14 days of signup.",
    ),
    (
        {"event": "*", "op": "active days >=", "value": 2, "where": [{"property": "page_path", "value": "/pricing"}]},
        "Users who were active (where page_path is /pricing) on at least 2 different days within 14 days of signup.",
    ),
    (
        {
            **A,
            "where": [
                {"property": "page_path", "op": "contains", "value": "price"},
                {"property": "n", "op": ">", "value": 2},
            ],
        },
        f"Users who did a (where page_path contains price and n is more than 2) {IN_3}.",
    ),
    (PRO, "Users whose plan is pro."),
    ({**PRO, "op": "!="}, "Users whose plan is not pro."),
    ({**PRO, "value": "pro or better"}, "Users whose plan is “pro or better”."),
    ({**PRO, "value": True}, "Users whose plan is true."),
    ({"property": "seats", "op": ">=", "value": 5}, "Users whose seats is at least 5."),
    ({"property": "seats", "op": "<", "value": 5}, "Users whose seats is less than 5."),
    ({"property": "seats", "op": "<=", "value": 5}, "Users whose seats is at most 5."),
    (
        {"property": "company_size", "op": "between", "value": [50, 500]},
        "Users whose company_size is between 50 and 500.",
    ),
    ({"property": "plan", "op": "in list", "value": "pro"}, "Users whose plan is pro."),
    (
        {"property": "plan", "op": "in list", "value": "pro, team, big plan"},
        "Users whose plan is pro, team or “big plan”.",
    ),
    ({"all": [A, PRO]}, f"Users who did a {IN_3} and whose plan is pro."),
    ({"any": [A, PRO]}, f"Users who did a {IN_3} or whose plan is pro."),
    ({"all": [PRO, {"any": [A, B]}]}, f"Users whose plan is pro and (who did a {IN_3} or who did b {IN_3})."),
    ({"any": [{"all": [A, B]}, PRO]}, f"Users (who did a {IN_3} and who did b {IN_3}) or whose plan is pro."),
    ({"all": [A, {"all": [B, PRO]}]}, f"Users who did a {IN_3} and who did b {IN_3} and whose plan is pro."),
    (
        {"all": [PRO, {"any": [{"any": [A, B]}]}]},
        f"Users whose plan is pro and (who did a {IN_3} or who did b {IN_3}).",
    ),
    (
        {"all": [PRO, {"all": [{"any": [A, B]}]}]},
        f"Users whose plan is pro and (who did a {IN_3} or who did b {IN_3}).",
    ),
    ({"all": [PRO, {"any": [A]}]}, f"Users whose plan is pro and who did a {IN_3}."),
    ({"not": A}, f"Users who did not do a {IN_3}."),
    ({"not": {**A, "op": "not completed"}}, f"Users who did a {IN_3}."),
    ({"not": {"all": [A]}}, f"Users who did not do a {IN_3}."),
    ({"not": PRO}, "Users who are not among those (whose plan is pro)."),
    ({"not": {**A, "op": "count >=", "value": 2}}, f"Users who are not among those (who did a at least twice {IN_3})."),
    ({"none": [A, PRO]}, f"Users who are not among those (who did a {IN_3} or whose plan is pro)."),
    ({"not": {"any": [A, PRO]}}, f"Users who are not among those (who did a {IN_3} or whose plan is pro)."),
    ({"not": {"all": [A, PRO]}}, f"Users who are not among those (who did a {IN_3} and whose plan is pro)."),
    (
        {"none": [PRO, {"all": [A, B]}]},
        f"Users who are not among those (whose plan is pro or (who did a {IN_3} and who did b {IN_3})).",
    ),
    (
        {"not": {"none": [A, PRO]}},
        f"Users who are not among those (who are not among those (who did a {IN_3} or whose plan is pro)).",
    ),
    (
        {"all": [{"none": [A, B]}, PRO]},
        f"Users who are not among those (who did a {IN_3} or who did b {IN_3}) and whose plan is pro.",
    ),
    ({"any": [{"not": A}, C]}, f"Users who did not do a {IN_3} or who did c {IN_3}."),
]


@pytest.mark.parametrize(("when", "text"), SENTENCES, ids=range(len(SENTENCES)))
def test_users_are_described_in_one_sentence(when: dict[str, Any], text: str) -> None:
    assert sentence(from_dict({"name": "S", "when": when})) == text


@pytest.mark.parametrize(
    ("rollup", "who"),
    [
        (None, "Accounts with at least one user who did a"),
        ({"kind": "count", "value": 1}, "Accounts with at least 1 user who did a"),
        ({"kind": "count", "value": 3}, "Accounts with at least 3 users who did a"),
        ({"kind": "share", "value": 0.5}, "Accounts where at least 50% of users are people who did a"),
        ({"kind": "share", "value": 0.125}, "Accounts where at least 12.5% of users are people who did a"),
    ],
)
def test_accounts_say_how_their_users_make_them_up(rollup: object, who: str) -> None:
    signal = from_dict({"name": "S", "unit": "account", "when": A, "rollup": rollup})

    assert sentence(signal) == f"{who} within 3 days of signup."


def test_a_landmark_that_was_set_is_said() -> None:
    signal = from_dict({"name": "S", "when": {"event": "a"}, "landmark_days": 30})

    assert sentence(signal) == "Users who did a within 30 days of signup."


def test_a_signal_at_any_time_looks_back() -> None:
    when = {"event": "pricing_viewed", "op": "count >=", "value": 2, "within_days": 7}
    signal = from_dict({"name": "S", "when": when, "timing": "any time"})

    assert sentence(signal) == "Users who did pricing_viewed at least twice in the last 7 days, checked every Monday."


def test_different_groupings_never_read_the_same() -> None:
    a, b, c = (EventCondition(name) for name in "abc")
    left = Group("any", (Group("all", (a, b)), c))
    right = Group("all", (a, Group("any", (b, c))))

    assert phrase(left, 14) != phrase(right, 14)


def test_a_comma_in_a_value_does_not_make_two_values() -> None:
    one = PropertyCondition("plan", "in list", ("a, b", "c"))
    two = PropertyCondition("plan", "in list", ("a", "b", "c"))

    assert phrase(one, 14) != phrase(two, 14)


def test_counts_and_days_agree_with_their_noun() -> None:
    assert [days(1), days(2), days(0.5)] == ["1 day", "2 days", "0.5 days"]
    assert [times(1), times(2), times(3), times(1500)] == ["once", "twice", "3 times", "1,500 times"]
