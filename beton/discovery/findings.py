"""Write down what speaks for and against each signal that was kept."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from beton.discovery.candidates import Candidates, Feature
from beton.discovery.families import Counts, lift
from beton.discovery.search import Search
from beton.discovery.shortlist import MIN_EXPECTED, Entry, Kept, clustered, stratified
from beton.model.discovery import Estimate, Finding, Kind, Mixture
from beton.model.evidence import Interval, Note, Table
from beton.model.ladder import Climb, rung
from beton.model.outcome import Outcome
from beton.model.signal import DAY_S, MAX_NAME, SignalDefinition, from_dict
from beton.model.words import sentence
from beton.stats.multiplicity import benjamini_hochberg
from beton.stats.proportions import TwoByTwo, log_mid_p, risk_ratio_interval
from beton.stats.shrinkage import Prior, fit, log_ratio
from beton.warehouse.core.arrays import Core
from beton.warehouse.core.match import match_s

SCORE: Final = "Miettinen-Nurminen score"
MANTEL_HAENSZEL: Final = "Mantel-Haenszel, Greenland-Robins"
SHRUNK: Final = "empirical Bayes, 95% credible"
NEAR_CERTAIN: Final = 0.95
MIN_COMPARABLE: Final = 0.5


@dataclass(frozen=True)
class Setting:
    """What findings are written from; ``outcome`` is None where it is the workspace's, which needs no saying."""

    core: Core
    candidates: Candidates
    priors: dict[int, Prior]
    outcome: Outcome | None

    def definition(self, features: Sequence[int]) -> SignalDefinition:
        """Return the signal that a person would write for these features, all of which must hold."""
        chosen = [self.candidates.features[feature] for feature in features]
        name = " and ".join(feature.name for feature in chosen)[:MAX_NAME]
        plain: dict[str, Any] = {"name": name, "when": {"all": [feature.condition for feature in chosen]}}
        return from_dict(plain | ({} if self.outcome is None else {"outcome": self.outcome.to_dict()}))


def findings(setting: Setting, kept: Sequence[Kept]) -> list[Finding]:
    """Return the signals with held-out confirmation (Benjamini-Hochberg over all of them) and adjustment."""
    held_p = np.array([held_out_log_p(each.entry.holdout) for each in kept])
    held_q = benjamini_hochberg(held_p)
    train = estimates([each.entry.train for each in kept])
    held_out = estimates([each.entry.holdout for each in kept])
    confirmed = zip(train, held_out, held_p.tolist(), held_q.tolist(), strict=True)
    return [_finding(setting, each, *figures) for each, figures in zip(kept, confirmed, strict=True)]


def _finding(
    setting: Setting, each: Kept, train: Estimate, held_out: Estimate, held_p: float, held_q: float
) -> Finding:
    entry = each.entry
    features = [setting.candidates.features[at] for at in entry.features]
    definition, prior = setting.definition(entry.features), setting.priors[len(features)]
    adjusted = adjusted_lift(entry)
    shrunk = prior.posterior(*log_ratio(*_columns(entry.train)))
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
        held_out_p=math.exp(held_p),
        held_out_q=held_q,
        log_p=entry.log_p,
        q_value=entry.q_all,
        q_depth=entry.q_depth,
        clustered_error_log=None if ratio is None else ratio.standard_error_log,
        shrunk_lift=math.exp(float(shrunk.median[0])),
        shrunk_interval=Interval(math.exp(float(shrunk.lower[0])), math.exp(float(shrunk.upper[0])), SHRUNK),
        confidence=1 - float(shrunk.lfsr[0]),
        adjusted=adjusted,
        lead_time_median_days=_lead_time_days(setting.core, entry, definition),
        rung=rung(climb),
        notes=_notes(features),
        stands_for=tuple(setting.definition(twin).name for twin in each.stands_for),
    )


def estimate(table: TwoByTwo) -> Estimate:
    """Return the lift of a table with its score interval."""
    return estimates([table])[0]


