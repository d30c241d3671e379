"""Files as people have them: formats, encodings, delimiters, types, times."""

from __future__ import annotations

import csv as csv_module
import gzip
import io
import json
import random
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from company_files import Files, csv

from beton.warehouse.reader import Warehouse

HEADER = "user_id,event,timestamp"


def parquet(columns: dict[str, Any]) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink)
    return sink.getvalue()


def times(files: Files, *written: str, **document: Any) -> list[datetime]:
    """Import events at these times and return what was stored, in the order of the file."""
    files.document |= document
    rows = [f'ann,e{number:02d},"{text}"' for number, text in enumerate(written)]
    files.table("events", "events.csv", csv(HEADER, rows))
    return [moment for (moment,) in files.rows("SELECT ts FROM store.events ORDER BY event")]


def properties(files: Files) -> dict[str, tuple[str, tuple[Any, ...]]]:
    files.publish()
    return {facts.name: (facts.type, facts.values) for facts in Warehouse(files.data_dir).manifest().properties}


@pytest.mark.parametrize(
    ("delimiter", "newline", "start"),
    [(",", "\n", ""), (";", "\r\n", "\ufeff"), ("\t", "\n", "\ufeff"), ("|", "\r\n", "")],
    ids=["comma", "semicolon, Windows, BOM", "tab, BOM", "bar, Windows"],
)
def test_csv_with_any_delimiter_line_end_and_byte_order_mark(
    files: Files, delimiter: str, newline: str, start: str
) -> None:
    lines = ["user_id,event,timestamp,page_path", 'ann,"say ""hi""",2024-01-02,/a b', "ann,two,2024-01-03,"]
    text = start + newline.join(line.replace(",", delimiter) for line in lines)
    columns = {name: name for name in ("user_id", "event", "timestamp", "page_path")}
    files.table("events", "events.csv", text, columns=columns)
    assert files.rows("SELECT event, page_path FROM store.events ORDER BY ts") == [('say "hi"', "/a b"), ("two", None)]


def test_quoted_cells_may_hold_delimiters_and_line_ends(files: Files) -> None:
    files.table("events", "events.csv", csv(HEADER, ['ann,"a, b\nc",2024-01-02', "ann,plain,bad", "ann,x,2024-01-03"]))
    assert files.rows("SELECT event FROM store.events ORDER BY ts") == [("a, b\nc",), ("x",)]
    assert files.rejects("events") == [(2, "bad_time")]


@pytest.mark.parametrize("packed", [False, True])
def test_json_lines_plain_and_packed(files: Files, packed: bool) -> None:
    entries = [
        {"user_id": "ann", "event": "one", "timestamp": "2024-01-02T00:00:00Z", "props": {"k": [1, {"x": "é"}]}},
        {"user_id": "ann", "event": "two", "timestamp": 1_704_240_000},
        {"user_id": "ann", "event": "three", "timestamp": 1_704_326_400_000, "props": None},
    ]
    text = "\n".join(json.dumps(entry) for entry in entries).encode()
    content, name = (gzip.compress(text), "events.jsonl.gz") if packed else (text, "events.jsonl")
    columns = {"user_id": "user_id", "event": "event", "timestamp": "timestamp"}
    files.table("events", name, content, columns=columns, properties_json="props")
    assert files.rows("SELECT event, ts, properties::JSON::VARCHAR FROM store.events ORDER BY ts") == [
        ("one", datetime(2024, 1, 2), '{"k":[1,{"x":"é"}]}'),
        ("two", datetime(2024, 1, 3), None),
        ("three", datetime(2024, 1, 4), None),
    ]


def test_a_json_key_that_first_occurs_late_is_found(files: Files) -> None:
    entries = [{"user_id": "ann", "event": "e", "timestamp": "2024-01-02"}] * 1_500
    lines = [*(json.dumps(entry) for entry in entries), json.dumps({**entries[0], 'pa"th': "/late"})]
    columns = {"user_id": "user_id", "event": "event", "timestamp": "timestamp", "page_path": 'pa"th'}
    files.table("events", "events.jsonl", "\n".join(lines), columns=columns)
    assert files.rows("SELECT page_path, count(*) FROM store.events GROUP BY ALL ORDER BY 2") == [
        ("/late", 1),
        (None, 1_500),
    ]


def test_packed_csv(files: Files) -> None:
    packed = gzip.compress(csv(HEADER, ["ann,login,2024-01-02"]).encode())
    files.table("events", "events.csv.gz", packed, columns={name: name for name in HEADER.split(",")})
    assert files.rows("SELECT event FROM store.events") == [("login",)]


