"""The later cohorts can begin on a chosen day: all earlier units train, and nobody is left between."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from beton.bootstrap import build_services
from beton.config import Settings
from beton.demo.company import write
from beton.demo.sizes import CompanySize
from beton.errors import InputError
from beton.model.discovery import DiscoverySettings
from beton.services import Services

SMALL: dict[str, Any] = {"windows_days": (14,), "activity_days": 14, "counts": (1, 3)}


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Services:
    folder = tmp_path_factory.mktemp("holdout_from")
    write(folder / "files", size=CompanySize().scaled(0.3))
    made = build_services(Settings(data_dir=folder))
    made.workspace.import_files(folder / "files" / "mapping.yaml")
    return made


def run(services: Services, **settings: Any) -> Any:
    return services.discovery.run(DiscoverySettings(**SMALL, **settings), on_step=lambda _stage, _share: None).result


def test_units_from_that_day_on_are_held_out_and_all_earlier_ones_train(services: Services) -> None:
    chosen, default = run(services, holdout_from="2024-08-01"), run(services)

    for each in chosen.cohorts:
        assert each.train.end < "2024-08-01" <= each.holdout.start
        assert datetime.fromisoformat(each.holdout.start).replace(tzinfo=UTC).month == 8
        assert each.purged == 0
        assert each.train.units + each.holdout.units == each.eligible
    assert [each.eligible for each in chosen.cohorts] == [each.eligible for each in default.cohorts]
    assert all(each.purged > 0 for each in default.cohorts)


def test_the_run_says_that_nobody_was_left_between(services: Services) -> None:
    kinds = {day: [note.kind for note in run(services, holdout_from=day).notes] for day in ("2024-08-01", "")}

    assert "no_purge" in kinds["2024-08-01"]
    assert "no_purge" not in kinds[""]


def test_what_is_no_date_is_refused(services: Services) -> None:
    with pytest.raises(InputError, match="'last summer' is no date; give one such as"):
        run(services, holdout_from="last summer")


def test_a_day_shortly_after_the_first_signups_leaves_too_few_to_learn_from(services: Services) -> None:
    with pytest.raises(InputError, match="conversions to learn from"):
        run(services, holdout_from="2024-01-03")


@pytest.mark.parametrize("day", ["1990-01-01", "2024-01-01", "2024-12-01", "2099-01-01"])
def test_a_day_that_leaves_nobody_on_one_side_is_refused_with_the_days_that_do_not(
    services: Services, day: str
) -> None:
    with pytest.raises(InputError, match=rf"begin on {day}: .* from 2024-01-01 to 2024-1\d-\d\d; choose a day between"):
        run(services, holdout_from=day)
