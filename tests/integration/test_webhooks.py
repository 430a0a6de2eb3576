"""Deliveries on a real PostgreSQL, sent over real HTTP to receivers on loopback."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from aiohttp import web
from standardwebhooks.webhooks import Webhook

from chassis.database import Database
from chassis.errors import DomainError, IdempotencyKeyReused
from chassis.idempotency import Keyed
from chassis.ids import new_merchant_id
from chassis.paging import Page
from chassis.sealing import Sealer
from tests.integration.conftest import DatabaseServer
from tests.integration.settings import database_and_settings
from tests.integration.webhook_parts import Receiver, Webhooks, a_record, webhooks_on
from webhook_svc.dialing import connector
from webhook_svc.dispatcher import Dispatcher
from webhook_svc.domain.delivery import DeliveryStatus
from webhook_svc.domain.endpoint import EndpointStatus
from webhook_svc.handlers import Change, ReplayWish
from webhook_svc.sender import Sender

pytestmark = pytest.mark.integration


@pytest.fixture
async def database(postgres: DatabaseServer, tls: Path) -> AsyncIterator[Database]:
    made, _ = await database_and_settings(postgres.database("webhook"), tls)
    yield made
    await made.close()


@pytest.fixture
async def webhooks(database: Database, tls: Path) -> AsyncIterator[Webhooks]:
    async with webhooks_on(database, Sealer.from_file(tls / "master.key")) as made:
        yield made


@pytest.fixture
async def receivers() -> AsyncIterator[Callable[[], Receiver]]:
    app = web.Application()
    made: list[Receiver] = []
    runner = web.AppRunner(app)

    async def take(request: web.Request) -> web.Response:
        return await made[int(request.match_info["number"])].take(request)

    app.router.add_post("/{number}", take)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()

    def make() -> Receiver:
        made.append(Receiver(f"http://127.0.0.1:{runner.addresses[0][1]}/{len(made)}"))
        return made[-1]

    yield make
    await runner.cleanup()


async def test_a_delivery_arrives_signed_and_is_logged(
    webhooks: Webhooks, receivers: Callable[[], Receiver]
) -> None:
    receiver = receivers()
    endpoint, secret = await webhooks.endpoint(receiver.url)

    [event_id] = await webhooks.happen()
    assert await webhooks.send() == 1

    [(headers, body)] = receiver.got
    assert Webhook(secret).verify(body, headers)["id"] == event_id
    assert headers["webhook-id"] == event_id
    [delivery] = await webhooks.deliveries(endpoint)
    assert delivery.status is DeliveryStatus.SUCCEEDED
    [made] = delivery.tries
    assert (made.http_status, made.error, made.response) == (200, None, "saidso")


async def test_what_waits_is_counted_and_how_long_it_has_been_due(
    webhooks: Webhooks, receivers: Callable[[], Receiver]
) -> None:
    receiver = receivers()
    receiver.statuses = [500]
    await webhooks.endpoint(receiver.url)

    before = await webhooks.queue.backlog(webhooks.clock.now())
    await webhooks.happen(count=3)
    webhooks.clock.move(40)
    waiting = await webhooks.queue.backlog(webhooks.clock.now())
    await webhooks.send()
    after = await webhooks.queue.backlog(webhooks.clock.now())

    assert (before, waiting) == ((0, 0.0), (3, 40.0))
    assert after == (1, 0.0)  # one is to be tried again, later


async def test_an_event_that_comes_twice_is_delivered_once(
    webhooks: Webhooks, receivers: Callable[[], Receiver]
) -> None:
    receiver = receivers()
    await webhooks.endpoint(receiver.url)
    record = a_record(webhooks.caller.merchant_id, "payment.created")

    await webhooks.consumer.handle([record])
    await webhooks.consumer.handle([record])
    await webhooks.send()

    assert len(receiver.got) == 1


async def test_only_subscribed_events_of_the_own_merchant_arrive(
    webhooks: Webhooks, receivers: Callable[[], Receiver]
) -> None:
    receiver = receivers()
    await webhooks.endpoint(receiver.url, "payment.succeeded")

    await webhooks.happen("payment.created")
    await webhooks.happen("payment.succeeded")
    await webhooks.consumer.handle([a_record(new_merchant_id(), "payment.succeeded")])
    await webhooks.send()

    assert [json.loads(body)["type"] for _, body in receiver.got] == ["payment.succeeded"]


@pytest.mark.parametrize("status", [500, 301, 404])
async def test_what_is_not_2xx_is_tried_again_on_schedule_with_the_same_id(
    webhooks: Webhooks, receivers: Callable[[], Receiver], status: int
) -> None:
    receiver = receivers()
    receiver.statuses = [status, status]
    endpoint, _ = await webhooks.endpoint(receiver.url)
    await webhooks.happen()
    await webhooks.send()

    assert await webhooks.send(is_retry=True) == 0
    webhooks.clock.move(6.1)
    assert await webhooks.send(is_retry=True) == 1
    webhooks.clock.move(6.1)
    assert await webhooks.send(is_retry=True) == 0
    webhooks.clock.move(25)
    assert await webhooks.send(is_retry=True) == 1

    [delivery] = await webhooks.deliveries(endpoint)
    assert delivery.status is DeliveryStatus.SUCCEEDED
    assert [made.http_status for made in delivery.tries] == [status, status, 200]
    assert len({headers["webhook-id"] for headers, _ in receiver.got}) == 1


async def test_three_days_of_failures_exhaust_a_delivery(
    webhooks: Webhooks, receivers: Callable[[], Receiver]
) -> None:
    receiver = receivers()
    receiver.statuses = [500] * 100
    endpoint, _ = await webhooks.endpoint(receiver.url)
    await webhooks.happen()
    await webhooks.send()

    for _ in range(100):
        webhooks.clock.move(4400)
        await webhooks.send(is_retry=True)

    [delivery] = await webhooks.deliveries(endpoint)
    assert delivery.status is DeliveryStatus.EXHAUSTED
    assert 55 <= len(receiver.got) <= 76


async def test_an_endpoint_that_is_gone_is_disabled_and_gets_nothing_more(
    webhooks: Webhooks, receivers: Callable[[], Receiver]
) -> None:
    receiver = receivers()
    receiver.statuses = [410]
    endpoint, _ = await webhooks.endpoint(receiver.url)
    await webhooks.happen()
    await webhooks.send()

    await webhooks.happen()
    await webhooks.send()

    assert len(receiver.got) == 1
    found = await webhooks.handlers.get(webhooks.caller, endpoint.id)
    assert found.status is EndpointStatus.DISABLED


async def test_a_slow_endpoint_does_not_delay_another(
    webhooks: Webhooks, receivers: Callable[[], Receiver]
) -> None:
    slow, quick = receivers(), receivers()
    slow.delay_s = 3
    await webhooks.endpoint(slow.url)
    await webhooks.happen(count=300)
    await webhooks.endpoint(quick.url)
    await webhooks.happen(count=5)
    dispatcher = Dispatcher(webhooks.queue, webhooks.sender, webhooks.clock, is_retry=False)

    await dispatcher.start()
    for _ in range(100):
        if len(quick.got) == 5:
            break
        await asyncio.sleep(0.02)
    seen_by_slow = len(slow.got)
    slow.delay_s = 0
    await dispatcher.stop()

    assert len(quick.got) == 5
    assert seen_by_slow <= 8


async def test_a_lease_that_is_over_lets_another_send_and_the_first_settle_nothing(
    webhooks: Webhooks, receivers: Callable[[], Receiver]
) -> None:
    receiver = receivers()
    endpoint, _ = await webhooks.endpoint(receiver.url)
    await webhooks.happen()
    claim = {"is_retry": False, "limit": 10, "per_endpoint": 8, "busy": []}

    [lost] = await webhooks.queue.claim(webhooks.clock.now(), **claim)  # type: ignore[arg-type]
    assert await webhooks.send() == 0
    webhooks.clock.move(46)
    assert await webhooks.send() == 1
    late = Dispatcher(webhooks.queue, webhooks.sender, webhooks.clock, is_retry=False)
    await late.deliver(lost)

    [delivery] = await webhooks.deliveries(endpoint)
    assert delivery.status is DeliveryStatus.SUCCEEDED
    assert {headers["webhook-id"] for headers, _ in receiver.got} == {delivery.event_id}


async def test_while_a_secret_rotates_both_sign_and_then_only_the_new_one(
    webhooks: Webhooks, receivers: Callable[[], Receiver]
) -> None:
    receiver = receivers()
    endpoint, old = await webhooks.endpoint(receiver.url)
    async with webhooks.store.transaction() as tx:
        _, new = await webhooks.handlers.rotate_secret(tx, webhooks.caller, endpoint.id, 60)
    await webhooks.happen()
    await webhooks.send()
    webhooks.clock.move(61)
    await webhooks.happen()
    await webhooks.send()

    counts = [len(headers["webhook-signature"].split(" ")) for headers, _ in receiver.got]
    assert counts == [2, 1]
    for secret in (old, new):
        Webhook(secret).verify(receiver.got[0][1], receiver.got[0][0])


async def test_a_replay_sends_again_what_was_sent(
    webhooks: Webhooks, receivers: Callable[[], Receiver]
) -> None:
    receiver = receivers()
    endpoint, _ = await webhooks.endpoint(receiver.url)
    [event_id, other] = await webhooks.happen(count=2)
    await webhooks.send()

    async with webhooks.store.transaction() as tx:
        count = await webhooks.handlers.replay(
            tx, webhooks.caller, endpoint.id, ReplayWish(event_id, None, None)
        )
    await webhooks.send()

    assert count == 1
    ids = [headers["webhook-id"] for headers, _ in receiver.got]
    assert (ids.count(event_id), ids.count(other)) == (2, 1)


async def test_a_disabled_endpoint_gets_nothing_of_what_waits(
    webhooks: Webhooks, receivers: Callable[[], Receiver]
) -> None:
    receiver = receivers()
    endpoint, _ = await webhooks.endpoint(receiver.url)
    await webhooks.happen()

    await webhooks.handlers.update(
        webhooks.caller, endpoint.id, Change(None, (), None, EndpointStatus.DISABLED)
    )
    await webhooks.send()

    assert receiver.got == []
    [delivery] = await webhooks.deliveries(endpoint)
    assert delivery.status is DeliveryStatus.CANCELED


async def test_a_private_address_is_never_called(
    webhooks: Webhooks, receivers: Callable[[], Receiver]
) -> None:
    receiver = receivers()
    endpoint, _ = await webhooks.endpoint(receiver.url)
    named, _ = await webhooks.endpoint(receiver.url.replace("127.0.0.1", "localhost"))
    await webhooks.happen()
    guarded = Sender(webhooks.clock, connector(allows_private=False), allows_private=False)
    dispatcher = Dispatcher(webhooks.queue, guarded, webhooks.clock, is_retry=False)

    await dispatcher.work()
    await dispatcher.finish()
    await guarded.close()

    assert receiver.got == []
    for place in (endpoint, named):
        [delivery] = await webhooks.deliveries(place)
        assert [made.error for made in delivery.tries] == ["blocked_address"]


async def test_a_key_makes_one_endpoint_and_is_refused_for_another(
    webhooks: Webhooks, receivers: Callable[[], Receiver]
) -> None:
    url = receivers().url

    async def act(tx: object) -> bytes:
        endpoint, _ = await webhooks.handlers.create(tx, webhooks.caller, url, ("*",), None)  # type: ignore[arg-type]
        return endpoint.id.encode()

    answers = await asyncio.gather(
        *(webhooks.handlers.once(webhooks.caller, Keyed("k", b"1"), act) for _ in range(5))
    )
    with pytest.raises(IdempotencyKeyReused):
        await webhooks.handlers.once(webhooks.caller, Keyed("k", b"2"), act)

    assert len({answer for answer, _ in answers}) == 1
    assert sorted(is_replay for _, is_replay in answers) == [False, True, True, True, True]
    listed, _ = await webhooks.handlers.page(webhooks.caller, Page(100))
    assert len(listed) == 1


async def test_the_seventeenth_endpoint_is_refused(
    webhooks: Webhooks, receivers: Callable[[], Receiver]
) -> None:
    url = receivers().url
    for _ in range(16):
        await webhooks.endpoint(url)

    with pytest.raises(DomainError) as refused:
        await webhooks.endpoint(url)

    assert refused.value.reason == "WEBHOOK_ENDPOINT_LIMIT_REACHED"
