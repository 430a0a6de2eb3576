"""API keys: how long they are remembered, what they may do, from where."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product

import pytest

from chassis.errors import DomainError, ServiceUnavailable
from chassis.ids import KeyId, MerchantId
from edge.authz.domain.key import (
    Access,
    ApiKey,
    IpAddressNotAllowed,
    KeyNotPermitted,
    KeyStatus,
    Resource,
    check_networks,
    check_rights,
)
from edge.authz.keys import KeyCache, LastUses
from edge.authz.routes import ROUTES, Route, find_route
from edge.authz.store.checks import SecretKey

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
KEY = ApiKey(KeyId("key_1"), MerchantId("mer_1"), "test", "pk_test_1", "1234", NOW)


class Keys:
    """The table of keys, and a clock of seconds: counts how often it is read."""

    def __init__(self) -> None:
        self.at_s = 1000.0
        self.stored: dict[str, SecretKey] = {KEY.publishable_key: SecretKey(KEY, b"sk")}
        self.reads = 0
        self.reading_takes_s = 0.0

    def monotonic(self) -> float:
        """Return the time."""
        return self.at_s

    async def read(self, publishable_key: str) -> SecretKey | None:
        """Return what stood there when the reading began."""
        self.reads += 1
        found = self.stored.get(publishable_key)
        self.at_s += self.reading_takes_s
        return found

    def revoke(self) -> None:
        """End the key."""
        self.stored[KEY.publishable_key] = SecretKey(replace(KEY, expires=NOW, revoked=NOW), b"sk")


async def _is_taken(cache: KeyCache, publishable_key: str = KEY.publishable_key) -> bool:
    found = await cache.find(publishable_key)
    return found is not None and found.api_key.is_in_force(NOW)


async def test_every_process_knows_of_a_revocation_two_seconds_later() -> None:
    keys = Keys()
    processes = [KeyCache(keys.read, keys.monotonic) for _ in range(3)]
    for process in processes:
        assert await _is_taken(process)

    keys.revoke()
    keys.at_s += 2.0

    assert not any([await _is_taken(process) for process in processes])


async def test_a_slow_reading_prolongs_nothing() -> None:
    keys = Keys()
    keys.reading_takes_s = 1.5
    cache = KeyCache(keys.read, keys.monotonic)
    await cache.find(KEY.publishable_key)
    keys.revoke()  # just after the reading had begun, which is 1.5 seconds ago by now

    keys.at_s += 0.5

    assert not await _is_taken(cache)


async def test_a_key_is_read_once_in_two_seconds_whoever_asks() -> None:
    keys = Keys()
    cache = KeyCache(keys.read, keys.monotonic)

    for _ in range(100):
        assert await _is_taken(cache)
        keys.at_s += 0.1

    assert keys.reads == 5


async def test_an_unknown_key_is_remembered_no_longer_than_another() -> None:
    keys = Keys()
    del keys.stored[KEY.publishable_key]
    cache = KeyCache(keys.read, keys.monotonic)
    assert not await _is_taken(cache)
    assert not await _is_taken(cache)
    assert keys.reads == 1

    keys.stored[KEY.publishable_key] = SecretKey(KEY, b"sk")
    keys.at_s += 2.0

    assert await _is_taken(cache)


async def test_last_uses_are_written_together_and_once() -> None:
    written: list[Mapping[KeyId, datetime]] = []
    last_uses = LastUses(_noting(written))
    for second, name in enumerate(["key_1", "key_2", "key_1"]):
        last_uses.note(KeyId(name), NOW + timedelta(seconds=second))

    await last_uses.flush()
    await last_uses.flush()

    later, between = NOW + timedelta(seconds=2), NOW + timedelta(seconds=1)
    assert written == [{"key_1": later, "key_2": between}]


async def test_last_uses_are_kept_while_the_database_is_away() -> None:
    written: list[Mapping[KeyId, datetime]] = []
    away = asyncio.Event()
    away.set()
    last_uses = LastUses(_noting(written, away))
    last_uses.note(KeyId("key_1"), NOW)
    with pytest.raises(ServiceUnavailable):
        await last_uses.flush()
    last_uses.note(KeyId("key_2"), NOW)

    away.clear()
    await last_uses.flush()

    assert written == [{"key_1": NOW, "key_2": NOW}]


def _noting(
    written: list[Mapping[KeyId, datetime]], away: asyncio.Event | None = None
) -> Callable[[Mapping[KeyId, datetime]], Awaitable[None]]:
    async def write(last_uses: Mapping[KeyId, datetime]) -> None:
        if away is not None and away.is_set():
            raise ServiceUnavailable
        written.append(last_uses)

    return write


@pytest.mark.parametrize(
    ("expires_s", "is_revoked", "status"),
    [
        (None, False, KeyStatus.ACTIVE),
        (1, False, KeyStatus.EXPIRING),
        (0, False, KeyStatus.EXPIRED),
        (0, True, KeyStatus.REVOKED),
    ],
)
def test_the_status_follows_from_the_times(
    expires_s: int | None, is_revoked: bool, status: KeyStatus
) -> None:
    expires = None if expires_s is None else NOW + timedelta(seconds=expires_s)
    key = replace(KEY, expires=expires, revoked=NOW if is_revoked else None)

    assert key.status(NOW) is status
    assert key.is_in_force(NOW) == (status in {KeyStatus.ACTIVE, KeyStatus.EXPIRING})


def test_every_call_takes_a_right_on_its_resource() -> None:
    needed = {(route.resource, route.access, route.method, route.path.pattern) for route in ROUTES}

    assert {resource for resource, *_ in needed} == set(Resource)
    for resource, access, method, path in needed:
        assert (access is Access.READ) == (method == "GET"), path
        expected = path.split("/")[1].replace("-", "_")
        if "/transactions" in path:
            expected = "transactions"
        if path == "/card-encryption-keys":
            expected = "card_tokens"  # a token is made with them
        assert resource == expected, path


@pytest.mark.parametrize(
    ("route", "granted"), list(product(ROUTES, [None, Access.READ, Access.READ_WRITE]))
)
def test_a_call_passes_by_the_right_on_its_own_resource_alone(
    route: Route, granted: Access | None
) -> None:
    others = dict.fromkeys(set(Resource) - {route.resource}, Access.READ_WRITE)
    own = {} if granted is None else {route.resource: granted}
    key = replace(KEY, rights=others | own)
    is_enough = granted is Access.READ_WRITE or granted is route.access

    if is_enough:
        key.check_right(route.resource, route.access)
    else:
        with pytest.raises(KeyNotPermitted):
            key.check_right(route.resource, route.access)


def test_a_key_without_limits_may_do_everything_from_anywhere() -> None:
    KEY.check_address("")
    for route in ROUTES:
        KEY.check_right(route.resource, route.access)


def test_replays_and_secrets_of_webhooks_are_writes() -> None:
    for name in ("rotate-secret", "replay"):
        assert find_route("POST", f"/webhook-endpoints/we_1/{name}").access is Access.READ_WRITE


@pytest.mark.parametrize(
    ("cidrs", "address", "passes"),
    [
        (["203.0.113.0/24"], "203.0.113.7", True),
        (["203.0.113.0/24"], "203.0.114.7", False),
        (["203.0.113.7"], "203.0.113.7", True),
        (["203.0.113.7"], "203.0.113.8", False),
        (["203.0.113.0/24"], "::ffff:203.0.113.7", True),
        (["2001:db8::/32"], "2001:db8:1::7", True),
        (["2001:db8::/32"], "2001:db9::7", False),
        (["2001:db8::/32", "203.0.113.0/24"], "203.0.113.7", True),
        (["0.0.0.0/0"], "2001:db8::7", False),
        (["::/0"], "203.0.113.7", False),
        (["::/0"], "::ffff:203.0.113.7", False),
        (["0.0.0.0/0"], "", False),
        (["0.0.0.0/0"], "203.0.113.7, 10.0.0.1", False),
        (["0.0.0.0/0"], "203.0.113.7:4711", False),
        (["0.0.0.0/0"], "localhost", False),
    ],
)
def test_an_address_passes_only_in_a_network_of_the_key(
    cidrs: list[str], address: str, passes: bool
) -> None:
    key = replace(KEY, networks=check_networks(cidrs))

    if passes:
        key.check_address(address)
    else:
        with pytest.raises(IpAddressNotAllowed):
            key.check_address(address)


@pytest.mark.parametrize(
    ("cidrs", "reason", "param"),
    [
        ([], "PARAMETER_MISSING", "networks.cidrs"),
        (["203.0.113.0/24"] * 33, "PARAMETER_INVALID", "networks.cidrs"),
        *(
            (["10.0.0.0/8", bad], "PARAMETER_INVALID", "networks.cidrs[1]")
            for bad in (
                *("", "office", "10.0.0.1/8", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/08", " ::1"),
                *("10.0.0.0/255.0.0.0", "010.0.0.0/8", "1", "0x0a000000/8", "::1/129", "::1\0"),
                *("fe80::1%eth0", "::ffff:10.0.0.1", "::ffff:10.0.0.0/104", "10.0.0.0/8/8"),
            )
        ),
    ],
)
def test_a_bad_network_is_named(cidrs: list[str], reason: str, param: str) -> None:
    with pytest.raises(DomainError) as refused:
        check_networks(cidrs)

    assert (refused.value.reason, refused.value.param) == (reason, param)
    assert param in refused.value.message


@pytest.mark.parametrize(
    ("permissions", "reason", "param"),
    [
        ([], "PARAMETER_MISSING", "rights.permissions"),
        ([("refunds", "read")], "PARAMETER_INVALID", "rights.permissions[0].resource"),
        ([("unspecified", "read")], "PARAMETER_INVALID", "rights.permissions[0].resource"),
        ([("events", "write")], "PARAMETER_INVALID", "rights.permissions[0].access"),
        (
            [("events", "read"), ("events", "read_write")],
            "PARAMETER_INVALID",
            "rights.permissions[1].resource",
        ),
    ],
)
def test_a_bad_right_is_named(permissions: list[tuple[str, str]], reason: str, param: str) -> None:
    with pytest.raises(DomainError) as refused:
        check_rights(permissions)

    assert (refused.value.reason, refused.value.param) == (reason, param)
    assert param in refused.value.message
