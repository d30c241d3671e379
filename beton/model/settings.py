"""What a company tells Beton about itself: the figures that projections and thresholds follow.

Amounts are in the workspace's one currency; amounts in another convert by a dated rate or not at all.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from decimal import Decimal
from typing import Final, Literal, Self, get_args

from beton.errors import InputError

AcvSource = Literal["settings", "mean", "median"]

ACV_SOURCES: Final[tuple[str, ...]] = get_args(AcvSource)
CURRENCIES: Final = ("USD", "EUR", "GBP", "CAD", "AUD", "CHF", "JPY", "SEK")

_VERSION: Final = 1
# Commas only where thousands are grouped: "3,4" is a decimal comma to half of the world, and 34 to nobody.
_NUMBER: Final = re.compile(r"-?((\d{1,3}(,\d{3})+|\d+)(\.\d+)?|\.\d+)", re.ASCII)
_LONGEST_NUMBER: Final = 400


@dataclass(frozen=True, slots=True)
class _Bounds:
    """Inclusive limits of a number as it is stored, and the sentence for whoever missed them."""

    low: float
    high: float
    sentence: str
    is_whole: bool = False
    is_percent_in_form: bool = False
    is_optional: bool = False

    def admit(self, value: object) -> bool:
        if value is None:
            return self.is_optional
        if isinstance(value, bool) or not isinstance(value, int if self.is_whole else (int, float)):
            return False
        return self.low <= value <= self.high


_BOUNDS: Final[Mapping[str, _Bounds]] = {
    "acv": _Bounds(0.01, 1e9, "Write an amount above 0 and up to 1,000,000,000, such as 27,000."),
    "baseline_conversion": _Bounds(
        0.0,
        1.0,
        "Write a percentage from 0 to 100, such as 3.4, or leave it empty if you do not know it.",
        is_percent_in_form=True,
        is_optional=True,
    ),
    "sales_cycle_days": _Bounds(1, 3650, "Write a whole number of days from 1 to 3,650, such as 45.", is_whole=True),
    "min_confidence": _Bounds(0.5, 0.9999, "Write a percentage from 50 to 99.99, such as 90.", is_percent_in_form=True),
    "min_sample": _Bounds(
        1, 10_000_000, "Write a whole number of users from 1 to 10,000,000, such as 30.", is_whole=True
    ),
    "min_lift": _Bounds(0.0, 1000.0, "Write a factor from 0 to 1,000, such as 1.5."),
}
_CHOICES: Final[Mapping[str, tuple[str, ...]]] = {"acv_source": ACV_SOURCES, "currency": CURRENCIES}


@dataclass(frozen=True, slots=True)
class CompanySettings:
    """One workspace's settings; an instance is always within its limits.

    ``acv``                  average contract value per year, in ``currency``
    ``acv_source``           whether projections use ``acv`` or the mean / median amount of won deals
    ``baseline_conversion``  the company's own free-to-paid share, 0..1; None when it does not know it
    ``sales_cycle_days``     days from first contact to a closed deal
    ``currency``             ISO 4217 code, one of ``CURRENCIES``
    ``min_confidence``       share 0.5..0.9999 below which a signal is not shown
    ``min_sample``           users with the signal below which it is not shown
    ``min_lift``             ratio of conversion rates below which a signal is not shown

    Raises:
        InputError: a value outside its limits; ``fields`` names every one.
    """

    acv: float = 27000.0
    acv_source: AcvSource = "settings"
    baseline_conversion: float | None = 0.034
    sales_cycle_days: int = 45
    currency: str = "USD"
    min_confidence: float = 0.90
    min_sample: int = 30
    min_lift: float = 1.5

    def __post_init__(self) -> None:
        _refuse(_problems({field.name: getattr(self, field.name) for field in fields(self)}))

    @classmethod
    def from_form(cls, values: Mapping[str, object]) -> Self:
        """Read every field as a person typed it; percentages as percent, blank baseline as unknown.

        Raises:
            InputError: ``fields`` holds one sentence for each field that is missing, unknown or unusable.
        """
        read = {name: _from_text(value, _BOUNDS[name]) if name in _BOUNDS else value for name, value in values.items()}
        _refuse(_strangers(read) | _problems(read))
        return cls(**read)  # type: ignore[arg-type]

    def to_form(self) -> dict[str, str]:
        """Return every field as the text that ``from_form`` reads back to the same settings."""
        return {
            name: _to_text(value, _BOUNDS[name]) if name in _BOUNDS else str(value)
            for name, value in self.to_json().items()
            if name != "v"
        }

    def to_json(self) -> dict[str, object]:
        """Return the stored form: ``{"v": 1, field: value, ...}`` in stored units."""
        return {"v": _VERSION, **{field.name: getattr(self, field.name) for field in fields(self)}}

    @classmethod
    def from_json(cls, data: Mapping[str, object]) -> Self:
        """Read what ``to_json`` wrote.

        Raises:
            InputError: another version, a missing or unknown field, or a value outside its limits.
        """
        if data.get("v") != _VERSION:
            raise InputError(
                f"These settings have version {data.get('v')!r} and this Beton reads version {_VERSION}: "
                "upgrade Beton, or save the settings again."
            )
        values = {name: value for name, value in data.items() if name != "v"}
        _refuse(_strangers(values))
        return cls(**values)  # type: ignore[arg-type]


def _strangers(values: Mapping[str, object]) -> dict[str, str]:
    known = {field.name for field in fields(CompanySettings)}
    missing = dict.fromkeys(known - set(values), "This field is missing: reload the page and save again.")
    unknown = dict.fromkeys(set(values) - known, "There is no such setting: remove it, or check its spelling.")
    return missing | unknown


def _problems(values: Mapping[str, object]) -> dict[str, str]:
    found = {}
    for name, value in values.items():
        if name in _BOUNDS and not _BOUNDS[name].admit(value):
            found[name] = _BOUNDS[name].sentence
        elif name in _CHOICES and value not in _CHOICES[name]:
            found[name] = f"Choose one of {', '.join(_CHOICES[name])}."
    return found


def _refuse(problems: Mapping[str, str]) -> None:
    if problems:
        listed = " ".join(f"{name}: {problems[name]}" for name in sorted(problems))
        raise InputError(f"These settings cannot be used. {listed}", fields=problems)


def _from_text(value: object, bounds: _Bounds) -> object:
    """Return the number in stored units, or the value itself where it is not a number one could mean."""
    number = _decimal(value)
    if number is None:
        return None if isinstance(value, str) and not value.strip() else value
    if bounds.is_whole:
        return int(number) if number.is_finite() and number == number.to_integral_value() else value
    return float(number.scaleb(-2) if bounds.is_percent_in_form else number)


def _decimal(value: object) -> Decimal | None:
    # Decimal, because 1.1 / 100 in binary is not the number that 0.011 is.
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return Decimal(value)
    if isinstance(value, float):
        return Decimal(repr(float(value)))
    text = value.strip() if isinstance(value, str) else ""
    if not text or len(text) > _LONGEST_NUMBER or not _NUMBER.fullmatch(text):
        return None
    return Decimal(text.replace(",", ""))


def _to_text(value: object, bounds: _Bounds) -> str:
    if value is None:
        return ""
    number = Decimal(str(value))
    return format((number.scaleb(2) if bounds.is_percent_in_form else number).normalize(), "f")
