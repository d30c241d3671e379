"""The guide is the reference of the mapping: it must know every key, field, ending and reason."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from beton.model.mapping import FIELDS, FILE_FORMATS
from beton.model.mapping_check import parse_mapping
from beton.warehouse.staging import REJECT_REASONS

GUIDE = (Path(__file__).parents[2] / "docs/guide/import.md").read_text(encoding="utf-8")


def first_cells(heading: str) -> set[str]:
    section = GUIDE.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return set(re.findall(r"^\| `(\w+)`", section, re.MULTILINE))


def test_every_reject_reason_is_explained_and_no_other() -> None:
    assert first_cells("Rejected rows") == set(REJECT_REASONS)


def test_every_key_at_the_top_is_explained_and_no_other() -> None:
    keys = {"version", "name", "demo", "currency", "time_zone", "data_end", "outcomes_since", "conversion", "tables"}
    assert first_cells("At the top") == keys
    with pytest.raises(Exception, match="unknown key") as refused:
        parse_mapping({"nothing": 1}, Path("."))
    assert set(re.findall(r"\w+", refused.value.fields["nothing"].split("use one of:")[1])) == keys  # type: ignore[attr-defined]


def test_every_table_lists_its_fields_and_marks_the_required_ones() -> None:
    rows = dict(re.findall(r"^\| `(\w+)`[^|]*\|([^|]*)\|", GUIDE.split("## Tables and their columns")[1], re.MULTILINE))
    for table, fields in FIELDS.items():
        assert set(re.findall(r"`(\w+)`", rows[table])) == {field.name for field in fields}
        assert set(re.findall(r"\*\*`(\w+)`\*\*", rows[table])) == {field.name for field in fields if field.required}


def test_every_file_ending_is_named() -> None:
    assert all(f"`{ending}`" in GUIDE for ending in FILE_FORMATS)


def test_the_smallest_mapping_of_the_guide_is_one() -> None:
    (example,) = re.findall(r"```yaml\n(.*?)```", GUIDE, re.DOTALL)
    assert set(parse_mapping(yaml.safe_load(example), Path(".")).tables) == {"users", "events", "deals"}
