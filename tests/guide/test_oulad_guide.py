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
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False)
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
