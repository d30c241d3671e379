"""The cohort and condition rules a second time, as loops over plain Python values: the yardstick of the SQL.

A ``World`` is who did what when, in epoch seconds; ``build`` imports it, ``ask`` runs a definition through the engine,
and ``expected`` works the same answer out without it.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

from beton.model.mapping import Column, InternalRule, Mapping, TableMapping
from beton.model.outcome import Outcome
from beton.model.signal import from_dict
from beton.warehouse.compile import Catalogue
from beton.warehouse.imports import build_from_tables
from beton.warehouse.landmark import Clock, cohort_sql, excluded_sql
from beton.warehouse.reader import Warehouse

DAY = 86_400
WEEK = 7 * DAY
MONDAY = int(datetime(2024, 1, 1, tzinfo=UTC).timestamp())
NEVER = 4_000_000_000_000
ELIGIBLE, INTERNAL, UNMATCHED, UNRECORDED, NOT_AT_RISK, IMMATURE = range(6)


@dataclass(frozen=True)
class Person:
    id: str
    t0: int
    company: str | None = None
    internal: bool = False
    known: bool = True
    plan: str | None = None
    plan_set: int | None = None
    seats: int | None = None
    beta: bool | None = None


@dataclass(frozen=True)
class Act:
    user: str
    event: str
    at: int
    page_path: str | None = None
    amount: float | None = None
    props: str | None = None


@dataclass(frozen=True)
class Deal:
    user: str | None
    company: str | None
    created: int | None
    closed: int | None
    won: bool


@dataclass
class World:
    people: list[Person]
    sizes: dict[str, int | None] = field(default_factory=dict)
    acts: list[Act] = field(default_factory=list)
    deals: list[Deal] = field(default_factory=list)
    since: int = MONDAY
    data_end: int = MONDAY + 80 * DAY

    def first_seen(self, company: str) -> int:
        return min(person.t0 for person in self.people if person.company == company)


class Row(NamedTuple):
    """One unit (or unit and week) of a cohort."""

    status: int
    signal: int
    converted: int
    matched_at: int


# --- the engine


def build(world: World, directory: Path) -> Warehouse:
    """Import a world."""
    people, acts, deals = world.people, world.acts, world.deals
    tables = {
        "users": _table(
            user_id=[p.id for p in people],
            signed_up_at=_times(p.t0 for p in people),
            email=[f"{p.id}@people.example" for p in people],
            company_id=[p.company for p in people],
            plan=[p.plan for p in people],
            seats=pa.array([p.seats for p in people], pa.int64()),
            beta=pa.array([p.beta for p in people], pa.bool_()),
            plan_set=_times(p.plan_set for p in people),
            is_test=[p.internal for p in people],
        ),
        "companies": _table(
            company_id=pa.array(list(world.sizes), pa.string()),
            company_size=pa.array(list(world.sizes.values()), pa.int64()),
        ),
        "contacts": _table(
            contact_id=[f"c-{p.id}" for p in people if p.known],
            email=[f"{p.id}@People.example" for p in people if p.known],
        ),
        "events": _table(
            user_id=[a.user for a in acts],
            event=[a.event for a in acts],
            timestamp=_times(a.at for a in acts),
            page_path=pa.array([a.page_path for a in acts], pa.string()),
            amount=pa.array([a.amount for a in acts], pa.float64()),
            props=pa.array([a.props for a in acts], pa.string()),
        ),
        "deals": _table(
            deal_id=[f"d{i}" for i in range(len(deals))],
            user_id=pa.array([d.user for d in deals], pa.string()),
            company_id=pa.array([d.company for d in deals], pa.string()),
            created_at=_times(d.created for d in deals),
            closed_at=_times(d.closed for d in deals),
            is_won=pa.array([d.won for d in deals], pa.bool_()),
        ),
    }
    tables = {name: table for name, table in tables.items() if table.num_rows}
    mapping = Mapping(
        name="World",
        tables={name: _mapped(name, table) for name, table in tables.items()},
        base_dir=directory,
        data_end=datetime.fromtimestamp(world.data_end, UTC),
        outcomes_since=datetime.fromtimestamp(world.since, UTC),
    )
    build_from_tables(directory, tables, mapping, replace=True, allow_rejects=True)
    return Warehouse(directory)


def _mapped(name: str, table: pa.Table) -> TableMapping:
    extra = {"users": {"seats", "beta"}, "events": {"amount"}}.get(name, set())
    hidden = {"plan_set", "is_test", "props"}
    return TableMapping(
        name=name,
        files=(f"{name}.parquet",),
        columns={c: Column(c) for c in table.column_names if c not in extra | hidden},
        properties={c: Column(c) for c in sorted(extra)},
        set_at={"plan": "plan_set"} if name == "users" else {},
        internal=InternalRule(column="is_test") if name == "users" else None,
        properties_json="props" if name == "events" else None,
    )


def _table(**columns: Any) -> pa.Table:
    return pa.table(
        {name: column if isinstance(column, pa.Array) else pa.array(column) for name, column in columns.items()}
    )


def _times(seconds: Iterable[int | None]) -> pa.Array:
    return pa.array([None if at is None else at * 1_000_000 for at in seconds], pa.int64()).cast(pa.timestamp("us"))


def clock(world: World, definition: dict[str, Any], horizon_days: int = 20) -> Clock:
    """The clock of a definition, with a gap of one day."""
    landmark = round(from_dict(definition).landmark_days * DAY)
    return Clock(landmark, DAY, horizon_days * DAY, world.data_end, world.since)


def ask(warehouse: Warehouse, definition: dict[str, Any], cut: Clock, outcome: Outcome | None = None) -> dict[Any, Row]:
    """Run a definition through the engine: rows by user id, company id, or (user id, landmark)."""
    signal = from_dict({"name": "asked", **definition})
    sql = cohort_sql(signal, outcome or Outcome(), cut, Catalogue.of(warehouse.manifest()))
    table, key = ("users", "user") if signal.unit == "user" else ("companies", "company")
    with warehouse.connection() as connection:
        rows = connection.execute(
            f"SELECT n.{key}_id, r.t0_s, r.status, r.signal, r.converted, r.matched_at_s FROM ({sql}) AS r"
            f" JOIN store.{table} AS n ON n.{key}_key = r.unit"
        ).fetchall()
    weekly = signal.timing == "any time"
    found = {((unit, t0) if weekly else unit): Row(*row) for unit, t0, *row in rows}
    assert len(found) == len(rows), "a unit came back twice"
    return found


def excluded(warehouse: Warehouse, unit: str) -> dict[int, int]:
    """Units by status among those that never enter a cohort."""
    with warehouse.connection() as connection:
        return dict(connection.execute(excluded_sql(unit)).fetchall())  # type: ignore[arg-type]


# --- the same in plain Python


def expected(world: World, definition: dict[str, Any], cut: Clock, outcome: Outcome | None = None) -> dict[Any, Row]:
    """What ``ask`` must answer."""
    outcome = outcome or Outcome()
    if definition.get("timing") == "any time":
        return _expected_weeks(world, definition, cut, outcome)
    if definition.get("unit") == "account":
        return _expected_accounts(world, definition, cut, outcome)
    rows = {}
    for person in world.people:
        if person.known and not person.internal:
            held = _holds(world, definition["when"], person, person.t0, cut.landmark_s)
            first = _first_outcome(world, outcome, person)
            rows[person.id] = _row(person.t0, person.t0 + cut.landmark_s + cut.gap_s, held, first, cut)
    return rows


def _expected_accounts(world: World, definition: dict[str, Any], cut: Clock, outcome: Outcome) -> dict[Any, Row]:
    rows = {}
    for company in sorted({person.company for person in world.people if person.company}):
        users = [person for person in world.people if person.company == company]
        if all(person.internal for person in users) or not any(person.known for person in users):
            continue
        start = world.first_seen(company)
        seen = [p for p in users if not p.internal and p.t0 < start + cut.landmark_s]
        held = [_holds(world, definition["when"], person, start, cut.landmark_s) for person in seen]
        rolled = _roll_up(definition.get("rollup", {"kind": "any"}), held, cut.landmark_s)
        first = min(_outcomes(world, outcome, {p.id for p in users}, {company}, by_company=True), default=NEVER)
        rows[company] = _row(start, start + cut.landmark_s + cut.gap_s, rolled, first, cut)
    return rows


def _expected_weeks(world: World, definition: dict[str, Any], cut: Clock, outcome: Outcome) -> dict[Any, Row]:
    rows = {}
    for person in world.people:
        if not person.known or person.internal or person.t0 < cut.outcomes_since_s:
            continue
        first = _first_outcome(world, outcome, person)
        for landmark in range(MONDAY - 60 * WEEK, cut.data_end_s + 1, WEEK):
            if landmark >= person.t0 + cut.landmark_s:
                held = _holds(world, definition["when"], person, None, landmark)
                rows[person.id, landmark] = _row(landmark, landmark + cut.gap_s, held, first, cut)
    return rows


def _row(t0: int, opens: int, held: int | None, first: int, cut: Clock) -> Row:
    status = ELIGIBLE
    if opens + cut.horizon_s > cut.data_end_s:
        status = IMMATURE
    if first < opens:
        status = NOT_AT_RISK
    if t0 < cut.outcomes_since_s:
        status = UNRECORDED
    converted = opens <= first < opens + cut.horizon_s
    return Row(status, int(held is not None), int(converted), NEVER if held is None else t0 + held)


def _roll_up(rollup: dict[str, Any], held: list[int | None], landmark: int) -> int | None:
    times = sorted(at for at in held if at is not None)
    if rollup["kind"] == "share":
        return landmark if held and len(times) >= rollup["value"] * len(held) else None
    needed = math.ceil(rollup["value"]) if rollup["kind"] == "count" else 1
    return times[needed - 1] if len(times) >= needed else None


def _first_outcome(world: World, outcome: Outcome, person: Person) -> int:
    shared = outcome.belongs_to == "account" and person.company is not None
    mates = {p.id for p in world.people if p.company == person.company} if shared else {person.id}
    companies = {person.company} if shared else set()
    return min(_outcomes(world, outcome, mates, companies, by_company=shared), default=NEVER)


def _outcomes(world: World, outcome: Outcome, users: set[str], companies: set[Any], by_company: bool) -> list[int]:
    """Times of the outcome by these users, or on these companies; a deal without a company has its user's."""
    if outcome.source == "event":
        return [act.at for act in world.acts if act.event == outcome.event and act.user in users]
    company_of = {person.id: person.company for person in world.people}
    found = []
    for deal in world.deals:
        at = deal.created if outcome.source == "deal created" else deal.closed if deal.won else None
        owner = deal.company or company_of.get(deal.user or "")
        mine = deal.user in users and (not by_company or owner in companies or len(users) == 1)
        if at is not None and (mine or (by_company and owner in companies)):
            found.append(at)
    return found


