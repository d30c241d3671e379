"""Commands on backtests that have been: list, show, compare, and the ledger of all tests."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from beton.terminal import AsJson, open_services, print_result

if TYPE_CHECKING:
    from beton.model.ledger import Hypothesis
    from beton.services.history import Comparison, HistoryRow, Side

RunId = Annotated[
    str, typer.Argument(metavar="BACKTEST", help="Its id, or the beginning of it, as `beton backtests list` shows it.")
]

backtests = typer.Typer(help="List the backtests that were run; show or compare them.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the group ``backtests``."""
    app.add_typer(backtests, name="backtests")


@backtests.command("list")
def list_(
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many, from the newest.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List the last backtests, newest first, with their verdicts under today's settings."""
    from beton.model import text

    found = open_services().history.page(limit)
    header = ("Backtest", "Name", "When", "Data", "Lift", "95%", "Test", "Verdict")
    rows = [header, *map(_row, found)]
    print_result(text.aligned(rows) if found else "No backtest has run yet: `beton backtest FILE`.", found, as_json)


def _row(each: HistoryRow) -> tuple[str, ...]:
    from beton.cli_text import limits
    from beton.model import text

    return (
        each.id[:12],
        each.name,
        text.date_time(each.created_at),
        each.snapshot_version,
        text.lift(each.lift),
        text.MISSING if each.interval is None else limits(each.interval, text.lift),
        text.MISSING if each.standing is None else text.count(each.standing.number),
        _verdict(each),
    )


def _verdict(each: HistoryRow) -> str:
    return each.status if each.verdict is None else each.verdict.label


@backtests.command()
def show(backtest: RunId, as_json: AsJson = False) -> None:
    """Show one backtest as it was measured, read under today's settings, with its place among all tests."""
    from beton.cli_text import report_json, report_text

    services = open_services()
    run_id = services.history.find(backtest)
    report = services.backtests.report(run_id)
    standing = services.ledger.standing(run_id)
    lines = [report_text(report), *([] if standing is None else [f"\n{standing.sentence}."])]
    print_result("\n".join(lines), {**report_json(report), "standing": standing}, as_json)


@backtests.command()
def compare(
    first: RunId,
    second: RunId,
    third: Annotated[str, typer.Argument(metavar="[BACKTEST]", help="A third one, if wanted.")] = "",
    as_json: AsJson = False,
) -> None:
    """Compare two or three backtests, and say whether their lifts are of the same people, outcome and data."""
    history = open_services().history
    found = history.compare([history.find(each) for each in (first, second, third) if each])
    print_result(_comparison_text(found), _comparison_json(found), as_json)


def _comparison_text(found: Comparison) -> str:
    from beton.model import text

    columns = [_side_column(side) for side in found.sides]
    rows = [tuple(cells) for cells in zip(_HEADINGS, *columns, strict=True)]
    asked = [line for number, side in enumerate(found.sides, start=1) for line in _definition(number, side)]
    notes = found.cautions or ("The same people, the same outcome and the same data.",)
    return "\n".join([text.aligned(rows), *asked, "\nComparable?", *(f"  {note}" for note in notes)])


_HEADINGS = ("", "Verdict", "Lift", "95%", "n with signal", "p-value", "Data", "When")


def _side_column(side: Side) -> Sequence[str]:
    from beton.cli_text import limits
    from beton.model import text
    from beton.model.evidence import Measured

    row, result = side.row, None if side.report is None else side.report.evidence.result
    return (
        row.name,
        _verdict(row),
        text.lift(row.lift),
        text.MISSING if row.interval is None else limits(row.interval, text.lift),
        text.count(row.units),
        text.p_value(result.p_value if isinstance(result, Measured) else math.nan),
        row.snapshot_version,
        text.date_time(row.created_at),
    )


def _definition(number: int, side: Side) -> list[str]:
    """The parts of a definition; a star marks the lines that no other has."""
    lines = [f"\n{number}. {side.row.name}"]
    for part in side.parts:
        lines += [f"  {part.heading}:", *(f"  {'*' if line.differs else ' '} {line.text}" for line in part.lines)]
    return lines


def _comparison_json(found: Comparison) -> dict[str, Any]:
    from beton.cli_text import report_json

    sides = [
        {"run": side.row, "definition": side.parts, "report": None if side.report is None else report_json(side.report)}
        for side in found.sides
    ]
    return {"sides": sides, "cautions": found.cautions}


@backtests.command()
def ledger(as_json: AsJson = False) -> None:
    """List every test that was asked, in order, with the threshold that its p-value had to meet (LORD++)."""
    from beton.model import text

    sheet = open_services().ledger.sheet()
    rows = [("Test", "Backtest", "Name", "p-value", "At most", "Result"), *map(_test, sheet.hypotheses)]
    shown = f"{sheet.sentence}\n\n{text.aligned(rows)}" if sheet.hypotheses else sheet.sentence
    print_result(shown, sheet, as_json)


def _test(each: Hypothesis) -> tuple[str, ...]:
    from beton.model import text

    limit, p = each.standing.written
    result = "holds" if each.standing.holds else "does not hold"
    return (text.count(each.standing.number), each.run_id[:12], each.name, p, limit, result)
