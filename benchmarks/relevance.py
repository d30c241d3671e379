"""Single candidates as columns for tsfresh's relevance table, which tests each against the outcome."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.stats import fisher_exact

from benchmarks import foreign
from benchmarks.rates import Rate
from benchmarks.report import load_average

COLUMNS: Final = 200
_CHECKED: Final = 3


def rates(
    task: str, columns: NDArray[np.bool_], converted: NDArray[np.bool_], root: Path | None, threads: int
) -> list[Rate]:
    """Time tsfresh on columns (candidates, units); none without its environment below ``root``.

    Its p-values must be those of Fisher's test of the tables of the columns.
    """
    python = foreign.ready(foreign.TSFRESH, root)
    if python is None:
        return []
    arrays: dict[str, NDArray[Any]] = {"columns": columns, "converted": converted}
    answer = foreign.ask(foreign.TSFRESH, python, arrays, jobs=threads, runs=2)
    for at in np.linspace(0, len(columns) - 1, _CHECKED).astype(int):
        column = columns[at]
        cells = [[int((arm & of).sum()) for of in (converted, ~converted)] for arm in (column, ~column)]
        assert np.isclose(answer["p"][at], fisher_exact(cells).pvalue), "tsfresh tests something else"
    return [Rate(task, "tsfresh", len(columns), tuple(answer["seconds"]), load_average())]
