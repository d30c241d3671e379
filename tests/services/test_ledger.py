"""The ledger counts questions, not clicks, and a verdict has to hold among all of them."""

from __future__ import annotations

import pytest
from made_backtests import FLAGSHIP, NOTHING, WEAK, keep, signal

from beton.model.ledger import Standing
from beton.model.signal import SignalDefinition
from beton.records.database import Database
from beton.records.runs import RunRepository
from beton.services.ledger import Ledger, corrected
from beton.services.reading import Verdict
from beton.stats.online_fdr import lord_thresholds
from beton.stats.proportions import TwoByTwo, p_value


@pytest.fixture
def runs(database: Database) -> RunRepository:
    return RunRepository(database)


@pytest.fixture
def ledger(runs: RunRepository) -> Ledger:
    return Ledger(runs)


def other(days: int) -> SignalDefinition:
    return signal(f"Within {days}", when={"event": "x", "within_days": days})


def ask(runs: RunRepository, *tables: TwoByTwo | None) -> list[str]:
    """Ask a different question for each table."""
    return [
        keep(runs, f"r{days}", table, definition=other(days), minute=days) for days, table in enumerate(tables, start=1)
    ]


def test_tests_are_numbered_in_order_and_measured_against_the_threshold_of_their_place(
    runs: RunRepository, ledger: Ledger
) -> None:
    ask(runs, NOTHING, FLAGSHIP, WEAK)
    p_values = [p_value(table).value for table in (NOTHING, FLAGSHIP, WEAK)]
    thresholds = lord_thresholds(p_values)
    found = [ledger.standing(run_id) for run_id in ("r1", "r2", "r3")]
    assert [each and (each.number, each.tested) for each in found] == [(1, 3), (2, 3), (3, 3)]
    assert [each and each.threshold for each in found] == list(thresholds[:-1])
    assert [each and each.p_value for each in found] == p_values
    assert [each and (each.holds, each.discoveries) for each in found] == [(False, 0), (True, 1), (False, 1)]
    assert ledger.sheet().next_threshold == thresholds[-1]


def test_asking_the_same_again_is_the_same_test_and_new_data_another_look(runs: RunRepository, ledger: Ledger) -> None:
    keep(runs, "first", minute=0)
    keep(runs, "again", minute=1, definition=signal("Another name"))
    keep(runs, "newer", minute=2, snapshot="snap-2")
    found = ledger.standings()
    assert found["first"] == found["again"]
    assert (found["first"].number, found["newer"].number, found["newer"].tested) == (1, 2, 2)
    assert (found["first"].look, found["newer"].look) == (1, 2)
    assert "This is your 2nd test and the 2nd look at this signal" in found["newer"].sentence
    assert [(each.run_id, each.name) for each in ledger.sheet().hypotheses] == [("first", "Did x"), ("newer", "Did x")]


def test_what_nobody_asked_or_could_not_be_measured_is_no_test(runs: RunRepository, ledger: Ledger) -> None:
    keep(runs, "page", asked_by=None)
    keep(runs, "refused", None, definition=signal("Y", when={"event": "y", "within_days": 3}))
    assert ledger.standing("page") is ledger.standing("refused") is ledger.standing("unknown") is None
    assert ledger.standings() == {}
    assert ledger.sheet().hypotheses == ()
    assert ledger.sheet().sentence.startswith("Nobody has asked anything yet.")


def test_a_later_test_changes_no_earlier_standing_but_how_many_there_are(runs: RunRepository, ledger: Ledger) -> None:
    ask(runs, NOTHING)
    before = ledger.standing("r1")
    keep(runs, "later", minute=60)
    after = ledger.standing("r1")
    assert before is not None
    assert after is not None
    assert (after.threshold, after.number, after.tested) == (before.threshold, before.number, 2)


def standing(p: float, threshold: float, number: int = 7) -> Standing:
    return Standing(number, threshold, p, p <= threshold, 0, number)


ENABLE = Verdict("Enable", "Lift 1.9x with 95% interval 1.10x to 3.2x, p = 0.030")


def test_an_enable_that_does_not_hold_becomes_a_watch_that_says_so() -> None:
    assert corrected(ENABLE, standing(0.03, 0.0021)) == Verdict(
        "Watch",
        f"{ENABLE.reason}. This is your 7th test; after correcting for all of them p must be at most 0.0021, "
        "and it is 0.030",
    )


@pytest.mark.parametrize("label", ["Watch", "Reject", "Not enough data", "Cannot tell"])
def test_other_verdicts_stay_as_they_are(label: str) -> None:
    verdict = Verdict(label, "why", 5, 1.0)  # type: ignore[arg-type]
    assert corrected(verdict, standing(0.03, 0.0021)) is verdict


@pytest.mark.parametrize("held", [None, standing(0.001, 0.0021), standing(0.0021, 0.0021)])
def test_an_enable_stays_where_it_holds_or_was_not_asked(held: Standing | None) -> None:
    assert corrected(ENABLE, held) is ENABLE


@pytest.mark.parametrize(
    ("p", "threshold", "said"),
    [
        (0.002144, 0.002136, "at most 0.002136, and it is 0.002144"),
        (0.00214, 0.00213, "at most 0.00213, and it is 0.00214"),
        (1e-40, 0.0021, "at most 0.0021, and it is below one in a million"),
        (0.0, 0.0021, "it is below one in a million"),
        (2e-8, 1e-8, "at most 0.000000010, and it is 0.000000020"),
    ],
)
def test_two_numbers_are_written_so_that_they_can_be_told_apart(p: float, threshold: float, said: str) -> None:
    assert said in standing(p, threshold).sentence


def test_the_sentence_of_the_whole_ledger_counts_questions_and_answers(runs: RunRepository, ledger: Ledger) -> None:
    ask(runs, FLAGSHIP)
    assert "You have asked one question of your data, and its answer holds." in ledger.sheet().sentence
    keep(runs, "more", NOTHING, minute=60)
    assert "You have asked 2 questions of your data, and 1 of the answers holds." in ledger.sheet().sentence
