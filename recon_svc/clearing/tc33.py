"""The clearing file of Visa in the simplified format of docs/clearing.md: TCRs of 168 bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import BinaryIO

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

TCR_BYTES = 168
TCRS_AT_ONCE = 400
TRANSACTION_CODE = b"33"
AUTHORIZED_PURCHASE = "01"
NO_CURRENCY = "000"
_OPENERS = frozenset({"HEDR", "CP01", "TRLR"})


def units(stream: BinaryIO) -> Iterator[Unit]:
    """Return the TCRs, a CP01 with its CP12. Raises FileRejected when they can't be told apart."""
    number = 0
    held: bytes | None = None  # a CP01 that waits for its CP12
    for tcr in _tcrs(stream):
        number += 1
        if held is not None:
            if tcr[16:20] == b"CP12" and tcr[20:35] == held[20:35]:
                yield Unit(number - 1, 2, held + tcr)
                held = None
                continue
            yield Unit(number - 1, 1, held)
        held = tcr if tcr[16:20] == b"CP01" else None
        if held is None:
            yield Unit(number, 1, tcr)
    if held is not None:
        yield Unit(number, 1, held)


def parse(unit: Unit) -> Parsed:
    """Return what a transaction, a header or a trailer says."""
    text = unit.raw.decode("ascii", errors="replace")
    message_number = None
    try:
        message_number = int(digits("message identifier", text[20:35], 15))
        facts = _facts(text, unit)
    except FieldInvalid as invalid:
        facts = (LineRejected(unit.number, invalid.field, invalid.reason),)
    if text[16:20] not in _OPENERS:  # a part of a transaction, with a number that was seen
        message_number = None
    return Parsed(unit.number, unit.records, message_number, facts)


def _tcrs(stream: BinaryIO) -> Iterator[bytes]:
    number = 0
    while data := stream.read(TCR_BYTES * TCRS_AT_ONCE):
        if number == 0 and data.startswith(TRANSACTION_CODE.decode().encode("cp500")):
            raise FileRejected("encoding", "is EBCDIC, not ASCII", 1)
        for place in range(0, len(data), TCR_BYTES):
            number += 1
            tcr = data[place : place + TCR_BYTES]
            if len(tcr) != TCR_BYTES:
                raise FileRejected("record", f"is not of {TCR_BYTES} bytes: truncated", number)
            if b"\n" in tcr or b"\r" in tcr:
                raise FileRejected("record", f"is not of {TCR_BYTES} bytes: has a line end", number)
            yield tcr
    if number == 0:
        raise FileRejected("header", "is missing: the file is empty")


def _facts(text: str, unit: Unit) -> tuple[Fact, ...]:
    if any(text[place : place + 4] != "33 0" for place in range(0, len(text), TCR_BYTES)):
        raise FieldInvalid("transaction code", "is not known")
    read = _GROUPS.get(text[16:20])
    if read is None:
        raise FieldInvalid("application code", "is not known")
    return read(text, unit)


def _header(text: str, _: Unit) -> tuple[Fact, ...]:
    file_id = required("file id", text[35:60])
    return (Header(file_id, day("business date", text[60:68])),)


def _transaction(text: str, unit: Unit) -> tuple[Fact, ...]:
    if unit.records != 2:
        raise FieldInvalid("CP12", "is missing")
    if text[96:98] != AUTHORIZED_PURCHASE:
        raise FieldInvalid("action code", "is not known")
    second = text[TCR_BYTES:]
    digits("time", text[47:53], 6)
    amount, code = int(digits("amount", text[53:65], 12)), currency("currency", text[65:68])
    line = ClearingLine(
        number=unit.number,
        kind=LineKind.PRESENTMENT,
        network_trace_id=required("transaction identifier", second[58:73]),
        arn=digits("ARN", second[35:58], 23),
        rrn=required("RRN", text[78:90]),
        stan=digits("STAN", text[90:96], 6),
        local_date=day("date", text[39:47]),
        amount_minor=amount,
        currency=code,
        settlement_minor=amount,
        settlement_currency=code,
        approval_code=required("approval code", text[72:78]),
        card_last4=last4(text[35:39]),
    )
    return (line,)


def _orphan(_text: str, _unit: Unit) -> tuple[Fact, ...]:
    raise FieldInvalid("CP01", "is missing")


def _trailer(text: str, _: Unit) -> tuple[Fact, ...]:
    """Return one currency's totals, and the end of the file with those of the last one."""
    file_id = required("file id", text[35:60])
    records = int(digits("count of records", text[60:69], 9))
    lines = int(digits("count of transactions", text[69:78], 9))
    place, places = digits("trailer", text[78:81], 3), digits("trailer", text[81:84], 3)
    numeric = digits("currency", text[84:87], 3)
    count = int(digits("count", text[87:96], 9))
    amount = int(digits("amount", text[96:112], 16))
    facts: list[Fact] = []
    if numeric != NO_CURRENCY:
        facts.append(CurrencyTotal(CODES.get(numeric, numeric), count, amount))
    if place == places:
        facts.append(Trailer(file_id, records, lines))
    return tuple(facts)


_GROUPS: dict[str, Callable[[str, Unit], tuple[Fact, ...]]] = {
    "HEDR": _header,
    "CP01": _transaction,
    "CP12": _orphan,
    "TRLR": _trailer,
}
