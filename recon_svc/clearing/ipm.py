"""Mastercard's clearing file, IPM, as far as docs/clearing.md describes it.

1014-byte blocks around records with a 4-byte length, each an ISO 8583:1993 message in EBCDIC.
The frame and the rules of the fields are here.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import BinaryIO

from recon_svc.clearing.ipm_elements import Elements, elements
from recon_svc.clearing.records import (
    CODES,
    Fact,
    FieldInvalid,
    Header,
    Parsed,
    Trailer,
    Unit,
    currency,
    day,
    digits,
    last4,
    required,
)
from recon_svc.domain.clearing import (
    ClearingLine,
    CurrencyTotal,
    FileRejected,
    LineKind,
    LineRejected,
)

BLOCK_BYTES = 1014
PADDING = b"\x40"
BLOCKS_AT_ONCE = 64
RECORD_BYTES_MAX = 6000
ADMINISTRATIVE, PRESENTMENT = "1644", "1240"


def units(stream: BinaryIO) -> Iterator[Unit]:
    """Return the records of a file. Raises FileRejected when they can't be told apart."""
    buffer = b""
    number = 0
    for payload in _payloads(stream):
        buffer += payload
        place = 0
        while len(buffer) - place >= 4:
            (length,) = struct.unpack_from(">I", buffer, place)
            if length == 0:
                _check_rest(buffer[place + 4 :], stream, number)
                return
            if length > RECORD_BYTES_MAX:
                raise FileRejected("record length", f"is over {RECORD_BYTES_MAX}", number + 1)
            if len(buffer) - place - 4 < length:
                break
            number += 1
            raw = buffer[place + 4 : place + 4 + length]
            yield Unit(number, 1, raw)
            place += 4 + length
        buffer = buffer[place:]
    raise FileRejected("end of file", "is missing: the file is truncated", number or None)


def parse(unit: Unit) -> Parsed:
    """Return what a record says."""
    message_number = None
    try:
        found = elements(unit.raw)
        message_number = int(digits("DE71", found.get("DE71", ""), 8))
        fact = _fact(found, unit.number)
    except FieldInvalid as invalid:
        fact = _rejected(unit, invalid)
    return Parsed(unit.number, 1, message_number, (fact,))


def _payloads(stream: BinaryIO) -> Iterator[bytes]:
    number = 0
    while data := stream.read(BLOCK_BYTES * BLOCKS_AT_ONCE):
        if number == 0 and data[4:8] == ADMINISTRATIVE.encode("ascii"):
            raise FileRejected("encoding", "is ASCII, not EBCDIC", 1)
        if len(data) % BLOCK_BYTES:
            raise FileRejected("block", f"is not of {BLOCK_BYTES} bytes: truncated or unblocked")
        payload = []
        for place in range(0, len(data), BLOCK_BYTES):
            number += 1
            block = data[place : place + BLOCK_BYTES]
            if not block.endswith(PADDING * 2):
                raise FileRejected("block", f"does not end as one of {BLOCK_BYTES} bytes does")
            payload.append(block[:-2])
        yield b"".join(payload)
    if number == 0:
        raise FileRejected("header", "is missing: the file is empty")


def _check_rest(rest: bytes, stream: BinaryIO, number: int) -> None:
    """After the end only padding may come, by cardutil a whole block of it at times."""
    while rest:
        if rest.strip(PADDING):
            raise FileRejected("end of file", "is followed by data", number)
        rest = stream.read(BLOCK_BYTES * BLOCKS_AT_ONCE)


def _rejected(unit: Unit, invalid: FieldInvalid) -> LineRejected:
    return LineRejected(unit.number, invalid.field, invalid.reason)


def _fact(found: Elements, number: int) -> Fact:
    mti, function = found["MTI"], found.get("DE24", "")
    if mti == PRESENTMENT and function == "200":
        return _line(found, number)
    if mti not in {PRESENTMENT, ADMINISTRATIVE}:
        raise FieldInvalid("MTI", "is not known")
    read = _CONTROLS.get(function) if mti == ADMINISTRATIVE else None
    if read is None:
        raise FieldInvalid("DE24", "is not known with this MTI")
    return read(found, _private_data(found.get("DE48", "")))


def _line(found: Elements, number: int) -> ClearingLine:
    read = found.get
    amount = int(digits("DE4", read("DE4", ""), 12))
    settlement = int(digits("DE5", read("DE5", ""), 12))
    code = currency("DE49", read("DE49", ""))
    settlement_code = currency("DE50", read("DE50", ""))
    if code == settlement_code and amount != settlement:
        raise FieldInvalid("DE5", "differs from DE4 in the same currency")
    moment = digits("DE12", read("DE12", ""), 12)
    return ClearingLine(
        number=number,
        kind=LineKind.PRESENTMENT,
        network_trace_id=required("DE63", read("DE63", "")),
        arn=digits("DE31", read("DE31", ""), 23),
        rrn=required("DE37", read("DE37", "")),
        stan=None,
        local_date=day("DE12", f"20{moment[:6]}"),
        amount_minor=amount,
        currency=code,
        settlement_minor=settlement,
        settlement_currency=settlement_code,
        approval_code=required("DE38", read("DE38", "")),
        card_last4=last4(read("DE2", "")),
    )


def _header(_: Elements, private: Elements) -> Header:
    file_id = digits("PDS0105", private.get("0105", ""), 25)
    return Header(file_id, day("PDS0105", f"20{file_id[3:9]}"))


def _currency_total(found: Elements, private: Elements) -> CurrencyTotal:
    numeric = digits("DE50", found.get("DE50", ""), 3)
    return CurrencyTotal(
        CODES.get(numeric, numeric),
        int(digits("PDS9001", private.get("9001", ""), 8)),
        int(digits("PDS9002", private.get("9002", ""), 16)),
    )


def _trailer(_: Elements, private: Elements) -> Trailer:
    return Trailer(
        digits("PDS0105", private.get("0105", ""), 25),
        records=int(digits("PDS9003", private.get("9003", ""), 8)),
        hash_total=int(digits("PDS9004", private.get("9004", ""), 16)),
    )


_CONTROLS: dict[str, Callable[[Elements, Elements], Fact]] = {
    "697": _header,
    "685": _currency_total,
    "695": _trailer,
}


def _private_data(text: str) -> Elements:
    """Return the PDS fields of DE48: four digits of tag, three of length, the value."""
    found = {}
    place = 0
    while place < len(text):
        tag = digits("DE48", text[place : place + 4], 4)
        length = int(digits("DE48", text[place + 4 : place + 7], 3))
        found[tag] = text[place + 7 : place + 7 + length]
        place += 7 + length
    return found
