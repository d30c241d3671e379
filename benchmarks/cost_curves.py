"""How cost grows with events, users and candidates: doubled one at a time, the others held."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.datasets import SEED
from benchmarks.demo_discovery import question
from benchmarks.matrices import world
from benchmarks.pairs import engine
from benchmarks.rates import elapsed_s
from beton.demo import company
from beton.demo.sizes import CompanySize
from beton.discovery.run import run
from beton.model.discovery import DiscoverySettings
from beton.model.mapping import load_mapping
from beton.warehouse.imports import import_mapping

RUNS: Final = 3
UNITS: Final = (8_500, 17_000, 34_000, 68_000)
FEATURES: Final = (500, 1_000, 2_000, 4_000)
# Of the demo company, whose users and events shrink together.
SHARES: Final = (0.25, 0.5)
AT_UNITS, AT_FEATURES = 34_000, 1_000


@dataclass(frozen=True)
class Curve:
    """Best seconds at each size; ``slope`` is that of their logarithms, 1 for cost in proportion."""

    key: str
    title: str
    x_title: str
    sizes: tuple[int, ...]
    seconds: tuple[float, ...]

    @property
    def slope(self) -> float:
        return float(np.polyfit(np.log(self.sizes), np.log(self.seconds), 1)[0])


def curves(root: Path, whole: Path, threads: int) -> list[Curve]:
    """Measure all three; ``whole`` is a workspace with the demo company in full."""
    return [
        Curve("events", "A whole discovery run", "events", *_over_events(root, whole)),
        Curve(
            "users", f"All pairs of {AT_FEATURES:,} candidates", "users", UNITS, _over(UNITS, (AT_FEATURES,), threads)
        ),
        Curve(
            "candidates",
            f"All pairs, {AT_UNITS:,} users",
            "candidates",
            FEATURES,
            _over((AT_UNITS,), FEATURES, threads),
        ),
    ]


def _over(units: tuple[int, ...], features: tuple[int, ...], threads: int) -> tuple[float, ...]:
    drawn = [world(u, f, keep_columns=False) for u in units for f in features]
    return tuple(_best_s(lambda each=each: engine(each, threads)) for each in drawn)


def _over_events(root: Path, whole: Path) -> tuple[tuple[int, ...], tuple[float, ...]]:
    workspaces = [root / f"workspace-{share:g}" for share in SHARES]
    for share, workspace in zip(SHARES, workspaces, strict=True):
        files = root / f"company-{share:g}"
        company.write(files, seed=SEED, size=CompanySize().scaled(share))
        import_mapping(workspace, load_mapping(files / "mapping.yaml"))
    asked = [question(workspace, DiscoverySettings()) for workspace in (*workspaces, whole)]
    events = tuple(each.manifest.tables["events"] for each in asked)
    return events, tuple(_best_s(lambda each=each: run(each, _silent)) for each in asked)


def _best_s(call: Callable[[], Any]) -> float:
    return min(elapsed_s(call)[0] for _ in range(RUNS))


def _silent(_stage: str, _share: float) -> None:
    pass


def as_text(measured: list[Curve]) -> str:
    """Return the curves as a Markdown table."""
    lines = ["| what | over | best s at each size | slope |", "| --- | --- | --- | --- |"]
    for curve in measured:
        points = ", ".join(f"{size:,}: {s:.3g}" for size, s in zip(curve.sizes, curve.seconds, strict=True))
        lines.append(f"| {curve.title} | {curve.x_title} | {points} | {curve.slope:.2f} |")
    return "\n".join(lines)


def picture(measured: list[Curve], file: Path) -> None:
    """Draw the curves, each on logarithmic axes, and take their picture in Chromium."""
    import plotly.graph_objects as go
    from playwright.sync_api import sync_playwright
    from plotly.subplots import make_subplots

    from benchmarks.browser import CHROMIUM, FLAGS

    titles = [f"{curve.title}<br>slope {curve.slope:.2f}" for curve in measured]
    figure = make_subplots(cols=len(measured), subplot_titles=titles, horizontal_spacing=0.08)
    for column, curve in enumerate(measured, start=1):
        figure.add_trace(
            go.Scatter(x=curve.sizes, y=curve.seconds, mode="lines+markers", line={"color": "#2563eb"}), 1, column
        )
        figure.update_xaxes(_axis(list(curve.sizes)) | {"title": curve.x_title}, row=1, col=column)
        ticks = {"type": "log", "tickvals": curve.seconds, "ticktext": [f"{s:.2g}" for s in curve.seconds]}
        figure.update_yaxes(ticks | {"title": "seconds" if column == 1 else ""}, row=1, col=column)
    figure.update_layout(width=1120, height=400, template="plotly_white", showlegend=False, margin={"t": 70, "r": 20})
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        page = browser.new_page(viewport={"width": 1140, "height": 420})
        page.set_content(figure.to_html(include_plotlyjs=True))
        page.wait_for_selector(".main-svg")
        page.locator(".plotly-graph-div").screenshot(path=file)
        browser.close()


def _axis(sizes: list[int]) -> dict[str, Any]:
    return {"type": "log", "tickvals": sizes, "ticktext": [f"{size:,}" for size in sizes]}
