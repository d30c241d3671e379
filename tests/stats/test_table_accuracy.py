"""Accuracy of a table as a forecast."""

from __future__ import annotations

import pytest

from beton.stats.accuracy import accuracy_of
from beton.stats.proportions import TwoByTwo


def test_flagship_is_less_accurate_than_forecasting_nobody():
    result = accuracy_of(TwoByTwo(177, 1247, 304, 8934))
    assert result.accuracy == pytest.approx(0.865, abs=0.0005)
    assert result.accuracy_of_never == pytest.approx(0.953, abs=0.0005)
    assert result.precision == pytest.approx(0.142, abs=0.0005)
    assert result.recall == pytest.approx(0.368, abs=0.0005)


@pytest.mark.parametrize(("lift", "accuracy"), [(3, 0.860), (2, 0.856), (1, 0.852), (0.5, 0.850)])
def test_accuracy_hardly_notices_a_dying_signal(lift, accuracy):
    table = TwoByTwo(round(1247 * 304 / 8934 * lift), 1247, 304, 8934)
    assert accuracy_of(table).accuracy == pytest.approx(accuracy, abs=0.001)


def test_accuracy_beats_never_exactly_when_most_signal_units_convert():
    for converted, beats in ((49, False), (50, False), (51, True)):
        result = accuracy_of(TwoByTwo(converted, 100, 20, 900))
        assert (result.accuracy > result.accuracy_of_never) is beats


def test_nothing_to_divide_by_is_none():
    result = accuracy_of(TwoByTwo(0, 0, 0, 0))
    assert (result.accuracy, result.accuracy_of_never, result.precision, result.recall) == (None,) * 4
