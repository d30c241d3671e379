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
    the shortlist; the ``*_limits`` are 95% intervals; ``leaks`` holds the sentence of a failed leak check.
    """

    measurable: bool
    obstacle: str
    q_value: float | None
    lift: float | None
    held_out_lift: float | None
    held_out_q: float | None
    held_out_limits: tuple[float, float | None] | None
    adjusted_lift: float | None
    adjusted_limits: tuple[float, float | None] | None
    leaks: str = ""


def rung(climb: Climb, alpha: float = 0.05) -> Rung:
    """Return the highest rung whose conditions, and those of all rungs below it, hold. Level 4 needs an experiment."""
    if not climb.measurable:
        return Rung(0, LABELS[0], climb.obstacle)
    if climb.q_value is None or climb.q_value >= alpha or climb.lift is None:
        shown = "unknown" if climb.q_value is None else f"{climb.q_value:.2g}"
        return Rung(0, NO_DIFFERENCE, f"q-value {shown}: chance alone would show as much")
    if climb.leaks:
        return Rung(1, LABELS[1], climb.leaks)
    unconfirmed = _unconfirmed(climb, alpha)
    if unconfirmed:
        return Rung(1, LABELS[1], unconfirmed)
    if not _same_side(climb.lift, climb.adjusted_lift, climb.adjusted_limits):
        return Rung(2, LABELS[2], _explained(climb))
    return Rung(3, LABELS[3], "Holds in later cohorts and among units alike in activity, signup month and account size")


def _unconfirmed(climb: Climb, alpha: float) -> str:
    if climb.held_out_lift is None or climb.held_out_q is None or climb.held_out_limits is None:
        return "Later cohorts hold too few conversions to confirm it"
    if climb.lift is not None and (climb.held_out_lift > 1) != (climb.lift > 1):
        return "Later cohorts show the opposite direction"
    if climb.held_out_q >= alpha or not _same_side(climb.lift, climb.held_out_lift, climb.held_out_limits):
        return f"Not confirmed in later cohorts (q {climb.held_out_q:.2g})"
    return ""


def _explained(climb: Climb) -> str:
    if climb.adjusted_lift is None:
        return "Too few comparable units to adjust for activity, signup month and account size"
    return f"Among units alike in activity, signup month and account size the lift is {climb.adjusted_lift:.2f}x"


def _same_side(lift: float | None, other: float | None, limits: tuple[float, float | None] | None) -> bool:
    """Whether the whole interval ``limits`` lies on the side of 1 on which ``lift`` lies."""
    if lift is None or other is None or limits is None:
        return False
    lower, upper = limits
    return lower > 1 if lift > 1 else upper is not None and upper < 1
