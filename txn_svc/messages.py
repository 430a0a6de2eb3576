"""Transactions and attempts as their protobuf messages."""

from __future__ import annotations

from collections.abc import Sequence

from paymesh.events.v1 import attempt_event_pb2
from paymesh.intent.v1 import failure_pb2
from paymesh.txn.v1 import attempt_pb2, card_token_service_pb2, transaction_pb2

from chassis.keystore.store import PublicKey
from txn_svc.cards.jwe import ALG, CRV, KTY
from txn_svc.cards.strict import encode_base64url
from txn_svc.domain import decline
from txn_svc.domain.attempt import Attempt, AttemptKind
from txn_svc.domain.card_token import CardToken
from txn_svc.domain.transaction import ChargedCard, Failure, KeptCard, Transaction


def transaction_message(transaction: Transaction) -> transaction_pb2.Transaction:
    """Return the transaction as the API shows it."""
    message = transaction_pb2.Transaction(
        id=transaction.id,
        payment_intent_id=transaction.payment_intent_id,
        type="charge",
        status=str(transaction.status),
        amount_in_cents=transaction.amount_minor or 0,
        currency=transaction.currency or "",
        card=_charged_card_message(transaction.card),
        created=transaction.created,
        mode=transaction.mode,
        amount_captured_in_cents=transaction.amount_captured_minor,
        capture_before=transaction.capture_before,
        amount_approved_in_cents=transaction.amount_approved_minor,
    )
    if transaction.failure is not None:
        message.failure.CopyFrom(failure_message(transaction.failure))
    return message


def card_token_message(token: CardToken) -> card_token_service_pb2.CardToken:
    """Return the token as the API shows it."""
    return card_token_service_pb2.CardToken(
        id=token.id, card=_card_message(token.card), created=token.created, expires=token.expires
    )


def card_encryption_keys_message(
    keys: Sequence[PublicKey],
) -> card_token_service_pb2.CardEncryptionKeys:
    """Return public keys as a JSON Web Key Set."""
    return card_token_service_pb2.CardEncryptionKeys(
        keys=[
            card_token_service_pb2.CardEncryptionKey(
                kid=key.kid,
                kty=KTY,
                crv=CRV,
                x=encode_base64url(key.x),
                y=encode_base64url(key.y),
                use="enc",
                alg=ALG,
            )
            for key in keys
        ]
    )


def _card_message(card: KeptCard) -> transaction_pb2.Card:
    return transaction_pb2.Card(
        brand=card.brand, last4=card.last4, exp_month=card.exp_month, exp_year=card.exp_year
    )


def _charged_card_message(card: ChargedCard) -> transaction_pb2.Card:
    message = _card_message(card)
    message.bin = card.card_bin
    message.fingerprint = card.fingerprint
    return message


def failure_message(failure: Failure) -> failure_pb2.Failure:
    """Return why nothing was charged."""
    return failure_pb2.Failure(
        code=failure.code, decline_code=failure.decline_code, message=failure.message
    )


def refusal_message(capture: Attempt) -> failure_pb2.Failure | None:
    """Return why the network refused a capture; None for any other attempt."""
    if not capture.is_refused_capture or capture.response_code is None:
        return None
    failure = decline.decline(capture.response_code)
    return failure_message(failure) if failure is not None else None


def attempt_event(
    transaction: Transaction, attempt: Attempt, type_: str, event_id: str, created: int
) -> attempt_event_pb2.AttemptEvent:
    """Return the event that tells of the attempt's last change."""
    return attempt_event_pb2.AttemptEvent(
        id=event_id,
        type=type_,
        created=created,
        version=attempt.version,
        merchant_id=attempt.merchant_id,
        mode=transaction.mode,
        attempt=attempt_message(attempt),
        transaction=transaction_message(transaction),
    )


def abandoned_event(
    transaction: Transaction, event_id: str, created: int
) -> attempt_event_pb2.AttemptEvent:
    """Return the event that tells of a transaction for which nothing was ever sent."""
    return attempt_event_pb2.AttemptEvent(
        id=event_id,
        type="transaction.abandoned",
        created=created,
        version=1,
        merchant_id=transaction.merchant_id,
        mode=transaction.mode,
        transaction=transaction_message(transaction),
    )


def transaction_with_attempts(
    transaction: Transaction, attempts: Sequence[Attempt]
) -> transaction_pb2.Transaction:
    """Return the transaction as a GET of it alone shows it."""
    message = transaction_message(transaction)
    message.attempts.CopyFrom(
        attempt_pb2.AttemptList(data=[attempt_message(attempt) for attempt in attempts])
    )
    return message


def _partial_approval(attempt: Attempt) -> str | None:
    if attempt.kind is AttemptKind.CAPTURE:
        return None
    return "accepted" if attempt.accepts_part else "refused"


def attempt_message(attempt: Attempt) -> attempt_pb2.Attempt:
    """Return the attempt with every message of it."""
    return attempt_pb2.Attempt(
        id=attempt.id,
        transaction_id=attempt.transaction_id,
        payment_intent_id=attempt.payment_intent_id,
        network=attempt.network,
        status=str(attempt.status),
        amount_in_cents=attempt.amount_minor,
        currency=attempt.currency,
        stan=attempt.stan,
        rrn=attempt.rrn,
        transmitted_at=attempt.transmitted_at,
        deadline=attempt.deadline,
        response_code=attempt.response_code,
        approval_code=attempt.approval_code,
        network_trace_id=attempt.network_trace_id,
        created=attempt.created,
        kind=str(attempt.kind),
        overdue_since=attempt.overdue_since,
        capture_number=attempt.capture_number or None,
        failure=refusal_message(attempt),
        amount_approved_in_cents=attempt.amount_approved_minor,
        partial_approval=_partial_approval(attempt),
        reversal=str(attempt.reversal.status) if attempt.reversal is not None else None,
        messages=[
            attempt_pb2.AttemptMessage(
                mti=message.mti,
                direction="sent" if message.is_sent else "received",
                created=message.at,
                response_code=message.response_code,
            )
            for message in attempt.messages
        ],
    )
