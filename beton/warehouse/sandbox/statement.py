"""May this text be run as a query? Decided on the tree that DuckDB's own parser makes of it.

Everything that is not on a list in ``grammar`` or ``functions`` is refused, so a form that a later DuckDB adds stays
out until it is reviewed. Every refusal names what to write instead. Whether columns exist and types fit is not asked
here: running the query tells (``messages``).
"""

from __future__ import annotations

import json
import os
import re
import unicodedata
from difflib import get_close_matches
from functools import cache, lru_cache
from threading import Lock
from typing import TYPE_CHECKING, Any, Final, NoReturn

from beton.errors import SqlError
from beton.model.signal import MAX_SQL_BYTES
from beton.warehouse.sandbox.functions import ALLOWED, FIX, REFUSED, TABLE_FUNCTIONS, VALUE_WORDS
from beton.warehouse.sandbox.grammar import (
    EXPRESSION_FIELDS,
    EXPRESSIONS,
    PARTS,
    PLAIN_FIELDS,
    REFUSED_FIELDS,
    REFUSED_KINDS,
    REFUSED_WORDS,
    TYPES,
)

if TYPE_CHECKING:
    import duckdb

TABLES: Final = ("events", "users", "companies", "deals")
MAX_NESTING: Final = 50
MAX_SIGNS: Final = 10
_MAX_DEPTH: Final = 150
_MAX_SHOWN: Final = 60
_ONLY: Final = "a query may read events, users, companies and deals only"
_ONE: Final = "Only one SELECT: remove what follows the semicolon."
_DEEP: Final = "The query is nested too deeply: split it into parts with WITH."
_START: Final = "Write one SELECT, such as SELECT user_id FROM events."
_OTHER_NAMES: Final = {
    "deals": "order orders opportunity opportunities sale sales payment payments subscription subscriptions revenue",
    "companies": "account accounts organization organizations organisation organisations customer customers",
    "users": "person people contact contacts lead leads member members profile profiles",
    "events": "action actions activity activities track tracks page pages pageview pageviews session sessions log logs",
}
_SYNONYMS: Final = {name: table for table, names in _OTHER_NAMES.items() for name in names.split()}
_CLOCK_WORDS: Final = frozenset("current_date current_time current_timestamp localtime localtimestamp".split())

Scope = frozenset[str]
_lock: Final = Lock()


def check(sql: str) -> None:
    """Refuse everything but one SELECT over the four tables with the functions allowed.

    Raises:
        SqlError: with the line and column of what is refused, and what to write instead.
    """
    body(sql)


@lru_cache(maxsize=256)
def body(sql: str) -> str:
    r"""Check a query and return its text such that ``SELECT * FROM (\n<text>\n)`` holds that query and nothing else.

    That is the query without the semicolons and comments that follow it. The text is parsed in its brackets too, and
    must give the same tree: so nothing in it can close the brackets or swallow the closing one.

    Raises:
        SqlError: as in ``check``.
    """
    _refuse_odd_text(sql)
    sql = sql.rstrip()
    raw = sql.encode()
    end = _end_of_first(sql, raw)
    try:
        statements = _parse(sql, raw)
        if len(statements) != 1:
            raise SqlError(_ONE if statements else _START)
        _Walk(raw).visit(statements[0], frozenset())
        text = raw[:end].decode(errors="replace").rstrip()
        wrapped = tree(f"SELECT * FROM (\n{text}\n)").get("statements")
        is_same = _bare(wrapped) == [_in_brackets(_bare(statements[0]))]
    except RecursionError:
        raise SqlError(_DEEP) from None
    if not is_same:
        raise SqlError("The query does not stand on its own in brackets: begin it with SELECT or WITH.", 1, 1)
    return text


def place(raw: bytes, offset: int) -> tuple[int, int]:
    """Return line and column of a byte of the UTF-8 text, both from 1; the column counts characters."""
    before = raw[:offset].decode(errors="ignore")
    return before.count("\n") + 1, len(before) - before.rfind("\n")


def nearest(name: str, candidates: frozenset[str] | tuple[str, ...]) -> str | None:
    """Return the candidate that a misspelt name may mean."""
    return next(iter(get_close_matches(lowered(name), sorted(candidates), 1, 0.7)), None)


def lowered(name: str) -> str:
    """Return a name as DuckDB compares it: only A to Z have a lower case (the Kelvin sign is not a k)."""
    return "".join(letter.lower() if letter.isascii() else letter for letter in name)


