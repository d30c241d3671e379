"""Immortal time on real patients: the same data protect or do nothing, depending on when the clock is read.

The 103 patients of the Stanford heart transplant programme (Crowley & Hu 1977). Asking who was *ever*
transplanted credits the operation with the days a patient had to survive to get it.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from statsmodels.duration.hazard_regression import PHReg


@pytest.fixture(scope="module")
def patients() -> pd.DataFrame:
    return pd.read_csv(Path(__file__).with_name("stanford_heart.csv"), comment="#")


def hazard_ratio(model: PHReg) -> tuple[float, float, float]:
    """Ratio with its 95% interval."""
    result = model.fit()
    return float(np.exp(result.params[0])), *map(float, np.exp(result.conf_int()[0]))


def test_the_data_are_complete(patients):
    assert len(patients) == 103
    assert patients.days_to_transplant.notna().sum() == 69
    assert patients.died.sum() == 75
    assert (patients.days_to_transplant.dropna() <= patients.days_followed[patients.days_to_transplant.notna()]).all()


def test_ever_against_never_makes_transplants_look_protective(patients):
    ever = patients.days_to_transplant.notna().to_numpy(float)[:, None]
    model = PHReg(patients.days_followed.to_numpy(float), ever, status=patients.died.to_numpy())
    assert hazard_ratio(model) == pytest.approx((0.27, 0.17, 0.43), abs=0.005)


def test_counting_each_day_where_it_belongs_finds_no_effect(patients):
    waiting_ends = patients.days_to_transplant.fillna(patients.days_followed)
    # An operation precedes a death on the same day.
    waiting_ends = waiting_ends.where(
        patients.days_to_transplant.isna() | (waiting_ends < patients.days_followed), waiting_ends - 0.5
    )
    done = patients.days_to_transplant.notna()
    entry = np.concatenate([np.zeros(len(patients)), waiting_ends[done]])
    leave = np.concatenate([waiting_ends, patients.days_followed[done]])
    died = np.concatenate([patients.died.where(~done, 0), patients.died[done]])
    transplanted = np.concatenate([np.zeros(len(patients)), np.ones(done.sum())])[:, None]
    model = PHReg(leave, transplanted, status=died, entry=entry)
    assert hazard_ratio(model) == pytest.approx((1.09, 0.61, 1.94), abs=0.005)
