"""Discovery on the demo company: its grid against one GROUP BY per candidate, two million candidates, click to list."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import duckdb
import numpy as np

from benchmarks.questions import OUTCOME
from benchmarks.rates import Rate, alone, best_of, compared, elapsed_s, made, within
from benchmarks.report import load_average
from beton.discovery import sweep
from beton.discovery.candidates import Candidates, candidates
from beton.discovery.cohorts import Cohort, cohorts, split_at_s
from beton.discovery.families import log_p
from beton.discovery.run import Question, run
from beton.discovery.search import Block, blocks
from beton.model.discovery import DiscoverySettings
from beton.model.signal import DAY_S
from beton.services.measurement import GAP_DAYS
from beton.stats.multiplicity import benjamini_hochberg
from beton.warehouse.compile import seconds
from beton.warehouse.core.arrays import open_core
from beton.warehouse.landmark import Clock
from beton.warehouse.reader import Warehouse

# As many windows and counts as it takes for two million pairs and singles with enough units.
TWO_MILLION: Final = DiscoverySettings(
    windows_days=(1, 2, 3, 4, 5, 6, 7, 10, 14), counts=(1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 25, 30, 40, 50)
)
RUNS: Final = 3
GROUP_BYS: Final = 60


def question(workspace: Path, settings: DiscoverySettings) -> Question:
    """Ask what a discovery of the demo asks, with the outcome of the other benchmarks."""
    warehouse = Warehouse(workspace)
    manifest, core = warehouse.manifest(), warehouse.core()
    assert manifest.outcomes_since is not None
    since, end = int(manifest.outcomes_since.timestamp()), int(manifest.data_end.timestamp())

    def clock_of(days: float) -> Clock:
        return Clock(seconds(days), seconds(GAP_DAYS), seconds(OUTCOME.horizon_days or 0), end, since)

    return Question(core, manifest, OUTCOME, clock_of, settings)


@dataclass(frozen=True)
class Asked:
    """An event at least so many ``times`` in a window, and the engine's ``counts`` of the four groups."""

    event: str
    times: int
    window_days: int
    counts: list[int]


@dataclass(frozen=True)
class _Grid:
    pool: Candidates
    blocks: tuple[Block, ...]


def grid_rates(workspace: Path) -> list[Rate]:
    """Time every single candidate, from events to tested tables of both periods, cohorts being ready."""
    asked = question(workspace, DiscoverySettings())
    settings = asked.settings
    cohorts = cohorts_of(asked)

    def engine() -> _Grid:
        pool = candidates(asked.core, cohorts[0].frame.unit, asked.manifest, settings)
        packed = blocks(pool, cohorts)
        for each in packed:
            log_p(each.counts(np.arange(each.first_new, each.end)).table())
        return _Grid(pool, packed)

    grid = engine()
    contenders = {
        "engine": (engine, grid.pool.enumerated, RUNS),
        "GROUP BY per candidate": (group_bys(workspace, cohorts, _asked(grid)), GROUP_BYS, RUNS),
    }
    taken = best_of(contenders, "single candidates of the demo")
    return compared(taken, taken[0], {})


def cohorts_of(asked: Question) -> list[Cohort]:
    split_s = split_at_s(asked.core, asked.outcome, asked.clock_of, asked.settings)
    days = sorted({*asked.settings.windows_days, asked.settings.activity_days})
    return cohorts(asked.core, asked.outcome, asked.clock_of, days, split_s)


def _asked(grid: _Grid) -> list[Asked]:
    """Some of the count candidates of the grid."""
    places = [at for at, feature in enumerate(grid.pool.features) if _is_count(feature.condition)]
    asked = []
    for at in np.linspace(0, len(places) - 1, GROUP_BYS).astype(int):
        place = places[at]
        condition = grid.pool.features[place].condition
        block = next(each for each in grid.blocks if each.first_new <= place < each.end)
        counted = block.singles[place].tolist()
        asked.append(Asked(condition["event"], condition.get("value", 1), condition["within_days"], counted))
    return asked


def group_bys(workspace: Path, cohorts: Sequence[Cohort], asked: Sequence[Asked]) -> Callable[[], Any]:
    """One query per candidate, from events, on tables of the cohorts; their counts must be the engine's."""
    (file,) = sorted((workspace / "warehouse" / "snap").glob("*/store.duckdb"))
    connection = duckdb.connect(":memory:")
    connection.execute(f"ATTACH '{file}' AS snapshot (READ_ONLY)")
    for each in cohorts:
        rows = each.frame
        chosen = each.train | each.holdout
        columns = {"user_key": rows.unit, "train": each.train, "converted": rows.converted}
        members = {name: np.ascontiguousarray(values[chosen]) for name, values in columns.items()}
        connection.register("members", members)
        connection.execute(f"CREATE TABLE cohort_{each.landmark_days} AS SELECT * FROM members")
    statements = [(_statement(each), each.event) for each in asked]

    def call() -> list[list[Any]]:
        return [connection.execute(sql, [event]).fetchall() for sql, event in statements]

    for each, found in zip(asked, call(), strict=True):
        counted = {(train, converted): units for train, converted, units in found}
        keys = ((True, True), (True, False), (False, True), (False, False))
        assert [counted.get(key, 0) for key in keys] == each.counts, each
    return call


