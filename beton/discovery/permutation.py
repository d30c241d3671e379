"""Westfall-Young: how small the smallest of all p-values gets when outcomes have nothing to do with behaviour.

Outcomes are dealt out anew among the training units that signed up in the same month, so that calendar trends and
every dependence between candidates stay as they are. A unit takes the whole outcome of another, its time included,
and with it the landmarks at which the other was still at risk: one draw serves the cohorts of all landmarks at once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Any, Final, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from beton.discovery.candidates import Candidates
from beton.discovery.intersect import with_later_rows
from beton.discovery.matrix import popcount
from beton.discovery.mid_p import log_mid_p, log_probability
from beton.discovery.search import Block, Search
from beton.discovery.sweep import in_threads
from beton.model.discovery import DiscoverySettings, Permutation
from beton.warehouse.landmark import NOT_AT_RISK, Clock

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Words = NDArray[np.uint64]
ClockOf = Callable[[float], Clock]

LEVEL: Final = 0.05
FEWEST_ROUNDS: Final = 100
# Words looked at in all rounds together: about ten seconds on two cores.
MOST_WORK: Final = 100_000_000_000
_ROUND_OVERHEAD_WORDS: Final = 6
_ROUNDS_PER_TASK: Final = 8
# Features whose bits one word of a unit holds; they are counted and looked at together.
_CHUNK: Final = 64
# Only p-values below the first are worked out, unless a round has none; then those below the next.
_LEVELS_LOG_P: Final = (float(np.log(1e-4)), float(np.log(1e-2)), 0.0)
# Two ways to work out one p-value may differ in the last digits.
_TIE: Final = 1e-9


@dataclass(frozen=True)
class MaxT:
    """``minima`` (rounds,): smallest ln p of each round over ``candidates``, all of one ``depth`` or less."""

    minima: Floats
    depth: int
    candidates: int

    def fwer_p(self, log_p: Floats) -> Floats:
        """Return the chance that any candidate at all comes out as strong, single-step: (b + 1) / (rounds + 1).

        Westfall & Young (1993), Resampling-Based Multiple Testing, 2.6; the observed data count as one more round
        (Phipson & Smyth 2010).
        """
        beaten = np.searchsorted(np.sort(self.minima), log_p + _TIE, side="right")
        return np.asarray((beaten + 1) / (self.minima.size + 1), dtype=np.float64)

    def facts(self) -> Permutation:
        """Return what is kept of it."""
        rank = int(LEVEL * (self.minima.size + 1))
        threshold = float(np.sort(self.minima)[rank - 1]) if rank else None
        return Permutation(self.minima.size, self.depth, self.candidates, threshold)


class _World(NamedTuple):
    """What one round needs. Units are those of the training period at risk at the first landmark, by signup month.

    Features have slots, see ``_slots``. ``unit_bits`` (units, chunks): bits of slots; ``early``, ``converted``,
    ``immature`` (cohorts, units): what an outcome means at each landmark; ``blocks`` (B, 3): cohort and the slots that
    are new in it; ``carriers`` (slots,); ``known`` (cohorts,): chunks up to the last new slot. ``tiles`` (T, 2): a slot
    and a chunk of others with which it makes pairs, those of a cohort from ``first_tile`` to the next; ``pairs``
    (T, 64): common carriers, 0 for what is never tested.
    """

    unit_bits: Any
    early: Any
    converted: Any
    immature: Any
    blocks: Any
    carriers: Any
    known: Any
    tiles: Any
    first_tile: Any
    pairs: Any
    log_factorial: Any
    min_units: int


class _Limits(NamedTuple):
    """Conversions above ``low`` and below ``high``, by carriers, have a usual p-value in a cohort of these margins, as
    have too few units. A table nearer than ``nearest`` to what is expected is usual for any number of carriers.
    """

    low: Any
    high: Any
    nearest: float
    units: int
    converted: int


def max_t(
    candidates: Candidates,
    found: Search,
    clock_of: ClockOf,
    settings: DiscoverySettings,
    *,
    threads: int = 1,
    on_progress: Callable[[float], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> MaxT | None:
    """Deal outcomes out anew and keep the smallest p-value over all singles and pairs.

    With too many pairs for ``settings.permutations`` rounds there are fewer, and below 100 the pairs stay out. The
    same for any number of threads. None when no rounds are asked for; raises Stopped.
    """
    if not settings.permutations:
        return None
    units, starts = _units(found.blocks)
    rounds, depth = _affordable(found.blocks, units.size, settings)
    world = _world(candidates, found.blocks, clock_of, units, settings, depth)

    @cache
    def limits_of(units: int, converted: int, log_p: float) -> _Limits:
        return _Limits(*_limits(units, converted, settings.min_units, log_p, world.log_factorial))

    def one(chunk: range) -> Floats:
        return np.array([_smallest(world, _deal(starts, settings.seed, each), limits_of) for each in chunk])

    tasks = [range(at, min(at + _ROUNDS_PER_TASK, rounds)) for at in range(0, rounds, _ROUNDS_PER_TASK)]
    minima = np.concatenate(list(in_threads(tasks, one, threads, on_progress, should_stop)))
    return MaxT(minima, depth, found.singles.tested + (found.pairs.tested if depth > 1 else 0))


def _units(made: Sequence[Block]) -> tuple[Ints, Ints]:
    """Rows that take part, ordered by signup month, and where each month starts (with the end)."""
    first = min(made, key=lambda each: each.cohort.landmark_days).cohort
    rows = np.flatnonzero(first.train)
    rows = rows[np.argsort(first.frame.month[rows], kind="stable")]
    month = first.frame.month[rows]
    return rows, np.r_[0, np.flatnonzero(month[1:] != month[:-1]) + 1, rows.size].astype(np.int64)


def _affordable(made: Sequence[Block], units: int, settings: DiscoverySettings) -> tuple[int, int]:
    """Return rounds and depth; by counting, not by the clock, so that a repeated run does the same."""
    work = 0
    for each in made:
        new = each.end - each.first_new
        words = each.bits.train_converted // 64 + (units - each.bits.train_units) // 64 + 2 + _ROUND_OVERHEAD_WORDS
        work += (each.first_new * new + new * (new - 1) // 2) * words
    rounds = min(settings.permutations, MOST_WORK // max(work, 1))
    if rounds < min(FEWEST_ROUNDS, settings.permutations):
        return settings.permutations, 1
    return rounds, 2


def _world(
    pool: Candidates, made: Sequence[Block], clock_of: ClockOf, units: Ints, settings: DiscoverySettings, depth: int
) -> _World:
    from scipy.special import gammaln

    days = sorted({each.cohort.landmark_days for each in made})
    cohorts = [next(each.cohort for each in made if each.cohort.landmark_days == day) for day in days]
    clocks = [clock_of(day) for day in days]
    latest_s = [clock.data_end_s - clock.landmark_s - clock.gap_s - clock.horizon_s for clock in clocks]
    carried = pool.columns.carried(range(len(pool.features)))[:, units]
    slots = _slots(made, carried.sum(axis=1))
    columns = carried[slots] & (slots >= 0)[:, None]
    cohort = np.array([days.index(each.cohort.landmark_days) for each in made])
    news = [np.flatnonzero((slots >= each.first_new) & (slots < each.end)) for each in made]
    of_blocks = np.array([[at, new[0], new[-1] + 1] for at, new in zip(cohort, news, strict=True)])
    common = _common(_packed(columns), settings.min_units) if depth > 1 else np.zeros((0, slots.size), np.int32)
    tiles = [_tiles(common, of_blocks[cohort == each]) for each in range(len(days))]
    return _World(
        unit_bits=_packed(columns.T),
        early=np.array([each.frame.status[units] == NOT_AT_RISK for each in cohorts]),
        converted=np.array([each.frame.converted[units] for each in cohorts]),
        immature=np.array([each.frame.t0_s[units] > last for each, last in zip(cohorts, latest_s, strict=True)]),
        blocks=of_blocks,
        carriers=columns.sum(axis=1),
        known=np.array([-(-of_blocks[cohort == each, 2].max() // _CHUNK) for each in range(len(days))]),
        tiles=np.concatenate([each for each, _ in tiles]),
        first_tile=np.cumsum([0, *(len(each) for each, _ in tiles)]),
        pairs=np.concatenate([each for _, each in tiles]),
        log_factorial=gammaln(np.arange(units.size + 1) + 1.0),
        min_units=settings.min_units,
    )


def _slots(made: Sequence[Block], carriers: Ints) -> Ints:
    """Return the feature of each slot, -1 for none: by window, then by carriers, each window in chunks of its own.

    So the rare features of a window are together: most of their chunks make no pair with enough units.
    """
    bounds = sorted({0, *(each.first_new for each in made), *(each.end for each in made)})
    parts = []
    for begin, end in pairwise(bounds):
        own = np.full(-(-(end - begin) // _CHUNK) * _CHUNK, -1)
        own[: end - begin] = begin + np.argsort(-carriers[begin:end], kind="stable")
        parts.append(own)
    return np.concatenate(parts)


def _packed(rows: Bools) -> Words:
    """Pack booleans (n, bits) into words (n, bits / 64, rounded up to whole blocks of eight)."""
    padded = np.zeros((rows.shape[0], -(-rows.shape[1] // 512) * 512), dtype=bool)
    padded[:, : rows.shape[1]] = rows
    words: Words = np.packbits(padded, axis=1, bitorder="little").view(np.uint64)
    return words


def _common(words: Words, min_units: int) -> NDArray[np.int32]:
    """Carriers of both features of each pair, above the diagonal; 0 for pairs that no outcomes make a candidate."""
    pairs = np.zeros((len(words), len(words)), dtype=np.int32)
    carriers = np.bitwise_count(words).sum(axis=1)
    for i, (both, _) in enumerate(with_later_rows(words, words.shape[1])):
        possible = (both >= min_units) & (both < np.minimum(carriers[i], carriers[i + 1 :]))
        pairs[i, i + 1 :] = np.where(possible, both, 0)
    return pairs


def _tiles(common: NDArray[np.int32], blocks: Ints) -> tuple[Ints, NDArray[np.int32]]:
    """Return slots and chunks that have pairs with enough units, and these pairs (tiles, 64), in blocks of a cohort."""
    tiles, pairs = [np.zeros((0, 2), dtype=np.int64)], [np.zeros((0, _CHUNK), dtype=np.int32)]
    for _, begin, end in blocks.tolist():
        chunks = -(-(end - begin) // _CHUNK)
        part = common[:end, begin : begin + chunks * _CHUNK].reshape(min(end, len(common)), chunks, _CHUNK)
        slot, chunk = np.nonzero(part.any(axis=2))
        tiles.append(np.column_stack([slot, begin // _CHUNK + chunk]))
        pairs.append(part[slot, chunk])
    return np.concatenate(tiles), np.concatenate(pairs)


def _deal(starts: Ints, seed: int, each: int) -> Ints:
    """Return whose outcome each unit takes in one round: somebody's of its own month."""
    random = np.random.default_rng([seed, each])
    donor = np.arange(starts[-1])
    for begin, end in pairwise(starts.tolist()):
        random.shuffle(donor[begin:end])
    return donor


