"""The planted truth, found again by an independent evaluation of the raw files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from beton.demo import truth
from beton.demo.adoption import draw_adoption
from beton.demo.deals import draw_wins, make_deals
from beton.demo.people import make_people
from beton.demo.sizes import CompanySize

FLAGSHIP = "Onboarding completed within 3 days"
CAUSAL = (FLAGSHIP, "Invited 2+ teammates", "API key created")
CONFOUNDED = ("Dashboard created", "Weekly active 3+ weeks", "Docs visited 5+", "SSO settings viewed")
PRICING = "Pricing page 2x+"


def feature_used(name: str) -> dict:
    where = [{"property": "feature", "op": "=", "value": name}]
    return {"all": [{"event": "feature_used", "op": "completed", "within_days": 14, "where": where}]}


def months(cohort, first: int, last: int) -> np.ndarray:
    """Users who signed up in calendar months first..last of 2024 (1 is January)."""
    month = cohort.t0.astype("datetime64[M]").astype(int) - 648 + 1
    return (month >= first) & (month <= last)


def test_the_outcome_window_is_sensible_and_the_same_for_both_evaluations(cohort):
    assert 46 <= cohort.window_days <= 60
    assert cohort.truth["outcome_window_days"] == cohort.window_days


def test_the_funnel_narrows_as_specified(cohort):
    steps = [int(mask.sum()) for mask in cohort.funnel(3).values()]
    assert steps == sorted(steps, reverse=True)
    assert steps[0] == 34_521
    assert steps[2] == 11_086
    assert steps[2] > steps[3] > steps[4]
    assert steps[4] == pytest.approx(10_180, rel=0.03)


def test_the_flagship_lands_near_the_table_of_the_specification(cohort):
    table = cohort.table(cohort.signals[FLAGSHIP])
    assert table.n1 == pytest.approx(1_247, rel=0.08)
    assert table.n0 == pytest.approx(8_934, rel=0.08)
    assert table.x1 == pytest.approx(177, rel=0.12)
    assert table.x0 == pytest.approx(304, rel=0.12)


def test_both_evaluations_agree_on_every_signal(cohort):
    assert set(cohort.signals) == set(cohort.truth["signals"])
    for name, node in cohort.signals.items():
        table, planted = cohort.table(node), cohort.truth["signals"][name]
        assert (table.n1, table.n1 + table.n0) == (planted["with_signal"], planted["eligible"]), name


@pytest.mark.parametrize(("name", "about"), list(zip(CAUSAL, (4.2, 3.5, 2.7), strict=True)))
def test_intervals_of_causal_signals_cover_the_true_ratio(cohort, name, about):
    ratio = cohort.truth["signals"][name]["causal_ratio"]
    low, high = cohort.table(cohort.signals[name]).interval()
    assert ratio == pytest.approx(about, rel=0.06)
    assert low < ratio < high


@pytest.mark.parametrize("name", CONFOUNDED)
def test_confounded_signals_look_real_and_are_not(cohort, name):
    low, _ = cohort.table(cohort.signals[name]).interval()
    assert cohort.truth["signals"][name]["causal_ratio"] == 1
    assert low > 1


def test_crude_tables_estimate_what_the_model_expects(cohort):
    missed = [
        name
        for name, node in cohort.signals.items()
        for low, high in [cohort.table(node).interval()]
        if not low < cohort.truth["signals"][name]["expected_crude_ratio"] < high
    ]
    # Fifteen 95% intervals: three or more misses have a probability of 4%.
    assert len(missed) <= 2, missed


def test_the_documentation_shows_these_figures(cohort):
    page = (Path(__file__).parents[2] / "docs" / "demo.md").read_text(encoding="utf-8")
    for name, node in cohort.signals.items():
        table, planted = cohort.table(node), cohort.truth["signals"][name]
        low, high = table.interval()
        row = (
            f"| {name} | {planted['kind']} | {table.x1:,}/{table.n1:,} | {table.x0:,}/{table.n0:,} "
            f"| {table.lift:.2f} ({low:.2f}-{high:.2f}) | {planted['expected_crude_ratio']:.2f} "
            f"| {planted['causal_ratio']:.2f} |"
        )
        assert row in page
    for event in ("contract_viewed", "dashboard_created", "api_key_created", "teammate_invited"):
        assert f"`{event}` {cohort.naive(event).lift:.1f}" in page


def test_company_size_is_a_fit_signal(cohort):
    table = cohort.table(cohort.signals["Company 50-500 employees"])
    low, high = table.interval()
    assert low < 1.9 < high
    assert low > 1


def test_three_tickets_do_harm(cohort):
    table = cohort.table(cohort.signals["Opened 3+ support tickets"])
    low, high = table.interval()
    ratio = cohort.truth["signals"]["Opened 3+ support tickets"]["causal_ratio"]
    assert table.n1 > 500
    assert high < 1
    assert low < ratio < high
    assert ratio == pytest.approx(0.4, abs=0.06)


def test_the_pricing_page_fades(cohort):
    node, planted = cohort.signals[PRICING], cohort.truth["signals"][PRICING]
    by_month = planted["causal_ratio_by_month"]
    assert by_month["2024-02"] > 4
    assert by_month["2024-10"] < 1.25
    assert planted["causal_ratio"] == pytest.approx(3.1, rel=0.12)
    early = cohort.table(node, months(cohort, 1, 6))
    late = cohort.table(node, months(cohort, 9, 12))
    assert early.interval()[0] > late.interval()[1]


def test_contract_views_fool_the_naive_query_and_not_the_backtest(cohort):
    naive = cohort.naive("contract_viewed")
    table = cohort.table(cohort.signals["Contract viewed"])
    assert naive.lift > 10
    assert table.n1 < 60
    assert table.interval()[0] < 1


@pytest.mark.parametrize("event", ["dashboard_created", "api_key_created", "teammate_invited"])
def test_usage_after_the_win_inflates_the_naive_query(cohort, event):
    within = {"all": [{"event": event, "op": "completed", "within_days": 14}]}
    assert cohort.naive(event).lift > 2 * cohort.table(within).lift


def test_null_signals_show_nothing(cohort):
    for name in ("Avatar uploaded", "Newsletter opened"):
        low, high = cohort.table(cohort.signals[name]).interval()
        assert low < 1 < high


def test_no_more_null_features_are_significant_than_chance_explains(cohort):
    features = cohort.truth["null_features"]
    intervals = [cohort.table(feature_used(name)).interval() for name in features]
    significant = sum(low > 1 or high < 1 for low, high in intervals)
    assert len(features) == 20
    assert significant <= 20 * 0.05


def test_the_browser_says_nothing(cohort):
    where = [{"property": "browser", "op": "=", "value": "Safari"}]
    node = {"all": [{"event": "pageview", "op": "completed", "within_days": 14, "where": where}]}
    low, high = cohort.table(node).interval()
    assert low < 1 < high


def test_model_probabilities_are_the_frequencies_of_repeated_draws():
    """Sixty draws of the same people's purchases: conversions per arm against the sum of their probabilities."""
    size = CompanySize().scaled(0.1)
    rng = np.random.Generator(np.random.PCG64(5))
    people = make_people(rng, size)
    adoption = draw_adoption(rng, people)
    seen, expected = np.zeros(2), np.zeros(2)
    for _ in range(60):
        wins = draw_wins(rng, people, adoption)
        deals = make_deals(rng, people, wins, size)
        world = truth.World(people, adoption, wins, deals, events=None)
        units = np.flatnonzero(truth.eligible(world, 14, 50))
        won_s, start_s = world.first_win_s()[units], people.users.t0_s[units] + 15 * 86_400
        converted = (won_s >= start_s) & (won_s < start_s + 50 * 86_400)
        probability = truth.WinProbabilities(world, units, 14, 50).given(wins.hazard[units])
        arm = adoption.fast_onboarding[units].astype(int)
        seen += np.bincount(arm, weights=converted, minlength=2)
        expected += np.bincount(arm, weights=probability, minlength=2)
    assert seen.min() > 500
    assert seen == pytest.approx(expected, rel=0.08)
