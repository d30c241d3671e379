from __future__ import annotations

from dataclasses import fields
from typing import Any

from test_result_view import inside

from beton.model.settings import CompanySettings
from layouts import ids
from layouts.settings import FIELDS, settings


def form(current: CompanySettings, version: int = 1) -> dict[str, Any]:
    return {str(each.id): each for each in inside(settings(current, version)) if hasattr(each, "id")}


def test_every_setting_has_one_field_and_an_error_line() -> None:
    assert set(FIELDS) == {each.name for each in fields(CompanySettings)}
    found = form(CompanySettings())
    assert all({ids.setting(name), ids.error(ids.setting(name))} <= set(found) for name in FIELDS)


def test_an_untouched_form_saves_the_same_settings() -> None:
    for current in (
        CompanySettings(),
        CompanySettings(acv=0.01, baseline_conversion=None, min_lift=0.0, currency="JPY"),
    ):
        found = form(current)
        assert CompanySettings.from_form({name: found[ids.setting(name)].value for name in FIELDS}) == current


def test_the_version_travels_with_the_form() -> None:
    assert form(CompanySettings(), 7)[ids.SETTINGS_VERSION].data == 7
