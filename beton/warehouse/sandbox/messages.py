"""What DuckDB says of a query that it could not run, in one or two plain sentences at a place in the user's text.

Only what the user wrote, columns of the four tables and values of the data come through: no names of our own tables and
no settings. The text is data and stays text; whoever shows it escapes it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from difflib import get_close_matches
from typing import Final

from beton.errors import SqlError

PREAMBLE_LINES: Final = 1
_MAX_PART: Final = 80
_MAX_MESSAGE: Final = 300

_Made = Callable[[dict[str, str]], str]


def friendly(kind: str, message: str, sql: str) -> SqlError:
    """Turn DuckDB's refusal of a wrapped query into an error about the query.

    Args:
        kind: the class name of DuckDB's exception, such as ``BinderException``.
        message: its text, with the place in the executed statement, whose first line is ours.
        sql: the query as the user wrote it.
    """
    text, line, column = _place(message, sql)
    text = re.sub(r"^[A-Z][\w ]*? Error: ", "", text)
    for pattern, made in _RULES:
        if found := pattern.match(text):
            parts = {name: value or "" for name, value in found.groupdict().items()}
            said = made({name: value if name == "near" else _part(value) for name, value in parts.items()})
            break
    else:
        said = _plain(kind, text)
    if _leaks(said, sql):
        said = _GENERAL
    return SqlError(said[:_MAX_MESSAGE], line, column)


_GENERAL: Final = "The query cannot be run as it stands: check its columns, types and functions."
# Kinds whose messages are about the query, not about files, settings or the engine itself.
_SPEAKING: Final = frozenset(
    f"{kind}Exception"
    for kind in "Binder Catalog Conversion InvalidInput NotImplemented OutOfRange Parser Syntax TypeMismatch".split()
)


def _plain(kind: str, text: str) -> str:
    """Return the first line of a message that no rule knows, as a sentence."""
    first = text.strip().split("\n")[0].rstrip(" .!")
    if kind not in _SPEAKING or not first or _PATHS.search(first):
        return _GENERAL
    return f"{first[: _MAX_MESSAGE - 40]}: change the query here and run it again."


# Names of ours, settings, and files. What the user wrote themselves may be said back.
_NAMES: Final = re.compile(
    r'\b(?:snapshot|store|system|temp|memory|main|pg_catalog)"?\.\w+|\w*\.duckdb\b|\bSET\s+"?\w+'
    r"|\b(?:user|company|unit|event)_key\b|\b(?:rel|t0|at|created|closed)_s\b|\baccount_offset_s\b|\b__\w+|\w+__set\w*"
    r"|\bunnamed_subquery\w*"
)
_PATHS: Final = re.compile(r"(?<![\w'])/[\w.-]+/|\b[A-Z]:\\")


def _leaks(said: str, sql: str) -> bool:
    return any(found[0] not in sql for found in _NAMES.finditer(said))


def _part(value: str) -> str:
    value = " ".join(value.split())
    return value if len(value) <= _MAX_PART else value[: _MAX_PART - 1] + "…"


def _place(message: str, sql: str) -> tuple[str, int | None, int | None]:
    """Split DuckDB's echo of the line off a message; return the rest with line and column in the query.

    The echo is ``LINE 3: <the line, or a part of it between dots>`` over a line with a caret below the place.
    """
    found = re.search(r"\n+LINE (?P<line>\d+): (?P<echo>[^\n]*)(?:\n(?P<mark> *\^)?)?", message)
    if found is None:
        return message, None, None
    text, lines = message[: found.start()], sql.split("\n")
    number = int(found["line"]) - PREAMBLE_LINES
    if not 1 <= number <= len(lines):
        return text, None, None
    line, echo = lines[number - 1], found["echo"]
    shown = echo.removeprefix("...").removesuffix("...")
    start = line.find(shown)
    if found["mark"] is None or start < 0:
        return text, number, None
    before = len(found["mark"]) - 1 - len(f"LINE {found['line']}: ") - (len(echo) - len(echo.removeprefix("...")))
    return text, number, _nearest_word(line, start + max(before, 0), text) + 1


def _nearest_word(line: str, guess: int, text: str) -> int:
    """Correct the place where wide characters have moved the caret: the name in quotes stands nearest to it."""
    name = re.search(r'"([^"]+)"', text)
    starts = [found.start() for found in re.finditer(re.escape(name[1]), line)] if name else []
    nearest = min(starts, key=lambda start: abs(start - guess), default=guess)
    is_off = not line.isascii() and abs(nearest - guess) > 0
    return min(nearest if is_off else guess, max(len(line) - 1, 0))


def _hint(parts: dict[str, str]) -> str:
    """Say which of DuckDB's candidates the name may mean; none of our own columns is among them."""
    names = [name for name in re.findall(r'"([^"]+)"', parts["near"]) if not _NAMES.search(name)]
    close = get_close_matches(parts["name"].lower(), names, 1, 0.7)
    if close:
        return f"; did you mean {close[0]}?"
    return f"; the nearest names: {', '.join(names)}." if names else "."


