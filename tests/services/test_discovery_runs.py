from __future__ import annotations

from pathlib import Path

import pytest
from made_runs import finding, keep, keep_tables, result

from beton.errors import InputError
from beton.model.outcome import Outcome
from beton.model.signal import from_dict
from beton.services import Services
from beton.services.discovery_runs import DiscoveryRuns

INVITED = finding("invited")


@pytest.fixture
def runs(services: Services, tmp_path: Path) -> DiscoveryRuns:
    """Two runs of one outcome; between them one of another outcome, and one of another version."""
    keep(tmp_path, "aa1", result(INVITED))
    keep(tmp_path, "aa2", result(), 1, version=0)
    keep(tmp_path, "bb1", result(outcome=Outcome("deal created")), 2)
    keep(tmp_path, "bb2", result(INVITED, finding("shared")), 3)
    return services.discovery_runs


def test_the_list_is_newest_first_and_holds_what_cannot_be_read(runs: DiscoveryRuns) -> None:
    listed = {each.id: each for each in runs.listed()}

    assert list(listed) == ["bb2", "bb1", "aa2", "aa1"]
    assert (listed["bb2"].tested, listed["bb2"].signals, listed["bb2"].demo) == (301_741, 2, True)
    assert listed["bb1"].outcome == Outcome("deal created")
    assert not listed["aa2"].is_readable
    assert (listed["aa2"].tested, listed["aa2"].signals, listed["aa2"].outcome) == (None, None, None)


def test_the_previous_run_has_the_same_outcome_and_can_be_read(runs: DiscoveryRuns) -> None:
    before = runs.previous("bb2")

    assert before is not None
    assert before.id == "aa1"
    assert runs.previous("aa1") is None
    assert runs.previous("bb1") is None
    assert runs.previous("unknown") is None


def test_a_run_comes_with_its_comparison_its_saved_signals_and_its_tables(
    runs: DiscoveryRuns, services: Services, tmp_path: Path
) -> None:
    saved = services.signals.save(from_dict(dict(INVITED.definition)))
    keep_tables(tmp_path, "bb2")
    view = runs.view("bb2")

    assert view.saved == {INVITED.definition_hash: saved.id}
    assert view.before is not None
    assert view.comparison is not None
    assert [pair.fate for pair in view.comparison.pairs] == ["same", "new"]
    assert view.tables == ("singles",)
    assert runs.view("aa1").comparison is None


def test_unknown_and_foreign_runs_are_refused_each_with_its_sentence(runs: DiscoveryRuns) -> None:
    with pytest.raises(InputError, match="no discovery run"):
        runs.view("unknown")
    with pytest.raises(InputError, match="another version of Beton"):
        runs.view("aa2")
    assert runs.exists("aa2")
    assert not runs.exists("unknown")


def test_a_run_is_found_by_the_beginning_of_its_id(runs: DiscoveryRuns) -> None:
    assert runs.find("aa1") == "aa1"
    assert runs.find("bb2") == "bb2"
    with pytest.raises(InputError, match="2 discovery runs begin with 'aa'"):
        runs.find("aa")
    assert runs.find("") == ""
    assert runs.find("cc") == "cc"


def test_tables_come_as_parquet_and_as_csv_in_parts(
    runs: DiscoveryRuns, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep_tables(tmp_path, "bb2", rows=5)
    monkeypatch.setattr("beton.services.discovery_runs._ROWS_AT_A_TIME", 2)

    assert runs.table("bb2", "singles") == tmp_path / "runs" / "bb2" / "singles.parquet"
    parts = list(runs.table_csv("bb2", "singles"))
    lines = b"".join(parts).decode().splitlines()
    assert len(parts) == 3
    assert lines[0] == '"condition_1","log_p"'
    assert lines[1] == '"{""event"": ""e0""}",-1.5'
    assert len(lines) == 6


@pytest.mark.parametrize(
    ("run_id", "name"),
    [
        ("bb2", "pairs"),
        ("bb2", "../bb2/singles"),
        ("../runs/bb2", "singles"),
        (".", "singles"),
        ("unknown", "singles"),
    ],
)
def test_no_table_but_a_known_one_of_a_known_run_is_handed_out(
    runs: DiscoveryRuns, tmp_path: Path, run_id: str, name: str
) -> None:
    keep_tables(tmp_path, "bb2")
    with pytest.raises(InputError):
        runs.table(run_id, name)
    with pytest.raises(InputError):
        runs.table_csv(run_id, name)


@pytest.mark.parametrize("left", [0, 7, -40])
def test_a_table_that_was_cut_short_is_refused_before_its_first_part(
    runs: DiscoveryRuns, tmp_path: Path, left: int
) -> None:
    keep_tables(tmp_path, "bb2")
    path = runs.table("bb2", "singles")
    path.write_bytes(path.read_bytes()[:left])
    with pytest.raises(InputError, match="run the discovery again"):
        runs.table_csv("bb2", "singles")
