"""What is done with the keys of card data, in a thread of its own: an HSM takes milliseconds.

The store runs one call after the other anyway, so one thread does, and each hop to it takes along
all that waits. What waits is bounded: over a store that is too slow, callers are told to come back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from chassis.batching import Coalescer
from chassis.clock import Clock
from chassis.errors import DomainError
from chassis.ids import Kid
from chassis.keystore.keys import KeyInfo, KeyUnknown, SealBroken
from chassis.keystore.store import KeyStore, PublicKey
from txn_svc.cards.envelope import Envelope, Keeping, Kept, keep_card, open_pan, rewrap
from txn_svc.cards.token import NewToken, SealedCard, Sealing, open_card, seal_card
from txn_svc.domain.card import Card, Pan

Item = TypeVar("Item")
Result = TypeVar("Result")

ITEMS_MAX = 16  # a few milliseconds of an HSM
WAITING_MAX = 1000


class CardKeys:
    """Encrypted cards become sealed tokens, tokens cards, and cards what is kept of them."""

    def __init__(self, keys: KeyStore[Any], clock: Clock) -> None:
        self._keys = keys
        self._clock = clock
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="card-keys")
        self.sealings: Coalescer[Sealing, NewToken] = Coalescer(
            "cards.seal", self._seal, items_max=ITEMS_MAX, waiting_max=WAITING_MAX
        )
        self.openings: Coalescer[SealedCard, Card] = Coalescer(
            "cards.open", self._open, items_max=ITEMS_MAX, waiting_max=WAITING_MAX
        )
        self.keepings: Coalescer[Keeping, Kept] = Coalescer(
            "cards.keep", self._keep, items_max=ITEMS_MAX, waiting_max=WAITING_MAX
        )

    async def public_keys(self) -> list[PublicKey]:
        """Return what cards are to be encrypted to. Raises KeyStoreUnavailable."""
        return await self._in_thread(self._keys.public_keys)

    async def pan(self, envelope: Envelope) -> Pan:
        """Return a kept card number. Raises KeyStoreUnavailable; KeyUnknown, SealBroken."""
        return await self._in_thread(lambda: open_pan(envelope, self._keys))

    async def rewrap(self, envelopes: Sequence[Envelope]) -> list[Envelope | None]:
        """Return new envelopes under the current key; None for one that can't be opened.

        Raises KeyStoreUnavailable.
        """
        return await self._in_thread(lambda: [_rewrapped(one, self._keys) for one in envelopes])

    async def list_keys(self) -> list[KeyInfo]:
        """Return every key that exists. Raises KeyStoreUnavailable."""
        return await self._in_thread(self._keys.list_keys)

    async def retire(self, kid: Kid) -> None:
        """Destroy a key. Raises KeyStoreUnavailable; KeyUnknown, KeyInUse."""
        await self._in_thread(lambda: self._keys.retire(kid))

    async def close(self) -> None:
        """Finish what was begun, and let the store go."""
        for coalescer in (self.sealings, self.openings, self.keepings):
            await coalescer.close()
        self._thread.shutdown()
        self._keys.close()

    async def _seal(self, items: Sequence[Sealing]) -> Sequence[NewToken | DomainError]:
        now = self._clock.now()
        return await self._in_thread(
            lambda: _each(lambda item: seal_card(item, self._keys, now), items)
        )

    async def _open(self, items: Sequence[SealedCard]) -> Sequence[Card | DomainError]:
        return await self._in_thread(lambda: _each(lambda item: open_card(item, self._keys), items))

    async def _keep(self, items: Sequence[Keeping]) -> Sequence[Kept | DomainError]:
        return await self._in_thread(lambda: _each(lambda item: keep_card(item, self._keys), items))

    async def _in_thread(self, work: Callable[[], Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)


def _each(work: Callable[[Item], Result], items: Sequence[Item]) -> list[Result | DomainError]:
    verdicts: list[Result | DomainError] = []
    for item in items:
        try:
            verdicts.append(work(item))
        except DomainError as refused:
            verdicts.append(refused)
    return verdicts


def _rewrapped(envelope: Envelope, keys: KeyStore[Any]) -> Envelope | None:
    try:
        return rewrap(envelope, keys)
    except (KeyUnknown, SealBroken):
        return None
