"""What every command shares: services from the environment, one way to print, and a progress bar."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from beton.errors import BetonError, InputError

if TYPE_CHECKING:
    from beton.config import Settings
    from beton.services import Services

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document for machines.")]


def open_services() -> Services:
    """Return the use cases on the data directory of the environment."""
    from beton.bootstrap import build_services

    return build_services(read_settings())


def read_settings() -> Settings:
    """Read the environment; InputError names the variable that cannot be read."""
    from pydantic import ValidationError

    from beton.config import Settings

    try:
        return Settings.from_env()
    except ValidationError as problem:
        first = problem.errors()[0]
        name = "BETON_" + str(first["loc"][0]).upper().removeprefix("BETON_")
        raise InputError(f"{name}: {first['msg']}; correct the environment variable") from problem


def print_result(text: str, document: Any, as_json: bool) -> None:
    """Print ``text`` for people, or ``document`` (dataclasses and infinities allowed) as JSON."""
    if as_json:
        from beton.cli_text import plain

        text = json.dumps(plain(document), ensure_ascii=False, indent=2)
    print_text(f"{text}\n")


def print_text(text: str) -> None:
    """Write to standard output; BetonError where that cannot take it. A pipe that closed early ends the command."""
    try:
        typer.echo(text, nl=False)
    except BrokenPipeError:
        raise
    except OSError as problem:
        why = f"the result cannot be written to standard output ({problem.strerror})"
        raise BetonError(f"{why}; make room there, or send it elsewhere") from problem


class Progress:
    """A progress bar on standard error; where that is not a terminal, one line for each stage."""

    def __init__(self, title: str) -> None:
        from rich import progress
        from rich.console import Console

        console = Console(stderr=True)
        columns = (
            progress.BarColumn(),
            progress.TaskProgressColumn(),
            progress.TimeElapsedColumn(),
            progress.TextColumn("{task.description}"),
        )
        self._stage = ""
        self._bar = progress.Progress(*columns, console=console, disable=not console.is_terminal, transient=True)
        self._task = self._bar.add_task(title, total=1.0)

    def __enter__(self) -> Callable[[float, str], None]:
        self._bar.start()
        return self._report

    def _report(self, fraction: float, stage: str) -> None:
        self._bar.update(self._task, completed=fraction, description=stage)
        if self._bar.disable and stage != self._stage:
            typer.echo(f"{fraction:4.0%}  {stage}", err=True)
        self._stage = stage

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._bar.stop()
        if kind is KeyboardInterrupt:
            typer.echo("beton: stopped before it was done; run the command again to start over", err=True)
