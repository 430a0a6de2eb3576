"""Webhooks: addresses, URLs, signatures and the schedule of tries."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from standardwebhooks.webhooks import Webhook

from chassis.errors import DomainError
from webhook_svc.domain.delivery import next_attempt
from webhook_svc.domain.endpoint import check_events
from webhook_svc.domain.signature import headers, new_secret

START = datetime(2026, 3, 1, tzinfo=UTC)


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
