"""ISO 8583: golden messages of both dialects, round trips, framing, and what names an exchange."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chassis.money import Money
from sandbox.networks.dialect import SPECIFICATIONS
from txn_svc.domain.card import Card, Pan
from txn_svc.networks.dialect import DIALECTS
from txn_svc.networks.framing import FrameInvalid, frame, read_frame
from txn_svc.networks.messages import (
    CaptureAdvice,
    MessageInvalid,
    Trace,
    match_key,
    pack_authorization,
    pack_capture,
    pack_network_management,
    request_key,
    unpack,
)

TRACE = Trace("1124120000", "000042", "ABCDEF012345", "PM000001")
CARD = Card(Pan("4242424242424242"), 12, 2034, "123")
NETWORKS = sorted(DIALECTS)

# What left the machine for a purchase of 10.99 USD and for a sign-on, byte for byte.
GOLDEN = {
    ("visa_sim", "0100"): (
        b"0100"
        b"7224448108C18000"
        b"16"
        b"4242424242424242"
        b"000000"
        b"000000001099"
        b"1124120000"
        b"000042"
        b"3412"
        b"5999"
        b"812"
        b"59"
        b"06"
        b"400001"
        b"ABCDEF012345"
        b"PM000001"
        b"PAYMESH        "
        b"006"
        b"CVC123"
        b"840"
    ),
    ("visa_sim", "0800"): (
        b"080082200001088000000400000000000000112412000000004206400001ABCDEF012345PM000001001"
    ),
}


@pytest.mark.parametrize(("network", "mti"), sorted(GOLDEN))
def test_messages_have_the_bytes_that_the_network_expects(network: str, mti: str) -> None:
    dialect = DIALECTS[network]

    packed = (
        pack_authorization(dialect, TRACE, CARD, Money(1099, "usd"))
        if mti == "0100"
        else pack_network_management(dialect, TRACE, "001")
    )

    assert packed == GOLDEN[network, mti]


def test_the_other_dialect_has_the_same_content_in_ebcdic_with_a_binary_bitmap() -> None:
    packed = pack_authorization(DIALECTS["mastercard_sim"], TRACE, CARD, Money(1099, "usd"))

    golden = GOLDEN["visa_sim", "0100"]
    assert packed[:4] == "0100".encode("cp500")
    assert packed[4:12].hex().upper().encode() == golden[4:20]
    assert packed[12:].decode("cp500").encode() == golden[20:]


@pytest.mark.parametrize(("is_hold", "condition"), [(True, "06"), (False, "59")])
def test_a_network_is_told_to_hold_funds_by_the_condition_code(
    condition: str, *, is_hold: bool
) -> None:
    dialect, usd = DIALECTS["visa_sim"], Money(1099, "usd")

    elements = unpack(dialect, pack_authorization(dialect, TRACE, CARD, usd, is_hold=is_hold))

    assert elements["25"] == condition


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize(("mti", "is_repeat"), [("0220", False), ("0221", True)])
def test_a_capture_names_its_authorization_and_of_the_card_only_the_number(
    network: str, mti: str, *, is_repeat: bool
) -> None:
    dialect = DIALECTS[network]
    trace = Trace("1125120000", "000043", TRACE.rrn, "PM000002")
    advice = CaptureAdvice(trace, TRACE, Money(700, "usd"), CARD.pan, "A1B2C3", is_repeat)

    elements = unpack(dialect, pack_capture(dialect, advice))

    assert (elements["t"], elements["4"], elements["38"]) == (mti, "000000000700", "A1B2C3")
    assert (elements["11"], elements["37"]) == ("000043", TRACE.rrn)
    assert elements["90"] == "0100" + "000042" + "1124120000" + "00000400001" + "0" * 11
    assert (elements["2"], {"14", "48"} & set(elements)) == (CARD.pan.digits, set())
    assert "2" not in unpack(dialect, pack_capture(dialect, replace(advice, pan=None)))
    assert CARD.pan.digits not in repr(advice)
    reply = {**elements, "t": "0230", "39": "00"}
    assert match_key(dialect, reply) == request_key(dialect, mti, trace)


@pytest.mark.parametrize("network", NETWORKS)
@given(
    amount=st.integers(1, 99_999_999),
    stan=st.integers(1, 999_999),
    rrn=st.text("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ", min_size=12, max_size=12),
)
def test_what_is_packed_unpacks_to_the_same(network: str, amount: int, stan: int, rrn: str) -> None:
    dialect = DIALECTS[network]
    trace = Trace("0229235959", f"{stan:06d}", rrn, "PM000009")

    elements = unpack(dialect, pack_authorization(dialect, trace, CARD, Money(amount, "eur")))

    assert elements["4"] == f"{amount:012d}"
    assert (elements["11"], elements["37"], elements["49"]) == (f"{stan:06d}", rrn, "978")


@pytest.mark.parametrize("network", NETWORKS)
@given(st.binary(max_size=300))
def test_bytes_that_are_no_message_are_refused_without_showing_them(
    network: str, message: bytes
) -> None:
    try:
        unpack(DIALECTS[network], message)
    except MessageInvalid as refused:
        assert len(str(refused)) < 40  # noqa: PT017 most bytes are no message, some are


@pytest.mark.parametrize("network", NETWORKS)
def test_both_sides_read_the_same_specification(network: str) -> None:
    ours, theirs = DIALECTS[network].spec, SPECIFICATIONS[network]

    assert set(ours) == set(theirs)
    for name, row in ours.items():
        assert {**row, "desc": ""} == {**theirs[name], "desc": ""}


@pytest.mark.parametrize("name", ["7", "11", "32", "37", "41"])
def test_a_reply_that_differs_in_any_key_field_answers_nothing(name: str) -> None:
    dialect = DIALECTS["visa_sim"]
    elements = unpack(dialect, pack_authorization(dialect, TRACE, CARD, Money(1099, "usd")))
    reply = {**elements, "t": "0110", "39": "00"}

    assert match_key(dialect, reply) == request_key(dialect, "0100", TRACE)
    assert match_key(dialect, {**reply, name: "9" * len(reply[name])}) != request_key(
        dialect, "0100", TRACE
    )


async def test_frames_come_out_as_they_went_in() -> None:
    reader = asyncio.StreamReader()
    reader.feed_data(frame(b"one") + frame(b"two" * 100))

    assert await read_frame(reader) == b"one"
    assert await read_frame(reader) == b"two" * 100


@pytest.mark.parametrize("length", [b"\x00\x00", b"\xff\xff"])
async def test_a_length_that_can_not_be_ends_the_connection(length: bytes) -> None:
    reader = asyncio.StreamReader()
    reader.feed_data(length)

    with pytest.raises(FrameInvalid):
        await read_frame(reader)
