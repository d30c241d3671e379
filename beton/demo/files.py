"""The raw files as an analytics tool and a CRM would export them, and the mapping that explains them to Beton."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from beton.demo import names
from beton.demo.behaviour import EVENTS, FEATURES, PAGES, Events
from beton.demo.deals import NEVER_S, STAGES, Deals
from beton.demo.model import Flags, Ints, Rng
from beton.demo.people import NO_COMPANY, People
from beton.demo.signals import Signal
from beton.demo.sizes import CompanySize

ROLES = ("analyst", "engineer", "product manager", "founder", "marketer", "other")
COUNTRIES = ("US", "GB", "DE", "FR", "NL", "CA", "SE", "ES", "IN", "AU", "BR", "JP")
COUNTRY_SHARES = (0.36, 0.12, 0.1, 0.07, 0.06, 0.06, 0.04, 0.05, 0.05, 0.04, 0.03, 0.02)
REFERRERS = ("search", "direct", "friend", "social", "newsletter", "partner", "event")
FREE_PLANS, PAID_PLANS = ("free", "trial"), ("team", "business", "enterprise")
BROWSERS = ("Chrome", "Safari", "Firefox", "Edge")
BROWSER_SHARES = (0.62, 0.2, 0.1, 0.08)
# E-mail addresses as typed by sales: share in capitals, capitalised, with stray blanks.
UNTIDY = (0.06, 0.04, 0.03)

MAPPING: dict[str, Any] = {
    "version": 1,
    "name": names.WORKSPACE,
    "demo": True,
    "currency": "USD",
    "time_zone": "UTC",
    "data_end": "2025-01-01T00:00:00Z",
    "outcomes_since": "2024-01-01",
    "tables": {
        "users": {
            "file": "users.parquet",
            "columns": {
                "user_id": "id",
                "email": "email",
                "company_id": "company",
                "signed_up_at": "signed_up_at",
                "plan": "plan",
                "role": "role",
                "country": "country",
            },
            "properties": ["referrer"],
            "set_at": {"plan": "plan_changed_at"},
            "internal": {"email_domains": [names.INTERNAL_DOMAIN], "column": "is_test"},
        },
        "companies": {
            "file": "companies.parquet",
            "columns": {
                "company_id": "id",
                "name": "name",
                "domain": "domain",
                "company_size": "company_size",
                "industry": "industry",
                "country": "country",
            },
        },
        "contacts": {
            "file": "contacts.parquet",
            "columns": {"contact_id": "id", "email": "email", "company_id": "company"},
        },
        "events": {
            "file": "events.parquet",
            "columns": {
                "user_id": "user_id",
                "event": "event",
                "timestamp": "timestamp",
                "page_path": "page_path",
            },
            "properties": ["feature", "browser"],
        },
        "deals": {
            "file": "deals.parquet",
            "columns": {
                "deal_id": "id",
                "company_id": "company",
                "user_id": "user",
                "amount": "amount",
                "currency": "currency",
                "stage": "stage",
                "created_at": "created_at",
                "closed_at": "closed_at",
            },
            "won": {"column": "stage", "values": ["Closed Won"]},
        },
    },
}


def write_people(directory: Path, rng: Rng, people: People, won_s: Ints, size: CompanySize) -> None:
    """users, companies and contacts. ``won_s``: per user, when the account bought (epoch s, or far future)."""
    company_names, industries = names.company_names(rng, len(people.companies.size))
    domains = [names.domain_of(name) for name in company_names]
    persons, emails = _identities(rng, people, domains)
    users = people.users
    is_customer, plan = _plans(rng, users.t0_s, won_s)
    _write(
        directory / "users.parquet",
        {
            "id": _ids("u", np.arange(len(emails))),
            "email": pa.array(emails),
            "company": _ids("c", users.company),
            "signed_up_at": _times(users.t0_s),
            "plan": plan,
            "plan_changed_at": _times(np.where(is_customer, np.maximum(won_s, users.t0_s), users.t0_s)),
            "role": _words(ROLES, rng.integers(0, len(ROLES), len(emails))),
            "country": _words(COUNTRIES, rng.choice(len(COUNTRIES), len(emails), p=COUNTRY_SHARES)),
            "referrer": _words(REFERRERS, rng.integers(0, len(REFERRERS), len(emails))),
            "is_test": pa.array(users.is_test),
        },
    )
    n = len(company_names)
    _write(
        directory / "companies.parquet",
        {
            "id": _ids("c", np.arange(n)),
            "name": pa.array(company_names),
            "domain": pa.array(domains),
            "company_size": pa.array(people.companies.size.astype(np.int32)),
            "industry": _words(names.INDUSTRIES, industries),
            "country": _words(COUNTRIES, rng.choice(len(COUNTRIES), n, p=COUNTRY_SHARES)),
        },
    )
    _write_contacts(directory, rng, people, persons, emails, domains, size)


def _identities(rng: Rng, people: People, domains: list[str]) -> tuple[list[tuple[str, str]], list[str]]:
    users = people.users
    persons = names.person_names(rng, len(users.t0_s))
    private = rng.integers(0, len(names.PRIVATE_DOMAINS), len(persons)).tolist()
    of_user = [
        domains[company] if company != NO_COMPANY else names.PRIVATE_DOMAINS[private[i]]
        for i, company in enumerate(users.company.tolist())
    ]
    for user in np.flatnonzero(users.is_internal).tolist():
        of_user[user] = names.INTERNAL_DOMAIN
    for user in np.flatnonzero(users.is_test).tolist():
        of_user[user] = names.TEST_DOMAIN
    return persons, names.addresses(persons, of_user)


def _plans(rng: Rng, t0_s: Ints, won_s: Ints) -> tuple[Flags, pa.DictionaryArray]:
    """The plan as of the end of the year: a paid one for customers, so it leaks unless its date is heeded."""
    is_customer: Flags = won_s < NEVER_S
    free = rng.integers(0, len(FREE_PLANS), len(t0_s))
    paid = len(FREE_PLANS) + rng.integers(0, len(PAID_PLANS), len(t0_s))
    return is_customer, _words((*FREE_PLANS, *PAID_PLANS), np.where(is_customer, paid, free))


def _write_contacts(
    directory: Path,
    rng: Rng,
    people: People,
    persons: list[tuple[str, str]],
    emails: list[str],
    domains: list[str],
    size: CompanySize,
) -> None:
    """Every matched user, plus people at companies without users; e-mail addresses as untidy as in real life."""
    matched = np.flatnonzero(people.users.is_matched).tolist()
    only_crm = size.contacts - len(matched)
    strangers = names.person_names(rng, only_crm)
    employer = people.companies.first_crm_only + np.arange(only_crm) % people.companies.crm_only
    addresses = [emails[user] for user in matched]
    addresses += names.addresses(strangers, [domains[company] for company in employer.tolist()])
    company = np.concatenate([people.users.company[matched], employer])
    people_named = [persons[user] for user in matched] + strangers
    order = rng.permutation(len(addresses))
    style = np.searchsorted(np.cumsum(UNTIDY), rng.random(len(order)), side="right").tolist()
    untidy = (str.upper, str.title, lambda text: f" {text} ", str)
    _write(
        directory / "contacts.parquet",
        {
            "id": _ids("p", np.arange(len(order))),
            "email": pa.array([untidy[style[i]](addresses[i]) for i in order.tolist()]),
            "full_name": pa.array([" ".join(people_named[i]).title() for i in order.tolist()]),
            "company": _ids("c", company[order]),
        },
    )


def write_deals(directory: Path, deals: Deals) -> None:
    """Won, lost and open deals."""
    n = len(deals.company)
    _write(
        directory / "deals.parquet",
        {
            "id": _ids("d", np.arange(n)),
            "company": _ids("c", deals.company),
            "user": _ids("u", deals.user),
            "amount": pa.array(deals.amount_usd.astype(np.float64)),
            "currency": _words(("USD",), np.zeros(n, np.int64)),
            "stage": _words(STAGES, deals.stage),
            "created_at": _times(deals.created_s),
            "closed_at": _times(deals.closed_s, known=deals.closed_s >= 0),
        },
    )


def write_events(directory: Path, rng: Rng, events: Events, users: int) -> None:
    """Every event in order of time."""
    browser = rng.choice(len(BROWSERS), users, p=BROWSER_SHARES)
    is_pageview = events.event == EVENTS.index("pageview")
    _write(
        directory / "events.parquet",
        {
            "user_id": pa.DictionaryArray.from_arrays(pa.array(events.user), _ids("u", np.arange(users))),
            "event": _words(EVENTS, events.event),
            "timestamp": _times(events.at_s),
            "page_path": _words(PAGES, events.page),
            "feature": _words(FEATURES, events.feature),
            "browser": _words(BROWSERS, np.where(is_pageview, browser[events.user], -1)),
        },
    )


def write_texts(directory: Path, truth: dict[str, Any], folders: dict[str, Sequence[Signal]]) -> None:
    """mapping.yaml, truth.json and one YAML file per signal."""
    (directory / "mapping.yaml").write_text(_yaml(MAPPING), encoding="utf-8")
    (directory / "truth.json").write_text(json.dumps(truth, indent=2) + "\n", encoding="utf-8")
    for folder, signals in folders.items():
        (directory / folder).mkdir(exist_ok=True)
        for number, signal in enumerate(signals, start=1):
            path = directory / folder / f"{number:02d}-{signal.slug()}.yaml"
            path.write_text(_yaml(signal.document()), encoding="utf-8")


def _yaml(document: dict[str, Any]) -> str:
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=100)


def _write(path: Path, columns: dict[str, Any]) -> None:
    table = pa.table(columns)
    pq.write_table(table, path, compression="zstd", row_group_size=500_000)


def _ids(prefix: str, numbers: Ints) -> pa.Array:
    """``u_000001`` and so on; null for -1."""
    return pa.array([f"{prefix}_{n + 1:06d}" if n >= 0 else None for n in numbers.tolist()], pa.string())


def _words(vocabulary: Sequence[str], codes: Any) -> pa.DictionaryArray:
    """Texts by code; null for -1."""
    codes = np.asarray(codes)
    return pa.DictionaryArray.from_arrays(pa.array(codes.astype(np.int8), mask=codes < 0), pa.array(vocabulary))


def _times(epoch_s: Ints, known: Any = None) -> pa.Array:
    """UTC times in microseconds without a zone; null where ``known`` is false."""
    mask = None if known is None else ~known
    return pa.array((epoch_s * 1_000_000).astype("datetime64[us]"), mask=mask)
