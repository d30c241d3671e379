"""Benjamini-Hochberg against scipy, Simes against its definition, and both where p-values underflow."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import false_discovery_control

from beton.errors import InputError
from beton.stats.multiplicity import benjamini_hochberg, bh_cutoff, simes

# Few distinct values, so that ties and p = 1 come up.
p_values = st.lists(st.sampled_from([1e-12, 1e-6, 0.001, 0.01, 0.02, 0.03, 0.04, 0.05, 0.3, 1.0]) | st.floats(1e-9, 1))


def test_q_values_are_scipys_with_unlisted_candidates_at_1():
    p = np.random.default_rng(1).random(300) ** 4
    expected = false_discovery_control(np.append(p, np.ones(200)))[:300]
    np.testing.assert_allclose(benjamini_hochberg(np.log(p), 500), expected, rtol=1e-12)
    cutoff = bh_cutoff(np.log(p), 500, 0.05)
    np.testing.assert_array_equal(np.log(p) <= np.log(cutoff), expected <= 0.05)


@given(p_values, st.integers(0, 30))
def test_q_values_are_scipys_with_ties(p, unlisted):
    expected = false_discovery_control(np.append(p, np.ones(unlisted))) if p else np.zeros(0)
    q = benjamini_hochberg(np.log(p), len(p) + unlisted)
    np.testing.assert_allclose(q, expected[: len(p)], rtol=1e-12)
    assert (q >= np.asarray(p) * (1 - 1e-15)).all()


@given(p_values, st.integers(0, 30), st.sampled_from([0.01, 0.05, 0.2]))
def test_the_cutoff_rejects_what_the_step_up_procedure_rejects(p, unlisted, level):
    ranked, family = np.sort(p), len(p) + unlisted
    # The largest k with p(k) <= k level / m, as the paper states it; rounding decides nothing at 1e-9 from the line.
    line = level * np.arange(1, len(p) + 1) / max(1, family)
    if np.any(np.abs(ranked - line) < 1e-9 * line):
        return
    passed = np.flatnonzero(ranked <= line)
    cutoff = bh_cutoff(np.log(p), family, level)
    if passed.size:
        assert cutoff == pytest.approx(ranked[passed[-1]], rel=1e-12)
        assert (np.log(p) <= math.log(cutoff)).sum() == (np.asarray(p) <= ranked[passed[-1]]).sum()
    else:
        assert cutoff is None


def test_underflowing_p_values_are_rejected():
    assert bh_cutoff([-2000.0, -np.inf, -0.1], 1000, 0.05) == 5e-324
    assert bh_cutoff([-0.1], 1, 0.05) is None
    assert bh_cutoff([], 10, 0.05) is None
    np.testing.assert_array_equal(benjamini_hochberg([-2000.0, -0.0], 10), [0.0, 1.0])


def test_simes_by_hand():
    log_p = simes(np.log([0.04, 0.01, 0.5]), [0, 0, 1], [4, 1, 2])
    np.testing.assert_allclose(np.exp(log_p), [0.04, 0.5, 1.0])


@given(st.lists(st.tuples(st.floats(1e-9, 1), st.integers(0, 3)), max_size=30), st.integers(0, 5))
def test_simes_is_the_smallest_q_value_of_its_group(members, unlisted):
    p, group = [m[0] for m in members], [m[1] for m in members]
    sizes = np.bincount(np.array(group, dtype=int), minlength=4) + unlisted
    found = np.exp(simes(np.log(p), group, sizes))
    for each in range(4):
        own = [value for value, of in members if of == each]
        expected = false_discovery_control(own + [1.0] * unlisted).min() if own else 1.0
        assert found[each] == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("log_p", [[0.1], [np.nan], [[-1.0]]])
def test_what_is_no_list_of_log_p_values_is_refused(log_p):
    for call in (benjamini_hochberg, lambda x: simes(x, [0], [1]), lambda x: bh_cutoff(x, None, 0.05)):
        with pytest.raises(InputError, match="give one list of natural logarithms"):
            call(log_p)


def test_impossible_families_levels_and_groups_are_refused():
    with pytest.raises(InputError, match="give the number of all tested"):
        benjamini_hochberg([-1.0, -2.0], 1)
    with pytest.raises(InputError, match="level is 5; give"):
        bh_cutoff([-1.0], None, 5)
    with pytest.raises(InputError, match="give each p-value a group"):
        simes([-1.0], [1], [1])
    with pytest.raises(InputError, match="give each p-value a group"):
        simes([-1.0, -1.0], [0], [2])
    with pytest.raises(InputError, match="more p-values than its size"):
        simes([-1.0, -1.0], [0, 0], [1])
