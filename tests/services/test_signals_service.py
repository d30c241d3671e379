"""Saved signals: one per meaning, switched on and off, reported on today's data, exported safely."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import pytest
from journeys import Journeys

from beton.errors import InputError
from beton.model.signal import SignalDefinition, from_dict
from beton.services import Services


def signal(**more: Any) -> SignalDefinition:
    return from_dict({"name": "Did x", "when": {"event": "x", "within_days": 3}} | more)


@pytest.fixture
def imported(services: Services, tmp_path: Path) -> Services:
    people = Journeys(tmp_path, data_end="2024-12-31")
    people.company("acme", name='=HYPERLINK("http://evil.example")').company("tilde", name="~ ok")
    people.user("+49 30 1234", company="acme").did("x", after_days=1).won(after_days=20)
    people.user("@sum", company="tilde").did("x", after_days=2).user("plain").did("y", after_days=1)
    people.build()
    return services


def test_two_definitions_of_the_same_meaning_are_one_signal(services: Services) -> None:
    first = services.signals.save(signal())
    twin = services.signals.save(signal(name="Another name", description="Other words", source="PostHog"))
    other = services.signals.save(signal(landmark_days=7))

    assert twin == first
    assert other.id != first.id
    assert [saved.id for saved in services.signals.all()] == [first.id, other.id]
    assert services.signals.save(signal(name="Third name")) == first
    assert services.signals.save(signal(landmark_days=9)) != first


@pytest.mark.parametrize(
    "written",
    [
        {"when": {"all": [{"event": "x", "op": "completed", "within_days": 3}]}},
        {"when": {"event": " x ", "within_days": "3"}},
        {"when": {"event": "x", "within_days": 3.0}, "unit": "user", "timing": "after signup"},
    ],
)
def test_ways_of_writing_are_no_meanings(services: Services, written: dict[str, Any]) -> None:
    assert services.signals.save(signal()) == services.signals.save(from_dict({"name": "x"} | written))


def test_a_saved_signal_is_read_back_whole(services: Services) -> None:
    definition = signal(description="Why it matters.", unit="account", rollup={"kind": "count", "value": 2})
    saved = services.signals.save(definition)

    assert services.signals.read(saved.id) == saved
    assert (saved.definition, saved.enabled, saved.demo) == (definition, True, False)
    with pytest.raises(InputError):
        services.signals.read("nowhere")


def test_a_signal_is_switched_off_and_on(services: Services) -> None:
    saved = services.signals.save(signal())
    assert not services.signals.set_enabled(saved.id, False).enabled
    assert not services.signals.read(saved.id).enabled
    assert services.signals.set_enabled(saved.id, True).enabled


def test_a_run_is_saved_as_the_signal_it_measured(imported: Services) -> None:
    report = imported.backtests.run(signal(name="Measured"))
    saved = imported.signals.save_run(report.run_id)

    assert saved.definition == signal(name="Measured")
    assert imported.signals.report(saved.id).report == report


def test_a_run_becomes_the_next_version_and_the_version_before_keeps_its_evidence(imported: Services) -> None:
    saved = imported.signals.save(signal(landmark_days=9))
    first = imported.signals.report(saved.id).report
    run = imported.backtests.run(signal(name="Did x at last", landmark_days=10))
    changed = imported.signals.save_version(saved.id, run.run_id)

    assert (changed.id, changed.version, changed.enabled) == (saved.id, 2, True)
    assert changed.definition == signal(name="Did x at last", landmark_days=10)
    assert imported.signals.read(saved.id) == changed
    old, new = imported.signals.versions(saved.id)
    assert (old.version, old.definition, old.has_new_meaning) == (1, saved.definition, False)
    assert (new.version, new.definition, new.has_new_meaning) == (2, changed.definition, True)
    assert first is not None
    assert old.evidence is not None
    assert new.evidence is not None
    assert (old.evidence.report.run_id, new.evidence.report.run_id) == (first.run_id, run.run_id)
    assert old.created_at < old.evidence.measured_at < new.evidence.measured_at < new.created_at


def test_the_same_words_and_meaning_make_no_version(imported: Services) -> None:
    saved = imported.signals.save(signal())
    same = imported.backtests.run(signal())
    assert imported.signals.save_version(saved.id, same.run_id, expected_version=1) == saved
    assert len(imported.signals.versions(saved.id)) == 1

    reworded = imported.backtests.run(signal(description="Why it matters."))
    changed = imported.signals.save_version(saved.id, reworded.run_id)
    old, new = imported.signals.versions(saved.id)
    assert (changed.version, new.has_new_meaning) == (2, False)
    assert old.evidence == new.evidence
    assert new.evidence is not None
    assert new.evidence.report.run_id == reworded.run_id


def test_a_version_built_on_one_that_is_no_longer_current_is_refused(imported: Services) -> None:
    saved = imported.signals.save(signal())
    runs = [imported.backtests.run(signal(landmark_days=days)).run_id for days in (8, 9)]
    imported.signals.save_version(saved.id, runs[0], expected_version=1)

    with pytest.raises(InputError, match="changed elsewhere"):
        imported.signals.save_version(saved.id, runs[1], expected_version=1)
    assert imported.signals.read(saved.id).definition.landmark_days == 8
    assert imported.signals.save_version(saved.id, runs[1], expected_version=2).version == 3


def test_versions_that_were_never_measured_or_cannot_be_read_have_no_evidence(
    imported: Services, tmp_path: Path
) -> None:
    saved = imported.signals.save(signal())
    [only] = imported.signals.versions(saved.id)
    assert (only.version, only.definition, only.has_new_meaning, only.evidence) == (1, signal(), False, None)

    imported.signals.report(saved.id)
    assert imported.signals.versions(saved.id)[0].evidence is not None
    (tmp_path / "warehouse" / "CURRENT").unlink()
    assert imported.signals.versions(saved.id)[0].evidence is None


def test_demo_signals_go_and_own_ones_stay(services: Services) -> None:
    services.signals.save(signal(), demo=True)
    own = services.signals.save(signal(landmark_days=7))

    assert services.signals.forget_demo() == 1
    assert services.signals.all() == [own]
    assert not services.signals.save(signal()).demo


def test_reports_are_on_the_current_data(imported: Services, tmp_path: Path) -> None:
    saved = imported.signals.save(signal())
    first = imported.signals.report(saved.id)
    assert first.report is not None
    assert imported.signals.report(saved.id) == first

    Journeys(tmp_path, data_end="2024-12-31").user("u").did("x", after_days=1).user("v").did("z", after_days=1).build()
    second = imported.signals.report(saved.id)
    assert second.report is not None
    assert second.report.run_id != first.report.run_id
    assert second.report.stale_because is None


def test_a_signal_whose_event_is_gone_says_so_and_the_others_still_report(imported: Services, tmp_path: Path) -> None:
    lost, kept = (
        imported.signals.save(signal()),
        imported.signals.save(from_dict({"name": "y", "when": {"event": "y"}})),
    )
    Journeys(tmp_path, data_end="2024-12-31").user("u").did("y", after_days=1).user("v").did("z", after_days=1).build()
    found = {report.signal.id: report for report in imported.signals.reports()}

    assert found[lost.id].report is None
    assert "no event is called 'x'" in (found[lost.id].problem or "")
    assert found[kept.id].report is not None


def test_without_data_every_report_says_so(services: Services) -> None:
    services.signals.save(signal())
    [report] = services.signals.reports()
    assert "beton import" in (report.problem or "")


def test_the_export_is_a_csv_that_a_spreadsheet_cannot_run(imported: Services) -> None:
    saved = imported.signals.save(signal())
    name, text = imported.signals.export_csv(saved.id)
    rows = list(csv.DictReader(io.StringIO(text)))

    assert name == f"beton-{saved.id}.csv"
    assert [row["user_id"] for row in rows] == ["'+49 30 1234", "'@sum"]
    assert rows[0]["company_name"] == '\'=HYPERLINK("http://evil.example")'
    assert rows[1]["company_name"] == "~ ok"
    assert rows[0]["matched_at"] == "2024-01-02T00:00:00Z"
    assert rows[0]["converted_in_window"] == "yes"
    assert all(cell[:1] not in "=+-@\t\r" or not cell for row in rows for cell in row.values())


def test_the_export_of_a_signal_that_nobody_carries_has_a_header(imported: Services) -> None:
    when = {"event": "x", "op": "count >=", "value": 5}
    saved = imported.signals.save(from_dict({"name": "x", "when": when}))
    _, text = imported.signals.export_csv(saved.id)
    assert text.startswith('"user_id","email"')
    assert text.count("\r\n") == 1
