"""The playbook draft: transitions, what the fields hold, and what a browser may not send."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from store import SLICES
from store.codec import decode, encode
from store.playbook import (
    MOST_ALTERNATIVES,
    MOST_SIGNALS,
    TRANSITIONS,
    Alternative,
    Pick,
    PlaybookDraft,
    reduce,
    with_signal,
    with_values,
)

KEPT = SLICES["playbook"]


def of(*alternatives: str) -> PlaybookDraft:
    """Return a draft of alternatives, each a line of signals; ``-`` is an empty row."""
    draft, number = [], 1
    for line in alternatives:
        picks = []
        for name in line.split():
            picks.append(Pick(f"p{number}", "" if name == "-" else name))
            number += 1
        draft.append(Alternative(f"a{number}", tuple(picks)))
        number += 1
    return PlaybookDraft(alternatives=tuple(draft), next_key=number)


def said(draft: PlaybookDraft) -> list[str]:
    return [" ".join(row.signal_id or "-" for row in each.picks) for each in draft.alternatives]


def test_a_fresh_draft_has_one_empty_row() -> None:
    assert said(PlaybookDraft()) == ["-"]
    assert PlaybookDraft().groups({"x"}) == ()


def test_rows_and_alternatives_are_added_and_removed() -> None:
    draft = of("x y", "z")
    assert said(reduce(draft, "add-signal", draft.alternatives[0].key)) == ["x y -", "z"]
    assert said(reduce(draft, "add-alternative", "")) == ["x y", "z", "-"]
    assert said(reduce(draft, "remove", "p1")) == ["y", "z"]
    assert said(reduce(draft, "remove", draft.alternatives[1].picks[0].key)) == ["x y"]
    assert said(reduce(of("x"), "remove", "p1")) == ["-"]
    assert said(reduce(draft, "remove", "p999")) == ["x y", "z"]
    assert said(reduce(draft, "add-signal", "p1")) == ["x y", "z"]
    with pytest.raises(KeyError):
        reduce(draft, "explode", "p1")


def test_there_is_an_end_to_both() -> None:
    draft = of(" ".join(["x"] * MOST_SIGNALS), *["y"] * (MOST_ALTERNATIVES - 1))
    assert said(reduce(draft, "add-signal", draft.alternatives[0].key)) == said(draft)
    assert said(reduce(draft, "add-alternative", "")) == said(draft)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (["-"], ["s"]),
        (["x"], ["x s"]),
        (["x", "y"], ["x", "y s"]),
        (["x -", "y"], ["x s", "y"]),
        (["s", "y"], ["s", "y"]),
    ],
)
def test_a_signal_from_elsewhere_takes_the_first_empty_row(before: list[str], after: list[str]) -> None:
    draft = with_signal(of(*before), "s")
    assert said(draft) == after
    assert with_signal(draft, "s") == draft


def test_a_full_draft_takes_no_further_signal() -> None:
    full = of(" ".join(["x"] * MOST_SIGNALS))
    assert said(with_signal(full, "s")) == said(full)


def test_groups_are_what_can_be_counted() -> None:
    assert of("x y x -", "y x", "-", "z", "lost", "x y").groups({"x", "y", "z"}) == (("x", "y"), ("y", "x"), ("z",))


def test_the_fields_are_taken_over_by_row() -> None:
    values = {
        ("p1", "signal"): "b",
        ("", "name"): "Hot",
        ("", "slack"): True,
        ("", "webhook_url"): None,
        ("p9", "signal"): "no",
    }
    draft = with_values(of("a", "c"), values)
    assert said(draft) == ["b", "c"]
    assert (draft.name, draft.slack, draft.webhook_url, draft.attio) == ("Hot", True, "", False)


@given(st.lists(st.tuples(st.sampled_from(sorted(TRANSITIONS)), st.integers(0, 30)), max_size=40))
def test_any_clicks_leave_a_draft_that_survives_the_browser(clicks: list[tuple[str, int]]) -> None:
    draft = PlaybookDraft()
    for intent, pick in clicks:
        keys = [each.key for each in draft.alternatives] + [
            row.key for each in draft.alternatives for row in each.picks
        ]
        draft = reduce(draft, intent, keys[pick % len(keys)])
    found = decode(KEPT, encode(KEPT, draft))
    assert (found.state, found.notice) == (draft, None)


@pytest.mark.parametrize(
    "state",
    [
        {"alternatives": []},
        {"alternatives": [{"key": "a1", "picks": []}]},
        {"alternatives": [{"key": "a1", "picks": [{"key": "p1"}, {"key": "p1"}]}]},
        {"alternatives": [{"key": "a9", "picks": [{"key": "p1"}]}], "next_key": 9},
        {"alternatives": [{"key": "<b>", "picks": [{"key": "p1"}]}]},
        {"alternatives": [{"key": f"a{i}", "picks": [{"key": f"p{i}"}]} for i in range(7)], "next_key": 99},
        {"alternatives": [{"key": "a1", "picks": [{"key": f"p{i}"} for i in range(9)]}], "next_key": 99},
        {"name": "x" * 501},
        {"next_key": 10**7},
        {"slack": "perhaps"},
        ["name"],
    ],
)
def test_what_the_form_never_makes_is_dropped(state: Any) -> None:
    found = decode(KEPT, {"v": KEPT.version, "state": state})
    assert found.state == PlaybookDraft()
    assert found.notice is not None
