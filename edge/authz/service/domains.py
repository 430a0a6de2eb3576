"""gRPC in: the domains of merchants, for the platform team's tools."""

from __future__ import annotations

from paymesh.merchant.v1 import payment_domain_service_pb2 as domain_pb2
from paymesh.merchant.v1 import payment_domain_service_pb2_grpc

from chassis.identity import Context
from chassis.ids import MerchantId
from edge.authz.domain.payment_domain import PaymentDomain
from edge.authz.domains import DomainHandlers


class PaymentDomainService(payment_domain_service_pb2_grpc.PaymentDomainServiceServicer):
    """Where a merchant takes cards."""

    def __init__(self, handlers: DomainHandlers) -> None:
        self._handlers = handlers

    async def AddPaymentDomain(
        self, request: domain_pb2.AddPaymentDomainRequest, context: Context
    ) -> domain_pb2.AddPaymentDomainResponse:
        """Register a domain."""
        added = await self._handlers.add(MerchantId(request.merchant_id), request.domain)
        return domain_pb2.AddPaymentDomainResponse(payment_domain=_message(added))

    async def ListPaymentDomains(
        self, request: domain_pb2.ListPaymentDomainsRequest, context: Context
    ) -> domain_pb2.ListPaymentDomainsResponse:
        """List a merchant's domains."""
        found = await self._handlers.all_of(MerchantId(request.merchant_id))
        return domain_pb2.ListPaymentDomainsResponse(
            payment_domains=[_message(one) for one in found]
        )

    async def RemovePaymentDomain(
        self, request: domain_pb2.RemovePaymentDomainRequest, context: Context
    ) -> domain_pb2.RemovePaymentDomainResponse:
        """Remove a domain."""
        await self._handlers.remove(MerchantId(request.merchant_id), request.domain)
        return domain_pb2.RemovePaymentDomainResponse()


def _message(found: PaymentDomain) -> domain_pb2.PaymentDomain:
    return domain_pb2.PaymentDomain(domain=found.name, created=int(found.created.timestamp()))
