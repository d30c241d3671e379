from __future__ import annotations

import gzip
import importlib
import re
import sys

import brotli
import pytest
from dash import Dash
from flask.testing import FlaskClient
from plotly.offline import get_plotlyjs_version

import app as app_module

UPDATE = "/_dash-update-component"
PLOTLY = "/_dash-component-suites/plotly/package_data/plotly.min.v7_1_0m1.js"


def test_health_answers_with_and_without_the_prefix(client: FlaskClient, prefixed: FlaskClient) -> None:
    assert client.get("/healthz").text == "OK"
    assert prefixed.get("/healthz").text == prefixed.get("/apps/beton/healthz").text == "OK"


def test_the_prefix_is_served_whether_or_not_a_proxy_strips_it(prefixed: FlaskClient) -> None:
    for path in ("/", "/apps/beton", "/apps/beton/", "/apps/beton/signals"):
        page = prefixed.get(path)
        assert page.status_code == 200
        assert 'src="/apps/beton/_dash-component-suites/' in page.text
        assert 'src="/assets' not in page.text
    assert prefixed.get("/apps/betonite/healthz").text != "OK"


def test_the_page_has_a_language_and_sets_the_theme_before_any_style(client: FlaskClient) -> None:
    page = client.get("/").text
    assert page.startswith('<!DOCTYPE html>\n<html lang="en">')
    assert page.index("boot/storage.js") < page.index("boot/theme.js") < page.index("00-bootstrap.min.css")
    assert page.index("00-bootstrap") < page.index("10-tokens") < page.index("20-base") < page.index("40-parts")
    assert page.count("boot/theme.js") == 1
    assert not re.findall(r"@\w+@", page)


def test_nothing_is_loaded_from_another_host(client: FlaskClient) -> None:
    loaded = re.findall(r'(?:src|href)="([^"]+)"', client.get("/").text)
    assert loaded
    for address in loaded:
        assert address.startswith("/"), address
        assert not address.startswith("//"), address


def test_security_headers(client: FlaskClient, prefixed: FlaskClient) -> None:
    headers = client.get("/").headers
    policy = headers["Content-Security-Policy"]
    script = re.search(r"script-src ([^;]+)", policy)
    assert script is not None
    assert "'unsafe-inline'" not in script[1]
    assert "'unsafe-eval'" not in policy
    assert "frame-ancestors 'self'" in policy
    assert "object-src 'none'; base-uri 'none'; form-action 'self'" in policy
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "same-origin"
    assert "X-Frame-Options" not in headers
    assert "Strict-Transport-Security" not in headers
    assert "Strict-Transport-Security" in client.get("/", headers={"X-Forwarded-Proto": "https"}).headers
    assert client.get("/_dash-layout").headers["Cache-Control"] == "no-store"
    portal = prefixed.get("/").headers["Content-Security-Policy"]
    assert portal.endswith("frame-ancestors 'self' https://portal.example")


@pytest.mark.parametrize(
    ("headers", "allowed"),
    [
        ({}, True),
        ({"Sec-Fetch-Site": "same-origin"}, True),
        ({"Sec-Fetch-Site": "same-origin", "Origin": "https://portal.example"}, True),
        ({"Sec-Fetch-Site": "none"}, True),
        ({"Sec-Fetch-Site": "cross-site"}, False),
        ({"Sec-Fetch-Site": "same-site"}, False),
        ({"Sec-Fetch-Site": "cross-site", "Origin": "http://localhost"}, False),
        ({"Origin": "http://localhost"}, True),
        ({"Origin": "http://localhost:81"}, False),
        ({"Origin": "https://evil.example"}, False),
        ({"Origin": "null"}, False),
    ],
)
def test_writes_of_other_sites_are_refused(client: FlaskClient, headers: dict[str, str], allowed: bool) -> None:
    answer = client.post(UPDATE, data="no json", content_type="text/plain", headers=headers)
    assert answer.status_code == (415 if allowed else 403)
    assert client.get("/", headers=headers).status_code == 200


def test_large_requests_are_refused(client: FlaskClient) -> None:
    body = '{"x": "' + "a" * (2 * 1024 * 1024) + '"}'
    assert client.post(UPDATE, data=body, content_type="application/json").status_code == 413


def test_debug_and_mcp_are_off(dash_app: Dash, client: FlaskClient) -> None:
    assert not dash_app.server.debug
    assert '"ui":false' in client.get("/").text
    assert "_mcp" not in {part for rule in dash_app.server.url_map.iter_rules() for part in rule.rule.split("/")}


