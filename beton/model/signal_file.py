"""Signals as files: YAML or JSON for conditions, SQL with a head of comments for queries.

An SQL file is the query itself. What else there is to say stands above it, in comments of known keys::

    -- name: Onboarded fast, mid-size company
    -- unit: user
    -- landmark_days: 14
    -- outcome: {source: deal won, belongs_to: account}
    SELECT user_id FROM ...

The head ends at the first line that is no such comment; a line of two dashes alone ends it as well, and is left out of
the query. Texts (``name``, ``description``, ``source``) are taken as they stand unless they begin with a quotation
mark; everything else, and a text in quotes, is YAML. Without a name, the file's is the signal's.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from beton.errors import InputError
from beton.model.signal import SignalDefinition, from_dict

MAX_FILE_BYTES: Final = 100_000
SQL_ENDING: Final = ".sql"
YAML_ENDING: Final = ".yaml"
ENDINGS: Final = (YAML_ENDING, ".yml", ".json", SQL_ENDING)

_TEXTS: Final = ("name", "description", "source")
_HEAD_KEYS: Final = (*_TEXTS, "unit", "rollup", "timing", "landmark_days", "outcome")
_HEAD_LINE: Final = re.compile(rf"[ \t]*--[ \t]*({'|'.join(_HEAD_KEYS)})[ \t]*:(.*)", re.IGNORECASE)
_END_OF_HEAD: Final = "--"


def load(path: Path) -> SignalDefinition:
    """Read one signal from a file: ``.sql`` as SQL, everything else as YAML, which reads JSON too.

    Raises:
        InputError: the sentence begins with the path, and names the line where there is one to blame.
    """
    try:
        text = _text(path)
        return _from_sql(text, path.stem) if path.suffix.lower() == SQL_ENDING else from_dict(_yaml(text))
    except InputError as problem:
        raise InputError(f"{path}: {problem}", problem.fields) from problem


def write(definition: SignalDefinition) -> tuple[str, str]:
    """Return the ending of the definition's file and its text; ``load`` reads the same definition back."""
    if not definition.sql:
        return YAML_ENDING, definition.to_yaml()
    head = [f"-- {key}: {_written(key, value)}" for key, value in definition.to_dict().items() if key != "sql"]
    if _could_be_head(definition.sql):
        head.append(_END_OF_HEAD)
    return SQL_ENDING, "\n".join([*head, definition.sql, ""])


def difference(before: SignalDefinition, after: SignalDefinition, names: tuple[str, str]) -> str:
    """Return the change between two definitions as a unified diff of their files, which ``names`` calls by name."""
    old, new = (write(each)[1].splitlines() for each in (before, after))
    return "\n".join(difflib.unified_diff(old, new, *names, lineterm=""))


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_FILE_BYTES + 1)
    except OSError as problem:
        raise InputError(f"this cannot be read ({problem.strerror}); check the file name") from problem
    if len(raw) > MAX_FILE_BYTES:
        raise InputError(f"this is larger than {MAX_FILE_BYTES:,} bytes; a signal file is a page of text")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        raise InputError("this is not UTF-8 text; save it as UTF-8") from problem


def _yaml(text: str) -> object:
    import yaml

    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as problem:
        where = getattr(problem, "problem_mark", None)
        line = f" at line {where.line + 1}" if where else ""
        fix = 'check indentation, and write operators in quotes: op: ">="'
        raise InputError(f"this is not valid YAML{line}; {fix}") from problem
    # PyYAML lets these through: an impossible date, a number of thousands of digits, lists within lists without end.
    except (ValueError, OverflowError, RecursionError) as problem:
        raise InputError("this holds a date, number or nesting that cannot be read; put it in quotes") from problem


def _from_sql(text: str, stem: str) -> SignalDefinition:
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    head, line_of, start = _head(lines)
    try:
        return from_dict({"name": stem} | head | {"sql": "\n".join(lines[start:])})
    except InputError as problem:
        key = next(iter(problem.fields), "").split(".")[0]
        line = line_of.get(key, start + 1 if key == "sql" else None)
        raise InputError(f"line {line}: {problem}" if line else str(problem), problem.fields) from problem


def _head(lines: Sequence[str]) -> tuple[dict[str, object], dict[str, int], int]:
    """Return what the head says, on which line (from 1) it says so, and the index of the query's first line."""
    said: dict[str, object] = {}
    line_of: dict[str, int] = {}
    for index, line in enumerate(lines):
        found = _HEAD_LINE.fullmatch(line)
        if found is not None:
            key = found[1].lower()
            if key in line_of:
                raise InputError(f"line {index + 1}: {key} stands on line {line_of[key]} already; keep one of them")
            said[key], line_of[key] = _value(key, found[2].strip(), index + 1), index + 1
        elif line.rstrip() == _END_OF_HEAD:
            return said, line_of, index + 1
        elif line.strip() or line_of:
            _refuse_stray_keys(lines, index)
            return said, line_of, index
    return said, line_of, len(lines)


def _value(key: str, written: str, line: int) -> object:
    if key in _TEXTS and not written.startswith(("'", '"')):
        return written
    try:
        return _yaml(written)
    except InputError as problem:
        fix = "close the quotation marks, or leave them out" if key in _TEXTS else "write it as in a YAML file"
        raise InputError(f"line {line}: {key} cannot be read; {fix}") from problem


def _refuse_stray_keys(lines: Sequence[str], start: int) -> None:
    """Refuse a known key below the head: as a mere comment it would change what the signal means without a word."""
    for number, line in enumerate(lines[start:], start=start + 1):
        if line.strip() and not line.lstrip().startswith("--"):
            return
        if found := _HEAD_LINE.fullmatch(line):
            fix = "move it up to the others, or end the head with a line of -- alone if it is a comment"
            raise InputError(f"line {number}: {found[1].lower()} stands below the head of the file; {fix}")


def _could_be_head(sql: str) -> bool:
    """Whether a query begins with comments that ``load`` would take for the head, or would refuse."""
    lines = sql.split("\n")
    code = (i for i, line in enumerate(lines) if line.strip() and not line.lstrip().startswith("--"))
    comments = lines[: next(code, len(lines))]
    return lines[0].rstrip() == _END_OF_HEAD or any(_HEAD_LINE.fullmatch(line) for line in comments)


def _written(key: str, value: Mapping[str, Any] | str | float) -> str:
    import yaml

    if key in _TEXTS and isinstance(value, str):
        if value.isprintable() and not value.startswith(("'", '"')):
            return value
        style = '"'
    else:
        style = None
    text: str = yaml.safe_dump(
        value, default_flow_style=True, default_style=style, width=float("inf"), sort_keys=False, allow_unicode=True
    )
    return text.removesuffix("\n").removesuffix("\n...")
