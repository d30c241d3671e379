from __future__ import annotations

import pytest

from beton.model.settings import CompanySettings
from beton.model.thresholds import missed

SETTINGS = CompanySettings(min_confidence=0.9, min_sample=30, min_lift=1.5)


@pytest.mark.parametrize(
    ("confidence", "units", "lift", "misses"),
    [
        (0.9, 30, 1.5, ()),
        (0.899, 29, 1.49, ("confidence", "sample", "lift")),
        (0.99, 300, 0.66, ()),
        (0.99, 300, 0.68, ("lift",)),
        (0.99, 300, 0.0, ()),
        (0.99, 300, float("inf"), ()),
        (None, None, None, ()),
        (None, 12, None, ("sample",)),
    ],
)
def test_a_signal_misses_what_it_stays_below(
    confidence: float | None, units: int | None, lift: float | None, misses: tuple[str, ...]
) -> None:
    assert missed(SETTINGS, confidence=confidence, units=units, lift=lift) == misses


@pytest.mark.parametrize("min_lift", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("lift", [0.0, 0.3, 0.999, 1.0, 1.001, 4.0])
def test_a_minimum_of_no_difference_keeps_every_lift(min_lift: float, lift: float) -> None:
    assert missed(CompanySettings(min_lift=min_lift), confidence=None, units=None, lift=lift) == ()