@pytest.mark.parametrize(
    ("accepted", "encoding", "decode"), [("br, gzip", "br", brotli.decompress), ("gzip", "gzip", gzip.decompress)]
)
def test_the_slim_chart_bundle_is_served_compressed(
    client: FlaskClient, accepted: str, encoding: str, decode: object
) -> None:
    with client.get(PLOTLY, headers={"Accept-Encoding": accepted}) as answer:
        script = decode(answer.data)  # type: ignore[operator]
    assert answer.headers["Content-Encoding"] == encoding
    assert "Accept-Encoding" in answer.headers["Vary"]
    assert "max-age=31536000" in answer.headers["Cache-Control"]
    assert f"plotly.js (cartesian - minified) v{get_plotlyjs_version()}".encode() in script[:200]


def test_both_compressions_hold_the_same_bundle_of_the_version_plotly_py_speaks() -> None:
    stem = app_module.ASSETS / "lazy" / f"plotly-cartesian-{get_plotlyjs_version()}.min.js"
    script = gzip.decompress(stem.with_name(stem.name + ".gz").read_bytes())
    assert brotli.decompress(stem.with_name(stem.name + ".br").read_bytes()) == script
    assert b"sourceMappingURL" not in script


def test_vendored_files_ask_for_nothing_and_bring_their_licences() -> None:
    for sheet in app_module.ASSETS.glob("*.css"):
        text = sheet.read_text()
        assert "sourceMappingURL" not in text
        assert "@import" not in text
        assert set(re.findall(r"url\([\"']?(.{5})", text)) <= {"data:", "fonts"}
    licences = {file.stem for file in (app_module.ASSETS / "licenses").iterdir()}
    assert {"bootstrap", "geist", "geist-mono", "plotly"} <= licences


def test_importing_the_app_needs_no_data(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("built at import")

    monkeypatch.setattr("beton.bootstrap.build_services", refuse)
    monkeypatch.delitem(sys.modules, "app")
    fresh = importlib.import_module("app")
    with pytest.raises(AssertionError, match="built at import"):
        _ = fresh.server
    with pytest.raises(AttributeError):
        _ = fresh.nothing


def cookies(client: FlaskClient, path: str = "/backtest", **headers: str) -> list[str]:
    with client.get(path, headers=headers) as answer:
        return answer.headers.getlist("Set-Cookie")


def test_a_browser_gets_its_place_in_the_queue_once(dash_app: Dash) -> None:
    client = dash_app.server.test_client()
    (cookie,) = cookies(client)
    assert re.fullmatch(r"beton_browser=[0-9a-f]{32}; HttpOnly; Path=/; SameSite=Lax", cookie)
    assert cookies(client) == []
    (other,) = cookies(dash_app.server.test_client())
    assert other != cookie


def test_the_place_is_secret_where_the_connection_is_and_lies_below_the_prefix(prefixed: FlaskClient) -> None:
    (cookie,) = cookies(prefixed, "/apps/beton/", **{"X-Forwarded-Proto": "https"})
    assert "; Secure;" in cookie
    assert "; Path=/apps/beton/;" in cookie


@pytest.mark.parametrize("given", ["", "x", "A" * 32, "a" * 33, "\u0663" * 32, "../../x", "' OR 1=1 --", "a" * 3_000])
def test_a_place_that_nobody_gave_out_is_replaced(dash_app: Dash, given: str) -> None:
    client = dash_app.server.test_client()
    client.set_cookie("beton_browser", given)
    (cookie,) = cookies(client)
    assert re.match(r"beton_browser=[0-9a-f]{32};", cookie)


def test_only_pages_give_places(dash_app: Dash) -> None:
    client = dash_app.server.test_client()
    for path in ("/healthz", "/_dash-layout", "/assets/10-shell.js"):
        assert cookies(client, path) == []


def test_the_editor_is_served_but_loaded_by_no_page(client: FlaskClient) -> None:
    assert "cm6" not in client.get("/").text
    with client.get("/assets/lazy/cm6.min.js") as answer:
        script = answer.data
    assert answer.status_code == 200
    assert b"sourceMappingURL" not in script
    named = re.search(
        r'BUNDLE = "assets/lazy/cm6.min.js\?v=([^"]+)"', (app_module.ASSETS / "26-sql-editor.js").read_text()
    )
    assert named is not None
    assert f"@codemirror/view@{named[1]} " in (app_module.ASSETS / "VENDORED.md").read_text()
