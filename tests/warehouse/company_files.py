"""A folder of files with a mapping, as a person would bring them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from beton.model.mapping import Mapping
from beton.model.mapping_check import parse_mapping
from beton.warehouse.imports import ImportPreview, ImportReport, dry_run, import_mapping
from beton.warehouse.reader import Warehouse


class Files:
    """Writes files, maps them, imports them; ``data_dir`` is the workspace."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "files"
        self.data_dir = folder / "workspace"
        self.folder.mkdir()
        self.document: dict[str, Any] = {"version": 1, "name": "Acme", "tables": {}}
        self.table("users", "users.csv", "user_id,signed_up_at\nann,2024-01-01\n")
        self.table("events", "events.csv", "user_id,event,timestamp\nann,login,2024-01-02\n")

    def table(self, name: str, file: str, content: str | bytes, **keys: Any) -> None:
        """Write a file and map each canonical column of its CSV header to itself, unless ``columns`` says otherwise."""
        (self.folder / file).write_bytes(content if isinstance(content, bytes) else content.encode())
        if "columns" not in keys:
            header = content.lstrip("\ufeff").splitlines()[0] if isinstance(content, str) else ""
            known = set(keys.get("properties", ())) | {keys.get("properties_json")}
            keys["columns"] = {column: column for column in header.split(",") if column not in known}
        self.document["tables"][name] = {"file": file, **keys}

    def mapping(self) -> Mapping:
        return parse_mapping(self.document, self.folder)

    def preview(self) -> ImportPreview:
        return dry_run(self.mapping())

    def publish(self, **options: Any) -> ImportReport:
        return import_mapping(self.data_dir, self.mapping(), **options)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Import, and answer a query on the snapshot."""
        self.publish(allow_rejects=True)
        with Warehouse(self.data_dir).connection() as connection:
            return connection.execute(query).fetchall()

    def rejects(self, table: str) -> list[tuple[int, str]]:
        """Import, and return (row, reason) of every reject of a table."""
        import pyarrow.parquet as pq

        self.publish(allow_rejects=True, replace=True)
        name = (self.data_dir / "warehouse/CURRENT").read_text().strip()
        kept = pq.read_table(self.data_dir / "warehouse/snap" / name / "rejects.parquet").to_pylist()
        return [(entry["row"], entry["reason"]) for entry in kept if entry["table"] == table]


def csv(header: str, rows: Iterable[str]) -> str:
    return "\n".join([header, *rows]) + "\n"
