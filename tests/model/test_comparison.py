"""Which lines of definitions differ, and which backtests may not be compared."""

from __future__ import annotations

from typing import Any

import pytest
from made_backtests import FLAGSHIP, NOTHING, evidence, signal

from beton.model.comparison import Part, cautions, parts_of

TWO = {"all": [{"event": "x", "within_days": 3}, {"event": "y", "within_days": 14}]}


def marked(parts: tuple[Part, ...]) -> dict[str, list[str]]:
    return {part.heading: [line.text for line in part.lines if line.differs] for part in parts}


def test_only_the_lines_that_no_other_definition_has_are_marked() -> None:
    first, second = parts_of([signal(), signal(when=TWO)])
    assert (
        [part.heading for part in first] == [part.heading for part in second] == ["Who", "Condition", "Read", "Outcome"]
    )
    assert marked(first) == {"Who": [], "Condition": [], "Read": ["3 days after signup"], "Outcome": []}
    assert marked(second)["Condition"] == ["all of:", "who did y within 14 days of signup"]
    assert marked(second)["Read"] == ["14 days after signup"]


def test_a_query_is_compared_line_by_line_whatever_its_indentation() -> None:
    query = "SELECT user_id\nFROM events\nGROUP BY user_id\nHAVING count(*) >= {}"
    first, second, third = parts_of(
        [
            signal(sql=query.format(5)),
            signal(sql=query.format(9).replace("\n", "\n  ")),
            signal(sql="SELECT user_id\nFROM users"),
        ]
    )
    assert marked(first)["SQL"] == ["HAVING count(*) >= 5"]
    assert marked(second)["SQL"] == ["  HAVING count(*) >= 9"]
    assert marked(third)["SQL"] == ["FROM users"]
    assert first[1].text == query.format(5)


def test_a_query_against_conditions_has_empty_parts() -> None:
    first, second = parts_of([signal(), signal(sql="SELECT user_id FROM users")])
    assert [(part.heading, len(part.lines)) for part in first] == [
        ("Who", 1),
        ("Condition", 1),
        ("SQL", 0),
        ("Read", 1),
        ("Outcome", 1),
    ]
    assert [len(part.lines) for part in second] == [1, 0, 1, 1, 1]


@pytest.mark.parametrize(
    ("rollup", "words"),
    [
        ({"kind": "any"}, "Accounts by any of their users"),
        ({"kind": "count", "value": 2}, "Accounts by at least 2 of their users"),
        ({"kind": "share", "value": 0.5}, "Accounts by at least 50% of their users"),
    ],
)
def test_accounts_say_how_their_users_count(rollup: dict[str, Any], words: str) -> None:
    ((who, *_), _) = parts_of([signal(unit="account", rollup=rollup), signal()])
    assert (who.text, who.lines[0].differs) == (words, True)


def test_the_same_people_outcome_and_data_need_no_caution() -> None:
    assert cautions([evidence(signal(), FLAGSHIP), evidence(signal("Other"), FLAGSHIP)]) == ()
    assert cautions([]) == ()


@pytest.mark.parametrize(
    ("changed", "caution"),
    [
        (
            {"landmark_days": 14},
            "Not the same people, because the signal is read after a different time: 3 days against 14 days.",
        ),
        ({"horizon_days": 60}, "Not the same time to convert: 45 days against 60 days."),
        ({"unit": "account"}, "Not the same kind of unit: users against accounts."),
        ({"timing": "any time"}, "Not the same clock: after signup against any time."),
    ],
)
def test_another_clock_or_unit_is_said(changed: dict[str, Any], caution: str) -> None:
    assert cautions([evidence(signal(), FLAGSHIP), evidence(signal(), FLAGSHIP, **changed)]) == (caution,)


def test_other_data_and_another_outcome_are_said() -> None:
    other = signal(outcome={"source": "deal created"})
    found = cautions([evidence(signal(), FLAGSHIP), evidence(other, FLAGSHIP, "snap-2")])
    assert found[0] == "Not the same data: snapshot snap-1 against snapshot snap-2."
    assert found[1].startswith("Not the same outcome: a won deal")
    assert len(found) == 2


def test_another_number_of_people_is_said_where_nothing_else_differs() -> None:
    found = cautions([evidence(signal(), FLAGSHIP), evidence(signal(), NOTHING)])
    assert found == ("Not the same people: 10,181 against 22,000 were counted.",)
