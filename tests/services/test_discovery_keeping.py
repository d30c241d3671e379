"""A run is kept whole with its tables and signals, or nothing of it is; what the data lack is said beforehand."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from journeys import Journeys
from made_runs import finding, result

from beton.errors import BetonError, InputError, NoDataError, WarehouseError
from beton.model.discovery import DiscoverySettings
from beton.model.outcome import Outcome
from beton.records.discoveries import DiscoveryRepository
from beton.services import Services
from beton.warehouse.reader import Warehouse

DEFAULT = DiscoverySettings()
Run = Callable[..., Any]


def journeys(data_dir: Path) -> Journeys:
    return Journeys(data_dir, data_end="2024-12-31").user("ann").did("invited", after_days=1).won(after_days=40)


@pytest.fixture
def run(services: Services, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run discovery on a small snapshot, with a search that always finds one signal and has one table."""
    journeys(tmp_path).build()
    found = SimpleNamespace(result=result(finding("invited")), candidates=None, search=None)

    def write(folder: Path, *_: object) -> None:
        folder.mkdir(parents=True)
        (folder / "singles.parquet").touch()

    monkeypatch.setattr("beton.discovery.run.run", lambda *_: found)
    monkeypatch.setattr("beton.discovery.tables.write", write)
    return lambda on_step=lambda stage, share: None: services.discovery.run(DEFAULT, on_step=on_step)


def is_untouched(services: Services, data_dir: Path) -> bool:
    left = list((data_dir / "runs").iterdir()) if (data_dir / "runs").exists() else []
    return not (left or services.discovery_runs.listed() or services.signals.all())


def test_a_run_is_kept_with_its_tables_and_its_signals(run: Run, services: Services, tmp_path: Path) -> None:
    kept = run()
    assert [each.id for each in services.discovery_runs.listed()] == [kept.id]
    assert [each.run_id for each in services.signals.all()] == [kept.id]
    assert [path.name for path in (tmp_path / "runs" / kept.id).iterdir()] == ["singles.parquet"]


def test_a_full_disk_leaves_nothing_behind_and_says_so(
    run: Run, services: Services, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(folder: Path, *_: object) -> None:
        folder.mkdir(parents=True)
        (folder / "singles.parquet").write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("beton.discovery.tables.write", write)
    with pytest.raises(BetonError, match=r"cannot be written to .* \(No space left on device\): make room"):
        run()
    assert is_untouched(services, tmp_path)


def test_a_database_that_does_not_take_the_run_leaves_no_tables(
    run: Run, services: Services, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def add(*_: object, **__: object) -> None:
        raise BetonError("The app database does not answer: wait.")

    monkeypatch.setattr(DiscoveryRepository, "add", add)
    with pytest.raises(BetonError, match="does not answer"):
        run()
    assert is_untouched(services, tmp_path)


def test_who_is_stopped_before_keeping_keeps_nothing(run: Run, services: Services, tmp_path: Path) -> None:
    def stop(stage: str, share: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(stop)
    assert is_untouched(services, tmp_path)


def test_without_data_nothing_is_asked(services: Services) -> None:
    with pytest.raises(NoDataError, match="beton import"):
        services.discovery.check(DEFAULT)


def test_an_outcome_that_the_data_lack_is_refused(services: Services, tmp_path: Path) -> None:
    journeys(tmp_path).build()
    services.discovery.check(DEFAULT, Outcome("event", event="invited"))
    with pytest.raises(InputError, match="event 'paid' is not in the data; `beton info`"):
        services.discovery.check(DEFAULT, Outcome("event", event="paid"))


def test_without_deals_only_an_event_can_be_the_outcome(services: Services, tmp_path: Path) -> None:
    Journeys(tmp_path, data_end="2024-12-31").user("ann").did("invited", after_days=1).build()
    services.discovery.check(DEFAULT, Outcome("event", event="invited"))
    with pytest.raises(InputError, match="import deals"):
        services.discovery.check(DEFAULT)


def test_data_that_are_replaced_while_they_are_opened_are_not_mixed(
    services: Services, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journeys(tmp_path).build()
    core = Warehouse.core

    def replaced(warehouse: Warehouse) -> Any:
        journeys(tmp_path).user("bob").did("invited", after_days=2).build()
        return core(warehouse)

    monkeypatch.setattr(Warehouse, "core", replaced)
    with pytest.raises(WarehouseError, match="replaced in this moment; try again"):
        services.discovery.check(DEFAULT)
