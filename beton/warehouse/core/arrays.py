"""The arrays of a snapshot's ``core`` folder, opened memory-mapped: nothing is read until a kernel touches it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

CORE_FOLDER: Final = "core"
INDEX_FILE: Final = "index.json"
EVENT_ARRAYS: Final = ("event_pairs", "pair_user", "pair_start", "pair_zero", "rel_s", "user_rows", "user_start")
UNIT_ARRAYS: Final = (
    "t0_s",
    "company_key",
    "account_offset_s",
    "is_internal",
    "is_matched",
    "month",
    "won_own_s",
    "won_account_s",
    "created_own_s",
    "created_account_s",
)

Kind = Literal["text", "number", "boolean"]


@dataclass(frozen=True)
class Column:
    """One property, aligned with the rows of its table.

    ``values`` is codes into ``words`` in as few bytes as hold them (text, -1 null), float64 (number, NaN null) or int8
    (boolean, -1 null); ``set_s`` is when the value was set, epoch seconds, 0 where unknown, or None for a property
    without such a time. ``by_word``, of text of events, is the rows of each event by code, then in their order.
    """

    kind: Kind
    values: NDArray[Any]
    words: tuple[str, ...] = ()
    set_s: NDArray[np.int64] | None = None
    by_word: NDArray[np.integer[Any]] | None = None


@dataclass(frozen=True)
class Units:
    """One entry per user (or company), by key; times are epoch seconds, ``NEVER`` where there is none.

    ``company_key`` is -1 without a company (of companies: their own key); ``month`` is YYYYMM of ``t0_s``, 0 without
    one. ``own`` times are of the user's own deals, ``account`` times also of the account's. ``columns`` has the names
    that conditions use, such as ``company_country``.
    """

    t0_s: NDArray[np.int64]
    company_key: NDArray[np.int32]
    account_offset_s: NDArray[np.int32]
    is_internal: NDArray[np.bool_]
    is_matched: NDArray[np.bool_]
    month: NDArray[np.int32]
    won_own_s: NDArray[np.int64]
    won_account_s: NDArray[np.int64]
    created_own_s: NDArray[np.int64]
    created_account_s: NDArray[np.int64]
    columns: dict[str, Column]


@dataclass(frozen=True)
class Core:
    """Events sorted by (event, user, time). A pair is one event of one user: ``event_pairs`` slices the pairs by event.

    Rows ``pair_start[p]:pair_start[p + 1]`` are those of pair ``p``, from ``pair_zero[p]`` on at or after the signup.
    ``user_rows[user_start[u]:user_start[u + 1]]`` are the rows of user ``u`` at or after the signup, by time.
    """

    event_names: tuple[str, ...]
    event_pairs: NDArray[np.int64]
    pair_user: NDArray[np.int32]
    pair_start: NDArray[np.int64]
    pair_zero: NDArray[np.int64]
    rel_s: NDArray[np.int32]
    user_rows: NDArray[np.integer[Any]]
    user_start: NDArray[np.int64]
    event_columns: dict[str, Column]
    users: Units
    companies: Units


def open_core(folder: Path) -> Core:
    """Open the arrays that ``build.write_core`` left in ``folder``.

    Raises:
        OSError: a file is missing. ValueError or KeyError: one is damaged.
    """
    index = json.loads((folder / INDEX_FILE).read_text(encoding="utf-8"))
    events = {name: _array(folder, name) for name in EVENT_ARRAYS}
    return Core(
        event_names=tuple(index["event_names"]),
        **events,
        event_columns=_columns(folder, index["columns"]["events"]),
        users=_units(folder, "users", index),
        companies=_units(folder, "companies", index),
    )


def _units(folder: Path, table: str, index: dict[str, Any]) -> Units:
    arrays = {name: _array(folder, f"{table}.{name}") for name in UNIT_ARRAYS}
    return Units(**arrays, columns=_columns(folder, index["columns"][table]))


def _columns(folder: Path, entries: list[dict[str, Any]]) -> dict[str, Column]:
    return {
        entry["name"]: Column(
            entry["kind"],
            _array(folder, entry["values"]),
            tuple(entry["words"]),
            _array(folder, entry["set_s"]) if entry["set_s"] else None,
            _array(folder, entry["by_word"]) if "by_word" in entry else None,
        )
        for entry in entries
    }


def _array(folder: Path, name: str) -> NDArray[Any]:
    """A plain array over the mapped file: slices of ``np.memmap`` are slow, and kernels would compile twice."""
    path = folder / f"{name}.npy"
    mapped = np.load(path, mmap_mode="r")
    plain: NDArray[Any] = mapped.view(np.ndarray)
    return plain
