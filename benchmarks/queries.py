"""``python -m benchmarks queries``: the PRD's query in the sandbox against its condition compiled for the SQL tier.

Both count the same cohort and must give the same table. Reported beside it: what the pieces cost, and how long the list
of tables takes.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import Final

from benchmarks import datasets
from benchmarks.browser import click_to_query
from benchmarks.engine import Engine, silent
from benchmarks.questions import OUTCOME, Question
from benchmarks.report import Row, as_text, limited_row, load_average, machine, most_ratio_row
from benchmarks.timing import Sample, elapsed_ms, side_by_side
from beton.bootstrap import build_services
from beton.config import Settings
from beton.model.signal import from_dict
from beton.warehouse.core.count import count_matches
from beton.warehouse.core.frame import frame
from beton.warehouse.counts import CohortCounts
from beton.warehouse.reader import Warehouse
from beton.warehouse.sandbox.answers import Asker, matched_s
from beton.warehouse.sandbox.pool import Sandbox
from beton.warehouse.table_facts import table_facts
from beton.warehouse.views import Cut, columns_of
from store.sql_draft import START_SQL

RUNS: Final = 30
TASK: Final = "PRD query"
CONDITION: Final = Question(
    "prd",
    "onboarding_completed within 3 days, company_size between 50 and 500",
    {
        "all": [
            {"event": "onboarding_completed", "within_days": 3 + 1 / 86_400},  # <= 3 days, in whole seconds
            {"property": "company_size", "op": "between", "value": [50, 500]},
        ]
    },
)


class SandboxEngine:
    """Answers the query as ``beton.services.backtests`` does, without keeping any answer."""

    def __init__(self, warehouse: Warehouse, engine: Engine) -> None:
        self._core, self._manifest = warehouse.core(), warehouse.manifest()
        self.sandbox = Sandbox(warehouse.database)
        with warehouse.connection() as connection:
            self._asker = Asker(self.sandbox, columns_of(connection), "benchmark")
        self._excluded = engine.excluded
        self._clock = CONDITION.clock(self._manifest)
        self._frame = frame(self._core, "user", OUTCOME, self._clock)

    def counts(self) -> CohortCounts:
        """Return everything that a backtest counts."""
        at = Cut("user", self._clock.landmark_s)
        return count_matches(
            matched_s(self._asker, START_SQL, at, self._core.users), self._frame, self._excluded, silent
        )


def main(argv: list[str]) -> int:
    """Return 0 when every budget is met."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks queries", description=__doc__)
    parser.add_argument("--data", type=Path, help="a workspace with the demo; default: one is built")
    parser.add_argument("--skip-browser", action="store_true", help="leave out Chromium")
    arguments = parser.parse_args(argv)
    print(machine(), file=sys.stderr, flush=True)
    with tempfile.TemporaryDirectory(prefix="beton-benchmarks-") as folder:
        data = arguments.data or datasets.build("2.8m", Path(folder)).workspace
        rows = [*_engine_rows(data), *([] if arguments.skip_browser else _browser_rows(data))]
    print(as_text(rows))
    return 1 if any(row.is_met is False for row in rows) else 0


def _engine_rows(data: Path) -> list[Row]:
    warehouse = Warehouse(data, Settings().warehouse_threads)
    engine = Engine(warehouse)
    asked = SandboxEngine(warehouse, engine)
    found, expected = asked.counts(), engine.counts(CONDITION)
    assert found.table == expected.table, f"the query disagrees: {found.table} and {expected.table}"
    load = load_average()
    samples = side_by_side(
        {
            "SQL tier, compiled condition": (lambda: engine.counts(CONDITION), RUNS),
            "SQL tier, never seen": (lambda: engine.counts_of_new_definition(CONDITION), RUNS),
            "sandbox": (asked.counts, RUNS),
        }
    )
    asked.sandbox.close()
    peer = samples["SQL tier, compiled condition"]
    rows = [Row("2.8m", TASK, name, sample, load) for name, sample in samples.items() if name != "sandbox"]
    rows.append(most_ratio_row(Row("2.8m", TASK, "sandbox", samples["sandbox"], load), peer, "query: SQL tier"))
    with warehouse.connection() as connection:
        taken = [elapsed_ms(partial(table_facts, connection, warehouse.manifest()))[0] for _ in range(5)]
    return [*rows, Row("2.8m", "list of tables, once a snapshot", "engine", Sample.of(taken), load)]


def _browser_rows(data: Path) -> list[Row]:
    build_services(Settings(data_dir=data)).backtests.check(from_dict({"name": TASK, "sql": START_SQL}))
    clicks, schema, completion = click_to_query(data, START_SQL)
    named = (("click to drawn query", clicks), ("schema open", schema), ("completion open", completion))
    return [limited_row(Row("2.8m", name, "Chromium", taken, load_average()), name, 1.0) for name, taken in named]
