"""Idempotency keys in PostgreSQL: what each was used for, and what that was answered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from chassis.batching import Coalescer
from chassis.database import Database
from chassis.ids import MerchantId
from intent_svc.store.items import Key
from intent_svc.store.statements import ANSWER, READ_KEYS


@dataclass(frozen=True, slots=True)
class Used:
    """What a key was used for. response: None while that has no answer yet."""

    request_hash: bytes
    response: bytes | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class LateAnswer:
    """The answer to what a key was used for before the answer was known."""

    merchant_id: MerchantId
    mode: str
    key: str
    response: bytes = field(repr=False)

    @property
    def owned(self) -> Key:
        """Return what the key is found by."""
        return self.merchant_id, self.mode, self.key


class KeyStore:
    """Reads keys, and answers those that were written without an answer."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.answers: Coalescer[LateAnswer, bytes] = Coalescer("intent.answer", self._answer)

    async def find(self, keys: Sequence[Key]) -> dict[Key, Used]:
        """Return what these keys were used for, those that were."""
        if not keys:
            return {}
        rows = await self._database.run_batch(
            READ_KEYS,
            [{"merchant_id": owner, "mode": mode, "key": key} for owner, mode, key in set(keys)],
        )
        return {
            (row["merchant_id"], row["mode"], row["key"]): Used(
                row["request_hash"], row["response"]
            )
            for row in rows
        }

    async def _answer(self, items: Sequence[LateAnswer]) -> list[bytes]:
        """Write the answers; return what the keys are answered, which others may have written."""
        first: dict[Key, bytes] = {}
        for item in items:
            first.setdefault(item.owned, item.response)
        rows = await self._database.run_batch(
            ANSWER,
            [
                {"merchant_id": owner, "mode": mode, "key": key, "response": response}
                for (owner, mode, key), response in sorted(first.items())
            ],
        )
        answers = {(row["merchant_id"], row["mode"], row["key"]): row["response"] for row in rows}
        return [answers[item.owned] for item in items]
