"""An examination on a part of the demo company: what a run lists, and what SQL counts, is what it shows."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from beton import cli
from beton.cli_text import examination_text
from beton.discovery.cohorts import split_at_s
from beton.discovery.findings import CLUSTERED
from beton.model.discovery import DiscoverySettings
from beton.model.evidence import Table
from beton.model.examination import Brief, CannotExamine, Comparison, Curve, Doubt, Examination
from beton.model.outcome import Outcome
from beton.model.signal import SignalDefinition, from_dict
from beton.services import Services
from beton.services.clocks import clocks
from beton.services.discovery import DiscoveryRun
from beton.stats.proportions import mid_p
from beton.warehouse.reader import Warehouse

SMALL = DiscoverySettings(windows_days=(3, 14), activity_days=14, counts=(1, 2, 3, 5, 10))


@pytest.fixture(scope="module")
def found(services: Services) -> DiscoveryRun:
    return services.discovery.run(SMALL, on_step=lambda stage, share: None)


@pytest.fixture(scope="module")
def onboarding(services: Services, found: DiscoveryRun) -> Examination:
    return examined(services, signal({"event": "onboarding_completed", "within_days": 3}))


def signal(*conditions: dict[str, Any], **more: Any) -> SignalDefinition:
    return from_dict({"name": "Examined", "when": {"all": list(conditions)}, **more})


def examined(services: Services, definition: SignalDefinition) -> Examination:
    found = services.examinations.of(definition)
    assert isinstance(found, Examination)
    return found


def doubt(examination: Examination, key: str) -> Doubt:
    return next(each for each in examination.doubts if each.key == key)


def held_out_by_sql(company: Path, services: Services, definition: SignalDefinition) -> Table:
    """The held-out table of a backtest, counted in rows that SQL made."""
    warehouse = Warehouse(company)
    clock_of = clocks(warehouse, warehouse.manifest(), Outcome(), services.settings.read().sales_cycle_days)
    clock = clock_of(definition.landmark_days)
    begins_s = split_at_s(warehouse.core(), Outcome(), clock_of, SMALL)
    begins_s += clock.landmark_s + clock.gap_s + clock.horizon_s
    with warehouse.connection() as connection:
        rows = connection.execute(services.backtests.sql(definition)).fetchnumpy()
    later = (rows["status"] == 0) & (rows["t0_s"] >= begins_s)
    carries, converted = rows["signal"] == 1, rows["converted"] == 1
    return Table(*(int((later & arm & of).sum()) for arm in (carries, ~carries) for of in (converted, True)))


def test_what_a_run_lists_has_the_figures_of_the_run(services: Services, found: DiscoveryRun) -> None:
    cohorts = {each.landmark_days: each for each in found.result.cohorts}

    assert len(found.result.findings) >= 2
    for each in found.result.findings:
        shown = examined(services, from_dict(dict(each.definition)))
        for name in ("definition_hash", "train", "held_out", "held_out_p", "q_value", "adjusted", "rung"):
            assert getattr(shown, name) == getattr(each, name), (each.name, name)
        assert shown.shrunk_lift == pytest.approx(each.shrunk_lift)
        assert shown.shrunk_interval == each.shrunk_interval
        assert shown.confidence == each.confidence
        assert f"{found.result.family['all']:,}" in shown.family
        cohort = cohorts[int(each.landmark_days)]
        assert (shown.train_period, shown.held_out_period) == (cohort.train, cohort.holdout)
        assert shown.purged == cohort.purged


def test_a_brief_has_the_figures_of_the_whole(services: Services, onboarding: Examination) -> None:
    brief = services.examinations.brief(signal({"event": "onboarding_completed", "within_days": 3}))

    assert isinstance(brief, Brief)
    for name in Brief.__dataclass_fields__:
        assert getattr(brief, name) == getattr(onboarding, name), name


def test_the_best_cell_of_a_heat_map_is_called_lucky(services: Services, onboarding: Examination) -> None:
    trait = examined(services, signal({"property": "country", "op": "=", "value": "US"}))
    kinds = [{note.kind for note in each.notes} for each in (onboarding, trait)]

    assert [each.heat_map is not None for each in (onboarding, trait)] == [True, False]
    assert ["many_looks" in each for each in kinds] == [True, False]


def test_a_signal_that_no_run_lists_is_a_family_of_one(services: Services, found: DiscoveryRun) -> None:
    shown = examined(services, signal({"event": "support_ticket_opened", "within_days": 5}))
    table = shown.train.table
    columns = table.converted_with, table.units_with, table.converted_without, table.units_without

    assert shown.train.interval.method == CLUSTERED
    assert float(mid_p(*columns)) < shown.q_value < 1
    assert "alone" in shown.family
    assert [note.kind for note in shown.notes if note.kind == "not_listed"]
    assert shown.confidence is not None
    assert shown.shrunk_lift is not None
    assert shown.train.lift is not None
    assert abs(np.log(shown.shrunk_lift)) < abs(np.log(shown.train.lift))


def test_the_held_out_table_is_what_sql_counts(company: Path, services: Services, onboarding: Examination) -> None:
    asked = signal({"event": "onboarding_completed", "within_days": 3})

    assert onboarding.held_out.table == held_out_by_sql(company, services, asked)


def test_segments_and_months_add_up_to_the_backtest(services: Services, onboarding: Examination) -> None:
    evidence = services.backtests.run(signal({"event": "onboarding_completed", "within_days": 3})).evidence
    sets: dict[tuple[str, str], list[Comparison]] = {}
    for each in onboarding.comparisons:
        if each.group in ("segment", "month"):
            sets.setdefault((each.group, each.by), []).append(each)

    assert next(key for key in sets if key[0] == "segment") == ("segment", "company_size")
    assert 2 <= len(sets) - 1 <= 4
    assert ("segment", "plan") not in sets
    for rows in sets.values():
        assert sum_of(each.estimate.table for each in rows) == evidence.result.table
        assert all(each.estimate.table.units_with + each.estimate.table.units_without for each in rows)
    for _, rows in ((key, rows) for key, rows in sets.items() if key[0] == "segment"):
        assert len([each for each in rows if "other" not in each.label]) <= 6
    monthly = sets["month", "signup month"]
    assert [each.estimate.table for each in monthly] == [row.table for row in evidence.months]
    assert [each.estimate.lift for each in monthly] == [row.lift for row in evidence.months]


def sum_of(tables: Any) -> Table:
    cells = np.sum([[t.converted_with, t.units_with, t.converted_without, t.units_without] for t in tables], axis=0)
    return Table(*cells.tolist())


def test_a_trait_is_not_compared_by_itself(services: Services, found: DiscoveryRun) -> None:
    shown = examined(services, signal({"property": "company_size", "op": ">=", "value": 50}))

    assert "company_size" not in {each.by for each in shown.comparisons}
    assert doubt(shown, "traits").severity == "warning"
    assert "company_size" in doubt(shown, "traits").sentence


@pytest.mark.parametrize("where", [[], [{"property": "page_path", "op": "=", "value": "/app/reports"}]])
def test_a_cell_of_the_heat_map_is_the_held_out_table_of_its_definition(
    company: Path, services: Services, found: DiscoveryRun, where: list[dict[str, Any]]
) -> None:
    condition = {"event": "pageview", "op": "count >=", "value": 4, "within_days": 5, "where": where}
    shown = examined(services, signal(condition)).heat_map

    assert shown is not None
    assert shown.chosen is not None
    assert (shown.counts[shown.chosen[0]], shown.windows_days[shown.chosen[1]]) == (4, 5)
    for i, count in enumerate(shown.counts):
        for j, days in enumerate(shown.windows_days):
            if (i + j) % 3:  # every window and every count is among the others
                continue
            cell = shown.cells[i][j]
            table = held_out_by_sql(company, services, signal(condition | {"value": count, "within_days": days}))
            if cell is None:
                assert table.units_with == 0 or table.units_without == 0
            else:
                assert cell.table == table


@pytest.mark.parametrize(
    "conditions",
    [
        [{"event": "pageview", "op": "not completed", "within_days": 3}],
        [{"event": "*", "op": "active days >=", "value": 2, "within_days": 3}],
        [{"event": "pageview", "within_days": 3}, {"event": "api_key_created", "within_days": 3}],
        [{"not": {"event": "pageview", "within_days": 3}}],
    ],
)
def test_only_a_count_of_one_event_has_a_heat_map(
    services: Services, found: DiscoveryRun, conditions: list[dict[str, Any]]
) -> None:
    assert examined(services, signal(*conditions)).heat_map is None


def test_a_landmark_of_its_own_leaves_no_cell_chosen(services: Services, found: DiscoveryRun) -> None:
    shown = examined(services, signal({"event": "pageview", "within_days": 3}, landmark_days=14)).heat_map

    assert shown is not None
    assert shown.chosen is None


def test_curves_begin_at_the_landmark_and_only_rise(found: DiscoveryRun, onboarding: Examination) -> None:
    for curve in (onboarding.with_signal, onboarding.without_signal):
        assert isinstance(curve, Curve)
        assert curve.days[0] == 4
        assert curve.days[-1] == pytest.approx(4 + found.result.horizon_days)
        assert curve.share[0] == 0
        assert list(curve.share) == sorted(curve.share)
        assert list(curve.days) == sorted(curve.days)
        assert len(curve.days) <= 200
        assert len({len(curve.days), len(curve.share), len(curve.lower), len(curve.upper)}) == 1
        assert all(low <= at <= high for low, at, high in zip(curve.lower, curve.share, curve.upper, strict=True))
    assert onboarding.with_signal is not None
    assert onboarding.without_signal is not None
    assert onboarding.with_signal.lower[-1] > onboarding.without_signal.upper[-1]


def test_the_event_that_comes_with_the_outcome_is_a_leak(
    services: Services, onboarding: Examination, found: DiscoveryRun
) -> None:
    leaking = examined(services, signal({"event": "contract_viewed", "within_days": 14}))

    assert doubt(leaking, "leak").severity == "warning"
    assert "contract_viewed" in doubt(leaking, "leak").sentence
    assert leaking.rung.level <= 1
    assert doubt(onboarding, "leak").severity == "clear"


def test_a_strong_signal_leaves_no_doubt(onboarding: Examination) -> None:
    severities = {each.key: each.severity for each in onboarding.doubts}

    assert len(severities) == 8
    settled = ("size", "leak", "traits", "multiplicity", "replication", "activity", "accounts")
    assert all(severities[key] == "clear" for key in settled), severities
    assert onboarding.e_value is not None
    assert onboarding.adjusted is not None
    assert onboarding.adjusted.lift is not None
    assert onboarding.e_value[0] > onboarding.adjusted.lift > onboarding.adjusted.interval.lower > 1
    assert onboarding.homogeneity_p is not None
    assert 0 <= onboarding.homogeneity_p <= 1


def test_overlaps_are_counted_among_the_eligible(services: Services, found: DiscoveryRun) -> None:
    saved = services.signals.all()
    first = saved[0]
    brief = services.examinations.brief(first)
    assert isinstance(brief, Brief)
    table = services.backtests.run(first.definition).evidence.result.table
    assert table is not None

    overlaps = services.examinations.overlaps(first.id)

    assert {each.signal_id for each in overlaps} == {each.id for each in saved[1:]}
    assert [each.jaccard for each in overlaps] == sorted((each.jaccard for each in overlaps), reverse=True)
    for each in overlaps:
        assert each.both + each.only_this == table.units_with
        assert min(each.both, each.only_this, each.only_other) >= 0
    assert any(each.both for each in overlaps)


def test_the_command_line_shows_what_speaks_for_and_against(
    company: Path, services: Services, found: DiscoveryRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BETON_DATA_DIR", str(company))
    saved = services.signals.all()[0]
    shown = examined(services, saved.definition)

    page = CliRunner().invoke(cli.app, ["signals", "show", saved.id], catch_exceptions=False).output
    document = json.loads(CliRunner().invoke(cli.app, ["signals", "show", saved.id, "--json"]).output)

    assert f"level {shown.rung.level} of 4, {shown.rung.label}" in page
    assert all(each.sentence in page for each in shown.doubts)
    assert document["examination"] == json.loads(json.dumps(asdict(shown)))
    assert "Evidence: cannot tell. No cohort." in examination_text(CannotExamine("No cohort."))
