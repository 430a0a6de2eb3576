"""Domains of merchants on real PostgreSQL, and what the card frame's page is let pass with."""

from __future__ import annotations

from typing import Any

import grpc
import pytest
from paymesh.merchant.v1 import mode_pb2
from paymesh.merchant.v1 import payment_domain_service_pb2 as domain_pb2
from paymesh.merchant.v1 import payment_domain_service_pb2_grpc as domain_grpc

from edge.authz.domain.payment_domain import DOMAINS_MAX
from tests.integration.authz_client import Authz

pytestmark = pytest.mark.integration


async def _add(stub: Any, merchant_id: str, domain: str) -> str:
    request = domain_pb2.AddPaymentDomainRequest(merchant_id=merchant_id, domain=domain)
    try:
        added = await stub.AddPaymentDomain(request, timeout=5)
    except grpc.aio.AioRpcError as refused:
        return str(refused.details())
    return str(added.payment_domain.domain)


async def test_a_merchant_has_so_many_domains_and_adding_one_again_is_always_safe(
    authz: Authz,
) -> None:
    keys = await authz.new_keys()
    async with authz.operator() as channel:
        stub: Any = domain_grpc.PaymentDomainServiceStub(channel)
        names = [f"shop{number:03}.example" for number in range(DOMAINS_MAX)]
        added = [await _add(stub, keys.merchant_id, name) for name in names]
        again = await _add(stub, keys.merchant_id, names[0].upper())
        over = await _add(stub, keys.merchant_id, "one.example")
        listed = await stub.ListPaymentDomains(
            domain_pb2.ListPaymentDomainsRequest(merchant_id=keys.merchant_id), timeout=5
        )
        unknown = await _add(stub, "mer_unknown", "shop.example")

    assert added == names
    assert again == names[0]
    assert str(DOMAINS_MAX) in over
    assert [one.domain for one in listed.payment_domains] == names
    assert "merchant" in unknown


async def test_the_frame_passes_with_the_domains_of_its_key_and_no_signature(authz: Authz) -> None:
    keys = await authz.new_keys(mode_pb2.ModeEnum.live)
    other = await authz.new_keys(mode_pb2.ModeEnum.live)
    async with authz.operator() as channel:
        stub: Any = domain_grpc.PaymentDomainServiceStub(channel)
        await _add(stub, keys.merchant_id, "shop.example")

    passed = [
        await authz.ask("GET", f"/card-frame?key={key}")
        for key in (keys.publishable, other.publishable, "pk_live_" + "0" * 24, "")
    ]

    assert [answer.status for answer in passed] == [200] * 4
    assert [answer.headers["x-frame-ancestors"] for answer in passed] == [
        "https://shop.example",
        *["'none'"] * 3,
    ]
    assert not any("authorization" in answer.headers for answer in passed)
