"""Discovery results made up in a few lines, ``result(finding("invited", lift=3.0), cutoff_p=0.01)``, and kept."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from beton.model.discovery import (
    DiscoveryResult,
    DiscoverySettings,
    Estimate,
    Finding,
    LandmarkCohort,
    Mixture,
    NearOutcome,
    Period,
    Permutation,
    Step,
    VolcanoPoint,
)
from beton.model.evidence import Interval, Note, Table
from beton.model.examination import Brief
from beton.model.ladder import LABELS, Rung
from beton.model.outcome import Outcome
from beton.model.signal import from_dict
from beton.records.database import open_database, sqlite_url
from beton.records.discoveries import DiscoveryRepository

TABLE: Final = Table(40, 400, 100, 4_000)


def estimate(lift: float | None, table: Table = TABLE) -> Estimate:
    """A lift with an interval from two thirds to one and a half of it."""
    upper = None if lift is None else 1.5 * lift
    return Estimate(lift, Interval(2.0 if lift is None else lift / 1.5, upper, "score"), table)


def finding(event: str, lift: float | None = 3.0, level: int = 3, **changes: Any) -> Finding:
    """A signal on one event, on its way to rung ``level``."""
    definition = from_dict({"name": f"{event} once in 3 days", "when": {"event": event, "within_days": 3}})
    made = Finding(
        definition=definition.to_dict(),
        definition_hash=definition.meaning_hash(),
        name=definition.name,
        words=f"Users who did {event} within 3 days.",
        kind="behaviour",
        conditions=1,
        landmark_days=3,
        train=estimate(lift),
        held_out=estimate(lift),
        held_out_p=0.001,
        held_out_q=0.002,
        log_p=-30.0,
        q_value=1e-9,
        q_depth=1e-9,
        clustered_error_log=0.1,
        shrunk_lift=2.5,
        shrunk_interval=Interval(2.0, 3.2, "empirical Bayes"),
        confidence=0.999,
        adjusted=estimate(lift),
        lead_time_median_days=20.0,
        rung=Rung(level, LABELS[level], f"Reason of level {level}"),
    )
    return replace(made, **changes)


def brief(level: int = 3, **changes: Any) -> Brief:
    """What a run says of a signal that reached ``level``."""
    made = Brief(
        definition_hash="0" * 64,
        train=estimate(3.0),
        held_out=estimate(2.5, Table(20, 200, 50, 2_000)),
        held_out_p=0.001,
        q_value=1e-9,
        family="301,741 candidates of the discovery run",
        shrunk_lift=2.6,
        shrunk_interval=Interval(2.1, 3.3, "empirical Bayes"),
        confidence=0.987,
        adjusted=estimate(2.0),
        rung=Rung(level, LABELS[level], f"Reason of level {level}"),
    )
    return replace(made, **changes)


def result(*findings: Finding, **changes: Any) -> DiscoveryResult:
    """A result with these findings."""
    train, holdout = Period("2024-01-01", "2024-06-28", 5_199, 279), Period("2024-08-19", "2024-11-09", 3_257, 127)
    points = [VolcanoPoint(each.name, each.train.lift or 1.0, -13.0, 400, "kept") for each in findings]
    made = DiscoveryResult(
        settings=DiscoverySettings(),
        snapshot_version="a3f09c21be77",
        workspace="Northwind Analytics",
        demo=True,
        unit="user",
        outcome=Outcome(),
        gap_days=1.0,
        horizon_days=50.0,
        cohorts=(LandmarkCohort(3.0, 10_286, train, holdout, 1_830, 984),),
        family={"1": 984, "2": 300_757, "3": 56_104_885, "all": 301_741},
        funnel=(
            Step("grid", "Single conditions in the grid", 2_542, "Every condition of the grid"),
            Step("tested", "Tested, with every pair", 301_741, "300,757 pairs"),
            Step("kept", "Different from stronger ones", len(findings), "57 near-copies"),
            Step("adjusted", "Survive adjustment", 0, "Activity explains the others"),
        ),
        cutoff_p=0.008,
        priors={"1": Mixture((0.2, 0.8), (0.0, 0.4), 984), "2": Mixture((1.0,), (0.0,), 10_733)},
        findings=findings,
        near_outcome=(NearOutcome("contract_viewed", 251, 247, "247 of 251 converters did it in the last 7 days"),),
        permutation=Permutation(1_000, 2, 301_741, -14.0),
        notes=(Note("limits", "Accounts as units are not searched"),),
        volcano=(*points, VolcanoPoint("Nothing", 1.1, -0.3, 900, "tested")),
        timings_s={"Building cohorts": 0.25, "Testing singles and pairs": 0.5},
    )
    return replace(made, **changes)


FIRST_AT: Final = datetime(2026, 11, 23, 13, 0, tzinfo=UTC)


def keep(data_dir: Path, run_id: str, of: DiscoveryResult, minutes: int = 0, **stored: Any) -> None:
    """Store a run that finished ``minutes`` after ``FIRST_AT``; ``stored`` replaces parts of its JSON."""
    database = open_database(sqlite_url(data_dir / "app.sqlite3"))
    DiscoveryRepository(database).add(
        run_id,
        of.to_json() | stored,
        settings=of.settings.to_dict(),
        request_hash="0" * 16,
        snapshot_version=of.snapshot_version,
        at=FIRST_AT + timedelta(minutes=minutes),
        seconds=3.3,
    )
    database.close()


def keep_tables(data_dir: Path, run_id: str, rows: int = 3) -> None:
    """Write the table of the singles of a run."""
    folder = data_dir / "runs" / run_id
    folder.mkdir(parents=True)
    conditions = pa.array([f'{{"event": "e{row}"}}' for row in range(rows)]).dictionary_encode()
    pq.write_table(pa.table({"condition_1": conditions, "log_p": [-1.5] * rows}), folder / "singles.parquet")
