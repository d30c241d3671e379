"""The Mantel-Haenszel lift of very many candidates at once, over the strata of their cohorts."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from beton.discovery.cohorts import Cohort
from beton.discovery.families import Floats
from beton.discovery.findings import MIN_COMPARABLE
from beton.discovery.matrix import Columns
from beton.stats.proportions import normal_quantile


class Adjusted(NamedTuple):
    """Lift among users alike, with its 95% limits; all (K,), nan where there is nobody to compare with.

    The limits count users of one account as independent.
    """

    ratio: Floats
    lower: Floats
    upper: Floats


class _Inputs(NamedTuple):
    """What the kernel reads: who carries each feature, as booleans and as lists; the rows; the size of each stratum."""

    carried: Any
    carriers: Any
    start: Any
    stratum: Any
    converted: Any
    units: Any
    hits: Any


def adjusted_lifts(cohort: Cohort, columns: Columns, features: NDArray[np.int64]) -> Adjusted:
    """Return what ``findings.adjusted_lift`` says of each candidate.

    ``columns`` over the rows of the cohort's frame say who carries each feature; a candidate is a row of ``features``
    (K, depth), all of which must hold. Formulas: ``stats.strata.mantel_haenszel``.
    """
    rows = cohort.frame
    member = np.flatnonzero(rows.eligible)
    stratum, converted = cohort.stratum[member], rows.converted[member]
    used, place = np.unique(features, return_inverse=True)
    carried = np.ascontiguousarray(columns.carried(used)[:, member])
    carriers = np.nonzero(carried)
    size = int(stratum.max(initial=0)) + 1
    inputs = _Inputs(
        carried,
        carriers[1],
        np.searchsorted(carriers[0], np.arange(used.size + 1)),
        stratum,
        converted,
        np.bincount(stratum, minlength=size),
        np.bincount(stratum[converted], minlength=size),
    )
    sums = np.zeros((len(features), 4))
    _sum_strata(place.reshape(features.shape), inputs, sums)
    return _limits(sums)


def _limits(sums: Floats) -> Adjusted:
    expected_with, expected_without, spread, comparable = sums.T
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = np.where(comparable > MIN_COMPARABLE, expected_with / expected_without, np.nan)
        ratio[~((ratio > 0) & np.isfinite(ratio))] = np.nan
        error = normal_quantile(0.95) * np.sqrt(spread / (expected_with * expected_without))
    return Adjusted(ratio, ratio * np.exp(-error), ratio * np.exp(error))


@njit(cache=True, nogil=True)
def _sum_strata(features: Any, inputs: Any, sums: Any) -> None:
    """Sum over strata: expected conversions with and without, spread, and the share of carriers met by others.

    Only the carriers of a candidate's rarest feature are visited, and only the strata in which they are.
    """
    n1 = np.zeros(inputs.units.size, dtype=np.int64)
    a = np.zeros(inputs.units.size, dtype=np.int64)
    touched = np.empty(inputs.units.size, dtype=np.int64)
    for k in range(len(features)):
        rarest = features[k, 0]
        for f in features[k]:
            if inputs.start[f + 1] - inputs.start[f] < inputs.start[rarest + 1] - inputs.start[rarest]:
                rarest = f
        strata, all_carriers = 0, 0
        for at in range(inputs.start[rarest], inputs.start[rarest + 1]):
            row = inputs.carriers[at]
            has_all = True
            for f in features[k]:
                has_all &= inputs.carried[f, row]
            if has_all:
                s = inputs.stratum[row]
                if n1[s] == 0:
                    touched[strata] = s
                    strata += 1
                n1[s] += 1
                a[s] += inputs.converted[row]
                all_carriers += 1
        met = 0
        for at in range(strata):
            s = touched[at]
            n, with_it, won = inputs.units[s], n1[s], a[s]
            without, lost = n - with_it, inputs.hits[s] - won
            if without > 0:
                met += with_it
            sums[k, 0] += won * without / n
            sums[k, 1] += lost * with_it / n
            sums[k, 2] += (with_it * without * (won + lost) - won * lost * n) / n**2
            n1[s] = 0
            a[s] = 0
        sums[k, 3] = met / max(all_carriers, 1)
