"""The program of a sandbox process: it runs SQL that nobody has reason to trust.

Started by path with an empty environment and without site packages, it imports nothing of Beton, so it holds nothing
worth taking but the snapshot. It reads frames from its stdin and answers each with one frame on its stdout:

    >IQ   the length of a JSON header and of a body, in bytes; the header; the body (Arrow IPC streams, one after other)

The first frame says where the packages and the snapshot are and what the limits are. Every further one holds ``steps``,
``returns`` and ``max_bytes``; the answer's ``state`` is done, refused, memory, time or size.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import resource
import signal
import struct
import sys
import time
from typing import TYPE_CHECKING, Any, BinaryIO, Final

if TYPE_CHECKING:
    import duckdb

FRAME: Final = struct.Struct(">IQ")
MOST_MESSAGE_CHARACTERS: Final = 4000

_NOBODY: Final = 65534
_PR_SET_PDEATHSIG: Final = 1
_PR_SET_NO_NEW_PRIVS: Final = 38
_BATCH_ROWS: Final = 10_000

# What a process needs once everything is open and loaded: memory, threads that wait for each other, its pipes, reading
# on from an open file, the time, and its end. Not among them: opening a file, a socket, another program or process.
# Numbers are those of Linux on x86-64; a process on another architecture goes without this wall.
_SYSTEM_CALLS: Final = {
    "read": 0, "write": 1, "close": 3, "fstat": 5, "poll": 7, "lseek": 8, "mmap": 9, "mprotect": 10, "munmap": 11,
    "brk": 12, "rt_sigaction": 13, "rt_sigprocmask": 14, "rt_sigreturn": 15, "pread64": 17, "readv": 19, "writev": 20,
    "sched_yield": 24, "mremap": 25, "madvise": 28, "nanosleep": 35, "setitimer": 38, "getpid": 39, "exit": 60,
    "uname": 63, "gettimeofday": 96, "getrusage": 98, "sysinfo": 99, "getppid": 110, "sigaltstack": 131, "gettid": 186,
    "futex": 202, "sched_getaffinity": 204, "restart_syscall": 219, "clock_gettime": 228, "clock_getres": 229,
    "clock_nanosleep": 230, "exit_group": 231, "tgkill": 234, "ppoll": 271, "preadv": 295, "getcpu": 309,
    "getrandom": 318, "membarrier": 324, "rseq": 334,
}  # fmt: skip
_SECCOMP: Final = 317
_FILTER, _ALL_THREADS = 1, 1
_ALLOW, _REFUSE = 0x7FFF0000, 0x00050000 | errno.EPERM
_AUDIT_X86_64: Final = 0xC000003E

# In this order: a temporary directory or a file system cannot be set once external access is off, nothing at all can be
# set once the configuration is locked. Without the local file system nothing can be read or written by path, not even
# the snapshot's own file, which DuckDB puts on its list of allowed paths.
_SETTINGS: Final = (
    "enable_progress_bar = false",
    "TimeZone = 'UTC'",
    "autoinstall_known_extensions = false",
    "autoload_known_extensions = false",
    "allow_community_extensions = false",
    "allow_persistent_secrets = false",
    "allow_extension_repositories = 'forbidden'",
    "python_enable_replacements = false",
    "max_execution_time = {query_ms}",
    "max_expression_depth = 250",
    "enable_external_access = false",
    "disabled_filesystems = 'LocalFileSystem'",
    "lock_configuration = true",
)


class TooLarge(Exception):
    """The results are larger than the request allows."""


def main() -> None:
    """Open the snapshot, give up every right that is left, and answer until stdin ends."""
    source, sink = _take_streams()
    start = receive(source)
    if start is None:
        return
    try:
        connection = _open(start)
        _give_up_rights(start["parent"])
    except Exception as error:
        send(sink, {"state": "failed", "message": f"{type(error).__name__}: {error}"[:MOST_MESSAGE_CHARACTERS]})
        return
    send(sink, {"state": "ready"})
    while (request := receive(source)) is not None:
        # The kernel ends this process if the parent is not there to do it at its deadline.
        signal.setitimer(signal.ITIMER_REAL, start["patience_s"])
        header, body = answer(connection, request)
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        send(sink, header, body)


def receive(source: BinaryIO) -> dict[str, Any] | None:
    """Read one frame's header; None at the end of the stream."""
    prefix = source.read(FRAME.size)
    if len(prefix) < FRAME.size:
        return None
    header: dict[str, Any] = json.loads(source.read(FRAME.unpack(prefix)[0]))
    return header


def send(sink: BinaryIO, header: dict[str, Any], body: tuple[memoryview, ...] = ()) -> None:
    """Write one frame."""
    text = json.dumps(header).encode()
    sink.write(FRAME.pack(len(text), sum(len(part) for part in body)) + text)
    for part in body:
        sink.write(part)
    sink.flush()


def answer(
    connection: duckdb.DuckDBPyConnection, request: dict[str, Any]
) -> tuple[dict[str, Any], tuple[memoryview, ...]]:
    """Run the steps of a request in order; return the header and the body of the answer."""
    seconds: list[float] = []
    body: list[memoryview] = []
    left = request["max_bytes"]
    step = 0
    try:
        for step, sql in enumerate(request["steps"]):
            began = time.perf_counter()
            if step in request["returns"]:
                body.append(_table(connection, sql, left))
                left -= len(body[-1])
            else:
                connection.execute(sql).complete()
            seconds.append(time.perf_counter() - began)
    except TooLarge:
        return {"state": "size"}, ()
    except MemoryError:
        return {"state": "memory"}, ()
    except Exception as error:
        return _refusal(error, step), ()
    finally:
        connection.abort()
    return {"state": "done", "seconds": seconds, "sizes": [len(part) for part in body]}, tuple(body)


