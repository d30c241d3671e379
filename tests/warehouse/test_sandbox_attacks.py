"""Every attack is refused by the check, and harmless even where the check is left out."""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
import threading
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import duckdb
import pytest
from attacks import ATTACKS, SECRET_WORD, Attack
from company_files import Files

from beton.errors import SqlError
from beton.warehouse.sandbox import process
from beton.warehouse.sandbox.pool import Limits, QueryError, Request, Sandbox
from beton.warehouse.sandbox.statement import body, check

# What the bare process lets through, without the check before it. Names, settings and rows of the snapshot that is
# open anyway, the path of its file, and objects in the memory of a process that nobody else is given. A name without
# its catalogue reaches nothing: the tables that are not cut stand in a catalogue that is not the current one.
SHOWN = frozenset(
    "indirect-01 indirect-03 indirect-04 tables-01 tables-04 tables-06"
    " catalogue-01 catalogue-02 catalogue-03 catalogue-04 catalogue-05 catalogue-06 catalogue-07 catalogue-08"
    " catalogue-09 catalogue-10 secrets-04 secrets-05 secrets-06".split()
)
ONLY_RAW = frozenset(
    "attach-02 attach-04 attach-05 changes-09 changes-10 changes-11 changes-12 changes-13 indirect-05 indirect-07"
    " catalogue-11 catalogue-12 secrets-01 secrets-03".split()
)

COUNTS = {
    "files": 20, "network": 7, "attach": 5, "copy": 9, "changes": 18, "settings": 13, "python": 5, "indirect": 7,
    "tables": 6, "catalogue": 12, "secrets": 6, "bombs": 21,
}  # fmt: skip
named = pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)


@dataclass
class World:
    """A snapshot, what must stay as it is, and a sandbox without any check before it."""

    folder: Path
    database: Path
    address: str
    hits: list[str]
    sandbox: Sandbox
    attackers: int = 0

    def fill(self, sql: str) -> str:
        places = {"@SECRET@": self.secret, "@FOLDER@": self.folder, "@DB@": self.database, "@URL@": self.address}
        for word, place in places.items():
            sql = sql.replace(word, str(place))
        return sql

    @property
    def secret(self) -> Path:
        return self.folder / "secret.csv"

    def state(self) -> tuple[object, ...]:
        """The snapshot's bytes, every file in reach, and who called the server."""
        files = [self.folder, self.database.parent]
        strays = [*Path(tempfile.gettempdir()).glob("*owned*"), *Path("/").glob("*owned*")]
        listing = sorted(str(path) for folder in files for path in folder.rglob("*"))
        return hashlib.sha256(self.database.read_bytes()).hexdigest(), listing, strays, list(self.hits)

    def run(self, sql: str) -> tuple[bool, str]:
        """Run a statement in a process of the attacker's; return whether it ran, and its rows or its refusal.

        What comes next gets another process if this one ran a statement that may have changed it.
        """
        is_query = re.match(r"(SELECT|WITH|SHOW|DESCRIBE|SUMMARIZE)\b", sql)
        request = Request((sql,), (0,) if is_query else (), 1_000_000)
        try:
            tables = self.sandbox.run(request, f"attacker {self.attackers}").tables
        except (QueryError, SqlError) as refusal:
            return False, str(refusal)
        self.attackers += not is_query
        return True, str([table.to_pylist() for table in tables])

    def answers(self) -> bool:
        request = Request(("SELECT count(*) AS n FROM snapshot.store.users",), (0,), 1_000_000)
        return self.sandbox.run(request, "somebody else").tables[0].to_pylist() == [{"n": 1}]


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[str, list[str]]]:
    hits: list[str] = []

    class Canary(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            hits.append(self.path)
            self.send_error(404)

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Canary) as listening:
        thread = threading.Thread(target=listening.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listening.server_port}", hits
        listening.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def world(server: tuple[str, list[str]]) -> Iterator[World]:
    """Everything lies where any user may read and write, so that only the sandbox can stop a statement."""
    with tempfile.TemporaryDirectory() as name, pytest.MonkeyPatch.context() as patch:
        patch.setenv("BETON_TEST_SECRET", SECRET_WORD)
        patch.setattr(process, "GRACE_S", 0.3)
        home = Path(name)
        home.chmod(0o777)
        files = Files(home)
        files.publish()
        snapshot = (files.data_dir / "warehouse/CURRENT").read_text().strip()
        database = files.data_dir / "warehouse/snap" / snapshot / "store.duckdb"
        folder = home / "open"
        folder.mkdir()
        (folder / "secret.csv").write_text(f"word,number\n{SECRET_WORD},1\n")
        for path in (folder, database.parent):
            path.chmod(0o777)
        limits = Limits(query_s=0.3, memory_mb=128, queries=1_000)
        sandbox = Sandbox(lambda: (snapshot, database), limits, size=3)
        yield World(folder, database, server[0], server[1], sandbox)
        sandbox.close()


def test_there_are_129_in_twelve_classes() -> None:
    assert Counter(attack.name.split("-")[0] for attack in ATTACKS) == COUNTS
    assert sum(COUNTS.values()) == len({attack.sql for attack in ATTACKS}) == 129


def test_the_canaries_sing(world: World, tmp_path: Path) -> None:
    """A plain connection gives the secret away, and a visit to the server is counted."""
    with duckdb.connect() as plain:
        for name in ("files-01", "files-03", "files-08", "files-12", "files-15", "files-20"):
            sql = next(attack.sql for attack in ATTACKS if attack.name == name)
            plain.execute(
                "CREATE OR REPLACE TABLE users AS SELECT content AS user_id FROM read_text(?)", [str(world.secret)]
            )
            shown = plain.execute(world.fill(sql)).fetchall()
            assert SECRET_WORD in str(shown) or name == "files-08", name
        plain.execute(f"COPY (SELECT 'owned') TO '{tmp_path / 'written.csv'}'")
    assert (tmp_path / "written.csv").read_text().strip() in ("owned", "'owned'\nowned", "\"'owned'\"\nowned")
    assert os.environ["BETON_TEST_SECRET"] == SECRET_WORD
    with pytest.raises(urllib.error.HTTPError) as missing:
        urllib.request.urlopen(f"{world.address}/a.csv")
    missing.value.close()
    assert world.hits == ["/a.csv"]
    world.hits.clear()


@named
def test_check_refuses_it(attack: Attack, world: World) -> None:
    sql = world.fill(attack.sql)
    if attack.is_heavy_only:
        check(sql)
        return
    with pytest.raises(SqlError) as refused:
        check(sql)
    message = str(refused.value)
    assert "\n" not in message
    assert len(message) < 300
    assert SECRET_WORD not in message


@named
def test_wrapped_it_is_harmless_without_the_check(attack: Attack, world: World) -> None:
    before = world.state()
    sql = f"SELECT * FROM (\n{world.fill(attack.sql)}\n) LIMIT 51"
    if attack.is_heavy_only:
        assert sql == f"SELECT * FROM (\n{body(attack.sql)}\n) LIMIT 51"
    ran, said = world.run(sql)
    assert ran == (attack.name in SHOWN), said
    assert SECRET_WORD not in said
    assert world.state() == before
    assert world.answers()


@named
def test_raw_it_is_harmless_without_the_check(attack: Attack, world: World) -> None:
    before = world.state()
    ran, said = world.run(world.fill(attack.sql))
    assert ran == (attack.name in SHOWN | ONLY_RAW), said
    assert SECRET_WORD not in said
    assert world.state() == before
    assert world.answers()
