from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from made_runs import estimate, finding, result
from shell_fakes import DEMO
from test_result_view import inside

from beton.discovery.compare import compare
from beton.model.discovery import SETTING_WORDS, DiscoveryResult, DiscoverySettings
from beton.model.evidence import Table
from beton.model.outcome import Outcome
from beton.services.discovery import DiscoveryRun
from beton.services.discovery_runs import RunSummary, RunView
from layouts import ids
from layouts.run_page import repeat_command, run_page
from layouts.runs import run_not_found, run_unreadable, runs

AT = datetime(2026, 11, 23, 13, 2, tzinfo=UTC)
RUN_ID = "e08d0914860649a6886ea0a20d09cf2f"
INVITED, SHARED = finding("invited"), finding("shared", level=1, stands_for=("shared 2+ times in 3 days",))


def run(of: DiscoveryResult, id: str = RUN_ID) -> DiscoveryRun:
    return DiscoveryRun(id, AT, 3.3, of, Path("nowhere"))


def view(of: DiscoveryResult, before: DiscoveryResult | None = None, **changes: Any) -> RunView:
    saved = {INVITED.definition_hash: "sig_007"}
    made = RunView(run(of), saved, None, None, ("singles", "pairs"))
    if before is not None:
        made = replace(made, before=run(before, "earlier"), comparison=compare(before, of))
    return replace(made, **changes)


def words(page: Any) -> str:
    """Return everything that the page says, attributes included."""
    return json.dumps(page.to_plotly_json(), default=lambda each: each.to_plotly_json(), ensure_ascii=False)


def test_the_page_says_what_was_tested_on_whom_and_how_long_it_took() -> None:
    page = run_page(view(result(INVITED, SHARED)), DEMO)
    said = words(page)

    assert page.to_plotly_json()["props"]["data-title"] == "Discovery of 23 Nov 2026, 13:02 UTC"
    for each in (
        "301,741",
        "984 single conditions · 300,757 pairs",
        "and 56,104,885 triples to choose from",
        "1,000 rounds with outcomes dealt out anew, seed 0",
        "a won deal of the user or of the user's account",
        "50 days, after a gap of 1 day",
        "1 Jan 2024 – 28 Jun 2024",
        "5,199 people, 279 converted",
        "3,257 people, 127 converted",
        "1,830 users, so that no outcome lies in both",
        "Testing singles and pairs",
        "0.50 s",
        "3.3 seconds in all",
        "beton discover --outcome 'deal won'",
        "Current data",
        "DEMO",
    ):
        assert each in said, each
    assert "Earlier data" not in said
    assert set(SETTING_WORDS.values()) <= {text for text in SETTING_WORDS.values() if text in said}


def test_every_setting_has_words() -> None:
    assert set(DiscoverySettings().to_dict()) == set(SETTING_WORDS)


def test_the_funnel_has_a_count_a_reason_and_a_logarithmic_bar_per_step() -> None:
    said = words(run_page(view(result(INVITED)), DEMO))

    for text in ("Single conditions in the grid", "2,542", "57 near-copies", "Activity explains the others"):
        assert text in said, text
    assert '{"width": "100.00%"}' in said
    assert '{"width": "62.15%"}' in said  # log(2,543) of log(301,742)
    assert '{"width": "0.00%"}' in said


def test_a_saved_signal_is_a_link_and_a_forgotten_one_is_told() -> None:
    said = words(run_page(view(result(INVITED, SHARED)), DEMO))

    assert '["a", {"href": "/signals/sig_007"}, ["invited once in 3 days"]]' in said
    assert '["div", {}, ["shared once in 3 days"]]' in said
    assert "1 signal without a link is no longer saved" in said
    assert "stands for 1 near-copy" in said
    assert "shared 2+ times in 3 days" in said
    assert "no longer saved" not in words(run_page(view(result(INVITED)), DEMO))


def test_no_finding_is_certain() -> None:
    said = words(run_page(view(result(finding("invited", confidence=1.0))), DEMO))
    assert '"> 99.9%"' in said
    assert '"100.0%"' not in said


def test_what_cannot_be_told_has_a_reason_instead_of_a_number() -> None:
    silent = finding("invited", adjusted=None, held_out=estimate(None, Table(0, 0, 5, 100)))
    said = words(run_page(view(result(silent)), DEMO))

    assert said.count('"Cannot tell"') == 2
    assert "too few comparable people" in said
    assert "nobody has the signal" in said


def test_the_second_opinion_stands_below_q_where_there_is_one() -> None:
    said = words(run_page(view(result(finding("invited", q_value=0.02, fwer_p=0.013), SHARED)), DEMO))
    assert said.count('["div", {}, ["0.0200"]], ["div", {"className": "muted"}, ["0.0130"]]') == 1
    assert '["div", {}, ["< 0.001"]], ["div", {"className": "muted"}, [""]]' in said

    none = result(SHARED, permutation=None, family={"1": 9, "2": 4, "all": 13})
    assert "Second opinion" not in words(run_page(view(none), DEMO))
    assert "triples" not in words(run_page(view(none), DEMO))


