from __future__ import annotations

import math
import subprocess
import sys
from dataclasses import FrozenInstanceError

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beton.errors import InputError
from beton.model.settings import ACV_SOURCES, CURRENCIES, CompanySettings

FORM = {
    "acv": "27,000",
    "acv_source": "settings",
    "baseline_conversion": "3.4",
    "sales_cycle_days": "45",
    "currency": "USD",
    "min_confidence": "90",
    "min_sample": "30",
    "min_lift": "1.5",
}

valid_settings = st.builds(
    CompanySettings,
    acv=st.floats(0.01, 1e9),
    acv_source=st.sampled_from(ACV_SOURCES),
    baseline_conversion=st.none() | st.floats(0, 1),
    sales_cycle_days=st.integers(1, 3650),
    currency=st.sampled_from(CURRENCIES),
    min_confidence=st.floats(0.5, 0.9999),
    min_sample=st.integers(1, 10_000_000),
    min_lift=st.floats(0, 1000),
)


def problems_of(**changes: object) -> dict[str, str]:
    with pytest.raises(InputError) as caught:
        CompanySettings.from_form(FORM | changes)
    return caught.value.fields


def test_the_form_of_the_product_description_gives_the_defaults() -> None:
    assert CompanySettings.from_form(FORM) == CompanySettings()
    assert CompanySettings().to_form() == FORM | {"acv": "27000"}


def test_percent_fields_are_exact_shares() -> None:
    for hundredths in range(1, 10_000):
        read = CompanySettings.from_form(FORM | {"baseline_conversion": f"{hundredths / 100:.2f}"})
        assert read.baseline_conversion == hundredths / 10_000


@given(valid_settings)
def test_json_and_form_return_the_same_settings(settings: CompanySettings) -> None:
    assert CompanySettings.from_json(settings.to_json()) == settings
    assert CompanySettings.from_form(settings.to_form()) == settings


@pytest.mark.parametrize(
    ("field", "typed", "stored"),
    [
        ("acv", "1,234,567.89", 1234567.89),
        ("acv", " 500 ", 500.0),
        ("acv", 27000, 27000.0),
        ("acv", ".5", 0.5),
        ("baseline_conversion", 14.2, 0.142),
        ("baseline_conversion", "0", 0.0),
        ("baseline_conversion", "100", 1.0),
        ("baseline_conversion", "", None),
        ("baseline_conversion", "  ", None),
        ("baseline_conversion", None, None),
        ("sales_cycle_days", "45.0", 45),
        ("sales_cycle_days", 60.0, 60),
        ("min_confidence", "99.99", 0.9999),
        ("min_confidence", 50, 0.5),
        ("min_sample", "1,000", 1000),
        ("min_lift", 0, 0.0),
        ("currency", "SEK", "SEK"),
        ("acv_source", "median", "median"),
    ],
)
def test_what_people_type_is_read(field: str, typed: object, stored: object) -> None:
    read = getattr(CompanySettings.from_form(FORM | {field: typed}), field)
    assert read == stored
    assert type(read) is type(stored)


NOT_NUMBERS = ["ten", "1e5", "nan", "inf", "-", ",", "1,00", "3,4", "12,34,567", "٣", "1 000", "$5", "9" * 401]
UNUSABLE = [*NOT_NUMBERS, math.nan, math.inf, -math.inf, -1, "-1", 10**400, 1e300, True, [], {"a": 1}, b"5"]


@pytest.mark.parametrize(
    "field", ["acv", "baseline_conversion", "sales_cycle_days", "min_confidence", "min_sample", "min_lift"]
)
@pytest.mark.parametrize("typed", UNUSABLE, ids=lambda value: repr(value)[:12])
def test_unusable_numbers_are_refused_in_every_field(field: str, typed: object) -> None:
    assert set(problems_of(**{field: typed})) == {field}


@pytest.mark.parametrize(
    ("field", "typed", "hint"),
    [
        ("acv", "0", "above 0"),
        ("acv", "1,000,000,001", "up to 1,000,000,000"),
        ("acv", "", "27,000"),
        ("acv", None, "27,000"),
        ("baseline_conversion", "100.01", "0 to 100"),
        ("sales_cycle_days", "0", "whole number of days"),
        ("sales_cycle_days", "1.5", "whole number of days"),
        ("sales_cycle_days", "3651", "3,650"),
        ("min_confidence", "0.9", "50 to 99.99"),
        ("min_confidence", "100", "99.99"),
        ("min_sample", "0", "whole number of users"),
        ("min_sample", "10,000,001", "10,000,000"),
        ("min_lift", "1000.1", "1,000"),
        ("min_lift", "", "1.5"),
        ("currency", "usd", "USD, EUR"),
        ("currency", "XXX", "USD, EUR"),
        ("currency", None, "USD, EUR"),
        ("acv_source", "mode", "settings, mean, median"),
    ],
)
def test_the_sentence_beside_a_field_says_what_would_do(field: str, typed: object, hint: str) -> None:
    problems = problems_of(**{field: typed})
    assert set(problems) == {field}
    assert hint in problems[field]


def test_all_problems_come_at_once() -> None:
    problems = problems_of(acv="x", currency="X", min_lift="-1", colour="red")
    assert set(problems) == {"acv", "currency", "min_lift", "colour"}


def test_a_field_that_the_form_did_not_send_is_not_reset_to_its_default() -> None:
    with pytest.raises(InputError) as caught:
        CompanySettings.from_form({"acv": "5"})
    assert set(caught.value.fields) == set(FORM) - {"acv"}


def test_an_instance_outside_its_limits_cannot_be_made() -> None:
    with pytest.raises(InputError, match="acv: Write an amount"):
        CompanySettings(acv=math.nan)
    with pytest.raises(FrozenInstanceError):
        CompanySettings().acv = 1.0  # type: ignore[misc]


@pytest.mark.parametrize("version", [None, 0, 2, "1"])
def test_stored_settings_of_another_version_are_refused(version: object) -> None:
    with pytest.raises(InputError, match="upgrade Beton"):
        CompanySettings.from_json(CompanySettings().to_json() | {"v": version})


def test_stored_settings_must_be_whole() -> None:
    stored = CompanySettings().to_json()
    del stored["min_lift"]
    with pytest.raises(InputError) as caught:
        CompanySettings.from_json(stored | {"more": 1, "acv": "27000"})
    assert {"min_lift", "more"} <= set(caught.value.fields)


def test_settings_need_only_the_standard_library() -> None:
    script = (
        "import sys, beton, beton.model.settings, beton.records.rows;"
        "print([n for n in ('sqlalchemy', 'alembic', 'pydantic', 'numpy', 'yaml') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"
