"""Backtests as a use case: measured once, stored, read back, and read again under other settings."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from journeys import Journeys

from beton.errors import BetonError, InputError, NoDataError
from beton.model.evidence import Evidence, Measured, NotMeasurable
from beton.model.outcome import Outcome
from beton.model.signal import SignalDefinition, from_dict
from beton.services import Services
from beton.services.backtests import Report
from beton.services.measurement import measure
from beton.stats.proportions import TwoByTwo


def signal(event: str = "x", within_days: float | None = 3, **more: Any) -> SignalDefinition:
    leaf: dict[str, Any] = {"event": event} | ({"within_days": within_days} if within_days else {})
    return from_dict({"name": f"Did {event}", "when": leaf} | more)


def cohort(directory: Path, *, data_end: str = "2024-12-31", amounts: tuple[float, ...] = ()) -> Journeys:
    """40 users with x of whom 16 buy after 20 days, 40 without of whom 4 do; everybody signs up in 2024."""
    people = Journeys(directory, data_end=data_end)
    for number in range(80):
        has_signal = number < 40
        people.user(f"u{number}", signed_up=f"2024-{1 + number % 4:02d}-{1 + number % 20:02d}")
        people.did("x" if has_signal else "y", after_days=2)
        if number % 40 < (16 if has_signal else 4):
            people.won(after_days=20, **({"amount": amounts[number % len(amounts)]} if amounts else {}))
    return people


@pytest.fixture
def imported(services: Services, tmp_path: Path) -> Services:
    cohort(tmp_path, amounts=(100.0, 200.0, 900.0, 1_000.0)).build()
    return services


def measured(report: Report) -> Measured:
    assert isinstance(report.evidence.result, Measured)
    return report.evidence.result


def arms(report: Report) -> TwoByTwo:
    table = measured(report).table
    return TwoByTwo(table.converted_with, table.units_with, table.converted_without, table.units_without)


# --- running and reading back


def test_a_run_is_stored_and_read_back_the_same(imported: Services) -> None:
    report = imported.backtests.run(signal(), run_id="0" * 32)

    assert arms(report) == TwoByTwo(16, 40, 4, 40)
    assert measured(report).lift == 4
    assert measured(report).lead_time_median_days == 18
    assert report.stale_because is None
    assert imported.backtests.report("0" * 32) == report
    record = imported.backtests.status("0" * 32)
    assert (record.status, record.progress) == ("done", 1.0)
    assert Evidence.from_json(dict(record.evidence or {})) == report.evidence


def test_the_same_question_is_not_measured_twice(imported: Services) -> None:
    first = imported.backtests.get_or_run(signal())
    renamed = signal(description="said otherwise")

    assert imported.backtests.get_or_run(signal()) == first
    assert imported.backtests.get_or_run(renamed).run_id == first.run_id
    assert imported.backtests.get_or_run(signal("y")).run_id != first.run_id
    assert imported.backtests.run(signal()).run_id != first.run_id


def test_another_sales_cycle_is_another_question(imported: Services, set_company: Callable[..., None]) -> None:
    first = imported.backtests.get_or_run(signal())
    set_company(sales_cycle_days="60")
    second = imported.backtests.get_or_run(signal())

    assert (first.evidence.cohort.horizon_days, second.evidence.cohort.horizon_days) == (45, 60)
    assert second.run_id != first.run_id


def test_new_data_are_another_question_and_make_old_answers_stale(imported: Services, tmp_path: Path) -> None:
    first = imported.backtests.get_or_run(signal())
    cohort(tmp_path).user("one_more", signed_up="2024-02-02").did("x", after_days=1).publish()
    again = imported.backtests.get_or_run(signal())

    assert again.run_id != first.run_id
    assert arms(again).units_with == 41
    old = imported.backtests.report(first.run_id)
    assert old.evidence == first.evidence
    assert old.stale_because is not None
    assert first.evidence.passport.snapshot_version in old.stale_because


@pytest.mark.parametrize(
    ("failure", "sentence"),
    [
        (RuntimeError("column secret_path"), "The engine stopped with RuntimeError"),
        (BetonError("The disk is full: make room."), "The disk is full: make room."),
    ],
)
def test_a_failing_query_ends_the_run_with_a_sentence(
    imported: Services, monkeypatch: pytest.MonkeyPatch, failure: Exception, sentence: str
) -> None:
    def stop(*_: object) -> None:
        raise failure

    with monkeypatch.context() as broken:
        broken.setattr("beton.services.backtests.count_core", stop)
        with pytest.raises(type(failure)):
            imported.backtests.run(signal(), run_id="f" * 32)
    record = imported.backtests.status("f" * 32)

    assert record.status == "failed"
    assert (record.error or "").startswith(sentence)
    assert "secret_path" not in (record.error or "")
    with pytest.raises(InputError, match=sentence):
        imported.backtests.report("f" * 32)
    assert imported.backtests.get_or_run(signal()).run_id != "f" * 32


def test_what_the_data_lack_is_refused_before_a_run_is_stored(imported: Services) -> None:
    with pytest.raises(InputError, match="did you mean"):
        imported.backtests.run(signal("xx"), run_id="a" * 32)
    with pytest.raises(InputError, match="the outcome's event 'paid' is not in the data"):
        imported.backtests.run(signal(outcome={"source": "event", "event": "paid"}), run_id="a" * 32)
    with pytest.raises(InputError, match="first payment needs billing data"):
        imported.backtests.run(signal(outcome={"source": "first payment"}), run_id="a" * 32)
    with pytest.raises(InputError, match="There is no run"):
        imported.backtests.status("a" * 32)


def test_nothing_runs_before_an_import(services: Services) -> None:
    for ask in (
        services.backtests.run,
        services.backtests.get_or_run,
        services.backtests.check,
        services.backtests.sql,
    ):
        with pytest.raises(NoDataError, match="beton import"):
            ask(signal())
    services.backtests.warm()


def test_eight_threads_agree(imported: Services, tmp_path: Path) -> None:
    questions = [
        signal(name="a"),
        signal("y", name="b"),
        signal(name="c", outcome={"source": "event", "event": "y"}),
        signal(name="d", unit="user", outcome={"source": "deal won", "belongs_to": "user"}),
        signal(name="e", timing="any time", within_days=7),
    ]
    alone = [imported.backtests.run(question).evidence for question in questions]

    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda i: (i, imported.backtests.run(questions[i % 5], uuid.uuid4().hex)), range(24)))
    assert all(report.evidence == alone[i % 5] for i, report in together)


# --- the clock


def test_the_window_is_the_larger_of_sales_cycle_and_observed_times(services: Services, tmp_path: Path) -> None:
    people = Journeys(tmp_path, data_end="2025-12-31").user("none").did("x", after_days=0)
    for number, days in enumerate((10, 20, 30, 60.2, 200)):
        people.user(f"u{number}").won(after_days=days)
    people.build()
    found = services.backtests.run(signal()).evidence.cohort

    # 80th percentile of 10, 20, 30, 60.2, 200 (linear): 60.2 + 0.2 * 139.8 = 88.16, rounded up
    assert (found.horizon_days, found.horizon_source) == (89, "80th percentile of 5 observed times to outcome")
    assert (found.landmark_days, found.gap_days) == (3, 1)


@pytest.mark.parametrize(
    ("asked", "landmark", "horizon"),
    [
        (signal(), 3, 45),
        (signal(within_days=None), 14, 45),
        (signal(within_days=30), 30, 45),
        (signal(landmark_days=10), 10, 45),
        (signal(within_days=None, landmark_days=2), 2, 45),
        (signal(outcome={"source": "deal won", "horizon_days": 9}), 3, 9),
    ],
)
def test_landmark_and_window_can_be_set(
    imported: Services, asked: SignalDefinition, landmark: float, horizon: int
) -> None:
    found = imported.backtests.run(asked).evidence.cohort
    assert (found.landmark_days, found.horizon_days) == (landmark, horizon)


def test_the_outcome_of_the_signal_comes_before_that_of_the_workspace(imported: Services) -> None:
    own = imported.backtests.run(signal(outcome={"source": "event", "event": "y", "belongs_to": "user"}))
    assert own.evidence.passport.outcome == Outcome("event", "user", "y")
    assert imported.backtests.run(signal()).evidence.passport.outcome == Outcome()


# --- what a report says


def test_the_funnel_adds_up_and_says_why(services: Services, tmp_path: Path) -> None:
    people = cohort(tmp_path).contact()
    for number in range(3):
        people.user(f"test{number}", internal=True)
    people.user("early", signed_up="2024-01-05").did("x", after_days=0).won(after_days=1).contact()
    people.user("late", signed_up="2024-12-01").contact().user("seen", signed_up="2024-03-03").contact()
    people.build()
    report = services.backtests.run(signal())
    steps = {step.key: step.units for step in report.evidence.funnel}

    # contacts: u79, early, late, seen
    assert steps == {"all": 86, "external": 83, "matched": 4, "recorded": 4, "at_risk": 3, "mature": 2}
    assert isinstance(report.evidence.result, NotMeasurable)
    assert report.evidence.result.reason == "no_units_with_signal"


def test_months_add_up_to_the_table(imported: Services) -> None:
    report = imported.backtests.run(signal())
    tables = [row.table for row in report.evidence.months]

    assert [row.month for row in report.evidence.months] == ["2024-01", "2024-02", "2024-03", "2024-04"]
    assert sum(t.units_with for t in tables) == 40
    assert sum(t.converted_with for t in tables) == 16
    assert sum(t.converted_without for t in tables) == 4
    assert report.evidence.period == ("2024-01-01", "2024-04-20")


def test_leads_are_counted_by_the_month_of_the_first_match(services: Services, tmp_path: Path) -> None:
    people = cohort(tmp_path, data_end="2024-07-15").user("edge", signed_up="2024-04-29").did("x", after_days=2)
    people.user("bought", signed_up="2024-04-29").did("x", after_days=2.5).won(after_days=1)
    people.user("june", signed_up="2024-06-30T12:00:00").did("x", after_days=0.4)
    people.user("july", signed_up="2024-06-30T12:00:00").did("x", after_days=0.5)
    people.build()
    leads = services.backtests.run(signal()).evidence.leads

    assert dict(leads.by_month) == {
        "2024-01": 10, "2024-02": 10, "2024-03": 10, "2024-04": 10, "2024-05": 1, "2024-06": 1, "2024-07": 1,
    }  # fmt: skip
    assert (leads.months_used, leads.per_month) == (("2024-04", "2024-05", "2024-06"), 4)


def test_an_account_signal_is_measured_per_account(services: Services, tmp_path: Path) -> None:
    people = Journeys(tmp_path, data_end="2024-12-31")
    for number in range(20):
        company = f"c{number}"
        people.user(f"a{number}", company=company).user(f"b{number}", company=company)
        if number < 10:
            people.did("x", after_days=1)
        if number % 10 < (4 if number < 10 else 1):
            people.won(after_days=20)
    people.build()
    by_account = services.backtests.run(signal(unit="account"))
    by_user = services.backtests.run(signal())

    assert arms(by_account) == TwoByTwo(4, 10, 1, 10)
    assert measured(by_account).clusters == 20
    assert measured(by_account).lift_interval.method == "Miettinen-Nurminen score"
    assert arms(by_user) == TwoByTwo(4, 10, 6, 30)
    assert measured(by_user).clusters == 20
    assert measured(by_user).lift_interval.method == "account-clustered sandwich"


def test_the_sql_of_the_passport_is_the_sql_that_ran(imported: Services) -> None:
    report = imported.backtests.run(signal())
    assert report.evidence.passport.sql == imported.backtests.sql(signal())


# --- settings


def test_settings_move_verdict_and_projection_without_a_new_run(
    imported: Services, set_company: Callable[..., None]
) -> None:
    first = imported.backtests.run(signal(), asked_by=None)
    assert first.reading.verdict.label == "Enable"
    assert first.reading.projection is not None

    set_company(acv="54000", min_lift="12")
    again = imported.backtests.get_or_run(signal())
    assert (again.run_id, again.evidence) == (first.run_id, first.evidence)
    assert again.reading.verdict.label == "Reject"
    assert again.reading.projection is not None
    assert again.reading.projection.annual_arr == pytest.approx(2 * first.reading.projection.annual_arr)

    set_company(min_sample="41")
    assert imported.backtests.report(first.run_id).reading.verdict.label == "Not enough data"


@pytest.mark.parametrize(("source", "amount"), [("settings", 27_000.0), ("mean", 550.0), ("median", 550.0)])
def test_the_contract_value_comes_from_settings_or_from_won_deals(
    imported: Services, set_company: Callable[..., None], source: str, amount: float
) -> None:
    set_company(acv_source=source)
    found = imported.backtests.run(signal()).reading.acv

    assert found.amount == amount
    assert ("20 won deals" in found.source) == (source != "settings")


def test_mean_and_median_differ_where_amounts_are_skewed(
    services: Services, tmp_path: Path, set_company: Callable[..., None]
) -> None:
    cohort(tmp_path, amounts=(100.0, 100.0, 100.0, 5_000.0)).build()
    amounts = {}
    for source in ("mean", "median"):
        set_company(acv_source=source)
        amounts[source] = services.backtests.run(signal()).reading.acv.amount
    assert amounts == {"mean": 1_325.0, "median": 100.0}


def test_without_amounts_the_contract_value_stays_that_of_settings(
    services: Services, tmp_path: Path, set_company: Callable[..., None]
) -> None:
    cohort(tmp_path).build()
    set_company(acv_source="mean")
    found = services.backtests.run(signal()).reading.acv

    assert found.amount == 27_000
    assert "no won deal has an amount in USD" in found.source


def test_one_table_is_compared_without_any_data() -> None:
    found = measure(TwoByTwo(177, 1_247, 304, 8_934))
    assert found.lift == pytest.approx(4.171, abs=0.001)
    assert found.lift_interval.lower == pytest.approx(3.50, abs=0.005)