_OPERATORS: Final = {"~~": "LIKE", "!~~": "NOT LIKE", "~~*": "ILIKE", "!~~*": "NOT ILIKE", "array_extract": "[...]"}
_LITERALS: Final = {"STRING_LITERAL": "VARCHAR", "INTEGER_LITERAL": "INTEGER", "INT32": "INTEGER", "INT64": "BIGINT"}


def _typed(text: str) -> str:
    return re.sub(r"\w+", lambda found: _LITERALS.get(found[0], found[0]), text)


def _arguments(parts: dict[str, str]) -> str:
    name = _OPERATORS.get(parts["name"], parts["name"])
    types = _typed(parts["types"])
    return f"{name} does not work with ({types}): convert a value with CAST(... AS ...), or give other arguments."


def _compare(parts: dict[str, str]) -> str:
    left, right = _typed(parts["left"]), _typed(parts["right"])
    return f"{left} and {right} cannot be compared: convert one side with CAST(... AS ...)."


def _cast(parts: dict[str, str]) -> str:
    return f"{parts['value']} is not a value of type {_typed(parts['type'])}: correct it, or use TRY_CAST."


def _ambiguous(parts: dict[str, str]) -> str:
    names = re.findall(r"'([^']+)'", parts["near"])
    write = " or ".join(names) or "its table and a dot before it"
    return f"More than one table has a column {parts['name']}: write {write}."


def _said(template: str) -> _Made:
    return lambda parts: template.format(**parts)


