from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from beton.errors import InputError
from beton.stats.online_fdr import LEVEL, SERIES, lord_thresholds, spending

P_VALUES = st.lists(st.floats(0, 1) | st.floats(0, 1e-3) | st.just(0.0), max_size=40)


def published(p_values: list[float], level: float) -> list[float]:
    """The formula as the paper writes it, test by test, without an array."""
    gamma = [math.log(max(j, 2)) / (j * math.exp(math.sqrt(math.log(j)))) / SERIES for j in range(1, len(p_values) + 2)]
    start, found, thresholds = level / 2, [], []
    for t in range(1, len(p_values) + 2):
        alpha = gamma[t - 1] * start
        if found:
            alpha += (level - start) * gamma[t - found[0] - 1]
        alpha += level * sum(gamma[t - tau - 1] for tau in found[1:])
        thresholds.append(alpha)
        if t <= len(p_values) and p_values[t - 1] <= alpha:
            found.append(t)
    return thresholds


def test_the_shares_add_up_to_one() -> None:
    """Up to a million by addition; beyond, twice the gamma integral of s^3 exp(-s) bounds the rest from both sides."""
    last = 1_000_000

    def beyond(x: float) -> float:
        s = math.sqrt(math.log(x))
        return 2 * math.exp(-s) * (s**3 + 3 * s**2 + 6 * s + 6) / SERIES

    added = float(spending(last).sum())
    assert added + beyond(last + 1) < 1 < added + beyond(last)
    assert beyond(last) - beyond(last + 1) < 1e-6
    assert 0.48 < beyond(500_000) < 0.49


def test_thresholds_worked_out_by_hand() -> None:
    """gamma = 0.0548, 0.0119, 0.0102, 0.0084; tests 1 and 3 are discoveries."""
    g1, g2, g3, g4 = (
        math.log(2) / SERIES,
        math.log(2) / (2 * math.exp(math.sqrt(math.log(2)))) / SERIES,
        math.log(3) / (3 * math.exp(math.sqrt(math.log(3)))) / SERIES,
        math.log(4) / (4 * math.exp(math.sqrt(math.log(4)))) / SERIES,
    )
    by_hand = [
        0.025 * g1,
        0.025 * g2 + 0.025 * g1,
        0.025 * g3 + 0.025 * g2,
        0.025 * g4 + 0.025 * g3 + 0.05 * g1,
    ]
    assert by_hand == pytest.approx([0.00137039, 0.00166840, 0.00055184, 0.00320569], rel=1e-5)
    assert lord_thresholds([0.001, 0.5, 0.0005]) == pytest.approx(by_hand, rel=1e-14)


def test_an_equal_p_value_is_a_discovery_and_the_next_number_is_not() -> None:
    first = float(lord_thresholds([])[0])
    assert lord_thresholds([first])[1] > lord_thresholds([math.nextafter(first, 1)])[1]


@given(P_VALUES, st.floats(0.01, 0.5))
def test_the_formula_is_the_papers(p_values: list[float], level: float) -> None:
    assert lord_thresholds(p_values, level) == pytest.approx(published(p_values, level), rel=1e-12)


@given(P_VALUES)
def test_what_is_spent_never_exceeds_what_was_given(p_values: list[float]) -> None:
    """The estimate of the false discovery proportion stays below the level: all thresholds over discoveries so far."""
    thresholds = lord_thresholds(p_values)[:-1]
    found = np.cumsum(np.array(p_values) <= thresholds)
    assert np.all(thresholds > 0)
    assert np.all(np.cumsum(thresholds) <= LEVEL * np.maximum(found, 1) * (1 + 1e-12))


@given(P_VALUES, P_VALUES)
def test_later_tests_never_change_earlier_thresholds(p_values: list[float], later: list[float]) -> None:
    longer = lord_thresholds(p_values + later)
    assert np.array_equal(lord_thresholds(p_values), longer[: len(p_values) + 1])


@given(P_VALUES, st.integers(0, 39))
def test_a_smaller_p_value_never_lowers_a_later_threshold(p_values: list[float], at: int) -> None:
    if at < len(p_values):
        better = [*p_values[:at], 0.0, *p_values[at + 1 :]]
        assert np.all(lord_thresholds(better) >= lord_thresholds(p_values) * (1 - 1e-12))


@pytest.mark.parametrize("wrong", [[-0.1], [1.1], [float("nan")], [[0.1]]])
def test_what_is_no_p_value_is_refused(wrong: list[float]) -> None:
    with pytest.raises(InputError, match="p-value"):
        lord_thresholds(wrong)


@pytest.mark.parametrize("level", [0.0, 1.0, -0.1, float("nan")])
def test_a_level_is_a_share(level: float) -> None:
    with pytest.raises(InputError, match="level"):
        lord_thresholds([0.5], level)


def test_of_sixty_hypotheses_few_that_hold_are_false() -> None:
    """60 tests, 80% of them of nothing, the others 4 standard errors from it: 400 companies."""
    random = np.random.default_rng(7)
    false_shares: dict[str, list[float]] = {"plain": [], "lord": []}
    powers = []
    for _ in range(400):
        real = random.random(60) < 0.2
        z = random.normal(size=60) + 4 * real
        p = np.array([math.erfc(abs(each) / math.sqrt(2)) for each in z])
        held = p <= lord_thresholds(p)[:-1]
        for name, kept in (("plain", p < 0.05), ("lord", held)):
            false_shares[name].append(float((kept & ~real).sum() / max(1, kept.sum())))
        powers.append(float((held & real).sum() / max(1, real.sum())))
    assert np.mean(false_shares["plain"]) > 0.12
    assert np.mean(false_shares["lord"]) < 0.02
    assert np.mean(powers) > 0.6
