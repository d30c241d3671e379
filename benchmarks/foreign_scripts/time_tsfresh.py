"""Time tsfresh's relevance table; runs in its own environment, with nothing of Beton.

    python time_tsfresh.py arrays.npz '{"jobs": 2, "runs": 2}'

``arrays.npz``: ``columns`` (features, units) and ``converted`` (units,), booleans.
"""

import json
import sys
import time

import numpy as np
import pandas as pd
from tsfresh.feature_selection.relevance import calculate_relevance_table


def main() -> None:
    arrays, options = np.load(sys.argv[1]), json.loads(sys.argv[2])
    frame = pd.DataFrame({f"f{at}": column.astype(int) for at, column in enumerate(arrays["columns"])})
    target = pd.Series(arrays["converted"].astype(int))
    seconds = []
    for _ in range(options["runs"]):
        started = time.perf_counter()
        table = calculate_relevance_table(
            frame, target, ml_task="classification", n_jobs=options["jobs"], show_warnings=False
        )
        seconds.append(time.perf_counter() - started)
    p = table["p_value"].reindex([f"f{at}" for at in range(len(frame.columns))])
    print(json.dumps({"seconds": seconds, "p": p.tolist()}))


if __name__ == "__main__":
    main()
