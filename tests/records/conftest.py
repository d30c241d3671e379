from __future__ import annotations

from datetime import datetime, timedelta

import pytest


@pytest.fixture
def later(noon: datetime) -> datetime:
    return noon + timedelta(minutes=5)
