"""A few sandbox processes kept warm, shared out fairly, and replaced before they have seen too much.

A process never serves two people: temporary tables, macros and secrets live on its connection. One thread of the pool
starts and ends processes, so that nobody who asks waits for a start as long as a fresh process is left.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Final

from beton.errors import BetonError, SqlError
from beton.warehouse.sandbox.process import CHILD_PROGRAM, Child, Limits, QueryError, Request, Response

__all__ = ["Limits", "QueryError", "Request", "Response", "Sandbox"]

MOST_WAITING: Final = 20
MOST_PER_PERSON: Final = 3

_LOOK_S: Final = 2.0
_START_ATTEMPTS: Final = 3
_CLOSING: Final = "The sandbox is closing: run the query again."


class Sandbox:
    """Runs untrusted SQL on the current snapshot; safe to call from any thread, and after a fork.

    Nothing is started before the first request or ``warm``.

    Args:
        database: names the current snapshot and its file; whatever BetonError it raises reaches the caller.
        limits: what one request may use.
        size: requests at a time, and processes; one more is kept while all of them have been used.
        program: the program of the processes.
    """

    def __init__(
        self,
        database: Callable[[], tuple[str, Path]],
        limits: Limits = Limits(),  # noqa: B008 - a frozen value
        size: int = 2,
        program: Path = CHILD_PROGRAM,
    ) -> None:
        self._make = partial(_Pool, database, limits, size, program)
        # One pool per process: one that came through a fork has lost its thread, and its pipes are another's.
        self._pools: dict[int, _Pool] = {}
        self._finalizer = weakref.finalize(self, _close, self._pools)

    def run(self, request: Request, person: str = "local") -> Response:
        """Wait for a process and run a request in it.

        Raises:
            QueryError: DuckDB refused a step.
            SqlError: too slow, too large, too many at a time, or the process died; the message says what to do.
            BetonError: there is no snapshot, or no process can be started.
        """
        return self._pool().run(request, person)

    def warm(self) -> None:
        """Start the processes in the background, if there is a snapshot."""
        self._pool().warm()

    def close(self) -> None:
        """End every process; what runs in one fails. A later request starts anew."""
        _close(self._pools)

    def _pool(self) -> _Pool:
        process = os.getpid()
        if (pool := self._pools.get(process)) is None:
            for inherited in list(self._pools.values()):
                inherited.forget()
            pool = self._pools.setdefault(process, self._make())
        return pool


def _close(pools: dict[int, _Pool]) -> None:
    if (pool := pools.pop(os.getpid(), None)) is not None:
        pool.close()


class _Ticket:
    """A request's place in the queue: it ends with a process or with a failure."""

    def __init__(self, person: str) -> None:
        self.person = person
        self.child: Child | None = None
        self.failure: BetonError | None = None

    def ended(self) -> bool:
        return self.child is not None or self.failure is not None


