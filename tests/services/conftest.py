from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from beton.bootstrap import build_services
from beton.config import Settings
from beton.services import Services


@pytest.fixture
def services(tmp_path: Path) -> Services:
    """Services of an empty workspace in ``tmp_path``."""
    return build_services(Settings(data_dir=tmp_path))


@pytest.fixture
def set_company(services: Services) -> Callable[..., None]:
    """Change settings as the form does: ``set_company(acv="50,000")``."""

    def change(**fields: str) -> None:
        record = services.settings.record()
        services.settings.save_form(services.settings.read().to_form() | fields, record.version)

    return change
