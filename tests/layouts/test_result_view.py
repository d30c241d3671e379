"""A result's leaves: complete, placed once, and none left over from the result before."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from dash import html
from dash.development.base_component import Component
from shell_fakes import DEMO

from beton.model.evidence import (
    Cohort,
    Evidence,
    FunnelStep,
    Interval,
    Leads,
    Measured,
    MonthRow,
    Note,
    NotMeasurable,
    Passport,
    Table,
)
from beton.model.ledger import Standing
from beton.model.outcome import Outcome
from beton.model.settings import CompanySettings
from beton.model.signal import from_dict
from beton.services.backtests import Report
from beton.services.explaining import Explanation, explain
from beton.services.measurement import measure
from beton.services.reading import Acv, read
from beton.stats.proportions import TwoByTwo
from layouts import ids
from layouts.backtest import backtest
from layouts.result_view import LEAVES, Placed, leaves, result_view, standing_words
from store.draft import Draft

HOSTILE = "<img src=x onerror=alert(1)> =cmd|' /C calc'!A0 \u202e\U0001f600"
RUN_ID = "0" * 32
NUMBERS = ("lift", "p", "points", "lead", "users-with", "rate-without", "arr", "matches", "expected", "precision")


FLAGSHIP = TwoByTwo(177, 1_247, 304, 8_934)


def evidence(table: TwoByTwo = FLAGSHIP, **changes: Any) -> Evidence:
    """The flagship's table by default; ``changes`` are fields of Evidence."""
    definition = from_dict({"name": "Onboarded", "when": {"event": "onboarding_completed", "within_days": 3}})
    plain = Table(table.converted_with, table.units_with, table.converted_without, table.units_without)
    facts: dict[str, Any] = {
        "passport": Passport(
            definition.to_dict(), definition.meaning_hash(), "Users who onboarded.", "0123456789ab", "Northwind", False,
            "1", Outcome(), "SELECT 1",
        ),
        "cohort": Cohort("user", "after signup", 3, 1, 45, "the sales cycle in Settings"),
        "period": ("2024-01-02", "2024-11-10"),
        "funnel": (FunnelStep("all", "All users", 34_521, ""), FunnelStep("mature", "Mature", 10_181, "too young")),
        "result": measure(table),
        "months": (
            MonthRow("2024-01", plain, 3.4, Interval(2.0, None, "score")),
            MonthRow("2024-02", plain, None, None),
        ),
        "leads": Leads(103.5, ("2024-10", "2024-11"), (("2024-10", 103), ("2024-11", 104))),
    }  # fmt: skip
    return Evidence(**facts | changes)


def report(measured: Evidence) -> Report:
    return Report(RUN_ID, measured, read(measured, CompanySettings(), Acv(27_000, "USD", "Settings")), None)


def explained(shown: Report) -> Explanation:
    return explain(shown.evidence, shown.reading, CompanySettings())


def drawn(shown: Report) -> dict[str, Any]:
    return leaves(shown, 1.5, explained(shown))


REFUSED = evidence(result=NotMeasurable("no_units_with_signal", "No eligible users carry this signal."))
WEEKLY = evidence(cohort=Cohort("user", "any time", 14, 1, 45, "the sales cycle in Settings"))
ACCOUNT = evidence(cohort=Cohort("account", "after signup", 3, 1, 45, "set with the outcome"))
UNBOUNDED = evidence(TwoByTwo(5, 40, 0, 900))
HARMFUL = evidence(TwoByTwo(2, 1_000, 300, 3_000))
NO_LEADS = evidence(leads=Leads(None, (), ()))
BARE = replace(REFUSED, period=None, months=(), funnel=(), leads=Leads(None, (), ()))
CASES = {
    "measured": evidence(),
    "refused": REFUSED,
    "unbounded": UNBOUNDED,
    "weekly": WEEKLY,
    "account": ACCOUNT,
    "harmful": HARMFUL,
    "no leads": NO_LEADS,
    "bare": BARE,
}


def inside(component: Any) -> list[Component]:
    return [component, *component._traverse()]


def placed(component: Any) -> Counter[Any]:
    """Count the ids of a tree."""
    return Counter(str(each.id) for each in inside(component) if isinstance(each, Component) and hasattr(each, "id"))


def texts(component: Any) -> list[str]:
    found = [getattr(each, "children", None) for each in inside(component)]
    return [text for each in found for text in (each if isinstance(each, list) else [each]) if isinstance(text, str)]


