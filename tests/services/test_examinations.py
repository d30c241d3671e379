"""Examinations as a use case: worked out once per data, settings and run, or refused with a sentence."""

from __future__ import annotations

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from journeys import Journeys

from beton.bootstrap import build_services
from beton.config import Settings
from beton.errors import InputError, NoDataError
from beton.model.discovery import DiscoverySettings
from beton.model.examination import Brief, CannotExamine, Examination
from beton.model.signal import SignalDefinition, from_dict
from beton.services import Services
from beton.services.kept import Kept

USERS = 360


def signal(event: str = "x", **more: Any) -> SignalDefinition:
    return from_dict({"name": f"Did {event}", "when": {"event": event, "within_days": 3}} | more)


def people(directory: Path) -> Journeys:
    """One signup a day in 2024; every second user does x and half of these buy after 20 days, of the others a tenth."""
    made = Journeys(directory, data_end="2024-12-31")
    for number in range(USERS):
        has_signal = number % 2 == 0
        made.user(f"u{number}", signed_up=(date(2024, 1, 1) + timedelta(days=number)).isoformat())
        made.did("x" if has_signal else "y", after_days=2)
        if number % 3 == 0:
            made.did("z", after_days=1)
        if number % (4 if has_signal else 20) < 2 and number % 4 < 2:
            made.won(after_days=20)
    return made


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Services:
    """Services of the same people, for tests that change nothing."""
    folder = tmp_path_factory.mktemp("shared")
    people(folder).build()
    return build_services(Settings(data_dir=folder))


@pytest.fixture
def imported(services: Services, tmp_path: Path) -> Services:
    people(tmp_path).build()
    return services


def mature(shown: Examination) -> int:
    return shown.train_period.units + shown.purged + shown.held_out_period.units


def examined(services: Services, definition: SignalDefinition) -> Examination:
    found = services.examinations.of(definition)
    assert isinstance(found, Examination), found
    return found


def refused(services: Services, definition: SignalDefinition) -> str:
    found, brief = services.examinations.of(definition), services.examinations.brief(definition)
    assert isinstance(found, CannotExamine)
    assert brief == found
    return found.reason


def test_a_saved_signal_and_its_definition_have_one_examination(imported: Services) -> None:
    saved = imported.signals.save(signal())
    first = imported.examinations.of(saved)

    assert isinstance(first, Examination)
    assert imported.examinations.of(signal(name="Said otherwise")) is first
    assert imported.examinations.of(signal("y")) is not first
    brief = imported.examinations.brief(saved)
    assert isinstance(brief, Brief)
    assert imported.examinations.brief(signal()) is brief
    assert (brief.held_out, brief.rung) == (first.held_out, first.rung)


def test_earlier_and_later_cohorts_and_those_between_are_all_that_are_mature(shared: Services) -> None:
    shown = examined(shared, signal())
    table = shared.backtests.run(signal()).evidence.result.table

    assert table is not None
    assert (
        shown.train_period.units + shown.purged + shown.held_out_period.units == table.units_with + table.units_without
    )
    assert shown.purged == 3 + 1 + 45
    assert shown.train_period.end < shown.held_out_period.start
    assert shown.train.lift is not None
    assert shown.held_out.lift is not None
    assert shown.train.lift > 3
    assert shown.held_out.lift > 3


def test_without_a_run_there_is_no_prior_and_a_note_says_so(shared: Services) -> None:
    shown = examined(shared, signal())

    assert (shown.shrunk_lift, shown.shrunk_interval, shown.confidence) == (None, None, None)
    assert [note.kind for note in shown.notes] == ["no_run", "many_looks"]


def test_a_run_on_the_same_question_changes_the_examination(imported: Services) -> None:
    before = examined(imported, signal())
    settings = DiscoverySettings(windows_days=(3,), activity_days=7, counts=(1,), min_units=10, permutations=0)
    imported.discovery.run(settings, on_step=lambda stage, share: None)
    after = examined(imported, signal())
    other = examined(imported, signal(outcome={"source": "deal won", "horizon_days": 30}))

    assert before.confidence is None
    assert after.confidence is not None
    assert after.train == before.train
    assert other.confidence is None


