"""Brings an app database to today's tables."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import Connection

from beton.errors import BetonError

_MIGRATIONS: Final = Path(__file__).with_name("migrations")


def upgrade(connection: Connection) -> None:
    """Apply every missing step inside the caller's transaction; nothing happens when none is missing.

    Raises:
        BetonError: the database was written by a later Beton.
    """
    config = Config(attributes={"connection": connection})
    # Alembic's configuration expands "%", which a folder name may contain.
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        raise BetonError(
            f"The app database was written by another version of Beton ({error}): "
            "use that version, or restore a backup made with this one."
        ) from error