def shown(name: str) -> str:
    """Return a piece of the user's text for a sentence: on one line, without what cannot be seen, cut if very long."""
    line = " ".join("".join(letter if letter.isprintable() else " " for letter in name).split())
    return line if len(line) <= _MAX_SHOWN else line[: _MAX_SHOWN - 1] + "…"


def _refuse_odd_text(sql: str) -> None:
    """Refuse what is too long, and characters that are not text."""
    for index, letter in enumerate(sql[: MAX_SQL_BYTES + 1]):
        category = unicodedata.category(letter)
        if category == "Cs" or (category == "Cc" and letter not in "\t\n\r"):
            before = sql[:index].encode()
            what = f"a character that is not text (U+{ord(letter):04X})"
            raise SqlError(f"The query has {what}: remove it.", *place(before, len(before)))
    if len(sql) > MAX_SQL_BYTES or len(sql.encode()) > MAX_SQL_BYTES:
        raise SqlError(f"The query is longer than {MAX_SQL_BYTES:,} bytes: shorten it.")


def _end_of_first(sql: str, raw: bytes) -> int:
    """Return the byte where the statement ends; only comments and semicolons may follow.

    The parser's time grows with the square of brackets in brackets and of signs in a row: thousands of them would hold
    the process for minutes. So they are counted before it is asked.
    """
    import duckdb

    kinds = duckdb.token_type
    end, ended, depth, signs = len(raw), False, 0, 0
    tokens = duckdb.tokenize(sql)
    for offset, kind in tokens:
        letter = raw[offset : offset + 1]
        is_operator = kind == kinds.operator
        if kind == kinds.comment or (is_operator and letter == b";"):
            end = min(end, offset)
            ended = ended or kind != kinds.comment
            continue
        if ended:
            raise SqlError(_ONE, *place(raw, offset))
        end = len(raw)
        depth += (letter in b"([{") - (letter in b")]}") if is_operator else 0
        signs = signs + 1 if is_operator and letter not in b"()[]{},." else 0
        if depth > MAX_NESTING or signs > MAX_SIGNS:
            raise SqlError(_DEEP, *place(raw, offset))
    return end


@cache
def _parser(process: int) -> duckdb.DuckDBPyConnection:
    """A connection that can parse and reach nothing; one per process, as none survives a fork.

    Its limit of depth does not pass on to cursors, so take ``_lock`` to use it.
    """
    import duckdb

    config: dict[str, str | bool | int | float | list[str]] = {
        "threads": 1, "memory_limit": "256MB", "temp_directory": "", "autoinstall_known_extensions": False,
        "autoload_known_extensions": False, "allow_community_extensions": False, "allow_persistent_secrets": False,
        "python_enable_replacements": False,
    }  # fmt: skip
    connection = duckdb.connect(":memory:", config=config)
    connection.execute(
        f"SET max_expression_depth = {_MAX_DEPTH}; SET enable_external_access = false;"
        "SET disabled_filesystems = 'LocalFileSystem'; SET lock_configuration = true"
    )
    return connection


@cache
def scalar_functions() -> frozenset[str]:
    """Return the functions that make one value of the values of one row."""
    kinds = "SELECT function_name FROM duckdb_functions() GROUP BY 1 HAVING bool_and(function_type = 'scalar')"
    with _lock:
        return frozenset(str(name).lower() for (name,) in _parser(os.getpid()).execute(kinds).fetchall())


def tree(text: str) -> dict[str, Any]:
    """Return what DuckDB's parser says of a text; fields at their default are left out."""
    import duckdb

    ask = "SELECT json_serialize_sql(?::VARCHAR, skip_empty := true, skip_null := true, skip_default := true)"
    try:
        with _lock:
            found = _parser(os.getpid()).execute(ask, [text]).fetchone()
    except duckdb.Error:
        raise SqlError("The query cannot be read: write one SELECT.") from None
    parsed: dict[str, Any] = json.loads(found[0]) if found else {}
    return parsed


