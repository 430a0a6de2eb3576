"""Files and records that are wrong: what is refused whole, what alone, and by which field."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recon_svc.clearing.files import read_file, verify
from recon_svc.domain.clearing import FileRejected, FileTotals, LineRejected
from tests.unit.clearing.files import (
    IPM,
    NETWORKS,
    TC33,
    Elements,
    a_file,
    a_row,
    ipm_file,
    ipm_messages,
    ipm_with,
    lines,
    put,
    read,
    rejected,
    tc33_with,
    tcrs,
)

READER = Path(__file__).resolve().parents[3] / "recon_svc" / "clearing"
MANY = a_file(IPM, [a_row(number) for number in range(30)])  # of several blocks


@dataclass(frozen=True, slots=True)
class Case:
    """A thing that is wrong. raw: the file. field, reason: how it is told."""

    name: str
    network: str
    raw: bytes
    field: str
    reason: str


def _ipm(name: str, told: str, reason: str, change: Callable[[list[Elements]], object]) -> Case:
    return Case(f"ipm {name}", IPM, ipm_with(change), told, reason)


def _tc33(name: str, told: str, reason: str, change: Callable[[list[str]], object]) -> Case:
    return Case(f"tc33 {name}", TC33, tc33_with(change), told, reason)


def _replace(place: int, element: str, old: str, new: str) -> Callable[[list[Elements]], object]:
    def change(messages: list[Elements]) -> None:
        assert old in messages[place][element]
        messages[place][element] = messages[place][element].replace(old, new)

    return change


def _put(place: int, position: int, text: str) -> Callable[[list[str]], object]:
    def change(records: list[str]) -> None:
        assert records[place] != put(records[place], position, text)
        records[place] = put(records[place], position, text)

    return change


def _lacking(place: int, element: str) -> Callable[[list[Elements]], object]:
    return lambda messages: messages[place].pop(element)


TRUNCATED = "truncated"
DIFFERS = "differs from the file's own"
REFUSED_FILES = [
    Case("ipm empty", IPM, b"", "header", "empty"),
    Case("ipm cut inside a block", IPM, MANY[:1500], "block", TRUNCATED),
    Case("ipm cut between blocks", IPM, MANY[: 2 * 1014], "end of file", TRUNCATED),
    Case("ipm unblocked", IPM, ipm_file(ipm_messages(MANY), blocked=False), "block", "1014"),
    Case("ipm of 1015", IPM, (MANY[:1012] + b"\x40" + MANY[1012:])[:2028], "block", "1014"),
    Case("ipm ASCII", IPM, ipm_file(ipm_messages(MANY), encoding="latin-1"), "encoding", "ASCII"),
    Case("ipm data after the end", IPM, MANY + b"1" * 1012 + b"\x40\x40",
         "end of file", "followed"),
    Case("ipm data after the end in its block", IPM, MANY[:-9] + b"1" * 7 + b"\x40\x40",
         "end of file", "followed"),
    Case("ipm record length", IPM, b"\x00\x10" + MANY[2:], "record length", "6000"),
    _ipm("no header", "header", "missing", lambda messages: messages.pop(0)),
    _ipm("corrupt header", "header", "missing", _replace(0, "DE48", "261126", "261X26")),
    _ipm("two headers", "header", "repeated",
         lambda messages: messages[1].update(MTI="1644", DE24="697", DE48=messages[0]["DE48"])),
    _ipm("no trailer", "trailer", "missing", lambda messages: messages.pop()),
    _ipm("record after the trailer", "trailer", "followed",
         lambda messages: messages.append(messages[1] | {"DE71": "00000008"})),
    _ipm("repeated message number", "message number", "repeated",
         lambda messages: messages[3].update(DE71="00000003")),
    _ipm("messages out of order", "message number", "out of order",
         lambda messages: messages.insert(1, messages.pop(3))),
    _ipm("count of records", "count of records", DIFFERS,
         _replace(-1, "DE48", "900300800000007", "900300800000008")),
    _ipm("lost line", "count of records", DIFFERS, lambda messages: messages.pop(2)),
    _ipm("hash total", "hash total", DIFFERS, _replace(1, "DE31", "018", "019")),
    _ipm("another amount", "sum of amounts", DIFFERS,
         lambda messages: messages[1].update(DE4="000000001100", DE5="000000001100")),
    _ipm("another sum", "sum of amounts", DIFFERS, _replace(4, "DE48", "1100", "1099")),
    _ipm("another count", "count of presentments", "usd",
         _replace(4, "DE48", "00800000002", "00800000003")),
    _ipm("another currency", "count of presentments", DIFFERS,
         lambda messages: messages[1].update(DE49="978", DE50="978")),
    _ipm("no currency total", "count of presentments", DIFFERS,
         lambda messages: messages[5].update(DE24="688")),
    _ipm("repeated currency total", "currency total", "repeated",
         lambda messages: messages[5].update(DE50="840")),
    _ipm("another file's trailer", "file id", "differs",
         _replace(-1, "DE48", "0000200001", "0000200002")),
    Case("tc33 empty", TC33, b"", "header", "empty"),
    Case("tc33 cut inside a TCR", TC33, a_file(TC33)[:500], "record", TRUNCATED),
    Case("tc33 cut between TCRs", TC33, a_file(TC33)[: 168 * 7], "trailer", "missing"),
    Case("tc33 with line ends", TC33, "\r\n".join(tcrs(a_file(TC33))).encode(), "record", "line"),
    Case("tc33 EBCDIC", TC33, a_file(TC33).decode().encode("cp500"), "encoding", "EBCDIC"),
    _tc33("no header", "header", "missing", lambda records: records.pop(0)),
    _tc33("two headers", "header", "repeated",
          lambda records: records.insert(1, put(records[0], 21, f"{2:015d}"))),
    _tc33("no trailer", "trailer", "missing", lambda records: records.pop()),
    _tc33("record after the trailer", "trailer", "followed",
          lambda records: records.append(put(records[1], 21, f"{7:015d}"))),
    _tc33("repeated message identifier", "message number", "repeated",
          _put(3, 21, f"{2:015d}")),
    _tc33("count of records", "count of records", DIFFERS, _put(-1, 69, "8")),
    _tc33("count of transactions", "count of presentments", DIFFERS, _put(-1, 78, "4")),
    _tc33("another amount", "sum of amounts", DIFFERS, _put(1, 65, "0")),
    _tc33("another sum", "sum of amounts", DIFFERS, _put(-1, 112, "1")),
    _tc33("another currency", "count of presentments", DIFFERS, _put(1, 66, "978")),
    _tc33("another file's trailer", "file id", "differs", _put(-1, 58, "2")),
]  # fmt: skip


@pytest.mark.parametrize("case", REFUSED_FILES, ids=lambda case: case.name)
def test_a_bad_file_is_refused_whole(case: Case, workers: Executor) -> None:
    with pytest.raises(FileRejected) as refused:
        verify(case.network, io.BytesIO(case.raw), workers)

    assert refused.value.field == case.field
    assert case.reason in refused.value.reason


@pytest.mark.parametrize("network", NETWORKS)
def test_nothing_is_given_of_a_file_without_a_header(network: str, workers: Executor) -> None:
    whole = a_file(network)
    raw = whole[168:] if network == TC33 else ipm_file(ipm_messages(whole)[1:])

    with pytest.raises(FileRejected):
        next(read_file(network, io.BytesIO(raw), workers))


def test_every_way_to_refuse_a_file_has_a_case() -> None:
    told = set()
    for module in READER.glob("*.py"):
        told |= set(re.findall(r'FileRejected\(\s*"([^"]+)"', module.read_text()))

    assert told == {case.field for case in REFUSED_FILES}


REJECTED_LINES = [
    _ipm("letters in the amount", "DE4", "digits", _replace(2, "DE4", "250", "25O")),
    _ipm("letters in the settled amount", "DE5", "digits", _replace(2, "DE5", "250", "ABC")),
    _ipm("amounts that differ", "DE5", "differs", _replace(2, "DE4", "250", "251")),
    _ipm("unknown currency", "DE49", "ISO 4217", lambda m: m[2].update(DE49="999", DE50="999")),
    _ipm("unknown MTI", "MTI", "known", lambda messages: messages[2].update(MTI="1249")),
    _ipm("unknown function", "DE24", "known", lambda messages: messages[2].update(DE24="205")),
    _ipm("MTI of letters", "record", "taken apart", lambda m: m[2].update(MTI="12X0")),
    _ipm("no trace id", "DE63", "missing", _lacking(2, "DE63")),
    _ipm("no ARN", "DE31", "missing", _lacking(2, "DE31")),
    _ipm("short ARN", "DE31", "23 digits", lambda messages: messages[2].update(DE31="7400001")),
    _ipm("no RRN", "DE37", "missing", _lacking(2, "DE37")),
    _ipm("no approval code", "DE38", "missing", _lacking(2, "DE38")),
    _ipm("no date", "DE12", "missing", _lacking(2, "DE12")),
    _ipm("31 February", "DE12", "date", lambda m: m[2].update(DE12="260231120000")),
    _ipm("no message number", "DE71", "missing", _lacking(2, "DE71")),
    _tc33("letters in the amount", "amount", "digits", _put(3, 60, "O")),
    _tc33("blank amount", "amount", "missing", _put(3, 54, " " * 12)),
    _tc33("padded amount", "amount", "digits", _put(3, 54, " " * 3)),
    _tc33("unknown currency", "currency", "ISO 4217", _put(3, 66, "999")),
    _tc33("unknown transaction code", "transaction code", "known", _put(3, 1, "05")),
    _tc33("unknown transaction code in CP12", "transaction code", "known", _put(4, 1, "05")),
    _tc33("unknown action code", "action code", "known", _put(3, 97, "02")),
    _tc33("no trace id", "transaction identifier", "missing", _put(4, 59, " " * 15)),
    _tc33("no ARN", "ARN", "missing", _put(4, 36, " " * 23)),
    _tc33("no RRN", "RRN", "missing", _put(3, 79, " " * 12)),
    _tc33("letters in the STAN", "STAN", "digits", _put(3, 91, "A")),
    _tc33("no approval code", "approval code", "missing", _put(3, 73, " " * 6)),
    _tc33("31 February", "date", "date", _put(3, 44, "0231")),
    _tc33("letters in the time", "time", "digits", _put(3, 48, "x")),
    Case("tc33 not ASCII", TC33, a_file(TC33).replace(b"250978", b"25\xc0978"), "amount", "digits"),
]


@pytest.mark.parametrize("case", REJECTED_LINES, ids=lambda case: case.name)
def test_a_bad_record_is_rejected_alone(case: Case, workers: Executor) -> None:
    *_, totals = items = read(case.network, case.raw, workers)

    [bad] = rejected(items)
    assert bad.number == (3 if case.network == IPM else 4)
    assert bad.field == case.field
    assert case.reason in bad.reason
    assert [line.amount_minor for line in lines(items)] == [1099, 1]
    assert isinstance(totals, FileTotals)
    assert (totals.presentments, totals.rejected) == (2, 1)


@pytest.mark.parametrize(
    ("place", "position", "text", "told"),
    [
        (3, 17, "CPXX", ["application code", "CP01"]),
        (4, 17, "CPXX", ["CP12", "application code"]),
        (4, 21, "X", ["CP12", "message identifier"]),
        (3, 21, "X", ["message identifier", "CP01"]),
    ],
)
def test_half_a_transaction_costs_no_other(
    place: int, position: int, text: str, told: list[str], workers: Executor
) -> None:
    items = read(TC33, tc33_with(_put(place, position, text)), workers)

    assert [bad.field for bad in rejected(items)] == told
    assert [line.amount_minor for line in lines(items)] == [1099, 1]


def test_a_pds_of_no_length_ends(workers: Executor) -> None:
    raw = ipm_with(_replace(4, "DE48", "9001008", "9001-07"))

    with pytest.raises(FileRejected) as refused:
        read(IPM, raw, workers)

    assert refused.value.field == "count of presentments"


def test_a_file_rejected_after_a_bad_record_is_still_rejected(workers: Executor) -> None:
    def change(messages: list[Elements]) -> None:
        messages[2]["DE4"] = "letters here"
        messages[1] |= {"DE4": "000000009999", "DE5": "000000009999"}

    with pytest.raises(FileRejected) as refused:
        read(IPM, ipm_with(change), workers)

    assert refused.value.field == "sum of amounts"


def test_what_is_rejected_shows_no_value(workers: Executor) -> None:
    raw = ipm_with(lambda messages: messages[2].update(DE4="5200000A9900"))

    [bad] = rejected(read(IPM, raw, workers))

    assert isinstance(bad, LineRejected)
    assert "9900" not in f"{bad}"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(network=st.sampled_from(NETWORKS), place=st.integers(0, 10**6), value=st.integers(0, 255))
def test_one_wrong_byte_never_changes_what_is_paid(
    network: str, place: int, value: int, workers: Executor
) -> None:
    raw = bytearray(a_file(network))
    raw[place % len(raw)] = value

    try:
        items = read(network, bytes(raw), workers)
    except FileRejected:
        return

    paid = [(line.amount_minor, line.currency) for line in lines(items)]
    assert set(paid) <= {(1099, "usd"), (250, "eur"), (1, "usd")}
    assert len(paid) + len(rejected(items)) >= 3


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(network=st.sampled_from(NETWORKS), length=st.integers(0, 10**6))
def test_no_part_of_a_file_passes_for_the_whole(
    network: str, length: int, workers: Executor
) -> None:
    raw = a_file(network, [a_row(number) for number in range(20)])

    with pytest.raises(FileRejected):
        verify(network, io.BytesIO(raw[: length % len(raw)]), workers)
