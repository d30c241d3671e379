"""From a parsed YAML document to a ``Mapping``, collecting every problem by its path before refusing."""

from __future__ import annotations

import difflib
import re
import zoneinfo
from collections.abc import Iterable
from collections.abc import Mapping as MappingABC
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any, Final

from beton.errors import InputError
from beton.model.mapping import (
    FIELDS,
    FILE_FORMATS,
    MAPPING_VERSION,
    REQUIRED_TABLES,
    Column,
    Constant,
    InternalRule,
    Mapping,
    Source,
    TableMapping,
    WonRule,
    file_format,
    joined_company_column,
)
from beton.model.outcome import Outcome

_TOP_KEYS: Final = (
    "version",
    "name",
    "demo",
    "currency",
    "time_zone",
    "data_end",
    "outcomes_since",
    "conversion",
    "tables",
)
_TABLE_KEYS: Final[MappingABC[str, tuple[str, ...]]] = {
    "users": ("file", "columns", "properties", "set_at", "internal"),
    "companies": ("file", "columns", "properties"),
    "contacts": ("file", "columns"),
    "events": ("file", "columns", "properties", "properties_json"),
    "deals": ("file", "columns", "won"),
}
_PROPERTY_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,59}", re.ASCII)
_CURRENCY: Final = re.compile(r"[A-Z]{3}", re.ASCII)
_JOINED: Final = frozenset(joined_company_column(name) for name in ("name", "company_size", "industry", "country"))
# Names that the snapshot itself gives to a column of these tables.
_RESERVED: Final[MappingABC[str, frozenset[str]]] = {
    "users": _JOINED
    | {"user_key", "company_key", "t0_s", "account_offset_s", "is_internal", "is_matched", "contact_id"}
    | {"signup_month", "won_own_s", "won_account_s"},
    "companies": frozenset({"company_key", "first_seen_at", "first_seen_month", "t0_s", "won_s"})
    | {"is_internal", "is_matched", "key", "id", "size"},
    "events": frozenset({"user_key", "company_id", "rel_s", "n", "ts", "days_since_signup", "properties"}),
}
_LONGEST_NAME: Final = 100


def suggest(word: str, known: Iterable[str]) -> str:
    """Return the end of a sentence that helps someone who wrote ``word`` instead of one of ``known``."""
    names = list(known)
    lowered = {name.lower(): name for name in names}
    near = difflib.get_close_matches(word.lower(), lowered, n=1, cutoff=0.6)
    if near:
        return f"did you mean {lowered[near[0]]!r}?"
    shown = ", ".join(names[:12]) + (", ..." if len(names) > 12 else "")
    return f"use one of: {shown}."


def parse_mapping(document: object, base_dir: Path, *, label: str = "mapping") -> Mapping:
    """Turn a parsed document into a mapping.

    Args:
        document: what YAML or JSON made of the file.
        base_dir: folder that relative file names start from.
        label: how messages call the file.

    Raises:
        InputError: with every problem in ``fields``.
    """
    if not isinstance(document, dict):
        raise InputError(f"{label} is not a mapping: start it with 'version: 1' (docs/guide/import.md).")
    check = _Check(label)
    check.keys("", document, _TOP_KEYS)
    if document.get("version") != MAPPING_VERSION:
        check.problem("version", f"write 'version: {MAPPING_VERSION}' as the first line.")
    zone = check.zone(document.get("time_zone", "UTC"))
    mapping = Mapping(
        name=check.text("name", document.get("name")),
        tables=check.tables(document.get("tables")),
        base_dir=base_dir,
        demo=check.flag("demo", document.get("demo", False)),
        currency=check.currency(document.get("currency")),
        time_zone=zone.key,
        data_end=check.instant("data_end", document.get("data_end"), zone, is_end=True),
        conversion=check.conversion(document.get("conversion")),
        outcomes_since=check.instant("outcomes_since", document.get("outcomes_since"), zone, is_end=False),
    )
    check.finish()
    return mapping


