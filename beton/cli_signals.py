"""Commands on saved signals: list, show, switch, who carries them; and signals as files."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from beton.cli_discovery import estimate_text
from beton.errors import BetonError, InputError
from beton.terminal import AsJson, open_services, print_result, print_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from beton.services.listing import Listed
    from beton.services.signal_files import Exported, Fate, Step

SignalId = Annotated[str, typer.Argument(metavar="SIGNAL", help="Its id, as `beton signals list` shows it.")]

signals = typer.Typer(help="List, show and switch saved signals, and keep them as files.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the group ``signals``."""
    app.add_typer(signals, name="signals")


@signals.command("list")
def list_(as_json: AsJson = False) -> None:
    """List the saved signals with their evidence on the current data, the best proven first."""
    from beton.model import text
    from beton.services.listing import listing

    services = open_services()
    found = listing(services)
    if found:
        services.workspace.manifest()  # without readable data every row would be empty
    header = ("Id", "Signal", "Lift", "95%", "With", "Without", "Cohort", "Verdict", "rung", "held out", "Status")
    rows: list[tuple[str, ...]] = [header, *(_signal_row(each) for each in found)]
    shown = text.aligned(rows) if found else "No signals yet: `beton discover` finds them."
    print_result(shown, [_plain(each) for each in found], as_json)


def _signal_row(row: Listed) -> tuple[str, ...]:
    from beton.cli_text import limits
    from beton.model import text

    each, known = row.report, row.known
    judged = ("–", "–") if known is None else (str(known.rung.level), estimate_text(known.held_out))
    status = "enabled" if each.signal.enabled else "disabled"
    if each.report is None:
        proof = ("–", "–", "–", "–", "–", "Cannot tell")
    else:
        evidence, measured = each.report.evidence, each.measured
        arms = evidence.result.table
        counts = ("–", "–")
        if arms is not None:
            counts = (f"{arms.converted_with}/{arms.units_with}", f"{arms.converted_without}/{arms.units_without}")
        interval = "–" if measured is None else limits(measured.lift_interval, text.lift)
        period = text.date_range(*evidence.period) if evidence.period else "–"
        proof = (text.lift(each.lift), interval, *counts, period, each.report.reading.verdict.label)
    return (each.signal.id, each.signal.definition.name, *proof, *judged, status)


def _plain(row: Listed) -> dict[str, Any]:
    each = row.report
    signal = each.signal
    period = None if each.report is None else each.report.evidence.period
    known: dict[str, Any] = {"id": signal.id, "enabled": signal.enabled, "run_id": signal.run_id}
    known |= {"definition": signal.definition.to_dict(), "problem": each.problem}
    return known | {"result": each.measured, "lift": each.lift, "period": period, "brief": row.brief}


@signals.command()
def show(signal: SignalId, as_json: AsJson = False) -> None:
    """Show one saved signal with its proof on the current data, and what may be wrong with it."""
    from beton.cli_text import examination_text, report_json, report_text
    from beton.services.listing import best_known

    services = open_services()
    each = best_known(services, services.signals.report(signal))
    if each.report is None:
        raise InputError(each.problem or "this signal cannot be measured; backtest it again")
    found = services.examinations.of(each.signal)
    plain = {**report_json(each.report), "examination": found}
    print_result(f"{report_text(each.report)}\n{examination_text(found)}", plain, as_json)


@signals.command()
def enable(signal: SignalId) -> None:
    """Switch a signal on."""
    _switch(signal, True)


@signals.command()
def disable(signal: SignalId) -> None:
    """Switch a signal off."""
    _switch(signal, False)


@signals.command()
def users(
    signal: SignalId,
    file: Annotated[Path | None, typer.Option(help="Write here instead of to standard output.")] = None,
) -> None:
    """Export everyone who carries a signal, as CSV."""
    _, content = open_services().signals.export_csv(signal)
    if file is None:
        print_text(content)
        return
    try:
        file.write_text(content, encoding="utf-8")
    except OSError as problem:
        raise InputError(f"cannot write {file} ({problem.strerror}); choose another --file") from problem


