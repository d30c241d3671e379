"""Imports that must not happen: one clear line, and the old snapshot untouched. And dry runs, which never happen."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import pytest
from company_files import Files, csv

from beton.errors import ImportRefused, InputError, WarehouseError
from beton.warehouse.imports import ColumnPreview
from beton.warehouse.reader import Warehouse

USERS = "user_id,signed_up_at"
EVENTS = "user_id,event,timestamp"
COLUMNS = {name: name for name in EVENTS.split(",")}


def _gone(files: Files) -> None:
    (files.folder / "users.csv").rename(files.folder / "user.csv")


def _events(name: str, content: str | bytes) -> Callable[[Files], None]:
    return lambda files: files.table("events", name, content, columns=COLUMNS)


REFUSED = {
    "missing file": (_gone, r"tables\.users\.file: there is no file 'users\.csv' .*did you mean 'user\.csv'\?"),
    "empty file": (_events("e.csv", ""), r"'e\.csv' is empty \(0 bytes\)"),
    "packed nothing": (_events("e.csv.gz", gzip.compress(b"")), r"e\.csv\.gz is empty"),
    "header only": (_events("e.csv", EVENTS + "\n"), r"e\.csv has no rows"),
    "blank first line": (_events("e.csv", "\n" + EVENTS), r"e\.csv has no header line"),
    "missing column": (
        _events("e.csv", "user_id,event_name,timestamp\nann,x,2024-01-02\n"),
        r"tables\.events\.columns\.event: e\.csv has no column 'event': did you mean 'event_name'\?",
    ),
    "missing key": (
        _events("e.jsonl", '{"user_id": "ann", "event": "x", "time_stamp": "2024-01-02"}'),
        r"tables\.events\.columns\.timestamp: e\.jsonl has no column 'timestamp': did you mean 'time_stamp'\?",
    ),
    "same column twice": (_events("e.csv", "user_id,event,event,timestamp\n"), r"two columns named 'event'"),
    "latin-1": (_events("e.csv", csv(EVENTS, ["ann,x,2024-01-02", "ann,é,2024-01-02"]).encode("latin-1")), r"line 3"),
    "utf-16": (_events("e.csv", csv(EVENTS, ["ann,x,2024-01-02"]).encode("utf-16")), r"e\.csv is not UTF-8"),
    "cut gzip": (_events("e.jsonl.gz", gzip.compress(b'{"user_id": "ann"}' * 50)[:-9]), r"cannot be unpacked"),
    "no gzip": (_events("e.csv.gz", "user_id"), r"cannot be unpacked"),
    "no parquet": (_events("e.parquet", "user_id"), r"e\.parquet is not a readable Parquet file"),
    "no json": (_events("e.jsonl", "one\ntwo\n"), r"e\.jsonl holds no JSON object"),
    "open quote": (
        _events("e.csv", csv(EVENTS, ["ann,x,2024-01-02", 'ann,"x,2024-01-02', "ann,y,2024-01-02"])),
        r'e\.csv: row 2 opens a quote \("\) that does not close',
    ),
    "open quote before more than a buffer": (
        _events("e.csv", csv(EVENTS, ['ann,"x,2024-01-02', *["ann,y,2024-01-02"] * 2_000_000])),
        r'e\.csv: row 1 opens a quote \("\) that does not close',
    ),
    "mixed line ends": (
        _events("e.csv", f"{EVENTS}\r\nann,x,2024-01-02\nann,y,2024-01-02\r\n"),
        r"line ends are mixed",
    ),
    "old mac line ends": (_events("e.csv", f"{EVENTS}\rann,x,2024-01-02\r"), r"old Macs"),
    "nothing usable": (_events("e.csv", csv(EVENTS, ["ann,x,soon"] * 3)), r"No row of events can be used \(3 read\)"),
    "mostly rejected": (
        _events("e.csv", csv(EVENTS, [*["zoe,x,2024-01-02"] * 2, "ann,x,soon", *["ann,x,2024-01-02"] * 2])),
        r"3 of 5 rows of events .*: unknown_user \(such as row 1 of e\.csv\): .*--dry-run.*--allow-rejects",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_file_that_cannot_be_used_changes_nothing(files: Files, case: str) -> None:
    files.publish()
    before = _everything(files.data_dir)
    spoil, message = REFUSED[case]
    spoil(files)
    with pytest.raises(ImportRefused, match=message) as refused:
        files.publish()
    assert "\n" not in str(refused.value)
    assert str(files.folder / "e.") not in str(refused.value)
    assert _everything(files.data_dir) == before


def _everything(data_dir: Path) -> dict[str, tuple[int, int]]:
    found = {path: path.stat() for path in data_dir.rglob("*") if path.is_file()}
    return {str(path): (state.st_mtime_ns, state.st_size) for path, state in found.items()}


def test_a_pattern_that_matches_nothing(files: Files) -> None:
    files.document["tables"]["events"]["file"] = "nothing-*.csv"
    with pytest.raises(ImportRefused, match=r"no file matches 'nothing-\*\.csv'"):
        files.publish()


def test_a_folder_is_not_a_file(files: Files) -> None:
    (files.folder / "logs.csv").mkdir()
    files.document["tables"]["events"]["file"] = "logs.csv"
    with pytest.raises(ImportRefused, match=r"is a folder"):
        files.publish()


def test_half_rejected_is_still_imported_and_more_only_on_request(files: Files) -> None:
    good, bad = "ann,x,2024-01-02", "ann,x,soon"
    files.table("events", "events.csv", csv(EVENTS, [good, bad]))
    assert files.publish().rejects == {"events": {"bad_time": 1}}
    files.table("events", "events.csv", csv(EVENTS, [good, bad, bad]))
    with pytest.raises(ImportRefused):
        files.publish()
    assert files.publish(allow_rejects=True).rejects == {"events": {"bad_time": 2}}


def test_many_rejected_deals_do_not_stop_an_import(files: Files) -> None:
    rows = ["d1,ann,2024-02-01,true", "d2,zoe,2024-02-01,true", "d3,zoe,2024-02-01,true"]
    files.table("deals", "deals.csv", csv("deal_id,user_id,closed_at,is_won", rows))
    assert files.publish().rejects == {"deals": {"unknown_user": 2}}


def test_no_usable_row_of_an_optional_table_is_refused_even_on_request(files: Files) -> None:
    files.table("deals", "deals.csv", csv("deal_id,user_id,closed_at,is_won", ["d2,zoe,2024-02-01,true"]))
    with pytest.raises(ImportRefused, match=r"No row of deals"):
        files.publish(allow_rejects=True)


def test_another_workspace_is_replaced_only_on_request(files: Files) -> None:
    files.publish()
    files.document["name"] = "Other"
    with pytest.raises(ImportRefused, match=r"holds 'Acme', not 'Other'.*--replace.*BETON_DATA_DIR"):
        files.publish()
    assert Warehouse(files.data_dir).manifest().name == "Acme"
    assert files.publish(replace=True).status == "published"
    assert Warehouse(files.data_dir).manifest().name == "Other"


def test_a_full_disk_is_said_in_one_line_and_changes_nothing(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    files.publish()
    before = _everything(files.data_dir)
    files.document["currency"] = "USD"

    def no_space(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("beton.warehouse.snapshot._sync", no_space)
    with pytest.raises(WarehouseError, match=r"No space left on device.*check disk space"):
        files.publish()
    assert _everything(files.data_dir) == before


def test_a_dry_run_shows_types_rejects_and_rows_and_writes_nothing(files: Files) -> None:
    rows = ["ann,login,2024-01-02,7,x", "ann,logout,1704240000,8,y", "ann,login,noon,9,z"]
    files.table(
        "events",
        "events.csv",
        csv(EVENTS + ",weight,extra", rows),
        columns={**COLUMNS, "page_path": {"value": "/"}},
        properties=["weight"],
    )
    preview = files.preview()
    assert preview.problem is None
    (events,) = (table for table in preview.tables if table.name == "events")
    assert (events.rows_read, events.rows_kept) == (3, 2)
    assert [(count.reason, count.rows, count.example_row) for count in events.rejects] == [("bad_time", 1, 3)]
    assert events.columns == (
        ColumnPreview("user_id", "user_id", "VARCHAR", "VARCHAR"),
        ColumnPreview("event", "event", "VARCHAR", "VARCHAR"),
        ColumnPreview("timestamp", "timestamp", "VARCHAR", "TIMESTAMP"),
        ColumnPreview("page_path", "'/'", "constant", "VARCHAR"),
        ColumnPreview("weight", "weight", "VARCHAR", "BIGINT"),
    )
    assert [(row["event"], row["weight"]) for row in events.sample] == [("login", 7), ("logout", 8)]
    assert not files.data_dir.exists()


def test_a_dry_run_says_why_an_import_would_be_refused(files: Files) -> None:
    files.table("events", "events.csv", csv(EVENTS, ["ann,x,soon"] * 3))
    problem = files.preview().problem
    with pytest.raises(ImportRefused) as refused:
        files.publish()
    assert problem == str(refused.value)


def test_a_mapping_problem_never_reaches_the_files(files: Files) -> None:
    del files.document["tables"]["users"]
    with pytest.raises(InputError, match=r"tables\.users"):
        files.publish()
