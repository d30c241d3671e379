"""Branch and bound against plain enumeration, and triples as discoveries of the search."""

from __future__ import annotations

from collections import Counter
from itertools import combinations
from math import comb

import numpy as np
import pytest

from beton.discovery import matrix, sweep, triples
from beton.discovery.candidates import Candidates, Feature
from beton.discovery.cohorts import Cohort
from beton.discovery.families import Counts, lift
from beton.discovery.matrix import BitMatrix
from beton.discovery.search import _triple_groups_found, blocks, search
from beton.model.discovery import DiscoverySettings
from beton.stats.proportions import log_mid_p
from beton.warehouse.core.frame import Frame

Triple = tuple[int, int, int]


def small_world(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, BitMatrix]:
    """Columns that depend on activity, some nested; three of them together help, another three together harm."""
    random = np.random.default_rng(seed)
    features, units = 22, 1_500
    activity = random.lognormal(size=units)
    share = random.uniform(0.05, 0.5, features)[:, None]
    columns = random.random((features, units)) < np.clip(activity * share, 0, 0.9)
    columns[4] = columns[2] & columns[3]
    train = random.random(units) < 0.8
    rate = np.clip(0.1 * activity, 0, 0.5)
    rate[columns[[1, 6, 9]].all(axis=0)] = 0.9
    rate[columns[[0, 7, 12]].all(axis=0)] = 0.0
    converted = random.random(units) < rate
    return columns, train, converted, matrix.build(matrix.Columns.of(columns), train, ~train, converted, activity)


def enumerated(
    columns: np.ndarray, train: np.ndarray, converted: np.ndarray, family: sweep.Family
) -> tuple[dict[Triple, float], int]:
    """ln p of every triple in which each condition adds to the others, by boolean columns; and the candidates."""
    units, total = int(train.sum()), int((train & converted).sum())

    def counted(*features: int) -> tuple[int, int]:
        carriers = columns[list(features)].all(axis=0) & train
        return int((carriers & converted).sum()), int(carriers.sum())

    def strength(a: int, n: int) -> float:
        return float(lift(tuple(np.array([each]) for each in (a, n, total - a, units - n)))[0])

    singles = [counted(i)[1] for i in range(len(columns))]
    pairs = {pair: counted(*pair) for pair in combinations(range(len(columns)), 2)}
    candidate = {
        (i, j)
        for (i, j), (_, n) in pairs.items()
        if family.min_units <= n <= units - family.min_units and n < min(singles[i], singles[j])
    }
    found, tested = {}, 0
    for each in combinations(range(len(columns)), 3):
        parts = list(combinations(each, 2))
        if each[2] < family.first_new or not candidate.issuperset(parts):
            continue
        tested += 1
        a, n = counted(*each)
        if n < family.min_units or n >= min(pairs[part][1] for part in parts):
            continue
        own, of_pairs = strength(a, n), [strength(*pairs[part]) for part in parts]
        if not all(own > other if own > 1 else own < other for other in of_pairs):
            continue
        given = [log_mid_p([a], [n], [pairs[p][0] - a], [pairs[p][1] - n])[0] for p in parts]
        if max(given) < 0:
            found[each] = float(max(given))
    return found, tested


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("family", [sweep.Family(10), sweep.Family(30), sweep.Family(10, first_new=15)])
@pytest.mark.parametrize("most", [5, 10_000])
def test_the_best_are_those_of_plain_enumeration(seed: int, family: sweep.Family, most: int) -> None:
    columns, train, converted, bits = small_world(seed)
    expected, tested = enumerated(columns, train, converted, family)
    ranked = sorted(expected.items(), key=lambda item: item[1])[:most]

    tables = triples.tables_of(bits, family)
    best = triples.best(bits, tables, most)

    assert triples.tested(tables) == tested
    np.testing.assert_allclose(best.log_p, [p for _, p in ranked], rtol=1e-9)
    own = {tuple(each): p for each, p in zip(best.features.tolist(), best.log_p.tolist(), strict=True)}
    # Equal p-values may swap places at the end of the list.
    assert all(p == pytest.approx(expected[each], rel=1e-9) for each, p in own.items())
    assert len(own) == len(ranked) > 4
    assert best.features.tolist()[0] == list(ranked[0][0])


