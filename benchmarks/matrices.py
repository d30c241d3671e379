"""Made-up candidates of a given size: carriers differ in activity, and a few candidates matter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from beton.discovery.matrix import BitMatrix, Columns, arrange, pack

SEED: Final = 42
# Shares that carry a candidate, on average 5%, and of the units: 60% train, 10% lie between, 30% are held out.
_CARRIERS: Final = (0.004, 0.2)
_TRAIN, _HOLDOUT = 0.6, 0.3
_BASE_RATE: Final = 0.037
# Each of the first candidates multiplies the rate: of the pairs about as many look like discoveries as in a real run.
_PLANTED, _EFFECT = 8, 1.3
# Candidates packed at once: 34 MB of bytes at 34,000 units.
_CHUNK: Final = 1_000


@dataclass(frozen=True)
class World:
    """Units in order of signup and their candidates, packed and, unless too many, as booleans (candidates, units)."""

    bits: BitMatrix
    columns: NDArray[np.bool_]
    train: NDArray[np.bool_]
    holdout: NDArray[np.bool_]
    converted: NDArray[np.bool_]

    @property
    def pairs(self) -> int:
        """Number of pairs of candidates."""
        return self.bits.features * (self.bits.features - 1) // 2

    @property
    def groups(self) -> list[NDArray[np.int64]]:
        """Rows of each group, in the order of ``BitMatrix.groups``."""
        return [
            np.flatnonzero(period & (self.converted == outcome))
            for period in (self.train, self.holdout)
            for outcome in (True, False)
        ]


def world(units: int, features: int, *, keep_columns: bool = True) -> World:
    """Draw a world; the same size gives the same one, and fewer candidates are the first of more."""
    rng = np.random.default_rng([SEED, units])
    activity = rng.lognormal(size=units)
    activity /= activity.mean()
    place = np.arange(units) / units
    train, holdout = place < _TRAIN, place >= 1 - _HOLDOUT
    columns = _columns(rng, activity)[:features]
    rate = _BASE_RATE * _EFFECT ** columns[:_PLANTED].sum(axis=0)
    converted = rng.random(units) < np.minimum(rate, 0.9)
    slots = arrange(train, holdout, converted, activity)
    kept, words = [], []
    for start in range(0, features, _CHUNK):
        if start:
            columns = _columns(rng, activity)[: features - start]
        words.append(pack(Columns.of(columns), slots))
        kept.append(columns if keep_columns else columns[:0])
    bits = BitMatrix(np.concatenate(words), slots.groups, slots.slot_row, slots.sizes)
    return World(bits, np.concatenate(kept), train, holdout, converted)


def _columns(rng: np.random.Generator, activity: NDArray[Any]) -> NDArray[np.bool_]:
    low, high = np.log(_CARRIERS)
    share = np.exp(rng.uniform(low, high, _CHUNK))[:, None]
    carried: NDArray[np.bool_] = rng.random((_CHUNK, activity.size), dtype=np.float32) < share * activity
    return carried
