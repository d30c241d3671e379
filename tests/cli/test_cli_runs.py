from __future__ import annotations

import json
from pathlib import Path

import pytest
from commands import Run, runner
from made_runs import finding, keep, result


@pytest.fixture
def beton(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    """Run ``beton runs`` with arguments on two kept runs and return (exit code, output, errors)."""
    keep(tmp_path, "first-run-of-all", result(finding("shared"), finding("invited", level=1)))
    keep(tmp_path, "second", result(finding("invited"), finding("exported"), snapshot_version="b"), 5)
    keep(tmp_path, "third", result(version=0), 6)
    monkeypatch.setenv("BETON_DATA_DIR", str(tmp_path))
    return runner(monkeypatch, capsys, "runs")


def test_the_list_shows_every_run_and_its_json_too(beton: Run) -> None:
    code, out, _ = beton()
    lines = out.splitlines()

    assert code == 0
    assert [line.split()[0] for line in lines] == ["Run", "third", "second", "first-run-of"]
    assert "of another version" in lines[1]
    assert "301,741" in lines[2]
    assert [each["signals"] for each in json.loads(beton("--json")[1])] == [None, 2, 2]


def test_show_reads_a_run_by_the_beginning_of_its_id(beton: Run) -> None:
    code, out, _ = beton("show", "first")
    assert code == 0
    assert "shared once in 3 days" in out
    assert json.loads(beton("show", "second", "--json")[1])["snapshot_version"] == "b"


def test_compare_names_every_fate_with_its_reason(beton: Run) -> None:
    _, out, _ = beton("compare", "first", "second")

    assert out.splitlines()[0] == "1 new, 1 gone, 1 changed, 0 same"
    assert "Other data: snapshot a3f09c21be77 before, b now" in out
    assert "Up from “Correlates” to “Survives adjustment”" in out
    assert "digit by digit" in beton("compare", "second", "second")[1]


@pytest.mark.parametrize("which", ["nope", "third"])
def test_a_run_that_cannot_be_shown_is_one_line_with_the_next_step(beton, which: str) -> None:  # type: ignore[no-untyped-def]
    code, out, err = beton("show", which)
    assert (code, out) == (2, "")
    assert len(err.splitlines()) == 1
    assert "beton runs" in err or "run the discovery again" in err