def _is_count(condition: dict[str, Any]) -> bool:
    return condition.get("op") in ("completed", "count >=") and "where" not in condition


def _statement(asked: Asked) -> str:
    return f"""SELECT c.train, c.converted, COUNT(*) FROM cohort_{asked.window_days} AS c
        JOIN (SELECT user_key FROM snapshot.store.events
              WHERE event = ? AND rel_s >= 0 AND rel_s < {asked.window_days * DAY_S}
              GROUP BY user_key HAVING COUNT(*) >= {asked.times}) AS s ON s.user_key = c.user_key
        GROUP BY c.train, c.converted"""


def two_million(
    workspace: Path, threads: int, size: str = "2.8m", scaled: tuple[int, Path] | None = None
) -> list[Rate]:
    """Time the engine on a finer grid, from events to q-values, in a process of its own.

    ``scaled``: how many times the demo, and the folder of those arrays.
    """
    (tested, parts), peak_mb = alone(_finer_grid, workspace, threads, scaled)
    load, task = load_average(), f"2 million candidates, {size} events"
    whole = [
        tuple(sum(column) for column in zip(*one_run, strict=True)) for one_run in zip(*parts.values(), strict=True)
    ]
    rate = replace(made(task, "engine, cohorts to q-values", tested, whole, load), peak_mb=peak_mb)
    return [
        within(rate, f"2 million candidates at {size}"),
        *(made(task, f"– {part}", None, runs, load) for part, runs in parts.items()),
    ]


def _finer_grid(
    workspace: Path, threads: int, scaled: tuple[int, Path] | None
) -> tuple[int, dict[str, list[tuple[float, float]]]]:
    """Return the candidates tested, and (seconds, processor seconds) of each part of each run after the first.

    With as many times the units needed as there are units, the candidates are those of the demo.
    """
    asked = question(workspace, TWO_MILLION)
    if scaled is not None:
        copies, folder = scaled
        settings = replace(TWO_MILLION, min_units=copies * TWO_MILLION.min_units)
        asked = replace(asked, core=open_core(folder), settings=settings)
    parts: dict[str, list[tuple[float, float]]] = {}
    tested = 0
    for number in range(RUNS + 1):
        for part, call in _engine(asked, threads):
            answer, taken = _timed(call)
            if number:
                parts.setdefault(part, []).append(taken)
        tested = answer
    return tested, parts


def _engine(asked: Question, threads: int) -> Iterator[tuple[str, Callable[[], Any]]]:
    """The parts of a run up to the q-values of singles and pairs, each on the answers of those before."""
    settings, kept = asked.settings, dict[str, Any]()

    def build_cohorts() -> None:
        kept["cohorts"] = cohorts_of(asked)

    def evaluate() -> None:
        kept["pool"] = candidates(asked.core, kept["cohorts"][0].frame.unit, asked.manifest, settings, threads)

    def pack() -> None:
        kept["blocks"] = blocks(kept["pool"], kept["cohorts"])

    def test() -> int:
        return _test_all(kept["blocks"], settings, threads)

    yield from {"cohorts": build_cohorts, "candidates": evaluate, "bits": pack, "tests and q-values": test}.items()


def _test_all(made_blocks: tuple[Block, ...], settings: DiscoverySettings, threads: int) -> int:
    """Test all singles and pairs, collect those that may be rejected with their held-out counts; return how many."""
    singles = np.concatenate([log_p(each.counts(np.arange(each.first_new, each.end)).table()) for each in made_blocks])
    families = [sweep.Family(settings.min_units, each.first_new) for each in made_blocks]
    limit = float(np.log(settings.fdr))
    scans = [sweep.scan(b.bits, f, limit, threads=threads) for b, f in zip(made_blocks, families, strict=True)]
    tested = singles.size + sum(each.tested for each in scans)
    histogram = np.sum([each.histogram for each in scans], axis=0)
    sweep.add_to_histogram(histogram, singles)
    bound = sweep.largest_rejectable_log_p(histogram, tested, settings.fdr)
    cutoff = -np.inf if bound is None else bound
    pairs = [
        sweep.collect(b.bits, f, cutoff, scan, threads=threads)
        for b, f, scan in zip(made_blocks, families, scans, strict=True)
    ]
    benjamini_hochberg(np.concatenate([singles, *(each.log_p for each in pairs)]), tested)
    return int(tested)


def _timed(call: Callable[[], Any]) -> tuple[Any, tuple[float, float]]:
    answers = []
    taken = elapsed_s(lambda: answers.append(call()))
    return answers[0], taken


def whole_run(workspace: Path) -> list[Rate]:
    """Time a run with the default settings, and its stages; triples, pruning, permutations and adjustment included."""
    asked, timings = question(workspace, DiscoverySettings()), []

    def once() -> None:
        timings.append(run(asked, lambda _stage, _share: None).result.timings_s)

    (rate,) = best_of({"engine": (once, 1, RUNS)}, "a whole run on the demo")
    best = min(timings, key=lambda each: sum(each.values()))
    stages = [Rate(rate.task, f"– {stage}", None, (seconds_,), rate.load) for stage, seconds_ in best.items()]
    return [replace(rate, candidates=None), *stages]
