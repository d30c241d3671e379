"""Reading while others publish, are killed, or sit in the same process."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Event
from pathlib import Path

import duckdb
import pytest
from journeys import Journeys

from beton.warehouse.reader import Warehouse
from beton.warehouse.snapshot import SnapshotStore

SPAWN = multiprocessing.get_context("spawn")
PATIENCE_S = 60
KILLS = 10


def publish(data_dir: Path, edition: int) -> None:
    """Publish a company whose every table says which edition it is."""
    journeys = Journeys(data_dir)
    for number in range(20):
        journeys.user(f"u{number}", edition=edition).did("login", after_days=1, times=1 + edition % 7)
        journeys.won(after_days=2, amount=edition)
    journeys.publish()


def read_edition(warehouse: Warehouse) -> int:
    """Read all tables in one go and fail unless they are of one edition."""
    with warehouse.connection() as connection:
        ((users, low, high, events, amount),) = connection.execute(
            """SELECT (SELECT count(*) FROM store.users), (SELECT min(edition) FROM store.users),
                (SELECT max(edition) FROM store.users), (SELECT count(*) FROM store.events),
                (SELECT max(amount) FROM store.deals)"""
        ).fetchall()
    if (users, low, events, amount) != (20, high, 20 * (1 + low % 7), low):
        raise AssertionError(f"torn: {(users, low, high, events, amount)}")
    return int(low)


def read_until(data_dir: Path, done: Event, answer: Connection) -> None:
    """Process: read all the time, then report (reads, editions seen) or what went wrong."""
    warehouse, reads, seen = Warehouse(data_dir, threads=1), 0, set()
    try:
        # Two readers without a pause would leave the writer no core to publish on.
        while not done.wait(0.01) or reads == 0:
            seen.add(read_edition(warehouse))
            manifest = warehouse.manifest()
            assert manifest.tables["events"] in {20 * (1 + edition % 7) for edition in range(7)}
            if reads == 0:
                answer.send("reading")
            reads += 1
    except BaseException as error:
        answer.send(repr(error))
        raise
    answer.send((reads, sorted(seen)))


def publish_forever(data_dir: Path, first: int, ready: Connection) -> None:
    """Process: publish edition after edition until it is killed."""
    publish(data_dir, first)
    ready.send(first)
    for edition in range(first + 1, first + 1_000):
        publish(data_dir, edition)
        ready.send(edition)


def receive(connection: Connection) -> object:
    assert connection.poll(PATIENCE_S), "the other process says nothing"
    return connection.recv()


class Readers:
    """Processes that read all the time; ``results`` stops them."""

    def __init__(self, data_dir: Path, count: int) -> None:
        self.done = SPAWN.Event()
        pipes = [SPAWN.Pipe(duplex=False) for _ in range(count)]
        self.answers = [receiver for receiver, _ in pipes]
        self.processes = [SPAWN.Process(target=read_until, args=(data_dir, self.done, sender)) for _, sender in pipes]
        for process in self.processes:
            process.start()
        for answer in self.answers:
            assert receive(answer) == "reading"

    def results(self) -> list[object]:
        self.done.set()
        found = [receive(answer) for answer in self.answers]
        for process in self.processes:
            process.join(PATIENCE_S)
            process.close()
        return found


def test_processes_read_whole_editions_while_new_ones_are_published(tmp_path: Path) -> None:
    publish(tmp_path, 0)
    readers = Readers(tmp_path, 2)
    for edition in range(1, 8):
        publish(tmp_path, edition)
    for result in readers.results():
        assert isinstance(result, tuple), result
        reads, seen = result
        assert reads > 1
        assert set(seen) <= set(range(8))
    assert read_edition(Warehouse(tmp_path)) == 7


def test_a_writer_killed_at_any_moment_leaves_the_last_edition_serving(tmp_path: Path) -> None:
    rng = random.Random(20241231)
    publish(tmp_path, 0)
    readers = Readers(tmp_path, 2)
    here = Warehouse(tmp_path)
    left_behind = 0
    for kill in range(1, KILLS + 1):
        receiver, sender = SPAWN.Pipe(duplex=False)
        writer = SPAWN.Process(target=publish_forever, args=(tmp_path, 1_000 * kill, sender))
        writer.start()
        receive(receiver)
        writer.join(rng.uniform(0, 0.7))
        assert writer.exitcode is None, "the writer stopped by itself"
        writer.kill()
        writer.join(PATIENCE_S)
        assert writer.exitcode == -signal.SIGKILL
        writer.close()
        left_behind += any(name.startswith(".building-") for name in os.listdir(tmp_path / "warehouse/snap"))
        assert read_edition(here) >= 1_000 * kill
    publish(tmp_path, 777)
    assert read_edition(here) == 777
    assert left_behind > 0, "no kill hit a writer at work: the test proves nothing"
    folders = os.listdir(tmp_path / "warehouse/snap")
    assert len(folders) <= 3
    assert not any(name.startswith(".building-") for name in folders)
    for result in readers.results():
        assert isinstance(result, tuple), result


def die_before_the_pointer(data_dir: Path) -> None:
    """Process: publish, but be killed when the new directory is in place and CURRENT is not replaced yet."""
    os.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)  # type: ignore[assignment]
    publish(data_dir, 2)


def test_a_writer_killed_just_before_the_pointer_moves_does_not_block_the_next(tmp_path: Path) -> None:
    publish(tmp_path, 1)
    before = set(os.listdir(tmp_path / "warehouse/snap"))
    writer = SPAWN.Process(target=die_before_the_pointer, args=(tmp_path,))
    writer.start()
    writer.join(PATIENCE_S)
    assert writer.exitcode == -signal.SIGKILL
    (orphan,) = set(os.listdir(tmp_path / "warehouse/snap")) - before
    assert not orphan.startswith(".")
    assert read_edition(Warehouse(tmp_path)) == 1
    publish(tmp_path, 2)
    assert read_edition(Warehouse(tmp_path)) == 2
    assert orphan not in os.listdir(tmp_path / "warehouse/snap")


def test_an_open_reader_follows_the_pointer(tmp_path: Path) -> None:
    publish(tmp_path, 1)
    warehouse = Warehouse(tmp_path)
    old = warehouse.cursor()
    for edition in (2, 3, 4, 5):
        publish(tmp_path, edition)
    assert read_edition(warehouse) == 5
    # The old snapshot is deleted by now; a query that began on it still ends on it.
    assert old.execute("SELECT max(edition) FROM store.users").fetchall() == [(1,)]
    old.close()


def test_threads_share_one_warehouse(tmp_path: Path) -> None:
    publish(tmp_path, 0)
    warehouse = Warehouse(tmp_path)
    published = threading.Event()

    def read(_: int) -> set[int]:
        seen = {read_edition(warehouse)}
        while not published.wait(0.01):
            seen.add(read_edition(warehouse))
        return seen

    with ThreadPoolExecutor(4) as pool:
        found = [pool.submit(read, number) for number in range(4)]
        try:
            for edition in range(1, 6):
                publish(tmp_path, edition)
        finally:
            published.set()
        seen = set.union(*(future.result(PATIENCE_S) for future in found))
    assert seen <= set(range(6))
    assert read_edition(warehouse) == 5


def test_two_warehouses_of_one_process_may_use_different_threads(tmp_path: Path) -> None:
    publish(tmp_path, 1)
    for threads in (1, 2):
        with Warehouse(tmp_path, threads=threads).connection() as connection:
            assert connection.execute("SELECT current_setting('threads')").fetchall() == [(threads,)]


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    data_dir = tmp_path_factory.mktemp("published")
    publish(data_dir, 1)
    return Warehouse(data_dir)


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO store.deals SELECT * FROM store.deals",
        "CREATE TABLE snapshot.store.mine AS SELECT 1",
        "DROP VIEW users",
        "COPY (SELECT 1) TO 'out.csv'",
        "SELECT * FROM read_csv('/etc/hostname')",
        "ATTACH 'other.duckdb'",
        "INSTALL httpfs",
        "LOAD spatial",
        "SET enable_external_access = true",
    ],
)
def test_a_reader_can_neither_write_nor_leave_the_snapshot(published: Warehouse, statement: str) -> None:
    with published.connection() as connection, pytest.raises(duckdb.Error):
        connection.execute(statement)


def read_in_child(warehouse: Warehouse, answer: Connection) -> None:
    answer.send(read_edition(warehouse))


def test_a_forked_child_opens_the_snapshot_for_itself(tmp_path: Path) -> None:
    publish(tmp_path, 2)
    warehouse = Warehouse(tmp_path)
    read_edition(warehouse)
    fork = multiprocessing.get_context("fork")
    receiver, sender = fork.Pipe(duplex=False)
    child = fork.Process(target=read_in_child, args=(warehouse, sender))
    child.start()
    assert receive(receiver) == 2
    child.join(PATIENCE_S)
    assert child.exitcode == 0
    child.close()


def test_a_closed_warehouse_opens_again(tmp_path: Path) -> None:
    publish(tmp_path, 3)
    warehouse = Warehouse(tmp_path)
    assert read_edition(warehouse) == 3
    warehouse.close()
    assert read_edition(warehouse) == 3


def test_a_pointer_to_a_directory_that_is_being_replaced_is_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(tmp_path, 4)
    real = SnapshotStore.current_name
    stale = iter(["000000000000-gone", "000000000000-gone"])
    monkeypatch.setattr(SnapshotStore, "current_name", lambda store: next(stale, None) or real(store))
    assert read_edition(Warehouse(tmp_path)) == 4
