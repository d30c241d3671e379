"""The command line: help, exit codes, one-line errors and JSON for machines."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest
from commands import Result, Run, runner
from journeys import Journeys

from beton.model.evidence import Evidence, Measured
from beton.services.reading import Reading
from beton.terminal import Progress

COMMANDS = ("demo", "import", "info", "backtest", "compare", "serve", "worker", "discover", "runs", "signals")


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    """Run ``beton`` with arguments on the workspace in ``tmp_path``."""

    command = runner(monkeypatch, capsys)

    def beton(*arguments: object) -> Result:
        monkeypatch.setenv("BETON_DATA_DIR", os.environ.get("BETON_DATA_DIR_OF_TEST", str(tmp_path)))
        return command(*arguments)

    return beton


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture
def signal(tmp_path: Path) -> Path:
    return write(tmp_path / "signal.yaml", "name: Did x\nwhen: {event: x, within_days: 3}\n")


@pytest.fixture
def imported(tmp_path: Path) -> None:
    people = Journeys(tmp_path, data_end="2024-12-31")
    for number in range(20):
        people.user(f"u{number}", signed_up="2024-03-01").did("x" if number < 10 else "y", after_days=1)
        if number in (0, 1, 2, 10):
            people.won(after_days=20)
    people.build()


def is_one_line(result: Result) -> bool:
    return result.err.startswith("beton: ") and result.err.count("\n") == 1 and "Traceback" not in result.err


# --- help


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(run: Run, command: str) -> None:
    result = run(command, "--help")
    assert result.code == 0
    assert result.out.startswith("Usage: ")
    assert command in result.out
    assert "--json" in result.out or command in ("serve", "worker", "signals")


def test_help_lists_every_command(run: Run) -> None:
    result = run("--help")
    assert all(f"\n  {command} " in result.out for command in COMMANDS)


def test_help_loads_neither_data_engine_nor_database() -> None:
    heavy = ("duckdb", "pandas", "sqlalchemy", "scipy", "numpy", "pyarrow", "dash", "plotly", "sqlglot", "pydantic")
    script = (
        "import runpy, sys\n"
        "sys.argv = ['beton', '--help']\n"
        "try:\n    runpy.run_module('beton', run_name='__main__')\n"
        "except SystemExit as done:\n    assert not done.code, done.code\n"
        f"print(sorted(set(sys.modules) & set({heavy!r})), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "Usage:" in done.stdout
    assert done.stderr.strip() == "[]"


def test_errors_leave_no_traceback_in_a_real_process(tmp_path: Path) -> None:
    environment = os.environ | {"BETON_DATA_DIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-m", "beton", "info"], capture_output=True, text=True, env=environment, check=False
    )
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.startswith("beton: Nothing has been imported yet")
    assert done.stderr.count("\n") == 1


# --- what goes wrong


@pytest.mark.parametrize("arguments", [("info",), ("info", "--json"), ("backtest", "signal.yaml")])
def test_without_data_the_exit_code_is_3(run: Run, signal: Path, arguments: tuple[str, ...]) -> None:
    result = run(*(str(signal) if item == "signal.yaml" else item for item in arguments))
    assert result.code == 3
    assert is_one_line(result)
    assert "beton demo" in result.err


@pytest.mark.usefixtures("imported")
@pytest.mark.parametrize("queue", [(), ("--queue",), ("--queue", "--shuffle", "3")])
@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        (("--outcome", "nonsense"), "'nonsense' is not in the data; `beton info` lists the events"),
        (("--holdout-from", "2024-13-99"), "give one such as 2024-07-01"),
        (("--holdout-from", "1990-01-01"), "choose a day between"),
        (("--holdout-from", "2099-01-01"), "choose a day between"),
    ],
)
def test_what_discovery_cannot_answer_is_neither_run_nor_queued(
    run: Run, tmp_path: Path, asked: tuple[str, ...], sentence: str, queue: tuple[str, ...]
) -> None:
    result = run("discover", *asked, *queue, "--json")
    assert (result.code, result.out) == (2, "")
    assert is_one_line(result)
    assert sentence in result.err
    assert run("discover", "--cancel", "--json").out == "null\n"
    assert run("discover", "--cancel", "--shuffle", "1", "--json").out == "null\n"
    assert run("runs", "--json").out == "[]\n"


def test_to_queue_and_to_cancel_at_once_is_neither(run: Run) -> None:
    result = run("discover", "--queue", "--cancel")
    assert (result.code, result.out) == (2, "")
    assert is_one_line(result)
    assert run("discover", "--cancel").out == "No discovery is waiting or running.\n"


@pytest.mark.parametrize("rounds", ["0", "-1"])
def test_a_shuffle_test_of_no_rounds_is_a_usage_error(run: Run, rounds: str) -> None:
    result = run("discover", "--shuffle", rounds)
    assert (result.code, result.out) == (2, "")
    assert "--shuffle" in result.err


@pytest.mark.usefixtures("imported")
def test_a_list_of_signals_on_a_broken_snapshot_is_an_error_and_no_table_of_blanks(
    run: Run, signal: Path, tmp_path: Path
) -> None:
    assert run("backtest", signal, "--save").code == 0
    (tmp_path / "warehouse" / "CURRENT").write_text("garbage\n")
    result = run("signals", "list")
    assert (result.code, result.out) == (5, "")
    assert is_one_line(result)
    assert result.err.rstrip().endswith("import again.")


def test_a_full_disk_behind_standard_output_is_one_line() -> None:
    with open("/dev/full", "w") as full:
        command = [sys.executable, "-m", "beton", "compare", "177/1247", "304/8934"]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert is_one_line(Result(done.returncode, "", done.stderr))
    assert done.returncode == 1
    assert "No space left on device" in done.stderr


def test_a_command_that_is_interrupted_says_so_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(KeyboardInterrupt), Progress("Discovering"):
        raise KeyboardInterrupt
    assert is_one_line(Result(130, *capsys.readouterr()))


@pytest.mark.usefixtures("imported")
def test_an_unknown_event_names_the_nearest(run: Run, tmp_path: Path) -> None:
    result = run("backtest", write(tmp_path / "s.yaml", "name: s\nwhen: {event: xx}\n"))
    assert result.code == 2
    assert is_one_line(result)
    assert "no event is called 'xx'; did you mean 'x'?" in result.err


@pytest.mark.usefixtures("imported")
def test_every_fault_of_a_definition_is_listed(run: Run, tmp_path: Path) -> None:
    result = run("backtest", write(tmp_path / "s.yaml", "name: s\nwhen: {all: [{event: xx}, {property: nope}]}\n"))
    assert result.code == 2
    assert "Traceback" not in result.err
    assert "when.all.1.value" in result.err


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name: [", "is not valid YAML at line"),
        ("- just\n- a list\n", "a signal is a mapping with name and when"),
        ("", "a signal is a mapping with name and when"),
        ("name: x\n", "when: write a condition"),
        ("name: x\nwhen: {event: x}\nwhat: 1\n", "unknown key 'what'"),
        ("name: x\nwhen: {event: x, op: did}\n", "unknown operator 'did'"),
    ],
)
def test_a_bad_signal_file_is_one_line(run: Run, tmp_path: Path, text: str, said: str) -> None:
    result = run("backtest", write(tmp_path / "s.yaml", text))
    assert result.code == 2
    assert said in result.err
    assert is_one_line(result)


@pytest.mark.parametrize("command", ["backtest", "import"])
def test_a_missing_file_is_one_line(run: Run, tmp_path: Path, command: str) -> None:
    for path in (tmp_path / "nowhere.yaml", tmp_path):
        result = run(command, path)
        assert result.code == 2
        assert is_one_line(result)
        assert str(path) in result.err


def test_an_unusable_mapping_names_its_keys(run: Run, tmp_path: Path) -> None:
    mapping = write(tmp_path / "m.yaml", "version: 1\nname: x\ntable: {}\n")
    result = run("import", mapping)
    assert result.code == 2
    assert "tables" in result.err
    assert "Traceback" not in result.err


def test_files_that_cannot_be_read_are_refused_with_4(run: Run, tmp_path: Path) -> None:
    mapping = write_mapping(tmp_path)
    (tmp_path / "users.csv").unlink()
    result = run("import", mapping)
    assert result.code == 4
    assert result.err.splitlines()[-1].startswith("beton: ")
    assert "Traceback" not in result.err
    assert "users.csv" in result.err


@pytest.mark.parametrize(
    "arguments",
    [
        ("177", "304/8934"),
        ("177/1247", "a/b"),
        ("1/2/3", "1/2"),
        ("-1/5", "1/5"),
        ("1.5/5", "1/5"),
        ("²/5", "1/5"),
        ("5/3", "1/5"),
        ("1/5", "9/5"),
        ("0/0", "1/5"),
        ("0/5", "0/5"),
        ("1/5", "/"),
        ("1/" + "9" * 400, "1/5"),
        ("1/5", "1/" + "9" * 5_000),
    ],
)
def test_bad_tables_are_one_line(run: Run, arguments: tuple[str, str]) -> None:
    result = run("compare", "--", *arguments)
    assert result.code == 2
    assert is_one_line(result)
    assert len(result.err) < 300


def test_missing_arguments_are_usage_errors(run: Run) -> None:
    for arguments in (("compare", "1/2"), ("backtest",), ("import",), ("nothing",), ("info", "--what")):
        result = run(*arguments)
        assert result.code == 2
        assert "Usage:" in result.err
        assert "Traceback" not in result.err


@pytest.mark.usefixtures("imported")
def test_an_unknown_dialect_is_one_line(run: Run, signal: Path) -> None:
    result = run("backtest", signal, "--sql", "klingon")
    assert result.code == 2
    assert is_one_line(result)
    assert "duckdb" in result.err


def test_a_negative_seed_is_refused(run: Run) -> None:
    result = run("demo", "--seed", "-1")
    assert result.code == 2
    assert "Traceback" not in result.err


def test_a_wrong_environment_variable_is_named(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BETON_WAREHOUSE_THREADS", "many")
    for command in ("info", "serve"):
        result = run(command)
        assert result.code == 2
        assert is_one_line(result)
        assert "BETON_WAREHOUSE_THREADS" in result.err


def test_a_data_directory_that_is_a_file_is_one_line(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BETON_DATA_DIR_OF_TEST", str(write(tmp_path / "file", "")))
    result = run("info")
    assert result.code in (1, 2, 5)
    assert is_one_line(result)
    assert "BETON_DATA_DIR" in result.err


def test_several_workers_need_a_secret(run: Run) -> None:
    result = run("serve", "--workers", 2)
    assert result.code == 2
    assert is_one_line(result)
    assert "BETON_SECRET_KEY" in result.err


# --- what goes right


def test_compare_prints_the_published_figures(run: Run) -> None:
    result = run("compare", "177/1,247", "304/8,934")
    assert result.code == 0
    for figure in ("14.2%", "3.4%", "4.2x", "3.5x – 5.0x", "+10.8 pp"):
        assert figure in result.out


def test_compare_speaks_json(run: Run) -> None:
    found = json.loads(run("compare", "177/1247", "304/8934", "--json").out)
    assert set(found) == {field.name for field in fields(Measured)}
    assert found["lift"] == pytest.approx(4.171, abs=0.001)
    assert found["lift_interval"]["lower"] == pytest.approx(3.50, abs=0.005)
    assert found["table"] == {
        "converted_with": 177, "units_with": 1247, "converted_without": 304, "units_without": 8934,
    }  # fmt: skip


def test_an_unbounded_lift_is_null_in_json(run: Run) -> None:
    result = run("compare", "5/100", "0/100", "--json")
    found = json.loads(result.out, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    assert (found["lift"], found["lift_interval"]["upper"]) == (None, None)
    assert "∞" in run("compare", "5/100", "0/100").out


@pytest.mark.usefixtures("imported")
def test_backtest_prints_the_table_and_its_verdict(run: Run, signal: Path) -> None:
    result = run("backtest", signal)
    assert result.code == 0
    for text in (
        "Users who did x within 3 days of signup.",
        "NOT ENOUGH DATA",
        "3/10",
        "1/10",
        "Mature",
        "With it, 3 of 10 became",
    ):
        assert text in result.out


@pytest.mark.usefixtures("imported")
def test_backtest_speaks_json(run: Run, signal: Path) -> None:
    found = json.loads(run("backtest", signal, "--json").out)
    assert set(found) == {"run_id", "evidence", "reading", "explanation", "stale_because"}
    assert found["explanation"].startswith("Of 20 users who signed up ")
    assert set(found["reading"]) == {field.name for field in fields(Reading)}
    evidence = Evidence.from_json(found["evidence"])
    assert isinstance(evidence.result, Measured)
    assert evidence.result.table.converted_with == 3
    assert [step["key"] for step in found["evidence"]["funnel"]] == [
        "all", "external", "matched", "recorded", "at_risk", "mature",
    ]  # fmt: skip


@pytest.mark.usefixtures("imported")
def test_backtest_can_save_and_print_its_sql(run: Run, signal: Path) -> None:
    saved = run("backtest", signal, "--save", "--json")
    assert "Saved as sig_" in saved.err
    assert json.loads(saved.out)["run_id"]
    for dialect in ("duckdb", "spark", "clickhouse"):
        assert run("backtest", signal, "--sql", dialect).out.startswith("WITH ")


def write_mapping(folder: Path) -> Path:
    write(folder / "users.csv", "id,created\nann,2024-01-01\nbob,2024-01-02\n")
    write(folder / "events.csv", "user,what,at\nann,x,2024-01-01T10:00:00\n")
    return write(
        folder / "mapping.yaml",
        "version: 1\nname: Northwind\ntables:\n"
        "  users: {file: users.csv, columns: {user_id: id, signed_up_at: created}}\n"
        "  events: {file: events.csv, columns: {user_id: user, event: what, timestamp: at}}\n",
    )


def test_import_shows_then_imports_then_has_nothing_to_do(run: Run, tmp_path: Path) -> None:
    mapping = write_mapping(tmp_path)
    assert "dry run, nothing was changed" in run("import", mapping, "--dry-run").out
    assert run("info").code == 3
    assert "Imported Northwind" in run("import", mapping).out
    assert run("import", mapping).out.startswith("Nothing to do")
    assert "Northwind" in run("info").out


def test_import_and_info_speak_json(run: Run, tmp_path: Path) -> None:
    mapping = write_mapping(tmp_path)
    preview = json.loads(run("import", mapping, "--dry-run", "--json").out)
    assert set(preview) == {"name", "tables", "problem"}
    report = json.loads(run("import", mapping, "--json").out)
    assert set(report) == {"status", "manifest"}
    assert report["status"] == "published"
    info = json.loads(run("info", "--json").out)
    assert info["tables"]["users"] == 2
    assert info["version"] == report["manifest"]["version"]
    assert {"schema_version", "events", "properties", "range", "data_end", "outcomes_since", "rejects"} <= set(info)