def estimates(tables: Sequence[TwoByTwo]) -> list[Estimate]:
    """Return the lifts of several tables with their score intervals, all at once."""
    cells = np.array([(t.converted_with, t.units_with, t.converted_without, t.units_without) for t in tables])
    lower, upper = risk_ratio_interval(*cells.reshape(-1, 4).T)
    return [
        Estimate(
            table.lift,
            Interval(float(low), float(high) if math.isfinite(high) else None, SCORE),
            Table(table.converted_with, table.units_with, table.converted_without, table.units_without),
        )
        for table, low, high in zip(tables, lower, upper, strict=True)
    ]


def _columns(table: TwoByTwo) -> tuple[list[int], list[int], list[int], list[int]]:
    return [table.converted_with], [table.units_with], [table.converted_without], [table.units_without]


def held_out_log_p(table: TwoByTwo) -> float:
    """Natural log of the mid-P of a table; 0 (p = 1) where it compares nothing."""
    if not (table.units_with and table.units_without and table.converted):
        return 0.0
    return float(log_mid_p(*_columns(table))[0])


def adjusted_lift(entry: Entry) -> Estimate | None:
    """Mantel-Haenszel over activity x quarter x account size, among all eligible units of the cohort.

    None unless most carriers meet somebody alike without the signal: a lift of the others is not the signal's.
    """
    member, stratum = entry.cohort.frame.eligible, entry.cohort.stratum
    within = stratified(entry, stratum, member)
    if not math.isfinite(float(within.ratio)) or not math.isfinite(float(within.lower)):
        return None
    converted, signal = entry.cohort.frame.converted[member], entry.units[member]
    others = np.bincount(stratum[member][~signal], minlength=int(stratum.max(initial=0)) + 1)
    if not float((others[stratum[member][signal]] > 0).mean()) > MIN_COMPARABLE:
        return None
    table = Table(int(converted[signal].sum()), int(signal.sum()), int(converted[~signal].sum()), int((~signal).sum()))
    return Estimate(float(within.ratio), Interval(float(within.lower), float(within.upper), MANTEL_HAENSZEL), table)


def climb_of(entry: Entry, held_out: Estimate, held_q: float, adjusted: Estimate | None) -> Climb:
    """Gather what decides the rung of an entry; ``held_q`` is over those confirmed together."""
    table = entry.train
    leak = ""
    if (table.rate_with or 0.0) > NEAR_CERTAIN:
        leak = "Nearly everybody with it converts: it is probably part of the outcome"
    return Climb(
        measurable=entry.expected >= MIN_EXPECTED,
        obstacle=f"{entry.expected:.1f} conversions expected with the signal; at least {MIN_EXPECTED} are needed",
        q_value=max(entry.q_all, entry.q_depth),
        lift=math.inf if table.lift is None else table.lift,
        held_out_lift=held_out.lift,
        held_out_q=held_q,
        held_out_limits=(held_out.interval.lower, held_out.interval.upper),
        adjusted_lift=None if adjusted is None else adjusted.lift,
        adjusted_limits=None if adjusted is None else (adjusted.interval.lower, adjusted.interval.upper),
        leaks=leak,
        unadjusted_lift=None if adjusted is None else _ratio(adjusted.table),
    )


def _ratio(table: Table) -> float | None:
    return None if not table.rate_without or table.rate_with is None else table.rate_with / table.rate_without


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


def priors(found: Search) -> tuple[dict[int, Prior], dict[str, Mixture]]:
    """Fit the spread of true lifts by number of conditions: on all singles, and on pairs chosen blindly.

    Triples take the prior of the pairs: those at hand were chosen for their outcomes, and of triples chosen blindly few
    have enough units to learn a spread from.
    """
    made, shown = {}, {}
    for depth, counts in ((1, found.singles.counts), (2, found.sample)):
        usable = _usable(counts)
        prior = fit(*log_ratio(*usable.table()))
        made[depth] = prior
        weights, deviations = (tuple(float(x) for x in part) for part in (prior.weights, prior.deviations))
        shown[str(depth)] = Mixture(weights, deviations, len(usable.counts))
    return made | {3: made[2]}, shown


def _usable(counts: Counts) -> Counts:
    return counts[np.flatnonzero(np.isfinite(lift(counts.table())))]
