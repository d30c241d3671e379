"""Candidates as rows of bits: one bit per unit of a cohort, units grouped by period and outcome.

A count of units is an AND and a population count over a range of words, and the training and held-out tables of a
candidate come from the same row. Inside a group the most active units come first, so that the carriers of a typical
candidate share few 512-bit blocks and the empty ones can be passed over.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic
from numpy.typing import NDArray

Words: TypeAlias = NDArray[np.uint64]
Integers: TypeAlias = NDArray[np.int64]
Booleans: TypeAlias = NDArray[np.bool_]

WORDS_PER_BLOCK: Final = 8
_BITS_PER_BLOCK: Final = 512


@dataclass(frozen=True)
class Columns:
    """Which of ``units`` carry each of F candidates, eight to a byte: ``packed`` uint8 (F, ceil(units / 8)).

    The least bit of a byte is the first unit.
    """

    packed: NDArray[np.uint8]
    units: int

    @classmethod
    def of(cls, columns: Booleans) -> Columns:
        """Pack booleans (F, units)."""
        return cls(np.packbits(columns, axis=1, bitorder="little"), columns.shape[1])

    def first(self, end: int) -> Columns:
        """Return the first ``end`` candidates."""
        return Columns(self.packed[:end], self.units)

    def carried(self, features: NDArray[Any] | Sequence[int]) -> Booleans:
        """Return the columns of some candidates as booleans, (len(features), units)."""
        bits = np.unpackbits(self.packed[features], axis=1, count=self.units, bitorder="little")
        return bits.view(np.bool_)


@dataclass(frozen=True)
class BitMatrix:
    """Bits of F candidates over the units of a cohort.

    ``words`` (F, W): bit b of word w is slot 64 w + b. ``groups``: the five offsets, in words, of training converted,
    training not converted, held-out converted, held-out not converted. ``slot_row`` (64 W,): row of the cohort in
    each slot, -1 for padding, whose bits are 0. ``sizes`` (4,): units per group.
    """

    words: Words
    groups: Integers
    slot_row: NDArray[np.int32]
    sizes: Integers

    @property
    def features(self) -> int:
        """Number of candidates F."""
        return int(self.words.shape[0])

    @property
    def train_units(self) -> int:
        """Units of the training period."""
        return int(self.sizes[0] + self.sizes[1])

    @property
    def train_converted(self) -> int:
        """Units of the training period that converted."""
        return int(self.sizes[0])


@dataclass(frozen=True)
class Slots:
    """Where each unit of a cohort goes in a BitMatrix; fields as there."""

    groups: Integers
    slot_row: NDArray[np.int32]
    sizes: Integers


def arrange(train: Booleans, holdout: Booleans, converted: Booleans, activity: NDArray[Any]) -> Slots:
    """Give each unit of either period a slot; all arguments (rows,), ``activity`` any number that grows with use.

    Rows of neither period get none. Equally active units keep their order.
    """
    by_activity = np.argsort(-np.asarray(activity, dtype=np.float64), kind="stable")
    members = [
        by_activity[(period & (converted == outcome))[by_activity]]
        for period in (train, holdout)
        for outcome in (True, False)
    ]
    padded = [-(-len(rows) // _BITS_PER_BLOCK) * _BITS_PER_BLOCK for rows in members]
    bounds = np.concatenate([[0], np.cumsum(padded)]).astype(np.int64)
    slot_row = np.full(bounds[-1], -1, dtype=np.int32)
    for start, rows in zip(bounds, members, strict=False):
        slot_row[start : start + len(rows)] = rows
    return Slots(bounds // 64, slot_row, np.array([len(rows) for rows in members], dtype=np.int64))


def pack(columns: Columns, slots: Slots) -> Words:
    """Give the bits of columns over the rows of a cohort their slots: words (F, W)."""
    words = np.empty((len(columns.packed), len(slots.slot_row) // 64), dtype=np.uint64)
    padding = columns.packed.shape[1] * 8
    place = np.where(slots.slot_row < 0, padding, slots.slot_row).astype(np.uint32)
    _pack(columns.packed, place, words)
    return words


def build(
    columns: Columns, train: Booleans, holdout: Booleans, converted: Booleans, activity: NDArray[Any]
) -> BitMatrix:
    """Arrange the columns over the rows of a cohort; the other arguments as in ``arrange``."""
    slots = arrange(train, holdout, converted, activity)
    return BitMatrix(pack(columns, slots), slots.groups, slots.slot_row, slots.sizes)


def singles(matrix: BitMatrix) -> Integers:
    """Return carriers of each candidate by group, (F, 4) in the order of ``BitMatrix.groups``."""
    every = np.arange(matrix.features)
    return intersections(matrix, every, every)


def intersections(matrix: BitMatrix, first: NDArray[Any], second: NDArray[Any], *, first_group: int = 0) -> Integers:
    """Return the units that carry both candidates of each pair by group, (len(first), 4 - first_group)."""
    counts = np.empty((len(first), 4 - first_group), dtype=np.int64)
    groups = matrix.groups[first_group:]
    _intersections(matrix.words, groups, first.astype(np.int64), second.astype(np.int64), counts)
    return counts


def _popcount(typing_context: Any, word: Any) -> Any:
    """Population count of a uint64; LLVM turns a loop over it into vector instructions where there are any."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
        return builder.ctpop(arguments[0])

    return types.int64(types.uint64), generate


popcount: Any = intrinsic(_popcount)


@njit(cache=True, nogil=True)
def _pack(packed: Any, place: Any, words: Any) -> None:
    """``place`` (64 W,): unit of each slot, and one past the last byte's for padding."""
    carried = np.zeros(packed.shape[1] * 8 + 1, dtype=np.uint8)
    for feature in range(words.shape[0]):
        for at in range(packed.shape[1]):
            for bit in range(8):
                carried[at * 8 + bit] = packed[feature, at] >> bit & 1
        for w in range(words.shape[1]):
            word = np.uint64(0)
            for bit in range(64):
                word |= np.uint64(carried[place[w * 64 + bit]]) << np.uint64(bit)
            words[feature, w] = word


@njit(cache=True, nogil=True)
def _intersections(words: Any, groups: Any, first: Any, second: Any, counts: Any) -> None:
    for pair in range(len(first)):
        for group in range(counts.shape[1]):
            one = words[first[pair], groups[group] : groups[group + 1]]
            other = words[second[pair], groups[group] : groups[group + 1]]
            total = 0
            for w in range(one.size):
                total += popcount(one[w] & other[w])
            counts[pair, group] = total
