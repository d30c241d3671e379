"""Tests that arrive one after another: which of them hold when nobody knows how many more will come.

LORD++ gives every test its own threshold. Each test spends some of an allowance, each discovery earns some back, and
no threshold ever depends on a later test.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from beton.errors import InputError
from beton.stats.proportions import Floats

LEVEL: Final = 0.05
SERIES: Final = 12.645107872871752
"""Sum of log(max(j, 2)) / (j exp(sqrt(log j))) over all j from 1: partial sums with the rest by Euler-Maclaurin. It
converges slowly: nearly half of it lies beyond j = 500,000."""


def spending(tests: int) -> Floats:
    """Return the share of an allowance that is spent 1, 2, ... ``tests`` tests after it was given, float64[tests].

    Proportional to log(max(j, 2)) / (j exp(sqrt(log j))), which Javanmard & Montanari (2018), Ann Statist 46:526,
    derive for means of normals; over all j the shares add up to 1.
    """
    j = np.arange(1, tests + 1, dtype=np.float64)
    shares: Floats = np.log(np.maximum(j, 2.0)) / (j * np.exp(np.sqrt(np.log(j)))) / SERIES
    return shares


def lord_thresholds(p_values: ArrayLike, level: float = LEVEL) -> Floats:
    """Return the threshold of each p-value in the order of the tests, and of the test that comes next, float64[n + 1].

    A test is a discovery when its p-value is at most its threshold. LORD++, Ramdas, Yang, Wainwright & Jordan (2017),
    NeurIPS 30:5650: half of ``level`` is the allowance of the start, the first discovery adds the other half, each
    further one ``level``. Raises InputError for a p-value outside 0 to 1 or a level that is no share.
    """
    p = np.asarray(p_values, dtype=np.float64)
    if p.ndim != 1 or not np.all((p >= 0) & (p <= 1)):
        raise InputError("a p-value is missing or outside 0 to 1; give one list in the order of the tests")
    if not 0 < level < 1:
        raise InputError(f"level is {level}; give a number between 0 and 1, such as 0.05")
    shares = spending(p.size + 1)
    start = level / 2
    thresholds = start * shares
    earned, test = level - start, 0
    # Only a discovery changes what follows, and there are few of them: go from one to the next.
    while (holds := p[test:] <= thresholds[test:-1]).any():
        test += int(holds.argmax()) + 1
        thresholds[test:] += earned * shares[: p.size + 1 - test]
        earned = level
    return thresholds
