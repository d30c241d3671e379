"""The order of the stored events is checked, not assumed."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest
from journeys import Journeys

from beton.errors import WarehouseError
from beton.warehouse import build

SORTED = [("a", 0, 1, 0), ("a", 0, 2, 1), ("a", 1, 1, 1), ("b", 0, 0, 1), ("b", 0, 0, 2)]


def stored(rows: list[tuple[str, int, int, int]]) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    connection.execute("CREATE SCHEMA store; CREATE TYPE store.event_name AS ENUM ('a', 'b')")
    connection.execute("CREATE TABLE store.events (event store.event_name, user_key INTEGER, ts TIMESTAMP, n INTEGER)")
    connection.executemany("INSERT INTO store.events VALUES (?, ?, make_timestamp(?::BIGINT), ?)", rows)
    return connection


def test_sorted_rows_pass() -> None:
    assert build._is_sorted(stored(SORTED))
    assert build._is_sorted(stored(SORTED[:1]))


@pytest.mark.parametrize("at", range(len(SORTED) - 1))
def test_two_swapped_neighbours_are_noticed(at: int) -> None:
    rows = list(SORTED)
    rows[at], rows[at + 1] = rows[at + 1], rows[at]
    assert not build._is_sorted(stored(rows))


def test_rows_out_of_order_are_written_again_with_one_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def checked(connection: duckdb.DuckDBPyConnection) -> bool:
        ((threads,),) = connection.execute("SELECT current_setting('threads')").fetchall()
        seen.append(threads)
        return bool(threads == 1)

    monkeypatch.setattr(build, "_is_sorted", checked)
    journeys = Journeys(tmp_path).user("ann").did("login", after_days=1)
    assert journeys.publish().manifest.tables["events"] == 1
    assert seen == [2, 1]


def test_rows_that_stay_out_of_order_are_never_published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "_is_sorted", lambda _: False)
    with pytest.raises(WarehouseError, match="could not be stored in order"):
        Journeys(tmp_path).user("ann").did("login", after_days=1).publish()
    assert not (tmp_path / "warehouse/CURRENT").exists()
