"""The clearing file of the simulated Visa: a simplified format of our own, docs/clearing.md.

Shaped after what Visa publishes of its TC 33.A capture file: ASCII records (TCRs) of 168 bytes in
groups HEDR, CP01 with CP12, and TRLR.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import BinaryIO

from sandbox.networks.clearing.presentment import FileName, Presentment, Totals

SUFFIX = "tc33"
TCR_BYTES = 168
AUTHORIZED_PURCHASE = "01"
NO_CURRENCY = "000"


def write(stream: BinaryIO, name: FileName, presented: Iterable[Presentment]) -> Totals:
    """Write a file and return what it sums to."""
    totals = Totals()
    message = 1
    header = f"{name!s:<25}{name.business_date:%Y%m%d}{name.number:03d}"
    stream.write(_tcr("HEDR", message, header))
    for presentment in presented:
        message += 1
        stream.write(_tcr("CP01", message, _transaction(presentment)))
        stream.write(_tcr("CP12", message, f"{presentment.arn}{presentment.trace_id:<15}"))
        totals.add(presentment)
    sums = sorted(totals.sums.items()) or [(NO_CURRENCY, (0, 0))]
    records = 1 + 2 * totals.lines + len(sums)
    for place, (currency, (count, amount)) in enumerate(sums, 1):
        message += 1
        whole = f"{name!s:<25}{records:09d}{totals.lines:09d}{place:03d}{len(sums):03d}"
        stream.write(_tcr("TRLR", message, f"{whole}{currency}{count:09d}{amount:016d}"))
    return totals


def _tcr(application: str, message: int, data: str) -> bytes:
    return f"33 0{'':12}{application}{message:015d}{data}".ljust(TCR_BYTES).encode("ascii")


def _transaction(presentment: Presentment) -> str:
    return (
        f"{presentment.card[-4:]}{presentment.at:%Y%m%d%H%M%S}"
        f"{presentment.amount:012d}{presentment.currency}{presentment.mcc}"
        f"{presentment.approval_code}{presentment.rrn}{presentment.stan}"
        f"{AUTHORIZED_PURCHASE}{presentment.card_acceptor:<15}"
    )
