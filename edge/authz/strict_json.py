"""Checks a request's body and query against its message, as strictly as money deserves.

Envoy's transcoder drops unknown fields, takes text for numbers and the last of two equal names; a
misspelt `captureMethod` would charge a card. So whatever it would bend is refused here, by name.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import cache
from typing import Any, cast
from urllib.parse import parse_qsl

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from chassis.errors import DomainError, Kind, ParameterInvalid, ParameterUnknown

INTEGER_RANGES = {
    FieldDescriptor.TYPE_INT32: (-(2**31), 2**31 - 1),
    FieldDescriptor.TYPE_UINT32: (0, 2**32 - 1),
}
_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]{0,15})")
_SURROGATE = re.compile("[\ud800-\udfff]")


class BodyNotJson(DomainError):
    """The body is not a JSON object."""

    kind, reason = Kind.INVALID, "BODY_NOT_JSON"

    def __init__(self) -> None:
        super().__init__("The body must be one JSON object in UTF-8.")


class _Repeated(dict[str, object]):
    """An object that names a member twice; `name` is the member."""

    name = ""


def check_body(message: Descriptor, content: bytes, bound: frozenset[str]) -> None:
    """Check a body. bound: the fields that the path binds, which a body may not name.

    Raises BodyNotJson, ParameterUnknown, ParameterInvalid.
    """
    if not content:
        return
    try:
        body = DECODER.decode(content.decode())
    except (ValueError, RecursionError):
        raise BodyNotJson from None
    if not isinstance(body, dict):
        raise BodyNotJson
    _check_message(message, body, "", bound)


def check_query(message: Descriptor, query: str, bound: frozenset[str]) -> None:
    """Check the query of a GET. Raises ParameterUnknown, ParameterInvalid."""
    seen: set[str] = set()
    for name, text in parse_qsl(query, keep_blank_values=True, errors="surrogateescape"):
        field = _query_field(message, name, bound)
        if field is None:
            raise ParameterUnknown(name)
        if field.full_name + name.rpartition(".")[0] in seen and not field.is_repeated:
            raise ParameterInvalid(f"{name} is given twice.", param=name)
        seen.add(field.full_name + name.rpartition(".")[0])
        _check_query_value(field, text, name)


def refuse_query(query: str) -> None:
    """Refuse any query on a write: there it would override the body. Raises ParameterUnknown."""
    if query:
        pairs = parse_qsl(query, keep_blank_values=True)
        raise ParameterUnknown(pairs[0][0] if pairs else query)


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) == len(pairs):
        return found
    names = [name for name, _ in pairs]
    repeated = _Repeated(found)
    repeated.name = next(name for name in names if names.count(name) > 1)
    return repeated


def _refuse_constant(_: str) -> None:
    raise ValueError


DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_refuse_constant)


def _check_message(
    message: Descriptor, body: dict[str, object], prefix: str, bound: frozenset[str]
) -> None:
    if isinstance(body, _Repeated):
        param = prefix + body.name
        raise ParameterInvalid(f"{param} is given twice.", param=param)
    named: dict[str, str] = {}
    for name, value in body.items():
        param = prefix + name
        field = _fields(message).get(name)
        if field is None or field.name in bound:
            raise ParameterUnknown(param)
        if field.name in named:
            raise ParameterInvalid(
                f"{param} is given twice, as {named[field.name]} too.", param=param
            )
        named[field.name] = param
        _check_field(field, value, param)


@cache
def _fields(message: Descriptor) -> dict[str, FieldDescriptor]:
    """Return a message's fields by their JSON and their proto names: the transcoder takes both."""
    return {field.json_name: field for field in message.fields} | dict(message.fields_by_name)


@cache
def _map_value(field: FieldDescriptor) -> FieldDescriptor | None:
    """Return what the values of a map are; None if the field is none."""
    entry = field.message_type
    if entry is None or not entry.GetOptions().map_entry:
        return None
    return entry.fields_by_name["value"]


def _check_field(field: FieldDescriptor, value: object, param: str) -> None:
    values = _map_value(field)
    if values is not None:
        _check_map(values, value, param)
    elif field.is_repeated:
        if not isinstance(value, list):
            raise ParameterInvalid(f"{param} must be a list.", param=param)
        for number, item in enumerate(value):
            _check_value(field, item, f"{param}[{number}]")
    else:
        _check_value(field, value, param)


def _check_map(value_field: FieldDescriptor, value: object, param: str) -> None:
    if not isinstance(value, dict):
        raise ParameterInvalid(f"{param} must be an object.", param=param)
    if isinstance(value, _Repeated):
        name = f"{param}.{value.name}"
        raise ParameterInvalid(f"{name} is given twice.", param=name)
    for name, item in value.items():
        _check_text(name, f"{param}.{name}")
        _check_value(value_field, item, f"{param}.{name}")


def _check_value(field: FieldDescriptor, value: object, param: str) -> None:
    if field.message_type is not None:
        if not isinstance(value, dict):
            raise ParameterInvalid(f"{param} must be an object.", param=param)
        _check_message(field.message_type, value, f"{param}.", frozenset())
    else:
        CHECKS[field.type](field, value, param)


def _check_string(_: FieldDescriptor, value: object, param: str) -> None:
    if not isinstance(value, str):
        raise ParameterInvalid(f"{param} must be text.", param=param)
    _check_text(value, param)


def _check_text(text: str, param: str) -> None:
    if "\0" in text or _SURROGATE.search(text):
        shown = param.encode(errors="replace").decode()
        raise ParameterInvalid(f"{shown} must be text without NUL.", param=shown)


def _check_integer(field: FieldDescriptor, value: object, param: str) -> None:
    first, last = INTEGER_RANGES[field.type]
    if type(value) is not int or not first <= value <= last:
        raise ParameterInvalid(
            f"{param} must be a whole number from {first} to {last}.", param=param
        )


def _check_bool(_: FieldDescriptor, value: object, param: str) -> None:
    if not isinstance(value, bool):
        raise ParameterInvalid(f"{param} must be true or false.", param=param)


def _check_enum(field: FieldDescriptor, value: object, param: str) -> None:
    names = [row.name for row in cast("Any", field.enum_type).values if row.number != 0]
    if value not in names:
        raise ParameterInvalid(f"{param} must be one of: {', '.join(names)}.", param=param)


CHECKS: dict[int, Callable[[FieldDescriptor, object, str], None]] = {
    FieldDescriptor.TYPE_STRING: _check_string,
    FieldDescriptor.TYPE_INT32: _check_integer,
    FieldDescriptor.TYPE_UINT32: _check_integer,
    FieldDescriptor.TYPE_BOOL: _check_bool,
    FieldDescriptor.TYPE_ENUM: _check_enum,
}


def _query_field(message: Descriptor, name: str, bound: frozenset[str]) -> FieldDescriptor | None:
    """Return the scalar field that a query parameter such as "created.gte" means."""
    first, *rest = name.split(".")
    field = _fields(message).get(first)
    if field is None or field.name in bound:
        return None
    for part in rest:
        if field.message_type is None:
            return None
        field = _fields(field.message_type).get(part)
        if field is None:
            return None
    return None if field.message_type is not None else field


def _check_query_value(field: FieldDescriptor, text: str, param: str) -> None:
    if field.type in INTEGER_RANGES:
        value: object = int(text) if _INTEGER.fullmatch(text) else None
    elif field.type == FieldDescriptor.TYPE_BOOL:
        value = {"true": True, "false": False}.get(text)
    else:
        value = text
    CHECKS[field.type](field, value, param)
