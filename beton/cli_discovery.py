"""Commands of discovery; ``register`` adds them to the command line."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Any

import typer

from beton.cli_runs import runs
from beton.errors import InputError
from beton.terminal import AsJson, Progress, open_services, print_result

if TYPE_CHECKING:
    from beton.model.discovery import DiscoveryResult, DiscoverySettings, Estimate, Finding, ShuffleTest
    from beton.model.outcome import Outcome
    from beton.records.rows import JobRecord
    from beton.services.discovery import Discovery, DiscoveryRun


def register(app: typer.Typer) -> None:
    """Add ``discover`` and the group ``runs``."""
    app.command()(discover)
    app.add_typer(runs, name="runs")


def discover(
    outcome: Annotated[
        str, typer.Option(help="What counts: 'deal won', 'deal created', or the name of an event; default: the data's.")
    ] = "",
    holdout_from: Annotated[
        str, typer.Option(metavar="DATE", help="First signup date of the later cohorts; default: 30% are held out.")
    ] = "",
    shuffle: Annotated[
        int | None,
        typer.Option(min=1, metavar="ROUNDS", help="Search so many worlds with shuffled outcomes instead, e.g. 20."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Where random draws of outcomes begin.")] = 0,
    queue: Annotated[bool, typer.Option("--queue", help="Leave it to the worker and return at once.")] = False,
    cancel: Annotated[bool, typer.Option("--cancel", help="Stop the run that the worker has.")] = False,
    as_json: AsJson = False,
) -> None:
    """Find the signals that predict conversion, and confirm each on later cohorts."""
    from beton.model.discovery import DiscoverySettings

    if queue and cancel:
        raise InputError("--queue starts a run and --cancel stops one; give one of them")
    services, settings = open_services(), DiscoverySettings(holdout_from=holdout_from, seed=seed)
    if queue or cancel:
        job = _job(services.discovery, settings, _outcome(outcome), shuffle, queue)
        print_result(job_text(job), job, as_json)
        return
    if shuffle is not None:
        with Progress("Shuffling") as progress:
            tested = services.discovery.shuffle_test(
                settings, _outcome(outcome), shuffle, on_step=lambda stage, share: progress(share, stage)
            )
        print_result(shuffle_text(tested), {**tested.to_json(), "worlds": tested.worlds}, as_json)
        return
    with Progress("Discovering") as progress:
        found = services.discovery.run(settings, _outcome(outcome), on_step=lambda stage, share: progress(share, stage))
    print_result(run_text(found), {"id": found.id, "seconds": found.seconds, **found.result.to_json()}, as_json)


def _job(
    discovery: Discovery, settings: DiscoverySettings, outcome: Outcome | None, shuffle: int | None, queue: bool
) -> JobRecord | None:
    """Queue a run, or a shuffle test of so many rounds, or stop it."""
    if queue:
        discovery.check(settings, outcome)
    if shuffle is None:
        return discovery.request(settings, outcome) if queue else discovery.cancel()
    return discovery.request_shuffle(settings, outcome, shuffle) if queue else discovery.cancel_shuffle()


def shuffle_text(tested: ShuffleTest) -> str:
    """Say what a shuffle test found."""
    listed = ", ".join(str(each) for each in tested.listed)
    return (
        f"{tested.sentence} (seed {tested.seed}); by chance about 5% may.\n"
        f"  Signals listed in each: {listed}\n"
        "  Outcomes were dealt out anew among users who signed up in the same month: nothing is there to be found."
    )


def job_text(job: JobRecord | None) -> str:
    """Say how a job stands."""
    if job is None:
        return "No discovery is waiting or running."
    stage = f", {job.stage.lower()} ({job.progress:.0%})" if job.status == "running" else ""
    return f"{job.kind.capitalize()} job {job.id[:12]}: {job.status}{stage}{f'. {job.error}' if job.error else ''}"


def _outcome(name: str) -> Any:
    from beton.model.outcome import SOURCES, Outcome

    if not name:
        return None
    return Outcome.from_dict({"source": name} if name in SOURCES else {"source": "event", "event": name})


def run_text(found: DiscoveryRun) -> str:
    """One discovery run as a page of text."""
    from beton.model import text

    result = found.result
    first = result.cohorts[0]
    demo = "  DEMO" if result.demo else ""
    head = [
        f"{result.workspace}{demo}: {text.count(result.family['all'])} candidates tested, "
        f"{len(result.findings)} signals found in {found.seconds:.1f} s",
        f"  Run {found.id[:12]}; snapshot {result.snapshot_version}",
        f"  Outcome: {result.outcome.words()} within {text.days(result.horizon_days)}, "
        f"gap {text.days(result.gap_days)}",
        f"  Learnt from {first.train.start} to {first.train.end} ({text.count(first.train.units)} users, "
        f"{text.count(first.train.converted)} converted); held out {first.holdout.start} to {first.holdout.end} "
        f"({text.count(first.holdout.units)} users, {text.count(first.holdout.converted)} converted); "
        f"{text.count(first.purged)} between",
        f"  {_permutation_text(result)}",
    ]
    steps = text.aligned((step.label, text.count(step.candidates)) for step in result.funnel).splitlines()
    funnel = "\n".join(f"{line}   {step.reason}" for line, step in zip(steps, result.funnel, strict=True))
    header = ("Signal", "rung", "train", "shrunk", "held out", "adjusted", "conf", "FWER p", "users", "evidence")
    rows = [header, *(_finding_row(each) for each in result.findings)]
    near = [f"\nNear the outcome: {each.sentence}." for each in result.near_outcome]
    notes = [f"\nNote: {note.text}" for note in result.notes]
    return "\n".join([*head, "\nFunnel", funnel, "\nSignals", text.aligned(rows), *near, *notes])


def _permutation_text(result: DiscoveryResult) -> str:
    from beton.model import text

    known, seed = result.permutation, f"seed {result.settings.seed}"
    if known is None:
        return f"Westfall-Young: not computed; {seed}"
    reach = "single conditions and pairs" if known.conditions > 1 else "single conditions"
    low = "" if known.log_p_5 is None else f"; in 5% of the rounds some p was below {math.exp(known.log_p_5):.1e}"
    return f"Westfall-Young: {known.rounds:,} rounds over {text.count(known.candidates)} {reach}, {seed}{low}"


def _finding_row(each: Finding) -> tuple[str, ...]:
    from beton.cli_text import limits
    from beton.model import text

    return (
        each.name,
        str(each.rung.level),
        estimate_text(each.train),
        f"{text.lift(each.shrunk_lift)} ({limits(each.shrunk_interval, text.lift)})",
        estimate_text(each.held_out),
        "–" if each.adjusted is None else estimate_text(each.adjusted),
        text.confidence(each.confidence),
        text.p_value(each.fwer_p),
        text.count(each.train.table.units_with + each.held_out.table.units_with),
        each.rung.label,
    )


def estimate_text(each: Estimate) -> str:
    """Write a lift with its interval."""
    from beton.cli_text import limits
    from beton.model import text

    return f"{text.lift(math.inf if each.lift is None else each.lift)} ({limits(each.interval, text.lift)})"