def _parse(sql: str, raw: bytes) -> list[dict[str, Any]]:
    found = tree(sql)
    if not found.get("error"):
        statements: list[dict[str, Any]] = found.get("statements", [])
        return statements
    message = str(found.get("error_message", ""))
    at = place(raw, int(found["position"])) if "position" in found else (None, None)
    if message.startswith("Max expression depth limit"):
        raise SqlError(_DEEP)
    if message.startswith("Mixing named and positional parameters"):
        raise SqlError(REFUSED_KINDS["PARAMETER"])
    if found.get("error_type") == "not implemented":
        raise SqlError(*_not_a_select(sql, raw))
    near = re.search(r'at or near "(.*)"$', message, re.DOTALL)
    if near:
        raise SqlError(f'The query cannot be read at "{shown(near[1])}": look at what is before it.', *at)
    raise SqlError(
        f"The query cannot be read: {shown(message.splitlines()[0]) if message else 'write one SELECT'}.", *at
    )


def _not_a_select(sql: str, raw: bytes) -> tuple[str, int | None, int | None]:
    """Say why a text that is no SELECT cannot run, by its first word; PIVOT may also stand further inside."""
    import duckdb

    named = (duckdb.token_type.keyword, duckdb.token_type.identifier)
    offsets = [offset for offset, kind in duckdb.tokenize(sql) if kind in named]
    words = [
        (re.split(rb"\W", raw[offset:], maxsplit=1)[0].decode(errors="ignore").upper(), offset) for offset in offsets
    ]
    first, start = words[0] if words else ("", 0)
    for word, offset in words if first in ("SELECT", "WITH", "FROM") else words[:1]:
        if word in REFUSED_WORDS:
            return (REFUSED_WORDS[word], *place(raw, offset))
    if first in ("SELECT", "WITH", "FROM"):
        return ("The query may only read: write one SELECT.", None, None)
    return (f"{shown(first)} is not available: a query may only read. {_START}", *place(raw, start))


def _bare(value: Any) -> Any:
    """Return the tree without the places of its nodes."""
    if isinstance(value, dict):
        return {key: _bare(child) for key, child in value.items() if not key.startswith("query_location")}
    return [_bare(child) for child in value] if isinstance(value, list) else value


@cache
def _brackets() -> str:
    return json.dumps(_bare(tree("SELECT * FROM (\nSELECT 1\n)")["statements"][0]))


def _in_brackets(statement: dict[str, Any]) -> dict[str, Any]:
    around: dict[str, Any] = json.loads(_brackets())
    around["node"]["from_table"]["subquery"] = statement
    return around


