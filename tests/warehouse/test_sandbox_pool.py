"""The sandbox as its callers see it: who waits for whom, who gets which process, and what becomes of dead ones."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest
from journeys import Journeys

from beton.errors import BetonError, NoDataError, SqlError
from beton.warehouse.reader import Warehouse
from beton.warehouse.sandbox import pool
from beton.warehouse.sandbox.pool import Limits, QueryError, Request, Sandbox
from beton.warehouse.sandbox.process import CHILD_PROGRAM

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="finds processes in /proc")

SLEEP = "SELECT sleep_ms(60000)"
MARK = "CREATE TEMP TABLE mark AS SELECT 1 AS n"
READ_MARK = "SELECT n FROM mark"


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    return Journeys(tmp_path_factory.mktemp("company")).user("ann").did("login", after_days=1).build()


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(32) as executor:
        yield executor


@pytest.fixture
def make(warehouse: Warehouse, threads: ThreadPoolExecutor) -> Iterator[Callable[..., Sandbox]]:
    """Makes sandboxes of the snapshot, and closes them after the test, before the threads that may ask are awaited."""
    made: list[Sandbox] = []

    def make_one(limits: Limits = Limits(query_s=20), **options: object) -> Sandbox:  # noqa: B008 - a frozen value
        made.append(Sandbox(options.pop("database", warehouse.database), limits, **options))  # type: ignore[arg-type]
        return made[-1]

    yield make_one
    for each in made:
        each.close()


def ask(sandbox: Sandbox, sql: str, person: str = "ann") -> list[dict[str, object]]:
    returns = () if sql.startswith("CREATE") else (0,)
    tables = sandbox.run(Request((sql,), returns), person).tables
    return tables[0].to_pylist() if tables else []


def until(condition: Callable[[], bool], seconds: float = 30.0) -> bool:
    deadline = time.monotonic() + seconds
    while not (seen := condition()) and time.monotonic() < deadline:
        time.sleep(0.01)
    return seen


def processes(parent: int | None = None) -> dict[int, str]:
    """Sandbox processes that a process has started, ours by default: number -> state (Z is dead but not buried)."""
    found = {}
    for place in Path("/proc").glob("[0-9]*"):
        try:
            state, owner = (place / "stat").read_text().rpartition(")")[2].split()[:2]
            command = (place / "cmdline").read_bytes().split(b"\0")
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(owner) == (parent or os.getpid()) and (state == "Z" or command[-2:-1] == [bytes(CHILD_PROGRAM)]):
            found[int(place.name)] = state
    return found


def pipes() -> int:
    # The handle that lists them is gone when it is looked at.
    links = [each for each in Path("/proc/self/fd").iterdir() if each.is_symlink()]
    return sum(os.readlink(each).startswith("pipe:") for each in links)


def load(sandbox: Sandbox) -> tuple[int, int]:
    """Requests that run and that wait; there is no other way to see from outside that one has arrived."""
    inside = sandbox._pool()
    return len(inside._busy), len(inside._waiting)


def refusal(future: Future[object]) -> str:
    error = future.exception(60)
    assert isinstance(error, SqlError), error
    return str(error)


class TestTurns:
    def test_nothing_starts_before_it_is_asked_for(self, make: Callable[..., Sandbox]) -> None:
        before = processes(), threading.active_count()
        sandbox = make()
        assert (processes(), threading.active_count()) == before
        sandbox.warm()
        assert until(lambda: len(processes()) == 2)

    def test_it_answers_and_names_the_snapshot(self, make: Callable[..., Sandbox], warehouse: Warehouse) -> None:
        response = make().run(Request(("SELECT user_id FROM snapshot.store.users",), (0,)))
        assert response.tables[0].to_pylist() == [{"user_id": "ann"}]
        assert response.snapshot == warehouse.database()[0]

    def test_refusals_reach_the_one_who_asks(self, make: Callable[..., Sandbox]) -> None:
        with pytest.raises(QueryError, match="nope"):
            ask(make(), "SELECT nope")

    def test_a_hung_query_keeps_nobody_else_waiting(
        self, make: Callable[..., Sandbox], threads: ThreadPoolExecutor
    ) -> None:
        sandbox = make(Limits(query_s=3))
        hung = [threads.submit(ask, sandbox, SLEEP, "eve") for _ in range(3)]
        assert until(lambda: load(sandbox) == (1, 2))
        for number in range(20):
            assert ask(sandbox, f"SELECT {number} AS n", "bob") == [{"n": number}]
        assert load(sandbox) == (1, 2)
        assert not any(each.done() for each in hung)
        assert all("did not finish within 3 s" in refusal(each) for each in hung)
        assert ask(sandbox, "SELECT 1 AS n", "eve") == [{"n": 1}]

    def test_one_runs_two_wait_and_the_fourth_is_refused_at_once(
        self, make: Callable[..., Sandbox], threads: ThreadPoolExecutor
    ) -> None:
        sandbox = make(Limits(query_s=60), size=4)
        hung = [threads.submit(ask, sandbox, SLEEP, "eve") for _ in range(3)]
        assert until(lambda: load(sandbox) == (1, 2))
        with pytest.raises(SqlError, match=r"^You have 3 queries running or waiting: wait until one has finished\.$"):
            ask(sandbox, "SELECT 1", "eve")
        assert load(sandbox) == (1, 2)
        assert ask(sandbox, "SELECT 1 AS n", "bob") == [{"n": 1}]
        sandbox.close()
        assert all(refusal(each) for each in hung)

    def test_too_many_who_wait_are_refused(
        self, make: Callable[..., Sandbox], threads: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(pool, "MOST_WAITING", 3)
        sandbox = make(Limits(query_s=60), size=1)
        hung = [threads.submit(ask, sandbox, SLEEP, "eve")]
        assert until(lambda: load(sandbox) == (1, 0))
        hung += [threads.submit(ask, sandbox, SLEEP, f"eve {number}") for number in range(3)]
        assert until(lambda: load(sandbox) == (1, 3))
        with pytest.raises(SqlError, match="3 queries wait for the sandbox already: run it again in a minute"):
            ask(sandbox, "SELECT 1", "bob")
        sandbox.close()
        assert all(refusal(each) for each in hung)

    def test_waiting_has_an_end_of_its_own(self, make: Callable[..., Sandbox], threads: ThreadPoolExecutor) -> None:
        sandbox = make(Limits(query_s=60), size=1)
        ask(sandbox, "SELECT 1", "eve")
        sandbox._pool()._limits = Limits(query_s=60, queue_s=0.2)
        hung = threads.submit(ask, sandbox, SLEEP, "eve")
        assert until(lambda: load(sandbox) == (1, 0))
        with pytest.raises(SqlError, match=r"Other queries kept the sandbox busy for 0.2 s: run it again"):
            ask(sandbox, "SELECT 1", "bob")
        assert load(sandbox) == (1, 0)
        sandbox.close()
        assert refusal(hung)

    def test_those_who_wait_are_served_in_order(
        self, make: Callable[..., Sandbox], threads: ThreadPoolExecutor
    ) -> None:
        sandbox = make(Limits(query_s=0.3), size=1)
        order: list[str] = []

        def take_turn(person: str) -> None:
            ask(sandbox, "SELECT 1", person)
            order.append(person)

        hung = threads.submit(ask, sandbox, SLEEP, "eve")
        assert until(lambda: load(sandbox)[0] == 1)
        turns = []
        for place, person in enumerate("abc"):
            turns.append(threads.submit(take_turn, person))
            assert until(lambda: load(sandbox)[1] == place + 1)  # noqa: B023 - awaited at once
        assert refusal(hung)
        for turn in turns:
            turn.result(60)
        assert order == ["a", "b", "c"]

    def test_many_people_at_once_get_their_own_answers(
        self, make: Callable[..., Sandbox], threads: ThreadPoolExecutor
    ) -> None:
        sandbox = make(Limits(query_s=20, queries=7))

        def work(person: int) -> list[int]:
            return [
                ask(sandbox, f"SELECT {person * 1000 + number} AS n", f"person {person}")[0]["n"]  # type: ignore[misc]
                for number in range(15)
            ]

        found = list(threads.map(work, range(6)))
        assert found == [[person * 1000 + number for number in range(15)] for person in range(6)]
        assert until(lambda: load(sandbox) == (0, 0))
        assert until(lambda: 2 <= len(now := processes()) <= 3 and "Z" not in now.values())


class TestWhoGetsWhich:
    def test_a_process_serves_one_person_only(self, make: Callable[..., Sandbox]) -> None:
        sandbox = make()
        ask(sandbox, MARK, "ann")
        for person in ("bob", "carl", "dora"):
            with pytest.raises(QueryError, match="mark"):
                ask(sandbox, READ_MARK, person)

    def test_a_person_comes_back_to_the_process_it_has_used(self, make: Callable[..., Sandbox]) -> None:
        sandbox = make()
        ask(sandbox, MARK, "ann")
        ask(sandbox, "SELECT 1", "bob")
        assert ask(sandbox, READ_MARK, "ann") == [{"n": 1}]

    def test_the_only_process_changes_hands_too(self, make: Callable[..., Sandbox]) -> None:
        sandbox = make(size=1)
        for person in ("ann", "bob", "ann", "carl"):
            with pytest.raises(QueryError, match="mark"):
                ask(sandbox, READ_MARK, person)
            ask(sandbox, MARK, person)

    def test_it_is_replaced_after_so_many_queries(self, make: Callable[..., Sandbox]) -> None:
        sandbox = make(Limits(query_s=20, queries=3))
        ask(sandbox, MARK)
        assert ask(sandbox, READ_MARK) == ask(sandbox, READ_MARK) == [{"n": 1}]
        with pytest.raises(QueryError, match="mark"):
            ask(sandbox, READ_MARK)

    def test_a_fresh_process_is_made_before_the_next_person_asks(self, make: Callable[..., Sandbox]) -> None:
        sandbox = make()
        for person in ("ann", "bob", "carl", "dora", "emil"):
            ask(sandbox, "SELECT 1", person)
            assert until(lambda: any(child.person is None for child in sandbox._pool()._idle))
            assert len(processes()) <= 3

    def test_another_snapshot_gets_other_processes(self, make: Callable[..., Sandbox], tmp_path: Path) -> None:
        company = Journeys(tmp_path).user("ann").did("login", after_days=1)
        warehouse = company.build()
        sandbox = make(database=warehouse.database)
        assert ask(sandbox, "SELECT count(*) AS n FROM snapshot.store.users") == [{"n": 1}]
        assert until(lambda: len(processes()) == 2)
        old = set(processes())
        company.user("bob").publish()
        assert ask(sandbox, "SELECT count(*) AS n FROM snapshot.store.users") == [{"n": 2}]
        assert sandbox.run(Request(("SELECT 1",), (0,))).snapshot == warehouse.database()[0]
        assert until(lambda: not old & set(processes()))


class TestDeaths:
    def test_processes_killed_while_idle_are_replaced_and_buried(self, make: Callable[..., Sandbox]) -> None:
        sandbox = make()
        ask(sandbox, "SELECT 1")
        assert until(lambda: len(sandbox._pool()._idle) == 2)
        dead = set(processes())
        for number in dead:
            os.kill(number, signal.SIGKILL)
        assert until(lambda: len(now := processes()) == 2 and not dead & set(now))
        assert ask(sandbox, "SELECT 1 AS n") == [{"n": 1}]

    def test_one_killed_just_now_is_not_given_to_anybody(
        self, make: Callable[..., Sandbox], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(pool, "_LOOK_S", 600.0)
        sandbox = make()
        ask(sandbox, "SELECT 1")
        assert until(lambda: len(sandbox._pool()._idle) == 2)
        for number in processes():
            os.kill(number, signal.SIGKILL)
        assert until(lambda: list(processes().values()) == ["Z", "Z"])
        # A process is dead with its last thread.
        assert until(lambda: all(len(os.listdir(f"/proc/{number}/task")) == 1 for number in processes()))
        assert ask(sandbox, "SELECT 1 AS n") == [{"n": 1}]

    def test_one_killed_while_it_runs_is_told_and_replaced(
        self, make: Callable[..., Sandbox], threads: ThreadPoolExecutor
    ) -> None:
        sandbox = make(Limits(query_s=60))
        hung = threads.submit(ask, sandbox, SLEEP)
        assert until(lambda: load(sandbox) == (1, 0))
        os.kill(sandbox._pool()._busy[0].pid, signal.SIGKILL)
        assert refusal(hung) == "The sandbox stopped before the query was done: run it again."
        assert ask(sandbox, "SELECT 1 AS n") == [{"n": 1}]

    def test_after_a_memory_bomb_the_next_query_works(self, make: Callable[..., Sandbox]) -> None:
        sandbox = make(Limits(query_s=20, memory_mb=64))
        with pytest.raises(SqlError, match="needs more than the 64 MB of memory"):
            ask(sandbox, "SELECT list(range) FROM range(1000000000)")
        assert ask(sandbox, "SELECT 1 AS n") == [{"n": 1}]

    def test_processes_that_do_not_start_are_reported_and_tried_again(
        self, make: Callable[..., Sandbox], tmp_path: Path
    ) -> None:
        program = tmp_path / "child.py"
        program.write_text("raise SystemExit\n")
        sandbox = make(program=program)
        for _ in range(2):
            with pytest.raises(BetonError, match="did not start"):
                ask(sandbox, "SELECT 1")
        program.write_bytes(CHILD_PROGRAM.read_bytes())
        assert ask(sandbox, "SELECT 1 AS n") == [{"n": 1}]

    def test_a_snapshot_that_vanishes_before_it_is_opened_is_looked_up_again(
        self, make: Callable[..., Sandbox], warehouse: Warehouse, tmp_path: Path
    ) -> None:
        answers = [("gone", tmp_path / "gone.duckdb")] * 2
        sandbox = make(database=lambda: answers.pop() if answers else warehouse.database())
        assert ask(sandbox, "SELECT count(*) AS n FROM snapshot.store.users") == [{"n": 1}]

    def test_a_process_that_an_import_overtook_answers_nobody(
        self, make: Callable[..., Sandbox], warehouse: Warehouse
    ) -> None:
        _, path = warehouse.database()
        names = iter(["old", "old"])
        sandbox = make(database=lambda: (next(names, "new"), path))
        assert sandbox.run(Request(("SELECT 1",), (0,))).snapshot == "new"

    def test_a_start_that_fails_for_any_reason_is_told(
        self, make: Callable[..., Sandbox], warehouse: Warehouse
    ) -> None:
        _, path = warehouse.database()
        paths = iter([path])
        sandbox = make(database=lambda: ("name", next(paths, None)))
        with pytest.raises(BetonError, match="did not start"):
            ask(sandbox, "SELECT 1")

    def test_without_a_snapshot_the_warehouse_speaks(self, make: Callable[..., Sandbox], tmp_path: Path) -> None:
        sandbox = make(database=Warehouse(tmp_path).database)
        sandbox.warm()
        with pytest.raises(NoDataError):
            ask(sandbox, "SELECT 1")


class TestClosing:
    def test_it_leaves_nothing_behind_and_may_start_anew(
        self, make: Callable[..., Sandbox], threads: ThreadPoolExecutor
    ) -> None:
        threads.submit(int).result()
        before = threading.active_count(), len(os.listdir("/proc/self/fd"))
        sandbox = make(Limits(query_s=60))
        for _ in range(2):
            assert ask(sandbox, "SELECT 1 AS n", "bob") == [{"n": 1}]
            assert until(lambda: len(processes()) == 2)
            sandbox.close()
            assert processes() == {}
            assert (threading.active_count(), len(os.listdir("/proc/self/fd"))) == before

    def test_what_runs_and_waits_fails_at_once(self, make: Callable[..., Sandbox], threads: ThreadPoolExecutor) -> None:
        sandbox = make(Limits(query_s=60))
        hung = [threads.submit(ask, sandbox, SLEEP) for _ in range(3)]
        assert until(lambda: load(sandbox) == (1, 2))
        sandbox.close()
        told = sorted(refusal(each) for each in hung)
        assert told == ["The sandbox is closing: run the query again."] * 2 + [
            "The sandbox stopped before the query was done: run it again."
        ]
        assert processes() == {}

    def test_a_forgotten_sandbox_ends_its_processes(self, warehouse: Warehouse) -> None:
        sandbox = Sandbox(warehouse.database)
        ask(sandbox, "SELECT 1")
        assert processes()
        del sandbox
        gc.collect()
        assert processes() == {}

    def test_the_end_of_the_program_ends_them(self, warehouse: Warehouse) -> None:
        name, path = warehouse.database()
        source = (
            "from pathlib import Path\nimport os\n"
            "from beton.warehouse.sandbox.pool import Request, Sandbox\n"
            f"sandbox = Sandbox(lambda: ({name!r}, Path({str(path)!r})))\n"
            "sandbox.run(Request(('SELECT 1',), (0,)))\n"
            "print(*(child.pid for child in sandbox._pool()._idle))\n"
        )
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
        command = [sys.executable, "-W", "error", "-X", "dev", "-c", source]
        done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60, check=True)
        assert done.stderr == ""
        started = [Path(f"/proc/{number}") for number in done.stdout.split()]
        assert started
        assert until(lambda: not any(place.exists() for place in started))

    def test_after_a_fork_both_have_processes_of_their_own(self, make: Callable[..., Sandbox]) -> None:
        sandbox = make()
        ask(sandbox, MARK)
        assert until(lambda: len(sandbox._pool()._idle) == 2)
        ours = set(processes())
        source, sink = os.pipe()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            forked = os.fork()
        if forked == 0:
            _report(sandbox, sink)
        os.close(sink)
        with os.fdopen(source) as told:
            assert told.read() == "mark missing, 4 pipes fewer, none left"
        assert os.waitpid(forked, 0) == (forked, 0)
        assert set(processes()) == ours
        assert ask(sandbox, READ_MARK) == [{"n": 1}]


def _report(sandbox: Sandbox, sink: int) -> None:
    """In the forked process: use the sandbox, close it, and write down what was found."""
    text = "failed"
    before = pipes()
    try:
        try:
            ask(sandbox, READ_MARK)
        except QueryError:
            text = "mark missing"
        sandbox.close()
        text += f", {before - pipes()} pipes fewer"
        text += ", none left" if not processes() else f", left {processes()}"
    finally:
        os.write(sink, text.encode())
        os._exit(0)
