"""Each pass over the rows of an event gives what counting them one by one gives."""

from __future__ import annotations

import numpy as np
import pytest

from beton.discovery.occurrences import Spans, kth_window, kth_window_by_value, rows_by_value

COUNTS = (1, 2, 4)
ENDS_S = np.array([20, 60, 80])
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


def window_of(at_s: list[int], k: int) -> int:
    """Place of the first window that ends after the k-th time."""
    return sum(end <= at_s[k - 1] for end in ENDS_S) if len(at_s) >= k else len(ENDS_S)


@pytest.mark.parametrize("seed", range(5))
def test_the_window_of_the_kth_time(seed: int) -> None:
    spans, _ = made(seed)
    at_s = [[int(spans.rel_s[row]) for row in rows_of(spans, unit)] for unit in range(UNITS)]

    assert kth_window(spans, COUNTS, ENDS_S, UNITS).tolist() == [[window_of(each, k) for each in at_s] for k in COUNTS]


@pytest.mark.parametrize("seed", range(5))
def test_the_window_of_the_kth_time_of_each_chosen_value(seed: int) -> None:
    spans, codes = made(seed)
    chosen = np.array([3, 0])
    found = kth_window_by_value(spans, codes, chosen, COUNTS, ENDS_S, UNITS)

    assert found.shape == (2, len(COUNTS), UNITS)
    for i, value in enumerate(chosen):
        for unit in range(UNITS):
            at_s = [int(spans.rel_s[row]) for row in rows_of(spans, unit) if codes[row] == value]
            assert found[i, :, unit].tolist() == [window_of(at_s, k) for k in COUNTS]


def test_an_event_at_the_end_of_a_window_is_after_it() -> None:
    at = np.array([0])
    spans = Spans(at, at, at + 1, ENDS_S[:1].astype(np.int32))

    assert kth_window(spans, (1,), ENDS_S, 1).tolist() == [[1]]
    assert kth_window_by_value(spans, np.zeros(1, np.int32), at, (1,), ENDS_S, 1).tolist() == [[[1]]]


@pytest.mark.parametrize("seed", range(5))
def test_rows_by_value_leave_out_nulls_and_what_no_span_holds(seed: int) -> None:
    spans, codes = made(seed)
    held = [codes[row] for unit in range(UNITS) for row in rows_of(spans, unit)]

    assert rows_by_value(spans, codes, WORDS).tolist() == [held.count(value) for value in range(WORDS)]
