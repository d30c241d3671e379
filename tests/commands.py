"""Run the command line in this process, as a shell would: arguments and what is typed in, code and words out."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from beton import cli


class Result(NamedTuple):
    code: int
    out: str
    err: str


Run = Callable[..., Result]


def runner(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: str) -> Run:
    """Return a function that runs ``beton`` with ``words`` and then its own arguments."""

    def beton(*arguments: object, typed: str = "") -> Result:
        monkeypatch.setattr(sys, "argv", ["beton", *words, *map(str, arguments)])
        monkeypatch.setattr(sys, "stdin", io.StringIO(typed))
        code: Any = 0
        try:
            cli.main()
        except SystemExit as exit_:
            code = exit_.code or 0
        shown = capsys.readouterr()
        return Result(int(code), shown.out, shown.err)

    return beton
