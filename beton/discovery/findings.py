"""Write down what speaks for and against each signal that was kept."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Final, NamedTuple

import numpy as np

from beton.discovery.candidates import Candidates, Feature
from beton.discovery.families import Counts
from beton.discovery.search import Search
from beton.discovery.shortlist import MIN_EXPECTED, Bools, Entry, Kept, clustered, count, stratified
from beton.model.discovery import Estimate, Finding, Kind, Mixture
from beton.model.evidence import Interval, Note, Table
from beton.model.ladder import Climb, rung
from beton.model.outcome import Outcome
from beton.model.signal import DAY_S, MAX_NAME, SignalDefinition, from_dict
from beton.model.words import sentence
from beton.stats.multiplicity import benjamini_hochberg
from beton.stats.proportions import TwoByTwo, log_mid_p, normal_quantile, risk_ratio_interval
from beton.stats.shrinkage import Prior, fit, log_ratio
from beton.warehouse.core.arrays import Core
from beton.warehouse.core.match import match_s

SCORE: Final = "Miettinen-Nurminen score"
CLUSTERED: Final = "account-clustered sandwich"
MANTEL_HAENSZEL: Final = "Mantel-Haenszel, Greenland-Robins"
SHRUNK: Final = "empirical Bayes, 95% credible"
NEAR_CERTAIN: Final = 0.95
MIN_COMPARABLE: Final = 0.5


@dataclass(frozen=True)
class Setting:
    """What findings are written from; ``outcome`` is None where it is the workspace's, which needs no saying."""

    core: Core
    candidates: Candidates
    priors: Mapping[str, Mixture]
    outcome: Outcome | None

    def definition(self, features: Sequence[int]) -> SignalDefinition:
        """Return the signal that a person would write for these features, all of which must hold."""
        chosen = [self.candidates.features[feature] for feature in features]
        name = " and ".join(feature.name for feature in chosen)[:MAX_NAME]
        plain: dict[str, Any] = {"name": name, "when": {"all": [feature.condition for feature in chosen]}}
        return from_dict(plain | ({} if self.outcome is None else {"outcome": self.outcome.to_dict()}))


def findings(setting: Setting, kept: Sequence[Kept]) -> list[Finding]:
    """Return the signals with held-out confirmation (Benjamini-Hochberg over all of them) and adjustment."""
    periods = [of_periods(each.entry) for each in kept]
    held_q = benjamini_hochberg([later.log_p for _, later in periods]).tolist()
    return [_finding(setting, each, *both, q) for each, both, q in zip(kept, periods, held_q, strict=True)]


def _finding(setting: Setting, each: Kept, trained: OfPeriod, later: OfPeriod, held_q: float) -> Finding:
    entry, train, held_out = each.entry, trained.estimate, later.estimate
    features = [setting.candidates.features[at] for at in entry.features]
    definition, prior = setting.definition(entry.features), prior_of(setting.priors, len(features))
    adjusted = adjusted_lift(entry)
    shrunk = prior.posterior(*log_ratio(*entry.train.cells))
    ratio = clustered(entry, entry.cohort.frame.eligible)
    climb = climb_of(entry, held_out, held_q, adjusted)
    return Finding(
        definition=definition.to_dict(),
        definition_hash=definition.meaning_hash(),
        name=definition.name,
        words=sentence(definition),
        kind=_kind(features),
        conditions=len(features),
        landmark_days=definition.landmark_days,
        train=train,
        held_out=held_out,
        held_out_p=math.exp(later.log_p),
        held_out_q=held_q,
        log_p=entry.log_p,
        q_value=entry.q_all,
        q_depth=entry.q_depth,
        clustered_error_log=None if ratio is None else ratio.standard_error_log,
        shrunk_lift=math.exp(float(shrunk.median)),
        shrunk_interval=Interval(math.exp(float(shrunk.lower)), math.exp(float(shrunk.upper)), SHRUNK),
        confidence=1 - float(shrunk.lfsr),
        adjusted=adjusted,
        lead_time_median_days=_lead_time_days(setting.core, entry, definition),
        rung=rung(climb),
        notes=_notes(features),
        stands_for=tuple(setting.definition(twin).name for twin in each.stands_for),
    )


def estimates(tables: Sequence[TwoByTwo]) -> list[Estimate]:
    """Return the lifts of several tables with their score intervals, all at once."""
    cells = np.array([table.cells for table in tables])
    lower, upper = risk_ratio_interval(*cells.reshape(-1, 4).T)
    return [
        Estimate(
            table.lift,
            Interval(float(low), float(high) if math.isfinite(high) else None, SCORE),
            Table(*table.cells),
        )
        for table, low, high in zip(tables, lower, upper, strict=True)
    ]


def table_log_p(table: TwoByTwo) -> float:
    """Natural log of the mid-P of a table; 0 (p = 1) where it compares nothing."""
    return float(log_mid_p(*table.cells))


class OfPeriod(NamedTuple):
    """A lift in one period, and the natural log of its p-value."""

    estimate: Estimate
    log_p: float


def of_periods(entry: Entry) -> tuple[OfPeriod, OfPeriod]:
    """Return what the training period and the later cohorts say, with accounts as the unit of chance.

    Where accounts repeat, the interval is the clustered one of a backtest and the p-value the larger of its Wald test
    and mid-P: with few conversions the first claims too much, with many users to an account the second.
    """
    plain = estimates([entry.train, entry.holdout])
    train, later = entry.cohort.train, entry.cohort.holdout
    return _of_period(entry, plain[0], entry.train, train), _of_period(entry, plain[1], entry.holdout, later)


