"""The scrubber: card numbers and secrets never get into a log, a span or an error."""

from __future__ import annotations

import json
import logging

import pytest

from chassis.telemetry import JsonFormatter, scrub


@pytest.mark.parametrize(
    "secret",
    [
        "4242424242424242",
        "4242 4242 4242 4242",
        "4242-4242-4242-4242",
        "378282246310005",
        "sk_test_9fK2abcdefghij",
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "Bearer pk_test_abcdef",
        "eyJhbGciOi.eyJtZXIiOi.c2lnbmF0dXJl",
    ],
)
def test_what_must_not_be_read_is_gone(secret: str) -> None:
    assert secret not in scrub(f"before {secret} after")
    assert scrub(f"before {secret} after").startswith("before ")


@pytest.mark.parametrize(
    "text", ["4242424242424241", "1795532832", "pi_2b01k9m3v5x7n4q8r6t0w2y4z6"]
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert scrub(text) == text


def test_an_exception_in_a_log_line_is_scrubbed_too() -> None:
    error = ValueError("bad pan 4111111111111111")
    record = logging.getLogger("t").makeRecord(
        "t", logging.ERROR, "", 0, "failed", (), (ValueError, error, None)
    )

    line = JsonFormatter("test").format(record)

    assert "4111111111111111" not in line
    assert json.loads(line)["message"] == "failed"
