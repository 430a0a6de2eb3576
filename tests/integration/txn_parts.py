"""The parts of txn_svc that decide and write, as one process holds them, and its neighbour."""

from __future__ import annotations

import atexit
import functools
import shutil
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

import grpc
from paymesh.events.v1 import attempt_event_pb2
from paymesh.intent.v1 import payment_intent_lifecycle_service_pb2 as lifecycle_pb2
from paymesh.intent.v1 import payment_intent_lifecycle_service_pb2_grpc as lifecycle_grpc
from paymesh.intent.v1 import payment_intent_pb2

from chassis.archived import ArchiveClient
from chassis.database import Database
from chassis.errors import ResourceMissing, error_details
from chassis.identity import Caller, Context
from chassis.ids import AttemptId, Kid, PaymentIntentId, TransactionId, new_id
from chassis.keystore.file import FileKeyStore
from tests.fakes import FakeClock
from tests.integration.network_parts import card_fields
from tests.integration.owner import as_owner
from txn_svc.cards.card_keys import CardKeys
from txn_svc.cards.envelope import Owner, seal_pan
from txn_svc.clients import IntentClient
from txn_svc.domain.attempt import Attempt, AttemptEvent
from txn_svc.domain.card import CardFields, Pan
from txn_svc.domain.transaction import ChargedCard, Failure, Outcome, Transaction, settle
from txn_svc.handlers.attempts import AttemptHandlers
from txn_svc.handlers.card_tokens import CardTokenHandlers
from txn_svc.handlers.charges import ChargeHandlers, ChargeWish
from txn_svc.handlers.kept_pans import KeptPans
from txn_svc.networks.pool import NetworkPool
from txn_svc.store.archived import ArchivedCharges
from txn_svc.store.attempts import AttemptStore
from txn_svc.store.card_tokens import CardTokenStore
from txn_svc.store.charges import Beginning, ChargeStore
from txn_svc.store.envelopes import EnvelopeStore
from txn_svc.store.rows import Move, Step

NETWORK = "visa_sim"
MASTER_KEY = b"m" * 32
AMOUNT_MINOR = 1099
TIMEOUT_S = 1
CREATED = 1_772_366_400
HOLD_TRANSACTION = "select from transactions where id = :id for update"
HOLD_ATTEMPT = "select from attempts where id = :id for update"
HOLD_KEY = """
insert into transactions (merchant_id, id, mode, payment_intent_id, idempotency_key, request_hash,
    status, card_brand, card_last4, card_exp_month, card_exp_year, card_bin, card_fingerprint,
    card_fingerprint_kid, created)
values (:merchant_id, 'txn_held', 'test', 'pi_1', :key, decode(repeat('00', 32), 'hex'),
    'pending', 'visa', '4242', 12, 2034, '424242', repeat('f', 43), 'kid_1', now())
"""
LEFT_BY_OTHERS = """
delete from transactions t where answered_as is null
    and not exists (select from attempts a where a.transaction_id = t.id)
"""
PAN = "4242424242424242"
CARD = ChargedCard("visa", "4242", 12, 2034, "424242", "f" * 43, Kid("kid_1"))
AGE_MAX = timedelta(hours=192)
DECLINED_CARD = CardFields("4000000000000002", 12, 2034, "123")
APPROVED = Outcome(
    AttemptEvent.APPROVE, None, "00", "123456", "trace-1", amount_approved_minor=AMOUNT_MINOR
)
DECLINED = Outcome(
    AttemptEvent.DECLINE, Failure("card_declined", "The card was declined.", "do_not_honor"), "05"
)

NOWHERE = "127.0.0.1:1"


