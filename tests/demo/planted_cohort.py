"""The backtest of the demo's signals written a second time, plainly, from the raw files: the yardstick of the tests."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import yaml

DAY_US = 86_400_000_000
END = np.datetime64("2025-01-01T00:00:00", "us")
SINCE = np.datetime64("2024-01-01T00:00:00", "us")
FAR = np.datetime64("2200-01-01T00:00:00", "us")


@dataclass(frozen=True)
class Table:
    """A 2x2 table: users and conversions with and without a signal."""

    n1: int
    x1: int
    n0: int
    x0: int

    @property
    def lift(self) -> float:
        return (self.x1 / self.n1) / (self.x0 / self.n0)

    def interval(self) -> tuple[float, float]:
        """95% interval of the risk ratio on the log scale (Katz et al. 1978)."""
        half = 1.959964 * math.sqrt(1 / self.x1 - 1 / self.n1 + 1 / self.x0 - 1 / self.n0)
        return self.lift * math.exp(-half), self.lift * math.exp(half)


class Cohort:
    """The raw files of one company and the cohort rules applied to them."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.truth = json.loads((directory / "truth.json").read_text(encoding="utf-8"))
        self.signals = {
            document["name"]: document["when"]
            for path in sorted(directory.glob("signals*/*.yaml"))
            for document in [yaml.safe_load(path.read_text(encoding="utf-8"))]
        }
        self._read_users()
        self._read_events()
        days = (self.won_at - self.t0)[(self.won_at > self.t0) & (self.won_at < FAR)].astype(float) / DAY_US
        self.window_days = max(45, math.ceil(np.percentile(days, 80)))

    def _read_users(self) -> None:
        users = pq.read_table(self.directory / "users.parquet")
        self.user_ids = users["id"].to_pylist()
        self.t0 = users["signed_up_at"].to_numpy()
        emails = users["email"].to_pylist()
        self.internal = users["is_test"].to_numpy() | np.array(
            [email.endswith("@larkfield.example") for email in emails]
        )
        contacts = pq.read_table(self.directory / "contacts.parquet", columns=["email"])["email"].to_pylist()
        self.contact_emails = {email.strip().lower() for email in contacts}
        self.matched = np.array([email in self.contact_emails for email in emails])
        companies = pq.read_table(self.directory / "companies.parquet", columns=["id", "company_size"])
        sizes = dict(zip(companies["id"].to_pylist(), companies["company_size"].to_pylist(), strict=True))
        self.company = users["company"].to_pylist()
        self.company_size = np.array([sizes.get(company, math.nan) for company in self.company], float)
        deals = pq.read_table(self.directory / "deals.parquet")
        won = deals.filter(pc.equal(deals["stage"], "Closed Won"))
        first: dict[str, np.datetime64] = {}
        for company, closed in zip(won["company"].to_pylist(), won["closed_at"].to_numpy(), strict=True):
            first[company] = min(closed, first.get(company, FAR))
        self.won_at = np.array([first.get(company, FAR) for company in self.company], "datetime64[us]")

    def _read_events(self) -> None:
        events = pq.read_table(self.directory / "events.parquet")
        row_of = {user: row for row, user in enumerate(self.user_ids)}
        ids = events["user_id"].combine_chunks()
        self.event_user = np.array([row_of[user] for user in ids.dictionary.to_pylist()])[ids.indices.to_numpy()]
        self.since_us = (events["timestamp"].to_numpy() - self.t0[self.event_user]).astype(np.int64)
        self.columns = {name: events[name].combine_chunks() for name in ("event", "page_path", "feature", "browser")}

    def rows(self, column: str, op: str, value: str) -> np.ndarray:
        """Events whose text column equals or contains a value."""
        codes = self.columns[column]
        words = codes.dictionary.to_pylist()
        wanted = [i for i, word in enumerate(words) if (word == value if op == "=" else value in word)]
        return np.isin(codes.indices.fill_null(-1).to_numpy(), wanted)

    def matches(self, node: dict) -> np.ndarray:
        """Users for whom a condition holds."""
        if "all" in node:
            return np.logical_and.reduce([self.matches(child) for child in node["all"]])
        if "property" in node:
            value, size = node["value"], self.company_size
            if node["op"] == "between":
                return (size >= value[0]) & (size <= value[1])
            return size >= value if node["op"] == ">=" else size <= value
        rows = (self.since_us >= 0) & (self.since_us < node["within_days"] * DAY_US)
        if node["event"] != "*":
            rows &= self.rows("event", "=", node["event"])
        for clause in node.get("where", []):
            rows &= self.rows(clause["property"], clause["op"], clause["value"])
        if node["op"] == "active weeks >=":
            pairs = np.unique(self.event_user[rows] * 100 + self.since_us[rows] // (7 * DAY_US))
            return np.bincount(pairs // 100, minlength=len(self.t0)) >= node["value"]
        return np.bincount(self.event_user[rows], minlength=len(self.t0)) >= node.get("value", 1)

    def landmark_days(self, node: dict) -> int:
        return max((leaf["within_days"] for leaf in node["all"] if "within_days" in leaf), default=14)

    def funnel(self, landmark_days: int) -> dict[str, np.ndarray]:
        """Masks of the eligibility steps, each within the one before."""
        start = self.t0 + np.timedelta64((landmark_days + 1) * DAY_US, "us")
        end = start + np.timedelta64(self.window_days * DAY_US, "us")
        own = ~self.internal
        matched = own & self.matched
        at_risk = matched & (self.won_at >= start)
        return {
            "all": np.ones(len(self.t0), bool),
            "not internal": own,
            "matched": matched,
            "at risk": at_risk,
            "mature": at_risk & (end <= END) & (self.t0 >= SINCE),
        }

    def converted(self, landmark_days: int) -> np.ndarray:
        start = self.t0 + np.timedelta64((landmark_days + 1) * DAY_US, "us")
        end = start + np.timedelta64(self.window_days * DAY_US, "us")
        return (self.won_at >= start) & (self.won_at < end)

    def table(self, node: dict, among: np.ndarray | None = None) -> Table:
        """The time-safe 2x2 table of a condition, optionally on part of the users."""
        landmark_days = self.landmark_days(node)
        eligible = self.funnel(landmark_days)["mature"]
        if among is not None:
            eligible = eligible & among
        has, won = self.matches(node), self.converted(landmark_days)
        arms = [eligible & has, eligible & ~has]
        counts = [(int(arm.sum()), int((arm & won).sum())) for arm in arms]
        return Table(*counts[0], *counts[1])

    def naive(self, event: str) -> Table:
        """Ever did it against ever bought, with no regard to time: what a dashboard query would say."""
        has = np.bincount(self.event_user[self.rows("event", "=", event)], minlength=len(self.t0)) > 0
        known = self.matched & ~self.internal
        won = self.won_at < FAR
        counts = [(int(arm.sum()), int((arm & won).sum())) for arm in (known & has, known & ~has)]
        return Table(*counts[0], *counts[1])