def _smallest(world: _World, donor: Ints, limits_of: Callable[[int, int, float], _Limits]) -> float:
    """Smallest ln p of one round, 0 without any test."""
    best = 0.0
    for log_p in _LEVELS_LOG_P:
        for cohort in range(len(world.early)):
            out = world.immature[cohort] | world.early[cohort][donor]
            hit = world.converted[cohort][donor] & ~out
            limits = limits_of(int(donor.size - out.sum()), int(hit.sum()), log_p)
            best = min(best, _minimum(world, cohort, np.flatnonzero(hit), np.flatnonzero(out), limits))
        if best <= log_p:
            break
    return best


@njit(cache=True, nogil=True)
def _minimum(world: Any, cohort: Any, hit: Any, out: Any, limits: Any) -> Any:
    """Smallest ln p in a cohort among the tables outside the limits, 0 without any.

    ``hit``, ``out``: the units that convert, and those that do not belong to the cohort.
    """
    best = 0.0
    known = world.known[cohort]
    hits, outs = _by_feature(world.unit_bits, hit, known), _by_feature(world.unit_bits, out, known)
    a1 = _carriers(hits)
    n1 = world.carriers[: a1.size] - _carriers(outs)
    for block in range(len(world.blocks)):
        if world.blocks[block, 0] == cohort:
            for f in range(world.blocks[block, 1], world.blocks[block, 2]):
                if not limits.low[n1[f]] < a1[f] < limits.high[n1[f]]:
                    best = _smaller(a1[f], n1[f], limits, world.log_factorial, best)
    return _best_pair(world, cohort, hits, outs, n1, limits, best)


