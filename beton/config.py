"""Where things live and how the server listens, read once from the environment."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, AliasChoices, Field
from pydantic_settings import BaseSettings, SettingsConfigDict


def _prefix(path: str) -> str:
    trimmed = path.strip("/")
    return f"/{trimmed}/" if trimmed else "/"


class Settings(BaseSettings):
    """Process settings; every field is an environment variable ``BETON_<NAME>`` (a platform's plain PORT works too)."""

    model_config = SettingsConfigDict(env_prefix="BETON_", extra="ignore", populate_by_name=True)

    data_dir: Path = Field(default=Path(".beton"), description="directory of snapshots and of the default app database")
    database_url: str = Field(default="", description="app database; empty means SQLite in data_dir")
    host: str = Field(default="127.0.0.1", description="address to listen on")
    port: int = Field(default=8050, ge=0, le=65535, validation_alias=AliasChoices("BETON_PORT", "PORT", "port"))
    base_path: Annotated[str, AfterValidator(_prefix)] = Field(default="/", description="URL prefix behind a proxy")
    frame_ancestors: str = Field(default="'self'", description="origins that may embed the app (CSP frame-ancestors)")
    secret_key: str = Field(default="", description="signs sessions; needed as soon as more than one process serves")
    warehouse_threads: int = Field(default=1, ge=1, le=64, description="DuckDB threads per process")
    sql_seconds: float = Field(default=10, gt=0, le=60, description="how long one query of a person may run")
    worker: Literal["auto", "off"] = Field(
        default="auto",
        description="who runs long jobs: auto: a worker process kept by the web server; off: `beton worker`",
    )

    @classmethod
    def from_env(cls) -> Settings:
        """Read the environment; pydantic's message names the variable that is wrong."""
        return cls()
