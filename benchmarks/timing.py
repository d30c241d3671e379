"""Timing of contenders that answer the same question, side by side."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

PASSES: Final = 3


@dataclass(frozen=True)
class Sample:
    """Milliseconds of repeated runs, warm-up left out: wall clock, and processor time of all threads of this process.

    Where others use the same cores, processor time is what stays comparable; None where another process did the work.
    """

    n: int
    median_ms: float
    min_ms: float
    max_ms: float
    cpu_median_ms: float | None = None

    @classmethod
    def of(cls, runs_ms: Sequence[float], cpu_ms: Sequence[float] = ()) -> Sample:
        cpu = statistics.median(cpu_ms) if cpu_ms else None
        return cls(len(runs_ms), statistics.median(runs_ms), min(runs_ms), max(runs_ms), cpu)


def elapsed_ms(call: Callable[[], Any]) -> tuple[float, float]:
    """Run ``call`` once; return wall clock and processor time."""
    cpu, started = time.process_time(), time.perf_counter()
    call()
    return (time.perf_counter() - started) * 1000, (time.process_time() - cpu) * 1000


def side_by_side(contenders: Mapping[str, tuple[Callable[[], Any], int]]) -> dict[str, Sample]:
    """Time every contender ``runs`` times (name -> (call, runs)).

    The runs come in three passes over all contenders, so that a load that comes and goes meets all of them; each
    contender's pass begins with one run that is not counted.
    """
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in contenders}
    for done in range(PASSES):
        for name, (call, runs) in contenders.items():
            call()
            share = runs * (done + 1) // PASSES - runs * done // PASSES
            taken[name] += [elapsed_ms(call) for _ in range(share)]
    return {name: Sample.of(*zip(*runs, strict=True)) for name, runs in taken.items()}
