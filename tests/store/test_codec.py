from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from store import SLICES
from store.codec import STALE, UNREADABLE, Decoded, Slice, decode, encode


@dataclass(frozen=True)
class Row:
    event: str
    days: float | None = None


@dataclass(frozen=True)
class Filters:
    name: str = ""
    share: float = 0.0
    rows: tuple[Row, ...] = ()


KEPT = Slice(Filters, "session", version=2, max_bytes=1_000)
filters = st.builds(
    Filters,
    name=st.text(max_size=20),
    share=st.floats(allow_nan=False, allow_infinity=False),
    rows=st.lists(st.builds(Row, event=st.text(max_size=5), days=st.none() | st.floats(0, 90)), max_size=3).map(tuple),
)


@given(filters)
def test_a_state_survives_the_browser(state: Filters) -> None:
    assert decode(KEPT, json.loads(json.dumps(encode(KEPT, state)))) == Decoded(state)


def test_an_empty_store_is_the_default_and_no_news() -> None:
    assert decode(KEPT, None) == Decoded(Filters())


@pytest.mark.parametrize("raw", [{"v": 1, "state": {"name": "old"}}, {"v": 3, "state": {}}, {"v": "2", "state": {}}])
def test_another_version_gives_defaults_and_a_notice(raw: Any) -> None:
    assert decode(KEPT, raw) == Decoded(Filters(), STALE)


@pytest.mark.parametrize(
    "raw",
    [
        "text",
        7,
        [],
        {},
        {"state": {}},
        {"v": 2},
        {"v": 2, "state": [1]},
        {"v": 2, "state": {"rows": [{"days": 1}]}},
        {"v": 2, "state": {"share": float("nan")}},
        {"v": 2, "state": {"share": float("inf")}},
        {"v": 2, "state": {"name": "x" * 2_000}},
    ],
)
def test_anything_else_gives_defaults_and_a_notice(raw: Any) -> None:
    assert decode(KEPT, raw) == Decoded(Filters(), UNREADABLE)


BEYOND_JSON = [Filters(share=float("nan")), Filters(share=float("-inf")), Filters(name="x" * 2_000)]


@pytest.mark.parametrize("state", BEYOND_JSON)
def test_what_json_cannot_hold_or_the_budget_forbids_is_refused(state: Filters) -> None:
    with pytest.raises(ValueError, match=r"JSON compliant|budget"):
        encode(KEPT, state)


@pytest.mark.parametrize("name", list(SLICES))
def test_every_slice_starts_from_its_defaults_within_its_budget(name: str) -> None:
    kept = SLICES[name]
    assert decode(kept, encode(kept, kept.state_class())) == Decoded(kept.state_class())
