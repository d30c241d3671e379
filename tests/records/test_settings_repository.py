from __future__ import annotations

from datetime import datetime

import pytest

from beton.errors import InputError
from beton.model.settings import CompanySettings
from beton.records.audit import AuditRepository
from beton.records.database import Database
from beton.records.rows import SettingsRecord
from beton.records.settings import SettingsRepository


@pytest.fixture
def settings(database: Database) -> SettingsRepository:
    return SettingsRepository(database)


def test_before_anybody_saves_there_are_the_defaults(settings: SettingsRepository) -> None:
    assert settings.read() == CompanySettings()
    assert settings.record() == SettingsRecord(CompanySettings(), version=0, updated_at=None)


def test_what_is_saved_is_read(settings: SettingsRepository, noon: datetime, later: datetime) -> None:
    first = CompanySettings(acv=0.1 + 0.2, baseline_conversion=None, currency="EUR")
    second = CompanySettings(acv=31_000, acv_source="median")
    assert settings.write(first, 0, at=noon) == settings.record() == SettingsRecord(first, 1, noon)
    assert settings.write(second, 1, at=later) == settings.record() == SettingsRecord(second, 2, later)
    assert settings.read() == second


@pytest.mark.parametrize("stale", [0, 1, 3])
def test_a_save_over_another_version_is_refused_and_changes_nothing(
    settings: SettingsRepository, database: Database, noon: datetime, later: datetime, stale: int
) -> None:
    settings.write(CompanySettings(acv=1.0), 0, at=noon)
    current = settings.write(CompanySettings(acv=2.0), 1, at=noon)
    with pytest.raises(InputError, match="changed elsewhere"):
        settings.write(CompanySettings(acv=3.0), stale, at=later)
    assert settings.record() == current
    assert len(AuditRepository(database).recent(10)) == 2


def test_each_save_is_in_the_audit(settings: SettingsRepository, database: Database, noon: datetime) -> None:
    saved = CompanySettings(min_sample=50)
    settings.write(saved, 0, at=noon, actor="ann")
    (row,) = AuditRepository(database).recent(10)
    assert (row.at, row.actor, row.action, row.object) == (noon, "ann", "settings.saved", "settings")
    assert row.detail == {"version": 1, "settings": saved.to_json()}
