"""What anybody can send us: only the declared errors ever come out, after a bounded amount of work.

Work is counted in steps of the interpreter, which do not depend on how busy the machine is. JWE,
strict JSON, IPM and TC33 have their own tables of bad input beside; here the samples are mutated.
"""

from __future__ import annotations

import asyncio
import io
import json
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from types import FrameType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chassis.errors import ParameterInvalid, ParameterUnknown
from chassis.keystore.file import FileKeyStore
from chassis.keystore.keys import KeyUnknown
from chassis.money import Money
from edge.authz.domain.signature import RequestNotSigned, TimestampOutOfRange, signed_parts
from edge.authz.routes import find_route
from edge.authz.strict_json import BodyNotJson
from recon_svc.clearing.files import FORMATS
from recon_svc.clearing.records import Unit
from recon_svc.domain.clearing import FileRejected
from tests.fakes import FakeClock
from tests.jose import Sender
from tests.unit.clearing.files import NETWORKS as CLEARING
from tests.unit.clearing.files import a_file
from txn_svc.cards.jwe import JweInvalid, decrypt_jwe, parse_jwe
from txn_svc.domain.card import Card, Pan
from txn_svc.networks.dialect import DIALECTS
from txn_svc.networks.framing import FRAME_BYTES_MAX, FrameInvalid, frame, read_frame
from txn_svc.networks.messages import (
    MessageInvalid,
    Trace,
    authorization_response,
    match_key,
    pack_authorization,
    unpack,
)

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
NETWORKS = sorted(DIALECTS)
STEPS_MAX = 40_000  # for inputs of at most 4 kB; the good samples take a few hundred
HEADERS = {
    b"authorization": b"Bearer pk_test_" + b"a" * 24,
    b"x-request-timestamp": b"2026-11-24T12:00:00Z",
    b"x-request-nonce": b"0e4a1c7e-6b1f-4c38-9d0a-1f5f5c7d2b11",
    b"x-signature": b"sha256=" + b"0" * 64,
}
BODY = json.dumps(
    {
        "amountInCents": 1099,
        "currency": "usd",
        "description": "Orders 1 to 3",
        "captureMethod": "manual",
        "metadata": {"a": "b", "c": "d"},
    }
).encode()
AUTHORIZATION = {
    network: pack_authorization(
        DIALECTS[network],
        Trace("1124120000", "000042", "ABCDEF012345", "PM000001"),
        Card(Pan("4242424242424242"), 12, 2034, "123"),
        Money(1099, "usd"),
    )
    for network in NETWORKS
}
INTERESTING = st.sampled_from([b"\0", b"\xff", b"-1", b"9" * 30, b"{", b"[" * 50, b'"', b"\\u0000"])


@st.composite
def mutated(draw: st.DrawFn, sample: bytes) -> bytes:
    """Return a good sample with up to four pieces cut, put in, repeated or overwritten."""
    raw = sample
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, len(raw)))
        cut = draw(st.integers(0, 12))
        put = draw(st.binary(max_size=12) | INTERESTING | st.just(raw[place : place + 100]))
        raw = raw[:place] + put + raw[place + cut :]
    return raw


def bytes_or_mutated(sample: bytes) -> st.SearchStrategy[bytes]:
    return st.binary(max_size=400) | mutated(sample)


def counted(work: Callable[[], Any], allowed: tuple[type[Exception], ...]) -> None:
    """Do the work, and check what comes out of it and how many steps it took."""
    steps = 0

    def trace(_frame: FrameType, _event: str, _argument: object) -> Any:
        nonlocal steps
        steps += 1
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    except allowed:
        pass
    finally:
        sys.settrace(before)
    assert steps <= STEPS_MAX


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FileKeyStore]:
    store = FileKeyStore(tmp_path_factory.mktemp("keys") / "keys", bytes(32), FakeClock())
    store.create_missing()
    yield store
    store.close()


@given(data=st.data())
def test_headers_of_a_signature_bring_out_two_errors_only(data: st.DataObject) -> None:
    headers = dict(HEADERS)
    for name in data.draw(st.lists(st.sampled_from(sorted(HEADERS)), min_size=1, max_size=4)):
        headers[name] = data.draw(bytes_or_mutated(HEADERS[name]))

    counted(lambda: signed_parts(headers, NOW), (RequestNotSigned, TimestampOutOfRange))


@given(text=st.text(max_size=60) | st.datetimes(timezones=st.timezones()).map(datetime.isoformat))
def test_no_timestamp_brings_out_another_error(text: str) -> None:
    headers = HEADERS | {b"x-request-timestamp": text.encode("utf-8", "surrogatepass")}

    counted(lambda: signed_parts(headers, NOW), (RequestNotSigned, TimestampOutOfRange))


@given(body=bytes_or_mutated(BODY))
def test_a_body_brings_out_three_errors_only(body: bytes) -> None:
    route = find_route("POST", "/payment-intents")

    counted(lambda: route.check("", body), (BodyNotJson, ParameterInvalid, ParameterUnknown))


@given(query=mutated(b"limit=5&status=created&created.gte=1&startingAfter=pi_1"))
def test_a_query_brings_out_two_errors_only(query: bytes) -> None:
    route = find_route("GET", "/payment-intents")

    counted(lambda: route.check(query.decode("latin-1"), b""), (ParameterInvalid, ParameterUnknown))


@given(data=st.data())
def test_an_encrypted_card_brings_out_two_errors_only(
    keys: FileKeyStore, data: st.DataObject
) -> None:
    good = ".".join(Sender(keys.public_keys()[0]).encrypt(b'{"any":"text"}'))
    text = data.draw(bytes_or_mutated(good.encode())).decode("latin-1")

    counted(lambda: decrypt_jwe(parse_jwe(text), keys), (JweInvalid, KeyUnknown))


@pytest.mark.parametrize("network", NETWORKS)
@given(data=st.data())
def test_a_networks_message_brings_out_one_error_only(network: str, data: st.DataObject) -> None:
    """What can be read can be matched and taken for an answer, too, if it has a type."""
    dialect = DIALECTS[network]
    message = data.draw(bytes_or_mutated(AUTHORIZATION[network]))

    def read() -> None:
        elements = unpack(dialect, message)
        match_key(dialect, elements)
        authorization_response(elements)

    counted(read, (MessageInvalid,))


@given(stream=st.binary(max_size=300) | mutated(frame(b"one") + frame(b"two" * 50)))
async def test_frames_bring_out_two_errors_and_never_more_than_a_frame(stream: bytes) -> None:
    reader = asyncio.StreamReader()
    reader.feed_data(stream)
    reader.feed_eof()
    read = 0

    try:
        while True:
            message = await read_frame(reader)
            assert 0 < len(message) <= FRAME_BYTES_MAX
            read += 2 + len(message)
    except (FrameInvalid, asyncio.IncompleteReadError):
        assert read <= len(stream)


@pytest.mark.parametrize("network", CLEARING)
@given(data=st.data())
def test_a_clearing_file_is_taken_apart_or_refused(network: str, data: st.DataObject) -> None:
    form = FORMATS[network]
    raw = data.draw(bytes_or_mutated(a_file(network)))

    counted(lambda: [form.parse(unit) for unit in form.units(io.BytesIO(raw))], (FileRejected,))


@pytest.mark.parametrize("network", CLEARING)
@given(raw=st.binary(max_size=400))
def test_any_record_of_a_clearing_file_is_parsed_to_something(network: str, raw: bytes) -> None:
    counted(lambda: FORMATS[network].parse(Unit(1, 1, raw)), ())