def _holds(world: World, node: dict[str, Any], person: Person, start: int | None, end: int) -> int | None:
    """Seconds after ``start`` at which a condition first held; weekly windows end at ``end`` and hold there (0)."""
    if "event" in node:
        return _event_holds(world, node, person, start, end)
    if "property" in node:
        values = {"plan": person.plan, "seats": person.seats, "beta": person.beta}
        values["company_size"] = world.sizes.get(person.company or "")
        landmark = end if start is None else start + end
        late = node["property"] == "plan" and person.plan_set is not None and person.plan_set >= landmark
        return 0 if not late and _compare(values[node["property"]], node) else None
    [kind] = node
    items = [node["not"]] if kind == "not" else node[kind]
    times = [_holds(world, item, person, start, end) for item in items]
    held = [at for at in times if at is not None]
    if kind == "all":
        return max(held) if len(held) == len(times) else None
    if kind == "any":
        return min(held, default=None)
    return None if held else max((_window(leaf, start, end) for leaf in _event_leaves(node)), default=0)


def _event_leaves(node: dict[str, Any]) -> list[dict[str, Any]]:
    if "event" in node:
        return [node]
    inner = [node["not"]] if "not" in node else node.get("all") or node.get("any") or node.get("none") or []
    return [leaf for item in inner for leaf in _event_leaves(item)]


