"""How many units carry both candidates of each pair: rows of bits, two of them at a time against many others."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from beton.discovery.matrix import WORDS_PER_BLOCK, Integers, Words, popcount


class RowPairs(NamedTuple):
    """Rows of bits (an even number, W words each), and where two neighbours have any.

    ``runs`` (R, 2) are starts and stops, in words, of runs of 512-bit blocks that are not empty in both rows, cut at
    word ``split``; rows 2 i and 2 i + 1 have runs ends[i] to ends[i + 1].
    """

    words: Words
    runs: NDArray[np.int32]
    ends: Integers
    split: int


def row_pairs(words: Words, split: int) -> RowPairs:
    """Copy the rows, with an empty one at the end if their number is odd."""
    even = np.zeros((len(words) + len(words) % 2, words.shape[1]), dtype=np.uint64)
    even[: len(words)] = words
    return RowPairs(even, *_runs_of_blocks(even[::2] | even[1::2], split), split)


def _runs_of_blocks(words: Words, split: int) -> tuple[NDArray[np.int32], Integers]:
    """A single empty block does not end a run: starting anew costs as much."""
    filled: NDArray[np.bool_] = np.any(words.reshape(len(words), -1, WORDS_PER_BLOCK), axis=2)
    filled[:, 1:-1] |= filled[:, :-2] & filled[:, 2:]
    padded = np.zeros((len(words), filled.shape[1] + 3), dtype=np.int8)
    cut = split // WORDS_PER_BLOCK
    padded[:, 1 : cut + 1] = filled[:, :cut]
    padded[:, cut + 2 : -1] = filled[:, cut:]
    change = np.diff(padded, axis=1)
    row, start = np.nonzero(change == 1)
    stop = np.nonzero(change == -1)[1]
    runs = np.stack([start - (start > cut), stop - (stop > cut)], axis=1) * WORDS_PER_BLOCK
    return runs.astype(np.int32), np.searchsorted(row, np.arange(len(words) + 1)).astype(np.int64)


def with_later_rows(words: Words, split: int) -> Iterator[Integers]:
    """Yield for each row but the last its common bits with every later one, before and after word ``split``, (2, n).

    What was yielded is written over in the next step.
    """
    pairs, size = row_pairs(words, split), len(words)
    counts = np.zeros((2, 2, len(pairs.words)), dtype=np.int64)
    for i in range(0, size - 1, 2):
        runs = pairs.runs[pairs.ends[i // 2] : pairs.ends[i // 2 + 1]]
        count_against(pairs.words[i : i + 2], runs, split, pairs.words, i + 1, counts)
        for k in range(min(2, size - 1 - i)):
            yield counts[k, :, i + k + 1 : size]


@njit(cache=True, nogil=True)
def count_against(rows: Any, runs: Any, split: Any, others: Any, start: Any, counts: Any) -> None:
    """Count the common bits of two rows with others[start:], before and after word ``split``: counts (2, 2, others).

    Each word that is read serves several counts: four others meet the two rows at once. ``runs`` are those of the
    two rows; what lies between is passed over.
    """
    counts[:, :, start:] = 0
    four = start + (len(others) - start) // 4 * 4
    for run in range(len(runs)):
        begin, end = runs[run]
        half = 0 if end <= split else 1
        row, next_row = rows[0, begin:end], rows[1, begin:end]
        for j in range(start, four, 4):
            other0, other1 = others[j, begin:end], others[j + 1, begin:end]
            other2, other3 = others[j + 2, begin:end], others[j + 3, begin:end]
            a0 = a1 = a2 = a3 = b0 = b1 = b2 = b3 = 0
            for w in range(row.size):
                a0 += popcount(row[w] & other0[w])
                a1 += popcount(row[w] & other1[w])
                a2 += popcount(row[w] & other2[w])
                a3 += popcount(row[w] & other3[w])
                b0 += popcount(next_row[w] & other0[w])
                b1 += popcount(next_row[w] & other1[w])
                b2 += popcount(next_row[w] & other2[w])
                b3 += popcount(next_row[w] & other3[w])
            counts[0, half, j] += a0
            counts[0, half, j + 1] += a1
            counts[0, half, j + 2] += a2
            counts[0, half, j + 3] += a3
            counts[1, half, j] += b0
            counts[1, half, j + 1] += b1
            counts[1, half, j + 2] += b2
            counts[1, half, j + 3] += b3
        for j in range(four, len(others)):
            other0 = others[j, begin:end]
            a0 = b0 = 0
            for w in range(row.size):
                a0 += popcount(row[w] & other0[w])
                b0 += popcount(next_row[w] & other0[w])
            counts[0, half, j] += a0
            counts[1, half, j] += b0
