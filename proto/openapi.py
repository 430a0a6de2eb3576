"""Writes the OpenAPI 3.1 document of what the edge serves, from the contracts and edge/envoy.yaml.

It describes the JSON that the edge really takes and gives: names in lowerCamelCase, enums as bare
values, the one error body, the signature headers, the idempotency key.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import yaml
from google.api import annotations_pb2, field_behavior_pb2
from google.protobuf import descriptor_pb2

from proto.edge_contract import ERROR_CONTENT, ERROR_SCHEMA, ERRORS, SIGNATURE, Schema

FIELD = descriptor_pb2.FieldDescriptorProto
SCALARS: dict[int, Schema] = {
    FIELD.TYPE_STRING: {"type": "string"},
    FIELD.TYPE_BOOL: {"type": "boolean"},
    FIELD.TYPE_INT32: {"type": "integer", "format": "int32"},
    FIELD.TYPE_UINT32: {"type": "integer", "format": "int64", "minimum": 0, "maximum": 4294967295},
}
# What the services refuse beyond the type, by "Message.field_name".
LIMITS: dict[str, Schema] = {
    "CreatePaymentIntentRequest.amount_in_cents": {"minimum": 1, "maximum": 99999999},
    "CreatePaymentIntentRequest.currency": {"pattern": "^[a-z]{3}$"},
    "CreatePaymentIntentRequest.description": {"maxLength": 1000},
    "CreatePaymentIntentRequest.metadata": {"maxProperties": 50},
    "CapturePaymentIntentRequest.amount_to_capture_in_cents": {"minimum": 1, "maximum": 99999999},
    "CardInput.number": {"pattern": "^[0-9]{12,19}$"},
    "CardInput.exp_month": {"minimum": 1, "maximum": 12},
    "CardInput.exp_year": {"minimum": 2000, "maximum": 2099},
    "CardInput.cvc": {"pattern": "^[0-9]{3}$"},
    "CreateCardTokenRequest.encrypted_card": {"maxLength": 2048},
    "CreateWebhookEndpointRequest.url": {"format": "uri", "maxLength": 2048},
    "CreateWebhookEndpointRequest.enabled_events": {"minItems": 1},
    "CreateWebhookEndpointRequest.description": {"maxLength": 500},
    "UpdateWebhookEndpointRequest.url": {"format": "uri", "maxLength": 2048},
    "UpdateWebhookEndpointRequest.description": {"maxLength": 500},
    "RotateWebhookEndpointSecretRequest.overlap_in_seconds": {"minimum": 0, "maximum": 604800},
}
LIST_LIMIT: Schema = {"minimum": 1, "maximum": 100, "default": 10}
KEY_REQUIRED = "CreateTransaction"
FOR_BROWSERS = "CardTokenService"  # neither signed nor keyed


@dataclass(slots=True)
class Contracts:
    """The descriptors and comments by full name, and the schemas made of them by short name."""

    messages: dict[str, descriptor_pb2.DescriptorProto] = field(default_factory=dict)
    enums: dict[str, descriptor_pb2.EnumDescriptorProto] = field(default_factory=dict)
    services: dict[str, descriptor_pb2.ServiceDescriptorProto] = field(default_factory=dict)
    comments: dict[str, str] = field(default_factory=dict)
    schemas: dict[str, Schema] = field(default_factory=dict)


def write_openapi(documented: Path, edge: Path, output: Path) -> None:
    """Write the document of the services that the edge's transcoder names.

    documented: a descriptor set with source information; edge: edge/envoy.yaml.
    """
    contracts = _read(documented)
    document = _document(contracts, _served(edge))
    text = yaml.dump(document, Dumper=_Plain, sort_keys=False, allow_unicode=True, width=100)
    output.write_text(f"# Generated from proto/ and edge/envoy.yaml; never edited.\n{text}")


class _Plain(yaml.SafeDumper):
    """Writes repeated values out instead of pointing to the first."""

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002
        return True


def _served(edge: Path) -> list[str]:
    return next(
        list(found["services"])
        for found in _walk(yaml.safe_load(edge.read_text()))
        if found.get("services") and "proto_descriptor" in found
    )


def _walk(node: object) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        yield node
        for value in node.values():
            yield from _walk(value)
    elif isinstance(node, list):
        for value in node:
            yield from _walk(value)


def _read(documented: Path) -> Contracts:
    contracts = Contracts()
    files = descriptor_pb2.FileDescriptorSet.FromString(documented.read_bytes())
    for file in files.file:
        names: dict[tuple[int, ...], str] = {}
        for index, message in enumerate(file.message_type):
            _read_message(contracts, names, message, file.package, (4, index))
        for index, service in enumerate(file.service):
            full_name = f"{file.package}.{service.name}"
            contracts.services[full_name] = service
            names[6, index] = full_name
            for at, method in enumerate(service.method):
                names[6, index, 2, at] = f"{full_name}.{method.name}"
        for location in file.source_code_info.location:
            if location.leading_comments and tuple(location.path) in names:
                text = location.leading_comments.strip()
                contracts.comments[names[tuple(location.path)]] = _reflow(text)
    return contracts


def _read_message(
    contracts: Contracts,
    names: dict[tuple[int, ...], str],
    message: descriptor_pb2.DescriptorProto,
    scope: str,
    path: tuple[int, ...],
) -> None:
    full_name = f"{scope}.{message.name}"
    contracts.messages[full_name] = message
    names[path] = full_name
    for index, member in enumerate(message.field):
        names[*path, 2, index] = f"{full_name}.{member.name}"
    for index, enum in enumerate(message.enum_type):
        contracts.enums[f"{full_name}.{enum.name}"] = enum
        names[*path, 4, index] = f"{full_name}.{enum.name}"
        for at, value in enumerate(enum.value):
            names[*path, 4, index, 2, at] = f"{full_name}.{enum.name}.{value.name}"
    for index, nested in enumerate(message.nested_type):
        _read_message(contracts, names, nested, full_name, (*path, 3, index))


def _reflow(comment: str) -> str:
    paragraphs = re.split(r"\n\s*\n", comment)
    return "\n\n".join(" ".join(line.strip() for line in part.splitlines()) for part in paragraphs)


def _document(contracts: Contracts, served: list[str]) -> Schema:
    contracts.schemas["Error"] = ERROR_SCHEMA
    paths: dict[str, Schema] = {}
    for service_name in served:
        for method in contracts.services[service_name].method:
            path, verb, operation = _operation(contracts, service_name, method)
            paths.setdefault(path, {})[verb] = operation
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "paymesh",
            "version": "1",
            "description": "Payments for merchants. Amounts are in minor units of their currency.",
        },
        "servers": [{"url": "https://api.paymesh.example"}],
        "security": [{name: [] for name in SIGNATURE}],
        "paths": paths,
        "components": {
            "securitySchemes": SIGNATURE,
            "responses": {
                code: {"description": text, "content": dict(ERROR_CONTENT)}
                for code, text in ERRORS.items()
            },
            "schemas": dict(sorted(contracts.schemas.items())),
        },
    }


def _operation(
    contracts: Contracts,
    service_name: str,
    method: descriptor_pb2.MethodDescriptorProto,
) -> tuple[str, str, Schema]:
    rule: Any = method.options.Extensions[cast("Any", annotations_pb2.http)]
    verb = str(rule.WhichOneof("pattern"))
    template = getattr(rule, verb)
    in_path = re.findall(r"{(\w+)}", template)
    request = contracts.messages[method.input_type[1:]]
    comment = contracts.comments[f"{service_name}.{method.name}"]
    parameters = [
        _parameter(contracts, method.input_type[1:], member, "path")
        for member in request.field
        if member.name in in_path
    ]
    operation: Schema = {
        "operationId": method.name[0].lower() + method.name[1:],
        "tags": [service_name.rsplit(".", 1)[1].removesuffix("Service")],
        "summary": re.split(r"(?<=[.])\s", comment)[0],
        "description": comment,
        "parameters": parameters,
    }
    is_for_browsers = service_name.endswith(f".{FOR_BROWSERS}")
    if is_for_browsers:
        operation["security"] = [{"publishableKey": []}]
    rest = [member for member in request.field if member.name not in in_path]
    if verb == "post" and not is_for_browsers:
        parameters.append(_idempotency_key(required=method.name == KEY_REQUIRED))
    if rule.body:
        operation["requestBody"] = {
            "required": any(_is_required(member) for member in rest),
            "content": {
                "application/json": {
                    "schema": _object(contracts, method.input_type[1:], rest, output=False)
                }
            },
        }
    else:
        for member in rest:
            parameters += _query(contracts, method.input_type[1:], member)
    operation["responses"] = _responses(contracts, method.output_type[1:])
    return re.sub(r"{(\w+)}", lambda name: f"{{{_camel(name[1])}}}", template), verb, operation


def _responses(contracts: Contracts, output: str) -> Schema:
    return {
        "200": {
            "description": contracts.comments[output],
            "content": {"application/json": {"schema": _reference(contracts, output, output=True)}},
        },
        **{code: {"$ref": f"#/components/responses/{code}"} for code in ERRORS},
    }


def _idempotency_key(*, required: bool) -> Schema:
    return {
        "name": "Idempotency-Key",
        "in": "header",
        "required": required,
        "description": (
            "Makes repeating this call safe: the same key and body return the first answer, with "
            "`idempotent-replayed: true`. A new try with another card needs a new key."
        ),
        "schema": {"type": "string", "minLength": 1, "maxLength": 255},
    }


def _query(contracts: Contracts, owner: str, member: Any) -> list[Schema]:
    if member.type != FIELD.TYPE_MESSAGE:
        return [_parameter(contracts, owner, member, "query")]
    inner = member.type_name[1:]
    found = []
    for nested in contracts.messages[inner].field:
        parameter = _parameter(contracts, inner, nested, "query")
        parameter["name"] = f"{_camel(member.name)}.{parameter['name']}"
        found.append(parameter)
    return found


def _parameter(contracts: Contracts, owner: str, member: Any, place: str) -> Schema:
    schema = _schema(contracts, owner, member, output=False)
    if member.name == "limit":
        schema |= LIST_LIMIT
    description = schema.pop("description", contracts.comments[f"{owner}.{member.name}"])
    return {
        "name": _camel(member.name),
        "in": place,
        "required": place == "path",
        "description": description,
        "schema": schema,
    }


def _reference(contracts: Contracts, full_name: str, *, output: bool) -> Schema:
    name = full_name.rsplit(".", 1)[1]
    if name not in contracts.schemas:
        members = list(contracts.messages[full_name].field)
        contracts.schemas[name] = _object(contracts, full_name, members, output=output)
    return {"$ref": f"#/components/schemas/{name}"}


def _object(
    contracts: Contracts,
    full_name: str,
    members: list[Any],
    *,
    output: bool,
) -> Schema:
    required = [_camel(m.name) for m in members if _is_present(m, output=output)]
    schema: Schema = {
        "type": "object",
        "description": contracts.comments[full_name],
        "properties": {
            _camel(m.name): _schema(contracts, full_name, m, output=output) for m in members
        },
    }
    if required:
        schema["required"] = required
    if not output:
        schema["additionalProperties"] = False
    return schema


def _is_required(member: Any) -> bool:
    behaviors = member.options.Extensions[field_behavior_pb2.field_behavior]
    return field_behavior_pb2.FieldBehavior.REQUIRED in behaviors


def _is_present(member: Any, *, output: bool) -> bool:
    if not output:
        return _is_required(member)
    is_message = member.type == FIELD.TYPE_MESSAGE and member.label != FIELD.LABEL_REPEATED
    return not member.proto3_optional and (not is_message or member.name in {"data", "object"})


def _schema(contracts: Contracts, owner: str, member: Any, *, output: bool) -> Schema:
    schema = _type(contracts, member, output=output)
    if member.label == FIELD.LABEL_REPEATED and "additionalProperties" not in schema:
        schema = {"type": "array", "items": schema}
    key = f"{owner.rsplit('.', 1)[1]}.{member.name}"
    return {
        **schema,
        **LIMITS.get(key, {}),
        "description": contracts.comments[f"{owner}.{member.name}"],
    }


def _type(contracts: Contracts, member: Any, *, output: bool) -> Schema:
    if member.type == FIELD.TYPE_ENUM:
        values = contracts.enums[member.type_name[1:]].value
        return {"type": "string", "enum": [value.name for value in values if value.number]}
    if member.type != FIELD.TYPE_MESSAGE:
        return dict(SCALARS[member.type])
    message = contracts.messages[member.type_name[1:]]
    if message.options.map_entry:
        return {"type": "object", "additionalProperties": {"type": "string"}}
    return _reference(contracts, member.type_name[1:], output=output)


def _camel(name: str) -> str:
    head, *tail = name.split("_")
    return head + "".join(part.capitalize() for part in tail)