def test_several_files_by_list_and_by_pattern_count_as_one_table(files: Files) -> None:
    for day in (3, 1, 2):
        files.table("events", f"events-{day}.csv", csv(HEADER, [f"ann,login,2024-01-0{day + 1}", "ann,login,bad"]))
    files.document["tables"]["events"]["file"] = "events-*.csv"
    assert files.rows("SELECT ts, n FROM store.events ORDER BY ts") == [
        (datetime(2024, 1, day + 1), day) for day in (1, 2, 3)
    ]
    sources = Warehouse(files.data_dir).manifest().sources
    assert [(source.file, source.rows) for source in sources if source.table == "events"] == [
        ("events-1.csv", 2),
        ("events-2.csv", 2),
        ("events-3.csv", 2),
    ]
    files.document["tables"]["events"]["file"] = ["events-3.csv", "events-1.csv"]
    assert files.rows("SELECT count(*) FROM store.events") == [(2,)]


def test_files_with_columns_in_another_order_are_joined_by_name(files: Files) -> None:
    files.table("events", "b.csv", "timestamp,event,user_id\n2024-01-03,two,ann\n")
    files.table("events", "a.csv", csv(HEADER, ["ann,one,2024-01-02"]))
    files.document["tables"]["events"]["file"] = ["a.csv", "b.csv"]
    assert files.rows("SELECT event FROM store.events ORDER BY ts") == [("one",), ("two",)]


def test_parquet_files_of_different_types_are_read_as_text(files: Files) -> None:
    users = ["1", "2"]
    files.table("users", "users.csv", csv("user_id,signed_up_at", [f"{user},2024-01-01" for user in users]))
    columns = {name: name for name in HEADER.split(",")}
    moment = pa.array([datetime(2024, 1, 2)], pa.timestamp("us"))
    files.table(
        "events", "b.parquet", parquet({"user_id": ["2"], "event": ["x"], "timestamp": moment}), columns=columns
    )
    files.table("events", "a.parquet", parquet({"user_id": [1], "event": ["x"], "timestamp": moment}), columns=columns)
    files.document["tables"]["events"]["file"] = ["a.parquet", "b.parquet"]
    assert files.rows("SELECT user_id FROM events ORDER BY user_id") == [("1",), ("2",)]


@pytest.mark.parametrize(
    "ids",
    [pa.array([7, 8]), pa.array([7.0, 8.0]), pa.array(["7", " 8 "]), pa.array([Decimal("7.00"), Decimal("8.00")])],
    ids=["integer", "real", "text", "decimal"],
)
def test_an_id_is_the_same_whatever_type_a_file_gives_it(files: Files, ids: pa.Array) -> None:
    files.table("users", "users.csv", csv("user_id,signed_up_at", ["7,2024-01-01", "8,2024-01-01"]))
    columns = {name: name for name in HEADER.split(",")}
    events = parquet({"user_id": ids, "event": ["x", "y"], "timestamp": [date(2024, 1, 2)] * 2})
    files.table("events", "events.parquet", events, columns=columns)
    assert files.rows("SELECT user_id, event::VARCHAR FROM events ORDER BY 1") == [("7", "x"), ("8", "y")]


@pytest.mark.parametrize(
    "stamp",
    [
        pa.array([date(2024, 1, 2)]),
        pa.array([datetime(2024, 1, 2)], pa.timestamp("ns")),
        pa.array([datetime(2024, 1, 2)], pa.timestamp("ms")),
        pa.array([datetime(2024, 1, 1, 23, tzinfo=UTC)], pa.timestamp("us", "UTC")),
        pa.array([1_704_150_000]),
        pa.array([1_704_150_000_000.0]),
        pa.array(["2024-01-02"]),
    ],
    ids=["date", "ns", "ms", "zoned", "epoch s", "epoch ms", "text"],
)
def test_every_kind_of_time_column_means_the_same_moment(files: Files, stamp: pa.Array) -> None:
    files.document["time_zone"] = "Europe/Berlin"
    columns = {name: name for name in HEADER.split(",")}
    events = parquet({"user_id": ["ann"], "event": ["x"], "timestamp": stamp})
    files.table("events", "events.parquet", events, columns=columns)
    assert files.rows("SELECT ts FROM store.events") == [(datetime(2024, 1, 1, 23),)]


