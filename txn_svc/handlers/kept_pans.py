"""The numbers of cards whose charges are open: found for a message, swept when over, rewrapped."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from datetime import timedelta

from opentelemetry import metrics

from chassis.clock import Clock
from chassis.ids import Kid
from chassis.keystore.keys import KeyUnknown, Purpose, SealBroken, State
from chassis.networks import NetworkRules
from txn_svc.cards.card_keys import ITEMS_MAX, CardKeys
from txn_svc.cards.envelope import Envelope, Owner
from txn_svc.domain.attempt import Attempt
from txn_svc.domain.card import Pan
from txn_svc.store.envelopes import EnvelopeStore, Seen

LOG = logging.getLogger(__name__)
PAGE_ROWS = 500
REVERSED_WITHIN = timedelta(days=1)  # a hold that lapsed; longer than that a person looks at it

_meter = metrics.get_meter("paymesh")
oldest_envelope = _meter.create_gauge(
    "paymesh_oldest_card_envelope",
    unit="s",
    description="Age of the oldest card number that is kept for an open charge.",
)
stale_envelopes = _meter.create_gauge(
    "paymesh_stale_card_envelopes",
    unit="{row}",
    description="Card numbers that were kept longer than any charge may be open.",
)


def open_max(rules: Iterable[NetworkRules]) -> timedelta:
    """Return how long a charge may be open: the longest hold, and the time to release it."""
    held_h = max((rule.capture_deadline_h for rule in rules), default=0)
    return timedelta(hours=held_h) + REVERSED_WITHIN


class KeptPans:
    """Finds kept card numbers and sees to it that none stays.

    age_max: how long a charge may be open, see `open_max`.
    """

    def __init__(
        self, store: EnvelopeStore, keys: CardKeys, clock: Clock, age_max: timedelta
    ) -> None:
        self._store = store
        self._keys = keys
        self._clock = clock
        self._age_max = age_max
        self._after: Owner | None = None
        self._oldest = timedelta()
        self._stale = 0

    async def find(self, attempt: Attempt) -> Pan | None:
        """Return the number of the card that an attempt is about, for a message that follows.

        None when it is not kept any more or can't be read: a message goes without it then, and what
        it undoes or claims is named by its other elements. Raises ServiceUnavailable.
        """
        owner = Owner(attempt.merchant_id, attempt.transaction_id)
        envelope = await self._store.reads.submit(owner)
        if envelope is None:
            LOG.warning("a message goes without its card", extra={"attempt_id": attempt.id})
            return None
        try:
            return await self._keys.pan(envelope)
        except (KeyUnknown, SealBroken):
            LOG.error(  # noqa: TRY400 the reason is in the type, and a trace says no more
                "a kept card can't be read",
                extra={"attempt_id": attempt.id, "kid": envelope.wrapped.kid},
            )
            return None

    async def sweep(self) -> None:
        """Go on through the table by a page, and tell what a whole round has found at its end."""
        page = await self._store.sweep(self._after, PAGE_ROWS)
        for seen in page:
            self._look_at(seen)
        if len(page) == PAGE_ROWS:
            self._after = page[-1].owner
            return
        oldest_envelope.set(self._oldest.total_seconds())
        stale_envelopes.set(self._stale)
        self._after, self._oldest, self._stale = None, timedelta(), 0

    async def rewrap(self) -> int:
        """Renew every envelope that a retiring key wraps; return how many were looked at."""
        looked_at = 0
        for info in await self._keys.list_keys():
            if (info.purpose, info.state) == (Purpose.PAN_ENVELOPE, State.RETIRING):
                looked_at += await self._rewrap(info.kid)
        return looked_at

    async def _rewrap(self, kid: Kid) -> int:
        after, number = None, 0
        while page := await self._store.rewrap(kid, after, ITEMS_MAX, self._renew):
            after, number = page[-1], number + len(page)
        if number:
            LOG.info("card envelopes are rewrapped", extra={"kid": kid, "rows": number})
        return number

    async def _renew(self, envelopes: Sequence[Envelope]) -> Sequence[Envelope | None]:
        renewed = await self._keys.rewrap(envelopes)
        for old, new in zip(envelopes, renewed, strict=True):
            if new is None:
                about = {"transaction_id": old.owner.transaction_id, "kid": old.wrapped.kid}
                LOG.error("a card envelope can't be rewrapped", extra=about)
        return renewed

    def _look_at(self, seen: Seen) -> None:
        age = self._clock.now() - seen.created
        is_stale = not seen.was_expected if seen.is_shredded else age > self._age_max
        if is_stale:
            self._stale += 1
            LOG.error(
                "a card number was kept too long",
                extra={
                    "transaction_id": seen.owner.transaction_id,
                    "age_s": int(age.total_seconds()),
                    "is_shredded": seen.is_shredded,
                },
            )
        if not seen.is_shredded:
            self._oldest = max(self._oldest, age)
