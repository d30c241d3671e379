"""Outcomes: read, written, said; refused with the key that is wrong."""

from __future__ import annotations

import pytest

from beton.errors import InputError
from beton.model.outcome import Outcome

OUTCOMES = [
    (Outcome(), "a won deal of the user or of the user's account"),
    (Outcome("deal created", "user"), "a new deal of the user"),
    (Outcome("first payment", "user", None, 90), "a first payment of the user"),
    (Outcome("event", "user", "paid"), "the event paid of the user"),
    (Outcome("event", "account", "paid"), "the event paid of the user or of anyone in the user's account"),
]


@pytest.mark.parametrize(("outcome", "words"), OUTCOMES)
def test_an_outcome_is_written_read_and_said(outcome: Outcome, words: str) -> None:
    assert Outcome.from_dict(outcome.to_dict()) == outcome
    assert outcome.words() == words


def test_what_is_not_written_is_the_default() -> None:
    assert Outcome.from_dict({}) == Outcome("deal won", "account", None, None)


@pytest.mark.parametrize(
    ("raw", "fields"),
    [
        ("deal won", {"outcome"}),
        (None, {"outcome"}),
        ({"source": "deal lost"}, {"outcome.source"}),
        ({"source": ["event"]}, {"outcome.source"}),
        ({"belongs_to": "team"}, {"outcome.belongs_to"}),
        ({"source": "event"}, {"outcome.event"}),
        ({"source": "event", "event": "  "}, {"outcome.event"}),
        ({"source": "event", "event": 5}, {"outcome.event"}),
        ({"source": "event", "event": "a\x00"}, {"outcome.event"}),
        ({"source": "deal won", "event": "paid"}, {"outcome.event"}),
        ({"source": "deal won", "event": 5}, {"outcome.event"}),
        ({"horizon_days": 0}, {"outcome.horizon_days"}),
        ({"horizon_days": 1_096}, {"outcome.horizon_days"}),
        ({"horizon_days": 30.0}, {"outcome.horizon_days"}),
        ({"horizon_days": True}, {"outcome.horizon_days"}),
        ({"horizon_days": 10**5000}, {"outcome.horizon_days"}),
        ({"window": 3, 10**5000: 1}, {"outcome.window", "outcome.int"}),
        (
            {"source": "x", "belongs_to": "y", "horizon_days": -1},
            {f"outcome.{k}" for k in ("source", "belongs_to", "horizon_days")},
        ),
    ],
)
def test_every_refusal_names_its_key(raw: object, fields: set[str]) -> None:
    with pytest.raises(InputError) as refusal:
        Outcome.from_dict(raw)

    assert set(refusal.value.fields) == fields
