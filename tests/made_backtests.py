"""Backtests as they are kept, without data: one line each."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from beton.model.evidence import Cohort, Evidence, FunnelStep, Leads, Measured, NotMeasurable, Passport
from beton.model.outcome import Outcome
from beton.model.signal import SignalDefinition, content_hash, from_dict
from beton.model.words import sentence
from beton.records.runs import RunRepository
from beton.services.measurement import measure
from beton.stats.proportions import TwoByTwo

FLAGSHIP = TwoByTwo(177, 1_247, 304, 8_934)
WEAK = TwoByTwo(40, 400, 240, 4_000)  # 1.7x, p about 0.002
NOTHING = TwoByTwo(100, 2_000, 1_000, 20_000)
START = datetime(2024, 6, 1, 12, tzinfo=UTC)


def signal(name: str = "Did x", **more: Any) -> SignalDefinition:
    when = {} if "sql" in more else {"when": {"event": "x", "within_days": 3}}
    return from_dict({"name": name, **when, **more})


def evidence(definition: SignalDefinition, table: TwoByTwo | None, snapshot: str = "snap-1", **cohort: Any) -> Evidence:
    """The evidence of a table; without one the data could not tell."""
    result: Measured | NotMeasurable = NotMeasurable("no_conversions", "Nobody converted.")
    if table is not None:
        found = measure(table)
        assert isinstance(found, Measured)
        result = found
    units = 0 if table is None else table.units
    known = Cohort(definition.unit, definition.timing, definition.landmark_days, 1, 45, "the sales cycle in Settings")
    outcome = definition.outcome or Outcome()
    passport = Passport(
        definition.to_dict(),
        definition.meaning_hash(),
        sentence(definition),
        snapshot,
        "Northwind",
        False,
        "core-1",
        outcome,
        definition.sql,
    )
    return Evidence(
        passport=passport,
        cohort=replace(known, **cohort),
        period=("2024-01-01", "2024-03-31"),
        funnel=(FunnelStep("all", "All users", units + 9, ""), FunnelStep("mature", "Mature", units, "too young")),
        result=result,
        months=(),
        leads=Leads(10.0, ("2024-03",), (("2024-03", 10),)),
    )


def keep(
    runs: RunRepository,
    run_id: str,
    table: TwoByTwo | None = FLAGSHIP,
    *,
    definition: SignalDefinition | None = None,
    snapshot: str = "snap-1",
    asked_by: str | None = "local",
    minute: int = 0,
) -> str:
    """Keep a finished run and return its id; equal definitions on one snapshot are the same question."""
    asked, at = definition or signal(), START + timedelta(minutes=minute)
    runs.start(
        run_id,
        asked.to_dict(),
        definition_hash=asked.meaning_hash(),
        request_hash=content_hash([asked.meaning_hash(), snapshot]),
        snapshot_version=snapshot,
        at=at,
        asked_by=asked_by,
    )
    runs.finish(run_id, evidence(asked, table, snapshot).to_json(), at=at + timedelta(seconds=2))
    return run_id
