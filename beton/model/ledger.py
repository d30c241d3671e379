"""The ledger of hypotheses: which of all the questions that people asked have an answer that luck does not explain."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from beton.model import text

SMALLEST_SHOWN: Final = 1e-6
_MOST_DIGITS: Final = 6


@dataclass(frozen=True)
class Standing:
    """One hypothesis among all that were asked.

    It is the ``number``-th of ``tested`` and ``holds`` if its p-value is at most its ``threshold``, which follows from
    the tests before it alone. ``discoveries`` counts those that hold up to it, itself included; ``look`` says how often
    the same definition was asked by then, 2 and more on newer data.
    """

    number: int
    threshold: float
    p_value: float
    holds: bool
    discoveries: int
    tested: int
    look: int = 1

    @property
    def written(self) -> tuple[str, str]:
        """Threshold and p-value in as few figures as tell them apart."""
        if self.p_value < SMALLEST_SHOWN < self.threshold:
            return text.p_limit(self.threshold), "below one in a million"
        for digits in range(2, _MOST_DIGITS):
            limit, p = text.p_limit(self.threshold, digits), text.p_limit(self.p_value, digits)
            if limit != p:
                return limit, p
        return text.p_limit(self.threshold), text.p_limit(self.p_value)

    @property
    def sentence(self) -> str:
        """What the test's place means for it, without the full stop."""
        limit, p = self.written
        place = f"This is your {text.ordinal(self.number)} test"
        if self.look > 1:
            place += f" and the {text.ordinal(self.look)} look at this signal"
        return f"{place}; after correcting for all of them p must be at most {limit}, and it is {p}"


@dataclass(frozen=True)
class Hypothesis:
    """One entry of the ledger: the run that answered it first, and how it stands."""

    run_id: str
    name: str
    standing: Standing


@dataclass(frozen=True)
class LedgerSheet:
    """The whole ledger in the order of the tests, and the threshold of the one that comes next."""

    hypotheses: tuple[Hypothesis, ...]
    next_threshold: float

    @property
    def discoveries(self) -> int:
        """How many hypotheses hold."""
        return self.hypotheses[-1].standing.discoveries if self.hypotheses else 0

    @property
    def sentence(self) -> str:
        """What a reader without statistics needs to know of it."""
        limit = text.p_limit(self.next_threshold)
        if not self.hypotheses:
            return f"Nobody has asked anything yet. The first test holds if its p-value is at most {limit}."
        tests, hold = len(self.hypotheses), self.discoveries
        asked = "You have asked one question" if tests == 1 else f"You have asked {text.count(tests)} questions"
        kept = (
            f"{text.count(hold)} of the answers {'holds' if hold == 1 else 'hold'}"
            if tests > 1
            else ("its answer holds" if hold else "its answer does not hold")
        )
        return (
            f"{asked} of your data, and {kept}. Whoever asks often finds something by luck, so the next "
            f"question needs a p-value of at most {limit} instead of 0.05."
        )
