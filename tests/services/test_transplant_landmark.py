"""Immortal time through the engine: the Stanford heart transplant programme as journeys.

Crowley & Hu (1977), J Am Stat Assoc 72:27. Whoever was *ever* transplanted had to live long enough for it.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest
from journeys import Journeys

from beton.model.evidence import Measured
from beton.model.signal import from_dict
from beton.services import Services
from beton.stats.proportions import TwoByTwo, risk_ratio_interval

PATIENTS = Path(__file__).parents[1] / "stats" / "stanford_heart.csv"


def patients() -> list[dict[str, str]]:
    with PATIENTS.open(encoding="utf-8") as file:
        return list(csv.DictReader(line for line in file if not line.startswith("#")))


def programme(directory: Path) -> Journeys:
    """All accepted on one day; day 1 of the study is that day. Patients lost while alive count as alive."""
    people = Journeys(directory, data_end="1980-01-01").user("staff", signed_up="1970-01-01", internal=True)
    people.did("opened", after_days=0)
    for patient in patients():
        people.user(f"patient{patient['patient']}", signed_up="1971-01-01")
        if patient["days_to_transplant"]:
            people.did("transplant", after_days=int(patient["days_to_transplant"]) - 1)
        if patient["died"] == "1":
            people.did("died", after_days=int(patient["days_followed"]) - 1)
    return people


def definition(**more: Any) -> dict[str, Any]:
    outcome = {"source": "event", "event": "died", "belongs_to": "user", "horizon_days": 365}
    return {"name": "Transplanted", "when": {"event": "transplant"}, "outcome": outcome} | more


def ever_transplanted() -> TwoByTwo:
    """Deaths within a year by whether there ever was a transplant: the question with the future in it."""
    arms = {True: [0, 0], False: [0, 0]}
    for patient in patients():
        arm = arms[bool(patient["days_to_transplant"])]
        arm[0] += patient["died"] == "1" and int(patient["days_followed"]) <= 365
        arm[1] += 1
    return TwoByTwo(*arms[True], *arms[False])


def test_ever_against_never_makes_the_operation_look_like_a_cure() -> None:
    table = ever_transplanted()
    _, upper = risk_ratio_interval(table.converted_with, table.units_with, table.converted_without, table.units_without)
    assert table.units == 103
    assert (table.lift or 0) < 0.75
    assert float(upper) < 1


@pytest.mark.parametrize("landmark_days", [14, 30, 60])
def test_at_a_landmark_nothing_is_left_of_it(services: Services, tmp_path: Path, landmark_days: int) -> None:
    programme(tmp_path).build()
    evidence = services.backtests.run(from_dict(definition(landmark_days=landmark_days))).evidence
    assert isinstance(evidence.result, Measured)
    interval = evidence.result.lift_interval
    assert interval.upper is not None
    assert interval.lower < 1 < interval.upper


def test_the_table_at_thirty_days_is_that_of_the_patients(services: Services, tmp_path: Path) -> None:
    programme(tmp_path).build()
    evidence = services.backtests.run(from_dict(definition(landmark_days=30))).evidence
    assert isinstance(evidence.result, Measured)
    arms = {True: [0, 0], False: [0, 0]}
    for patient in patients():
        died_on_day = int(patient["days_followed"]) - 1 if patient["died"] == "1" else 10_000
        if died_on_day < 31:
            continue
        arm = arms[bool(patient["days_to_transplant"]) and int(patient["days_to_transplant"]) - 1 < 30]
        arm[0] += died_on_day < 31 + 365
        arm[1] += 1
    table = evidence.result.table
    assert [table.converted_with, table.units_with] == arms[True]
    assert [table.converted_without, table.units_without] == arms[False]
    steps = {step.key: step.units for step in evidence.funnel}
    assert (steps["all"], steps["external"], steps["mature"]) == (104, 103, arms[True][1] + arms[False][1])
