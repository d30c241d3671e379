"""Chromium over a real server. Every test here fails if the browser's console has anything to say."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import BrowserContext, ConsoleMessage, Request
from shell_fakes import FakeSettings, services
from werkzeug.serving import WSGIRequestHandler, make_server

from app import create_app
from beton.bootstrap import build_services
from beton.config import Settings
from beton.demo.company import write
from beton.demo.sizes import CompanySize
from beton.model.signal_file import load
from beton.services import Services

OWN_HOSTS = {"127.0.0.1", "localhost"}
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)

Serve = Callable[[Any], str]


class Quiet(WSGIRequestHandler):
    """Serves without a line per request."""

    def log(self, type: str, message: str, *args: Any) -> None:
        return


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "e2e" in item.path.parts:
            item.add_marker(pytest.mark.e2e)


@pytest.fixture(scope="session")
def browser_type_launch_args() -> dict[str, Any]:
    return {"executable_path": os.environ.get("CHROMIUM_PATH", "/usr/bin/chromium"), "args": list(FLAGS)}


@pytest.fixture(scope="session")
def browser_context_args() -> dict[str, Any]:
    return {"viewport": {"width": 1280, "height": 860}, "color_scheme": "light", "locale": "en-US"}


@pytest.fixture(scope="session")
def serve() -> Iterator[Serve]:
    """Return a function that serves a WSGI app until the session ends, and returns its address."""
    running = []

    def start(wsgi: Any) -> str:
        server = make_server("127.0.0.1", 0, wsgi, threaded=True, request_handler=Quiet)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        running.append((server, thread))
        return f"http://127.0.0.1:{server.port}"

    yield start
    for server, thread in running:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(scope="session")
def shell_url(serve: Serve, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The app over a workspace that is a demo and has no signals yet."""
    return serve(create_app(services(tmp_path_factory.mktemp("data")), FakeSettings()).server)


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Services:
    """A fifth of the demo company with one saved signal."""
    folder = tmp_path_factory.mktemp("demo")
    services = build_services(Settings(data_dir=folder / "data"))
    write(folder / "files", size=CompanySize().scaled(0.2))
    services.workspace.import_files(folder / "files" / "mapping.yaml")
    services.signals.save(load(next(Path(folder / "files" / "signals").glob("01-*.yaml"))), demo=True)
    services.backtests.warm()
    return services


@pytest.fixture(scope="session")
def demo_url(serve: Serve, demo: Services) -> str:
    return serve(create_app(demo, FakeSettings()).server)


@pytest.fixture(autouse=True)
def quiet_browser(context: BrowserContext) -> Iterator[list[str]]:
    """Fail on console warnings and errors, page errors, CSP violations and requests to other hosts.

    A test that provokes one takes this list, asserts what it holds, and clears it.
    """
    heard: list[str] = []

    def hear(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            heard.append(f"console {message.type}: {message.text} ({message.location.get('url')})")

    def watch(request: Request) -> None:
        address = urlsplit(request.url)
        if address.scheme not in ("data", "blob") and address.hostname not in OWN_HOSTS:
            heard.append(f"request to {request.url}")

    context.on("console", hear)
    context.on("weberror", lambda problem: heard.append(f"page error: {problem.error}"))
    context.on("request", watch)
    yield heard
    assert heard == []
