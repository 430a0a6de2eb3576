"""Errors as every service raises them, and the tables that turn them into gRPC and public JSON.

Services raise `DomainError`; the server's interceptor alone turns it into a status. What crosses an
RPC is `google.rpc.ErrorInfo`, so an error comes out of a client as it went into the server.
"""

from __future__ import annotations

import json
from enum import StrEnum
from typing import ClassVar, NamedTuple

import grpc
from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2

from chassis.scrubbing import scrub

DOMAIN = "paymesh"


class Kind(StrEnum):
    """What a caller can do about an error."""

    INVALID = "invalid"  # fix the request
    NOT_FOUND = "not_found"  # use another id
    WRONG_STATE = "wrong_state"  # change the object's state first
    CONFLICT = "conflict"  # read again, then repeat
    UNAVAILABLE = "unavailable"  # repeat the same request later
    UNAUTHENTICATED = "unauthenticated"  # say who you are
    PERMISSION_DENIED = "permission_denied"  # ask somebody who may


class Rendering(NamedTuple):
    """How a kind looks from outside."""

    grpc_status: grpc.StatusCode
    http_status: int
    error_type: str


RENDERINGS: dict[Kind, Rendering] = {
    Kind.INVALID: Rendering(grpc.StatusCode.INVALID_ARGUMENT, 400, "invalid_request_error"),
    Kind.NOT_FOUND: Rendering(grpc.StatusCode.NOT_FOUND, 404, "invalid_request_error"),
    Kind.WRONG_STATE: Rendering(grpc.StatusCode.FAILED_PRECONDITION, 400, "invalid_request_error"),
    Kind.CONFLICT: Rendering(grpc.StatusCode.ABORTED, 409, "api_error"),
    Kind.UNAVAILABLE: Rendering(grpc.StatusCode.UNAVAILABLE, 503, "api_error"),
    Kind.UNAUTHENTICATED: Rendering(grpc.StatusCode.UNAUTHENTICATED, 401, "authentication_error"),
    Kind.PERMISSION_DENIED: Rendering(
        grpc.StatusCode.PERMISSION_DENIED, 403, "authentication_error"
    ),
}
KIND_BY_STATUS = {rendering.grpc_status: kind for kind, rendering in RENDERINGS.items()}


class DomainError(Exception):
    """A refusal that the caller may see.

    `reason` is public and fixed for ever; `message` is for people; `param` names the field in the
    public JSON, e.g. "card.number". Both are scrubbed here, since they may repeat what a caller
    sent and go to logs, gRPC metadata and other services.
    """

    kind: ClassVar[Kind]
    reason: ClassVar[str]
    error_type: ClassVar[str | None] = None  # where it is not the kind's own

    def __init__(self, message: str, *, param: str | None = None) -> None:
        self.message = scrub(message)
        self.param = param and scrub(param)
        super().__init__(self.message)


class ParameterMissing(DomainError):
    """A required field is absent."""

    kind, reason = Kind.INVALID, "PARAMETER_MISSING"

    def __init__(self, param: str) -> None:
        super().__init__(f"Missing required parameter: {param}.", param=param)


class ParameterUnknown(DomainError):
    """A field that does not exist."""

    kind, reason = Kind.INVALID, "PARAMETER_UNKNOWN"

    def __init__(self, param: str) -> None:
        super().__init__(f"Received unknown parameter: {param}.", param=param)


class ParameterInvalid(DomainError):
    """A field whose value can't be taken."""

    kind, reason = Kind.INVALID, "PARAMETER_INVALID"


class ResourceMissing(DomainError):
    """No such object for this caller."""

    kind, reason = Kind.NOT_FOUND, "RESOURCE_MISSING"


class IdempotencyKeyReused(DomainError):
    """The key was used for another request."""

    kind, reason = Kind.INVALID, "IDEMPOTENCY_KEY_REUSED"
    error_type = "idempotency_error"

    def __init__(self) -> None:
        super().__init__(
            "Keys for idempotent requests can only be used with the request they were first used "
            "with. Use another Idempotency-Key for another request.",
            param="Idempotency-Key",
        )


class IdempotencyKeyInUse(DomainError):
    """The first request with the key still runs."""

    kind, reason = Kind.CONFLICT, "IDEMPOTENCY_KEY_IN_USE"

    def __init__(self) -> None:
        super().__init__(
            "The first request with this Idempotency-Key still runs. Repeat it in a moment.",
            param="Idempotency-Key",
        )


class ServiceUnavailable(DomainError):
    """A part that the request needs is away."""

    kind, reason = Kind.UNAVAILABLE, "SERVICE_UNAVAILABLE"

    def __init__(
        self, message: str = "A part of paymesh is out of service for now. Repeat the request."
    ) -> None:
        super().__init__(message)


class Overloaded(DomainError):
    """More waits than can be answered in time."""

    kind, reason = Kind.UNAVAILABLE, "OVERLOADED"

    def __init__(self) -> None:
        super().__init__("Too many requests are waiting. Repeat this one in a moment.")


class Unauthenticated(DomainError):
    """The caller's identity is missing or not valid."""

    kind, reason = Kind.UNAUTHENTICATED, "UNAUTHENTICATED"


class CallerNotAllowed(DomainError):
    """The caller is known but may not call this."""

    kind, reason = Kind.PERMISSION_DENIED, "CALLER_NOT_ALLOWED"


class RemoteError(DomainError):
    """An error that another service raised, with its kind and reason."""

    def __init__(self, kind: Kind, reason: str, message: str, *, param: str | None = None) -> None:
        super().__init__(message, param=param)
        self.kind = kind  # type: ignore[misc]
        self.reason = reason  # type: ignore[misc]


def public_error(error: DomainError, request_id: str) -> bytes:
    """Return the one error body, as ASCII JSON, since it travels in gRPC metadata."""
    rendering = RENDERINGS[error.kind]
    return error_body(
        error.error_type or rendering.error_type,
        error.reason.lower(),
        error.message,
        request_id,
        error.param,
    )


def error_body(
    error_type: str, code: str, message: str, request_id: str, param: str | None = None
) -> bytes:
    """Return the one error body from its parts; `param` is absent when there is none."""
    error = {"type": error_type, "code": code, "message": message}
    if param is not None:
        error["param"] = param
    error["requestId"] = request_id
    return json.dumps({"error": error}, separators=(",", ":")).encode()


def error_details(error: DomainError) -> bytes:
    """Return a serialized google.rpc.Status whose only detail is the ErrorInfo."""
    info = error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN)
    if error.param is not None:
        info.metadata["param"] = error.param
    detail = any_pb2.Any()
    detail.Pack(info)
    code = RENDERINGS[error.kind].grpc_status.value[0]
    status = status_pb2.Status(code=code, message=error.message, details=[detail])
    return bytes(status.SerializeToString())


def from_rpc_error(error: grpc.aio.AioRpcError) -> DomainError:
    """Return what the called service raised; anything without an ErrorInfo is unavailability."""
    for name, value in error.trailing_metadata() or ():
        if name == "grpc-status-details-bin" and isinstance(value, bytes):
            for detail in status_pb2.Status.FromString(value).details:
                info = error_details_pb2.ErrorInfo()
                if detail.Unpack(info) and info.domain == DOMAIN:
                    kind = KIND_BY_STATUS.get(error.code(), Kind.UNAVAILABLE)
                    message = error.details() or info.reason
                    return RemoteError(kind, info.reason, message, param=info.metadata.get("param"))
    return ServiceUnavailable()