class _Walk:
    """Visits every node of a tree; refuses at the place of the node, or of the last one that has a place."""

    def __init__(self, raw: bytes) -> None:
        self._raw = raw
        self._at: int | None = None

    def visit(self, value: Any, scope: Scope) -> None:
        """Refuse what is not allowed in a part of the tree. ``scope`` is the names given by WITH that it may use."""
        if isinstance(value, list):
            for child in value:
                self.visit(child, scope)
        elif isinstance(value, dict):
            if 0 <= value.get("query_location", -1) < len(self._raw):
                self._at = value["query_location"]
            self._refuse_unknown(value)
            self._refuse_by_name(value, scope)
            scope = self._named(value, scope)
            own = {lowered(value["cte_name"])} if value.get("type") == "RECURSIVE_CTE_NODE" else set()
            for key, child in value.items():
                if key != "cte_map":
                    self.visit(child, scope | own if key == "right" else scope)

    def _named(self, node: dict[str, Any], scope: Scope) -> Scope:
        """Visit the queries of WITH, each of which sees those before it, and return the scope with their names."""
        for entry in node.get("cte_map", {}).get("map", ()):
            name = lowered(entry["key"])
            if name in TABLES:
                self._refuse(f"WITH cannot rename {name}: take another name, such as my_{name}.", entry["key"])
            self.visit(entry["value"], scope)
            scope |= {name}
        return scope

    def _refuse_unknown(self, node: dict[str, Any]) -> None:
        kind = node.get("class") or node.get("type")
        if kind in REFUSED_KINDS:
            self._refuse(REFUSED_KINDS[kind])
        for field in sorted(REFUSED_FIELDS.keys() & node.keys()):
            self._refuse(*REFUSED_FIELDS[field])
        if "class" in node:
            is_known = node.get("type") in EXPRESSIONS.get(node["class"], ())
            fields = EXPRESSION_FIELDS.get(node["class"], frozenset())
        elif "type" in node:
            is_known, fields = node["type"] in PARTS, PARTS.get(node["type"], frozenset())
        else:
            is_known, fields = True, PLAIN_FIELDS
        if not is_known and isinstance(kind, str) and kind.endswith("_QUERY_NODE"):
            word = kind.removesuffix("_QUERY_NODE")
            self._refuse(f"{word} is not available: a query may only read. Write SELECT in its place.", word)
        if "function_name" in node and node.keys() & {"schema", "catalog"}:
            self._refuse(f"Write {shown(node['function_name'])} without a name and a dot before it.")
        if "type_name" in node and "schema" in node:
            self._refuse(f"Write the type {shown(node['type_name'])} without a name and a dot before it.")
        if "table_name" in node and (node.keys() & {"schema_name", "catalog_name"}):
            self._refuse_table(node["table_name"], is_qualified=True)
        if not is_known or not node.keys() <= fields:
            self._refuse("This form is not available: write it with SELECT, FROM, WHERE, GROUP BY or WITH.")

    def _refuse_by_name(self, node: dict[str, Any], scope: Scope) -> None:
        kind = node.get("class") or node.get("type")
        path = node.get("qualified_name", {}).get("path")
        if kind in ("FUNCTION", "WINDOW"):
            self._check_path(path, node["function_name"])
            self._refuse_function(node["function_name"], len(node.get("arguments", ())))
        elif kind == "TABLE_FUNCTION":
            name = node["function"]["function_name"]
            if lowered(name) not in TABLE_FUNCTIONS:
                self._refuse(f"{shown(name)} is not available: {_ONLY}.")
        elif kind == "BASE_TABLE":
            self._check_path(path, node["table_name"])
            if lowered(node["table_name"]) not in scope.union(TABLES):
                self._refuse_table(node["table_name"], scope=scope)
        elif kind == "TYPE":
            self._check_path(path, node["type_name"])
            if lowered(node["type_name"]) not in TYPES:
                near = nearest(node["type_name"], TYPES) or "VARCHAR, INTEGER, DOUBLE, DATE or TIMESTAMP"
                self._refuse(f"There is no type {shown(node['type_name'])}: use {near}.")
        elif kind == "COLUMN_REF" and len(node["column_names"]) == 1:
            self._refuse_word(node["column_names"][0])

    def _check_path(self, path: list[str] | None, name: str) -> None:
        if path is not None and path != [name]:
            self._refuse(f"Write {shown(name)} without a name and a dot before it.")

    def _refuse_function(self, name: str, arguments: int) -> None:
        plain = lowered(name)
        if plain == "age" and arguments == 1:
            self._refuse(f"age with one time is not available: {FIX['clock']}, as in age(timestamp, signed_up_at).")
        if plain in REFUSED:
            self._refuse(f"{shown(name)} is not available: {FIX[REFUSED[plain]]}.")
        if plain not in _ALLOWED:
            near = nearest(plain, _ALLOWED)
            if near is None:
                self._refuse(f"There is no function {shown(name)} for queries: {_ONLY}, with plain functions.")
            self._refuse(f"There is no function {shown(name)} for queries; did you mean {near}?")

    def _refuse_table(self, name: str, scope: Scope = frozenset(), is_qualified: bool = False) -> NoReturn:
        plain = lowered(name)
        if plain in TABLES and is_qualified:
            self._refuse(f"Write {plain} without a name and a dot before it.")
        if re.search(r"[/\\.:*]", name):
            self._refuse(f"Files cannot be read: {_ONLY}.")
        near = _SYNONYMS.get(plain) or nearest(plain, scope.union(TABLES))
        hint = f"; did you mean {near}?" if near else ":"
        self._refuse(f"The table {shown(name)} does not exist{hint} {_ONLY if not near else _ONLY.capitalize()}.")

    def _refuse_word(self, name: str) -> None:
        plain = lowered(name)
        if plain in VALUE_WORDS:
            reason = FIX["clock" if plain in _CLOCK_WORDS else "settings"]
            self._refuse(
                f"{shown(name)} is not available: {reason}. If it is a column, write its table and a dot first."
            )

    def _refuse(self, message: str, word: str | None = None) -> NoReturn:
        found = re.search(re.escape(word), self._raw.decode(), re.IGNORECASE) if word else None
        at = len(self._raw.decode()[: found.start()].encode()) if found else self._at
        raise SqlError(message, *(place(self._raw, at) if at is not None else (None, None)))


_ALLOWED: Final = frozenset(lowered(name) for name in ALLOWED)
