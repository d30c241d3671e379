"""The compiled p-value against scipy's hypergeometric distribution and the library's own arrays."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import hypergeom

from beton.discovery.mid_p import Margins, Memory, log_mid_p, margins, new_memory, remembered_log_mid_p, screen
from beton.stats.proportions import log_mid_p as library_log_mid_p

Table = tuple[int, int, int, int]


def compiled(table: Table) -> float:
    a, n1, units, converted = table
    return float(log_mid_p(a, n1, units, converted, margins(units, converted).log_factorial))


def random_tables(count: int, seed: int) -> list[Table]:
    """Possible (a, n1, units, converted), far tails and empty margins among them."""
    rng = np.random.default_rng(seed)
    tables = []
    for _ in range(count):
        units = int(np.exp(rng.uniform(np.log(2), np.log(40_000))))
        converted, n1 = (int(units * rng.beta(0.4, 1.2)) for _ in range(2))
        least, most = max(0, n1 + converted - units), min(n1, converted)
        tables.append((int(rng.integers(least, most + 1)), n1, units, converted))
    return tables


def test_1000_tables_against_scipys_distribution():
    for a, n1, units, converted in random_tables(1000, seed=1):
        distribution = hypergeom(units, converted, n1)
        half = distribution.pmf(a) / 2
        tails = distribution.sf(a) + half, distribution.cdf(a - 1) + half
        expected = min(1.0, 2 * min(tails))
        # scipy's own factorials lose digits with the size of the table.
        if expected > 1e-200:
            assert math.exp(compiled((a, n1, units, converted))) == pytest.approx(expected, rel=1e-6)


def test_1000_tables_against_the_library():
    tables = random_tables(1000, seed=2)
    a, n1, units, converted = np.array(tables).T
    expected = library_log_mid_p(a, n1, converted - a, units - n1)
    assert expected.min() < -5000
    np.testing.assert_allclose([compiled(each) for each in tables], expected, rtol=1e-9, atol=1e-8)


@st.composite
def small(draw: st.DrawFn) -> Table:
    units = draw(st.integers(1, 60))
    converted, n1 = draw(st.integers(0, units)), draw(st.integers(0, units))
    return draw(st.integers(max(0, n1 + converted - units), min(n1, converted))), n1, units, converted


@given(small())
def test_small_tables_against_whole_numbers(table: Table):
    a, n1, units, converted = table
    ways = {
        k: math.comb(n1, k) * math.comb(units - n1, converted - k)
        for k in range(max(0, n1 + converted - units), min(n1, converted) + 1)
    }
    above = 2 * sum(w for k, w in ways.items() if k > a) + ways[a]
    below = 2 * sum(w for k, w in ways.items() if k < a) + ways[a]
    expected = min(0.0, math.log(min(above, below)) - math.log(sum(ways.values())))
    assert compiled(table) == pytest.approx(expected, abs=1e-11)


def ask(shared: Margins, memory: Memory, a: int, n1: int) -> float:
    found = remembered_log_mid_p(a, n1, shared.units, shared.converted, shared.log_factorial, memory)
    return float(found)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 40), st.integers(200, 900)), min_size=1, max_size=60))
def test_a_memory_too_small_for_all_tables_forgets_but_never_errs(asked):
    shared = margins(1_000, 60)
    # Nearly every table drives another one out.
    tiny = new_memory(places=2)
    for a, n1 in asked * 2:
        assert ask(shared, tiny, a, n1) == compiled((a, n1, 1_000, 60))


def test_what_is_remembered_is_not_worked_out_again():
    shared, memory = margins(1_000, 60), new_memory()
    first = ask(shared, memory, 20, 200)
    place = np.flatnonzero(memory[:, 0] >= 0)
    assert place.size == 1
    memory[place, 1] = -123.0
    assert first != -123.0
    assert ask(shared, memory, 20, 200) == -123.0


@settings(max_examples=60, deadline=None)
@given(small(), st.sampled_from([0.0, -1e-9, math.log(0.3), math.log(0.05), -20.0, -2_000.0]))
def test_a_screen_passes_every_table_within_the_limit(table: Table, limit: float):
    _, _, units, converted = table
    shared = margins(units, converted)
    passes = screen(shared, limit, units)
    for n1 in range(units + 1):
        for a in range(max(0, n1 + converted - units), min(n1, converted) + 1):
            if compiled((a, n1, units, converted)) <= limit:
                assert a <= passes.few[n1] or a >= passes.many[n1]


def test_a_screen_is_two_conversions_too_wide_at_most():
    units, converted, limit = 4_000, 230, math.log(0.05)
    passes = screen(margins(units, converted), limit, units)
    for n1 in range(0, units + 1, 7):
        lowest, highest = max(0, n1 + converted - units), min(n1, converted)
        for a in (int(passes.few[n1]) - 2, int(passes.many[n1]) + 2):
            if lowest <= a <= highest:
                assert compiled((a, n1, units, converted)) <= limit
