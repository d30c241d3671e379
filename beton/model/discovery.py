"""What a discovery run is asked and what it answers. Plain data with JSON forms; nothing here counts anything."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Final, Literal

from beton.errors import InputError
from beton.model.evidence import Interval, Note, Table
from beton.model.ladder import Rung
from beton.model.outcome import Outcome, Unit
from beton.model.signal import content_hash

DISCOVERY_VERSION: Final = 1

Kind = Literal["behaviour", "fit", "mixed"]

SETTING_WORDS: Final = {
    "windows_days": "Windows of the counts, in days",
    "activity_days": "Window of active days and weeks, in days",
    "counts": "Numbers of times",
    "max_values": "Most values of one property",
    "min_units": "Units needed with and without a condition",
    "holdout_share": "Share held out",
    "holdout_from": "First day of the later cohorts",
    "fdr": "Level of the q-values",
    "max_signals": "Most signals listed",
    "permutations": "Rounds of the Westfall-Young test",
    "seed": "Seed",
}


@dataclass(frozen=True)
class DiscoverySettings:
    """The grid and the limits of a run; together with the snapshot and the outcome they fix its result.

    ``windows_days``: horizons of count conditions; ``activity_days``: the longer horizon of active days and weeks;
    ``min_units``: units needed with and without the signal in the training period (a rule that sees no outcome);
    ``holdout_share``: share of the units outside the purge that later cohorts hold; ``holdout_from``: ISO date from
    which units are held out instead, all earlier ones training, without a purge; ``fdr``: level of every q-value;
    ``permutations``: rounds of Westfall-Young, 0 for none, drawn from ``seed``.
    """

    windows_days: tuple[int, ...] = (1, 3, 7, 14)
    activity_days: int = 28
    counts: tuple[int, ...] = (1, 2, 3, 5, 8, 10, 15, 20, 30, 50)
    max_values: int = 20
    min_units: int = 30
    holdout_share: float = 0.3
    holdout_from: str = ""
    fdr: float = 0.05
    max_signals: int = 40
    permutations: int = 1_000
    seed: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Return the plain form."""
        return asdict(self)

    @classmethod
    def from_dict(cls, raw: dict[str, Any]) -> DiscoverySettings:
        """Read the plain form; InputError names an unknown key."""
        known = {each.name for each in fields(cls)}
        unknown = sorted(set(raw) - known)
        if unknown:
            raise InputError(f"unknown discovery setting {unknown[0]!r}; use {', '.join(sorted(known))}")
        plain: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in raw.items()}
        return cls(**plain)


@dataclass(frozen=True)
class Estimate:
    """A lift with its 95% interval and the table it came from; ``lift`` is None where it does not exist."""

    lift: float | None
    interval: Interval
    table: Table

    @property
    def ratio(self) -> float | None:
        """The lift, infinite where only units with the signal converted, None where nothing can be said."""
        if self.lift is not None:
            return self.lift
        one_sided = self.table.converted_with and not self.table.converted_without and self.table.units_without
        return math.inf if one_sided else None


@dataclass(frozen=True)
class Period:
    """First and last time zero (ISO dates, UTC; empty without units), with the eligible units and their conversions."""

    start: str
    end: str
    units: int
    converted: int


@dataclass(frozen=True)
class LandmarkCohort:
    """The cohort of all candidates whose longest window is ``landmark_days``.

    ``purged`` units lie between the periods, so that no training outcome falls into the held-out period.
    """

    landmark_days: float
    eligible: int
    train: Period
    holdout: Period
    purged: int
    features: int