def test_times_without_a_zone_are_in_the_mapping_zone(files: Files) -> None:
    found = times(
        files,
        "2024-07-01 12:00",
        "2024-07-01T12:00:00.250",
        "2024-07-01",
        "2024-07-01T12:00:00Z",
        "2024-07-01 12:00:00+05:30",
        "1719835200",
        "1719835200123",
        time_zone="Europe/Berlin",
    )
    assert found == [
        datetime(2024, 7, 1, 10),
        datetime(2024, 7, 1, 10, 0, 0, 250_000),
        datetime(2024, 6, 30, 22),
        datetime(2024, 7, 1, 12),
        datetime(2024, 7, 1, 6, 30),
        datetime(2024, 7, 1, 12),
        datetime(2024, 7, 1, 12, 0, 0, 123_000),
    ]


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_clock_changes_skip_forward_and_repeat_late(files: Files, kind: str) -> None:
    files.document["time_zone"] = "Europe/Berlin"
    skipped, repeated = datetime(2024, 3, 31, 2, 30), datetime(2024, 10, 27, 2, 30)
    columns = {name: name for name in HEADER.split(",")}
    if kind == "csv":
        files.table("events", "events.csv", csv(HEADER, [f"ann,x,{skipped}", f"ann,x,{repeated}"]))
    else:
        stamps = pa.array([skipped, repeated], pa.timestamp("us"))
        content = parquet({"user_id": ["ann"] * 2, "event": ["x"] * 2, "timestamp": stamps})
        files.table("events", "events.parquet", content, columns=columns)
    assert files.rows("SELECT ts FROM store.events ORDER BY ts") == [
        (datetime(2024, 3, 31, 1, 30),),
        (datetime(2024, 10, 27, 1, 30),),
    ]


def test_a_data_end_written_as_a_date_includes_that_day_in_the_mapping_zone(files: Files) -> None:
    files.document |= {"time_zone": "Europe/Berlin", "data_end": date(2024, 12, 31)}
    files.publish()
    end = Warehouse(files.data_dir).manifest().data_end
    assert end == datetime(2024, 12, 31, 23, tzinfo=UTC)


def test_the_latest_time_that_happened_is_the_data_end_by_default(files: Files) -> None:
    deals = csv("deal_id,user_id,created_at,closed_at,is_won", ["d1,ann,2024-02-01,2024-03-01,true",
                                                                 "d2,ann,2024-02-05,2030-01-01,false"])  # fmt: skip
    files.table("deals", "deals.csv", deals)
    files.publish()
    manifest = Warehouse(files.data_dir).manifest()
    assert manifest.data_end == datetime(2024, 3, 1, tzinfo=UTC)
    assert manifest.outcomes_since == datetime(2024, 2, 1, tzinfo=UTC)


def test_text_columns_become_the_narrowest_type_that_fits_all_values(files: Files) -> None:
    names = ("whole", "real", "flag", "day", "zip", "mixed", "blank")
    files.table(
        "users",
        "users.csv",
        csv(
            "user_id,signed_up_at," + ",".join(names),
            [
                "ann,2024-01-01,1,1.5,true,2024-05-01,01234,7,",
                "bob,2024-01-02, 20 ,2,FALSE,2024-06-01,98765,x,",
                "eve,2024-01-03,,,,,,,",
            ],
        ),
        properties=list(names),
    )
    assert properties(files) == {
        "whole": ("number", (1, 20)),
        "real": ("number", (1.5, 2.0)),
        "flag": ("boolean", (False, True)),
        "day": ("time", ("2024-05-01T00:00:00Z", "2024-06-01T00:00:00Z")),
        "zip": ("text", ("01234", "98765")),
        "mixed": ("text", ("7", "x")),
        "blank": ("text", ()),
    }


def test_parquet_columns_keep_their_types(files: Files) -> None:
    columns = {
        "user_id": ["ann", "bob"],
        "signed_up_at": [date(2024, 1, 1)] * 2,
        "whole": pa.array([1, None]),
        "real": pa.array([1.5, float("nan")]),
        "flag": [True, None],
        "listed": [["a", "b"], None],
        "plan": pa.array(["free", "pro"]).dictionary_encode(),
    }
    extra = ["whole", "real", "flag", "listed"]
    canonical = {"user_id": "user_id", "signed_up_at": "signed_up_at", "plan": "plan"}
    files.table("users", "users.parquet", parquet(columns), columns=canonical, properties=extra)
    assert properties(files) == {
        "plan": ("text", ("free", "pro")),
        "whole": ("number", (1,)),
        "real": ("number", (1.5,)),
        "flag": ("boolean", (True,)),
        "listed": ("text", ('["a","b"]',)),
    }