def _switch(signal: str, enabled: bool) -> None:
    saved = open_services().signals.set_enabled(signal, enabled)
    print_text(f"{saved.id} {saved.definition.name}: {'enabled' if saved.enabled else 'disabled'}\n")


@signals.command()
def export(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Made if it is missing.")],
    enabled_only: Annotated[bool, typer.Option("--enabled-only", help="Leave out signals that are disabled.")] = False,
    as_json: AsJson = False,
) -> None:
    """Write every saved signal as a YAML or SQL file."""
    from beton.services import signal_files

    done = signal_files.export(open_services(), folder, enabled_only)
    print_result(_export_text(done, folder), done, as_json)


def _export_text(done: Exported, folder: Path) -> str:
    from beton.model import text

    lines = [*(f"  {file}" for file in done.written)]
    said = f"{text.plural(len(done.written), 'file')} written to {folder}, {len(done.unchanged)} unchanged."
    if done.others:
        lines.append(f"Left alone, because no exported signal belongs there: {', '.join(done.others)}")
    return "\n".join([said, *lines])


@signals.command()
def apply(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A folder of .yaml, .yml, .json and .sql files.")],
    plan: Annotated[bool, typer.Option("--plan", help="Show what would change, and change nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Apply without asking.")] = False,
    prune: Annotated[bool, typer.Option("--prune", help="Disable the signals that have no file.")] = False,
    as_json: AsJson = False,
) -> None:
    """Make the saved signals what the files of a folder say: show the plan, ask, then do all of it or nothing."""
    from beton.services import signal_files

    if as_json and plan == yes:
        raise InputError("with --json nobody can be asked; give either --plan or --yes")
    services = open_services()
    steps = signal_files.plan(services, folder, prune)
    pending = [step for step in steps if step.fate in signal_files.PENDING]
    if not as_json:
        print_text(f"{plan_text(steps, folder)}\n")
    if pending and not plan:
        if not yes and not _agreed():
            raise BetonError("nothing was applied; answer y, or give --yes")
        signal_files.apply(services, steps)
    is_applied = bool(pending) and not plan
    document = {"pending": len(pending), "applied": is_applied, "steps": [step.to_json() for step in steps]}
    if as_json:
        print_result("", document, as_json)
    elif is_applied:
        print_text("Applied.\n")


def _agreed() -> bool:
    typer.echo("Apply these changes? [y/N] ", nl=False, err=True)
    answer = sys.stdin.readline()
    typer.echo("" if answer.endswith("\n") else "\n", nl=False, err=True)
    return answer.strip().lower() in ("y", "yes")


_MARKS: Final[dict[Fate, str]] = {"create": "+", "change": "~", "disable": "-"}


def plan_text(steps: Sequence[Step], folder: Path) -> str:
    """Say what a plan does, one line for each signal that changes, and then how each definition does."""
    pending = [step for step in steps if step.fate in _MARKS]
    rest = [
        f"{number} {words}"
        for fate, words in (("unchanged", "unchanged"), ("left alone", f"without a file in {folder}, left alone"))
        if (number := sum(1 for step in steps if step.fate == fate))
    ]
    counts = ", ".join(
        [*(f"{number} to {fate}" for fate in _MARKS if (number := sum(1 for s in steps if s.fate == fate))), *rest]
    )
    lines = [f"  {_MARKS[step.fate]} {step.definition.name}: {_fate_words(step)}" for step in pending]
    differences = [f"\n{step.difference}" for step in pending if step.difference]
    return "\n".join([f"{counts}." if pending else f"Nothing to do: {counts}.", *lines, *differences])


def _fate_words(step: Step) -> str:
    if step.saved is None:
        return f"create from {step.file}"
    if step.fate == "disable":
        return f"disable {step.saved.id}, which has no file"
    switched_off = "" if step.saved.enabled else " (it is disabled)"
    words = "; wording only, its evidence stays valid" if step.is_wording else "; it has to be measured again"
    renamed = step.saved.definition.name != step.definition.name
    was = f" (until now {step.saved.definition.name})" if renamed else ""
    return f"change {step.saved.id}{was} to version {step.version} from {step.file}{switched_off}{words}"
