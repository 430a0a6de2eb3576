"""Starts txn_svc."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

from paymesh.txn.v1 import (
    attempt_service_pb2_grpc,
    authorization_service_pb2_grpc,
    card_key_service_pb2_grpc,
    card_token_service_pb2_grpc,
    transaction_service_pb2_grpc,
)

from chassis import telemetry
from chassis.archived import ArchiveClient
from chassis.clock import Clock, SystemClock
from chassis.config import read_settings
from chassis.database import connect
from chassis.heartbeat import heartbeat
from chassis.identity import BROWSERS, channel
from chassis.keystore.config import open_key_store, require_keys
from chassis.keystore.file import FileKeyStore
from chassis.keystore.keys import CARD_PURPOSES
from chassis.keystore.store import KeyStore
from chassis.networks import read_network_rules
from chassis.outbox import OutboxKeeper
from chassis.relay import Relay
from chassis.schema import require_schema
from chassis.server import EDGE, Service, only, run, serve
from chassis.slots import slot_watch
from txn_svc.cards.card_keys import CardKeys
from txn_svc.clients import IntentClient
from txn_svc.config import TxnSettings
from txn_svc.dispatcher import AdviceDispatcher, CardPurge
from txn_svc.handlers.attempts import AttemptHandlers
from txn_svc.handlers.captures import CaptureHandlers
from txn_svc.handlers.card_keys import CardKeyHandlers
from txn_svc.handlers.card_tokens import CardTokenHandlers
from txn_svc.handlers.charges import ChargeHandlers
from txn_svc.handlers.kept_pans import KeptPans, open_max
from txn_svc.networks.pool import NetworkPool
from txn_svc.service.attempts import AttemptService
from txn_svc.service.authorizations import AuthorizationService
from txn_svc.service.card_keys import CardKeyService
from txn_svc.service.card_tokens import CardTokenService
from txn_svc.service.transactions import TransactionService
from txn_svc.store.archived import ArchivedCharges
from txn_svc.store.attempts import AttemptStore
from txn_svc.store.captures import CaptureStore
from txn_svc.store.card_tokens import CardTokenStore
from txn_svc.store.charges import ChargeStore
from txn_svc.store.envelopes import EnvelopeStore

EVENTS = "events.attempt"


async def main() -> None:
    """Wire the parts and serve."""
    settings = read_settings(TxnSettings)
    telemetry.configure(settings)
    clock = SystemClock()
    database = await connect(settings, connections_max=8)
    await require_schema(database, "txn_svc")
    charges, attempts = ChargeStore(database, clock), AttemptStore(database, clock)
    captures, card_tokens = CaptureStore(database, clock), CardTokenStore(database, clock)
    card_keys = CardKeys(await asyncio.to_thread(_open_keys, clock), clock)
    envelopes = EnvelopeStore(database, clock)
    rules = read_network_rules(settings.networks_file)
    pans = KeptPans(envelopes, card_keys, clock, open_max(rules.values()))
    async with (
        channel(settings, settings.intent_address) as intent_channel,
        channel(settings, settings.audit_address) as audit_channel,
    ):
        archived = ArchivedCharges(database, ArchiveClient(audit_channel))
        intents = IntentClient(intent_channel)
        pools: dict[str, NetworkPool] = {}
        resolver = AttemptHandlers(charges, attempts, intents, pans, pools, clock)
        for name, link in settings.networks.items():
            pools[name] = NetworkPool(
                name, link, rules[name], connections=settings.network_connections
            )
            pools[name].on_stray = resolver.take_stray
        tokens = CardTokenHandlers(card_tokens, card_keys, intents, clock)
        handlers = ChargeHandlers(charges, resolver, intents, tokens, archived, pools, clock)
        holds = CaptureHandlers(charges, captures, resolver, pools, clock)
        await serve(
            settings,
            services(
                TransactionService(
                    handlers, base64.b64decode(settings.request_key_file.read_text())
                ),
                CardTokenService(tokens),
                AttemptService(resolver),
                AuthorizationService(holds),
                CardKeyService(CardKeyHandlers(envelopes, card_keys)),
            ),
            [
                heartbeat(database),
                slot_watch(database, settings.service_name),
                *pools.values(),
                AdviceDispatcher(resolver, holds),
                CardPurge(tokens, pans),
                OutboxKeeper(database),
                handlers,
                Relay(settings, database, EVENTS),
            ],
        )
    await card_keys.close()
    await card_tokens.close()
    await captures.close()
    await charges.close()
    await database.close()


def _open_keys(clock: Clock) -> KeyStore[Any]:
    """Open the key store. The first keys of an HSM are made by hand: see docs/security.md."""
    keys = open_key_store(clock)
    if isinstance(keys, FileKeyStore):
        keys.create_missing(CARD_PURPOSES)
    require_keys(keys, CARD_PURPOSES)
    return keys


def services(
    transactions: TransactionService,
    card_tokens: CardTokenService,
    attempts: AttemptService,
    authorizations: AuthorizationService,
    card_keys: CardKeyService,
) -> list[Service]:
    return [
        Service(
            "paymesh.txn.v1.TransactionService",
            lambda server: transaction_service_pb2_grpc.add_TransactionServiceServicer_to_server(
                transactions, server
            ),
            only(EDGE, "CreateTransaction", "GetTransaction", "ListTransactions"),
        ),
        Service(
            "paymesh.txn.v1.CardTokenService",
            lambda server: card_token_service_pb2_grpc.add_CardTokenServiceServicer_to_server(
                card_tokens, server
            ),
            only(EDGE, "CreateCardToken", "GetCardEncryptionKeys"),
            audience=BROWSERS,
        ),
        Service(
            "paymesh.txn.v1.AttemptService",
            lambda server: attempt_service_pb2_grpc.add_AttemptServiceServicer_to_server(
                attempts, server
            ),
            only("recon", "InquireAttempt", "ReverseAttempt", "ResolveAttempt", "CountAttempts"),
        ),
        Service(
            "paymesh.txn.v1.AuthorizationService",
            lambda server: (
                authorization_service_pb2_grpc.add_AuthorizationServiceServicer_to_server(
                    authorizations, server
                )
            ),
            only("intent", "CaptureAuthorization", "VoidAuthorization"),
        ),
        Service(
            "paymesh.txn.v1.CardKeyService",
            lambda server: card_key_service_pb2_grpc.add_CardKeyServiceServicer_to_server(
                card_keys, server
            ),
            only("operator", "CountCardKeyRows", "RetireCardKey"),
        ),
    ]


if __name__ == "__main__":
    run(main())
