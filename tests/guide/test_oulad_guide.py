"""The guide's data set by the guide's commands: what it prints must be what docs/guide/oulad.md says."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow.parquet as pq
import pytest

ROOT = Path(__file__).resolve().parents[2]
SHARED = Path(os.environ.get("BETON_SHARED", ROOT.parent / "shared"))
FILES = SHARED / "data" / "oulad"
GUIDE = ROOT / "docs" / "guide"

pytestmark = pytest.mark.skipif(not (FILES / "clicks.parquet").exists(), reason="the data set is not here")


def beton(data_dir: Path, *arguments: str) -> Any:
    """Run a command of the guide and return its JSON document."""
    command = [sys.executable, "-m", "beton", *arguments, "--json"]
    environment = {**os.environ, "BETON_DATA_DIR": str(data_dir)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("oulad")
    beton(folder, "import", "docs/guide/oulad/mapping.yaml", "--files", str(FILES))
    return folder


def test_the_import_reads_what_the_guide_says(data_dir: Path) -> None:
    manifest = beton(data_dir, "info")
    assert manifest["tables"] == {"users": 4_752, "companies": 4, "contacts": 0, "events": 539_367, "deals": 4_752}
    assert manifest["rejects"] == {}
    assert manifest["conversion"] == {"source": "deal won", "belongs_to": "user", "event": None, "horizon_days": 280}
    again = beton(data_dir, "import", "docs/guide/oulad/mapping.yaml", "--files", str(FILES))
    assert again["status"] == "unchanged"


@pytest.mark.parametrize("signal", ["active-15-days", "quiz-and-forum"])
def test_the_backtest_prints_the_row_of_the_guide(data_dir: Path, signal: str) -> None:
    report = beton(data_dir, "backtest", f"docs/guide/oulad/{signal}.yaml")
    result = report["evidence"]["result"]
    table, interval = result["table"], result["lift_interval"]
    written = (
        f"| {table['converted_with']:,} / {table['units_with']:,} "
        f"| {table['converted_without']:,} / {table['units_without']:,} "
        f"| {result['lift']:.2f} | {interval['lower']:.2f}–{interval['upper']:.2f} "
        f"| {report['reading']['verdict']['label']} |"
    )
    assert written in (GUIDE / "oulad.md").read_text(encoding="utf-8")
    assert interval["method"] == "Miettinen-Nurminen score"  # the outcome is the student's own: nothing to cluster


def test_the_naive_query_overstates_what_the_backtest_measures(data_dir: Path) -> None:
    won = "COUNT(*) FILTER (WHERE r.result IN ('Pass', 'Distinction'))"
    rows = duckdb.sql(
        f"""SELECT COALESCE(a.days, 0) >= 15 AS active, COUNT(*), {won}
        FROM '{FILES / "results.csv"}' AS r
        LEFT JOIN (SELECT student, COUNT(DISTINCT day) AS days FROM '{FILES / "clicks.parquet"}' GROUP BY student) AS a
            ON a.student = r.student GROUP BY 1 ORDER BY 1"""
    ).fetchall()
    (_, others, others_passed), (_, active, active_passed) = rows
    guide = (GUIDE / "oulad.md").read_text(encoding="utf-8")
    assert f"{active_passed:,} of {active:,}" in guide
    assert f"{others_passed:,} of {others:,}" in guide
    naive = (active_passed / active) / (others_passed / others)
    stated = re.search(r"\*\*([\d.]+) times\*\*", guide)
    assert stated is not None
    assert naive == pytest.approx(float(stated[1]), abs=0.05)
    report = beton(data_dir, "backtest", "docs/guide/oulad/active-15-days.yaml")
    assert report["evidence"]["result"]["lift_interval"]["upper"] < naive / 2


def test_the_course_run_without_results_is_left_out_not_counted_as_failed(data_dir: Path) -> None:
    report = beton(data_dir, "backtest", "docs/guide/oulad/active-15-days.yaml")
    funnel = {step["key"]: step["units"] for step in report["evidence"]["funnel"]}
    assert (funnel["at_risk"], funnel["mature"]) == (4_752, 4_387)


@pytest.fixture(scope="module")
def discovered(data_dir: Path) -> Any:
    return beton(data_dir, "discover", "--holdout-from", "2013-10-01")


def assert_written(lines: list[str]) -> None:
    """Every line is in the guide; a failure shows all of them as they should be."""
    guide = (GUIDE / "oulad.md").read_text(encoding="utf-8")
    missing = [line for line in lines if line not in guide]
    assert not missing, "the guide should say:\n" + "\n".join(lines)


def test_discovery_learns_from_the_earlier_course_run_and_confirms_on_the_later(discovered: Any) -> None:
    (first, *others) = discovered["cohorts"]
    periods = [(period["start"], period["end"]) for period in (first["train"], first["holdout"])]
    assert periods == [("2013-02-01", "2013-02-01"), ("2013-10-01", "2013-10-01")]
    assert all((each["train"], each["purged"]) == (first["train"], 0) for each in others)
    assert "no_purge" in [note["kind"] for note in discovered["notes"]]
    levels = [each["rung"]["level"] for each in discovered["findings"]]
    assert_written(
        [
            f"{first['train']['units']:,} students of February 2013, {first['train']['converted']:,} of whom passed",
            f"{first['holdout']['units']:,} of October 2013, {first['holdout']['converted']:,} of whom passed",
            f"tests {discovered['family']['all']:,} candidates",
            f"lists {len(levels)} signals, of which {sum(level >= 2 for level in levels)} are confirmed "
            f"and {sum(level >= 3 for level in levels)} survive adjustment",
        ]
    )


def test_lifts_shrink_and_keep_their_direction_as_published(data_dir: Path, discovered: Any) -> None:
    table = pq.read_table(data_dir / "runs" / discovered["id"] / "singles.parquet").to_pandas()

    def lifts(period: str) -> Any:
        hits, units = (
            table[f"{period}_converted_with"],
            table[f"{period}_converted_with"] + table[f"{period}_others_with"],
        )
        converted, others = table[f"{period}_converted"], table[f"{period}_others"]
        return (hits / units) / ((converted - hits) / (converted + others - units))

    earlier, later = lifts("train"), lifts("holdout")
    strong = (table["q_all"] < 0.05) & (earlier > 1.2)
    kept = int((later[strong] > 1).sum())
    assert kept / strong.sum() > 0.95
    assert later[strong].mean() < earlier[strong].mean()
    assert_written(
        [
            f"| mean lift in the earlier run | about 2.4 | {earlier[strong].mean():.2f} |",
            f"| mean lift of the same signals in the later run | about 1.5 | {later[strong].mean():.2f} |",
            f"| keep their direction | all | {kept} of {strong.sum()} |",
        ]
    )


def test_most_of_a_crude_behaviour_is_activity_as_published(discovered: Any) -> None:
    behaviours = [each for each in discovered["findings"] if each["kind"] == "behaviour" and each["train"]["lift"] > 1]
    adjusted = [each for each in behaviours if each["adjusted"] is not None]
    crude, left = (float(np.median([each[key]["lift"] for each in adjusted])) for key in ("train", "adjusted"))
    assert left < 1 + 0.3 * (crude - 1)
    rows = [
        f"| median lift of the listed behaviours, adjusted for activity | most vanish | {crude:.2f} before, "
        f"{left:.2f} after |"
    ]
    rows.append(f"None of the {len(behaviours)} behaviours that raise the odds of passing survives it")
    assert all(each["rung"]["level"] < 3 for each in behaviours)
    for each in behaviours[:4]:
        cells = [
            each["name"],
            *(interval(each[key]) for key in ("train", "held_out", "adjusted")),
            each["rung"]["label"],
        ]
        rows.append(f"| {' | '.join(cells)} |")
    assert_written(rows)


def interval(estimate: Any) -> str:
    if estimate is None:
        return "–"
    return f"{estimate['lift']:.2f} ({estimate['interval']['lower']:.2f}–{estimate['interval']['upper']:.2f})"
