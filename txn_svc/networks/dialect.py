"""The dialects of ISO 8583:1987 that the card networks speak, as tables for pyiso8583."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

# Data element: digits of its length prefix (0 for fixed), greatest length, name.
ELEMENTS: dict[str, tuple[int, int, str]] = {
    "2": (2, 19, "Primary account number"),
    "3": (0, 6, "Processing code"),
    "4": (0, 12, "Amount, transaction"),
    "7": (0, 10, "Transmission date and time, MMDDhhmmss UTC"),
    "11": (0, 6, "System trace audit number"),
    "14": (0, 4, "Date, expiration, YYMM"),
    "18": (0, 4, "Merchant category code"),
    "22": (0, 3, "Point of service entry mode"),
    "25": (0, 2, "Point of service condition code"),
    "32": (2, 11, "Acquiring institution identification code"),
    "37": (0, 12, "Retrieval reference number"),
    "38": (0, 6, "Authorization identification response"),
    "39": (0, 2, "Response code"),
    "41": (0, 8, "Card acceptor terminal identification"),
    "42": (0, 15, "Card acceptor identification code"),
    "48": (3, 999, "Additional data: the card verification code"),
    "49": (0, 3, "Currency code, transaction"),
    "63": (3, 50, "Network trace id"),
    "70": (0, 3, "Network management information code"),
    "90": (0, 42, "Original data elements"),
}


@dataclass(frozen=True, slots=True)
class Dialect:
    """How one network writes messages.

    spec: pyiso8583's table. match: the elements that a response echoes and that together name the
    request it answers.
    """

    spec: dict[str, dict[str, Any]]
    match: tuple[str, ...] = ("7", "11", "32", "37", "41")


def _spec(text: str, bitmap: str) -> dict[str, dict[str, Any]]:
    """Return the table for a text encoding and a bitmap encoding ("ascii" hex or "b")."""

    def element(len_type: int, max_len: int, name: str, data_enc: str = text) -> dict[str, Any]:
        return {
            "data_enc": data_enc,
            "len_enc": text,
            "len_type": len_type,
            "max_len": max_len,
            "desc": name,
        }

    spec = {number: element(*row) for number, row in ELEMENTS.items()}
    bitmap_length = 8 if bitmap == "b" else 16
    return spec | {
        "h": element(0, 0, "Message header"),
        "t": element(0, 4, "Message type indicator"),
        "p": element(0, bitmap_length, "Bitmap, primary", bitmap),
        "1": element(0, bitmap_length, "Bitmap, secondary", bitmap),
    }


DIALECTS: dict[str, Dialect] = {
    "visa_sim": Dialect(_spec("ascii", "ascii")),
    "mastercard_sim": Dialect(_spec("cp500", "b")),
}
