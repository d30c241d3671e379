"""Which candidates count as discoveries: Benjamini-Hochberg over the whole run, and again where plenty could hide.

Three rules, all of them on the training period alone:

1. q < level over *all* candidates of the run, singles and pairs together (definitions, section 3).
2. The same over the candidates with as many conditions, so that a million good pairs do not lower the bar for singles.
3. Families of near-copies ("at least 2", "at least 3" of one event) stand or fall as one: a Simes p-value for each
   event or property (each pair of them), Benjamini-Hochberg over these. Pruning keeps one copy of each group, true or
   false alike; without this rule the few false groups would be over-represented among what is left (Benjamini &
   Bogomolov 2014).

A pair must in addition beat both its parents: its p-value in rule 3 is the larger of those of its second condition
given its first and of the first given the second (an intersection-union test, Berger 1982).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from beton.stats.multiplicity import benjamini_hochberg, simes
from beton.stats.proportions import log_mid_p

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Counts:
    """Training and held-out tables of candidates as columns: converted and all units with, and of everybody.

    ``counts`` has shape (candidates, 4): train converted, train not, holdout converted, holdout not, each with the
    candidate; ``totals`` has the same shape and holds everybody of the cohort it was counted in.
    """

    counts: Ints
    totals: Ints

    def table(self, held_out: bool = False) -> tuple[Ints, Ints, Ints, Ints]:
        """Return converted and units with, converted and units without, of one period."""
        at = 2 if held_out else 0
        a, n1 = self.counts[:, at], self.counts[:, at] + self.counts[:, at + 1]
        everybody = self.totals[:, at] + self.totals[:, at + 1]
        return a, n1, self.totals[:, at] - a, everybody - n1

    def __getitem__(self, chosen: NDArray[np.generic]) -> Counts:
        return Counts(self.counts[chosen], self.totals[chosen])


def log_p(table: tuple[Ints, Ints, Ints, Ints]) -> Floats:
    """Natural log of the two-sided mid-P of many tables."""
    return log_mid_p(*table)


def lift(table: tuple[Ints, Ints, Ints, Ints]) -> Floats:
    """Risk ratio of many tables, inf without conversions on the other side, nan without any."""
    a, n1, c, n0 = table
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio: Floats = (a / n1) / (c / n0)
    return ratio


def adds_log_p(pairs: Counts, first: Counts, second: Counts) -> Floats:
    """Log p of "each condition adds to the other", the weaker of the two; 0 where the pair beats only one of them.

    ``first`` and ``second`` are the parents' counts in the cohort of the pair.
    """
    both, a, b = (each.table() for each in (pairs, first, second))
    strength = np.log(np.maximum(lift(both), 1e-300))
    of_a, of_b = (np.log(np.maximum(lift(parent), 1e-300)) for parent in (a, b))
    beats = np.where(strength > 0, (strength > of_a) & (strength > of_b), (strength < of_a) & (strength < of_b))
    answer = np.zeros(strength.size)
    at = np.flatnonzero(beats)
    if at.size:
        given = [
            log_mid_p(both[0][at], both[1][at], parent[0][at] - both[0][at], parent[1][at] - both[1][at])
            for parent in (a, b)
        ]
        answer[at] = np.maximum(*given)
    return answer


def groups_found(groups: Sequence[str], group_p: Floats, level: float, sizes: dict[str, int] | None = None) -> Bools:
    """Return for each candidate whether its group is a discovery among groups; ``sizes`` where not all are listed."""
    names, code = np.unique(np.asarray(groups, dtype=str), return_inverse=True)
    listed = np.bincount(code, minlength=names.size)
    size = listed if sizes is None else np.array([sizes[name] for name in names], dtype=np.int64)
    q = benjamini_hochberg(simes(group_p, code, size), None if sizes is None else len(sizes))
    found: Bools = (q < level)[code]
    return found