@pytest.mark.parametrize("limit", [-2.0, -6.0, -1_000.0])
def test_a_limit_leaves_out_the_others_and_nothing_else(limit: float) -> None:
    columns, train, converted, bits = small_world(0)
    family = sweep.Family(20)
    expected, _ = enumerated(columns, train, converted, family)

    best = triples.best(bits, triples.tables_of(bits, family), 10_000, limit)

    assert {tuple(each) for each in best.features.tolist()} == {each for each, p in expected.items() if p <= limit}


def test_any_number_of_threads_gives_the_same() -> None:
    bits = small_world(1)[3]
    tables = triples.tables_of(bits, sweep.Family(10))
    one, two = (triples.best(bits, tables, 7, threads=threads) for threads in (1, 2))

    assert one.features.tolist() == two.features.tolist()
    assert one.log_p.tolist() == two.log_p.tolist()


def test_those_that_work_only_together_come_first() -> None:
    columns, train, converted, bits = small_world(1)
    best = triples.best(bits, triples.tables_of(bits, sweep.Family(10)), 2)

    assert sorted(best.features.tolist()) == [[0, 7, 12], [1, 6, 9]]
    groups = (train & converted, train & ~converted, ~train & converted, ~train & ~converted)
    for features, counts in zip(best.features.tolist(), best.counts.tolist(), strict=True):
        carriers = columns[features].all(axis=0)
        assert counts == [int((carriers & group).sum()) for group in groups]


def test_none_are_found_where_none_are_candidates() -> None:
    bits = small_world(0)[3]
    tables = triples.tables_of(bits, sweep.Family(100_000))

    assert triples.tested(tables) == 0
    assert triples.best(bits, tables, 10).features.shape == (0, 3)
    assert Counts(triples.best(bits, tables, 10).counts, np.zeros((0, 4), np.int64)).table()[0].size == 0


def test_what_is_possible_is_counted_by_blocks() -> None:
    assert triples.possible([(10, 0)]) == comb(10, 3)
    assert triples.possible([(4, 0), (10, 4)]) == comb(10, 3)


def test_it_stops_when_told_to() -> None:
    bits = small_world(0)[3]

    with pytest.raises(sweep.Stopped):
        triples.best(bits, triples.tables_of(bits, sweep.Family(10)), 10, should_stop=lambda: True)


def bh_q(log_p: np.ndarray, at: int, family: int) -> float:
    """q-value of one of the listed p-values of a family, by the definition."""
    return float(min(np.exp(p) * family / (log_p <= p).sum() for p in log_p if p >= log_p[at]))


def test_a_planted_triple_is_listed_in_a_family_of_its_own() -> None:
    random = np.random.default_rng(0)
    features, units = 12, 6_000
    columns = random.random((features, units)) < 0.5
    converted = random.random(units) < np.where(columns[[1, 4, 7]].all(axis=0), 0.5, 0.03)
    t0_s, keys = np.arange(units, dtype=np.int64), np.arange(units, dtype=np.int32)
    status, train = np.zeros(units, np.int8), np.arange(units) < 4_000
    rows = Frame(keys, keys, np.zeros(units, np.int32), t0_s, t0_s, status, converted)
    cohort = Cohort(14, rows, train, ~train, np.zeros(units), np.zeros(units, np.int64))
    named = tuple(Feature({"at": i}, 14, str(i // 2), "behaviour", str(i)) for i in range(features))
    pool = Candidates(named, matrix.Columns.of(columns), features, 0, 0, ())

    found = search(pool, blocks(pool, [cohort]), DiscoverySettings(), lambda share: None, lambda: False)

    listed = found.triples.features[found.triples.listed]
    assert listed.tolist() == [[1, 4, 7]]
    assert found.triples.tested == comb(features, 3)
    at = int(found.triples.listed.argmax())
    assert found.triples.q_depth[at] == pytest.approx(bh_q(found.triples.p, at, comb(features, 3)))
    assert found.singles.tested + found.pairs.tested == features + comb(features, 2)


def test_groups_of_triples_are_counted_with_their_sizes() -> None:
    groups = ["a", "a", "a", "b", "b", "c", "d"]
    every = np.array(list(combinations(range(len(groups)), 3)))
    named = [tuple(sorted(groups[at] for at in each)) for each in every.tolist()]
    size, families = Counter(named), len(set(named))
    # Simes with one small p-value in a group of so many, Benjamini-Hochberg with one of so many groups.
    for at, name in enumerate(named):
        for times, expected in ((0.99, True), (1.01, False)):
            p = np.log([0.05 * times / size[name] / families])
            found = _triple_groups_found(groups, every[at : at + 1], p, 0.05)
            assert found.tolist() == [expected]
