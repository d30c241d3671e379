"""The rows that are measured: the demo company, and the same company several times over.

A copy has ids, e-mail addresses and companies of its own and the same behaviour, so every table of k copies is k times
the table of one: that is checked too.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import duckdb

from beton.demo import company
from beton.model.mapping import load_mapping
from beton.warehouse.imports import import_mapping

COPIES: Final = {"2.8m": 1, "20m": 7}
SEED: Final = 42


@dataclass(frozen=True)
class Dataset:
    """Files as an export wrote them, and the workspace made from them by a normal import.

    ``simulate_s`` and ``import_s``: how long the files and the snapshot took, wall clock.
    """

    name: str
    copies: int
    files: Path
    workspace: Path
    events: int
    simulate_s: float
    import_s: float


def build(name: str, root: Path) -> Dataset:
    """Write and import one data set below ``root``; one already there is not built again."""
    copies, folder = COPIES[name], root / name
    files, workspace = folder / "files", folder / "workspace"
    started = time.perf_counter()
    if copies == 1:
        company.write(files, seed=SEED)
    else:
        original = folder / "original"
        company.write(original, seed=SEED)
        _repeat(original, files, copies)
    written = time.perf_counter()
    report = import_mapping(workspace, load_mapping(files / "mapping.yaml"))
    return Dataset(
        name,
        copies,
        files,
        workspace,
        events=report.manifest.tables["events"],
        simulate_s=written - started,
        import_s=time.perf_counter() - written,
    )


_IDS: Final = {
    "users": ("id", "company"),
    "companies": ("id",),
    "contacts": ("id", "company"),
    "deals": ("id", "company", "user"),
    "events": ("user_id",),
}


def _repeat(original: Path, files: Path, copies: int) -> None:
    """Write every table ``copies`` times over; events stay in the order of their time, which is how they arrive."""
    files.mkdir(parents=True, exist_ok=True)
    (files / "mapping.yaml").write_bytes((original / "mapping.yaml").read_bytes())
    spill: dict[str, str | bool | int | float | list[str]] = {
        "temp_directory": str(files / "spill"),
        "memory_limit": "4GB",
    }
    with duckdb.connect(":memory:", config=spill) as connection:
        for table, ids in _IDS.items():
            changed = [f"t.{name} || '-' || k.copy AS {name}" for name in ids]
            if table in ("users", "contacts"):
                changed.append("replace(t.email, '@', '+' || k.copy || '@') AS email")
            order = "ORDER BY t.timestamp, k.copy" if table == "events" else "ORDER BY k.copy"
            connection.execute(
                f"""COPY (SELECT t.* REPLACE ({", ".join(changed)})
                    FROM read_parquet('{original / table}.parquet') AS t, range({copies}) AS k(copy) {order})
                TO '{files / table}.parquet' (FORMAT parquet, COMPRESSION zstd)"""
            )
