from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from beton.jobs.queue import Jobs
from beton.records.database import Database

Until = Callable[[Callable[[], bool]], None]


@pytest.fixture
def jobs(database: Database) -> Jobs:
    return Jobs(database)


@pytest.fixture
def until() -> Until:
    """Wait until something holds, and fail when it does not within half a minute."""
    pause = threading.Event()

    def wait(holds: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 30
        while not holds():
            assert time.monotonic() < deadline, "it never came true"
            pause.wait(0.01)

    return wait
