"""The same table by pandas, as in a notebook: three DataFrames in memory, masks, merges and a groupby.

To pandas' advantage, everything that does not depend on the signal is done before the clock starts: who is a known
contact, who is internal, and the company's size are columns of ``users``; and only the 2x2 table is asked for, without
months, accounts, lead times and the funnel, which the engine's time includes.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pandas as pd

from benchmarks.questions import Question
from beton.demo.names import INTERNAL_DOMAIN
from beton.model.manifest import Manifest
from beton.stats.proportions import TwoByTwo
from beton.warehouse.landmark import Clock

_EVENT_COLUMNS: Final = ["user_id", "event", "timestamp", "page_path"]


@dataclass(frozen=True)
class Frames:
    """``users``: one row per identified, external user."""

    users: pd.DataFrame
    events: pd.DataFrame
    deals: pd.DataFrame


def load(files: Path, *, as_text: bool) -> Frames:
    """Read the files.

    Args:
        files: directory of the data set.
        as_text: names of events, pages and users as text columns, which is what CSV files and databases give;
            otherwise as categories, which some Parquet files give.
    """
    raw = {name: pd.read_parquet(files / f"{name}.parquet") for name in ("users", "companies", "contacts", "deals")}
    events = pd.read_parquet(files / "events.parquet", columns=_EVENT_COLUMNS)
    names = ["user_id", "event", "page_path"]
    events = events.astype(dict.fromkeys(names, "str" if as_text else "category"))
    users = raw["users"].merge(raw["companies"][["id", "company_size"]], how="left", left_on="company", right_on="id")
    users = users.rename(columns={"id_x": "user_id"}).drop(columns="id_y")
    known = raw["contacts"]["email"].str.strip().str.lower()
    is_internal = users["is_test"] | (users["email"].str.lower().str.split("@").str[-1] == INTERNAL_DOMAIN)
    users = users[users["email"].str.strip().str.lower().isin(known) & ~is_internal].reset_index(drop=True)
    return Frames(users, events, raw["deals"].astype({"stage": "str"}))


class PlainPandas:
    """Answers questions from frames in memory.

    Plain is what the SQL says, literally and in its order: join events with users, work out the time since signup, then
    look for each condition. ``filters_first`` is the same after tuning by hand: each condition's events are picked
    before the join.
    """

    def __init__(self, frames: Frames, manifest: Manifest, *, filters_first: bool = False) -> None:
        self._frames = frames
        self._manifest = manifest
        self._filters_first = filters_first

    def table(self, question: Question) -> TwoByTwo:
        """Return the table of the eligible users."""
        users = self._frames.users
        events = self._frames.events if self._filters_first else self._since_signup(self._frames.events)
        if question.key == "onboarded":
            done = self._users_with(events, "onboarding_completed", 1, 7)
            has_signal = users["user_id"].isin(done) & (users["company_size"] >= 50) & (users["company_size"] <= 500)
        else:
            invited = self._users_with(events, "teammate_invited", 2, 7)
            priced = self._users_with(events, "pageview", 2, 14, page_path="/pricing")
            helped = self._users_with(events, "support_ticket_opened", 1, 14)
            has_signal = users["user_id"].isin(invited) & users["user_id"].isin(priced)
            has_signal &= ~users["user_id"].isin(helped)
        return self._split(has_signal, question.clock(self._manifest))

    def _since_signup(self, events: pd.DataFrame) -> pd.DataFrame:
        joined = events.merge(self._frames.users[["user_id", "signed_up_at"]], on="user_id")
        joined["age"] = joined["timestamp"] - joined["signed_up_at"]
        return joined

    def _users_with(
        self, events: pd.DataFrame, event: str, at_least: int, days: int, page_path: str | None = None
    ) -> Any:
        rows = events[events["event"] == event]
        if page_path is not None:
            rows = rows[rows["page_path"] == page_path]
        if self._filters_first:
            rows = self._since_signup(rows)
        rows = rows[(rows["age"] >= pd.Timedelta(0)) & (rows["age"] < pd.Timedelta(days=days))]
        times = rows.groupby("user_id", observed=True).size()
        return times.index[times >= at_least]

    def _split(self, has_signal: Any, clock: Clock) -> TwoByTwo:
        users = self._frames.users
        won = self._frames.deals[self._frames.deals["stage"] == "Closed Won"]
        own = users["user_id"].map(won.groupby("user")["closed_at"].min())
        of_account = users["company"].map(won.groupby("company")["closed_at"].min())
        outcome = pd.concat([own, of_account], axis=1).min(axis=1)
        opens = users["signed_up_at"] + pd.Timedelta(seconds=clock.landmark_s + clock.gap_s)
        closes = opens + pd.Timedelta(seconds=clock.horizon_s)
        eligible = (
            (users["signed_up_at"] >= pd.Timestamp(clock.outcomes_since_s, unit="s"))
            & ~(outcome < opens)
            & (closes <= pd.Timestamp(clock.data_end_s, unit="s"))
        )
        converted = (outcome >= opens) & (outcome < closes)
        cells = pd.crosstab(has_signal[eligible], converted[eligible])
        cells = cells.reindex(index=[True, False], columns=[True, False], fill_value=0)
        (hit, miss), (hit_without, miss_without) = cells.to_numpy().tolist()
        return TwoByTwo(hit, hit + miss, hit_without, hit_without + miss_without)
