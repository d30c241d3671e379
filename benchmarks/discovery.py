"""``python -m benchmarks discovery``: discovery and the core tier against named peers, budgets, cost curves."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks import (
    core_tier,
    cost_curves,
    datasets,
    demo_discovery,
    foreign,
    pairs,
    relevance,
    scale,
    thresholds,
    triples,
)
from benchmarks.matrices import World, world
from benchmarks.rates import Rate, alone, as_json, as_text, best_of, compared, elapsed_s, made, within
from benchmarks.report import load_average, machine
from beton.discovery.matrix import Columns, build, singles
from beton.stats.proportions import log_mid_p

THREADS: Final = os.cpu_count() or 1
UNITS, FEATURES = 34_000, 2_000
# 36 million pairs.
MANY_FEATURES: Final = 8_500
# scipy's products take seconds where the engine takes a twentieth of one.
SPARSE_FEATURES: Final = 1_000
CHECKED: Final = (6_000, 150)
EXHAUSTIVE_FEATURES, BOUNDED_FEATURES = 150, 1_000
RUNS: Final = 3
PAIR_PEERS: Final = {
    "scipy sparse, counts only": "pairs: scipy sparse",
    "float32 BLAS, counts only": "pairs: float32 BLAS",
    "pysubgroup, exhaustive": "pairs: pysubgroup, exhaustive",
}


def main(given: list[str]) -> int:
    """Return 0 when every budget is met."""
    arguments = _arguments(given)
    _say(f"{machine()}")
    rates, curves = [], []
    with tempfile.TemporaryDirectory(prefix="beton-benchmarks-", dir=arguments.dir) as folder:
        root = Path(folder)
        for rate in _all_rates(root, arguments):
            _say(f"{rate.task}: {rate.contender} {rate.best_s:.4g} s {rate.budget}")
            rates.append(rate)
        if not arguments.skip_curves:
            _say("Cost curves")
            curves = cost_curves.curves(root, root / "2.8m" / "workspace", THREADS)
    print(as_text(rates))
    if curves:
        print(f"\n{cost_curves.as_text(curves)}")
    if curves and arguments.picture:
        cost_curves.picture(curves, arguments.picture)
    if arguments.json:
        arguments.json.write_text(as_json(rates, {each.key: vars(each) for each in curves}), encoding="utf-8")
    missed = [rate for rate in rates if rate.is_met is False]
    for rate in missed:
        _say(f"Missed: {rate.task}, {rate.contender}: {rate.budget}")
    return 1 if missed else 0


def _arguments(given: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks discovery", description=__doc__)
    parser.add_argument(
        "--environments",
        type=Path,
        default=foreign.ENVIRONMENTS,
        help="where pysubgroup and tsfresh are, or will be, installed with their own pins",
    )
    parser.add_argument("--skip-foreign", action="store_true", help="leave those two out")
    parser.add_argument("--skip-browser", action="store_true", help="leave out Chromium")
    parser.add_argument("--skip-curves", action="store_true", help="leave out the cost curves")
    parser.add_argument("--picture", type=Path, metavar="FILE", help="draw the cost curves there (PNG, by Chromium)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    parser.add_argument("--dir", type=Path, help="where the data are built and removed again (3 GB); default: TMPDIR")
    arguments = parser.parse_args(given)
    if arguments.skip_foreign:
        arguments.environments = None
    return arguments


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _all_rates(root: Path, arguments: argparse.Namespace) -> Iterator[Rate]:
    _check()
    drawn = world(UNITS, FEATURES)
    yield from _pair_rates(drawn, arguments)
    yield from _single_rates(drawn, arguments)
    yield from triples.rates(drawn, arguments.environments, THREADS)
    del drawn
    yield _many_pairs()
    _say("Building the demo company")
    dataset = datasets.build("2.8m", root)
    yield from demo_discovery.grid_rates(dataset.workspace)
    yield from thresholds.rates(dataset.workspace, arguments.environments, THREADS)
    yield from demo_discovery.two_million(dataset.workspace, THREADS, "2.8m")
    yield from demo_discovery.whole_run(dataset.workspace)
    yield from core_tier.rates(dataset, root)
    _say("Enlarging the demo company")
    yield from scale.rates(dataset.workspace, root, THREADS)
    if not arguments.skip_browser:
        from benchmarks.browser import click_to_list

        sample = click_to_list(dataset.workspace)
        row = Rate("click on Run Discovery to the list", "Chromium", None, tuple(sample), load_average())
        yield within(row, "discovery click to list")


def _check() -> None:
    """Everybody counts the same on a world small enough to compare every table."""
    small = world(*CHECKED)
    products = [pairs.sparse_products(small, CHECKED[1])(), pairs.dense_products(small)()]
    pairs.check(small, products, {name: call() for name, (call, _) in pairs.one_at_a_time(small).items()})


def _pair_rates(drawn: World, arguments: argparse.Namespace) -> list[Rate]:
    task = f"pairs, {UNITS:,} users"
    contenders: dict[str, tuple[Callable[[], Any], int, int]] = {
        "engine": (lambda: pairs.engine(drawn, THREADS), drawn.pairs, RUNS),
        "engine, 1 thread": (lambda: pairs.engine(drawn, 1), drawn.pairs, RUNS),
        "engine, every held-out table too": (lambda: pairs.engine_keeping_all(drawn, THREADS), drawn.pairs, RUNS),
        "scipy sparse, counts only": (
            pairs.sparse_products(drawn, SPARSE_FEATURES),
            SPARSE_FEATURES * (SPARSE_FEATURES - 1) // 2,
            RUNS,
        ),
        "float32 BLAS, counts only": (pairs.dense_products(drawn), drawn.pairs, RUNS),
    }
    contenders |= {name: (call, count, RUNS) for name, (call, count) in pairs.one_at_a_time(drawn).items()}
    taken = best_of(contenders, task)
    taken += _pysubgroup(drawn, task, arguments.environments)
    return compared(taken, taken[0], PAIR_PEERS)


def _pysubgroup(drawn: World, task: str, root: Path | None) -> list[Rate]:
    """The training half of the job, without p-values: the pairs of best weighted relative accuracy."""
    python = foreign.ready(foreign.PYSUBGROUP, root)
    if python is None:
        return []
    rates = []
    for name, features in (("exhaustive", EXHAUSTIVE_FEATURES), ("bounded", BOUNDED_FEATURES)):
        arrays = {"columns": drawn.columns[:features, drawn.train], "converted": drawn.converted[drawn.train]}
        answer = foreign.ask(foreign.PYSUBGROUP, python, arrays, search=f"{name} pairs", runs=2)
        best = answer["quality"][0]
        assert best >= _best_pair(drawn, features) - 1e-9, f"{foreign.PYSUBGROUP.pin} missed the best pair"
        count = features * (features - 1) // 2
        rates.append(Rate(task, f"pysubgroup, {name}", count, tuple(answer["seconds"]), load_average()))
    return rates


def _best_pair(drawn: World, features: int) -> float:
    """Largest weighted relative accuracy of the tested pairs of the first ``features`` candidates."""
    found = pairs.engine_keeping_all(drawn, THREADS)
    a, others = found.counts[found.second < features][:, :2].T.astype(float)
    units, base = drawn.bits.train_units, drawn.bits.train_converted / drawn.bits.train_units
    return float(np.max((a - base * (a + others)) / units))


def _single_rates(drawn: World, arguments: argparse.Namespace) -> list[Rate]:
    """Ready-made columns to tested tables; tsfresh's job is the training half of it."""
    task = f"singles, {UNITS:,} users"

    def engine() -> None:
        activity = drawn.columns.sum(axis=0)
        bits = build(Columns.of(drawn.columns), drawn.train, drawn.holdout, drawn.converted, activity)
        a, others = singles(bits)[:, :2].T
        log_mid_p(a, a + others, bits.sizes[0] - a, bits.sizes[1] - others)

    taken = best_of({"engine": (engine, FEATURES, RUNS)}, task)
    columns = drawn.columns[: relevance.COLUMNS, drawn.train]
    taken += relevance.rates(task, columns, drawn.converted[drawn.train], arguments.environments, THREADS)
    return compared(taken, taken[0], {})


def _many_pairs() -> Rate:
    """36 million pairs in a process of their own, which says how much memory they took."""
    (count, runs), peak_mb = alone(_sweep_many)
    rate = made(f"36 million pairs, {UNITS:,} users", "engine", count, runs, load_average())
    return within(replace(rate, peak_mb=peak_mb), "36 million pairs")


def _sweep_many() -> tuple[int, list[tuple[float, float]]]:
    drawn = world(UNITS, MANY_FEATURES, keep_columns=False)
    pairs.engine(world(1_000, 50), THREADS)
    return drawn.pairs, [elapsed_s(lambda: pairs.engine(drawn, THREADS)) for _ in range(2)]
