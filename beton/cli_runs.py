"""Commands on finished discovery runs: list, show, compare."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from beton.terminal import AsJson, open_services, print_result

if TYPE_CHECKING:
    from beton.discovery.compare import Comparison, Pair
    from beton.model.discovery import Finding
    from beton.services.discovery_runs import RunSummary

RunId = Annotated[str, typer.Argument(metavar="RUN", help="Its id, or the beginning of it, as `beton runs` shows it.")]

runs = typer.Typer(help="List the discovery runs; show one; compare two.")


@runs.callback(invoke_without_command=True)
def list_(context: typer.Context, as_json: AsJson = False) -> None:
    """List the discovery runs, newest first, after the state of the worker's last job."""
    if context.invoked_subcommand is not None:
        return
    from beton.cli_discovery import job_text
    from beton.model import text

    services = open_services()
    listed, job = services.discovery_runs.listed(), services.discovery.job()
    rows = [("Run", "When", "Snapshot", "Tested", "Signals", "Seconds"), *map(_row, listed)]
    shown = text.aligned(rows) if listed else "No discovery has run yet: `beton discover` starts one."
    print_result(shown if job is None else f"{job_text(job)}\n\n{shown}", listed, as_json)


def _row(each: RunSummary) -> tuple[str, ...]:
    from beton.model import text

    when, seconds = text.date_time(each.created_at), f"{each.seconds:.1f}"
    tested = text.count(each.tested) if each.is_readable else "of another version"
    return (each.id[:12], when, each.snapshot_version, tested, text.count(each.signals), seconds)


@runs.command()
def show(run: RunId, as_json: AsJson = False) -> None:
    """Show one run: what was tested, the way from candidates to signals, and what it found."""
    from beton.cli_discovery import run_text

    kept = open_services().discovery_runs
    found = kept.read(kept.find(run))
    print_result(run_text(found), {"id": found.id, "seconds": found.seconds, **found.result.to_json()}, as_json)


@runs.command()
def compare(before: RunId, after: RunId, as_json: AsJson = False) -> None:
    """Compare two runs of the same outcome: signals that are new, gone, changed and the same."""
    kept = open_services().discovery_runs
    found = kept.compare(kept.find(before), kept.find(after))
    print_result(_comparison_text(found), found, as_json)


def _comparison_text(found: Comparison) -> str:
    from beton.model import text

    counts = ", ".join(f"{len(found.of(fate))} {fate}" for fate in ("new", "gone", "changed", "same"))
    if found.identical:
        return f"{counts}: the same result, digit by digit."
    causes = [f"  {cause}" for cause in found.causes] or ["  Same data and settings: another version of Beton ran one"]
    moved = [pair for pair in found.pairs if pair.fate != "same"]
    lines = text.aligned(map(_pair_row, moved)).splitlines()
    reasons = [f"{line}   {'; '.join(pair.reasons)}".rstrip() for line, pair in zip(lines, moved, strict=True)]
    return "\n".join([counts, "\nWhat differs between the runs", *causes, *(["\nSignals", *reasons] if moved else [])])


def _pair_row(pair: Pair) -> tuple[str, ...]:
    return (pair.newest.name, pair.fate, _side(pair.before), "to", _side(pair.after))


def _side(each: Finding | None) -> str:
    from beton.model import text

    if each is None:
        return text.MISSING
    lift = text.INFINITY if each.train.lift is None else text.lift(each.train.lift)
    return f"{lift} {each.rung.label.lower()}"
