"""One full company for all tests of this folder."""

from __future__ import annotations

import pytest
from planted_cohort import Cohort

from beton.demo import company


@pytest.fixture(scope="session")
def cohort(tmp_path_factory) -> Cohort:
    directory = tmp_path_factory.mktemp("company")
    company.write(directory, seed=42)
    return Cohort(directory)
