"""How API keys live, on a real PostgreSQL: rolled, restricted, revoked, and who did it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from paymesh.merchant.v1 import (
    api_key_rights_pb2,
    merchant_service_pb2,
    merchant_service_pb2_grpc,
    mode_pb2,
)

from chassis.database import Database
from chassis.errors import ResourceMissing, from_rpc_error
from chassis.sealing import Sealer
from edge.authz.domain.key import (
    Access,
    ApiKeyNotInForce,
    KeyAction,
    KeyStatus,
    Resource,
)
from edge.authz.handlers import Limits, MerchantHandlers, NewKey
from edge.authz.keys import LastUses
from edge.authz.store.checks import CheckStore
from edge.authz.store.keys import ApiKeyStore
from edge.authz.store.merchants import MerchantStore
from tests.fakes import FakeClock
from tests.integration.authz_client import OPERATOR, Authz
from tests.integration.conftest import DatabaseServer
from tests.integration.settings import database_and_settings

pytestmark = pytest.mark.integration

EVENTS_ONLY = Limits([("events", "read")], ["203.0.113.0/24", "2001:db8::7"])
REQUESTED = "ben@paymesh.example"


@dataclass(frozen=True, slots=True)
class Platform:
    """The use cases of keys, on one database and one clock."""

    database: Database
    keys: ApiKeyStore
    checks: CheckStore
    handlers: MerchantHandlers
    clock: FakeClock

    async def new_key(self, limits: Limits | None = None) -> NewKey:
        """Make a pair of keys of a new merchant."""
        merchant = await self.handlers.create_merchant("Lemon Shop", "gb", "5411", None)
        return await self.handlers.create_key(merchant.id, "test", limits or Limits(), OPERATOR)

    async def status(self, made: NewKey) -> KeyStatus:
        """Return where a key stands."""
        return (await self.keys.key(made.api_key.id)).status(self.clock.now())


@pytest.fixture
async def platform(postgres: DatabaseServer, tls: Path) -> AsyncIterator[Platform]:
    database, _ = await database_and_settings(postgres.database("authz"), tls)
    clock = FakeClock()
    sealer = Sealer.from_file(tls / "master.key")
    keys, checks = ApiKeyStore(database, sealer), CheckStore(database, sealer, clock)
    handlers = MerchantHandlers(MerchantStore(database, sealer), keys, clock)
    yield Platform(database, keys, checks, handlers, clock)
    await checks.close()
    await database.close()


async def test_a_rolled_key_expires_when_the_overlap_is_over(platform: Platform) -> None:
    old = await platform.new_key()

    new = await platform.handlers.roll_key(old.api_key.id, 60, OPERATOR)
    during = [await platform.status(key) for key in (old, new)]
    platform.clock.move(60)
    after = [await platform.status(key) for key in (old, new)]

    assert during == [KeyStatus.EXPIRING, KeyStatus.ACTIVE]
    assert after == [KeyStatus.EXPIRED, KeyStatus.ACTIVE]
    assert new.api_key.merchant_id == old.api_key.merchant_id
    assert new.secret_key != old.secret_key


async def test_without_an_overlap_the_old_key_ends_at_once(platform: Platform) -> None:
    old = await platform.new_key()

    await platform.handlers.roll_key(old.api_key.id, 0, OPERATOR)

    assert await platform.status(old) is KeyStatus.EXPIRED


async def test_a_second_roll_never_lets_the_old_key_live_longer(platform: Platform) -> None:
    old = await platform.new_key()

    await platform.handlers.roll_key(old.api_key.id, 60, OPERATOR)
    await platform.handlers.roll_key(old.api_key.id, 3600, OPERATOR)

    found = await platform.keys.key(old.api_key.id)
    assert found.expires == platform.clock.now() + timedelta(seconds=60)


async def test_the_new_key_of_a_roll_has_the_limits_of_the_old_one(platform: Platform) -> None:
    old = await platform.new_key(EVENTS_ONLY)

    new = await platform.handlers.roll_key(old.api_key.id, None, OPERATOR)
    read = await platform.checks.keys.submit(new.api_key.publishable_key)

    assert read is not None
    assert read.secret.decode() == new.secret_key
    assert read.api_key == new.api_key
    assert read.api_key.rights == {Resource.EVENTS: Access.READ}
    assert [str(network) for network in read.api_key.networks or ()] == [
        "203.0.113.0/24",
        "2001:db8::7/128",
    ]


async def test_a_restriction_leaves_what_is_not_given(platform: Platform) -> None:
    made = await platform.new_key(EVENTS_ONLY)

    await platform.handlers.restrict_key(
        made.api_key.id, Limits(permissions=[("transactions", "read_write")]), OPERATOR
    )
    await platform.handlers.restrict_key(made.api_key.id, Limits(cidrs=["10.0.0.0/8"]), OPERATOR)

    found = await platform.keys.key(made.api_key.id)
    assert found.rights == {Resource.TRANSACTIONS: Access.READ_WRITE}
    assert [str(network) for network in found.networks or ()] == ["10.0.0.0/8"]


@pytest.mark.parametrize("is_revoked", [True, False])
async def test_a_key_that_has_ended_is_neither_rolled_nor_restricted(
    platform: Platform, is_revoked: bool
) -> None:
    made = await platform.new_key()
    key_id = made.api_key.id
    if is_revoked:
        await platform.handlers.revoke_key(key_id, OPERATOR)
    else:
        await platform.handlers.roll_key(key_id, 0, OPERATOR)
    before = await platform.handlers.list_changes(made.api_key.merchant_id, None, 100)

    with pytest.raises(ApiKeyNotInForce):
        await platform.handlers.roll_key(key_id, 60, OPERATOR)
    with pytest.raises(ApiKeyNotInForce):
        await platform.handlers.restrict_key(key_id, EVENTS_ONLY, OPERATOR)

    assert await platform.handlers.list_changes(made.api_key.merchant_id, None, 100) == before


@pytest.mark.parametrize("merchant_or_key", ["mer_x", "key_x", ""])
async def test_what_does_not_exist_is_missing(platform: Platform, merchant_or_key: str) -> None:
    acts: list[Callable[[], Awaitable[object]]] = [
        lambda: platform.handlers.create_key(merchant_or_key, "test", Limits(), OPERATOR),
        lambda: platform.handlers.list_keys(merchant_or_key),
        lambda: platform.handlers.list_changes(merchant_or_key, None, 10),
        lambda: platform.handlers.roll_key(merchant_or_key, 0, OPERATOR),
        lambda: platform.handlers.revoke_key(merchant_or_key, OPERATOR),
        lambda: platform.handlers.restrict_key(merchant_or_key, EVENTS_ONLY, OPERATOR),
    ]

    for act in acts:
        with pytest.raises(ResourceMissing):
            await act()


async def test_every_change_is_told_with_who_asked_for_it(platform: Platform) -> None:
    made = await platform.new_key()
    key_id, merchant_id = made.api_key.id, made.api_key.merchant_id
    await platform.handlers.restrict_key(key_id, EVENTS_ONLY, REQUESTED)
    platform.clock.move(60)
    new = await platform.handlers.roll_key(key_id, 3600, OPERATOR)
    platform.clock.move(60)
    await platform.handlers.revoke_key(key_id, REQUESTED)

    changes, has_more = await platform.handlers.list_changes(merchant_id, None, 100)

    told = [(change.action, change.key_id, change.requested_by) for change in changes]
    assert told == [
        (KeyAction.REVOKED, key_id, REQUESTED),
        (KeyAction.CREATED, new.api_key.id, OPERATOR),
        (KeyAction.ROLLED, key_id, OPERATOR),
        (KeyAction.RESTRICTED, key_id, REQUESTED),
        (KeyAction.CREATED, key_id, OPERATOR),
    ]
    assert not has_more
    revoked, created, rolled, restricted, first = changes
    assert revoked.expires == revoked.created == platform.clock.now()
    assert rolled.expires == rolled.created + timedelta(seconds=3600)
    assert (rolled.other_key_id, created.other_key_id) == (new.api_key.id, key_id)
    assert first.rights is None
    assert {change.rights == {Resource.EVENTS: Access.READ} for change in changes[:-1]} == {True}
    assert restricted.networks == created.networks == list(EVENTS_ONLY.networks() or ())


async def test_changes_come_in_pages(platform: Platform) -> None:
    made = await platform.new_key()
    for _ in range(4):
        await platform.handlers.restrict_key(made.api_key.id, EVENTS_ONLY, OPERATOR)
    merchant_id = made.api_key.merchant_id
    everything, _ = await platform.handlers.list_changes(merchant_id, None, 100)

    first, has_more = await platform.handlers.list_changes(merchant_id, None, 3)
    rest, has_still_more = await platform.handlers.list_changes(merchant_id, first[-1].number, 3)

    assert first + rest == everything
    assert (len(everything), has_more, has_still_more) == (5, True, False)


async def test_of_many_revocations_at_once_one_is_a_change(platform: Platform) -> None:
    made = await platform.new_key()

    ended = await asyncio.gather(
        *(platform.handlers.revoke_key(made.api_key.id, OPERATOR) for _ in range(10))
    )

    assert len({key.expires for key in ended}) == 1
    changes, _ = await platform.handlers.list_changes(made.api_key.merchant_id, None, 100)
    assert [change.action for change in changes] == [KeyAction.REVOKED, KeyAction.CREATED]


async def test_no_table_holds_a_secret_in_the_clear(platform: Platform) -> None:
    made = await platform.new_key(EVENTS_ONLY)
    new = await platform.handlers.roll_key(made.api_key.id, 60, OPERATOR)

    rows = [
        row["text"]
        for table in ("api_keys", "api_key_changes")
        for row in await platform.database.fetch(f"select t::text as text from {table} t")  # noqa: S608
    ]

    assert len(rows) == 2 + 3
    for secret in (made.secret_key, new.secret_key):
        for row in rows:
            assert secret not in row
            assert secret.encode().hex() not in row


async def test_the_last_use_is_written_once_and_never_goes_back(platform: Platform) -> None:
    made, unused = await platform.new_key(), await platform.new_key()
    now = platform.clock.now()
    processes = [LastUses(platform.checks.write_last_uses) for _ in range(2)]
    processes[0].note(made.api_key.id, now + timedelta(seconds=5))
    processes[1].note(made.api_key.id, now)

    for process in processes:
        await process.flush()

    found = await platform.keys.key(made.api_key.id)
    assert found.last_used == now + timedelta(seconds=5)
    assert (await platform.keys.key(unused.api_key.id)).last_used is None


RIGHTS = api_key_rights_pb2.ApiKeyRights
PERMISSION = api_key_rights_pb2.ApiKeyPermission
NETWORKS = api_key_rights_pb2.ApiKeyNetworks


@pytest.mark.parametrize(
    ("rpc", "changed", "reason", "param"),
    [
        ("CreateApiKey", {"mode": 0}, "PARAMETER_MISSING", "mode"),
        ("CreateApiKey", {"requested_by": ""}, "PARAMETER_MISSING", "requestedBy"),
        ("CreateApiKey", {"requested_by": "a" * 141}, "PARAMETER_INVALID", "requestedBy"),
        ("CreateApiKey", {"rights": RIGHTS()}, "PARAMETER_MISSING", "rights.permissions"),
        (
            "CreateApiKey",
            {"networks": NETWORKS(cidrs=["::1", "10.0.0.1/8"])},
            "PARAMETER_INVALID",
            "networks.cidrs[1]",
        ),
        ("RollApiKey", {"overlap_in_seconds": 604_801}, "PARAMETER_INVALID", "overlapInSeconds"),
        ("RollApiKey", {"overlap_in_seconds": -1}, "PARAMETER_INVALID", "overlapInSeconds"),
        ("RollApiKey", {"requested_by": " "}, "PARAMETER_MISSING", "requestedBy"),
        ("RevokeApiKey", {"requested_by": ""}, "PARAMETER_MISSING", "requestedBy"),
        ("RestrictApiKey", {}, "PARAMETER_MISSING", "rights"),
        ("RestrictApiKey", {"networks": NETWORKS()}, "PARAMETER_MISSING", "networks.cidrs"),
        (
            "RestrictApiKey",
            {"rights": RIGHTS(permissions=[PERMISSION(resource=9, access=1)])},  # type: ignore[arg-type]
            "PARAMETER_INVALID",
            "rights.permissions[0].resource",
        ),
        (
            "RestrictApiKey",
            {"rights": RIGHTS(permissions=[PERMISSION(resource=4)])},  # type: ignore[arg-type]
            "PARAMETER_INVALID",
            "rights.permissions[0].access",
        ),
        ("ListApiKeyChanges", {"limit": 101}, "PARAMETER_INVALID", "limit"),
    ],
)
async def test_bad_input_names_the_field(
    authz: Authz, rpc: str, changed: dict[str, Any], reason: str, param: str
) -> None:
    keys = await authz.new_keys()
    request = getattr(merchant_service_pb2, f"{rpc}Request")()
    given = {
        "merchant_id": keys.merchant_id,
        "mode": mode_pb2.ModeEnum.test,
        "api_key_id": keys.id,
        "requested_by": OPERATOR,
    } | changed
    named = {
        name: value for name, value in given.items() if name in request.DESCRIPTOR.fields_by_name
    }

    async with authz.operator() as channel:
        stub: Any = merchant_service_pb2_grpc.MerchantServiceStub(channel)
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await getattr(stub, rpc)(type(request)(**named), timeout=5)

    error = from_rpc_error(refused.value)
    assert (error.reason, error.param) == (reason, param)


async def test_keys_are_listed_masked_with_their_state_and_limits(authz: Authz) -> None:
    keys = await authz.new_keys(
        rights=RIGHTS(permissions=[PERMISSION(resource="events", access="read")]),
        networks=["203.0.113.0/24"],
    )
    status = merchant_service_pb2.ApiKeyStatusEnum

    async with authz.operator() as channel:
        stub: Any = merchant_service_pb2_grpc.MerchantServiceStub(channel)
        await stub.RevokeApiKey(
            merchant_service_pb2.RevokeApiKeyRequest(api_key_id=keys.id, requested_by=OPERATOR),
            timeout=5,
        )
        listed = await stub.ListApiKeys(
            merchant_service_pb2.ListApiKeysRequest(merchant_id=keys.merchant_id), timeout=5
        )
        told = await stub.ListApiKeyChanges(
            merchant_service_pb2.ListApiKeyChangesRequest(merchant_id=keys.merchant_id), timeout=5
        )

    [key] = listed.api_keys
    assert (key.publishable_key, key.secret_last4) == (keys.publishable, keys.secret[-4:])
    assert (key.status, key.HasField("last_used")) == (status.revoked, False)
    assert str(key.rights) == str(
        RIGHTS(permissions=[PERMISSION(resource="events", access="read")])
    )
    assert list(key.networks.cidrs) == ["203.0.113.0/24"]
    assert [change.requested_by for change in told.changes] == [OPERATOR] * 2
    assert keys.secret not in f"{listed}{told}"
