"""What two discovery runs of the same outcome found: new, gone, changed, same, and why the runs may differ."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Literal

from beton.errors import InputError
from beton.model import text
from beton.model.discovery import SETTING_WORDS, DiscoveryResult, DiscoverySettings, Estimate, Finding
from beton.model.signal import from_dict

Fate = Literal["new", "gone", "changed", "same"]


@dataclass(frozen=True)
class Pair:
    """One signal in both runs, or in one: then the other side is None. ``reasons`` say what changed."""

    fate: Fate
    before: Finding | None
    after: Finding | None
    reasons: tuple[str, ...] = ()

    @property
    def newest(self) -> Finding:
        """The signal as the later run found it, or as the earlier one did if the later one did not."""
        found = self.after or self.before
        assert found is not None
        return found


@dataclass(frozen=True)
class Comparison:
    """Every signal of two runs, in the order of the later run and then of the earlier one.

    ``causes`` name what differs between the runs themselves (data, settings, clock); ``identical`` means that nothing
    but the timings does.
    """

    pairs: tuple[Pair, ...]
    causes: tuple[str, ...]
    identical: bool

    def of(self, fate: Fate) -> tuple[Pair, ...]:
        """Return the signals of one fate."""
        return tuple(pair for pair in self.pairs if pair.fate == fate)


def compare(before: DiscoveryResult, after: DiscoveryResult) -> Comparison:
    """Match the findings of two runs by what their definitions mean.

    A signal changed when its rung or direction did, or when its lift left the earlier run's 95% interval.

    Raises:
        InputError: the runs predict different outcomes, so their signals mean different things.
    """
    if before.outcome != after.outcome:
        raise InputError(
            f"these runs predict different outcomes ({before.outcome.words()}; {after.outcome.words()}); "
            "choose two of the same"
        )
    known = {each.definition_hash: each for each in before.findings}
    found = {each.definition_hash for each in after.findings}
    pairs = [_matched(known.get(each.definition_hash), each, before) for each in after.findings]
    gone = [each for each in before.findings if each.definition_hash not in found]
    pairs += [Pair("gone", each, None, _now_behind(each, after)) for each in gone]
    causes = tuple(_causes(before, after))
    may_be_identical = not causes and all(pair.fate == "same" for pair in pairs)  # a digest reads the whole result
    return Comparison(tuple(pairs), causes, may_be_identical and before.digest == after.digest)


def _matched(was: Finding | None, now: Finding, before: DiscoveryResult) -> Pair:
    if was is None:
        behind = [each.name for each in before.findings if now.name in each.stands_for]
        return Pair("new", None, now, tuple(f"Was a near-copy of {name}" for name in behind))
    reasons = _changes(was, now)
    return Pair("changed" if reasons else "same", was, now, reasons)


def _now_behind(was: Finding, after: DiscoveryResult) -> tuple[str, ...]:
    """Say where a signal that is no longer listed went, as far as the later run tells."""
    behind = tuple(f"Now a near-copy of {each.name}" for each in after.findings if was.name in each.stands_for)
    events = {each.event for each in from_dict(dict(was.definition)).events}
    near = tuple(f"{each.event} now comes with the outcome" for each in after.near_outcome if each.event in events)
    return behind + near


def _changes(was: Finding, now: Finding) -> tuple[str, ...]:
    reasons = []
    if was.rung.level != now.rung.level:
        is_up = now.rung.level > was.rung.level  # and a rung's reason says why it is not one higher
        why = "" if is_up else f": {now.rung.reason}"
        reasons.append(f"{'Up' if is_up else 'Down'} from “{was.rung.label}” to “{now.rung.label}”{why}")
    before, after = was.train.ratio, now.train.ratio
    if before is None or after is None:
        return tuple(reasons)
    if (before > 1) != (after > 1):
        reasons.append("The direction turned")
    elif not _inside(after, was.train):
        limits = text.interval(text.lift(was.train.interval.lower), text.lift(_upper(was.train)))
        reasons.append(f"Lift {text.lift(before)} to {text.lift(after)}, outside the earlier {limits}")
    return tuple(reasons)


def _upper(each: Estimate) -> float:
    return math.inf if each.interval.upper is None else each.interval.upper


def _inside(ratio: float, of: Estimate) -> bool:
    return of.interval.lower <= ratio <= _upper(of)


def _causes(before: DiscoveryResult, after: DiscoveryResult) -> list[str]:
    causes = []
    if before.snapshot_version != after.snapshot_version:
        causes.append(f"Other data: snapshot {before.snapshot_version} before, {after.snapshot_version} now")
    if before.unit != after.unit:
        causes.append(f"Other unit: {before.unit} before, {after.unit} now")
    for words, was, now in (
        ("Outcome window", before.horizon_days, after.horizon_days),
        ("Gap", before.gap_days, after.gap_days),
    ):
        if was != now:
            causes.append(f"{words}: {text.days(was)} before, {text.days(now)} now")
    causes += _settings(before.settings, after.settings)
    return causes


def _settings(was: DiscoverySettings, now: DiscoverySettings) -> list[str]:
    both = [(each.name, getattr(was, each.name), getattr(now, each.name)) for each in fields(was)]
    return [
        f"{SETTING_WORDS.get(name, name)}: {_plain(before)} before, {_plain(after)} now"
        for name, before, after in both
        if before != after
    ]


def _plain(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value) or "–"
