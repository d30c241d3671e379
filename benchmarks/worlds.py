"""``python -m benchmarks.worlds``: many simulated companies whose truth is known, discovered one by one and judged.

Every company is written, imported and searched as a person would; then its outcomes are dealt out anew among users who
signed up in the same month, and it is searched again: now there is nothing to find.
"""

from __future__ import annotations

import argparse
import json
import math
import shutil
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.judging import CONFOUNDED, Judged, Planted, World, association, judged, level_alone, planted
from beton.demo import company
from beton.demo.sizes import CompanySize
from beton.discovery.run import run
from beton.discovery.shuffle import shuffle_test
from beton.model.mapping import load_mapping
from beton.stats.proportions import wilson_interval
from beton.warehouse.imports import import_mapping

FIRST_SEED: Final = 101
# Companies that the association of a signal is averaged over.
REFERENCES: Final = 30
SURE: Final = 3.0
DONE: Final = "imported"


@dataclass(frozen=True)
class Verdict:
    """One company: what its run listed, what became of the planted causes, and signals found without any effect."""

    seed: int
    found: list[Judged]
    planted: list[Planted]
    confounded: dict[str, int]
    near_outcome: tuple[str, ...]
    found_in_null: int


def build(root: Path, seed: int, size: CompanySize | None = None) -> World:
    """Write and import one company below ``root``; one already there is not built again."""
    workspace = root / str(seed)
    if not (workspace / DONE).exists():
        with tempfile.TemporaryDirectory(prefix="beton-world-", dir=root) as files:
            company.write(Path(files), seed=seed, size=size)
            import_mapping(workspace, load_mapping(Path(files) / "mapping.yaml"))
        (workspace / DONE).touch()
    return World(seed, workspace, size)


def _quietly(stage: str, share: float) -> None:
    """Nobody waits for the progress."""


def verdict(world: World) -> Verdict:
    """Search a company, and the same without any signal."""
    result = run(world.question, _quietly).result
    seeded = replace(world.question, settings=replace(world.settings, seed=world.seed))
    return Verdict(
        seed=world.seed,
        found=judged(world, result),
        planted=planted(world, result),
        confounded={signal.name: level_alone(world, signal) for signal in CONFOUNDED},
        near_outcome=tuple(each.event for each in result.near_outcome),
        found_in_null=shuffle_test(seeded, 1, _quietly).listed[0],
    )