def test_another_sales_cycle_is_another_examination(imported: Services, set_company: Callable[..., None]) -> None:
    first = examined(imported, signal())
    set_company(sales_cycle_days="60")
    second = examined(imported, signal())

    assert (first.purged, second.purged) == (49, 64)


def test_new_data_are_examined_anew(imported: Services, tmp_path: Path) -> None:
    first = examined(imported, signal())
    people(tmp_path).user("one_more", signed_up="2024-02-02").did("x", after_days=1).publish()
    second = examined(imported, signal())

    assert second.snapshot_version != first.snapshot_version
    assert mature(second) == mature(first) + 1


@pytest.mark.parametrize(
    ("definition", "reason"),
    [
        (signal(unit="account"), "accounts are not examined yet"),
        (signal(timing="any time"), "week by week"),
        (signal("xx"), "did you mean"),
        (signal(outcome={"source": "event", "event": "paid"}), "'paid' is not in the data"),
        (signal(outcome={"source": "first payment"}), "no billing data"),
        (signal(outcome={"source": "deal won", "horizon_days": 400}), "history is too short"),
        (signal(outcome={"source": "deal created"}), "history is too short|conversions to learn from"),
    ],
)
def test_what_cannot_be_examined_says_why(shared: Services, definition: SignalDefinition, reason: str) -> None:
    assert re.search(reason, refused(shared, definition))


def test_without_deals_nothing_says_who_converted(services: Services, tmp_path: Path) -> None:
    Journeys(tmp_path).user("ann").did("x", after_days=1).build()

    assert "import deals" in refused(services, signal())


def test_without_data_there_is_no_examination(services: Services) -> None:
    with pytest.raises(NoDataError):
        services.examinations.of(signal())


def test_overlaps_are_those_of_the_eligible(imported: Services) -> None:
    own, other, account = (imported.signals.save(each) for each in (signal(), signal("z"), signal("z", unit="account")))
    table = imported.backtests.run(signal()).evidence.result.table
    assert table is not None
    eligible = range(table.units_with + table.units_without)  # one signup a day, so the first ones are mature

    found = imported.examinations.overlaps(own.id)

    assert [each.signal_id for each in found] == [other.id]
    both = sum(number % 6 == 0 for number in eligible)
    assert (found[0].both, found[0].only_this) == (both, sum(number % 2 == 0 for number in eligible) - both)
    assert found[0].only_other == sum(number % 3 == 0 for number in eligible) - both
    assert found[0].jaccard == pytest.approx(both / (both + found[0].only_this + found[0].only_other))
    assert imported.examinations.overlaps(account.id) == ()
    with pytest.raises(InputError):
        imported.examinations.overlaps("nowhere")


def test_threads_get_the_same_figures(shared: Services) -> None:
    asked = [signal(event, landmark_days=days) for event in ("x", "y", "z") for days in (3, 5, 7)] * 3
    with ThreadPoolExecutor(6) as threads:
        found = list(threads.map(shared.examinations.brief, asked))

    assert found == [shared.examinations.brief(each) for each in asked]
    assert all(isinstance(each, Brief) for each in found)


def test_only_the_answers_used_last_are_kept() -> None:
    made: list[int] = []
    kept: Kept[int, int] = Kept(2)

    def ask(key: int) -> int:
        return kept.get(key, lambda: made.append(key) or key * 10)

    assert [ask(key) for key in (1, 2, 1, 3, 1, 2)] == [10, 20, 10, 30, 10, 20]
    assert made == [1, 2, 3, 2]


def test_what_fails_is_not_kept() -> None:
    kept: Kept[int, int] = Kept(2)

    with pytest.raises(ZeroDivisionError):
        kept.get(1, lambda: 1 // 0)
    assert kept.get(1, lambda: 7) == 7
