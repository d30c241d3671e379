"""One worker process per data directory: the lock it holds, how it ends, and the thread that starts it anew."""

from __future__ import annotations

import atexit
import fcntl
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from beton.errors import InputError

if TYPE_CHECKING:
    from beton.jobs.worker import Worker

log = logging.getLogger("beton.jobs")

CHECK_S: Final = 2.0
LONGEST_CHECK_S: Final = 60.0
MOST_DOUBLINGS: Final = 10
PARENT_CHECK_S: Final = 1.0
GRACE_S: Final = 10.0

_ENDING: Final = (signal.SIGTERM, signal.SIGINT)


_LOCK: Final = "worker.lock"


@contextmanager
def worker_lock(data_dir: Path) -> Iterator[bool]:
    """Hold the lock of this directory's worker; yields False when another process has it.

    It goes with the process that holds it, however that ends.

    Raises:
        InputError: the directory cannot be written to.
    """
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        file = (data_dir / _LOCK).open("ab")
    except OSError as problem:
        why = f"{data_dir} is no directory that can be written to ({problem.strerror})"
        raise InputError(f"{why}; set BETON_DATA_DIR to one") from problem
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


def take_over(data_dir: Path, worker: Worker) -> None:
    """Let ``worker``, whose process holds the lock of this directory, succeed the one that held it before.

    The file names its last holder, which is gone. Its job then need not wait until its lease has run out.
    """
    file = data_dir / _LOCK
    worker.succeed(file.read_text(encoding="ascii", errors="replace").strip())
    file.write_text(worker.name, encoding="ascii")


def run_until_ended(worker: Worker, parent: int) -> None:
    """Run jobs until a signal asks to end, or process ``parent`` is gone (0: nobody's child).

    Jobs run in a thread of their own: a long native call would keep the main thread from hearing signals.
    A handler that does not stop within ``GRACE_S`` seconds is cut off, and its job is left to the next worker.
    """
    # Blocked and waited for: a handler could interrupt the event's own lock, and then wait for it for ever.
    signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)
    stop = threading.Event()
    runner = threading.Thread(target=worker.run_forever, args=(stop,), name="jobs", daemon=True)
    runner.start()
    while runner.is_alive() and not stop.is_set():
        if signal.sigtimedwait(_ENDING, PARENT_CHECK_S) or (parent and os.getppid() != parent):
            stop.set()
    crashed = not stop.is_set()
    runner.join(GRACE_S)
    if crashed or runner.is_alive():
        log.error("the worker ended %s", "by itself" if crashed else "in the middle of a job")
        sys.stderr.flush()
        os._exit(1)


class Supervisor:
    """A thread that keeps one worker process for a data directory, whoever started it."""

    def __init__(self, data_dir: Path, *, check_s: float = CHECK_S) -> None:
        self._data_dir = data_dir.resolve()
        self._check_s = check_s
        self._stop = threading.Event()
        self._child: subprocess.Popen[bytes] | None = None
        self._since_s = 0.0
        self._failures = 0
        self._thread = threading.Thread(target=self._watch, name="worker-supervisor", daemon=True)

    def start(self) -> None:
        """Start watching; the worker ends with this process, however that ends."""
        atexit.register(self.stop)
        self._thread.start()

    def stop(self) -> None:
        """Stop watching and end the worker, if it is this process's own."""
        atexit.unregister(self.stop)
        self._stop.set()
        self._thread.join()
        if self._child is None:
            return
        self._child.terminate()
        try:
            self._child.wait(GRACE_S)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()

    def _watch(self) -> None:
        while not self._stop.is_set():
            try:
                self._check()
            except (OSError, InputError):
                log.exception("no worker could be started; trying again")
                self._failures += 1
            self._stop.wait(self._pause_s())

    def _pause_s(self) -> float:
        """A worker that runs is looked at often; one that cannot start would fill the log."""
        if self._child is not None:
            return self._check_s
        return min(self._check_s * 2.0 ** min(self._failures, MOST_DOUBLINGS), LONGEST_CHECK_S)

    def _check(self) -> None:
        if self._child is not None:
            code = self._child.poll()
            if code is None:
                return
            self._child = None
            has_failed = code != 0 and time.monotonic() - self._since_s < LONGEST_CHECK_S
            self._failures = self._failures + 1 if has_failed else 0
            if self._failures > 1:
                return
        with worker_lock(self._data_dir) as is_free:
            pass
        if is_free:
            command = [sys.executable, "-m", "beton", "worker", "--parent", str(os.getpid())]
            self._since_s = time.monotonic()
            self._child = subprocess.Popen(command, env=os.environ | {"BETON_DATA_DIR": str(self._data_dir)})
