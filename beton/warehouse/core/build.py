"""Write the ``core`` folder of a snapshot from its tables, while it is built."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from beton.model.mapping import joined_company_column
from beton.warehouse.compile import NEVER
from beton.warehouse.connection import ident
from beton.warehouse.core.arrays import INDEX_FILE, Kind
from beton.warehouse.views import SET_S

if TYPE_CHECKING:
    import duckdb

_KINDS: Final[dict[str, Kind]] = {"VARCHAR": "text", "BOOLEAN": "boolean", "BIGINT": "number", "DOUBLE": "number"}
_LARGEST_INT32: Final = 2**31 - 1
# Columns that say who a row is and when; every other one of a known type is a property.
_KEYS: Final = {
    "events": {"user_key", "event", "rel_s", "n", "ts", "properties"},
    "users": {
        *("user_key", "user_id", "email", "company_key", "signed_up_at", "t0_s", "account_offset_s", "is_internal"),
        *("is_matched", "contact_id", "signup_month", "won_own_s", "won_account_s"),
    },
    "companies": {
        *("company_key", "company_id", "first_seen_at", "t0_s", "first_seen_month", "is_internal", "is_matched"),
        "won_s",
    },
}
_ORDER: Final = {"events": "rowid", "users": "user_key", "companies": "company_key"}


def write_core(connection: duckdb.DuckDBPyConnection, folder: Path) -> None:
    """Write the arrays of the tables in schema ``store`` and their index into ``folder``, which is made."""
    folder.mkdir()
    writer = _Writer(connection, folder)
    writer.events()
    writer.users()
    writer.companies()
    columns = {table: writer.columns(table) for table in _ORDER}
    index = {"event_names": writer.event_names, "columns": columns}
    (folder / INDEX_FILE).write_text(json.dumps(index, ensure_ascii=False), encoding="utf-8")


class _Writer:
    def __init__(self, connection: duckdb.DuckDBPyConnection, folder: Path) -> None:
        self.connection = connection
        self.folder = folder
        self.event_names: list[str] = []
        self.event_rows: NDArray[np.int64] = np.empty(0, dtype=np.int64)  # where the rows of each event begin, and end

    def save(self, name: str, values: NDArray[Any]) -> None:
        np.save(self.folder / f"{name}.npy", values)

    def fetch(self, sql: str) -> dict[str, NDArray[Any]]:
        rows: dict[str, NDArray[Any]] = self.connection.execute(sql).fetchnumpy()
        return rows

    def events(self) -> None:
        """Cut the sorted rows into pairs, and list each user's rows by time."""
        names = "SELECT unnest(enum_range(NULL::store.event_name))::VARCHAR"
        self.event_names = [name for (name,) in self.connection.execute(names).fetchall()]
        rows = self.fetch("SELECT enum_code(event)::INTEGER AS event, user_key, rel_s FROM store.events ORDER BY rowid")
        event, user, rel_s = rows["event"], rows["user_key"], rows["rel_s"]
        is_first = np.ones(rel_s.size, dtype=bool)
        is_first[1:] = (event[1:] != event[:-1]) | (user[1:] != user[:-1])
        starts = np.flatnonzero(is_first)
        before = np.add.reduceat((rel_s < 0).astype(np.int64), starts)
        codes = np.arange(len(self.event_names) + 1)
        self.event_rows = np.searchsorted(event, codes).astype(np.int64)
        self.save("event_pairs", np.searchsorted(event[starts], codes).astype(np.int64))
        self.save("pair_user", user[starts].astype(np.int32))
        self.save("pair_start", np.append(starts, rel_s.size).astype(np.int64))
        self.save("pair_zero", (starts + before).astype(np.int64))
        self.save("rel_s", rel_s.astype(np.int32))
        self._user_rows(user, rel_s)

    def _user_rows(self, user: NDArray[Any], rel_s: NDArray[Any]) -> None:
        (users,) = self.connection.execute("SELECT count(*) FROM store.users").fetchall()[0]
        after = np.flatnonzero(rel_s >= 0)
        after = after[np.lexsort((rel_s[after], user[after]))]
        self.save("user_rows", after.astype(_row_type(rel_s.size)))
        self.save("user_start", np.searchsorted(user[after], np.arange(users + 1)).astype(np.int64))

    def users(self) -> None:
        own, account = _first_created("user"), _first_created("company")
        self._units(
            "users",
            f"""SELECT u.t0_s, COALESCE(u.company_key, -1) AS company_key, u.account_offset_s, u.is_internal,
                u.is_matched, u.signup_month AS month, u.won_own_s, u.won_account_s,
                COALESCE(d.first_s, {NEVER}) AS created_own_s,
                LEAST(COALESCE(d.first_s, {NEVER}), COALESCE(a.first_s, {NEVER})) AS created_account_s
            FROM store.users AS u LEFT JOIN {own} AS d ON d.user_key = u.user_key
            LEFT JOIN {account} AS a ON a.company_key = u.company_key ORDER BY u.user_key""",
        )

    def companies(self) -> None:
        self._units(
            "companies",
            f"""SELECT COALESCE(c.t0_s, {NEVER}) AS t0_s, c.company_key, 0 AS account_offset_s, c.is_internal,
                c.is_matched, COALESCE(c.first_seen_month, 0) AS month, c.won_s AS won_own_s, c.won_s AS won_account_s,
                COALESCE(a.first_s, {NEVER}) AS created_own_s, COALESCE(a.first_s, {NEVER}) AS created_account_s
            FROM store.companies AS c LEFT JOIN {_first_created("company")} AS a ON a.company_key = c.company_key
            ORDER BY c.company_key""",
        )

    def _units(self, table: str, sql: str) -> None:
        for name, values in self.fetch(sql).items():
            kind = np.bool_ if name.startswith("is_") else np.int64 if name.endswith("_s") else np.int32
            self.save(f"{table}.{name}", values.astype(np.int32 if name == "account_offset_s" else kind))

    def columns(self, table: str) -> list[dict[str, Any]]:
        """Write the properties of a table. Numbers were staged as DOUBLE, so a float64 holds each of them exactly."""
        described = self.connection.execute(f"DESCRIBE store.{table}").fetchall()
        types = {row[0]: row[1] for row in described if row[0] not in _KEYS[table] and row[1] in _KINDS}
        dated = {name for name in types if name + SET_S in types}
        entries: list[dict[str, Any]] = []
        for name, of_type in types.items():
            if name.removesuffix(SET_S) in dated and name not in dated:
                continue
            entries.append(self._column(table, name, _KINDS[of_type], f"{table}.column_{len(entries)}", name in dated))
        return entries

    def _column(self, table: str, name: str, kind: Kind, file: str, is_dated: bool) -> dict[str, Any]:
        words: list[str] = []
        if kind == "text":
            values, words = self._text(table, name)
        elif kind == "number":
            values = self._values(table, f"COALESCE({ident(name)}::DOUBLE, 'nan'::DOUBLE)")
        else:
            values = self._values(table, f"COALESCE({ident(name)}::TINYINT, -1)").astype(np.int8)
        self.save(file, values)
        if is_dated:
            self.save(f"{file}_set_s", self._values(table, f"COALESCE({ident(name + SET_S)}, 0)").astype(np.int64))
        set_s = f"{file}_set_s" if is_dated else None
        shown = joined_company_column(name) if table == "companies" else name
        entry = {"name": shown, "kind": kind, "values": file, "words": words, "set_s": set_s}
        if table == "events" and kind == "text":
            entry["by_word"] = f"{file}_by_word"
            self.save(f"{file}_by_word", rows_by_word(values, self.event_rows))
        return entry

    def _values(self, table: str, expression: str) -> NDArray[Any]:
        return self.fetch(f"SELECT {expression} AS v FROM store.{table} ORDER BY {_ORDER[table]}")["v"]

    def _text(self, table: str, name: str) -> tuple[NDArray[np.signedinteger[Any]], list[str]]:
        """Codes into the sorted words, in as few bytes as hold them: a question reads many of them."""
        sql = f"SELECT {ident(name)} AS v FROM store.{table} ORDER BY {_ORDER[table]}"
        encoded = self.connection.sql(sql).to_arrow_table().column("v").dictionary_encode().combine_chunks()
        found = encoded.dictionary.to_pylist()
        order = sorted(range(len(found)), key=found.__getitem__)
        code_of = np.full(len(found) + 1, -1, dtype=np.min_scalar_type(-max(len(found), 1)))
        code_of[order] = np.arange(len(found))
        codes = encoded.indices.fill_null(len(found)).to_numpy(zero_copy_only=False)
        return code_of[codes], [found[i] for i in order]


def rows_by_word(codes: NDArray[Any], event_rows: NDArray[np.int64]) -> NDArray[Any]:
    """Return the rows of each event sorted by code, stably, so that those of one word stay by user and time.

    ``event_rows``: where the rows of each event begin, and the end of the last.
    """
    rows = np.empty(codes.size, dtype=_row_type(codes.size))
    for first, end in pairwise(event_rows.tolist()):
        rows[first:end] = first + np.argsort(codes[first:end], kind="stable")
    return rows


def _row_type(rows: int) -> type[np.int32] | type[np.int64]:
    return np.int32 if rows <= _LARGEST_INT32 else np.int64


def _first_created(who: str) -> str:
    return (
        f"(SELECT {who}_key, MIN(created_s) AS first_s FROM store.deals"
        f" WHERE created_s IS NOT NULL AND {who}_key IS NOT NULL GROUP BY {who}_key)"
    )
