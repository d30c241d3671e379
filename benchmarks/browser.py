"""From the click on Run to the drawn result, measured inside the page in Chromium, the server in its own process."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from playwright.sync_api import Page, expect, sync_playwright

from benchmarks.timing import Sample

# Windows in days; the first is the warm-up. Landmarks differ, so all three charts change with every run.
WINDOWS_DAYS: Final = (3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13)
START_SECONDS: Final = 60
DISCOVERIES: Final = 3
CHROMIUM: Final = os.environ.get("CHROMIUM_PATH", "/usr/bin/chromium")
FLAGS: Final = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)

# Resolves with milliseconds from the click until the run changed, all charts were redrawn and a frame was painted.
_CLICK_AND_WATCH: Final = """
([button, limitMs]) => new Promise((resolve, reject) => {
  const run = () => document.querySelector('#result-run-id')?.textContent ?? '';
  const charts = [...document.querySelectorAll('#backtest-results .js-plotly-plot')];
  const before = run(), waiting = new Set(charts);
  if (charts.length === 0) reject(new Error('the result shows no charts'));
  let clicked = 0;
  const finish = () => requestAnimationFrame(() => {
    const painted = new MessageChannel();
    painted.port1.onmessage = () => { observer.disconnect(); resolve(performance.now() - clicked); };
    painted.port2.postMessage(0);
  });
  const look = () => { if (run() !== before && waiting.size === 0) finish(); };
  const observer = new MutationObserver(look);
  observer.observe(document.querySelector('#backtest-results'), {subtree: true, childList: true, characterData: true});
  for (const chart of charts) chart.once('plotly_afterplot', () => { waiting.delete(chart); look(); });
  setTimeout(() => reject(new Error(`nothing new after ${limitMs} ms; charts left: ${waiting.size}`)), limitMs);
  clicked = performance.now();
  document.querySelector(button).click();
})
"""

# Resolves with milliseconds from the click on a <summary> until its content has a height and a frame was painted.
_OPEN_SCHEMA: Final = """
() => new Promise((resolve) => {
  const box = [...document.querySelectorAll('details')].find((each) => /Schema/.test(each.textContent));
  box.open = false;
  const clicked = performance.now();
  box.addEventListener('toggle', () => requestAnimationFrame(() => {
    if (box.lastElementChild.offsetHeight > 0) resolve(performance.now() - clicked);
  }), {once: true});
  box.querySelector('summary').click();
})
"""

# Resolves with milliseconds from a typed letter until completions are painted.
_COMPLETE: Final = """
() => new Promise((resolve, reject) => {
  const editor = document.querySelector('.cm-content');
  const shown = () => document.querySelector('.cm-tooltip-autocomplete li');
  const typed = performance.now();
  const look = () => {
    if (shown()) resolve(performance.now() - typed);
    else if (performance.now() - typed > 5000) reject(new Error('nothing is offered'));
    else requestAnimationFrame(look);
  };
  editor.focus();
  document.execCommand('insertText', false, 'u');
  requestAnimationFrame(look);
})
"""

# Resolves with milliseconds from the click until the run is done, the list has rows and a frame was painted.
_CLICK_AND_LIST: Final = """
(limitMs) => new Promise((resolve, reject) => {
  const state = () => document.querySelector('#discovery')?.dataset.state;
  const rows = () => document.querySelectorAll('#signals-grid .ag-row').length;
  let started = false;
  const clicked = performance.now();
  const look = () => {
    started = started || ['queued', 'waiting', 'running'].includes(state());
    if (started && ['failed', 'cancelled', 'interrupted'].includes(state())) reject(new Error(state()));
    else if (started && state() === 'done' && rows() > 0) resolve(performance.now() - clicked);
    else if (performance.now() - clicked > limitMs) reject(new Error(`still ${state()} after ${limitMs} ms`));
    else requestAnimationFrame(look);
  };
  const button = document.querySelector('#discovery-run');
  if (!button || button.disabled) { reject(new Error('no discovery can be started')); return; }
  button.click();
  requestAnimationFrame(look);
})
"""


def click_to_result(workspace: Path) -> Sample:
    """Define ``onboarding_completed within N days`` on the Backtest page and run it once per window."""
    with _served(workspace) as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        try:
            page = browser.new_page(viewport={"width": 1280, "height": 1600})
            page.goto(f"{address}/backtest")
            return Sample.of(_run_all(page))
        finally:
            browser.close()


def click_to_list(workspace: Path) -> list[float]:
    """Run discoveries from the Signals page; return seconds from the click until each is done and the list is there."""
    with _served(workspace) as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        try:
            page = browser.new_page(viewport={"width": 1280, "height": 1600})
            page.goto(f"{address}/signals")
            taken = []
            for _ in range(DISCOVERIES):
                expect(page.locator("#discovery-run")).to_be_enabled(timeout=30_000)
                page.wait_for_load_state("networkidle")
                taken.append(float(page.evaluate(_CLICK_AND_LIST, 180_000)) / 1000)
            return taken
        finally:
            browser.close()


def _run_all(page: Page) -> list[float]:
    page.fill("#backtest-name", "Onboarding")
    page.locator(".builder-row .f-subject select").first.select_option("onboarding_completed")
    _set_window(page, WINDOWS_DAYS[0])
    page.click("#backtest-run")
    expect(page.locator("#result-users-with")).not_to_be_empty(timeout=30_000)
    page.wait_for_load_state("networkidle")
    taken = []
    for days in WINDOWS_DAYS[1:]:
        _set_window(page, days)
        taken.append(float(page.evaluate(_CLICK_AND_WATCH, ["#backtest-run", 30_000])))
        page.wait_for_load_state("networkidle")
    return taken


def click_to_query(workspace: Path, sql: str) -> tuple[Sample, Sample, Sample]:
    """Run ``sql`` once per window on the SQL tab; return click to result, opening the schema, opening completions."""
    with _served(workspace) as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        try:
            page = browser.new_page(viewport={"width": 1280, "height": 1600})
            page.goto(f"{address}/backtest")
            page.locator(".nav-link", has_text="SQL Query").click()
            expect(page.locator(".sql-editor[data-state=ready]")).to_be_visible(timeout=30_000)
            return _run_queries(page, sql), _opened(page, _OPEN_SCHEMA), _completed(page)
        finally:
            browser.close()


def _run_queries(page: Page, sql: str) -> Sample:
    page.fill("#sql-name", "Onboarded in SQL")
    _write(page, sql)
    page.click("#sql-run")
    expect(page.locator("#result-users-with")).not_to_be_empty(timeout=30_000)
    page.wait_for_load_state("networkidle")
    taken = []
    for days in WINDOWS_DAYS[1:]:
        page.fill("#sql-days", str(days))
        page.locator("#sql-days").blur()
        expect(page.locator("#sql-sentence")).to_contain_text(f"{days} days")
        page.wait_for_load_state("networkidle")
        taken.append(float(page.evaluate(_CLICK_AND_WATCH, ["#sql-run", 30_000])))
        page.wait_for_load_state("networkidle")
    return Sample.of(taken)


def _opened(page: Page, script: str) -> Sample:
    return Sample.of([float(page.evaluate(script)) for _ in range(5)])


def _completed(page: Page) -> Sample:
    taken = []
    for _ in range(5):
        _write(page, "SELECT ")
        taken += [float(page.evaluate(_COMPLETE))]
        page.keyboard.press("Escape")
    return Sample.of(taken)


def _write(page: Page, sql: str) -> None:
    page.get_by_role("textbox", name="SQL Query").focus()
    page.keyboard.press("Control+a")
    page.keyboard.insert_text(sql)


def _set_window(page: Page, days: int) -> None:
    """Type the window and wait until the sentence of the definition says so."""
    field = page.locator(".f-within input").first
    field.fill(str(days))
    field.blur()
    expect(page.locator("#backtest-sentence")).to_contain_text(f"{days} days")
    page.wait_for_load_state("networkidle")


@contextmanager
def _served(workspace: Path) -> Iterator[str]:
    """Yield the address of ``python -m beton serve`` on ``workspace``."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = os.environ | {"BETON_DATA_DIR": str(workspace)}
    command = [sys.executable, "-m", "beton", "serve", "--port", str(port)]
    server = subprocess.Popen(command, env=environment, cwd=Path(__file__).parent.parent, stderr=subprocess.DEVNULL)
    try:
        address = f"http://127.0.0.1:{port}"
        _wait_for(f"{address}/healthz", server)
        yield address
    finally:
        server.terminate()
        server.wait(timeout=30)


def _wait_for(address: str, server: subprocess.Popen[bytes]) -> None:
    give_up_at = time.monotonic() + START_SECONDS
    while time.monotonic() < give_up_at and server.poll() is None:
        try:
            urllib.request.urlopen(address, timeout=5).close()
            return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.1)
    raise RuntimeError("the server did not start: run `python -m beton serve` to see why")
