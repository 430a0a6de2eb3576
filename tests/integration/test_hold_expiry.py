"""Held funds when their time runs out: a warning first, then the end, by rows that are due."""

from __future__ import annotations

import pytest

from chassis.identity import Caller
from intent_svc.domain.payment_intent import EXPIRING_BEFORE_S, AuthorizationExpired, Status
from tests.integration.capture_parts import Holds
from tests.integration.intent_parts import AMOUNT_MINOR, a_key

pytestmark = pytest.mark.integration


async def test_an_authorization_tells_of_its_end_and_is_canceled(
    holds: Holds, caller: Caller
) -> None:
    intent = await holds.authorized(caller)
    hold_s = (intent.capture_before or 0) - holds.clock.now().timestamp()

    await holds.do_due()
    holds.clock.move(hold_s - EXPIRING_BEFORE_S)
    await holds.do_due()
    await holds.do_due(holds.other)
    warned = await holds.intent(caller, intent.id)
    holds.clock.move(EXPIRING_BEFORE_S)
    await holds.do_due(holds.other)
    await holds.do_due()

    lapsed = await holds.intent(caller, intent.id)
    assert (warned.status, lapsed.status, lapsed.due) == (
        Status.AUTHORIZED,
        Status.CANCELED,
        None,
    )
    assert await holds.process.history(intent.id) == [
        (1, "payment.created"),
        (2, "payment.processing"),
        (3, "payment.authorized"),
        (4, "payment.authorization_expiring"),
        (5, "payment.canceled"),
    ]
    assert (await holds.books(caller))["reversed"] is True
    _, [authorization] = await holds.charges.get(
        caller, intent.id, str(intent.latest_transaction_id)
    )
    assert authorization.reversal is not None
    assert (authorization.reversal.reason, authorization.reversal.status) == (
        "4351",
        "acknowledged",
    )


async def test_what_has_lapsed_is_refused_by_name_even_before_it_is_canceled(
    holds: Holds, caller: Caller
) -> None:
    intent = await holds.authorized(caller)
    holds.clock.move((intent.capture_before or 0) - holds.clock.now().timestamp())

    with pytest.raises(AuthorizationExpired):
        await holds.process.handlers.capture(caller, intent.id, None, a_key())

    assert await holds.sent(caller) == ["0100"]


async def test_a_warned_merchant_can_still_capture(holds: Holds, caller: Caller) -> None:
    intent = await holds.authorized(caller)
    holds.clock.move((intent.capture_before or 0) - holds.clock.now().timestamp() - 1)
    await holds.do_due()

    captured = await holds.capture(caller, intent)
    holds.clock.move(3600)
    await holds.do_due()

    assert captured.is_expiring
    assert captured.status is Status.SUCCEEDED
    assert (await holds.intent(caller, intent.id)).status is Status.SUCCEEDED
    assert (await holds.books(caller))["captured"] == AMOUNT_MINOR