def test_constants_stand_for_a_column(files: Files) -> None:
    files.table(
        "events",
        "events.csv",
        "user_id,timestamp\nann,2024-01-02\n",
        columns={"user_id": "user_id", "timestamp": "timestamp", "event": {"value": "it's on"}},
        properties={"weight": {"value": 2.5}, "source": {"value": "import"}},
    )
    assert files.rows("SELECT event, weight, source FROM store.events") == [("it's on", 2.5, "import")]


def test_internal_users_by_domain_and_by_column(files: Files) -> None:
    rows = ["ann,2024-01-01,ann@acme.example,no", "bob,2024-01-01,BOB@Beton.Example,", "eve,2024-01-01,,YES"]
    files.table(
        "users",
        "users.csv",
        csv("user_id,signed_up_at,email,test", rows),
        columns={name: name for name in ("user_id", "signed_up_at", "email")},
        internal={"email_domains": ["beton.example"], "column": "test"},
    )
    assert files.rows("SELECT user_id, is_internal FROM store.users ORDER BY user_id") == [
        ("ann", False),
        ("bob", True),
        ("eve", True),
    ]


def test_company_properties_reach_the_users_under_one_prefix(files: Files) -> None:
    files.table("users", "users.csv", "user_id,signed_up_at,company_id\nann,2024-01-01,c1\n")
    files.table(
        "companies", "companies.csv", "company_id,name,company_size,tier\nc1,Acme,51.5,gold\n", properties=["tier"]
    )
    assert files.rows("SELECT company_name, company_size, company_tier FROM users") == [("Acme", 51.5, "gold")]
    facts = {entry.name: entry.scope for entry in Warehouse(files.data_dir).manifest().properties}
    assert facts == {"company_name": "company", "company_size": "company", "company_tier": "company"}


def test_won_values_are_compared_as_trimmed_text(files: Files) -> None:
    rows = ["d1,ann,Closed Won ,2024-02-01", "d2,ann,closed won,2024-02-01", "d3,ann,1,2024-02-01", "d4,ann,,"]
    files.table(
        "deals",
        "deals.csv",
        csv("deal_id,user_id,stage,closed_at", rows),
        won={"column": "stage", "values": ["Closed Won", 1]},
    )
    assert files.rows("SELECT deal_id, is_won FROM store.deals ORDER BY deal_id") == [
        ("d1", True),
        ("d2", False),
        ("d3", True),
        ("d4", False),
    ]


def test_names_from_outside_cannot_become_sql(files: Files) -> None:
    nasty = """x'); DROP TABLE store.users; --"y"""
    files.table(
        "events",
        "ev'en\"t*[1] (SELECT).csv",
        f'user_id,event,timestamp,"{nasty.replace(chr(34), chr(34) * 2)}"\nann,"{nasty.replace(chr(34), chr(34) * 2)}",'
        "2024-01-02,v\n",
        columns={name: name for name in HEADER.split(",")},
        properties={"odd": nasty},
    )
    files.document["name"] = nasty
    assert files.rows("SELECT e.event::VARCHAR, e.odd FROM store.events AS e, store.users") == [(nasty, "v")]


def test_columns_that_differ_only_in_case_stay_apart(files: Files) -> None:
    text = "user_id,event,timestamp,Row,row,file_no\nann,login,2024-01-02,a,b,c\n"
    columns = {name: name for name in HEADER.split(",")}
    files.table("events", "events.csv", text, columns=columns, properties={"x": "Row", "y": "row", "z": "file_no"})
    assert files.rows("SELECT x, y, z FROM store.events") == [("a", "b", "c")]


@pytest.mark.parametrize("seed", range(5))
def test_every_record_is_either_kept_or_rejected_under_its_number(files: Files, seed: int) -> None:
    rng = random.Random(seed)
    good, bad, lines = [], [], []
    for row in range(1, 4_001):
        cells = ["ann", f'e"{row}', "2024-01-02", "line\nbreak" if rng.random() < 0.2 else "plain"]
        fault = rng.random()
        if fault < 0.05:
            cells = cells[: rng.randint(1, 3)]
        elif fault < 0.1:
            cells.append("too many")
        elif fault < 0.15:
            cells[2] = "yesterday"
        sink = io.StringIO()
        csv_module.writer(sink, quoting=csv_module.QUOTE_ALL).writerow(cells)
        lines.append(sink.getvalue())
        (bad if fault < 0.15 else good).append(row)
    header = "user_id,event,timestamp,page_path"
    files.table("events", "events.csv", header + "\r\n" + "".join(lines), columns={n: n for n in header.split(",")})
    assert sorted(row for row, _ in files.rejects("events")) == bad
    kept = files.rows("SELECT event::VARCHAR FROM store.events")
    assert sorted(int(name[2:]) for (name,) in kept) == good
