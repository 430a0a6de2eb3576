"""AttemptService over mutual TLS: who may call it, what it answers, and why it refuses."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from paymesh.txn.v1 import attempt_pb2, attempt_service_pb2, attempt_service_pb2_grpc

from chassis.errors import from_rpc_error
from chassis.identity import server_credentials
from chassis.server import build_server
from tests.integration.network_parts import NETWORKS, a_link
from tests.integration.resolution_parts import UNANSWERED_S, Resolving
from tests.integration.settings import settings_of
from tests.integration.txn_parts import AMOUNT_MINOR
from txn_svc.__main__ import services
from txn_svc.handlers.captures import CaptureHandlers
from txn_svc.handlers.card_keys import CardKeyHandlers
from txn_svc.networks.pool import NetworkPool
from txn_svc.service.attempts import AttemptService
from txn_svc.service.authorizations import AuthorizationService
from txn_svc.service.card_keys import CardKeyService
from txn_svc.service.card_tokens import CardTokenService
from txn_svc.service.transactions import TransactionService
from txn_svc.store.captures import CaptureStore

pytestmark = pytest.mark.integration

PROTO = Path(__file__).resolve().parents[2] / "proto" / "paymesh" / "txn" / "v1"
Outcome = attempt_service_pb2.InquiryOutcomeEnum
RESOLUTION, REASON = attempt_service_pb2.ResolutionEnum, attempt_service_pb2.ReversalReasonEnum
APPROVED = attempt_service_pb2.NetworkAnswer(
    response_code="00", amount_in_cents=AMOUNT_MINOR, approval_code="123456", network_trace_id="T1"
)
PART = attempt_service_pb2.NetworkAnswer(response_code="10", amount_in_cents=AMOUNT_MINOR // 2)
DECLINED = attempt_service_pb2.NetworkAnswer(response_code="05", network_trace_id="T1")
DOUBTFUL = attempt_service_pb2.NetworkAnswer(response_code="91")
REVERSED: dict[str, Any] = {"reason": REASON.response_timeout}
SUCCEEDED: dict[str, Any] = {"resolution": RESOLUTION.succeeded}
FAILED: dict[str, Any] = {"resolution": RESOLUTION.failed}

Refusal = tuple[str, str, str, dict[str, Any], str]
# RPC, state of the attempt, its network, further fields, and why it is refused.
REFUSALS: list[Refusal] = [
    ("InquireAttempt", "none", "mastercard_sim", {}, "RESOURCE_MISSING"),
    ("InquireAttempt", "recorded", "mastercard_sim", {}, "ATTEMPT_UNEXPECTED_STATE"),
    ("InquireAttempt", "unanswered", "visa_sim", {}, "INQUIRY_NOT_OFFERED"),
    ("InquireAttempt", "unreachable", "mastercard_sim", {}, "CARD_NETWORK_UNAVAILABLE"),
    ("ReverseAttempt", "none", "visa_sim", REVERSED, "RESOURCE_MISSING"),
    ("ReverseAttempt", "recorded", "visa_sim", REVERSED, "ATTEMPT_UNEXPECTED_STATE"),
    ("ReverseAttempt", "paid", "visa_sim", REVERSED, "ATTEMPT_UNEXPECTED_STATE"),
    ("ReverseAttempt", "unanswered", "visa_sim", {}, "PARAMETER_MISSING"),
    ("ResolveAttempt", "none", "visa_sim", FAILED, "RESOURCE_MISSING"),
    ("ResolveAttempt", "recorded", "visa_sim", FAILED, "ATTEMPT_UNEXPECTED_STATE"),
    ("ResolveAttempt", "reversing", "visa_sim", FAILED, "ATTEMPT_UNEXPECTED_STATE"),
    ("ResolveAttempt", "paid", "visa_sim", FAILED, "ATTEMPT_UNEXPECTED_STATE"),
    ("ResolveAttempt", "unanswered", "visa_sim", {}, "PARAMETER_MISSING"),
    ("ResolveAttempt", "unanswered", "visa_sim", SUCCEEDED, "PARAMETER_MISSING"),
    *(
        ("ResolveAttempt", "unanswered", "visa_sim", fields, "PARAMETER_INVALID")
        for fields in (
            SUCCEEDED | {"answer": DECLINED},
            SUCCEEDED | {"answer": PART},
            SUCCEEDED | {"answer": DOUBTFUL},
            FAILED | {"answer": APPROVED},
            FAILED | {"answer": DOUBTFUL},
        )
    ),
]


@pytest.fixture
async def address(resolving: Resolving, tls: Path) -> AsyncIterator[str]:
    """Serve what txn_svc serves, and return where."""
    settings = settings_of("txn", tls)
    parts = services(
        TransactionService(resolving.charges, b"k" * 32),
        CardTokenService(resolving.tokens),
        AttemptService(resolving.resolver),
        AuthorizationService(
            CaptureHandlers(
                resolving.process.store,
                CaptureStore(resolving.process.database, resolving.process.clock),
                resolving.resolver,
                {},
                resolving.process.clock,
            )
        ),
        CardKeyService(CardKeyHandlers(resolving.process.envelopes, resolving.process.card_keys)),
    )
    server, _ = build_server(settings, parts)
    port = server.add_secure_port("127.0.0.1:0", server_credentials(settings))
    await server.start()
    yield f"localhost:{port}"
    await server.stop(None)


def _channel(tls: Path, address: str, caller: str) -> grpc.aio.Channel:
    credentials = grpc.ssl_channel_credentials(
        (tls / "ca.crt").read_bytes(),
        (tls / f"{caller}.key").read_bytes(),
        (tls / f"{caller}.crt").read_bytes(),
    )
    return grpc.aio.secure_channel(address, credentials)


@pytest.fixture
async def channel(tls: Path, address: str) -> AsyncIterator[grpc.aio.Channel]:
    async with _channel(tls, address, "recon") as opened:
        yield opened


async def _in_state(resolving: Resolving, state: str, network: str) -> tuple[str, str]:
    """Return owner and id of an attempt in a state."""
    step = await resolving.recorded(network)
    owned = step.attempt.merchant_id, step.attempt.id
    if state == "none":
        return owned[0], "att_1"
    if state != "recorded":
        resolving.move(UNANSWERED_S)
    if state == "reversing":
        await resolving.reverse(step.attempt)
    if state == "paid":
        money = attempt_service_pb2.ResolveAttemptRequest(
            merchant_id=owned[0],
            attempt_id=owned[1],
            resolution=RESOLUTION.succeeded,
            answer=APPROVED,
        )
        service: Any = AttemptService(resolving.resolver)
        await service.ResolveAttempt(money, None)
    return owned


@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda row: "-".join(map(str, row[:3])))
async def test_a_call_is_refused_with_its_reason(
    resolving: Resolving, channel: grpc.aio.Channel, refusal: Refusal
) -> None:
    rpc, state, network, fields, reason = refusal
    owner, attempt_id = await _in_state(resolving, state, network)
    request = getattr(attempt_service_pb2, f"{rpc}Request")(
        merchant_id=owner, attempt_id=attempt_id, **fields
    )
    pools = resolving.networks.pools
    pool = pools[network]
    if state == "unreachable":
        pools[network] = NetworkPool(network, a_link(network), pool.rules)

    try:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await getattr(attempt_service_pb2_grpc.AttemptServiceStub(channel), rpc)(request)
    finally:
        pools[network] = pool

    assert from_rpc_error(refused.value).reason == reason


def test_every_reason_of_the_contract_has_a_refusal_above() -> None:
    text = (PROTO / "attempt_service.proto").read_text()
    service = text[: text.index("\n}\n")]
    promised = {
        (rpc, reason)
        for comment, rpc in re.findall(r"Reasons: ([^;]*?)rpc (\w+)", service)
        for reason in re.findall(r"[A-Z]+_[A-Z_]+", comment)
    }

    assert promised == {(rpc, reason) for rpc, _, _, _, reason in REFUSALS}


@pytest.mark.parametrize("peer", ["edge", "intent", "webhook", "txn", "authz", "operator"])
async def test_nobody_but_reconciliation_may_call(
    resolving: Resolving, tls: Path, address: str, peer: str
) -> None:
    step = await resolving.recorded()
    resolving.move(UNANSWERED_S)
    owned: dict[str, Any] = {
        "merchant_id": step.attempt.merchant_id,
        "attempt_id": step.attempt.id,
    }
    async with _channel(tls, address, peer) as channel:
        stub = attempt_service_pb2_grpc.AttemptServiceStub(channel)
        calls: list[Any] = [
            stub.InquireAttempt(attempt_service_pb2.InquireAttemptRequest(**owned)),
            stub.ReverseAttempt(attempt_service_pb2.ReverseAttemptRequest(**owned, **REVERSED)),
            stub.ResolveAttempt(attempt_service_pb2.ResolveAttemptRequest(**owned, **FAILED)),
        ]
        for call in calls:
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await call
            assert from_rpc_error(refused.value).reason == "CALLER_NOT_ALLOWED"

    assert await resolving.attempt(step.attempt) == step.attempt


@pytest.mark.parametrize(
    ("behavior", "said", "status"),
    [
        ("answer lost", "approved", "succeeded"),
        ("decline lost", "declined", "failed"),
        ("never received", "not_found", "failed"),
    ],
)
async def test_what_an_inquiry_says_settles_the_attempt_when_it_is_handed_back(
    resolving: Resolving, channel: grpc.aio.Channel, behavior: str, said: str, status: str
) -> None:
    attempt = await resolving.charged("mastercard_sim", behavior)
    owned: dict[str, Any] = {"merchant_id": attempt.merchant_id, "attempt_id": attempt.id}
    stub = attempt_service_pb2_grpc.AttemptServiceStub(channel)

    inquiry = await stub.InquireAttempt(attempt_service_pb2.InquireAttemptRequest(**owned))
    answer = None if said == "not_found" else inquiry.answer
    settled = await stub.ResolveAttempt(
        attempt_service_pb2.ResolveAttemptRequest(**owned, resolution=status, answer=answer)
    )

    statuses = attempt_pb2.AttemptStatusEnum.AttemptStatus
    assert inquiry.outcome == Outcome.InquiryOutcome.Value(said)
    assert settled.attempt.status == statuses.Value(status)
    assert [message.mti for message in settled.attempt.messages] == ["0100", "0100", "0110"]


@pytest.mark.parametrize("network", NETWORKS)
async def test_a_reversal_is_written_down_when_the_call_returns(
    resolving: Resolving, channel: grpc.aio.Channel, network: str
) -> None:
    attempt = await resolving.charged(network, "answer lost")
    stub = attempt_service_pb2_grpc.AttemptServiceStub(channel)

    response = await stub.ReverseAttempt(
        attempt_service_pb2.ReverseAttemptRequest(
            merchant_id=attempt.merchant_id, attempt_id=attempt.id, reason=REASON.response_timeout
        )
    )

    assert response.attempt.reversal == attempt_pb2.ReversalStatusEnum.pending
    assert await resolving.send_due() == 1
    assert (await resolving.book(attempt))["reversed"] is True
