"""The cards of a signal's proof: what an examination found is said, and what it could not tell has a reason."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from dash.development.base_component import Component

from beton.model.discovery import Estimate, Period
from beton.model.evidence import Interval, Note, Table
from beton.model.examination import (
    CannotExamine,
    Comparison,
    Curve,
    Doubt,
    Examination,
    HeatMap,
    Overlap,
)
from beton.model.ladder import LABELS, NO_DIFFERENCE, Rung
from layouts import format, ids
from layouts.estimates import CANNOT_TELL
from layouts.proof import (
    MOST_OVERLAPS,
    NEEDS_RUN,
    NEXT,
    SLOTS,
    STEPS,
    doubts_card,
    failed,
    ladder_card,
    overlap_card,
    slots,
    waiting,
)

HOSTILE = "<img src=x onerror=alert(1)>"


def estimate(lift: float | None, lower: float = 0.0, upper: float | None = None, *table: int) -> Estimate:
    return Estimate(lift, Interval(lower, upper, "score"), Table(*(table or (12, 115, 63, 2_110))))


TRAIN = estimate(3.7, 2.8, 4.9, 53, 274, 255, 4_918)
HELD_OUT = estimate(3.5, 1.9, 6.1)
ADJUSTED = estimate(3.8, 3.0, 4.7, 90, 527, 416, 9_200)
NOBODY = estimate(None, 0.0, None, 0, 0, 63, 2_110)
ONLY_WITH = estimate(None, 2.2, None, 5, 40, 0, 900)


def examination(**changes: Any) -> Examination:
    """One that could answer everything; ``changes`` are fields of Examination."""
    facts: dict[str, Any] = {
        "definition_hash": "0" * 12,
        "snapshot_version": "7e62e7ab1248",
        "train_period": Period("2024-01-01", "2024-06-28", 5_192, 308),
        "held_out_period": Period("2024-09-01", "2024-10-27", 2_225, 75),
        "purged": 2_310,
        "train": TRAIN,
        "held_out": HELD_OUT,
        "held_out_p": 0.0004,
        "q_value": 0.012,
        "family": "301,741 candidates of the discovery run",
        "shrunk_lift": 3.4,
        "shrunk_interval": Interval(2.6, 4.4, "posterior"),
        "confidence": 0.991,
        "adjusted": ADJUSTED,
        "homogeneity_p": 0.31,
        "e_value": (7.0, 5.5),
        "rung": Rung(3, LABELS[3], "Holds in later cohorts and among comparable users"),
        "comparisons": (
            Comparison("period", "period", "Discovery (earlier cohorts)", TRAIN),
            Comparison("period", "period", "Held out (later cohorts)", HELD_OUT),
            Comparison("adjusted", "adjusted", "Alike in activity", ADJUSTED),
            Comparison("segment", "company_size", "up to 10", estimate(5.2, 3.4, 7.8, 25, 150, 86, 2_685)),
            Comparison("segment", "company_size", "11–50", estimate(0.5, 0.2, 0.9, 9, 202, 127, 3_416)),
            Comparison("segment", "role", "founder", estimate(1.8, 0.85, 3.6, 7, 83, 72, 1_520)),
            Comparison("month", "signup month", "Jan 2024", estimate(12.0, 0.05, 90.0, 6, 43, 51, 780)),
            Comparison("month", "signup month", "Feb 2024", NOBODY),
        ),
        "with_signal": curve(0.166, 614),
        "without_signal": curve(0.044, 10_420),
        "heat_map": HeatMap(
            "teammate_invited",
            (1, 2),
            (3, 14),
            ((estimate(4.0, 2.0, 8.0), estimate(0.25, 0.1, 0.6)), (None, estimate(1.1, 0.7, 1.6))),
            (1, 1),
        ),
        "doubts": (
            Doubt("size", "Is there enough data?", "clear", "Plenty."),
            Doubt("calendar", "Does it hold in every month?", "unknown", "Too few months."),
            Doubt("leak", "Is it part of the outcome?", "warning", "It may be."),
        ),
        "notes": (Note("independent", "Users of one account count as independent"),),
    }
    return Examination(**facts | changes)


def curve(end: float, units: int) -> Curve:
    shares = (0.0, end / 2, end, end)
    lower, upper = (tuple(share * width for share in shares) for width in (0.8, 1.2))
    return Curve((15.0, 30.0, 50.0, 65.0), shares, lower, upper, units, round(units * end))


OVERLAPS = (Overlap("sig_009", "Docs read", 123, 404, 2_171), Overlap("sig_010", "Twin", 400, 127, 10))


def inside(drawn: Any) -> list[Component]:
    parts = drawn if isinstance(drawn, (list, tuple)) else [drawn]
    return [each for part in parts if isinstance(part, Component) for each in (part, *part._traverse())]


def words(drawn: Any) -> str:
    """Everything that can be read, in order."""
    found: list[str] = []

    def read(each: Any) -> None:
        if isinstance(each, (list, tuple)):
            for part in each:
                read(part)
        elif isinstance(each, Component):
            read(getattr(each, "children", None))
        elif each is not None:
            found.append(str(each))

    read(drawn)
    return " ".join(" ".join(found).split())


def filled(found: Examination | CannotExamine, overlaps: tuple[Overlap, ...] = OVERLAPS) -> dict[str, Any]:
    return dict(zip(SLOTS, slots(found, overlaps), strict=True))


def test_every_slot_is_filled_while_waiting_after_a_failure_and_with_a_proof() -> None:
    assert set(waiting()) == set(SLOTS)
    assert len(failed()) == len(SLOTS)
    assert "could not be worked out" in words(failed())
    assert [name for name, shown in filled(examination()).items() if not shown] == []


def test_ids_are_used_once() -> None:
    slots_shown = [shown if isinstance(shown, list) else [shown] for shown in filled(examination()).values()]
    cards = [part for shown in slots_shown for part in shown]
    found = Counter(str(each.id) for each in inside(cards) if hasattr(each, "id"))
    assert found == {ids.PROOF_CURVES: 1}


def test_the_figures_are_said_with_range_counts_and_period() -> None:
    shown = filled(examination())
    figures, small = words(shown[ids.PROOF_FIGURES]), words(shown[ids.PROOF_STATISTICS])

    for text in ("Held-out lift 3.5x 95% 1.9x – 6.1x", "Adjusted lift 3.8x", "Cautious lift 3.4x", "Confidence 99.1%"):
        assert text in figures
    assert "1 Jan 2024 – 28 Jun 2024. 53 of 274 with the signal, 255 of 4,918 without converted" in small
    assert "1 Sep 2024 – 27 Oct 2024. 12 of 115 with the signal" in small
    for text in ("0.0120", "over 301,741 candidates of the discovery run", "2,310", "7.0x; 5.5x", "p 0.310"):
        assert text in small
    assert "Users of one account count as independent" in small


def test_a_signal_that_cannot_be_examined_says_why_and_shows_no_figures() -> None:
    shown = filled(CannotExamine(f"The event {HOSTILE} is gone."), ())

    assert f"The event {HOSTILE} is gone." in words(shown[ids.PROOF_LADDER])
    assert [shown[name] for name in (ids.PROOF_BADGE, ids.PROOF_FIGURES, ids.PROOF_DOUBTS)] == [[], [], []]
    assert f"Confidence {CANNOT_TELL}: The event {HOSTILE} is gone." in words(shown[ids.PROOF_STATISTICS])


def test_without_a_run_the_figures_that_need_one_say_so() -> None:
    shown = filled(examination(shrunk_lift=None, shrunk_interval=None, confidence=None))
    figures, small = words(shown[ids.PROOF_FIGURES]), words(shown[ids.PROOF_STATISTICS])

    assert f"Cautious lift {CANNOT_TELL} {NEEDS_RUN}" in figures
    assert f"Confidence {CANNOT_TELL} {NEEDS_RUN}" in figures
    assert small.count(NEEDS_RUN) == 2


def test_what_cannot_be_adjusted_has_a_reason() -> None:
    shown = filled(examination(adjusted=None, e_value=None, homogeneity_p=None))
    small = words(shown[ids.PROOF_STATISTICS])

    assert f"{CANNOT_TELL}: too few comparable people" in small
    assert f"{CANNOT_TELL}: there is no adjusted lift" in small
    assert f"{CANNOT_TELL}: fewer than two strata" in small
    assert f"Adjusted lift {CANNOT_TELL} too few comparable people" in words(shown[ids.PROOF_FIGURES])


@pytest.mark.parametrize(
    ("later", "said"),
    [
        (ONLY_WITH, "Held-out lift ∞ 95% 2.2x – ∞"),
        (NOBODY, f"Held-out lift {CANNOT_TELL} nobody has the signal"),
        (estimate(None, 0.0, None, 0, 40, 0, 900), f"Held-out lift {CANNOT_TELL} nobody converted"),
        (estimate(None, 0.0, None, 3, 40, 0, 0), f"Held-out lift {CANNOT_TELL} everybody has the signal"),
    ],
)
def test_a_held_out_lift_that_does_not_exist_says_why(later: Estimate, said: str) -> None:
    assert said in words(filled(examination(held_out=later))[ids.PROOF_FIGURES])


@pytest.mark.parametrize("level", range(5))
def test_the_ladder_marks_one_step_and_says_what_the_next_one_needs(level: int) -> None:
    drawn = ladder_card(examination(rung=Rung(level, LABELS[level], "Because of that")))
    steps = [each for each in inside(drawn) if type(each).__name__ == "Li"]
    props = [each.to_plotly_json()["props"] for each in steps]

    assert [each["data-state"] for each in props] == ["done"] * level + ["here"] + ["ahead"] * (4 - level)
    assert [at for at, each in enumerate(props) if each.get("aria-current") == "step"] == [level]
    assert all(about in words(step) for about, step in zip(STEPS, steps, strict=True))
    assert "Because of that." in words(drawn)
    needs = f"To reach level {level + 1} ({LABELS[level + 1]}) it needs {NEXT[level]}." if level < 4 else ""
    assert needs in words(drawn)
    assert ("To reach" in words(drawn)) is (level < 4)


def test_the_lowest_step_carries_the_words_of_its_rung() -> None:
    drawn = words(ladder_card(examination(rung=Rung(0, NO_DIFFERENCE, "q-value 0.4"))))
    assert drawn.count(NO_DIFFERENCE) == 2
    assert LABELS[0] not in drawn


@pytest.mark.parametrize(("lift", "level", "harms"), [(0.46, 1, True), (0.46, 0, False), (2.0, 1, False)])
def test_a_harmful_signal_says_so_unless_it_may_be_chance(lift: float, level: int, harms: bool) -> None:
    found = examination(train=estimate(lift, lift / 2, lift * 1.5), rung=Rung(level, LABELS[level], "Why"))
    shown = filled(found)

    assert ("convert less often than the others: 0.46x (95% 0.23x – 0.69x)." in words(shown[ids.PROOF_LADDER])) is harms
    assert ("Harmful" in words(shown[ids.PROOF_BADGE])) is harms
    assert any(getattr(each, "className", "") == "bad-words" for each in inside(shown[ids.PROOF_LADDER])) is harms


def test_nothing_is_certain() -> None:
    assert (format.confidence(1.0), format.confidence(0.9876)) == ("> 99.9%", "98.8%")


def test_doubts_come_with_their_marks_warnings_first() -> None:
    drawn = doubts_card(examination().doubts)
    items = [each for each in inside(drawn) if type(each).__name__ == "Li"]

    found = [(each.to_plotly_json()["props"]["data-severity"], words(each)) for each in items]
    assert found == [
        ("warning", "Is it part of the outcome? (Warning) It may be."),
        ("unknown", "Does it hold in every month? (Cannot tell) Too few months."),
        ("clear", "Is there enough data? (No concern) Plenty."),
    ]


def test_without_curves_map_and_comparisons_the_cards_say_so_or_are_gone() -> None:
    bare = examination(with_signal=None, without_signal=None, heat_map=None, comparisons=())
    shown = words(filled(bare)[ids.PROOF_FIGURES])

    assert "there are no curves to compare" in shown
    assert "too few people to compare" in shown
    assert "How often, how soon?" not in shown


def test_overlaps_are_listed_most_alike_first_with_a_link() -> None:
    drawn = overlap_card(OVERLAPS)
    links = [(each.children, each.href) for each in inside(drawn) if type(each).__name__ == "A"]

    assert links == [("Twin", "/signals/sig_010"), ("Docs read", "/signals/sig_009")]
    assert "Twin 400 127 10 74%" in words(drawn)
    assert "not shown" not in words(drawn)


def test_no_overlap_and_many_overlaps_are_said() -> None:
    assert "no other signal" in words(overlap_card(()))
    many = [replace(OVERLAPS[0], signal_id=f"sig_{at}") for at in range(MOST_OVERLAPS + 3)]
    assert "3 signals with less overlap not shown." in words(overlap_card(many))


def test_hostile_names_are_text() -> None:
    drawn = overlap_card([replace(OVERLAPS[0], name=HOSTILE)])
    assert HOSTILE in words(drawn)
    assert {type(each).__name__ for each in inside(drawn)} & {"Markdown", "Iframe"} == set()
