"""Rows of the report, what each is held to, and how they are printed."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from benchmarks.timing import Sample

BUDGETS: Final[dict[str, dict[str, float]]] = json.loads(
    (Path(__file__).parent / "budgets.json").read_text(encoding="utf-8")
)
_LIBRARIES: Final = ("duckdb", "pandas", "pyarrow", "numpy", "sqlglot", "dash")


@dataclass(frozen=True)
class Row:
    """One measured thing.

    ``ratio`` is its median over the engine's in the same run; ``load`` the machine's one-minute load when it began;
    ``is_met`` is None where nothing is enforced.
    """

    events: str
    task: str
    contender: str
    sample: Sample
    load: float
    ratio: float | None = None
    budget: str = ""
    is_met: bool | None = None


def ratio_row(row: Row, engine: Sample, peer: str | None) -> Row:
    """Return ``row`` with its ratio to the engine, held to the least ratio of ``peer``."""
    ratio = row.sample.median_ms / engine.median_ms
    if peer is None:
        return _with(row, ratio=ratio)
    least = BUDGETS["least_ratio"][peer]
    return _with(row, ratio=ratio, budget=f">= {least:g}x", is_met=ratio >= least)


def most_ratio_row(row: Row, peer: Sample, limit: str) -> Row:
    """Return ``row`` with its ratio to a peer that it may be slower than, but not by more than the limit."""
    ratio, most = row.sample.median_ms / peer.median_ms, BUDGETS["most_ratio"][limit]
    return _with(row, ratio=ratio, budget=f"<= {most:g}x", is_met=ratio <= most)


def limited_row(row: Row, limit: str, tolerance: float | None) -> Row:
    """Return ``row`` with its limit in ms; with a ``tolerance`` (a factor) the limit is enforced."""
    if tolerance is None:
        return _with(row, budget=f"<= {BUDGETS['report_only_ms'][limit]:,.0f} ms, not enforced")
    most = BUDGETS["most_ms"][limit]
    slack = "" if tolerance == 1 else f" x {tolerance:g}"
    return _with(row, budget=f"<= {most:,.0f} ms{slack}", is_met=row.sample.median_ms <= most * tolerance)


def _with(row: Row, **changes: Any) -> Row:
    return Row(**{**vars(row), **changes})


def load_average() -> float:
    return round(os.getloadavg()[0], 1)


def machine() -> dict[str, Any]:
    """Return what a reader needs to place the figures."""
    versions = {name: version(name) for name in _LIBRARIES}
    return {"cores": os.cpu_count(), "python": platform.python_version(), "versions": versions}


def as_text(rows: Sequence[Row]) -> str:
    """Return the rows as a Markdown table."""
    head = ["events", "task", "contender", "n", "median ms", "min", "max", "CPU ms", "ratio", "budget", "", "load"]
    lines = [head, ["---"] * len(head), *(_cells(row) for row in rows)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _cells(row: Row) -> list[str]:
    sample = row.sample
    verdict = {None: "", True: "met", False: "MISSED"}[row.is_met]
    ratio = "" if row.ratio is None else f"{row.ratio:.1f}x"
    times = [f"{value:,.1f}" for value in (sample.median_ms, sample.min_ms, sample.max_ms)]
    times.append("" if sample.cpu_median_ms is None else f"{sample.cpu_median_ms:,.1f}")
    return [row.events, row.task, row.contender, str(sample.n), *times, ratio, row.budget, verdict, str(row.load)]


def as_json(rows: Sequence[Row]) -> str:
    """Return machine and rows as a JSON document."""
    return json.dumps({"machine": machine(), "rows": [asdict(row) for row in rows]}, indent=2) + "\n"
