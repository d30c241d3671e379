"""All pairs of candidates by several contenders that must count the same.

The engine's answer is that of a discovery run: every pair counted and tested exactly in the training period, and for
those that Benjamini-Hochberg may accept the held-out table too. Peers are given columns in the form they like before
the clock starts. The slow ones get the first candidates only; candidates per second are what compares.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations, islice
from typing import Any, Final

import duckdb
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from benchmarks.matrices import World
from beton.discovery import sweep
from beton.stats.proportions import log_mid_p

MIN_UNITS: Final = 30
LEVEL: Final = 0.05
# Pairs for contenders that take one at a time.
ONE_AT_A_TIME: Final = {"numpy, a pair at a time": 1_000, "pandas loop": 100, "GROUP BY per candidate": 100}

Counts = NDArray[np.int64]


@dataclass(frozen=True)
class Answer:
    """Pairs tested, and those that may be discoveries with their counts in all four groups."""

    tested: int
    pairs: sweep.Pairs


def engine(world: World, threads: int) -> Answer:
    """Do what a discovery run does with pairs."""
    family = sweep.Family(MIN_UNITS)
    scanned = sweep.scan(world.bits, family, float(np.log(LEVEL)), threads=threads)
    bound = sweep.largest_rejectable_log_p(scanned.histogram, scanned.tested, LEVEL)
    cutoff = -np.inf if bound is None else bound
    kept = sweep.collect(world.bits, family, cutoff, scanned, threads=threads)
    return Answer(scanned.tested, kept)


def engine_keeping_all(world: World, threads: int) -> sweep.Pairs:
    """Return every tested pair with its counts in all four groups, which no run needs."""
    return sweep.collect(world.bits, sweep.Family(MIN_UNITS), 0.0, threads=threads)


def sparse_products(world: World, features: int) -> Callable[[], list[Any]]:
    """Counts of all pairs of the first ``features`` in all four groups as products of sparse matrices."""
    by_group = [csr_matrix(world.columns[:features, rows].T.astype(np.int32)) for rows in world.groups]
    return lambda: [each.T @ each for each in by_group]


def dense_products(world: World) -> Callable[[], list[Any]]:
    """The same as products of float32 matrices, which BLAS takes."""
    by_group = [world.columns[:, rows].astype(np.float32) for rows in world.groups]
    return lambda: [each @ each.T for each in by_group]


def one_at_a_time(world: World) -> dict[str, tuple[Callable[[], Counts], int]]:
    """Contenders that take a pair at a time: name -> (call, pairs); each tests them and returns counts (pairs, 4)."""
    calls = {"numpy, a pair at a time": _numpy_loop, "pandas loop": _pandas_loop, "GROUP BY per candidate": _group_by}
    made = {}
    for name, call in calls.items():
        pairs = list(islice(combinations(range(world.bits.features), 2), ONE_AT_A_TIME[name]))
        made[name] = (call(world, pairs), len(pairs))
    return made


def _test(counts: Counts, world: World) -> None:
    converted, others = world.bits.sizes[:2]
    n1 = counts[:, :2].sum(axis=1)
    log_mid_p(counts[:, 0], n1, converted - counts[:, 0], converted + others - n1)


def _numpy_loop(world: World, pairs: list[tuple[int, int]]) -> Callable[[], Counts]:
    group = _group_of(world)

    def call() -> Counts:
        counts = np.empty((len(pairs), 4), dtype=np.int64)
        for at, (first, second) in enumerate(pairs):
            counts[at] = np.bincount(group[world.columns[first] & world.columns[second]], minlength=5)[:4]
        _test(counts, world)
        return counts

    return call


def _pandas_loop(world: World, pairs: list[tuple[int, int]]) -> Callable[[], Counts]:
    frame = _frame(world, max(max(pair) for pair in pairs) + 1)

    def call() -> Counts:
        counts = np.zeros((len(pairs), 4), dtype=np.int64)
        for at, (first, second) in enumerate(pairs):
            both = frame[f"f{first}"] & frame[f"f{second}"]
            sizes = frame.groupby(["group_", both]).size()
            counts[at] = [sizes.get((group, True), 0) for group in range(4)]
        _test(counts, world)
        return counts

    return call


def _group_by(world: World, pairs: list[tuple[int, int]]) -> Callable[[], Counts]:
    connection = duckdb.connect(":memory:")
    connection.register("frame", _frame(world, max(max(pair) for pair in pairs) + 1))
    connection.execute("CREATE TABLE units AS SELECT * FROM frame")

    def call() -> Counts:
        counts = np.zeros((len(pairs), 4), dtype=np.int64)
        for at, (first, second) in enumerate(pairs):
            sql = f"SELECT group_, COUNT(*) FROM units WHERE f{first} AND f{second} AND group_ < 4 GROUP BY group_"
            for group, units in connection.execute(sql).fetchall():
                counts[at, group] = units
        _test(counts, world)
        return counts

    return call


def _group_of(world: World) -> NDArray[np.int64]:
    """Group of each row, 4 for those of neither period."""
    group = np.full(world.train.size, 4)
    for at, rows in enumerate(world.groups):
        group[rows] = at
    return group


def _frame(world: World, features: int) -> pd.DataFrame:
    columns = {f"f{at}": world.columns[at] for at in range(features)}
    return pd.DataFrame({"group_": _group_of(world), **columns})


def check(world: World, products: list[list[Any]], loops: dict[str, Counts]) -> None:
    """Every contender must have counted what the engine counts."""
    everything = engine_keeping_all(world, threads=2)
    for matrices in products:
        dense = [each if isinstance(each, np.ndarray) else each.toarray() for each in matrices]
        found = [each[everything.first, everything.second] for each in dense]
        assert np.array_equal(np.column_stack(found), everything.counts), "a product disagrees"
    place = {
        pair: at for at, pair in enumerate(zip(everything.first.tolist(), everything.second.tolist(), strict=True))
    }
    for name, counts in loops.items():
        for pair, row in zip(combinations(range(world.bits.features), 2), counts, strict=False):
            if pair in place:
                assert np.array_equal(row, everything.counts[place[pair]]), f"{name} disagrees about {pair}"
