"""The company's own thresholds: which of the signals that discovery found are worth a look."""

from __future__ import annotations

from beton.model.settings import CompanySettings


def missed(
    settings: CompanySettings, *, confidence: float | None, units: int | None, lift: float | None
) -> tuple[str, ...]:
    """Return which of ``confidence``, ``sample`` and ``lift`` stay below the settings; what is unknown misses none.

    A lift as far below 1 as the minimum lies above it is no weak one: it shows who does not buy. ``units`` counts
    those with the signal.
    """
    is_weak = lift is not None and lift < settings.min_lift and lift * settings.min_lift > 1
    found = {
        "confidence": confidence is not None and confidence < settings.min_confidence,
        "sample": units is not None and units < settings.min_sample,
        "lift": is_weak,
    }
    return tuple(name for name, is_missed in found.items() if is_missed)
