"""Time pysubgroup's search for pairs; runs in its own environment, with nothing of Beton.

    python time_pysubgroup.py arrays.npz '{"exhaustive": true, "runs": 2}'

``arrays.npz``: ``columns`` (features, units) and ``converted`` (units,), booleans.
"""

import json
import sys
import time

import numpy as np
import pandas as pd
import pysubgroup as ps


def main() -> None:
    arrays, options = np.load(sys.argv[1]), json.loads(sys.argv[2])
    columns, converted = arrays["columns"], arrays["converted"]
    frame = pd.DataFrame({f"f{at}": column for at, column in enumerate(columns)} | {"converted": converted})
    seconds, best = [], 0.0
    for _ in range(options["runs"]):
        target = ps.BinaryTarget("converted", True)
        selectors = [ps.EqualitySelector(f"f{at}", True) for at in range(len(columns))]
        quality = ps.WRAccQF()
        least = float("-inf") if options["exhaustive"] else 0.0
        task = ps.SubgroupDiscoveryTask(
            frame, target, selectors, result_set_size=100, depth=2, qf=quality, min_quality=least
        )
        search = ps.SimpleDFS() if options["exhaustive"] else ps.Apriori()
        started = time.perf_counter()
        found = search.execute(task, use_optimistic_estimates=False) if options["exhaustive"] else search.execute(task)
        seconds.append(time.perf_counter() - started)
        best = max(quality for quality, *_ in found.results)
    print(json.dumps({"seconds": seconds, "best": best}))


main()
