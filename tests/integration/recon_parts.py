"""The parts of recon_svc that decide and write, as tests put them together."""

from __future__ import annotations

from chassis.ids import AttemptId, MerchantId, PaymentIntentId, TransactionId
from recon_svc.domain.resolution import Attempt, AttemptStatus

CREATED = 1_772_366_400
DEADLINE = CREATED + 3


def an_attempt(
    merchant_id: str = "mer_1",
    status: AttemptStatus = AttemptStatus.TIMEOUT,
    *,
    id_: str = "att_1",
    network: str = "visa_sim",
    version: int = 2,
    reversal: str | None = None,
    inquiries: int = 0,
) -> Attempt:
    """Return an attempt as an event told of it."""
    return Attempt(
        id=AttemptId(id_),
        merchant_id=MerchantId(merchant_id),
        mode="test",
        payment_intent_id=PaymentIntentId("pi_1"),
        transaction_id=TransactionId("txn_1"),
        network=network,
        status=status,
        amount_minor=1099,
        currency="usd",
        stan="000001",
        rrn="R00000000001",
        transmitted_at="0301120000",
        deadline=DEADLINE,
        created=CREATED,
        version=version,
        reversal=reversal,
        inquiries=inquiries,
    )
