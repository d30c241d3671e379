"""An app over a workspace without data files, for tests of the frame: real records, a made-up manifest."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from beton.bootstrap import build_services
from beton.config import Settings
from beton.errors import NoDataError
from beton.model.manifest import (
    SCHEMA_VERSION,
    ContactFacts,
    EventFacts,
    Manifest,
    PropertyFacts,
    SourceFile,
    TimeRange,
)
from beton.services import Services

DEMO = Manifest(
    schema_version=SCHEMA_VERSION,
    version="a3f09c21be77",
    built_at=datetime(2025, 1, 6, 9, 30, tzinfo=UTC),
    name="Northwind Analytics",
    demo=True,
    currency="USD",
    tables={"users": 34_521, "companies": 5_210, "contacts": 12_456, "events": 2_851_337, "deals": 1_204},
    range=TimeRange(datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 12, 31, tzinfo=UTC)),
    data_end=datetime(2024, 12, 31, tzinfo=UTC),
    outcomes_since=datetime(2024, 1, 2, tzinfo=UTC),
    contacts=ContactFacts(total=12_456, matched=11_086),
    internal_users=312,
    events=(EventFacts("pageview", 1_847_293, 34_521), EventFacts("api_key_created", 2_341, 1_890)),
    properties=(PropertyFacts("plan", "user", "text", False, ("free", "pro"), 2),),
    rejects={"events": {"unreadable_timestamp": 12}, "users": {}},
    sources=(SourceFile("users", "users.parquet", 34_521, "0" * 64), SourceFile("events", "e.csv", 9, "1" * 64)),
)
CUSTOMER = replace(DEMO, demo=False, name="Contoso", contacts=None, outcomes_since=None, rejects={})


@dataclass
class FakeWorkspace:
    """Stands in for ``beton.services.workspace.Workspace``."""

    facts: Manifest | None

    def manifest(self) -> Manifest:
        if self.facts is None:
            raise NoDataError("nothing has been imported; run: beton demo")
        return self.facts

    def manifest_or_none(self) -> Manifest | None:
        return self.facts


@dataclass(frozen=True)
class FakeSettings:
    """What the web app reads of ``beton.config.Settings``."""

    base_path: str = "/"
    frame_ancestors: str = "'self'"
    secret_key: str = "tests sign with this"


def services(data_dir: Path, facts: Manifest | None = DEMO) -> Services:
    """Return services over an empty app database and one workspace."""
    real = build_services(Settings(data_dir=data_dir))
    return replace(real, workspace=FakeWorkspace(facts))  # type: ignore[arg-type]
