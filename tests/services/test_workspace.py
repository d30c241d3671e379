"""The workspace: what is there, importing, and the demo company with its signals."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from beton.demo import company
from beton.demo.sizes import CompanySize
from beton.errors import ImportRefused, InputError, NoDataError
from beton.model.signal import from_dict
from beton.services import Services

MAPPING = """
version: 1
name: {name}
tables:
  users: {{file: users.csv, columns: {{user_id: id, signed_up_at: created}}}}
  events: {{file: events.csv, columns: {{user_id: user, event: what, timestamp: at}}}}
"""


def write_files(folder: Path, name: str = "Northwind") -> Path:
    (folder / "users.csv").write_text("id,created\nann,2024-01-01\nbob,2024-01-02\n", encoding="utf-8")
    (folder / "events.csv").write_text("user,what,at\nann,x,2024-01-01T10:00:00\n", encoding="utf-8")
    (folder / "mapping.yaml").write_text(MAPPING.format(name=name), encoding="utf-8")
    return folder / "mapping.yaml"


def test_an_empty_workspace_has_no_manifest(services: Services) -> None:
    assert services.workspace.manifest_or_none() is None
    with pytest.raises(NoDataError, match="beton demo"):
        services.workspace.manifest()


def test_a_preview_changes_nothing(services: Services, tmp_path: Path) -> None:
    preview = services.workspace.preview(write_files(tmp_path))
    assert (preview.name, preview.problem) == ("Northwind", None)
    assert services.workspace.manifest_or_none() is None


def test_files_are_imported_once(services: Services, tmp_path: Path) -> None:
    steps: list[float] = []
    mapping = write_files(tmp_path)
    report = services.workspace.import_files(mapping, on_progress=lambda share, _: steps.append(share))

    assert (report.status, services.workspace.import_files(mapping).status) == ("published", "unchanged")
    assert services.workspace.manifest() == report.manifest
    assert steps == sorted(steps)
    assert steps[-1] == 1


def test_another_workspace_is_replaced_only_when_asked_to(services: Services, tmp_path: Path) -> None:
    services.workspace.import_files(write_files(tmp_path))
    other = write_files(tmp_path, name="Southwind")

    with pytest.raises(ImportRefused, match="--replace"):
        services.workspace.import_files(other)
    assert services.workspace.import_files(other, replace=True).manifest.name == "Southwind"


def test_a_missing_mapping_is_an_input_error(services: Services, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No mapping file"):
        services.workspace.import_files(tmp_path / "nowhere.yaml")


def test_the_demo_comes_with_ten_backtested_signals_and_keeps_own_ones(
    services: Services, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(company, "write", partial(company.write, size=CompanySize().scaled(0.05)))
    own = services.signals.save(from_dict({"name": "Own", "when": {"event": "teammate_invited", "within_days": 2}}))
    steps: list[float] = []

    for seed in (1, 2):
        report = services.workspace.build_demo(seed, replace=False, on_progress=lambda share, _: steps.append(share))
        saved = services.signals.all()
        assert report.manifest.demo
        assert sum(signal.demo for signal in saved) == 10
        assert own in saved
        found = services.signals.reports()
        assert all(entry.report is not None and entry.report.evidence.passport.demo for entry in found)
    assert steps[: len(steps) // 2] == sorted(steps[: len(steps) // 2])
    assert steps[-1] == 1


def test_the_demo_does_not_replace_data_unasked(
    services: Services, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(company, "write", partial(company.write, size=CompanySize().scaled(0.05)))
    services.workspace.import_files(write_files(tmp_path))
    with pytest.raises(ImportRefused, match="--replace"):
        services.workspace.build_demo(1, replace=False, on_progress=lambda *_: None)
    assert services.workspace.manifest().name == "Northwind"
    assert services.signals.all() == []
