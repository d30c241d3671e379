from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import norm

from beton.model.discovery import Mixture

MIXTURE = Mixture((0.3, 0.5, 0.2), (0.0, 0.4, 0.9), 100)
WIDE = (("0.5", 0.5, 0.4), ("0.2", 0.2, 0.9))


def test_the_null_share_is_the_weight_of_the_spike() -> None:
    assert MIXTURE.null_share == 0.3
    assert Mixture((1.0,), (0.5,), 10).null_share == 0


@pytest.mark.parametrize("ratio", [1.0, 1.5, 4.0])
def test_the_share_beyond_a_lift_counts_both_directions(ratio: float) -> None:
    expected = sum(2 * weight * norm.sf(math.log(ratio), scale=deviation) for _, weight, deviation in WIDE)
    assert MIXTURE.share_beyond(ratio) == pytest.approx(expected)


def test_the_density_is_that_of_the_normals_and_leaves_out_the_spike() -> None:
    at = np.linspace(-8, 8, 4_001)
    drawn = np.array([MIXTURE.density(each) for each in at])

    assert drawn[1_000] == pytest.approx(sum(w * norm.pdf(at[1_000], scale=d) for _, w, d in WIDE))
    assert np.trapezoid(drawn, at) == pytest.approx(0.7)