def summary(worlds: list[World], verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """Return every figure of the study, rates with 95% intervals."""
    real = _associations(worlds[:REFERENCES], verdicts)
    return {
        "companies": len(verdicts),
        "seeds": [verdicts[0].seed, verdicts[-1].seed],
        "signals per company": _mean([len(each.found) for each in verdicts]),
        "false share, level 1 and up": _false_share(verdicts, 1, lambda each: not real[_key(each)]),
        "false share, level 2 and up": _false_share(verdicts, 2, lambda each: not real[_key(each)]),
        "confounded share of level 3": _false_share(verdicts, 3, lambda each: not each.causes),
        "confounded signals proposed by hand that reach level 3": {
            name: _rate(sum(each.confounded[name] >= 3 for each in verdicts), len(verdicts))
            for name in verdicts[0].confounded
        },
        "planted": {
            each.name: _planted([v.planted[i] for v in verdicts]) for i, each in enumerate(verdicts[0].planted)
        },
        "contract viewed flagged": _rate(sum("contract_viewed" in v.near_outcome for v in verdicts), len(verdicts)),
        "overstatement of lifts": _overstatement(verdicts),
        "any discovery without signals": _rate(sum(each.found_in_null > 0 for each in verdicts), len(verdicts)),
        "not real": sorted({each.name for v in verdicts for each in v.found if not real[_key(each)]}),
        "confounded at level 3": [
            f"{v.seed}: {each.name}" for v in verdicts for each in v.found if each.level >= 3 and not each.causes
        ],
    }


def _key(each: Judged) -> tuple[str, bool]:
    return each.definition.meaning_hash(), each.raw > 1


def _associations(references: list[World], verdicts: Sequence[Verdict]) -> dict[tuple[str, bool], bool]:
    """Say of every signal and direction whether the generating model has that association at all."""
    real: dict[tuple[str, bool], bool] = {}
    for each in (found for v in verdicts for found in v.found):
        if _key(each) not in real:
            mean, error = association(references, each.definition)
            real[_key(each)] = (mean if each.raw > 1 else -mean) > SURE * error
    return real


def _false_share(verdicts: Sequence[Verdict], level: int, is_false: Any) -> dict[str, float]:
    """Return the mean over companies of false / listed (0 where none is listed), its interval, and the totals."""
    listed = [[each for each in v.found if each.level >= level] for v in verdicts]
    false = np.array([sum(map(is_false, those)) for those in listed])
    total = np.array([len(those) for those in listed])
    return {**_mean((false / np.maximum(total, 1)).tolist()), "false": int(false.sum()), "listed": int(total.sum())}


def _planted(each: list[Planted]) -> dict[str, Any]:
    n = len(each)
    return {
        "kind": each[0].kind,
        "expected share": float(np.mean([one.power for one in each])),
        "listed": _rate(sum(one.level >= 0 for one in each), n),
        "confirmed": _rate(sum(one.level >= 2 for one in each), n),
        "level 3": _rate(sum(one.level >= 3 for one in each), n),
        "the wrong way": sum(not one.right_way for one in each),
        "absent with power over 80%": sum(one.level < 0 and one.power > 0.8 for one in each),
    }


def _overstatement(verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """Return how far listed lifts lie above the model's on average, as ratios, by company."""
    made = {}
    for name in ("raw", "shrunk"):
        by_company = []
        for v in verdicts:
            away = [
                (1 if each.raw > 1 else -1) * math.log(getattr(each, name) / each.expected)
                for each in v.found
                if each.expected and 0 < each.raw < math.inf
            ]
            by_company.append(float(np.mean(away)) if away else 0.0)
        made[name] = {key: math.exp(value) for key, value in _mean(by_company).items()}
    return made


def _mean(values: Sequence[float]) -> dict[str, float]:
    mean, error = (
        float(np.mean(values)),
        float(np.std(values, ddof=1) / math.sqrt(len(values))) if len(values) > 1 else 0,
    )
    return {"mean": mean, "lower": mean - 1.96 * error, "upper": mean + 1.96 * error}


def _rate(count: int, of: int) -> dict[str, float]:
    lower, upper = wilson_interval([count], [of])
    return {"count": count, "of": of, "share": count / of, "lower": float(lower[0]), "upper": float(upper[0])}


def main() -> int:
    """Write the figures, and print them."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.worlds", description=__doc__)
    parser.add_argument("--worlds", type=int, default=100, help="number of companies; 100 take about half an hour")
    parser.add_argument("--first-seed", type=int, default=FIRST_SEED, help="seed of the first")
    parser.add_argument("--dir", type=Path, help="keep the imported companies here (100 MB each), or find them here")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    arguments = parser.parse_args()
    kept = arguments.dir or Path(tempfile.mkdtemp(prefix="beton-worlds-"))
    kept.mkdir(parents=True, exist_ok=True)
    worlds, verdicts = [], []
    try:
        for seed in range(arguments.first_seed, arguments.first_seed + arguments.worlds):
            worlds.append(build(kept, seed))
            verdicts.append(verdict(worlds[-1]))
            levels = [sum(each.level == level for each in verdicts[-1].found) for level in range(4)]
            print(f"{seed}: {len(verdicts[-1].found)} signals, by level {levels}", file=sys.stderr, flush=True)
        figures = json.dumps(summary(worlds, verdicts), indent=1)
    finally:
        if arguments.dir is None:
            shutil.rmtree(kept)
    print(figures)
    if arguments.json:
        arguments.json.write_text(figures + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