@njit(cache=True, nogil=True)
def _best_pair(world: Any, cohort: Any, hits: Any, outs: Any, n1: Any, limits: Any, best: Any) -> Any:
    # No array is sliced in here: a reference counted in every tile, by all threads, takes longer than the tile.
    tiles, pairs, min_units = world.tiles, world.pairs, world.min_units
    low, high, units, converted, nearest = limits.low, limits.high, limits.units, limits.converted, limits.nearest
    a, both = np.empty(_CHUNK, dtype=np.int64), np.empty(_CHUNK, dtype=np.int64)
    for tile in range(world.first_tile[cohort], world.first_tile[cohort + 1]):
        slot, chunk = tiles[tile, 0], tiles[tile, 1]
        for k in range(_CHUNK):
            a[k] = 0
            both[k] = pairs[tile, k]
        _count_common(hits, slot, chunk, a, 1)
        _count_common(outs, slot, chunk, both, -1)
        if not _may_be_unusual(a, both, min_units, units, converted, nearest):
            continue
        for k in range(_CHUNK):
            n = both[k]
            if n < min_units or low[n] < a[k] < high[n]:
                continue
            if n < min(n1[slot], n1[chunk * _CHUNK + k]):
                best = _smaller(a[k], n, limits, world.log_factorial, best)
    return best


