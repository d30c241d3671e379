"""Evidence: what a backtest measured, with the passport that lets anyone repeat it.

Evidence holds counts and the statistics that follow from them alone. What depends on the company's settings (verdict,
revenue) is worked out from evidence when it is shown, so a changed setting never needs a new run.
A ``None`` upper limit means unbounded: JSON has no infinity.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Final, Literal

from beton.errors import InputError
from beton.model.outcome import Outcome, Unit

EVIDENCE_VERSION: Final = 1

NotMeasurableReason = Literal[
    "no_eligible_units",
    "no_units_with_signal",
    "no_units_without_signal",
    "no_conversions",
    "no_outcomes_recorded",
]


@dataclass(frozen=True)
class Cohort:
    """The clock of a backtest, in days (definitions, section 2); ``horizon_source`` says where H came from."""

    unit: Unit
    timing: str
    landmark_days: float
    gap_days: float
    horizon_days: float
    horizon_source: str


@dataclass(frozen=True)
class FunnelStep:
    """One step of the eligibility funnel: how many units remain and why the others left."""

    key: str
    label: str
    units: int
    dropped_because: str


@dataclass(frozen=True)
class Table:
    """Converted and all units, with and without the signal."""

    converted_with: int
    units_with: int
    converted_without: int
    units_without: int

    @property
    def rate_with(self) -> float | None:
        """Share of the units with the signal that converted; None when there are none."""
        return self.converted_with / self.units_with if self.units_with else None

    @property
    def rate_without(self) -> float | None:
        """Share of the units without the signal that converted; None when there are none."""
        return self.converted_without / self.units_without if self.units_without else None


@dataclass(frozen=True)
class Interval:
    """A 95% interval; ``upper`` is None where it is unbounded."""

    lower: float
    upper: float | None
    method: str


@dataclass(frozen=True)
class MonthRow:
    """The same table for the units whose time zero lies in ``month`` (YYYY-MM), mature ones only."""

    month: str
    table: Table
    lift: float | None
    lift_interval: Interval | None


@dataclass(frozen=True)
class Measured:
    """The numbers of a backtest that could be measured. Rates are shares in 0-1, ``lift`` is a risk ratio."""

    table: Table
    lift: float | None
    lift_interval: Interval
    extra_points: float
    extra_points_interval: Interval
    p_value: float
    p_value_method: str
    precision: float
    coverage: float
    lead_time_median_days: float | None
    minimum_detectable_lift: float | None
    clusters: int
    design_effect: float | None


@dataclass(frozen=True)
class NotMeasurable:
    """The data cannot tell, and why; never a lift of 0 with p = 1."""

    reason: NotMeasurableReason
    sentence: str
    table: Table | None = None


@dataclass(frozen=True)
class Note:
    """A visible caution; ``kind`` is a stable code such as ``may_leak``."""

    kind: str
    text: str


@dataclass(frozen=True)
class Leads:
    """Units that first matched, per calendar month; ``per_month`` is the mean of the last full months used."""

    per_month: float | None
    months_used: tuple[str, ...]
    by_month: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class Passport:
    """What makes the result repeatable: definition, data and engine."""

    definition: dict[str, Any]
    definition_hash: str
    words: str
    snapshot_version: str
    workspace: str
    demo: bool
    engine: str
    outcome: Outcome
    sql: str


@dataclass(frozen=True)
class Evidence:
    """The full record of one backtest."""

    passport: Passport
    cohort: Cohort
    period: tuple[str, str] | None
    funnel: tuple[FunnelStep, ...]
    result: Measured | NotMeasurable
    months: tuple[MonthRow, ...]
    leads: Leads
    notes: tuple[Note, ...] = ()
    version: int = field(default=EVIDENCE_VERSION)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON; the shape is documented in docs/guide/json.md."""
        plain = asdict(self)
        plain["result"]["kind"] = "measured" if isinstance(self.result, Measured) else "not_measurable"
        return plain

    @classmethod
    def from_json(cls, raw: dict[str, Any]) -> Evidence:
        """Read what ``to_json`` wrote; InputError if it came from another version."""
        if raw.get("version") != EVIDENCE_VERSION:
            raise InputError("this result was stored by another version of Beton; run the backtest again")
        passport = raw["passport"]
        return cls(
            passport=Passport(**{**passport, "outcome": Outcome(**passport["outcome"])}),
            cohort=Cohort(**raw["cohort"]),
            period=tuple(raw["period"]) if raw["period"] else None,
            funnel=tuple(FunnelStep(**step) for step in raw["funnel"]),
            result=_result(raw["result"]),
            months=tuple(_month(row) for row in raw["months"]),
            leads=Leads(
                raw["leads"]["per_month"],
                tuple(raw["leads"]["months_used"]),
                tuple((month, units) for month, units in raw["leads"]["by_month"]),
            ),
            notes=tuple(Note(**note) for note in raw["notes"]),
        )


def _interval(raw: dict[str, Any] | None) -> Interval | None:
    return Interval(**raw) if raw is not None else None


def _month(raw: dict[str, Any]) -> MonthRow:
    return MonthRow(raw["month"], Table(**raw["table"]), raw["lift"], _interval(raw["lift_interval"]))


def _result(raw: dict[str, Any]) -> Measured | NotMeasurable:
    plain = {key: value for key, value in raw.items() if key != "kind"}
    table = Table(**plain["table"]) if plain["table"] is not None else None
    if raw["kind"] == "not_measurable":
        return NotMeasurable(plain["reason"], plain["sentence"], table)
    assert table is not None
    intervals = {key: Interval(**plain[key]) for key in ("lift_interval", "extra_points_interval")}
    return Measured(**{**plain, **intervals, "table": table})
