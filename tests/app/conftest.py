from __future__ import annotations

from pathlib import Path

import pytest
from dash import Dash
from flask.testing import FlaskClient
from shell_fakes import FakeSettings, services

from app import create_app


@pytest.fixture(scope="session")
def dash_app(tmp_path_factory: pytest.TempPathFactory) -> Dash:
    return create_app(services(tmp_path_factory.mktemp("data")), FakeSettings())


@pytest.fixture
def client(dash_app: Dash) -> FlaskClient:
    return dash_app.server.test_client()


@pytest.fixture
def prefixed(tmp_path: Path) -> FlaskClient:
    settings = FakeSettings(base_path="/apps/beton/", frame_ancestors="'self' https://portal.example")
    return create_app(services(tmp_path), settings).server.test_client()
