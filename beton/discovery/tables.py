"""The counted candidates of a run as Parquet: every single one, every pair that passed the first threshold,
and the best triples.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from beton.discovery.candidates import Candidates
from beton.discovery.search import Found, Search

if TYPE_CHECKING:
    import pyarrow as pa

_COUNTS = ("train_converted_with", "train_others_with", "holdout_converted_with", "holdout_others_with")
_TOTALS = ("train_converted", "train_others", "holdout_converted", "holdout_others")


def write(folder: Path, candidates: Candidates, found: Search) -> None:
    """Write ``singles.parquet``, ``pairs.parquet`` and ``triples.parquet``; make ``folder`` if need be."""
    import pyarrow.parquet as pq

    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(_table(candidates, found, found.singles), folder / "singles.parquet")
    pq.write_table(_table(candidates, found, found.pairs), folder / "pairs.parquet")
    pq.write_table(_table(candidates, found, found.triples), folder / "triples.parquet")


def _table(candidates: Candidates, found: Search, depth: Found) -> pa.Table:
    """One row per candidate: its conditions as JSON, landmark, counts, log p, q-values, and whether it was listed."""
    import pyarrow as pa

    conditions = np.array([json.dumps(each.condition, sort_keys=True) for each in candidates.features])
    landmarks = np.array([block.cohort.landmark_days for block in found.blocks])
    columns: dict[str, Any] = {
        f"condition_{i + 1}": pa.array(conditions[depth.features[:, i]]).dictionary_encode()
        for i in range(depth.features.shape[1])
    }
    columns["landmark_days"] = landmarks[depth.block]
    columns |= {name: depth.counts.counts[:, i] for i, name in enumerate(_COUNTS)}
    columns |= {name: np.ascontiguousarray(depth.counts.totals[:, i]) for i, name in enumerate(_TOTALS)}
    columns |= {
        "log_p": depth.p,
        "log_p_adds": depth.adds,
        "q_all": depth.q_all,
        "q_depth": depth.q_depth,
        "listed": depth.listed,
    }
    return pa.table(columns)
