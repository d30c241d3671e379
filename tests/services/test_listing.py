"""The list of signals: the best proven first, thresholds for what discovery found, and the export of it all."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from journeys import Journeys
from made_runs import brief, estimate

from beton.bootstrap import build_services
from beton.config import Settings
from beton.errors import WarehouseError
from beton.model.evidence import Table
from beton.model.examination import Brief, CannotExamine
from beton.model.signal import from_dict
from beton.services import Services
from beton.services.listing import COLUMNS, Listed, best_known, listing, listing_csv
from beton.services.signals import SavedSignal, SignalReport


@dataclass
class Examiner:
    """Stands in for the examinations: an answer, or a failure, by the name of the signal."""

    answers: dict[str, Brief | CannotExamine | Exception] = field(default_factory=dict)

    def brief(self, signal: SavedSignal) -> Brief | CannotExamine:
        answer = self.answers[signal.definition.name]
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
def services(tmp_path: Path) -> Services:
    people = Journeys(tmp_path, data_end="2024-12-31")
    people.user("ann").did("pricing_viewed", after_days=1).won(after_days=20)
    people.user("bob").did("docs_visited", after_days=2).user("cem").did("docs_visited", after_days=1)
    people.build()
    return build_services(Settings(data_dir=tmp_path))


def plain(name: str, event: str) -> dict[str, Any]:
    return from_dict({"name": name, "when": {"event": event}}).to_dict()


def found(services: Services, *names_and_events: tuple[str, str]) -> None:
    services.signals.save_found([plain(*each) for each in names_and_events], "run")


def listed(services: Services, **answers: Brief | CannotExamine | Exception) -> list[Listed]:
    return listing(replace(services, examinations=Examiner(answers)))  # type: ignore[arg-type]


def test_the_best_proven_comes_first_then_the_strongest_and_what_cannot_be_told_last(services: Services) -> None:
    found(services, ("Docs", "docs_visited"), ("Pricing", "pricing_viewed"), ("Gone", "never_seen"))
    answers = {"Docs": brief(shrunk_lift=2.0), "Pricing": brief(shrunk_lift=3.0), "Gone": CannotExamine("no event")}
    assert [each.report.signal.definition.name for each in listed(services, **answers)] == ["Pricing", "Docs", "Gone"]
    proven = answers | {"Pricing": brief(level=1, shrunk_lift=3.0)}
    assert [each.report.signal.definition.name for each in listed(services, **proven)] == ["Docs", "Pricing", "Gone"]
    unshrunk = answers | {"Docs": brief(shrunk_lift=None)}
    assert [each.report.signal.definition.name for each in listed(services, **unshrunk)] == ["Pricing", "Docs", "Gone"]


def test_revenue_is_that_of_users_alike(services: Services) -> None:
    found(services, ("Pricing", "pricing_viewed"))
    (crude,) = services.signals.reports()
    answers = {"Pricing": brief()}
    (shown,) = listed(services, **answers)
    reports = [shown.report, best_known(replace(services, examinations=Examiner(answers)), crude)]  # type: ignore[arg-type]

    for each in reports:
        assert each.report is not None
        assert each.report.reading.projection is not None
        assert each.report.reading.projection.rate_difference_source == "Mantel-Haenszel"


def test_only_what_discovery_found_and_nobody_enabled_misses_thresholds(services: Services) -> None:
    found(services, ("Docs", "docs_visited"))
    saved = services.signals.save(from_dict(plain("Pricing", "pricing_viewed")))
    weak = {"Docs": brief(confidence=0.5, shrunk_lift=1.1), "Pricing": brief(confidence=0.5, shrunk_lift=1.1)}
    misses = {each.report.signal.definition.name: each.misses for each in listed(services, **weak)}
    assert misses == {"Docs": ("confidence", "sample", "lift"), "Pricing": ()}

    services.signals.set_enabled(saved.id, False)
    docs = next(each for each in services.signals.all() if each.id != saved.id)
    services.signals.set_enabled(docs.id, True)
    assert [each.misses for each in listed(services, **weak)] == [(), ()]


def test_a_signal_whose_examination_fails_is_one_row_and_not_the_page(services: Services) -> None:
    found(services, ("Docs", "docs_visited"), ("Pricing", "pricing_viewed"))
    both = listed(services, Docs=WarehouseError("The data was replaced; try again."), Pricing=brief())
    assert [(each.known is None, each.brief) for each in both if each.known is None] == [
        (True, CannotExamine("The data was replaced; try again."))
    ]
    assert len(both) == 2


def test_the_list_is_exported_as_raw_numbers_that_a_spreadsheet_cannot_run(services: Services) -> None:
    saved = services.signals.save(from_dict(plain('=cmd|"/c calc"', "pricing_viewed")))
    services.signals.set_enabled(saved.id, False)
    report = services.signals.report(saved.id)
    measured = report.measured
    assert measured is not None
    kept = [
        Listed(report, brief(2), ("confidence", "lift")),
        Listed(SignalReport(saved, None, "gone"), CannotExamine("There is no such event.")),
    ]
    name, text = listing_csv(kept)
    first, gone = csv.DictReader(io.StringIO(text))

    assert name == "beton-signals.csv"
    assert list(first) == list(COLUMNS)
    assert first["name"] == '\'=cmd|"/c calc"'
    counts = ("units_with", "converted_with", "units_without", "converted_without")
    assert [first[each] for each in counts] == ["1", "1", "2", "0"]
    assert (first["lift"], first["upper"]) == ("inf", "inf")
    assert float(first["lower"]) == measured.lift_interval.lower
    assert (first["evidence_level"], first["evidence"], first["confidence"]) == ("2", "Predicts", "0.987")
    assert (first["q_value"], first["shrunk_lift"], first["shrunk_lower"]) == ("1e-09", "2.6", "2.1")
    held_out = ("held_out_lift", "held_out_upper", "held_out_units_with", "held_out_converted_with")
    assert [first[each] for each in held_out] == ["2.5", "3.75", "200", "20"]
    assert (first["adjusted_lift"], first["below_thresholds"]) == ("2.0", "confidence lift")
    assert (first["status"], first["definition_hash"]) == ("disabled", saved.definition.meaning_hash())
    assert (gone["verdict"], gone["evidence"], gone["evidence_reason"]) == (
        "Cannot tell",
        "Cannot tell",
        "There is no such event.",
    )
    blank = set(COLUMNS) - {"name", "verdict", "evidence", "evidence_reason", "status", "definition_hash"}
    assert {gone[each] for each in blank} == {""}
    assert listing_csv([])[1].count("\r\n") == 1


def test_a_held_out_lift_without_an_upper_limit_is_infinite_in_the_export(services: Services) -> None:
    report = services.signals.report(services.signals.save(from_dict(plain("Pricing", "pricing_viewed"))).id)
    without = brief(held_out=estimate(None, Table(5, 40, 0, 900)), adjusted=None, shrunk_interval=None)
    row = next(csv.DictReader(io.StringIO(listing_csv([Listed(report, without)])[1])))
    assert (row["held_out_lift"], row["held_out_lower"], row["held_out_upper"]) == ("", "2.0", "inf")
    assert (row["adjusted_lift"], row["adjusted_lower"], row["shrunk_lower"]) == ("", "", "")
