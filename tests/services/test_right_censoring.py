"""Worlds without any effect, in which the obvious query finds one and the backtest does not.

The designs and their figures are those of the landmark and right-censoring notes in docs/statistics.md.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray

from beton.model.evidence import Measured
from beton.model.mapping import Column, Mapping, TableMapping
from beton.model.signal import from_dict
from beton.services import Services
from beton.warehouse.imports import build_from_tables

DAY = 86_400
START = int(datetime(2024, 1, 1, tzinfo=UTC).timestamp())
NEVER = 10**9


class Sample:
    """Users as arrays: signup, feature use and win, in days since the start of the data; ``NEVER`` for none."""

    def __init__(self, signed_up: NDArray[np.float64], used: NDArray[np.float64], won: NDArray[np.float64]) -> None:
        self.signed_up, self.used, self.won = signed_up, used, won
        self.later_use = np.full_like(won, NEVER)

    def naive_lift(self, end: float) -> tuple[float, float]:
        """Risk ratio of ever won by ever used, as seen at ``end``, with the standard error of its logarithm."""
        used = np.minimum(self.used, self.later_use) < end
        won = self.won < end
        a, n, c, m = (won & used).sum(), used.sum(), (won & ~used).sum(), (~used).sum()
        if c == 0:
            return np.inf, np.nan
        return (a / n) / (c / m), float(np.sqrt(1 / a - 1 / n + 1 / c - 1 / m))

    def publish(self, directory: Path, end: float) -> None:
        ids = pa.array([f"u{i}" for i in range(self.signed_up.size)])
        events = [(when, name) for when, name in ((self.used, "feature_used"), (self.later_use, "feature_used"))]
        tables = {
            "users": pa.table({"user_id": ids, "signed_up_at": _times(self.signed_up)}),
            "events": pa.concat_tables([_events(ids, when, name, end) for when, name in events]),
            "deals": _deals(ids, self.won, end),
        }
        mapping = Mapping(
            name="Sample",
            tables={
                name: TableMapping(name, (f"{name}.parquet",), {c: Column(c) for c in table.column_names})
                for name, table in tables.items()
            },
            base_dir=directory,
            data_end=datetime.fromtimestamp(START, UTC) + timedelta(days=end),
            outcomes_since=datetime.fromtimestamp(START, UTC),
        )
        build_from_tables(directory, tables, mapping)


def _times(days: NDArray[np.float64]) -> pa.Array:
    return pa.array((START * 1_000_000 + days * DAY * 1e6).astype(np.int64)).cast(pa.timestamp("us"))


def _events(ids: pa.Array, when: NDArray[np.float64], name: str, end: float) -> pa.Table:
    happened = when < end
    rows = ids.filter(pa.array(happened))
    return pa.table(
        {"user_id": rows, "event": pa.array([name] * len(rows), pa.string()), "timestamp": _times(when[happened])}
    )


def _deals(ids: pa.Array, won: NDArray[np.float64], end: float) -> pa.Table:
    happened = won < end
    users = ids.filter(pa.array(happened))
    return pa.table(
        {
            "deal_id": pa.array([f"d-{user}" for user in users.to_pylist()]),
            "user_id": users,
            "closed_at": _times(won[happened]),
            "is_won": pa.array([True] * len(users)),
        }
    )


def backtest(services: Services) -> Measured:
    signal = from_dict({"name": "Used it", "when": {"event": "feature_used", "within_days": 14}})
    result = services.backtests.run(signal).evidence.result
    assert isinstance(result, Measured)
    return result


def test_a_growing_feature_looks_harmful_until_only_mature_cohorts_count(services: Services, tmp_path: Path) -> None:
    """Adoption rises with the signup date, so its users have had less time to buy; the feature does nothing."""
    rng = np.random.default_rng(20_240_101)
    users, end = 24_000, 365.0
    signed_up = rng.uniform(0, end, users)
    adopts = rng.random(users) < 0.1 + 0.6 * signed_up / end
    buys = rng.random(users) < 0.25
    sample = Sample(
        signed_up,
        np.where(adopts, signed_up + rng.uniform(0, 14, users), NEVER),
        np.where(buys, signed_up + rng.uniform(16, 110, users), NEVER),
    )
    sample.publish(tmp_path, end)
    naive, error = sample.naive_lift(end)
    found = backtest(services)

    assert naive == pytest.approx(0.84, abs=0.05)
    assert naive * np.exp(1.96 * error) < 1
    assert found.lift == pytest.approx(1, abs=0.1)
    assert found.lift_interval.upper is not None
    assert found.lift_interval.lower < 1 < found.lift_interval.upper
    assert found.table.units_with + found.table.units_without < 0.85 * users


def test_usage_of_customers_looks_like_the_cause_of_their_purchase(services: Services, tmp_path: Path) -> None:
    """Every customer uses the feature after paying; before, it has nothing to do with paying."""
    rng = np.random.default_rng(7)
    users, end = 12_000, 365.0
    signed_up = rng.uniform(0, end, users)
    won = np.where(rng.random(users) < 0.15, signed_up + rng.uniform(16, 60, users), NEVER)
    used = np.where(rng.random(users) < 0.2, signed_up + rng.uniform(0, 14, users), NEVER)
    sample = Sample(signed_up, used, won)
    sample.later_use = won + 0.001
    sample.publish(tmp_path, end)
    naive, _ = sample.naive_lift(end)
    found = backtest(services)

    assert naive > 50
    assert found.lift == pytest.approx(1, abs=0.15)
    assert found.lift_interval.upper is not None
    assert found.lift_interval.lower < 1 < found.lift_interval.upper
