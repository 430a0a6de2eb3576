"""Webhooks: addresses, URLs, signatures and the schedule of tries."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from standardwebhooks.webhooks import Webhook

from chassis.errors import DomainError
from webhook_svc.domain.address import is_public
from webhook_svc.domain.delivery import next_attempt
from webhook_svc.domain.endpoint import check_events, check_url
from webhook_svc.domain.signature import headers, new_secret

START = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "0.0.0.0"),
        *("100.64.0.1", "192.0.0.8", "192.88.99.1", "224.0.0.1", "255.255.255.255", "240.0.0.1"),
        *("::1", "::", "fe80::1", "fc00::1", "fec0::1", "ff02::1", "2001:db8::1", "100::1"),
        *("::ffff:10.0.0.1", "::ffff:127.0.0.1", "2002:7f00:1::", "64:ff9b::7f00:1"),
        *("64:ff9b:1::1", "2001::1", "5f00::1", "fe80::1%eth0"),
    ],
)
def test_addresses_that_lead_inside_are_blocked(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "1.1.1.1", "2606:4700::1111", "::ffff:8.8.8.8"])
def test_public_addresses_may_be_called(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("", "PARAMETER_MISSING"),
        ("shop.example/hook", "PARAMETER_INVALID"),
        ("https://", "PARAMETER_INVALID"),
        ("https://shop.example:99999/", "PARAMETER_INVALID"),
        ("https://" + "a" * 64 + ".example/", "PARAMETER_INVALID"),
        ("https://shop.example/" + "x" * 2048, "PARAMETER_INVALID"),
        ("https://shop.example/a b", "PARAMETER_INVALID"),
        ("http://shop.example/", "WEBHOOK_URL_NOT_ALLOWED"),
        ("ftp://shop.example/", "WEBHOOK_URL_NOT_ALLOWED"),
        ("https://ana:secret@shop.example/", "WEBHOOK_URL_NOT_ALLOWED"),
        ("https://shop.example:22/", "WEBHOOK_URL_NOT_ALLOWED"),
        ("https://127.0.0.1/", "WEBHOOK_URL_NOT_ALLOWED"),
        ("https://[::1]/", "WEBHOOK_URL_NOT_ALLOWED"),
        ("https://169.254.169.254/latest", "WEBHOOK_URL_NOT_ALLOWED"),
    ],
)
def test_a_url_that_can_not_be_called_is_refused(url: str, reason: str) -> None:
    with pytest.raises(DomainError) as refused:
        check_url(url, allows_private=False)

    assert (refused.value.reason, refused.value.param) == (reason, "url")


@pytest.mark.parametrize(
    "url", ["https://shop.example/paymesh", "https://shop.example:8443/", "https://8.8.8.8/hook"]
)
def test_a_public_https_url_is_taken(url: str) -> None:
    assert check_url(url, allows_private=False) == url


def test_unknown_event_types_are_refused_by_place() -> None:
    with pytest.raises(DomainError) as refused:
        check_events(["payment.succeeded", "payment.exploded"])

    assert refused.value.param == "enabledEvents[1]"


def test_the_signature_is_that_of_standard_webhooks() -> None:
    made = headers(
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        1614265330,
        b'{"test": 2432232314}',
        ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"],
    )

    assert made["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_while_a_secret_rotates_either_verifies() -> None:
    old, new = new_secret(), new_secret()
    body = b'{"id":"evt_1"}'

    made = headers("evt_1", int(datetime.now(UTC).timestamp()), body, [new, old])

    for secret in (old, new):
        assert Webhook(secret).verify(body, made) == {"id": "evt_1"}


def test_tries_follow_the_schedule_and_end_after_three_days() -> None:
    now, waits = START, []
    for tries in range(1, 200):
        at = next_attempt(tries, START, now, 0)
        if at is None:
            break
        waits.append((at - now).total_seconds())
        now = at

    assert waits[:6] == [5, 25, 125, 625, 3600, 3600]
    assert len(waits) == 75
    assert now - START <= timedelta(days=3)


@pytest.mark.parametrize(("jitter", "seconds"), [(-1, 20), (0, 25), (1, 30)])
def test_jitter_moves_a_try_by_a_fifth(jitter: float, seconds: float) -> None:
    assert next_attempt(2, START, START, jitter) == START + timedelta(seconds=seconds)
