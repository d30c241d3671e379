"""One sandbox process: what it holds, what ends it, and that nothing it says can hurt the one who asks."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import signal
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from journeys import Journeys

from beton.errors import BetonError, SqlError
from beton.warehouse.sandbox import process
from beton.warehouse.sandbox.process import Child, Limits, QueryError, Request, SandboxGone

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
QUICK = Limits(query_s=0.3, memory_mb=64)
ENDLESS_JOIN = "SELECT sum(a.range * b.range) FROM range(1000000) AS a, range(1000000) AS b"
SLEEP = "SELECT sleep_ms(60000)"


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    people = Journeys(tmp_path_factory.mktemp("company")).user("ann").did("login", after_days=1).user("bob")
    return people.build().database()[1]


@pytest.fixture(scope="module")
def child(database: Path) -> Iterator[Child]:
    """A process for queries that leave it as it was."""
    started = Child("first", database, Limits())
    yield started
    started.end()


@pytest.fixture
def start(database: Path) -> Iterator[Callable[..., Child]]:
    """Starts processes, and ends them after the test."""
    started: list[Child] = []

    def start_one(limits: Limits = QUICK, program: Path = process.CHILD_PROGRAM) -> Child:
        started.append(Child("first", database, limits, program))
        return started[-1]

    yield start_one
    for each in started:
        each.end()


def rows(child: Child, sql: str) -> list[dict[str, object]]:
    return child.ask(Request((sql,), (0,))).tables[0].to_pylist()


def until(condition: Callable[[], bool], seconds: float = 20.0) -> bool:
    deadline = time.monotonic() + seconds
    while not (seen := condition()) and time.monotonic() < deadline:
        time.sleep(0.01)
    return seen


def gone(pid: int) -> bool:
    """Whether a process has ended; one that nobody has buried yet has."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def work(pid: int) -> int:
    """Time on a processor so far, in clock ticks."""
    user, system = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return int(user) + int(system)


def status(task: Path) -> dict[str, str]:
    lines = (line.partition(":") for line in (task / "status").read_text().splitlines())
    return {name: value.strip() for name, _, value in lines}


