"""Errors in equal errors out: tables, the one error body, and a real server in between."""

from __future__ import annotations

import json

import grpc
import pytest
from google.protobuf import empty_pb2

from chassis.errors import (
    KIND_BY_STATUS,
    RENDERINGS,
    DomainError,
    IdempotencyKeyReused,
    Kind,
    ParameterInvalid,
    ResourceMissing,
    error_details,
    from_rpc_error,
    public_error,
)


@pytest.mark.parametrize("kind", list(Kind))
def test_every_kind_has_a_rendering_that_leads_back_to_it(kind: Kind) -> None:
    assert KIND_BY_STATUS[RENDERINGS[kind].grpc_status] is kind


def _all_errors(parent: type[DomainError] = DomainError) -> list[type[DomainError]]:
    found = []
    for child in parent.__subclasses__():
        found += [child, *_all_errors(child)]
    return found


def test_reasons_are_upper_snake_and_short() -> None:
    reasons = [error.reason for error in _all_errors() if hasattr(error, "reason")]

    assert reasons
    for reason in reasons:
        assert reason.replace("_", "").isalnum()
        assert reason.isupper()
        assert len(reason) <= 63


def test_the_error_body_names_what_and_where() -> None:
    body = json.loads(public_error(ParameterInvalid("Too big.", param="amountInCents"), "req-1"))

    assert body == {
        "error": {
            "type": "invalid_request_error",
            "code": "parameter_invalid",
            "message": "Too big.",
            "param": "amountInCents",
            "requestId": "req-1",
        }
    }


def test_a_reused_key_has_a_type_of_its_own_and_stays_ascii() -> None:
    raw = public_error(IdempotencyKeyReused(), "é")

    assert raw.isascii()
    assert json.loads(raw)["error"]["type"] == "idempotency_error"


async def _call(error: DomainError | None) -> grpc.aio.AioRpcError:
    """Raise the error in a server's method and return what its client gets."""

    async def refuse(_: object, context: grpc.aio.ServicerContext[object, object]) -> None:
        if error is None:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "draining")
        assert error is not None
        await context.abort(
            RENDERINGS[error.kind].grpc_status,
            error.message,
            (("grpc-status-details-bin", error_details(error)),),
        )

    handler = grpc.unary_unary_rpc_method_handler(
        refuse, empty_pb2.Empty.FromString, empty_pb2.Empty.SerializeToString
    )
    server = grpc.aio.server()
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("t.T", {"M": handler})])
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        call = channel.unary_unary(
            "/t.T/M", empty_pb2.Empty.SerializeToString, empty_pb2.Empty.FromString
        )
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await call(empty_pb2.Empty())
    await server.stop(None)
    return raised.value


async def test_an_error_comes_out_of_a_client_as_it_went_into_the_server() -> None:
    sent = ResourceMissing("No such thing.", param="thingId")

    got = from_rpc_error(await _call(sent))

    assert (got.kind, got.reason, got.message, got.param) == (
        Kind.NOT_FOUND,
        "RESOURCE_MISSING",
        "No such thing.",
        "thingId",
    )


async def test_an_answer_without_details_is_unavailability() -> None:
    got = from_rpc_error(await _call(None))

    assert got.kind is Kind.UNAVAILABLE
