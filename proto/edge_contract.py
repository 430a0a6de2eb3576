"""What all calls through the edge have in common: how they are signed, what errors look like."""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]

ERRORS = {
    "400": "The request is wrong, or the object's state forbids it. `param` names the field.",
    "401": "The key or the signature is not valid.",
    "403": "The key has no right to this call, or may not be used from this address.",
    "404": "No such object for this key, or no such path.",
    "409": "The first request with this idempotency key still runs. Repeat it later.",
    "413": "The body is over 64 kB.",
    "415": "The content type is one of gRPC; this port speaks JSON.",
    "429": "Too many requests. `retry-after` says when to repeat.",
    "431": "URL and headers are over 7168 bytes, or more than 48 headers.",
    "500": "An error on our side. Repeat a write with the same idempotency key.",
    "503": "Out of service for now. Repeat with the same idempotency key.",
}
SIGNATURE = {
    "publishableKey": {
        "type": "http",
        "scheme": "bearer",
        "description": "The publishable key, `pk_test_…` or `pk_live_…`.",
    },
    "requestTimestamp": {
        "type": "apiKey",
        "in": "header",
        "name": "X-Request-Timestamp",
        "description": "Now, in ISO 8601 with its offset; accepted within 5 minutes.",
    },
    "requestNonce": {
        "type": "apiKey",
        "in": "header",
        "name": "X-Request-Nonce",
        "description": "A UUID that this key has not used before.",
    },
    "requestSignature": {
        "type": "apiKey",
        "in": "header",
        "name": "X-Signature",
        "description": (
            "`sha256=` and the hex HMAC-SHA256, with the secret key, of method, path with query, "
            "timestamp, nonce and the hex SHA-256 of the body, joined by line feeds."
        ),
    },
}
ERROR_SCHEMA: Schema = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["type", "code", "message", "requestId"],
            "properties": {
                "type": {
                    "type": "string",
                    "enum": [
                        "invalid_request_error",
                        "authentication_error",
                        "idempotency_error",
                        "rate_limit_error",
                        "api_error",
                    ],
                },
                "code": {"type": "string", "description": "For code, e.g. `parameter_missing`."},
                "message": {"type": "string", "description": "For people. May change."},
                "param": {"type": "string", "description": "The field, e.g. `card.number`."},
                "requestId": {"type": "string", "description": "Also in our logs; name it to us."},
            },
        }
    },
}
ERROR_CONTENT = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