@njit(cache=True, nogil=True)
def _smaller(a: Any, n: Any, limits: Any, log_factorial: Any, best: Any) -> Any:
    """Return ln p of a table if that is smaller than ``best``. The probability of the table itself is no larger."""
    if log_probability(a, n, limits.units, limits.converted, log_factorial) >= best:
        return best
    return min(best, log_mid_p(a, n, limits.units, limits.converted, log_factorial))


@njit(cache=True, nogil=True)
def _count_common(words: Any, slot: Any, chunk: Any, counts: Any, sign: Any) -> None:
    """Add (or subtract) the common bits of a slot with those of a chunk; ``words`` (chunks, words, 64)."""
    for w in range(words.shape[1]):
        one = words[slot // _CHUNK, w, slot % _CHUNK]
        if one:
            for k in range(_CHUNK):
                counts[k] += sign * popcount(one & words[chunk, w, k])


@njit(cache=True, nogil=True)
def _may_be_unusual(a: Any, both: Any, min_units: Any, units: Any, converted: Any, nearest: Any) -> Any:
    """Whether some table may be unusual: a quick look at the squared distance from what is expected."""
    units, converted, few = float(units), float(converted), float(min_units)
    found = 0
    for j in range(_CHUNK):
        n = float(both[j])
        distance = a[j] * units - n * converted
        found += (n >= few) & (distance * distance >= nearest * n * (units - n))
    return found > 0


@njit(cache=True, nogil=True)
def _limits(units: Any, converted: Any, min_units: Any, log_p: Any, log_factorial: Any) -> Any:
    """Work out which tables have a p-value above ``log_p``. Both limits only grow with the carriers."""
    low = np.full(units + 1, -1, dtype=np.int64)
    high = np.full(units + 1, converted + 1, dtype=np.int64)
    nearest = np.inf
    lower, upper = -1, 0
    for n in range(min_units, units - min_units + 1):
        expected = converted * n / units
        upper = max(upper, int(np.ceil(expected)))
        while upper <= min(n, converted) and log_mid_p(upper, n, units, converted, log_factorial) > log_p:
            upper += 1
        lower = max(lower, converted - (units - n) - 1)
        while lower + 1 < expected and log_mid_p(lower + 1, n, units, converted, log_factorial) <= log_p:
            lower += 1
        low[n], high[n] = lower, upper
        above = upper - expected if upper <= min(n, converted) else np.inf
        below = expected - lower if lower >= max(0, converted - (units - n)) else np.inf
        nearest = min(nearest, (min(above, below) * units) ** 2 / (n * (units - n)))
    # A little less, for rounding.
    return low, high, nearest * (1 - 1e-9), units, converted


@njit(cache=True, nogil=True)
def _carriers(words: Any) -> Any:
    total = np.zeros((len(words), _CHUNK), dtype=np.int64)
    for chunk in range(len(words)):
        for row in words[chunk]:
            for k in range(_CHUNK):
                total[chunk, k] += popcount(row[k])
    return total.ravel()


@njit(cache=True, nogil=True)
def _by_feature(unit_bits: Any, units: Any, chunks: Any) -> Any:
    """Turn the rows of these units around: words of 64 units each, for every slot, (chunks, words, 64)."""
    words = np.zeros((chunks, (units.size + 63) // 64, 64), dtype=np.uint64)
    for chunk in range(chunks):
        for w in range(words.shape[1]):
            square = words[chunk, w]
            for k in range(min(units.size - w * 64, 64)):
                square[k] = unit_bits[units[w * 64 + k], chunk]
            _transpose(square)
    return words


@njit(cache=True, nogil=True)
def _transpose(square: Any) -> None:
    """Transpose 64 words of 64 bits in place (Warren 2012, Hacker's Delight, 7-3), bit 0 first."""
    width = 32
    mask = np.uint64(0x00000000FFFFFFFF)
    while width:
        for begin in range(0, 64, 2 * width):
            low, high = square[begin : begin + width], square[begin + width : begin + 2 * width]
            for k in range(width):
                swapped = ((low[k] >> np.uint64(width)) ^ high[k]) & mask
                low[k] ^= swapped << np.uint64(width)
                high[k] ^= swapped
        width >>= 1
        mask ^= mask << np.uint64(width)
