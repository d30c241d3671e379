"""Signals as files: what is written is read back, and what cannot be read says where."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beton.errors import InputError
from beton.model.signal import SignalDefinition, from_dict
from beton.model.signal_file import MAX_FILE_BYTES, difference, load, write

QUERY = "SELECT user_id FROM events WHERE event = 'invited'"

HEAD_KEYS = ("name", "description", "source", "unit", "rollup", "timing", "landmark_days", "outcome")
line_text = st.text(st.characters(exclude_categories=("Cc", "Cs")), max_size=60)
awkward = st.sampled_from(
    [
        "a: b",
        "#1",
        "a #1",
        "'",
        '"x"',
        "- x",
        "[1",
        "{a: 1}",
        "null",
        "5",
        "yes",
        "--",
        "|",
        "\u2028",
        "\ufeffx",
        "!x",
        "%",
    ]
)
words = st.one_of(line_text, awkward, st.builds("{}{}".format, awkward, line_text)).filter(str.strip)
prose = st.lists(st.one_of(line_text, awkward), max_size=4).map("\n".join)
query_line = st.one_of(
    line_text,
    awkward,
    st.builds(
        "{}--{}{}:{}".format, st.sampled_from(["", " "]), st.sampled_from(["", " "]), st.sampled_from(HEAD_KEYS), words
    ),
    st.sampled_from(["--", "-- ", "--\t", "", "  ", "\tSELECT 1", "-- when: x", "/* */", "--- name: x", "-- NAME: x"]),
)
queries = st.lists(query_line, min_size=1, max_size=8).map("\n".join).filter(lambda sql: bool(sql.strip()))
outcomes = st.one_of(
    st.none(),
    st.builds(
        lambda event, days: {"source": "event", "event": event, "belongs_to": "user", "horizon_days": days},
        words,
        st.integers(1, 900),
    ),
    st.just({"source": "deal created"}),
)
landmarks = st.one_of(st.none(), st.integers(1, 730), st.floats(1e-9, 730, allow_nan=False))


@st.composite
def definitions(draw: st.DrawFn) -> SignalDefinition:
    raw: dict[str, Any] = {
        "name": draw(words),
        "description": draw(prose),
        "source": draw(st.one_of(line_text, awkward)),
        "unit": draw(st.sampled_from(["user", "account"])),
        "landmark_days": draw(landmarks),
        "outcome": draw(outcomes),
    }
    if draw(st.booleans()):
        return from_dict(raw | {"sql": draw(queries)})
    condition = {"property": draw(words), "op": "in list", "value": draw(st.lists(words, min_size=1, max_size=3))}
    return from_dict(raw | {"when": {"any": [{"event": draw(words), "value": 3, "op": "count >="}, condition]}})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("signals")


@given(definition=definitions())
def test_what_is_written_is_read_back(folder: Path, definition: SignalDefinition) -> None:
    ending, text = write(definition)
    path = folder / f"anything{ending}"
    path.write_text(text, encoding="utf-8", newline="")

    assert load(path) == definition
    assert load(path).meaning_hash() == definition.meaning_hash()
    assert ending == (".sql" if definition.sql else ".yaml")


def read(folder: Path, text: str, name: str = "file.sql") -> SignalDefinition:
    path = folder / name
    path.write_text(text, encoding="utf-8", newline="")
    return load(path)


def test_a_head_says_all_there_is_to_say_beside_the_query(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        "\n-- Name: Team #1: invited, 'early'\n--description:   \"two\\nlines\"\n-- unit: account\n"
        f"-- landmark_days: 7\n-- outcome: {{source: event, event: paid}}\n-- Why: they stay.\n{QUERY}\n",
    )

    assert found == from_dict(
        {
            "name": "Team #1: invited, 'early'",
            "description": "two\nlines",
            "unit": "account",
            "landmark_days": 7,
            "outcome": {"source": "event", "event": "paid"},
            "sql": f"-- Why: they stay.\n{QUERY}",
        }
    )


@pytest.mark.parametrize("text", [QUERY, f"\ufeff\r\n{QUERY}\r\n", f"-- landmark: 3 days\n{QUERY}"])
def test_without_a_head_the_file_gives_the_name_and_the_rest_is_as_ever(tmp_path: Path, text: str) -> None:
    found = read(tmp_path, text, "Invited early.SQL")

    assert (found.name, found.unit, found.landmark_days) == ("Invited early", "user", 14)
    assert found.sql.endswith(QUERY)


def test_a_line_of_dashes_ends_the_head_and_is_no_part_of_the_query(tmp_path: Path) -> None:
    found = read(tmp_path, f"-- name: Mine\n--\n-- unit: is explained elsewhere\n{QUERY}")

    assert (found.name, found.unit, found.sql) == ("Mine", "user", f"-- unit: is explained elsewhere\n{QUERY}")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (f"-- unit: team\n{QUERY}", "line 1: unit: use one of user, account"),
        (f"\n-- name: x\n-- landmark_days: soon\n{QUERY}", "line 3: landmark_days: give a number of days"),
        (f"-- outcome: {{source: x}}\n{QUERY}", "line 1: outcome.source: use one of"),
        (f"-- outcome: {{source: \n{QUERY}", "line 1: outcome cannot be read; write it as in a YAML file"),
        (f"-- landmark_days: {'1' * 5000}\n{QUERY}", "line 1: landmark_days cannot be read"),
        (f"-- name: 'open\n{QUERY}", "line 1: name cannot be read; close the quotation marks"),
        (f"-- name: ''\n{QUERY}", "line 1: name: give the signal a name"),
        (f"-- name: a\n-- unit: user\n-- NAME: b\n{QUERY}", "line 3: name stands on line 1 already"),
        (f"-- unit: account\n-- rollup: {{kind: count, value: 2}}\n{QUERY}", "line 2: rollup: a query says itself"),
        (f"-- name: a\n-- timing: any time\n{QUERY}", "line 2: timing: a query is asked once"),
        (f"-- name: a\n-- why: b\n\n  -- unit: account\n{QUERY}", "line 4: unit stands below the head of the file"),
        (f"-- name: a\n\n-- landmark_days: 7\n{QUERY}", "line 3: landmark_days stands below the head"),
        ("-- name: a\n-- unit: user", "line 3: sql: write a query"),
        ("-- name: a\n\n \n", "line 2: sql: write a query"),
        ("", "line 2: sql: write a query"),
        ("SELECT '" + "x" * 20_001 + "'", "line 1: sql: the query is longer than 20,000 bytes"),
        ("SELECT 1\x00", "line 1: sql: contains control characters"),
        ("x" * (MAX_FILE_BYTES + 1), "this is larger than 100,000 bytes"),
    ],
)
def test_a_file_that_cannot_be_used_says_where_and_why(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(InputError) as refusal:
        read(tmp_path, text)

    assert str(refusal.value).startswith(f"{tmp_path / 'file.sql'}: {sentence}")
    assert "\n" not in str(refusal.value)


def test_a_query_that_is_not_utf_8_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "latin.sql"
    path.write_bytes("SELECT 'é'".encode("latin-1"))

    with pytest.raises(InputError, match="not UTF-8 text"):
        load(path)


def test_a_file_name_nobody_could_read_is_no_name(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="name: contains control characters"):
        read(tmp_path, QUERY, "a\nb.sql")


def test_a_query_may_stand_in_yaml_as_well(tmp_path: Path) -> None:
    found = read(tmp_path, f"name: Invited\nsql: |\n  {QUERY}\n    AND true\n", "invited.yaml")

    assert found.sql == f"{QUERY}\n  AND true"


def test_a_difference_is_that_of_the_files() -> None:
    before = from_dict({"name": "A", "sql": "SELECT user_id\nFROM users"})
    after = from_dict({"name": "B", "sql": "SELECT user_id\nFROM events"})

    assert difference(before, after, ("version 1", "a.sql")).splitlines() == [
        "--- version 1",
        "+++ a.sql",
        "@@ -1,4 +1,4 @@",
        "--- name: A",
        "+-- name: B",
        " -- unit: user",
        " SELECT user_id",
        "-FROM users",
        "+FROM events",
    ]
    assert difference(before, before, ("a", "b")) == ""
