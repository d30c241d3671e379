"""The command line: the same services as the web, one command per use case.

Results go to standard output, progress and errors to standard error. ``--json`` prints one document whose shape is
documented in docs/guide/json.md. Exit codes are those of beton.errors; usage errors are Typer's 2.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from beton import cli_backtests, cli_discovery, cli_signals
from beton.errors import BetonError, InputError
from beton.model.conditions import shown
from beton.terminal import AsJson, Progress, open_services, print_result, print_text, read_settings

app = typer.Typer(
    name="beton",
    help="Find which user behaviours predict revenue, and prove each on history.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

cli_discovery.register(app)
cli_signals.register(app)
cli_backtests.register(app)

LONGEST_COUNT: Final = 12

Replace = Annotated[bool, typer.Option("--replace", help="Replace the data of another workspace.")]


def main() -> None:
    """Run the command line; a BetonError becomes one line and its exit code."""
    try:
        app()
    except BetonError as problem:
        typer.echo(f"beton: {problem}", err=True)
        for field, sentence in getattr(problem, "fields", {}).items():
            if sentence not in str(problem):
                typer.echo(f"  {field}: {sentence}", err=True)
        sys.exit(problem.exit_code)


@app.command()
def demo(
    seed: Annotated[
        int, typer.Option(min=0, help="Seed of the simulation; the same seed gives the same company.")
    ] = 42,
    replace: Replace = False,
    as_json: AsJson = False,
) -> None:
    """Build the simulated company and import it, with its ten signals."""
    with Progress("Building the demo company") as progress:
        report = open_services().workspace.build_demo(seed, replace=replace, on_progress=progress)
    _print_import(report, as_json)


@app.command("import")
def import_(
    mapping: Annotated[Path, typer.Argument(metavar="MAPPING.yaml", help="What the files hold; docs/guide/import.md.")],
    files: Annotated[Path | None, typer.Option(help="Where relative file names start; default: the mapping.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would happen and change nothing.")] = False,
    replace: Replace = False,
    allow_rejects: Annotated[bool, typer.Option(help="Import even if most rows are rejected.")] = False,
    as_json: AsJson = False,
) -> None:
    """Import CSV, Parquet or JSONL files through a mapping file."""
    from beton.cli_text import preview_text

    workspace = open_services().workspace
    if dry_run:
        preview = workspace.preview(mapping, files)
        print_result(preview_text(preview), preview, as_json)
        return
    with Progress("Importing") as progress:
        report = workspace.import_files(
            mapping, files_dir=files, replace=replace, allow_rejects=allow_rejects, on_progress=progress
        )
    _print_import(report, as_json)


@app.command()
def info(as_json: AsJson = False) -> None:
    """Show the current snapshot: tables, rows, range, version."""
    from beton.cli_text import manifest_text

    manifest = open_services().workspace.manifest()
    print_result(manifest_text(manifest), json.loads(manifest.to_json()), as_json)


@app.command()
def backtest(
    signal: Annotated[Path, typer.Argument(metavar="FILE", help="YAML, JSON or SQL; docs/guide/signals.md.")],
    save: Annotated[bool, typer.Option("--save", help="Save the signal afterwards.")] = False,
    sql: Annotated[str, typer.Option(help="Print the SQL for a dialect (duckdb, spark, clickhouse) and stop.")] = "",
    as_json: AsJson = False,
) -> None:
    """Backtest one signal on the current snapshot, time-safely."""
    from beton.cli_text import report_json, report_text
    from beton.model.signal_file import load

    definition, services = load(signal), open_services()
    if sql:
        print_text(f"{services.backtests.sql(definition, sql)}\n")
        return
    report = services.backtests.run(definition, asked_by="command line")
    if save:
        saved = services.signals.save(definition)
        typer.echo(f"Saved as {saved.id}.", err=True)
    print_result(report_text(report), report_json(report), as_json)


@app.command()
def compare(
    with_signal: Annotated[str, typer.Argument(metavar="CONVERTED/UNITS", help="With the signal, e.g. 177/1247.")],
    without: Annotated[str, typer.Argument(metavar="CONVERTED/UNITS", help="Without it, e.g. 304/8934.")],
    as_json: AsJson = False,
) -> None:
    """Print the statistics of one 2x2 table, units taken as independent."""
    from dataclasses import asdict

    from beton.cli_text import measured_text
    from beton.services.measurement import measure
    from beton.stats.proportions import TwoByTwo

    table = TwoByTwo(*_share(with_signal), *_share(without))
    if not (table.units_with and table.units_without and table.converted):
        raise InputError("each side needs at least one unit, and one of them a conversion, e.g. 177/1247 304/8934")
    measured = measure(table)
    print_result(measured_text(measured), asdict(measured), as_json)


@app.command()
def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on (BETON_HOST).")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on (BETON_PORT).")] = None,
    workers: Annotated[int, typer.Option(min=1, help="Web worker processes.")] = 1,
    as_json: AsJson = False,
) -> None:
    """Serve the web app."""
    import os

    settings = read_settings()
    bind = f"{host or settings.host}:{settings.port if port is None else port}"
    if workers > 1 and not settings.secret_key:
        raise InputError("more than one worker needs a shared secret; set BETON_SECRET_KEY")
    address = f"http://{bind}{settings.base_path}"
    os.environ["BETON_DATA_DIR"] = str(settings.data_dir.resolve())  # the server starts in the repository
    root = Path(__file__).resolve().parent.parent
    if not (root / "app.py").exists():
        raise InputError("the web app is not beside the package; run `beton serve` from a checkout of the repository")
    if as_json:
        print_result("", {"url": address, "workers": workers}, as_json)
    typer.echo(f"Beton on {address} (Ctrl+C stops it)", err=True)
    sys.stdout.flush()
    options = ["--chdir", str(root), "--bind", bind, "--workers", str(workers)]
    options += ["--worker-class", "gthread", "--threads", "8"]
    options += ["--timeout", "60", "--graceful-timeout", "30", "--no-control-socket", "--log-level", "warning"]
    os.execv(sys.executable, [sys.executable, "-m", "gunicorn", "app:server", *options])


@app.command()
def worker(
    parent: Annotated[int, typer.Option(min=0, hidden=True, help="Process without which this one ends.")] = 0,
) -> None:
    """Run long jobs, apart from the web server (set BETON_WORKER=off there)."""
    import logging

    from beton.bootstrap import build_worker
    from beton.jobs.supervisor import run_until_ended, take_over, worker_lock

    settings = read_settings()
    logging.basicConfig(format="%(asctime)s %(name)s %(levelname)s %(message)s")
    with worker_lock(settings.data_dir) as is_ours:
        if not is_ours:
            typer.echo(f"Another worker serves {settings.data_dir}; this one has nothing to do.", err=True)
            return
        ours = build_worker(settings)
        take_over(settings.data_dir, ours)
        run_until_ended(ours, parent)


def _share(text: str) -> tuple[int, int]:
    """Read ``177/1247`` as converted and units."""
    parts = [part.strip() for part in text.replace(",", "").split("/")]
    if len(parts) != 2 or not all(part.isascii() and part.isdigit() for part in parts):
        raise InputError(f"{shown(text)} is not CONVERTED/UNITS; write two whole numbers, e.g. 177/1247")
    if max(map(len, parts)) > LONGEST_COUNT:
        raise InputError(f"{shown(text)} has more than {LONGEST_COUNT} digits; no table of users is that large")
    return int(parts[0]), int(parts[1])


def _print_import(report: Any, as_json: bool) -> None:
    from beton.cli_text import import_json, import_text

    print_result(import_text(report), import_json(report), as_json)