@pytest.mark.parametrize("case", CASES)
def test_every_leaf_has_its_value_in_the_order_of_the_outputs(case: str) -> None:
    values = drawn(report(CASES[case]))

    assert list(values) == list(LEAVES)
    assert values["run-id"] == RUN_ID
    always = ("title", "words", "clock", "verdict", "verdict-box", "reason", "numbers", "notes")
    assert [name for name in always if values[name] is None] == []
    assert [name for name in values if name.endswith(("-figure", "-table")) and values[name] is None] == []


@pytest.mark.parametrize("case", CASES)
def test_every_leaf_is_placed_once_whatever_the_result(case: str) -> None:
    found = placed(backtest_page(drawn(report(CASES[case]))))

    assert {name: found[ids.result(name)] for name in LEAVES} == dict.fromkeys(LEAVES, 1)
    assert [owner for owner, number in found.items() if number > 1] == []


def test_an_empty_result_has_the_same_places() -> None:
    full, empty = (placed(result_view(values)) for values in (drawn(report(CASES["measured"])), None))
    assert full == empty


def backtest_page(values: dict[str, Any] | None) -> Any:
    return backtest(DEMO, Draft(), "", values, None)


def test_a_leaf_holds_what_leaves_gave_it() -> None:
    values = drawn(report(CASES["measured"]))
    page = {str(each.id): each for each in inside(backtest_page(values)) if hasattr(each, "id")}
    for name, prop in LEAVES.items():
        shown = page[ids.result(name)].to_plotly_json()["props"].get(prop)
        assert shown == values[name], name


def test_numbers_of_the_result_before_do_not_survive_a_refusal() -> None:
    before, after = drawn(report(CASES["measured"])), drawn(report(REFUSED))

    assert all(before[name] for name in NUMBERS)
    assert {name: after[name] for name in NUMBERS} == dict.fromkeys(NUMBERS)
    assert (before["numbers"], after["numbers"]) == (False, True)
    assert after["verdict"] == "Cannot tell"
    assert after["reason"] == "No eligible users carry this signal."


def test_a_projection_of_the_result_before_does_not_survive_a_result_without_leads() -> None:
    after = drawn(report(NO_LEADS))

    assert (after["arr"], after["arr-range"]) == ("–", "no full calendar month in the data yet")
    assert [after[name] for name in ("matches", "expected", "difference")] == [None] * 3


def test_the_flagship_reads_as_in_the_guide() -> None:
    values = drawn(report(CASES["measured"]))

    assert (values["rate-with"], values["rate-without"], values["lift"]) == ("14.2%", "3.4%", "4.2x")
    assert (values["p"], values["verdict"], values["verdict-box"]) == ("Significant", "Enable", "healthy")


def test_an_unbounded_interval_says_infinity() -> None:
    values = drawn(report(UNBOUNDED))

    assert values["lift"] == "∞"
    assert values["lift-sub"].endswith("∞")
    assert isinstance(UNBOUNDED.result, Measured)
    assert UNBOUNDED.result.lift_interval.upper is None


def test_a_harmful_signal_is_rejected_with_a_negative_projection() -> None:
    values = drawn(report(HARMFUL))

    assert (values["verdict"], values["verdict-box"]) == ("Reject", "rejected")
    assert values["arr"].startswith("−$")
    assert values["points"].startswith("−")


def test_a_weekly_result_says_that_its_dates_are_landmarks() -> None:
    assert "(landmarks)" in drawn(report(WEEKLY))["clock"]
    assert "(signed up)" in drawn(report(ACCOUNT))["clock"]


def test_hostile_names_are_text() -> None:
    base = CASES["measured"]
    passport = replace(base.passport, definition={**base.passport.definition, "name": HOSTILE}, words=HOSTILE)
    values = drawn(report(replace(base, passport=passport, notes=(Note("may_leak", HOSTILE),))))

    assert (values["title"], values["words"]) == (HOSTILE, HOSTILE)
    assert [type(each) for each in values["notes"]] == [html.Li]
    assert texts(result_view(values)).count(HOSTILE) == 2  # words and note; the page's head shows the title
    figures = repr([values[name] for name in values if name.endswith("-figure")])
    assert "onerror" not in figures, "user text in a chart would be read as plotly's HTML"


def test_a_place_without_a_result_is_empty_text() -> None:
    assert Placed(None).text("lift").children is None


@pytest.mark.parametrize(
    ("standing", "said"),
    [
        (None, "not asked by a person, so not among the tests"),
        (Standing(7, 0.0021, 0.03, False, 2, 9), "your 7th of 9: does not hold (p 0.030, at most 0.0021 allowed)"),
        (
            Standing(2, 0.0016, 1e-30, True, 2, 2),
            "your 2nd of 2: holds (p below one in a million, at most 0.0016 allowed)",
        ),
    ],
)
def test_the_place_among_all_tests_is_said(standing: Standing | None, said: str) -> None:
    assert standing_words(standing) == said
