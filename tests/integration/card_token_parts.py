"""Two processes of txn_svc with the keys of card data, and browsers that encrypt to them."""

from __future__ import annotations

import json
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from chassis.database import Database
from chassis.identity import Caller
from chassis.ids import CardTokenId, PaymentIntentId, new_id
from chassis.keystore.file import FileKeyStore
from tests.fakes import FakeClock
from tests.integration.network_parts import Simulator
from tests.integration.txn_parts import (
    MASTER_KEY,
    NETWORK,
    PAN,
    FakeIntents,
    TxnProcess,
    a_client_secret,
    a_transaction,
    a_wish,
)
from tests.jose import Sender
from txn_svc.clients import IntentClient
from txn_svc.domain.card import CardFields
from txn_svc.domain.card_token import CardToken
from txn_svc.domain.transaction import Transaction
from txn_svc.handlers.attempts import AttemptHandlers
from txn_svc.handlers.card_tokens import CardTokenHandlers, CardTokenWish
from txn_svc.handlers.charges import ChargeHandlers, ChargeWish
from txn_svc.networks.pool import NetworkPool
from txn_svc.store.charges import Beginning

CVC = "123"
HASH = b"1" * 32
HOLD_TOKEN = """
insert into transactions (merchant_id, id, mode, payment_intent_id, idempotency_key, request_hash,
    status, card_brand, card_last4, card_exp_month, card_exp_year, card_bin, card_fingerprint,
    card_fingerprint_kid, card_token, created)
values (:merchant_id, 'txn_held', 'test', 'pi_1', 'held', decode(repeat('00', 32), 'hex'),
    'pending', 'visa', '4242', 12, 2034, '424242', repeat('f', 43), 'kid_1', :token, now())
"""
HOLD_NONCE = "insert into card_nonces (nonce, until) values (:nonce, now())"


@dataclass(frozen=True, slots=True)
class Browsing:
    """Two processes over one network, one neighbour's intents, and one merchant's customers."""

    caller: Caller
    intents: FakeIntents
    network: Simulator
    process: TxnProcess
    tokens: CardTokenHandlers
    resolver: AttemptHandlers
    charges: ChargeHandlers
    other: TxnProcess
    other_tokens: CardTokenHandlers
    other_charges: ChargeHandlers

    @property
    def database(self) -> Database:
        """The database of both."""
        return self.process.database

    def move(self, seconds: float) -> None:
        """Let time pass for both processes."""
        self.process.clock.move(seconds)
        self.other.clock.move(seconds)

    def intent_id(self) -> PaymentIntentId:
        """Return the id of a new intent."""
        return PaymentIntentId(new_id("pi", self.caller.merchant_id))

    async def wish(
        self, intent_id: str, nonce: str | None = None, *, age_s: int = 0
    ) -> CardTokenWish:
        """Return what a browser sends for a card that it encrypted so long ago."""
        [public] = await self.tokens.public_keys()
        plain = {
            "number": PAN,
            "exp_month": 12,
            "exp_year": 2034,
            "cvc": CVC,
            "iat": int(self.process.clock.now().timestamp()) - age_s,
            "nonce": nonce or str(uuid.uuid4()),
        }
        encrypted = ".".join(Sender(public).encrypt(json.dumps(plain).encode()))
        return CardTokenWish(intent_id, a_client_secret(intent_id), encrypted)

    async def token(self, intent_id: str, caller: Caller | None = None) -> CardToken:
        """Return a new token for an intent."""
        return await self.tokens.create(caller or self.caller, await self.wish(intent_id))

    async def begun(self, token: CardToken, key: str = "key-1") -> Transaction:
        """Return the transaction that used a token up, and whose process died then."""
        transaction = replace(
            a_transaction(self.caller, token.payment_intent_id),
            mode=token.mode,
            card_token=token.id,
            created=int(self.process.clock.now().timestamp()),
        )
        beginning = Beginning(transaction, key, HASH)
        assert await self.process.store.beginnings.submit(beginning) is None
        return transaction

    async def rows(self, *token_ids: str) -> Sequence[str]:
        """Return which of these tokens are there."""
        sql = "select id from card_tokens where id = any(%(ids)s) order by id"
        return [row["id"] for row in await self.database.fetch(sql, ids=list(token_ids))]

    async def sent(self) -> int:
        """Return how many of the merchant's attempts stand in the issuers' books."""
        rrns = {row["rrn"] for row in await self.process.attempts(self.caller)}
        return len([row for row in await self.network.ledger() if row["rrn"] in rrns])


@asynccontextmanager
async def browsing(
    databases: Sequence[Database],
    simulator: Simulator,
    pool: NetworkPool,
    keys_file: Path,
    caller: Caller,
) -> AsyncIterator[Browsing]:
    """Lend two processes that share a key store, at the time that ids are made at."""
    intents, clock = FakeIntents(), FakeClock(datetime.now(UTC))
    FileKeyStore(keys_file, MASTER_KEY, clock).create_missing()
    process, other = (TxnProcess(each, FakeClock(clock.now()), keys_file) for each in databases)
    async with intents.served() as channel:
        client = IntentClient(channel)
        yield Browsing(
            caller,
            intents,
            simulator,
            process,
            process.tokens(client),
            process.resolver(client, {NETWORK: pool}),
            process.handlers(channel, {NETWORK: pool}),
            other,
            other.tokens(client),
            other.handlers(channel, {NETWORK: pool}),
        )
    for one in (process, other):
        await one.card_keys.close()


def a_token_wish(
    token: CardToken | str, key: str = "key-1", intent_id: str | None = None, body: bytes = HASH
) -> ChargeWish:
    """Return the wish to charge a token, for its own intent unless another is named."""
    if isinstance(token, CardToken):
        token_id, intent_id = token.id, intent_id or token.payment_intent_id
    else:
        token_id = CardTokenId(token)
    assert intent_id is not None
    nothing = CardFields(None, None, None, None)
    return replace(a_wish(intent_id), token=token_id, card=nothing, key=key, request_hash=body)
