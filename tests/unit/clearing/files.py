"""Builds clearing files: rows of a ledger, whole files, and files with one thing wrong."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from concurrent.futures import Executor
from datetime import date
from pathlib import Path

from cardutil import iso8583
from cardutil.config import config
from cardutil.mciipm import vbs_bytes_to_list, vbs_list_to_bytes

from recon_svc.clearing.files import read_file
from recon_svc.domain.clearing import ClearingLine, FileItem, LineRejected
from sandbox.networks.cards import Clearing
from sandbox.networks.clearing.house import FORMATS
from sandbox.networks.clearing.presentment import FileName, presentments
from sandbox.networks.ledger import Row

GOLDEN = Path(__file__).parent / "golden"
DAY = date(2026, 11, 26)
IPM, TC33 = "mastercard_sim", "visa_sim"
NETWORKS = [IPM, TC33]
TCR = 168

Elements = dict[str, str]
TEXTS = {
    number: {key: element[key] for key in ("field_name", "field_type", "field_length")}
    for number, element in config["bit_config"].items()
}


def a_row(
    number: int = 1,
    *,
    amount: int = 1099,
    currency: str = "840",
    clearing: Clearing = Clearing.ONCE,
    rrn: str = "",
    transmitted_at: str = "1126101500",
    approved: bool = True,
) -> Row:
    return Row(
        rrn=rrn or f"RRN{number:09d}",
        stan=f"{number:06d}",
        transmitted_at=transmitted_at,
        card="520000…0017",
        currency=currency,
        asked=amount,
        amount=amount,
        approved=approved,
        captured=amount if approved else 0,
        response_code="00",
        approval_code=f"{number:06d}",
        acquirer="400001",
        mcc="5999",
        card_acceptor="PAYMESH",
        clearing=clearing,
    )


ROWS = [a_row(1), a_row(2, amount=250, currency="978"), a_row(3, amount=1)]


def a_file(network: str, rows: Iterable[Row] = ROWS, number: int = 1) -> bytes:
    """Return the file that a simulated network writes."""
    stream = io.BytesIO()
    name = FileName(network, DAY, number)
    FORMATS[network][1](stream, name, presentments(name, rows))
    return stream.getvalue()


def read(network: str, raw: bytes, workers: Executor) -> list[FileItem]:
    """Return everything that the reader gives for a file."""
    return list(read_file(network, io.BytesIO(raw), workers))


def lines(items: Iterable[FileItem]) -> list[ClearingLine]:
    return [item for item in items if isinstance(item, ClearingLine)]


def rejected(items: Iterable[FileItem]) -> list[LineRejected]:
    return [item for item in items if isinstance(item, LineRejected)]


def ipm_messages(raw: bytes) -> list[Elements]:
    """Return the messages of an IPM file, every element as its text."""
    return [
        iso8583.loads(record, encoding="cp500", iso_config=TEXTS)
        for record in vbs_bytes_to_list(raw, blocked=True)
    ]


def ipm_file(
    messages: Iterable[Elements], *, encoding: str = "cp500", blocked: bool = True
) -> bytes:
    records = [iso8583.dumps(message, encoding=encoding, iso_config=TEXTS) for message in messages]
    raw: bytes = vbs_list_to_bytes(records, blocked=blocked)
    return raw


def settle_in_euro(messages: list[Elements]) -> None:
    """Have the network settle a file of dollars in euro (DE5, DE50), at 10 for 11."""
    lines = [message for message in messages if message["MTI"] == "1240"]
    for line in lines:
        line |= {"DE5": f"{int(line['DE4']) * 10 // 11:012d}", "DE50": "978"}
    amount = sum(int(line["DE5"]) for line in lines)
    [total] = (message for message in messages if message["DE24"] == "685")
    total |= {"DE50": "978", "DE48": f"9001008{len(lines):08d}9002016{amount:016d}"}


def ipm_with(change: Callable[[list[Elements]], object]) -> bytes:
    """Return a file of three lines in which something was changed."""
    messages = ipm_messages(a_file(IPM))
    change(messages)
    return ipm_file(messages)


def tcrs(raw: bytes) -> list[str]:
    text = raw.decode("ascii")
    return [text[place : place + TCR] for place in range(0, len(text), TCR)]


def tc33_with(change: Callable[[list[str]], object]) -> bytes:
    """Return a file of three transactions in which something was changed."""
    records = tcrs(a_file(TC33))
    change(records)
    return "".join(records).encode("ascii")


def put(record: str, position: int, text: str) -> str:
    """Return a TCR with a text at a position, from 1 as in the description of the format."""
    return record[: position - 1] + text + record[position - 1 + len(text) :]
