"""From counts to evidence: every refusal, every interval, the funnel, the months and the leads."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import pytest

from beton.errors import InputError
from beton.model.evidence import Evidence, Interval, Measured, NotMeasurable, Table
from beton.model.manifest import ContactFacts, EventFacts, Manifest, PropertyFacts, TimeRange
from beton.model.outcome import Outcome
from beton.model.signal import SignalDefinition, from_dict
from beton.services import measurement
from beton.services.measurement import ENGINE, Question, clock_of, cohort_of, evidence_of, measure, outcome_of
from beton.stats.clustered import ClusterMoments, clustered_difference, clustered_ratio
from beton.stats.power import minimum_detectable_lift
from beton.stats.proportions import TwoByTwo, p_value, risk_difference_interval, risk_ratio_interval
from beton.warehouse.counts import CohortCounts
from beton.warehouse.landmark import ELIGIBLE, IMMATURE, INTERNAL, NOT_AT_RISK, UNMATCHED, UNRECORDED

DAY_S = 86_400
FLAGSHIP = TwoByTwo(177, 1_247, 304, 8_934)


def at(year: int, month: int, day: int, hour: int = 0) -> datetime:
    return datetime(year, month, day, hour, tzinfo=UTC)


def manifest(**changes: Any) -> Manifest:
    facts: dict[str, Any] = {
        "schema_version": 1,
        "version": "0123456789ab",
        "built_at": at(2025, 1, 2),
        "name": "Northwind",
        "demo": False,
        "currency": "USD",
        "tables": {"users": 10},
        "range": TimeRange(at(2024, 1, 1), at(2024, 12, 31, 23)),
        "data_end": at(2025, 1, 1),
        "outcomes_since": at(2024, 1, 1),
        "contacts": ContactFacts(10, 9),
        "internal_users": 0,
        "events": (EventFacts("onboarding_completed", 5, 5), EventFacts("paid", 5, 5)),
        "properties": (
            PropertyFacts("plan", "user", "text", False, (), 2),
            PropertyFacts("role", "user", "text", True, (), 2),
            PropertyFacts("seats", "user", "number", False, (), 2),
        ),
        "rejects": {},
        "sources": (),
    }
    return Manifest(**facts | changes)


def signal(**changes: Any) -> SignalDefinition:
    plain = {"name": "Onboarded", "when": {"event": "onboarding_completed", "within_days": 3}}
    return from_dict(plain | changes)


def question(about: SignalDefinition | None = None, outcome: Outcome | None = None, **facts: Any) -> Question:
    about, outcome = about or signal(), outcome or Outcome("deal won", "user")
    cohort = cohort_of(about, outcome, np.array([], dtype=np.int64), 45)
    return Question(about, outcome, cohort, manifest(**facts), "SELECT 1")


def lone_units(table: TwoByTwo) -> ClusterMoments:
    """Every unit in an account of its own."""
    a, n, c, m = table.converted_with, table.units_with, table.converted_without, table.units_without
    return ClusterMoments(table.units, aa=a, an=a, ac=0, am=0, nn=n, nc=0, nm=0, cc=c, cm=c, mm=m)


def counts(table: TwoByTwo = FLAGSHIP, **changes: Any) -> CohortCounts:
    facts: dict[str, Any] = {
        "status_units": {ELIGIBLE: table.units},
        "months": {202401: table} if table.units else {},
        "moments": lone_units(table),
        "lead_s": np.array([], dtype=np.int64),
        "first_matches": {},
        "period_s": None,
    }
    return CohortCounts(**facts | changes)


def measured(evidence: Evidence) -> Measured:
    assert isinstance(evidence.result, Measured)
    return evidence.result


def refused(evidence: Evidence) -> NotMeasurable:
    assert isinstance(evidence.result, NotMeasurable)
    return evidence.result


# --- outcome, cohort and clock


def test_the_outcome_is_the_signals_then_the_workspaces_then_a_won_deal() -> None:
    own, workspace = Outcome("deal created"), Outcome("event", "user", "paid")
    named = signal(outcome=own.to_dict())

    assert outcome_of(named, manifest(conversion=workspace)) == own
    assert outcome_of(signal(), manifest(conversion=workspace)) == workspace
    assert outcome_of(signal(), manifest()) == Outcome("deal won", "account")


def test_an_outcome_event_must_be_in_the_data() -> None:
    with pytest.raises(InputError, match="'refund' is not in the data"):
        outcome_of(signal(outcome={"source": "event", "event": "refund"}), manifest())


def days_s(*numbers: float) -> np.ndarray[Any, np.dtype[np.int64]]:
    return np.array([round(number * DAY_S) for number in numbers], dtype=np.int64)


@pytest.mark.parametrize(
    ("outcome", "waits", "horizon_days", "source"),
    [
        (Outcome(), days_s(), 45, "the sales cycle in Settings"),
        (Outcome(), days_s(10, 20, 30), 45, "the sales cycle in Settings"),
        (Outcome(), days_s(*range(1, 102)), 81, "80th percentile of 101 observed times to outcome"),
        (Outcome(), days_s(60.5), 61, "80th percentile of 1 observed times to outcome"),
        (Outcome(horizon_days=7), days_s(60, 90), 7, "set with the outcome"),
    ],
)
def test_the_outcome_window_is_long_enough_to_see_most_outcomes(
    outcome: Outcome, waits: Any, horizon_days: float, source: str
) -> None:
    cohort = cohort_of(signal(), outcome, waits, 45)

    assert (cohort.horizon_days, cohort.horizon_source) == (horizon_days, source)
    assert (cohort.landmark_days, cohort.gap_days, cohort.unit, cohort.timing) == (3, 1, "user", "after signup")


def test_the_clock_is_in_seconds_and_knows_since_when_outcomes_were_recorded() -> None:
    asked = question(outcomes_since=at(2024, 2, 1))
    deals, events = (clock_of(asked.cohort, o, asked.manifest) for o in (Outcome(), Outcome("event", "user", "paid")))

    assert (deals.landmark_s, deals.gap_s, deals.horizon_s) == (3 * DAY_S, DAY_S, 45 * DAY_S)
    assert deals.data_end_s == int(at(2025, 1, 1).timestamp())
    assert deals.outcomes_since_s == int(at(2024, 2, 1).timestamp())
    assert events.outcomes_since_s == int(at(2024, 1, 1).timestamp())


# --- refusals


def test_without_deals_nothing_says_who_converted() -> None:
    refusal = refused(evidence_of(question(outcomes_since=None), counts()))

    assert refusal.reason == "no_outcomes_recorded"
    assert refusal.table is None


def test_an_event_outcome_needs_no_deals() -> None:
    evidence = evidence_of(question(outcome=Outcome("event", "user", "paid"), outcomes_since=None), counts())

    assert measured(evidence).lift == pytest.approx(4.17, abs=0.005)


REFUSALS: list[tuple[TwoByTwo, dict[int, int], str, str]] = [
    (TwoByTwo(0, 0, 0, 0), {}, "no_eligible_units", "No users are eligible"),
    (TwoByTwo(0, 0, 0, 0), {IMMATURE: 5}, "no_eligible_units", "No users are eligible"),
    (TwoByTwo(0, 0, 3, 9), {ELIGIBLE: 9}, "no_units_with_signal", "No eligible users carry"),
    (TwoByTwo(3, 9, 0, 0), {ELIGIBLE: 9}, "no_units_without_signal", "All eligible users carry"),
    (TwoByTwo(0, 9, 0, 1_000), {ELIGIBLE: 1_009}, "no_conversions", "None of the 1,009 eligible users converted"),
]


@pytest.mark.parametrize(("table", "statuses", "reason", "start"), REFUSALS)
def test_what_cannot_be_measured_is_refused_with_a_reason(
    table: TwoByTwo, statuses: dict[int, int], reason: str, start: str
) -> None:
    refusal = refused(evidence_of(question(), counts(table, status_units=statuses)))

    assert refusal.reason == reason
    assert refusal.sentence.startswith(start)
    assert (refusal.table is None) == (reason == "no_eligible_units")


def test_a_refusal_speaks_of_accounts_where_they_are_the_unit() -> None:
    about = signal(unit="account")

    assert refused(evidence_of(question(about), counts(TwoByTwo(0, 0, 0, 0)))).sentence.startswith("No accounts")


# --- statistics of independent units


def test_the_flagship_table_is_measured() -> None:
    result = measured(evidence_of(question(), counts(lead_s=days_s(10, 20, 33))))
    low, high = risk_difference_interval(177, 1_247, 304, 8_934)

    assert result.table == Table(177, 1_247, 304, 8_934)
    assert result.lift == pytest.approx(4.17, abs=0.005)
    assert result.lift_interval.lower == pytest.approx(3.50, abs=0.005)
    assert result.lift_interval.upper == pytest.approx(4.97, abs=0.005)
    assert result.lift_interval.method == "Miettinen-Nurminen score"
    assert result.extra_points == pytest.approx(177 / 1_247 - 304 / 8_934)
    assert result.extra_points_interval == Interval(float(low), float(high), "Newcombe hybrid score")
    assert result.p_value == p_value(FLAGSHIP).value
    assert result.p_value_method == "Fisher mid-P"
    assert result.precision == pytest.approx(177 / 1_247)
    assert result.coverage == pytest.approx(177 / 481)
    assert result.lead_time_median_days == 20
    assert result.minimum_detectable_lift == minimum_detectable_lift(1_247, 8_934, 304 / 8_934)
    assert (result.clusters, result.design_effect) == (10_181, None)


def test_one_table_alone_is_measured_like_a_cohort_of_lone_units() -> None:
    assert measure(FLAGSHIP) == measured(evidence_of(question(outcome=Outcome()), counts()))


def test_a_lift_without_limit_is_written_as_none() -> None:
    result = measure(TwoByTwo(5, 100, 0, 100))

    assert (result.lift, result.lift_interval.upper) == (None, None)
    assert result.lift_interval.lower > 1
    assert result.minimum_detectable_lift == minimum_detectable_lift(100, 100, 0.025)


def test_when_everybody_converts_there_is_no_lift_to_find() -> None:
    result = measure(TwoByTwo(50, 50, 60, 60))

    assert (result.lift, result.extra_points, result.p_value, result.minimum_detectable_lift) == (1.0, 0.0, 1.0, None)


# --- statistics of clustered units


def by_account(sizes: Sequence[tuple[int, int, bool]], repeats: int) -> tuple[TwoByTwo, ClusterMoments]:
    """Table and moments of ``repeats`` times the accounts (users with, users without, account converts)."""
    converted, has_signal, account = [], [], []
    for number, (with_signal, without, converts) in enumerate(sizes * repeats):
        for arm, users in ((True, with_signal), (False, without)):
            converted += [converts] * users
            has_signal += [arm] * users
            account += [number] * users
    table = TwoByTwo(
        sum(c and s for c, s in zip(converted, has_signal, strict=True)),
        sum(has_signal),
        sum(c and not s for c, s in zip(converted, has_signal, strict=True)),
        len(has_signal) - sum(has_signal),
    )
    return table, ClusterMoments.from_arrays(converted, has_signal, account)


ACCOUNTS = [(8, 2, True), (2, 9, False), (1, 5, True), (6, 0, False), (0, 7, False)]


def test_users_who_share_accounts_get_clustered_intervals() -> None:
    table, moments = by_account(ACCOUNTS, 20)
    result = measured(evidence_of(question(outcome=Outcome()), counts(table, moments=moments)))
    ratio, difference = clustered_ratio(table, moments), clustered_difference(table, moments)

    assert ratio is not None
    assert difference is not None
    assert result.lift_interval == Interval(ratio.lower, ratio.upper, "account-clustered sandwich")
    assert result.extra_points_interval.lower == difference.lower
    assert result.extra_points_interval.upper == difference.upper
    assert (result.p_value, result.p_value_method) == (ratio.p_value, "account-clustered Wald")
    assert (result.clusters, result.design_effect) == (100, ratio.design_effect)


def test_what_a_clustered_cohort_can_show_is_less() -> None:
    table, moments = by_account(ACCOUNTS, 20)
    clustered = measured(evidence_of(question(outcome=Outcome()), counts(table, moments=moments)))
    effect = clustered.design_effect

    assert effect is not None
    assert effect > 1.5
    expected = minimum_detectable_lift(
        table.units_with / effect, table.units_without / effect, table.converted_without / table.units_without
    )
    assert clustered.minimum_detectable_lift == expected
    independent = measure(table).minimum_detectable_lift
    assert expected is not None
    assert independent is not None
    assert expected > independent


def test_an_outcome_of_the_user_alone_is_not_clustered_unless_weeks_repeat() -> None:
    table, moments = by_account(ACCOUNTS, 20)
    own, weekly = Outcome("deal won", "user"), signal(timing="any time")

    assert measured(evidence_of(question(outcome=own), counts(table, moments=moments))).design_effect is None
    assert measured(evidence_of(question(weekly, own), counts(table, moments=moments))).design_effect is not None


def test_where_the_sandwich_fails_the_score_interval_speaks_and_a_note_says_so() -> None:
    table, moments = by_account([(3, 0, True), (0, 4, False)], 20)
    evidence = evidence_of(question(outcome=Outcome()), counts(table, moments=moments))

    assert measured(evidence).lift_interval.method == "Miettinen-Nurminen score"
    assert measured(evidence).design_effect is None
    assert [note.kind for note in evidence.notes] == ["not_clustered"]
    assert "140 units of 40 accounts" in evidence.notes[0].text


# --- funnel, period, months


def test_the_funnel_loses_units_step_by_step() -> None:
    statuses = {INTERNAL: 1, UNMATCHED: 20, UNRECORDED: 300, NOT_AT_RISK: 4_000, IMMATURE: 50_000, ELIGIBLE: 600_000}
    funnel = evidence_of(question(), counts(status_units=statuses)).funnel

    assert [(step.key, step.units) for step in funnel] == [
        ("all", 654_321),
        ("external", 654_320),
        ("matched", 654_300),
        ("recorded", 654_000),
        ("at_risk", 650_000),
        ("mature", 600_000),
    ]
    assert funnel[0].label == "All users"
    assert funnel[0].dropped_because == ""
    assert funnel[4].dropped_because == "already converted before the outcome window (3 days + 1 day gap)"
    assert funnel[5].dropped_because == "outcome window of 45 days not over at the data's end"


@pytest.mark.parametrize(
    ("changes", "label", "start"),
    [
        ({"unit": "account"}, "All accounts", "3 days + 1 day gap"),
        ({"timing": "any time"}, "User-weeks with a full window", "the landmark + 1 day gap"),
    ],
)
def test_the_funnel_says_what_it_counts(changes: dict[str, Any], label: str, start: str) -> None:
    funnel = evidence_of(question(signal(**changes)), counts()).funnel

    assert funnel[0].label == label
    assert f"({start})" in funnel[-2].dropped_because


def test_user_weeks_start_with_what_can_be_judged() -> None:
    statuses = {NOT_AT_RISK: 4, IMMATURE: 50, ELIGIBLE: 600}
    funnel = evidence_of(question(signal(timing="any time")), counts(status_units=statuses)).funnel

    assert [(step.key, step.units) for step in funnel] == [("all", 654), ("at_risk", 650), ("mature", 600)]


def test_an_empty_cohort_has_a_funnel_of_zeros() -> None:
    funnel = evidence_of(question(), counts(TwoByTwo(0, 0, 0, 0), status_units={})).funnel

    assert [step.units for step in funnel] == [0] * 6


def test_the_period_is_in_dates() -> None:
    period = (int(at(2024, 1, 5, 13).timestamp()), int(at(2024, 11, 2).timestamp()))

    assert evidence_of(question(), counts(period_s=period)).period == ("2024-01-05", "2024-11-02")
    assert evidence_of(question(), counts()).period is None


def test_months_come_in_order_with_their_own_interval() -> None:
    months = {202411: TwoByTwo(1, 2, 0, 0), 202401: TwoByTwo(3, 10, 1, 10), 202402: TwoByTwo(2, 9, 0, 9)}
    rows = evidence_of(question(), counts(TwoByTwo(6, 21, 1, 19), months=months)).months
    low, high = risk_ratio_interval(3, 10, 1, 10)

    assert [row.month for row in rows] == ["2024-01", "2024-02", "2024-11"]
    assert rows[0].table == Table(3, 10, 1, 10)
    assert rows[0].lift == pytest.approx(3.0)
    assert rows[0].lift_interval == Interval(float(low), float(high), "Miettinen-Nurminen score")
    assert rows[1].lift is None
    assert rows[1].lift_interval is not None
    assert rows[1].lift_interval.upper is None
    assert (rows[2].lift, rows[2].lift_interval) == (None, None)


# --- leads


def on(*matches: tuple[int, int, int, int]) -> Mapping[int, int]:
    """(year, month, day, units) by epoch day."""
    return {(date(y, m, d) - date(1970, 1, 1)).days: units for y, m, d, units in matches}


def leads(matches: Mapping[int, int], start: datetime, end: datetime) -> Any:
    asked = question(range=TimeRange(start, end), data_end=end)
    return evidence_of(asked, counts(first_matches=dict(matches))).leads


MATCHES = on(
    (2024, 1, 1, 1), (2024, 1, 31, 2), (2024, 2, 29, 40), (2024, 3, 1, 500), (2024, 4, 30, 6_000), (2024, 5, 1, 70_000)
)


def test_leads_per_month_are_the_mean_of_the_last_three_full_months() -> None:
    found = leads(MATCHES, at(2024, 1, 1), at(2024, 5, 20))

    assert found.by_month == (
        ("2024-01", 3),
        ("2024-02", 40),
        ("2024-03", 500),
        ("2024-04", 6_000),
        ("2024-05", 70_000),
    )
    assert found.months_used == ("2024-02", "2024-03", "2024-04")
    assert found.per_month == pytest.approx(6_540 / 3)


@pytest.mark.parametrize(
    ("start", "end", "months_used"),
    [
        (at(2024, 1, 1, 9), at(2024, 3, 1), ("2024-01", "2024-02")),
        (at(2024, 1, 3), at(2024, 3, 1), ("2024-02",)),
        (at(2024, 1, 3), at(2024, 2, 29, 23), ("2024-02",)),
        (at(2024, 1, 3), at(2024, 2, 28), ()),
        (at(2024, 1, 3), at(2024, 1, 20), ()),
        (at(2024, 11, 1), at(2025, 2, 1), ("2024-11", "2024-12", "2025-01")),
        (at(2023, 12, 31), at(2024, 3, 31, 22), ("2024-01", "2024-02", "2024-03")),
    ],
)
def test_only_months_that_were_recorded_from_end_to_end_count(
    start: datetime, end: datetime, months_used: tuple[str, ...]
) -> None:
    assert leads({}, start, end).months_used == months_used


def test_a_full_month_without_a_match_counts_as_zero() -> None:
    assert leads(on((2024, 2, 5, 9)), at(2024, 1, 1), at(2024, 4, 1)).per_month == 3


def test_without_a_full_month_there_is_no_mean() -> None:
    assert leads(MATCHES, at(2024, 1, 10), at(2024, 1, 20)).per_month is None


def test_matches_outside_the_data_are_in_no_month() -> None:
    assert leads(on((2023, 12, 31, 5), (2024, 7, 1, 5)), at(2024, 1, 1), at(2024, 4, 1)).per_month == 0


# --- notes and passport


def kinds(**changes: Any) -> list[str]:
    asked = question(changes.pop("about", None), changes.pop("outcome", None), **changes)
    return [note.kind for note in evidence_of(asked, counts()).notes]


def trait(name: str) -> dict[str, Any]:
    return {"property": name, "value": "x"}


def test_a_plain_behaviour_needs_no_caution() -> None:
    assert kinds() == []


def test_a_property_may_leak_whether_as_of_now_or_dated_and_says_how() -> None:
    event = {"event": "onboarding_completed", "within_days": 3}
    mixed = signal(when={"all": [event, trait("role"), {"not": trait("plan")}, trait("plan")]})
    now, dated = evidence_of(question(mixed), counts()).notes

    assert (now.kind, now.text.split(":")[0]) == ("may_leak", "plan")
    assert "as of now" in now.text
    assert (dated.kind, dated.text.split(":")[0]) == ("may_leak", "role")
    assert "set after the landmark are not used" in dated.text


def test_a_trait_is_called_fit() -> None:
    assert kinds(about=signal(when=trait("role"))) == ["may_leak", "fit"]


def test_weekly_landmarks_and_missing_contacts_are_said() -> None:
    assert kinds(about=signal(timing="any time"), contacts=None) == ["weekly", "no_contacts"]


def test_few_accounts_are_said_where_their_interval_is_clustered() -> None:
    table, moments = by_account(ACCOUNTS, 4)
    shared = evidence_of(question(outcome=Outcome()), counts(table, moments=moments))
    lone = evidence_of(question(outcome=Outcome()), counts(TwoByTwo(3, 10, 1, 10)))

    assert [note.kind for note in shared.notes] == ["few_clusters"]
    assert shared.notes[0].text.startswith("Only 20 accounts")
    assert lone.notes == ()


def test_the_passport_repeats_the_question() -> None:
    asked = question(demo=True)
    passport = evidence_of(asked, counts()).passport

    assert from_dict(passport.definition) == asked.signal
    assert passport.definition_hash == asked.signal.meaning_hash()
    assert passport.words == "Users who did onboarding_completed within 3 days of signup."
    assert (passport.snapshot_version, passport.workspace, passport.demo) == ("0123456789ab", "Northwind", True)
    assert (passport.engine, passport.sql, passport.outcome) == (ENGINE, "SELECT 1", asked.outcome)


@pytest.mark.parametrize("table", [FLAGSHIP, TwoByTwo(5, 100, 0, 100), TwoByTwo(0, 9, 0, 9), TwoByTwo(0, 0, 0, 0)])
def test_evidence_can_be_stored(table: TwoByTwo) -> None:
    evidence = evidence_of(question(), counts(table, lead_s=days_s(3), first_matches=on((2024, 5, 5, 5))))

    assert Evidence.from_json(json.loads(json.dumps(evidence.to_json(), allow_nan=False))) == evidence


def test_a_table_and_its_record_are_the_same() -> None:
    assert measurement.two_by_two(measurement.as_table(FLAGSHIP)) == FLAGSHIP