@dataclass
class FakeIntents(lifecycle_grpc.PaymentIntentLifecycleServiceServicer):
    """intent_svc as txn_svc meets it: gives terms, refuses or is away, as it is told.

    refusal: why every claim is refused. accepts_part: whether every intent accepts a part. claims,
    told: ids of transactions in the order they came. authorized: what told outcomes say of it.
    """

    refusal: str | None = None
    is_away: bool = False
    knows_nothing: bool = False
    accepts_part: bool = False
    claims: list[str] = field(default_factory=list)
    told: list[tuple[str, int]] = field(default_factory=list)
    authorized: list[int] = field(default_factory=list)

    async def BatchBeginProcessing(  # noqa: N802 the contract's name
        self, request: lifecycle_pb2.BatchBeginProcessingRequest, context: Context
    ) -> lifecycle_pb2.BatchBeginProcessingResponse:
        """Answer claims."""
        self.claims += [item.transaction_id for item in request.items]
        await self._be_away(context)
        if self.refusal is not None:
            refusal = lifecycle_pb2.Refusal(reason=self.refusal, message="No.")
            verdict = lifecycle_pb2.BeginProcessingVerdict(refusal=refusal)
        else:
            terms = lifecycle_pb2.ChargeTerms(
                amount_in_cents=AMOUNT_MINOR,
                currency="usd",
                partial_approval="accepted" if self.accepts_part else "refused",
            )
            verdict = lifecycle_pb2.BeginProcessingVerdict(terms=terms)
        return lifecycle_pb2.BatchBeginProcessingResponse(verdicts=[verdict] * len(request.items))

    async def BatchApplyOutcome(  # noqa: N802 the contract's name
        self, request: lifecycle_pb2.BatchApplyOutcomeRequest, context: Context
    ) -> lifecycle_pb2.BatchApplyOutcomeResponse:
        """Take outcomes."""
        await self._be_away(context)
        self.told += [(item.transaction_id, item.outcome) for item in request.items]
        self.authorized += [item.amount_authorized_in_cents for item in request.items]
        verdict = lifecycle_pb2.ApplyOutcomeVerdict()
        return lifecycle_pb2.BatchApplyOutcomeResponse(verdicts=[verdict] * len(request.items))

    async def BatchCheckClientSecrets(  # noqa: N802 the contract's name
        self, request: lifecycle_pb2.BatchCheckClientSecretsRequest, context: Context
    ) -> lifecycle_pb2.BatchCheckClientSecretsResponse:
        """Know the secret of every intent, unless claims are refused."""
        await self._be_away(context)
        verdicts = []
        for item in request.items:
            reason = self.refusal
            if item.client_secret != a_client_secret(item.payment_intent_id):
                reason = "RESOURCE_MISSING"
            refusal = lifecycle_pb2.Refusal(reason=reason, message="No.") if reason else None
            verdicts.append(lifecycle_pb2.CheckClientSecretVerdict(refusal=refusal))
        return lifecycle_pb2.BatchCheckClientSecretsResponse(verdicts=verdicts)

    async def BatchFindPurgedPayments(  # noqa: N802 the contract's name
        self, request: lifecycle_pb2.BatchFindPurgedPaymentsRequest, context: Context
    ) -> lifecycle_pb2.BatchFindPurgedPaymentsResponse:
        """Know of none."""
        await self._be_away(context)
        assert request.items
        return lifecycle_pb2.BatchFindPurgedPaymentsResponse()

    async def LookUpPaymentIntent(  # noqa: N802 the contract's name
        self,
        request: lifecycle_pb2.LookUpPaymentIntentRequest,
        context: Context,
    ) -> lifecycle_pb2.LookUpPaymentIntentResponse:
        """Know every intent, or none."""
        await self._be_away(context)
        if self.knows_nothing:
            missing = error_details(ResourceMissing("No such payment intent."))
            trailer = (("grpc-status-details-bin", missing),)
            await context.abort(grpc.StatusCode.NOT_FOUND, "none", trailer)
        intent = payment_intent_pb2.PaymentIntent(
            id=request.payment_intent_id, amount_in_cents=AMOUNT_MINOR, currency="usd"
        )
        return lifecycle_pb2.LookUpPaymentIntentResponse(payment_intent=intent)

    async def _be_away(self, context: Context) -> None:
        if self.is_away:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "away")

    @asynccontextmanager
    async def served(self) -> AsyncIterator[grpc.aio.Channel]:
        """Serve on any port, and lend a channel to it."""
        server = grpc.aio.server()
        lifecycle_grpc.add_PaymentIntentLifecycleServiceServicer_to_server(self, server)
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield channel
        await server.stop(None)


