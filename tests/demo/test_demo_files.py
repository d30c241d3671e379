"""What the demo company writes: exact sizes, honest files, the same bytes for the same seed."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml

from beton.demo import company
from beton.demo.sizes import EXACT_EVENTS, CompanySize
from beton.model.mapping import load_mapping
from beton.model.signal_file import load as load_signal

TENTH = CompanySize().scaled(0.1)


def digests(directory) -> dict[str, str]:
    return {
        str(path.relative_to(directory)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(directory.rglob("*"))
        if path.is_file()
    }


def column(cohort, table: str, name: str) -> list:
    return pq.read_table(cohort.directory / f"{table}.parquet", columns=[name])[name].to_pylist()


def test_rows_are_those_of_the_specification(cohort):
    assert len(cohort.t0) == 34_521
    assert column(cohort, "deals", "stage").count("Closed Won") == 847
    assert len(column(cohort, "contacts", "id")) == 12_456
    assert cohort.matched.sum() == 11_086


@pytest.mark.parametrize(("event", "rows"), EXACT_EVENTS.items())
def test_event_counts_are_exact(cohort, event, rows):
    assert cohort.rows("event", "=", event).sum() == rows


def test_the_small_events_add_about_twenty_thousand(cohort):
    assert 15_000 < len(cohort.event_user) - sum(EXACT_EVENTS.values()) < 25_000


def test_some_contacts_match_only_after_trimming_and_case_folding(cohort):
    raw = set(column(cohort, "contacts", "email"))
    exact = sum(email in raw for email in column(cohort, "users", "email"))
    assert 9_000 < exact < 10_500


def test_everything_happens_in_2024_and_in_order(cohort):
    t0_days = cohort.t0.astype("datetime64[D]")
    assert t0_days.min() >= np.datetime64("2024-01-01")
    assert t0_days.max() <= np.datetime64("2024-12-31")
    assert cohort.since_us.min() == 0
    times = pq.read_table(cohort.directory / "events.parquet", columns=["timestamp"])["timestamp"].to_numpy()
    assert (np.diff(times) >= np.timedelta64(0, "us")).all()
    assert times.max() < np.datetime64("2025-01-01")


def test_signups_grow(cohort):
    monthly = np.bincount(cohort.t0.astype("datetime64[M]").astype(int) - 648)
    assert monthly[6:].sum() > 1.25 * monthly[:6].sum()


def test_internal_and_test_accounts_exist_and_are_not_contacts(cohort):
    assert 200 < cohort.internal.sum() < 600
    assert not (cohort.internal & cohort.matched).any()


def test_deals_open_before_they_close_and_average_27_000(cohort):
    deals = pq.read_table(cohort.directory / "deals.parquet").to_pandas()
    closed = deals[deals.closed_at.notna()]
    assert (closed.created_at < closed.closed_at).all()
    assert set(deals[deals.closed_at.isna()].stage) == {"Qualified", "Proposal", "Negotiation"}
    assert deals[deals.stage == "Closed Won"].amount.mean() == pytest.approx(27_000, rel=0.01)


def test_nobody_buys_during_the_trial(cohort):
    deals = pq.read_table(cohort.directory / "deals.parquet").to_pandas()
    led_by_user = deals[(deals.stage == "Closed Won") & deals.user.notna()]
    signup = dict(zip(cohort.user_ids, cohort.t0, strict=True))
    waited = led_by_user.closed_at.to_numpy() - np.array([signup[user] for user in led_by_user.user])
    assert len(waited) > 300
    assert waited.min() >= np.timedelta64(19, "D")


def test_the_plan_of_customers_is_dated_by_the_win(cohort):
    users = pq.read_table(cohort.directory / "users.parquet").to_pandas()
    paid = users.plan.isin(["team", "business", "enterprise"]).to_numpy()
    won = cohort.won_at < np.datetime64("2025-01-01")
    assert (paid == won).all()
    changed = users.plan_changed_at.to_numpy()
    assert (changed[paid] == np.maximum(cohort.won_at, cohort.t0)[paid]).all()
    assert (changed[~paid] == cohort.t0[~paid]).all()


@pytest.mark.parametrize(("table", "name"), [("users", "email"), ("contacts", "email"), ("companies", "domain")])
def test_every_domain_is_reserved_for_examples(cohort, table, name):
    assert all(text.strip().lower().endswith(".example") for text in column(cohort, table, name))


def test_identities_are_unique_and_the_showcase_companies_exist(cohort):
    for table, name in (("users", "email"), ("users", "id"), ("companies", "name"), ("companies", "domain")):
        values = column(cohort, table, name)
        assert len(set(values)) == len(values)
    assert len(cohort.contact_emails) == 12_456
    assert {"Acme Corp", "TechStart", "DataFlow", "CloudNine"} <= set(column(cohort, "companies", "name"))


def test_most_matched_accounts_have_one_user_and_some_have_several(cohort):
    accounts = np.unique(np.array(cohort.company, object)[cohort.matched].astype(str), return_counts=True)[1]
    assert 9_000 < len(accounts) < 10_500
    assert 0.85 < (accounts == 1).mean() < 0.97


def test_the_mapping_names_only_existing_columns(cohort):
    mapping = yaml.safe_load((cohort.directory / "mapping.yaml").read_text(encoding="utf-8"))
    assert mapping["demo"] is True
    assert set(mapping["tables"]) == {"users", "companies", "contacts", "events", "deals"}
    for table in mapping["tables"].values():
        present = set(pq.read_schema(cohort.directory / table["file"]).names)
        internal = [table["internal"]["column"]] if "internal" in table else []
        won = [table["won"]["column"]] if "won" in table else []
        named = [*table["columns"].values(), *table.get("properties", []), *table.get("set_at", {}).values()]
        assert set(named + internal + won) <= present


def test_the_import_and_the_signal_reader_accept_the_files(cohort):
    mapping = load_mapping(cohort.directory / "mapping.yaml")
    assert mapping.data_end == datetime(2025, 1, 1, tzinfo=UTC)
    assert mapping.outcomes_since == datetime(2024, 1, 1, tzinfo=UTC)
    names = {load_signal(path).name for path in cohort.directory.glob("signals*/*.yaml")}
    assert names == set(cohort.signals)


def test_the_signals_give_away_nothing(cohort):
    paths = sorted(cohort.directory.glob("signals/*.yaml"))
    assert len(paths) == 10
    assert paths[0].name == "01-onboarding-completed-within-3-days.yaml"
    planted = sorted(cohort.directory.glob("signals-planted/*.yaml"))
    for path in paths + planted:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
        assert set(document) == {"name", "description", "source", "unit", "when"}


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(tmp_path):
    for name, seed in (("a", 7), ("b", 7), ("c", 8)):
        company.write(tmp_path / name, seed=seed, size=TENTH)
    first, again, other = (digests(tmp_path / name) for name in "abc")
    assert first == again
    changed = {path for path in first if first[path] != other[path]}
    assert {
        "users.parquet",
        "companies.parquet",
        "contacts.parquet",
        "events.parquet",
        "deals.parquet",
    } <= changed


def test_a_scaled_company_keeps_its_counts(tmp_path):
    company.write(tmp_path, seed=3, size=TENTH)
    events = pq.read_table(tmp_path / "events.parquet", columns=["event"]).to_pandas().event
    assert pq.read_metadata(tmp_path / "users.parquet").num_rows == 3_452
    assert events.value_counts()["pageview"] == 184_729
    stages = pq.read_table(tmp_path / "deals.parquet", columns=["stage"])["stage"].to_pylist()
    assert stages.count("Closed Won") == 85


def test_progress_rises_from_nothing_to_done(tmp_path):
    seen: list[tuple[float, str]] = []
    company.write(tmp_path, on_progress=lambda fraction, stage: seen.append((fraction, stage)), size=TENTH)
    fractions = [fraction for fraction, _ in seen]
    assert fractions == sorted(fractions)
    assert (fractions[0], fractions[-1]) == (0.0, 1.0)
    assert all(stage for _, stage in seen)
