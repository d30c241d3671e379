"""A recommendation in words and its working: true to the numbers, never more certain than they are."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_reading import ACV, FLAGSHIP, SETTINGS, evidence, tables

from beton.model import text
from beton.model.evidence import Evidence, FunnelStep, Interval, Leads, Measured, Note, NotMeasurable
from beton.model.ledger import Standing
from beton.model.outcome import Outcome
from beton.model.settings import CompanySettings
from beton.services.explaining import explain, paragraph
from beton.services.ledger import corrected
from beton.services.measurement import measure
from beton.services.reading import Reading, read, verdict
from beton.services.working import WorkingStep, rules, working
from beton.stats.clustered import ClusterMoments, clustered_difference, clustered_ratio
from beton.stats.proportions import TwoByTwo

PERIOD = ("2024-01-01", "2024-11-07")
COMPANIES = [
    CompanySettings(min_lift=least, min_sample=sample) for least in (0.0, 1.0, 1.5, 4.0) for sample in (1, 30, 5_000)
]


STANDING = Standing(number=7, threshold=0.004, p_value=0.001, holds=True, discoveries=2, tested=9)


def about(result: Any, company: CompanySettings = SETTINGS, standing: Any = None, **changes: Any) -> str:
    """The paragraph on a table or result; ``changes`` are fields of the evidence."""
    shown = replace(evidence(result), period=PERIOD, **changes)
    return paragraph(shown, allowed(read(shown, company, ACV), standing), standing)


def allowed(reading: Reading, standing: Standing | None) -> Reading:
    return replace(reading, verdict=corrected(reading.verdict, standing))


def steps(result: Any, company: CompanySettings = SETTINGS, **changes: Any) -> dict[str, WorkingStep]:
    shown = replace(evidence(result), period=PERIOD, **changes)
    return {each.title: each for each in working(shown, read(shown, company, ACV), company)}


def with_outcome(outcome: Outcome, result: Any = FLAGSHIP) -> dict[str, Any]:
    return {"passport": replace(evidence(result).passport, outcome=outcome)}


def with_cohort(**changes: Any) -> dict[str, Any]:
    return {"cohort": replace(evidence(FLAGSHIP).cohort, **changes)}


def clustered(table: TwoByTwo, users: int) -> Measured:
    """A result whose units sit in accounts of ``users``, all with the signal or all without."""
    converted, signal, account = [], [], []
    for has, (done, units) in enumerate(((table.converted_without, table.units_without), table.cells[:2])):
        converted += [place < done for place in range(units)]
        signal += [bool(has)] * units
        account += [has * 1_000_000 + place // users for place in range(units)]
    moments = ClusterMoments.from_arrays(converted, signal, np.asarray(account))
    ratio, difference = clustered_ratio(table, moments), clustered_difference(table, moments)
    assert ratio is not None
    assert difference is not None
    return replace(
        measure(table),
        lift_interval=Interval(ratio.lower, ratio.upper, "account-clustered sandwich"),
        extra_points_interval=Interval(difference.lower, difference.upper, "account-clustered sandwich"),
        p_value=ratio.p_value,
        p_value_method="account-clustered Wald",
        clusters=moments.clusters,
        design_effect=ratio.design_effect,
    )


# --- the paragraph


def test_the_flagship_is_told_in_four_sentences() -> None:
    assert about(FLAGSHIP) == (
        "Of 10,181 users who signed up from 1 Jan 2024 to 7 Nov 2024, 1,247 had this signal. "
        "With it, 14.2 of 100 became customers within 45 days, against 3.4 of 100 without it: 4.2 times as "
        "often. Allowing for chance, the true figure is likely between 3.5 and 5.0 times. Enable it: the gain is "
        "clear and meets the minimum you set, though only an experiment shows whether contacting these people helps."
    )


SAID: list[tuple[str, TwoByTwo, CompanySettings, str]] = [
    ("harmful", TwoByTwo(20, 1_000, 500, 9_000), SETTINGS, "Reject it: those with it are less likely to become custom"),
    ("harmful", TwoByTwo(20, 1_000, 500, 9_000), SETTINGS, "against 5.6 of 100 without it: less often, at 0.36 times"),
    ("harmful", TwoByTwo(20, 1_000, 500, 9_000), SETTINGS, "not that the signal is why."),
    ("never", TwoByTwo(0, 1_000, 500, 9_000), SETTINGS, "With it, none of 1,000 became customers"),
    ("never", TwoByTwo(0, 1_000, 500, 9_000), SETTINGS, "without it: less often. Allowing for chance, the true figure"),
    ("never", TwoByTwo(0, 1_000, 500, 9_000), SETTINGS, "is likely at most 0.07 times as often."),
    ("hardly ever", TwoByTwo(1, 3_000, 2_000, 2_000), SETTINGS, "without it: less often. Allowing for chance"),
    ("hardly ever", TwoByTwo(1, 3_000, 2_000, 2_000), SETTINGS, "is likely less than 0.01 times as often."),
    ("infinite", TwoByTwo(60, 100, 0, 900), SETTINGS, "against none of 900 without it. Allowing for chance, the true"),
    ("infinite", TwoByTwo(60, 100, 0, 900), SETTINGS, "is likely at least 141 times as often. Enable it"),
    ("small gain", TwoByTwo(450, 3_000, 330, 3_000), SETTINGS, "Watch it: the gain is clear but smaller than the min"),
    ("small gain", TwoByTwo(450, 3_000, 330, 3_000), SETTINGS, "not that contacting them helps."),
    ("no gain", TwoByTwo(1_010, 10_000, 1_000, 10_000), SETTINGS, "so there may be no difference. Reject it:"),
    ("below", TwoByTwo(1_300, 10_000, 1_000, 10_000), SETTINGS, "Reject it: the gain stays below the minimum you set."),
    ("few", TwoByTwo(10, 20, 100, 1_000), SETTINGS, "With it, 10 of 20 became customers"),
    ("few", TwoByTwo(10, 20, 100, 1_000), SETTINGS, "There is not enough data yet: about "),
    ("few", TwoByTwo(10, 20, 100, 1_000), SETTINGS, " more users are needed, some "),
    ("few", TwoByTwo(10, 20, 100, 1_000), SETTINGS, "Until then, a good-looking figure may be luck."),
    ("one", TwoByTwo(1, 1, 30, 900), SETTINGS, "1 had this signal. With it, 1 of 1 became a customer within"),
    ("all", TwoByTwo(40, 40, 50, 900), SETTINGS, "With it, all of 40 became customers"),
    ("tiny", TwoByTwo(9, 3_000, 30, 90_000), SETTINGS, "With it, 3 of 1,000 became customers"),
    ("tiny", TwoByTwo(9, 3_000, 30, 90_000), SETTINGS, "against fewer than 1 of 1,000 without it"),
    ("one of 1,000", TwoByTwo(10, 10_000, 9, 90_000), SETTINGS, "With it, 1 of 1,000 became a customer"),
    ("mixed", TwoByTwo(139, 1_000, 30, 10_000), SETTINGS, "With it, 139 of 1,000 became customers within"),
    ("mixed", TwoByTwo(139, 1_000, 30, 10_000), SETTINGS, "against 3 of 1,000 without it"),
    ("nearly all", TwoByTwo(9_999, 10_000, 300, 1_000), SETTINGS, "With it, more than 99.9 of 100 became customers"),
    ("large sample", TwoByTwo(10_300, 100_000, 100_000, 1_000_000), CompanySettings(min_lift=1.0),
     "without it: slightly more often. Allowing for chance, the true figure is likely between just over 1 and 1.0 "),
]  # fmt: skip


@pytest.mark.parametrize(("case", "table", "company", "words"), SAID)
def test_every_kind_of_result_has_its_words(case: str, table: TwoByTwo, company: CompanySettings, words: str) -> None:
    assert words in about(table, company), case


def test_too_few_by_the_companys_own_rule_claims_nothing_though_the_interval_is_clear() -> None:
    said = about(FLAGSHIP, CompanySettings(min_sample=5_000))

    assert "without it." in said
    assert "likely between 3.5 and 5.0 times as often, but that rests on too few." in said


def test_more_units_and_weeks_are_those_of_the_verdict() -> None:
    shown = replace(evidence(TwoByTwo(13, 200, 60, 1_000)), period=PERIOD)
    reading = read(shown, SETTINGS, ACV)
    missing, weeks = reading.verdict.units_missing, reading.verdict.weeks_missing

    assert missing is not None
    assert weeks is not None
    assert f"about {missing:,} more users are needed, some {math.ceil(weeks)} weeks" in paragraph(shown, reading)
    one = replace(reading, verdict=replace(reading.verdict, units_missing=1, weeks_missing=0.2))
    assert "about 1 more user is needed, some 1 week at the present pace." in paragraph(shown, one)
    none = replace(reading, verdict=replace(reading.verdict, units_missing=None, weeks_missing=None))
    assert "not enough data yet: these users are too few to judge it by." in paragraph(shown, none)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (with_cohort(unit="account"), "Of 10,181 accounts that signed up from 1 Jan 2024 to 7 Nov 2024, 1,247 had"),
        (with_cohort(unit="account"), "contacting these accounts helps."),
        (with_cohort(timing="any time"), "Of 10,181 user-weeks from 1 Jan 2024 to 7 Nov 2024, 1,247 had this signal."),
        (with_cohort(timing="any time"), "14.2 of 100 were followed by a won deal within 45 days"),
        (with_cohort(horizon_days=1), "within 1 day, against"),
        (with_outcome(Outcome("deal created")), "14.2 of 100 had a new deal within"),
        (with_outcome(Outcome("first payment")), "14.2 of 100 made a first payment within"),
        (with_outcome(Outcome("event", "user", "plan_upgraded")), "14.2 of 100 did “plan_upgraded” within"),
        (with_outcome(Outcome("event", "account", "x  y")), "14.2 of 100 did “x y” (or a colleague did) within"),
    ],
)
def test_unit_clock_and_outcome_are_named_for_what_they_are(changes: dict[str, Any], words: str) -> None:
    assert words in about(FLAGSHIP, **changes)


def test_without_a_period_no_date_is_made_up() -> None:
    shown = evidence(FLAGSHIP)
    assert paragraph(shown, read(shown, SETTINGS, ACV)).startswith("Of 10,181 users, 1,247 had this signal.")


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("may_leak", "One caution: its traits may have been recorded after the outcome."),
        ("few_clusters", "One caution: few accounts stand behind this."),
        ("not_clustered", "Watch it: colleagues count together, and there are too few accounts to allow for that."),
    ],
)
def test_the_caution_that_matters_most_is_said(kind: str, words: str) -> None:
    assert words in about(FLAGSHIP, notes=(Note(kind, "why"),))
    assert words not in about(FLAGSHIP)


def test_what_could_not_be_measured_says_why_and_nothing_for_or_against() -> None:
    refusal = NotMeasurable("no_conversions", "None of the 9 eligible users converted within 45 days")

    assert about(refusal) == (
        "This backtest cannot tell whether the signal is worth acting on. None of the 9 eligible users converted "
        "within 45 days. That speaks neither for it nor against it."
    )


def test_an_idea_among_many_says_which_it_is_and_whether_it_holds() -> None:
    assert "; this is the 7th idea you have tested, and it holds even so." in about(FLAGSHIP, standing=STANDING)
    luck = about(FLAGSHIP, standing=replace(STANDING, holds=False))
    assert "; this is the 7th idea you have tested, and among so many it may be luck. Watch it: where many" in luck
    assert "clear" not in luck
    unclear = about(TwoByTwo(1_010, 10_000, 1_000, 10_000), standing=replace(STANDING, holds=False))
    assert "no difference; this is the 7th idea you have tested." in unclear


def test_the_first_idea_is_told_without_its_number_though_it_may_fall_short() -> None:
    first = replace(STANDING, number=1, tested=1)
    assert "idea you have" not in about(FLAGSHIP, standing=first)
    assert "Watch it: where many ideas are tested" in about(FLAGSHIP, standing=replace(first, holds=False))


def check_words(said: str, most: int = 90) -> None:
    assert not re.search(r"\b(nan|inf|None|0\.00)\b|∞|–|  |\.\.|\(\)", said), said
    assert said.endswith(".")
    assert len(said.split()) <= most, said
    assert 3 <= len(re.findall(r"\.(?: |$)", said)) <= 5, said
    for jargon in ("p-value", "CI", "confidence", "landmark", "cohort", "significan", "lift", "ratio", "cluster"):
        assert jargon not in said, said


measurable = tables().filter(lambda t: t.converted_with + t.converted_without > 0)
notes = st.sets(st.sampled_from(["may_leak", "few_clusters", "not_clustered", "fit", "weekly"]))


@settings(max_examples=250, deadline=None)
@given(measurable, st.sampled_from(COMPANIES), notes)
def test_words_of_direction_agree_with_the_numbers(table: TwoByTwo, company: CompanySettings, kinds: set[str]) -> None:
    result = measure(table)
    said = about(result, company, notes=tuple(Note(kind, "why") for kind in kinds))
    lower, upper = result.lift_interval.lower, result.lift_interval.upper

    check_words(said)
    more = (
        re.search(r"without it: [\d,.]+ times as often|more often|the gain is clear|the gain stays below", said)
        is not None
    )
    less = re.search(r"less often|less likely", said) is not None
    assert not (more and less)
    if more:
        assert lower > 1
        assert result.p_value < 0.05
        assert result.extra_points > 0
    if less:
        assert upper is not None
        assert upper < 1
        assert result.p_value < 0.05
        assert result.extra_points < 0
    if lower <= 1 and (upper is None or upper >= 1):
        assert not more
        assert not less
        assert "no difference" in said or "chance could explain" in said


@settings(max_examples=60, deadline=None)
@given(measurable, st.sampled_from(COMPANIES), st.booleans())
def test_a_place_in_the_ledger_adds_half_a_sentence(table: TwoByTwo, company: CompanySettings, holds: bool) -> None:
    check_words(about(table, company, replace(STANDING, holds=holds), notes=(Note("may_leak", "why"),)), 105)


@settings(max_examples=100, deadline=None)
@given(measurable)
def test_its_figures_are_those_shown_elsewhere(table: TwoByTwo) -> None:
    result = measure(table)
    said = about(result, CompanySettings(min_lift=1.0, min_sample=1))
    shown = {text.count(table.units), text.count(table.units_with)}

    assert shown <= set(re.findall(r"\d[\d,]*", said))
    if match := re.search(r"it: ([\d,.]+) times as often", said):
        assert f"{match[1]}x" == text.lift(result.lift)
    if match := re.search(r"between ([\d,.]+) and ([\d,.]+) times", said):
        assert [f"{each}x" for each in match.groups()] == [
            text.lift(limit) for limit in (result.lift_interval.lower, result.lift_interval.upper)
        ]
    if match := re.search(r"With it, ([\d.]+) of 100 (?:became|were)", said):
        assert float(match[1]) == float(text.percent(table.rate_with).strip("%"))
    elif match := re.search(r"With it, ([\d,]+) of 1,000 became", said):
        assert float(match[1]) / 10 == float(text.percent(table.rate_with).strip("%"))


# --- the working


def worked_out(formula: str) -> float:
    """Calculate what a formula says."""
    plain = formula.replace(",", "").replace("×", "*").replace(text.MINUS, "-")
    plain = plain.replace("ln(", "log(").replace("√2", "sqrt(2)").replace("|z|", "abs(z)")
    names = {name: getattr(math, name) for name in ("exp", "log", "erfc", "sqrt")}
    main, _, given_ = plain.partition(" z = ")
    if given_:
        names["z"] = eval(given_, {}, names)
    return float(eval(main, {"abs": abs}, names))


@settings(max_examples=100, deadline=None)
@given(measurable, st.sampled_from(COMPANIES))
def test_formulas_come_to_the_figures_that_were_stored(table: TwoByTwo, company: CompanySettings) -> None:
    result, found = measure(table), steps(table, company)

    assert worked_out(found["Rate with the signal, p1"].formula) == table.rate_with
    assert worked_out(found["Rate without, p0"].formula) == table.rate_without
    assert worked_out(found["Extra points, d"].formula) == result.extra_points
    assert found["Extra points, d"].result == text.points(result.extra_points)
    assert worked_out(found["Expected conversions"].formula) == pytest.approx(table.expected_with)
    assert found["Lift"].result == text.lift(math.inf if result.lift is None else result.lift)
    if result.lift is not None:
        assert worked_out(found["Lift"].formula) == pytest.approx(result.lift)
    lower, upper = found["95% interval of the extra points"].formula.split(", with ")[0].split(" to ")
    limits = (result.extra_points_interval.lower, result.extra_points_interval.upper)
    for formula, limit in zip((lower, upper), limits, strict=True):
        assert newcombe(formula, table) == pytest.approx(limit, abs=2e-5)
    arr = found["Revenue a year, if acted upon"]
    assert worked_out(arr.formula) == pytest.approx(40 * result.extra_points * 12 * 27_000, rel=1e-5, abs=1)


def newcombe(formula: str, table: TwoByTwo) -> float:
    plain = formula.replace("√", "sqrt").replace("²", "**2").replace(text.MINUS, "-")
    return float(
        eval(plain, {"sqrt": math.sqrt}, {"d": table.extra_points, "p1": table.rate_with, "p0": table.rate_without})
    )


@pytest.mark.parametrize("users", [2, 5])
def test_clustered_formulas_come_to_the_figures_that_were_stored(users: int) -> None:
    result = clustered(FLAGSHIP, users)
    found = steps(result)
    lift, points = found["95% interval of the lift"], found["95% interval of the extra points"]

    for sign, limit in (("-", result.lift_interval.lower), ("+", result.lift_interval.upper)):
        assert worked_out(lift.formula.replace("±", sign)) == pytest.approx(limit, rel=1e-4)
    for sign, limit in (("-", result.extra_points_interval.lower), ("+", result.extra_points_interval.upper)):
        assert worked_out(points.formula.replace("±", sign)) == pytest.approx(limit, rel=1e-3)
    assert worked_out(found["Test of no difference"].formula) == pytest.approx(result.p_value, rel=0.02)
    assert f"{result.clusters:,} accounts, design effect {result.design_effect:.2f}" in lift.source
    assert f"/ {result.design_effect:.2f}" in found["Smallest detectable lift"].formula


@settings(max_examples=250, deadline=None)
@given(measurable, st.sampled_from(COMPANIES), notes)
def test_the_rules_end_in_the_verdict(table: TwoByTwo, company: CompanySettings, kinds: set[str]) -> None:
    shown = replace(evidence(table), notes=tuple(Note(kind, "why") for kind in kinds))
    assert isinstance(shown.result, Measured)
    asked = rules(shown, shown.result, company)
    reached = [rule for rule in asked if rule.state != "not reached"]

    assert [rule.decides for rule in reached if rule.decides] == [verdict(shown, company).label]
    assert reached[-1].decides
    assert reached[0] is asked[0]


CLUSTERED = [
    (FLAGSHIP, 4),
    (TwoByTwo(9, 100, 10, 900), 3),
    (TwoByTwo(12, 100, 40, 900), 10),
    (TwoByTwo(4, 60, 3, 90), 2),
]


@pytest.mark.parametrize(("table", "users"), CLUSTERED)
@pytest.mark.parametrize("company", COMPANIES)
def test_the_rules_end_in_the_verdict_where_accounts_repeat(
    table: TwoByTwo, users: int, company: CompanySettings
) -> None:
    shown = evidence(clustered(table, users))
    assert isinstance(shown.result, Measured)
    decided = [rule.decides for rule in rules(shown, shown.result, company) if rule.decides]
    assert decided == [verdict(shown, company).label]


@settings(max_examples=100, deadline=None)
@given(measurable, st.sampled_from(COMPANIES), st.booleans())
def test_the_rules_end_in_the_verdict_that_the_ledger_allows(
    table: TwoByTwo, company: CompanySettings, holds: bool
) -> None:
    shown, standing = evidence(table), replace(STANDING, holds=holds)
    assert isinstance(shown.result, Measured)
    decided = [rule.decides for rule in rules(shown, shown.result, company, standing) if rule.decides]
    assert decided == [corrected(verdict(shown, company), standing).label]


def test_the_verdict_shows_every_rule_with_its_answer() -> None:
    lines = steps(FLAGSHIP)["Verdict, rule by rule"].formula.split("\n")

    assert lines[0] == "1. with the signal: 1,247, at least 30: passed"
    assert lines[6].endswith(": passed → Enable")
    assert [line.rsplit(": ", 1)[1] for line in lines[7:]] == ["not reached"] * 2


def test_the_working_names_clock_funnel_method_leads_and_passport() -> None:
    funnel = (FunnelStep("all", "All users", 34_521, ""), FunnelStep("mature", "Mature", 10_181, "too young"))
    leads = Leads(40.0, ("2024-10", "2024-11"), (("2024-09", 1), ("2024-10", 38), ("2024-11", 42)))
    found = steps(FLAGSHIP, funnel=funnel, leads=leads)

    assert "outcome (a won deal of the user or of the user's account): from T0 + 4 days to before T0 + 49 days" in (
        found["Clock"].formula
    )
    assert found["Clock"].source == "H: the sales cycle in Settings"
    assert found["Who was counted"].formula == "All users: 34,521\nMature: 10,181 (left out: too young)"
    assert "Miettinen & Nurminen (1985)" in found["95% interval of the lift"].source
    assert found["Test of no difference"].source.startswith("Fisher mid-P: ")
    assert found["Leads a month"].formula == "(38 + 42) / 2"
    assert found["Leads a month"].source == "mean of Oct 2024, Nov 2024"
    assert found["To repeat it"].formula.startswith("snapshot v (Northwind)\nengine sql-1\n")
    weekly = steps(FLAGSHIP, **with_cohort(timing="any time"))["Clock"].formula
    assert "signal: the 3 days before T0" in weekly
    assert "from T0 + 1 day to before T0 + 46 days" in weekly


def test_the_ledger_is_a_step_of_its_own() -> None:
    shown = evidence(FLAGSHIP)
    found = explain(shown, read(shown, SETTINGS, ACV), SETTINGS, STANDING)
    (step,) = [each for each in found.working if each.title == "Among all that was tested here"]

    assert step.formula == "p = 0.001 against level 0.004\ntest 7 of 9; discoveries so far: 2"
    assert step.result == "holds"
    assert "7th idea" in found.paragraph


def test_without_leads_there_is_no_revenue_to_work_out() -> None:
    shown: Evidence = evidence(FLAGSHIP, leads=None)
    titles = [each.title for each in working(shown, read(shown, SETTINGS, ACV), SETTINGS)]

    assert not {"Revenue a year, if acted upon", "Leads a month", "Its 95% interval"} & set(titles)


def test_a_refusal_shows_the_clock_and_the_reason() -> None:
    found = steps(NotMeasurable("no_eligible_units", "No users are eligible."))

    assert list(found) == ["Clock", "Verdict", "To repeat it"]
    assert (found["Verdict"].formula, found["Verdict"].result) == ("no_eligible_units", "Cannot tell")
