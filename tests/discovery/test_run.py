"""Discovery on a part of the demo company: what was planted is found, and what is found is what a backtest says."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from beton import cli
from beton.bootstrap import build_services, build_worker
from beton.cli_discovery import run_text
from beton.config import Settings
from beton.demo.company import write
from beton.demo.sizes import CompanySize
from beton.discovery.run import Question, Stopped, run
from beton.errors import InputError
from beton.model.discovery import DiscoveryResult, DiscoverySettings
from beton.model.evidence import Measured
from beton.model.outcome import Outcome
from beton.model.signal import from_dict
from beton.services import Services
from beton.services.discovery import DiscoveryRun
from beton.services.measurement import GAP_DAYS
from beton.warehouse.compile import seconds
from beton.warehouse.landmark import Clock
from beton.warehouse.reader import Warehouse

SMALL = DiscoverySettings(windows_days=(3, 14), activity_days=14, counts=(1, 2, 3, 5, 10))
HORIZON_DAYS = 50


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("discovery")
    write(folder / "files", size=CompanySize().scaled(0.4))
    build_services(Settings(data_dir=folder)).workspace.import_files(folder / "files" / "mapping.yaml")
    return folder


@pytest.fixture(scope="module")
def services(company: Path) -> Services:
    return build_services(Settings(data_dir=company))


@pytest.fixture(scope="module")
def found(services: Services) -> DiscoveryRun:
    return services.discovery.run(SMALL, on_step=lambda stage, share: None)


def question(company: Path) -> Question:
    warehouse = Warehouse(company)
    manifest, core = warehouse.manifest(), warehouse.core()
    assert manifest.outcomes_since is not None
    since, end = int(manifest.outcomes_since.timestamp()), int(manifest.data_end.timestamp())

    def clock_of(days: float) -> Clock:
        return Clock(seconds(days), seconds(GAP_DAYS), seconds(HORIZON_DAYS), end, since)

    return Question(core, manifest, Outcome(), clock_of, SMALL)


def test_it_finds_the_strongest_planted_signal_and_confirms_it(found: DiscoveryRun) -> None:
    onboarding = [each for each in found.result.findings if each.name == "onboarding_completed once in 3 days"]

    assert len(onboarding) == 1
    assert onboarding[0].rung.level >= 2
    assert onboarding[0].confidence > 0.95
    assert onboarding[0].held_out.lift is not None
    assert onboarding[0].held_out.lift > 1.5


def test_it_flags_the_event_that_comes_with_the_outcome(found: DiscoveryRun) -> None:
    assert [each.event for each in found.result.near_outcome] == ["contract_viewed"]
    assert not any("contract_viewed" in each.name for each in found.result.findings)


def test_a_finding_has_the_table_of_its_backtest(services: Services, found: DiscoveryRun) -> None:
    adjusted = [each for each in found.result.findings if each.adjusted is not None]

    assert adjusted
    for each in adjusted:
        measured = services.backtests.run(from_dict(dict(each.definition))).evidence.result
        assert isinstance(measured, Measured)
        assert each.adjusted is not None
        assert each.adjusted.table == measured.table, each.name
        assert each.lead_time_median_days == pytest.approx(measured.lead_time_median_days)


def test_a_finding_of_another_outcome_says_so(company: Path, services: Services) -> None:
    started = Outcome("event", event="onboarding_completed")
    asked = replace(question(company), outcome=started, settings=SMALL)
    found = run(asked, lambda stage, share: None).result.findings

    assert found
    for each in found[:5]:
        assert from_dict(dict(each.definition)).outcome == started


def test_periods_do_not_touch(found: DiscoveryRun) -> None:
    for each in found.result.cohorts:
        assert each.train.end < each.holdout.start
        assert each.purged > 0
        assert each.train.units + each.purged + each.holdout.units == each.eligible


def test_it_is_repeatable_and_its_json_is_whole(services: Services, found: DiscoveryRun) -> None:
    again = services.discovery.run(SMALL, on_step=lambda stage, share: None)

    assert again.result.digest == found.result.digest
    assert DiscoveryResult.from_json(again.result.to_json()).digest == found.result.digest
    for name in ("singles", "pairs"):
        assert pq.read_table(again.folder / f"{name}.parquet").equals(pq.read_table(found.folder / f"{name}.parquet"))


def test_the_family_counts_every_test(found: DiscoveryRun) -> None:
    family = found.result.family

    assert family["all"] == family["1"] + family["2"]
    assert pq.read_metadata(found.folder / "singles.parquet").num_rows == family["1"]
    counted = [step.candidates for step in found.result.funnel if step.key in ("tested", "q", "listed", "kept")]
    assert counted == sorted(counted, reverse=True)


def test_what_it_finds_is_saved_switched_off(services: Services, found: DiscoveryRun) -> None:
    by_hash = {each.definition.meaning_hash(): each for each in services.signals.all()}

    assert {each.definition_hash for each in found.result.findings} == set(by_hash)
    assert not any(each.enabled for each in by_hash.values())


def test_progress_only_grows_and_cancel_stops(company: Path) -> None:
    shares: list[float] = []

    with pytest.raises(Stopped):
        run(question(company), lambda stage, share: shares.append(share), lambda: len(shares) > 3)

    assert shares == sorted(shares)


def test_shuffled_outcomes_give_nothing(company: Path) -> None:
    asked = question(company)
    signals = 0
    for seed in range(5):
        order = np.random.default_rng(seed).permutation(asked.core.users.t0_s.size)
        waits = asked.core.users.won_account_s - asked.core.users.t0_s
        shuffled = replace(asked.core.users, won_account_s=waits[order] + asked.core.users.t0_s)
        result = run(replace(asked, core=replace(asked.core, users=shuffled)), lambda stage, share: None).result
        signals += len(result.findings)

    assert signals <= 1


def test_too_short_a_history_is_refused_with_a_way_out(company: Path) -> None:
    asked = question(company)
    short = replace(asked, clock_of=lambda days: replace(asked.clock_of(days), horizon_s=seconds(300)))

    with pytest.raises(InputError, match="import more months"):
        run(short, lambda stage, share: None)


def test_the_worker_runs_what_was_asked_for_once(company: Path, services: Services) -> None:
    first, second = services.discovery.request(SMALL), services.discovery.request(SMALL)
    worker = build_worker(Settings(data_dir=company))

    assert first.id == second.id
    assert worker.run_once()
    assert not worker.run_once()
    job = services.discovery.job()
    assert job is not None
    assert (job.status, job.progress) == ("done", 1.0)
    assert job.result is not None
    run_of_job = services.discovery.read(job.result["run_id"])
    assert len(run_of_job.result.findings) == job.result["signals"]


def test_the_command_line_lists_and_switches_what_was_found(
    company: Path, found: DiscoveryRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BETON_DATA_DIR", str(company))

    def beton(*arguments: str) -> str:
        done = CliRunner().invoke(cli.app, arguments, catch_exceptions=False)
        assert done.exit_code == 0
        return done.output

    listed = json.loads(beton("signals", "list", "--json"))
    one = next(each for each in listed if each["definition"]["name"] == "onboarding_completed once in 3 days")
    assert not one["enabled"]
    assert "enabled" in beton("signals", "enable", one["id"])
    assert "Lift" in beton("signals", "show", one["id"])
    assert beton("signals", "export", one["id"]).startswith('"user_id",')
    assert "disabled" in beton("signals", "disable", one["id"])
    assert found.id[:12] in beton("runs")
    assert "No discovery is waiting" in beton("discover", "--cancel")
    text = run_text(found)
    assert all(each.name in text for each in found.result.findings)
    assert all(step.reason in text for step in found.result.funnel)