@dataclass(frozen=True)
class Finding:
    """One signal that a run found, with everything that speaks for and against it.

    ``log_p`` is the natural log of the training mid-P; ``q_value`` is over the whole family, ``q_depth`` over the
    candidates with as many conditions; ``confidence`` is 1 - local false sign rate; ``shrunk`` is the posterior median
    with its 95% credible limits; ``adjusted`` is Mantel-Haenszel over all eligible units; ``stands_for`` names
    near-copies that were pruned in its favour; ``fwer_p`` is the Westfall-Young p-value over the
    candidates of the run's ``permutation``, None where those leave it out.
    """

    definition: dict[str, Any]
    definition_hash: str
    name: str
    words: str
    kind: Kind
    conditions: int
    landmark_days: float
    train: Estimate
    held_out: Estimate
    held_out_p: float | None
    held_out_q: float | None
    log_p: float
    q_value: float
    q_depth: float
    clustered_error_log: float | None
    shrunk_lift: float
    shrunk_interval: Interval
    confidence: float
    adjusted: Estimate | None
    lead_time_median_days: float | None
    rung: Rung
    notes: tuple[Note, ...] = ()
    stands_for: tuple[str, ...] = ()
    fwer_p: float | None = None


@dataclass(frozen=True)
class Step:
    """One step of the funnel from candidates to signals: how many remain, and why the others left."""

    key: str
    label: str
    candidates: int
    reason: str


@dataclass(frozen=True)
class NearOutcome:
    """An event that comes with the outcome rather than before it; its conditions are no candidates for a signal.

    ``near`` of ``converters`` who did it first did it within the days before the outcome, or after it.
    """

    event: str
    converters: int
    near: int
    sentence: str


@dataclass(frozen=True)
class VolcanoPoint:
    """One single candidate on the volcano plot; ``fate`` is the key of the funnel step that it reached."""

    name: str
    lift: float
    log10_p: float
    units_with: int
    fate: str


@dataclass(frozen=True)
class Mixture:
    """Prior of log lift: zero-mean normals with these standard deviations and weights (0 is the null spike)."""

    weights: tuple[float, ...]
    deviations: tuple[float, ...]
    candidates: int

    @property
    def null_share(self) -> float:
        """Share of the candidates that make no difference at all."""
        return sum(weight for weight, deviation in self._parts if not deviation)

    def share_beyond(self, ratio: float) -> float:
        """Share of the candidates whose true lift is ``ratio`` (above 1) or more, or its inverse or less."""
        log = math.log(ratio) / math.sqrt(2)
        return sum(weight * math.erfc(log / deviation) for weight, deviation in self._parts if deviation)

    def density(self, log_ratio: float) -> float:
        """Density of the true log lift among the candidates that make a difference, scaled by their share."""
        return sum(
            weight * math.exp(-0.5 * (log_ratio / deviation) ** 2) / (deviation * math.sqrt(2 * math.pi))
            for weight, deviation in self._parts
            if deviation
        )

    @property
    def _parts(self) -> list[tuple[float, float]]:
        return list(zip(self.weights, self.deviations, strict=True))


@dataclass(frozen=True)
class Permutation:
    """Westfall-Young: outcomes dealt out anew in ``rounds`` rounds within signup months.

    In a round the smallest p-value over ``candidates``, all with ``conditions`` or fewer, is below ``exp(log_p_5)``
    with a chance of 5%; ``log_p_5`` is None with fewer than 19 rounds, which cannot tell.
    """

    rounds: int
    conditions: int
    candidates: int
    log_p_5: float | None