def _window(leaf: dict[str, Any], start: int | None, end: int) -> int:
    if start is None:
        return 0
    return end if leaf.get("within_days") is None else min(end, round(leaf["within_days"] * DAY))


def _event_holds(world: World, leaf: dict[str, Any], person: Person, start: int | None, end: int) -> int | None:
    if start is None:
        first, last, origin = end - round(leaf["within_days"] * DAY), end, end
    else:
        first, last, origin = start, start + _window(leaf, start, end), start
    times = sorted(
        act.at
        for act in world.acts
        if act.user == person.id
        and leaf["event"] in ("*", act.event)
        and max(first, person.t0) <= act.at < last
        and all(_compare(_value(act, item["property"]), item) for item in leaf.get("where", []))
    )
    op, needed = leaf.get("op", "completed"), leaf.get("value") or 0
    if op.startswith("active"):
        size = DAY if "days" in op else WEEK
        periods: dict[int, int] = {}
        for at in times:
            periods.setdefault((origin - 1 - at if start is None else at - origin) // size, at)
        times = sorted(periods.values())
    if op in ("not completed", "count <="):
        broken = len(times) > (needed if op == "count <=" else 0)
        return None if broken else _window(leaf, start, end)
    needed = 1 if op == "completed" else needed
    if len(times) < needed:
        return None
    return 0 if start is None else times[needed - 1] - origin


def _value(act: Act, name: str) -> Any:
    import json

    if name.startswith("properties."):
        return json.loads(act.props or "{}").get(name.removeprefix("properties."))
    return {"page_path": act.page_path, "amount": act.amount}[name]


def _compare(found: Any, node: dict[str, Any]) -> bool:
    """A missing value never matches."""
    op, value = node.get("op", "="), node["value"]
    if found is None:
        return False
    if op == "contains":
        return str(value).lower() in str(found).lower()
    if op == "between":
        return bool(value[0] <= found <= value[1])
    if op == "in list":
        return found in value
    return bool(
        {"=": found == value, "!=": found != value}[op]
        if op in ("=", "!=")
        else {">": found > value, ">=": found >= value, "<": found < value, "<=": found <= value}[op]
    )


# --- random worlds

EVENTS = ("start", "invite", "report")
PAGES = ("/pricing", "/Docs/api", None)
PLANS = ("free", "Team", None)


def random_world(rng: random.Random, companies: int = 14, lone_users: int = 10) -> World:
    """People with signups on and off the second of a Monday, before and after outcomes were recorded."""
    world = World([_anchor()], since=MONDAY - 3 * DAY + 5)
    for number in range(companies + lone_users):
        company = f"firm{number}" if number < companies else None
        if company:
            world.sizes[company] = rng.choice((1, 50, 500, None))
        for mate in range(rng.randint(1, 4) if company else 1):
            world.people.append(_person(rng, f"p{number}-{mate}", company, world))
    for person in world.people[1:]:
        world.acts += [_act(rng, person, person.t0 + _offset(rng)) for _ in range(rng.randint(0, 9))]
        if rng.random() < 0.35:
            world.deals.append(
                random_deal(rng, person, person.t0 + rng.choice((-DAY, 0, *range(0, 40 * DAY, DAY // 2))))
            )
    return world


def _anchor() -> Person:
    """One internal account whose rows make sure that every name occurs."""
    return Person("anchor", MONDAY, None, internal=True, plan="free", plan_set=MONDAY, seats=1, beta=True)


def anchor_acts() -> list[Act]:
    return [Act("anchor", name, MONDAY, "/pricing", 1.5, '{"kind": "x", "cost": 2}') for name in EVENTS]


def _person(rng: random.Random, name: str, company: str | None, world: World) -> Person:
    t0 = MONDAY + rng.choice((0, 0, 1, -1, 12 * 3600)) + rng.randint(-5, 25) * DAY
    return Person(
        name,
        t0,
        company,
        internal=rng.random() < 0.08,
        known=rng.random() < 0.9,
        plan=rng.choice(PLANS),
        plan_set=rng.choice((None, t0, t0 + _offset(rng))),
        seats=rng.choice((None, 1, 5, 10)),
        beta=rng.choice((None, True, False)),
    )


def _offset(rng: random.Random) -> int:
    """Often on the edges of a day, where windows begin and end."""
    return rng.randint(-1, 26) * DAY + rng.choice((0, 0, 0, -1, 1, 43_200))


def _act(rng: random.Random, person: Person, at: int, event: str | None = None) -> Act:
    props = rng.choice((None, '{"kind": "x"}', '{"kind": "y", "cost": 2}', '{"cost": 2.5, "kind": null}'))
    return Act(person.id, event or rng.choice(EVENTS), at, rng.choice(PAGES), rng.choice((None, 1.5, 3.0)), props)


def random_deal(rng: random.Random, person: Person, closed: int) -> Deal:
    to_user, to_company = rng.choice(((True, True), (True, False), (False, True)))
    return Deal(
        person.id if to_user or person.company is None else None,
        person.company if to_company else None,
        rng.choice((None, closed - 5 * DAY)),
        closed,
        rng.random() < 0.7,
    )


def with_future(rng: random.Random, world: World, cut_of: dict[str, int]) -> World:
    """The world plus anything from each person's cut on: events known and unheard of, deals, and later colleagues."""
    later = replace(world, people=list(world.people), acts=list(world.acts), deals=list(world.deals))
    for person in world.people[1:]:
        cut = cut_of[person.id]
        for _ in range(rng.randint(1, 6)):
            at = cut + rng.choice((0, 0, 1, DAY, rng.randint(0, 30 * DAY)))
            later.acts.append(_act(rng, person, at, rng.choice((*EVENTS, "surprise"))))
        if rng.random() < 0.5:
            later.deals.append(random_deal(rng, person, cut + rng.choice((0, 1, rng.randint(0, 40 * DAY)))))
    for company in sorted(world.sizes):
        cut = max(cut_of[person.id] for person in world.people if person.company == company)
        colleague = Person(f"late-{company}", cut + rng.choice((0, 1, DAY)), company, known=False, plan="free")
        later.people.append(colleague)
        later.acts += [_act(rng, colleague, colleague.t0 + _offset(rng)) for _ in range(3)]
    return later


# --- random definitions


def random_condition(rng: random.Random, longest: int | None, depth: int = 0) -> dict[str, Any]:
    """A tree of up to three levels; with ``longest`` every event has a window of at most so many days."""
    if depth < 2 and rng.random() < (0.8 if depth == 0 else 0.3):
        kind = rng.choice(("all", "any", "none", "not"))
        if kind == "not":
            return {"not": random_condition(rng, longest, depth + 1)}
        return {kind: [random_condition(rng, longest, depth + 1) for _ in range(rng.randint(1, 3))]}
    return _property(rng) if rng.random() < 0.2 else _event(rng, longest)


def _event(rng: random.Random, longest: int | None) -> dict[str, Any]:
    op = rng.choice(("completed", "not completed", "count >=", "count <=", "active days >=", "active weeks >="))
    leaf: dict[str, Any] = {"event": rng.choice(EVENTS), "op": op}
    if op.startswith("active") and rng.random() < 0.5:
        leaf["event"] = "*"
    if op.startswith(("count", "active")):
        leaf["value"] = rng.randint(0 if op == "count <=" else 1, 3)
    windows = [days for days in (0.5, 1, 2, 3, 7, 10, 15) if longest is None or days <= longest]
    if longest is not None or rng.random() < 0.7:
        leaf["within_days"] = rng.choice(windows)
    if rng.random() < 0.35:
        leaf["where"] = [rng.choice(_FILTERS)]
    return leaf


_FILTERS: tuple[dict[str, Any], ...] = (
    {"property": "page_path", "op": "=", "value": "/pricing"},
    {"property": "page_path", "op": "!=", "value": "/pricing"},
    {"property": "page_path", "op": "contains", "value": "DOCS"},
    {"property": "amount", "op": ">=", "value": 2},
    {"property": "properties.kind", "op": "in list", "value": ["x", "z"]},
    {"property": "properties.cost", "op": "between", "value": [1, 2]},
)


def _property(rng: random.Random) -> dict[str, Any]:
    return rng.choice(
        (
            {"property": "plan", "op": "=", "value": "free"},
            {"property": "plan", "op": "!=", "value": "free"},
            {"property": "plan", "op": "contains", "value": "tEA"},
            {"property": "seats", "op": ">", "value": 1},
            {"property": "seats", "op": "in list", "value": [5, 10]},
            {"property": "company_size", "op": "between", "value": [50, 500]},
            {"property": "beta", "op": "!=", "value": True},
        )
    )


def rollups(rng: random.Random) -> dict[str, Any]:
    return rng.choice(({"kind": "any"}, {"kind": "count", "value": 2}, {"kind": "share", "value": 0.5}))