class TxnProcess:
    """One process of txn_svc: connections and a store of its own on a database.

    keys_file: where the keys of card data are; else they are those of all such processes.
    """

    def __init__(
        self, database: Database, clock: FakeClock | None = None, keys_file: Path | None = None
    ) -> None:
        self.database = database
        self.clock = clock or FakeClock()
        keys = FileKeyStore(keys_file or common_keys_file(), MASTER_KEY, self.clock)
        self.card_keys = CardKeys(keys, self.clock)
        self.envelopes = EnvelopeStore(database, self.clock)
        self.pans = KeptPans(self.envelopes, self.card_keys, self.clock, AGE_MAX)
        self.token_store = CardTokenStore(database, self.clock)
        self.store = ChargeStore(database, self.clock)
        self.attempt_store = AttemptStore(database, self.clock)

    def handlers(
        self, channel: grpc.aio.Channel, pools: Mapping[str, NetworkPool]
    ) -> ChargeHandlers:
        """Return the handlers of this process, with its way to intents and to networks."""
        intents = IntentClient(channel)
        resolver, tokens = self.resolver(intents, pools), self.tokens(intents)
        return ChargeHandlers(
            self.store, resolver, intents, tokens, self.archived(), pools, self.clock
        )

    def archived(self) -> ArchivedCharges:
        """Return how this process reads what was purged, with audit_svc away."""
        client = ArchiveClient(grpc.aio.insecure_channel(NOWHERE))
        return ArchivedCharges(self.database, client)

    def tokens(self, intents: IntentClient) -> CardTokenHandlers:
        """Return how this process makes card tokens and opens them."""
        return CardTokenHandlers(self.token_store, self.card_keys, intents, self.clock)

    def resolver(self, intents: IntentClient, pools: Mapping[str, NetworkPool]) -> AttemptHandlers:
        """Return how this process resolves attempts."""
        return AttemptHandlers(
            self.store, self.attempt_store, intents, self.pans, pools, self.clock
        )

    async def begun(self, caller: Caller, key: str = "key-1") -> Transaction:
        """Return a stored transaction for which nothing is recorded yet."""
        transaction = a_transaction(caller)
        assert await self.store.beginnings.submit(a_beginning(transaction, key)) is None
        return transaction

    async def recorded(
        self, caller: Caller, key: str = "key-1", *, accepts_part: bool = False
    ) -> Step:
        """Return a stored transaction with the attempt that was recorded for it."""
        step = a_step(await self.begun(caller, key), accepts_part=accepts_part)
        await self.store.records.submit(step)
        return step

    async def settled(self, caller: Caller, outcome: Outcome, key: str = "key-1") -> Move:
        """Return a stored transaction and attempt after an outcome."""
        step = after(await self.recorded(caller, key), outcome)
        assert await self.store.moves.submit(step)
        return step

    async def attempts(self, caller: Caller) -> list[dict[str, object]]:
        """Return the merchant's attempts as the database has them."""
        sql = "select id, transaction_id, status, rrn from attempts where merchant_id = %(id)s"
        return [dict(row) for row in await self.database.fetch(sql, id=caller.merchant_id)]

    async def count(self, caller: Caller) -> int:
        """Return how many transactions of the merchant are stored, begun ones too."""
        sql = "select count(*) as number from transactions where merchant_id = %(id)s"
        [row] = await self.database.fetch(sql, id=caller.merchant_id)
        number: int = row["number"]
        return number

    async def events(self, intent_id: str) -> list[attempt_event_pb2.AttemptEvent]:
        """Return the events about an intent's attempts, in the order of their versions."""
        sql = "select id, aggregatetype, type, payload from outbox where aggregateid = %(id)s"
        found = []
        for row in await as_owner(self.database, sql, id=intent_id):
            event = attempt_event_pb2.AttemptEvent.FromString(row["payload"])
            assert (row["id"], row["type"]) == (event.id, event.type)
            assert row["aggregatetype"] == "attempt"
            found.append(event)
        return sorted(found, key=lambda event: event.version)

    async def history(self, intent_id: str) -> list[tuple[int, str]]:
        """Return version and type of the events about an intent's attempts."""
        return [(event.version, event.type) for event in await self.events(intent_id)]


@functools.cache
def common_keys_file() -> Path:
    """Return a key store that has a key for each purpose, gone when the tests are over."""
    folder = Path(tempfile.mkdtemp(prefix="paymesh-keys-"))
    atexit.register(shutil.rmtree, folder)
    FileKeyStore(folder / "keys", MASTER_KEY, FakeClock()).create_missing()
    return folder / "keys"


def a_client_secret(intent_id: str) -> str:
    """Return what a browser shows for an intent."""
    return f"{intent_id}_secret_1"


def a_transaction(caller: Caller, intent_id: str | None = None) -> Transaction:
    """Return a transaction that is not stored yet."""
    return Transaction(
        id=TransactionId(new_id("txn", caller.merchant_id)),
        merchant_id=caller.merchant_id,
        mode=caller.mode,
        payment_intent_id=PaymentIntentId(intent_id or new_id("pi", caller.merchant_id)),
        card=CARD,
        created=CREATED,
    )


def a_beginning(transaction: Transaction, key: str = "key-1", body: bytes = b"1") -> Beginning:
    return Beginning(transaction, key, body * 32)


def a_step(
    transaction: Transaction,
    network: str = NETWORK,
    *,
    accepts_part: bool = False,
    pan: Pan = Pan(PAN),  # noqa: B008 it can't be changed
) -> Step:
    """Return the transaction with a new attempt for it, which is not stored yet."""
    attempt_id = AttemptId(new_id("att", transaction.merchant_id))
    attempt = Attempt(
        id=attempt_id,
        merchant_id=transaction.merchant_id,
        transaction_id=transaction.id,
        payment_intent_id=transaction.payment_intent_id,
        network=network,
        amount_minor=AMOUNT_MINOR,
        currency="usd",
        stan="000001",
        rrn=attempt_id[-12:],
        transmitted_at="0301120000",
        terminal_id="P0000001",
        deadline=CREATED + TIMEOUT_S,
        created=CREATED,
        accepts_part=accepts_part,
    )
    keys = FileKeyStore(common_keys_file(), MASTER_KEY, FakeClock())
    owner = Owner(transaction.merchant_id, transaction.id)
    envelope = seal_pan(pan, owner, keys)
    charged = replace(transaction, amount_minor=AMOUNT_MINOR, currency="usd")
    return Step(charged, attempt, envelope)


def after(step: Step | Move, outcome: Outcome) -> Move:
    """Return both as the outcome leaves them."""
    return Move(step.attempt, *settle(step.transaction, step.attempt, outcome))


def a_wish(
    intent_id: str, card: CardFields | None = None, body: bytes = b"1", key: str = "key-1"
) -> ChargeWish:
    card = card or card_fields(NETWORK, "approved")
    return ChargeWish(intent_id, "charge", None, card, key, body * 32)