_NEAR: Final = r"(?:\s*Candidate (?:bindings|tables|Entries|entries): (?P<near>.*))?"
_RULES: Final[tuple[tuple[re.Pattern[str], _Made], ...]] = tuple(
    (re.compile(pattern, re.DOTALL), made)
    for pattern, made in (
        (
            r'Referenced column "(?P<name>.*?)" not found in FROM clause!' + _NEAR,
            lambda parts: f"There is no column {parts['name']}{_hint(parts)}",
        ),
        (
            r'Column "(?P<name>.*?)" in (?P<where>\w+) list not found in FROM clause' + _NEAR,
            lambda parts: f"There is no column {parts['name']} for {parts['where']}{_hint(parts)}",
        ),
        (
            r'Referenced column "(?P<name>.*?)" was not found because the FROM clause is missing',
            _said("There is no column {name} without a table: add FROM events, users, companies or deals."),
        ),
        (
            r'(?:Values list|Table) "(?P<table>.*?)" does not have a column named "(?P<name>.*?)"' + _NEAR,
            lambda parts: f"There is no column {parts['name']} in {parts['table']}{_hint(parts)}",
        ),
        (
            r'Referenced table "(?P<name>.*?)" not found!' + _NEAR,
            lambda parts: f"There is no table {parts['name']} in this FROM{_hint(parts)}",
        ),
        (r'Ambiguous reference to column name "(?P<name>.*?)"(?P<near>.*)', _ambiguous),
        (
            r'Ambiguous reference to table "(?P<name>.*?)"',
            _said("Two tables are called {name}: give each another name with AS."),
        ),
        (
            r'[Cc]olumn "?(?P<name>.*?)"? must appear in the GROUP BY clause',
            _said("{name} is neither grouped nor aggregated: add it to GROUP BY, or write any_value({name})."),
        ),
        (
            r"(?P<where>\w+) clause cannot contain aggregates",
            _said("{where} cannot hold an aggregate such as count(*): put the condition into HAVING."),
        ),
        (
            r"(?P<where>\w+) clause cannot contain window functions",
            _said("{where} cannot hold a window function: put the condition into QUALIFY."),
        ),
        (
            r"Window functions are not supported here",
            _said("This window function has no OVER: write OVER (PARTITION BY user_id ORDER BY timestamp)."),
        ),
        (
            r"aggregate function calls cannot be nested",
            _said("An aggregate cannot hold another one: put the inner one into a subquery."),
        ),
        (
            r"No function matches the given name and argument types '(?:json_extract\w*|->>)\([^']*BOOLEAN\)'",
            _said("Put brackets round what is taken from JSON, as in (properties ->> 'plan') = 'pro'."),
        ),
        (r"Deprecated lambda arrow", _said("Write lambda x: ... in place of x -> ..., as in lambda x: x + 1.")),
        (r"No function matches the given name and argument types '(?P<name>.*?)\((?P<types>.*?)\)'\.", _arguments),
        (
            r'Could not choose a best candidate function for the function call "(?P<name>.*?)\((?P<types>.*?)\)"\.',
            _arguments,
        ),
        (
            r'Macro "+(?P<name>\w+)"?\(\) does not support the supplied arguments',
            _said("{name} takes other arguments: check how many there are."),
        ),
        (
            r'(?:\w+ )?Function with name "?(?P<name>.*?)"? does not exist!(?P<near>.*)',
            lambda parts: f"There is no function {parts['name']}{_hint(parts)}",
        ),
        (
            r"(?:Table|View) with name (?P<name>.*?) does not exist",
            _said("There is no table {name}: a query may read events, users, companies and deals only."),
        ),
        (r"Cannot compare values of type (?P<left>.*?) and type (?P<right>.*?) - an explicit cast", _compare),
        (
            r"(?:Failed to cast value: )?Could not convert string (?P<value>'.*?'|\".*?\") to (?P<type>.*?)"
            r"(?: when casting from source column \w+)?$",
            _cast,
        ),
        (r"Type \w+ with value (?P<value>.*?) can't be cast .*?destination type (?P<type>[^\n]*)", _cast),
        (r'invalid (?P<type>\w+) field format: (?P<value>".*?"), expected', _cast),
        (r'(?P<type>\w+) field value out of range: (?P<value>".*?")', _cast),
        (
            r'Could not find key "(?P<name>.*?)" in struct' + _NEAR,
            lambda parts: f"There is no field {parts['name']}{_hint(parts)}",
        ),
        (
            r"Cannot extract field '(?P<name>.*?)' from expression",
            _said("{name} cannot be taken from this value: it has no fields. For JSON write properties ->> '{name}'."),
        ),
        (
            r"More than one row returned by a subquery",
            _said("A subquery used as a value gave several rows: use IN, LIMIT 1 with ORDER BY, or an aggregate."),
        ),
        (
            r"Subquery returns (?P<count>\d+) columns - expected (?P<want>\d+)",
            _said("This subquery returns {count} columns where {want} is needed: select only what is compared."),
        ),
        (
            r"Set operations can only apply to expressions with the same number of result columns",
            _said("Both sides of UNION, INTERSECT and EXCEPT need as many columns: or write UNION BY NAME."),
        ),
        (r"Division by zero", _said("The query divides by zero: write nullif(..., 0) round the divisor.")),
        (
            r"Overflow in (?P<what>\w+)",
            _said("A number becomes too large in this {what}: convert it with CAST(... AS DOUBLE) first."),
        ),
        (
            r"Malformed JSON(?:.*Input: (?P<value>\"[^\n]*\"))?",
            _said("{value} is not JSON: use properties, or test with json_valid."),
        ),
        (
            r'extract specifier "(?P<name>.*?)" not recognized',
            _said("There is no part of a date called {name}: use year, quarter, month, week, day, hour or minute."),
        ),
        (
            r'Could not parse string (?P<value>".*?") according to format specifier (?P<format>".*?")',
            _said("{value} does not have the format {format}: correct the format, or use try_strptime."),
        ),
        (
            r"UNNEST\(\) can only be applied to lists, structs and NULL, not (?P<type>[\w ]+)",
            lambda parts: f"unnest takes a list, not {_typed(parts['type'])}: write [...] round the values.",
        ),
        (
            r"ORDER term out of range - should be between (?P<first>\d+) and (?P<last>\d+)",
            _said("ORDER BY counts columns from {first} to {last}: write the name of the column."),
        ),
        (r"LIMIT/OFFSET cannot be negative", _said("LIMIT and OFFSET cannot be negative: write 0 or more.")),
        (r"Missing ASOF JOIN inequality", _said("An ASOF join needs one inequality: add e.timestamp >= d.created_at.")),
        (
            r'Column "(?P<name>.*?)" does not exist on (?P<side>left|right) side of join',
            _said("There is no column {name} on the {side} of this join: write ON with both columns."),
        ),
        (
            r"No columns found to join on in NATURAL JOIN",
            _said("The tables share no column: write JOIN ... ON ... instead."),
        ),
        (
            r"(?:Star expression|No matching columns found)",
            _said("No column has such a name here: check the columns that the query selects."),
        ),
        (r"Type TUPLE.* does not match", _said("The two sides have different numbers of values: make them as many.")),
        (
            r"Max(?:imum)? (?:expression )?(?:recursion )?depth",
            _said("The query is nested too deeply: split it with WITH."),
        ),
    )
)
