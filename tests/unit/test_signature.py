"""Signed requests: what is signed, and what a header must look like."""

from __future__ import annotations

import hashlib
import hmac
import subprocess
from datetime import UTC, datetime, timedelta

import pytest

from chassis.errors import DomainError
from edge.authz.domain.key import new_keys
from edge.authz.domain.signature import is_signed_with, signed_parts

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
KEY = "pk_test_" + "a" * 24
SECRET = b"sk_test_an_example_of_a_secret_key"
BODY = b'{"amountInCents":1099,"currency":"usd"}'
NONCE = "0e4a1c7e-6b1f-4c38-9d0a-1f5f5c7d2b11"
STAMP = "2026-11-24T12:00:00Z"
# printf 'POST\n/payment-intents\n…' | openssl dgst -sha256 -hmac sk_test_an_example_of_a_secret_key
TEXT = b"\n".join(
    (
        b"POST",
        b"/payment-intents",
        STAMP.encode(),
        NONCE.encode(),
        hashlib.sha256(BODY).hexdigest().encode(),
    )
)
SIGNATURE = hmac.new(SECRET, TEXT, hashlib.sha256).hexdigest()


def _headers(**changed: str) -> dict[bytes, bytes]:
    headers = {
        "authorization": f"Bearer {KEY}",
        "x-request-timestamp": STAMP,
        "x-request-nonce": NONCE,
        "x-signature": f"sha256={SIGNATURE}",
    }
    headers |= {name.replace("_", "-"): value for name, value in changed.items()}
    return {name.encode(): value.encode() for name, value in headers.items()}


def test_openssl_signs_the_same() -> None:
    done = subprocess.run(
        ["openssl", "dgst", "-sha256", "-hmac", SECRET.decode()],
        input=TEXT,
        capture_output=True,
        check=True,
    )

    assert done.stdout.decode().split("= ")[-1].strip() == SIGNATURE


def test_a_signed_request_is_recognized() -> None:
    signed = signed_parts(_headers(), NOW)

    assert signed.publishable_key == KEY
    assert is_signed_with(SECRET, signed, "POST", b"/payment-intents", BODY)


@pytest.mark.parametrize(
    ("method", "target", "body", "secret"),
    [
        ("GET", b"/payment-intents", BODY, SECRET),
        ("POST", b"/payment-intents?limit=1", BODY, SECRET),
        ("POST", b"/events", BODY, SECRET),
        ("POST", b"/payment-intents", BODY + b" ", SECRET),
        ("POST", b"/payment-intents", BODY, SECRET + b"x"),
    ],
)
def test_what_was_not_signed_is_not_taken(
    method: str, target: bytes, body: bytes, secret: bytes
) -> None:
    assert not is_signed_with(secret, signed_parts(_headers(), NOW), method, target, body)


@pytest.mark.parametrize(
    ("changed", "param"),
    [
        ({"authorization": ""}, "Authorization"),
        ({"authorization": KEY}, "Authorization"),
        ({"authorization": f"Basic {KEY}"}, "Authorization"),
        ({"authorization": f"Bearer {KEY},Bearer {KEY}"}, "Authorization"),
        ({"x_signature": SIGNATURE}, "X-Signature"),
        ({"x_signature": "sha256=" + SIGNATURE.upper()}, "X-Signature"),
        ({"x_signature": "sha256=abc"}, "X-Signature"),
        ({"x_request_nonce": "once"}, "X-Request-Nonce"),
        ({"x_request_timestamp": "now"}, "X-Request-Timestamp"),
        ({"x_request_timestamp": "2026-11-24T12:00:00"}, "X-Request-Timestamp"),
        ({"x_request_timestamp": "1795521600"}, "X-Request-Timestamp"),
    ],
)
def test_a_malformed_header_is_named(changed: dict[str, str], param: str) -> None:
    with pytest.raises(DomainError) as refused:
        signed_parts(_headers(**changed), NOW)

    assert (refused.value.reason, refused.value.param) == ("REQUEST_NOT_SIGNED", param)


@pytest.mark.parametrize("minutes", [-5.1, 5.1])
def test_a_timestamp_outside_the_window_is_refused(minutes: float) -> None:
    with pytest.raises(DomainError) as refused:
        signed_parts(_headers(), NOW + timedelta(minutes=minutes))

    assert refused.value.reason == "TIMESTAMP_OUT_OF_RANGE"


@pytest.mark.parametrize("minutes", [-4.9, 0, 4.9])
def test_a_timestamp_inside_the_window_passes(minutes: float) -> None:
    assert signed_parts(_headers(), NOW + timedelta(minutes=minutes)).timestamp == STAMP


def test_keys_say_their_mode_and_never_repeat() -> None:
    made = [new_keys("live") for _ in range(100)]

    assert all(public.startswith("pk_live_") for public, _ in made)
    assert all(secret.startswith("sk_live_") for _, secret in made)
    assert len({key for pair in made for key in pair}) == 200
