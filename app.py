"""The web app: ``create_app(services, settings)`` for tests and hosts, ``app:server`` for WSGI servers.

``server`` is built when it is first asked for, so importing this module needs no data.
"""

from __future__ import annotations

import logging
import re
import secrets
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol
from urllib.parse import urlsplit

from dash import Dash
from flask import Flask, Response, abort, after_this_request, request, send_file
from plotly.offline import get_plotlyjs_version
from werkzeug.middleware.proxy_fix import ProxyFix

import callbacks
from beton.errors import BetonError
from callbacks.guards import BROWSER_COOKIE, as_toast, is_browser
from layouts import routes, shell

if TYPE_CHECKING:
    from beton.services import Services

log = logging.getLogger("beton.web")

ASSETS: Final = Path(__file__).parent / "assets"
MAX_REQUEST_BYTES: Final = 2 * 1024 * 1024
ASSET_MAX_AGE_S: Final = 3600
YEAR_S: Final = 31_536_000
SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
OWN_SITE: Final = frozenset({"same-origin", "none"})
UNUSED_FEATURES: Final = ("accelerometer", "camera", "display-capture", "geolocation", "microphone", "payment", "usb")

# Dash asks for plotly.py's whole bundle (1.4 MB on the wire); charts here are cartesian (0.4 MB).
_PLOTLY_REQUEST: Final = re.compile(r"/_dash-component-suites/plotly/package_data/plotly\.min\.[^/]*js$")
_PLOTLY_ENCODINGS: Final = (("br", ".br"), ("gzip", ".gz"))

_INDEX: Final = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>@title@</title>
<link rel="icon" type="image/svg+xml" href="@icon@">
<link rel="preload" as="font" type="font/woff2" crossorigin href="@font@">
<script src="@storage@"></script>
<script src="@theme@"></script>
@css@
</head>
<body>
<div id="react-entry-point"><div class="shell boot">
<div class="sidebar"></div>
<div class="main"><div class="skeleton" role="status" aria-label="Loading">
<div class="bone bone-title"></div><div class="bone bone-line"></div>
<div class="bone bone-card"></div><div class="bone bone-card"></div>
</div></div>
</div></div>
<noscript>Beton needs JavaScript.</noscript>
@config@
@scripts@
@renderer@
</body>
</html>
"""


_INDEX_FILES: Final = {
    "@icon@": "favicon.svg",
    "@font@": "fonts/geist-latin-5.3.0.woff2",
    "@storage@": "boot/storage.js",
    "@theme@": "boot/theme.js",
}


class WebSettings(Protocol):
    """What the web app reads of ``beton.config.Settings``."""

    @property
    def base_path(self) -> str: ...
    @property
    def frame_ancestors(self) -> str: ...
    @property
    def secret_key(self) -> str: ...


class StripPrefix:
    """Serve the same app at ``/`` and below a prefix, whether or not a proxy has already removed it."""

    def __init__(self, wsgi_app: Callable[..., Iterable[bytes]], base_path: str) -> None:
        self._wsgi_app = wsgi_app
        self._prefix = base_path.rstrip("/")

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if self._prefix and (path == self._prefix or path.startswith(self._prefix + "/")):
            environ["PATH_INFO"] = path[len(self._prefix) :] or "/"
        return self._wsgi_app(environ, start_response)


class _App(Dash):
    """Dash with our own page round it: a language, the theme before the first paint, grey shapes while it loads."""

    def interpolate_index(self, **parts: Any) -> str:  # type: ignore[override]  # Dash names all eight
        after_this_request(_with_place_in_queue)
        page = _INDEX
        for mark in ("title", "css", "config", "scripts", "renderer"):
            page = page.replace(f"@{mark}@", parts[mark])
        for mark, file in _INDEX_FILES.items():
            page = page.replace(mark, f"{self.get_asset_url(file)}{_stamp(file)}")
        return page


def create_app(services: Services, settings: WebSettings) -> Dash:
    """Return the app, warmed up: ready for concurrent first requests."""
    app = _App(
        "beton",
        server=_flask(settings),  # type: ignore[arg-type]  # the stub forgets Flask
        assets_folder=str(ASSETS),
        assets_path_ignore=["boot", "lazy", "licenses", "fonts"],
        requests_pathname_prefix=settings.base_path,
        routes_pathname_prefix="/",
        title="Beton",
        update_title=None,  # type: ignore[arg-type]  # documented: leave the title to us
        compress=True,
        health_endpoint="healthz",
        suppress_callback_exceptions=True,
        on_error=_report,
        enable_mcp=False,
    )
    app.layout = shell.shell
    callbacks.register_all(app, services)
    _secure(app, settings)
    _warm(app.server)
    return app


def _flask(settings: WebSettings) -> Flask:
    server = Flask("beton", root_path=str(ASSETS.parent), static_folder=None)
    if settings.secret_key:
        server.secret_key = settings.secret_key
    server.config["MAX_CONTENT_LENGTH"] = MAX_REQUEST_BYTES
    server.config["SEND_FILE_MAX_AGE_DEFAULT"] = ASSET_MAX_AGE_S
    server.wsgi_app = ProxyFix(StripPrefix(server.wsgi_app, settings.base_path), x_for=1, x_proto=1, x_host=1)  # type: ignore[method-assign]
    server.before_request(lambda: routes.BASE_PATH.set(settings.base_path) and None)
    server.before_request(_refuse_other_sites)
    server.before_request(_slim_plotly)
    return server


def _stamp(file: str) -> str:
    # The style sheet names the font without a stamp, and a preload must match it to the letter.
    return "" if file.endswith(".woff2") else f"?m={int((ASSETS / file).stat().st_mtime)}"


def _refuse_other_sites() -> None:
    """Refuse writes that another site's page sends: Dash itself checks no token."""
    if request.method in SAFE_METHODS:
        return
    site, origin = request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin")
    same = site in OWN_SITE if site else origin is None or urlsplit(origin).netloc == request.host
    if not same:
        abort(403)


