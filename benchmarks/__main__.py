"""``python -m benchmarks``: measure, print the table, exit with 1 when a budget is missed.

``python -m benchmarks discovery`` does the same for discovery and the core tier, ``queries`` for signals in SQL.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np

from benchmarks import datasets, naive_import, plain_pandas
from benchmarks.datasets import Dataset
from benchmarks.engine import Engine
from benchmarks.naive_import import NaiveImport
from benchmarks.plain_pandas import PlainPandas
from benchmarks.questions import ONBOARDED_MID_SIZE, QUESTIONS, Question
from benchmarks.report import Row, as_json, as_text, limited_row, load_average, machine, ratio_row
from benchmarks.timing import Sample, elapsed_ms, side_by_side
from beton.config import Settings
from beton.model.mapping import load_mapping
from beton.stats.proportions import TwoByTwo
from beton.warehouse.counts import CohortCounts
from beton.warehouse.imports import import_mapping
from beton.warehouse.reader import Warehouse

BUILDS: Final = 3
# Runs of one contender, by copies of the demo company: pandas takes seconds at seven.
RUNS: Final = {1: 15, 7: 15}
PANDAS_RUNS: Final = {1: 15, 7: 6}


def main() -> int:
    """Return 0 when every enforced budget is met."""
    if sys.argv[1:2] == ["discovery"]:
        from benchmarks import discovery

        return discovery.main(sys.argv[2:])
    if sys.argv[1:2] == ["queries"]:
        from benchmarks import queries

        return queries.main(sys.argv[2:])
    arguments = _arguments()
    rows: list[Row] = []
    _say(f"{machine()}")
    with tempfile.TemporaryDirectory(prefix="beton-benchmarks-", dir=arguments.dir) as folder:
        root = Path(folder)
        tables: dict[str, dict[int, TwoByTwo]] = {}
        for name in arguments.events:
            _say(f"Building {name} events")
            load = load_average()
            dataset = datasets.build(name, root)
            rows += _build_rows(dataset, root, load)
            contenders = _contenders(dataset, root)
            for question in QUESTIONS:
                _say(f"{dataset.events:,} events: {question.title}")
                asked, table = _ask(question, dataset, contenders)
                rows += asked
                tables.setdefault(question.key, {})[dataset.copies] = table
        _check_copies(tables)
        if not arguments.skip_browser:
            rows += _browser_rows(root, arguments.click_tolerance)
    print(as_text(rows))
    if arguments.json:
        arguments.json.write_text(as_json(rows), encoding="utf-8")
    missed = [row for row in rows if row.is_met is False]
    for row in missed:
        _say(f"Missed: {row.events} {row.task}, {row.contender}: {row.budget}")
    return 1 if missed else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--events", type=_sizes, default=list(datasets.COPIES), help="2.8m, 20m or both (2.8m,20m)")
    parser.add_argument("--skip-browser", action="store_true", help="leave out Chromium")
    parser.add_argument(
        "--click-tolerance", type=float, default=1.0, help="factor on the click budget; 1 is the budget"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows there too")
    parser.add_argument("--dir", type=Path, help="where the data are built and removed again (4 GB); default: TMPDIR")
    return parser.parse_args()


def _sizes(text: str) -> list[str]:
    names = [name.strip().lower() for name in text.split(",")]
    unknown = [name for name in names if name not in datasets.COPIES]
    if unknown:
        raise argparse.ArgumentTypeError(f"{unknown[0]!r} is none of {', '.join(datasets.COPIES)}")
    return names


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _build_rows(dataset: Dataset, root: Path, load: float) -> list[Row]:
    task, runs_ms = "snapshot build from files", [dataset.import_s * 1000]
    if dataset.copies > 1:
        return [Row(dataset.name, task, "import", Sample.of(runs_ms), load)]
    mapping = load_mapping(dataset.files / "mapping.yaml")
    for number in range(1, BUILDS):
        folder = root / f"build-{number}"
        runs_ms.append(elapsed_ms(partial(import_mapping, folder, mapping))[0])
    row = Row(dataset.name, task, "import", Sample.of(runs_ms), load)
    return [limited_row(row, "snapshot build at 2.8m", None)]


@dataclass(frozen=True)
class _Contenders:
    engine: Engine
    naive: NaiveImport
    plain: PlainPandas
    tuned: PlainPandas
    categories: PlainPandas


def _contenders(dataset: Dataset, root: Path) -> _Contenders:
    """Make everyone ready to answer: files open, frames in memory."""
    threads = Settings().warehouse_threads
    warehouse = Warehouse(dataset.workspace, threads)
    manifest, database = warehouse.manifest(), root / f"{dataset.name}-naive.duckdb"
    naive_import.build(dataset.files, database)
    text = plain_pandas.load(dataset.files, as_text=True)
    return _Contenders(
        Engine(warehouse),
        NaiveImport(database, manifest, threads),
        PlainPandas(text, manifest),
        PlainPandas(text, manifest, filters_first=True),
        PlainPandas(plain_pandas.load(dataset.files, as_text=False), manifest, filters_first=True),
    )


def _ask(question: Question, dataset: Dataset, contenders: _Contenders) -> tuple[list[Row], TwoByTwo]:
    """Time one question on one data set; every contender must first give the engine's answer."""
    engine, naive = contenders.engine, contenders.naive
    by_pandas = (contenders.plain, contenders.tuned, contenders.categories)
    expected = engine.counts(question)
    _check_equal(expected, naive.counts(question))
    for frames in by_pandas:
        found = frames.table(question)
        assert found == expected.table, f"pandas disagrees: {found}"
    load, runs, pandas_runs = load_average(), RUNS[dataset.copies], PANDAS_RUNS[dataset.copies]
    samples = side_by_side(
        {
            "engine": (lambda: engine.counts(question), runs),
            "engine, definition never seen": (lambda: engine.counts_of_new_definition(question), runs),
            "naive import": (lambda: naive.counts(question), runs),
            "pandas": (lambda: contenders.plain.table(question), pandas_runs),
            "pandas, tuned": (lambda: contenders.tuned.table(question), pandas_runs),
            "pandas, tuned, categories": (lambda: contenders.categories.table(question), pandas_runs),
        }
    )
    rows = []
    for contender, sample in samples.items():
        row = Row(dataset.name, question.key, contender, sample, load)
        if contender == "engine":
            limited = dataset.copies == 1 and question is ONBOARDED_MID_SIZE
            rows.append(limited_row(row, "engine at 2.8m", None) if limited else row)
        else:
            peer = contender if contender in ("pandas", "naive import") else None
            rows.append(ratio_row(row, samples["engine"], peer))
    return rows, expected.table


