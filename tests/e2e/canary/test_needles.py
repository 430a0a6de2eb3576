"""The search itself: it finds each form of a card number, and what is none stays unfound."""

from __future__ import annotations

import base64
import json

import pytest

from tests.e2e.canary.needles import needles

PAN, CVC = "4716935082467139", "739"
FOUND = needles([PAN], [], CVC)
BCD = bytes.fromhex(PAN)


@pytest.mark.parametrize(
    "content",
    [
        PAN.encode(),
        b"4716 9350 8246 7139",
        b"4716-9350-8246-7139",
        " ".join(PAN).encode(),
        PAN[:12].encode(),
        PAN[6:].encode(),
        PAN.encode("utf-16-be"),
        PAN.encode("cp500"),
        PAN.encode().hex().encode(),
        PAN.encode("cp500").hex().encode(),
        b"%34%37%31%36%39%33%35%30%38%32%34%36%37%31%33%39",
        *(base64.b64encode(b"x" * offset + PAN.encode() + b"yy") for offset in range(7)),
        base64.b64encode(json.dumps({"number": PAN}).encode()),
        BCD,
        bytes.fromhex(f"0{PAN}0"),
        bytes(byte >> 4 | (byte & 15) << 4 for byte in BCD),
        b'{"cvc": "739"}',
        b"CVC739",
        "CVC739".encode("cp500"),
        b"\x2a\x03739",
    ],
)
def test_a_form_is_found(content: bytes) -> None:
    assert FOUND.found_in(b"\x00ab " + content + b" \xff")


@pytest.mark.parametrize(
    "content", [b"471693******7139", b"4716935082467130", b"739", b"00739", bytes(1000)]
)
def test_what_may_be_there_is_not_found(content: bytes) -> None:
    assert not FOUND.found_in(content.replace(b"35082467130", b""))
