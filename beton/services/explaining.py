"""A recommendation in one paragraph for whoever acts on it: who was compared, what happened, how sure, what to do.

Numbers are written as everywhere else (``beton.model.text``). A difference is named only where the interval excludes 1,
the test agrees and there are enough data; everywhere else the paragraph says what chance leaves open.
"""

from __future__ import annotations

import math
import textwrap
from dataclasses import dataclass
from typing import Final

from beton.model import text
from beton.model.evidence import Evidence, Interval, Measured, NotMeasurable, Table
from beton.model.ledger import Standing
from beton.model.settings import CompanySettings
from beton.services.reading import SIGNIFICANCE, Reading
from beton.services.working import WorkingStep, working

MOST_NAME: Final = 60  # characters of an event's name within a sentence
SMALL_ARM: Final = 100  # units below which a rate "of 100" would sound like more than was seen
NEARLY_NONE: Final = 0.005  # a ratio that would be shown as 0.00
# what happened to many, what happened to one, what others may do, what a week is followed by
_HAPPENED: Final = {
    "deal won": ("became customers", "became a customer", "become customers", "a won deal"),
    "deal created": ("had a new deal", "had a new deal", "have a new deal", "a new deal"),
    "first payment": ("made a first payment", "made a first payment", "make a first payment", "a first payment"),
}


@dataclass(frozen=True)
class Explanation:
    """A result in words: the paragraph, and every step behind it."""

    paragraph: str
    working: tuple[WorkingStep, ...]


def explain(
    evidence: Evidence, reading: Reading, settings: CompanySettings, standing: Standing | None = None
) -> Explanation:
    """Return the paragraph with its working.

    ``reading`` is that of ``evidence`` under ``settings``, with the verdict that ``standing`` allows.
    """
    return Explanation(paragraph(evidence, reading, standing), working(evidence, reading, settings, standing))


def paragraph(evidence: Evidence, reading: Reading, standing: Standing | None = None) -> str:
    """Return three to five plain sentences, about 90 words at most."""
    result = evidence.result
    if isinstance(result, NotMeasurable):
        return (
            f"This backtest cannot tell whether the signal is worth acting on. {_ended(result.sentence)} "
            "That speaks neither for it nor against it."
        )
    side = _side(result, reading)
    how_sure = f"{_how_sure(result, side)}{_among_others(standing, side)}."
    advice = _watch(evidence, side, standing) if reading.verdict.label == "Watch" else _advice(evidence, reading, side)
    said = (_who(evidence, result.table), _what(evidence, result, side), how_sure, advice)
    return " ".join([*said, *_caution(evidence, reading, side)])


def _side(result: Measured, reading: Reading) -> int:
    """1 where those with the signal do better beyond chance, -1 where worse, 0 where that cannot be said."""
    if reading.verdict.label == "Not enough data" or result.p_value >= SIGNIFICANCE:
        return 0
    upper = result.lift_interval.upper
    return 1 if result.lift_interval.lower > 1 else -1 if upper is not None and upper < 1 else 0


def _who(evidence: Evidence, table: Table) -> str:
    units = table.units_with + table.units_without
    signed_up = "" if evidence.cohort.timing == "any time" else " who signed up"
    if evidence.cohort.unit == "account":
        signed_up = signed_up.replace("who", "that")
    period = ""
    if evidence.period:
        first, last = (text.date(day) for day in evidence.period)
        period = f"{signed_up} on {first}" if first == last else f"{signed_up} from {first} to {last}"
    return f"Of {text.plural(units, _noun(evidence))}{period}, {text.count(table.units_with)} had this signal."


def _noun(evidence: Evidence) -> str:
    if evidence.cohort.timing == "any time":
        return "user-week" if evidence.cohort.unit == "user" else "account-week"
    return evidence.cohort.unit


def _happened(evidence: Evidence) -> tuple[str, str, str]:
    """What happened to many, to one, and what others may do."""
    outcome = evidence.passport.outcome
    name = textwrap.shorten(outcome.event or "", MOST_NAME, placeholder="…")
    colleague = " (or a colleague did)" if outcome.belongs_to == "account" and evidence.cohort.unit == "user" else ""
    done = (f"did “{name}”{colleague}", f"did “{name}”{colleague}", f"do “{name}”", f"“{name}”")
    many, one, others, what = _HAPPENED.get(outcome.source, done)
    if evidence.cohort.timing == "any time":
        return f"were followed by {what}", f"was followed by {what}", f"be followed by {what}"
    return many, one, others


def _what(evidence: Evidence, result: Measured, side: int) -> str:
    table = result.table
    per = _per(table)
    with_it = _share(table.converted_with, table.units_with, per)
    without = _share(table.converted_without, table.units_without, per)
    many, one, _ = _happened(evidence)
    happened = one if with_it.startswith("1 of") else many
    horizon = text.days(evidence.cohort.horizon_days)
    compared = _compared(result.lift, side)
    return f"With it, {with_it} {happened} within {horizon}, against {without} without it{compared}."


def _per(table: Table) -> int:
    """Of how many to speak: 1,000 where less than 1 of 100 did it in one of the arms."""
    rates = (
        a / n
        for a, n in ((table.converted_with, table.units_with), (table.converted_without, table.units_without))
        if a and n >= SMALL_ARM
    )
    return 1_000 if min(rates, default=1.0) < 0.01 else 100


