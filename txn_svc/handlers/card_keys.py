"""Keys of card data as operators end them: none that anything is still to be read with."""

from __future__ import annotations

from chassis.errors import ResourceMissing
from chassis.ids import Kid
from chassis.keystore.keys import KeyInUse, KeyUnknown
from txn_svc.cards.card_keys import CardKeys
from txn_svc.domain.card_key import CardKeyInUse
from txn_svc.store.envelopes import EnvelopeStore


class CardKeyHandlers:
    """The use cases of keys of card data."""

    def __init__(self, store: EnvelopeStore, keys: CardKeys) -> None:
        self._store = store
        self._keys = keys

    async def count_rows(self) -> dict[Kid, int]:
        """Return how many rows of the database each key reads, of those that read any."""
        return await self._store.count_by_key()

    async def retire(self, kid: Kid) -> None:
        """Destroy a retiring key that reads no row any more.

        It makes nothing new for an hour by then, so no row follows. Raises ResourceMissing,
        CardKeyInUse, KeyStoreUnavailable.
        """
        rows = (await self._store.count_by_key()).get(kid, 0)
        if rows:
            raise CardKeyInUse(f"{rows} rows are still read with {kid}")
        try:
            await self._keys.retire(kid)
        except KeyUnknown:
            raise ResourceMissing("No such key.", param="kid") from None
        except KeyInUse as needed:
            raise CardKeyInUse(str(needed)) from None
