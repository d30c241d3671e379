"""The mapping file: which column of which file is which canonical field, and what counts as a conversion.

A mapping is written by a person in YAML (docs/guide/import.md). Reading one opens no data file; whether the columns
exist is found out by the import itself.
"""

from __future__ import annotations

from collections.abc import Mapping as MappingABC
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Literal

from beton.errors import InputError
from beton.model.outcome import Outcome

Kind = Literal["id", "text", "time", "number", "boolean"]
FileFormat = Literal["csv", "parquet", "jsonl"]

MAX_MAPPING_BYTES: Final = 1_000_000
MAPPING_VERSION: Final = 1

# Longest ending first, so that ".csv.gz" is found before a bare ".gz" could be.
FILE_FORMATS: Final[MappingABC[str, FileFormat]] = {
    ".csv.gz": "csv",
    ".csv": "csv",
    ".jsonl.gz": "jsonl",
    ".jsonl": "jsonl",
    ".parquet": "parquet",
}


@dataclass(frozen=True, slots=True)
class Field:
    """One canonical field. ``required`` means that the mapping must name a column for it."""

    name: str
    kind: Kind
    required: bool = False


def _required(name: str, kind: Kind) -> Field:
    return Field(name, kind, required=True)


FIELDS: Final[MappingABC[str, tuple[Field, ...]]] = {
    "users": (
        _required("user_id", "id"),
        Field("email", "text"),
        Field("company_id", "id"),
        _required("signed_up_at", "time"),
        Field("plan", "text"),
        Field("role", "text"),
        Field("country", "text"),
    ),
    "companies": (
        _required("company_id", "id"),
        Field("name", "text"),
        Field("domain", "text"),
        Field("company_size", "number"),
        Field("industry", "text"),
        Field("country", "text"),
        Field("created_at", "time"),
    ),
    "contacts": (
        _required("contact_id", "id"),
        _required("email", "text"),
        Field("company_id", "id"),
    ),
    "events": (
        _required("user_id", "id"),
        _required("event", "text"),
        _required("timestamp", "time"),
        Field("page_path", "text"),
    ),
    "deals": (
        _required("deal_id", "id"),
        Field("company_id", "id"),
        Field("user_id", "id"),
        Field("amount", "number"),
        Field("currency", "text"),
        Field("stage", "text"),
        Field("created_at", "time"),
        _required("closed_at", "time"),
        Field("is_won", "boolean"),
    ),
}
REQUIRED_TABLES: Final = ("users", "events")

# Fields that are facts about their row rather than its identity, so a condition may ask for them.
ATTRIBUTE_FIELDS: Final[MappingABC[str, tuple[str, ...]]] = {
    "users": ("plan", "role", "country"),
    "companies": ("name", "company_size", "industry", "country", "created_at"),
    "events": ("page_path",),
}


def joined_company_column(name: str) -> str:
    """Return the name that a company's column carries when it is joined to its users."""
    if name == "industry" or name.startswith("company_"):
        return name
    return f"company_{name}"


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the user's file, by its name there."""

    name: str


@dataclass(frozen=True, slots=True)
class Constant:
    """The same value for every row, written in the mapping as ``{value: ...}``."""

    value: str | int | float | bool


Source = Column | Constant


@dataclass(frozen=True, slots=True)
class WonRule:
    """A deal is won when ``column`` holds one of ``values``, compared as trimmed text."""

    column: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class InternalRule:
    """Which users are the company's own or test accounts: any of the domains, or a true ``column``."""

    email_domains: tuple[str, ...] = ()
    column: str | None = None


@dataclass(frozen=True, slots=True)
class TableMapping:
    """How the rows of one canonical table are read.

    ``files``            paths or globs as written, relative to the mapping file
    ``columns``          canonical field -> where it comes from
    ``properties``       name in Beton -> where it comes from
    ``set_at``           user property -> column that says when it got its value
    ``properties_json``  column of the events that holds a JSON object of further properties
    """

    name: str
    files: tuple[str, ...]
    columns: MappingABC[str, Source]
    properties: MappingABC[str, Source] = field(default_factory=dict)
    set_at: MappingABC[str, str] = field(default_factory=dict)
    internal: InternalRule | None = None
    properties_json: str | None = None
    won: WonRule | None = None

    def source_columns(self) -> dict[str, str]:
        """Return every column of the file that is read, with the mapping path that names it."""
        path = f"tables.{self.name}"
        found = {
            source.name: f"{path}.{group}.{key}"
            for group, sources in (("columns", self.columns), ("properties", self.properties))
            for key, source in sources.items()
            if isinstance(source, Column)
        }
        found |= {column: f"{path}.set_at.{key}" for key, column in self.set_at.items()}
        if self.internal and self.internal.column:
            found[self.internal.column] = f"{path}.internal.column"
        if self.properties_json:
            found[self.properties_json] = f"{path}.properties_json"
        if self.won:
            found[self.won.column] = f"{path}.won.column"
        return found


@dataclass(frozen=True, slots=True)
class Mapping:
    """A whole mapping file.

    ``data_end`` and ``outcomes_since`` are aware datetimes in UTC; a ``data_end`` written as a date includes that day.
    ``conversion`` is what counts as one unless a signal says otherwise. ``base_dir`` is where relative file names
    start.
    """

    name: str
    tables: MappingABC[str, TableMapping]
    base_dir: Path
    demo: bool = False
    currency: str | None = None
    time_zone: str = "UTC"
    data_end: datetime | None = None
    outcomes_since: datetime | None = None
    conversion: Outcome | None = None

    def content(self) -> dict[str, Any]:
        """Return what the import depends on as plain JSON values; where the files lie does not matter."""
        return {key: value for key, value in asdict(self).items() if key != "base_dir"}


def file_format(name: str) -> FileFormat | None:
    """Return how a file of this name is read, or None when its ending is not one of ``FILE_FORMATS``."""
    lowered = name.lower()
    return next((known for ending, known in FILE_FORMATS.items() if lowered.endswith(ending)), None)


def load_mapping(path: Path) -> Mapping:
    """Read and check a mapping file.

    Raises:
        InputError: the file is missing, too large, not YAML, or says something unusable; ``fields`` then names
            every problem by its path, such as ``tables.users.columns.user_id``.
    """
    import yaml

    from beton.model.mapping_check import parse_mapping

    try:
        if path.stat().st_size > MAX_MAPPING_BYTES:
            raise InputError(f"{path.name} is larger than 1 MB: a mapping file is a page of YAML, not the data itself.")
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise InputError(f"No mapping file at {path}: check the path, or start from docs/guide/import.md.") from None
    except IsADirectoryError:
        raise InputError(f"{path} is a folder: give the mapping file in it.") from None
    except UnicodeDecodeError:
        raise InputError(f"{path.name} is not UTF-8 text: save it as UTF-8.") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}): check its permissions.") from None
    try:
        document = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        what = getattr(error, "problem", None) or "unreadable"
        raise InputError(f"{path.name} is not valid YAML{where} ({what}): fix that line.") from None
    return parse_mapping(document, path.parent, label=path.name)
