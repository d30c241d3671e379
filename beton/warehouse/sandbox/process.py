"""One sandbox process, seen from the parent: start it, ask it, end it.

Whatever comes back is taken for hostile: lengths are capped before anything is read, headers are checked field by
field, and Arrow streams are validated in full. A process that says anything else than the protocol allows is ended.
"""

from __future__ import annotations

import json
import math
import os
import select
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from beton.errors import BetonError, SqlError
from beton.warehouse.sandbox import child
from beton.warehouse.sandbox.child import FRAME

if TYPE_CHECKING:
    import pyarrow as pa

CHILD_PROGRAM: Final = Path(child.__file__)
GRACE_S: Final = 1.0

_START_S: Final = 30.0
_MOST_HEADER_BYTES: Final = 256_000
_MOST_REASON: Final = 200
_STOPPED: Final = "The sandbox stopped before the query was done: run it again."


@dataclass(frozen=True, slots=True)
class Limits:
    """What one request may use.

    Attributes:
        query_s: seconds of all steps together; the process is killed ``GRACE_S`` later.
        memory_mb: what DuckDB may hold, in MB (10^6 bytes).
        address_space_mb: what the whole process may map, in MB; less than 2500 is too little for its threads.
        threads: DuckDB threads of a process; with one, even what depends on the order of rows is the same each time.
        queue_s: seconds a request waits for its turn.
        queries: requests that one process answers before it is replaced.
    """

    query_s: float = 10.0
    memory_mb: int = 512
    address_space_mb: int = 3072
    threads: int = 1
    queue_s: float = 30.0
    queries: int = 50


@dataclass(frozen=True, slots=True)
class Request:
    """SQL to run in order.

    Attributes:
        steps: statements, run on one connection.
        returns: positions in ``steps`` of the queries whose rows come back.
        max_bytes: size of all results together, in bytes.
    """

    steps: tuple[str, ...]
    returns: tuple[int, ...]
    max_bytes: int = 64_000_000


@dataclass(frozen=True, slots=True)
class Response:
    """The rows of the returned steps, the engine's seconds of every step, and the snapshot they were read from."""

    tables: tuple[pa.Table, ...]
    seconds: tuple[float, ...]
    snapshot: str


class QueryError(Exception):
    """DuckDB refused a step: the class name of its exception, its message, and the step's position."""

    def __init__(self, kind: str, message: str, step: int) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.step = step


class SandboxGone(SqlError):
    """The process died or broke the protocol; it must not be asked again."""


