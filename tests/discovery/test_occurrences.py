"""Each pass over the rows of an event gives what counting them one by one gives."""

from __future__ import annotations

import numpy as np
import pytest

from beton.discovery.occurrences import NEVER_S, Spans, kth_s, kth_s_by_value, rows_by_value

COUNTS = (1, 2, 4)
UNITS = 30
WORDS = 5


def made(seed: int) -> tuple[Spans, np.ndarray]:
    """Rows of some units in no order of place, with codes from -1 (null) to 4."""
    random = np.random.default_rng(seed)
    position = random.permutation(UNITS)[:20].astype(np.int64)
    sizes = random.integers(0, 9, position.size)
    before = random.integers(0, 3, position.size)  # rows before the signup, which no span holds
    ends = np.cumsum(sizes + before)
    rel_s = np.concatenate([np.sort(random.integers(0, 100, size)) for size in sizes + before]).astype(np.int32)
    spans = Spans(position, ends - sizes, ends, rel_s)
    return spans, random.integers(-1, WORDS, rel_s.size).astype(np.int32)


def rows_of(spans: Spans, unit: int) -> list[int]:
    at = np.flatnonzero(spans.position == unit)
    return list(range(int(spans.first[at[0]]), int(spans.end[at[0]]))) if at.size else []


@pytest.mark.parametrize("seed", range(5))
def test_the_kth_time(seed: int) -> None:
    spans, _ = made(seed)
    expected = [
        [spans.rel_s[rows[k - 1]] if len(rows) >= k else NEVER_S for rows in (rows_of(spans, u) for u in range(UNITS))]
        for k in COUNTS
    ]

    assert kth_s(spans, COUNTS, UNITS).tolist() == expected


@pytest.mark.parametrize("seed", range(5))
def test_the_kth_time_of_each_chosen_value_before_an_end(seed: int) -> None:
    spans, codes = made(seed)
    chosen, before_s = np.array([3, 0]), 60
    found = kth_s_by_value(spans, codes, chosen, COUNTS, before_s, UNITS)

    assert found.shape == (2, len(COUNTS), UNITS)
    for i, value in enumerate(chosen):
        for unit in range(UNITS):
            at_s = [spans.rel_s[row] for row in rows_of(spans, unit) if codes[row] == value]
            kept = [each for each in at_s if each < before_s]
            assert found[i, :, unit].tolist() == [kept[k - 1] if len(kept) >= k else NEVER_S for k in COUNTS]


@pytest.mark.parametrize("seed", range(5))
def test_rows_by_value_leave_out_nulls_and_what_no_span_holds(seed: int) -> None:
    spans, codes = made(seed)
    held = [codes[row] for unit in range(UNITS) for row in rows_of(spans, unit)]

    assert rows_by_value(spans, codes, WORDS).tolist() == [held.count(value) for value in range(WORDS)]
