"""Discovery on a part of the demo company: what was planted is found, and what is found is what a backtest says."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from scipy.stats import binom
from typer.testing import CliRunner

from beton import cli
from beton.bootstrap import build_worker
from beton.cli_discovery import run_text
from beton.config import Settings
from beton.discovery import sweep
from beton.discovery.cohorts import split_at_s
from beton.discovery.run import Question, Stopped, run
from beton.discovery.shuffle import Shuffled
from beton.errors import InputError
from beton.model.discovery import DiscoveryResult, DiscoverySettings, ShuffleTest
from beton.model.evidence import Measured
from beton.model.outcome import Outcome, Unit
from beton.model.signal import from_dict
from beton.services import Services
from beton.services.discovery import DiscoveryRun
from beton.services.measurement import GAP_DAYS
from beton.warehouse.compile import NEVER, seconds
from beton.warehouse.core.arrays import Core
from beton.warehouse.core.frame import Frame, frame
from beton.warehouse.landmark import NOT_AT_RISK, Clock
from beton.warehouse.reader import Warehouse

SMALL = DiscoverySettings(windows_days=(3, 14), activity_days=14, counts=(1, 2, 3, 5, 10), permutations=200)
HORIZON_DAYS = 50
WORLDS = 20


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


def test_too_many_pairs_to_keep_are_found_by_a_second_pass(company: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = replace(question(company), settings=replace(SMALL, permutations=0))
    kept = run(asked, lambda stage, share: None)
    monkeypatch.setattr(sweep, "MOST_KEPT", 0)
    again = run(asked, lambda stage, share: None)

    assert kept.search.pairs.p.size
    assert again.result.digest == kept.result.digest


def test_periods_do_not_touch(found: DiscoveryRun) -> None:
    for each in found.result.cohorts:
        assert each.train.end < each.holdout.start
        assert each.purged > 0
        assert each.train.units + each.purged + each.holdout.units == each.eligible


def test_it_is_repeatable_and_its_json_is_whole(services: Services, found: DiscoveryRun) -> None:
    again = services.discovery.run(SMALL, on_step=lambda stage, share: None)

    assert again.result.digest == found.result.digest
    assert DiscoveryResult.from_json(again.result.to_json()).digest == found.result.digest
    for name in ("singles", "pairs", "triples"):
        assert pq.read_table(again.folder / f"{name}.parquet").equals(pq.read_table(found.folder / f"{name}.parquet"))


def test_the_family_counts_every_test(found: DiscoveryRun) -> None:
    family = found.result.family

    assert family["all"] == family["1"] + family["2"]
    assert pq.read_metadata(found.folder / "singles.parquet").num_rows == family["1"]
    counted = [step.candidates for step in found.result.funnel if step.key in ("tested", "q", "listed", "kept")]
    assert counted == sorted(counted, reverse=True)


def test_the_tables_say_of_a_finding_what_the_finding_says(found: DiscoveryRun) -> None:
    rows = pq.read_table(found.folder / "singles.parquet").to_pylist()
    of_condition = {json.dumps(json.loads(row["condition_1"]), sort_keys=True): row for row in rows}
    singles = [each for each in found.result.findings if each.conditions == 1]

    assert singles
    for each in singles:
        row = of_condition[json.dumps(each.definition["when"]["all"][0], sort_keys=True)]
        assert row["lift"] == pytest.approx(each.train.lift)
        assert row["shrunk_lift"] == pytest.approx(each.shrunk_lift)
        assert 1 - row["lfsr"] == pytest.approx(each.confidence)
        assert row["adjusted_lift"] == (each.adjusted and pytest.approx(each.adjusted.lift))


def test_what_it_finds_is_saved_switched_off(services: Services, found: DiscoveryRun) -> None:
    by_hash = {each.definition.meaning_hash(): each for each in services.signals.all()}

    assert {each.definition_hash for each in found.result.findings} == set(by_hash)
    assert not any(each.enabled for each in by_hash.values())


def test_progress_only_grows_and_cancel_stops(company: Path) -> None:
    shares: list[float] = []

    with pytest.raises(Stopped):
        run(question(company), lambda stage, share: shares.append(share), lambda: len(shares) > 3)

    assert shares == sorted(shares)


def test_outcomes_of_later_cohorts_change_nothing_but_their_own_figures(company: Path) -> None:
    asked = replace(question(company), settings=replace(SMALL, permutations=0))
    split_s = split_at_s(asked.core, asked.outcome, asked.clock_of, asked.settings)

    def altered(core: Core, unit: Unit, outcome: Outcome, clock: Clock) -> Frame:
        rows = frame(core, unit, outcome, clock)
        later = rows.t0_s >= split_s
        return replace(rows, converted=np.where(later, np.arange(later.size) % 5 == 0, rows.converted))

    real, other = (
        run(replace(asked, frame_of=frame_of), lambda stage, share: None).result for frame_of in (frame, altered)
    )

    assert len(real.findings) > 2
    for name in ("definition_hash", "train", "q_value", "shrunk_lift", "confidence", "stands_for"):
        assert [getattr(each, name) for each in other.findings] == [getattr(each, name) for each in real.findings]
    assert [each.held_out.lift for each in other.findings] != [each.held_out.lift for each in real.findings]
    assert real.funnel[:-2] == other.funnel[:-2]


@pytest.mark.slow
def test_shuffled_worlds_list_next_to_nothing(services: Services) -> None:
    tested = services.discovery.shuffle_test(SMALL, rounds=WORLDS, on_step=lambda stage, share: None)

    assert len(tested.listed) == WORLDS
    assert tested.worlds <= binom.ppf(0.95, WORLDS, SMALL.fdr)


def test_shuffling_keeps_months_and_takes_outcomes_apart_from_behaviour(company: Path) -> None:
    asked = question(company)
    rows = frame(asked.core, "user", asked.outcome, asked.clock_of(3))
    one, again, other = (
        shuffled(asked.core, "user", asked.outcome, asked.clock_of(14))
        for shuffled in (Shuffled(rows, 0, 0), Shuffled(rows, 0, 0), Shuffled(rows, 0, 1))
    )
    real = frame(asked.core, "user", asked.outcome, asked.clock_of(14))

    assert (one.outcome_at_s == again.outcome_at_s).all()
    assert (one.outcome_at_s != other.outcome_at_s).any()
    late = real.status != NOT_AT_RISK
    assert (one.outcome_at_s == real.outcome_at_s)[late & real.converted].mean() < 0.2
    for month in np.unique(rows.month).tolist():
        waits = [np.sort((each.outcome_at_s - each.t0_s)[(rows.month == month)]) for each in (one, real)]
        has_outcome = [wait[wait < NEVER // 2] for wait in waits]
        assert has_outcome[0].tolist() == has_outcome[1].tolist()


def test_threads_change_nothing_in_the_result(company: Path, found: DiscoveryRun) -> None:
    one, two = (run(replace(question(company), threads=threads), lambda stage, share: None) for threads in (1, 2))

    assert one.result.digest == two.result.digest
    assert one.result.permutation is not None
    assert one.result.permutation == two.result.permutation


def test_every_finding_has_a_second_opinion(found: DiscoveryRun) -> None:
    permuted = found.result.permutation

    assert permuted is not None
    assert (permuted.rounds, permuted.conditions) == (SMALL.permutations, 2)
    assert permuted.candidates == found.result.family["all"]
    assert permuted.log_p_5 is not None
    for each in found.result.findings:
        assert (each.fwer_p is None) == (each.conditions > 2)
        if each.fwer_p is not None:
            # On the threshold itself either side will do.
            assert (each.fwer_p <= 0.05) == (each.log_p <= permuted.log_p_5 + 1e-9)
    assert min(each.fwer_p for each in found.result.findings if each.fwer_p) == pytest.approx(1 / 201)


def test_the_worker_runs_a_shuffle_test_once(company: Path, services: Services) -> None:
    first, second = (services.discovery.request_shuffle(SMALL, rounds=2) for _ in range(2))
    worker = build_worker(Settings(data_dir=company))

    assert first.id == second.id
    assert worker.run_once()
    assert not worker.run_once()
    job = services.discovery.shuffle_job()
    assert job is not None
    assert (job.id, job.status) == (first.id, "done")
    assert job.result is not None
    assert ShuffleTest.from_json(job.result).rounds == 2
    assert services.discovery.job() != job
    assert services.discovery.cancel_shuffle() is None


def test_a_shuffle_test_of_nothing_is_refused_and_it_stops_when_told_to(company: Path, services: Services) -> None:
    with pytest.raises(InputError, match="one or more"):
        services.discovery.shuffle_test(SMALL, rounds=0, on_step=lambda stage, share: None)
    seen: list[float] = []
    with pytest.raises(Stopped):
        services.discovery.shuffle_test(
            SMALL, rounds=5, on_step=lambda stage, share: seen.append(share), should_stop=lambda: bool(seen)
        )
    assert seen == [0.0]


def test_too_short_a_history_is_refused_with_a_way_out(company: Path) -> None:
    asked = question(company)
    short = replace(asked, clock_of=lambda days: replace(asked.clock_of(days), horizon_s=seconds(300)))

    with pytest.raises(InputError, match="import more months"):
        run(short, lambda stage, share: None)


@pytest.mark.parametrize("settings", [replace(SMALL, min_units=10**6), replace(SMALL, min_units=1_100)])
def test_nothing_to_test_is_refused_with_a_way_out(company: Path, settings: DiscoverySettings) -> None:
    with pytest.raises(InputError, match="import more months or more events"):
        run(replace(question(company), settings=settings), lambda stage, share: None)


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
    run_of_job = services.discovery_runs.read(job.result["run_id"])
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
    assert beton("signals", "users", one["id"]).startswith('"user_id",')
    assert "disabled" in beton("signals", "disable", one["id"])
    assert found.id[:12] in beton("runs")
    assert "No discovery is waiting" in beton("discover", "--cancel")
    assert "Shuffle test job" in beton("discover", "--shuffle", "3", "--queue")
    assert "cancelled" in beton("discover", "--shuffle", "3", "--cancel")
    shuffled = beton("discover", "--shuffle", "1", "--json")
    assert json.loads(shuffled[shuffled.index("{") :])["listed"] == [0]
    text = run_text(found)
    assert "200 rounds over" in text
    assert "seed 0" in text
    assert all(each.name in text for each in found.result.findings)
    assert all(step.reason in text for step in found.result.funnel)
