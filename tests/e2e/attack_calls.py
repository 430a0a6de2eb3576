"""How each public call is made with ids of its owner, for every test that attacks all calls.

Read from the descriptor set that Envoy loads: a call without a row here fails.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from google.api import annotations_pb2
from google.protobuf import descriptor_pb2, descriptor_pool
from google.protobuf.descriptor import Descriptor, FieldDescriptor

from sandbox.state import ROOT

CURSORS = ("starting_after", "ending_before")
RESOURCES = {
    "PaymentIntentService": "payment_intents",
    "TransactionService": "transactions",
    "CardTokenService": "card_tokens",
    "WebhookEndpointService": "webhook_endpoints",
    "EventService": "events",
}


@dataclass(frozen=True, slots=True)
class Row:
    """What makes a call good.

    objects: by each field that names an object, in path, query or body, which of its owner's
    objects stands there; cursors are left out of a good call. body: its other members.
    """

    objects: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, Any] = field(default_factory=dict)


def _cursors(kind: str) -> dict[str, str]:
    return dict.fromkeys(CURSORS, kind)


ROWS = {
    "CreatePaymentIntent": Row(body={"amountInCents": 1099, "currency": "usd"}),
    "GetPaymentIntent": Row({"payment_intent_id": "intent"}),
    "ListPaymentIntents": Row(_cursors("intent")),
    "CancelPaymentIntent": Row({"payment_intent_id": "spare"}),
    "CapturePaymentIntent": Row({"payment_intent_id": "held"}, {"amountToCaptureInCents": 5}),
    "CreateCardToken": Row(
        {"payment_intent_id": "intent", "client_secret": "secret", "encrypted_card": "card"}
    ),
    "CreateTransaction": Row(
        {"payment_intent_id": "intent", "card.token": "token"}, {"type": "charge"}
    ),
    "GetTransaction": Row({"payment_intent_id": "held", "transaction_id": "transaction"}),
    "ListTransactions": Row({"payment_intent_id": "held", **_cursors("transaction")}),
    "GetCardEncryptionKeys": Row(),
    "CreateWebhookEndpoint": Row(
        body={"url": "https://shop.example/paymesh", "enabledEvents": ["payment.failed"]}
    ),
    "GetWebhookEndpoint": Row({"webhook_endpoint_id": "endpoint"}),
    "ListWebhookEndpoints": Row(_cursors("endpoint")),
    "UpdateWebhookEndpoint": Row({"webhook_endpoint_id": "endpoint"}, {"description": "changed"}),
    "RotateWebhookEndpointSecret": Row(
        {"webhook_endpoint_id": "endpoint"}, {"overlapInSeconds": 60}
    ),
    "ListWebhookDeliveries": Row({"webhook_endpoint_id": "endpoint", **_cursors("delivery")}),
    "ReplayWebhookDeliveries": Row({"webhook_endpoint_id": "endpoint", "event_id": "event"}),
    "GetEvent": Row({"event_id": "event"}),
    "ListEvents": Row(_cursors("event")),
    "DeleteWebhookEndpoint": Row({"webhook_endpoint_id": "endpoint"}),
}


@dataclass(frozen=True, slots=True)
class Request:
    """What is sent."""

    method: str
    path: str
    body: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class Call:
    """A public call as the descriptor set has it.

    template: its path, with the proto names of fields in braces.
    """

    name: str
    service: str
    method: str
    template: str
    has_body: bool
    request: Descriptor
    response: Descriptor

    @property
    def row(self) -> Row:
        """Return how it is made."""
        return ROWS[self.name]

    @property
    def resource(self) -> str:
        """Return what a key needs a right on."""
        return RESOURCES[self.service]

    @property
    def is_for_browsers(self) -> bool:
        """Return whether it is called with a publishable key alone."""
        return self.service == "CardTokenService"

    @property
    def bound(self) -> list[str]:
        """Return the proto names of the fields that stand in the path."""
        return re.findall(r"{(\w+)}", self.template)

    def good(self, objects: Mapping[str, str]) -> Request:
        """Return the call on an owner's objects, by the row's names for them."""
        named = {name: objects[kind] for name, kind in self.row.objects.items()}
        return self.naming({name: of for name, of in named.items() if name not in CURSORS})

    def naming(self, named: Mapping[str, str]) -> Request:
        """Return the call with these ids, by the fields that name them."""
        path = re.sub(r"{(\w+)}", lambda found: named[found[1]], self.template)
        rest = {name: of for name, of in named.items() if name not in self.bound}
        if not self.has_body:
            query = "&".join(f"{camel(name)}={of}" for name, of in rest.items())
            return Request(self.method, f"{path}?{query}" if query else path, None)
        body: dict[str, Any] = dict(self.row.body)
        for name, of in rest.items():
            outer, _, inner = name.rpartition(".")
            if outer:
                body[camel(outer)] = {camel(inner): of}
            else:
                body[camel(name)] = of
        return Request(self.method, path, body)

    def leaves(self) -> Iterator[tuple[str, FieldDescriptor]]:
        """Yield each field that holds a value, by its dotted proto name; not those of the path."""
        for name, leaf in _leaves(self.request, ""):
            if name not in self.bound:
                yield name, leaf

    def with_member(self, request: Request, name: str, value: object) -> Request:
        """Return a request with one more member; dotted: inside another, beside what is there."""
        if not self.has_body:
            joint = "&" if "?" in request.path else "?"
            return Request(request.method, f"{request.path}{joint}{name}={value}", None)
        body = dict(request.body or {})
        outer, _, inner = name.rpartition(".")
        if outer:
            body[outer] = {**body.get(outer, {}), inner: value}
        else:
            body[name] = value
        return Request(request.method, request.path, body)


def camel(name: str) -> str:
    """Return the JSON name of a field, or of a dotted one."""
    return re.sub(r"_(\w)", lambda found: found[1].upper(), name)


def _leaves(message: Descriptor, prefix: str) -> Iterator[tuple[str, FieldDescriptor]]:
    for member in message.fields:
        inner = member.message_type
        if inner is None or inner.GetOptions().map_entry:
            yield prefix + member.name, member
        else:
            yield from _leaves(inner, f"{prefix}{member.name}.")


def _calls() -> Iterator[Call]:
    files = descriptor_pb2.FileDescriptorSet.FromString((ROOT / "gen" / "api.binpb").read_bytes())
    pool = descriptor_pool.DescriptorPool()
    for file in files.file:
        pool.AddSerializedFile(file.SerializeToString())
    for file in files.file:
        for described in file.service:
            service: Any = pool.FindServiceByName(f"{file.package}.{described.name}")
            for rpc in service.methods:
                options = cast("Any", rpc.GetOptions())
                if not options.HasExtension(annotations_pb2.http):
                    continue
                rule = options.Extensions[annotations_pb2.http]
                verb = rule.WhichOneof("pattern")
                yield Call(
                    rpc.name,
                    service.name,
                    verb.upper(),
                    getattr(rule, verb),
                    bool(rule.body),
                    rpc.input_type,
                    rpc.output_type,
                )


CALLS = list(_calls())
