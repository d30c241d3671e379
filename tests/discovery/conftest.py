"""A part of the demo company, anew for each module."""

from __future__ import annotations

from pathlib import Path

import pytest

from beton.bootstrap import build_services
from beton.config import Settings
from beton.demo.company import write
from beton.demo.sizes import CompanySize
from beton.services import Services


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("discovery")
    write(folder / "files", size=CompanySize().scaled(0.4))
    build_services(Settings(data_dir=folder)).workspace.import_files(folder / "files" / "mapping.yaml")
    return folder


@pytest.fixture(scope="module")
def services(company: Path) -> Services:
    return build_services(Settings(data_dir=company))
