"""The core folder of a snapshot: what it holds, how it is published, and how readers open it."""

from __future__ import annotations

import random
import shutil
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
import reference
from reference import DAY, MONDAY, NEVER, Act, Deal, Person, World

from beton.errors import WarehouseError
from beton.warehouse.core.arrays import Column, Core
from beton.warehouse.reader import Warehouse


@pytest.fixture(scope="module")
def world() -> World:
    found = reference.random_world(random.Random(3), companies=20)
    found.acts += reference.anchor_acts()
    return found


@pytest.fixture(scope="module")
def warehouse(world: World, tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    return reference.build(world, tmp_path_factory.mktemp("arrays"))


@pytest.fixture(scope="module")
def core(warehouse: Warehouse) -> Core:
    opened = warehouse.core()
    return opened


def user_ids(warehouse: Warehouse) -> list[str]:
    with warehouse.connection() as connection:
        return [row[0] for row in connection.execute("SELECT user_id FROM store.users ORDER BY user_key").fetchall()]


def decoded(column: Column) -> list[object]:
    if column.kind == "text":
        return [None if code < 0 else column.words[code] for code in column.values]
    if column.kind == "boolean":
        return [None if value < 0 else bool(value) for value in column.values]
    return [None if np.isnan(value) else float(value) for value in column.values]


def test_pairs_hold_the_events_of_each_user_in_order(world: World, warehouse: Warehouse, core: Core) -> None:
    start = {person.id: person.t0 for person in world.people}
    wanted: dict[tuple[str, str], list[int]] = defaultdict(list)
    for act in world.acts:
        wanted[act.event, act.user].append(act.at - start[act.user])
    ids, found = user_ids(warehouse), {}
    for event, name in enumerate(core.event_names):
        for pair in range(*core.event_pairs[event : event + 2].tolist()):
            rows = slice(*core.pair_start[pair : pair + 2].tolist())
            rel_s = core.rel_s[rows].tolist()
            found[name, ids[core.pair_user[pair]]] = rel_s
            assert core.pair_zero[pair] - rows.start == sum(at < 0 for at in rel_s)
    assert found == {pair: sorted(times) for pair, times in wanted.items()}
    assert any(min(times) < 0 <= max(times) for times in found.values())


def test_the_rows_of_a_user_are_those_after_the_signup_by_time(world: World, warehouse: Warehouse, core: Core) -> None:
    start = {person.id: person.t0 for person in world.people}
    for user, name in enumerate(user_ids(warehouse)):
        rows = core.user_rows[core.user_start[user] : core.user_start[user + 1]]
        times = [act.at - start[name] for act in world.acts if act.user == name]
        assert core.rel_s[rows].tolist() == sorted(at for at in times if at >= 0)


def test_columns_come_back_as_they_are_stored(warehouse: Warehouse, core: Core) -> None:
    assert set(core.event_columns) == {"page_path", "amount"}
    assert {"company_name", "company_size", "industry", "company_country"} <= set(core.companies.columns)
    with warehouse.connection() as connection:
        for name, column in core.event_columns.items():
            rows = connection.execute(f"SELECT {name} FROM store.events ORDER BY rowid").fetchall()
            assert decoded(column) == [row[0] for row in rows]
        for name, column in core.users.columns.items():
            rows = connection.execute(f"SELECT {name} FROM store.users ORDER BY user_key").fetchall()
            assert decoded(column) == [row[0] for row in rows]
        rows = connection.execute("SELECT coalesce(plan__set_s, 0) FROM store.users ORDER BY user_key").fetchall()
    dated = core.users.columns["plan"].set_s
    assert dated is not None
    assert dated.tolist() == [row[0] for row in rows]
    assert {"plan", "seats", "beta", "company_size"} <= set(core.users.columns)
    assert all(column.set_s is None for name, column in core.users.columns.items() if name != "plan")


def test_rows_by_word_are_those_of_each_event_in_their_order(core: Core) -> None:
    pages = core.event_columns["page_path"]
    assert pages.by_word is not None
    assert len(set(pages.values.tolist())) > 2
    for event in range(len(core.event_names)):
        first, end = core.pair_start[core.event_pairs[event : event + 2]].tolist()
        wanted = sorted(range(first, end), key=lambda row: (pages.values[row], row))
        assert pages.by_word[first:end].tolist() == wanted
    assert core.event_columns["amount"].by_word is None
    assert all(column.by_word is None for column in core.users.columns.values())


@pytest.mark.parametrize(("pages", "kind"), [(128, "int8"), (129, "int16")])
def test_codes_take_as_few_bytes_as_hold_them(tmp_path: Path, pages: int, kind: str) -> None:
    acts = [Act("a", "view", MONDAY + page, page_path=f"/{page:03}") for page in range(pages)]
    world = World([Person("a", MONDAY)], acts=[*acts, Act("a", "view", MONDAY + DAY)])
    column = reference.build(world, tmp_path).core().event_columns["page_path"]
    assert column.values.dtype == kind
    assert decoded(column) == [*(act.page_path for act in acts), None]


def test_units_know_their_first_deals(tmp_path: Path) -> None:
    world = World([Person("a", MONDAY, "acme"), Person("b", MONDAY + DAY, "acme"), Person("c", MONDAY + 2 * DAY)])
    world.sizes = {"acme": 50, "nobody": None}
    world.acts = [Act("a", "start", MONDAY), Act("c", "start", MONDAY + 3 * DAY)]
    world.deals = [
        Deal("b", None, MONDAY + 5 * DAY, MONDAY + 9 * DAY, won=True),
        Deal("a", None, MONDAY + 4 * DAY, None, won=False),
    ]
    core = reference.build(world, tmp_path).core()
    users, companies = core.users, core.companies
    assert users.company_key.tolist() == [0, 0, -1]
    assert users.account_offset_s.tolist() == [0, DAY, 0]
    assert users.won_own_s.tolist() == [NEVER, MONDAY + 9 * DAY, NEVER]
    assert users.won_account_s.tolist() == [MONDAY + 9 * DAY, MONDAY + 9 * DAY, NEVER]
    assert users.created_own_s.tolist() == [MONDAY + 4 * DAY, MONDAY + 5 * DAY, NEVER]
    assert users.created_account_s.tolist() == [MONDAY + 4 * DAY, MONDAY + 4 * DAY, NEVER]
    assert companies.t0_s.tolist() == [MONDAY, NEVER]
    assert companies.month.tolist() == [202401, 0]
    assert companies.won_account_s.tolist() == [MONDAY + 9 * DAY, NEVER]
    assert companies.is_matched.tolist() == [True, False]


def test_the_arrays_are_published_read_only_and_opened_once(tmp_path: Path) -> None:
    warehouse = reference.build(World([Person("a", MONDAY)], acts=[Act("a", "start", MONDAY)]), tmp_path)
    core = warehouse.core()
    assert warehouse.core() is core
    assert not core.rel_s.flags.writeable
    [folder] = tmp_path.glob("warehouse/snap/*/core")
    assert {oct(path.stat().st_mode & 0o777) for path in folder.iterdir()} == {"0o444"}


def test_a_new_import_brings_new_arrays(tmp_path: Path) -> None:
    world = World([Person("a", MONDAY)], acts=[Act("a", "start", MONDAY)])
    warehouse = reference.build(world, tmp_path)
    before = warehouse.core()
    world.acts.append(Act("a", "invite", MONDAY + DAY))
    reference.build(world, tmp_path)
    after = warehouse.core()
    assert (before.event_names, after.event_names) == (("start",), ("invite", "start"))


def test_a_snapshot_without_arrays_says_to_import_again(tmp_path: Path) -> None:
    warehouse = reference.build(World([Person("a", MONDAY)], acts=[Act("a", "start", MONDAY)]), tmp_path)
    [folder] = tmp_path.glob("warehouse/snap/*/core")
    shutil.rmtree(folder)
    with pytest.raises(WarehouseError, match="import again"):
        warehouse.core()
