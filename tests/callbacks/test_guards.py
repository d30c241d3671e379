"""What a browser sends is taken for what it is, whatever it is."""

from __future__ import annotations

from typing import Any

import pytest

from beton.errors import InputError
from callbacks import guards

ID = {"slice": "field", "intent": "value", "key": "r1", "at": ""}


@pytest.mark.parametrize(
    ("kept", "found"),
    [
        ({"clicks": 3}, 3),
        ({"clicks": "3"}, 0),
        ({"clicks": True}, 0),
        ({}, 0),
        (None, 0),
        ("x", 0),
        ([1], 0),
        (True, 0),
    ],
)
def test_a_count_that_a_store_keeps(kept: Any, found: int) -> None:
    assert guards.counted(kept, "clicks") == found


def test_ids_come_with_their_values() -> None:
    assert guards.named([ID, ID], ["a", None]) == [ID, ID]


@pytest.mark.parametrize(
    ("ids_of_state", "values"),
    [
        ([ID], []),
        ([ID], ["a", "b"]),
        ([ID], "a"),
        ([ID], None),
        (None, []),
        ([{"slice": "field"}], ["a"]),
        ("x", ["a"]),
    ],
)
def test_ids_that_do_not_pair_with_values_are_refused(ids_of_state: Any, values: Any) -> None:
    with pytest.raises(InputError, match="reload the page"):
        guards.named(ids_of_state, values)