def test_without_findings_the_page_says_so() -> None:
    said = words(run_page(view(result(cutoff_p=None)), DEMO))
    assert "No condition passed every step" in said
    assert "Dotted line" not in said


def test_data_that_changed_since_and_data_that_is_gone_are_told() -> None:
    other = result(snapshot_version="0123456789ab")
    assert "the current data is snapshot a3f09c21be77" in words(run_page(view(other), DEMO))
    assert "no data is imported now" in words(run_page(view(other), None))


def test_near_events_and_limits_are_told_and_leave_no_empty_card() -> None:
    said = words(run_page(view(result(INVITED)), DEMO))
    assert "247 of 251 converters did it in the last 7 days." in said
    assert "Accounts as units are not searched." in said

    bare = words(run_page(view(result(near_outcome=(), notes=())), DEMO))
    assert "Why not a signal?" not in bare
    assert "What this run does not tell" not in bare


def test_the_comparison_names_each_fate_with_its_reason() -> None:
    before = result(replace(INVITED, rung=SHARED.rung), finding("exported"), snapshot_version="0123456789ab")
    said = words(run_page(view(result(INVITED, SHARED), before), DEMO))

    assert "1 new, 1 gone, 1 changed, 0 same" in said
    assert "/runs/earlier" in said
    assert "Other data: snapshot 0123456789ab before, a3f09c21be77 now" in said
    for text in ("Up from “Correlates” to “Survives adjustment”.", "Not listed before.", "No longer listed"):
        assert text in said, text


def test_a_repeated_run_is_the_same_digit_by_digit() -> None:
    said = words(run_page(view(result(INVITED), result(INVITED)), DEMO))
    assert "the same result digit by digit" in said
    assert "1 signal with the same evidence" in said


def test_a_first_run_has_nothing_to_compare_with() -> None:
    assert "There is no earlier run of this outcome" in words(run_page(view(result(INVITED)), DEMO))


def test_tables_are_offered_as_long_as_they_are_kept() -> None:
    said = words(run_page(view(result(INVITED)), DEMO))
    for name in ("singles.csv", "singles.parquet", "pairs.csv", "pairs.parquet"):
        assert f"/download/runs/{RUN_ID}/{name}" in said
    gone = words(run_page(view(result(INVITED), tables=()), DEMO))
    assert "/download/" not in gone
    assert "no longer kept" in gone


def test_names_from_the_data_are_text() -> None:
    hostile = finding("<img src=x>")
    page = run_page(view(result(hostile)), DEMO)
    figure = next(each for each in inside(page) if getattr(each, "id", None) == ids.DISCOVERY_VOLCANO).figure
    assert "<img" not in json.dumps(figure)


@pytest.mark.parametrize(
    ("changes", "command"),
    [
        ({}, "beton discover --outcome 'deal won'"),
        ({"outcome": Outcome("deal created")}, "beton discover --outcome 'deal created'"),
        ({"outcome": Outcome("event", event="it's paid")}, """beton discover --outcome 'it'"'"'s paid'"""),
        (
            {"settings": DiscoverySettings(holdout_from="2024-08-01")},
            "beton discover --outcome 'deal won' --holdout-from 2024-08-01",
        ),
        ({"outcome": Outcome(horizon_days=90)}, None),
        ({"outcome": Outcome("event", event="deal won")}, None),
        ({"settings": DiscoverySettings(min_units=50)}, None),
    ],
)
def test_the_command_asks_exactly_the_same_or_is_not_offered(changes: dict[str, Any], command: str | None) -> None:
    assert repeat_command(result(**changes)) == command


def test_a_run_without_cohorts_or_priors_is_still_a_page() -> None:
    bare = result(cohorts=(), priors={}, volcano=(), funnel=(), timings_s={})
    assert "Discovery of" in words(run_page(view(bare), None))


# ---- the list -------------------------------------------------------------------------------------------------

SUMMARY = RunSummary(RUN_ID, AT, 3.3, "a3f09c21be77", True, True, Outcome(), 301_741, 15)
FOREIGN = RunSummary("old", AT, 9.9, "0123456789ab", False, False, None, None, None)


def test_the_list_links_each_run_and_says_which_data_it_saw() -> None:
    said = words(runs(DEMO, [SUMMARY, FOREIGN]))

    assert f"/runs/{RUN_ID}" in said
    for text in ("301,741", '"15"', '"3.3"', "current data", "earlier data", "Stored by another version", "/runs/old"):
        assert text in said, text
    assert said.count('"DEMO"') == 1


def test_an_empty_list_shows_the_next_step() -> None:
    assert "beton discover" in words(runs(DEMO, []))
    assert "beton demo" in words(runs(None, []))


def test_unknown_and_unreadable_runs_say_what_to_do() -> None:
    assert "No discovery run has the id " in words(run_not_found("x"))
    said = words(run_unreadable("this run was stored by another version; run the discovery again"))
    assert "This run was stored by another version; run the discovery again." in said
    assert "beton discover" in said
