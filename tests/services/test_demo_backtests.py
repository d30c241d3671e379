"""The demo company through the whole engine: planted truth is found, also where a naive query is fooled."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from demo.planted_cohort import Cohort, Table

from beton.bootstrap import build_services
from beton.config import Settings
from beton.model.evidence import Measured
from beton.model.signal import SignalDefinition
from beton.model.signal_file import load
from beton.services import Services
from beton.services.backtests import Report

FLAGSHIP = "Onboarding completed within 3 days"
CAUSAL = (FLAGSHIP, "Invited 2+ teammates", "API key created")
CONFOUNDED = ("Dashboard created", "Weekly active 3+ weeks", "Docs visited 5+", "SSO settings viewed")


class Demo:
    """The imported company, its signals by name, their reports, the truth, and the independent evaluation."""

    def __init__(self, data_dir: Path) -> None:
        self.services: Services = build_services(Settings(data_dir=data_dir))
        self.services.workspace.build_demo(42, replace=False, on_progress=lambda *_: None)
        folder = data_dir / "demo"
        self.truth: dict[str, Any] = json.loads((folder / "truth.json").read_text(encoding="utf-8"))
        loaded = [load(path) for path in sorted(folder.glob("signals*/*.yaml"))]
        self.signals: dict[str, SignalDefinition] = {signal.name: signal for signal in loaded}
        self.reports: dict[str, Report] = {
            name: self.services.backtests.get_or_run(signal) for name, signal in self.signals.items()
        }
        self.plain = Cohort(folder)

    def measured(self, name: str) -> Measured:
        result = self.reports[name].evidence.result
        assert isinstance(result, Measured), name
        return result


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    return Demo(tmp_path_factory.mktemp("demo"))


def test_every_table_is_that_of_the_independent_evaluation(demo: Demo) -> None:
    assert len(demo.signals) == 15
    for name in demo.signals:
        found, plain = demo.measured(name).table, demo.plain.table(demo.plain.signals[name])
        assert plain == Table(found.units_with, found.converted_with, found.units_without, found.converted_without), (
            name
        )


def test_the_funnel_is_that_of_the_independent_evaluation(demo: Demo) -> None:
    steps = {step.key: step.units for step in demo.reports[FLAGSHIP].evidence.funnel}
    plain = {name: int(mask.sum()) for name, mask in demo.plain.funnel(3).items()}
    assert [steps[key] for key in ("all", "external", "matched", "at_risk", "mature")] == list(plain.values())
    assert steps["recorded"] == steps["matched"]


def test_the_window_is_that_of_the_truth(demo: Demo) -> None:
    assert {report.evidence.cohort.horizon_days for report in demo.reports.values()} == {
        demo.truth["outcome_window_days"]
    }


def test_the_ten_signals_are_saved_and_report(demo: Demo) -> None:
    reports = demo.services.signals.reports()
    assert len(reports) == 10
    assert all(found.signal.demo and found.report is not None and found.problem is None for found in reports)


def test_every_report_says_demo(demo: Demo) -> None:
    assert all(report.evidence.passport.demo for report in demo.reports.values())


@pytest.mark.parametrize("name", CAUSAL)
def test_intervals_of_causal_signals_cover_their_true_ratio(demo: Demo, name: str) -> None:
    interval, true = demo.measured(name).lift_interval, demo.truth["signals"][name]["causal_ratio"]
    assert interval.upper is not None
    assert 2.5 < true < 4.5
    assert interval.lower < true < interval.upper
    assert demo.reports[name].reading.verdict.label == "Enable"


@pytest.mark.parametrize("name", CONFOUNDED)
def test_confounded_signals_predict_and_do_not_cause(demo: Demo, name: str) -> None:
    """A backtest alone cannot see this: its interval excludes 1 although the signal moves nobody."""
    assert demo.truth["signals"][name]["causal_ratio"] == 1
    assert demo.measured(name).lift_interval.lower > 1


def test_the_harmful_signal_is_rejected(demo: Demo) -> None:
    result, verdict = (
        demo.measured("Opened 3+ support tickets"),
        demo.reports["Opened 3+ support tickets"].reading.verdict,
    )
    assert result.lift_interval.upper is not None
    assert result.lift_interval.upper < 1
    assert verdict.label == "Reject"
    assert "convert less" in verdict.reason


@pytest.mark.parametrize("name", ["Avatar uploaded", "Newsletter opened"])
def test_null_signals_are_never_enabled(demo: Demo, name: str) -> None:
    interval = demo.measured(name).lift_interval
    assert interval.upper is not None
    assert interval.lower < 1 < interval.upper
    assert demo.reports[name].reading.verdict.label != "Enable"


def test_the_degrading_signal_falls_month_by_month(demo: Demo) -> None:
    months = demo.reports["Pricing page 2x+"].evidence.months
    lifts = [(int(row.month[-2:]), math.log(row.lift)) for row in months if row.lift]
    early = [lift for month, lift in lifts if month <= 5]
    late = [lift for month, lift in lifts if month >= 8]
    assert len(early) == 5
    assert len(late) >= 2
    assert math.exp(sum(early) / len(early)) > 3
    assert math.exp(sum(late) / len(late)) < 2


def test_a_signal_of_closing_deals_fools_the_naive_query_only(demo: Demo) -> None:
    report = demo.reports["Contract viewed"]
    assert demo.plain.naive("contract_viewed").lift > 10
    assert demo.measured("Contract viewed").lift_interval.lower < 1
    assert report.reading.verdict.label == "Not enough data"
    assert report.reading.verdict.units_missing is not None


def test_conditions_on_company_size_carry_their_note_and_events_do_not(demo: Demo) -> None:
    noted = {name for name, report in demo.reports.items() if any(n.kind == "may_leak" for n in report.evidence.notes)}
    assert noted == {name for name, signal in demo.signals.items() if signal.properties}
    assert len(noted) == 3


def test_leads_and_money_of_the_flagship_multiply_out(demo: Demo) -> None:
    report = demo.reports[FLAGSHIP]
    shown, leads = report.reading.projection, report.evidence.leads
    assert shown is not None
    assert leads.months_used == ("2024-10", "2024-11", "2024-12")
    assert leads.per_month == pytest.approx(sum(dict(leads.by_month)[month] for month in leads.months_used) / 3)
    assert shown.annual_arr == pytest.approx(
        (leads.per_month or 0) * demo.measured(FLAGSHIP).extra_points * 12 * 27_000
    )


def test_the_export_lists_every_carrier_of_the_cohort(demo: Demo) -> None:
    signal = demo.signals[FLAGSHIP]
    header, rows = demo.services.backtests.members(signal)
    standing, converted = header.index("standing"), header.index("converted_in_window")
    inside = [row for row in rows if row[standing] == "in the backtest"]
    table = demo.measured(FLAGSHIP).table
    assert len(inside) == table.units_with
    assert sum(row[converted] == "yes" for row in inside) == table.converted_with
