"""Why a signal may be wrong: one plain sentence for each usual reason, with what the data says about it."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from beton.discovery.comparisons import grouped_tables, month_groups
from beton.discovery.findings import NEAR_CERTAIN, crude_lift
from beton.discovery.shortlist import MIN_EXPECTED, clustered
from beton.discovery.subject import Study, Subject
from beton.model import text
from beton.model.discovery import Estimate, Period
from beton.model.examination import Brief, Doubt, Severity
from beton.model.ladder import hidden_share
from beton.stats.proportions import TwoByTwo
from beton.stats.strata import breslow_day, e_value

LEVEL: Final = 0.05
FEW_ACCOUNTS_SHARE: Final = 0.25


def doubts(study: Study, about: Subject, figures: Brief, held_out: Period) -> tuple[Doubt, ...]:
    """Return every doubt, the settled ones too, in the order in which one would ask."""
    return (
        _size(about),
        _leak(study, about),
        _traits(study, about),
        _multiplicity(study, about, figures),
        _replication(about, figures, held_out),
        _activity(figures),
        _calendar(about),
        _accounts(about),
    )


def lift_text(estimate: Estimate) -> str:
    """Return ``2.1x (95% 1.7x – 2.6x)``; ``∞`` where only units with the signal converted."""
    upper = math.inf if estimate.interval.upper is None else estimate.interval.upper
    limits = text.interval(text.lift(estimate.interval.lower), text.lift(upper))
    return f"{text.lift(estimate.ratio)} (95% {limits})"


def nearer_limit(estimate: Estimate) -> float:
    """Return the limit of an interval that is nearer to 1, or 1 where it holds 1."""
    lower, upper = estimate.interval.lower, estimate.interval.upper
    if lower > 1:
        return lower
    return upper if upper is not None and upper < 1 else 1.0


def e_values(adjusted: Estimate | None) -> tuple[float, float] | None:
    """Return the E-values of a lift and of its nearer limit; None without a lift."""
    if adjusted is None or adjusted.lift is None or adjusted.lift <= 0:
        return None
    return float(e_value(adjusted.lift)), float(e_value(nearer_limit(adjusted)))


def _size(about: Subject) -> Doubt:
    expected = {
        name: table.expected_with for name, table in (("earlier", about.entry.train), ("later", about.entry.holdout))
    }
    few = [name for name, number in expected.items() if number < MIN_EXPECTED]
    counted = (
        f"{text.count(about.entry.train.units_with)} users of the earlier and "
        f"{text.count(about.entry.holdout.units_with)} of the later cohorts carry it; if it made no difference, "
        f"{text.decimal(expected['earlier'])} and {text.decimal(expected['later'])} of them would convert"
    )
    if few:
        return Doubt("size", "Is there enough data?", "warning", f"{counted}: under {MIN_EXPECTED} says little.")
    return Doubt("size", "Is there enough data?", "clear", f"{counted}: enough to tell.")


def _leak(study: Study, about: Subject) -> Doubt:
    title, table = "Is it part of the outcome?", about.entry.train
    if about.near:
        return Doubt("leak", title, "warning", f"{about.near[0].sentence}.")
    if table.rate_with is None:
        return Doubt("leak", title, "unknown", "Nobody in the earlier cohorts carries it.")
    share = f"{text.percent(table.rate_with)} of {text.count(table.units_with)} users with it converted"
    if table.rate_with > NEAR_CERTAIN:
        return Doubt("leak", title, "warning", f"{share}: so near to certain, it is probably part of the outcome.")
    timed = "; none of its events comes mostly in the week before the outcome" if about.signal.events else ""
    return Doubt("leak", title, "clear", f"{share}, far from certain{timed}.")


def _traits(study: Study, about: Subject) -> Doubt:
    title, used = "Was it known in time?", sorted({leaf.property for leaf in about.signal.properties})
    if not used:
        return Doubt("traits", title, "clear", "It uses only what users did before its landmark.")
    dated = {each.name for each in study.manifest.properties if each.set_at}
    current = [name for name in used if name not in dated]
    if current:
        sentence = f"{', '.join(current)}: known as of now, not as of the landmark; a conversion may have changed it."
    else:
        sentence = (
            f"{', '.join(used)}: values set after the landmark are not used, but what they replaced is unknown, and "
            "that somebody changed later may itself give the outcome away."
        )
    return Doubt("traits", title, "warning", sentence)


def _multiplicity(study: Study, about: Subject, figures: Brief) -> Doubt:
    title, listing = "Could it be luck?", study.listing
    if about.finding is not None and listing is not None:
        severity: Severity = "clear" if max(about.entry.q_all, about.entry.q_depth) < LEVEL else "warning"
        family = listing.family[about.finding.conditions]
        tries = f"{text.count(family)} candidates were tested; {_is('q', figures.q_value)}"
        what = "the share of false discoveries to expect among all that are at least as strong"
        return Doubt("multiplicity", title, severity, f"{tries} ({what}).")
    one = f"Tested alone, {_is('p', figures.q_value)}"
    if figures.q_value >= LEVEL:
        return Doubt("multiplicity", title, "warning", f"{one}: chance alone would show as much.")
    if listing is not None and figures.q_value * listing.family[1] < LEVEL:
        tries = text.count(listing.family[1])
        return Doubt("multiplicity", title, "clear", f"{one}; it would stand out even as the best of {tries} tries.")
    return Doubt("multiplicity", title, "unknown", f"{one}. If it was picked from many, luck has a larger share.")


def _replication(about: Subject, figures: Brief, period: Period) -> Doubt:
    title, earlier, later = "Does it hold in later cohorts?", figures.train, figures.held_out
    if later.ratio is None or earlier.ratio is None or figures.held_out_p is None:
        return Doubt("replication", title, "unknown", "Earlier or later cohorts hold too few conversions to compare.")
    span = text.date_range(period.start, period.end)
    # Of a signal that no run lists nobody knows on whom it was chosen.
    unseen = "" if about.finding is None else ", whose outcomes had no part in choosing it"
    counted = (
        f"{lift_text(earlier)} in earlier cohorts, {lift_text(later)} in {text.count(period.units)} users who signed "
        f"up {span}{unseen}"
    )
    if about.entry.holdout.expected_with < MIN_EXPECTED:
        return Doubt("replication", title, "unknown", f"{counted}: too few to tell.")
    if (later.ratio > 1) != (earlier.ratio > 1):
        return Doubt("replication", title, "warning", f"{counted}: the direction turned.")
    if figures.held_out_p < LEVEL and nearer_limit(later) != 1.0:
        return Doubt("replication", title, "clear", f"{counted}: confirmed.")
    return Doubt("replication", title, "unknown", f"{counted}: the later figure alone could be chance.")


def _activity(figures: Brief) -> Doubt:
    title, adjusted = "Is it just that active users convert?", figures.adjusted
    if adjusted is None or not adjusted.lift:
        sentence = (
            "Too few users with it have others alike in activity, signup quarter and account size to compare with."
        )
        return Doubt("activity", title, "unknown", sentence)
    crude = crude_lift(adjusted)
    within = (
        f"Among users alike in activity, signup quarter and account size the lift is {lift_text(adjusted)}, "
        f"{text.lift(crude)} before"
    )
    gone, limit = _gone(crude, adjusted.lift), nearer_limit(adjusted)
    hidden = f" A hidden cause would have to shift both it and conversion {float(e_value(adjusted.lift)):.1f}x."
    if limit == 1.0 or gone is None or crude is None:
        return Doubt("activity", title, "warning", f"{within}: it could be no difference.")
    if (limit / hidden_share(crude, adjusted.lift) > 1) != (limit > 1):
        sentence = f"{within}. If what was not measured mattered as much as what was, it could be no difference."
        return Doubt("activity", title, "warning", sentence)
    change = f"{text.percent(gone, 0)} of it goes away" if gone > 0 else "none of it goes away"
    return Doubt("activity", title, "clear", f"{within}: {change}.{hidden}")


def _gone(crude: float | None, adjusted: float) -> float | None:
    """Share of the log lift that adjustment takes away; None where the crude lift is no lift or turns round."""
    if not crude or crude == 1.0 or (crude > 1) != (adjusted > 1):
        return None
    return 1 - math.log(adjusted) / math.log(crude)


def _calendar(about: Subject) -> Doubt:
    title, groups = "Does it hold in every month?", month_groups(about)
    tables = zip(groups.labels, grouped_tables(about, groups), strict=True)
    shown = [(label, table) for label, table in tables if table.lift is not None and table.expected_with >= 1]
    p = homogeneity_p([table for _, table in shown])
    if p is None:
        return Doubt("calendar", title, "unknown", "Too few months hold enough conversions to compare their lifts.")
    largest = max(shown, key=lambda each: each[1].units_with)
    low, high = (pick(shown, key=lambda each: each[1].lift or 0.0) for pick in (min, max))
    span = (
        f"By month of signup it ranges from {_of_month(*low)} to {_of_month(*high)}; "
        f"most users with it signed up in {largest[0]} ({text.lift(largest[1].lift)})"
    )
    how = f"if the lift were the same in all, months would differ as much by chance with {_is('p', p)}"
    if p < LEVEL:
        return Doubt("calendar", title, "warning", f"{span}; {how}: the lift depends on when they signed up.")
    return Doubt("calendar", title, "clear", f"{span}; {how}.")


def _is(letter: str, value: float) -> str:
    """Return ``p = 0.0123`` or ``p < 0.001``."""
    shown = text.p_value(value)
    return f"{letter} {shown}" if shown.startswith("<") else f"{letter} = {shown}"


def _of_month(label: str, table: TwoByTwo) -> str:
    return f"{text.lift(table.lift)} in {label} ({text.count(table.units_with)} users)"


def homogeneity_p(tables: list[TwoByTwo]) -> float | None:
    """Return the Breslow-Day p-value of "the lift is the same in all of them"; None where it cannot be computed."""
    if not tables:
        return None
    p = float(breslow_day(*np.array([table.cells for table in tables]).T))
    return p if math.isfinite(p) else None


def _accounts(about: Subject) -> Doubt:
    title, rows = "Does it rest on a few accounts?", about.cohort.frame
    hits = rows.eligible & rows.converted & about.entry.units
    conversions = int(hits.sum())
    if not conversions:
        return Doubt("accounts", title, "unknown", "Nobody with it converted.")
    per_account = np.unique(rows.cluster[hits], return_counts=True)[1]
    accounts, most = int(per_account.size), int(per_account.max())
    come = "comes" if conversions == 1 else "come"
    who = f"{text.plural(conversions, 'conversion')} with it {come} from {text.plural(accounts, 'account')}"
    if np.unique(rows.cluster[rows.eligible]).size == int(rows.eligible.sum()):
        return Doubt("accounts", title, "clear", f"{who}: no two users share an outcome.")
    ratio = clustered(about.entry, rows.eligible)
    if ratio is None:
        return Doubt("accounts", title, "unknown", f"{who}; too few to allow for users of one account.")
    share = text.percent(most / conversions, 0)
    worth = f"{who} (at most {share} from one); with accounts as the unit of chance {_is('p', ratio.p_value)}"
    rests_on_one = most > max(1, FEW_ACCOUNTS_SHARE * conversions)
    severity: Severity = "warning" if ratio.p_value >= LEVEL or rests_on_one else "clear"
    return Doubt("accounts", title, severity, f"{worth}.")