class Child:
    """A running sandbox process with one snapshot open. Not for two threads at once.

    Raises:
        BetonError: the process could not start.
    """

    def __init__(self, snapshot: str, database: Path, limits: Limits, program: Path = CHILD_PROGRAM) -> None:
        self.snapshot = snapshot
        self.person: str | None = None
        self.queries = 0
        self._limits = limits
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(program.absolute())],
            env={},
            cwd="/",
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            bufsize=0,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._to, self._from = self._process.stdin.fileno(), self._process.stdout.fileno()
        os.set_blocking(self._to, False)
        os.set_blocking(self._from, False)
        try:
            self._start(database)
        except BaseException:
            self.end()
            raise

    @property
    def pid(self) -> int:
        return self._process.pid

    def alive(self) -> bool:
        return self._process.poll() is None

    def ask(self, request: Request) -> Response:
        """Run a request.

        Raises:
            QueryError: DuckDB refused a step.
            SqlError: the request was too slow or too large.
            SandboxGone: the process had to be ended, or has ended.
        """
        deadline = time.monotonic() + self._limits.query_s + GRACE_S
        header = {"steps": request.steps, "returns": request.returns, "max_bytes": request.max_bytes}
        try:
            _write(self._to, _frame(header), deadline)
            answer, body = self._read(request.max_bytes, deadline)
            if answer.get("state") == "done":
                return Response(_tables(answer, body, len(request.returns)), _seconds(answer, request), self.snapshot)
            failure = self._failure(answer, request)
        except TimeoutError:
            self.end()
            raise SandboxGone(self._too_slow()) from None
        except (OSError, ValueError):
            self.end()
            raise SandboxGone(_STOPPED) from None
        except BaseException:
            # Its answer would be read as that of the next request.
            self.end()
            raise
        raise failure

    def kill(self) -> None:
        """Kill the process with everything it may have started; any thread may, and whoever asks it sees it gone."""
        if self._process.returncode is None:
            # It may be gone, or another user's whom we may not kill: that one ends by its own timer, or at once when
            # its stdin closes.
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)

    def end(self) -> None:
        """Kill the process, let go of its pipes and wait until it is gone; harmless when repeated."""
        self.kill()
        self.forget()
        self._process.wait()

    def forget(self) -> None:
        """Close the pipes and leave the process to the one that started it, as after a fork."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()

    def _start(self, database: Path) -> None:
        limits = self._limits
        start = {
            "parent": os.getpid(),
            "packages": _package_folders(),
            "database": str(database.absolute()),
            "threads": limits.threads,
            "memory": f"{limits.memory_mb}MB",
            "query_ms": max(1, round(limits.query_s * 1000)),
            "address_space_bytes": limits.address_space_mb * 1_048_576,
            "patience_s": limits.query_s + 2 * GRACE_S,
        }
        deadline = time.monotonic() + _START_S
        try:
            _write(self._to, _frame(start), deadline)
            answer, _ = self._read(0, deadline)
        except (OSError, ValueError) as error:
            raise BetonError(f"The sandbox for SQL did not start ({type(error).__name__}): try again.") from None
        if answer.get("state") != "ready":
            reason = " ".join(str(answer.get("message")).split())[:_MOST_REASON]
            raise BetonError(f"The sandbox for SQL did not start ({reason}): try again, or import again.")

    def _read(self, most_bytes: int, deadline: float) -> tuple[dict[str, Any], memoryview]:
        """Read one frame; ValueError when it is not one, OSError when none comes."""
        header_bytes, body_bytes = FRAME.unpack(_read(self._from, FRAME.size, deadline))
        if header_bytes > _MOST_HEADER_BYTES or body_bytes > most_bytes:
            raise ValueError("an oversized frame")
        try:
            header = json.loads(_read(self._from, header_bytes, deadline))
        except RecursionError:
            raise ValueError("a bottomless header") from None
        if not isinstance(header, dict):
            raise ValueError("a header that is no object")
        return header, memoryview(_read(self._from, body_bytes, deadline))

    def _failure(self, answer: dict[str, Any], request: Request) -> Exception:
        """Return what to raise for an answer without results; ValueError when there is no such answer."""
        state = answer.get("state")
        if state == "time":
            return SqlError(self._too_slow())
        if state == "size":
            megabytes = max(1, round(request.max_bytes / 1_000_000))
            return SqlError(f"The result is larger than {megabytes} MB: return fewer columns or rows.")
        if state == "memory":
            self.end()
            return SandboxGone(
                f"The query needs more than the {self._limits.memory_mb} MB of memory it may use: "
                "filter events by name, read fewer columns, or group before you join."
            )
        if state != "refused":
            raise ValueError("an unknown answer")
        refusal = _refusal(answer, len(request.steps))
        if refusal.kind in ("FatalException", "InternalException"):
            self.end()
        return refusal

    def _too_slow(self) -> str:
        return (
            f"The query did not finish within {self._limits.query_s:g} s: "
            "filter events by name, or by days_since_signup."
        )


def _package_folders() -> list[str]:
    """Return where the packages lie that a child imports; it looks nowhere else but in the standard library."""
    specs = [find_spec(name) for name in ("duckdb", "_duckdb", "pyarrow", "numpy")]
    origins = [Path(spec.origin) for spec in specs if spec is not None and spec.origin is not None]
    return list(dict.fromkeys(str(path.parent.parent if path.stem == "__init__" else path.parent) for path in origins))


def _frame(header: dict[str, Any]) -> bytes:
    text = json.dumps(header).encode()
    return FRAME.pack(len(text), 0) + text


def _tables(answer: dict[str, Any], body: memoryview, expected: int) -> tuple[pa.Table, ...]:
    """Return the validated tables of an answer; ValueError when it does not hold exactly the expected ones."""
    import pyarrow as pa

    sizes = answer.get("sizes")
    if not isinstance(sizes, list) or len(sizes) != expected or not all(type(n) is int and n >= 0 for n in sizes):
        raise ValueError("sizes that do not fit the request")
    if sum(sizes) != len(body):
        raise ValueError("sizes that do not fit the body")
    tables = []
    try:
        for size in sizes:
            with pa.ipc.open_stream(pa.py_buffer(body[:size])) as reader:
                tables.append(reader.read_all())
            tables[-1].validate(full=True)
            body = body[size:]
    except Exception as error:
        # Made-up bytes may end in any exception of Arrow's.
        raise ValueError("a broken Arrow stream") from error
    return tuple(tables)


def _refusal(answer: dict[str, Any], steps: int) -> QueryError:
    kind, message, step = answer.get("kind"), answer.get("message"), answer.get("step")
    if not (isinstance(kind, str) and isinstance(message, str) and type(step) is int and 0 <= step < steps):
        raise ValueError("a refusal that says nothing")
    return QueryError(kind, message, step)


def _seconds(answer: dict[str, Any], request: Request) -> tuple[float, ...]:
    seconds = answer.get("seconds")
    if not isinstance(seconds, list) or len(seconds) != len(request.steps):
        raise ValueError("seconds that do not fit the request")
    if not all(isinstance(value, float) and math.isfinite(value) and value >= 0.0 for value in seconds):
        raise ValueError("seconds that are none")
    return tuple(seconds)


def _write(handle: int, data: bytes, deadline: float) -> None:
    left = memoryview(data)
    while left:
        _wait(handle, select.POLLOUT, deadline)
        try:
            left = left[os.write(handle, left) :]
        except BlockingIOError:
            continue


def _read(handle: int, size: int, deadline: float) -> bytearray:
    """Read exactly ``size`` bytes; ConnectionError when the stream ends before, TimeoutError at the deadline."""
    data = bytearray(size)
    left = memoryview(data)
    while left:
        _wait(handle, select.POLLIN, deadline)
        try:
            count = os.readv(handle, [left])
        except BlockingIOError:
            continue
        if not count:
            raise ConnectionError("the stream has ended")
        left = left[count:]
    return data


def _wait(handle: int, event: int, deadline: float) -> None:
    poll = select.poll()
    poll.register(handle, event)
    if not poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
        raise TimeoutError("the deadline has passed")
