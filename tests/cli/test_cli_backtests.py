from __future__ import annotations

import json
from pathlib import Path

import pytest
from commands import Run, runner
from journeys import Journeys
from made_backtests import FLAGSHIP, NOTHING, START, WEAK, keep, signal

from beton.records.database import Database
from beton.records.runs import RunRepository


@pytest.fixture
def beton(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, database: Database
) -> Run:
    """Run ``beton backtests`` with arguments on three kept runs and return (exit code, output, errors)."""
    Journeys(tmp_path, data_end="2024-12-01").user("ann").did("x", after_days=1).publish()
    runs = RunRepository(database)
    keep(runs, "a" * 32, FLAGSHIP, definition=signal("Strong"), minute=1)
    keep(runs, "b" * 32, WEAK, definition=signal("Weak", when={"event": "x", "within_days": 7}), minute=2)
    keep(runs, "c" * 32, NOTHING, definition=signal("Query", sql="SELECT user_id\nFROM users"), minute=3)
    runs.start(
        "d" * 32, signal("Broken").to_dict(), definition_hash="h", request_hash="r", snapshot_version="s", at=START
    )
    runs.fail("d" * 32, "The query took too long.", at=START)
    monkeypatch.setenv("BETON_DATA_DIR", str(tmp_path))
    return runner(monkeypatch, capsys, "backtests")


def test_the_list_is_newest_first_with_its_verdicts(beton: Run) -> None:
    code, out, _ = beton("list")
    assert code == 0
    assert [line.split()[1] for line in out.splitlines()] == ["Name", "Query", "Weak", "Strong", "Broken"]
    assert out.splitlines()[2].split()[-2:] == ["2", "Watch"]
    assert out.splitlines()[-1].split()[-1] == "failed"
    (newest,) = json.loads(beton("list", "--limit", "1", "--json")[1])
    assert (newest["id"], newest["kind"], newest["standing"]["number"]) == ("c" * 32, "SQL", 3)


def test_show_says_where_a_run_stands_among_all_tests(beton: Run) -> None:
    assert "This is your 2nd test; after correcting for all of them p must be" in beton("show", "bb")[1]
    assert json.loads(beton("show", "bb", "--json")[1])["standing"]["holds"] is False


def test_compare_marks_what_differs_and_says_what_is_not_comparable(beton: Run) -> None:
    _, out, _ = beton("compare", "aa", "bb", "cc")
    assert "* who did x within 7 days of signup" in out
    assert "* FROM users" in out
    assert "3 days against 7 days against 14 days" in out
    plain = json.loads(beton("compare", "aa", "dd", "--json")[1])
    assert [side["run"]["name"] for side in plain["sides"]] == ["Strong", "Broken"]
    assert plain["sides"][1]["report"] is None
    assert plain["cautions"] == []


def test_the_ledger_lists_every_test_against_its_threshold(beton: Run) -> None:
    _, out, _ = beton("ledger")
    assert out.startswith("You have asked 3 questions of your data, and 1 of the answers holds.")
    assert [line.split()[-1] for line in out.splitlines()[-3:]] == ["holds", "hold", "hold"]
    sheet = json.loads(beton("ledger", "--json")[1])
    assert [each["standing"]["holds"] for each in sheet["hypotheses"]] == [True, False, False]
    assert 0 < sheet["next_threshold"] < 0.05


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (("show", "nope"), "no run 'nope'"),
        (("show", "dd"), "took too long"),
        (("compare", "aa", "aa"), "two or 3"),
    ],
)
def test_what_cannot_be_shown_is_one_line(beton, arguments: tuple[str, ...], hint: str) -> None:  # type: ignore[no-untyped-def]
    code, out, err = beton(*arguments)
    assert (code, out) == (2, "")
    assert len(err.splitlines()) == 1
    assert hint in err
