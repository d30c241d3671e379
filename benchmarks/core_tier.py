"""Backtests by the core tier against the SQL tier, a naive import and pandas, on the demo company."""

from __future__ import annotations

import multiprocessing
import time
from pathlib import Path
from typing import Final

import numpy as np

from benchmarks import naive_import, plain_pandas
from benchmarks.datasets import Dataset
from benchmarks.engine import CoreEngine, Engine
from benchmarks.naive_import import NaiveImport
from benchmarks.plain_pandas import PlainPandas
from benchmarks.questions import QUESTIONS
from benchmarks.rates import Rate, best_of, compared, within
from benchmarks.report import BUDGETS, load_average
from beton.config import Settings
from beton.warehouse.reader import Warehouse

RUNS: Final = {"core": 30, "core, cohort anew": 10, "SQL tier": 10, "naive import": 4, "pandas": 4}
# What the ratio of each peer is held to.
PEERS: Final = {"SQL tier": "core: SQL tier", "naive import": "core: naive import", "pandas": "core: pandas"}
WORKERS: Final = 4
WORK_S: Final = 3.0


def rates(dataset: Dataset, root: Path) -> list[Rate]:
    """Time both questions by all contenders, whose tables must be equal, and one question by four busy workers."""
    threads = Settings().warehouse_threads
    warehouse = Warehouse(dataset.workspace, threads)
    manifest, database = warehouse.manifest(), root / "naive.duckdb"
    naive_import.build(dataset.files, database)
    core, sql, naive = CoreEngine(warehouse), Engine(warehouse), NaiveImport(database, manifest, threads)
    frames = PlainPandas(plain_pandas.load(dataset.files, as_text=True), manifest)
    made = []
    for question in QUESTIONS:
        table = core.counts(question).table
        assert table == sql.counts(question).table == naive.counts(question).table == frames.table(question)
        calls = {
            "core": lambda question=question: core.counts(question),
            "core, cohort anew": lambda question=question: core.counts_of_new_cohort(question),
            "SQL tier": lambda question=question: sql.counts(question),
            "naive import": lambda question=question: naive.counts(question),
            "pandas": lambda question=question: frames.table(question),
        }
        taken = best_of({name: (call, 1, RUNS[name]) for name, call in calls.items()}, f"backtest, {question.key}")
        made += compared([within(taken[0], "core tier at 2.8m"), *taken[1:]], taken[0], PEERS)
    return [*made, _busy(dataset.workspace)]


def _busy(workspace: Path) -> Rate:
    """95th percentile of one backtest by the core while four workers ask without a pause."""
    with multiprocessing.get_context("spawn").Pool(WORKERS) as pool:
        seconds = np.concatenate(pool.map(_ask_on, [workspace] * WORKERS, chunksize=1))
    tail = float(np.quantile(seconds, 0.95))
    most_ms = BUDGETS["most_ms"]["core tier, 4 workers, p95 at 2.8m"]
    contender = f"core, p95 of {len(seconds):,} by {WORKERS} workers"
    budget, is_met = f"<= {most_ms / 1000:g} s", tail * 1000 <= most_ms
    return Rate("backtest, both", contender, None, (tail,), load_average(), budget=budget, is_met=is_met)


def _ask_on(workspace: Path) -> list[float]:
    engine, taken = CoreEngine(Warehouse(workspace, 1)), []
    for question in QUESTIONS:
        engine.counts(question)
    until = time.perf_counter() + WORK_S
    while time.perf_counter() < until:
        for question in QUESTIONS:
            started = time.perf_counter()
            engine.counts(question)
            taken.append(time.perf_counter() - started)
    return taken