def _check_equal(expected: CohortCounts, found: CohortCounts) -> None:
    for field in fields(CohortCounts):
        one, other = (getattr(counts, field.name) for counts in (expected, found))
        same = np.array_equal(np.sort(one), np.sort(other)) if field.name == "lead_s" else one == other
        assert same, f"the naive import disagrees in {field.name}: {one} and {other}"


def _check_copies(tables: dict[str, dict[int, TwoByTwo]]) -> None:
    """The table of k copies of the company is k times the table of one."""
    for key, by_copies in tables.items():
        one = by_copies.get(1)
        for copies, table in by_copies.items():
            assert one is None or table == sum([one] * copies, TwoByTwo(0, 0, 0, 0)), (
                f"{key}: {copies} x {one} != {table}"
            )


def _browser_rows(root: Path, tolerance: float) -> list[Row]:
    """Build the demo as a person would and click through it."""
    from benchmarks.browser import click_to_result

    workspace, load = root / "demo", load_average()
    _say("beton demo, then Chromium")
    environment = os.environ | {"BETON_DATA_DIR": str(workspace)}
    command = [sys.executable, "-m", "beton", "demo"]
    built, _ = elapsed_ms(lambda: subprocess.run(command, env=environment, check=True, capture_output=True))
    rows = [limited_row(Row("2.8m", "beton demo", "command", Sample.of([built]), load), "beton demo", None)]
    row = Row("2.8m", "click to drawn result", "Chromium", click_to_result(workspace), load_average())
    return [*rows, limited_row(row, "click to drawn result", tolerance)]


if __name__ == "__main__":
    sys.exit(main())
