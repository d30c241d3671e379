"""Every error Beton raises on purpose.

    BetonError                exit code 1
    ├── InputError            2   what the user wrote is wrong; ``fields`` says where
    │   └── SqlError          2   the user's query cannot be run as it stands; ``line`` and ``column`` say where
    ├── NoDataError           3   nothing has been imported yet
    ├── ImportRefused         4   the files cannot be read as the mapping says; nothing was changed
    └── WarehouseError        5   the snapshot on disk is missing, broken or of another version

Each message is one line that ends with the next step, so a toast and a terminal can print the same text.
"""

from __future__ import annotations

from collections.abc import Mapping


class BetonError(Exception):
    """A failure with a sentence for the person who can fix it."""

    exit_code = 1


class InputError(BetonError):
    """The user's definition, form or argument is not usable.

    ``fields`` maps a path (``"acv"``, ``"when.all.0.value"``) to the sentence shown beside that field.
    """

    exit_code = 2

    def __init__(self, message: str, fields: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.fields: dict[str, str] = dict(fields or {})


class SqlError(InputError):
    """The user's query is refused, wrong, or too much for the sandbox.

    ``line`` and ``column`` count from 1 in the query as it was written; None where no place is to blame.
    """

    def __init__(self, message: str, line: int | None = None, column: int | None = None) -> None:
        super().__init__(message, {"sql": message})
        self.line = line
        self.column = column


class NoDataError(BetonError):
    """There is no snapshot to read."""

    exit_code = 3


class ImportRefused(BetonError):
    """An import stopped before it published anything."""

    exit_code = 4


class WarehouseError(BetonError):
    """The snapshot directory cannot be used."""

    exit_code = 5
