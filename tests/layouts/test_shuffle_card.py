from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from test_result_view import inside

from beton.model.discovery import ShuffleTest
from beton.records.rows import JobRecord
from layouts import ids
from layouts.shuffle_card import LEAVES, leaves, shuffle_card, verdict, words

AT = datetime(2026, 11, 23, 13, 2, tzinfo=UTC)


def job(status: Any, **changes: Any) -> JobRecord:
    known: dict[str, Any] = {
        "id": "j",
        "kind": "shuffle test",
        "key": "k",
        "payload": {},
        "status": status,
        "stage": "Searching shuffled worlds",
        "progress": 0.25,
        "result": None,
        "error": None,
        "cancel_requested": False,
        "attempts": 1,
        "worker": None,
        "lease_until": None,
        "created_at": AT,
        "started_at": AT,
        "finished_at": None,
    }
    return JobRecord(**(known | changes))


@pytest.mark.parametrize(
    ("worlds", "is_too_many"),
    [(0, False), (1, False), (3, False), (4, True), (20, True)],  # binomial(20, 5%): 3 or more 7.5%, 4 or more 1.6%
)
def test_more_worlds_than_luck_explains_are_a_warning(worlds: int, is_too_many: bool) -> None:
    said = verdict(ShuffleTest(20, 0, (1,) * worlds + (0,) * (20 - worlds)))
    assert said.startswith(f"{worlds} of 20 shuffled worlds listed anything; luck alone may do so in about 1.")
    assert ("with caution" in said) is is_too_many


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (None, "Not run yet"),
        (job("queued"), "Queued. If this stays, no worker is running"),
        (job("running"), "Searching shuffled worlds (25%)"),
        (job("running", cancel_requested=True), "Cancelling"),
        (job("cancelled", cancel_requested=True), "The test was cancelled"),
        (job("interrupted"), "The worker stopped in the middle"),
        (job("failed", error="the history is too short"), "The test did not finish: the history is too short"),
        (job("done", result=ShuffleTest(1, 0, (0,)).to_json()), "0 of 1 shuffled worlds"),
    ],
)
def test_every_state_has_words(given: JobRecord | None, said: str) -> None:
    assert words(given).startswith(said)


def test_the_card_holds_every_leaf_with_its_value() -> None:
    drawn = {
        each.id: each for each in inside(shuffle_card("run", job("running"), is_current=True)) if hasattr(each, "id")
    }
    for (owner, prop), value in leaves(job("running"), is_current=True).items():
        assert getattr(drawn[owner], prop, None) == value, (owner, prop)
    assert {owner for owner, _ in LEAVES} | {ids.SHUFFLE_OF} == set(drawn)
