"""Company settings: read and save, with the version that guards against overwriting somebody else's change."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from beton import clock
from beton.model.settings import CompanySettings

if TYPE_CHECKING:
    from beton.records.rows import SettingsRecord
    from beton.records.settings import SettingsRepository


class SettingsService:
    """Reads and saves the company's settings."""

    def __init__(self, repository: SettingsRepository) -> None:
        self._repository = repository

    def read(self) -> CompanySettings:
        """Return the settings in force."""
        return self._repository.read()

    def record(self) -> SettingsRecord:
        """Return the settings with their version, for a form."""
        return self._repository.record()

    def save_form(self, values: Mapping[str, object], expected_version: int) -> SettingsRecord:
        """Check and save a form.

        Raises:
            InputError: with a sentence per field, or because somebody saved in between.
        """
        return self._repository.write(CompanySettings.from_form(values), expected_version, at=clock.now())