class TestWhatItHolds:
    @LINUX
    def test_nothing_of_the_parent_reaches_it(
        self, start: Callable[..., Child], database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("BETON_TEST_SECRET", "canary")
        with (tmp_path / "open in the parent").open("w") as handle:
            os.set_inheritable(handle.fileno(), True)
            place = Path(f"/proc/{start().pid}")
        assert (place / "environ").read_bytes() == b""
        assert os.readlink(place / "cwd") == "/"
        handles = {re.sub(r"pipe:.*", "pipe", os.readlink(each)) for each in (place / "fd").iterdir()}
        assert handles == {"pipe", "/dev/null", str(database)}
        assert os.getsid(int(place.name)) == int(place.name)

    @LINUX
    def test_its_limits_hold(self, child: Child) -> None:
        text = Path(f"/proc/{child.pid}/limits").read_text()
        found = dict(re.findall(r"^Max (.+?) {2,}(\d+) +\2 ", text, re.MULTILINE))
        expected = {
            "address space": str(3072 * 2**20),
            "core file size": "0",
            "file size": "0",
            "open files": "64",
            "processes": "0",
        }
        assert {name: found.get(name) for name in expected} == expected

    @LINUX
    @pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody else")
    def test_root_becomes_nobody_in_every_thread(self, child: Child) -> None:
        tasks = list(Path(f"/proc/{child.pid}/task").iterdir())
        assert len(tasks) > 1
        for found in map(status, tasks):
            assert set(found["Uid"].split()) == set(found["Gid"].split()) == {"65534"}
            assert found["Groups"] == ""
            assert int(found["CapEff"], 16) == int(found["CapPrm"], 16) == 0

    @LINUX
    @pytest.mark.skipif(platform.machine() != "x86_64", reason="the wall is for x86-64")
    def test_the_kernel_refuses_other_system_calls_in_every_thread(self, child: Child) -> None:
        found = [status(task) for task in Path(f"/proc/{child.pid}/task").iterdir()]
        assert {(each["NoNewPrivs"], each["Seccomp"]) for each in found} == {("1", "2")}

    @LINUX
    @pytest.mark.skipif(platform.machine() != "x86_64", reason="the wall is for x86-64")
    def test_even_its_own_code_opens_starts_and_calls_nothing(
        self, start: Callable[..., Child], tmp_path: Path
    ) -> None:
        """What would be left to somebody who broke out of DuckDB."""
        attempts = (
            "os.open('/etc/passwd', os.O_RDONLY)", "os.fork()", "os.kill(os.getppid(), 0)", "os.unlink('/nothing')",
            "os.execv('/bin/true', ['true'])", "__import__('_socket').socket()", "os.listdir('/')",
        )  # fmt: skip
        told = "[]"
        for attempt in attempts:
            told += f" + [_told(lambda: {attempt})]"
        source = process.CHILD_PROGRAM.read_text().replace("import ctypes\n", "import _socket\nimport ctypes\n", 1)
        source = source.replace('if __name__ == "__main__":\n    main()\n', "")
        source += (
            "\ndef _told(attempt):\n    try:\n        attempt()\n    except OSError as error:\n"
            "        return type(error).__name__\n    return 'allowed'\n"
            "def answer(connection, request):\n"
            f"    return {{'state': 'refused', 'kind': 'Told', 'message': json.dumps({told}), 'step': 0}}, ()\n"
            "main()\n"
        )
        program = tmp_path / "broken_out.py"
        program.write_text(source)
        with pytest.raises(QueryError) as caught:
            rows(start(program=program), "SELECT 1")
        assert json.loads(caught.value.message) == ["PermissionError"] * len(attempts)


class TestAnswers:
    def test_steps_run_in_order_and_only_the_asked_ones_return(self, child: Child) -> None:
        steps = (
            "CREATE OR REPLACE TEMP VIEW users AS SELECT user_id FROM snapshot.store.users",
            "SELECT count(*) AS n FROM users",
            "SELECT 1 AS unseen",
            "SELECT user_id FROM users ORDER BY 1",
        )
        response = child.ask(Request(steps, (1, 3)))
        assert [table.to_pylist() for table in response.tables] == [
            [{"n": 2}],
            [{"user_id": "ann"}, {"user_id": "bob"}],
        ]
        assert len(response.seconds) == 4
        assert response.snapshot == "first"

    def test_values_of_every_kind_come_back(self, child: Child) -> None:
        sql = (
            "SELECT 1::HUGEINT AS huge, 1.5::DECIMAL(30, 3) AS exact, [1, NULL] AS list, {'a': 1} AS struct,"
            " MAP {'a': 1} AS map, INTERVAL 1 DAY AS span, TIME '10:00' AS clock, '\\x01'::BLOB AS blob,"
            " TIMESTAMPTZ '2024-01-01 10:00+02' AS moment, '101'::BIT AS bits, 'b'::ENUM('a', 'b') AS choice,"
            " uuid() AS id, NULL AS nothing, '{}'::JSON AS json, strftime(now(), '%Y') AS year"
        )
        (row,) = rows(child, sql)
        assert row["list"] == [1, None]
        assert row["moment"].isoformat() == "2024-01-01T08:00:00+00:00"  # type: ignore[attr-defined]
        assert row["choice"] == "b"

    def test_many_rows_come_back_whole(self, child: Child) -> None:
        table = child.ask(Request(("SELECT range AS n FROM range(300000)",), (0,))).tables[0]
        assert table["n"].to_pylist() == list(range(300_000))

    def test_a_bare_name_finds_no_table_of_the_snapshot(self, child: Child) -> None:
        """Or a query whose view was forgotten would read the whole table."""
        with pytest.raises(QueryError, match="Table with name companies does not exist"):
            rows(child, "SELECT * FROM companies")

    def test_a_refusal_names_kind_line_and_step(self, child: Child) -> None:
        with pytest.raises(QueryError) as caught:
            child.ask(Request(("SELECT 1", "SELECT * FROM (\nSELECT nope FROM snapshot.store.users)"), (0, 1)))
        assert (caught.value.kind, caught.value.step) == ("BinderException", 1)
        assert 'column "nope"' in caught.value.message
        assert "LINE 2: SELECT nope" in caught.value.message

    def test_a_refusal_after_rows_have_begun_to_flow_keeps_its_kind(self, child: Child) -> None:
        sql = "SELECT CAST(CASE WHEN range = 900000 THEN 'a' ELSE '1' END AS INT) FROM range(1000000)"
        with pytest.raises(QueryError, match="Could not convert string 'a'") as caught:
            rows(child, sql)
        assert caught.value.kind == "ConversionException"
        assert rows(child, "SELECT 1 AS n") == [{"n": 1}]

    @pytest.mark.parametrize("returned", [(0,), (0, 1)])
    def test_results_that_are_too_large_together_are_refused_in_plain_words(
        self, child: Child, returned: tuple[int, ...]
    ) -> None:
        sql = "SELECT range FROM range(200000)" if len(returned) == 1 else "SELECT range FROM range(80000)"
        with pytest.raises(SqlError, match=r"^The result is larger than 1 MB: return fewer columns or rows\.$"):
            child.ask(Request((sql,) * len(returned), returned, 1_000_000))
        assert rows(child, "SELECT 1 AS n") == [{"n": 1}]

    def test_rows_are_read_no_further_than_they_may_come_back(self, child: Child) -> None:
        with pytest.raises(SqlError, match="larger than 1 MB"):
            child.ask(Request(("SELECT range FROM range(1000000000000)",), (0,), 1_000_000))

    @pytest.mark.parametrize(
        "statement",
        [
            "SET threads = 8",
            "SET max_execution_time = 0",
            "SET disabled_filesystems = ''",
            "RESET memory_limit",
            "PRAGMA enable_profiling",
            "ATTACH '@' AS again (READ_ONLY)",
            "ATTACH '/etc/hostname' AS stolen",
            "COPY (SELECT 'owned') TO '@' (FORMAT csv, USE_TMP_FILE false)",
            "COPY (SELECT 'owned') TO '@.wal' (FORMAT csv, USE_TMP_FILE false)",
            "WITH x AS (COPY (SELECT 'owned') TO '@' (FORMAT csv, USE_TMP_FILE false)) SELECT 1",
            "SELECT * FROM read_csv('/etc/hostname')",
            "SELECT * FROM read_blob('@')",
            "SELECT * FROM '/etc/hostname'",
            "INSTALL httpfs",
            "LOAD httpfs",
            "DELETE FROM snapshot.store.users",
        ],
    )
    def test_settings_are_locked_and_files_out_of_reach(self, child: Child, database: Path, statement: str) -> None:
        before = hashlib.sha256(database.read_bytes()).hexdigest(), sorted(database.parent.iterdir())
        with pytest.raises(QueryError):
            child.ask(Request((statement.replace("@", str(database)),), ()))
        assert before == (hashlib.sha256(database.read_bytes()).hexdigest(), sorted(database.parent.iterdir()))
        assert rows(child, "SELECT count(*) AS n FROM snapshot.store.users") == [{"n": 2}]


class TestLimits:
    @pytest.mark.parametrize("sql", [ENDLESS_JOIN, "SELECT a.range FROM range(1000000) AS a, range(1000000) AS b"])
    def test_the_engine_stops_a_slow_query_and_the_process_lives(self, start: Callable[..., Child], sql: str) -> None:
        child = start()
        with pytest.raises(SqlError, match=r"did not finish within 0.3 s: filter events by name, or by days_since"):
            child.ask(Request((sql,), (0,), 10**12))
        assert rows(child, "SELECT 1 AS n") == [{"n": 1}]

    @LINUX
    def test_what_the_engine_cannot_stop_is_killed(self, start: Callable[..., Child]) -> None:
        child = start()
        with pytest.raises(SandboxGone, match=r"did not finish within 0.3 s: filter events by name"):
            rows(child, SLEEP)
        assert not child.alive()
        assert not Path(f"/proc/{child.pid}").exists()

    def test_it_ends_by_its_own_timer_when_nobody_may_kill_it(
        self, start: Callable[..., Child], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        child = start()

        def refuse(*_: int) -> None:
            raise PermissionError

        monkeypatch.setattr(process.os, "killpg", refuse)
        with pytest.raises(SandboxGone, match="did not finish"):
            rows(child, SLEEP)
        assert child._process.returncode == -signal.SIGALRM

    @pytest.mark.parametrize("sql", ["SELECT list(range) FROM range(1000000000)", "SELECT repeat('a', 3000000000)"])
    def test_a_memory_bomb_ends_in_plain_words(self, start: Callable[..., Child], sql: str) -> None:
        child = start(Limits(query_s=60, memory_mb=64))
        with pytest.raises(SandboxGone, match=r"needs more than the 64 MB of memory it may use: filter events by name"):
            rows(child, sql)
        assert not child.alive()


_ECHO_READY = """
import json, os, struct, sys, time
source, sink = os.fdopen(0, "rb"), os.fdopen(1, "wb")
def receive():
    source.read(struct.unpack(">IQ", source.read(12))[0])
def send(header, body=b"", lengths=None):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    sink.write(struct.pack(">IQ", *(lengths or (len(text), len(body)))) + text + body)
    sink.flush()
receive()
"""
_READY = _ECHO_READY + 'send({"state": "ready"})\n'
_DONE = '{"state": "done", "seconds": [0.1], "sizes": [len(table)]}'


def _stream(values: list[object]) -> bytes:
    sink = pa.BufferOutputStream()
    table = pa.table({"n": values})
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    stream: bytes = sink.getvalue().to_pybytes()
    return stream


def _table_source(stream: bytes) -> str:
    return f"table = {stream!r}\n"


_GOOD = _table_source(_stream([1]))
_BAD_TEXT = _table_source(_stream(["needle"]).replace(b"needle", b"need\xff\xfe"))
_OFFSETS, _OUTSIDE = struct.pack("<ii", 77, 143), struct.pack("<ii", 77, 2**31 - 1)
_BAD_OFFSETS = _table_source(_stream(["a" * 77, "b" * 66]).replace(_OFFSETS, _OUTSIDE))

LIES = {
    "noise": "sink.write(os.urandom(4096)); sink.flush(); time.sleep(60)",
    "ends": "sys.exit(0)",
    "ends within a frame": "sink.write(b'abc'); sink.flush(); sys.exit(0)",
    "crashes": "os.kill(os.getpid(), 11)",
    "is killed": "os.kill(os.getpid(), 9)",
    "huge header": "send({}, lengths=(4294967295, 0)); time.sleep(60)",
    "huge body": "send({}, lengths=(2, 18446744073709551615)); time.sleep(60)",
    "body over the request's limit": "send({}, lengths=(2, 1000001)); time.sleep(60)",
    "no JSON": "send(b'{state')",
    "no text": "send(b'\\xff\\xfe\\xff')",
    "a list": "send(['done'])",
    "bottomless": "send(b'[' * 200000)",
    "huge number": "send(b'{\"state\":' + b'9' * 100000 + b'}')",
    "no state": "send({})",
    "unknown state": "send({'state': 'ready'})",
    "state of another type": "send({'state': ['done']})",
    "nothing done": "send({'state': 'done'})",
    "too many tables": _GOOD + "send({'state': 'done', 'seconds': [0.1], 'sizes': [len(table)] * 2}, table * 2)",
    "negative size": _GOOD + "send({'state': 'done', 'seconds': [0.1], 'sizes': [-1]}, table)",
    "size that is none": _GOOD + "send({'state': 'done', 'seconds': [0.1], 'sizes': [True]}, b'a')",
    "size over the body": _GOOD + "send({'state': 'done', 'seconds': [0.1], 'sizes': [len(table) + 1]}, table)",
    "no seconds": _GOOD + "send({'state': 'done', 'sizes': [len(table)]}, table)",
    "endless seconds": _GOOD + "send({'state': 'done', 'seconds': [float('inf')], 'sizes': [len(table)]}, table)",
    "seconds in words": _GOOD + "send({'state': 'done', 'seconds': ['1'], 'sizes': [len(table)]}, table)",
    "no Arrow": _table_source(b"nothing of the kind") + f"send({_DONE}, table)",
    "empty Arrow": _table_source(b"") + f"send({_DONE}, table)",
    "half an Arrow stream": _GOOD + f"table = table[:150]\nsend({_DONE}, table)",
    "Arrow that points outside": _BAD_OFFSETS + f"send({_DONE}, table)",
    "Arrow with broken text": _BAD_TEXT + f"send({_DONE}, table)",
    "refusal without words": "send({'state': 'refused', 'kind': 'BinderException', 'step': 0})",
    "refusal of another type": "send({'state': 'refused', 'kind': 1, 'message': [], 'step': 0})",
    "refusal of no step": "send({'state': 'refused', 'kind': 'A', 'message': 'b', 'step': 7})",
}


class TestLies:
    def program(self, folder: Path, source: str) -> Path:
        path = folder / "fake.py"
        path.write_text(source)
        return path

    def test_the_pretender_is_believed_when_it_keeps_to_the_protocol(
        self, start: Callable[..., Child], tmp_path: Path
    ) -> None:
        """Without this, the refusals below might have another reason than the lie."""
        source = _READY + f"receive()\n{_GOOD}send({_DONE}, table)"
        assert rows(start(Limits(), self.program(tmp_path, source)), "SELECT 1") == [{"n": 1}]

    @pytest.mark.parametrize("lie", LIES)
    def test_a_lie_ends_the_process_and_nothing_else(
        self, start: Callable[..., Child], tmp_path: Path, lie: str
    ) -> None:
        child = start(Limits(), self.program(tmp_path, f"{_READY}receive()\n{LIES[lie]}\n"))
        with pytest.raises(SandboxGone, match=r"^The sandbox stopped before the query was done: run it again\.$"):
            child.ask(Request(("SELECT 1",), (0,), 1_000_000))
        assert not child.alive()

    @pytest.mark.parametrize("lie", ["time.sleep(60)", "send({}, lengths=(9, 0)); time.sleep(60)"])
    def test_silence_ends_at_the_deadline(self, start: Callable[..., Child], tmp_path: Path, lie: str) -> None:
        child = start(QUICK, self.program(tmp_path, f"{_READY}receive()\n{lie}"))
        with pytest.raises(SandboxGone, match="did not finish"):
            rows(child, "SELECT 1")
        assert not child.alive()

    def test_a_process_that_does_not_listen_ends_at_the_deadline(
        self, start: Callable[..., Child], tmp_path: Path
    ) -> None:
        child = start(QUICK, self.program(tmp_path, _READY + "time.sleep(60)"))
        with pytest.raises(SandboxGone, match="did not finish"):
            rows(child, "SELECT 1 -- " + "a" * 1_000_000)

    @pytest.mark.parametrize(
        "lie",
        ["sys.exit(1)", "time.sleep(60)", "send({'state': 'failed', 'message': ''})", "send([])", "send({})"],
    )
    def test_a_process_that_does_not_start_says_so_and_is_gone(
        self, start: Callable[..., Child], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lie: str
    ) -> None:
        monkeypatch.setattr(process, "_START_S", 1.0)
        before = len(os.listdir("/dev/fd"))
        with pytest.raises(BetonError, match="did not start"):
            start(program=self.program(tmp_path, f"{_ECHO_READY}\n{lie}"))
        assert len(os.listdir("/dev/fd")) == before

    def test_a_snapshot_that_is_none_is_named(self, tmp_path: Path) -> None:
        (tmp_path / "store.duckdb").write_bytes(b"no database" * 1000)
        with pytest.raises(BetonError, match=r"did not start \(.*not a valid DuckDB database.*import again"):
            Child("first", tmp_path / "store.duckdb", QUICK)


class TestEnds:
    def test_an_interrupted_question_ends_the_process(
        self, start: Callable[..., Child], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Or the next one who asks would be given the answer to this one."""
        child = start()

        def interrupt(*_: object) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(process, "_read", interrupt)
        with pytest.raises(KeyboardInterrupt):
            rows(child, "SELECT 1")
        assert not child.alive()

    def test_a_process_killed_while_it_runs_is_told_from_a_slow_one(self, start: Callable[..., Child]) -> None:
        child = start(Limits(query_s=60))
        seen: list[Exception] = []

        def ask() -> None:
            try:
                rows(child, SLEEP)
            except SqlError as error:
                seen.append(error)

        asking = threading.Thread(target=ask)
        asking.start()
        os.kill(child.pid, signal.SIGKILL)
        asking.join(20)
        assert [str(error) for error in seen] == ["The sandbox stopped before the query was done: run it again."]

    def test_ending_it_lets_go_of_its_pipes_and_may_be_repeated(self, start: Callable[..., Child]) -> None:
        before = len(os.listdir("/dev/fd"))
        child = start()
        assert len(os.listdir("/dev/fd")) == before + 2
        child.end()
        child.end()
        assert len(os.listdir("/dev/fd")) == before

    @LINUX
    @pytest.mark.parametrize("sql", [None, ENDLESS_JOIN])
    def test_it_dies_with_its_parent(self, database: Path, sql: str | None) -> None:
        source = (
            "import sys, time\nfrom pathlib import Path\n"
            "from beton.warehouse.sandbox.process import Child, Limits, Request\n"
            f"child = Child('first', Path({str(database)!r}), Limits(query_s=600))\n"
            "print(child.pid, flush=True)\n"
            + (f"child.ask(Request(({sql!r},), (0,)))\n" if sql else "time.sleep(600)\n")
        )
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
        with subprocess.Popen([sys.executable, "-c", source], stdout=subprocess.PIPE, env=environment) as parent:
            assert parent.stdout is not None
            pid = int(parent.stdout.readline())
            began = work(pid)
            assert sql is None or until(lambda: work(pid) > began + 20)
            assert not gone(pid)
            parent.kill()
            parent.wait()
        assert until(lambda: gone(pid))
