"""The counted candidates of a run as Parquet: every single one, every pair that passed the first threshold,
and the best triples.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from beton.discovery.adjust import adjusted_lifts
from beton.discovery.candidates import Candidates
from beton.discovery.families import lift
from beton.discovery.findings import prior_of
from beton.discovery.search import Found, Search
from beton.model.discovery import Mixture
from beton.stats.shrinkage import Prior, log_ratio

if TYPE_CHECKING:
    import pyarrow as pa

_COUNTS = ("train_converted_with", "train_others_with", "holdout_converted_with", "holdout_others_with")
_LIFTS = (
    *("shrunk_lift", "shrunk_lower", "shrunk_upper", "lfsr"),
    *("adjusted_lift", "adjusted_lower", "adjusted_upper"),
)
_TOTALS = ("train_converted", "train_others", "holdout_converted", "holdout_others")


def write(folder: Path, candidates: Candidates, found: Search, priors: Mapping[str, Mixture]) -> None:
    """Write ``singles.parquet``, ``pairs.parquet`` and ``triples.parquet``; make ``folder`` if need be.

    ``priors`` of log lift by number of conditions, as in the run's result.
    """
    import pyarrow.parquet as pq

    folder.mkdir(parents=True, exist_ok=True)
    for name, depth in (("singles", found.singles), ("pairs", found.pairs), ("triples", found.triples)):
        prior = prior_of(priors, depth.features.shape[1])
        pq.write_table(_table(candidates, found, depth, prior), folder / f"{name}.parquet")


def _table(candidates: Candidates, found: Search, depth: Found, prior: Prior) -> pa.Table:
    """One row per candidate: its conditions as JSON, landmark, counts, log p, q-values, whether it was listed, its
    training lift raw and shrunk with the local false sign rate, and the lift among users alike (null where unknown;
    of combinations only the listed have the last two).
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
    lifts = _lifts(candidates, found, depth, prior)
    return pa.table(columns | {name: pa.array(values, from_pandas=True) for name, values in lifts.items()})


def _lifts(candidates: Candidates, found: Search, depth: Found, prior: Prior) -> dict[str, NDArray[np.float64]]:
    """Shrunk and adjusted lifts of every single condition and of listed combinations: of all it would take seconds."""
    chosen = depth.listed | (depth.features.shape[1] == 1)
    shrunk = prior.posterior(*log_ratio(*depth.counts[np.flatnonzero(chosen)].table()))
    made = {name: np.full(chosen.size, np.nan) for name in _LIFTS}
    for name, values in zip(_LIFTS, (*map(np.exp, shrunk[:3]), shrunk.lfsr), strict=False):
        made[name][chosen] = values
    for i, block in enumerate(found.blocks):
        at = np.flatnonzero((depth.block == i) & chosen)
        if at.size:
            adjusted = adjusted_lifts(block.cohort, candidates.columns, depth.features[at])
            for name, values in zip(_LIFTS[4:], adjusted, strict=True):
                made[name][at] = values
    return {"lift": lift(depth.counts.table())} | made
