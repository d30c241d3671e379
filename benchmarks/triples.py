"""The best triples of candidates: our branch and bound against pysubgroup's searches of depth three.

The engine's measure is the p-value that each condition adds to the other two; pysubgroup knows no bound for it, so its
exact search with that measure counts every triple whose pairs are candidates, and must give the very same list.
With its own weighted relative accuracy it prunes, and answers another question: that and the beam are for scale.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks import foreign
from benchmarks.matrices import World
from benchmarks.pairs import LEVEL, MIN_UNITS
from benchmarks.rates import Rate, best_of, compared
from benchmarks.report import load_average
from beton.discovery import sweep, triples
from beton.discovery.search import BEST_TRIPLES

# pysubgroup takes about two minutes.
EXACT_FEATURES: Final = 300
RESULTS: Final = 100
RUNS: Final = 10


def rates(drawn: World, environments: Path | None, threads: int) -> list[Rate]:
    """Time both sets; pysubgroup only where its environment is below ``environments``."""
    python = foreign.ready(foreign.PYSUBGROUP, environments)
    return _exact(drawn, python, threads) + _all(drawn, python, threads)


def _exact(drawn: World, python: Path | None, threads: int) -> list[Rate]:
    """The best hundred of a few candidates, whatever their p-values."""
    task = f"best {RESULTS} triples of {EXACT_FEATURES}"
    first = _first(drawn, EXACT_FEATURES)
    count = triples.possible([(EXACT_FEATURES, 0)])
    taken = best_of({"engine": (lambda: _engine(first, threads), count, RUNS)}, task)
    if python is None:
        return taken
    answer = _asked(first, python, "exhaustive triples")
    expected = _engine(first, threads)
    assert np.allclose(answer["quality"], -expected.log_p, rtol=1e-9), "pysubgroup finds other triples"
    assert answer["features"][0] == expected.features[0].tolist(), "pysubgroup finds another best triple"
    taken.append(_rate(task, "pysubgroup, exhaustive, the same measure", count, answer))
    taken.append(
        _rate(task, "pysubgroup, bounded, weighted relative accuracy", count, _asked(first, python, "bounded triples"))
    )
    return compared(taken, taken[0], {taken[1].contender: "triples: pysubgroup, exhaustive"})


def _all(drawn: World, python: Path | None, threads: int) -> list[Rate]:
    """Those of all candidates that a run looks for; the beam looks for weighted relative accuracy, not exactly."""
    task = f"triples of {drawn.bits.features:,}"
    count = triples.possible([(drawn.bits.features, 0)])
    taken = best_of({"engine, those that may be discoveries": (lambda: _run(drawn, threads), count, 1)}, task)
    if python is None:
        return taken
    taken.append(_rate(task, "pysubgroup, beam", count, _asked(drawn, python, "beam")))
    return compared(taken, taken[0], {"pysubgroup, beam": "triples: pysubgroup, beam"})


def _engine(drawn: World, threads: int) -> triples.Triples:
    tables = triples.tables_of(drawn.bits, sweep.Family(MIN_UNITS))
    return triples.best(drawn.bits, tables, RESULTS, threads=threads)


def _run(drawn: World, threads: int) -> triples.Triples:
    """Do what a discovery run does with triples: no p-value above the limit can be a discovery."""
    tables = triples.tables_of(drawn.bits, sweep.Family(MIN_UNITS))
    limit = float(np.log(LEVEL * BEST_TRIPLES / triples.tested(tables)))
    return triples.best(drawn.bits, tables, BEST_TRIPLES, limit, threads=threads)


def _first(drawn: World, features: int) -> World:
    bits = replace(drawn.bits, words=np.ascontiguousarray(drawn.bits.words[:features]))
    return replace(drawn, bits=bits, columns=drawn.columns[:features])


def _asked(drawn: World, python: Path, search: str) -> dict[str, Any]:
    arrays = {"columns": drawn.columns[:, drawn.train], "converted": drawn.converted[drawn.train]}
    return foreign.ask(foreign.PYSUBGROUP, python, arrays, search=search, runs=1)


def _rate(task: str, contender: str, count: int, answer: dict[str, Any]) -> Rate:
    return Rate(task, contender, count, tuple(answer["seconds"]), load_average())