def _of_period(entry: Entry, plain: Estimate, table: TwoByTwo, member: Bools) -> OfPeriod:
    log_p, ratio = table_log_p(table), clustered(entry, member)
    if ratio is None:
        return OfPeriod(plain, log_p)
    wald = math.log(ratio.p_value) if ratio.p_value else -math.inf
    return OfPeriod(replace(plain, interval=Interval(ratio.lower, ratio.upper, CLUSTERED)), max(log_p, wald))


def adjusted_lift(entry: Entry) -> Estimate | None:
    """Mantel-Haenszel over activity x quarter x account size, among all eligible units of the cohort.

    The standard error counts users as independent; where accounts repeat it is multiplied by the root of the design
    effect of the crude lift (Kish 1965, Survey Sampling, 5.4), unless that is below 1.

    None unless most carriers meet somebody alike without the signal: a lift of the others is not the signal's.
    """
    member, stratum = entry.cohort.frame.eligible, entry.cohort.stratum
    within = stratified(entry, stratum, member)
    if not math.isfinite(float(within.error_log)):
        return None
    signal = entry.units[member]
    others = np.bincount(stratum[member][~signal], minlength=int(stratum.max(initial=0)) + 1)
    if not float((others[stratum[member][signal]] > 0).mean()) > MIN_COMPARABLE:
        return None
    crude, ratio = clustered(entry, member), float(within.ratio)
    effect = 1.0 if crude is None else max(1.0, crude.design_effect)
    away = math.exp(normal_quantile(0.95) * float(within.error_log) * math.sqrt(effect))
    table = Table(*count(entry.units, entry.cohort.frame.converted, member).cells)
    return Estimate(ratio, Interval(ratio / away, ratio * away, MANTEL_HAENSZEL), table)


def crude_lift(adjusted: Estimate) -> float | None:
    """Return the lift of the units of an adjusted one."""
    return TwoByTwo(**asdict(adjusted.table)).lift


def climb_of(entry: Entry, held_out: Estimate, held_q: float, adjusted: Estimate | None) -> Climb:
    """Gather what decides the rung of an entry; ``held_q`` is over those confirmed together."""
    table, expected = entry.train, entry.train.expected_with
    leak = ""
    if (table.rate_with or 0.0) > NEAR_CERTAIN:
        leak = "Nearly everybody with it converts: it is probably part of the outcome"
    return Climb(
        measurable=expected >= MIN_EXPECTED,
        obstacle=f"{expected:.1f} conversions expected with the signal; at least {MIN_EXPECTED} are needed",
        q_value=max(entry.q_all, entry.q_depth),
        lift=math.inf if table.lift is None else table.lift,
        held_out_lift=held_out.ratio,
        held_out_q=held_q,
        held_out_limits=(held_out.interval.lower, held_out.interval.upper),
        adjusted_lift=None if adjusted is None else adjusted.lift,
        adjusted_limits=None if adjusted is None else (adjusted.interval.lower, adjusted.interval.upper),
        leaks=leak,
        unadjusted_lift=None if adjusted is None else crude_lift(adjusted),
    )


def _kind(features: Sequence[Feature]) -> Kind:
    kinds = {feature.kind for feature in features}
    return features[0].kind if len(kinds) == 1 else "mixed"


def _notes(features: Sequence[Feature]) -> tuple[Note, ...]:
    traits = sorted({feature.group for feature in features if feature.kind == "fit"})
    if not traits:
        return ()
    text = f"{', '.join(traits)}: known as of now, not as of the landmark, so it may leak the outcome"
    return (Note("may_leak", text),)


def _lead_time_days(core: Core, entry: Entry, definition: SignalDefinition) -> float | None:
    rows = entry.cohort.frame
    hits = rows.eligible & rows.converted & entry.units
    if not hits.any():
        return None
    carriers = rows.unit[hits]
    matched = match_s(core, definition, entry.cohort.landmark_days * DAY_S, carriers)[carriers]
    return float(np.median(rows.outcome_at_s[hits] - rows.t0_s[hits] - matched)) / DAY_S


def priors(found: Search) -> dict[str, Mixture]:
    """Fit the spread of true lifts by number of conditions: on all singles, and on pairs chosen blindly."""
    return {depth: _mixture(counts) for depth, counts in (("1", found.singles.counts), ("2", found.sample))}


def _mixture(counts: Counts) -> Mixture:
    estimate, error = log_ratio(*counts.table())
    known = int(np.isfinite(estimate).sum())
    # Without a pair of enough units, or where everybody converts, there is no lift to learn from.
    prior = fit(estimate, error) if known else Prior((1.0,), (0.0,))
    return Mixture(prior.weights, prior.deviations, known)


def prior_of(made: Mapping[str, Mixture], conditions: int) -> Prior:
    """Return the prior of candidates with so many conditions.

    Triples take that of the pairs: those at hand were chosen for their outcomes, and of triples chosen blindly few have
    enough units to learn a spread from.
    """
    mixture = made[str(min(conditions, 2))]
    return Prior(mixture.weights, mixture.deviations)
