"""Mastercard's clearing file, IPM, as far as the simulated network needs it: docs/clearing.md.

1014-byte blocks, EBCDIC, one ISO 8583:1993 message a record; packed by cardutil.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, BinaryIO

from cardutil.mciipm import IpmWriter

from sandbox.networks.clearing.presentment import FileName, Presentment, Totals

SUFFIX = "ipm"
CLEARING_FILE = "002"
PROCESSOR = 2
HASH_MODULUS = 10**16


def write(stream: BinaryIO, name: FileName, presented: Iterable[Presentment]) -> Totals:
    """Write a file and return what it sums to."""
    totals = Totals()
    writer = IpmWriter(stream, encoding="cp500", blocked=True)
    number = 1
    writer.write(_control(number, "697", PDS0105=_file_id(name)))
    for presentment in presented:
        number += 1
        writer.write(_first_presentment(number, presentment))
        totals.add(presentment)
    for currency, (count, amount) in sorted(totals.sums.items()):
        number += 1
        sums = {"DE50": currency, "PDS9001": f"{count:08d}", "PDS9002": f"{amount:016d}"}
        writer.write(_control(number, "685", **sums))
    number += 1
    trailer = _control(
        number,
        "695",
        PDS0105=_file_id(name),
        PDS9003=f"{number:08d}",
        PDS9004=f"{totals.arns % HASH_MODULUS:016d}",
    )
    writer.write(trailer)
    writer.close()
    return totals


def _file_id(name: FileName) -> str:
    return f"{CLEARING_FILE}{name.business_date:%y%m%d}{PROCESSOR:011d}{name.number:05d}"


def _control(number: int, function: str, **elements: str) -> dict[str, Any]:
    return {"MTI": "1644", "DE24": function, "DE71": number, **elements}


def _first_presentment(number: int, presentment: Presentment) -> dict[str, Any]:
    return {
        "MTI": "1240",
        "DE2": presentment.card,
        "DE3": "000000",
        "DE4": presentment.amount,
        "DE5": presentment.amount,
        "DE12": presentment.at,
        "DE24": "200",
        "DE26": presentment.mcc,
        "DE31": presentment.arn,
        "DE37": presentment.rrn,
        "DE38": presentment.approval_code,
        "DE42": presentment.card_acceptor,
        "DE49": presentment.currency,
        "DE50": presentment.currency,
        "DE63": presentment.trace_id,
        "DE71": number,
    }
