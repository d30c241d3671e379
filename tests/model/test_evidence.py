"""Evidence survives being stored: the same after JSON, and JSON that every reader accepts."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beton.errors import InputError
from beton.model.evidence import (
    Cohort,
    Evidence,
    FunnelStep,
    Interval,
    Leads,
    Measured,
    MonthRow,
    Note,
    NotMeasurable,
    Passport,
    Table,
)
from beton.model.outcome import Outcome

counts = st.integers(0, 10**7)
finite = st.floats(allow_nan=False, allow_infinity=False)
words = st.text(max_size=12)
tables = st.builds(Table, counts, counts, counts, counts)
intervals = st.builds(Interval, finite, st.none() | finite, words)
measured = st.builds(
    Measured,
    table=tables,
    lift=st.none() | finite,
    lift_interval=intervals,
    extra_points=finite,
    extra_points_interval=intervals,
    p_value=finite,
    p_value_method=words,
    precision=finite,
    coverage=finite,
    lead_time_median_days=st.none() | finite,
    minimum_detectable_lift=st.none() | finite,
    clusters=counts,
    design_effect=st.none() | finite,
)
reasons = st.sampled_from(
    ["no_eligible_units", "no_units_with_signal", "no_units_without_signal", "no_conversions", "no_outcomes_recorded"]
)
refused = st.builds(NotMeasurable, reasons, words, st.none() | tables)
outcomes = st.sampled_from([Outcome(), Outcome("event", "user", "paid", 30)])
passports = st.builds(
    Passport,
    definition=st.just({"name": "S", "unit": "user", "when": {"all": [{"event": "a", "op": "completed"}]}}),
    definition_hash=words,
    words=words,
    snapshot_version=words,
    workspace=words,
    demo=st.booleans(),
    engine=words,
    outcome=outcomes,
    sql=words,
)
months = st.builds(MonthRow, words, tables, st.none() | finite, st.none() | intervals)
leads = st.builds(
    Leads,
    st.none() | finite,
    st.lists(words, max_size=3).map(tuple),
    st.lists(st.tuples(words, counts), max_size=3).map(tuple),
)
evidences = st.builds(
    Evidence,
    passport=passports,
    cohort=st.builds(Cohort, st.sampled_from(["user", "account"]), words, finite, finite, finite, words),
    period=st.none() | st.tuples(words, words),
    funnel=st.lists(st.builds(FunnelStep, words, words, counts, words), max_size=3).map(tuple),
    result=measured | refused,
    months=st.lists(months, max_size=3).map(tuple),
    leads=leads,
    notes=st.lists(st.builds(Note, words, words), max_size=2).map(tuple),
    version=st.just(1),
)


@given(evidences)
def test_what_was_stored_is_what_is_read(evidence: Evidence) -> None:
    stored = json.dumps(evidence.to_json(), allow_nan=False)

    assert Evidence.from_json(json.loads(stored)) == evidence
    assert Evidence.from_json(evidence.to_json()) == evidence


@given(evidences)
def test_the_kind_of_result_is_written_beside_it(evidence: Evidence) -> None:
    kind = evidence.to_json()["result"]["kind"]

    assert kind == ("measured" if isinstance(evidence.result, Measured) else "not_measurable")


@pytest.mark.parametrize("version", [None, 0, 2, "1"])
def test_evidence_of_another_version_is_refused(version: object) -> None:
    with pytest.raises(InputError, match="run the backtest again"):
        Evidence.from_json({"version": version})
