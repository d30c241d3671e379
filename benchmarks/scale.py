"""The demo company many times over as arrays of the core tier: what discovery and backtests cost at 20 and 100 million.

Every copy has users, companies and events of its own. Files would take an hour to import at that size, and neither
discovery nor the core tier reads anything but these arrays.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from benchmarks import demo_discovery
from benchmarks.engine import CoreEngine
from benchmarks.questions import QUESTIONS
from benchmarks.rates import Rate, best_of, within
from beton.stats.proportions import TwoByTwo
from beton.warehouse.core.arrays import CORE_FOLDER, INDEX_FILE, UNIT_ARRAYS, Core, open_core
from beton.warehouse.core.build import rows_by_word
from beton.warehouse.reader import Warehouse

Array = NDArray[Any]

COPIES: Final = {"20m": 7, "100m": 35}
RUNS: Final = 10

# Arrays of users and companies that hold keys of companies.
_COMPANY_KEYS: Final = "company_key"


def rates(workspace: Path, root: Path, threads: int) -> Iterator[Rate]:
    """Time discovery of two million candidates and both questions at each size; tables are so many times the demo's."""
    (folder,) = sorted((workspace / "warehouse" / "snap").glob(f"*/{CORE_FOLDER}"))
    for size, copies in COPIES.items():
        into = root / size
        core = enlarged(folder, into, copies)
        yield from demo_discovery.two_million(workspace, threads, size, (copies, into))
        yield from _backtests(Warehouse(workspace), core, size, copies)
        del core
        shutil.rmtree(into)


def _backtests(warehouse: Warehouse, core: Core, size: str, copies: int) -> Iterator[Rate]:
    engine, small = CoreEngine(warehouse, core), CoreEngine(warehouse)
    for question in QUESTIONS:
        table = small.counts(question).table
        assert engine.counts(question).table == TwoByTwo(*(copies * cell for cell in table.cells))
        (rate,) = best_of({"core": (lambda asked=question: engine.counts(asked), 1, RUNS)}, "")
        yield within(replace(rate, task=f"backtest, {question.key}, {size} events"), f"core tier at {size}")


def enlarged(folder: Path, into: Path, copies: int) -> Core:
    """Write ``copies`` of the core in ``folder`` side by side, users and companies with keys of their own."""
    into.mkdir(parents=True)
    index = json.loads((folder / INDEX_FILE).read_text(encoding="utf-8"))
    (into / INDEX_FILE).write_text(json.dumps(index), encoding="utf-8")
    maker = _Maker(folder, into, copies)
    maker.events(index["columns"]["events"])
    for table in ("users", "companies"):
        maker.units(table, index["columns"][table])
    return open_core(into)


class _Maker:
    """Reads arrays of one folder and writes them, many times over, to another."""

    def __init__(self, folder: Path, into: Path, copies: int) -> None:
        self.folder, self.into, self.copies = folder, into, copies
        self.users, self.companies = (self._read(f"{table}.t0_s").size for table in ("users", "companies"))

    def _read(self, name: str) -> Array:
        found: Array = np.load(self.folder / f"{name}.npy")
        return found

    def _write(self, name: str, values: Array) -> None:
        np.save(self.into / f"{name}.npy", values)

    def units(self, table: str, columns: list[dict[str, Any]]) -> None:
        """Repeat all arrays of a table; keys of companies move on with each copy."""
        for name in UNIT_ARRAYS:
            values = np.tile(self._read(f"{table}.{name}"), self.copies)
            if name == _COMPANY_KEYS:
                step = np.repeat(np.arange(self.copies) * self.companies, values.size // self.copies)
                values = np.where(values >= 0, values + step, values).astype(np.int32)
            self._write(f"{table}.{name}", values)
        for each in columns:
            for name in (each["values"], each["set_s"]):
                if name:
                    self._write(name, np.tile(self._read(name), self.copies))

    def events(self, columns: list[dict[str, Any]]) -> None:
        """Put the rows of one event of all copies side by side, one copy after the other."""
        event_pairs, pair_start = self._read("event_pairs"), self._read("pair_start")
        self._write("event_pairs", event_pairs * self.copies)
        self._write("pair_user", self._by_event(self._read("pair_user"), event_pairs, self.users))
        rows = pair_start[event_pairs]
        first, last = np.repeat(rows[:-1], np.diff(event_pairs)), np.repeat(rows[1:], np.diff(event_pairs))
        moved = first * (self.copies - 1)  # every earlier event has as many times the rows
        for name in ("pair_start", "pair_zero"):
            own = self._read(name)[: first.size] + moved
            copy = self._by_event(np.zeros_like(first), event_pairs, 1)
            made = self._by_event(own, event_pairs, 0) + copy * self._by_event(last - first, event_pairs, 0)
            self._write(name, np.append(made, rows[-1] * self.copies) if name == "pair_start" else made)
        self._write("rel_s", self._by_event(self._read("rel_s"), rows, 0))
        for each in columns:
            values = self._by_event(self._read(each["values"]), rows, 0)
            self._write(each["values"], values)
            if "by_word" in each:
                self._write(each["by_word"], rows_by_word(values, rows * self.copies))
        self._user_rows(rows)

    def _by_event(self, values: Array, bounds: Array, step: int) -> Array:
        """Repeat each slice between two bounds, adding ``step`` from copy to copy."""
        made = np.empty(values.size * self.copies, dtype=values.dtype)
        for first, end in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
            into = made[first * self.copies : end * self.copies].reshape(self.copies, end - first)
            into[:] = values[first:end] + np.arange(self.copies, dtype=values.dtype)[:, None] * values.dtype.type(step)
        return made

    def _user_rows(self, rows: Array) -> None:
        user_rows, user_start = self._read("user_rows"), self._read("user_start")
        size = np.diff(rows)
        event = np.searchsorted(rows, user_rows, side="right") - 1
        first = user_rows + rows[event] * (self.copies - 1)
        copies = [first + copy * size[event] for copy in range(self.copies)]
        self._write("user_rows", np.concatenate(copies).astype(np.int32))
        starts = [user_start[:-1] + copy * user_rows.size for copy in range(self.copies)]
        self._write("user_start", np.append(np.concatenate(starts), user_rows.size * self.copies))
