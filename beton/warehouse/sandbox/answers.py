"""Ask a person's query of the tables cut at each unit's landmark, and find out which units it names.

The cut tables keep a query out of its own unit's future. What it could still do is compare one unit with others that
came later. So it is asked again with more of the others' future hidden: once with everything hidden from one moment on,
and no unit whose landmark was over by then may have another answer; once with everything hidden that an account did
after the landmark of its first user, and no such first user may. A query whose answers change is refused. One that
looks at the rows of one unit at a time (``own_rows``) is asked once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from beton.errors import SqlError
from beton.model.outcome import Unit
from beton.model.signal import DAY_S
from beton.model.words import days
from beton.warehouse.compile import NEVER
from beton.warehouse.sandbox.messages import friendly
from beton.warehouse.sandbox.own_rows import ID_OF, reads_own_rows
from beton.warehouse.sandbox.pool import QueryError, Request, Response, Sandbox
from beton.warehouse.sandbox.statement import body, check
from beton.warehouse.views import Cut, ViewColumns, cut, named

if TYPE_CHECKING:
    import pyarrow as pa

    from beton.warehouse.core.arrays import Units

MOST_ROWS: Final = 50
MOST_CELL: Final = 200
MOST_ANSWER_BYTES: Final = 256 * 2**20
MOST_PREVIEW_BYTES: Final = 2**20
TIME_COLUMNS: Final = ("matched_at", "at", "timestamp")  # the first of them that the query returns counts
_NO_ID: Final = "The query returns no id: select user_id, or company_id where Who is Accounts."
_TABLE_OF: Final[dict[Unit, str]] = {"user": "users", "account": "companies"}
_KEY_OF: Final[dict[Unit, str]] = {"user": "user_key", "account": "company_key"}


@dataclass(frozen=True)
class Rows:
    """The first rows of a query as text; ``columns`` are (name, type), ``total_rows`` how many there are in all."""

    columns: tuple[tuple[str, str], ...]
    rows: tuple[tuple[str | None, ...], ...]
    total_rows: int
    seconds: float
    bytes: int


@dataclass(frozen=True)
class Asker:
    """One snapshot's sandbox and columns, and the person who asks."""

    sandbox: Sandbox
    columns: ViewColumns
    person: str

    def ask(self, sql: str, steps: tuple[str, ...], returns: tuple[int, ...], most_bytes: int) -> Response:
        """Run statements that hold the user's query; SqlError in the user's words where DuckDB refuses."""
        try:
            return self.sandbox.run(Request(steps, returns, most_bytes), self.person)
        except QueryError as problem:
            if f"'{TIME_COLUMNS[-1]}'))" in problem.message:  # the star that picks the id found nothing to pick
                raise SqlError(_NO_ID) from problem
            raise friendly(problem.kind, problem.message, sql) from problem


@dataclass(frozen=True)
class _Hidden:
    """A further asking: where the tables end, and which units' answers may not change by it."""

    cut: Cut
    settled: NDArray[np.bool_]
    what: str


def first_rows(asker: Asker, sql: str, at: Cut) -> Rows:
    """Return what a query gives, whatever its columns; SqlError where it may not or cannot be run."""
    check(sql)
    tables = cut(asker.columns, at)
    query = _over(tables, "SELECT * FROM (\n", sql)
    text = f"LEFT(CAST(COLUMNS(*) AS VARCHAR), {MOST_CELL})"
    rows = _over(tables, f"SELECT {text} FROM (\n", sql, f" LIMIT {MOST_ROWS}")
    total = _over(tables, "SELECT COUNT(*) AS n FROM (\n", sql)
    found = asker.ask(sql, (f"DESCRIBE {query}", rows, total), (0, 1, 2), MOST_PREVIEW_BYTES)
    described, shown, counted = found.tables
    names = zip(described["column_name"].to_pylist(), described["column_type"].to_pylist(), strict=True)
    values = [column.to_pylist() for column in shown.columns]
    cells = tuple(zip(*values, strict=True)) if values else ()
    return Rows(tuple(names), cells, counted["n"][0].as_py(), found.seconds[1], shown.nbytes)


