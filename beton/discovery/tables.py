"""The counted candidates of a run as Parquet: every single one, every pair that passed the first threshold,
and the best triples.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from beton.discovery.adjust import adjusted_lifts
from beton.discovery.candidates import Candidates
from beton.discovery.families import lift
from beton.discovery.search import Found, Search
from beton.model.discovery import Mixture
from beton.stats.shrinkage import Prior, log_ratio

if TYPE_CHECKING:
    import pyarrow as pa

_COUNTS = ("train_converted_with", "train_others_with", "holdout_converted_with", "holdout_others_with")
_TOTALS = ("train_converted", "train_others", "holdout_converted", "holdout_others")


def write(folder: Path, candidates: Candidates, found: Search, priors: Mapping[str, Mixture]) -> None:
    """Write ``singles.parquet``, ``pairs.parquet`` and ``triples.parquet``; make ``folder`` if need be.

    ``priors`` of log lift by number of conditions; triples take that of the pairs.
    """
    import pyarrow.parquet as pq

    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(_table(candidates, found, found.singles, priors["1"]), folder / "singles.parquet")
    pq.write_table(_table(candidates, found, found.pairs, priors["2"]), folder / "pairs.parquet")
    pq.write_table(_table(candidates, found, found.triples, priors["2"]), folder / "triples.parquet")


def _table(candidates: Candidates, found: Search, depth: Found, prior: Mixture) -> pa.Table:
    """One row per candidate: its conditions as JSON, landmark, counts, log p, q-values, whether it was listed, its
    training lift raw and shrunk with the local false sign rate, and the lift among users alike (null where unknown).
    """
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
    lifts = _lifts(depth, prior) | _adjusted(candidates, found, depth)
    return pa.table(columns | {name: pa.array(values, from_pandas=True) for name, values in lifts.items()})


def _lifts(depth: Found, prior: Mixture) -> dict[str, Any]:
    train = depth.counts.table()
    shrunk = Prior(prior.weights, prior.deviations).posterior(*log_ratio(*train))
    limits = {"shrunk_lift": shrunk.median, "shrunk_lower": shrunk.lower, "shrunk_upper": shrunk.upper}
    return {"lift": lift(train)} | {name: np.exp(value) for name, value in limits.items()} | {"lfsr": shrunk.lfsr}


def _adjusted(candidates: Candidates, found: Search, depth: Found) -> dict[str, Any]:
    """Of single conditions all, of combinations those listed: the others would take as long as the whole search."""
    columns = np.full((3, depth.block.size), np.nan)
    is_single = depth.features.shape[1] == 1
    for i, block in enumerate(found.blocks):
        at = np.flatnonzero((depth.block == i) & (is_single | depth.listed))
        if at.size:
            columns[:, at] = adjusted_lifts(block.cohort, candidates.columns, depth.features[at])
    return dict(zip(("adjusted_lift", "adjusted_lower", "adjusted_upper"), columns, strict=True))
