"""Time pysubgroup's search for pairs or triples; runs in its own environment, with nothing of Beton.

    python time_pysubgroup.py arrays.npz '{"search": "exhaustive pairs", "runs": 2}'

``arrays.npz``: ``columns`` (features, units) and ``converted`` (units,), booleans. The answer has the best of the last
run: their ``features`` and ``quality``, best first.
"""

import json
import math
import sys
import time

import numpy as np
import pandas as pd
import pysubgroup as ps

RESULTS = 100
MIN_UNITS = 30


class AddsQF(ps.SimplePositivesQF):
    """-ln of the p-value that each condition of a triple adds to the other two, see ``beton.discovery.triples``.

    Fewer conditions have none. No bound is known here; only what lacks a candidate pair is cut off.
    """

    def calculate_constant_statistics(self, data, target):
        super().calculate_constant_statistics(data, target)
        columns = data[[name for name in data.columns if name.startswith("f")]].to_numpy(dtype=np.float32)
        positive = np.asarray(self.positives)
        both, hits = columns.T @ columns, columns[positive].T @ columns[positive]
        alone = np.diag(both)
        units = len(data)
        tested = (both >= MIN_UNITS) & (both <= units - MIN_UNITS) & (both < np.minimum(alone[:, None], alone))
        self.both, self.hits, self.tested = (each.tolist() for each in (both.astype(int), hits.astype(int), tested))
        self.units, self.converted = units, int(positive.sum())

    def optimistic_estimate(self, subgroup, target, data, statistics=None):
        return math.inf if all(self.tested[i][j] for i, j in pairs_of(subgroup)) else -math.inf

    def evaluate(self, subgroup, target, data, statistics=None):
        parts = pairs_of(subgroup)
        if len(parts) < 3:
            return -math.inf
        units, hit = int(statistics.size_sg), int(statistics.positives_count)
        if units < MIN_UNITS:
            return -math.inf
        largest, strength = -math.inf, self.lift(hit, units)
        for i, j in parts:
            pair_hit, pair_units = self.hits[i][j], self.both[i][j]
            of_pair = self.lift(pair_hit, pair_units)
            if units >= pair_units or not (strength > of_pair if strength > 1 else strength < of_pair):
                return -math.inf
            largest = max(largest, log_mid_p(hit, units, pair_hit, pair_units))
        return -largest

    def lift(self, hit, units):
        rest = self.converted - hit
        return math.inf if rest == 0 else hit / units / (rest / (self.units - units))


def pairs_of(subgroup):
    at = sorted(int(each.attribute_name[1:]) for each in subgroup.selectors)
    return [(at[i], at[j]) for i in range(len(at)) for j in range(i + 1, len(at))]


def log_mid_p(hit, units, all_hit, all_units):
    """Two-sided Fisher mid-P of a part of some units, as ln p."""
    if hit * all_units < all_hit * units:
        hit, units = all_hit - hit, all_units - units
    miss = all_hit - hit
    rest = all_units - units
    observed = log_choose(units, hit) + log_choose(rest, miss) - log_choose(all_units, all_hit)
    term, total = 1.0, 0.5
    while term > 1e-14 * total:
        term *= miss * (units - hit) / ((hit + 1) * (rest - miss + 1))
        total += term
        hit, miss = hit + 1, miss - 1
    return min(math.log(2) + observed + math.log(total), 0.0)


def log_choose(n, k):
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)


def plain_dfs(task):
    return ps.SimpleDFS().execute(task, use_optimistic_estimates=False)


# Depth, quality, least quality, and the search.
SEARCHES = {
    "exhaustive pairs": (2, ps.WRAccQF, -math.inf, plain_dfs),
    "bounded pairs": (2, ps.WRAccQF, 0.0, lambda task: ps.Apriori().execute(task)),
    "exhaustive triples": (3, AddsQF, 0.0, lambda task: ps.DFS().execute(task)),
    "bounded triples": (3, ps.WRAccQF, 0.0, lambda task: ps.DFS().execute(task)),
    "beam": (3, ps.WRAccQF, 0.0, lambda task: ps.BeamSearch(beam_width=RESULTS).execute(task)),
}


def main():
    arrays, options = np.load(sys.argv[1]), json.loads(sys.argv[2])
    columns, converted = arrays["columns"], arrays["converted"]
    frame = pd.DataFrame({f"f{at}": column for at, column in enumerate(columns)} | {"converted": converted})
    depth, quality, least, search = SEARCHES[options["search"]]
    seconds = []
    for _ in range(options["runs"]):
        target = ps.BinaryTarget("converted", True)
        selectors = [ps.EqualitySelector(f"f{at}", True) for at in range(len(columns))]
        task = ps.SubgroupDiscoveryTask(
            frame, target, selectors, result_set_size=RESULTS, depth=depth, qf=quality(), min_quality=least
        )
        started = time.perf_counter()
        found = search(task)
        seconds.append(time.perf_counter() - started)
    results = sorted(found.results, key=lambda each: -each[0])
    answer = {
        "seconds": seconds,
        "quality": [each[0] for each in results],
        "features": [sorted(int(one.attribute_name[1:]) for one in each[1].selectors) for each in results],
    }
    print(json.dumps(answer))


main()