def _slim_plotly() -> Response | None:
    if not _PLOTLY_REQUEST.search(request.path):
        return None
    bundle = ASSETS / "lazy" / f"plotly-cartesian-{get_plotlyjs_version()}.min.js"
    for encoding, suffix in _PLOTLY_ENCODINGS:
        if request.accept_encodings[encoding] > 0:
            response = send_file(f"{bundle}{suffix}", mimetype="text/javascript", max_age=YEAR_S)
            response.headers["Content-Encoding"] = encoding
            response.headers["Vary"] = "Accept-Encoding"
            return response
    return None


def _with_place_in_queue(response: Response) -> Response:
    """Give a browser that has none a place in the queue of queries: a random word that says nothing about anyone."""
    if not is_browser(request.cookies.get(BROWSER_COOKIE, "")):
        word = secrets.token_hex(16)
        path = routes.BASE_PATH.get()
        response.set_cookie(BROWSER_COOKIE, word, path=path, httponly=True, secure=request.is_secure, samesite="Lax")
    return response


def _secure(app: Dash, settings: WebSettings) -> None:
    policy = _content_policy(app, settings.frame_ancestors)

    def add_headers(response: Response) -> Response:
        response.headers["Content-Security-Policy"] = policy()
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Referrer-Policy"] = "same-origin"
        response.headers["Permissions-Policy"] = ", ".join(f"{feature}=()" for feature in UNUSED_FEATURES)
        if request.is_secure:
            response.headers["Strict-Transport-Security"] = f"max-age={YEAR_S}"
        if "Cache-Control" not in response.headers:
            response.headers["Cache-Control"] = "no-store"
        return response

    app.server.after_request(add_headers)
    app.server.after_request(_read_whole)


def _read_whole(response: Response) -> Response:
    """Read a file before it is compressed: Flask-Compress takes an open file over and never closes it."""
    if response.direct_passthrough and "Content-Encoding" not in response.headers:
        response.direct_passthrough = False
        response.make_sequence()
    return response


def _content_policy(app: Dash, frame_ancestors: str) -> Callable[[], str]:
    """Return the policy's text as a function: Dash knows its inline scripts only after all callbacks exist."""
    kept: list[str] = []

    def policy() -> str:
        if not kept:
            hashes = " ".join(app.csp_hashes())
            kept.append(
                f"default-src 'self'; script-src 'self' {hashes}; style-src 'self' 'unsafe-inline'; "
                "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; object-src 'none'; "
                f"base-uri 'none'; form-action 'self'; frame-ancestors {frame_ancestors}"
            )
        return kept[0]

    return policy


def _report(problem: Exception) -> None:
    """Tell the reader that a callback failed; the page keeps what it shows. A refusal is no fault of ours to trace."""
    if isinstance(problem, BetonError):
        log.info("refused: %r", str(problem))
    else:
        log.error("callback failed", exc_info=problem)
    as_toast(problem)


def _warm(server: Flask) -> None:
    """Answer one request now: Dash fills its registry of scripts on the first one, and concurrent first requests
    of a threaded server would see it half full (plotly/dash#3971)."""
    answer = server.test_client().get("/")
    if answer.status_code != 200:
        raise RuntimeError(f"the app's first page answered {answer.status}")


def __getattr__(name: str) -> Flask:
    if name != "server":
        raise AttributeError(name)
    from beton.bootstrap import build_services
    from beton.config import Settings
    from beton.jobs.supervisor import Supervisor

    settings = Settings.from_env()
    services = build_services(settings)
    globals()["server"] = create_app(services, settings).server
    services.backtests.warm()
    if settings.worker == "auto":
        Supervisor(settings.data_dir).start()
    return globals()["server"]  # type: ignore[no-any-return]
