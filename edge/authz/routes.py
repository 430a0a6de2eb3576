"""Which message a public path means, read from the contracts' HTTP annotations."""

from __future__ import annotations

import re
from dataclasses import dataclass

from google.api import annotations_pb2
from google.protobuf.descriptor import Descriptor, ServiceDescriptor
from paymesh.intent.v1 import payment_intent_service_pb2
from paymesh.txn.v1 import transaction_service_pb2
from paymesh.webhook.v1 import event_service_pb2, webhook_endpoint_service_pb2

from chassis.errors import ResourceMissing
from edge.authz.strict_json import check_body, check_query, refuse_query

SERVICES: tuple[ServiceDescriptor, ...] = (
    payment_intent_service_pb2.DESCRIPTOR.services_by_name["PaymentIntentService"],
    transaction_service_pb2.DESCRIPTOR.services_by_name["TransactionService"],
    webhook_endpoint_service_pb2.DESCRIPTOR.services_by_name["WebhookEndpointService"],
    event_service_pb2.DESCRIPTOR.services_by_name["EventService"],
)


@dataclass(frozen=True, slots=True)
class Route:
    """One call. bound: the proto names of the fields that the path gives."""

    method: str
    path: re.Pattern[str]
    message: Descriptor
    bound: frozenset[str]
    has_body: bool


def _routes() -> tuple[Route, ...]:
    found = []
    for service in SERVICES:
        for rpc in service.methods:
            rule = rpc.GetOptions().Extensions[annotations_pb2.http]
            verb = rule.WhichOneof("pattern")
            template = getattr(rule, verb)
            found.append(
                Route(
                    method=verb.upper(),
                    path=re.compile(re.sub(r"\{\w+\}", "[^/]+", template)),
                    message=rpc.input_type,
                    bound=frozenset(re.findall(r"\{(\w+)\}", template)),
                    has_body=bool(rule.body),
                )
            )
    return tuple(found)


ROUTES = _routes()


def check_request(method: str, path: str, query: str, content: bytes) -> None:
    """Check body and query of a request.

    The transcoder reads some paths more leniently than we do, e.g. with a slash at the end; so what
    was not checked here does not pass. Raises ResourceMissing, or DomainErrors that name the field.
    """
    for route in ROUTES:
        if route.method == method and route.path.fullmatch(path):
            if method == "GET":
                check_query(route.message, query, route.bound)
            else:
                refuse_query(query)
            if route.has_body:
                check_body(route.message, content, route.bound)
            return
    raise ResourceMissing("There is nothing at this path for this method.")
