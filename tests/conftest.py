"""Makes the app importable from its tests, however pytest was started; and an empty app database."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent))

from beton.records.database import Database, open_database, sqlite_url  # importable from here on


@pytest.fixture
def url(tmp_path: Path) -> str:
    return sqlite_url(tmp_path / "app.sqlite3")


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    opened = open_database(url)
    yield opened
    opened.close()


@pytest.fixture
def noon() -> datetime:
    return datetime(2024, 6, 1, 12, 0, 0, 123456, tzinfo=UTC)
