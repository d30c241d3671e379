"""Units: who carries a signal, and everything the data hold on one user."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from beton.errors import BetonError, InputError
from beton.model.outcome import Outcome
from beton.model.signal import DAY_S
from beton.model.unit_facts import MOST_ID, AccountFacts, Carried, CarrierPage, CarrierQuery, UnitFacts, list_traits
from beton.warehouse import units as rows
from beton.warehouse.members import member_of, member_page

if TYPE_CHECKING:
    import duckdb

    from beton.model.manifest import Manifest
    from beton.services.backtests import Backtests
    from beton.services.signals import Signals
    from beton.warehouse.reader import Warehouse

SHORTEST_SPAN_DAYS: Final = 60
LONGEST_SPAN_DAYS: Final = 180
AFTER_OUTCOME_DAYS: Final = 5  # still drawn behind the outcome


class Units:
    """Reads the units of the current snapshot."""

    def __init__(self, warehouse: Warehouse, backtests: Backtests, signals: Signals) -> None:
        self._warehouse = warehouse
        self._backtests = backtests
        self._signals = signals

    def carriers(self, signal_id: str, wanted: CarrierQuery) -> CarrierPage:
        """Return a part of the list of everyone who carries a saved signal: the units of the CSV export.

        Raises:
            InputError: no such signal, or the data lack what it names.
        """
        signal = self._signals.read(signal_id).definition
        manifest = self._warehouse.manifest()
        with self._warehouse.connection() as connection:
            sql = self._backtests.cohort_on(connection, signal)
            return member_page(connection, sql, signal.unit, _end_s(manifest), wanted, list_traits(manifest))

    def read(self, user_id: str) -> UnitFacts:
        """Return everything on one user.

        Raises:
            InputError: nobody has this id.
            NoDataError: nothing has been imported.
        """
        manifest = self._warehouse.manifest()
        with self._warehouse.connection() as connection:
            user = rows.find_user(connection, user_id) if len(user_id) <= MOST_ID else None
            if user is None:
                raise InputError("Nobody in the current data has this id; open a user from a signal's list.")
            return self._facts(connection, manifest, user)

    def read_account(self, account_id: str) -> AccountFacts:
        """Return everything on one account; errors as for ``read``."""
        manifest = self._warehouse.manifest()
        with self._warehouse.connection() as connection:
            account = rows.find_account(connection, account_id) if len(account_id) <= MOST_ID else None
            if account is None:
                raise InputError("No account in the current data has this id; open one from a signal's list.")
            return self._account_facts(connection, manifest, account)

    def _facts(self, connection: duckdb.DuckDBPyConnection, manifest: Manifest, user: rows.UserRow) -> UnitFacts:
        outcome = manifest.conversion or Outcome()
        signed_up_at = user.values["signed_up_at"].replace(tzinfo=UTC)
        outcome_at = rows.first_outcome(connection, "user", user.user_key, outcome)
        waited_days = 0 if outcome_at is None else (outcome_at - signed_up_at).days + AFTER_OUTCOME_DAYS
        span_days = min(max(SHORTEST_SPAN_DAYS, waited_days), LONGEST_SPAN_DAYS)
        event_count, before_signup = rows.event_totals(connection, user)
        keys = {} if user.values["is_internal"] else {"user": user.user_key, "account": user.company_key}
        carried, unmeasured = self._carried(manifest, keys, signed_up_at)
        return UnitFacts(
            user_id=user.values["user_id"],
            email=user.values["email"],
            company_id=user.company_id,
            company=user.values.get("company_name"),
            signed_up_at=signed_up_at,
            data_end=manifest.data_end,
            is_demo=manifest.demo,
            is_internal=user.values["is_internal"],
            is_identified=user.values["is_matched"],
            contact_id=user.values["contact_id"],
            traits=rows.traits_of(user, manifest.properties),
            deals=rows.deals_of(connection, user.user_key, user.company_key),
            outcome_words=outcome.words(),
            outcome_at=outcome_at,
            carried=carried,
            unmeasured=unmeasured,
            span_days=span_days,
            days=rows.day_counts(connection, user, span_days),
            recent=rows.recent_events(connection, user, manifest.properties),
            event_count=event_count,
            before_signup=before_signup,
        )

    def _account_facts(
        self, connection: duckdb.DuckDBPyConnection, manifest: Manifest, account: rows.AccountRow
    ) -> AccountFacts:
        outcome, values = manifest.conversion or Outcome(), account.values
        first_seen_at = None if values["t0_s"] is None else datetime.fromtimestamp(values["t0_s"], UTC)
        is_measured = first_seen_at is not None and not values["is_internal"]
        keys = {"account": account.company_key} if is_measured else {}
        carried, unmeasured = self._carried(manifest, keys, first_seen_at or manifest.data_end)
        people, people_count = rows.people_of(connection, account)
        return AccountFacts(
            account_id=values["company_id"],
            name=values["name"],
            first_seen_at=first_seen_at,
            data_end=manifest.data_end,
            is_demo=manifest.demo,
            is_internal=values["is_internal"],
            is_identified=values["is_matched"],
            traits=rows.account_traits(account, manifest.properties),
            deals=rows.deals_of(connection, None, account.company_key),
            outcome_words=outcome.words(),
            outcome_at=rows.first_outcome(connection, "account", account.company_key, outcome),
            carried=carried,
            unmeasured=unmeasured,
            people=people,
            people_count=people_count,
        )

    def _carried(
        self, manifest: Manifest, keys: Mapping[str, int | None], since: datetime
    ) -> tuple[tuple[Carried, ...], tuple[str, ...]]:
        """The saved signals on the units of ``keys`` that they carry, oldest match first; days count from ``since``."""
        carried, unmeasured = [], []
        for saved in self._signals.all():
            signal, key = saved.definition, keys.get(saved.definition.unit)
            if key is None:
                continue
            try:
                with self._warehouse.connection() as connection:
                    cohort = self._backtests.cohort_on(connection, signal)
                    found = member_of(connection, cohort, key, _end_s(manifest))
            except BetonError:  # the data may have lost an event that an older signal asks for
                unmeasured.append(signal.name)
                continue
            if found is not None:
                days = (found[0] - since).total_seconds() / DAY_S
                carried.append(Carried(saved.id, signal.name, saved.enabled, found[0], days, found[1]))
        return tuple(sorted(carried, key=lambda each: (each.matched_at, each.name))), tuple(unmeasured)


def _end_s(manifest: Manifest) -> int:
    return int(manifest.data_end.timestamp())