def _table(connection: duckdb.DuckDBPyConnection, sql: str, most_bytes: int) -> memoryview:
    """Return the rows of a query as an Arrow IPC stream; stops reading them when they are too many."""
    import pyarrow as pa

    relation = _relation(connection, sql)
    if relation is None:
        raise ValueError("a step that returns must be a query")
    sink = pa.BufferOutputStream()
    with relation.to_arrow_reader(_BATCH_ROWS) as reader, pa.ipc.new_stream(sink, reader.schema) as writer:
        for batch in reader:
            writer.write_batch(batch)
            if sink.tell() > most_bytes:
                raise TooLarge
    if sink.tell() > most_bytes:
        raise TooLarge
    return memoryview(sink.getvalue())


def _relation(connection: duckdb.DuckDBPyConnection, sql: str) -> duckdb.DuckDBPyRelation | None:
    """Prepare a query whose rows are read as they are made."""
    import duckdb

    try:
        return connection.sql(sql)
    except (duckdb.BinderException, duckdb.CatalogException):
        # The same refusal from ``execute`` names the line.
        connection.execute(sql)
        raise


def _refusal(error: Exception, step: int) -> dict[str, Any]:
    kind, message = _kind(error), str(error)
    if kind == "OutOfMemoryException" or "bad_alloc" in message:
        return {"state": "memory"}
    if kind == "InterruptException":
        return {"state": "time"}
    return {"state": "refused", "kind": kind, "message": message[:MOST_MESSAGE_CHARACTERS], "step": step}


def _kind(error: Exception) -> str:
    """Return the class name of DuckDB's exception; Arrow turns it into an OSError once rows have begun to flow."""
    category, is_duckdb, _ = str(error).partition(" Error: ")
    if isinstance(error, OSError) and is_duckdb:
        return category.title().replace(" ", "") + "Exception"
    return type(error).__name__


def _take_streams() -> tuple[BinaryIO, BinaryIO]:
    """Return stdin and stdout under other numbers: whatever DuckDB may print ends in stderr, which nobody reads."""
    source = os.fdopen(os.dup(0), "rb")
    sink = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 0)
    os.dup2(2, 1)
    return source, sink


def _open(start: dict[str, Any]) -> duckdb.DuckDBPyConnection:
    """Open the snapshot and lock every setting. Its tables are found by full name only, so no view can be missed.

    Everything that DuckDB and Arrow load on first use is loaded by one query here: later there are no files to load
    from.
    """
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_FSIZE, 0)
    _limit(resource.RLIMIT_NOFILE, 64)
    if sys.platform == "linux":
        _limit(resource.RLIMIT_AS, start["address_space_bytes"])
    sys.path += start["packages"]
    import duckdb

    config: dict[str, str | bool | int | float | list[str]] = {
        "threads": start["threads"],
        "async_threads": 1,
        "memory_limit": start["memory"],
        "temp_directory": "",
    }
    connection = duckdb.connect(":memory:", config=config)
    database = start["database"].replace("'", "''")
    connection.execute(f"ATTACH '{database}' AS snapshot (READ_ONLY)")
    for setting in _SETTINGS:
        connection.execute("SET " + setting.format(query_ms=start["query_ms"]))
    _table(connection, "SELECT 1, 'a', DATE '2024-01-01', TIMESTAMP '2024-01-01', 1.5::DECIMAL(4, 1)", 1_000_000)
    return connection


def _give_up_rights(parent: int) -> None:
    """Become nobody, start no further process or thread, and die with the parent.

    In this order: a change of user clears the wish to die with the parent. Root without the right to change users, as
    in a container that dropped it, has none of the rights that matter here either.
    """
    if os.getuid() == 0:
        try:
            os.setgroups([])
            os.setgid(_NOBODY)
            os.setuid(_NOBODY)
        except OSError:
            pass
    _limit(resource.RLIMIT_NPROC, 0)
    if sys.platform == "linux":
        libc = ctypes.CDLL(None)
        libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.uname().machine == "x86_64":
            _wall_in(libc)
    if os.getppid() != parent:
        raise RuntimeError("the parent has ended")


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("code", ctypes.c_char_p))


def _wall_in(libc: ctypes.CDLL) -> None:
    """Have the kernel refuse all other system calls, in every thread (seccomp(2), a classic BPF program).

    A kernel or a container that does not know how leaves the process without this wall.
    """
    load, equal, give = 0x20, 0x15, 0x06
    numbers = sorted(_SYSTEM_CALLS.values())
    code = [(load, 0, 0, 4), (equal, 1, 0, _AUDIT_X86_64), (give, 0, 0, _REFUSE), (load, 0, 0, 0)]
    code += [(equal, len(numbers) - place, 0, number) for place, number in enumerate(numbers)]
    code += [(give, 0, 0, _REFUSE), (give, 0, 0, _ALLOW)]
    text = b"".join(struct.pack("=HBBI", *line) for line in code)
    libc.syscall(_SECCOMP, _FILTER, _ALL_THREADS, ctypes.byref(_Program(len(code), text)))


def _limit(what: int, value: int) -> None:
    """Lower a limit for good; one that is lower already stays."""
    hard = resource.getrlimit(what)[1]
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(what, (value, value))


if __name__ == "__main__":
    main()