def matched_s(asker: Asker, sql: str, at: Cut, units: Units) -> NDArray[np.int64]:
    """Return for every unit the second after its time zero at which the query names it, ``NEVER`` where it does not.

    That is the earliest time in a column of ``TIME_COLUMNS``, kept between time zero and landmark; without such a
    column it is the landmark.

    Raises:
        SqlError: the query may not or cannot be run, names nobody in the data, or reads the future of other units.
    """
    check(sql)
    again = [] if reads_own_rows(sql, at.unit) else _more_hidden(units, at)
    cuts = [at, *(each.cut for each in again)]
    # A statement whose rows come back is planned twice: once to know its columns.
    steps = [
        f"CREATE OR REPLACE TEMP TABLE answer_{i} AS {_over(cut(asker.columns, each), *_naming(at.unit, sql))}"
        for i, each in enumerate(cuts)
    ]
    steps += [f"SELECT unit, at_s FROM answer_{i}" for i in range(len(cuts))]
    found = asker.ask(sql, tuple(steps), tuple(range(len(cuts), len(steps))), MOST_ANSWER_BYTES)
    answers = [_times(table, units, at) for table in found.tables]
    for hidden, answer in zip(again, answers[1:], strict=True):
        _refuse_changed(int(np.count_nonzero((answer != answers[0]) & hidden.settled)), hidden, at)
    return answers[0]


def _over(selects: Mapping[str, str], before: str, sql: str, after: str = "") -> str:
    """Put the query, on lines of its own, after the tables that it names; all before it is one line."""
    # A name cannot be written without its letters, and reading the SQL of a table costs a quarter of a short query.
    read = {name: select for name, select in selects.items() if name in sql.lower()}
    return f"{named(read)}{before}{body(sql)}\n) AS q{after}"


def _naming(unit: Unit, sql: str) -> tuple[str, str, str]:
    """The statement round a query: keys of the units it names with the earliest time, epoch seconds or NULL."""
    named, key, table = ID_OF[unit], _KEY_OF[unit], _TABLE_OF[unit]
    # The columns may have any place and type, and times may be missing; the empty first half names and types them all.
    times = ", ".join(f'CAST(a."{name}" AS TIMESTAMP)' for name in TIME_COLUMNS)
    missing = ", ".join(f'NULL::TIMESTAMP AS "{name}"' for name in TIME_COLUMNS)
    wanted = ", ".join(f"'{name}'" for name in (named, *TIME_COLUMNS))
    before = (
        f"SELECT u.{key} AS unit, FLOOR(EPOCH(MIN(COALESCE({times}))))::BIGINT AS at_s"
        f" FROM (SELECT NULL::VARCHAR AS {named}, {missing} WHERE FALSE UNION ALL BY NAME"
        f" SELECT COLUMNS(lambda c: LOWER(c) IN ({wanted})) FROM (\n"
    )
    after = f") AS a LEFT JOIN snapshot.store.{table} AS u ON u.{named} = a.{named} GROUP BY u.{key}"
    return before, sql, after


def _times(table: pa.Table, units: Units, at: Cut) -> NDArray[np.int64]:
    found = np.full(units.t0_s.size, NEVER, dtype=np.int64)
    is_known = table["unit"].is_valid().to_numpy()
    if table.num_rows and not is_known.any():
        what = "company_id of accounts" if at.unit == "account" else "user_id of users"
        raise SqlError(f"None of the ids that the query returns is known: return the {what} in the data.")
    key = table["unit"].fill_null(0).to_numpy()[is_known]
    at_s = table["at_s"].fill_null(NEVER).to_numpy()[is_known] - units.t0_s[key]
    found[key] = np.clip(at_s, 0, at.landmark_s)
    return found


def _more_hidden(units: Units, at: Cut) -> list[_Hidden]:
    """What is hidden in further askings; nothing where there is nobody to ask about."""
    began = units.t0_s[(units.t0_s < NEVER) & ~units.is_internal]
    if not began.size:
        return []
    until_s = int(np.median(began)) + at.landmark_s
    day = f"{datetime.fromtimestamp(until_s, UTC):%-d %B %Y}"
    past = _Hidden(
        Cut(at.unit, at.landmark_s, until_s), units.t0_s + at.landmark_s <= until_s, f"everything from {day} on"
    )
    if at.unit == "account":
        return [past]
    firsts = Cut(at.unit, at.landmark_s, with_account=True)
    return [past, _Hidden(firsts, units.account_offset_s == 0, "what colleagues did later")]


def _refuse_changed(changed: int, hidden: _Hidden, at: Cut) -> None:
    if not changed:
        return
    who, own = ("account", "company_id") if at.unit == "account" else ("user", "user_id")
    fix = "" if at.unit == "account" else ", or set Who to Accounts to look at everyone in an account"
    raise SqlError(
        f"The query looks into the future: hiding {hidden.what} changed the answer for {changed:,}"
        f" {who}{'' if changed == 1 else 's'} whose {days(at.landmark_s / DAY_S)} were over by then. It compares each"
        f" {who} with others who came later, or its order is left to chance. Read only rows with the same {own}{fix}."
    )