def _share(converted: int, units: int, per: int) -> str:
    """Say a rate as so many of ``per``, with the figures that its percentage shows; of all where they are few."""
    if converted in (0, units) or units < SMALL_ARM:
        some = "none" if not converted else "all" if converted == units > 1 else text.count(converted)
        return f"{some} of {text.count(units)}"
    shown = text.percent(converted / units).removesuffix("%")
    about, figure = (shown[:2], shown[2:]) if shown[0] in "<>" else ("", shown)
    figure = figure.removesuffix(".0") if per == 100 else text.count(int(figure.replace(".", "")))
    return f"{about.replace('< ', 'fewer than ').replace('> ', 'more than ')}{figure} of {text.count(per)}"


def _compared(lift: float | None, side: int) -> str:
    if not side or lift is None:
        return ""
    shown = _times(lift)
    if shown == "1.0":
        return f": slightly {'more' if side > 0 else 'less'} often"
    if side > 0:
        return f": {shown} times as often"
    return ": less often" if lift < NEARLY_NONE else f": less often, at {shown} times the rate"


def _times(ratio: float) -> str:
    return text.lift(ratio).removesuffix("x")


def _how_sure(result: Measured, side: int) -> str:
    has_named_rate = side and result.lift is not None and result.lift >= NEARLY_NONE
    span = f"{_span(result.lift_interval)}{'' if has_named_rate else ' as often'}"
    if side:
        return f"Allowing for chance, the true figure is likely {span}"
    lower, upper = result.lift_interval.lower, result.lift_interval.upper
    if upper is None and lower < NEARLY_NONE:
        return "These are so few that chance could explain any gap"
    if lower <= 1 and (upper is None or upper >= 1):
        return f"Allowing for chance, the true figure could be {span}, so there may be no difference"
    if result.p_value >= SIGNIFICANCE:
        return "Chance alone could explain the gap"
    return f"Allowing for chance, the true figure is likely {span}, but that rests on too few"


def _span(interval: Interval) -> str:
    """Say the interval of a ratio; a limit that would be shown as 1 says on which side of it."""
    lower, upper = _times(interval.lower), "" if interval.upper is None else _times(interval.upper)
    if lower == "1.0" and interval.lower > 1:
        lower = "just over 1"
    if upper == "1.0" and interval.upper is not None and interval.upper < 1:
        upper = "just under 1"
    if not upper:
        return f"at least {lower} times"
    if interval.upper is not None and interval.upper < NEARLY_NONE:
        return "less than 0.01 times"
    return f"at most {upper} times" if interval.lower < NEARLY_NONE else f"between {lower} and {upper} times"


def _among_others(standing: Standing | None, side: int) -> str:
    if standing is None or standing.number < 2:
        return ""
    said = f"; this is the {text.ordinal(standing.number)} idea you have tested"
    if not side:
        return said
    return f"{said}, and it holds even so" if standing.holds else f"{said}, and among so many it may be luck"


def _advice(evidence: Evidence, reading: Reading, side: int) -> str:
    label = reading.verdict.label
    if label == "Enable":
        these = "these accounts" if evidence.cohort.unit == "account" else "these people"
        return (
            "Enable it: the gain is clear and meets the minimum you set, though only an experiment shows whether "
            f"contacting {these} helps."
        )
    if label == "Not enough data":
        return _wait(evidence, reading)
    if side < 0:
        return f"Reject it: those with it are less likely to {_happened(evidence)[2]}."
    if side > 0:
        return "Reject it: the gain stays below the minimum you set."
    return "Reject it: it shows no gain as large as the minimum you set."


def _watch(evidence: Evidence, side: int, standing: Standing | None) -> str:
    if not side:
        return "Watch it: no difference has shown yet."
    if _has(evidence, "not_clustered"):
        return "Watch it: colleagues count together, and there are too few accounts to allow for that."
    if standing is not None and not standing.holds:
        return "Watch it: where many ideas are tested, the proof has to be stronger."
    return "Watch it: the gain is clear but smaller than the minimum you set."


def _wait(evidence: Evidence, reading: Reading) -> str:
    verdict, noun = reading.verdict, _noun(evidence)
    if not verdict.units_missing:
        return f"There is not enough data yet: these {noun}s are too few to judge it by."
    verb = "is" if verdict.units_missing == 1 else "are"
    more = text.count(verdict.units_missing)
    needed = f"about {more} more {noun}{'' if verdict.units_missing == 1 else 's'} {verb} needed"
    weeks = verdict.weeks_missing
    wait = "" if weeks is None else f", some {text.plural(math.ceil(weeks), 'week')} at the present pace"
    return f"There is not enough data yet: {needed}{wait}."


def _caution(evidence: Evidence, reading: Reading, side: int) -> list[str]:
    """The one caution that matters most, where the advice does not hold it already."""
    if side and _has(evidence, "few_clusters"):
        return ["One caution: few accounts stand behind this."]
    if side and _has(evidence, "may_leak"):
        return ["One caution: its traits may have been recorded after the outcome."]
    if side < 0:
        return ["This shows who holds back, not that the signal is why."]
    if reading.verdict.label == "Not enough data":
        return ["Until then, a good-looking figure may be luck."]
    if side > 0 and reading.verdict.label != "Enable":
        return ["Even so, it shows who acts, not that contacting them helps."]
    return []


def _has(evidence: Evidence, kind: str) -> bool:
    return any(note.kind == kind for note in evidence.notes)


def _ended(sentence: str) -> str:
    plain = " ".join(sentence.split())
    return plain if plain.endswith(".") else f"{plain}."
