from __future__ import annotations

from pathlib import Path

import pytest
from company_files import Files


@pytest.fixture
def files(tmp_path: Path) -> Files:
    """A workspace to come, with one user and one event in two CSV files."""
    return Files(tmp_path)
