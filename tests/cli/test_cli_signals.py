"""``beton signals``: who carries one, and signals as files: export, plan, apply."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from commands import Run, runner
from journeys import Journeys

FIRST = "name: Did x\nwhen: {event: x, within_days: 3}\n"
CHANGED = "name: Did x\nwhen: {event: x, within_days: 4}\n"
REWORDED = "name: Did x\ndescription: Why.\nwhen: {event: x, within_days: 3}\n"


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    """Run ``beton signals`` with arguments, and what is typed, on the workspace in ``tmp_path``."""
    monkeypatch.setenv("BETON_DATA_DIR", str(tmp_path / "data"))
    return runner(monkeypatch, capsys, "signals")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "signals"
    made.mkdir()
    (made / "did-x.yaml").write_text(FIRST)
    return made


def saved(run: Run, folder: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(run("apply", folder, "--plan", "--json").out)["steps"]
    return found


def test_a_plan_is_shown_asked_about_and_applied(run: Run, folder: Path) -> None:
    planned = run("apply", folder, "--plan")
    assert (planned.code, planned.err) == (0, "")
    assert planned.out == "1 to create.\n  + Did x: create from did-x.yaml\n"

    for typed in ("n\n", ""):
        refused = run("apply", folder, typed=typed)
        assert refused.code == 1
        assert refused.out == planned.out
        assert refused.err.endswith("beton: nothing was applied; answer y, or give --yes\n")
        assert saved(run, folder)[0]["fate"] == "create"

    applied = run("apply", folder, typed="y\n")
    assert (applied.code, applied.out) == (0, f"{planned.out}Applied.\n")
    again = run("apply", folder, "--yes")
    assert (again.code, again.out, again.err) == (0, "Nothing to do: 1 unchanged.\n", "")


def test_a_change_is_shown_line_by_line(run: Run, folder: Path) -> None:
    run("apply", folder, "--yes")
    (folder / "did-x.yaml").write_text(CHANGED)
    applied = run("apply", folder, "--yes")

    lines = applied.out.splitlines()
    assert lines[:2] == [
        "1 to change.",
        "  ~ Did x: change sig_001 to version 2 from did-x.yaml; it has to be measured again",
    ]
    assert lines[3:5] == ["--- sig_001 version 1", "+++ did-x.yaml"]
    assert [line for line in lines[5:] if line[0] in "+-"] == ["-    within_days: 3", "+    within_days: 4"]
    assert lines[-1] == "Applied."


def test_a_change_of_words_says_that_the_evidence_stays(run: Run, folder: Path) -> None:
    run("apply", folder, "--yes")
    run("disable", "sig_001")
    (folder / "did-x.yaml").write_text(REWORDED.replace("Did x", "DID X"))
    said = run("apply", folder, "--plan").out

    assert (
        "  ~ DID X: change sig_001 (until now Did x) to version 2 from did-x.yaml (it is disabled); "
        "wording only, its evidence stays valid\n" in said
    )


def test_signals_without_a_file_are_left_alone_or_pruned(run: Run, folder: Path) -> None:
    run("apply", folder, "--yes")
    (folder / "did-x.yaml").rename(folder / "y.yaml")
    (folder / "y.yaml").write_text("name: Did y\nwhen: {event: y}\n")

    assert run("apply", folder, "--plan").out.startswith(f"1 to create, 1 without a file in {folder}, left alone.\n")
    pruned = run("apply", folder, "--prune", "--yes").out
    assert pruned.startswith("1 to create, 1 to disable.\n")
    assert "  - Did x: disable sig_001, which has no file\n" in pruned
    assert run("apply", folder, "--prune", "--yes").out.startswith("Nothing to do: 1 unchanged, 1 without a file")


def test_machines_get_every_step_and_are_never_asked(run: Run, folder: Path) -> None:
    for both in ((), ("--plan", "--yes")):
        refused = run("apply", folder, "--json", *both)
        assert (refused.code, refused.out) == (2, "")
        assert "either --plan or --yes" in refused.err

    step = {
        "fate": "create", "name": "Did x", "file": "did-x.yaml", "signal": None, "version": 1, "enabled": True,
        "wording_only": False, "difference": "",
    }  # fmt: skip
    plan = json.loads(run("apply", folder, "--plan", "--json").out)
    assert plan == {"pending": 1, "applied": False, "steps": [step]}
    assert json.loads(run("apply", folder, "--yes", "--json").out) == {**plan, "applied": True}
    again = json.loads(run("apply", folder, "--yes", "--json").out)
    assert again == {
        "pending": 0, "applied": False, "steps": [step | {"fate": "unchanged", "signal": "sig_001"}],
    }  # fmt: skip


def test_one_bad_file_stops_all_and_each_is_listed(run: Run, folder: Path) -> None:
    (folder / "bad.yaml").write_text("name: [")
    (folder / "worse.sql").write_text("-- unit: team\nSELECT 1")
    for options in (("--plan",), ("--yes",)):
        result = run("apply", folder, *options)
        assert (result.code, result.out) == (2, "")
        assert result.err.splitlines() == [
            "beton: 2 of the files cannot be used, so nothing was applied; correct what is said of it",
            '  bad.yaml: this is not valid YAML at line 1; check indentation, and write operators in quotes: op: ">="',
            "  worse.sql: line 1: unit: use one of user, account",
        ]
    (folder / "bad.yaml").unlink()
    (folder / "worse.sql").unlink()
    assert saved(run, folder)[0]["fate"] == "create"


def test_what_is_exported_can_be_applied_elsewhere(
    run: Run, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "asked.sql").write_text("SELECT user_id FROM events\n")
    run("apply", folder, "--yes")
    run("disable", "sig_002")
    target = tmp_path / "out"
    exported = run("export", target)
    assert exported.out == f"2 files written to {target}, 0 unchanged.\n  asked.sql\n  did-x.yaml\n"
    assert json.loads(run("export", target, "--enabled-only", "--json").out) == {
        "written": [], "unchanged": ["asked.sql"], "others": ["did-x.yaml"],
    }  # fmt: skip
    assert "because no exported signal belongs there: did-x.yaml" in run("export", target, "--enabled-only").out
    assert run("apply", target, "--plan").out == "Nothing to do: 2 unchanged.\n"

    monkeypatch.setenv("BETON_DATA_DIR", str(tmp_path / "another"))
    assert run("apply", target, "--yes").out.startswith("2 to create.\n")
    copy = tmp_path / "copy"
    run("export", copy)
    assert {path.name: path.read_text() for path in copy.iterdir()} == {
        path.name: path.read_text() for path in target.iterdir()
    }


def test_everyone_who_carries_a_signal_is_written_as_csv(run: Run, folder: Path, tmp_path: Path) -> None:
    people = Journeys(tmp_path / "data", data_end="2024-12-31")
    people.user("u").did("x", after_days=1).user("v").did("y", after_days=1).build()
    run("apply", folder, "--yes")
    shown = run("users", "sig_001").out
    assert shown.startswith('"user_id",')
    assert [line.split(",")[0] for line in shown.splitlines()[1:]] == ['"u"']

    assert run("users", "sig_001", "--file", tmp_path / "u.csv").out == ""
    assert (tmp_path / "u.csv").read_bytes().decode() == shown
    lost = run("users", "sig_001", "--file", tmp_path)
    assert lost.code == 2
    assert "choose another --file" in lost.err
