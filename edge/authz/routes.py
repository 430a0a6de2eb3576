"""Which call a public path means, read from the contracts' HTTP annotations."""

from __future__ import annotations

import re
from dataclasses import dataclass

from google.api import annotations_pb2
from google.protobuf.descriptor import Descriptor, ServiceDescriptor
from paymesh.intent.v1 import payment_intent_service_pb2
from paymesh.txn.v1 import card_token_service_pb2, transaction_service_pb2
from paymesh.webhook.v1 import event_service_pb2, webhook_endpoint_service_pb2

from chassis.errors import ResourceMissing
from edge.authz.domain.key import Access, Resource
from edge.authz.strict_json import check_body, check_query, refuse_query

SERVICES: dict[Resource, ServiceDescriptor] = {
    Resource.PAYMENT_INTENTS: payment_intent_service_pb2.DESCRIPTOR.services_by_name[
        "PaymentIntentService"
    ],
    Resource.TRANSACTIONS: transaction_service_pb2.DESCRIPTOR.services_by_name[
        "TransactionService"
    ],
    Resource.WEBHOOK_ENDPOINTS: webhook_endpoint_service_pb2.DESCRIPTOR.services_by_name[
        "WebhookEndpointService"
    ],
    Resource.EVENTS: event_service_pb2.DESCRIPTOR.services_by_name["EventService"],
    Resource.CARD_TOKENS: card_token_service_pb2.DESCRIPTOR.services_by_name["CardTokenService"],
}


@dataclass(frozen=True, slots=True)
class Route:
    """One call.

    resource, access: the right that it takes.
    bound: the proto names of the fields that the path gives.
    """

    resource: Resource
    access: Access
    method: str
    path: re.Pattern[str]
    message: Descriptor
    bound: frozenset[str]
    has_body: bool

    def check(self, query: str, content: bytes) -> None:
        """Check query and body. Raises DomainErrors that name the field."""
        if self.method == "GET":
            check_query(self.message, query, self.bound)
        else:
            refuse_query(query)
        if self.has_body:
            check_body(self.message, content, self.bound)


def _routes() -> tuple[Route, ...]:
    found = []
    for resource, service in SERVICES.items():
        for rpc in service.methods:
            rule = rpc.GetOptions().Extensions[annotations_pb2.http]
            verb = rule.WhichOneof("pattern")
            template = getattr(rule, verb)
            found.append(
                Route(
                    resource=resource,
                    access=Access.READ if verb == "get" else Access.READ_WRITE,
                    method=verb.upper(),
                    path=re.compile(re.sub(r"\{\w+\}", "[^/]+", template)),
                    message=rpc.input_type,
                    bound=frozenset(re.findall(r"\{(\w+)\}", template)),
                    has_body=bool(rule.body),
                )
            )
    return tuple(found)


ROUTES = _routes()
FOR_BROWSERS = [route.path for route in ROUTES if route.resource is Resource.CARD_TOKENS]


def is_for_browsers(path: str) -> bool:
    """Return whether what is at this path is for customers' browsers, which can't sign."""
    return any(template.fullmatch(path) for template in FOR_BROWSERS)


def find_route(method: str, path: str) -> Route:
    """Return the call that a request means.

    The transcoder reads some paths more leniently than we do, e.g. with a slash at the end; so what
    has no route here does not pass. Raises ResourceMissing.
    """
    for route in ROUTES:
        if route.method == method and route.path.fullmatch(path):
            return route
    raise ResourceMissing("There is nothing at this path for this method.")