class _Pool:
    """The processes of a Sandbox in one process of ours; ``_changed`` guards everything that changes."""

    def __init__(self, database: Callable[[], tuple[str, Path]], limits: Limits, size: int, program: Path) -> None:
        self._database = database
        self._limits = limits
        self._size = size
        self._program = program
        self._changed = threading.Condition()
        self._keeper: threading.Thread | None = None
        self._snapshot: str | None = None
        # Least recently used first.
        self._idle: list[Child] = []
        self._busy: list[Child] = []
        self._doomed: list[Child] = []
        self._waiting: deque[_Ticket] = deque()
        self._attempts = _START_ATTEMPTS
        self._closed = False

    def warm(self) -> None:
        with suppress(BetonError), self._changed:
            self._wake()

    def run(self, request: Request, person: str) -> Response:
        ticket = _Ticket(person)
        try:
            return self._take(ticket).ask(request)
        finally:
            self._leave(ticket)

    def close(self) -> None:
        with self._changed:
            self._closed = True
            for child in self._busy:
                child.kill()
            self._fail(SqlError(_CLOSING))
            self._changed.notify_all()
        # The garbage collector may call this from any thread.
        if self._keeper not in (None, threading.current_thread()):
            self._keeper.join()

    def forget(self) -> None:
        """Let go of the pipes that a fork has copied; the processes are our parent's."""
        for child in (*self._idle, *self._busy, *self._doomed):
            child.forget()

    def _take(self, ticket: _Ticket) -> Child:
        with self._changed:
            self._admit(ticket.person)
            self._wake()
            self._waiting.append(ticket)
            self._serve()
            self._changed.notify_all()
            self._changed.wait_for(ticket.ended, self._limits.queue_s)
            if ticket.failure is not None:
                raise ticket.failure
            if ticket.child is None:
                raise SqlError(f"Other queries kept the sandbox busy for {self._limits.queue_s:g} s: run it again.")
            return ticket.child

    def _leave(self, ticket: _Ticket) -> None:
        with self._changed:
            if ticket in self._waiting:
                self._waiting.remove(ticket)
            if (child := ticket.child) is not None:
                self._busy.remove(child)
                child.queries += 1
                worn = child.queries >= self._limits.queries or self._closed
                (self._doomed if worn else self._idle).append(child)
                self._serve()
            self._changed.notify_all()

    def _admit(self, person: str) -> None:
        mine = sum(ticket.person == person for ticket in self._waiting)
        mine += sum(child.person == person for child in self._busy)
        if mine >= MOST_PER_PERSON:
            raise SqlError(f"You have {mine} queries running or waiting: wait until one has finished.")
        if len(self._waiting) >= MOST_WAITING:
            raise SqlError(f"{len(self._waiting)} queries wait for the sandbox already: run it again in a minute.")

    def _wake(self) -> None:
        """Look which snapshot is current, and see to it that there is a keeper who tries to start processes."""
        if self._closed:
            raise SqlError(_CLOSING)
        # Looked up under the lock, or a slower thread might go back to an older one.
        self._snapshot, _ = self._database()
        self._attempts = _START_ATTEMPTS
        if self._keeper is None:
            self._keeper = threading.Thread(target=self._keep, name="sandbox keeper", daemon=True)
            self._keeper.start()
        self._changed.notify_all()

    def _serve(self) -> None:
        """Give idle processes to those who wait, first come first served; nobody has two at a time."""
        for ticket in tuple(self._waiting):
            full = len(self._busy) >= self._size
            if full or any(child.person == ticket.person for child in self._busy):
                continue
            if (child := self._suitable(ticket.person)) is not None:
                self._waiting.remove(ticket)
                self._idle.remove(child)
                self._busy.append(child)
                child.person = ticket.person
                ticket.child = child

    def _suitable(self, person: str) -> Child | None:
        """Return an idle process that this person has used, else a fresh one."""
        usable = [child for child in self._idle if self._good(child)]
        return next((child for owner in (person, None) for child in usable if child.person == owner), None)

    def _good(self, child: Child) -> bool:
        return child.snapshot == self._snapshot and child.alive()

    def _keep(self) -> None:
        """End and start processes until the pool closes.

        All of them start from this one thread, because the kernel ends a process with the thread that started it.
        """
        while True:
            with self._changed:
                # A process that was killed while it was idle does not notify anybody.
                self._changed.wait_for(self._has_work, _LOOK_S)
                doomed = self._doomed + self._unwanted()
                self._doomed = []
                self._idle = [child for child in self._idle if child not in doomed]
                start = self._short()
                last = self._closed and not self._busy
            for child in doomed:
                child.end()
            if last:
                return
            if start:
                self._start()

    def _has_work(self) -> bool:
        ends = self._closed and not self._busy
        return ends or bool(self._doomed) or self._short() or bool(self._unwanted())

    def _short(self) -> bool:
        wanted = self._size if self._has_fresh() else self._size + 1
        return self._alive() < wanted and self._attempts > 0 and not self._closed

    def _unwanted(self) -> list[Child]:
        """Return the idle processes to end: bad ones, and the longest unused one where none of a full house is fresh.

        Without a fresh one, a person who has none would have to wait for a start.
        """
        bad = [child for child in self._idle if self._closed or not self._good(child)]
        return bad or (self._idle[:1] if self._alive() > self._size and not self._has_fresh() else [])

    def _alive(self) -> int:
        return len(self._idle) + len(self._busy)

    def _has_fresh(self) -> bool:
        return any(child.person is None for child in self._idle)

    def _start(self) -> None:
        """Start one process; after too many failures in a row, those who wait are told and the next one may try."""
        try:
            child = Child(*self._database(), self._limits, self._program)
        except Exception as error:
            # Whatever it is, those who wait must hear of it, and this thread must go on.
            self._not_started(error)
            return
        with self._changed:
            self._idle.append(child)
            self._attempts = _START_ATTEMPTS
            # An import may have published another snapshot meanwhile: then this process is ended unused.
            with suppress(BetonError):
                self._snapshot, _ = self._database()
            self._serve()
            self._changed.notify_all()

    def _not_started(self, error: Exception) -> None:
        if not isinstance(error, BetonError):
            error = BetonError(f"The sandbox for SQL did not start ({error}): try again.")
        with self._changed:
            self._attempts -= 1
            if self._attempts == 0:
                self._fail(error)
                self._changed.notify_all()

    def _fail(self, failure: BetonError) -> None:
        for ticket in self._waiting:
            ticket.failure = failure
        self._waiting.clear()
