"""The compiled sweep against plain numpy and the library's mid-P."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest

from beton.discovery import matrix, sweep
from beton.discovery.matrix import BitMatrix
from beton.stats.multiplicity import bh_cutoff
from beton.stats.proportions import log_mid_p

Tested = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


@pytest.fixture(scope="module", params=[0, 1])
def world(request: pytest.FixtureRequest) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, BitMatrix]:
    """Columns of several tiles that depend on activity, as does the outcome; some units are in neither period."""
    random = np.random.default_rng(request.param)
    features, units = 150, 2_500
    activity = random.lognormal(size=units)
    share = random.uniform(0.01, 0.2, features)[:, None]
    columns = random.random((features, units)) < np.clip(activity * share, 0, 0.9)
    columns[7] = columns[3]
    columns[9] = columns[3] & columns[4]
    train = random.random(units) < 0.6
    holdout = ~train & (random.random(units) < 0.8)
    converted = random.random(units) < np.clip(0.04 * activity, 0, 0.5)
    packed = matrix.Columns.of(columns)
    return columns, train, holdout, converted, matrix.build(packed, train, holdout, converted, activity)


def brute(columns: np.ndarray, train: np.ndarray, converted: np.ndarray, family: sweep.Family) -> Tested:
    """Every tested pair (first, second, log p, carriers in training) by boolean columns."""
    first, second = np.triu_indices(len(columns), 1)
    late = second >= family.first_new
    first, second = first[late], second[late]
    both = columns[first] & columns[second] & train
    carriers, parents = both.sum(axis=1), (columns & train).sum(axis=1)
    enough = (carriers >= family.min_units) & (train.sum() - carriers >= family.min_units)
    tested = enough & (carriers < parents[first]) & (carriers < parents[second])
    first, second, both, n1 = first[tested], second[tested], both[tested], carriers[tested]
    a = (both & converted).sum(axis=1)
    log_p = log_mid_p(a, n1, (train & converted).sum() - a, train.sum() - n1)
    return first, second, log_p, n1


@pytest.mark.parametrize("family", [sweep.Family(10), sweep.Family(30, first_new=100), sweep.Family(10_000)])
@pytest.mark.parametrize(("threads", "chunk_pairs"), [(1, 2_000_000), (1, 2_000), (2, 2_000)])
def test_every_pair_is_tested_as_the_library_would(
    world: tuple, family: sweep.Family, threads: int, chunk_pairs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep, "_CHUNK_PAIRS", chunk_pairs)
    columns, train, _, converted, bits = world
    first, second, log_p, _ = brute(columns, train, converted, family)
    expected = sweep.empty_histogram()
    sweep.add_to_histogram(expected, log_p)

    scanned = sweep.scan(bits, family, threads=threads)
    pairs = sweep.collect(bits, family, 0.0, threads=threads)

    assert scanned.tested == len(first)
    # A p-value on the edge of a bin may fall to either side.
    assert np.abs(np.cumsum(scanned.histogram) - np.cumsum(expected)).max() <= 1
    assert pairs.first.tolist() == first.tolist()
    assert pairs.second.tolist() == second.tolist()
    np.testing.assert_allclose(pairs.log_p, log_p, rtol=1e-9, atol=1e-12)


def test_counts_are_those_of_the_four_groups(world: tuple) -> None:
    columns, train, holdout, converted, bits = world
    pairs = sweep.collect(bits, sweep.Family(20), 0.0)
    both = columns[pairs.first] & columns[pairs.second]
    groups = (train & converted, train & ~converted, holdout & converted, holdout & ~converted)

    assert pairs.counts.tolist() == np.column_stack([(both & group).sum(axis=1) for group in groups]).tolist()
    assert bits.sizes.tolist() == [int(group.sum()) for group in groups]
    assert matrix.singles(bits).tolist() == np.column_stack([(columns & g).sum(axis=1) for g in groups]).tolist()


def same(one: sweep.Pairs, other: sweep.Pairs) -> bool:
    return all(np.array_equal(getattr(one, each.name), getattr(other, each.name)) for each in fields(sweep.Pairs))


@pytest.mark.parametrize("threads", [1, 2])
def test_kept_pairs_are_those_of_a_second_pass(world: tuple, threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep, "_CHUNK_PAIRS", 2_000)
    bits, family, limit = world[4], sweep.Family(10), float(np.log(0.05))
    plain = sweep.scan(bits, family)
    below = sweep.collect(bits, family, limit)
    stricter = float(np.median(below.log_p))
    histogram = sweep.empty_histogram()
    sweep.add_to_histogram(histogram, below.log_p)

    for room in (below.log_p.size, below.log_p.size - 1, 0):
        scanned = sweep.scan(bits, family, limit, room, threads=threads)
        assert (scanned.kept is None) == (room < below.log_p.size)
        assert scanned.pairs_kept == (below.log_p.size if scanned.kept else 0)
        assert scanned.tested == plain.tested
        assert np.array_equal(scanned.histogram, histogram)
        for cutoff in (limit, stricter, limit / 2, 0.0):
            expected = sweep.collect(bits, family, cutoff)
            assert expected.log_p.size == np.sum(sweep.collect(bits, family, 0.0).log_p <= cutoff)
            assert same(sweep.collect(bits, family, cutoff, scanned, threads=threads), expected)


@pytest.mark.parametrize("room", [sweep.MOST_KEPT, 0])
def test_pairs_are_tested_again_only_where_some_may_be_missing(
    world: tuple, room: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    bits, family, limit = world[4], sweep.Family(10), float(np.log(0.05))
    scanned = sweep.scan(bits, family, limit, room)
    tests = []
    monkeypatch.setattr(sweep, "_test_chunk", lambda *given, test=sweep._test_chunk: tests.append(1) or test(*given))

    nothing = sweep.collect(bits, family, -np.inf, scanned)
    assert (nothing.first.shape, nothing.counts.shape, nothing.log_p.shape) == ((0,), (0, 4), (0,))
    assert not tests
    sweep.collect(bits, family, limit, scanned)
    assert bool(tests) == (room == 0)
    sweep.collect(bits, family, limit + 0.1, scanned)
    assert tests


def test_a_pair_equal_to_a_parent_is_no_candidate(world: tuple) -> None:
    bits = world[4]
    pairs = sweep.collect(bits, sweep.Family(1), 0.0)
    found = set(zip(pairs.first.tolist(), pairs.second.tolist(), strict=True))

    assert not found & {(3, 7), (3, 9), (4, 9), (7, 9)}


@pytest.mark.parametrize("level", [0.01, 0.05, 0.2])
def test_the_bound_never_misses_a_rejection(world: tuple, level: float) -> None:
    bits, family = world[4], sweep.Family(10)
    scanned, everything = sweep.scan(bits, family), sweep.collect(bits, family, 0.0)
    exact = bh_cutoff(everything.log_p, scanned.tested, level)
    bound = sweep.largest_rejectable_log_p(scanned.histogram, scanned.tested, level)

    assert exact is not None
    assert bound is not None
    assert np.log(exact) <= bound
    assert len(sweep.collect(bits, family, bound).first) <= 1.1 * np.sum(everything.log_p <= np.log(exact)) + 5


def test_nothing_to_reject_has_no_bound() -> None:
    assert sweep.largest_rejectable_log_p(sweep.empty_histogram(), 10, 0.05) is None


def test_it_stops_when_asked(world: tuple) -> None:
    with pytest.raises(sweep.Stopped):
        sweep.scan(world[4], sweep.Family(10), should_stop=lambda: True)
    scanned = sweep.scan(world[4], sweep.Family(10), 0.0)
    for kept in (scanned, None):
        with pytest.raises(sweep.Stopped):
            sweep.collect(world[4], sweep.Family(10), 0.0, kept, should_stop=lambda: True)
