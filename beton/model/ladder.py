"""The evidence ladder (definitions, section 3): how much a signal's history proves, as a level with its reason."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

LABELS: Final = ("Not enough data", "Correlates", "Predicts", "Survives adjustment", "Proven")
NO_DIFFERENCE: Final = "No difference shown"


@dataclass(frozen=True)
class Rung:
    """Level 0-4, its label, and the sentence that says why it is not one higher (or what the highest rests on)."""

    level: int
    label: str
    reason: str


@dataclass(frozen=True)
class Climb:
    """What decides the level. Ratios are risk ratios; ``None`` where the data cannot tell.

    ``measurable``: enough units and expected conversions, else ``obstacle`` says what is missing; ``q_value`` over the
    family in which the signal was found (a hypothesis of its own is a family of one); ``held_out_q`` likewise over
    the shortlist; the ``*_limits`` are 95% intervals; ``leaks`` holds the sentence of a failed leak check;
    ``unadjusted_lift`` is of the units of ``adjusted_lift``.
    """

    measurable: bool
    obstacle: str
    q_value: float
    lift: float
    held_out_lift: float | None
    held_out_q: float
    held_out_limits: tuple[float, float | None]
    adjusted_lift: float | None
    adjusted_limits: tuple[float, float | None] | None
    leaks: str = ""
    unadjusted_lift: float | None = None


def rung(climb: Climb, alpha: float = 0.05) -> Rung:
    """Return the highest rung whose conditions, and those of all rungs below it, hold. Level 4 needs an experiment."""
    if not climb.measurable:
        return Rung(0, LABELS[0], climb.obstacle)
    if climb.q_value >= alpha:
        return Rung(0, NO_DIFFERENCE, f"q-value {climb.q_value:.2g}: chance alone would show as much")
    if climb.leaks:
        return Rung(1, LABELS[1], climb.leaks)
    unconfirmed = _unconfirmed(climb, alpha)
    if unconfirmed:
        return Rung(1, LABELS[1], unconfirmed)
    if not _same_side(climb.lift, climb.adjusted_lift, _limits_less_hidden(climb)):
        return Rung(2, LABELS[2], _explained(climb))
    return Rung(
        3,
        LABELS[3],
        "Holds in later cohorts and among units alike in activity, signup quarter and account size, and would if what "
        "was not measured mattered as much as what was",
    )


def hidden_share(lift: float, adjusted: float) -> float:
    """Return the ratio by which adjustment brought a lift nearer to 1; 1 where it did not.

    What was not measured is taken to move the lift as far again: proportional selection with delta = 1, Altonji, Elder
    & Taber (2005), J Polit Econ 113:151; Oster (2019), J Bus Econ Stat 37:187.
    """
    shift = lift / adjusted
    return max(shift, 1.0) if adjusted > 1 else min(shift, 1.0)


def _limits_less_hidden(climb: Climb) -> tuple[float, float | None] | None:
    """The adjusted limits after the shift that adjustment made, taken off a second time."""
    if climb.adjusted_limits is None or not climb.adjusted_lift or climb.unadjusted_lift is None:
        return None
    lower, upper = climb.adjusted_limits
    share = hidden_share(climb.unadjusted_lift, climb.adjusted_lift)
    return lower / share, None if upper is None else upper / share


def _unconfirmed(climb: Climb, alpha: float) -> str:
    if climb.held_out_lift is None:
        return "Later cohorts hold too few conversions to confirm it"
    if (climb.held_out_lift > 1) != (climb.lift > 1):
        return "Later cohorts show the opposite direction"
    if climb.held_out_q >= alpha or not _same_side(climb.lift, climb.held_out_lift, climb.held_out_limits):
        return f"Not confirmed in later cohorts (q {climb.held_out_q:.2g})"
    return ""


def _explained(climb: Climb) -> str:
    if climb.adjusted_lift is None:
        return "Too few comparable units to adjust for activity, signup quarter and account size"
    alike = f"Among units alike in activity, signup quarter and account size the lift is {climb.adjusted_lift:.2f}x"
    if climb.unadjusted_lift is None or not _same_side(climb.lift, climb.adjusted_lift, climb.adjusted_limits):
        return alike
    return f"{alike}, down from {climb.unadjusted_lift:.2f}x: what was not measured could explain the rest"


def _same_side(lift: float, other: float | None, limits: tuple[float, float | None] | None) -> bool:
    """Whether the whole interval ``limits`` lies on the side of 1 on which ``lift`` lies."""
    if other is None or limits is None:
        return False
    lower, upper = limits
    return lower > 1 if lift > 1 else upper is not None and upper < 1
