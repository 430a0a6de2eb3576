"""What merchants can do with endpoints, events and deliveries, one function per use case."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial

from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.clock import Clock
from chassis.errors import ParameterInvalid, ParameterMissing, ResourceMissing
from chassis.fields import check_overlap
from chassis.idempotency import Keyed
from chassis.identity import Caller
from chassis.ids import EndpointId, is_id, new_id
from chassis.paging import Page, Period
from webhook_svc.domain import endpoint as rules
from webhook_svc.domain.delivery import Delivery, DeliveryStatus
from webhook_svc.domain.endpoint import Endpoint, EndpointStatus
from webhook_svc.domain.signature import new_secret
from webhook_svc.store.endpoints import EndpointStore

REPLAY_REACH = timedelta(days=14)

Act = Callable[[AsyncConnection], Awaitable[bytes]]


@dataclass(frozen=True, slots=True)
class Change:
    """New values for an endpoint; None leaves what is there."""

    url: str | None
    enabled_events: Sequence[str]
    description: str | None
    status: EndpointStatus | None


@dataclass(frozen=True, slots=True)
class ReplayWish:
    """Which events to send again: one, or those of a span of time."""

    event_id: str | None
    since: datetime | None
    until: datetime | None


class WebhookHandlers:
    """The use cases of webhooks."""

    def __init__(self, store: EndpointStore, clock: Clock, *, allows_private: bool) -> None:
        self._store = store
        self._clock = clock
        self._allows_private = allows_private

    async def once(self, caller: Caller, keyed: Keyed | None, act: Act) -> tuple[bytes, bool]:
        """Act in a transaction and return the answer, or the first answer of a used key."""
        async with self._store.transaction() as tx:
            if keyed is None:
                return await act(tx), False
            earlier = await self._store.use_key(tx, caller, keyed)
            if earlier is not None:
                return earlier, True
            answer = await act(tx)
            await self._store.keep_answer(tx, caller, keyed.key, answer)
            return answer, False

    async def create(
        self,
        tx: AsyncConnection,
        caller: Caller,
        url: str,
        enabled_events: Sequence[str],
        description: str | None,
    ) -> tuple[Endpoint, str]:
        """Register an endpoint and return it with its signing secret."""
        endpoint = Endpoint(
            id=EndpointId(new_id("we", caller.merchant_id)),
            merchant_id=caller.merchant_id,
            mode=caller.mode,
            url=rules.check_url(url, allows_private=self._allows_private),
            enabled_events=rules.check_events(enabled_events),
            created=self._clock.now(),
            description=rules.check_description(description),
        )
        secret = new_secret()
        await self._store.insert(tx, endpoint, secret)
        return endpoint, secret

    async def get(self, caller: Caller, endpoint_id: str) -> Endpoint:
        """Return the caller's endpoint."""
        async with self._store.transaction() as tx:
            return await self._find(tx, caller, endpoint_id)

    async def page(self, caller: Caller, page: Page) -> tuple[list[Endpoint], bool]:
        """Return a page of the caller's endpoints and whether there are more."""
        async with self._store.transaction() as tx:
            await page.check_cursor(partial(self._find, tx, caller))
            return await self._store.list_endpoints(tx, caller, page)

    async def update(self, caller: Caller, endpoint_id: str, change: Change) -> Endpoint:
        """Change what is given."""
        async with self._store.transaction() as tx:
            endpoint = await self._find(tx, caller, endpoint_id, lock=True)
            if change.url is not None:
                url = rules.check_url(change.url, allows_private=self._allows_private)
                endpoint = replace(endpoint, url=url)
            if change.enabled_events:
                names = rules.check_events(change.enabled_events)
                endpoint = replace(endpoint, enabled_events=names)
            if change.description is not None:
                description = rules.check_description(change.description)
                endpoint = replace(endpoint, description=description)
            if change.status is not None:
                endpoint = replace(endpoint, status=change.status)
            await self._store.update(tx, endpoint)
            return endpoint

    async def delete(self, caller: Caller, endpoint_id: str) -> None:
        """Delete an endpoint."""
        async with self._store.transaction() as tx:
            endpoint = await self._find(tx, caller, endpoint_id, lock=True)
            await self._store.delete(tx, endpoint)

    async def rotate_secret(
        self, tx: AsyncConnection, caller: Caller, endpoint_id: str, overlap_s: int | None
    ) -> tuple[Endpoint, str]:
        """Give an endpoint a new secret; the old one signs too until the overlap is over."""
        overlap = check_overlap(overlap_s)
        endpoint = await self._find(tx, caller, endpoint_id, lock=True)
        secret = new_secret()
        await self._store.end_secrets(tx, endpoint, self._clock.now() + overlap)
        await self._store.add_secret(tx, endpoint, secret)
        return endpoint, secret

    async def list_deliveries(
        self, caller: Caller, endpoint_id: str, page: Page, status: DeliveryStatus | None
    ) -> tuple[list[Delivery], bool]:
        """Return a page of an endpoint's deliveries and whether there are more."""
        async with self._store.transaction() as tx:
            endpoint = await self._find(tx, caller, endpoint_id)
            await page.check_cursor(partial(self._store.check_delivery, tx, endpoint))
            return await self._store.list_deliveries(tx, endpoint, page, status)

    async def replay(
        self, tx: AsyncConnection, caller: Caller, endpoint_id: str, wish: ReplayWish
    ) -> int:
        """Queue events again and return how many."""
        if wish.event_id is None and wish.since is None:
            raise ParameterMissing("eventId")
        if wish.event_id is not None and (wish.since or wish.until):
            raise ParameterInvalid("eventId can't be used with since or until.", param="eventId")
        now = self._clock.now()
        if wish.since is not None and wish.since < now - REPLAY_REACH:
            raise ParameterInvalid("since must be at most 14 days ago.", param="since")
        endpoint = await self._find(tx, caller, endpoint_id, lock=True)
        if wish.event_id is not None:
            await self._store.event_message(tx, caller, wish.event_id)
        return await self._store.replay(
            tx, endpoint, now, event_id=wish.event_id, created=Period(gte=wish.since, lt=wish.until)
        )

    async def get_event(self, caller: Caller, event_id: str) -> bytes:
        """Return an event's message."""
        async with self._store.transaction() as tx:
            return await self._store.event_message(tx, caller, event_id)

    async def list_events(
        self, caller: Caller, page: Page, created: Period, type_: str | None
    ) -> tuple[list[bytes], bool]:
        """Return a page of events' messages and whether there are more."""
        if type_ is not None and type_ not in rules.EVENT_TYPES:
            raise ParameterInvalid("There is no event type of this name.", param="type")
        async with self._store.transaction() as tx:
            await page.check_cursor(partial(self._store.event_message, tx, caller))
            return await self._store.list_events(tx, caller, page, created, type_)

    async def _find(
        self, tx: AsyncConnection, caller: Caller, endpoint_id: str, *, lock: bool = False
    ) -> Endpoint:
        if not is_id("we", endpoint_id):
            raise ResourceMissing("No such webhook endpoint.", param="webhookEndpointId")
        return await self._store.find(tx, caller, endpoint_id, lock=lock)