class _Check:
    """Reads one value after the other and remembers what is wrong; values of wrong parts are placeholders."""

    def __init__(self, label: str) -> None:
        self._label = label
        self._problems: dict[str, str] = {}

    def problem(self, path: str, sentence: str) -> None:
        self._problems.setdefault(path, sentence)

    def finish(self) -> None:
        if not self._problems:
            return
        path, sentence = next(iter(self._problems.items()))
        others = len(self._problems) - 1
        more = f" ({others} more problem{'s' if others > 1 else ''})" if others else ""
        raise InputError(f"{self._label}: {path}: {sentence}{more}", self._problems)

    def keys(self, path: str, given: MappingABC[Any, Any], known: Iterable[str]) -> None:
        names = list(known)
        for key in given:
            if key not in names:
                self.problem(f"{path}{key}", f"unknown key {str(key)!r}: {suggest(str(key), names)}")

    def text(self, path: str, value: object) -> str:
        if isinstance(value, str) and 0 < len(value.strip()) <= _LONGEST_NAME:
            return value.strip()
        self.problem(path, f"write a text of 1 to {_LONGEST_NAME} characters.")
        return ""

    def flag(self, path: str, value: object) -> bool:
        if not isinstance(value, bool):
            self.problem(path, "write true or false.")
        return value is True

    def conversion(self, value: object) -> Outcome | None:
        if value is None:
            return None
        try:
            return Outcome.from_dict(value)
        except InputError as error:
            for path, sentence in error.fields.items():
                self.problem(path.replace("outcome", "conversion", 1), sentence)
            return None

    def currency(self, value: object) -> str | None:
        if value is None:
            return None
        if isinstance(value, str) and _CURRENCY.fullmatch(value):
            return value
        self.problem("currency", "write a three-letter code such as USD.")
        return None

    def zone(self, value: object) -> zoneinfo.ZoneInfo:
        try:
            return zoneinfo.ZoneInfo(str(value))
        except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
            near = difflib.get_close_matches(str(value), sorted(zoneinfo.available_timezones()), n=1, cutoff=0.6)
            fix = f"did you mean {near[0]!r}?" if near else "write an IANA name such as Europe/Berlin."
            self.problem("time_zone", f"unknown time zone {str(value)!r}: {fix}")
            return zoneinfo.ZoneInfo("UTC")

    def instant(self, path: str, value: object, zone: zoneinfo.ZoneInfo, *, is_end: bool) -> datetime | None:
        """Read a date or time; a bare date is the start of that day, or its end when ``is_end``."""
        if isinstance(value, str):
            value = _parse_iso(value.strip())
        elif value is None:
            return None
        if isinstance(value, date) and not isinstance(value, datetime):
            value = datetime.combine(value + timedelta(days=1 if is_end else 0), time(), zone)
        if not isinstance(value, datetime):
            self.problem(path, "write a date such as 2024-12-31, or a time such as 2024-12-31T18:00:00Z.")
            return None
        return (value if value.tzinfo else value.replace(tzinfo=zone)).astimezone(UTC)

    def section(self, path: str, value: object, empty_is_fine: bool = True) -> dict[str, Any]:
        if isinstance(value, dict):
            return {str(key): entry for key, entry in value.items()}
        if value is not None or not empty_is_fine:
            self.problem(path, "write 'name: column' pairs here.")
        return {}

    def tables(self, value: object) -> dict[str, TableMapping]:
        given = self.section("tables", value, empty_is_fine=False)
        self.keys("tables.", given, FIELDS)
        for name in REQUIRED_TABLES:
            if name not in given:
                self.problem(f"tables.{name}", f"the table {name!r} is required: say its file and columns.")
        tables = {name: self.table(name, given[name]) for name in FIELDS if name in given}
        self._no_clash_of_user_and_company_properties(tables)
        return tables

    def table(self, name: str, value: object) -> TableMapping:
        path = f"tables.{name}"
        given = self.section(path, value, empty_is_fine=False)
        self.keys(f"{path}.", given, _TABLE_KEYS[name])
        columns = self.columns(name, given.get("columns"))
        properties = self.properties(name, given.get("properties"))
        json_column = given.get("properties_json")
        return TableMapping(
            name=name,
            files=self.files(f"{path}.file", given.get("file")),
            columns=columns,
            properties=properties,
            set_at=self.set_at(f"{path}.set_at", given.get("set_at"), [*columns, *properties]),
            internal=self.internal(f"{path}.internal", given.get("internal"), "email" in columns),
            properties_json=None if json_column is None else self.text(f"{path}.properties_json", json_column),
            won=self.won(f"{path}.won", given.get("won"), columns) if name == "deals" else None,
        )

    def files(self, path: str, value: object) -> tuple[str, ...]:
        entries = value if isinstance(value, list) else [value]
        names = [entry for entry in entries if isinstance(entry, str) and entry.strip()]
        if not names or len(names) < len(entries):
            self.problem(path, "write a file name, a list of them, or a pattern such as events-*.parquet.")
            return ()
        for name in names:
            if file_format(name) is None:
                endings = ", ".join(sorted(FILE_FORMATS))
                self.problem(path, f"cannot tell how to read {name!r}: the name must end in one of {endings}.")
        if len({file_format(name) for name in names}) > 1:
            self.problem(path, "the files of one table must be of one kind: convert them to one format.")
        return tuple(names)

    def source(self, path: str, value: object) -> Source:
        if isinstance(value, dict) and list(value) == ["value"]:
            constant = value["value"]
            if isinstance(constant, date):
                constant = constant.isoformat()
            if isinstance(constant, (str, int, float)):
                return Constant(constant)
        if isinstance(value, (str, int)) and not isinstance(value, bool) and str(value).strip():
            return Column(str(value))
        self.problem(path, "write the name of a column, or {value: something} for the same value in every row.")
        return Constant("")

    def columns(self, table: str, value: object) -> dict[str, Source]:
        path = f"tables.{table}.columns"
        given = self.section(path, value, empty_is_fine=False)
        known = {field.name: field for field in FIELDS[table]}
        self.keys(f"{path}.", given, known)
        for field in known.values():
            if field.required and field.name not in given:
                self.problem(f"{path}.{field.name}", f"required: say which column holds the {field.name}.")
        if table == "deals" and not {"company_id", "user_id"} & set(given):
            self.problem(f"{path}.company_id", "a deal needs company_id or user_id: say whose deal it is.")
        return {name: self.source(f"{path}.{name}", given[name]) for name in known if name in given}

    def properties(self, table: str, value: object) -> dict[str, Source]:
        path = f"tables.{table}.properties"
        if isinstance(value, list):
            value = {entry: entry for entry in value if isinstance(entry, (str, int))}
        given = self.section(path, value)
        taken = _RESERVED.get(table, frozenset()) | {field.name for field in FIELDS[table]}
        for name in given:
            if not _PROPERTY_NAME.fullmatch(name) or "__" in name:
                slug = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_") or "name"
                self.problem(f"{path}.{name}", f"use lower-case letters, digits and _ : write '{slug}: {name}'.")
            elif name in taken:
                self.problem(f"{path}.{name}", _where_it_belongs(table, name))
        return {name: self.source(f"{path}.{name}", entry) for name, entry in given.items()}

    def set_at(self, path: str, value: object, known: list[str]) -> dict[str, str]:
        given = self.section(path, value)
        self.keys(f"{path}.", given, known)
        return {name: self.text(f"{path}.{name}", column) for name, column in given.items()}

    def internal(self, path: str, value: object, has_email: bool) -> InternalRule | None:
        given = self.section(path, value)
        self.keys(f"{path}.", given, ("email_domains", "column"))
        domains = self._texts(f"{path}.email_domains", given.get("email_domains", []))
        if domains and not has_email:
            self.problem(f"{path}.email_domains", "needs tables.users.columns.email: map the e-mail column.")
        column = given.get("column")
        if not given:
            return None
        return InternalRule(
            tuple(domain.lower().lstrip("@") for domain in domains),
            None if column is None else self.text(f"{path}.column", column),
        )

    def won(self, path: str, value: object, columns: MappingABC[str, Source]) -> WonRule | None:
        if value is None:
            if "is_won" not in columns:
                self.problem(path, "say what is a conversion: won: {column: stage, values: [Closed Won]}.")
            return None
        if "is_won" in columns:
            self.problem(path, "the column is_won says it already: remove one of the two.")
        given = self.section(path, value)
        self.keys(f"{path}.", given, ("column", "values"))
        values = self._texts(f"{path}.values", given.get("values"))
        if not values:
            self.problem(f"{path}.values", "list the values that mean won, such as [Closed Won].")
        return WonRule(self.text(f"{path}.column", given.get("column")), values)

    def _texts(self, path: str, value: object) -> tuple[str, ...]:
        entries = value if isinstance(value, list) else [value]
        if value is None or not all(isinstance(entry, (str, int, float)) for entry in entries):
            self.problem(path, "write a list of texts, such as [Closed Won].")
            return ()
        return tuple((str(entry).lower() if isinstance(entry, bool) else str(entry)).strip() for entry in entries)

    def _no_clash_of_user_and_company_properties(self, tables: MappingABC[str, TableMapping]) -> None:
        if "companies" not in tables or "users" not in tables:
            return
        joined = {joined_company_column(name) for name in tables["companies"].properties}
        for name in sorted(joined & set(tables["users"].properties)):
            self.problem(f"tables.users.properties.{name}", "the companies table has it already: choose another name.")
        for name in sorted(joined & _JOINED):
            self.problem("tables.companies.properties", f"{name!r} is a canonical field: map it under columns.")


def _parse_iso(text: str) -> date | None:
    for read in (date.fromisoformat, datetime.fromisoformat):
        try:
            return read(text)
        except ValueError:
            continue
    return None


def _where_it_belongs(table: str, name: str) -> str:
    if name in {field.name for field in FIELDS[table]}:
        return f"{name!r} is a canonical field: map it under tables.{table}.columns."
    if table == "users" and name in _JOINED:
        return f"{name!r} is a fact about the company: map it under tables.companies."
    return f"{name!r} is a name that Beton uses itself: choose another, such as '{name}_'."
