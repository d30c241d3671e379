from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from beton.jobs.queue import Jobs
from beton.records.database import Database, open_database, sqlite_url

Until = Callable[[Callable[[], bool]], None]


@pytest.fixture
def url(tmp_path: Path) -> str:
    return sqlite_url(tmp_path / "app.sqlite3")


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    opened = open_database(url)
    yield opened
    opened.close()


@pytest.fixture
def jobs(database: Database) -> Jobs:
    return Jobs(database)


@pytest.fixture
def noon() -> datetime:
    return datetime(2024, 6, 1, 12, 0, 0, 123456, tzinfo=UTC)


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
