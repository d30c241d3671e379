from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beton.model.unit_facts import MOST_ID
from layouts.routes import (
    BASE_PATH,
    EVIDENCE,
    IDENTIFIER,
    LIFTS,
    MOST_CHARACTERS,
    STATUSES,
    THRESHOLDS,
    Page,
    Route,
    SignalFilter,
    href,
    parse,
)

STRANGE_IDS = [
    ".", "..", "~", "~~", "~.", "/", "//", "../x", "a/b", "a%2Fb", "%", "%2e", "?run=1", "#x", " ", "\x00", "\n", "+",
    "'; DROP TABLE users; --", "<script>alert(1)</script>", "javascript:alert(1)", "ann@acme.example", "ünï",
    "\U0001f600",
]  # fmt: skip
names = st.from_regex(IDENTIFIER, fullmatch=True)
users = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=MOST_ID) | st.sampled_from(STRANGE_IDS)
filters = st.builds(
    SignalFilter,
    status=st.sampled_from(["", *STATUSES]),
    lift=st.sampled_from(["", *LIFTS]),
    source=st.text(max_size=MOST_CHARACTERS),
    evidence=st.sampled_from(["", *EVIDENCE]),
    thresholds=st.sampled_from(["", *THRESHOLDS]),
    q=st.text(max_size=MOST_CHARACTERS),
)
routes = st.one_of(
    st.sampled_from(
        [page for page in Page if page not in (Page.NOT_FOUND, Page.SIGNAL, Page.RUN, Page.USER, Page.ACCOUNT)]
    ).map(Route),
    st.builds(Route, st.just(Page.SIGNAL), signal_id=names),
    st.builds(Route, st.just(Page.RUN), run_id=names),
    st.builds(Route, st.just(Page.SIGNALS), filter=filters),
    st.builds(Route, st.sampled_from([Page.USER, Page.ACCOUNT]), unit_id=users),
    st.builds(Route, st.just(Page.PLAYBOOK), signal_id=st.none() | names),
    st.builds(
        Route,
        st.just(Page.BACKTEST),
        signal_id=st.none() | names,
        run_id=st.none() | names,
        copy_id=st.none() | names,
    ),
)


@pytest.fixture(params=["/", "/apps/beton/"])
def base(request: pytest.FixtureRequest) -> Iterator[str]:
    token = BASE_PATH.set(request.param)
    yield request.param
    BASE_PATH.reset(token)


@given(route=routes, prefix=st.sampled_from(["/", "/apps/beton/"]))
def test_parse_undoes_href(route: Route, prefix: str) -> None:
    token = BASE_PATH.set(prefix)
    try:
        pathname, _, search = href(route).partition("?")
        assert pathname.startswith(prefix)
        assert parse(pathname, f"?{search}") == route
    finally:
        BASE_PATH.reset(token)


@pytest.mark.parametrize("path", ["nope", "signals/a/b", "signals/", "signals/%3Cb%3E", "settings/x", "../etc"])
def test_unknown_addresses_are_not_found_and_remember_what_was_asked(base: str, path: str) -> None:
    if path == "signals/":
        assert parse(base + path).page is Page.SIGNALS
        return
    route = parse(base + path)
    assert (route.page, route.path) == (Page.NOT_FOUND, f"/{path}")
    assert parse(href(route)) == route
    assert not href(Route(Page.NOT_FOUND, path="//evil.example")).startswith("//")


def test_an_address_outside_the_prefix_is_not_found() -> None:
    token = BASE_PATH.set("/apps/beton/")
    assert parse("/signals").page is Page.NOT_FOUND
    assert parse("/apps/betonite").page is Page.NOT_FOUND
    assert parse("/apps/beton").page is Page.DASHBOARD
    BASE_PATH.reset(token)


def test_unknown_or_unusable_query_keys_are_ignored() -> None:
    assert parse("/backtest", "?run=r1&utm_source=mail&signal=<b>") == Route(Page.BACKTEST, run_id="r1")
    assert parse("/settings", "?run=r1") == Route(Page.SETTINGS)
    assert parse(None, None) == Route(Page.DASHBOARD)


def test_a_filtered_list_has_an_address_and_unknown_values_are_ignored() -> None:
    chosen = SignalFilter(status="enabled", lift="2", source="PostHog", q="pricing")
    assert href(Route(Page.SIGNALS, filter=chosen)) == "/signals?status=enabled&lift=2&source=PostHog&q=pricing"
    unknown = "?status=asleep&lift=9&evidence=9&thresholds=Maybe&q=a+b&page=3"
    assert parse("/signals", unknown).filter == SignalFilter(q="a b")
    assert parse("/signals", f"?lift=3&q={'x' * (MOST_CHARACTERS + 1)}").filter == SignalFilter(lift="3")
    assert parse("/backtest", "?status=enabled") == Route(Page.BACKTEST)
    assert parse("/backtest", "?copy=r1&run=../x") == Route(Page.BACKTEST, copy_id="r1")


@pytest.mark.parametrize("user_id", STRANGE_IDS)
def test_an_id_is_one_harmless_segment_of_the_address(user_id: str) -> None:
    address = href(Route(Page.USER, unit_id=user_id))
    segment = address.removeprefix("/users/")
    assert not set(segment) - set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~%")
    assert segment not in (".", "..")  # a browser would walk up, however they are written
    assert parse(address) == parse(f"{address}/") == Route(Page.USER, unit_id=user_id)


@pytest.mark.parametrize(
    "path", ["/users", "/users/", "/accounts/", "/users/~", "/users/a/b", "/users/%ff", f"/users/{'x' * (MOST_ID + 1)}"]
)
def test_what_is_no_id_is_not_found(path: str) -> None:
    assert parse(path).page is Page.NOT_FOUND


def test_the_playbook_form_has_an_address_with_and_without_a_signal() -> None:
    assert href(Route(Page.PLAYBOOK, signal_id="sig_001")) == "/playbooks/new?signal=sig_001"
    assert href(Route(Page.PLAYBOOK)) == "/playbooks/new"
    assert parse("/playbooks/new", "?signal=<b>") == Route(Page.PLAYBOOK)
    assert parse("/playbooks", "?signal=sig_001") == Route(Page.PLAYBOOKS)
