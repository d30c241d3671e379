"""Rows of the discovery report: seconds, candidates per second, ratios and memory beside what they are held to."""

from __future__ import annotations

import json
import multiprocessing
import re
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final, TypeVar

from benchmarks.report import BUDGETS, load_average, machine
from benchmarks.timing import elapsed_ms

_HEAD: Final = (
    "task",
    "contender",
    "candidates",
    "n",
    "best s",
    "median s",
    "CPU s",
    "candidates/s",
    "ratio",
    "peak MB",
    "budget",
    "",
    "load",
)
_Answer = TypeVar("_Answer")


@dataclass(frozen=True)
class Rate:
    """One contender's runs of a task on so many candidates.

    ``cpu_s`` is the least processor time of a run, all threads, None where another process did the work; ``ratio`` the
    engine's candidates per second over the contender's, best runs of both; ``load`` the machine's one-minute load
    afterwards; ``is_met`` None where nothing is enforced.
    """

    task: str
    contender: str
    candidates: int | None
    seconds: tuple[float, ...]
    load: float
    cpu_s: float | None = None
    ratio: float | None = None
    peak_mb: float | None = None
    budget: str = ""
    is_met: bool | None = None

    @property
    def best_s(self) -> float:
        return min(self.seconds)

    @property
    def per_s(self) -> float | None:
        """Candidates per second of the best run."""
        return None if self.candidates is None else self.candidates / self.best_s


def best_of(contenders: Mapping[str, tuple[Callable[[], Any], int, int]], task: str) -> list[Rate]:
    """Time contenders (name -> call, candidates, runs) in turns, after one run of each that does not count.

    Those with a single run have none that does not count.
    """
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in contenders}
    for call, _, runs in contenders.values():
        if runs > 1:
            call()
    for turn in range(max(runs for _, _, runs in contenders.values())):
        for name, (call, _, runs) in contenders.items():
            if turn < runs:
                taken[name].append(elapsed_s(call))
    load = load_average()
    return [made(task, name, contenders[name][1], runs, load) for name, runs in taken.items()]


def made(task: str, contender: str, candidates: int | None, runs: Sequence[tuple[float, float]], load: float) -> Rate:
    """Return the rate of runs of so many (seconds, processor seconds)."""
    seconds, cpu_s = zip(*runs, strict=True)
    return Rate(task, contender, candidates, seconds, load, cpu_s=min(cpu_s))


def elapsed_s(call: Callable[[], Any]) -> tuple[float, float]:
    """Run ``call`` once; return its seconds and its processor seconds."""
    wall_ms, cpu_ms = elapsed_ms(call)
    return wall_ms / 1000, cpu_ms / 1000


def compared(rates: Sequence[Rate], engine: Rate, peers: Mapping[str, str]) -> list[Rate]:
    """Return the rates with their ratio to the engine's; ``peers``: contender -> name of its least ratio."""
    made = []
    for rate in rates:
        if rate.contender == engine.contender:
            made.append(rate)
            continue
        ratio = (engine.per_s or 0) / (rate.per_s or 1)
        least = BUDGETS["least_ratio"][peers[rate.contender]] if rate.contender in peers else None
        if least is None:
            made.append(replace(rate, ratio=ratio))
        else:
            made.append(replace(rate, ratio=ratio, budget=f">= {least:,g}x", is_met=ratio >= least))
    return made


def within(rate: Rate, limit: str) -> Rate:
    """Hold the best run to ``most_ms`` of the budgets, and its memory to ``most_mb`` where it is measured."""
    most_ms = BUDGETS["most_ms"][limit]
    budget, is_met = f"<= {most_ms / 1000:g} s", rate.best_s * 1000 <= most_ms
    if rate.peak_mb is not None:
        most_mb = BUDGETS["most_mb"][limit]
        budget, is_met = f"{budget}, <= {most_mb:,g} MB", is_met and rate.peak_mb <= most_mb
    return replace(rate, budget=budget, is_met=is_met)


def alone(call: Callable[..., _Answer], *arguments: Any) -> tuple[_Answer, float]:
    """Run ``call`` in a process of its own; return its answer and the most memory, in MB, that the process held."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_with_peak, (call, arguments))


def _with_peak(call: Callable[..., _Answer], arguments: tuple[Any, ...]) -> tuple[_Answer, float]:
    answer = call(*arguments)
    status = Path("/proc/self/status").read_text(encoding="ascii")
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert found is not None
    return answer, int(found[1]) * 1024 / 1e6


def as_text(rates: Sequence[Rate]) -> str:
    """Return the rates as a Markdown table."""
    lines = [_HEAD, ("---",) * len(_HEAD), *(_cells(rate) for rate in rates)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _cells(rate: Rate) -> tuple[str, ...]:
    return (
        rate.task,
        rate.contender,
        "" if rate.candidates is None else f"{rate.candidates:,}",
        str(len(rate.seconds)),
        f"{rate.best_s:.4g}",
        f"{statistics.median(rate.seconds):.4g}",
        "" if rate.cpu_s is None else f"{rate.cpu_s:.4g}",
        "" if rate.per_s is None else f"{rate.per_s:,.0f}" if rate.per_s >= 10 else f"{rate.per_s:.1f}",
        "" if rate.ratio is None else f"{rate.ratio:,.1f}x" if rate.ratio < 100 else f"{rate.ratio:,.0f}x",
        "" if rate.peak_mb is None else f"{rate.peak_mb:,.0f}",
        rate.budget,
        {None: "", True: "met", False: "MISSED"}[rate.is_met],
        str(rate.load),
    )


def as_json(rates: Sequence[Rate], curves: Mapping[str, Any]) -> str:
    """Return machine, rates and curves as a JSON document."""
    rows = [asdict(rate) | {"candidates_per_s": rate.per_s} for rate in rates]
    return json.dumps({"machine": machine(), "rates": rows, "curves": curves}, indent=2) + "\n"
