"""Bodies and queries: everything that the transcoder would bend is refused by name."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chassis.errors import DomainError
from edge.authz.routes import ROUTES, find_route

CREATE = "/payment-intents"
CHARGE = "/payment-intents/pi_1/transactions"
GOOD = '"amountInCents":1099,"currency":"usd"'
LONG_LIST = "[" * 30_000


def _refusal(method: str, path: str, query: str = "", body: bytes = b"") -> tuple[str, str | None]:
    with pytest.raises(DomainError) as refused:
        find_route(method, path).check(query, body)
    return refused.value.reason, refused.value.param


@pytest.mark.parametrize(
    "body",
    [
        b"{" + GOOD.encode() + b"}",
        b'{"amount_in_cents":1099,"currency":"usd","description":"\xc3\xa9","metadata":{"a":"b"}}',
        b'{"amountInCents":-5,"currency":""}',  # values are the service's business
        b"",
        b"{}",
    ],
)
def test_what_the_message_can_hold_passes(body: bytes) -> None:
    find_route("POST", CREATE).check("", body)


@pytest.mark.parametrize(
    ("body", "reason", "param"),
    [
        ("", "BODY_NOT_JSON", None),
        ("[]", "BODY_NOT_JSON", None),
        ("5", "BODY_NOT_JSON", None),
        ("{'a':1}", "BODY_NOT_JSON", None),
        ('{"amountInCents":NaN}', "BODY_NOT_JSON", None),
        (LONG_LIST, "BODY_NOT_JSON", None),
        ('{"amountInCents":1,"amountInCents":2}', "PARAMETER_INVALID", "amountInCents"),
        ('{"amountInCents":1,"amount_in_cents":2}', "PARAMETER_INVALID", "amount_in_cents"),
        ('{"metadata":{"a":"1","a":"2"}}', "PARAMETER_INVALID", "metadata.a"),
        ('{"captureMetod":"manual"}', "PARAMETER_UNKNOWN", "captureMetod"),
        ('{"amountInCents":"5"}', "PARAMETER_INVALID", "amountInCents"),
        ('{"amountInCents":5.0}', "PARAMETER_INVALID", "amountInCents"),
        ('{"amountInCents":5e0}', "PARAMETER_INVALID", "amountInCents"),
        ('{"amountInCents":true}', "PARAMETER_INVALID", "amountInCents"),
        ('{"amountInCents":null}', "PARAMETER_INVALID", "amountInCents"),
        ('{"amountInCents":2147483648}', "PARAMETER_INVALID", "amountInCents"),
        ('{"currency":1}', "PARAMETER_INVALID", "currency"),
        ('{"captureMethod":1}', "PARAMETER_INVALID", "captureMethod"),
        ('{"captureMethod":"unspecified"}', "PARAMETER_INVALID", "captureMethod"),
        ('{"captureMethod":["automatic"]}', "PARAMETER_INVALID", "captureMethod"),
        ('{"description":"a\\u0000"}', "PARAMETER_INVALID", "description"),
        ('{"description":"\\ud800"}', "PARAMETER_INVALID", "description"),
        ('{"metadata":{"a":1}}', "PARAMETER_INVALID", "metadata.a"),
        ('{"metadata":[]}', "PARAMETER_INVALID", "metadata"),
    ],
    ids=str,
)
def test_a_body_that_would_be_bent_is_refused_by_name(
    body: str, reason: str, param: str | None
) -> None:
    assert _refusal("POST", CREATE, "", body.encode() or b" ") == (reason, param)


@pytest.mark.parametrize(
    ("body", "reason", "param"),
    [
        ('{"card":{"name":"Ana"}}', "PARAMETER_UNKNOWN", "card.name"),
        ('{"card":"tok"}', "PARAMETER_INVALID", "card"),
        ('{"card":{"exp_month":"12"}}', "PARAMETER_INVALID", "card.exp_month"),
        ('{"paymentIntentId":"pi_2"}', "PARAMETER_UNKNOWN", "paymentIntentId"),
        ('{"payment_intent_id":"pi_2"}', "PARAMETER_UNKNOWN", "payment_intent_id"),
        ('{"type":"gift"}', "PARAMETER_INVALID", "type"),
    ],
)
def test_inner_fields_and_path_variables_are_named(body: str, reason: str, param: str) -> None:
    assert _refusal("POST", CHARGE, "", body.encode()) == (reason, param)


def test_invalid_utf8_is_no_json() -> None:
    assert _refusal("POST", CREATE, "", b'{"description":"\xff"}') == ("BODY_NOT_JSON", None)


@pytest.mark.parametrize(
    ("query", "reason", "param"),
    [
        ("limit=ten", "PARAMETER_INVALID", "limit"),
        ("limit=1.5", "PARAMETER_INVALID", "limit"),
        ("limit=", "PARAMETER_INVALID", "limit"),
        ("limit=1&limit=2", "PARAMETER_INVALID", "limit"),
        ("colour=red", "PARAMETER_UNKNOWN", "colour"),
        ("created=5", "PARAMETER_UNKNOWN", "created"),
        ("created%5Bgte%5D=5", "PARAMETER_UNKNOWN", "created[gte]"),
        ("created.gte=-1", "PARAMETER_INVALID", "created.gte"),
        ("status=done", "PARAMETER_INVALID", "status"),
        ("startingAfter=%00", "PARAMETER_INVALID", "startingAfter"),
    ],
)
def test_a_bad_query_is_refused_by_name(query: str, reason: str, param: str) -> None:
    assert _refusal("GET", CREATE, query) == (reason, param)


@pytest.mark.parametrize("query", ["", "limit=5&status=created", "created.gte=1&created.lt=9"])
def test_a_good_query_passes(query: str) -> None:
    find_route("GET", CREATE).check(query, b"")


@pytest.mark.parametrize("name", ["paymentIntentId", "payment_intent_id"])
def test_no_query_parameter_shadows_a_path_variable(name: str) -> None:
    assert _refusal("GET", "/payment-intents/pi_1", f"{name}=pi_2") == ("PARAMETER_UNKNOWN", name)


def test_a_write_takes_no_query() -> None:
    assert _refusal("POST", CREATE, "amountInCents=5") == ("PARAMETER_UNKNOWN", "amountInCents")


def test_every_public_call_has_a_route() -> None:
    assert len(ROUTES) == 20
    assert {route.method for route in ROUTES} == {"GET", "POST", "PATCH", "DELETE"}


VERDICTS = {"passed", "BODY_NOT_JSON", "PARAMETER_UNKNOWN", "PARAMETER_INVALID"}


def _verdict(path: str, body: bytes) -> str:
    try:
        find_route("POST", path).check("", body)
    except DomainError as refused:
        return refused.reason
    return "passed"


@given(st.binary(max_size=200))
def test_no_bytes_break_the_check(body: bytes) -> None:
    assert _verdict(CREATE, body) in VERDICTS


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_no_json_breaks_the_check(value: object) -> None:
    body = json.dumps({"metadata": value, "card": value}).encode()
    is_json = b"NaN" not in body and b"Infinity" not in body
    for path in (CREATE, CHARGE):
        assert _verdict(path, body) in (VERDICTS - {"BODY_NOT_JSON"} if is_json else VERDICTS)
