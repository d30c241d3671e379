"""Publishing: what stays on disk, who may write, what a dead writer leaves."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from company_files import Files, csv

from beton.errors import WarehouseError
from beton.model.manifest import SCHEMA_VERSION
from beton.warehouse.reader import Warehouse
from beton.warehouse.snapshot import SnapshotStore


def snapshots(data_dir: Path) -> list[str]:
    return sorted(folder.name for folder in (data_dir / "warehouse/snap").iterdir())


def publish_events(files: Files, number: int) -> str:
    files.table("events", "events.csv", csv("user_id,event,timestamp", ["ann,login,2024-01-02"] * number))
    return files.publish().manifest.version


def state(data_dir: Path) -> dict[Path, tuple[int, int, int]]:
    found = {path: path.stat() for path in data_dir.rglob("*")}
    return {path: (entry.st_ino, entry.st_mtime_ns, entry.st_size) for path, entry in found.items()}


def test_importing_the_same_files_twice_changes_nothing_on_disk(files: Files) -> None:
    first = files.publish()
    before = state(files.data_dir)
    second = files.publish()
    assert (first.status, second.status) == ("published", "unchanged")
    assert second.manifest == first.manifest
    assert state(files.data_dir) == before


def test_moved_files_are_the_same_files(files: Files) -> None:
    files.publish()
    files.folder = files.folder.rename(files.folder.with_name("elsewhere"))
    assert files.publish().status == "unchanged"


@pytest.mark.parametrize(("key", "value"), [("currency", "EUR"), ("time_zone", "Europe/Berlin"), ("demo", True)])
def test_another_mapping_of_the_same_files_is_another_snapshot(files: Files, key: str, value: object) -> None:
    before = files.publish().manifest.version
    files.document[key] = value
    report = files.publish()
    assert report.status == "published"
    assert report.manifest.version != before


def test_a_snapshot_is_read_only_files_under_its_version(files: Files) -> None:
    manifest = files.publish().manifest
    name = (files.data_dir / "warehouse/CURRENT").read_text().strip()
    folder = files.data_dir / "warehouse/snap" / name
    assert name.startswith(f"{manifest.version}-")
    assert {path.name: oct(path.stat().st_mode & 0o777) for path in folder.iterdir()} == {
        "store.duckdb": "0o444",
        "manifest.json": "0o444",
        "rejects.parquet": "0o444",
        "core": "0o755",
    }
    assert {oct(path.stat().st_mode & 0o777) for path in (folder / "core").iterdir()} == {"0o444"}
    assert json.loads((folder / "manifest.json").read_text())["version"] == manifest.version
    assert sorted(path.name for path in (files.data_dir / "warehouse").iterdir()) == ["CURRENT", "snap", "writer.lock"]


def test_the_last_three_snapshots_are_kept(files: Files) -> None:
    versions = [publish_events(files, number) for number in range(1, 6)]
    assert sorted(name.split("-")[0] for name in snapshots(files.data_dir)) == sorted(versions[-3:])


def test_a_second_writer_is_refused_and_readers_are_not(files: Files) -> None:
    version = files.publish().manifest.version
    with SnapshotStore(files.data_dir).writing():
        with pytest.raises(WarehouseError, match="Another import is running"):
            publish_events(files, 2)
        assert Warehouse(files.data_dir).version() == version
    assert publish_events(files, 2) != version


@pytest.fixture
def orphans(files: Files) -> list[Path]:
    """What two dead writers left: one while it built, one between naming its directory and replacing CURRENT."""
    publish_events(files, 1)
    store = SnapshotStore(files.data_dir)
    snap = files.data_dir / "warehouse/snap"
    manifest = store.read_manifest(snapshots(files.data_dir)[-1])
    half, unnamed = snap / ".building-0123456789ab-00000000", snap / "ba9876543210-00000000"
    for folder in (half, unnamed):
        folder.mkdir()
        (folder / "store.duckdb").write_bytes(b"half")
    (unnamed / "manifest.json").write_text(manifest.to_json())
    return [half, unnamed]


def test_the_next_writer_sweeps_what_dead_writers_left(files: Files, orphans: list[Path]) -> None:
    kept = (files.data_dir / "warehouse/CURRENT").read_text().strip()
    new = publish_events(files, 2)
    assert not any(folder.exists() for folder in orphans)
    assert [name.split("-")[0] == new or name == kept for name in snapshots(files.data_dir)] == [True, True]


def test_a_failed_import_leaves_no_directory(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    publish_events(files, 1)
    before = snapshots(files.data_dir)

    def fail(*_: object) -> None:
        raise RuntimeError("a defect")

    monkeypatch.setattr("beton.warehouse.build.build_events", fail)
    with pytest.raises(RuntimeError, match="a defect"):
        publish_events(files, 2)
    assert snapshots(files.data_dir) == before


def test_a_snapshot_of_another_version_of_beton_is_refused_and_can_be_replaced(files: Files) -> None:
    files.publish()
    manifest = next((files.data_dir / "warehouse/snap").iterdir()) / "manifest.json"
    manifest.chmod(0o644)
    manifest.write_text(manifest.read_text().replace(f'"schema_version": {SCHEMA_VERSION}', '"schema_version": 0'))
    with pytest.raises(WarehouseError, match="another version of Beton: import again"):
        Warehouse(files.data_dir).manifest()
    assert files.publish().status == "published"
    assert Warehouse(files.data_dir).manifest().schema_version == SCHEMA_VERSION


def test_a_store_that_is_not_a_database_is_said_in_one_line(files: Files) -> None:
    files.publish()
    database = next((files.data_dir / "warehouse/snap").iterdir()) / "store.duckdb"
    database.chmod(0o644)
    database.write_bytes(b"x" * 20_000)
    with pytest.raises(WarehouseError, match=r"cannot be opened .*: import again") as refused:
        Warehouse(files.data_dir).manifest()
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("name", ["rel_s.npy", "index.json"])
def test_a_truncated_array_is_said_in_one_line(files: Files, name: str) -> None:
    files.publish()
    damaged = next((files.data_dir / "warehouse/snap").iterdir()) / "core" / name
    damaged.chmod(0o644)
    damaged.write_bytes(damaged.read_bytes()[:40])
    with pytest.raises(WarehouseError, match=r"cannot be opened .*: import again") as refused:
        Warehouse(files.data_dir).core()
    assert "\n" not in str(refused.value)
