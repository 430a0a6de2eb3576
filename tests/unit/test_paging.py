"""Pages as requests ask for them, the same for every list, and what is cut from the rows."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
import sqlalchemy as sa
from paymesh.intent.v1.payment_intent_service_pb2 import CreatedRange, ListPaymentIntentsRequest
from paymesh.txn.v1.transaction_service_pb2 import ListTransactionsRequest
from paymesh.webhook.v1.event_service_pb2 import ListEventsRequest
from paymesh.webhook.v1.webhook_endpoint_service_pb2 import (
    ListWebhookDeliveriesRequest,
    ListWebhookEndpointsRequest,
)

from chassis.errors import ParameterInvalid, ResourceMissing
from chassis.paging import ListRequest, Page, Period, page_of, period_of

REQUESTS: list[type[ListRequest]] = [
    ListPaymentIntentsRequest,
    ListTransactionsRequest,
    ListEventsRequest,
    ListWebhookDeliveriesRequest,
    ListWebhookEndpointsRequest,
]


@pytest.mark.parametrize("request_type", REQUESTS)
@pytest.mark.parametrize(
    ("fields", "page"),
    [
        ({}, Page(10)),
        ({"limit": 1}, Page(1)),
        ({"limit": 100, "starting_after": "a"}, Page(100, after="a")),
        ({"ending_before": "b"}, Page(10, before="b")),
    ],
)
def test_every_list_s_request_asks_for_a_page(
    request_type: type[ListRequest], fields: dict[str, Any], page: Page
) -> None:
    assert page_of(request_type(**fields)) == page


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"limit": 0}, "limit"),
        ({"limit": 101}, "limit"),
        ({"limit": -1}, "limit"),
        ({"starting_after": "a", "ending_before": "b"}, "endingBefore"),
    ],
)
def test_a_page_that_can_t_be_is_refused(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(ParameterInvalid) as refused:
        page_of(ListPaymentIntentsRequest(**fields))

    assert refused.value.param == param


@pytest.mark.parametrize(
    ("page", "param"),
    [(Page(3, after="pi_1"), "startingAfter"), (Page(3, before="pi_1"), "endingBefore")],
)
async def test_a_cursor_that_is_not_found_is_named(page: Page, param: str) -> None:
    async def find(cursor: str) -> None:
        raise ResourceMissing(f"No such {cursor}.", param="paymentIntentId")

    with pytest.raises(ResourceMissing) as refused:
        await page.check_cursor(find)

    assert (refused.value.message, refused.value.param) == ("No such pi_1.", param)


@pytest.mark.parametrize(
    ("page", "rows", "listed"),
    [
        (Page(2), [9, 8], ([9, 8], False)),
        (Page(2, after="x"), [9, 8, 7], ([9, 8], True)),
        (Page(2, before="x"), [1, 2, 3], ([2, 1], True)),
        (Page(2, before="x"), [1], ([1], False)),
    ],
)
def test_a_page_is_cut_newest_first(
    page: Page, rows: list[int], listed: tuple[list[int], bool]
) -> None:
    assert page.cut(rows) == listed


def test_a_period_is_bounded_by_what_is_given_even_if_it_is_zero() -> None:
    period = period_of(CreatedRange(gte=0, lt=20))

    assert period == Period(gte=datetime.fromtimestamp(0, UTC), lt=datetime.fromtimestamp(20, UTC))
    conditions = [str(condition) for condition in period.holds(sa.column("created"))]
    assert conditions == ["created >= :created_1", "created < :created_1"]
