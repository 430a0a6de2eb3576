"""OWASP API Security Top 10 (2023): what every public call refuses to take.

Members that it does not have, more than it can hold, other methods and types.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.descriptor import FieldDescriptor

from tests.e2e.attack_calls import CALLS, Call, Request, camel
from tests.e2e.attack_parts import make
from tests.e2e.conftest import Mesh
from tests.e2e.merchant import Merchant, session

pytestmark = pytest.mark.e2e

each_call = pytest.mark.parametrize("call", CALLS, ids=lambda call: call.name)
with_body = [call for call in CALLS if call.has_body]
each_write = pytest.mark.parametrize("call", with_body, ids=lambda call: call.name)
WANTED = ["merchantId", "merchant_id", "mode", "isAdmin", "requestId", "__proto__", "constructor"]
LONG = "x" * 60_000
LONG_IN_URL = "x" * 5_000
NUMERIC = (FieldDescriptor.TYPE_INT32, FieldDescriptor.TYPE_UINT32)
NUMBERS = [2**32, -(2**31) - 1, 2**63, -(2**64), 10**400, 1e308, 0.5]
METHODS = {"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"}


@dataclass(frozen=True, slots=True)
class Abuser:
    """A merchant with one intent and nothing else."""

    merchant: Merchant
    intent_id: str

    def request(self, call: Call) -> Request:
        """Return a call on the intent or on nothing, without what its body must have."""
        named = {
            name: self.intent_id if name == "payment_intent_id" else f"{kind}_0"
            for name, kind in call.row.objects.items()
            if name in call.bound
        }
        return call.naming(named)


@pytest.fixture(scope="module")
async def abuser(mesh: Mesh, edge_url: str, ca_file: Path) -> AsyncIterator[Abuser]:
    async with session(ca_file) as http:
        merchant = Merchant(http, edge_url, mesh.new_keys())
        yield Abuser(merchant, (await merchant.create_intent())["id"])
    # Envoy takes a second to close a connection whose request it did not read to the end.
    await asyncio.sleep(1.5)


def _not_taken(call: Call) -> Iterator[str]:
    """Yield the members that a call must not take: of its answer, of its path, of nobody."""
    taken = {name for each in call.request.fields for name in (each.name, each.json_name)}
    answered = {name for each in call.response.fields for name in (each.name, each.json_name)}
    bound = {name for each in call.bound for name in (each, camel(each))}
    yield from sorted((answered - taken) | bound | (set(WANTED) - taken))
    if not call.has_body:
        return
    for member in call.request.fields:
        if member.message_type is not None and not member.message_type.GetOptions().map_entry:
            inner = {each.name for each in member.message_type.fields}
            yield from (f"{member.json_name}.{name}" for name in {"brand", "last4", "id"} - inner)


@each_call
async def test_what_is_not_the_callers_to_set_is_refused_by_name(
    abuser: Abuser, call: Call
) -> None:
    request = abuser.request(call)
    members = list(_not_taken(call))

    refused = {
        name: await make(call, call.with_member(request, name, "1"), abuser.merchant)
        for name in members
    }

    assert {"merchantId", "isAdmin"} <= set(members)
    told = {
        name: (answer.status, answer.error["code"], answer.error.get("param"))
        for name, answer in refused.items()
    }
    assert told == {name: (400, "parameter_unknown", name) for name in members}


def _values(leaf: FieldDescriptor, *, is_in_url: bool) -> list[Any]:
    if leaf.type in NUMERIC:
        return [str(number) for number in NUMBERS] if is_in_url else list(NUMBERS)
    if leaf.message_type is not None:
        return [{f"k{number}": "v" for number in range(3000)}]
    if leaf.is_repeated:
        return [[LONG], ["x"] * 12_000]
    return [LONG_IN_URL if is_in_url else LONG]


@each_call
async def test_what_is_too_much_for_a_field_is_refused(abuser: Abuser, call: Call) -> None:
    request = abuser.request(call)

    for name, leaf in call.leaves():
        for value in _values(leaf, is_in_url=not call.has_body):
            told = camel(name)
            answer = await make(
                call, call.with_member(request, told, value), abuser.merchant, key="k"
            )
            assert answer.status in {400, 404}, (name, answer.content)
            if leaf.type in NUMERIC:
                assert (answer.status, answer.error["param"]) == (400, told), answer.content


@pytest.mark.parametrize(
    "call",
    [call for call in CALLS if "limit" in call.request.fields_by_name],
    ids=lambda call: call.name,
)
@pytest.mark.parametrize("limit", ["0", "101", "-1", "1e2", "0x10", "", "%00"])
async def test_no_page_is_larger_than_100(abuser: Abuser, call: Call, limit: str) -> None:
    request = call.with_member(abuser.request(call), "limit", limit)

    answer = await make(call, request, abuser.merchant)

    assert (answer.status, answer.error["param"]) == (400, "limit"), answer.content


@each_write
async def test_a_body_that_no_merchant_sends_is_refused(abuser: Abuser, call: Call) -> None:
    request = abuser.request(call)
    first = camel(next(call.leaves(), ("metadata", None))[0]).partition(".")[0]
    bodies = {
        "too large": b" " * 65_537,
        "deep": f'{{"{first}":{"[" * 30_000}'.encode(),
        "deep and closed": f'{{"{first}":{"[" * 20_000}{"]" * 20_000}}}'.encode(),
        "objects": f'{{"{first}":{chr(123)}{f"{chr(34)}a{chr(34)}:{chr(123)}" * 900}'.encode(),
        "form": b"amountInCents=5&currency=usd",
        "XML": b"<!DOCTYPE a [<!ENTITY b SYSTEM 'file:///etc/passwd'>]><a>&b;</a>",
        "gzip": b"\x1f\x8b\x08\x00" + bytes(20),
        "UTF-16": json.dumps({}).encode("utf-16"),
        "BOM": b"\xef\xbb\xbf{}",
        "many members": json.dumps({f"k{number}": 1 for number in range(5000)}).encode(),
    }

    answers = {
        name: await make(call, request, abuser.merchant, content=content, key="k")
        for name, content in bodies.items()
    }

    expected = dict.fromkeys(bodies, (400, "body_not_json")) | {
        "too large": (413, "request_too_large"),
        "many members": (400, "parameter_unknown"),
    }
    assert {name: (each.status, each.error["code"]) for name, each in answers.items()} == expected


@each_write
async def test_a_body_is_json_whatever_its_label_says_and_never_grpc(
    abuser: Abuser, call: Call
) -> None:
    request = replace(abuser.request(call), body={"isAdmin": True})

    for kind in ("text/plain", "application/x-www-form-urlencoded", "application/xml", "a"):
        answer = await make(call, request, abuser.merchant, headers={"Content-Type": kind})
        assert (answer.status, answer.error.get("param")) == (400, "isAdmin"), kind
    for kind in ("application/grpc", "application/grpc-web+proto", "Application/GRPC+json"):
        answer = await make(call, request, abuser.merchant, headers={"Content-Type": kind})
        assert (answer.status, answer.error["code"]) == (415, "content_type_not_supported"), kind


@each_call
async def test_no_path_has_a_method_that_no_contract_names(abuser: Abuser, call: Call) -> None:
    path = abuser.request(call).path
    known = {each.method for each in CALLS if each.template == call.template}

    for method in sorted(METHODS - known):
        answer = await make(call, Request(method, path, None), abuser.merchant)
        assert answer.status == 404, (method, answer.content)
        if method != "HEAD":
            assert answer.error["code"] == "resource_missing"


@each_call
@pytest.mark.parametrize("size", [7_800, 9_000, 60_000])
async def test_headers_and_urls_have_a_limit(abuser: Abuser, call: Call, size: int) -> None:
    request = abuser.request(call)
    long_path = replace(request, path=f"{request.path}?{'x' * (size + 800)}")

    answers = [
        await make(call, request, abuser.merchant, headers={"X-Long": "a" * size}),
        await make(call, long_path, abuser.merchant),
    ]

    for answer in answers:
        assert (answer.status, answer.error["code"]) == (431, "request_headers_too_large")


async def test_up_to_the_limit_headers_reach_a_service(abuser: Abuser) -> None:
    [call] = [each for each in CALLS if each.name == "ListPaymentIntents"]
    signed = abuser.merchant.signed("GET", "/payment-intents")
    size = sum(len(name) + len(value) for name, value in signed.items())
    many = {f"X-{number:02}": "a" * ((7_168 - 600 - size) // 36 - 4) for number in range(36)}

    for _ in range(5):
        answer = await make(call, abuser.request(call), abuser.merchant, headers=many)
        assert answer.status == 200, answer.content
    crowd = {f"X-{number:02}": "a" for number in range(64)}
    answer = await make(call, abuser.request(call), abuser.merchant, headers=crowd)
    assert (answer.status, answer.error["code"]) == (431, "request_headers_too_large")
