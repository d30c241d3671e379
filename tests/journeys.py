"""Who did what when: a small company in a few lines, built into a real snapshot.

    warehouse = (
        Journeys(tmp_path)
        .user("ann", signed_up="2024-01-01", company="acme", company_size=80)
        .did("onboarding_completed", after_days=2.5)
        .did("pageview", after_days=1, times=3, page_path="/pricing")
        .won(after_days=30, amount=1000)
        .user("bob", signed_up="2024-01-05")
        .build()
    )

``did``, ``won``, ``lost``, ``open_deal``, ``became`` and ``contact`` speak about the last ``user``. Times are UTC; a
moment is ``after_days`` (from that user's signup, may be negative) or ``at`` (ISO text). Without ``data_end`` the data
end with their latest moment; without ``outcomes_since`` the CRM has recorded outcomes since the first signup.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

import pyarrow as pa

from beton.model.mapping import FIELDS, Column, InternalRule, Mapping, TableMapping
from beton.warehouse.imports import ImportReport, build_from_tables
from beton.warehouse.reader import Warehouse


class Journeys:
    """Collects users, events, deals, companies and contacts; ``build`` imports them."""

    def __init__(
        self, data_dir: Path, *, data_end: str | None = None, outcomes_since: str | None = None, name: str = "Journeys"
    ) -> None:
        self._data_dir = data_dir
        self._name = name
        self._data_end = _aware(data_end)
        self._outcomes_since = _aware(outcomes_since)
        self._rows: dict[str, list[dict[str, Any]]] = {name: [] for name in FIELDS}
        self._set_at: dict[str, str] = {}

    def company(self, company_id: str, *, size: int | None = None, **facts: Any) -> Self:
        """Add a company; ``facts`` are canonical fields or properties of it."""
        self._rows["companies"].append({"company_id": company_id, "company_size": size, **facts})
        return self

    def user(
        self,
        user_id: str,
        *,
        signed_up: str = "2024-01-01",
        company: str | None = None,
        company_size: int | None = None,
        internal: bool = False,
        **facts: Any,
    ) -> Self:
        """Add a user (and, with ``company_size``, the company); ``facts`` are canonical fields or properties."""
        known = {row["company_id"] for row in self._rows["companies"]}
        if company is not None and company_size is not None and company not in known:
            self.company(company, size=company_size)
        self._rows["users"].append(
            {
                "user_id": user_id,
                "email": f"{user_id}@{company or 'nowhere'}.example",
                "company_id": company,
                "signed_up_at": _naive(signed_up),
                "is_test": internal,
                **facts,
            }
        )
        return self

    def became(self, *, after_days: float, **properties: Any) -> Self:
        """Give the user properties whose values were set at that moment."""
        for name, value in properties.items():
            self._user[name] = value
            self._user[f"{name}_changed_at"] = self._moment(after_days, None)
            self._set_at[name] = f"{name}_changed_at"
        return self

    def did(
        self,
        event: str,
        *,
        after_days: float | None = None,
        at: str | None = None,
        times: int = 1,
        **facts: Any,
    ) -> Self:
        """Add an event, or several at the same moment; ``facts`` are ``page_path`` or properties of the event."""
        row = {"user_id": self._user["user_id"], "event": event, "timestamp": self._moment(after_days, at), **facts}
        self._rows["events"] += [row] * times
        return self

    def won(self, *, after_days: float | None = None, at: str | None = None, **facts: Any) -> Self:
        """Add a won deal that closed at that moment; ``facts`` as for ``deal``."""
        return self.deal(closed_at=self._moment(after_days, at), is_won=True, stage="Closed Won", **facts)

    def lost(self, *, after_days: float | None = None, at: str | None = None, **facts: Any) -> Self:
        """Add a lost deal that closed at that moment."""
        return self.deal(closed_at=self._moment(after_days, at), is_won=False, stage="Closed Lost", **facts)

    def open_deal(self, **facts: Any) -> Self:
        """Add a deal that is still open."""
        return self.deal(closed_at=None, is_won=False, stage="Proposal", **facts)

    def deal(self, *, on: str = "both", created_after_days: float | None = None, **facts: Any) -> Self:
        """Add a deal ``on`` the "user", the user's "company", or "both" as a CRM usually has it."""
        created = None if created_after_days is None else self._moment(created_after_days, None)
        self._rows["deals"].append(
            {
                "deal_id": f"deal-{len(self._rows['deals']) + 1}",
                "user_id": None if on == "company" else self._user["user_id"],
                "company_id": None if on == "user" else self._user["company_id"],
                "created_at": created,
                **facts,
            }
        )
        return self

    def contact(self, email: str | None = None, **facts: Any) -> Self:
        """Add a CRM contact, the user's own by default. Users without one are unmatched as soon as there is any."""
        number = len(self._rows["contacts"]) + 1
        self._rows["contacts"].append(
            {"contact_id": f"contact-{number}", "email": email or self._user["email"], **facts}
        )
        return self

    def build(self) -> Warehouse:
        """Import everything and return the warehouse; building again replaces the snapshot."""
        self.publish()
        return Warehouse(self._data_dir)

    def publish(self) -> ImportReport:
        """Import everything and return what the import said."""
        tables = {name: _arrow(name, rows) for name, rows in self._rows.items() if rows or name in ("users", "events")}
        mapping = Mapping(
            name=self._name,
            tables={name: self._table_mapping(name, table) for name, table in tables.items()},
            base_dir=self._data_dir,
            data_end=self._data_end,
            outcomes_since=self._outcomes_since or self._first_signup(),
        )
        return build_from_tables(self._data_dir, tables, mapping, replace=True)

    @property
    def _user(self) -> dict[str, Any]:
        return self._rows["users"][-1]

    def _first_signup(self) -> datetime | None:
        signups: list[datetime] = [row["signed_up_at"] for row in self._rows["users"]]
        return min(signups).replace(tzinfo=UTC) if signups else None

    def _moment(self, after_days: float | None, at: str | None) -> datetime:
        if (after_days is None) == (at is None):
            raise TypeError("say either after_days or at")
        if at is not None:
            return _naive(at)
        signed_up: datetime = self._user["signed_up_at"]
        return signed_up + timedelta(seconds=round((after_days or 0.0) * 86_400))

    def _table_mapping(self, name: str, table: pa.Table) -> TableMapping:
        canonical = {field.name for field in FIELDS[name]}
        own = {"is_test", *self._set_at.values()} if name == "users" else set()
        return TableMapping(
            name=name,
            files=(f"{name}.parquet",),
            columns={column: Column(column) for column in table.column_names if column in canonical},
            properties={column: Column(column) for column in table.column_names if column not in canonical | own},
            set_at=self._set_at if name == "users" else {},
            internal=InternalRule(column="is_test") if name == "users" else None,
        )


_TYPES = {"id": pa.string(), "text": pa.string(), "time": pa.timestamp("us"), "boolean": pa.bool_()}


def _arrow(table: str, rows: list[dict[str, Any]]) -> pa.Table:
    types = {field.name: _TYPES.get(field.kind) for field in FIELDS[table]}
    names = dict.fromkeys(name for row in rows for name in row) or {
        field.name: None for field in FIELDS[table] if field.required
    }
    return pa.table({name: pa.array([row.get(name) for row in rows], types.get(name)) for name in names})


def _naive(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment


def _aware(text: str | None) -> datetime | None:
    return None if text is None else _naive(text).replace(tzinfo=UTC)


def company_of_24(data_dir: Path) -> Journeys:
    """A company in which every second user onboards and every third buys; not imported yet."""
    people = Journeys(data_dir, data_end="2024-12-01")
    for number in range(24):
        people.user(f"u{number}", signed_up="2024-01-02", company=f"c{number}", company_size=10 + number)
        people.did("pageview", after_days=1)
        if number % 2:
            people.did("onboarding_completed", after_days=2)
        if number % 3 == 0:
            people.won(after_days=30, amount=1000)
    return people
