"""Discovery runs as they were kept: list them, open one, compare it with another, hand out its tables."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from beton.errors import InputError
from beton.model.discovery import DISCOVERY_VERSION, DiscoveryResult
from beton.model.outcome import Outcome
from beton.services.discovery import DiscoveryRun

if TYPE_CHECKING:
    import pyarrow.parquet as pq

    from beton.discovery.compare import Comparison
    from beton.records.discoveries import DiscoveryRepository
    from beton.records.rows import DiscoverySummary
    from beton.services.signals import Signals

TABLES: Final = ("singles", "pairs", "triples")
MOST_LISTED: Final = 200
_ROWS_AT_A_TIME: Final = 20_000


@dataclass(frozen=True)
class RunSummary:
    """One line of the list of runs; ``outcome``, ``tested`` and ``signals`` are None if another version stored it."""

    id: str
    created_at: datetime
    seconds: float
    snapshot_version: str
    demo: bool
    is_readable: bool
    outcome: Outcome | None
    tested: int | None
    signals: int | None


@dataclass(frozen=True)
class RunView:
    """A run with what stands around it.

    ``saved`` maps the hash of a definition to the id of the signal that is saved with it; ``before`` is the latest
    earlier run of the same outcome with what changed since; ``tables`` name the tables that are still kept.
    """

    run: DiscoveryRun
    saved: Mapping[str, str]
    before: DiscoveryRun | None
    comparison: Comparison | None
    tables: tuple[str, ...]


class DiscoveryRuns:
    """Use cases on finished discovery runs; none of them changes anything."""

    def __init__(self, data_dir: Path, runs: DiscoveryRepository, signals: Signals) -> None:
        self._data_dir = data_dir
        self._runs = runs
        self._signals = signals

    def listed(self) -> list[RunSummary]:
        """Return the last ``MOST_LISTED`` runs, newest first, those that only another version can read included."""
        return [_summary(each) for each in self._runs.summaries(MOST_LISTED)]

    def newest(self) -> RunSummary | None:
        """Return the last run, if there is one."""
        return next(map(_summary, self._runs.summaries(1)), None)

    def find(self, run_id: str) -> str:
        """Return the whole id of a run from its beginning; InputError when no run or several begin so."""
        ids = [each.id for each in self._runs.summaries(MOST_LISTED) if run_id and each.id.startswith(run_id)]
        if len(ids) > 1 and run_id not in ids:
            raise InputError(f"{len(ids)} discovery runs begin with {run_id!r}: write more of the id.")
        return ids[0] if len(ids) == 1 else run_id

    def exists(self, run_id: str) -> bool:
        """Whether there is a run of that id, readable or not."""
        try:
            self._runs.read(run_id)
        except InputError:
            return False
        return True

    def read(self, run_id: str) -> DiscoveryRun:
        """Return one run; InputError when there is none of that id, or another version of Beton stored it."""
        record = self._runs.read(run_id)
        result = DiscoveryResult.from_json(dict(record.result))
        return DiscoveryRun(record.id, record.created_at, record.seconds, result, self._folder(record.id))

    def previous(self, run_id: str) -> DiscoveryRun | None:
        """Return the latest run before this one that predicts the same outcome and can be read, if there is one."""
        listed = self.listed()
        at = next((i for i, each in enumerate(listed) if each.id == run_id), len(listed))
        same = (each for each in listed[at + 1 :] if each.is_readable and each.outcome == listed[at].outcome)
        earlier = next(same, None)
        return None if earlier is None else self.read(earlier.id)

    def compare(self, before_id: str, after_id: str) -> Comparison:
        """Return what changed from one run to another; InputError when one cannot be read or the outcomes differ."""
        from beton.discovery.compare import compare

        return compare(self.read(before_id).result, self.read(after_id).result)

    def view(self, run_id: str) -> RunView:
        """Return a run with its neighbours; errors as for ``read``."""
        from beton.discovery.compare import compare

        run, before = self.read(run_id), self.previous(run_id)
        return RunView(
            run=run,
            saved={each.definition.meaning_hash(): each.id for each in self._signals.all()},
            before=before,
            comparison=None if before is None else compare(before.result, run.result),
            tables=tuple(name for name in TABLES if (run.folder / f"{name}.parquet").is_file()),
        )

    def table(self, run_id: str, name: str) -> Path:
        """Return the Parquet file of one of the ``TABLES`` of a run; InputError when there is none.

        The path is made of the stored id and a known name, never of what was asked for.
        """
        known = dict(zip(TABLES, TABLES, strict=True)).get(name)
        if known is None:
            raise InputError(f"a run has no such table; use one of {', '.join(TABLES)}")
        path = self._folder(self._runs.read(run_id).id) / f"{known}.parquet"
        if not path.is_file():
            raise InputError("the table of this run is no longer there: run the discovery again")
        return path

    def table_csv(self, run_id: str, name: str) -> Iterator[bytes]:
        """Yield one of the ``TABLES`` of a run as CSV, part by part.

        Its texts are JSON objects, which no spreadsheet takes for a formula. InputError, before the first part: there
        is no such table, or it cannot be read.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        path = self.table(run_id, name)
        try:
            return _csv(pq.ParquetFile(path))
        except (OSError, pa.ArrowException) as problem:
            raise InputError("the table of this run cannot be read: run the discovery again") from problem

    def _folder(self, run_id: str) -> Path:
        return self._data_dir / "runs" / run_id


def _summary(each: DiscoverySummary) -> RunSummary:
    is_readable = each.version == DISCOVERY_VERSION
    return RunSummary(
        id=each.id,
        created_at=each.created_at,
        seconds=each.seconds,
        snapshot_version=each.snapshot_version,
        demo=bool(each.demo),
        is_readable=is_readable,
        outcome=Outcome(**each.outcome) if is_readable and each.outcome else None,
        tested=each.tested if is_readable else None,
        signals=each.signals if is_readable else None,
    )


def _csv(table: pq.ParquetFile) -> Iterator[bytes]:
    import pyarrow.csv as pa_csv

    for number, batch in enumerate(table.iter_batches(_ROWS_AT_A_TIME)):
        part = io.BytesIO()
        pa_csv.write_csv(batch, part, pa_csv.WriteOptions(include_header=number == 0))
        yield part.getvalue()