@dataclass(frozen=True)
class ShuffleTest:
    """How many signals the whole search lists in each of ``rounds`` worlds whose outcomes were dealt out anew.

    The worlds are drawn from ``seed``. In about 5% of them, or fewer, anything at all should be listed.
    """

    rounds: int
    seed: int
    listed: tuple[int, ...]

    @property
    def worlds(self) -> int:
        """Worlds in which anything was listed."""
        return sum(each > 0 for each in self.listed)

    @property
    def sentence(self) -> str:
        """The answer in words."""
        return f"{self.worlds:,} of {self.rounds:,} shuffled worlds listed anything"

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON."""
        return asdict(self) | {"listed": list(self.listed)}

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> ShuffleTest:
        """Read what ``to_json`` wrote."""
        return cls(raw["rounds"], raw["seed"], tuple(raw["listed"]))


@dataclass(frozen=True)
class DiscoveryResult:
    """The whole answer of a run, without the tables kept as Parquet.

    ``family``: candidates tested by number of conditions ("1", "2", "3"), and "all" singles and pairs, the family of
    their q-values; that of triples is everything;
    ``priors`` by number of conditions; ``timings_s`` by stage, the only part that differs when a run is repeated.
    """

    settings: DiscoverySettings
    snapshot_version: str
    workspace: str
    demo: bool
    unit: Unit
    outcome: Outcome
    gap_days: float
    horizon_days: float
    cohorts: tuple[LandmarkCohort, ...]
    family: dict[str, int]
    funnel: tuple[Step, ...]
    cutoff_p: float | None
    priors: dict[str, Mixture]
    findings: tuple[Finding, ...]
    near_outcome: tuple[NearOutcome, ...]
    notes: tuple[Note, ...]
    volcano: tuple[VolcanoPoint, ...]
    permutation: Permutation | None = None
    timings_s: dict[str, float] = field(default_factory=dict)
    version: int = DISCOVERY_VERSION

    def family_of(self, conditions: int) -> int:
        """Return the number of candidates behind the q-value of a finding with so many conditions."""
        return self.family["all"] + (self.family["3"] if conditions > 2 else 0)

    @property
    def digest(self) -> str:
        """Hash of everything but the timings: equal for two runs of the same question on the same data."""
        plain = self.to_json()
        plain.pop("timings_s")
        return content_hash(plain)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON (lists for tuples)."""
        return asdict(self)

    @classmethod
    def from_json(cls, raw: dict[str, Any]) -> DiscoveryResult:
        """Read what ``to_json`` wrote; InputError if it came from another version."""
        if raw.get("version") != DISCOVERY_VERSION:
            raise InputError("this run was stored by another version of Beton; run the discovery again")
        return cls(
            **{
                **raw,
                "settings": DiscoverySettings.from_dict(raw["settings"]),
                "outcome": Outcome(**raw["outcome"]),
                "cohorts": tuple(_cohort(each) for each in raw["cohorts"]),
                "funnel": tuple(Step(**each) for each in raw["funnel"]),
                "priors": {key: _mixture(each) for key, each in raw["priors"].items()},
                "findings": tuple(_finding(each) for each in raw["findings"]),
                "near_outcome": tuple(NearOutcome(**each) for each in raw["near_outcome"]),
                "notes": tuple(Note(**each) for each in raw["notes"]),
                "volcano": tuple(VolcanoPoint(**each) for each in raw["volcano"]),
                "permutation": Permutation(**raw["permutation"]) if raw.get("permutation") else None,
            }
        )


def _cohort(raw: dict[str, Any]) -> LandmarkCohort:
    return LandmarkCohort(**{**raw, "train": Period(**raw["train"]), "holdout": Period(**raw["holdout"])})


def _mixture(raw: dict[str, Any]) -> Mixture:
    return Mixture(tuple(raw["weights"]), tuple(raw["deviations"]), raw["candidates"])


def _estimate(raw: dict[str, Any]) -> Estimate:
    """Read the plain form of an estimate."""
    return Estimate(raw["lift"], Interval(**raw["interval"]), Table(**raw["table"]))


def _finding(raw: dict[str, Any]) -> Finding:
    return Finding(
        **{
            **raw,
            "train": _estimate(raw["train"]),
            "held_out": _estimate(raw["held_out"]),
            "adjusted": _estimate(raw["adjusted"]) if raw["adjusted"] else None,
            "shrunk_interval": Interval(**raw["shrunk_interval"]),
            "rung": Rung(**raw["rung"]),
            "notes": tuple(Note(**each) for each in raw["notes"]),
            "stands_for": tuple(raw["stands_for"]),
        }
    )
